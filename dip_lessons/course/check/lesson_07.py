"""Exercises of lesson 07."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .verdict import Exercise

__all__ = ["direction_objective", "receptive_field", "redirect_gradient"]

Windows = Sequence[tuple[int, int]]  # (kernel, stride) of each layer, the first layer first


def _receptive_field(layers: Windows, *, first: int = 1, short: int = 1, early: bool = False) -> int:
    side, jump = first, 1
    for kernel, stride in layers:
        jump *= stride if early else 1
        side += (kernel - short) * jump
        jump *= 1 if early else stride
    return side


receptive_field = Exercise(
    "receptive_field",
    _receptive_field,
    [
        lambda: ([(3, 2), (3, 2), (3, 1), (3, 1), (3, 2), (3, 1)],),
        lambda: ([(7, 2), (1, 1), (5, 1), (2, 2), (3, 3), (4, 1)],),
        lambda: ([],),
    ],
    {
        "you left the strides out: after a stride of 2, neighbours in the map are two pixels apart": (
            lambda layers: 1 + sum(k - 1 for k, _ in layers)
        ),
        "a layer's stride spreads the layers *after* it: widen the side first, then the jump": (
            lambda layers: _receptive_field(layers, early=True)
        ),
        "the strides multiply: two strides of 2 put neighbours four pixels apart": (
            lambda layers: 1 + sum((k - 1) * sum(s for _, s in layers[:i]) for i, (k, _) in enumerate(layers))
        ),
        "your windows do not overlap: a window of k neighbours adds k − 1 of them to the one that was there": (
            lambda layers: _receptive_field(layers, short=0)
        ),
        "you start from a square of 0 pixels: a unit of the picture itself sees one": (
            lambda layers: _receptive_field(layers, first=0)
        ),
        "that is the product of the kernels: each layer adds to the side": (
            lambda layers: math.prod(k for k, _ in layers)
        ),
        "that is how far neighbours are apart, not how much one of them sees": (
            lambda layers: math.prod(s for _, s in layers)
        ),
        "you went through the layers from the last to the first with the formula for the other way": (
            lambda layers: _receptive_field(layers[::-1])
        ),
    },
)


def _towards_life(x: Tensor, grad: Tensor) -> Tensor:
    return torch.where((x < 0) & (grad > 0), 0, grad)


def _redirect(x: Tensor, grad: Tensor, alive: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """``alive``: (x, plain gradient) -> for which numbers ReLU's own gradient is kept."""
    plain = grad * (x > 0)
    return torch.where(alive(x, plain), plain, _towards_life(x, grad))


def _any(condition: Tensor) -> Tensor:
    return condition.flatten(1).any(dim=1).view(-1, 1, 1, 1)


def _dead_or_alive(
    seed: int, channels: int, side: int, pictures: int = 4
) -> Callable[[], tuple[Tensor, Tensor]]:
    """Silent; awake but in one channel; awake, but silent in the one channel that is asked for; half awake there."""

    def case() -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        x, grad = (torch.randn(4, channels, side, side, generator=generator) for _ in range(2))
        x[0] = -x[0].abs() - 0.1
        grad[2:, 1:] = 0
        x[1:3, 0] = -x[1:3, 0].abs() - 0.1
        return x[:pictures], grad[:pictures]

    return case


redirect_gradient = Exercise(
    "redirect_gradient",
    lambda x, grad: _redirect(x, grad, lambda x, plain: _any(plain != 0)),
    [_dead_or_alive(0, 3, 8), _dead_or_alive(1, 5, 9), _dead_or_alive(2, 3, 8, pictures=1)],
    {
        "that is ReLU's own gradient: a picture that gets none of it needs another way": (
            lambda x, grad: grad * (x > 0)
        ),
        "you let everything through: where x < 0, only a gradient that makes x *grow* may pass": (
            lambda x, grad: torch.where(_any(grad * (x > 0) != 0), grad * (x > 0), grad)
        ),
        "your sign is turned round: a step goes against the gradient, so x grows where it is negative": (
            lambda x, grad: torch.where(
                _any(grad * (x > 0) != 0), grad * (x > 0), torch.where((x < 0) & (grad < 0), 0, grad)
            )
        ),
        "you redirect wherever x < 0: a picture that gets some of ReLU's gradient keeps exactly that": _towards_life,
        "one living picture of the batch stops the rescue of all: decide for each picture by itself": (
            lambda x, grad: _redirect(x, grad, lambda x, plain: (plain != 0).any())
        ),
        "you look whether any unit is awake: what counts is whether any *gradient* gets through": (
            lambda x, grad: _redirect(x, grad, lambda x, plain: _any(x > 0))
        ),
        "you decide for each channel by itself: one rule holds for the whole picture": (
            lambda x, grad: _redirect(x, grad, lambda x, plain: (plain != 0).any(-1).any(-1)[..., None, None])
        ),
        "you multiplied by relu(x): its slope is 1 where x > 0, whatever x is": (
            lambda x, grad: grad * x.clamp(min=0)
        ),
    },
)


