import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from dip_lessons import assets
from dip_lessons.course import commands, doctor

OWNERLESS = "https://github.com/OWNER/dip_lessons"


def cli(
    script: Path, *arguments: str, folder: Path, flags: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a copy of the command line as a script: without the package around it, so without torch."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if key not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "DIP_BUDGET", *commands.FOR_SPEED)
    }
    return subprocess.run(
        [sys.executable, *flags, str(script), *arguments],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def script(root: Path) -> Path:
    return root / "dip_lessons/course/commands.py"


@pytest.fixture
def course(tmp_path: Path, root: Path) -> Path:
    """A checkout in small: what carries the address, one notebook, the command line."""
    course = tmp_path / "course"
    (course / "notebooks").mkdir(parents=True)
    (course / "dip_lessons/course").mkdir(parents=True)
    for name in ("dip_lessons/course/commands.py", *commands.ADDRESS_FILES):
        shutil.copy(root / name, course / name)
    for path in (root / "notebooks").glob("*.ipynb"):
        shutil.copy(path, course / "notebooks")
    from dip_lessons.course.environment import SETUP_CELL

    badge = (
        f"https://colab.research.google.com/github/OWNER/dip_lessons/blob/main/{commands.START.as_posix()}"
    )
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell(f"[Colab]({badge}) σ(A·z) — [source]({OWNERLESS}).", id="a"),
            nbformat.v4.new_code_cell(SETUP_CELL, id="b"),
        ]
    )
    # Keys in an order of their own: the command must not sort them.
    text = json.dumps(dict(reversed(notebook.items())), indent=1, ensure_ascii=False) + "\n"
    (course / commands.START).write_text(text, "utf-8")
    return course


# --- the parser -------------------------------------------------------------------------------------------


NAMES = ("lab", "run", "handout", "grade", "gallery", "sweep", "doctor", "address")


@pytest.mark.parametrize("command", NAMES)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        commands.main([command, "--help"])
    assert stop.value.code == 0
    assert f"dip-lessons {command}" in capsys.readouterr().out


def test_the_installed_command_itself_loads_neither_torch_nor_jupyter(tmp_path: Path) -> None:
    installed = Path(sysconfig.get_path("scripts"), "dip-lessons")
    if not installed.is_file():
        pytest.skip("the command is not installed in this Python")
    result = cli(installed, "--help", folder=tmp_path, flags=("-X", "importtime"))
    assert result.returncode == 0
    for command in NAMES:
        assert command in result.stdout
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in result.stderr.splitlines()}
    assert "argparse" in loaded  # the list is what it is taken for
    assert not loaded & {"torch", "numpy", "matplotlib", "ipywidgets", "IPython", "nbformat", "jupyterlab"}


@pytest.mark.parametrize(
    "arguments", [[], ["play"], ["doctor", "--port", "1"], ["run"], ["grade"], ["sweep", "x"], ["address"]]
)
def test_a_wrong_command_line_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        commands.main(arguments)
    assert stop.value.code == 2
    assert "usage: dip-lessons" in capsys.readouterr().err


# --- lab --------------------------------------------------------------------------------------------------


@pytest.fixture
def jupyterlab(tmp_path: Path) -> str:
    """A folder for PYTHONPATH with a JupyterLab that only says how it was called."""
    folder = tmp_path / "stand-in"
    folder.mkdir()
    (folder / "jupyterlab.py").write_text(
        "import json, os, sys\nprint(json.dumps([sys.argv[1:], dict(os.environ)]))\n"
    )
    return str(folder)


