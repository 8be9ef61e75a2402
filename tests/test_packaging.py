import ast
import graphlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import dip_lessons

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")


@pytest.fixture(scope="module")
def project(root: Path) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


# --- requirements -----------------------------------------------------------------------------------------


def listed(path: Path) -> list[str]:
    lines = (line.split("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def test_requirements_and_extras_are_the_same(root: Path, project: dict) -> None:
    extras = project["project"]["optional-dependencies"]
    assert listed(root / "requirements.txt") == project["project"]["dependencies"] + extras["lab"]
    assert listed(root / "requirements-test.txt") == extras["test"]


def test_a_host_keeps_its_own_versions(project: dict) -> None:
    """Colab's, as of this release: pip must find nothing to change."""
    from packaging.requirements import Requirement

    host = {
        "torch": "2.11.0",
        "torchvision": "0.26.0",
        "numpy": "2.1.0",
        "pillow": "11.3.0",
        "matplotlib": "3.10.0",
        "ipywidgets": "7.7.1",
        "ipython": "7.34.0",
        "traitlets": "5.7.1",
        "tqdm": "4.67.1",
        "packaging": "25.0",
    }
    asked = {Requirement(text).name: Requirement(text) for text in project["project"]["dependencies"]}
    assert set(asked) == set(host)
    for name, version in host.items():
        assert asked[name].specifier.contains(version), name


def test_the_citation_names_this_version(root: Path) -> None:
    text = (root / "CITATION.cff").read_text("utf-8")
    assert re.findall("^version: (.*)$", text, flags=re.MULTILINE) == [dip_lessons.__version__]


def test_the_citation_has_what_its_format_asks_for(root: Path) -> None:
    citation = pytest.importorskip("yaml").safe_load((root / "CITATION.cff").read_text("utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert all(citation[key] for key in ("message", "title", "authors"))
    for work in (citation, *citation["references"]):
        assert all("name" in author or "family-names" in author for author in work["authors"])
        assert re.fullmatch(r"10\.\d{4,9}/\S+", work.get("doi", "10.0000/none"))
    assert citation["license"] == "MIT"
    assert (root / "LICENSE").read_text("utf-8").startswith("MIT License")


# --- the wheel --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as pip builds it for somebody who installs from the repository."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_and_its_data_and_nothing_else(root: Path, wheel: Path) -> None:
    if shutil.which("git") is None or not (root / ".git").exists():
        pytest.skip("needs git's list of files")
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "dip_lessons", "data"]
    listing = subprocess.run(
        command, cwd=root, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    expected = {name for name in listing if (root / name).is_file()}
    expected = {re.sub("^data/", "dip_lessons/data/", name) for name in expected if name != "data/build.py"}
    expected = {name for name in expected if not Path(name).name.startswith(".git")}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert held == expected
        assert any(name.startswith("dip_lessons/data/weights/") for name in held)
        for name in held:
            if name.startswith("dip_lessons/data/"):
                source = root / name.removeprefix("dip_lessons/")
                assert archive.getinfo(name).file_size == source.stat().st_size, name
    assert wheel.stat().st_size < 50e6


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory, pip_install: Callable) -> dict[str, str]:
    """The environment of a process that has the wheel installed, and not the checkout."""
    folder = tmp_path_factory.mktemp("site-packages")
    result = pip_install(folder, "--no-deps", "--no-index", str(wheel))
    assert result.returncode == 0, result.stderr
    return os.environ | {"PYTHONPATH": str(folder)}


def test_pip_brings_the_package_and_nothing_else(wheel: Path, tmp_path: Path) -> None:
    """As the setup cell has it do on a host that has what the course needs, such as Colab; all else is out of reach."""
    venv.create(tmp_path / "host", with_pip=False)
    (site,) = (tmp_path / "host").glob("**/site-packages")
    for each in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if "dip_lessons" not in each.name:
            (site / each.name).symlink_to(each)
    python = tmp_path / "host" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    command = [str(python), "-m", "pip", "install", "-q", "--no-index", str(wheel)]
    environment = os.environ | {"PYTHONPATH": ""}
    result = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    brought = {each.name for each in site.iterdir() if not each.is_symlink()}
    assert brought == {"dip_lessons", f"dip_lessons-{dip_lessons.__version__}.dist-info"}


def test_an_installed_wheel_finds_its_data(installed: dict[str, str], tmp_path: Path) -> None:
    program = """
import dip_lessons, importlib.metadata
from dip_lessons import assets
print(dip_lessons.__file__)
rows = [row for row in assets.status() if assets.ASSETS[row.name].wheel is None]  # all but those to fetch
print(len(rows), sum(row.intact is True for row in rows))
print(assets.path("weights/squeezenet1_1.fp16.npz"))
print(importlib.metadata.version("dip-lessons"))
"""
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=installed, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    module, files, weights, version = result.stdout.splitlines()
    site = installed["PYTHONPATH"]
    assert Path(module).parent == Path(site, "dip_lessons")
    shipped, intact = map(int, files.split())
    assert shipped == intact > 20
    assert weights == str(Path(site, "dip_lessons/data/weights/squeezenet1_1.fp16.npz"))
    assert version == dip_lessons.__version__


def test_the_wheel_installs_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "dip-lessons = dip_lessons.course.commands:main" in archive.read(name).decode()


# --- the package as one imports it ------------------------------------------------------------------------


def run_python(program: str, folder: Path, root: Path) -> str:
    """What a program prints that has this checkout's package and no warnings but pyzmq's of its own old module."""
    quiet = "error,ignore:zmq.eventloop.ioloop is deprecated"
    environment = os.environ | {"PYTHONPATH": str(root), "PYTHONWARNINGS": quiet}
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_code_in_the_readme_runs(root: Path, tmp_path: Path) -> None:
    run, picture = re.findall(
        r"```python\n(.*?)```", (root / "README.md").read_text("utf-8"), flags=re.DOTALL
    )
    assert "steps=160" in run
    printed = run_python(
        run.replace("steps=160", "steps=2").replace("Fourier(224", "Fourier(96"), tmp_path, root
    )
    assert [line.split()[0] for line in printed.splitlines()[:2]] == ["1", "2"]
    assert (tmp_path / "picture.pt").is_file()
    assert "range(256)" in picture
    short = picture.replace("range(256)", "range(3)").replace("Fourier(224", "Fourier(96")
    printed = run_python(
        short + "print(picture().isfinite().all().item(), scheduler.last_epoch)", tmp_path, root
    )
    assert printed.splitlines()[-1] == "True 3"


def test_the_code_in_contributing_runs(root: Path, tmp_path: Path) -> None:
    blocks = re.findall(
        r"```python\n(.*?)```", (root / "CONTRIBUTING.md").read_text("utf-8"), flags=re.DOTALL
    )
    assert len(blocks) == 3
    printed = run_python("\n".join(blocks), tmp_path, root)
    assert "16 × 28 × 28" in printed
    assert (tmp_path / "run.pt").is_file()


def test_every_name_is_found_when_it_is_first_used(root: Path, tmp_path: Path) -> None:
    """And none before: a bare import loads nothing of a notebook, and not even torch."""
    program = """
import sys
import dip_lessons as dip
heavy = {"torch", "torchvision", "numpy", "ipywidgets", "IPython", "matplotlib"}
assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()
assert set(dip.__all__) <= set(dir(dip)), set(dip.__all__) - set(dir(dip))
core = ("Fourier", "random_views", "load_network", "channel", "optimize", "metrics")
assert all(getattr(dip, name) for name in core)
assert not {"ipywidgets", "IPython", "matplotlib"} & sys.modules.keys()
print(len([getattr(dip, name) for name in dip.__all__]), dip.check.ascend, dip.spherical_harmonics.__name__)
try:
    dip.no_such_name
except AttributeError as error:
    print(error)
"""
    lines = run_python(program, tmp_path, root).splitlines()
    assert lines[0].endswith(" dip_lessons.sphere.harmonics")
    assert lines[1] == "module 'dip_lessons' has no attribute 'no_such_name'"


def test_what_is_imported_is_declared(root: Path, project: dict) -> None:
    from packaging.requirements import Requirement

    extras = project["project"]["optional-dependencies"]
    asked = project["project"]["dependencies"] + extras["lab"] + extras["cluster"] + extras["glb"]
    names = {Requirement(text).name.replace("-", "_").lower() for text in asked}
    declared = names | {{"pillow": "PIL", "ipython": "IPython"}.get(name, name) for name in names}
    found = {}
    for path in (root / "dip_lessons").rglob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        for_types = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        ]
        skipped = {id(inner) for node in for_types for inner in ast.walk(node)}
        for node in ast.walk(tree):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += (
                [node.module] if isinstance(node, ast.ImportFrom) and not node.level and node.module else []
            )
            if id(node) not in skipped:
                found |= {module.partition(".")[0]: path.name for module in modules}
    assert "torch" in found
    undeclared = found.keys() - declared - set(sys.stdlib_module_names) - {"dip_lessons"}
    assert not undeclared, {name: found[name] for name in undeclared}


def test_the_readme_lists_every_lesson_once_with_its_badge(root: Path) -> None:
    text = (root / "README.md").read_text("utf-8")
    linked = re.findall(r"^\| .*?\| \[[^]]+\]\(notebooks/(\w+\.ipynb)\)", text, flags=re.MULTILINE)
    badges = re.findall(
        r"colab\.research\.google\.com/github/[^/]+/[^/]+/blob/main/notebooks/(\w+\.ipynb)", text
    )
    assert linked == badges == sorted(path.name for path in (root / "notebooks").glob("*.ipynb"))


# --- make -------------------------------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path: Path, root: Path) -> Path:
    """A checkout with nothing installed, as far as make can tell."""
    if shutil.which("make") is None or os.name != "posix":
        pytest.skip("needs make")
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "requirements-test.txt"):
        shutil.copy(root / name, tmp_path)
    return tmp_path


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *words], cwd=folder, env=environment, capture_output=True, text=True)


