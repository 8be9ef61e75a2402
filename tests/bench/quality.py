"""CPU time until a picture is as good as Lucent's after 512 steps, and how good that is.

Speed is worth nothing if the picture is worse. So a picture is judged by what it was not made for: as it is, over
64 views that nobody trained on, blurred, and by a second network. Lucent's chain of five resamplings is a hidden
low-pass; what is fast because it lacks one does well as it is and badly blurred.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import dip_lessons as dip
from dip_lessons.metrics import HELD_OUT_SEED, high_frequency_share, robust_value, saturated_share, value
from dip_lessons.views.affine import gaussian_blur

from . import peers
from .cases import parts
from .measure import now
from .steps import holds

SIZE, LUCENT_STEPS, SHARE = 224, 512, 0.98
EVERY = 16  # steps between two looks at our picture
VIEWS = 64  # held-out views, with a seed that no run has
BLUR = 1.0  # standard deviation in pixels
SECOND = {"squeezenet1_1": "inception_v3", "inception_v3": "squeezenet1_1"}
CLASSES = ("zebra", "goldfish", "espresso")
ALL_FOUR = ("clean", "blurred", "held-out", "second")  # values that a picture of a class is judged by
CHANNELS = (10, 44, 200)  # of SqueezeNet's features.9

Judge = Callable[[Tensor], float]
Views = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True)
class Task:
    """What is maximised, in our words and in Lucent's."""

    network: str
    objective: dip.Objective
    layer: str  # Lucent's name for it
    index: int


@dataclass(frozen=True)
class Look:
    """Our picture after so many steps and seconds."""

    step: int
    seconds: float
    picture: Tensor


def enough(goal: float) -> float:
    """98 % of a value of Lucent's, which may be negative."""
    return goal - (1 - SHARE) * abs(goal)


@dataclass
class Race:
    """What came of it: ours at every look, by the name of our run; Lucent's at the end."""

    judges: Mapping[str, Judge]
    theirs: Tensor
    seconds: float  # Lucent's, for all its steps
    ours: Mapping[str, list[Look]]

    def __post_init__(self) -> None:
        self.goals = {name: judge(self.theirs) for name, judge in self.judges.items()}

    def reached(self, run: str, names: Sequence[str]) -> Look | None:
        """The first look at which our picture has 98 % of all these values of Lucent's; None if there is none."""
        for look in self.ours[run]:
            if all(self.judges[name](look.picture) >= enough(self.goals[name]) for name in names):
                return look
        return None


def race(
    task: Task,
    runs: Mapping[str, dip.Run],
    judges: Mapping[str, Judge],
    steps: int = LUCENT_STEPS,
    seed: int = 0,
) -> Race:
    """Run Lucent, and our runs in its pauses: all in the same minutes, each with a clock of its own."""
    p = parts(task.network)
    device = p.network.device
    entered: list[float] = []
    left: list[float] = []
    ours: dict[str, list[Look]] = {name: [] for name in runs}
    spent = dict.fromkeys(runs, 0.0)

    def each() -> None:
        entered.append(now(device))
        if len(entered) % EVERY == 0:
            for name, run in runs.items():
                if run.step >= run.steps:
                    continue
                start = now(device)
                run.advance(EVERY)
                spent[name] += now(device) - start
                ours[name].append(Look(run.step, spent[name], run.image))
        left.append(now(device))

    lucent = peers.Lucent(p.module, p.normalise, task.layer, task.index, SIZE)
    (picture,) = lucent.render(steps, each, seed=seed)
    between = sum(b - a for a, b in zip(left, entered[1:], strict=False))
    return Race(judges, picture.to(device), between * steps / (steps - 1), ours)


