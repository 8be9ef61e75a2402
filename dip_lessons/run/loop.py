"""The loop: change the parameters, a step at a time, so that the objective grows."""

from __future__ import annotations

import contextlib
import operator
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..arguments import whole
from ..networks import load_network, redirected_relu
from ..objectives import Memory, Objective, look
from ..parameterizations import Parameterization
from . import store
from .checks import (
    BETAS,
    check_optimizer,
    check_parts,
    check_picture,
    check_views,
    explain,
    make_optimizer,
)
from .settings import Settings

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


def optimize(
    parameterization: Parameterization,
    objective: Objective,
    network: Callable[[Tensor, tuple[str, ...]], Mapping[str, Tensor]],
    *,
    views: Callable[[Tensor, torch.Generator], Tensor] | None = None,
    steps: int = 256,
    lr: float | None = None,
    seed: int = 0,
    optimizer: Optimizer = "adam",
    betas: tuple[float, float] = BETAS,
    redirect_relu: int = 16,
) -> Run:
    """Prepare the maximisation of an objective; iterate over the :class:`Run`, or call its ``finish()``.

    Args:
        parameterization: the picture; its parameters are changed in place.
        objective: what shall grow.
        network: a :class:`Network`, or any callable (pictures, layers) -> {layer: activation}.
        views: random views of the picture (:func:`random_views`), or any function (pictures, generator) ->
            (N, C, h, w); None shows the picture itself.
        steps: the planned number of steps.
        lr: learning rate; None takes the parameterization's own (.05; .005 for a CPPN; see its ``lr``).
        seed: of the generator that the views draw from.
        optimizer: ``"adam"``, ``"nadam"``, ``"sgd"``, or a function (parameters, lr) -> torch.optim.Optimizer.
        betas: what share of Adam's two running means, of the gradient and of its square, each step keeps. The
            second one remembers some 1/(1 − β₂) steps: a thousand, if nothing else is said. Only ``"adam"`` and
            ``"nadam"`` have them.
        redirect_relu: for this many first steps, dead ReLUs let gradients through (:func:`redirected_relu`).

    Raises TypeError or ValueError for parts that do not fit together.

    >>> network = dip.load_network(device="cpu")
    >>> views = dip.random_views(jitter=4)
    >>> run = dip.optimize(dip.Fourier(48), dip.channel("features.3", 0), network, views=views, steps=8)
    >>> run.finish().step, run.image.shape
    (8, torch.Size([1, 3, 48, 48]))
    >>> run.history[-1] > run.history[0]
    True
    """
    return Run(
        parameterization,
        objective,
        network,
        views=views,
        steps=steps,
        lr=getattr(parameterization, "lr", 0.05) if lr is None else lr,
        seed=seed,
        optimizer=optimizer,
        betas=betas,
        redirect_relu=redirect_relu,
    )