def test_lab_opens_the_first_lesson(course: Path, jupyterlab: str) -> None:
    script = course / "dip_lessons/course/commands.py"
    result = cli(script, "lab", "--port", "9001", "--x=y", folder=Path("/"), PYTHONPATH=jupyterlab)
    assert result.returncode == 0, result.stderr
    words, environment = json.loads(result.stdout.splitlines()[-1])
    assert f"--ServerApp.root_dir={course.resolve()}" in words
    assert "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in words
    assert "--port=9001" in words
    assert words[-1] == "--x=y"
    assert ("--allow-root" in words) == (os.geteuid() == 0)
    assert commands.FOR_SPEED.items() <= environment.items()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems always have a browser")
def test_lab_opens_a_browser_only_where_there_is_one(course: Path, jupyterlab: str) -> None:
    script = course / "dip_lessons/course/commands.py"
    without = cli(script, "lab", folder=course, PYTHONPATH=jupyterlab)
    assert "--no-browser" in without.stdout
    assert "prints its address" in without.stdout
    found = cli(script, "lab", folder=course, PYTHONPATH=jupyterlab, BROWSER=f"{sys.executable} %s")
    assert "--no-browser" not in found.stdout
    unwanted = cli(
        script, "lab", "--no-browser", folder=course, PYTHONPATH=jupyterlab, BROWSER=f"{sys.executable} %s"
    )
    assert "--no-browser" in unwanted.stdout


def test_lab_finds_the_checkout_around_the_working_directory(
    course: Path, jupyterlab: str, script: Path, tmp_path: Path
) -> None:
    installed = tmp_path / "site-packages/dip_lessons/course"
    installed.mkdir(parents=True)
    shutil.copy(script, installed)
    result = cli(installed / "commands.py", "lab", folder=course / "notebooks", PYTHONPATH=jupyterlab)
    assert f"--ServerApp.root_dir={course.resolve()}" in result.stdout
    result = cli(installed / "commands.py", "lab", folder=tmp_path, PYTHONPATH=jupyterlab)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        "dip-lessons lab: an installed package holds no notebooks; "
        "clone the course's repository and call it in there\n"
    )


def test_lab_without_jupyterlab_says_how_to_get_it(course: Path) -> None:
    result = cli(course / "dip_lessons/course/commands.py", "lab", folder=course, flags=("-S",))
    assert result.returncode == 1
    assert "JupyterLab is not installed" in result.stderr
    assert f"pip install -r {course / 'requirements.txt'}" in result.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="stops JupyterLab by a signal")
def test_lab_serves_the_first_lesson(course: Path, tmp_path: Path) -> None:
    pytest.importorskip("jupyterlab")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, str(course / "dip_lessons/course/commands.py"), "lab", "--no-browser"]
            + [f"--port={port}", "--ServerApp.token=secret", "--ServerApp.port_retries=0"],
            env=os.environ | {"JUPYTER_CONFIG_DIR": str(tmp_path / "config")},
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        page = f"http://127.0.0.1:{port}/lab/tree/notebooks/00_start_here.ipynb?token=secret"
        deadline = time.monotonic() + 60
        status = None
        while status is None and process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), urllib.request.urlopen(page, timeout=10) as answer:
                status = answer.status
            time.sleep(0.2)
        assert status == 200, log.read_text()
        # The address that a learner copies leads to the lesson.
        assert f":{port}/lab/tree/notebooks/00_start_here.ipynb?token=" in log.read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


# --- run --------------------------------------------------------------------------------------------------


