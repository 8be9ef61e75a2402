"""Lessons 11 and 14 ask for a function that finds a learning rate: its first step shall move a picture so far."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .verdict import Experiment

Step = Callable[[float], float]


def matching(
    name: str, cases: Sequence[Callable[[], tuple[Step, float, float]]], most: float = math.inf
) -> Experiment:
    """The check of ``name(step, goal, rate)``: a rate for which ``step(rate)`` is within 2 % of the goal.

    Args:
        name: of the learner's function.
        cases: each makes a step, a goal and a rate to begin with.
        most: how often the function may call ``step``.
    """

    def measure(answer: Callable, step: Step, goal: float, rate: float) -> Tensor:
        calls = 0

        def counted(rate: float) -> float:
            nonlocal calls
            calls += 1
            return step(float(rate))

        return torch.tensor([float(answer(counted, goal, rate)), calls], dtype=torch.float64)

    def fault(numbers: Tensor, step: Step, goal: float, rate: float) -> str | None:
        found, calls = numbers.tolist()
        if found <= 0:
            return "a learning rate is above 0"
        if calls > most:
            return f"you ran {calls:.0f} steps; {most} are enough if each corrects the rate in proportion"
        if abs((share := step(found) / goal) - 1) <= 0.02:
            return None
        known = {
            "you gave back the rate to begin with": rate,
            "upside down: where the picture moves too little, the rate must grow": rate * step(rate) / goal,
            "one rule of three is not enough, for the picture does not move in proportion: measure and correct again": (
                rate * goal / step(rate)
            ),
            "that is how far the picture moves; asked is the rate that moves it so far": goal,
        }
        for hint, mistake in known.items():
            if abs(found / mistake - 1) < 1e-3:
                return hint
        return (
            f"at your rate the first step moves the picture by {share:.0%} of the goal; 98 to 102 % will do"
        )

    return Experiment(name, measure, fault, cases)
