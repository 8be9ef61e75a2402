"""The loop: change the parameters, a step at a time, so that the objective grows."""

from __future__ import annotations

import contextlib
import copy
import math
import operator
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .mesh import Mesh
from .mesh_views import MeshViews
from .networks import Network, load_network, redirected_relu
from .objectives import MEMORY, OUTSIDE, PICTURE, Memory, Objective, from_recipe, look
from .panorama import TangentViews
from .parameterizations import Parameterization, describe, from_description
from .views import Views
from .whole_file import whole_file

RECORDED: dict[str, Any] = {kind.__name__: kind for kind in (Views, TangentViews, MeshViews)}  # by fields


def _adam(parameters: list[nn.Parameter], lr: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
    try:
        return torch.optim.Adam(parameters, lr=lr, betas=betas, fused=True)  # in one pass through memory
    except RuntimeError:  # torch before 2.4 does so on GPUs only
        return torch.optim.Adam(parameters, lr=lr, betas=betas)


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": _adam,
    "nadam": torch.optim.NAdam,
    "sgd": lambda parameters, lr, betas: torch.optim.SGD(parameters, lr=lr),
}
BETAS = (0.9, 0.999)
CHECKPOINT_BYTES = 256 * 2**20  # beyond this, every second checkpoint is dropped
STEP_LOCK = threading.RLock()  # one step at a time in the whole process, whichever thread takes it


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
    optimizer: str = "adam",
    betas: tuple[float, float] = BETAS,
    redirect_relu: int = 16,
) -> Run:
    """Prepare the maximisation of an objective; iterate over the :class:`Run`, or call its ``finish()``.

    Args:
        parameterization: the picture; its parameters are changed in place.
        objective: what shall grow.
        network: a :class:`Network`, or any callable (pictures, layers) -> {layer: activation}.
        views: random views of the picture (:func:`random_views`); None shows the picture itself.
        steps: the planned number of steps.
        lr: learning rate; None takes the parameterization's own (.05; .005 for a CPPN; see its ``lr``).
        seed: of the generator that the views draw from.
        optimizer: ``"adam"``, ``"nadam"`` or ``"sgd"``.
        betas: what share of Adam's two running means, of the gradient and of its square, each step keeps. The
            second one remembers some 1/(1 − β₂) steps: a thousand, if nothing else is said. ``"sgd"`` has none.
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
    what was, bit for bit on one device, until a setting is changed.

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
        optimizer: str,
        betas: tuple[float, float],
        redirect_relu: int,
    ) -> None:
        _check(parameterization, objective, network, views, steps, lr, optimizer, betas)
        self.parameterization, self.network = parameterization, network
        self.steps, self.seed, self.optimizer_name, self.redirect_relu = steps, seed, optimizer, redirect_relu
        self.parameters = [p for p in parameterization.parameters() if p.requires_grad]
        self.betas = (float(betas[0]), float(betas[1]))
        self.optimizer = OPTIMIZERS[optimizer](self.parameters, lr=float(lr), betas=self.betas)
        self.generator = torch.Generator().manual_seed(seed)
        self.memory = Memory()
        self.step = 0
        self.log: dict[int, dict[str, Any]] = {0: {"lr": float(lr), "objective": objective, "views": views}}
        for name in parameterization.adjustable:
            self.log[0][name] = getattr(parameterization, name)
        self._history: list[float] = []
        self._dropped: list[int] = []  # the steps at which changes made what lay ahead void
        self._every = 16
        self._checkpoints: dict[int, dict] = {}
        self._checkpoint()

    # Going on

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
        for _ in range(n):
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

    def _advance_one(self) -> Step:
        with STEP_LOCK, _finishing_first(), torch.inference_mode(False):
            before, remembered = self.generator.get_state(), self.memory.means.copy()
            try:
                values = self._ascend()
            except BaseException as error:
                self.generator.set_state(before)  # the next attempt draws the same views
                self.memory = Memory(remembered)
                if explained := _explain(error, self):
                    raise RunError(explained) from error
                raise
            self.step += 1
            self._history[self.step - 1 :] = [float(values.mean()), *self._history[self.step :]]
            self._apply_settings()
            if self.step % self._every == 0:
                self._checkpoint()
            return Step(self.step, values, self)

    def _ascend(self) -> Tensor:
        """One step of gradient ascent; returns the objective (B,) before it."""
        settings = self._apply_settings()
        with torch.enable_grad(), redirected_relu(self.step < self.redirect_relu):
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
        if views is None and image.shape[1] == 4:
            raise ValueError(
                "a picture with transparency is seen over a background: views=dip.random_views(background='waves')"
            )
        seen = image if views is None else views(image, self.generator)
        count, rest = divmod(len(seen), len(image))
        if count == 0 or rest:
            raise ValueError(
                f"of {len(image)} pictures there must be equally many views; got {len(seen)} in all"
            )
        activations = look(self.network, objective.layers, seen, image, self.memory)
        values = []
        for i in range(count):
            of_view = {
                k: a if k in (PICTURE, MEMORY) else a[i * len(image) : (i + 1) * len(image)]
                for k, a in activations.items()
            }
            values.append(objective(of_view))
            self.memory.keep()
        return torch.stack(values).mean(dim=0)

    # Where it is

    @property
    def history(self) -> list[float]:
        """The objective before each of the steps taken, as floats."""
        return self._history[: self.step]

    @property
    def recorded(self) -> int:
        """The farthest step that was reached and can be returned to."""
        return len(self._history)

    @property
    def image(self) -> Tensor:
        """The picture as it is now, (B, C, H, W) in [0, 1], detached."""
        with STEP_LOCK, torch.no_grad():
            return self.parameterization().clone()  # it might be the parameters themselves

    @property
    def settings(self) -> dict[str, Any]:
        """What the next step will use: lr, objective, views, and what the parameterization can adjust."""
        now: dict[str, Any] = {}
        for step in sorted(self.log):
            if step <= self.step:
                now.update(self.log[step])
        return now

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
        with STEP_LOCK:
            settings = self.settings
            views = settings["views"]
            view_fields = {f.name for f in fields(views)} if type(views) in RECORDED.values() else set()
            for name, value in changes.items():
                if name in view_fields:
                    settings["views"] = settings["views"].change(**{name: value})
                elif name in settings:
                    settings[name] = value
                else:
                    known = ", ".join(sorted({*settings, *view_fields}))
                    raise ValueError(f"there is no setting {name!r} here; there are {known}")
            self._check_settings(settings)
            settings["lr"] = float(settings["lr"])
            now = self.settings
            changed = {
                name: value
                for name, value in settings.items()
                if value is not now[name] and value != now[name]
            }
            try:  # the parameterization may refuse a value; then it must not be in the log
                for name in changed.keys() & set(self.parameterization.adjustable):
                    setattr(self.parameterization, name, changed[name])
            except BaseException:
                self._apply_settings()
                raise
            if changed:
                self._forget_future()
                self.log.setdefault(self.step, {}).update(changed)
                self._apply_settings()
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
        with STEP_LOCK:
            known = self.settings
            for step, values in changes.items():
                if operator.index(step) <= self.recorded or not set(values) <= set(known):
                    raise ValueError(
                        f"only {', '.join(known)} can be scheduled, for steps after {self.recorded}; got step "
                        f"{step}: {', '.join(values)}"
                    )
                self._check_settings({**known, **values})
            for step, values in changes.items():
                self.log.setdefault(operator.index(step), {}).update(values)
        return self

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
        with STEP_LOCK:
            if not 0 <= step <= self.recorded:
                raise ValueError(f"this run has steps 0 to {self.recorded}; got {step}")
            if self._checkpoint_before(step) <= self.step <= step:
                self.advance(step - self.step)
            else:
                self._return_to(step)
        return self

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
        path = Path(path)
        named = {"kind": type(self.parameterization).__qualname__, "settings": None}
        with STEP_LOCK:
            content = {
                "format": "dip_lessons run 1",
                "parameterization": describe(self.parameterization) or named,
                "fixed": self._fixed(),
                "network": getattr(self.network, "loaded_as", None),
                "steps": self.steps,
                "seed": self.seed,
                "optimizer": self.optimizer_name,
                "betas": self.betas,
                "redirect_relu": self.redirect_relu,
                "log": {step: _as_data(changes) for step, changes in self.log.items()},
                "history": list(self._history),
                "step": self.step,
                "checkpoints": {**self._checkpoints, self.step: self._state()},
            }
            with whole_file(path) as part, open(part, "wb") as file:
                torch.save(_plain(content), file)
        return path

    @staticmethod
    def load(
        path: str | os.PathLike,
        *,
        parameterization: Parameterization | None = None,
        objective: Objective | None = None,
        network: Callable | None = None,
        views: Callable | None = None,
        device: torch.device | str | None = None,
    ) -> Run:
        """Read a run that was saved. Nothing in the file is executed.

        Parts that are not this package's own (a parameterization, network, objective or views of yours) are
        not stored: hand them in. Raises ValueError that names what is missing, or says that the file is no
        run, and OSError for a file that cannot be read.

        Args:
            path: of a file that ``save`` wrote.
            parameterization, objective, network, views: what was not stored.
            device: where the network shall live; None takes the best that is there.

        >>> network = dip.load_network(device="cpu")
        >>> run = dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2).finish()
        >>> again = dip.Run.load(run.save("picture.pt"), device="cpu")
        >>> again.step, torch.equal(again.image, run.image)
        (2, True)
        """
        with open(path, "rb") as file:
            try:
                content = torch.load(file, map_location="cpu", weights_only=True)
                if content["format"] != "dip_lessons run 1":
                    raise KeyError
            except Exception as error:
                raise ValueError(
                    f"{path} is not a complete file of Run.save ({type(error).__name__})"
                ) from error
        if network is None:
            if content["network"] is None:
                raise ValueError("this run used a network of its own: Run.load(path, network=…)")
            network = load_network(device=device, **content["network"])
        if parameterization is None:
            try:
                parameterization = from_description(content["parameterization"])
            except ValueError as error:
                name = content["parameterization"]["kind"]
                raise ValueError(
                    f"this run used {name}, not the package's: Run.load(path, parameterization=…)"
                ) from error
        parameterization.load_state_dict(content.get("fixed", {}), strict=False)
        parameterization.to(getattr(network, "device", device))
        log = {step: _from_data(changes, objective, views) for step, changes in content["log"].items()}
        run = Run(
            parameterization,
            log[0]["objective"],
            network,
            views=log[0]["views"],
            steps=content["steps"],
            lr=log[0]["lr"],
            seed=content["seed"],
            optimizer=content["optimizer"],
            betas=content.get("betas", BETAS),  # files of old have none
            redirect_relu=content["redirect_relu"],
        )
        run.log, run._history, run._checkpoints = log, content["history"], content["checkpoints"]
        run._restore(run._checkpoints[content["step"]])
        return run

    def _fixed(self) -> dict[str, Tensor]:
        """What the picture is made of besides the parameters that change: a prior's noise, say."""
        changing = set(map(id, self.parameters))
        state = self.parameterization.state_dict(keep_vars=True)
        return {name: value.detach().cpu() for name, value in state.items() if id(value) not in changing}

    def _state(self) -> dict:
        return {
            "step": self.step,
            "parameters": [p.detach().cpu().clone() for p in self.parameters],
            "optimizer": copy.deepcopy(self.optimizer.state_dict()),
            "generator": self.generator.get_state(),
            "memory": self.memory.means.copy(),  # means are replaced, never changed
        }

    def _checkpoint(self) -> None:
        self._checkpoints[self.step] = self._state()
        size = 3 * sum(p.numel() * p.element_size() for p in self.parameters)  # values and Adam's two moments
        size += sum(mean.numel() * mean.element_size() for mean, _ in self.memory.means.values())
        if len(self._checkpoints) > max(4, CHECKPOINT_BYTES // max(size, 1)):
            self._every *= 2
            self._checkpoints = {s: c for s, c in self._checkpoints.items() if s % self._every == 0}

    def _restore(self, state: dict) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.parameters, state["parameters"], strict=True):
                parameter.copy_(value)
        options = self.optimizer.state_dict()["param_groups"]  # this torch's, whichever wrote the state
        moments = copy.deepcopy(state["optimizer"]["state"])
        self.optimizer.load_state_dict({"state": moments, "param_groups": options})
        self.generator.set_state(state["generator"])
        self.memory = Memory(state.get("memory"))  # files of old have none
        self.step = state["step"]
        self._apply_settings()

    def _checkpoint_before(self, step: int) -> int:
        return max(s for s in self._checkpoints if s <= step)

    def _return_to(self, step: int) -> None:
        self._restore(self._checkpoints[self._checkpoint_before(step)])
        self.advance(step - self.step)

    def _forget_future(self) -> None:
        self._dropped.append(self.step)
        del self._history[self.step :]
        self._checkpoints = {s: c for s, c in self._checkpoints.items() if s <= self.step}
        self.log = {s: changes for s, changes in self.log.items() if s <= self.step}

    def _check_settings(self, settings: Mapping[str, Any]) -> None:
        objective, views, lr = settings["objective"], settings["views"], settings["lr"]
        optimizer = (self.optimizer_name, self.betas)
        _check(self.parameterization, objective, self.network, views, self.steps, lr, *optimizer)

    def _apply_settings(self) -> dict[str, Any]:
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings["lr"]
        for name in self.parameterization.adjustable:
            if getattr(self.parameterization, name) != settings[name]:
                setattr(self.parameterization, name, settings[name])
        return settings

    def __repr__(self) -> str:
        now = f"step {self.step} of {self.steps}"
        value = f", value {self.history[-1]:.3g}" if self.history else ""
        return (
            f"<run of {type(self.parameterization).__name__} for {self.settings['objective']}: {now}{value}>"
        )


