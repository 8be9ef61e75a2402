"""Exercises of lesson 07."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .verdict import Exercise, Experiment

__all__ = ["direction_objective", "freeing_objective", "receptive_field"]

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
        "(k − 1) · s counts the layer's own stride: what counts are the strides *before* it, multiplied": (
            lambda layers: 1 + sum((k - 1) * s for k, s in layers)
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


def _half_dead(dead: int) -> Callable[[], tuple[Tensor, Tensor]]:
    """What a ReLU is given by four pictures, of which the first ``dead`` are below 0 everywhere, and how a
    picture's 24 parameters move it, (36, 24)."""

    def case() -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(dead)
        x = torch.randn(4, 6, 6, generator=generator, device="cpu", dtype=torch.float32)
        x[:dead] = -0.5 - 0.2 * x[:dead].abs()
        return x, torch.randn(36, 24, generator=generator, device="cpu", dtype=torch.float32)

    return case


def _climbed(answer: Callable[[Tensor], Tensor], x: Tensor, ways: Tensor) -> Tensor:
    """Whether an answer has one number a picture; the largest error of active pictures' values and slopes, these
    where x > 0 and elsewhere; what each dead picture's x is pushed by; how many of them climb above 0 at last."""

    def slope(at: Tensor) -> tuple[Tensor, Tensor]:
        at = at.clone().requires_grad_(True)
        value = answer(at)
        if not isinstance(value, Tensor) or value.shape != at.shape[:1]:
            return torch.full_like(at[:, 0, 0], math.nan), torch.zeros_like(at)
        if not value.requires_grad:
            return value, torch.zeros_like(at)
        (gradient,) = torch.autograd.grad(value.sum(), at, allow_unused=True)
        return value.detach(), torch.zeros_like(at) if gradient is None else gradient

    value, gradient = slope(x)
    if value.isnan().any():
        return torch.zeros(1, device="cpu", dtype=torch.float32)
    active = (x > 0).flatten(1).any(dim=1)
    open_ = x > 0
    wrong = (gradient * x[0].numel() - open_.to(x.dtype)).abs()[active]
    errors = [(value - x.clamp(min=0).mean(dim=(1, 2)))[active], wrong[open_[active]], wrong[~open_[active]]]
    push = gradient[~active].sum(dim=(1, 2))
    start, theta = x, torch.zeros(len(x), ways.shape[1], dtype=x.dtype, device=x.device)
    for _ in range(16):
        uphill = slope(start + (theta @ ways.T).view_as(x))[1].flatten(1) @ ways
        theta = theta + 0.25 * uphill / uphill.norm(dim=1, keepdim=True).clamp(min=1e-12)
    end = start + (theta @ ways.T).view_as(x)
    woken = (end[~active] > 0).flatten(1).any(dim=1).sum()
    worst = [e.abs().max() if e.numel() else e.sum() for e in errors]
    return torch.stack([torch.ones_like(woken), *worst, push.min(), push.abs().min(), woken])


def _fault(found: Tensor, x: Tensor, ways: Tensor) -> str | None:
    if len(found) == 1:
        return "it should return one number for each picture, (B,)"
    value, where_open, where_shut, lowest, least, woken = found[1:].tolist()
    dead = int((x <= 0).flatten(1).all(dim=1).sum())
    if least < 1e-6:  # the first batch is dead altogether
        return (
            "a dead picture gets no gradient: relu(x) is flat below 0, and so is all that is made of it alone"
            if dead == len(x)
            else "one active picture of the batch stops the rescue of the others: decide for each picture by itself"
        )
    if lowest < 0:
        return "your sign is turned round: climbing it pushes the x of a dead picture further down"
    if where_shut > 1e-3:
        return (
            "where a picture is active, positions with x < 0 get a gradient: there it must be relu's own, 0"
        )
    if max(value, where_open) > 1e-3:
        return "where a picture is active, it must be the mean of its relu(x), the same value and gradient"
    return f"16 steps made {woken:.0f} of {dead} dead pictures active" if woken < dead else None


freeing_objective = Experiment("freeing_objective", _climbed, _fault, [_half_dead(4), _half_dead(2)])


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
    """The value at each position, (B, h, w)."""
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
        "you averaged the activation over the map first: take product and angle at each position, the mean last": (
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
        "you added the positions up: take their mean": lambda a, v, p: _direction(a, v, p).sum(dim=(1, 2)),
        "the length of a is that of its C channels at one position, not of the whole map": (
            lambda a, v, p: (
                (d := (a * v[:, None, None]).sum(dim=1))
                * (d / a.flatten(1).norm(dim=1).view(-1, 1, 1) / v.norm()).clamp(min=0.1) ** p
            ).mean(dim=(1, 2))
        ),
    },
    gradient=[0],
)
