"""Every parameterization at the same tasks: what the table of lesson 15 is drawn from.

    python -m dip_lessons.course.benchmark parameterizations.npz

makes the file anew, in an hour of one CPU core; stopped, it goes on where it was. The lesson
reads it with :func:`load` and repeats a part of it with :func:`trial`.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
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
RATES = tuple(
    2.0**k for k in range(-4, 6)
)  # times the parameterization's own learning rate: a quarter to eight
BEYOND = {
    "Fourier": (16.0, 32.0),
    "Pyramid": (16.0, 32.0),
    "PhaseOnly": (0.0625, 0.125),
}  # and where an end was best
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
    objective: Callable[[Objective], Objective] = lambda objective: objective
    flat: bool = True  # whether its picture is seen flat, so that values can be compared with the others'


def _stylegan(size: int, **options: Any) -> StyleGAN:
    return StyleGAN(size, whitened=True, truncation=0.7, **options)


def _textured(size: int, **options: Any) -> Texture:
    return Texture(2 * size, MESH, **options)


def _solid(size: int, **options: Any) -> Texture:
    return Texture(Solid(2 * size, MESH, **options), MESH)


def _around(size: int) -> Any:
    return mesh_views(MESH, size=size)


# Rates: of those tried that came within a tenth of the best mean robust value for TUNING, which is none of the tasks,
# the one nearest to the parameterization's own ("rates" in the file). RGBA and Shared, which nobody tuned, have twice
# their own; the last four those of their lessons.
CANDIDATES: dict[str, Candidate] = {
    "Pixels": Candidate(Pixels, 2.0),
    "Fourier": Candidate(Fourier, 4.0),
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
    """What is asked for: an objective of a network, through random views or not; in how many steps, by whom and
    from how many starts.

    >>> from dip_lessons.course import benchmark
    >>> benchmark.TASKS["goldfish"].second, benchmark.TASKS["goldfish"].seeds
    ('inception_v3', 3)
    """

    network: str
    objective: Objective
    views: bool = True
    second: str | None = None  # an evaluation network, which tells the rank of the class ``index``
    index: int = 0
    steps: int = STEPS // 2
    candidates: tuple[str, ...] = ()  # none named is all
    seeds: int = 3


TUNED = ("Pixels", "Fourier", "Pyramid", "PhaseOnly", "CPPN", "Siren", "DeepImagePrior")
QUICK = ("Pixels", "Fourier", "Pyramid", "PhaseOnly", "RGBA", "Shared")  # whose steps take little time
TASKS: dict[str, Task] = {
    "eyes": Task("squeezenet1_1", channel("features.9", 60), steps=STEPS, seeds=SEEDS),
    "eyes, no views": Task("squeezenet1_1", channel("features.9", 60), views=False, candidates=TUNED),
    "flowers": Task("inception_v3", channel("Mixed_6b", 155), candidates=TUNED),
    "goldfish": Task("squeezenet1_1", logit(1), second="inception_v3", index=1, candidates=TUNED),
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
) -> Trial:
    """Let one candidate do one task from one seed, in one thread, for others may sum in another order.

    Args:
        name: a key of CANDIDATES.
        task: a task, or a key of TASKS.
        seed: of the start and of the views.
        steps: fewer than the task's: a shorter trial is the beginning of the longer one.
        rate: multiplies the parameterization's own learning rate; None takes the candidate's.

    >>> from dip_lessons.course import benchmark
    >>> done = benchmark.trial("Fourier", "eyes", seed=0, steps=4)
    >>> done.history.shape, done.robust.shape, done.image.shape
    (torch.Size([4]), torch.Size([1]), torch.Size([1, 3, 128, 128]))
    """
    task = TASKS[task] if isinstance(task, str) else task
    candidate, network = CANDIDATES[name], _network(task.network)
    steps = task.steps if steps is None else steps
    views = candidate.views(SIZE)
    seen = views if task.views else candidate.bare and candidate.bare(SIZE)
    with _one_thread():
        picture = start(name, seed)
        lr = picture.lr * (candidate.rate if rate is None else rate)
        objective = candidate.objective(task.objective)
        run = optimize(picture, objective, network, views=seen, steps=steps, lr=lr, seed=seed)
        robust = []
        for step in CHECKPOINTS:
            if step <= steps:
                run.advance(step - run.step)
                n = VIEWS_AT_THE_END if step == task.steps else VIEWS
                robust.append(robust_value(run.image[:1], task.objective, network, views=views, count=n))
        run.finish()
    return Trial(torch.tensor(run.history), torch.cat(robust or [torch.empty(0)]), run.image[:1])


def rendering(name: str, image: Tensor) -> Tensor:
    """What one would look at, (1, C, h, w): the picture itself, or what is seen of a panorama or of a mesh.

    >>> from dip_lessons.course import benchmark
    >>> panorama = torch.rand(1, 3, 64, 128, generator=torch.Generator().manual_seed(0))
    >>> benchmark.rendering("SphericalHarmonics", panorama).shape
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
        network, objective = _network(TASKS[task].network), TASKS[task].objective
        runs = []
        for name in names:
            c = CANDIDATES[name]
            run = optimize(start(name, 0), c.objective(objective), network, views=c.views(SIZE))
            runs.append(run.advance(2))  # the first steps are slower
        took = np.zeros((rounds, len(names)))
        for i in range(rounds):
            for j, run in enumerate(runs):
                begin = time.process_time()
                run.advance(steps)
                took[i, j] = (time.process_time() - begin) / steps
    return took


