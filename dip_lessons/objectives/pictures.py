"""Objectives that look at the picture itself: regularisers to subtract, and opacity.

    dip.channel("features.9", 10) - 0.1 * dip.total_variation()

Each is a mean over pixels, so that a weight means the same at every size; where Lucid takes the sum, its weight
w is H·W·w here. All but :func:`opacity` look at colours only, at the first three channels of (B, C, H, W).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..registry import enter
from .objective import PICTURE, VIEW, Activations, Objective


@enter("objective")
def total_variation() -> Objective:
    """The total variation: mean over pixels of Σ_channels |x[i, j+1] − x[i, j]| + |x[i+1, j] − x[i, j]|.

    Anisotropic: the two differences are not joined under a root. Differences end at the border, the sum is
    divided by H·W.

    **Source:** Lucid's ``total_variation``, which does not divide by H·W.

    >>> stripes = (torch.arange(4) % 2).float().expand(1, 1, 4, 4)  # three steps of 1 in each row of four
    >>> dip.total_variation()({"picture": stripes})
    tensor([0.7500])
    """

    def variation(activations: Activations) -> Tensor:
        x = _colours(activations)
        across, down = x.diff(dim=3).abs(), x.diff(dim=2).abs()
        return _per_pixel(across, x) + _per_pixel(down, x)

    return Objective(variation, (PICTURE,), code="total_variation()", specification=("total_variation",))


@enter("objective")
def l1(centre: float = 0.5) -> Objective:
    """The distance from a flat grey: mean over pixels of Σ_channels |x − centre|.

    **Source:** Lucid's ``L1``, which does not divide by H·W.

    >>> image = torch.tensor([0.5, 0.75]).view(1, 1, 1, 2)
    >>> dip.l1()({"picture": image})  # (0 + .25) / 2
    tensor([0.1250])
    """

    def distance(activations: Activations) -> Tensor:
        x = _colours(activations)
        return _per_pixel((x - centre).abs(), x)

    return Objective(distance, (PICTURE,), code=f"l1({centre!r})", specification=("l1", centre))


def squared_error(image: Tensor) -> Objective:
    """The mean squared difference from a picture (1 or B, C, H, W); a quantity to subtract.

    Args:
        image: one for all pictures, or one for each.

    It holds the picture, and so is not stored with a run. Raises ValueError, when called, for pictures of another size.

    >>> goal = torch.zeros(1, 3, 8, 8)
    >>> dip.squared_error(goal)({"picture": goal + 0.5})
    tensor([0.2500])
    """
    target = image.detach().clone()

    def error(activations: Activations) -> Tensor:
        x = activations[PICTURE]
        if x.shape[1:] != target.shape[1:] or len(target) not in (1, len(x)):
            raise ValueError(
                f"pictures of shape {tuple(x.shape)} cannot be compared with {tuple(target.shape)}: resize one"
            )
        return (x - target.to(x)).square().mean(dim=(1, 2, 3))

    return Objective(error, (PICTURE,), code="squared_error(…)")


@enter("objective")
def high_frequency() -> Objective:
    """What a blur takes away: mean over pixels of ½ Σ_channels (x − blur(x))², blur(x) held constant.

    So the gradient is (x − blur(x)) / (H·W): a step against it moves each pixel towards the mean of its
    neighbourhood, which blurs the picture a little. The blur weighs a pixel's 3 × 3 neighbourhood by 1, itself
    by 2, and at the border what there is of it.

    **Source:** Lucid's ``blur_input_each_step``, the same kernel, which does not divide by H·W; the idea is that
    of Nguyen, Yosinski, Clune 2015.

    >>> flat = torch.full((1, 3, 8, 8), 0.3)
    >>> dot = flat.clone()
    >>> dot[..., 4, 4] = 1
    >>> a, b = (dip.high_frequency()({"picture": image}).item() for image in (flat, dot))
    >>> a < 1e-9 < b
    True
    """

    def residual(activations: Activations) -> Tensor:
        x = _colours(activations)
        return _per_pixel((x - _blurred(x.detach())).square() / 2, x)

    return Objective(residual, (PICTURE,), code="high_frequency()", specification=("high_frequency",))


@enter("objective")
def opacity(of: str = "picture") -> Objective:
    """The mean alpha, from 0 (nothing is there) to 1 (all is covered).

    Args:
        of: ``"picture"``, or ``"view"`` for the part of it that a view sees.

    Raises ValueError where there is no alpha.

    >>> picture = torch.cat([torch.zeros(1, 3, 2, 2), torch.tensor([0.0, 0.0, 0.0, 1.0]).view(1, 1, 2, 2)], dim=1)
    >>> dip.opacity()({"picture": picture})
    tensor([0.2500])
    """
    if of not in ("picture", "view"):
        raise ValueError(f"opacity is that of the 'picture' or of the 'view'; got {of!r}")
    layer = PICTURE if of == "picture" else VIEW

    def alpha(activations: Activations) -> Tensor:
        rgba = activations[layer]
        if rgba.ndim != 4 or rgba.shape[1] != 4:
            raise ValueError(
                f"opacity needs the alpha of an RGBA {of}, (B, 4, H, W); got {tuple(rgba.shape)}: take a "
                "parameterization with alpha, such as dip.RGBA"
            )
        return rgba[:, 3].mean(dim=(1, 2))

    return Objective(alpha, (layer,), code=f"opacity({of!r})", specification=("opacity", of))


def _colours(activations: Activations) -> Tensor:
    return activations[PICTURE][:, :3]


def _per_pixel(values: Tensor, picture: Tensor) -> Tensor:
    """The sum over channels and positions, over the picture's number of pixels: (B, C, h, w) -> (B,)."""
    return values.sum(dim=(1, 2, 3)) / (picture.shape[2] * picture.shape[3])


def _blurred(x: Tensor) -> Tensor:
    kernel = x.new_ones(1, 1, 3, 3)
    kernel[..., 1, 1] = 2
    each = x.flatten(0, 1)[:, None]  # (B·C, 1, H, W)
    weights = F.conv2d(torch.ones_like(each[:1]), kernel, padding=1)  # less than 10 at the border
    return (F.conv2d(each, kernel, padding=1) / weights).view_as(x)
