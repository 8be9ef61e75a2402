"""A picture of all directions as a sum of spherical harmonics: no seam, no poles, any resolution."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from ..arguments import finite_decay, height_width, is_whole
from ..parameterizations.base import Parameterization
from ..parameterizations.color import to_image
from ..registry import enter
from .harmonics import analyze, degrees, highest_degree, synthesize


def degree_scale(degree: int, height: int, decay: float = 1.0) -> Tensor:
    """π/(√8 H) · f_l^(−decay), f_l = √(l(l+1))/2H cycles per row: how large each coefficient may be, ((L+1)²,).

    Seen from near, a sphere is a plane, on which Y_l^m is a wave of √(l(l+1))/2π cycles per radian (the root of
    its eigenvalue under −∇², over 2π), and C_l, the variance of one coefficient, is the power of that frequency
    per (cycle per radian)². 1/f^decay in amplitude is therefore C_l ∝ (l(l+1))^(−decay). With ``decay=1`` the
    2l + 1 coefficients of a degree have power 2/l together, every octave has equally much, and the scale,
    π/√(2 l(l+1)), knows no resolution. The factor in front gives pictures of H rows the contrast of
    :class:`Fourier`'s with the same standard deviation of the parameters. Degree 0 gets the scale of degree 1.

    >>> from dip_lessons.sphere import picture as sphere
    >>> sphere.degree_scale(1, 8), sphere.degree_scale(1, 16)  # π/√(2 l(l+1)) at any resolution
    (tensor([1.5708, 1.5708, 1.5708, 1.5708]), tensor([1.5708, 1.5708, 1.5708, 1.5708]))
    """
    l = degrees(degree).double().clamp(min=1)
    f = (l * (l + 1)).sqrt() / (2 * height)
    return (math.pi / (math.sqrt(8) * height) * f**-decay).float()


@enter("parameterization")
class SphericalHarmonics(Parameterization):
    """The equirectangular picture σ(A · Σ s_l θ_lm Y_l^m): what Fourier is to the plane, for the sphere.

    Rows are angles from the north pole, on top, columns are longitudes, both at pixel centres; see
    ``spherical_harmonics.py``. The parameters know no resolution: ``picture((1024, 2048))`` renders them at any.

    Args:
        size: (H, W); an int is H, and W is 2H.
        degree: L, the highest degree, below min(H, W)/2: details are as small as 180°/L. None takes the highest.
        decay: the exponent of the fall with degree: 1 is that of natural pictures, 0 gives all the same room; it
            may be changed while the picture is being optimized. See :func:`degree_scale`.
        decorrelate: whether colours are decorrelated (True) or the three channels are logits of RGB.
        sd: standard deviation of the first coefficients.
        batch, channels, generator, device: see :class:`Parameterization`.

    ``set_image`` is exact for a picture whose colours before the sigmoid have no degree above L; of any other it
    keeps the degrees up to L. Raises ValueError for a degree that the rows and columns cannot hold.

    **Source:** the basis is Driscoll and Healy's (1994); the scale is derived in :func:`degree_scale`.

    >>> panorama = dip.SphericalHarmonics(16, degree=5)
    >>> panorama().shape, panorama.coefficients.shape
    (torch.Size([1, 3, 16, 32]), torch.Size([1, 3, 36]))
    >>> panorama((64, 128)).shape, panorama.decay
    (torch.Size([1, 3, 64, 128]), 1.0)
    """

    adjustable = ("decay",)
    aspect = 2
    scale: Tensor

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        degree: int | None = None,
        decay: float = 1.0,
        decorrelate: bool = True,
        sd: float = 0.01,
        **shared: Any,
    ) -> None:
        super().__init__(size, decorrelate=decorrelate, **shared)
        highest = highest_degree(self.size)
        if degree is not None and not (is_whole(degree) and 0 <= degree <= highest):
            raise ValueError(
                f"degree must be a whole number from 0 to {highest}, below half the rows and columns of "
                f"{self.size}; got {degree!r}. Take more rows, picture(size) renders fewer"
            )
        self.degree = highest if degree is None else int(degree)
        self.decay = decay
        self.coefficients = self.trainable(sd * self.noise(self.batch, self.channels, (self.degree + 1) ** 2))

    @property
    def decay(self) -> float:
        """The exponent of the fall with degree."""
        return self._decay

    @decay.setter
    def decay(self, value: float) -> None:
        self._decay = finite_decay(value)
        self.constant("scale", degree_scale(self.degree, self.size[0], self._decay))

    def raw(self, size: tuple[int, int] | None = None) -> Tensor:
        return synthesize(self.coefficients * self.scale, size or self.size)

    def forward(self, size: int | tuple[int, int] | None = None) -> Tensor:
        """The picture, (B, C, H, W), at its own size or any other; an int is H, and W is 2H."""
        z = self.raw(None if size is None else height_width(size, self.aspect))
        return to_image(z, self.decorrelate)

    def set_raw(self, z: Tensor) -> None:
        self.coefficients.copy_(analyze(z, self.degree) / self.scale)
