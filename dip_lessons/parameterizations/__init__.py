"""Pictures as differentiable functions of parameters: one file each."""

from .base import Parameterization
from .fourier import Fourier
from .pixels import Pixels

__all__ = ["Fourier", "Parameterization", "Pixels"]
