"""Pretrained generators by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable

import torch

from ..hardware import device as choose_device
from .generator import Generator
from .mobilestylegan import mobilestylegan_ffhq

GENERATORS: dict[str, Callable[[], Generator]] = {"mobilestylegan_ffhq": mobilestylegan_ffhq}


class UnknownGenerator(KeyError):
    """A generator that does not exist; the message gives the nearest names."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would print its repr


def load_generator(name: str = "mobilestylegan_ffhq", device: torch.device | str | None = None) -> Generator:
    """A pretrained generator by name, frozen; its weights are fetched when they are first asked for.

    Args:
        name: one of ``GENERATORS``; ``"mobilestylegan_ffhq"`` makes faces of up to 1024 pixels.
        device: where it shall live; None takes the best that is there (see :func:`dip_lessons.device`).

    Raises UnknownGenerator, a KeyError, for another name, :class:`dip_lessons.assets.AssetError` for weights
    that are corrupt or cannot be fetched; its message says how to get them.

    >>> generator = dip.load_generator(device="cpu")
    >>> generator.sizes, generator.styles
    ((64, 128, 256, 512, 1024), 23)
    """
    if name not in GENERATORS:
        near = difflib.get_close_matches(name, GENERATORS, cutoff=0.3) or list(GENERATORS)
        raise UnknownGenerator(f"there is no generator {name!r}; the nearest are {', '.join(near)}")
    with torch.inference_mode(False):  # weights that were made inside it could not be differentiated through
        return GENERATORS[name]().to(choose_device(device))