def other_python(folder: Path, prelude: str) -> str:
    """A Python that differs from this one by what ``prelude`` does before each ``-c`` program."""
    path = folder / "other-python"
    program = f"import sys; {prelude}; exec(sys.argv[1])"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c \'{program}\' "$2"\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("version", [(3, 9), (3, 14)])
def test_make_refuses_a_python_that_will_not_do(bare: Path, version: tuple[int, int]) -> None:
    python = other_python(bare, f"sys.version_info = {(*version, 0)}")
    result = make(bare, "env", f"PYTHON={python}")
    assert result.returncode != 0
    assert f"{python} is Python {version[0]}.{version[1]}; the course runs on 3.10 to 3.13." in result.stderr
    assert "make lab PYTHON=python3.12" in result.stderr
    assert not (bare / ".venv").exists()


def test_make_says_what_a_python_without_ensurepip_needs(bare: Path) -> None:
    python = other_python(bare, 'sys.version_info = (3, 11, 0); sys.modules["ensurepip"] = None')
    result = make(bare, "env", f"PYTHON={python}")
    assert result.returncode != 0
    assert "apt-get install python3-venv" in result.stdout
    assert not (bare / ".venv").exists()


def test_a_second_make_installs_nothing(bare: Path) -> None:
    (bare / ".venv").mkdir()
    assert "pip install" in make(bare, "-n", "test").stdout
    for stamp in (".python", ".lab", ".test"):
        (bare / ".venv" / stamp).touch()
    assert "pip install" not in make(bare, "-n", "lab").stdout
    assert "pip install" not in make(bare, "-n", "test-units").stdout
    newer = (bare / ".venv" / ".test").stat().st_mtime + 10
    os.utime(bare / "requirements.txt", (newer, newer))
    assert "pip install -r requirements.txt" in make(bare, "-n", "lab").stdout


