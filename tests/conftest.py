"""What every test shares: the checkout's root, and a quiet environment set before torch is loaded."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin slow a busy machine down
os.environ.setdefault("MPLBACKEND", "agg")  # no window, here or in subprocesses


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout's root."""
    return Path(__file__).resolve().parents[1]
