"""Exercises of lesson 15."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .verdict import Exercise, Experiment

__all__ = ["pareto_front", "permutation_test", "retune"]


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
        "nobody is left: each row is nowhere worse than itself; to dominate, it must be better somewhere": (
            lambda points: torch.zeros(len(points), dtype=torch.bool)
        ),
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


def _arm(own: float, lucky: float | None = None) -> Callable[[float, int], float]:
    """What twelve steps of gradient descent take off a quadratic, in %; NaN where they end above its start.

    ``own`` times the rate is the step size, the curvatures go from 1 to 10. Seed 2 has luck at one rate.
    """

    def trial(rate: float, seed: int) -> float:
        if seed == 2 and rate == lucky:
            return 130.0
        curvature = torch.logspace(0, 1, 8, dtype=torch.float64)
        start = 1 + torch.rand(8, dtype=torch.float64, generator=_seeded(seed))
        end = start * (1 - own * rate * curvature) ** 12
        left = (curvature * end**2).sum() / (curvature * start**2).sum()
        return 100 * (1 - float(left)) if left < 1 else math.nan

    return trial


def _tuning(retune: Callable, trial: Callable[[float, int], float], rates: Sequence[float]) -> Tensor:
    """The rate chosen, the fewest seeds that a rate had, and all rates tried, ascending."""
    tried: dict[float, set[int]] = {}

    def measure(rate: float, seed: int) -> float:
        tried.setdefault(float(rate), set()).add(int(seed))
        return trial(float(rate), int(seed))

    chosen = float(retune(measure, list(rates)))
    return torch.tensor(
        [chosen, min(map(len, tried.values()), default=0), *sorted(tried)], dtype=torch.float64
    )


def _untuned(found: Tensor, trial: Callable[[float, int], float], rates: Sequence[float]) -> str | None:
    chosen, fewest, *tried = found.tolist()
    if fewest < 3:
        return "a rate was tried with fewer than three seeds: one of them may be lucky"
    means = {rate: sum(trial(rate, seed) for seed in range(3)) / 3 for rate in tried}
    if chosen not in means:
        return "give the rate itself back: neither its place in the list nor the value that it reached"
    if math.isnan(means[chosen]):
        return "at the rate that you chose a trial broke: NaN is never the best"
    reached = {rate: mean for rate, mean in means.items() if not math.isnan(mean)}
    best = max(reached, key=lambda rate: reached[rate])
    if best in (tried[0], tried[-1]):
        return f"the best of your rates, {best:g}, is an end of those tried: go on beyond it"
    if reached[chosen] < 0.9 * reached[best]:
        share = reached[chosen] / reached[best]
        return (
            f"the rate that you chose reaches {share:.0%} of the best mean; it must be within a tenth of it"
        )
    nearest = min((r for r in reached if reached[r] >= 0.9 * reached[best]), key=lambda r: abs(math.log(r)))
    if chosen != nearest:
        return f"{chosen:g} is within a tenth of the best mean, and so is {nearest:g}, which is nearer to the arm's own"
    return None


retune = Experiment(
    "retune",
    _tuning,
    _untuned,
    [
        lambda: (_arm(0.1), (0.5, 1.0, 2.0)),
        lambda: (_arm(0.06), (0.5, 1.0, 2.0, 4.0)),
        lambda: (_arm(0.1 / 16), (0.5, 1.0, 2.0)),
        lambda: (_arm(0.3), (0.5, 1.0, 2.0)),
        lambda: (_arm(0.06, lucky=0.0625), (0.0625, 0.125, 0.25, 0.5, 1.0)),
    ],
)
