"""The loop: change the parameters, a step at a time, so that the objective grows."""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..arguments import whole
from ..networks import redirected_relu
from ..objectives import Memory, Objective
from ..parameterizations import Parameterization
from . import store
from .checks import check_optimizer, check_parts, explain, make_optimizer
from .settings import Settings
from .step import descend, finishing_first, slopes, values_of, whatever_is_around

Optimizer = str | Callable[..., torch.optim.Optimizer]
_locks: dict[torch.device, threading.RLock] = {}


class RunError(RuntimeError):
    """A step failed. The run is as it was before that step: its picture, its history and its next step."""


@dataclass(frozen=True)
class Step:
    """What one step reached: its number (from 1), the objective before it, and the picture after it.

    Args:
        index: from 1.
        values: the objective of each picture before the step, (B,).
        run: which it is a step of.

    >>> network = dip.load_network(device="cpu")
    >>> run = dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2)
    >>> for step in run:
    ...     print(step.index, step.value == run.history[-1], step.image.shape)
    1 True torch.Size([1, 3, 32, 32])
    2 True torch.Size([1, 3, 32, 32])
    """

    index: int
    values: Tensor
    run: Run

    @property
    def value(self) -> float:
        """The objective's mean over the pictures, before the step."""
        return float(self.values.mean())

    @property
    def image(self) -> Tensor:
        """The picture (B, C, H, W) after the step: ask for it before the next one."""
        return self.run.image