def judges(task: Task) -> dict[str, Judge]:
    """How good a picture is: cheap ones first."""
    network = parts(task.network).network
    second = dip.load_network(SECOND[task.network])

    def lucents(image: Tensor) -> float:
        generator = torch.Generator().manual_seed(HELD_OUT_SEED)
        with torch.no_grad():
            seen = [value(peers.Lucent.sees(image, generator), task.objective, network) for _ in range(VIEWS)]
        return float(torch.stack(seen).mean())

    blur = torch.tensor([BLUR], device=network.device)
    found: dict[str, Judge] = {
        "clean": lambda image: float(value(image, task.objective, network)),
        "blurred": lambda image: float(value(gaussian_blur(image, blur), task.objective, network)),
        "held-out": lambda image: float(robust_value(image, task.objective, network, count=VIEWS)),
        "Lucent's": lucents,
    }
    if task.layer == "labels":  # a class has the same meaning to both
        found["second"] = lambda image: float(robust_value(image, task.objective, second, count=VIEWS))
    return found


def glare(picture: Tensor) -> dict[str, float]:
    """What a high value can be bought with: percent of power in fine waves, percent of values near 0 and 1."""
    return {
        "fine %": 100 * float(high_frequency_share(picture)),
        "saturated %": 100 * float(saturated_share(picture)),
    }


def report(title: str, r: Race, names: Sequence[str]) -> dict[str, float]:
    """Print a race, and return our times to the values named as shares of Lucent's (infinite if not reached)."""
    print(title)
    columns = [*r.judges, *glare(r.theirs)]
    print(f"    {'':34}{'CPU time':>9}" + "".join(f"{name:>13}" for name in columns))
    rows = {f"Lucent, {LUCENT_STEPS} steps": (1.0, r.theirs)}
    shares = {}
    for name, looks in r.ours.items():
        look = r.reached(name, names)
        shares[name] = look.seconds / r.seconds if look else math.inf
        for shown in ([look] if look else []) + [looks[-1]]:
            rows[f"{name}, {shown.step} steps"] = (shown.seconds / r.seconds, shown.picture)
    for name, (share, picture) in rows.items():
        found = [*(judge(picture) for judge in r.judges.values()), *glare(picture).values()]
        values = "".join(f"{x:13.2f}" for x in found)
        print(f"    {name:34}{share:9.2f}{values}", flush=True)
    return shares


def class_task(name: str) -> Task:
    """A class of SqueezeNet."""
    index = parts("squeezenet1_1").network.classes.index(name)
    return Task("squeezenet1_1", dip.logit(index), "labels", index)


def our_run(task: Task, views: Views, seed: int = 0, **options: Any) -> dip.Run:
    """Our run, for as many steps as Lucent's if ``options`` of :func:`dip_lessons.optimize` say nothing else."""
    network = parts(task.network).network
    picture = dip.Fourier(SIZE, generator=torch.Generator().manual_seed(seed), device=network.device)
    options = {"steps": LUCENT_STEPS, **options}
    return dip.optimize(picture, task.objective, network, views=views, seed=seed, **options)


