"""Exercises of lesson 11."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .steps import matching
from .verdict import Exercise, Experiment, Outcome

__all__ = ["conditional_direction", "matched_rate", "principal_directions", "slerp"]


def _angle(a: Tensor, b: Tensor, dim: int | None = -1) -> Tensor:
    """Between each pair; with dim=0 between coordinates, with None between all numbers of a and all of b."""
    if dim is None:
        return torch.acos(F.cosine_similarity(a.flatten(), b.flatten(), dim=0))
    return torch.acos(F.cosine_similarity(a, b, dim=dim)).unsqueeze(dim)


def _slerp(a: Tensor, b: Tensor, t: float | Tensor, angle: Tensor | None = None) -> Tensor:
    angle = _angle(a, b) if angle is None else angle
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def _of_lengths(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    return _slerp(a, b, t, torch.acos(((a * b).sum(dim=-1, keepdim=True) / a.shape[-1]).clamp(-0.999, 0.999)))


def _rescaled(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    long, other = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    return F.normalize(a + t * (b - a), dim=-1) * (long + t * (other - long))


def _latents(seed: int, t: float | Tensor) -> Callable[[], tuple]:
    return lambda: (*torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(seed)), t)


slerp = Exercise(
    "slerp",
    _slerp,
    [_latents(1, 0.25), _latents(2, 0.5), _latents(3, torch.tensor([[0.0], [0.3], [1.0]]))],
    {
        "that is the straight line through the ball: walk along the arc": lambda a, b, t: a + t * (b - a),
        "you walk from b to a: at t = 0 stands a": lambda a, b, t: _slerp(b, a, t),
        "that is the straight line pushed out to the sphere: the same path, but faster in the middle": _rescaled,
        "your angle is wrong unless both have length √n: divide by both lengths before acos": _of_lengths,
        "your a and b have lost their lengths: unit vectors are for the angle only": (
            lambda a, b, t: _slerp(F.normalize(a, dim=-1), F.normalize(b, dim=-1), t)
        ),
        "the two sines must be divided by sin Ω": lambda a, b, t: _slerp(a, b, t) * _angle(a, b).sin(),
        "that is cos Ω, not Ω: acos is missing": lambda a, b, t: _slerp(a, b, t, _angle(a, b).cos()),
        "one angle for each pair: yours goes down the columns, for dim=-1 is the latent's axis": (
            lambda a, b, t: _slerp(a, b, t, _angle(a, b, 0))
        ),
        "one angle for each pair: yours is one for the whole batch": (
            lambda a, b, t: _slerp(a, b, t, _angle(a, b, None))
        ),
    },
    gradient=[0, 1],
)


def _pictures(seed: int, bias: float) -> Callable[[], tuple]:
    """How far a step of ±rate in every number under a sigmoid moves a picture: not in proportion to the rate."""

    def case() -> tuple:
        generator = torch.Generator().manual_seed(seed)
        theta = torch.randn(3, 16, 16, generator=generator) - bias
        signs = (torch.randn(3, 16, 16, generator=generator) + bias).sign()

        def moved(rate: float) -> float:
            return float((torch.sigmoid(theta + rate * signs) - torch.sigmoid(theta)).square().mean().sqrt())

        return moved, 0.35, 0.5

    return case


matched_rate = matching("matched_rate", [_pictures(1, 0.0), _pictures(2, 2.0)])


def _answers(u: Tensor) -> tuple[Tensor, Tensor]:
    """What two neurons say to each of u (N, 8); each has a mean, a curve, and something of the other's direction."""
    f = 7 + u @ torch.tensor([2.0, 1, 0, 0, 1, 0, 0, 0])
    g = 3 + u @ torch.tensor([2.0, 0, 2, 0, 0, 0, 1, 0])
    return f + 0.2 * u[:, 3].square(), g + 0.2 * u[:, 5].square()


def _people(seed: int, count: int) -> Callable[[], tuple]:
    def case() -> tuple:
        u = torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))
        return (u, *_answers(u))

    return case


def _fitted(u: Tensor, f: Tensor, *, centred: bool = True) -> Tensor:
    if centred:
        u, f = u - u.mean(dim=0), f - f.mean()
    return torch.linalg.lstsq(u, f[:, None]).solution[:, 0]


def _measured_direction(answer: Callable, u: Tensor, f: Tensor, g: Tensor) -> Tensor:
    """The direction, and what a step along it does to both neurons on people who took no part in finding it."""
    direction = torch.as_tensor(answer(u, f, g))
    if direction.shape != u.shape[1:]:
        return torch.empty(0)
    others = torch.randn(4000, 8, generator=torch.Generator().manual_seed(99))
    changes = [
        (b - a).mean()[None] for a, b in zip(_answers(others), _answers(others + direction), strict=True)
    ]
    return torch.cat([direction, *changes])


