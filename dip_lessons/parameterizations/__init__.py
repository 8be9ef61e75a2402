"""Pictures as differentiable functions of parameters: one file each."""

from collections.abc import Mapping

from torch import nn

from .base import Parameterization
from .coordinates import CPPN, Siren
from .fourier import Fourier
from .phase_only import PhaseOnly
from .pixels import Pixels
from .prior import DeepImagePrior
from .pyramid import Pyramid
from .rgba import RGBA
from .shared import Shared
from .solid import Solid
from .sphere import SphericalHarmonics
from .stylegan import StyleGAN
from .texture import Texture

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
    "Solid",
    "SphericalHarmonics",
    "StyleGAN",
    "Texture",
]


def describe(picture: Parameterization) -> dict | None:
    """A parameterization of the package as plain data: {"kind": its name, "settings": its arguments}.

    Parameterizations that it is made of are described likewise. None for one that is not the package's own,
    or is made of something else that is not.
    """
    kind, settings = type(picture), {}
    if globals().get(kind.__name__) is not kind:
        return None
    for name, value in picture.settings().items():
        settings[name] = describe(value) if isinstance(value, Parameterization) else value
        if isinstance(value, nn.Module) and not isinstance(settings[name], dict):
            return None
    return {"kind": kind.__name__, "settings": settings}


def from_description(description: Mapping) -> Parameterization:
    """The inverse of :func:`describe`: the same shape, not the same values. Raises ValueError for another kind."""
    kind = description["kind"]
    if kind not in __all__ or kind == "Parameterization" or description["settings"] is None:
        raise ValueError(f"there is no parameterization {kind!r} to make again")
    settings = {
        name: from_description(value) if isinstance(value, Mapping) else value
        for name, value in description["settings"].items()
    }
    return globals()[kind](**settings)