class Run:
    """An optimization as an iterator of :class:`Step`; made by :func:`optimize`.

    ``step`` counts the steps taken. ``rewind`` moves to any step reached before; going on from there repeats
    what was, bit for bit on one device, until a setting is changed. ``optimizer`` is torch's: its schedulers work,
    and what they change is logged.

    >>> network, views = dip.load_network(device="cpu"), dip.random_views(jitter=4)
    >>> run = dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, views=views, steps=6)
    >>> for step in run:  # the loop: stop it, look at it, go on
    ...     if step.index == 2:
    ...         break
    >>> run = run.set(lr=0.1, jitter=8, decay=0.5).advance(2)  # acts from the next step on
    >>> run = run.schedule({5: {"lr": 0.01}}).finish()
    >>> run.step, run.recorded, len(run.history), run.values.shape, run.image.shape
    (6, 6, 6, torch.Size([6, 1]), torch.Size([1, 3, 32, 32]))
    >>> run.settings["lr"], run.settings["views"].jitter, sorted(run.log)
    (0.01, 8, [0, 2, 5])
    >>> there = run.image
    >>> torch.equal(run.rewind(1).finish().image, there)  # the same steps again, bit for bit
    True
    >>> again = dip.Run.load(run.save("picture.pt"), device="cpu")
    >>> torch.equal(again.image, there), torch.equal(again.first_parameters[0], run.first_parameters[0])
    (True, True)
    >>> run.lock.acquire(blocking=False), run.lock.release()
    (True, None)
    """

    def __init__(
        self,
        parameterization: Parameterization,
        objective: Objective,
        network: Callable[[Tensor, tuple[str, ...]], Mapping[str, Tensor]],
        *,
        views: Callable[[Tensor, torch.Generator], Tensor] | None,
        steps: int,
        lr: float,
        seed: int,
        optimizer: Optimizer,
        betas: tuple[float, float],
        redirect_relu: int,
    ) -> None:
        check_parts(parameterization, objective, network, views)
        check_optimizer(optimizer, lr, betas)
        self.parameterization, self.network = parameterization, network
        self.steps, self.seed = whole(steps, "steps"), operator.index(seed)
        self.redirect_relu = whole(redirect_relu, "redirect_relu")
        self.parameters = [p for p in parameterization.parameters() if p.requires_grad]
        self.optimizer_name = optimizer if isinstance(optimizer, str) else None  # None: one of the user's own
        self.betas = (float(betas[0]), float(betas[1]))
        self.optimizer = make_optimizer(optimizer, self.parameters, float(lr), self.betas)
        self.generator = torch.Generator().manual_seed(self.seed)
        self.memory = Memory()
        self.step = 0
        self._settings = Settings(parameterization, network, self.optimizer, objective=objective, views=views)
        self.first_lr = float(lr)
        self._values: list[list[float]] = []  # of each recorded step, each picture's
        self._history: list[float] = []  # their means
        self._dropped: list[int] = []  # the steps at which changes made what lay ahead void
        self._checkpoints = store.Checkpoints()
        self._checkpoints.keep(self._state())

    # The step

    def _advance_one(self) -> Step:
        with self.lock, finishing_first(), whatever_is_around(self.parameters[0].device):
            self._adopt()
            before, remembered = self.generator.get_state(), self.memory.means.copy()
            try:
                values = self._ascend()
            except BaseException as error:
                self.generator.set_state(before)  # the next attempt draws the same views
                self.memory = Memory(remembered)
                if explained := explain(error, self.step):
                    raise RunError(explained) from error
                raise
            self.step += 1
            self._values[self.step - 1 :] = [values.tolist(), *self._values[self.step :]]
            self._history[self.step - 1 :] = [float(values.mean()), *self._history[self.step :]]
            self._settings.apply(self.step)
            if self.step % self._checkpoints.every == 0:
                self._checkpoints.keep(self._state())
            return Step(self.step, values, self)

    def _ascend(self) -> Tensor:
        """One step of gradient ascent; returns the objective (B,) before it."""
        settings = self._settings.apply(self.step)
        objective, views = settings["objective"], settings["views"]
        parts = (self.parameterization, objective, self.network, views, self.generator, self.memory)
        with redirected_relu(self.step < self.redirect_relu):
            values = values_of(*parts, first=self.step == 0)
            gradients = slopes(values, self.parameters)
        try:
            descend(gradients, self.parameters, self.optimizer)
        except BaseException:
            self._return_to(self.step)  # some of the parameters may have been changed already
            raise
        return values.detach()

    # Going on, and back

    def __iter__(self) -> Iterator[Step]:
        while self.step < self.steps:
            yield self._advance_one()

    def advance(self, n: int = 1) -> Run:
        """Take n more steps, beyond the planned number if need be.

        Raises RunError for a step that fails; the run is then as it was before it.
        """
        for _ in range(operator.index(n)):
            self._advance_one()
        return self

    def finish(self) -> Run:
        """Take all steps that remain of the planned number.

        Raises RunError for a step that fails; the run is then as it was before it.
        """
        return self.advance(max(0, self.steps - self.step))

    def rewind(self, step: int = 0) -> Run:
        """Go to any step from 0 to ``recorded``: on from the checkpoint before it, or from here if that is nearer.

        Raises ValueError for a step that was not reached.
        """
        step = operator.index(step)
        with self.lock:
            self._adopt()
            if not 0 <= step <= self.recorded:
                raise ValueError(f"this run has steps 0 to {self.recorded}; got {step}")
            if self._checkpoints.before(step) <= self.step <= step:
                self.advance(step - self.step)
            else:
                self._return_to(step)
        return self

    def _return_to(self, step: int) -> None:
        self._restore(self._checkpoints.states[self._checkpoints.before(step)])
        self.advance(step - self.step)

    # Where it is

    @property
    def lock(self) -> threading.RLock:
        """Held for each step: on one device one step is taken at a time, whichever thread takes it."""
        return _locks.setdefault(self.parameters[0].device, threading.RLock())

    @property
    def history(self) -> list[float]:
        """The objective before each of the steps taken, as floats: the mean over the pictures."""
        return self._history[: self.step]

    @property
    def values(self) -> Tensor:
        """The objective of every picture before each of the steps taken, (steps, B), float32."""
        rows = torch.tensor(self._values[: self.step], dtype=torch.float32, device="cpu")
        return rows.view(-1, self.parameterization.batch)

    @property
    def recorded(self) -> int:
        """The farthest step that was reached and can be returned to."""
        return len(self._history)

    @property
    def image(self) -> Tensor:
        """The picture as it is now, (B, C, H, W) in [0, 1], detached."""
        with self.lock, torch.no_grad():
            return self.parameterization().clone()  # it might be the parameters themselves

    @property
    def first_parameters(self) -> list[Tensor]:
        """The values from which the parameters started, on the CPU."""
        return self._checkpoints.states[0]["parameters"]

    @property
    def settings(self) -> dict[str, Any]:
        """What the next step will use: lr, objective, views, and what the parameterization can adjust."""
        with self.lock:
            self._adopt()
            return {name: value for name, value in self._settings.at(self.step).items() if name != "options"}

    @property
    def log(self) -> dict[int, dict[str, Any]]:
        """{step: {name: value}}: what was changed after how many steps; at 0 stands what it began with."""
        return self._settings.log

    # Changing

    def set(self, **changes: object) -> Run:
        """Change settings from the next step on; the change is logged, and so part of what is repeated.

        Names: ``lr``, ``objective``, ``views``; a field of the views (``jitter``, ``scale``, ``rotate``,
        ``blur``, ``strength`` …); what the parameterization can adjust (``decay``). After a rewind, a change
        drops the steps that lay ahead. Raises ValueError for a name that cannot be set, ValueError, TypeError
        or KeyError for values that make no sense; nothing is changed then.
        """
        with self.lock:
            self._adopt()
            if changed := self._settings.asked(self.step, changes):
                self._forget_future()
                self._settings.record(self.step, changed)
                self._settings.apply(self.step)
        return self

    def schedule(self, changes: Mapping[int, Mapping[str, object]]) -> Run:
        """Settings that will change by themselves: {step: {name: value}}, for steps that lie ahead.

        Names are those of ``lr``, ``objective``, ``views`` and of what the parameterization can adjust. A change
        by ``set`` drops what was scheduled after it. Raises ValueError for other names and for steps that
        were taken already, ValueError, TypeError or KeyError for values that make no sense; nothing is changed
        then.
        """
        with self.lock:
            self._adopt()
            self._settings.schedule(changes, self.recorded)
        return self

    def _adopt(self) -> None:
        """Take what somebody changed from outside since the last step for a change like those of ``set``."""
        if self._settings.adopt(self.step):
            self._forget_future()

    def _forget_future(self) -> None:
        self._dropped.append(self.step)
        del self._history[self.step :], self._values[self.step :]
        self._checkpoints.forget_after(self.step)

    # Keeping

    def save(self, path: str | os.PathLike) -> Path:
        """Write the whole run to a file: beside it first, then renamed, so that an old file survives.

        Returns the path. Raises OSError where it cannot be written.
        """
        with self.lock:
            self._adopt()
            return store.write(Path(path), store.content_of(self, self._state()))

    @staticmethod
    def load(
        path: str | os.PathLike,
        *,
        parameterization: Parameterization | None = None,
        objective: Objective | None = None,
        network: Callable | None = None,
        views: Callable | None = None,
        optimizer: Callable[..., torch.optim.Optimizer] | None = None,
        device: torch.device | str | None = None,
    ) -> Run:
        """Read a run that was saved. Nothing in the file is executed.

        Parts of your own (a parameterization, network, objective, views or optimizer) are not stored: hand them in.
        Raises ValueError that names what is missing, or says that the file is not a run, and OSError for a file that
        cannot be read.

        Args:
            path: of a file that ``save`` wrote.
            parameterization, objective, network, views, optimizer: what was not stored.
            device: where the network shall live; None takes the best that is there.
        """
        own = {
            "parameterization": parameterization,
            "objective": objective,
            "network": network,
            "views": views,
        }
        parts, kept = store.parts_in(path, **own, optimizer=optimizer, device=device)
        run = Run(**parts)
        run._settings.log, run._history, run._values = kept["log"], kept["history"], kept["values"]
        run._checkpoints.states = kept["checkpoints"]
        run._restore(run._checkpoints.states[kept["step"]])
        return run

    def _state(self) -> dict[str, Any]:
        return store.state_of(self.step, self.parameters, self.optimizer, self.generator, self.memory)

    def _restore(self, state: dict[str, Any]) -> None:
        own = self.optimizer_name is None
        self.memory = store.restore(state, self.parameters, self.optimizer, self.generator, own=own)
        self.step = state["step"]
        self._settings.apply(self.step)

    def __repr__(self) -> str:
        now = f"step {self.step} of {self.steps}"
        value = f", value {self.history[-1]:.3g}" if self.history else ""
        return (
            f"<run of {type(self.parameterization).__name__} for {self.settings['objective']}: {now}{value}>"
        )
