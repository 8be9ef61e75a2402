import contextlib
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision

from dip_lessons import hardware
from dip_lessons.course import environment


def set_budget(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    """Leave these of the variables that decide the budget; called in the test, for pytest sets one itself."""
    for name in ("DIP_BUDGET", "CI", "PYTEST_CURRENT_TEST"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def generators_restored() -> Iterator[None]:
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    torch.set_rng_state(states[2])


# --- device -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"), [(1, True, "cuda"), (0, True, "mps"), (0, False, "cpu"), (1, False, "cuda")]
)
def test_the_best_device_is_chosen(
    monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert hardware.device() == torch.device(chosen)
    assert hardware.device(chosen) == torch.device(chosen)
    assert hardware.device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "meta"])
def test_an_unknown_device_is_named_with_what_to_use(name: str) -> None:
    with pytest.raises(ValueError, match=f"device '{name}'.*use .*'cuda'.*'mps', 'cpu' or None"):
        hardware.device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps"])
def test_an_absent_device_is_named_with_what_to_use(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match=f"'{name}' was asked for.* finds 0 .*use 'cpu', or None"):
        hardware.device(name)


def test_the_second_of_one_gpu_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert hardware.device("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(RuntimeError, match="'cuda:1' was asked for.* finds 1 of type 'cuda'"):
        hardware.device("cuda:1")


def test_memory_agrees_with_psutil() -> None:
    psutil = pytest.importorskip("psutil")
    amount = hardware.memory(torch.device("cpu"))
    if amount is None:
        pytest.skip("this system does not tell")
    seen = psutil.virtual_memory()
    assert amount[1] == seen.total
    assert amount[0] == pytest.approx(seen.available, abs=2e9)  # other processes come and go
    assert 0 < amount[0] <= amount[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_is_described_by_name_and_memory() -> None:
    where = hardware.device()
    properties = torch.cuda.get_device_properties(where)
    text = hardware.describe(where)
    assert text.startswith("cuda (")
    assert properties.name in text
    assert f"of {properties.total_memory / 1e9:.0f} GB free" in text


# --- budget -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "full"),
        ({"PYTEST_CURRENT_TEST": "notebooks/01_pixels.ipynb::Cell 0 (setup)"}, "quick"),
        ({"CI": "true"}, "quick"),
        ({"CI": "false"}, "full"),
        ({"CI": "true", "DIP_BUDGET": "full"}, "full"),
        ({"DIP_BUDGET": "quick"}, "quick"),
        ({"DIP_BUDGET": "large"}, "large"),
        ({"DIP_BUDGET": ""}, "full"),
    ],
)
def test_budget(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str) -> None:
    set_budget(monkeypatch, **variables)
    monkeypatch.setattr(environment, "device", lambda: torch.device("cpu"))
    assert environment.budget() == expected
    assert environment.by_budget(full=512, quick=64) == {"full": 512, "quick": 64, "large": 512}[expected]
    several = {"full": 512, "quick": 64, "large": 2048}
    assert environment.by_budget(**several) == several[expected]


@pytest.mark.parametrize(("milliseconds", "expected"), [(1, "large"), (13, "large"), (15, "full")])
def test_a_gpu_takes_the_large_budget_where_that_is_no_slower(
    monkeypatch: pytest.MonkeyPatch, milliseconds: float, expected: str
) -> None:
    """Four times as many steps of so long, against 59 ms on two cores."""
    set_budget(monkeypatch)
    monkeypatch.setattr(environment, "device", lambda: torch.device("cuda"))
    monkeypatch.setattr(environment, "_large_step", lambda: milliseconds / 1000)
    assert environment.budget() == expected
    set_budget(monkeypatch, DIP_BUDGET="full")
    assert environment.budget() == "full"


def test_an_unknown_budget_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    set_budget(monkeypatch, DIP_BUDGET="huge")
    with pytest.raises(ValueError, match="DIP_BUDGET is 'huge'; set it to quick, full or large"):
        environment.budget()