def in_a_hurry(task: Task, views: Views, milder: Views | None = None, seed: int = 0) -> dip.Run:
    """Lesson 05, section 7: Nesterov's momentum and a shorter memory, longer steps that shorten in the last
    quarter; milder views for the last third, if there are any.
    """
    steps, lr = 256, 0.11
    run = our_run(task, views, seed, steps=steps, lr=lr, optimizer="nadam", betas=(0.9, 0.99))
    last = steps // 4
    changes: dict[int, dict[str, object]] = {steps - k: {"lr": lr * k / last} for k in range(1, last)}
    if milder:
        changes[2 * steps // 3] = {"views": milder}
    return run.schedule(changes)


def recipe(task: Task, seed: int = 0) -> dip.Run:
    """What reaches all four values soonest: the standard views make a thing of it, milder ones then sharpen it."""
    milder = dip.random_views(jitter=6, scale=0.03, rotate=3, blur=0.4)
    return in_a_hurry(task, dip.standard_views(), milder, seed)


def reach(ours: Sequence[Mapping[str, float]], theirs: Sequence[Mapping[str, float]]) -> tuple[int, int]:
    """Of all pairs of one of our pictures and another one of theirs: in how many ours has 98 % of all four values."""
    pairs = [(a, b) for a in ours for b in theirs if a is not b]
    return sum(all(a[name] >= enough(b[name]) for name in ALL_FOUR) for a, b in pairs), len(pairs)


def classes(quick: bool) -> None:
    """With our own views, as good as Lucent after 512 steps: clean, held-out views, blurred, second network.

    One picture's luck with the second network is large, ours and Lucent's: means over several starts are compared.
    """
    if not peers.has("torch-lucent"):
        print("\nclasses: torch-lucent is not installed")
        return
    count = 2 if quick else 5
    print(f"\nclasses of SqueezeNet, {SIZE} px: mean ± deviation over {count} starts; time is CPU time")
    shares: dict[str, list[float]] = {}
    for name in CLASSES[: 1 if quick else None]:
        task = class_task(name)
        judged = judges(task)
        ends: dict[str, list[dict[str, float]]] = {}
        for seed in range(count):
            runs = {"standard": our_run(task, dip.standard_views(), seed), "recipe": recipe(task, seed)}
            r = race(task, runs, judged, seed=seed)
            ends.setdefault("Lucent", []).append({"time": 1.0, **r.goals, **glare(r.theirs)})
            for who, looks in r.ours.items():
                last = looks[-1]
                found = {key: judge(last.picture) for key, judge in judged.items()}
                ends.setdefault(who, []).append(
                    {"time": last.seconds / r.seconds, **found, **glare(last.picture)}
                )
        columns = list(ends["Lucent"][0])
        means = {
            who: {key: statistics.mean(end[key] for end in found) for key in columns}
            for who, found in ends.items()
        }
        print(f"{name:12}" + "".join(f"{key:>14}" for key in columns))
        for who, found in ends.items():
            spread = {key: statistics.stdev(end[key] for end in found) for key in columns}
            line = "".join(f"{means[who][key]:9.3g} ±{spread[key]:4.2g}" for key in columns)
            hits, pairs = reach(found, ends["Lucent"])
            print(f"  {who:10}{line}   all four of another of Lucent's: {hits} of {pairs} pairs", flush=True)
        for who in runs:
            met = all(means[who][key] >= enough(means["Lucent"][key]) for key in ALL_FOUR)
            shares.setdefault(who, []).append(means[who]["time"] if met else math.inf)
    for who, found in shares.items():
        print(f"{who}: all four of Lucent's means in {', '.join(f'{x:.2f}' for x in found)} of its time")
    middle = statistics.median(shares["recipe"])
    print(f"median {middle:.2f} with the recipe {holds(middle, 0.25, least=False)}")


def channels(quick: bool) -> None:
    """Until the value under Lucent's own transforms is Lucent's: with those transforms, and with our views."""
    if not peers.has("torch-lucent"):
        print("\nchannels: torch-lucent is not installed")
        return
    print(
        f"\nCPU time to {SHARE:.0%} of Lucent's value under its transforms; channels of features.9, {SIZE} px"
    )
    shares: dict[str, list[float]] = {}
    for index in CHANNELS[: 1 if quick else None]:
        task = Task("squeezenet1_1", dip.channel("features.9", index), "features.9", index)
        views = {"its transforms": peers.Lucent.sees, "our views": dip.standard_views()}
        runs = {name: our_run(task, seen) for name, seen in views.items()}
        runs["its transforms, in a hurry"] = in_a_hurry(task, peers.Lucent.sees)
        for name, share in report(f"channel {index}", race(task, runs, judges(task)), ["Lucent's"]).items():
            shares.setdefault(name, []).append(share)
    middle = {name: statistics.median(found) for name, found in shares.items()}
    found = middle.pop("its transforms, in a hurry")
    print(f"median {found:.2f} of Lucent's CPU time in a hurry {holds(found, 0.33, least=False)}")
    for name, share in middle.items():
        print(f"median {share:.2f} with {name}, and Adam at .05")
