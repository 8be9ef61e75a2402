"""Exercises of lesson 03."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...parameterizations.coordinates import composite, places
from .verdict import Exercise

__all__ = ["composite_layer", "coordinates", "morph_loop", "siren_bounds"]


def _grid(rows: Tensor, columns: Tensor) -> Tensor:
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y]).flatten(1)  # (2, H·W)


def _stretched(height: int, width: int, extent: float) -> Tensor:
    return _grid(torch.linspace(-extent, extent, height), torch.linspace(-extent, extent, width))


def _by_the_shorter(height: int, width: int, extent: float) -> Tensor:
    grid = places((height, width), extent)
    return grid * (max(height, width) - 1) / (min(height, width) - 1)


def _half_open(height: int, width: int, extent: float) -> Tensor:
    longest = max(height, width)
    return places((height, width), extent) * (longest - 1) / longest


def _column_by_column(height: int, width: int, extent: float) -> Tensor:
    return places((height, width), extent).unflatten(1, (height, width)).transpose(1, 2).flatten(1)


coordinates = Exercise(
    "coordinates",
    lambda height, width, extent: places((height, width), extent),
    [lambda: (6, 9, math.sqrt(3)), lambda: (12, 5, 1.0), lambda: (8, 8, 2.5)],
    {
        "your picture is stretched: both sides have one scale, so only the longer one reaches the extent": (
            _stretched
        ),
        "your longer side sticks out: it is the longer side that runs from −extent to extent": _by_the_shorter,
        "you exchanged x and y: row 0 of the result is x, which grows from column to column": (
            lambda h, w, e: places((h, w), e).flip(0)
        ),
        "your first and last pixel stop short of the extent: between n pixels there are n − 1 distances": _half_open,
        "your pixels come column by column: torch counts them row by row, as a picture's flatten does": (
            _column_by_column
        ),
        "your coordinates begin at 0: the middle of the picture is (0, 0)": (
            lambda h, w, e: places((h, w), e) - places((h, w), e)[:, :1]
        ),
        "your y grows upwards: row 0 of a picture is its top, and y grows downwards, as in the package": (
            lambda h, w, e: places((h, w), e) * torch.tensor([[1.0], [-1.0]])
        ),
    },
)


def _layer(first: Callable, second: Callable) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    return lambda x, weight, bias: weight @ torch.cat([first(x), second(x)]) + bias


def _interleaved(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return weight @ torch.stack(composite(x), dim=1).flatten(0, 1) + bias


def _layer_case(units: int, out: int, places: int) -> Callable[[], tuple]:
    def case() -> tuple:
        generator = torch.Generator().manual_seed(units)
        shapes = (units, places), (out, 2 * units), (out, 1)
        return tuple(torch.randn(shape, generator=generator) for shape in shapes)

    return case


composite_layer = Exercise(
    "composite_layer",
    _layer(lambda x: composite(x)[0], lambda x: composite(x)[1]),
    [_layer_case(6, 4, 20), _layer_case(24, 24, 9), _layer_case(5, 1, 12)],
    {
        "your features are not scaled: divide the first by .67 and the second by .6": (
            _layer(torch.atan, lambda x: x.atan().square())
        ),
        "your second feature is the square of the scaled first one: it is atan(x)² / .6": (
            _layer(lambda x: x.atan() / 0.67, lambda x: (x.atan() / 0.67).square())
        ),
        "your second feature is (atan(x) / .6)²: the constant divides the square": (
            _layer(lambda x: x.atan() / 0.67, lambda x: (x.atan() / 0.6).square())
        ),
        "you squared before the atan: the second feature is atan(x)², not atan(x²)": (
            _layer(lambda x: x.atan() / 0.67, lambda x: x.square().atan() / 0.6)
        ),
        "your parts are in the other order: the first block of columns belongs to atan(x) / .67": (
            _layer(lambda x: x.atan().square() / 0.6, lambda x: x.atan() / 0.67)
        ),
        "your features alternate: first all of one kind, then all of the other": _interleaved,
        "you subtracted the mean of the second feature: that is the activation unbiased, not composite": (
            _layer(lambda x: x.atan() / 0.67, lambda x: (x.atan().square() - 0.45) / 0.396)
        ),
        "the bias is missing": lambda x, w, b: w @ torch.cat(composite(x)),
        "you forgot to add up: the weights come after the features": (
            lambda x, w, b: torch.cat(composite(x)) + 0 * b.sum()
        ),
    },
    gradient=[0, 1, 2],
)


def _morph(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return a + (b - a) * t.to(a)[:, None]


def _there_and_back(frames: int) -> Tensor:
    return (1 - torch.cos(2 * math.pi * torch.arange(frames) / frames)) / 2


def _loop_case(n: int, frames: int) -> Callable[[], tuple]:
    def case() -> tuple:
        a, b = torch.randn(2, n, generator=torch.Generator().manual_seed(n)).unbind()
        return a, b, frames

    return case


morph_loop = Exercise(
    "morph_loop",
    lambda a, b, frames: _morph(a, b, _there_and_back(frames)),
    [_loop_case(7, 12), _loop_case(3, 5)],
    {
        "your last frame is the first one again, so the film would stop there for a moment: s runs over 0, "
        "1/frames, 2/frames …, and 1 is left out": (
            lambda a, b, n: _morph(a, b, (1 - torch.cos(2 * math.pi * torch.linspace(0, 1, n))) / 2)
        ),
        "your film jumps back at its end: t must fall to 0 again": (
            lambda a, b, n: _morph(a, b, torch.arange(n) / n)
        ),
        "your film goes there only: the cosine must make a whole turn": (
            lambda a, b, n: _morph(a, b, (1 - torch.cos(math.pi * torch.arange(n) / n)) / 2)
        ),
        "your film begins at b: t is 0 first": lambda a, b, n: _morph(b, a, _there_and_back(n)),
        "your t goes up to 2: halve it": lambda a, b, n: _morph(a, b, 2 * _there_and_back(n)),
        "your film turns round with a jerk: t bends softly, (1 − cos 2πs) / 2": (
            lambda a, b, n: _morph(a, b, 1 - (1 - 2 * torch.arange(n) / n).abs())
        ),
    },
    gradient=[0, 1],
)


def _bounds(inputs: list[int], omega: float) -> list[float]:
    return [1 / inputs[0], *(math.sqrt(6 / n) / omega for n in inputs[1:])]


siren_bounds = Exercise(
    "siren_bounds",
    lambda inputs, omega: torch.tensor(_bounds(inputs, omega)),
    [lambda: ([2, 64, 64, 64], 30.0), lambda: ([2, 256, 128], 10.0), lambda: ([4, 32], 7.0)],
    {
        "your first layer has the bound of the others: it is 1/n, so that ω₀ alone decides how fine it is": (
            lambda inputs, omega: torch.tensor([math.sqrt(6 / n) / omega for n in inputs])
        ),
        "you divided the first bound by ω₀: then the first layer could not turn fast": (
            lambda inputs, omega: torch.tensor(
                [1 / inputs[0] / omega, *(math.sqrt(6 / n) / omega for n in inputs[1:])]
            )
        ),
        "you forgot ω₀: each layer multiplies its sum by ω₀, so its weights are divided by it": (
            lambda inputs, omega: torch.tensor([1 / inputs[0], *(math.sqrt(6 / n) for n in inputs[1:])])
        ),
        "ω₀ stands inside your root: √(6/n) is divided by ω₀ itself": (
            lambda inputs, omega: torch.tensor(
                [1 / inputs[0], *(math.sqrt(6 / (n * omega)) for n in inputs[1:])]
            )
        ),
        "you multiplied by ω₀: each layer does that already, so its weights are divided by it": (
            lambda inputs, omega: torch.tensor(
                [1 / inputs[0], *(math.sqrt(6 / n) * omega for n in inputs[1:])]
            )
        ),
        "n stands outside your root: it is √(6/n), not √6/n": (
            lambda inputs, omega: torch.tensor(
                [1 / inputs[0], *(math.sqrt(6) / n / omega for n in inputs[1:])]
            )
        ),
        "your bounds are standard deviations: a number from U(−c, c) has sd c/√3": (
            lambda inputs, omega: torch.tensor(
                [1 / inputs[0], *(math.sqrt(2 / n) / omega for n in inputs[1:])]
            )
        ),
    },
)
