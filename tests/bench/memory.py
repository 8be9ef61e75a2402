"""How much memory a run takes at its highest, and what it leaves behind."""

from __future__ import annotations

import gc
import json
import sys

import torch

from . import peers
from .cases import INDEX, STEPS, Case, parts
from .measure import MB, apart, cuda_peak_of, peak_of, resident
from .steps import holds, our_run

BOUNDS = {"googlenet": 0.45, "resnet50": 0.45, "vgg16": 0.65}  # our share of Lucent's peak


def memory(quick: bool) -> None:
    """Peaks above what is held when the network is there, each in a process of its own."""
    steps = 4 if quick else 8
    print(f"\npeak memory of {steps} steps above the network's own, MB")
    for case in STEPS:
        if case.name not in BOUNDS:
            continue
        ours = apart("tests.bench.memory", case.name, "ours", steps)
        line = f"{case.title:34} ours {ours / MB:6.0f}"
        if peers.has("torch-lucent"):
            theirs, same = (apart("tests.bench.memory", case.name, who, steps) for who in ("lucent", "same"))
            line += (
                f"   Lucent {theirs / MB:6.0f}   ours / Lucent {ours / theirs:5.2f} "
                f"{holds(ours / theirs, BOUNDS[case.name], least=False):15}   same input {ours / same:5.2f}"
            )
        print(line, flush=True)


def leftovers(quick: bool) -> None:
    """Hooks and gradients on the network after a run; memory after {count} runs against after one."""
    count = 10 if quick else 100
    case = Case("squeezenet1_1", "features.9", 64)
    p = parts(case.name)
    our_run(case, steps=8).finish()
    print("\nleft on the network after a run      hooks  gradients")
    print(
        f"{'ours':34}{hooks(p.network):8}{gradients(p.network):11}   = 0 "
        f"{'holds' if hooks(p.network) + gradients(p.network) == 0 else 'MISSED'}"
    )
    if peers.has("torch-lucent"):
        lucent = peers.Lucent(p.module, p.normalise, case.layer, INDEX, case.size)
        lucent.forget = lambda: None
        lucent.render(8)
        print(f"{'Lucent':34}{hooks(p.module):8}{gradients(p.module):11}")
        peers.Lucent.forget(lucent)
        p.module.zero_grad()
    held = apart("tests.bench.memory", case.name, "runs", count)
    share = held[-1] / held[0]
    print(f"memory after {count} runs / after 1 {share:11.3f} = 1.0 {'holds' if share < 1.05 else 'MISSED'}")


def hooks(module: torch.nn.Module) -> int:
    """How many hooks are on a network's parts."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return sum(len(getattr(part, kind)) for part in module.modules() for kind in kinds)


def gradients(module: torch.nn.Module) -> int:
    """How many of a network's parameters hold a gradient."""
    return sum(p.grad is not None for p in module.parameters())


def _one(name: str, who: str, steps: int) -> int:
    """The peak of one contestant; every process measures one."""
    case = next(case for case in STEPS if case.name == name)
    p = parts(name)
    peak = cuda_peak_of if p.network.device.type == "cuda" else peak_of
    if who == "ours":
        p.module = p.folded = None
        return peak(lambda: our_run(case).advance(steps))
    lucent = peers.Lucent(p.module, p.normalise, case.layer, INDEX, case.size, same_input=who == "same")
    p.network = p.folded = None
    return peak(lambda: lucent.render(steps))


def _runs(name: str, count: int) -> list[int]:
    """Bytes held after each of many short runs, beyond the first few that warm up."""
    held = []
    for _ in range(count):
        our_run(Case(name, "features.9", 64), steps=3).finish()
        gc.collect()
        held.append(resident())
    return held


if __name__ == "__main__":
    name, who, *rest = sys.argv[1:]
    print(json.dumps(_runs(name, int(rest[0])) if who == "runs" else _one(name, who, int(rest[0]))))