def _direction(
    a: Tensor,
    v: Tensor,
    power: float,
    *,
    least: float = 0.1,
    unit_a: bool = True,
    unit_v: bool = True,
    dot_counts: bool = True,
) -> Tensor:
    """The value at each place, (B, h, w)."""
    dot = (a * v[:, None, None]).sum(dim=1)
    cosine = dot / (a.norm(dim=1) if unit_a else 1) / (v.norm() if unit_v else 1)
    return (dot if dot_counts else 1) * cosine.clamp(min=least) ** power


def _direction_case(seed: int, batch: int, channels: int, power: float) -> Callable[[], tuple]:
    def case() -> tuple:
        generator = torch.Generator().manual_seed(seed)
        vector = torch.randn(channels, generator=generator)
        a = 2 * torch.randn(batch, channels, 4, 5, generator=generator) + vector[:, None, None]
        return a, vector, power

    return case


direction_objective = Exercise(
    "direction_objective",
    lambda a, v, power: _direction(a, v, power).mean(dim=(1, 2)),
    [_direction_case(0, 2, 6, 2.0), _direction_case(1, 3, 9, 1.0), _direction_case(2, 1, 4, 0.0)],
    {
        "you averaged the activation over the map first: take product and angle at each place, the mean last": (
            lambda a, v, p: _direction(a.mean(dim=(2, 3), keepdim=True), v, p).mean(dim=(1, 2))
        ),
        "the angle is left out: multiply by the bounded cosine to the power": (
            lambda a, v, p: _direction(a, v, 0).mean(dim=(1, 2))
        ),
        "the bound is missing: an even power would reward what points the other way": (
            lambda a, v, p: _direction(a, v, p, least=-2).mean(dim=(1, 2))
        ),
        "your bound is 0: whatever points the wrong way would get no gradient, and never turn; it is .1": (
            lambda a, v, p: _direction(a, v, p, least=0).mean(dim=(1, 2))
        ),
        "you bounded the product: it is the cosine that must not fall below .1": (
            lambda a, v, p: (
                (d := (a * v[:, None, None]).sum(dim=1)).clamp(min=0.1)
                * (d / a.norm(dim=1) / v.norm()).clamp(min=0.1) ** p
            ).mean(dim=(1, 2))
        ),
        "you bounded the power: the cosine itself must not fall below .1, before the power": (
            lambda a, v, p: (
                (d := (a * v[:, None, None]).sum(dim=1))
                * ((d / a.norm(dim=1) / v.norm()) ** p).clamp(min=0.1)
            ).mean(dim=(1, 2))
        ),
        "your cosine is not divided by the length of the activation": (
            lambda a, v, p: _direction(a, v, p, unit_a=False).mean(dim=(1, 2))
        ),
        "your cosine is not divided by the length of v": (
            lambda a, v, p: _direction(a, v, p, unit_v=False).mean(dim=(1, 2))
        ),
        "that is the angle alone: it multiplies the product a·v": (
            lambda a, v, p: _direction(a, v, p, dot_counts=False).mean(dim=(1, 2))
        ),
        "you used the cosine in place of the product: both belong in": (
            lambda a, v, p: (
                (c := (a * v[:, None, None]).sum(dim=1) / a.norm(dim=1) / v.norm()) * c.clamp(min=0.1) ** p
            ).mean(dim=(1, 2))
        ),
        "you added the places up: take their mean": lambda a, v, p: _direction(a, v, p).sum(dim=(1, 2)),
        "the length of a is that of its C channels at one place, not of the whole map": (
            lambda a, v, p: (
                (d := (a * v[:, None, None]).sum(dim=1))
                * (d / a.flatten(1).norm(dim=1).view(-1, 1, 1) / v.norm()).clamp(min=0.1) ** p
            ).mean(dim=(1, 2))
        ),
    },
    gradient=[0],
)
