"""A picture of brush strokes: Bézier curves, painted one over the other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..arguments import height_width, whole
from ..hardware import no_autocast
from ..registry import enter
from .base import Parameterization
from .color import from_image, to_image
from .tiles import TILE, assembled, centres, grid, offsets, overlaps, stacks

if TYPE_CHECKING:
    from typing_extensions import Self

SAMPLES = 16  # along a curve, where its nearest point is first looked for
REACH = 7.0  # softnesses beyond its edge at which a stroke is left out: σ(−7) = .001 of its opacity
# B(t) = Σ tᵏ bₖ: what the bₖ are of the control points
POWERS = torch.tensor(
    [[1, 0, 0, 0], [-3, 3, 0, 0], [3, -6, 3, 0], [-1, 3, -3, 1]], dtype=torch.float32, device="cpu"
)


def bernstein(t: Tensor) -> Tensor:
    """The weights of a cubic Bézier curve's four control points at t in [0, 1]: (…) to (…, 4)."""
    s = 1 - t
    return torch.stack([s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t], dim=-1)


@torch.no_grad()
def nearest(curve: Tensor, at: Tensor) -> Tensor:
    """Where on each curve, t in [0, 1], it comes nearest to each position, (K, P).

    The nearest of some samples, then two steps of Newton's method for the zero of (p − B(t))·B′(t).

    Args:
        curve: control points (K, 4, 2).
        at: positions (2, P).

    >>> from dip_lessons.parameterizations.strokes import nearest
    >>> line = torch.tensor([[[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]])
    >>> nearest(line, torch.tensor([[1.5, -4.0], [2.0, 0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    times = torch.linspace(0, 1, SAMPLES, device=curve.device, dtype=curve.dtype)
    samples = bernstein(times)[:, None, None] @ curve  # (S, K, 1, 2)
    # |p − s|² = |s|² − 2 p·s + |p|², of which the last is the same for all samples
    distance = torch.cat([samples.square().sum(-1, keepdim=True), -2 * samples], dim=3)
    distance = distance.flatten(0, 2) @ torch.cat([torch.ones_like(at[:1]), at])
    least, *rest = distance.view(SAMPLES, -1, at.shape[1])
    t = torch.zeros_like(least)
    for now, d in zip(times[1:], rest, strict=True):
        t, least = torch.where(d < least, now, t), torch.minimum(d, least)
    low, high = (t - times[1]).clamp(min=0), (t + times[1]).clamp(max=1)
    b0, b1, b2, b3 = (POWERS.to(curve) @ curve)[..., None].unbind(1)  # (K, 2, 1) each
    for _ in range(2):
        u = t[:, None]
        away = at - (b0 + u * (b1 + u * (b2 + u * b3)))  # (K, 2, P)
        slope, bend = b1 + u * (2 * b2 + u * (3 * b3)), 2 * b2 + u * (6 * b3)
        squared = slope.square().sum(1)
        # d²/dt² of |p − B|²/2 is |B′|² − (p − B)·B″, and near a maximum not above 0: then shorter steps downhill
        curvature = (squared - (away * bend).sum(1)).maximum(squared / 4).clamp(min=1e-6)
        t = (t + (away * slope).sum(1) / curvature).clamp(low, high)
    return t


@torch.no_grad()
def touched(points: Tensor, reach: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Which strokes come within reach (B, N) of which tiles: K pairs as in ``overlaps``, in the order of the tiles."""
    times = torch.linspace(0, 1, SAMPLES, device=points.device, dtype=points.dtype)
    samples = bernstein(times) @ points  # (B, N, S, 2)
    reach = reach + (samples[:, :, 1:] - samples[:, :, :-1]).norm(dim=-1).amax(2) / 2
    low, high = samples.amin(2) - reach[..., None], samples.amax(2) + reach[..., None]
    stroke, tile = overlaps(low, high, size)
    # of the tiles of a stroke's box, those with a sample near enough to their centre
    away = samples.flatten(0, 1)[stroke] - centres(tile, size, points)[:, None]
    near = away.norm(dim=-1).amin(1) < reach.flatten()[stroke] + TILE / math.sqrt(2)
    order = tile[near].argsort(stable=True)
    return stroke[near][order], tile[near][order]


