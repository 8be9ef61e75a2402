"""Exercises of lesson 09."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .verdict import Exercise

__all__ = ["gram_matrix", "keep_colours"]


def _gram(activation: Tensor) -> Tensor:
    a = activation.flatten(2)  # (B, C, positions)
    return a @ a.transpose(1, 2) / a.shape[2]


def _of_positions(activation: Tensor) -> Tensor:
    a = activation.flatten(2)
    return a.transpose(1, 2) @ a


def _of_the_batch(activation: Tensor) -> Tensor:
    a = activation.transpose(0, 1).flatten(1)  # (C, B·positions)
    return a @ a.T


def _misread(activation: Tensor) -> Tensor:
    batch, channels, height, width = activation.shape
    a = activation.reshape(batch, height * width, channels)
    return a.transpose(1, 2) @ a / (height * width)


def _positions(activation: Tensor) -> int:
    return activation.shape[2] * activation.shape[3]


def _activation(*shape: int) -> Callable[[], tuple]:
    return lambda: (torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape))),)


gram_matrix = Exercise(
    "gram_matrix",
    _gram,
    [_activation(2, 12, 5, 8), _activation(3, 8, 6, 4), _activation(1, 9, 7, 7)],
    {
        "you left out the division by h·w: the matrix would grow with the picture": (
            lambda a: _gram(a) * _positions(a)
        ),
        "you divided by h·w twice, or took a mean where the product has summed already": (
            lambda a: _gram(a) / _positions(a)
        ),
        "your matrix says which positions look alike; wanted is which channels are active together: multiply (C, h·w) "
        "by (h·w, C)": (lambda a: _of_positions(a) / _positions(a)),
        "your matrix is of positions by positions, and not divided; wanted is channels by channels": _of_positions,
        "you mixed the pictures of the batch: each has a matrix of its own": (
            lambda a: _of_the_batch(a) / (len(a) * _positions(a))
        ),
        "you added up the pictures of the batch: each has a matrix of its own": lambda a: (
            _of_the_batch(a) / _positions(a)
        ),
        "you averaged over the batch: each picture has a matrix of its own": (
            lambda a: _gram(a).mean(dim=0, keepdim=True).expand(len(a), -1, -1)
        ),
        "reshape does not move axes: (B, C, h, w) read as (B, h·w, C) puts numbers of other channels into each row; "
        "flatten(2) leaves the channels where they are": _misread,
        "you divided by the number of channels too": lambda a: _gram(a) / a.shape[1],
        "you took the channels' means away first: that is the covariance of section 5, which comes later": (
            lambda a: _gram(a - a.mean(dim=(2, 3), keepdim=True))
        ),
    },
    gradient=[0],
)

LUMA = torch.tensor([0.299, 0.587, 0.114])


def _luma(image: Tensor, weights: Tensor = LUMA) -> Tensor:
    return (image * weights.view(3, 1, 1)).sum(dim=1, keepdim=True)


def _keep_colours(result: Tensor, photo: Tensor, weights: Tensor = LUMA) -> Tensor:
    return (photo + _luma(result, weights) - _luma(photo, weights)).clamp(0, 1)


def _pair(seed: int, size: tuple[int, int]) -> Callable[[], tuple]:
    def case() -> tuple:
        generator = torch.Generator().manual_seed(seed)
        return tuple(torch.rand(2, 3, *size, generator=generator) for _ in range(2))

    return case


keep_colours = Exercise(
    "keep_colours",
    _keep_colours,
    [_pair(0, (12, 16)), _pair(1, (9, 9))],
    {
        "your grey is the plain mean of the three colours; the eye counts green most": (
            lambda r, p: _keep_colours(r, p, torch.full((3,), 1 / 3))
        ),
        "your weights stand in the order blue, green, red": lambda r, p: _keep_colours(r, p, LUMA.flip(0)),
        "you exchanged the two: colours come from the photograph, light and dark from the result": (
            lambda r, p: _keep_colours(p, r)
        ),
        "your picture leaves [0, 1]: clamp it": lambda r, p: p + _luma(r) - _luma(p),
        "the photograph's own light is still in your picture: take it away before you add the result's": (
            lambda r, p: (p + _luma(r)).clamp(0, 1)
        ),
        "you returned the light alone, without the photograph's colours": lambda r, p: _luma(r).expand_as(r),
        "you multiplied by the ratio of the two lights, which makes dark colours burst; add their difference": (
            lambda r, p: (p * _luma(r) / _luma(p)).clamp(0, 1)
        ),
    },
    gradient=[0],
)
