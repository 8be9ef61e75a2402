"""How an answer is checked: value, shape and gradient against the target, and each known mistake by name."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from weakref import WeakKeyDictionary

import torch
from IPython.display import Markdown, display
from torch import Tensor

from ...notebook import display as show

MARKS = {"correct": "✅", "wrong": "❌", "unattempted": "✏️"}


@dataclass
class Verdict:
    """What became of an answer: ``state`` is "correct", "wrong" or "unattempted"; ``message`` says why.

    Args:
        exercise: its name.
        state, message: see above.
        pictures: {title: picture}, drawn below the message.
        curves: {title: values}, drawn below the message.

    >>> verdict = dip.check.Verdict("double", "wrong", "that is the square")
    >>> verdict, verdict.state
    (❌ double: that is the square, 'wrong')
    """

    exercise: str
    state: str
    message: str
    pictures: Mapping[str, Tensor] = field(default_factory=dict)
    curves: Mapping[str, Tensor] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"{MARKS[self.state]} {self.exercise}: {self.message}"

    def _ipython_display_(self) -> None:
        display(Markdown(f"{MARKS[self.state]} **{self.exercise}**: {self.message}"))
        if self.pictures:
            show.show(self.pictures, side=200)
        if self.curves:
            show.curves(self.curves, x="index", y="value", size=(5.0, 2.2))


@dataclass
class Outcome:
    """What an answer gave for one case: a value, with its gradients and whether an argument was changed, or
    why there is none."""

    value: object = None
    gradients: list[Tensor | None] = field(default_factory=list)
    changed: bool = False
    stopped: str = ""
    unattempted: bool = False


_targets: WeakKeyDictionary[Exercise, Callable] = (
    WeakKeyDictionary()
)  # no attribute of an exercise is its answer


def withhold() -> None:
    """Forget every target in this process, in which an answer is going to run.

    >>> from dip_lessons.course.check.verdict import withhold
    >>> withhold.__name__  # called here, no exercise could be judged any more
    'withhold'
    """
    _targets.clear()


@dataclass(eq=False)
class Exercise:
    """A question with a target to compare with; call it with the learner's function.

    Args:
        name: of the function that the learner writes.
        target: the right function.
        cases: each makes a fresh tuple of arguments, the same ones each time.
        mistakes: {hint: function that makes this mistake}; the first that gives the learner's values is named.
        gradient: numbers of the arguments, tensors, for which the gradient of the answer's sum is compared too.
        rtol, atol: tolerances of the comparison.

    >>> double = dip.check.Exercise(
    ...     "double",
    ...     target=lambda x: 2 * x,
    ...     cases=[lambda: (torch.tensor([1.0, 2.0, 3.0]),)],
    ...     mistakes={"that is the square": lambda x: x * x},
    ... )
    >>> double(lambda x: x + x)
    ✅ double: right
    >>> double(lambda x: x**2)
    ❌ double: that is the square
    """

    name: str
    target: InitVar[Callable]
    cases: Sequence[Callable[[], tuple]]
    mistakes: Mapping[str, Callable] = field(default_factory=dict)
    gradient: Sequence[int] = ()
    rtol: float = 1e-4
    atol: float = 1e-5

    def __post_init__(self, target: Callable) -> None:
        _targets[self] = target

    def __call__(self, answer: Callable) -> Verdict:
        return self.judge(self.outcomes(answer))

    def outcomes(self, answer: Callable) -> list[Outcome]:
        """What an answer gives for each case, in order, as far as the first at which it stops.

        >>> double = dip.check.Exercise("double", lambda x: 2 * x, [lambda: (torch.tensor(1.0),)])
        >>> double.outcomes(lambda x: x + x)[0].value
        tensor(2.)
        """
        if not callable(answer):
            what = f"hand in the function itself, `dip.check.{self.name}({self.name})`, without calling it"
            return [Outcome(stopped=what)]
        found: list[Outcome] = []
        for case in self.cases:
            try:
                found.append(self._evaluate(answer, case))
            except NotImplementedError:
                return [*found, Outcome(unattempted=True)]
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                what = f"{type(error).__name__}: {error} (line {where.lineno}, `{where.line}`)"
                return [*found, Outcome(stopped=f"your function stopped with {what}")]
        return found

    def judge(self, outcomes: Sequence[Outcome]) -> Verdict:
        """Compare what an answer gave with the target; :meth:`outcomes` may come from another process.

        Raises ValueError for outcomes of fewer or more cases than there are, unless the last one stopped.

        >>> double = dip.check.Exercise("double", lambda x: 2 * x, [lambda: (torch.tensor(1.0),)])
        >>> double.judge(double.outcomes(lambda x: x + x))
        ✅ double: right
        """
        self._expect_all(outcomes)
        first: dict[str, dict[str, Tensor]] = {}
        for outcome, case in zip(outcomes, self.cases, strict=False):
            if verdict := self._without_value(outcome):
                return verdict
            target = self._evaluate(_targets[self], case)
            pictures = self._draw(outcome.value, target.value)
            if problem := self._compare(outcome.value, target.value):
                return self._wrong(self._known_mistake(outcomes) or problem, **pictures)
            if outcome.changed:
                return self._wrong(
                    "the values are right, but your function changed its argument in place", **pictures
                )
            for mine, theirs in zip(outcome.gradients, target.gradients, strict=True):
                if mine is None or (problem := self._compare(mine, theirs)):
                    what = (
                        "no gradient reaches the argument: was it detached, or made into a number on the way?"
                    )
                    if mine is not None:
                        what = (
                            self._known_mistake(outcomes)
                            or f"the value is right, its gradient is not: {problem}"
                        )
                    return self._wrong(what, **pictures)
            first = first or pictures
        return Verdict(self.name, "correct", "right", **first)

    def _expect_all(self, outcomes: Sequence[Outcome]) -> None:
        stopped = outcomes and (outcomes[-1].stopped or outcomes[-1].unattempted)
        if len(outcomes) != len(self.cases) and not stopped:
            raise ValueError(f"{self.name} has {len(self.cases)} cases; got outcomes of {len(outcomes)}")

    def _without_value(self, outcome: Outcome) -> Verdict | None:
        if outcome.unattempted:
            return Verdict(self.name, "unattempted", "not attempted yet: write your answer in the cell above")
        return self._wrong(outcome.stopped) if outcome.stopped else None

    def _evaluate(self, function: Callable, case: Callable[[], tuple]) -> Outcome:
        arguments = case()
        inputs = []
        for i in self.gradient:
            arguments[i].requires_grad_(True)
            inputs.append(arguments[i])
        with torch.enable_grad():
            # A learner may write in place; torch would refuse that for a leaf, so the function gets copies.
            given = tuple(a.clone() if isinstance(a, Tensor) else a for a in arguments)
            value = function(*given)
        gradients: list[Tensor | None] = [None] * len(inputs)
        if inputs and isinstance(value, Tensor) and value.requires_grad:
            gradients = list(torch.autograd.grad(value, inputs, torch.ones_like(value), allow_unused=True))
        changed = any(
            isinstance(a, Tensor) and not torch.equal(a.detach(), b.detach())
            for a, b in zip(arguments, given, strict=True)
        )
        if isinstance(value, Tensor):
            value = value.detach().clone()  # or a buffer that the next call writes to
        return Outcome(value, gradients, changed)

    def _compare(self, yours: object, target: object) -> str | None:
        """What is different, in a sentence, or None."""
        if yours is None:
            return "your function returns nothing: it needs a `return`"
        try:
            mine, theirs = torch.as_tensor(yours), torch.as_tensor(target)
        except (TypeError, ValueError, RuntimeError):
            return f"it should return {_kind(target)}; yours returns a {type(yours).__name__}"
        if mine.shape != theirs.shape:
            return f"it should return shape {tuple(theirs.shape)}; yours has {tuple(mine.shape)}"
        if mine.is_complex() != theirs.is_complex():
            return f"it should return {theirs.dtype} numbers; yours are {mine.dtype}"
        mine = mine.to(theirs.dtype)
        if theirs.dtype == torch.bool:
            wrong = int((mine != theirs).sum())
            return f"the shape is right, {wrong} of {theirs.numel()} answers are not" if wrong else None
        if not mine.isfinite().all():
            return "your result holds NaN or infinite numbers"
        if torch.allclose(mine, theirs, rtol=self.rtol, atol=self.atol):
            return None
        worst = (mine - theirs).abs().max().item()
        return f"the shape is right, the values are not: they differ by up to {worst:.3g}"

    def _known_mistake(self, outcomes: Sequence[Outcome]) -> str | None:
        """The hint of the first mistake that gives the same values and gradients as the answer in all cases."""
        if any(outcome.stopped or outcome.unattempted for outcome in outcomes):
            return None
        for hint, mistake in self.mistakes.items():
            try:
                if all(
                    self._same(outcome, self._evaluate(mistake, case))
                    for outcome, case in zip(outcomes, self.cases, strict=True)
                ):
                    return hint
            except Exception:
                continue
        return None

    def _same(self, a: Outcome, b: Outcome) -> bool:
        # A slope that is no number counts as 0, or a root of 0 would hide every other mistake.
        slopes = [[g if g is None else g.nan_to_num(0, 0, 0) for g in x.gradients] for x in (a, b)]
        pairs = [(a.value, b.value), *zip(*slopes, strict=True)]
        return all(
            (x is None and y is None) or (y is not None and self._compare(x, y) is None) for x, y in pairs
        )

    def _draw(self, yours: object, target: object) -> dict[str, dict[str, Tensor]]:
        """Pictures or curves of yours, target and difference, where the result is one."""
        if not isinstance(yours, Tensor) or not isinstance(target, Tensor) or yours.shape != target.shape:
            return {}
        if yours.is_complex() or not yours.is_floating_point() or not yours.isfinite().all():
            return {}
        if target.ndim in (2, 4) and min(target.shape[-2:]) >= 8:
            a, b = (x.flatten(0, -4)[0] if x.ndim == 4 else x[None] for x in (yours, target))
            if a.shape[0] not in (1, 3):
                a, b = a[:1], b[:1]
            low, high = float(b.min()), float(b.max())
            scale = max(high - low, 1e-12)
            a, b = ((x - low) / scale for x in (a, b))
            return {"pictures": {"yours": a, "target": b, "difference": show.difference(a, b)}}
        if target.ndim == 1 and len(target) >= 8:
            return {"curves": {"target": target, "yours": yours}}
        return {}

    def _wrong(self, message: str, **drawn: dict[str, Tensor]) -> Verdict:
        return Verdict(self.name, "wrong", message, **drawn)


class Experiment(Exercise):
    """A question with many right answers: what the learner built is put to use, and what comes out is measured.

    Args:
        name: of the function or class that the learner writes.
        measure: takes the answer and a case's arguments; returns a tensor of numbers, what the answer does there.
        fault: takes those numbers and the case's arguments; returns what is wrong, as a hint, or None.
        cases: each makes a fresh tuple of arguments, the same ones each time.

    >>> climb = dip.check.Experiment(
    ...     "climb",
    ...     measure=lambda climb: climb(torch.tensor(0.0)) - 3,
    ...     fault=lambda distance: "it ends more than 0.1 from the top, 3" if abs(distance) > 0.1 else None,
    ... )
    >>> climb(lambda x: x + 3.05)
    ✅ climb: right
    >>> climb(lambda x: x - 3)
    ❌ climb: it ends more than 0.1 from the top, 3
    """

    def __init__(
        self,
        name: str,
        measure: Callable[..., Tensor],
        fault: Callable[..., str | None],
        cases: Sequence[Callable[[], tuple]] = (tuple,),
    ) -> None:
        super().__init__(name, target=measure, cases=cases)
        self.measure, self.fault = measure, fault

    def outcomes(self, answer: Callable) -> list[Outcome]:
        """What comes out in each case, in order, as far as the first at which the answer stops."""
        if not callable(answer):
            return super().outcomes(answer)
        return super().outcomes(lambda *arguments: self.measure(answer, *arguments))

    def judge(self, outcomes: Sequence[Outcome]) -> Verdict:
        """Look for a fault in each case; outcomes may come from another process, as :meth:`Exercise.judge` says."""
        self._expect_all(outcomes)
        for outcome, case in zip(outcomes, self.cases, strict=False):
            if verdict := self._without_value(outcome):
                return verdict
            if not isinstance(outcome.value, Tensor) or not outcome.value.isfinite().all():
                return self._wrong("what comes out holds NaN or infinite numbers, or is not a tensor")
            if hint := self.fault(outcome.value, *case()):
                return self._wrong(hint)
        return Verdict(self.name, "correct", "right")


def _kind(value: object) -> str:
    return (
        f"a tensor of shape {tuple(value.shape)}"
        if isinstance(value, Tensor)
        else f"a {type(value).__name__}"
    )
