"""How things are measured: CPU time of what takes turns, medians of ratios, peak memory in a process of its own."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
MB = 2**20


def wait(device: torch.device) -> None:
    """Until the device has done what it was asked to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def now(device: torch.device) -> float:
    """Seconds of this process's CPU time; of the clock where another device does the work."""
    wait(device)
    return time.process_time() if device.type == "cpu" else time.perf_counter()


def cost(function: Callable[[], object], device: torch.device) -> float:
    """Seconds that a call takes, see :func:`now`."""
    start = now(device)
    function()
    return now(device) - start


def rounds(blocks: Mapping[str, Callable[[], float]], count: int) -> dict[str, list[float]]:
    """What each block reports, summed over the two turns of a round: a b c c b a.

    What drifts within a round (another program, the clock of the processor) so falls on all alike. The first
    round, in which memory is allocated and kernels are chosen, is not counted.
    """
    found: dict[str, list[float]] = {name: [] for name in blocks}
    for turn in range(count + 1):
        spent = dict.fromkeys(blocks, 0.0)
        for name in (*blocks, *reversed(blocks)):
            spent[name] += blocks[name]()
        if turn:
            for name in blocks:
                found[name].append(spent[name])
    return found


def quotient(a: Sequence[float], b: Sequence[float]) -> float:
    """The median of a / b, round by round."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def ratio(a: Callable[[], object], b: Callable[[], object], device: torch.device, turns: int = 12) -> float:
    """Median of cost(a) / cost(b), taken in the order a b b a."""
    blocks = {"a": lambda: cost(a, device), "b": lambda: cost(b, device)}
    found = rounds(blocks, math.ceil(turns / 2))
    return quotient(found["a"], found["b"])


class Stamps:
    """Called once in each step of a loop that is not ours; times so many steps from inside it.

    What the loop does before its first step is left out, and a device is waited for only at both ends.
    """

    def __init__(self, device: torch.device, steps: int) -> None:
        self.device, self.steps, self.calls = device, steps, 0
        self.ends: list[float] = []

    def __call__(self) -> None:
        if self.calls in (0, self.steps):
            self.ends.append(now(self.device))
        self.calls += 1

    @property
    def spent(self) -> float:
        """Seconds from the first call to the one after so many steps."""
        first, last = self.ends
        return last - first


class Reached(Exception):
    """Raised by a layer's hook: what lies behind it need not run."""


def floor(module: nn.Module, layer: str, index: int, image: Tensor) -> Callable[[], Tensor]:
    """The least that a step can cost: forward and backward of the part of the network that is needed.

    Frozen, batch norm folded, in the better of the two memory formats, for a fixed picture that is normalised
    already: no views, no parameterization, no optimizer, no checks.

    Args:
        module: a network in eval mode; its weights are frozen here.
        layer: the last layer that runs; ``""`` is the whole network.
        index: the channel whose mean is the objective.
        image: (N, 3, H, W), normalised.

    Returns a function that returns the objective's gradient by the picture.
    """
    module.requires_grad_(False)

    def make(memory_format: torch.memory_format) -> Callable[[], Tensor]:
        x = image.detach().clone(memory_format=memory_format).requires_grad_()

        def stop(_module: object, _inputs: object, output: Tensor) -> None:
            raise Reached(output)

        def gradient() -> Tensor:
            module.to(memory_format=memory_format)  # costs nothing where it is so already
            handle = module.get_submodule(layer).register_forward_hook(stop) if layer else None
            try:
                activation = module(x)
            except Reached as reached:
                (activation,) = reached.args
            finally:
                if handle:
                    handle.remove()
            return torch.autograd.grad(activation[:, index].mean(), x)[0]

        return gradient

    formats = (torch.channels_last, torch.contiguous_format)
    tried = {str(memory_format): make(memory_format) for memory_format in formats}
    found = rounds({name: lambda f=f: cost(f, image.device) for name, f in tried.items()}, 3)
    best = min(found, key=lambda name: statistics.median(found[name]))
    tried[best]()  # lays the weights out in this format
    return tried[best]


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_of(function: Callable[[], object]) -> int:
    """Bytes by which this process's memory rises above what it held before, at its highest."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # what was freed goes back to the system first
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the highest so far is now
    before = resident()
    function()
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0]) - before


def cuda_peak_of(function: Callable[[], object]) -> int:
    """Bytes by which allocated memory of the GPU rises, at its highest."""
    gc.collect()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    function()
    return torch.cuda.max_memory_allocated() - before


def apart(module: str, *arguments: object) -> Any:
    """What ``python -m module arguments`` prints last, as JSON: a measurement in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[1:])} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])
