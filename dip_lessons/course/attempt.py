"""A learner's answer at work, in a process of its own, and what comes back from there: numbers, never objects."""

from __future__ import annotations

import ast
import base64
import contextlib
import json
import linecache
import os
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import check, notebooks
from .check import Exercise
from .check.verdict import Outcome, withhold
from .environment import setup

LARGEST = 64 * 2**20  # bytes of what one answer may give
KINDS = "biufc"  # numpy's kinds of numbers: what may come back


class Crash(Exception):
    """Why there is no verdict."""


def attempt(name: str, cells: Mapping[int, str], folder: Path, results: Connection, memory: int) -> None:
    """Execute what an answer needs of a notebook, let it answer the cases, and send what it gave.

    This is the body of a process that ends with it: it gives up standard input and output, its working
    directory, and, on Linux, memory beyond a limit.

    Args:
        name: of the exercise, and of the learner's function.
        cells: {number: source}, the notebook's code cells.
        folder: the working directory.
        results: the pipe to send it through, by :func:`read` to be read.
        memory: bytes that may be taken beyond what the packages take.
    """
    exercise = getattr(check, name)  # before anything of the learner's runs
    for other in vars(check).values():
        if isinstance(other, Exercise):
            other.mistakes = {}
    withhold()
    _retire(folder, memory)
    try:
        content: dict[str, object] = {"outcomes": list(map(_plain, _outcomes(exercise, name, cells)))}
    except BaseException as error:  # SystemExit too
        content = {"crash": str(error) if isinstance(error, Crash) else f"{type(error).__name__}: {error}"}
    results.send_bytes(json.dumps(content).encode("utf-8", errors="replace"))
    os._exit(0)  # whatever the learner's threads and exit handlers may want


def _outcomes(exercise: Exercise, name: str, cells: Mapping[int, str]) -> list[Outcome]:
    try:
        own = notebooks.handed_in(cells, name)
        parts = notebooks.answer(cells, own, check=name)
    except SyntaxError as error:
        where = error.filename if error.lineno is None else f"{error.filename}, line {error.lineno}"
        raise Crash(f"the cell that defines it is no Python: {error.msg} ({where})") from error
    if parts is None:
        return [Outcome(unattempted=True, stopped="the notebook defines no function of this name")]
    if not parts:
        return [Outcome(unattempted=True)]
    setup(seed=0)
    namespace: dict[str, Any] = {"__name__": "__main__", "dip": sys.modules["dip_lessons"]}
    troubles = []
    for part in parts:
        try:
            _execute(part, namespace)
        except BaseException as error:  # as in a notebook, where the next cell can be executed all the same
            troubles.append(f"cell {part.cell} stopped with {type(error).__name__}: {error}")
    if own not in namespace:
        raise Crash(troubles[-1] if troubles else f"{own} was not defined")
    outcomes = exercise.outcomes(namespace[own])
    if outcomes[-1].stopped and troubles:
        outcomes[-1].stopped += f"; before that, {troubles[0]}"
    return outcomes


def _retire(folder: Path, memory: int) -> None:
    """Give up what a learner's code should not hold: the terminal, the working directory, endless memory."""
    if hasattr(os, "setsid"):
        os.setsid()  # so that what it starts can be ended with it
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    sys.stdout = sys.stderr = os.fdopen(nothing, "w", encoding="utf-8", errors="replace")
    os.chdir(folder)
    # Verdicts are the same on all machines: without a GPU, which a limit of memory would keep from starting.
    os.environ.update(DIP_BUDGET="quick", MPLBACKEND="agg", CUDA_VISIBLE_DEVICES="")
    torch.set_num_threads(1)
    if sys.platform.startswith("linux"):  # other systems have no such limit, or do not keep it
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        for what, limit in ((resource.RLIMIT_AS, taken + memory), (resource.RLIMIT_FSIZE, 4 * LARGEST)):
            with contextlib.suppress(ValueError, OSError):  # a stricter limit is there already
                resource.setrlimit(what, (limit, limit))


def _execute(part: notebooks.Part, namespace: dict[str, object]) -> None:
    """Execute statements of a cell; tracebacks find their lines, as in a notebook."""
    file = f"<cell {part.cell}>"
    linecache.cache[file] = (len(part.python), None, part.python.splitlines(True), file)
    body = ast.parse(part.python).body
    module = ast.Module([body[i] for i in part.statements], type_ignores=[])
    exec(compile(module, file, "exec"), namespace)


# --- what comes back --------------------------------------------------------------------------------------


def _plain(outcome: Outcome) -> dict:
    return {
        "value": _number(outcome.value),
        "gradients": [_number(gradient) for gradient in outcome.gradients],
        "changed": outcome.changed,
        "stopped": outcome.stopped,
        "unattempted": outcome.unattempted,
    }


def _number(value: object) -> dict | str | None:
    """A tensor, or what can be made one, as its bytes; of anything else, the name of its type."""
    if value is None:
        return None
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return type(value).__name__
    tensor = tensor.detach().to("cpu")
    tensor = tensor.float() if tensor.dtype == torch.bfloat16 else tensor  # which numpy does not have
    array = tensor.to_dense().resolve_conj().resolve_neg().contiguous().numpy()
    if array.nbytes > LARGEST // 4:
        raise Crash(f"the result holds {array.nbytes / 1e6:,.0f} MB")
    return {
        "type": array.dtype.str,
        "shape": array.shape,
        "bytes": base64.b64encode(array.tobytes()).decode("ascii"),
    }


def read(result: bytes) -> list[Outcome]:
    """What :func:`attempt` sent. It may be a forgery: nothing in it is executed.

    Raises:
        Crash: there are no outcomes in it; the message says why.
    """
    try:
        content = json.loads(result)
        if "crash" in content:
            raise Crash(str(content["crash"]))
        return [_outcome(plain) for plain in content["outcomes"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Crash(f"the result cannot be read ({type(error).__name__})") from error


def _outcome(plain: dict) -> Outcome:
    return Outcome(
        value=_value(plain["value"]),
        gradients=[_tensor(g) for g in plain["gradients"]],
        changed=bool(plain["changed"]),
        stopped=str(plain["stopped"]),
        unattempted=bool(plain["unattempted"]),
    )


def _value(plain: dict | str | None) -> object:
    # An object of a type of that name is all that a verdict needs.
    return type(plain[:80], (), {})() if isinstance(plain, str) else _tensor(plain)


def _tensor(plain: dict | None) -> Tensor | None:
    if plain is None:
        return None
    kind = np.dtype(plain["type"])
    if kind.kind not in KINDS:
        raise ValueError(f"{kind} is no type of numbers")
    array = np.frombuffer(base64.b64decode(plain["bytes"]), dtype=kind)
    return torch.from_numpy(array.reshape(plain["shape"]).copy())
