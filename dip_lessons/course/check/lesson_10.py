"""Exercises of lesson 10."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .verdict import Exercise

__all__ = ["laid_over", "merged", "under_pressure"]


def _drawn(seed: int, *shape: int) -> Tensor:
    """Away from 0 and 1, where powers have no slope, or an infinite one."""
    return 0.05 + 0.9 * torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def _laid_over(rgba: Tensor, background: Tensor, gamma: float) -> Tensor:
    colours, alpha = rgba[:, :3], rgba[:, 3:]
    return (alpha * colours**gamma + (1 - alpha) * background**gamma) ** (1 / gamma)


def _laid_safely(rgba: Tensor, background: Tensor, gamma: float) -> Tensor:
    """The root of light bounded from below: its slope is infinite at 0."""
    colours, alpha = rgba[:, :3], rgba[:, 3:]
    return (alpha * colours**gamma + (1 - alpha) * background**gamma).clamp(min=1e-8) ** (1 / gamma)


def _black(seed: int, channels: int) -> Tensor:
    """With a corner whose colours are 0."""
    picture = _drawn(seed, 1, channels, 9, 12)
    picture[:, :3, :4, :4] = 0
    return picture


def _split(rgba: Tensor) -> tuple[Tensor, Tensor]:
    return rgba[:, :3], rgba[:, 3:]


def _ignoring_gamma(rgba: Tensor, background: Tensor, gamma: float) -> Tensor:
    return _laid_over(rgba, background, 1.0)


def _left_in_light(rgba: Tensor, background: Tensor, gamma: float) -> Tensor:
    return _laid_over(rgba, background, gamma) ** gamma


def _stored_background(rgba: Tensor, background: Tensor, gamma: float) -> Tensor:
    return _laid_over(rgba, background ** (1 / gamma), gamma)


def _stored_colours(rgba: Tensor, background: Tensor, gamma: float) -> Tensor:
    colours, alpha = _split(rgba)
    return _laid_over(torch.cat([colours ** (1 / gamma), alpha], dim=1), background, gamma)


def _alpha_as_light(rgba: Tensor, background: Tensor, gamma: float) -> Tensor:
    colours, alpha = _split(rgba)
    return _laid_over(torch.cat([colours, alpha**gamma], dim=1), background, gamma)


def _covered_by_nothing(rgba: Tensor, background: Tensor, gamma: float) -> Tensor:
    colours, alpha = _split(rgba)
    return (alpha * colours**gamma + background**gamma) ** (1 / gamma)


def _without_background(rgba: Tensor, background: Tensor, gamma: float) -> Tensor:
    return _laid_over(rgba, torch.zeros_like(background), gamma)


laid_over = Exercise(
    "laid_over",
    _laid_safely,
    [
        lambda: (_drawn(0, 1, 4, 16, 16), _drawn(1, 1, 3, 16, 16), 2.2),
        lambda: (_drawn(2, 2, 4, 9, 12), _drawn(3, 1, 3, 1, 1), 1.8),
        lambda: (_black(4, 4), _black(5, 3), 2.2),
    ],
    {
        "you mixed stored values: light adds up, so go to light first, with the power γ": _ignoring_gamma,
        "your result is light still: go back to stored values with the power 1/γ": _left_in_light,
        "your background was mixed as it is stored: it has to become light too": _stored_background,
        "your colours were mixed as they are stored: they have to become light too": _stored_colours,
        "alpha is no light but a share of the area: it gets no power": _alpha_as_light,
        "your background shines through what covers it: it counts with 1 − α": _covered_by_nothing,
        "your background is missing: it counts with 1 − α": _without_background,
        "α counts for the background and 1 − α for the colours, the wrong way round": (
            lambda rgba, background, gamma: _laid_over(
                torch.cat([rgba[:, :3], 1 - rgba[:, 3:]], dim=1), background, gamma
            )
        ),
        "you went to light with 1/γ and back with γ, the wrong way round": (
            lambda rgba, background, gamma: _laid_over(rgba, background, 1 / gamma)
        ),
        "your gradient is no number where all is black: the root's slope is infinite at 0, so bound the light": (
            _laid_over
        ),
    },
    gradient=[0, 1],
    atol=1e-3,
)


def _under_pressure(f: Tensor, alpha: Tensor, seen: Tensor) -> Tensor:
    return f * (1 - alpha.mean(dim=(1, 2, 3))) / 2 + f * (1 - seen.mean(dim=(1, 2, 3))) / 2


def _pressure_case(seed: int, batch: int) -> Callable[[], tuple[Tensor, Tensor, Tensor]]:
    def case() -> tuple[Tensor, Tensor, Tensor]:
        return (
            20 * _drawn(seed, batch),
            _drawn(seed + 1, batch, 1, 12, 12),
            _drawn(seed + 2, batch, 1, 8, 8) ** 2,
        )

    return case


def _batch_mean(f: Tensor, alpha: Tensor, seen: Tensor) -> Tensor:
    return f * (1 - (alpha.mean() + seen.mean()) / 2)


under_pressure = Exercise(
    "under_pressure",
    _under_pressure,
    [_pressure_case(10, 3), _pressure_case(20, 1)],
    {
        "you averaged alpha over the batch: each picture answers for its own": _batch_mean,
        "you rewarded opacity: the factor is 1 − ᾱ, the share that is left open": (
            lambda f, alpha, seen: _under_pressure(f, 1 - alpha, 1 - seen)
        ),
        "you subtracted the opacity: the pressure is a factor, f · (1 − ᾱ)": (
            lambda f, alpha, seen: f - (alpha.mean(dim=(1, 2, 3)) + seen.mean(dim=(1, 2, 3))) / 2
        ),
        "you left the view out: half of the pressure is its own": (
            lambda f, alpha, seen: f * (1 - alpha.mean(dim=(1, 2, 3)))
        ),
        "you left the whole picture out: half of the pressure is its own": (
            lambda f, alpha, seen: f * (1 - seen.mean(dim=(1, 2, 3)))
        ),
        "twice too large: each of the two terms counts one half": (
            lambda f, alpha, seen: 2 * _under_pressure(f, alpha, seen)
        ),
        "the two shares are averaged, not multiplied": (
            lambda f, alpha, seen: f * (1 - alpha.mean(dim=(1, 2, 3))) * (1 - seen.mean(dim=(1, 2, 3)))
        ),
    },
    gradient=[0, 1, 2],
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
