"""Exercises of lesson 15."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

from .verdict import Exercise

__all__ = ["pareto_front", "permutation_test"]


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _dominated(points: Tensor, at_least: Callable, better: Callable) -> Tensor:
    """Which rows have another one that is nowhere worse and somewhere better, by these comparisons, (N,)."""
    others, mine = points[:, None], points[None]  # (N, 1, D), (1, N, D)
    return (at_least(others, mine).all(dim=2) & better(others, mine).any(dim=2)).any(dim=0)


def _pareto_front(points: Tensor) -> Tensor:
    return ~_dominated(points, torch.ge, torch.gt)


def _best_in_a_column(points: Tensor) -> Tensor:
    return (points == points.amax(dim=0)).any(dim=1)


def _by_the_sum(points: Tensor) -> Tensor:
    return points.sum(dim=1) == points.sum(dim=1).max()


def _points_case(n: int, d: int) -> Callable[[], tuple]:
    """Points on a coarse grid, so that there are ties, and one of the best stands there twice."""

    def case() -> tuple:
        points = torch.randint(0, 6, (n, d), generator=_seeded(n)).float()
        best = points.sum(dim=1).argmax()
        return (torch.cat([points, points[best][None]]),)

    return case


def _three_points() -> tuple:
    """The middle one is best in no column, and on the front; the last one is as good as the first in one."""
    return (torch.tensor([[3.0, 1.0], [2.0, 2.0], [1.0, 3.0], [3.0, 0.0]]),)


pareto_front = Exercise(
    "pareto_front",
    _pareto_front,
    [_three_points, _points_case(12, 2), _points_case(30, 3)],
    {
        "two equal rows throw each other out: a row dominates another only if it is better somewhere": (
            lambda points: ~_dominated_by_others(points)
        ),
        "you ask for better in every column: as good in one and better in another dominates too": (
            lambda points: ~_dominated(points, torch.gt, torch.gt)
        ),
        "your rows are those that are dominated: the front is the others": (
            lambda points: ~_pareto_front(points)
        ),
        "your front is of small numbers: larger is better in every column": (
            lambda points: _pareto_front(-points)
        ),
        "you took the best of each column: a row that is second everywhere may be on the front too": (
            _best_in_a_column
        ),
        "you added the columns up: that is one way to weigh them, the front holds the best of every way": (
            _by_the_sum
        ),
        "a row that is better in one column does not dominate yet: it must be nowhere worse": (
            lambda points: ~_better_somewhere(points)
        ),
    },
)


def _dominated_by_others(points: Tensor) -> Tensor:
    """Which rows have another row, equal ones included, that is nowhere worse, (N,)."""
    nowhere_worse = (points[:, None] >= points[None]).all(dim=2)
    return (nowhere_worse & ~torch.eye(len(points), dtype=torch.bool)).any(dim=0)


def _better_somewhere(points: Tensor) -> Tensor:
    return (points[:, None] > points[None]).any(dim=2).any(dim=0)


def _differences(a: Tensor, b: Tensor, statistic: Callable[[Tensor], Tensor] = torch.mean) -> Tensor:
    """What the difference of two groups would be, for each way to deal the same numbers out, (C(n+m, n),)."""
    pool = torch.cat([a, b]).double()
    found = []
    for chosen in itertools.combinations(range(len(pool)), len(a)):
        mine = torch.zeros(len(pool), dtype=torch.bool)
        mine[list(chosen)] = True
        found.append(statistic(pool[mine]) - statistic(pool[~mine]))
    return torch.stack(found)


def _permutation_test(a: Tensor, b: Tensor) -> Tensor:
    seen = a.double().mean() - b.double().mean()
    return (_differences(a, b) >= seen - 1e-9).double().mean()


def _strict(a: Tensor, b: Tensor) -> Tensor:
    seen = a.double().mean() - b.double().mean()
    return (_differences(a, b) > seen + 1e-9).double().mean()


def _two_sided(a: Tensor, b: Tensor) -> Tensor:
    seen = (a.double().mean() - b.double().mean()).abs()
    return (_differences(a, b).abs() >= seen - 1e-9).double().mean()


def _medians(a: Tensor, b: Tensor) -> Tensor:
    seen = a.double().median() - b.double().median()
    return (_differences(a, b, torch.median) >= seen - 1e-9).double().mean()


def _groups(n: int, m: int, shift: float) -> Callable[[], tuple]:
    def case() -> tuple:
        generator = _seeded(10 * n + m)
        return 8 + shift + torch.randn(n, generator=generator), 8 + torch.randn(m, generator=generator)

    return case


permutation_test = Exercise(
    "permutation_test",
    _permutation_test,
    [_groups(3, 3, 5.0), _groups(4, 3, 0.5), _groups(5, 5, 1.0), _groups(3, 5, -1.0)],
    {
        "the deal that you saw is one of the deals: count those with at least this difference, not only larger "
        "ones": _strict,
        "you counted differences in both directions: asked is whether a is larger than b": _two_sided,
        "you counted the deals with at most this difference, or that of b over a: asked is how often chance gives a at "
        "least as large a lead": (lambda a, b: _permutation_test(b, a)),
        "you compared medians: here it is the difference of the means": _medians,
        "you counted deals, and did not divide by how many there are": (
            lambda a, b: _permutation_test(a, b) * len(_differences(a, b))
        ),
        "you compared the numbers pair by pair: here all the numbers are dealt out anew into two groups": (
            lambda a, b: (b.double()[:, None] >= a.double()).double().mean()
        ),
    },
)