def test_a_kernel_started_by_pytest_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_client.manager import start_new_kernel

    monkeypatch.delenv("DIP_BUDGET", raising=False)
    monkeypatch.delenv("CI", raising=False)
    code = """
import os
from dip_lessons.course import environment
first = environment.budget()
del os.environ["PYTEST_CURRENT_TEST"]  # so that the first answer is known to come from it
print(first, environment.budget())
"""
    printed = []
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        client.execute_interactive(
            code,
            timeout=120,
            output_hook=lambda message: printed.append(message["content"].get("text", "")),
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert "".join(printed) == "quick full\n"


# --- setup ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("generators_restored")
def test_setup_seeds_the_three_global_generators() -> None:
    for _ in range(2):
        environment.setup(seed=3)
        drawn = torch.rand(4)
        assert torch.equal(drawn, torch.rand(4, generator=torch.Generator().manual_seed(3)))
        assert np.random.rand() == np.random.RandomState(3).rand()  # noqa: NPY002
        assert random.random() == random.Random(3).random()


@pytest.mark.usefixtures("generators_restored")
@pytest.mark.parametrize("seed", [np.int64(3), np.uint8(3), torch.tensor(3)])
def test_a_whole_number_of_any_kind_is_a_seed(seed: object) -> None:
    environment.setup(seed)
    assert torch.equal(torch.rand(4), torch.rand(4, generator=torch.Generator().manual_seed(3)))


def test_setup_without_a_seed_draws_nothing() -> None:
    before = torch.get_rng_state(), random.getstate(), torch.is_grad_enabled()
    environment.setup(seed=None)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), torch.is_grad_enabled()) == before[1:]


@pytest.mark.usefixtures("generators_restored")
def test_setup_says_what_a_lesson_runs_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_budget(monkeypatch)
    assert environment.setup() is None
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["device", "versions", "budget"]
    assert str(hardware.device()) in lines[0]
    assert f"torch {torch.__version__} · torchvision {torchvision.__version__} · dip_lessons 0." in lines[1]
    assert environment.budget() in lines[2]
    assert "DIP_BUDGET=quick" in lines[2]


@pytest.mark.parametrize("seed", [-1, 2**32, True, 1.5, "3"])
def test_a_seed_that_is_none_changes_nothing(seed: object) -> None:
    before = torch.get_rng_state()
    with pytest.raises(ValueError, match=f"seed must be a whole number, from 0 to 4294967295; got {seed!r}"):
        environment.setup(seed)
    assert torch.equal(torch.get_rng_state(), before)


# --- the setup cell ---------------------------------------------------------------------------------------

PRELUDE = """
import subprocess, sys
def run(command, check):
    assert check and command[:-1] == [sys.executable, "-m", "pip", "install", "-q"]
    print("pip install", command[-1])
    sys.path.append({stub!r})
subprocess.run = run
"""


def run_setup_cell(folder: Path, cell: str, *, installed: bool) -> subprocess.CompletedProcess[str]:
    """Run the cell in ``folder`` with a stand-in package: installed already, or brought by pip."""
    stub = folder / "site-packages"
    (stub / "dip_lessons").mkdir(parents=True)
    (stub / "dip_lessons" / "__init__.py").write_text("def setup(seed): print('setup', seed)\n")
    working = folder / "notebooks"
    working.mkdir(exist_ok=True)
    program = (
        PRELUDE.format(stub=str(stub)) + (f"sys.path.append({str(stub)!r})\n" if installed else "") + cell
    )
    # -S leaves site-packages out, and with it the package that these tests run on.
    return subprocess.run([sys.executable, "-S", "-c", program], cwd=working, capture_output=True, text=True)


def test_the_setup_cell_installs_nothing_where_the_package_is(tmp_path: Path) -> None:
    result = run_setup_cell(tmp_path, environment.SETUP_CELL, installed=True)
    assert (result.stdout, result.stderr, result.returncode) == ("setup 0\n", "", 0)


def test_the_setup_cell_installs_the_checkout_around_it(tmp_path: Path) -> None:
    (tmp_path / "dip_lessons").mkdir()
    (tmp_path / "pyproject.toml").touch()
    result = run_setup_cell(tmp_path, environment.SETUP_CELL, installed=False)
    assert (result.stdout, result.returncode) == ("pip install ..\nsetup 0\n", 0), result.stderr


def test_the_setup_cell_installs_from_the_repository(tmp_path: Path) -> None:
    address = "https://github.com/someone/course"
    cell = environment.SETUP_CELL.replace(environment.REPOSITORY, address)
    result = run_setup_cell(tmp_path, cell, installed=False)
    assert (result.stdout, result.returncode) == (f"pip install git+{address}\nsetup 0\n", 0), result.stderr


def test_the_setup_cell_says_what_to_set_where_it_knows_no_repository(tmp_path: Path) -> None:
    cell = environment.SETUP_CELL.replace(environment.REPOSITORY, "https://github.com/OWNER/dip_lessons")
    result = run_setup_cell(tmp_path, cell, installed=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == (
        "RuntimeError: Set REPOSITORY in this cell to the address of the course's repository."
    )


def test_the_setup_cell_is_short() -> None:
    with contextlib.suppress(ImportError):
        from IPython.core.inputtransformer2 import TransformerManager

        assert TransformerManager().check_complete(environment.SETUP_CELL)[0] == "complete"
    assert len([line for line in environment.SETUP_CELL.splitlines() if line]) <= 15
    assert not environment.SETUP_CELL.endswith("\n")  # a notebook's cell ends without one
