"""Makes the gallery's pictures, and the page that shows them: ``make pictures``, or ``python build.py --only cppn``.

The jobs stand in ``jobs.py``. Each picture comes with a JSON that says how it was made; one whose job has not changed
since is not made again, so that a call after a kill goes on. On two CPU cores all of them take a night.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import inspect
import json
import multiprocessing
import os
import platform
import re
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

import dip_lessons as dip
from dip_lessons.atomic import atomic_write
from dip_lessons.hardware import describe, device
from dip_lessons.notebook.films import write_film
from dip_lessons.pictures import to_pil
from dip_lessons.sweeps import begin_work

HERE = Path(__file__).parent
LARGE = HERE / "large"
GALLERY = HERE.parent / "gallery.md"


@dataclass
class Family:
    """Pictures that one function makes: a tensor (1, C, H, W) in [0, 1], or for a film a list of them.

    Args:
        title: the heading in the gallery.
        text: what is to be seen, and what was chosen; Markdown.
        function: (*, seed, steps, size, …) → picture or frames; its lines stand in the gallery.
        pictures: {caption: the arguments of that picture, less those that the function's defaults say}.
    """

    title: str
    text: str
    function: Callable[..., Tensor | list[Tensor]]
    pictures: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.function.__name__

    def arguments(self, caption: str) -> dict[str, Any]:
        """All of a picture's arguments, the defaults among them."""
        bound = inspect.signature(self.function).bind(**self.pictures[caption])
        bound.apply_defaults()
        return dict(bound.arguments)

    def stem(self, caption: str) -> str:
        return re.sub(r"\W+", "_", f"{self.name} {caption.lower()}")

    def source(self) -> str:
        return inspect.getsource(self.function)

    def key(self, caption: str) -> str:
        """Of other lines or other arguments it is another picture."""
        told = self.source() + json.dumps(self.arguments(caption), sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


def about(folder: Path, family: Family, caption: str) -> dict[str, Any] | None:
    """What is stored of a picture, where it was made of the job as it stands; else None."""
    try:
        found = json.loads((folder / f"{family.stem(caption)}.json").read_text(encoding="utf-8"))
        made = found["key"] == family.key(caption) and (folder / found["file"]).is_file()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if made else None


def make(jobs: str, name: str, caption: str, folder: Path, threads: int) -> None:
    """Make one picture, in a process of its own; the JSON comes last, for it says that the picture is done."""
    torch.set_num_threads(threads)
    (family,) = (f for f in families(jobs) if f.name == name)
    clock = time.process_time if device().type == "cpu" else time.perf_counter  # other programs do not count
    begin = clock()
    made = family.function(**family.arguments(caption))
    seconds = clock() - begin
    frames = made if isinstance(made, list) else [made]
    pages = [to_pil(frame[0].detach().cpu()) for frame in frames]
    kind = "webp" if len(pages) > 1 else "png" if pages[0].mode == "RGBA" else "jpg"
    path = folder / f"{family.stem(caption)}.{kind}"
    if len(pages) > 1:
        write_film(path, pages, fps=12, quality=70)
    else:
        with atomic_write(path) as part:
            pages[0].save(part, {"jpg": "JPEG", "png": "PNG"}[kind], quality=90, optimize=True)
    told = {
        "key": family.key(caption),
        "file": path.name,
        **family.arguments(caption),
        "seconds": round(seconds),
        "machine": f"one core ({platform.machine()})" if device().type == "cpu" else describe(device()),
        "versions": f"python {platform.python_version()} · torch {torch.__version__} · dip_lessons {dip.__version__}",
        **look(frames[0]),
    }
    with atomic_write(folder / f"{family.stem(caption)}.json") as part:
        part.write_text(json.dumps(told, indent=1, default=str) + "\n", encoding="utf-8")


def look(picture: Tensor) -> dict[str, float]:
    """Grain, saturation and colour: slope of the spectrum, share of values near 0 or 1, mean chroma."""
    colours = picture[:1, :3].detach().cpu().float()
    spread = colours.amax(dim=1) - colours.amin(dim=1)
    return {
        "slope": round(float(dip.metrics.spectrum_slope(colours)), 2),
        "saturated": round(float(dip.metrics.saturated_share(colours)), 3),
        "chroma": round(float(spread.mean()), 3),
    }


def families(jobs: str) -> list[Family]:
    """The families of a module of jobs."""
    if str(HERE) not in sys.path:  # in a process that this one started
        sys.path.insert(0, str(HERE))
    return importlib.import_module(jobs).FAMILIES


def build(jobs: str, folder: Path, only: list[str], processes: int) -> bool:
    """Make what is not there yet; whether all of it was made."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = [
        (f, caption)
        for f in families(jobs)
        for caption in f.pictures
        if not only or any(word in f.stem(caption) for word in only)
    ]
    todo = [(f, caption) for f, caption in asked if about(folder, f, caption) is None]
    threads = max(1, (os.cpu_count() or 1) // processes)
    failed = []
    with (
        ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), begin_work) as pool,
        tqdm(total=len(asked), initial=len(asked) - len(todo), desc="pictures", smoothing=0) as bar,
    ):
        futures = {pool.submit(make, jobs, f.name, c, folder, threads): f.stem(c) for f, c in todo}
        for future in as_completed(futures):
            if error := future.exception():
                failed.append(f"{futures[future]}: {error}")
            bar.set_postfix_str(futures[future])
            bar.update()
    for line in failed:
        print(line, file=sys.stderr)
    return not failed


def page(jobs: str, folder: Path, beside: Path) -> str:
    """The gallery: of each family the pictures that there are, the lines that make one, and how it was made."""
    parts = [importlib.import_module(jobs).__doc__.strip()]
    for family in families(jobs):
        stored = {caption: about(folder, family, caption) for caption in family.pictures}
        there = {caption: found for caption, found in stored.items() if found}
        if not there:
            continue
        where = os.path.relpath(folder, beside)
        cells = [f"![{caption}]({where}/{found['file']})<br>{caption}" for caption, found in there.items()]
        columns = min(4, len(cells))
        cells += [""] * (-len(cells) % columns)
        rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
        table = [f"| {' | '.join(row)} |" for row in [rows[0], ["---"] * columns, *rows[1:]]]
        told = [f"- {caption}: {_made(found)}" for caption, found in there.items()]
        parts += [
            f"## {family.title}",
            family.text,
            "\n".join(table),
            f"```python\n{family.source().strip()}\n```",
            "<details><summary>How each was made</summary>\n\n" + "\n".join(told) + "\n\n</details>",
        ]
    return "\n\n".join(parts) + "\n"


def _made(found: dict[str, Any]) -> str:
    left = ("key", "file", "seconds", "machine", "versions", "slope", "saturated", "chroma")
    words = [f"{name} {value}" for name, value in found.items() if name not in left and value is not None]
    words.append(f"{found['seconds']} s of {found['machine']}")
    words.append(
        f"spectrum's slope {found['slope']}, {found['saturated']:.1%} near 0 or 1, chroma {found['chroma']}"
    )
    return ", ".join(words)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--only", nargs="*", default=[], help="parts of the names of pictures; else all of them"
    )
    arguments.add_argument(
        "--processes", type=int, default=1 if torch.cuda.is_available() else os.cpu_count()
    )
    asked = arguments.parse_args()
    done = build("jobs", LARGE, asked.only, asked.processes)
    with atomic_write(GALLERY) as new:
        new.write_text(page("jobs", LARGE, GALLERY.parent), encoding="utf-8")
    sys.exit(not done)