@pytest.mark.parametrize(("units", "notebooks"), [(0, 0), (1, 0), (0, 1)])
def test_make_test_runs_both_halves_and_fails_if_one_does(bare: Path, units: int, notebooks: int) -> None:
    (bare / ".venv" / "bin").mkdir(parents=True)
    python = bare / ".venv" / "bin" / "python"
    python.write_text(
        f'#!/bin/sh\necho "$@"\ncase "$*" in *nbval*) exit {notebooks};; *) exit {units};; esac\n'
    )
    python.chmod(0o755)
    for stamp in (".python", ".lab", ".test"):
        (bare / ".venv" / stamp).touch()
    result = make(bare, "test")
    assert (result.returncode != 0) == bool(units or notebooks)
    ran = [line for line in result.stdout.splitlines() if line.startswith("-m pytest")]
    assert [line.split()[-1] for line in ran] == ["tests", "notebooks"]


# --- ruff, mypy, import-linter ----------------------------------------------------------------------------

TOOLS = {
    "ruff": ["-m", "ruff", "check"],
    "format": ["-m", "ruff", "format", "--check"],
    "mypy": ["-m", "mypy"],
    "importlinter": ["-c", "from importlinter.cli import lint_imports_command as lint; lint()", "--no-cache"],
}


@pytest.mark.parametrize("tool", TOOLS)
def test_the_code_is_clean(root: Path, tool: str) -> None:
    pytest.importorskip(tool.replace("format", "ruff"))
    result = subprocess.run([sys.executable, *TOOLS[tool]], cwd=root, capture_output=True, text=True)
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]


def test_no_module_imports_itself_by_way_of_others() -> None:
    """import-linter finds circles between rooms and between files of one; this, those of a room with its own files."""
    graph = pytest.importorskip("grimp").build_graph(
        "dip_lessons", cache_dir=None, exclude_type_checking_imports=True
    )
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert imported["dip_lessons.run.loop"]
    graphlib.TopologicalSorter(imported).prepare()  # raises CycleError, with the circle