def fair_rate(reached: Mapping[float, float]) -> float:
    """Of the rates {rate: mean value} within a tenth of the best, the one nearest to a parameterization's own, 1.

    >>> from dip_lessons.course import benchmark
    >>> benchmark.fair_rate({1.0: 60.0, 2.0: 95.0, 4.0: 100.0, 8.0: 30.0})
    2.0
    """
    best = max(value for value in reached.values() if not math.isnan(value))
    return min((r for r, value in reached.items() if value >= 0.9 * best), key=lambda r: abs(math.log(r)))


def chance(a: Tensor, b: Tensor) -> float:
    """The two-sided p of the difference of two means, (n,) and (m,), among all ways to deal the numbers out anew: that
    of the larger one's lead, doubled, for its direction was not named beforehand.

    **Source:** Fisher, *The Design of Experiments* (1935), section 21.

    >>> from dip_lessons.course import benchmark
    >>> benchmark.chance(torch.tensor([5.0, 6.0, 7.0]), torch.tensor([1.0, 2.0, 3.0]))  # 2 of 20 ways
    0.1
    """
    pool, n = torch.cat([a, b]).double(), len(a)
    first = torch.tensor(list(itertools.combinations(range(len(pool)), n)), device=pool.device)
    sums = pool[first].sum(dim=1)  # (C(n + m, n),)
    leads = sums / n - (pool.sum() - sums) / len(b)  # the first of them is the one that was seen
    share = min(float((sign * (leads - leads[0]) >= -1e-9).double().mean()) for sign in (1, -1))
    return min(2 * share, 1.0)


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
    tried = {name: [r for r in RATES if 0.25 <= r <= 8 or r in BEYOND.get(name, ())] for name in TUNED}
    found: list[Unit] = [
        ("rate", name, str(r), str(s)) for name in TUNED for r in tried[name] for s in range(TUNING.seeds)
    ]
    for title, task in TASKS.items():
        for name in task.candidates or CANDIDATES:
            seeds = task.seeds if name in QUICK else 3
            found += [("trial", title, name, str(seed)) for seed in range(seeds)]
    found += [("fit", name, photo) for name in FLAT for photo in PHOTOS]
    return [*found, ("seconds",)]


def _measured(unit: Unit) -> dict[str, np.ndarray]:
    """What one measurement gives, as arrays."""
    kind, *of = unit
    if kind == "rate":
        return {"robust": trial(of[0], TUNING, int(of[2]), rate=float(of[1])).robust.numpy()}
    if kind == "fit":
        photo = assets.picture(of[1], (SIZE, SIZE))
        image = fitted(of[0], photo, steps=100 if of[0] == "StyleGAN" else 300)
        return {"psnr": np.array(psnr(image, photo), np.float32), "image": _bytes(image)}
    if kind == "seconds":
        return {"seconds": seconds(list(CANDIDATES))}
    title, name, seed = of
    task, done = TASKS[title], trial(name, title, int(seed))
    with _one_thread():
        seen = rendering(name, done.image)
        found = {"slope": spectrum_slope(done.image[:, :3]).numpy()}
        if task.second:
            own, other = _network(task.network), _network(task.second)
            found["own"] = class_probability(done.image, task.index, own).numpy()
            found["other"] = class_probability(done.image, task.index, other).numpy()
            found["rank"] = class_rank(done.image, task.index, other).numpy()
    return {**found, "history": done.history.numpy(), "robust": done.robust.numpy(), "image": _bytes(seen)}


def _bytes(image: Tensor) -> np.ndarray:
    return np.asarray(to_pil(image[0]))  # (h, w, C) uint8


def sweep(out: str | os.PathLike[str]) -> None:
    """Measure what is not measured yet, and write the .npz; what is measured lies in a folder beside it meanwhile.

    >>> from dip_lessons.course import benchmark
    >>> benchmark.sweep("mine.npz")  # doctest: +SKIP
    """
    out = Path(out)
    parts = out.with_suffix(".parts")
    parts.mkdir(parents=True, exist_ok=True)
    for unit in _units():
        if not (file := parts / (" ".join(unit) + ".npz")).exists():
            _write(file, _measured(unit))
            print(*unit, flush=True)
    _write(out, _assembled(parts))


def _write(file: Path, arrays: dict[str, np.ndarray]) -> None:
    with atomic_write(file) as written, open(written, "wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]


def _assembled(parts: Path) -> dict[str, np.ndarray]:
    """The arrays of the file; data/README.md says what they are."""
    names, titles = list(CANDIDATES), list(TASKS)
    shape = (len(titles), len(names), SEEDS)
    arrays: dict[str, np.ndarray] = {
        key: np.full(shape, np.nan, np.float32) for key in ("slope", "diversity", "own", "other", "rank")
    }
    arrays["robust"] = np.full((*shape, len(CHECKPOINTS)), np.nan, np.float32)
    arrays["history"] = np.full((*shape, STEPS), np.nan, np.float32)
    arrays["psnr"] = np.full((len(names), len(PHOTOS)), np.nan, np.float32)
    arrays["rates"] = np.full((len(names), len(RATES), TUNING.seeds), np.nan, np.float32)
    pictures: dict[str, np.ndarray] = {}
    for unit in _units():
        kind, *of = unit
        with np.load(parts / (" ".join(unit) + ".npz"), allow_pickle=False) as found:
            content = dict(found)
        if kind == "seconds":
            arrays["seconds"] = content["seconds"].astype(np.float32)
        elif kind == "rate":
            arrays["rates"][names.index(of[0]), RATES.index(float(of[1])), int(of[2])] = content["robust"][-1]
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
                arrays["diversity"][t, p, : len(seen)] = _diversity(seen)
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
def _diversity(seen: Sequence[np.ndarray]) -> np.ndarray:
    """How far each picture's texture is from the others': the mean of 1 − cos(G_i, G_j) over them, (B,)."""
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


if __name__ == "__main__":
    sweep(sys.argv[1])
