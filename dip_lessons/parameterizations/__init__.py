"""Pictures as differentiable functions of parameters: parameters → picture, one file each.

base.py          what all share: size, batch, first values, settings that a run is stored with
color.py         decorrelated colours; the sigmoid that ends in [0, 1]
pixels.py        one number a pixel; fourier.py, pyramid.py, phase_only.py: better coordinates
coordinates.py   CPPN and Siren, networks of (x, y); prior.py: a convolutional network's build
splats.py        a sum of Gaussians; strokes.py: Bézier strokes, one over the other; tiles.py: what both are drawn in
shared.py        frames with a part in common; rgba.py: pictures with transparency

They know no network and no objective. Begin reading with base.py and pixels.py.
"""

from .base import Parameterization, describe, from_description
from .coordinates import CPPN, Siren
from .fourier import Fourier
from .phase_only import PhaseOnly
from .pixels import Pixels
from .prior import DeepImagePrior
from .pyramid import Pyramid
from .rgba import RGBA
from .shared import Shared
from .splats import Splats
from .strokes import Strokes

__all__ = [
    "CPPN",
    "RGBA",
    "DeepImagePrior",
    "Fourier",
    "Parameterization",
    "PhaseOnly",
    "Pixels",
    "Pyramid",
    "Shared",
    "Siren",
    "Splats",
    "Strokes",
]
