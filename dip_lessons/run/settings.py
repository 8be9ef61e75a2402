"""What may change while a run goes on: the learning rate, the objective, the views, a picture's own knobs.

A run's settings are a log, {step: {name: value}}. Whatever changes them, ``set``, a schedule, or somebody from outside
(a scheduler of torch's, ``picture.decay = 1.7``), is written into the log, so that a replay repeats it.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import torch

from ..objectives import Objective
from ..parameterizations import Parameterization
from ..views import RandomViews
from .checks import check_lr, check_parts


class Settings:
    """The settings of a run: ``log`` says since which step each has been in force.

    Args:
        parameterization: whose ``adjustable`` attributes are settings.
        network: which objectives must fit.
        optimizer: whose groups hold the learning rate.
        objective, views: the first ones.
    """

    def __init__(
        self,
        parameterization: Parameterization,
        network: Any,
        optimizer: torch.optim.Optimizer,
        *,
        objective: Objective,
        views: Any,
    ) -> None:
        self.parameterization, self.network, self.optimizer = parameterization, network, optimizer
        own = {name: getattr(parameterization, name) for name in parameterization.adjustable}
        self.log: dict[int, dict[str, Any]] = {
            0: {"lr": _rates(optimizer), "objective": objective, "views": views, **own}
        }
        self._options = _options(optimizer)  # what else torch keeps in the groups: betas, weight decay …
        self.note()

    def at(self, step: int) -> dict[str, Any]:
        """What is in force after so many steps."""
        now: dict[str, Any] = {}
        for since in sorted(self.log):
            if since <= step:
                now.update(self.log[since])
        return now

    def apply(self, step: int) -> dict[str, Any]:
        """Put what is in force into the optimizer and the parameterization; return it."""
        settings = self.at(step)
        groups = self.optimizer.param_groups
        rates = settings["lr"] if isinstance(settings["lr"], tuple) else [settings["lr"]] * len(groups)
        for group, rate, options in zip(groups, rates, settings.get("options", self._options), strict=True):
            group["lr"] = rate
            group.update(options)
        for name in self.parameterization.adjustable:
            if getattr(self.parameterization, name) != settings[name]:
                setattr(self.parameterization, name, settings[name])
        self.note()
        return settings

    def note(self) -> None:
        """Remember what the outside holds now, so that :meth:`adopt` sees what somebody changes."""
        self._seen = self._outside()

    def adopt(self, step: int) -> bool:
        """Log what was changed from outside since the last step; whether there was anything."""
        now = self._outside()
        changed = {name: value for name, value in now.items() if value != self._seen[name]}
        if "lr" in changed:
            changed["lr"] = check_lr(changed["lr"], len(self.optimizer.param_groups), zero=True)
        if changed:
            self.record(step, changed)
            self._seen = now
        return bool(changed)

    def record(self, step: int, changed: Mapping[str, Any]) -> None:
        """Write a change into the log; what was logged for later steps goes."""
        self.log = {since: changes for since, changes in self.log.items() if since <= step}
        self.log.setdefault(step, {}).update(changed)

    def asked(self, step: int, changes: Mapping[str, Any]) -> dict[str, Any]:
        """What ``run.set(**changes)`` changes at this step: checked, with fields of views as new views."""
        now = self.at(step)
        asked, views = dict(now), now["views"]
        fields = set(views.settings()) if isinstance(views, RandomViews) else set()
        for name, value in changes.items():
            if name in fields:
                asked["views"] = asked["views"].change(**{name: value})
            elif name in now or name == "options":
                asked[name] = value
            else:
                known = ", ".join(sorted({*now, *fields} - {"options"}))
                raise ValueError(f"there is no setting {name!r} here; there are {known}")
        self.check(asked)
        asked["lr"] = _floats(asked["lr"])
        changed = {
            n: v for n, v in asked.items() if n not in now or (v is not now[n] and not _equal(v, now[n]))
        }
        try:  # the parameterization may refuse a value; then it must not be in the log
            for name in changed.keys() & set(self.parameterization.adjustable):
                setattr(self.parameterization, name, changed[name])
        except BaseException:
            self.apply(step)
            raise
        return changed

    def schedule(self, changes: Mapping[int, Mapping[str, Any]], taken: int) -> None:
        """Write changes for steps that lie ahead of those taken into the log."""
        known = self.at(taken)
        for step, values in changes.items():
            if operator.index(step) <= taken or not set(values) <= set(known):
                raise ValueError(
                    f"only {', '.join(known)} can be scheduled, for steps after {taken}; got step "
                    f"{step}: {', '.join(values)}"
                )
            self.check({**known, **values})
        for step, values in changes.items():
            plain = {name: _floats(value) if name == "lr" else value for name, value in values.items()}
            self.log.setdefault(operator.index(step), {}).update(plain)

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise TypeError or ValueError for settings that do not fit the run."""
        check_parts(self.parameterization, settings["objective"], self.network, settings["views"])
        stands = settings["lr"] == _rates(self.optimizer)  # a scheduler may have brought it to 0
        check_lr(settings["lr"], len(self.optimizer.param_groups), zero=stands)

    def _outside(self) -> dict[str, Any]:
        own = {name: getattr(self.parameterization, name) for name in self.parameterization.adjustable}
        return {"lr": _rates(self.optimizer), "options": _options(self.optimizer), **own}


def _rates(optimizer: torch.optim.Optimizer) -> float | tuple[float, ...]:
    rates = tuple(float(group["lr"]) for group in optimizer.param_groups)
    return rates[0] if len(set(rates)) == 1 else rates


def _options(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    left_out = ("params", "lr", "initial_lr")  # the last one is a scheduler's own note
    return [{k: v for k, v in group.items() if k not in left_out} for group in optimizer.param_groups]


def _floats(lr: Any) -> float | tuple[float, ...]:
    return tuple(map(float, lr)) if isinstance(lr, (tuple, list)) else float(lr)


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other)
