"""The plainest parameterization: one number for each pixel and channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import Parameterization
from .color import from_image, to_image


class Pixels(Parameterization):
    """The picture σ(θ), or σ(Aθ) with decorrelated colour: each pixel has parameters of its own.

    Args:
        size, batch, channels, generator: see :class:`Parameterization`.
        decorrelate: whether the numbers of a pixel are decorrelated colours (see ``color.py``) or logits of
            RGB.
        sd: standard deviation of the first values; .01 is nearly grey.
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
            size, batch=batch, channels=channels, generator=generator, decorrelate=decorrelate, sd=sd
        )
        self.decorrelate = decorrelate
        self.values = nn.Parameter((sd * self.noise(batch, channels, *self.size)).to(device))

    def forward(self) -> Tensor:
        return to_image(self.values, self.decorrelate)

    @torch.no_grad()
    def set_image(self, image: Tensor) -> Pixels:
        """Start from a picture (B or 1, C, H, W) in [0, 1]: exact to 1e-4."""
        self.values.copy_(from_image(self.checked(image), self.decorrelate))
        return self