def _finite(tensors: Iterable[Tensor | None]) -> bool:
    """Whether all numbers are finite: one NaN or infinite number makes the sum so, and sums are cheap."""
    return all(bool(t.sum().isfinite()) for t in tensors if t is not None)


def _check(
    parameterization: object,
    objective: object,
    network: object,
    views: object,
    steps: int,
    lr: float,
    optimizer: str,
    betas: tuple[float, float],
) -> None:
    if not isinstance(parameterization, Parameterization):
        raise TypeError(
            "the first argument must be a parameterization, such as dip.Fourier(224); got "
            f"{type(parameterization).__name__}"
        )
    if not isinstance(objective, Objective):
        raise TypeError(
            f"the objective must be an Objective, such as dip.channel('features.9', 10); got "
            f"{type(objective).__name__}. A function becomes one by dip.Objective(function, layers=[…])"
        )
    if isinstance(network, nn.Module) and not isinstance(network, Network):
        raise TypeError(
            f"wrap your network first, so that it is frozen and normalises inside: "
            f"dip.Network({type(network).__name__.lower()}, mean=…, std=…)"
        )
    if isinstance(network, Network):
        network.require(name for name in objective.layers if name not in OUTSIDE)
    if not callable(network):
        raise TypeError("the third argument is a network, such as dip.load_network('squeezenet1_1')")
    if not (views is None or callable(views)):
        raise TypeError(f"views must be made by dip.random_views(…), or None; got {type(views).__name__}")
    if not (isinstance(steps, int) and steps >= 0):
        raise ValueError(f"steps must be a whole number, 0 or more; got {steps!r}")
    if not (isinstance(lr, Real) and 0 < lr < math.inf):
        raise ValueError(f"lr must be a number above 0; got {lr!r}")
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}; got {optimizer!r}")
    pair = isinstance(betas, (tuple, list)) and len(betas) == 2 and all(isinstance(b, Real) for b in betas)
    if not (pair and all(0 <= b < 1 for b in betas)):
        raise ValueError(f"betas must be two numbers, 0 or more and below 1, such as {BETAS}; got {betas!r}")
    parameters = [p for p in parameterization.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("this parameterization has no parameters that can be changed")
    if isinstance(network, Network) and parameters[0].device != network.device:
        raise ValueError(
            f"the picture is on {parameters[0].device}, the network on {network.device}: make the "
            "parameterization with device=network.device"
        )


def _explain(error: BaseException, run: Run) -> str | None:
    """The message of a failed step: where, what, what to do. None for what is no error but an interrupt."""
    where = f"step {run.step + 1} of the run failed; the picture of step {run.step} is kept in run.image"
    memory = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)
    full = isinstance(error, (memory, MemoryError)) or any(
        words in str(error) for words in ("can't allocate memory", "out of memory")
    )
    if full:
        return (
            f"{where}. Out of memory: take a smaller picture or crop, a smaller batch, or fewer views (count)"
        )
    if isinstance(error, FloatingPointError):
        what = str(error)
        return (
            f"{where}. {what[:1].upper()}{what[1:]}: rewind and lower lr, or look for a division by 0 or a "
            "root of 0"
        )
    if isinstance(error, Exception):
        return f"{where}. {type(error).__name__}: {error}"
    return None


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


