"""Exercises of lesson 04."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ...parameterizations.color import BASIS
from .verdict import Exercise

__all__ = ["alignment_penalty", "same_sign", "shared_picture", "weighted_frames"]


same_sign = Exercise(
    "same_sign",
    lambda rho: 0.5 + torch.asin(rho) / math.pi,
    [lambda: (torch.linspace(0, 0.95, 20),), lambda: (torch.tensor([-0.9, -0.3, 0.4]),)],
    {
        "you counted one half-plane only: both positive, or both negative": (
            lambda rho: 0.25 + torch.asin(rho) / (2 * math.pi)
        ),
        "the half is missing: without anything shared, half of the pairs agree": (
            lambda rho: torch.asin(rho) / math.pi
        ),
        "a full turn is 2π, and the share gains the angle α twice, once for each sign": (
            lambda rho: 0.5 + torch.asin(rho) / (2 * math.pi)
        ),
        "that is the probability of *different* signs": lambda rho: 0.5 - torch.asin(rho) / math.pi,
        "the cosine of acos is ρ: it shrinks as ρ grows; the angle that the share gains has ρ as its *sine*": (
            lambda rho: 0.5 + torch.acos(rho) / math.pi
        ),
        "the angle is not ρ itself: it is the one whose sine is ρ": lambda rho: 0.5 + rho / math.pi,
        "a straight line has the right ends, but lies too high in between: the angle has ρ as its sine": (
            lambda rho: 0.5 + rho / 2
        ),
        "the correlation is ρ already; you squared it, or took its root": (
            lambda rho: 0.5 + torch.asin(rho.square()) / math.pi
        ),
    },
    gradient=[0],
)


def _weights(a: Tensor, first: float = 0.0, last: float = 0.0) -> Tensor:
    """i / (B − 1), with both ends moved."""
    return torch.linspace(first, 1 + last, len(a))


def _between(a: Tensor, b: Tensor, w: Tensor) -> Tensor:
    return (1 - w) * a + w * b


def _two_values(n: int) -> Callable[[], tuple[Tensor, Tensor]]:
    def case() -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(n)
        a, b = torch.randn(2, n, generator=generator)
        return a, b

    return case


weighted_frames = Exercise(
    "weighted_frames",
    lambda a, b: _between(a, b, _weights(a)),
    [_two_values(6), _two_values(9)],
    {
        "your last frame does not get b alone: from 0 to 1 there are B − 1 steps, not B": (
            lambda a, b: _between(a, b, torch.arange(len(a)) / len(a))
        ),
        "your first frame does not get a alone: frames are counted from 0": (
            lambda a, b: _between(a, b, (torch.arange(len(a)) + 1) / len(a))
        ),
        "your film runs backwards: the first frame is a's": lambda a, b: _between(b, a, _weights(a)),
        "the weights must add up to 1: a gets 1 − w": lambda a, b: a + _weights(a) * b,
        "every frame got the same mixture: w grows from frame to frame": lambda a, b: (a + b) / 2,
        "right, but for one more thing: one value for each frame, not their mean": (
            lambda a, b: _between(a, b, _weights(a)).mean()
        ),
    },
    gradient=[0, 1],
)


def _enlarged(shared: Tensor, size: tuple[int, ...], **how: object) -> Tensor:
    """(3, n, h, w) -> (B, 3, H, W)."""
    how = how or {"mode": "trilinear", "align_corners": False}
    return F.interpolate(shared[None], size, **how)[0].transpose(0, 1)  # type: ignore[arg-type]


def _mix(z: Tensor, matrix: Tensor) -> Tensor:
    return torch.einsum("rc,bchw->brhw", matrix, z)


def _shared_picture(unique: Tensor, shared: Tensor, A: Tensor, **how: object) -> Tensor:
    size = (len(unique), *unique.shape[2:])
    return torch.sigmoid(_mix(unique + _enlarged(shared, size, **how), A))


def _shared_case(n: int, size: tuple[int, int]) -> Callable[[], tuple[Tensor, Tensor, Tensor]]:
    # As many frames as colours: a wrong order of axes then has the right shape, and its own hint.
    def case() -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed(n)
        unique = torch.randn(3, 3, *size, generator=generator)
        return unique, 2 * torch.randn(3, n, 4, 5, generator=generator), BASIS.clone()

    return case


shared_picture = Exercise(
    "shared_picture",
    _shared_picture,
    [_shared_case(1, (24, 24)), _shared_case(2, (16, 27))],
    {
        "the shared part is missing": lambda u, s, A: torch.sigmoid(_mix(u, A)),
        "the colours A are missing": lambda u, s, A: torch.sigmoid(u + _enlarged(s, (len(u), *u.shape[2:]))),
        "A belongs to the sum: your shared part was added after it, and never got its colours": (
            lambda u, s, A: torch.sigmoid(_mix(u, A) + _enlarged(s, (len(u), *u.shape[2:])))
        ),
        "A stands transposed: rgb_r = Σ_c A_rc z_c": lambda u, s, A: _shared_picture(u, s, A.T),
        "the sigmoid is missing: pictures lie in [0, 1]": lambda u, s, A: _mix(
            u + _enlarged(s, (len(u), *u.shape[2:])), A
        ),
        "you added two pictures: add before the colours and the sigmoid, so that the sum stays in [0, 1]": (
            lambda u, s, A: (
                torch.sigmoid(_mix(u, A)) + torch.sigmoid(_mix(_enlarged(s, (len(u), *u.shape[2:])), A))
            )
        ),
        "you took the mean of two pictures: add before the colours and the sigmoid": (
            lambda u, s, A: (
                (torch.sigmoid(_mix(u, A)) + torch.sigmoid(_mix(_enlarged(s, (len(u), *u.shape[2:])), A))) / 2
            )
        ),
        "your shared part comes in squares: interpolate between its values": (
            lambda u, s, A: _shared_picture(u, s, A, mode="nearest")
        ),
        "your corners lie on the corners: in this course pixel i lies at i + ½ (align_corners=False)": (
            lambda u, s, A: _shared_picture(u, s, A, mode="trilinear", align_corners=True)
        ),
        "frames and colours stand exchanged: what is enlarged is (3, B, H, W)": (
            lambda u, s, A: torch.sigmoid(_mix(u + _enlarged(s, (len(u), *u.shape[2:])).transpose(0, 1), A))
        ),
    },
    gradient=[0, 1],
)


def _penalty(
    a: Tensor,
    decay: float,
    reach: int,
    *,
    power: Callable[[int], float] = lambda d: d,
    mean: bool = True,
    pairs: Callable[[Tensor], Tensor] = torch.sum,
    wrap: bool = False,
) -> Tensor:
    a = a.flatten(1)
    total = a.new_zeros(())
    for d in range(1, min(reach, len(a) - 1) + 1):
        difference = (a - a.roll(-d, 0) if wrap else a[d:] - a[:-d]).square()
        each = difference.mean(dim=1) if mean else difference.sum(dim=1)
        total = total + pairs(each) / decay ** power(d)
    return total


def _activations(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape))).cumsum(dim=0)


alignment_penalty = Exercise(
    "alignment_penalty",
    _penalty,
    [lambda: (_activations(6, 3, 4, 4), 5.0, 4), lambda: (_activations(3, 8), 2.0, 4)],
    {
        "you added the squares up over the layer: take their mean, so that size does not matter": (
            lambda a, decay, reach: _penalty(a, decay, reach, mean=False)
        ),
        "you took the mean over pairs: add them up": (
            lambda a, decay, reach: _penalty(a, decay, reach, pairs=torch.mean)
        ),
        "your film is a ring: the first frame is no neighbour of the last": (
            lambda a, decay, reach: _penalty(a, decay, reach, wrap=True)
        ),
        "neighbours only: pairs up to `reach` apart count too": (
            lambda a, decay, reach: _penalty(a, decay, 1)
        ),
        "every pair counts alike: divide by decay to the power d": (
            lambda a, decay, reach: _penalty(a, 1.0, reach)
        ),
        "you divided by decay once: it is decay to the power d": (
            lambda a, decay, reach: _penalty(a, decay, reach, power=lambda d: 1)
        ),
        "you divided by d times decay: it is decay to the power d, decay ** d": (
            lambda a, decay, reach: _penalty(
                a, decay, reach, power=lambda d: 1 + math.log(d) / math.log(decay)
            )
        ),
        "neighbours count in full with you: d = 1 is divided by decay already": (
            lambda a, decay, reach: _penalty(a, decay, reach, power=lambda d: d - 1)
        ),
        "every pair is in your sum twice, once from each side": (
            lambda a, decay, reach: 2 * _penalty(a, decay, reach)
        ),
        "a penalty is positive where frames differ; the objective subtracts it": (
            lambda a, decay, reach: -_penalty(a, decay, reach)
        ),
        "`reach` itself counts: range(1, reach + 1)": lambda a, decay, reach: _penalty(a, decay, reach - 1),
    },
    gradient=[0],
)
