"""CPU time until a picture is as good as Lucent's after 512 steps, and how good that is.

Speed is worth nothing if the picture is worse. So a picture is judged by what it was not made for: as it is, over
64 views that nobody trained on, blurred, and by a second network. Lucent's chain of five resamplings is a hidden
low-pass; what is fast because it lacks one does well as it is and badly blurred.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
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
CHANNELS = (10, 44, 200)  # of SqueezeNet's features.9

Judge = Callable[[Tensor], float]


@dataclass(frozen=True)
class Task:
    """What is maximised, in our words and in Lucent's."""

    name: str
    network: str
    objective: dip.Objective
    layer: str  # Lucent's name for it
    index: int


@dataclass
class Race:
    """What came of it: ours at every look, Lucent's at the end."""

    judges: Mapping[str, Judge]
    theirs: Tensor
    ours: list[tuple[int, float, Tensor]]  # (steps, seconds, picture)
    seconds: float  # Lucent's, for all its steps

    def __post_init__(self) -> None:
        self.goals = {name: judge(self.theirs) for name, judge in self.judges.items()}

    def reached(self, names: tuple[str, ...]) -> tuple[int, float, Tensor] | None:
        """The first look at which our picture has 98 % of all these values of Lucent's; None if there is none."""
        for look in self.ours:
            if all(self.judges[name](look[2]) >= SHARE * self.goals[name] for name in names):
                return look
        return None


def race(task: Task, run: dip.Run, judges: Mapping[str, Judge], steps: int = LUCENT_STEPS) -> Race:
    """Run Lucent, and our run in its pauses: both in the same minutes, each with a clock of its own."""
    p = parts(task.network)
    device = p.network.device
    entered: list[float] = []
    left: list[float] = []
    ours: list[tuple[int, float, Tensor]] = []
    spent = 0.0

    def each() -> None:
        nonlocal spent
        entered.append(now(device))
        if len(entered) % EVERY == 0 and run.step < run.steps:
            start = now(device)
            run.advance(EVERY)
            spent += now(device) - start
            ours.append((run.step, spent, run.image))
        left.append(now(device))

    lucent = peers.Lucent(p.module, p.normalise, task.layer, task.index, SIZE)
    (picture,) = lucent.render(steps, each)
    between = sum(b - a for a, b in zip(left, entered[1:], strict=False))
    return Race(judges, picture.to(device), ours, between * steps / (steps - 1))


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


def report(title: str, r: Race, names: tuple[str, ...]) -> float:
    """Print a race, and return our time to the values named as a share of Lucent's (infinite if not reached)."""
    look = r.reached(names)
    rows = {f"Lucent, {LUCENT_STEPS} steps": r.theirs}
    share = float("inf")
    if look:
        share = look[1] / r.seconds
        rows[f"ours, {look[0]} steps"] = look[2]
    if r.ours and (not look or look[0] < r.ours[-1][0]):
        rows[f"ours, {r.ours[-1][0]} steps"] = r.ours[-1][2]
    print(f"{title}: {'not reached' if look is None else f'{share:.2f} of the CPU time of Lucent'}")
    columns = [*r.judges, "fine waves", "saturated"]
    print(f"    {'':22}" + "".join(f"{name:>12}" for name in columns))
    for name, picture in rows.items():
        values = [judge(picture) for judge in r.judges.values()]
        shares = [float(high_frequency_share(picture)), float(saturated_share(picture))]
        cells = [f"{v:12.2f}" for v in values] + [f"{100 * v:10.1f} %" for v in shares]
        print(f"    {name:22}" + "".join(cells), flush=True)
    return share


def classes(quick: bool) -> None:
    """With our own views, until all four values are Lucent's: clean, held-out views, blurred, second network."""
    if not peers.has("torch-lucent"):
        print("\nclasses: torch-lucent is not installed")
        return
    names = ("clean", "blurred", "held-out", "second")
    print(
        f"\nCPU time to {SHARE:.0%} of all of Lucent's {', '.join(names)} values; classes of SqueezeNet, {SIZE} px"
    )
    shares = []
    for name in CLASSES[: 1 if quick else None]:
        network = parts("squeezenet1_1").network
        index = network.classes.index(name)
        task = Task(name, "squeezenet1_1", dip.logit(index), "labels", index)
        run = dip.optimize(
            dip.Fourier(SIZE, device=network.device),
            task.objective,
            network,
            views=dip.standard_views(),
            steps=LUCENT_STEPS,
        )
        shares.append(report(name, race(task, run, judges(task)), names))
    middle = statistics.median(shares)
    print(f"median {middle:.2f} {holds(middle, 0.25, least=False)}")


def channels(quick: bool) -> None:
    """Under Lucent's own transforms, until the value under them is Lucent's; and what our own views do there."""
    if not peers.has("torch-lucent"):
        print("\nchannels: torch-lucent is not installed")
        return
    print(
        f"\nCPU time to {SHARE:.0%} of Lucent's value under Lucent's transforms; channels of features.9, {SIZE} px"
    )
    for how, views in {"Lucent's transforms": peers.Lucent.sees, "our views": dip.standard_views()}.items():
        shares = []
        for index in CHANNELS[: 1 if quick else None]:
            network = parts("squeezenet1_1").network
            task = Task(
                f"channel {index}", "squeezenet1_1", dip.channel("features.9", index), "features.9", index
            )
            run = dip.optimize(
                dip.Fourier(SIZE, device=network.device),
                task.objective,
                network,
                views=views,
                steps=LUCENT_STEPS,
            )
            shares.append(report(f"{task.name}, {how}", race(task, run, judges(task)), ("Lucent's",)))
        middle = statistics.median(shares)
        bound = holds(middle, 0.33, least=False) if views is peers.Lucent.sees else "(no bound)"
        print(f"median, {how}: {middle:.2f} {bound}")