def write_notebook(path: Path, *sources: str) -> bytes:
    """Write a notebook as a front end may leave it: with widget state, times, and another kernel's name."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    notebook.metadata["kernelspec"] = {"display_name": "mine", "language": "python", "name": "elsewhere"}
    for cell in notebook.cells:
        cell.metadata["execution"] = {"iopub.status.busy": "2026-01-01T00:00:00Z"}
        cell.metadata["tags"] = ["keep"]
    nbformat.write(notebook, path)
    return path.read_bytes()


def test_run_stores_outputs_and_nothing_of_the_machine(script: Path, tmp_path: Path) -> None:
    path = tmp_path / "lesson.ipynb"
    write_notebook(
        path,
        "import os\nprint(os.environ['DIP_BUDGET'], os.environ['OMP_WAIT_POLICY'])",
        "print(os.path.basename(os.getcwd()), 'σ')",
    )
    result = cli(script, "run", str(path), folder=Path("/"))
    assert result.returncode == 0, result.stderr
    notebook = nbformat.read(path, as_version=4)
    assert [cell.outputs[0].text for cell in notebook.cells] == ["full PASSIVE\n", f"{tmp_path.name} σ\n"]
    assert [cell.execution_count for cell in notebook.cells] == [1, 2]
    assert all(cell.metadata == {"tags": ["keep"]} for cell in notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    text = path.read_text("utf-8")
    assert text.endswith("}\n")
    assert "σ" in text  # not \\u03c3
    assert sys.version.split()[0] not in text
    first = path.read_bytes()
    assert cli(script, "run", str(path), folder=tmp_path).returncode == 0
    assert path.read_bytes() == first


def test_run_honours_the_budget_and_check_leaves_the_file(script: Path, tmp_path: Path) -> None:
    path = tmp_path / "lesson.ipynb"
    before = write_notebook(path, "import os\nassert os.environ['DIP_BUDGET'] == 'quick'")
    result = cli(script, "run", "--check", "lesson.ipynb", folder=tmp_path, DIP_BUDGET="quick")
    assert result.returncode == 0, result.stderr
    assert path.read_bytes() == before
    assert cli(script, "run", "--check", "lesson.ipynb", folder=tmp_path, DIP_BUDGET="full").returncode == 1


def test_run_names_the_failing_cell_and_goes_on_with_the_next_notebook(script: Path, tmp_path: Path) -> None:
    broken, whole = tmp_path / "broken.ipynb", tmp_path / "whole.ipynb"
    before = write_notebook(broken, "print(1)", "raise KeyError('no such layer')")
    write_notebook(whole, "print(2)")
    result = cli(script, "run", "broken.ipynb", "whole.ipynb", folder=tmp_path)
    assert result.returncode == 1
    assert "KeyError: 'no such layer'" in result.stderr
    assert broken.read_bytes() == before
    assert nbformat.read(whole, as_version=4).cells[0].outputs[0].text == "2\n"


@pytest.mark.skipif(os.name != "posix", reason="limits of a process")
def test_run_leaves_a_notebook_for_which_the_disk_has_no_room(script: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: both break off in the middle of writing."""
    before = write_notebook(tmp_path / "lesson.ipynb", "print('x' * 600_000)")
    limited = tmp_path / "limited.py"
    limited.write_text(
        "import resource, runpy\nresource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        f"runpy.run_path({str(script)!r}, run_name='__main__')\n"
    )
    result = cli(limited, "run", "lesson.ipynb", folder=tmp_path, IPYTHONDIR=str(tmp_path / "ipython"))
    assert result.returncode == 1
    assert "lesson.ipynb" in result.stderr
    assert (tmp_path / "lesson.ipynb").read_bytes() == before
    assert not list(tmp_path.glob(".*.part"))


def test_run_stops_a_cell_that_takes_too_long(script: Path, tmp_path: Path) -> None:
    before = write_notebook(tmp_path / "slow.ipynb", "import time\ntime.sleep(60)")
    result = cli(script, "run", "--timeout", "1", "slow.ipynb", folder=tmp_path)
    assert result.returncode == 1
    assert "1 seconds" in result.stderr
    assert (tmp_path / "slow.ipynb").read_bytes() == before


def test_run_names_what_is_no_notebook(script: Path, tmp_path: Path) -> None:
    (tmp_path / "lesson.py").touch()
    result = cli(script, "run", "lesson.py", "absent.ipynb", folder=tmp_path)
    assert result.returncode == 1
    assert result.stderr == "dip-lessons run: no such notebook: lesson.py, absent.ipynb\n"


