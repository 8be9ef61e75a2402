"""Where a lesson runs: on which device, with which versions, with how large a budget."""

from __future__ import annotations

import os
import platform
import random
from typing import Literal, TypeVar

import numpy as np
import torch
import torchvision

from .. import __version__
from ..arguments import whole
from ..hardware import describe, device

T = TypeVar("T")

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


def budget() -> Literal["quick", "full"]:
    """Return how long a lesson may run: ``"quick"`` under a test runner, else ``"full"``.

    The environment variable ``DIP_BUDGET`` decides where it is set. A test runner is pytest, nbval included
    (a kernel inherits its ``PYTEST_CURRENT_TEST``), or a CI service (``CI=true``).

    Raises:
        ValueError: ``DIP_BUDGET`` is neither quick nor full.

    >>> dip.budget() in ("quick", "full")
    True
    """
    asked = os.environ.get("DIP_BUDGET", "")
    if asked not in ("", "quick", "full"):
        raise ValueError(f"the environment variable DIP_BUDGET is {asked!r}; set it to quick or full")
    tested = "PYTEST_CURRENT_TEST" in os.environ or os.environ.get("CI", "").lower() in ("1", "true")
    return "quick" if asked == "quick" or (tested and not asked) else "full"


def by_budget(*, full: T, quick: T) -> T:
    """Return one of two values by the budget, as in ``steps = dip.by_budget(full=512, quick=64)``.

    Args:
        full: what a learner gets.
        quick: what a test gets: fewer steps or smaller pictures, never another code path.

    Raises:
        ValueError: ``DIP_BUDGET`` is neither quick nor full.

    >>> steps = dip.by_budget(full=512, quick=64)
    >>> steps == {"full": 512, "quick": 64}[dip.budget()]
    True
    """
    return full if budget() == "full" else quick


def setup(seed: int | None = 0) -> None:
    """Print device, versions and budget, and seed the global generators of Python, numpy and torch.

    Nothing else in the package touches global generators; this does, because only a learner calls it, and
    so their own ``torch.randn`` repeats too. The package draws from the seeds and generators it is given.

    Args:
        seed: a whole number below 2³²; None leaves the generators as they are.

    Raises:
        ValueError: the seed is out of range, or ``DIP_BUDGET`` is neither quick nor full.

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
    }
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "dip_lessons": __version__,
    }
    print("device  ", describe(device()))
    print("versions", " · ".join(f"{name} {version}" for name, version in versions.items()))
    print("budget  ", f"{budget()}: {meaning[budget()]}")
