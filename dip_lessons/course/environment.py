"""Where a lesson runs: on which device, with which versions, with how large a budget."""

from __future__ import annotations

import functools
import os
import platform
import random
import time
from typing import Literal, TypeVar, get_args

import numpy as np
import torch
import torchvision

from .. import __version__
from ..arguments import whole
from ..hardware import describe, device
from ..networks import load_network
from ..objectives import channel
from ..parameterizations import Fourier
from ..run import optimize

T = TypeVar("T")
Budget = Literal["quick", "full", "large"]
MORE_STEPS = 4  # a large budget takes about so many times the full one's steps, at twice the side
TWO_CORES = 0.059  # seconds that InceptionV3 as far as Mixed_6b takes for a step at 224 px on two CPU cores

# `dip-lessons address URL` writes the repository's public address here too, so that SETUP_CELL stays what
# the notebooks hold.
REPOSITORY = "https://github.com/OWNER/dip_lessons"

# The first code cell of every lesson, byte for byte; a test compares.
SETUP_CELL = f"""\
# Installs the course's package where it is missing (on Colab: about a minute), then says what this runs on.
import importlib.util
import subprocess
import sys
from pathlib import Path

REPOSITORY = "{REPOSITORY}"
if importlib.util.find_spec("dip_lessons") is None:
    checkout = Path("../dip_lessons").is_dir() and Path("../pyproject.toml").is_file()
    if not checkout and "/OWNER/" in REPOSITORY:
        raise RuntimeError("Set REPOSITORY in this cell to the address of the course's repository.")
    source = ".." if checkout else "git+" + REPOSITORY
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", source], check=True)

import dip_lessons as dip

dip.setup(seed=0)"""


def budget() -> Budget:
    """Return how long a lesson may run: ``"quick"`` under a test runner, ``"large"`` on a fast GPU, else ``"full"``.

    The environment variable ``DIP_BUDGET`` decides where it is set. A test runner is pytest, nbval included
    (a kernel inherits its ``PYTEST_CURRENT_TEST``), or a CI service (``CI=true``). A GPU is fast where a few steps,
    timed once, say that the large budget takes no longer there than the full one on two CPU cores.

    Raises:
        ValueError: ``DIP_BUDGET`` is neither quick nor full nor large.

    >>> dip.budget() in ("quick", "full", "large")
    True
    """
    asked = os.environ.get("DIP_BUDGET", "")
    for known in get_args(Budget):
        if asked == known:
            return known
    if asked:
        raise ValueError(f"the environment variable DIP_BUDGET is {asked!r}; set it to quick, full or large")
    if "PYTEST_CURRENT_TEST" in os.environ or os.environ.get("CI", "").lower() in ("1", "true"):
        return "quick"
    return "large" if device().type == "cuda" and MORE_STEPS * _large_step() <= TWO_CORES else "full"


@functools.cache
def _large_step() -> float:
    """Seconds of a step at 448 px as far as InceptionV3's Mixed_6b, on the device that lessons take."""
    network = load_network("inception_v3")
    start = Fourier(448, device=network.device)
    run = optimize(start, channel("Mixed_6b", 0), network, steps=12).advance(4)
    before = time.perf_counter(), run.history  # reading values waits for what is queued
    run.finish()
    return (time.perf_counter() - before[0]) / len(run.history[4:])


def by_budget(*, full: T, quick: T, large: T | None = None) -> T:
    """Return one of three values by the budget, as in ``steps = dip.by_budget(full=512, quick=64, large=2048)``.

    Args:
        full: what a learner gets on a CPU.
        quick: what a test gets: fewer steps or smaller pictures, never another code path.
        large: what a fast GPU gets, or a night: more steps, larger pictures; None is as ``full``.

    Raises:
        ValueError: ``DIP_BUDGET`` is neither quick nor full nor large.

    >>> steps = dip.by_budget(full=512, quick=64, large=2048)
    >>> steps == {"large": 2048, "full": 512, "quick": 64}[dip.budget()]
    True
    """
    return {"full": full, "quick": quick, "large": full if large is None else large}[budget()]


def setup(seed: int | None = 0) -> None:
    """Print device, versions and budget, and seed the global generators of Python, numpy and torch.

    Nothing else in the package touches global generators; this does, because only a learner calls it, and
    so their own ``torch.randn`` repeats too. The package draws from the seeds and generators it is given.

    Args:
        seed: a whole number below 2³²; None leaves the generators as they are.

    Raises:
        ValueError: the seed is out of range, or ``DIP_BUDGET`` is neither quick nor full nor large.

    >>> dip.setup(seed=None)
    device   ...
    versions python ... · torch ... · torchvision ... · dip_lessons ...
    budget   ...
    """
    if seed is not None:
        seed = whole(seed, "seed", high=2**32 - 1)  # numpy asks for no more
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002  # the learner's np.random.rand is what this is for
        torch.manual_seed(seed)
    meaning = {
        "quick": "few steps and small pictures, as tests use them; DIP_BUDGET=full for the lesson's own",
        "full": "the lesson's own numbers of steps; DIP_BUDGET=quick for a fast look",
        "large": "larger pictures and more steps than the lesson stores; DIP_BUDGET=full for the lesson's own",
    }
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "dip_lessons": __version__,
    }
    print("device  ", describe(device()))
    print("versions", " · ".join(f"{name} {version}" for name, version in versions.items()))
    timed = (
        f" (a large step takes {1000 * _large_step():.0f} ms)" if _large_step.cache_info().currsize else ""
    )
    print("budget  ", f"{budget()}: {meaning[budget()]}{timed}")
