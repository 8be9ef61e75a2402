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

import torch
from torch import Tensor

import dip_lessons as dip
from dip_lessons.metrics import HELD_OUT_SEED, high_frequency_share, robust_value, saturated_share, value
from dip_lessons.views import gaussian_blur

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


@dataclass
class Race:
    """What came of it: ours at every look, by the name of our run; Lucent's at the end."""

    judges: Mapping[str, Judge]
    theirs: Tensor
    seconds: float  # Lucent's, for all its steps
    ours: Mapping[str, list[Look]]

    def __post_init__(self) -> None:
        self.goals = {name: judge(self.theirs) for name, judge in self.judges.items()}

    def enough(self, name: str) -> float:
        """98 % of one of Lucent's values, which may be negative."""
        return self.goals[name] - (1 - SHARE) * abs(self.goals[name])

    def reached(self, run: str, names: Sequence[str]) -> Look | None:
        """The first look at which our picture has 98 % of all these values of Lucent's; None if there is none."""
        for look in self.ours[run]:
            if all(self.judges[name](look.picture) >= self.enough(name) for name in names):
                return look
        return None


def race(
    task: Task, runs: Mapping[str, dip.Run], judges: Mapping[str, Judge], steps: int = LUCENT_STEPS
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
    (picture,) = lucent.render(steps, each)
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


def report(title: str, r: Race, names: Sequence[str]) -> dict[str, float]:
    """Print a race, and return our times to the values named as shares of Lucent's (infinite if not reached)."""
    print(title)
    columns = [*r.judges, "fine waves", "saturated"]
    print(f"    {'':34}{'CPU time':>9}" + "".join(f"{name:>11}" for name in columns))
    rows = {f"Lucent, {LUCENT_STEPS} steps": (1.0, r.theirs)}
    shares = {}
    for name, looks in r.ours.items():
        look = r.reached(name, names)
        shares[name] = look.seconds / r.seconds if look else math.inf
        for shown in ([look] if look else []) + [looks[-1]]:
            rows[f"{name}, {shown.step} steps"] = (shown.seconds / r.seconds, shown.picture)
    for name, (share, picture) in rows.items():
        values = "".join(f"{judge(picture):11.2f}" for judge in r.judges.values())
        fine, flat = (100 * float(f(picture)) for f in (high_frequency_share, saturated_share))
        print(f"    {name:34}{share:9.2f}{values}{fine:9.1f} %{flat:9.1f} %", flush=True)
    return shares


def class_task(name: str) -> Task:
    """A class of SqueezeNet."""
    index = parts("squeezenet1_1").network.classes.index(name)
    return Task("squeezenet1_1", dip.logit(index), "labels", index)


def our_run(task: Task, views: Views) -> dip.Run:
    """Our run for as many steps as Lucent's."""
    network = parts(task.network).network
    picture = dip.Fourier(SIZE, device=network.device)
    return dip.optimize(picture, task.objective, network, views=views, steps=LUCENT_STEPS)


def in_a_hurry(
    task: Task,
    views: Views,
    milder: Views | None = None,
    *,
    steps: int = 272,
    lr: float = 0.1,
    decay: float = 1.0,
    seed: int = 0,
) -> dip.Run:
    """Lesson 05, section 7: Nesterov's momentum, longer steps that shorten in the last quarter; milder views for
    the last third, if there are any.
    """
    network = parts(task.network).network
    start = torch.Generator().manual_seed(seed)
    picture = dip.Fourier(SIZE, decay=decay, generator=start, device=network.device)
    options = {"views": views, "steps": steps, "lr": lr, "optimizer": "nadam", "seed": seed}
    run = dip.optimize(picture, task.objective, network, **options)
    last = steps // 4
    changes: dict[int, dict[str, object]] = {steps - k: {"lr": lr * k / last} for k in range(1, last)}
    if milder:
        changes[2 * steps // 3] = {"views": milder}
    return run.schedule(changes)


def recipe(task: Task, seed: int = 0) -> dip.Run:
    """What reaches all four values soonest: the standard views make a thing of it, milder ones then sharpen it."""
    milder = dip.random_views(jitter=6, scale=0.03, rotate=3, blur=0.4)
    return in_a_hurry(task, dip.standard_views(), milder, lr=0.11, decay=0.95, seed=seed)


def classes(quick: bool) -> None:
    """With our own views, until all four values are Lucent's: clean, held-out views, blurred, second network."""
    if not peers.has("torch-lucent"):
        print("\nclasses: torch-lucent is not installed")
        return
    names = ALL_FOUR
    print(
        f"\nCPU time to {SHARE:.0%} of Lucent's {', '.join(names)} values; classes of SqueezeNet, {SIZE} px"
    )
    shares: list[dict[str, float]] = []
    for name in CLASSES[: 1 if quick else None]:
        task = class_task(name)
        runs = {"standard views": our_run(task, dip.standard_views()), "recipe": recipe(task)}
        shares.append(report(name, race(task, runs, judges(task)), names))
    usual, found = (statistics.median(s[run] for s in shares) for run in ("standard views", "recipe"))
    print(f"median {found:.2f} of Lucent's CPU time with the recipe {holds(found, 0.25, least=False)}")
    print(f"median {usual:.2f} with what is taken where nothing is said")


def starts(quick: bool) -> None:
    """What the recipe ends with, from several starts: a single picture's luck with the second network is large."""
    if not peers.has("torch-lucent"):
        print("\nstarts: torch-lucent is not installed")
        return
    names, count = ALL_FOUR, 2 if quick else 5
    print(
        f"\nthe recipe from {count} starts: mean ± deviation, as a share of what Lucent has in {LUCENT_STEPS} steps"
    )
    print(f"{'':12}{'CPU time':>10}" + "".join(f"{name:>16}" for name in names) + f"{'all four':>12}")
    for name in CLASSES[: 1 if quick else None]:
        task = class_task(name)
        runs = {f"start {seed}": recipe(task, seed) for seed in range(count)}
        r = race(task, runs, {key: judge for key, judge in judges(task).items() if key in names})
        last = [looks[-1] for looks in r.ours.values()]
        time = statistics.mean(look.seconds for look in last) / r.seconds
        ends = [{key: judge(look.picture) for key, judge in r.judges.items()} for look in last]
        line, means = f"{name:12}{time:10.2f}", []
        for key in names:
            goal = r.goals[key]  # may be negative
            shares = [1 + (end[key] - goal) / abs(goal) for end in ends]
            means.append(statistics.mean(shares))
            line += f"{means[-1]:9.2f} ± {statistics.stdev(shares):.2f}"
        reached = sum(all(end[key] >= r.enough(key) for key in names) for end in ends)
        met = time <= 0.25 and min(means) >= SHARE
        print(f"{line}{reached:7} of {count} {'holds' if met else 'MISSED'}", flush=True)


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
