"""Where a lesson runs: on which device, with which versions, with how large a budget."""

from __future__ import annotations

import os
import platform
import random
from typing import Literal, TypeVar

import numpy as np
import torch
import torchvision

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


def device(name: str | torch.device | None = None) -> torch.device:
    """Return the device to compute on: the one asked for, else CUDA, else Apple's MPS, else the CPU.

    Args:
        name: ``"cuda"``, ``"cuda:1"``, ``"mps"``, ``"cpu"`` or a ``torch.device``; None chooses.

    Raises:
        ValueError: the name is none of these.
        RuntimeError: this machine, or this build of torch, has no such device.

    >>> dip.device("cpu")
    device(type='cpu')
    >>> dip.device("tpu")
    Traceback (most recent call last):
        ...
    ValueError: device 'tpu' is unknown; use 'cuda', 'cuda:1', 'mps', 'cpu' or None
    """
    if name is None:
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        asked = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device {name!r} is unknown; use 'cuda', 'cuda:1', 'mps', 'cpu' or None") from error
    if asked.type not in ("cuda", "mps", "cpu"):
        raise ValueError(f"device {name!r} is not one the course runs on; use 'cuda', 'mps', 'cpu' or None")
    present = {
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
        "cpu": 1,
    }[asked.type]
    if (asked.index or 0) >= present:
        raise RuntimeError(
            f"device {str(name)!r} was asked for, but torch {torch.__version__} finds {present} of type "
            f"{asked.type!r} here; use {str(device())!r}, or None to choose what there is"
        )
    return asked


def memory(where: torch.device) -> tuple[int, int] | None:
    """Return (free, total) bytes of a device's memory, or None where the system does not tell.

    Args:
        where: the device; MPS shares the machine's memory and so counts as the CPU.

    >>> from dip_lessons import environment
    >>> amount = environment.memory(torch.device("cpu"))
    >>> amount is None or 0 < amount[0] <= amount[1]
    True
    """
    if where.type == "cuda":
        return torch.cuda.mem_get_info(where)
    try:
        page, total = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None
    try:
        # MemAvailable counts what caches would give back; SC_AVPHYS_PAGES does not.
        with open("/proc/meminfo", encoding="ascii") as lines:
            free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        try:
            free = os.sysconf("SC_AVPHYS_PAGES") * page
        except (ValueError, OSError):  # macOS
            return None
    return free, total * page


def describe(where: torch.device) -> str:
    """Return one line on a device: type, name, memory, as in ``cuda (NVIDIA H100, 75 of 80 GB free)``.

    Args:
        where: the device.

    >>> from dip_lessons import environment
    >>> environment.describe(torch.device("cpu"))
    'cpu (...)'
    """
    if where.type == "cuda":
        name = torch.cuda.get_device_name(where)
    else:
        name = f"{platform.machine()}, {torch.get_num_threads()} threads"
    amount = memory(where)
    room = f", {amount[0] / 1e9:.0f} of {amount[1] / 1e9:.0f} GB free" if amount else ""
    return f"{where} ({name}{room})"


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
    if asked:
        return "quick" if asked == "quick" else "full"
    tested = "PYTEST_CURRENT_TEST" in os.environ or os.environ.get("CI", "").lower() in ("1", "true")
    return "quick" if tested else "full"


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
        seed: an integer of at least 0 and below 2³²; None leaves the generators as they are.

    Raises:
        ValueError: the seed is out of range, or ``DIP_BUDGET`` is neither quick nor full.

    >>> dip.setup(seed=None)
    device   ...
    versions python ... · torch ... · torchvision ... · dip_lessons ...
    budget   ...
    """
    from . import __version__  # here, for the package imports this module before it is whole

    if seed is not None:
        if not 0 <= seed < 2**32:
            raise ValueError(f"seed is {seed}; numpy asks for an integer of at least 0 and below 2**32")
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