@enter("parameterization")
class Strokes(Parameterization):
    """Soft Bézier strokes on paper, painted one over the other: each has a width, a colour and an opacity.

    A stroke covers a pixel at the distance d from its curve by α = o · σ((r − d) / softness), with r half of its
    width and o its opacity; then the pixel is α · colour + (1 − α) · what was there. The nearest point of the
    curve, B(t), is searched for; of d the gradient is that of |B(t) − p| with t held fast, since t moves along
    the curve, where d does not change (the envelope theorem).

    Lengths are stored in units of √(H·W / count), so that one learning rate suits all of them. 13 numbers a
    stroke: 8 of the curve's four control points, 1 of the width, 3 of the colour, 1 of the opacity.

    Args:
        size: at which it is optimized; ``picture(800)`` renders it at another.
        batch, channels, decorrelate, generator, device: see :class:`Parameterization`.
        count: the number of strokes; the last one is uppermost.
        length: of the first strokes, about, in units.
        width: r of the first strokes, in units, above the half a pixel of ``size`` that every stroke has.
        softness: of the edges, in pixels; a smaller one (.05 at least) looks drawn, a larger one learns from
            further away. It may be changed on the way.
        paper: the grey that the strokes are painted on, from 0 to 1.
        sd: standard deviation of the first colours.

    Raises ValueError for a count below 1, lengths, widths or a softness that are not above 0, and other paper.

    **Source:** Frans et al., *CLIPDraw* (2021) for what is drawn; Li et al., *Differentiable Vector Graphics
    Rasterization* (2020), which samples edges, for the problem.

    >>> picture = dip.Strokes((48, 64), count=20)
    >>> picture.points.shape, picture().shape
    (torch.Size([1, 20, 4, 2]), torch.Size([1, 3, 48, 64]))
    >>> picture(96).shape  # the same parameters
    torch.Size([1, 3, 96, 96])
    >>> points, radius, color, opacity = picture.strokes()  # for a plotter of one's own
    >>> color.shape, opacity.min() > 0, radius.min() >= 0.5
    (torch.Size([1, 20, 3]), tensor(True), tensor(True))
    """

    adjustable = ("softness",)

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        count: int = 256,
        length: float = 3.0,
        width: float = 0.3,
        softness: float = 0.3,
        paper: float = 1.0,
        decorrelate: bool = True,
        sd: float = 0.5,
        **shared: Any,
    ) -> None:
        super().__init__(size, decorrelate=decorrelate, **shared)
        self.count = whole(count, "count", 1)
        for name, value in {"length": length, "width": width, "softness": softness}.items():
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} must be a number above 0; got {value!r}")
        if not 0 <= paper <= 1:
            raise ValueError(f"paper is a grey from 0 (black) to 1 (white); got {paper!r}")
        self.softness, self.paper = softness, paper
        height, across = self.size
        self.unit = math.sqrt(height * across / self.count)
        corner = torch.tensor([across, height], dtype=torch.float32, device="cpu") / (2 * self.unit)
        start = corner * self.uniform(self.batch, self.count, 1, 2)
        walk = (length / 3 * self.noise(self.batch, self.count, 4, 2)).cumsum(dim=2)
        self.points = self.trainable(start + walk - walk.mean(dim=2, keepdim=True))
        w = math.log(math.expm1(width))
        self.width = self.trainable(w + torch.zeros_like(start[..., 0, 0]))
        self.color = self.trainable(sd * self.noise(self.batch, self.count, self.channels))
        self.opacity = self.trainable(torch.zeros_like(start[..., 0, 0]))

    def strokes(self, size: int | tuple[int, int] | None = None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What is drawn: control points (B, N, 4, 2) and half the widths (B, N), in pixels of a picture of this
        size; colours (B, N, C) and opacities (B, N), in [0, 1].
        """
        height, width = self.size if size is None else height_width(size)
        down, across = height / self.size[0], width / self.size[1]
        points = self.points * self.points.new_tensor([across, down]) * self.unit
        points = points + points.new_tensor([width / 2, height / 2])
        radius = math.sqrt(across * down) * (0.5 + self.unit * F.softplus(self.width))
        color = to_image(self.color.mT[..., None], self.decorrelate)[..., 0].mT
        return points, radius, color, self.opacity.sigmoid()

    def forward(self, size: int | tuple[int, int] | None = None) -> Tensor:
        """The picture, (B, C, H, W), at its own size or any other."""
        size = self.size if size is None else height_width(size)
        points, radius, color, opacity = self.strokes(size)
        softness = max(self.softness, 0.05)
        stroke, tile = touched(points, radius + REACH * softness, size)
        curve = points.flatten(0, 1).index_select(0, stroke) - centres(tile, size, points)[:, None]
        at = offsets(points)  # (2, P), from the tile's centre, as the curve is now
        x, y = (bernstein(nearest(curve, at)) @ curve - at.mT).unbind(2)
        distance = (x * x + y * y + 1e-6).sqrt()  # (K, P)
        r, o = torch.stack([radius, opacity], dim=-1).flatten(0, 1).index_select(0, stroke).split(1, dim=1)
        alpha = o * ((r - distance) / softness).sigmoid()
        rows, columns = grid(size)
        stack = stacks(tile, self.batch * rows * columns)  # (T, M), uppermost first; none is transparent
        alpha = torch.cat([alpha, torch.zeros_like(at[:1])]).index_select(0, stack.flatten())
        alpha = alpha.view(*stack.shape, -1)  # (T, M, P)
        ink = torch.cat([stroke, stroke.new_zeros(1)])[stack]
        ink = color.flatten(0, 1).index_select(0, ink.flatten()).view(*stack.shape, -1)  # (T, M, C)
        through = (1 - alpha).cumprod(dim=1)  # what is seen of all that lies below
        above = torch.cat([torch.ones_like(through[:, :1]), through[:, :-1]], dim=1)
        tiles = ink.mT @ (alpha * above) + self.paper * through[:, -1:]
        return assembled(tiles, self.batch, size).clamp(0, 1)

    @no_autocast()
    @torch.no_grad()
    def set_image(self, image: Tensor) -> Self:
        """Start from a picture (B or 1, C, H, W) in [0, 1]: each stroke takes the colour below its middle, then all
        are fitted (see :meth:`fit`).
        """
        image = self.checked(image)
        middle = self.strokes()[0].mean(2)  # (B, N, 2)
        middle = 2 * middle / middle.new_tensor([self.size[1], self.size[0]]) - 1
        color = F.grid_sample(image, middle[:, None], padding_mode="border", align_corners=False)
        self.color.copy_(from_image(color.clamp(0.02, 0.98), self.decorrelate)[:, :, 0].mT)  # (B, N, C)
        return self.fit(image)

    @torch.no_grad()
    def svg(self, index: int = 0) -> str:
        """The picture as SVG: a path for each stroke, which any browser, editor or plotter draws.

        Args:
            index: which picture of the batch; of an alpha channel nothing is drawn.

        >>> print(dip.Strokes(16, count=1).svg()[:73])
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" width="16" he
        """
        height, width = self.size
        grey = round(255 * self.paper)
        drawn = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" fill="none" stroke-linecap="round" stroke-linejoin="round">',
            f'<rect width="100%" height="100%" fill="rgb({grey} {grey} {grey})"/>',
        ]
        for points, radius, color, opacity in zip(
            *(part[index].tolist() for part in self.strokes()), strict=True
        ):
            start, *rest = (f"{x:.2f} {y:.2f}" for x, y in points)
            red, green, blue = (round(255 * c) for c in (color * 3 if self.channels == 1 else color[:3]))
            drawn.append(
                f'<path d="M{start}C{" ".join(rest)}" stroke="rgb({red} {green} {blue})" '
                f'stroke-width="{2 * radius:.2f}" stroke-opacity="{opacity:.3f}"/>'
            )
        return "\n".join([*drawn, "</svg>"])
