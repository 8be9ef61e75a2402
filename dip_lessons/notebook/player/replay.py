"""The code that makes a run's picture again, knob changes included."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...objectives import Objective
from ...objectives.objective import is_specification
from ...parameterizations import Parameterization
from ...parameterizations.base import describe, parameters_of, plain
from ...run import Run, optimize
from ...views import RandomViews


def code(run: Run) -> str:
    """Python code that makes ``run.image`` again, bit for bit on the same device.

    What the package did not make itself (a network, an objective or first values of yours) is left open,
    with a comment that names it.
    """
    first = run.log[0]
    # Not what schedulers begin with: nothing, or one for each group.
    lr = first["lr"] if isinstance(first["lr"], float) and first["lr"] > 0 else run.first_lr
    options = {
        "steps": run.steps,
        "lr": lr,
        "seed": run.seed,
        "optimizer": run.optimizer_name,
        "betas": run.betas,
        "redirect_relu": run.redirect_relu,
    }
    lines = ["import torch", "import dip_lessons as dip", _network(run), _picture(run)]
    if run.optimizer_name is None:
        lines += [f"optimizer = ...  # yours, (parameters, lr) -> {type(run.optimizer).__name__}"]
        del options["optimizer"], options["betas"]
    written = _arguments(options, optimize, keep=("steps", "lr", "seed"))
    written += ", optimizer=optimizer" if run.optimizer_name is None else ""
    lines += [f"{name} = {_written(first[name])}{_yours(first[name])}" for name in ("objective", "views")]
    lines += [f"run = dip.optimize(picture, objective, network, views=views, {written})"]
    reached, before = 0, {**first, "lr": lr, "options": None}
    begun: dict[str, Any] = {n: first[n] for n in ("lr", "options") if n in first and first[n] != before[n]}
    for step, changed in sorted({**run.log, 0: begun}.items()):
        if step <= run.step and changed:
            lines += _change(step - reached, before, changed)
            reached = step
            before.update(changed)
    lines += [f"run.advance({run.step - reached}).image"]
    lines[2:2] = [f"{n} = ...  # yours" for n in ("mesh", "original") if f"{n}={n}" in "".join(lines)]
    return "\n".join(lines if "torch." in "".join(lines) else lines[1:])


def _change(steps: int, before: Mapping[str, Any], changed: Mapping[str, Any]) -> list[str]:
    """The lines that take some steps and change settings then."""
    there, rates = f"run.advance({steps})" if steps else "run", changed.get("lr", 1.0)
    if rates and (not isinstance(rates, tuple) or all(rates)):
        yours = "".join(map(_yours, changed.values()))
        return [f"{there}.set({_changes(before, changed)}){yours}"]
    # A scheduler may bring lr to 0, where ``set`` refuses it.
    others = {name: value for name, value in changed.items() if name != "lr"}
    each = f"zip(run.optimizer.param_groups, {rates if isinstance(rates, tuple) else (rates,)!r})"
    written = f"for group, lr in {each}: group['lr'] = lr"
    return [*(_change(steps, before, others) if others else [there]), written]


def _network(run: Run) -> str:
    loaded = getattr(run.network, "loaded_as", None)
    if loaded is None:
        return f"network = ...  # yours: {getattr(run.network, 'name', type(run.network).__name__)}"
    usual = {"weights": "embedded"}
    others = [f", {k}={v!r}" for k, v in loaded.items() if k != "name" and v != usual.get(k)]
    return f"network = dip.load_network({loaded['name']!r}{''.join(others)})"


def _picture(run: Run) -> str:
    picture = run.parameterization
    if describe(picture) is None:
        return f"picture = ...  # yours: {type(picture).__name__}"
    first = {name: run.log[0][name] for name in picture.adjustable}
    starts = [p for p in _again(picture, first).parameters() if p.requires_grad]
    note = ""
    if not all(map(torch.equal, starts, run.first_parameters)):
        note = "  # it started from other values: set_image(...), or a generator that had been drawn from"
    return f"picture = {_constructor(picture, first)}{note}"


def _again(picture: Parameterization, first: Mapping[str, Any]) -> Parameterization:
    """The same picture as it was when made, with these first values of what can be adjusted."""
    settings: dict[str, Any] = {
        n: _again(v, {}) if isinstance(v, Parameterization) else v
        for n, v in {**picture.settings(), **first}.items()
    }
    if any(isinstance(v, Parameterization) for v in settings.values()):
        return type(picture)(**settings)  # draws from the generator of what it is made of
    seed = picture.generator.initial_seed()
    return type(picture)(**settings, generator=torch.Generator().manual_seed(seed))


def _constructor(picture: Parameterization, first: Mapping[str, Any]) -> str:
    """The call that makes it; the first setting, and what it is made of, stand without a name."""
    kind, settings = type(picture), {**picture.settings(), **first}
    parts = [n for n, v in settings.items() if isinstance(v, Parameterization)]
    written = [_constructor(settings.pop(n), {}) for n in parts]
    if not parts:
        height, width = settings.pop("size")
        written = [str(height if width == kind.aspect * height else (height, width))]
    written += [_arguments(settings, kind)]
    if not parts:
        if seed := picture.generator.initial_seed():
            written += [f"generator=torch.Generator().manual_seed({seed})"]
        written += ["device=network.device"]
    return f"dip.{kind.__name__}({', '.join(filter(None, written))})"


def _arguments(values: Mapping[str, object], function: Any, keep: tuple[str, ...] = ()) -> str:
    """Keyword arguments, without those that are the function's defaults."""
    defaults = (
        parameters_of(function) if isinstance(function, type) else inspect.signature(function).parameters
    )
    return ", ".join(f"{n}={_shown(v)}" for n, v in values.items() if n in keep or v != defaults[n].default)


