"""Exercises of lesson 10."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .verdict import Exercise

__all__ = ["keep_test", "merged"]


def _drawn(seed: int, *shape: int) -> Tensor:
    """Away from 0 and 1."""
    return 0.05 + 0.9 * torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def _split(rgba: Tensor) -> tuple[Tensor, Tensor]:
    return rgba[:, :3], rgba[:, 3:]


def _from(centre: float, side: int) -> Tensor:
    """Distances from a point on the diagonal, in pixels, (side, side)."""
    steps = torch.arange(side) - centre
    return torch.hypot(steps[:, None], steps)


def _disc(side: int, pixels: Tensor, centre: float | None = None) -> Tensor:
    """Where the pixels nearest to the middle are, as many as asked for: (B, 1, side, side) for pixels (B, 1, 1, 1)."""
    far = _from((side - 1) / 2 if centre is None else centre, side)
    return far.flatten().argsort().argsort().view(side, side) < pixels


def _only(rgba: Tensor, where: Tensor) -> Tensor:
    colours, alpha = _split(rgba)
    return torch.cat([colours, alpha * where], dim=1)


def _pixels(region: Tensor) -> Tensor:
    return region.sum(dim=(1, 2, 3), keepdim=True)


def _kept(rgba: Tensor, where: tuple[Tensor, Tensor], measure: Callable, only: Callable = _only) -> Tensor:
    return torch.stack([measure(only(rgba, x)) for x in where]) / measure(rgba)


def _with_disc(change: Callable[[Tensor], Tensor]) -> Callable:
    """The test with a disc of another number of pixels."""
    return lambda rgba, region, measure: _kept(
        rgba, (region, _disc(rgba.shape[-1], change(_pixels(region)))), measure
    )


_keep_test = _with_disc(lambda pixels: pixels)


def _filled(rgba: Tensor, where: Tensor) -> Tensor:
    return torch.cat([rgba[:, :3], where.to(rgba)], dim=1)


def _blackened(rgba: Tensor, where: Tensor) -> Tensor:
    colours, alpha = _split(rgba)
    return torch.cat([colours * where, alpha], dim=1)


def _kept_by(only: Callable) -> Callable:
    return lambda rgba, region, measure: _kept(
        rgba, (region, _disc(rgba.shape[-1], _pixels(region))), measure, only
    )


def _keep_case(seed: int, side: int, *radii: float) -> Callable[[], tuple]:
    """Pictures with a region around a point off the middle, and a measure that likes light near that point."""
    point = 0.4 * side

    def measure(rgba: Tensor) -> Tensor:
        colours, alpha = _split(rgba)
        seen = (alpha * colours + (1 - alpha) * 0.2).mean(dim=1)
        return (seen * torch.exp(-_from(point, side) / 8)).sum(dim=(1, 2))

    def case() -> tuple:
        regions = [_from(point, side) < radius for radius in radii]
        rgba = _drawn(seed, len(radii), 4, side, side) / 4 + 0.7
        return rgba, torch.stack(regions)[:, None], measure

    return case


keep_test = Exercise(
    "keep_test",
    _keep_test,
    [_keep_case(0, 48, 6, 9, 13), _keep_case(1, 33, 8)],
    {
        "you hid the region and kept the rest: what lies outside becomes transparent": (
            lambda rgba, region, measure: _kept(
                rgba, (~region, ~_disc(rgba.shape[-1], _pixels(region))), measure
            )
        ),
        "one disc for all: each picture's disc has as many pixels as its own region": _with_disc(
            lambda pixels: pixels.float().mean()
        ),
        "your disc is too large: of radius r it has πr² pixels, not r²": _with_disc(
            lambda pixels: torch.pi * pixels
        ),
        "your disc is a quarter as large as it should be: mind radius and diameter": _with_disc(
            lambda pixels: pixels / 4
        ),
        "your disc lies in a corner: it belongs in the middle": lambda rgba, region, measure: _kept(
            rgba, (region, _disc(rgba.shape[-1], _pixels(region), centre=0.0)), measure
        ),
        "your disc lies on the region: a test that knows where the region is grants too much; "
        "put it in the middle of the picture": lambda rgba, region, measure: _kept(
            rgba, (region, region), measure
        ),
        "these are values, not shares: divide by the value of the whole picture": (
            lambda rgba, region, measure: _keep_test(rgba, region, measure) * measure(rgba)
        ),
        "you set alpha to 1 inside: keep the alpha that is there": _kept_by(_filled),
        "you painted the rest black: make it transparent, alpha becomes 0 there": _kept_by(_blackened),
        "the rows are exchanged: first what the region keeps, then the disc": (
            lambda rgba, region, measure: _keep_test(rgba, region, measure).flip(0)
        ),
    },
    rtol=0.04,  # of discs of one area some have a few pixels more at the rim
)


def _merged(front: Tensor, back: Tensor) -> Tensor:
    colours, alpha = _split(front)
    behind, shade = _split(back)
    shows = (1 - alpha) * shade  # the share of the area where the back layer is what one sees
    total = alpha + shows
    mixed = (alpha * colours + shows * behind) / total.clamp(min=1e-12)
    return torch.cat([torch.where(total > 0, mixed, 0), total], dim=1)


def _premultiplied(front: Tensor, back: Tensor) -> Tensor:
    result = _merged(front, back)
    return torch.cat([result[:, :3] * result[:, 3:], result[:, 3:]], dim=1)


def _opaque_back(front: Tensor, back: Tensor) -> Tensor:
    """The colours as if nothing shone through the back layer."""
    (colours, alpha), (behind, _) = _split(front), _split(back)
    return torch.cat([alpha * colours + (1 - alpha) * behind, _merged(front, back)[:, 3:]], dim=1)


def _with_alpha(front: Tensor, back: Tensor, alpha: Tensor) -> Tensor:
    return torch.cat([_merged(front, back)[:, :3], alpha], dim=1)


def _layer(seed: int, *shape: int) -> Tensor:
    """A layer with a hole in its left upper corner, which is empty in all layers."""
    layer = _drawn(seed, *shape)
    layer[:, 3, :3, :3] = 0
    return layer


merged = Exercise(
    "merged",
    _merged,
    [
        lambda: (_drawn(30, 1, 4, 12, 16), _drawn(31, 1, 4, 12, 16)),
        lambda: (_layer(32, 2, 4, 10, 10), _layer(33, 2, 4, 10, 10)),
    ],
    {
        "your colours are still multiplied by alpha: divide by the alpha of the result": _premultiplied,
        "you laid the back layer over the front one: exchange them": lambda front, back: _merged(back, front),
        "your back layer counts as opaque in the colours: its share is (1 − α) · α_back": _opaque_back,
        "the alphas do not simply add up: of the back layer only the share 1 − α is seen": (
            lambda front, back: _with_alpha(front, back, front[:, 3:] + back[:, 3:])
        ),
        "your alpha is that of the front layer alone: what stands behind it covers too": (
            lambda front, back: _with_alpha(front, back, front[:, 3:])
        ),
        "the alpha of two layers is not the larger one: they cover different parts of the pixel, by chance": (
            lambda front, back: _with_alpha(front, back, torch.maximum(front[:, 3:], back[:, 3:]))
        ),
        "that is the area covered by both: the result covers what either of them does": (
            lambda front, back: _with_alpha(front, back, front[:, 3:] * back[:, 3:])
        ),
    },
    gradient=[],
)
