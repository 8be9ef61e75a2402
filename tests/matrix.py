"""The unit tests in columns, as other machines run them: ``make test-matrix``; tests/README.md says what ran when.

as-is, default, avx2   the instructions that torch's kernels may use (default: neither AVX2 nor AVX512)
one-thread, busy       one thread; as many other programs as there are cores
lowest, newest         the lowest versions that pyproject.toml admits, and the newest, in environments of their own
python3.10 …           each Python that is on this machine, with the newest versions
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / ".venv-matrix"
LISTS = ("requirements.txt", "requirements-test.txt")
VARIABLES = {
    "as-is": {},
    "default": {"ATEN_CPU_CAPABILITY": "default"},
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "one-thread": {"OMP_NUM_THREADS": "1"},
    "busy": {},
}
RUNS_ON = """
import platform, torch
print(f"Python {platform.python_version()}, torch {torch.__version__}, "
      f"{torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} threads")
"""


def pythons() -> dict[str, str]:
    """{"python3.10": its path} for each Python that can make environments, pyenv's among them."""
    found = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for name in (f"python3.{minor}" for minor in range(10, 14)):
        for path in (shutil.which(name), *map(str, sorted(pyenv.glob(f"*/bin/{name}")))):
            works = path and subprocess.run([path, "-c", "import ensurepip, venv"], capture_output=True)
            if works and works.returncode == 0:
                found[name] = path
                break
    return found


def lowest() -> str:
    """Constraints for pip: what a learner installs, each package in the lowest version that is admitted.

    ipywidgets 7.7 is Colab's, where tests of their own have it: JupyterLab 4 draws no widgets of it. pyparsing is kept
    at what matplotlib of those years knew.
    """
    text = (ROOT / LISTS[0]).read_text(encoding="utf-8")
    text = re.sub(r"^([\w-]+)>=(\S+)$", r"\1==\2", text, flags=re.MULTILINE)
    return re.sub(r"^ipywidgets==.*$", "ipywidgets==8.0.7", text, flags=re.MULTILINE) + "pyparsing<3.3\n"


def environment(name: str, python: str) -> str:
    """The Python of a column's own environment, which is made or brought up to date if its lists have changed."""
    folder = ENVIRONMENTS / name
    inside = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    constraints, stamp = lowest() if name == "lowest" else "", folder / "made-of.txt"
    made_of = constraints + "".join((ROOT / part).read_text(encoding="utf-8") for part in LISTS)
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != made_of:
        subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        (folder / "constraints.txt").write_text(constraints, encoding="utf-8")
        install = [str(inside), "-m", "pip", "install", "-q"]
        lists = [word for part in LISTS for word in ("-r", str(ROOT / part))]
        subprocess.run([*install, *lists, "-c", str(folder / "constraints.txt")], check=True)
        subprocess.run([*install, "--no-deps", "-e", str(ROOT)], check=True)
        stamp.write_text(made_of, encoding="utf-8")
    return str(inside)


def column(name: str, python: str, tests: list[str], workers: int) -> bool:
    """Run a column, print its line, leave what pytest said in .venv-matrix/NAME.log; whether all passed."""
    if name not in VARIABLES:
        python = environment(name, python)
    variables = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE", **VARIABLES.get(name, {})}
    about = subprocess.run(
        [python, "-c", RUNS_ON], env=variables, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    asked = variables.get("ATEN_CPU_CAPABILITY", "").upper()
    if asked not in about:
        print(f"{name:<12} not on this processor: {about}", flush=True)
        return True
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range((os.cpu_count() or 1) if name == "busy" else 0)
    ]
    start = time.monotonic()
    try:
        command = [python, "-m", "pytest", "-q", "-n", str(workers), "--dist", "loadfile", *tests]
        if name == "lowest":  # old packages import what new ones beside them deprecate
            command += ["-W", "ignore::DeprecationWarning"]
            # mypy reads the stubs of the newest versions; the other columns run it.
            command += ["--deselect", "tests/test_packaging.py::test_the_code_is_clean[mypy]"]
        result = subprocess.run(
            command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
    finally:
        for process in busy:
            process.kill()
    (ENVIRONMENTS / f"{name}.log").write_text(result.stdout, encoding="utf-8")
    for line in re.findall(r"^(?:FAILED|ERROR) .*", result.stdout, re.MULTILINE):
        print(line)
    said = (result.stdout.splitlines() or ["nothing"])[-1].strip("= ")
    print(f"{name:<12} {about}: {said} ({(time.monotonic() - start) / 60:.0f} min)", flush=True)
    return result.returncode == 0


def main() -> int:
    """Run the columns that were named, else all; the status is 1 if a test failed in one of them."""
    here = pythons()
    every = {**dict.fromkeys(VARIABLES, sys.executable)}
    every |= {"lowest": next(iter(here.values()), sys.executable), "newest": sys.executable, **here}
    parser = argparse.ArgumentParser(
        prog="tests/matrix.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "columns", nargs="*", metavar="COLUMN", help=f"here: {' '.join(every)} (default: all)"
    )
    parser.add_argument("--tests", nargs="+", default=["tests"], metavar="PATH", help="(default: tests)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="(default: one for each core)")
    options = parser.parse_args()
    unknown = [name for name in options.columns if name not in every]
    if unknown:
        parser.error(f"there is no column {', '.join(unknown)} here, but {', '.join(every)}")
    ENVIRONMENTS.mkdir(exist_ok=True)
    passed = True
    for name in options.columns or every:
        try:
            passed &= column(name, every[name], options.tests, options.workers)
        except subprocess.CalledProcessError as error:
            print(f"{name:<12} has no environment: {error}", flush=True)
            passed = False
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