def _shown(value: object) -> str:
    """A value as code; a mesh and a texture of the reader's own have a name."""
    value = plain(value)
    if isinstance(value, Tensor):
        return "original"
    own = isinstance(value, tuple) and any(isinstance(part, Tensor) for part in value)
    return "mesh" if own else repr(value)


def _changes(before: Mapping[str, Any], changed: Mapping[str, Any]) -> str:
    """The arguments of ``run.set``; of views, only the fields that differ."""
    written = []
    for name, value in changed.items():
        old: Any = before.get(name)
        if isinstance(value, RandomViews) and type(value) is type(old) and _steps(value) == _steps(old):
            was = old.settings()
            written += [
                f"{field}={_shown(new)}" for field, new in value.settings().items() if was[field] != new
            ]
        else:
            written += [f"{name}={_written(value)}"]
    return ", ".join(written)


def _written(value: Any) -> str:
    if isinstance(value, RandomViews) and hasattr(value, "made_by"):
        now = value.settings()
        strength = now.pop("strength", 1)
        change = f".change(strength={strength!r})" if strength != 1 else ""
        change += "".join(f".then({_name(f)}, first=True)" for f in value.before)
        change += "".join(f".then({_name(f)})" for f in value.after)
        return f"dip.{value.made_by}({_arguments(now, _maker(value))}){change}"
    if _yours(value):
        return "..."
    return _objective(value.specification or ()) if isinstance(value, Objective) else repr(value)


def _maker(views: RandomViews) -> Any:
    """The function that makes such views; it stands beside their class."""
    return getattr(sys.modules[type(views).__module__], views.made_by)


def _yours(value: Any) -> str:
    """A comment that names what cannot be written down."""
    if isinstance(value, Objective):
        return "" if value.specification else f"  # yours: {value.code}"
    own = _steps(value) if hasattr(value, "made_by") else [value] if callable(value) else []
    return f"  # yours: {', '.join(map(_name, own))}" if own else ""


def _steps(views: Any) -> list[Any]:
    """The steps of one's own among views."""
    return [*getattr(views, "before", ()), *getattr(views, "after", ())]


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _objective(specification: tuple) -> str:
    name, *arguments = specification
    if name == "number":
        return repr(arguments[0])
    if name in "+-*":
        return f"({_objective(arguments[0])} {name} {_objective(arguments[1])})"
    written = [_objective(a) if is_specification(a) else repr(a) for a in arguments]
    return f"dip.{name}({', '.join(written)})"
