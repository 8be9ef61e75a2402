"""Every parameterization at the same tasks: what the table of lesson 15 is drawn from.

    python -m dip_lessons.course.benchmark parameterizations.npz

makes the file anew, in half an hour of one CPU core; stopped, it goes on where it was. The lesson
reads it with :func:`load` and repeats a part of it with :func:`trial`.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import assets
from ..atomic import atomic_write
from ..mesh.mesh import load_mesh
from ..mesh.solid import Solid
from ..mesh.texture import Texture
from ..mesh.views import mesh_views, render, turntable
from ..metrics import class_probability, class_rank, robust_value, spectrum_slope
from ..networks import Network, load_network
from ..objectives import Objective, channel, diversity, logit, opacity
from ..parameterizations import (
    CPPN,
    RGBA,
    DeepImagePrior,
    Fourier,
    Parameterization,
    PhaseOnly,
    Pixels,
    Pyramid,
    Shared,
    Siren,
)
from ..pictures import to_pil
from ..run import optimize
from ..sphere.panorama import look_around, tangent_views
from ..sphere.picture import SphericalHarmonics
from ..stylegan.picture import StyleGAN
from ..views.affine import random_views, standard_views

FILE = "benchmark/parameterizations.npz"
SIZE, STEPS, SEEDS = 128, 128, 5
CHECKPOINTS = (4, 8, 16, 32, 64, 128)  # the steps after which robust values are taken
VIEWS, VIEWS_AT_THE_END = 16, 64  # held-out ones: on the way, and after the last step
RATES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # of the parameterization's own learning rate: those that were tried
PHOTOS = ("chelsea", "astronaut", "coffee")
MESH = "teapot"


@dataclass(frozen=True)
class Candidate:
    """A parameterization as it takes part: how it starts, its learning rate, what it is seen through.

    ``make`` is called with size, generator and device. ``rate`` multiplies its own learning rate. ``views`` is called
    with the size; ``bare`` makes what stands for "no random views", and is None where a picture cannot do without.

    >>> from dip_lessons.course import benchmark
    >>> benchmark.CANDIDATES["Pixels"].rate  # twice the rate that dip.Pixels brings along
    2.0
    """

    make: Callable[..., Parameterization]
    rate: float = 1.0
    views: Callable[[int], Any] = lambda size: standard_views()
    bare: Callable[[int], Any] | None = lambda size: None
    asked: Callable[[Objective], Objective] = lambda objective: objective
    flat: bool = True  # whether its picture is seen flat, so that values can be compared with the others'


def _stylegan(size: int, **options: Any) -> StyleGAN:
    return StyleGAN(size, whitened=True, truncation=0.7, **options)


def _textured(size: int, **options: Any) -> Texture:
    return Texture(2 * size, MESH, **options)


def _solid(size: int, **options: Any) -> Texture:
    return Texture(Solid(2 * size, MESH, **options), MESH)


def _around(size: int) -> Any:
    return mesh_views(MESH, size=size)


# Rates: of those in RATES that came within a tenth of the best robust value for TUNING, which is none of the tasks, the
# one nearest to the parameterization's own ("rates" in the file). RGBA and Shared take that of the waves they are made
# of; the last four those of their lessons.
CANDIDATES: dict[str, Candidate] = {
    "Pixels": Candidate(Pixels, 2.0),
    "Fourier": Candidate(Fourier, 2.0),
    "Pyramid": Candidate(Pyramid, 2.0),
    "PhaseOnly": Candidate(PhaseOnly, 0.25),
    "CPPN": Candidate(CPPN),
    "Siren": Candidate(Siren),
    "DeepImagePrior": Candidate(DeepImagePrior),
    "RGBA": Candidate(
        RGBA,
        2.0,
        lambda size: standard_views().change(background="waves"),
        lambda size: random_views(background="waves"),
        lambda objective: objective * (1 - opacity()),
    ),
    "Shared": Candidate(functools.partial(Shared, batch=2), 2.0),
    "StyleGAN": Candidate(_stylegan, 0.5),
    "SphericalHarmonics": Candidate(
        SphericalHarmonics, 2.0, lambda size: tangent_views(size, roll=10, blur=1.0), None, flat=False
    ),
    "Texture": Candidate(_textured, 1.0, _around, None, flat=False),
    "Solid": Candidate(_solid, 1.0, _around, None, flat=False),
}
FLAT = tuple(name for name, candidate in CANDIDATES.items() if candidate.flat)


@dataclass(frozen=True)
class Task:
    """What is asked for: an objective of a network, through random views or not; in how many steps, of whom, and from
    how many starts.

    >>> from dip_lessons.course import benchmark
    >>> benchmark.TASKS["goldfish"].judge, benchmark.TASKS["goldfish"].seeds
    ('inception_v3', 3)
    """

    network: str
    objective: Objective
    views: bool = True
    judge: str | None = None  # a second network, which is asked for the class ``index``
    index: int = 0
    steps: int = STEPS // 2
    who: tuple[str, ...] = ()  # nobody named is everybody
    seeds: int = 3


TUNED = ("Pixels", "Fourier", "Pyramid", "PhaseOnly", "CPPN", "Siren", "DeepImagePrior")
QUICK = ("Pixels", "Fourier", "Pyramid", "PhaseOnly", "RGBA", "Shared")  # a step of whom takes little time
SLOW = ("DeepImagePrior", "StyleGAN")
TASKS: dict[str, Task] = {
    "eyes": Task("squeezenet1_1", channel("features.9", 60), steps=STEPS, seeds=SEEDS),
    "eyes, no views": Task("squeezenet1_1", channel("features.9", 60), views=False, who=TUNED),
    "flowers": Task("inception_v3", channel("Mixed_6b", 155), who=TUNED),
    "goldfish": Task("squeezenet1_1", logit(1), judge="inception_v3", index=1, who=TUNED),
}
TUNING = Task("squeezenet1_1", channel("features.9", 10), steps=STEPS)
TEXTURES = "features.6"  # of SqueezeNet, where pictures' Gram matrices are compared


@dataclass(frozen=True)
class Trial:
    """What one run gave: the objective at each step (T,), held-out robust values after CHECKPOINTS, the picture.

    >>> from dip_lessons.course import benchmark
    >>> benchmark.Trial(torch.zeros(8), torch.zeros(2), torch.zeros(1, 3, 4, 4)).history.shape
    torch.Size([8])
    """

    history: Tensor
    robust: Tensor
    image: Tensor


@functools.cache
def _network(name: str) -> Network:
    """A network of the benchmark, on the CPU."""
    return load_network(name, "cpu")


def start(name: str, seed: int, size: int = SIZE) -> Parameterization:
    """A candidate's parameterization as the trial with this seed begins. Raises KeyError for another name.

    >>> from dip_lessons.course import benchmark
    >>> benchmark.start("Fourier", seed=0, size=16)().shape
    torch.Size([1, 3, 16, 16])
    """
    return CANDIDATES[name].make(size, generator=torch.Generator().manual_seed(seed), device="cpu")


def trial(
    name: str,
    task: Task | str,
    seed: int,
    *,
    steps: int | None = None,
    rate: float | None = None,
    count: int | None = None,
) -> Trial:
    """Let one candidate do one task from one seed, in one thread, for others may sum in another order.

    Args:
        name: a key of CANDIDATES.
        task: a task, or a key of TASKS.
        seed: of the start and of the views.
        steps: fewer than the task's: a shorter trial is the beginning of the longer one.
        rate: multiplies the parameterization's own learning rate; None takes the candidate's.
        count: the number of held-out views; None takes VIEWS on the way and VIEWS_AT_THE_END after the task's last
            step.

    >>> from dip_lessons.course import benchmark
    >>> done = benchmark.trial("Fourier", "eyes", seed=0, steps=4, count=1)
    >>> done.history.shape, done.robust.shape, done.image.shape
    (torch.Size([4]), torch.Size([1]), torch.Size([1, 3, 128, 128]))
    """
    task = TASKS[task] if isinstance(task, str) else task
    candidate, judge = CANDIDATES[name], _network(task.network)
    steps = task.steps if steps is None else steps
    views = candidate.views(SIZE)
    seen = views if task.views else candidate.bare and candidate.bare(SIZE)
    with _one_thread():
        picture = start(name, seed)
        lr = picture.lr * (candidate.rate if rate is None else rate)
        asked = candidate.asked(task.objective)
        run = optimize(picture, asked, judge, views=seen, steps=steps, lr=lr, seed=seed)
        robust = []
        for step in CHECKPOINTS:
            if step <= steps:
                run.advance(step - run.step)
                n = count or (VIEWS_AT_THE_END if step == task.steps else VIEWS)
                robust.append(robust_value(run.image[:1], task.objective, judge, views=views, count=n))
        run.finish()
    return Trial(torch.tensor(run.history), torch.cat(robust or [torch.empty(0)]), run.image[:1])


def portrait(name: str, image: Tensor) -> Tensor:
    """What one would look at, (1, C, h, w): the picture itself, or what is seen of a panorama or of a mesh.

    >>> from dip_lessons.course import benchmark
    >>> panorama = torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(0))
    >>> benchmark.portrait("SphericalHarmonics", panorama).shape
    torch.Size([1, 3, 128, 128])
    """
    if isinstance(CANDIDATES[name].views(SIZE), type(mesh_views(MESH))):
        return render(image, load_mesh(MESH), turntable(8, distance=8.5)[1], size=SIZE).clamp(0, 1)
    return image if CANDIDATES[name].flat else look_around(image, size=SIZE).clamp(0, 1)


def fitted(name: str, photo: Tensor, *, steps: int = 300) -> Tensor:
    """The picture, as (1, 3, H, W), by which a flat candidate comes nearest to a photograph (1, 3, H, W).

    By its inverse where it has one that is exact, else by ``steps`` of :meth:`Parameterization.fit`.

    >>> from dip_lessons.course import benchmark
    >>> photo = dip.assets.picture("chelsea", (32, 32))
    >>> torch.allclose(benchmark.fitted("Fourier", photo), photo, atol=1e-3)
    True
    """
    with _one_thread():
        picture = start(name, 0, photo.shape[-1])
        if name in ("Pixels", "Fourier", "Pyramid", "Shared", "RGBA"):
            opaque = torch.ones_like(photo[:, :1])
            picture.set_image(torch.cat([photo, opaque], dim=1) if name == "RGBA" else photo)
        elif name == "PhaseOnly":  # its inverse gives the phases of the photograph, from where a fit goes on
            picture.set_image(photo).fit(photo, steps=steps, lr=0.02)
        else:
            picture.fit(photo, steps=steps)
        with torch.no_grad():
            return picture()[:1, :3]


def psnr(image: Tensor, photo: Tensor) -> float:
    """Peak signal-to-noise ratio, −10 log₁₀ of the mean squared error of values in [0, 1], in dB.

    >>> from dip_lessons.course import benchmark
    >>> round(benchmark.psnr(torch.full((1, 3, 4, 4), 0.6), torch.full((1, 3, 4, 4), 0.5)), 3)
    20.0
    """
    return float(-10 * (image - photo).square().mean().clamp(min=1e-12).log10())


def numbers(name: str) -> int:
    """How many numbers are learned for one picture.

    >>> from dip_lessons.course import benchmark
    >>> benchmark.numbers("Pixels") == 3 * 128 * 128
    True
    """
    picture = start(name, 0)
    return sum(p.numel() for p in picture.parameters() if p.requires_grad) // (2 if name == "Shared" else 1)


def kept_bytes(name: str) -> int:
    """How much memory one picture takes: its parameters, their gradient, Adam's two moments, and what autograd
    keeps of the way from the parameters to the picture until the gradient is computed; in bytes.

    >>> from dip_lessons.course import benchmark
    >>> benchmark.kept_bytes("CPPN") > 10 * benchmark.kept_bytes("Fourier")
    True
    """
    picture, kept = start(name, 0), {}

    def keep(x: Tensor) -> Tensor:
        kept[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        image = picture.sample(torch.Generator().manual_seed(0))
    own = [p for p in picture.parameters() if p.requires_grad]
    for p in own:
        kept.pop(p.untyped_storage().data_ptr(), None)
    del image
    return 4 * sum(p.numel() * p.element_size() for p in own) + sum(kept.values())


def seconds(names: Sequence[str], task: str = "eyes", *, rounds: int = 8, steps: int = 3) -> np.ndarray:
    """CPU seconds of one step, (rounds, names): all take turns, so that what else the machine does hits all alike.

    >>> from dip_lessons.course import benchmark
    >>> benchmark.seconds(["Pixels", "Fourier"], rounds=2, steps=1).shape
    (2, 2)
    """
    with _one_thread():
        judge, objective = _network(TASKS[task].network), TASKS[task].objective
        runs = []
        for name in names:
            c = CANDIDATES[name]
            run = optimize(start(name, 0), c.asked(objective), judge, views=c.views(SIZE))
            runs.append(run.advance(2))  # the first steps are slower
        took = np.zeros((rounds, len(names)))
        for i in range(rounds):
            for j, run in enumerate(runs):
                begin = time.process_time()
                run.advance(steps)
                took[i, j] = (time.process_time() - begin) / steps
    return took


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread: the same sums in the same order, whatever the machine has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


# --- the whole sweep ---------------------------------------------------------------------------------------

Unit = tuple[str, ...]  # a kind of measurement and what it is of: one file among the parts


def _units() -> list[Unit]:
    """All measurements of the sweep."""
    found: list[Unit] = [("rate", name, str(rate)) for name in TUNED for rate in RATES]
    for title, task in TASKS.items():
        for name in task.who or CANDIDATES:
            found += [("trial", title, name, str(seed)) for seed in range(_seeds(task, name))]
    for name in FLAT:  # of the two slowest one photograph, a face
        found += [("fit", name, photo) for photo in (PHOTOS[1:2] if name in SLOW else PHOTOS)]
    return [*found, ("seconds",)]


def _seeds(task: Task, name: str) -> int:
    """As many as the task has for who is quick, else three; one for StyleGAN, whose step takes twenty times as long."""
    return task.seeds if name in QUICK else 3 if name != "StyleGAN" else 1


def _measured(unit: Unit) -> dict[str, np.ndarray]:
    """What one measurement gives, as arrays."""
    kind, *of = unit
    if kind == "rate":
        return {"robust": trial(of[0], TUNING, 0, rate=float(of[1])).robust.numpy()}
    if kind == "fit":
        photo = assets.picture(of[1], (SIZE, SIZE))
        image = fitted(of[0], photo, steps=100 if of[0] == "StyleGAN" else 300)
        return {"psnr": np.array(psnr(image, photo), np.float32), "image": _bytes(image)}
    if kind == "seconds":
        return {"seconds": seconds(list(CANDIDATES))}
    title, name, seed = of
    task, done = TASKS[title], trial(name, title, int(seed))
    with _one_thread():
        seen = portrait(name, done.image)
        found = {"slope": spectrum_slope(done.image[:, :3]).numpy()}
        if task.judge:
            own, other = _network(task.network), _network(task.judge)
            found["own"] = class_probability(done.image, task.index, own).numpy()
            found["other"] = class_probability(done.image, task.index, other).numpy()
            found["rank"] = class_rank(done.image, task.index, other).numpy()
    return {**found, "history": done.history.numpy(), "robust": done.robust.numpy(), "image": _bytes(seen)}


def _bytes(image: Tensor) -> np.ndarray:
    return np.asarray(to_pil(image[0]))  # (h, w, C) uint8


def sweep(
    out: str | os.PathLike[str], *, minutes: float = float("inf"), part: tuple[int, int] = (0, 1)
) -> bool:
    """Measure what is not measured yet, and write the file once everything is; return whether it is written.

    Args:
        out: the .npz to write. Parts lie in a folder beside it, so that a sweep that was stopped goes on.
        minutes: begin nothing after so long.
        part: (i, n) takes every n-th measurement from the i-th on: for n processes at a time.

    >>> from dip_lessons.course import benchmark
    >>> benchmark.sweep("mine.npz", minutes=-1)  # there is something left to do
    False
    """
    out = Path(out)
    parts = out.with_suffix(".parts")
    parts.mkdir(parents=True, exist_ok=True)
    begin, todo = time.monotonic(), _units()[part[0] :: part[1]]
    for unit in todo:
        file = parts / (" ".join(unit) + ".npz")
        if file.exists():
            continue
        if time.monotonic() - begin > 60 * minutes:
            return False
        content = _measured(unit)
        with atomic_write(file) as written, open(written, "wb") as stream:
            np.savez(stream, **content)  # type: ignore[arg-type]
        print(f"{(time.monotonic() - begin) / 60:5.1f} min", *unit, flush=True)
    if not all((parts / (" ".join(unit) + ".npz")).exists() for unit in _units()):
        return False
    with atomic_write(out) as written, open(written, "wb") as stream:
        np.savez_compressed(stream, **_assembled(parts))  # type: ignore[arg-type]
    return True


def _assembled(parts: Path) -> dict[str, np.ndarray]:
    """The arrays of the file; data/README.md says what they are."""
    names, titles = list(CANDIDATES), list(TASKS)
    shape = (len(titles), len(names), SEEDS)
    arrays = {
        key: np.full(shape, np.nan, np.float32) for key in ("slope", "diversity", "own", "other", "rank")
    }
    arrays["robust"] = np.full((*shape, len(CHECKPOINTS)), np.nan, np.float32)
    arrays["history"] = np.full((*shape, STEPS), np.nan, np.float32)
    arrays["psnr"] = np.full((len(names), len(PHOTOS)), np.nan, np.float32)
    arrays["rates"] = np.full((len(names), len(RATES)), np.nan, np.float32)
    pictures: dict[str, np.ndarray] = {}
    for unit in _units():
        kind, *of = unit
        with np.load(parts / (" ".join(unit) + ".npz"), allow_pickle=False) as found:
            content = dict(found)
        if kind == "seconds":
            arrays["seconds"] = content["seconds"].astype(np.float32)
        elif kind == "rate":
            arrays["rates"][names.index(of[0]), RATES.index(float(of[1]))] = content["robust"][-1]
        elif kind == "fit":
            arrays["psnr"][names.index(of[0]), PHOTOS.index(of[1])] = content["psnr"]
            pictures["/".join(unit)] = content["image"]
        else:
            at = titles.index(of[0]), names.index(of[1]), int(of[2])
            for key in content.keys() - {"image", "robust", "history"}:
                arrays[key][at] = np.squeeze(content[key])
            for key in ("robust", "history"):  # what a shorter task has not stays NaN
                arrays[key][at][: len(content[key])] = content[key]
            pictures["/".join(of)] = content["image"]
    for t, title in enumerate(titles):
        for p, name in enumerate(names):
            seen = [pictures[key] for s in range(SEEDS) if (key := f"{title}/{name}/{s}") in pictures]
            if len(seen) > 1:
                arrays["diversity"][t, p, : len(seen)] = _unlikeness(seen)
    arrays["numbers"] = np.array([numbers(name) for name in names])
    arrays["bytes"] = np.array([kept_bytes(name) for name in names])
    few = [key for key in pictures if key[-1] == "0" or key.startswith("eyes/") and key[-1] in "12"]
    few += [f"fit/{name}/{PHOTOS[1]}" for name in FLAT]
    coded = [_webp(pictures[key]) for key in few]
    arrays["webp"] = np.frombuffer(b"".join(coded), np.uint8)
    arrays["webp_ends"] = np.cumsum([len(code) for code in coded])
    labels = {"webp_of": few, "names": names, "tasks": titles, "photos": PHOTOS}
    arrays["task_steps"] = np.array([task.steps for task in TASKS.values()])
    settings = {"size": SIZE, "steps": STEPS, "checkpoints": CHECKPOINTS, "rates_tried": RATES}
    return arrays | {key: np.array(value) for key, value in {**labels, **settings}.items()}


@torch.no_grad()
def _unlikeness(seen: Sequence[np.ndarray]) -> np.ndarray:
    """How unlike each picture's texture is to the others': the mean of 1 − cos(G_i, G_j) over them, (B,)."""
    grey = [x if x.shape[-1] == 3 else _over_grey(x) for x in seen]
    images = torch.from_numpy(np.stack(grey)).permute(0, 3, 1, 2).float() / 255
    values = diversity(TEXTURES)(_network("squeezenet1_1")(images, (TEXTURES,)))
    return (1 + values / (len(images) - 1)).numpy()


def _over_grey(rgba: np.ndarray) -> np.ndarray:
    alpha = rgba[..., 3:] / 255
    return np.round(alpha * rgba[..., :3] + (1 - alpha) * 127.5).astype(np.uint8)


def _webp(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=80, method=6)
    return buffer.getvalue()


def load() -> dict[str, np.ndarray]:
    """The arrays of the stored sweep; data/README.md says what they are. Raises AssetError as :func:`assets.path`.

    >>> from dip_lessons.course import benchmark
    >>> stored = benchmark.load()
    >>> stored["robust"].shape  # tasks, candidates, seeds, checkpoints
    (4, 13, 5, 6)
    """
    return assets.arrays(FILE)


def picture(stored: dict[str, np.ndarray], *of: object) -> Tensor:
    """A picture of the stored sweep, (1, C, h, w) in [0, 1]: ``picture(stored, task, name, seed)``, or what came of
    fitting a photograph, ``picture(stored, "fit", name, photo)``. Raises KeyError for one that is not stored.

    >>> from dip_lessons.course import benchmark
    >>> benchmark.picture(benchmark.load(), "eyes", "Fourier", 0).shape
    torch.Size([1, 3, 128, 128])
    """
    key = "/".join(map(str, of))
    found = np.flatnonzero(stored["webp_of"] == key)
    if not len(found):
        raise KeyError(f"no picture {key!r} is stored; there are {', '.join(stored['webp_of'])}")
    ends = [0, *stored["webp_ends"].tolist()]
    i = int(found[0])
    data = stored["webp"][ends[i] : ends[i + 1]].tobytes()
    with Image.open(io.BytesIO(data)) as opened:
        return torch.from_numpy(np.array(opened)).permute(2, 0, 1)[None].float() / 255


def _main() -> int:
    """Make the file; the exit status is 1 while something is left to do."""
    parser = argparse.ArgumentParser(prog="python -m dip_lessons.course.benchmark", description=__doc__)
    parser.add_argument("out", type=Path, help="the .npz to write")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin nothing after so long")
    parser.add_argument(
        "--part", default="0/1", help="i/n: every n-th measurement, for n processes at a time"
    )
    options = parser.parse_args()
    i, n = map(int, options.part.split("/"))
    return 0 if sweep(options.out, minutes=options.minutes, part=(i, n)) else 1


if __name__ == "__main__":
    raise SystemExit(_main())
