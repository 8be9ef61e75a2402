"""Generators of pictures, and the latent of one as a parameterization.

generator.py        what a generator is: mapping, synthesis, sizes, noise inputs
mobilestylegan.py   the one that lesson 11 begins with, its weights in openvino.py's format; load.py has it by name
official.py         checkpoints of NVIDIA's code, read as data (restricted_pickle.py); stylegan2.py and stylegan3.py
                    compute them; random_weights.py has small ones that have learned nothing
picture.py          StyleGAN: a latent in z, w or w+, whose picture is what a generator draws for it
projection.py       the latent that resembles a photograph

It may import the core. Begin reading with picture.py.
"""

from .generator import Generator, Synthesis
from .load import GENERATORS, UnknownGenerator, load_generator
from .official import CheckpointError, load_official
from .picture import StyleGAN
from .projection import project
from .random_weights import untrained

__all__ = [
    "GENERATORS",
    "CheckpointError",
    "Generator",
    "StyleGAN",
    "Synthesis",
    "UnknownGenerator",
    "load_generator",
    "load_official",
    "project",
    "untrained",
]