class Run:
    """An optimization as an iterator of :class:`Step`; made by :func:`optimize`.

    ``step`` counts the steps taken. ``rewind`` moves to any step reached before; going on from there repeats
    what was, bit for bit on one device, until a setting is changed. ``optimizer`` is torch's: its schedulers work,
    and what they change is logged.

    >>> network = dip.load_network(device="cpu")
    >>> run = dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=4)
    >>> for step in run:
    ...     if step.index == 3:
    ...         break
    >>> run.step, len(run.history), run.recorded, run.image.shape
    (3, 3, 3, torch.Size([1, 3, 32, 32]))
    >>> sorted(run.settings)
    ['decay', 'lr', 'objective', 'views']
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
        self._first_lr = float(lr)
        self._values: list[list[float]] = []  # of each recorded step, each picture's
        self._history: list[float] = []  # their means
        self._dropped: list[int] = []  # the steps at which changes made what lay ahead void
        self._checkpoints = store.Checkpoints()
        self._checkpoints.keep(self._state())

    # The step

    def _advance_one(self) -> Step:
        with self.lock, _finishing_first(), torch.inference_mode(False):
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
        kind = self.parameters[0].device.type
        with (
            torch.enable_grad(),
            torch.autocast(kind, enabled=False),
            redirected_relu(self.step < self.redirect_relu),
        ):
            values = self._value(settings["objective"], settings["views"])
            if not values.isfinite().all():
                raise FloatingPointError(f"the objective's value is {values.tolist()}")
            if not values.requires_grad:
                raise RuntimeError("the objective does not depend on the picture's parameters")
            gradients = torch.autograd.grad(-values.sum(), self.parameters, allow_unused=True)
        if all(g is None for g in gradients):
            raise RuntimeError("the objective does not depend on the picture's parameters")
        if not _finite(gradients):
            raise FloatingPointError("the objective's gradient holds NaN or infinite numbers")
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            if gradient is not None and gradient.stride() != parameter.stride():
                gradient = torch.empty_like(parameter).copy_(gradient)  # a fused step walks through memory
            parameter.grad = gradient
        try:
            self.optimizer.step()
            if not _finite(self.parameters):
                raise FloatingPointError("the step made parameters NaN or infinite")
        except BaseException:
            self._return_to(self.step)  # some of the parameters may have been changed already
            raise
        finally:
            self.optimizer.zero_grad()
        return values.detach()

    def _value(self, objective: Objective, views: Callable | None) -> Tensor:
        """The objective (B,): the mean over the views of each picture."""
        image = self.parameterization.sample(self.generator)
        if self.step == 0:
            check_picture(self.parameterization, image)
        if views is None and image.shape[1] == 4:
            raise ValueError(
                "a picture with transparency is seen over a background: views=dip.random_views(background='waves')"
            )
        seen = image if views is None else views(image, self.generator)
        count = check_views(len(image), seen)
        activations = look(self.network, objective.layers, seen, image, self.memory)
        values = []
        for i in range(count):  # view by view, so that the objective has one row for each picture
            rows = slice(i * len(image), (i + 1) * len(image))
            of_view = {n: a if a is image or a is self.memory else a[rows] for n, a in activations.items()}
            values.append(objective(of_view))
            self.memory.keep()
        return torch.stack(values).mean(dim=0)

    # Going on, and back

    def __iter__(self) -> Iterator[Step]:
        while self.step < self.steps:
            yield self._advance_one()

    def advance(self, n: int = 1) -> Run:
        """Take n more steps, beyond the planned number if need be.

        Args:
            n: how many.

        Raises RunError for a step that fails; the run is then as it was before it.

        >>> network = dip.load_network(device="cpu")
        >>> run = dip.optimize(dip.Pixels(32), dip.channel("features.3", 0), network, steps=2)
        >>> run.advance(3).step  # one beyond the plan
        3
        """
        for _ in range(operator.index(n)):
            self._advance_one()
        return self

    def finish(self) -> Run:
        """Take all steps that remain of the planned number.

        Raises RunError for a step that fails; the run is then as it was before it.

        >>> network = dip.load_network(device="cpu")
        >>> run = dip.optimize(dip.Pixels(32), dip.channel("features.3", 0), network, steps=3)
        >>> run.advance().finish().step
        3
        """
        return self.advance(max(0, self.steps - self.step))

    def rewind(self, step: int = 0) -> Run:
        """Go to any step from 0 to ``recorded``: on from the checkpoint before it, or from here if that is nearer.

        Args:
            step: a whole number.

        Raises ValueError for a step that was not reached.

        >>> network = dip.load_network(device="cpu")
        >>> run = dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=4).finish()
        >>> there = run.image
        >>> run.rewind(1).step
        1
        >>> torch.equal(run.finish().image, there)  # the same steps again, bit for bit
        True
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
        """The objective of every picture before each of the steps taken, (steps, B), float32.

        >>> network = dip.load_network(device="cpu")
        >>> run = dip.optimize(dip.Fourier(32, batch=2), dip.channel("features.3", 0), network, steps=3).finish()
        >>> run.values.shape, torch.allclose(run.values.mean(dim=1), torch.tensor(run.history))
        (torch.Size([3, 2]), True)
        """
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

        >>> network = dip.load_network(device="cpu")
        >>> views = dip.random_views(jitter=4)
        >>> run = dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, views=views, steps=4)
        >>> run = run.advance(2).set(lr=0.1, jitter=8, decay=0.5)
        >>> run.settings["lr"], run.settings["views"].jitter, run.parameterization.decay
        (0.1, 8, 0.5)
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

        >>> network = dip.load_network(device="cpu")
        >>> run = dip.optimize(dip.Pixels(32), dip.channel("features.3", 0), network, steps=4, lr=0.05)
        >>> run = run.schedule({2: {"lr": 0.01}})  # after two steps
        >>> run.settings["lr"], run.finish().settings["lr"]
        (0.05, 0.01)
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

        Args:
            path: of the file.

        Returns the path. Raises OSError where it cannot be written.

        >>> network = dip.load_network(device="cpu")
        >>> run = dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2).finish()
        >>> run.save("picture.pt").name
        'picture.pt'
        """
        with self.lock:
            self._adopt()
            content = {
                "parameterization": store.described(self.parameterization),
                "fixed": store.fixed_of(self.parameterization, self.parameters),
                "network": getattr(self.network, "loaded_as", None),
                "steps": self.steps,
                "seed": self.seed,
                "lr": self._first_lr,
                "optimizer": self.optimizer_name,
                "betas": self.betas,
                "redirect_relu": self.redirect_relu,
                "log": {step: store.as_data(changes) for step, changes in self.log.items()},
                "history": list(self._history),
                "values": list(self._values),
                "step": self.step,
                "checkpoints": {**self._checkpoints.states, self.step: self._state()},
            }
            return store.write(Path(path), content)

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

        >>> network = dip.load_network(device="cpu")
        >>> run = dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2).finish()
        >>> again = dip.Run.load(run.save("picture.pt"), device="cpu")
        >>> again.step, torch.equal(again.image, run.image)
        (2, True)
        """
        content = store.read(path)
        if network is None:
            if content["network"] is None:
                raise ValueError("this run used a network of its own: Run.load(path, network=…)")
            network = load_network(device=device, **content["network"])
        if content["optimizer"] is None and optimizer is None:
            raise ValueError("this run used an optimizer of its own: Run.load(path, optimizer=…)")
        if parameterization is None:
            parameterization = store.made(content["parameterization"])
        parameterization.load_state_dict(content.get("fixed", {}), strict=False)
        parameterization.to(getattr(network, "device", device))
        log = {step: store.from_data(changes, objective, views) for step, changes in content["log"].items()}
        run = Run(
            parameterization,
            log[0]["objective"],
            network,
            views=log[0]["views"],
            steps=content["steps"],
            lr=content.get("lr", log[0]["lr"]),
            seed=content["seed"],
            optimizer=optimizer if content["optimizer"] is None else content["optimizer"],
            betas=content.get("betas", BETAS),  # files of old have none
            redirect_relu=content["redirect_relu"],
        )
        batch, history = parameterization.batch, content["history"]
        of_old = [
            [mean] if batch == 1 else [float("nan")] * batch for mean in history
        ]  # whose files have means only
        run._settings.log, run._history, run._values = log, history, content.get("values", of_old)
        run._checkpoints.states = content["checkpoints"]
        run._restore(run._checkpoints.states[content["step"]])
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


def _finite(tensors: Iterable[Tensor | None]) -> bool:
    """Whether all numbers are finite: one NaN or infinite number makes the sum so, and sums are cheap."""
    return all(bool(t.sum().isfinite()) for t in tensors if t is not None)


@contextlib.contextmanager
def _finishing_first() -> Iterator[None]:
    """Hold a keyboard interrupt back until the block is done, so that no step is left half taken."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield
        return
    asked: list[bool] = []
    try:
        old = signal.signal(signal.SIGINT, lambda *_: asked.append(True))
    except ValueError:  # not the interpreter that receives signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)
    if asked:
        signal.raise_signal(signal.SIGINT)  # to whatever handles it outside
