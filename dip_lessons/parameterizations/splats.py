"""A picture as a sum of two-dimensional Gaussians."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..arguments import height_width, whole
from ..hardware import no_autocast
from ..registry import enter
from .base import Parameterization
from .color import BASIS, from_image, mix, to_image
from .tiles import assembled, centres, grid, offsets, overlaps

if TYPE_CHECKING:
    from typing_extensions import Self

REACH = 3.5  # standard deviations, beyond which a splat is left out: e^(−3.5²/2) = .002 of its colour


@enter("parameterization")
class Splats(Parameterization):
    """The picture σ(A Σₙ cₙ exp(−½ dₙᵀ Σₙ⁻¹ dₙ)): colours cₙ, each spread by a Gaussian about its own position.

    dₙ is a pixel's distance from the position, in pixels, and Σₙ = Lₙ Lₙᵀ + ¼ is a covariance, whatever the
    triangular matrix Lₙ is: the ¼ keeps each splat at least half a pixel wide. That makes 8 numbers a splat: two
    of the position, three of L, three of the colour. The sum knows no order. Lengths are stored in units of the
    mean distance between splats, √(H·W / count), so that one learning rate suits all of them.

    A splat is computed only in the tiles that it comes within 3.5 standard deviations of, and its L is at most as
    long as the picture. One that has left the picture gets no gradient any more; :meth:`densify` brings it back.

    Args:
        size: at which it is optimized; ``picture(800)`` renders it at another.
        batch, channels, decorrelate, generator, device: see :class:`Parameterization`.
        count: the number of splats.
        width: the first standard deviation of each, in the mean distance between them; positions are drawn
            uniformly.
        sd: standard deviation of the first colours.

    Raises ValueError for a count below 1, and for a width that is not above 0.

    **Source:** Zhang et al., *GaussianImage* (2024), §3.1 and 3.2; there the sum itself is the colour, without σ.

    >>> picture = dip.Splats((48, 64), count=100)
    >>> sum(p.numel() for p in picture.parameters()), picture().shape
    (800, torch.Size([1, 3, 48, 64]))
    >>> picture(96).shape  # the same parameters
    torch.Size([1, 3, 96, 96])
    >>> mean, covariance, determinant = picture.gaussians()  # in pixels
    >>> mean.shape, covariance.shape
    (torch.Size([1, 100, 2]), torch.Size([1, 100, 3]))
    >>> photo = dip.assets.picture("chelsea", (48, 64))
    >>> (picture.set_image(photo)() - photo).square().mean() < 0.003  # 25 dB
    tensor(True)
    >>> (picture.densify(photo, share=0.05)() - photo).square().mean() < 0.004
    tensor(True)
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        count: int = 1000,
        width: float = 0.5,
        decorrelate: bool = True,
        sd: float = 0.1,
        **shared: Any,
    ) -> None:
        super().__init__(size, decorrelate=decorrelate, **shared)
        self.count = whole(count, "count", 1)
        if not (math.isfinite(width) and width > 0):
            raise ValueError(f"width is a standard deviation and must be a number above 0; got {width!r}")
        height, across = self.size
        self.unit = math.sqrt(height * across / self.count)
        corner = torch.tensor([across, height], dtype=torch.float32, device="cpu") / (2 * self.unit)
        factor = torch.tensor([width, 0.0, width], dtype=torch.float32, device="cpu")
        self.position = self.trainable(corner * self.uniform(self.batch, self.count, 2))
        self.cholesky = self.trainable(factor.repeat(self.batch, self.count, 1))
        self.color = self.trainable(sd * self.noise(self.batch, self.count, self.channels))

    def gaussians(self, size: int | tuple[int, int] | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Means (B, N, 2), covariances (B, N, 3) as xx, xy, yy, and their determinants (B, N), in pixels of a
        picture of this size.
        """
        height, width = self.size if size is None else height_width(size)
        scale = self.position.new_tensor([width / self.size[1], height / self.size[0]])
        mean = self.position * self.unit * scale + scale.new_tensor([width / 2, height / 2])
        factor = (self.cholesky * self.unit).clamp(-max(self.size), max(self.size))
        a, b, c = (factor * scale[[0, 1, 1]]).unbind(-1)  # L = (a 0; b c)
        covariance = torch.stack([a * a + 0.25, a * b, b * b + c * c + 0.25], dim=-1)
        # xx·yy − xy², without the difference that rounding could make negative
        return mean, covariance, (a * c).square() + (a * a + b * b + c * c + 0.25) / 4

    def raw(self, size: tuple[int, int] | None = None) -> Tensor:
        return self._sum(self.color, size or self.size)

    def _sum(self, color: Tensor, size: tuple[int, int]) -> Tensor:
        """The sum of all splats with these colours (B, N, C): (B, C, H, W)."""
        mean, covariance, determinant = self.gaussians(size)
        xx, xy, yy = covariance.unbind(-1)
        with torch.no_grad():
            reach = REACH * torch.stack([xx, yy], dim=-1).sqrt()
            splat, tile = overlaps(mean - reach, mean + reach, size)
        inverse = torch.stack([yy, -xy, xx], dim=-1) / determinant[..., None]
        pairs = torch.cat([mean, inverse, color], dim=-1).flatten(0, 1).index_select(0, splat)
        mean, inverse, color = pairs.split([2, 3, color.shape[2]], dim=1)  # (K, …)
        x, y = (mean - centres(tile, size, mean)).unbind(1)
        xx, xy, yy = inverse.unbind(1)
        # dᵀ Σ⁻¹ d as a polynomial in a pixel's offset (u, v) from its tile's centre: one product of matrices
        px, py = xx * x + xy * y, xy * x + yy * y
        polynomial = torch.stack([x * px + y * py, -2 * px, -2 * py, xx, 2 * xy, yy], dim=1)
        u, v = offsets(mean)
        monomials = torch.stack([torch.ones_like(u), u, v, u * u, u * v, v * v])
        weight = (-0.5 * polynomial @ monomials).exp()  # (K, P)
        rows, columns = grid(size)
        spread = (color[:, :, None] * weight[:, None]).flatten(1)  # (K, C · P)
        tiles = spread.new_zeros(self.batch * rows * columns, spread.shape[1])
        return assembled(tiles.index_add(0, tile, spread), self.batch, size)

    def forward(self, size: int | tuple[int, int] | None = None) -> Tensor:
        """The picture, (B, C, H, W), at its own size or any other."""
        return to_image(self.raw(None if size is None else height_width(size)), self.decorrelate)

    @no_autocast()
    @torch.no_grad()
    def densify(self, image: Tensor, share: float = 0.1, generator: torch.Generator | None = None) -> Self:
        """Move the splats that contribute least to where the picture differs most from ``image``.

        Args:
            image: (B or 1, C, H, W) in [0, 1].
            share: of the splats.
            generator: positions are drawn from it, as likely as the squared error is large; None: seed 0.

        Raises ValueError for a tensor that is not such a picture, and for a share outside (0, 1].
        """
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0, and 1 at most; got {share!r}")
        image = self.checked(image)
        missing = from_image(image.clamp(0.02, 0.98), self.decorrelate) - self.raw()
        error = (self() - image).square().sum(1).flatten(1).cpu()  # (B, H·W)
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        energy = self.gaussians()[2].sqrt() * self.color.square().sum(-1)  # area · colour²
        weakest = energy.argsort(1)[:, : int(share * self.count)]
        at = torch.multinomial(error + 1e-12, weakest.shape[1], generator=generator).to(weakest)
        for b, (splats, pixels) in enumerate(zip(weakest, at, strict=True)):
            width = self.size[1]
            xy = torch.stack([pixels % width, pixels // width], dim=1).to(self.position) + 0.5
            self.position[b, splats] = (xy - xy.new_tensor([width / 2, self.size[0] / 2])) / self.unit
            self.cholesky[b, splats] = self.cholesky.new_tensor([1.0, 0.0, 1.0]) / self.unit
            self.color[b, splats] = missing[b].flatten(1)[:, pixels].mT
        return self

    def fit(self, image: Tensor, *, steps: int = 300, lr: float | None = None) -> Self:
        """Approach a picture by gradient descent (see :meth:`Parameterization.fit`), with :meth:`densify` between
        the parts of the way.
        """
        generator = torch.Generator().manual_seed(0)
        for part in range(parts := 6 if steps >= 60 else 1):
            if part:
                self.densify(image, generator=generator)
            super().fit(image, steps=steps // parts + (steps % parts) * (part == parts - 1), lr=lr)
        return self

    @torch.no_grad()
    def svg(self, index: int = 0) -> str:
        """The picture as SVG for a browser: three ellipses a splat, for red, green and blue.

        The sum is made by ``plus-lighter`` of numbers from 0 to 1, in steps of 1/255: a scale makes it fit, minus
        is plus between two inversions, and a table of σ comes last.

        Args:
            index: which picture of the batch; of an alpha channel nothing is drawn.

        >>> dip.Splats(16, count=5).svg().count("<circle")
        15
        """
        (height, width), (mean, covariance, determinant) = self.size, self.gaussians()
        color = self.color[..., :3].expand(-1, -1, 3)
        if self.decorrelate and self.channels >= 3:
            color = mix(color.mT[..., None], BASIS)[..., 0].mT
        brightest = max(self._sum(c.clamp(min=0), self.size)[index].max().item() for c in (color, -color))
        scale = 2.02 * max(brightest, 0.01)
        root = covariance[index, :, 0].sqrt()  # Σ = L Lᵀ once more, now with the ¼ in it
        skew, rest = covariance[index, :, 1] / root, determinant[index].sqrt() / root
        rows = torch.stack([root, skew, rest, *mean[index].unbind(-1)], dim=1)
        lists: tuple[list[str], list[str]] = ([], [])  # added before the inversion, and after it
        for matrix, ink in zip(rows.tolist(), (color[index] / scale).tolist(), strict=True):
            a, b, d, x, y = (f"{value:.6g}" for value in matrix)
            for name, c in zip("rgb", ink, strict=True):
                lists[c < 0].append(
                    f'<circle r="{REACH}" fill="url(#{name})" fill-opacity="{abs(c):.4g}" '
                    f'transform="matrix({a} {b} 0 {d} {x} {y})"/>'
                )
        fall = [(k / 16, math.exp(-0.5 * (REACH * k / 16) ** 2)) for k in range(17)]
        gradients = "".join(
            f'<radialGradient id="{hue[0]}">'
            + "".join(f'<stop offset="{r}" stop-color="{hue}" stop-opacity="{w:.5f}"/>' for r, w in fall)
            + "</radialGradient>"
            for hue in ("red", "green", "blue")
        ).replace('"green"', '"lime"')
        table = " ".join(f"{1 / (1 + math.exp(-scale * (127 - k) / 255)):.5f}" for k in range(256))
        sigma = "".join(f'<feFunc{c} type="table" tableValues="{table}"/>' for c in "RGB")
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}"><style>circle{{mix-blend-mode:plus-lighter}}</style>'
            f'<defs>{gradients}<filter id="sigma" x="0" y="0" width="1" height="1" '
            f'color-interpolation-filters="sRGB"><feComponentTransfer>{sigma}</feComponentTransfer></filter></defs>'
            f'<g filter="url(#sigma)"><rect width="100%" height="100%" fill="rgb(128 128 128)"/>'
            f'{"".join(lists[0])}<rect width="100%" height="100%" fill="white" style="mix-blend-mode:difference"/>'
            f"{''.join(lists[1])}</g></svg>"
        )
