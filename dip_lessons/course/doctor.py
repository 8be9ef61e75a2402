"""What this machine has, and what to do about what is missing: ``dip-lessons doctor``."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from .. import assets
from ..hardware import describe, device, memory
from .environment import REPOSITORY


@dataclass(frozen=True)
class Finding:
    """One thing the doctor looked at: its state (ok, note or broken), and what to do about it."""

    state: str
    what: str
    found: str
    advice: str = ""


def doctor() -> int:
    """Print what this machine has; return 1 if something is broken, else 0."""
    broken = 0
    for finding in findings():
        broken += finding.state == "broken"
        print(f"{finding.state:<7} {finding.what:<20} {finding.found}", flush=True)
        if finding.advice:
            print(f"{'':<7} → {finding.advice}")
    print(f"{broken} broken" if broken else "nothing is broken")
    return int(broken > 0)


def findings() -> Iterator[Finding]:
    """Look at the Python, the packages, the kernel, the device, the disk, the assets and the address."""
    yield Finding("ok", "python", f"{platform.python_version()} at {sys.prefix}")
    yield from package_findings()
    yield from kernel_findings()
    yield from device_findings()
    yield from room_findings()
    yield from asset_findings()
    yield from address_findings()


def package_findings() -> Iterator[Finding]:
    """Hold the installed versions against what this package's metadata asks for."""
    from packaging.requirements import Requirement

    try:
        asked = importlib.metadata.requires("dip-lessons") or []
    except importlib.metadata.PackageNotFoundError:
        advice = f"{sys.executable} -m pip install -e . (in the checkout)"
        yield Finding("broken", "dip-lessons", "is not installed in this Python", advice)
        return
    yield Finding("ok", "dip-lessons", importlib.metadata.version("dip-lessons"))
    for requirement in map(Requirement, asked):
        marker = requirement.marker
        needed = marker is None or marker.evaluate({"extra": ""})
        if not needed and not (marker and marker.evaluate({"extra": "lab"})):
            continue
        name, wanted = requirement.name, str(requirement.specifier)
        advice = f"{sys.executable} -m pip install '{name}{wanted}'"
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            # A host such as Colab brings a front end of its own, so the extra `lab` may be absent.
            yield Finding("broken" if needed else "note", name, "is not installed", advice)
            continue
        if requirement.specifier.contains(version, prereleases=True):
            yield Finding("ok", name, version)
        else:
            yield Finding("broken", name, f"{version}, not {wanted}", advice)


def kernel_findings() -> Iterator[Finding]:
    """Look at what runs the notebooks: the kernel, and the front end's half of the widgets."""
    if importlib.util.find_spec("jupyterlab") and importlib.util.find_spec("jupyterlab_widgets") is None:
        advice = f"{sys.executable} -m pip install --force-reinstall ipywidgets"
        yield Finding("broken", "jupyterlab_widgets", "is not installed: sliders would show as text", advice)
    if importlib.util.find_spec("jupyter_client") is None:
        return
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    python = sys.executable
    advice = f"{python} -m pip install ipykernel && {python} -m ipykernel install --sys-prefix"
    try:
        interpreter = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        yield Finding("broken", "kernel python3", "is not installed", advice)
        return
    # A bare name means "the Python that runs the server".
    if os.path.dirname(interpreter) in ("", os.path.dirname(python)):
        yield Finding("ok", "kernel python3", "is this Python")
    else:
        yield Finding("note", "kernel python3", f"is another Python: {interpreter}", advice)


def device_findings() -> Iterator[Finding]:
    """Add two numbers on the chosen device."""
    where = device()
    try:
        torch.ones(2, device=where).sum().item()
    except RuntimeError as error:
        yield Finding("broken", "device", f"{where}: {error}", "update the driver, or ask for device='cpu'")
    else:
        yield Finding("ok", "device", describe(where))


def room_findings() -> Iterator[Finding]:
    """Say how much memory is free, and how much room on the disk for downloads and saved runs."""
    if amount := memory(torch.device("cpu")):
        advice = "close other programs, and shut down kernels you no longer need"
        yield room("memory", amount[0], 2e9, "free", advice)
    advice = "make room: weights of one large network take about 0.5 GB"
    yield room("disk", shutil.disk_usage(Path.home()).free, 1e9, f"free in {Path.home()}", advice)


def room(what: str, free: int, least: float, words: str, advice: str) -> Finding:
    """That so many bytes are free, with advice where that is little."""
    found = f"{free / 1e9:.1f} GB {words}"
    return Finding("ok", what, found) if free >= least else Finding("note", what, found, advice)


def asset_findings() -> Iterator[Finding]:
    """Compare every asset that is there with its sha256: a line for each folder, and one for each problem."""
    folders: dict[str, list[assets.Status]] = {}
    for row in assets.status():
        folders.setdefault(row.name.split("/")[0], []).append(row)
    for folder, rows in folders.items():
        whole = sum(row.intact is True for row in rows)
        if whole:
            yield Finding("ok", folder, f"{whole} of {len(rows)} files are here and whole (sha256)")
        later = [row for row in rows if row.where is None and assets.ASSETS[row.name].wheel]
        if later:
            found = f"{len(later)} of {len(rows)} files are not here yet"
            yield Finding("note", folder, found, later[0].advice)
        for row in rows:
            if row.intact is not True and row not in later:
                found = f"{row.where} is corrupt: its sha256 does not hold" if row.where else "is not here"
                yield Finding("broken", row.name, found, row.advice)


def address_findings() -> Iterator[Finding]:
    """Say whether the setup cell knows where to install the package from."""
    if "/OWNER/" in REPOSITORY:
        advice = "needed on Colab only; dip-lessons address https://github.com/… in a checkout"
        yield Finding("note", "repository", "has no public address yet", advice)
    else:
        yield Finding("ok", "repository", REPOSITORY)
