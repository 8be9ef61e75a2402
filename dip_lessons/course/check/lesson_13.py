"""Exercises of lesson 13."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...sphere.harmonics import degrees, power, random_rotations, rotate
from .verdict import Exercise, Experiment

__all__ = ["adam_by_degree", "correlation", "sphere_mean", "zonal_convolution"]


def _numbers(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


def _degrees(f: Tensor) -> Tensor:
    return degrees(math.isqrt(f.shape[-1]) - 1)


def _factor(f: Tensor) -> Tensor:
    return (4 * math.pi / (2 * _degrees(f) + 1)).sqrt()


def _orders(f: Tensor) -> Tensor:
    l = _degrees(f)
    return torch.arange(len(l)) - l * l - l


def _zonal_convolution(f: Tensor, h: Tensor) -> Tensor:
    return _factor(f) * h[_degrees(f)] * f


zonal_convolution = Exercise(
    "zonal_convolution",
    _zonal_convolution,
    [lambda: (_numbers(2, 36), _numbers(6)), lambda: (_numbers(9), _numbers(3))],
    {
        "you forgot √(4π/(2l+1)): a bump that is narrow enough to leave f as it is has h_l = √((2l+1)/4π), not 1": (
            lambda f, h: h[_degrees(f)] * f
        ),
        "your weights go by m, which a rotation mixes: all 2l + 1 coefficients of a degree share h_l": (
            lambda f, h: _factor(f) * h[_orders(f).abs()] * f
        ),
        "your factor stands on its head: it is √(4π/(2l+1))": lambda f, h: h[_degrees(f)] * f / _factor(f),
        "your factor wants its square root": lambda f, h: _factor(f) ** 2 * h[_degrees(f)] * f,
        "you have a factor 2π too many: it belongs to an integral over SO(3), this one is over the sphere": (
            lambda f, h: 2 * math.pi * _zonal_convolution(f, h)
        ),
        "you left m ≠ 0 out: only the filter has nothing there, f has, and it is kept": (
            lambda f, h: _zonal_convolution(f, h) * (_orders(f) == 0)
        ),
    },
    gradient=[0, 1],
)


def _steps(rule: Callable, gradients: Tensor) -> Tensor:
    memory: dict = {}
    return torch.stack([rule(g.clone(), memory) for g in gradients])


def _how_it_steps(rule: Callable) -> Tensor:
    """Along the gradient?, gap after a turn, after g and −g, after 100 g and g, with a loud neighbour; then the rms of
    the first step by degree. One 0 if steps have another shape."""
    g = _numbers(4, 2, 16) * torch.tensor([1.0, 10.0, 0.1, 3.0])[degrees(3)]
    R = random_rotations(1, torch.Generator().manual_seed(1))[0]
    steps = _steps(rule, g)
    if steps.shape != g.shape:
        return torch.zeros(1)
    gap = (_steps(rule, rotate(g, R)) - rotate(steps, R)).norm() / steps.norm()
    first = steps[0].norm()
    there_and_back = _steps(rule, torch.stack([g[0], -g[0]]))[1].norm() / first
    burst = _steps(rule, torch.stack([100 * g[0], g[0]]))[1].norm() / first
    loud = _steps(rule, g * torch.tensor([[1.0], [100.0]]))[:, 0]
    apart = (loud - steps[:, 0]).norm() / steps[:, 0].norm()
    sizes = power(steps[0]).mean(dim=0).sqrt()
    return torch.stack([(steps[0] * g[0]).sum(), gap, there_and_back, burst, apart, *sizes])


def _fault(found: Tensor) -> str | None:
    if len(found) == 1:
        return "return a step of the gradient's shape"
    along, gap, there_and_back, burst, apart, *sizes = found.tolist()
    lengths = [size * math.sqrt(2 * l + 1) for l, size in enumerate(sizes)]
    hints = {
        "your step goes against the gradient: whoever calls you takes care of the sign": along <= 0,
        f"with turned gradients your steps, turned back, are off by {gap:.0%}: a rotation mixes the 2l + 1 "
        "coefficients of a degree, so these must share one size": gap > 1e-3,
        "pictures disturb one another: take the mean over the 2l + 1 coefficients, not over the batch": apart
        > 1e-3,
        "after g and −g your second step is as long as the first: keep a running mean of the gradient": (
            there_and_back > 0.5
        ),
        "after a gradient a hundred times as large you step far too long: keep a running mean of squares": burst
        > 3,
        "you divide by the length of a degree, √(2l + 1) times what a coefficient of it has: take the mean of the "
        "squares, not their sum": max(sizes) > 1.1 * min(sizes) and max(lengths) < 1.1 * min(lengths),
        "degrees with small gradients hardly move: each degree has a size of its own": max(sizes)
        > 1.1 * min(sizes),
        f"in your first step coefficients move by {sizes[0]:.2g} (rms) instead of 1: divide each running mean by "
        "1 − βᵗ, with t = 1 in the first step": abs(sizes[0] - 1) > 0.05,
    }
    return next((hint for hint, applies in hints.items() if applies), None)


adam_by_degree = Experiment("adam_by_degree", _how_it_steps, _fault)


def _weighted_mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values.mean(dim=-1) * weight).sum(dim=-1) / weight.sum()


def _colatitude(values: Tensor, offset: float = 0.5) -> Tensor:
    height = values.shape[-2]
    return math.pi * (torch.arange(height) + offset) / height


def _sphere_mean(values: Tensor) -> Tensor:
    return _weighted_mean(values, _colatitude(values).sin())


sphere_mean = Exercise(
    "sphere_mean",
    _sphere_mean,
    [lambda: (_numbers(2, 3, 8, 16) + 1,), lambda: (_numbers(7, 9) + 1,)],
    {
        "you forgot sin θ: near a pole a whole row of points shares almost no area": (
            lambda f: f.mean(dim=(-2, -1))
        ),
        "you weigh by cos θ: θ is counted from the pole, where the rows are short": (
            lambda f: _weighted_mean(f, _colatitude(f).cos().abs())
        ),
        "your rows begin at the pole itself: they stand at θ = π(i + ½)/H": (
            lambda f: _weighted_mean(f, _colatitude(f, 0.0).sin())
        ),
        "your weights do not add up to 1, so the mean of the constant 1 is not 1: divide by their sum": (
            lambda f: (f.mean(dim=-1) * _colatitude(f).sin()).sum(dim=-1) * math.pi / (2 * f.shape[-2])
        ),
        "you took the integral; the mean is the integral over 4π": lambda f: 4 * math.pi * _sphere_mean(f),
        "you added areas up, and have the integral: the mean is the integral over 4π": (
            lambda f: (f.mean(dim=-1) * _colatitude(f).sin()).mean(dim=-1) * 2 * math.pi**2
        ),
        "you left the weights unnormalised: divide by their sum": (
            lambda f: (f.mean(dim=-1) * _colatitude(f).sin()).mean(dim=-1)
        ),
    },
    gradient=[0],
)


def _by_degree(f: Tensor, psi: Tensor, matrix: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    sizes = [2 * l + 1 for l in range(math.isqrt(len(f)))]
    pairs = zip(f.split(sizes), psi.split(sizes), strict=True)
    return torch.cat([matrix(a, b).flatten() for a, b in pairs])


def _only_zonal(a: Tensor, b: Tensor) -> Tensor:
    outer = torch.outer(a, b)
    return outer * (torch.arange(len(b)) == len(b) // 2)


correlation = Exercise(
    "correlation",
    lambda f, psi: _by_degree(f, psi, torch.outer),
    [lambda: (_numbers(25), _numbers(5, 5).flatten()), lambda: (_numbers(4), _numbers(2, 2).flatten())],
    {
        "your matrices are transposed: rows belong to f, columns to ψ": (
            lambda f, psi: _by_degree(psi, f, torch.outer)
        ),
        "you kept the middle column only: that is what a zonal filter has, ψ has all 2l + 1": (
            lambda f, psi: _by_degree(f, psi, _only_zonal)
        ),
        "you kept the diagonal only: each order of f meets each order of ψ": (
            lambda f, psi: _by_degree(f, psi, lambda a, b: torch.diag(a * b))
        ),
        "you divided by 2l + 1: that is the length of D^l in an integral over SO(3), not part of the matrix": (
            lambda f, psi: _by_degree(f, psi, lambda a, b: torch.outer(a, b) / len(a))
        ),
    },
    gradient=[0, 1],
)
