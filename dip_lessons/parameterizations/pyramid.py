"""A picture as a sum of pictures of lower and lower resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..arguments import whole
from ..registry import enter
from .base import Parameterization


def enlarged(z: Tensor, size: Sequence[int]) -> Tensor:
    """A map (B, C, h, w) at another size (H, W), bilinear."""
    return F.interpolate(z, tuple(size), mode="bilinear", align_corners=False)


@enter("parameterization")
class Pyramid(Parameterization):
    """The picture σ(A · Σₖ up(θₖ)): θₖ has 1/2ᵏ of the resolution, k = 0 … levels − 1.

    A coarse level moves many pixels at once, so coarse structure is learned as fast as fine one: the same
    preconditioning as a 1/f spectrum, in steps of an octave.

    Args:
        size, batch, channels, decorrelate, generator, device: see :class:`Parameterization`.
        levels: how many; the coarsest is at least one pixel wide and high.
        sd: standard deviation of the first values of each level.

    Raises ValueError for more levels than the size has halvings.

    **Source:** Lucid, ``optvis/param/lowres.py`` and ``laplacian_pyramid_image``; Burt and Adelson, *The
    Laplacian Pyramid as a Compact Image Code* (1983) for the inverse.

    >>> picture = dip.Pyramid(16, levels=3)
    >>> [tuple(level.shape[-2:]) for level in picture.levels]
    [(16, 16), (8, 8), (4, 4)]
    >>> picture().shape
    torch.Size([1, 3, 16, 16])
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        levels: int = 5,
        decorrelate: bool = True,
        sd: float = 0.01,
        **shared: Any,
    ) -> None:
        super().__init__(size, decorrelate=decorrelate, **shared)
        most = min(self.size).bit_length()
        levels = whole(levels, f"levels of a picture of {self.size}", 1, most)
        height, width = self.size
        self.levels = nn.ParameterList(
            self.trainable(sd * self.noise(self.batch, self.channels, height >> k, width >> k))
            for k in range(levels)
        )

    def raw(self) -> Tensor:
        """From coarse to fine: what is there, enlarged, plus the next level."""
        *finer, z = self.levels
        for level in reversed(finer):
            z = enlarged(z, level.shape[-2:]) + level
        return z

    def set_raw(self, z: Tensor) -> None:
        """The Laplacian pyramid of z: each level holds what the coarser ones, enlarged, leave over."""
        reduced = [z]
        for level in list(self.levels)[1:]:
            reduced.append(F.interpolate(reduced[-1], level.shape[-2:], mode="area"))
        coarser = torch.zeros_like(reduced[-1])
        for level, full in zip(reversed(self.levels), reversed(reduced), strict=True):
            level.copy_(full - enlarged(coarser, full.shape[-2:]))
            coarser = full
