"""Checkpoints in memory, by which a run goes back; and files, in which it is kept as numbers and names alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import registry
from ..atomic import atomic_write
from ..networks import load_network
from ..objectives import Memory, Objective, from_specification
from ..parameterizations import Parameterization, describe, from_description
from ..parameterizations.base import plain
from ..views import RandomViews
from .checks import BETAS

FORMAT = "dip_lessons run 1"
CHECKPOINT_BYTES = 256 * 2**20  # beyond this, every second checkpoint is dropped


class Checkpoints:
    """States of a run by their step: every 16th, or fewer where they are large."""

    def __init__(self) -> None:
        self.states: dict[int, dict[str, Any]] = {}
        self.every = 16

    def keep(self, state: dict[str, Any]) -> None:
        """Keep a state; when all together are too large, half of them go."""
        self.states[state["step"]] = state
        # Values and Adam's two moments, and what the objective remembers.
        size = 3 * sum(p.numel() * p.element_size() for p in state["parameters"])
        size += sum(mean.numel() * mean.element_size() for mean, _ in state["memory"].values())
        if len(self.states) > max(4, CHECKPOINT_BYTES // max(size, 1)):
            self.every *= 2
            self.states = {step: s for step, s in self.states.items() if step % self.every == 0}

    def before(self, step: int) -> int:
        """The last kept step up to this one."""
        return max(s for s in self.states if s <= step)

    def forget_after(self, step: int) -> None:
        """Drop all that lies beyond a step."""
        self.states = {s: state for s, state in self.states.items() if s <= step}


def state_of(
    step: int,
    parameters: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    memory: Memory,
) -> dict[str, Any]:
    """All that the next step depends on, but for the settings: copies, on the CPU."""
    return {
        "step": step,
        "parameters": [p.detach().cpu().clone() for p in parameters],
        "optimizer": copy.deepcopy(optimizer.state_dict()),
        "generator": generator.get_state(),
        "memory": memory.means.copy(),  # means are replaced, never changed
    }


def restore(
    state: Mapping[str, Any],
    parameters: list[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
    *,
    own: bool,
) -> Memory:
    """Put a state back; the objective's memory is returned. ``own``: the optimizer is the user's, groups and all."""
    shapes = [tuple(map(tuple, (p.shape for p in part))) for part in (parameters, state["parameters"])]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"the stored parameters have shapes {list(shapes[1])}, this parameterization's have {list(shapes[0])}: "
            "make it with the same arguments"
        )
    with torch.no_grad():
        for parameter, value in zip(parameters, state["parameters"], strict=True):
            parameter.copy_(value)
    # A named optimizer's options are this torch's, whichever torch wrote the state.
    options = (copy.deepcopy(state["optimizer"]) if own else optimizer.state_dict())["param_groups"]
    moments = copy.deepcopy(state["optimizer"]["state"])
    optimizer.load_state_dict({"state": moments, "param_groups": options})
    generator.set_state(state["generator"])
    return Memory(state.get("memory"))  # files of old have none


def fixed_of(parameterization: Parameterization, parameters: list[nn.Parameter]) -> dict[str, Tensor]:
    """What a picture is made of besides the parameters that change: a prior's noise, say."""
    changing = set(map(id, parameters))
    state = parameterization.state_dict(keep_vars=True)
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    return {name: value.detach().cpu() for name, value in tensors.items() if id(value) not in changing}


