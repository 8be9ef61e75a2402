"""The plainest parameterization: one number for each pixel and channel."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..registry import enter
from .base import Parameterization


@enter("parameterization")
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
        decorrelate: bool = False,
        sd: float = 0.01,
        **shared: Any,
    ) -> None:
        super().__init__(size, decorrelate=decorrelate, **shared)
        self.values = self.trainable(sd * self.noise(self.batch, self.channels, *self.size))

    def raw(self) -> Tensor:
        return self.values

    def set_raw(self, z: Tensor) -> None:
        self.values.copy_(z)
