"""What a step costs: against Lucent, torch-dreams and horama, and against the floor."""

from __future__ import annotations

import copy
import statistics
from collections.abc import Callable

import torch

import dip_lessons as dip

from . import peers
from .cases import DENSE, INDEX, STEPS, Case, agree, parts
from .measure import cost, floor, quotient, rounds

FLOOR = {224: 1.15, 128: 1.25}  # a step may cost that much of its floor, by size
BLOCK = {"cpu": 4, "cuda": 50}  # steps that are timed together


def block_of(device: torch.device) -> int:
    """How many steps are timed together on a device."""
    return BLOCK["cuda" if device.type == "cuda" else "cpu"]


def our_run(case: Case, *, batch: int = 1, steps: int = 10**6, network: dip.Network | None = None) -> dip.Run:
    """Our standard run: Fourier picture, the standard views, Adam at .05."""
    network = network or parts(case.name).network
    picture = dip.Fourier(case.size, batch=batch, device=network.device)
    objective = dip.channel(case.layer, INDEX)
    return dip.optimize(picture, objective, network, views=dip.standard_views(), steps=steps)


def our_seconds(run: dip.Run) -> Callable[[], float]:
    """Seconds for a block of our steps, beyond those in which dead ReLUs are redirected."""
    device, block = run.network.device, block_of(run.network.device)
    run.advance(run.redirect_relu)
    return lambda: cost(lambda: run.advance(block), device)


def least_seconds(case: Case, *, batch: int = 1) -> Callable[[], float]:
    """Seconds for a block of floors."""
    p = parts(case.name)
    shape = (batch, 3, case.size, case.size)
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(p.network.device)
    least = floor(p.folded, case.layer, INDEX, p.normalise(image))
    return lambda: cost(lambda: [least() for _ in range(block_of(image.device))], image.device)


def holds(value: float, bound: float, *, least: bool) -> str:
    """The bound and whether it holds."""
    met = value >= bound if least else value <= bound
    return f"{'≥' if least else '≤'} {bound:.2f} {'holds' if met else 'MISSED'}"


def steps(quick: bool) -> None:
    """One step of each in turn; Lucent also with the network's input as large as ours."""
    count = 2 if quick else 6
    print(f"\none step, channel {INDEX}, fp32: CPU milliseconds, ratios          (medians of {count} rounds)")
    print(
        f"{'':34}{'floor':>7}{'ours':>7}{'ours/floor':>12}{'':16}{'Lucent':>8}{'/ ours':>8}{'':15}"
        f"{'same input':>11}{'torch-dreams':>13}"
    )
    for case in STEPS:
        if case.name.startswith("efficientnet") and not peers.has("timm"):
            print(f"{case.title:34} timm is not installed")
            continue
        p = parts(case.name)
        block = block_of(p.network.device)
        difference = agree(case)
        assert difference < 1e-3, f"{case.title}: our activations differ by {difference:.1e}"
        blocks = {"floor": least_seconds(case), "ours": our_seconds(our_run(case))}
        if peers.has("torch-lucent"):
            for name, same in {"lucent": False, "same": True}.items():
                lucent = peers.Lucent(p.module, p.normalise, case.layer, INDEX, case.size, same_input=same)
                blocks[name] = lambda lucent=lucent, block=block: lucent.seconds(block)
        if peers.has("torch-dreams"):
            dreams = peers.dreams(p.module, case.layer, INDEX, case.size)
            blocks["dreams"] = lambda dreams=dreams, block=block: dreams(block)
        found = rounds(blocks, count)
        row(case, found)


def row(case: Case, found: dict[str, list[float]]) -> None:
    """Print what the contestants of a case took."""
    block = block_of(parts(case.name).network.device)
    ms = {name: 1000 * statistics.median(times) / (2 * block) for name, times in found.items()}
    over = quotient(found["ours"], found["floor"])
    line = f"{case.title:34}{ms['floor']:7.0f}{ms['ours']:7.0f}{over:12.2f} "
    line += f"{holds(over, FLOOR[case.size], least=False):15}"
    if "lucent" in found:
        times, same = (quotient(found[name], found["ours"]) for name in ("lucent", "same"))
        bound = case.bound or quotient(found["lucent"], found["floor"]) / FLOOR[case.size]
        line += f"{ms['lucent']:8.0f}{times:8.2f} {holds(times, bound, least=True):14}{same:11.2f}"
    if "dreams" in found:
        line += f"{quotient(found['dreams'], found['ours']):13.2f}"
    print(line, flush=True)