# --- doctor -----------------------------------------------------------------------------------------------


@pytest.fixture
def planted(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the data, in place of the checkout's, that a test may damage."""
    shutil.copytree(root / "data", tmp_path / "data", ignore=shutil.ignore_patterns("rebuilt"))
    monkeypatch.setattr(assets, "__file__", str(tmp_path / "dip_lessons" / "assets.py"))
    monkeypatch.setenv("DIP_LESSONS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "data"


def doctor_lines(capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    code = commands.main(["doctor"])
    return code, capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("planted")
def test_doctor_finds_a_whole_course_whole(capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    code, lines = doctor_lines(capsys)
    assert code == 0, lines
    assert lines[-1] == "nothing is broken"
    words = {line.split()[1]: line.split() for line in lines[:-1] if not line.startswith(" ")}
    assert words["torch"][::2] == ["ok", torch.__version__.split("+")[0]]
    for what in ("python", "numpy", "ipywidgets", "jupyterlab", "device", "memory", "disk", "weights"):
        assert what in words
    shipped = str(sum(name.startswith("weights/") for name in assets.ASSETS))
    assert words["weights"][2:5] == [shipped, "of", shipped]
    assert words["mobilestylegan_ffhq"][0] == "note"  # fetched on demand: absent is not broken


def test_doctor_finds_the_corrupt_and_the_missing_file(
    planted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = planted / "weights" / "squeezenet1_1.fp16.npz"
    content = bytearray(weights.read_bytes())
    content[1000] ^= 1
    weights.write_bytes(content)
    (planted / "pictures" / "coffee.jpg").unlink()
    code, lines = doctor_lines(capsys)
    assert code == 1
    broken = [index for index, line in enumerate(lines) if line.startswith("broken")]
    assert [lines[index].split()[1] for index in broken] == [
        "weights/squeezenet1_1.fp16.npz",
        "pictures/coffee.jpg",
    ]
    for index in broken:
        name = lines[index].split()[1]
        assert lines[index + 1].strip().startswith("→ ")
        assert name in lines[index + 1]  # the advice says which file to restore
    assert lines[-1] == "2 broken"


def test_doctor_finds_old_and_absent_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata

    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "jupyterlab":
            raise importlib.metadata.PackageNotFoundError(name)
        if name == "ipywidgets":
            raise importlib.metadata.PackageNotFoundError(name)
        return {"torch": "1.13.1", "numpy": "2.5.0rc1"}.get(name) or real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = {finding.what: finding for finding in doctor.package_findings()}
    assert (found["torch"].state, found["torch"].found) == ("broken", "1.13.1, not >=2.6")
    assert "pip install 'torch>=2.6'" in found["torch"].advice
    assert found["numpy"].state == "ok"
    assert found["ipywidgets"].state == "broken"
    assert found["jupyterlab"].state == "note"  # a host may bring a front end of its own
    assert "pip install 'jupyterlab" in found["jupyterlab"].advice
    assert "pytest" not in found


def test_doctor_says_so_when_the_kernel_is_another_python(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "kernels" / "python3"
    folder.mkdir(parents=True)
    specification = {"argv": ["/opt/other/bin/python", "-m", "ipykernel_launcher"], "display_name": "other"}
    (folder / "kernel.json").write_text(json.dumps(specification))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    (finding,) = doctor.kernel_findings()
    assert finding.state == "note"
    assert "/opt/other/bin/python" in finding.found


# --- address ----------------------------------------------------------------------------------------------


def tree(course: Path) -> dict[str, bytes]:
    return {
        path.relative_to(course).as_posix(): path.read_bytes()
        for path in sorted(course.rglob("*"))
        if path.is_file() and path.suffix != ".pyc" and path.name != "commands.py"
    }


def test_address_is_carried_everywhere_and_back(course: Path) -> None:
    script = course / "dip_lessons/course/commands.py"
    cli(script, "address", OWNERLESS, folder=course)  # whatever address the checkout has by now
    before = tree(course)
    result = cli(script, "address", "https://github.com/some.one/a-course.git/", folder=course)
    assert result.returncode == 0, result.stderr
    after = tree(course)
    assert result.stdout.split() == [
        *(name for name in commands.ADDRESS_FILES if OWNERLESS.encode() in before[name]),
        *sorted(name for name in before if name.endswith(".ipynb")),
    ]
    for name, content in before.items():
        expected = content.replace(b"OWNER/dip_lessons", b"some.one/a-course")
        assert after[name] == expected, name
    assert b'Repository = "https://github.com/some.one/a-course"\n' in after["pyproject.toml"]
    assert b"colab.research.google.com/github/some.one/a-course/blob/main/notebooks/0" in after["README.md"]

    again = cli(script, "address", "https://github.com/some.one/a-course", folder=course / "notebooks")
    assert again.stdout == "nothing to change\n"
    assert tree(course) == after

    cli(script, "address", OWNERLESS, folder=course)
    assert tree(course) == before


def test_address_keeps_setup_cell_and_notebooks_the_same(course: Path) -> None:
    script = course / "dip_lessons/course/commands.py"
    cli(script, "address", "https://github.com/someone/course", folder=course)
    written = (course / "dip_lessons/course/environment.py").read_text("utf-8")
    names: dict[str, str] = {}
    exec(written[written.index("REPOSITORY = ") : written.index("def budget")], names)
    assert 'REPOSITORY = "https://github.com/someone/course"\n' in names["SETUP_CELL"]
    for path in (course / "notebooks").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        first = next(cell for cell in notebook.cells if cell.cell_type == "code")
        assert first.source == names["SETUP_CELL"], path.name


def test_address_elsewhere_than_on_github_leaves_the_colab_badges(course: Path) -> None:
    script = course / "dip_lessons/course/commands.py"
    cli(script, "address", OWNERLESS, folder=course)
    result = cli(script, "address", "https://git.example.org/group/sub/course", folder=course)
    assert result.returncode == 0
    assert "github.com only" in result.stdout
    text = (course / commands.START).read_text("utf-8")
    assert 'REPOSITORY = \\"https://git.example.org/group/sub/course\\"' in text
    assert "colab.research.google.com/github/OWNER/dip_lessons/blob" in text
    result = cli(script, "address", "https://github.com/someone/course", folder=course)
    assert "OWNER/dip_lessons" not in (course / commands.START).read_text("utf-8")


@pytest.mark.parametrize(
    "url",
    [
        "github.com/a/b",
        "git@github.com:a/b.git",
        "https://github.com/a",
        "https://x.org/a/b?c",
        "",
        'https://x/"/b',
    ],
)
def test_address_refuses_what_is_none(course: Path, url: str) -> None:
    before = tree(course)
    result = cli(course / "dip_lessons/course/commands.py", "address", url, folder=course)
    assert result.returncode == 1
    assert "is not an address as in https://github.com/someone/dip_lessons" in result.stderr
    assert tree(course) == before


def test_a_stored_widget_leaves_its_picture_or_a_line_of_text() -> None:
    """A page without a kernel would write an error in the widget's place."""
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "0"}}
    player = {**view, "image/jpeg": "…", "text/plain": "<player>"}
    sliders = {**view, "text/plain": "interactive(children=(…))"}
    question = {**view, "text/html": "<p>Your guess?</p>", "text/plain": "Your guess?"}
    plain = {"text/plain": "3"}
    for data in (player, sliders, question, plain):
        commands.without_widget(data)
    assert question == {"text/html": "<p>Your guess?</p>", "text/plain": "Your guess?"}
    assert player == {"image/jpeg": "…", "text/plain": "<player>"}
    assert sliders == {"text/plain": "(sliders appear here when you run this cell)"}
    assert plain == {"text/plain": "3"}