def _wrong_direction(numbers: Tensor, u: Tensor, f: Tensor, g: Tensor) -> str | None:
    if not len(numbers):
        return f"it should return shape {tuple(u.shape[1:])}: one direction"
    direction, (to_f, to_g) = numbers[:-2], numbers[-2:].tolist()
    b, c = _fitted(u, f), _fitted(u, g)
    best = (b - F.normalize(c, dim=0) * (b @ F.normalize(c, dim=0))).norm()
    known = {
        "that is f's own direction, and takes g along: take away what it has in common with g's": b,
        "you took away all of g's direction: only the share of it that lies in f's": b - c,
        "divide by the length of g's direction, twice: b − (b·c / c·c) c": b - (b @ c) * c,
        "you took f's share out of g's direction: it is g that shall stay": c - (c @ b) / (b @ b) * b,
        "take the means away first: else the neurons' offsets are explained by u": (
            _fitted(u, f, centred=False)
            - _fitted(u, g, centred=False)
            * (_fitted(u, f, centred=False) @ _fitted(u, g, centred=False))
            / _fitted(u, g, centred=False).square().sum()
        ),
    }
    if abs(to_g) > 0.1 * best or to_f < 0.9 * best or abs(direction.norm() - 1) > 0.01:
        for hint, mistake in known.items():
            if F.cosine_similarity(direction, mistake, dim=0) > 0.9999:
                return hint
        if F.cosine_similarity(direction, b - (b @ c) / (c @ c) * c, dim=0) < -0.9:
            return "along yours f falls: turn it round"
    if abs(direction.norm() - 1) > 0.01:
        return f"a direction has length 1; yours has {float(direction.norm()):.2f}"
    if abs(to_g) > 0.1 * best:
        return f"along yours g changes too, by {to_g:.2f} where f changes by {to_f:.2f}"
    if to_f < 0.9 * best:
        return f"g stays, but f grows by {to_f:.2f} only; {float(best):.2f} can be had"
    return None


conditional_direction = Experiment(
    "conditional_direction", _measured_direction, _wrong_direction, [_people(1, 300), _people(2, 600)]
)


class _Directions(Exercise):
    """Answers are compared with known mistakes up to the sign of each row, which has a hint of its own."""

    def _same(self, a: Outcome, b: Outcome) -> bool:
        mine, theirs = a.value, b.value
        if isinstance(mine, Tensor) and isinstance(theirs, Tensor) and mine.shape == theirs.shape:
            a = dataclasses.replace(a, value=mine * (mine * theirs).sum(dim=1, keepdim=True).sign())
        return super()._same(a, b)


def _principal(w: Tensor, count: int, *, centred: bool = True, power: float = 0.5) -> Tensor:
    """The strongest directions first, times variance ** power, with signs fixed."""
    x = w - w.mean(dim=0) if centred else w
    variance, directions = torch.linalg.eigh(x.T @ x / len(x))
    rows = (directions * variance.clamp(min=0) ** power).T.flip(0)[:count]
    return rows * rows.sum(dim=1, keepdim=True).sign()


def _rows_for_columns(w: Tensor, count: int, power: float = 0.5) -> Tensor:
    variance, directions = torch.linalg.eigh(torch.cov(w.T))
    return (directions * variance[:, None] ** power).flip(0)[:count]


def _correlated(seed: int, count: int) -> Callable[[], tuple]:
    def case() -> tuple:
        generator = torch.Generator().manual_seed(seed)
        axes = torch.randn(10, 10, generator=generator, dtype=torch.float64)
        x = torch.randn(300, 10, generator=generator, dtype=torch.float64)
        scale = torch.tensor([3.0, 2, 1.4, 1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05], dtype=torch.float64)
        return x * scale @ torch.linalg.qr(axes)[0] + 2.0, count

    return case


principal_directions = _Directions(
    "principal_directions",
    _principal,
    [_correlated(1, 4), _correlated(2, 10)],
    {
        "right up to the sign: the coordinates of each direction add up to a positive number": _principal,
        "you forgot to take away the mean: the first direction then points at the mean instead of along it": (
            lambda w, count: _principal(w, count, centred=False)
        ),
        "your directions have length 1: each should be as long as the standard deviation along it": (
            lambda w, count: _principal(w, count, power=0.0)
        ),
        "your directions are as long as the variance: take its root": (
            lambda w, count: _principal(w, count, power=1.0)
        ),
        "eigh sorts from weak to strong: the strongest come first": (
            lambda w, count: _principal(w, w.shape[1]).flip(0)[:count]
        ),
        "your directions stand in columns: return them as rows, (count, W)": (
            lambda w, count: _principal(w, count).T
        ),
        "you took rows for columns: each column of eigh's matrix is a direction": _rows_for_columns,
        "you took rows for columns (each column of eigh's matrix is a direction), and left them at length 1": (
            lambda w, count: _rows_for_columns(w, count, 0.0)
        ),
    },
    rtol=5e-3,
    atol=1e-4,
)