def bf16(quick: bool) -> None:
    """``load_network(…, precision="bfloat16")``, which has to be asked for, on dense convolutions."""
    count = 2 if quick else 6
    print("\none step, the network in bfloat16 (ours only) against Lucent's fp32")
    for case in DENSE:
        p = parts(case.name)
        half = copy.deepcopy(p.network)
        half.module.to(torch.bfloat16)
        blocks = {"fp32": our_seconds(our_run(case)), "bf16": our_seconds(our_run(case, network=half))}
        if peers.has("torch-lucent"):
            lucent = peers.Lucent(p.module, p.normalise, case.layer, INDEX, case.size)
            blocks["lucent"] = lambda lucent=lucent: lucent.seconds(block_of(lucent.device))
        found = rounds(blocks, count)
        line = f"{case.title:34} our fp32 / our bf16 {quotient(found['fp32'], found['bf16']):6.2f}"
        if "lucent" in found:
            times = quotient(found["lucent"], found["bf16"])
            line += f"   Lucent / our bf16 {times:6.2f} {holds(times, 3.8, least=True)}"
        print(line, flush=True)


def maco(quick: bool, size: int = 1280, crops: int = 6) -> None:
    """Phases only, 1280 px, six crops a step, NAdam at 1, towards a class: ResNet18 is horama's own example."""
    count = 1 if quick else 4
    print(f"\none step of MACO, {size} px, {crops} crops of 224 px, towards a class")
    # Theirs shows .25 to .30 of the picture's side, shrunk to 224 px, with noise of .05.
    near = (224 / (0.30 * size), 224 / (0.25 * size))
    views = dip.random_views(crop=224, scale=near, noise=0.05, count=crops)
    for name in ("resnet18", "resnet50", "googlenet", "inception_v3", "efficientnet_lite0", "squeezenet1_1"):
        if name.startswith("efficientnet") and not peers.has("timm"):
            continue
        p = parts(name)
        device = p.network.device
        picture = dip.PhaseOnly(size, device=device)
        options = {"views": views, "optimizer": "nadam", "redirect_relu": 0, "steps": 10**6}
        run = dip.optimize(picture, dip.logit(INDEX), p.network, **options)
        blocks = {"ours": lambda run=run, device=device: cost(lambda: run.advance(2), device)}
        if peers.has("horama"):
            theirs = peers.maco(p.module, INDEX, size, crops)
            blocks["horama"] = lambda theirs=theirs: theirs(2)
        found = rounds(blocks, count)
        line = f"{name:34} ours {1000 * statistics.median(found['ours']) / 4:8.0f} ms"
        if "horama" in found:
            times = quotient(found["horama"], found["ours"])
            line += f"   horama / ours {times:6.2f} {holds(times, 2.3, least=True)}"
        print(line, flush=True)


def gpu(quick: bool) -> None:
    """Where launching kernels is what takes time, one picture; and 32 pictures against the floor."""
    if dip.device().type != "cuda":
        print("\ngpu: not measured; with CUDA: python -m tests.bench gpu --cuda")
        return
    count = 2 if quick else 6
    print(
        f"\nsteps a second on the GPU, 224 px{'':14}batch 1: ours  Lucent  ours / Lucent{'':18}batch 32: ours / floor"
    )
    for case in (case for case in STEPS if case.size == 224):
        if case.name.startswith("efficientnet") and not peers.has("timm"):
            continue
        p = parts(case.name)
        blocks = {"ours": our_seconds(our_run(case))}
        if peers.has("torch-lucent"):
            lucent = peers.Lucent(p.module, p.normalise, case.layer, INDEX, case.size)
            blocks["lucent"] = lambda lucent=lucent: lucent.seconds(block_of(lucent.device))
        one = rounds(blocks, count)
        rate = {
            name: 2 * block_of(p.network.device) / statistics.median(times) for name, times in one.items()
        }
        line = f"{case.title:34}{rate['ours']:26.1f}"
        if "lucent" in one:
            times = quotient(one["lucent"], one["ours"])
            line += f"{rate['lucent']:8.1f}{times:15.2f} {holds(times, 6.0, least=True):14}"
        many = rounds(
            {"ours": our_seconds(our_run(case, batch=32)), "floor": least_seconds(case, batch=32)}, count
        )
        over = quotient(many["ours"], many["floor"])
        print(f"{line}{over:12.2f} {holds(over, 1.15, least=False)}", flush=True)
