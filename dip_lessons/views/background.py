"""What a picture with transparency is seen over, and how the two are mixed."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..parameterizations import Fourier
from .base import CPU


def composite(rgba: Tensor, background: Tensor, *, gamma: float = 2.2) -> Tensor:
    """Lay colours c with alpha α over a background b in linear light: (α c^γ + (1 − α) b^γ)^(1/γ).

    Args:
        rgba: (N, 4, H, W) in [0, 1].
        background: (N, 3, H, W) in [0, 1], or what broadcasts to it.
        gamma: γ ≥ 1, the exponent from stored values to light; 1 mixes stored values.

    Returns (N, 3, H, W). In light below 1e-8 the root, whose slope is infinite at 0, is a straight line: the
    result is off by less than 1e-4 there, and gradients are finite everywhere. Raises ValueError for channels
    or a gamma that do not fit.

    **Source:** the article's notebook on transparency composites with γ = 2.2.

    >>> from dip_lessons.views.affine import composite
    >>> half = torch.tensor([1.0, 0.0, 0.0, 0.5]).view(1, 4, 1, 1)  # red that covers half
    >>> composite(half, torch.tensor([0.0, 0.0, 1.0]).view(1, 3, 1, 1)).flatten()  # of a blue: .5^(1/2.2) of both
    tensor([0.7297, 0.0000, 0.7297])
    """
    if rgba.ndim < 3 or background.ndim < 3 or rgba.shape[-3] != 4 or background.shape[-3] != 3:
        raise ValueError(
            "composite lays pictures (N, 4, H, W) over backgrounds (N, 3, H, W); got "
            f"{tuple(rgba.shape)} and {tuple(background.shape)}"
        )
    if not 1 <= gamma < math.inf:
        raise ValueError(f"gamma must be 1 or more; got {gamma!r}")
    colours, alpha = rgba.split([3, 1], dim=-3)
    light = torch.lerp(background**gamma, colours**gamma, alpha)
    return light * light.clamp(min=1e-8) ** (1 / gamma - 1)


@torch.no_grad()
def _waves(n: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
    return Fourier(size, batch=n, sd=0.2, decay=1.5, generator=generator)()


def _flat(value: float) -> Callable[..., Tensor]:
    return lambda n, size, generator: torch.full((1, 3, 1, 1), value, **CPU)


# kind(n, (H, W), generator) -> n backgrounds, or one for all: (n or 1, 3, H or 1, W or 1) in [0, 1], on the CPU.
# Waves are Lucid's choice: a random picture with decorrelated colours and much power at low frequencies.
BACKGROUNDS: dict[str, Callable[[int, tuple[int, int], torch.Generator], Tensor]] = {
    "waves": _waves,
    "noise": lambda n, size, generator: torch.rand(n, 3, *size, generator=generator, **CPU),
    "color": lambda n, size, generator: torch.rand(n, 3, 1, 1, generator=generator, **CPU),
    "grey": _flat(0.5),
    "black": _flat(0.0),
    "white": _flat(1.0),
    "static": lambda n, size, generator: _waves(1, size, torch.Generator().manual_seed(0)),
}
