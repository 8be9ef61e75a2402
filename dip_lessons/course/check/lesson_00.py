"""Exercises of lesson 00."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .verdict import Exercise

__all__ = ["rings", "step_uphill"]


def _rings(width: Tensor, size: int, *, middle: float = 0.5, turn: float = 2 * math.pi) -> Tensor:
    x = torch.arange(size) - (size - 1) * middle
    r = torch.sqrt(x**2 + x[:, None] ** 2)
    return (0.5 + 0.5 * torch.cos(turn * r / width)).expand(1, 3, size, size)


def _squared_distance(width: Tensor, size: int) -> Tensor:
    x = torch.arange(size) - (size - 1) / 2
    return (0.5 + 0.5 * torch.cos(2 * math.pi * (x**2 + x[:, None] ** 2) / width)).expand(1, 3, size, size)


rings = Exercise(
    "rings",
    _rings,
    [lambda: (torch.tensor(9.0), 48), lambda: (torch.tensor(6.5), 33)],
    {
        "your rings are centred on a corner: subtract (size − 1)/2 from the coordinates": lambda width, size: (
            _rings(width, size, middle=0)
        ),
        "your centre is half a pixel off: pixel i lies at i − (size − 1)/2, not at i − size/2": lambda width, size: (
            _rings(width, size, middle=size / (2 * (size - 1)))
        ),
        "your rings are 2π times too wide: one ring is one turn of the cosine, 2π": lambda width, size: (
            _rings(width, size, turn=1.0)
        ),
        "your rings grow narrower outwards: you used r², the distance is its root": _squared_distance,
        "your values reach from −1 to 1: ½ + ½ cos keeps them in [0, 1]": lambda width, size: (
            2 * _rings(width, size) - 1
        ),
    },
    gradient=[0],
)


def _step(theta: Tensor, function: Callable[[Tensor], Tensor], lr: float, sign: float = 1.0) -> Tensor:
    theta = theta.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(theta), theta)
    return (theta + sign * lr * gradient).detach()


def _hill(theta: Tensor) -> Tensor:
    return -((theta - 2) ** 2).sum() + torch.sin(3 * theta).sum()


def _cases() -> list[Callable[[], tuple]]:
    def case(shape: tuple[int, ...], lr: float) -> Callable[[], tuple]:
        return lambda: (torch.randn(shape, generator=torch.Generator().manual_seed(len(shape))), _hill, lr)

    return [case((12,), 0.1), case((2, 3, 4), 0.3)]


step_uphill = Exercise(
    "step_uphill",
    _step,
    _cases(),
    {
        "you went downhill: to make J larger, add the gradient": lambda t, f, lr: _step(t, f, lr, sign=-1),
        "the learning rate is missing: it scales the gradient": lambda t, f, lr: _step(t, f, 1.0),
        "you returned the gradient alone: the step starts at theta": lambda t, f, lr: (
            _step(t, f, 1.0) - t
        ).detach(),
        "you returned theta unchanged: add lr · gradient to it": lambda t, f, lr: t.detach(),
    },
)
