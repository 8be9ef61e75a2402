"""What there is to compute on: devices and their memory."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator

import torch


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

    >>> from dip_lessons import hardware
    >>> amount = hardware.memory(torch.device("cpu"))
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

    >>> from dip_lessons import hardware
    >>> hardware.describe(torch.device("cpu"))
    'cpu (...)'
    """
    if where.type == "cuda":
        name = torch.cuda.get_device_name(where)
    else:
        name = f"{platform.machine()}, {torch.get_num_threads()} threads"
    amount = memory(where)
    room = f", {amount[0] / 1e9:.0f} of {amount[1] / 1e9:.0f} GB free" if amount else ""
    return f"{where} ({name}{room})"


@contextlib.contextmanager
def no_autocast() -> Iterator[None]:
    """A host's ``torch.autocast`` changes nothing of what is computed inside; a decorator, too.

    >>> from dip_lessons import hardware
    >>> with torch.autocast("cpu", dtype=torch.bfloat16), hardware.no_autocast():
    ...     (torch.ones(2, 2) @ torch.ones(2, 2)).dtype
    torch.float32
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.autocast("cpu", enabled=False))
        if torch.cuda.is_available():
            stack.enter_context(torch.autocast("cuda", enabled=False))
        yield
