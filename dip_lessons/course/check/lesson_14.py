"""Exercises of lesson 14."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...mesh.raster import soft_coverage as right_coverage
from ...parameterizations import Fourier
from .steps import matching
from .verdict import Exercise

__all__ = ["bilinear", "match_step", "perspective_weights", "soft_coverage"]


def _normalized(weights: Tensor) -> Tensor:
    return weights / weights.sum(dim=-1, keepdim=True)


def _weights_case(n: int) -> Callable[[], tuple]:
    def case() -> tuple:
        generator = torch.Generator().manual_seed(n)
        return torch.rand(n, 3, generator=generator).log().softmax(-1), 1 + 9 * torch.rand(
            n, 3, generator=generator
        )

    return case


perspective_weights = Exercise(
    "perspective_weights",
    lambda screen, depth: _normalized(screen / depth),
    [_weights_case(1), _weights_case(7)],
    {
        "these are still the weights in the picture: what is nearer to the camera takes more of the picture than of "
        "the triangle, so each weight is divided by its corner's depth": lambda screen, depth: screen,
        "you multiplied by the depth: that is the way from the triangle to the picture; divide": (
            lambda screen, depth: _normalized(screen * depth)
        ),
        "weights must add up to 1: divide by their sum": lambda screen, depth: screen / depth,
        "you divided by the sum over all pixels: each pixel's three weights add up to 1, along the last axis": (
            lambda screen, depth: (screen / depth) / (screen / depth).sum()
        ),
        "you divided by the square of the depth: once is enough": (
            lambda screen, depth: _normalized(screen / depth**2)
        ),
    },
    gradient=[0, 1],
)


def _bilinear(
    texture: Tensor,
    uv: Tensor,
    *,
    half: float = 0.5,
    upward: bool = True,
    repeat: bool = True,
    exchanged: bool = False,
    cut: bool = False,
    flipped: bool = False,
) -> Tensor:
    height, width = texture.shape[1:]
    x = uv[:, 0] * width - half
    y = (1 - uv[:, 1] if upward else uv[:, 1]) * height - half
    column, row = (x.long(), y.long()) if cut else (x.floor().long(), y.floor().long())
    right, below = (x - column)[:, None], (y - row)[:, None]
    if flipped:
        right, below = 1 - right, 1 - below
    if exchanged:
        right, below = below, right

    def texel(i: Tensor, j: Tensor) -> Tensor:
        if repeat:
            return texture[:, i % height, j % width].T
        return texture[:, i.clamp(0, height - 1), j.clamp(0, width - 1)].T

    above = (1 - right) * texel(row, column) + right * texel(row, column + 1)
    under = (1 - right) * texel(row + 1, column) + right * texel(row + 1, column + 1)
    return (1 - below) * above + below * under  # (N, C)


def _nearest(texture: Tensor, uv: Tensor) -> Tensor:
    height, width = texture.shape[1:]
    column, row = (uv[:, 0] * width).floor().long(), ((1 - uv[:, 1]) * height).floor().long()
    return texture[:, row % height, column % width].T


def _bilinear_case(size: tuple[int, int], n: int) -> Callable[[], tuple]:
    def case() -> tuple:
        generator = torch.Generator().manual_seed(n)
        texture = torch.rand(3, *size, generator=generator)
        return texture, 3 * torch.rand(n, 2, generator=generator) - 1

    return case


bilinear = Exercise(
    "bilinear",
    _bilinear,
    [_bilinear_case((6, 9), 40), _bilinear_case((5, 4), 12)],
    {
        "your texture stands on its head: v = 0 is its lower border, rows are counted from the upper one": (
            lambda texture, uv: _bilinear(texture, uv, upward=False)
        ),
        "you are half a texel off: the centre of the first texel lies at ½, not at 0": (
            lambda texture, uv: _bilinear(texture, uv, half=0.0)
        ),
        "you took one texel: mix the four whose centres are around the position": _nearest,
        "your texture ends at its border: it repeats, so the neighbour of the last column is the first": (
            lambda texture, uv: _bilinear(texture, uv, repeat=False)
        ),
        "you exchanged u and v: u counts along a row, v along a column": (
            lambda texture, uv: _bilinear(texture, uv.flip(-1))
        ),
        "your two fractions are exchanged: that of x mixes left and right, that of y above and below": (
            lambda texture, uv: _bilinear(texture, uv, exchanged=True)
        ),
        "`.long()` cuts towards 0, and so -0.3 goes to 0 where it should go to -1: take `.floor()` first": (
            lambda texture, uv: _bilinear(texture, uv, cut=True)
        ),
        "your fractions count from the wrong side: at a fraction of 0 the left and upper texel has all the weight": (
            lambda texture, uv: _bilinear(texture, uv, flipped=True)
        ),
        "one position in each row of the result, (N, C): turn yours around": (
            lambda texture, uv: _bilinear(texture, uv).T
        ),
    },
    gradient=[0, 1],
)


def _distances(corners: Tensor, points: Tensor, *, scaled: bool = True, turned: bool = True) -> Tensor:
    """Signed distances of points (N, 2) from the lines of the three edges, (N, 3), positive inside."""
    along = corners.roll(-1, 0) - corners  # (3, 2)
    towards = points[:, None] - corners  # (N, 3, 2)
    cross = along[:, 0] * towards[..., 1] - along[:, 1] * towards[..., 0]
    area = along[0, 0] * along[1, 1] - along[0, 1] * along[1, 0]
    cross = cross * area.sign() if turned else cross
    return cross / along.norm(dim=1) if scaled else cross


def _coverage_case(turned: bool, softness: float) -> Callable[[], tuple]:
    def case() -> tuple:
        corners = torch.tensor([[2.0, 3.0], [20.0, 5.0], [9.0, 19.0]])
        places = torch.arange(22) + 0.5
        points = torch.stack(torch.meshgrid(places, places, indexing="xy"), dim=-1).reshape(-1, 2)
        return corners.flip(0) if turned else corners, points, softness

    return case


soft_coverage = Exercise(
    "soft_coverage",
    right_coverage,
    [_coverage_case(False, 1.0), _coverage_case(True, 0.5)],
    {
        "your triangle has hard edges, and so no gradient moves a corner: put the distance through a sigmoid": (
            lambda corners, points, softness: (_distances(corners, points).amin(dim=1) > 0).float()
        ),
        "your edge functions are no distances: divide each by the length of its edge": (
            lambda corners, points, softness: torch.sigmoid(
                _distances(corners, points, scaled=False).amin(dim=1) / softness
            )
        ),
        "your triangle is right for corners in one order only: with the other order all three signs are turned": (
            lambda corners, points, softness: torch.sigmoid(
                _distances(corners, points, turned=False).amin(dim=1) / softness
            )
        ),
        "your triangle is right for corners in one order only: multiply by the sign of the whole triangle's area": (
            lambda corners, points, softness: torch.sigmoid(
                (-_distances(corners, points, turned=False)).amin(dim=1) / softness
            )
        ),
        "you took the largest of the three distances: a point is inside if it is inside of all three edges, so the "
        "smallest decides": (
            lambda corners, points, softness: torch.sigmoid(
                _distances(corners, points).amax(dim=1) / softness
            )
        ),
        "you multiplied three soft edges: near a corner that covers too little; the smallest distance decides": (
            lambda corners, points, softness: torch.sigmoid(_distances(corners, points) / softness).prod(
                dim=1
            )
        ),
        "you multiplied by the softness: a larger softness makes a wider edge": (
            lambda corners, points, softness: torch.sigmoid(
                _distances(corners, points).amin(dim=1) * softness
            )
        ),
        "your inside is outside: the distance is positive inside": (
            lambda corners, points, softness: torch.sigmoid(
                -_distances(corners, points).amin(dim=1) / softness
            )
        ),
    },
    gradient=[0],
)


def _first_step(rate: float) -> float:
    """How far one step of Adam moves a picture of Fourier components that has contrast, root mean square."""
    picture = Fourier(24, generator=torch.Generator().manual_seed(0), device="cpu")
    optimizer = torch.optim.Adam(picture.parameters(), lr=rate)
    with torch.enable_grad():
        (-picture()[:, :, 8:16, 8:16].sum()).backward()
    before = picture().detach()
    optimizer.step()
    return float((picture().detach() - before).square().mean().sqrt())


def _saturating(rate: float) -> float:
    return rate / (1 + 4 * rate)


match_step = matching(
    "match_step",
    [
        lambda: (_first_step, 0.08, 0.05),
        lambda: (_saturating, 0.15, 0.05),
        lambda: (_saturating, 0.004, 0.05),
    ],
    most=20,
)
