"""How visible the poles of a panorama are. They are found in ``dip.metrics``, too."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..registry import enter
from .panorama import around


@enter("measure")
@torch.no_grad()
def pole_energy(image: Tensor) -> Tensor:
    """How visible the poles of an equirectangular picture are, (B,): 1 means not at all.

    The mean squared step across both poles, from a border row to itself half a turn away, divided by that
    between neighbouring rows inside: both lie 180°/H apart on the sphere. For the seam at ±180° there is
    :func:`seam_energy`; where neighbours differ anyway, as in a picture full of dots, :func:`pole_spread`.

    Args:
        image: equirectangular, (B, C, H, W).

    >>> panorama = dip.SphericalHarmonics(32)().detach()
    >>> dip.metrics.pole_energy(panorama).item() < 3
    True
    >>> ramp = (torch.arange(64) / 64).expand(1, 3, 32, 64)  # all longitudes meet at a pole, and all greys
    >>> dip.metrics.pole_energy(ramp).item() > 1000
    True
    """
    x = around(image.float())[..., 1:-1]
    steps = x.diff(dim=-2).square().mean(dim=(1, 3))  # (B, H + 1), the first and the last across a pole
    inside, poles = steps[:, 1:-1].mean(dim=1), steps[:, [0, -1]].mean(dim=1)
    return (poles + 1e-12) / (inside + 1e-12)


@enter("measure")
@torch.no_grad()
def pole_spread(image: Tensor, *, radius: float | None = None) -> Tensor:
    """How many colours meet at the poles of an equirectangular picture, (B,): 0 means one, 1 means all there are.

    The standard deviation of the colours on a circle around each pole, divided by that of the whole picture: on
    the sphere a small circle is one small spot.

    Args:
        radius: of the circles, in degrees; None takes the first row's, 90/H.

    Raises ValueError for a radius that is not above 0 and below 90.

    >>> panorama = dip.SphericalHarmonics(32)().detach()
    >>> ramp = (torch.arange(64) / 64).expand(1, 3, 32, 64)  # all longitudes meet at a pole, and all greys
    >>> [round(dip.metrics.pole_spread(image).item(), 1) for image in (panorama, ramp)]
    [0.2, 1.0]
    """
    height, width = image.shape[-2:]
    radius = 90 / height if radius is None else radius
    if not 0 < radius < 90:
        raise ValueError(f"radius is an angle above 0 and below 90 degrees; got {radius!r}")
    x = image.float()
    column = torch.arange(360, dtype=torch.float32, device=x.device) / 360 * width - 0.5
    row = radius / 180 * height - 0.5
    across = (column + 1) * 2 / (width + 1) - 1
    down = (row + 1) * 2 / (height + 1) - 1
    circles = torch.stack([torch.stack([across, torch.full_like(across, y)], dim=-1) for y in (down, -down)])
    met = F.grid_sample(around(x), circles.expand(len(x), -1, -1, -1), align_corners=True)  # (B, C, 2, 360)
    whole = x.std(dim=(2, 3)).mean(dim=1).clamp(min=1e-4)  # a flat picture has no poles, only rounding
    return met.std(dim=3).mean(dim=(1, 2)) / whole