def _plain(value: object) -> object:
    """The same with Python's numbers in place of numpy's, which a file that executes nothing cannot hold."""
    if isinstance(value, Mapping):
        return {_plain(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    if isinstance(value, Integral):
        return value if isinstance(value, bool) else int(value)
    return float(value) if isinstance(value, Real) else value


def _as_data(changes: Mapping[str, Any]) -> dict[str, Any]:
    data = dict(changes)
    if "objective" in data:
        data["objective"] = getattr(data["objective"], "recipe", None)
    if data.get("views") is not None:
        kind = type(data["views"])
        recorded = RECORDED.get(kind.__name__) is kind
        data["views"] = {"kind": kind.__name__, **_fields(data["views"])} if recorded else "its own"
    return data


def _fields(views: Any) -> dict[str, Any]:
    values = {field.name: getattr(views, field.name) for field in fields(views)}
    return {name: value.reference if isinstance(value, Mesh) else value for name, value in values.items()}


def _from_data(
    data: Mapping[str, Any], objective: Objective | None, views: Callable | None
) -> dict[str, Any]:
    changes = dict(data)
    if "objective" in data:
        if data["objective"] is None and objective is None:
            raise ValueError("this run used an objective of its own: Run.load(path, objective=…)")
        changes["objective"] = from_recipe(data["objective"]) if data["objective"] else objective
    if data.get("views") == "its own":
        if views is None:
            raise ValueError("this run used views of its own: Run.load(path, views=…)")
        changes["views"] = views
    elif data.get("views") is not None:
        stored = {"kind": "Views", **data["views"]}  # files of old have views of one kind only
        changes["views"] = RECORDED[stored.pop("kind")](**stored)
    return changes
