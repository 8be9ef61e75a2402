"""The plainest parameterization: one number for each pixel and channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import Parameterization


class Pixels(Parameterization):
    """The picture σ(θ), or σ(Aθ) with decorrelated colour: each pixel has parameters of its own.

    Args:
        size, batch, channels, generator, device: see :class:`Parameterization`.
        decorrelate: whether the numbers of a pixel are decorrelated colours (see ``color.py``) or logits of
            RGB.
        sd: standard deviation of the first values; .01 is nearly grey.

    >>> picture = dip.Pixels((6, 8))
    >>> picture().shape, picture.values.shape
    (torch.Size([1, 3, 6, 8]), torch.Size([1, 3, 6, 8]))
    >>> round(picture().mean().item(), 2)
    0.5
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        batch: int = 1,
        channels: int = 3,
        decorrelate: bool = False,
        sd: float = 0.01,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(
            size, batch=batch, channels=channels, decorrelate=decorrelate, generator=generator, sd=sd
        )
        self.values = nn.Parameter((sd * self.noise(batch, channels, *self.size)).to(device))

    def raw(self) -> Tensor:
        return self.values

    def set_raw(self, z: Tensor) -> None:
        self.values.copy_(z)
