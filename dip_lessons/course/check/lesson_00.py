"""Exercises of lesson 00."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...metrics import value
from ...networks import load_network
from ...objectives import channel
from .verdict import Exercise, Experiment

__all__ = ["four_numbers", "rings", "step_uphill"]


def _climb(picture: Callable[[Tensor, int], Tensor], size: int) -> Tensor:
    """Sides of the picture (4,), its least and largest value and standard deviation, the largest slope of each of the
    four numbers (4,), and the channel's activation before and after 48 steps."""
    drawn = picture(torch.full((4,), 0.5), size)
    sides = torch.tensor([*drawn.shape, 0, 0, 0, 0][:4], dtype=torch.float32)
    if drawn.shape != (1, 3, size, size):
        return torch.cat([sides, torch.zeros(9)])
    network, objective = load_network("squeezenet1_1", device="cpu"), channel("features.6", 150)
    theta, activations, slopes, range_ = torch.full((4,), 0.5, requires_grad=True), [], [], []
    adam = torch.optim.Adam([theta], lr=0.05)
    for _ in range(49):
        drawn = picture(theta, size)
        x = drawn.detach()
        range_.append(torch.stack([x.min(), x.max(), x.std()]))
        activations.append(value(x, objective, network)[0])
        slope = torch.zeros(4)
        if drawn.requires_grad:
            seen = objective(network(drawn, list(objective.layers))).sum()
            (slope,) = torch.autograd.grad(seen, theta)
        theta.grad = -slope
        slopes.append(slope.abs())
        adam.step()
    least, largest, spread = torch.stack(range_).T
    numbers = [least.min(), largest.max(), spread.max(), *torch.stack(slopes).amax(dim=0)]
    return torch.cat([sides, torch.stack([*numbers, activations[0], max(activations)])])


def _no_climb(numbers: Tensor, size: int) -> str | None:
    shape, (least, largest, spread) = tuple(int(n) for n in numbers[:4]), numbers[4:7].tolist()
    slopes, (before, after) = numbers[7:11], numbers[11:].tolist()
    if shape != (1, 3, size, size):
        return (
            f"it should return shape {(1, 3, size, size)}; yours begins with {shape}: [None] adds the batch"
        )
    if least < -1e-6 or largest > 1 + 1e-6:
        return f"its values reach from {least:.2f} to {largest:.2f}: ½ + ½ sin, or a sigmoid, keeps them in [0, 1]"
    if spread < 1e-3:
        return "it is one flat grey: let the value depend on the position"
    if not slopes.any():
        return "no gradient reaches theta: was it detached, made into a number, or are its edges jumps (>, round)?"
    if dead := [str(k) for k in range(4) if not slopes[k]]:
        return f"theta[{'], theta['.join(dead)}] changes nothing, or only by jumps: let it act smoothly"
    if after < 1.2 * before:
        return (
            f"48 steps take the activation only from {before:.1f} to {after:.1f}: softer edges, or numbers that matter "
            "within one unit, give the gradient more to hold on to"
        )
    return None


four_numbers = Experiment("four_numbers", _climb, _no_climb, [lambda: (96,)])


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
