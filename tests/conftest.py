"""What every test shares: the checkout's root, and a quiet environment set before torch is loaded."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin slow a busy machine down
os.environ.setdefault("MPLBACKEND", "agg")  # no window, here or in subprocesses
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # a shell's background job ignores it; a notebook's kernel does not
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout's root."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def pip_install() -> Callable[..., subprocess.CompletedProcess[str]]:
    """``pip_install(folder, "package==1.0", …)``: into a folder that a process may have on its path."""

    def install(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)

    return install


@pytest.fixture
def panels_closed() -> Iterator[None]:
    """Close all players and sliders that a test has left."""
    from dip_lessons.notebook.player import cells

    yield
    for panel in cells.panels():
        panel.close()