def write(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a run's content as numbers and names alone; an old file survives all failures."""
    with atomic_write(path) as part, open(part, "wb") as file:
        torch.save(_numbers({"format": FORMAT, **content}), file)
    return path


def read(path: Any) -> dict[str, Any]:
    """Read what :func:`write` wrote; nothing in the file is executed. Raises ValueError for another file."""
    with open(path, "rb") as file:
        try:
            content = torch.load(file, map_location="cpu", weights_only=True)
            if content["format"] != FORMAT:
                raise KeyError
        except Exception as error:
            raise ValueError(f"{path} is not a complete file of Run.save ({type(error).__name__})") from error
    return content


def content_of(run: Any, state: Mapping[str, Any]) -> dict[str, Any]:
    """All of a run that a file keeps, ``state`` being its present one."""
    name = type(run.parameterization).__qualname__
    return {
        "parameterization": describe(run.parameterization) or {"kind": name, "settings": None},
        "fixed": fixed_of(run.parameterization, run.parameters),
        "network": getattr(run.network, "loaded_as", None),
        **{what: getattr(run, what) for what in ("steps", "seed", "betas", "redirect_relu", "step")},
        "lr": run.first_lr,
        "optimizer": run.optimizer_name,
        "log": {step: as_data(changes) for step, changes in run.log.items()},
        "history": list(run._history),
        "values": list(run._values),
        "checkpoints": {**run._checkpoints.states, run.step: state},
    }


def parts_in(path: Any, *, device: Any = None, **own: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Of a file, the arguments that make the run again, and what it had reached.

    Args:
        path: of the file.
        device: where a network that is loaded again shall live.
        own: the parameterization, objective, network, views and optimizer that were handed in; None for others.

    Raises ValueError for a part of one's own that was not handed in.
    """
    content = read(path)
    network, picture, optimizer = (
        own["network"],
        own["parameterization"],
        content["optimizer"] or own["optimizer"],
    )
    for what, missing in (("network", network or content["network"]), ("optimizer", optimizer)):
        if missing is None:
            raise ValueError(
                f"this run used a{'n' * (what[0] == 'o')} {what} of its own: Run.load(path, {what}=…)"
            )
    if network is None:
        network = load_network(device=device, **content["network"])
    if picture is None:
        try:
            picture = from_description(content["parameterization"])
        except ValueError as error:
            raise ValueError(
                f"this run used {content['parameterization']['kind']}, not the package's: Run.load(path, "
                "parameterization=…), or import the module that enters it in the registry first"
            ) from error
    picture.load_state_dict(content.get("fixed", {}), strict=False)
    picture.to(getattr(network, "device", device))
    log = {
        step: from_data(changes, own["objective"], own["views"]) for step, changes in content["log"].items()
    }
    parts = {
        "parameterization": picture,
        "objective": log[0]["objective"],
        "network": network,
        "views": log[0]["views"],
        "lr": content.get("lr", log[0]["lr"]),
        "optimizer": optimizer,
        "betas": content.get("betas", BETAS),  # files of old have neither
        **{what: content[what] for what in ("steps", "seed", "redirect_relu")},
    }
    history, unknown = content["history"], [float("nan")] * picture.batch
    of_old = [[mean] if picture.batch == 1 else unknown for mean in history]  # whose files have means only
    kept = {"log": log, "history": history, "values": content.get("values", of_old)}
    return parts, {**kept, "checkpoints": content["checkpoints"], "step": content["step"]}


def as_data(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as plain data; an objective or views of one's own leave a note in their place."""
    data = dict(changes)
    if "objective" in data:
        data["objective"] = getattr(data["objective"], "specification", None)
    views = data.get("views")
    if isinstance(views, RandomViews) and registry.knows("views", type(views)):
        kind, room = type(views), registry.room_of(type(views))
        data["views"] = {"kind": kind.__name__, **{n: plain(v) for n, v in views.settings().items()}}
        data["views"] |= {"room": room} if room else {}
        for when in ("before", "after"):
            if steps := getattr(views, when):
                data["views"][when] = [
                    {
                        "name": getattr(f, "__name__", type(f).__name__),
                        "known": registry.knows("transform", f),
                    }
                    for f in steps
                ]
    elif views is not None:
        data["views"] = "its own"
    return data


def from_data(data: Mapping[str, Any], objective: Objective | None, views: Callable | None) -> dict[str, Any]:
    """The inverse of :func:`as_data`, with the objective and the views that were handed in for one's own."""
    changes = dict(data)
    if "objective" in data:
        if data["objective"] is None and objective is None:
            raise ValueError("this run used an objective of its own: Run.load(path, objective=…)")
        changes["objective"] = from_specification(data["objective"]) if data["objective"] else objective
    if data.get("views") == "its own":
        if views is None:
            raise ValueError("this run used views of its own: Run.load(path, views=…)")
        changes["views"] = views
    elif data.get("views") is not None:
        stored = {"kind": "Views", **data["views"]}  # files of old have views of one kind only
        kind = registry.find("views", stored.pop("kind"), stored.pop("room", None))
        for when in ("before", "after"):
            stored[when] = _steps(when, stored.get(when, ()), views)
        changes["views"] = kind(**stored)
    return changes


def _steps(when: str, stored: Any, views: Callable | None) -> tuple[Callable, ...]:
    if all(step["known"] for step in stored):
        return tuple(registry.find("transform", step["name"]) for step in stored)
    handed = getattr(views, when, ())
    if len(handed) != len(stored):
        names = ", ".join(step["name"] for step in stored)
        raise ValueError(
            f"these views have steps of yours ({names}): hand them in, Run.load(path, views=….then(…))"
        )
    return tuple(handed)


def _numbers(value: object) -> object:
    """The same with Python's numbers in place of numpy's, which a file that executes nothing cannot hold."""
    if isinstance(value, Mapping):
        return {_numbers(key): _numbers(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_numbers, value))
    if isinstance(value, Integral):
        return value if isinstance(value, bool) else int(value)
    return float(value) if isinstance(value, Real) else value
