"""What learners handed in, exercise by exercise: passed, wrong (and why), not attempted, crashed, timed out.

An answer is executed in a process of its own, with a limit of time and, on Linux, of memory, in a temporary
working directory, without terminal, kernel and widgets. Of the notebook only the statements run that the
answer needs. Nothing that the notebook says about itself counts: its check cells, their stored outputs and
its setup cell are not executed, and the verdict is found in this process, from the numbers that the answer
gave, by this package's check.

What grading does not protect against:

- It is no sandbox. An answer runs with your rights: it can read and delete your files, use the network, end
  other processes of yours and, but on Linux, start some that outlive it. Grade the work of people whom you do
  not know in a container or a virtual machine, or as a user that owns nothing.
- A right answer need not be the learner's own. Solutions stand in the published notebooks and targets in
  this package's source (they are forgotten where an answer runs); who copies those, or looks up the cases and
  returns stored numbers, passes.
- Files beside the notebook are not there: an answer that needs some does not pass.
"""

from __future__ import annotations

import contextlib
import csv as csv_format
import ctypes
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from multiprocessing.process import BaseProcess
from pathlib import Path

from ..atomic import atomic_write
from . import attempt, check, notebooks
from .check.verdict import Outcome

GRADES = ("passed", "wrong", "not attempted", "crashed", "timed out", "unreadable")
COPY = re.compile(r"( \(\d+\)|-\d+|-Copy\d+)$")  # what browsers, platforms and Jupyter add to a name
STATES = {"correct": "passed", "wrong": "wrong", "unattempted": "not attempted"}


@dataclass(frozen=True)
class Row:
    """What became of one exercise in one notebook; ``exercise`` is empty for a notebook that is unreadable.

    Args:
        notebook: its path.
        lesson: its name.
        exercise: the name of its function.
        grade: one of ``GRADES``.
        message: what was wrong.
        seconds: that it took.

    >>> from dip_lessons.course.grade import Row
    >>> Row("anna.ipynb", "lesson 01", "ascend", "passed", "right", 0.4).grade
    'passed'
    """

    notebook: str
    lesson: str
    exercise: str
    grade: str
    message: str
    seconds: float


def grade(
    files: Sequence[Path],
    *,
    seconds: float = 60,
    memory: int = 2000,
    csv: Path | None = None,
    overwrite: bool = False,
    alike: bool = False,
    wide: Path | None = None,
) -> int:
    """Grade notebooks, print a table as it grows, and return 0: an answer that is wrong is no failure of grading.

    Of copies of one name beside each other, as ``05_robustness.ipynb`` and ``05_robustness (1).ipynb``, the newest
    counts; the others, and files that are no notebooks, are named. A student is the folder, below the one that is
    graded, in which the notebook lies; where it lies in none, what its name holds before the lesson's: ``anna`` of
    ``anna_05_robustness.ipynb``.

    Args:
        files: notebooks, or folders that hold some at any depth.
        seconds: that the answers of one notebook may take together.
        memory: MB that an answer may take beyond what the packages take; Linux only.
        csv: a file for the rows of the table; each is written as soon as it is known.
        overwrite: whether that file may exist.
        alike: whether answers of several notebooks that are the same but for comments and layout are listed.
        wide: a file for a table with a row for each student and a column for each exercise, as a learning platform
            imports it: 1 where an answer passed, 0 where one did not, and nothing where there is no notebook.

    Raises:
        FileNotFoundError: there is no such file or folder, or no notebook in it.
        FileExistsError: a file for a table exists.
        ValueError: a limit makes no sense.

    >>> from pathlib import Path
    >>> from dip_lessons.course.grade import grade
    >>> Path("handed_in").mkdir()
    >>> Path("handed_in/anna.ipynb").write_text("what is this?") > 0
    True
    >>> grade([Path("handed_in")], csv=Path("table.csv"))
    handed_in/anna.ipynb   unreadable: is no notebook of format 4 (JSONDecodeError)
    0
    """
    if not (0 < seconds <= 86_400 and memory > 0):
        raise ValueError(
            f"limits must be above 0, and a day at most; got {seconds:g} seconds and {memory} MB: set --seconds "
            "and --memory"
        )
    for table in (csv, wide):
        if table is not None and table.exists() and not overwrite:
            raise FileExistsError(f"{table} exists; name another file, or add --overwrite")
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a message may hold what the terminal cannot show
    students = _newest(dict(_notebooks(files)))
    paths = list(students)
    _adopt_strays()
    rows: list[Row] = []
    with contextlib.ExitStack() as stack:
        write = None
        if csv is not None:
            # With a mark at its start by which spreadsheets know UTF-8.
            file = stack.enter_context(csv.open("w", encoding="utf-8-sig", errors="replace", newline=""))
            write = csv_format.writer(file).writerow
            write([f.name for f in fields(Row)])
        for path in paths:
            found: list[Row] = []
            for row in grade_notebook(path, seconds=seconds, memory=memory):
                found.append(row)
                if write:
                    write([_harmless(value) for value in astuple(row)])
                    file.flush()
            _print(found)
            _print_guesses(path)
            rows += found
    _print_summary(rows)
    if wide is not None:
        _write_wide(wide, rows, students)
    if alike:
        _print_alike(paths)
    return 0


def grade_notebook(path: Path, *, seconds: float = 60, memory: int = 2000) -> Iterator[Row]:
    """Grade one notebook: a row for each exercise of its lesson, whether or not the notebook still has it.

    What remains of the time is shared evenly by the exercises that remain, so that none can take it all.

    Args:
        path: of the notebook; the file is only read.
        seconds: that all answers may take together.
        memory: MB that each may take beyond what the packages take; Linux only.

    >>> from pathlib import Path
    >>> from dip_lessons.course.grade import grade_notebook
    >>> Path("anna.ipynb").write_text("what is this?") > 0
    True
    >>> [(row.exercise, row.grade) for row in grade_notebook(Path("anna.ipynb"))]
    [('', 'unreadable')]
    """
    try:
        cells, lesson = _opened(path)
    except ValueError as error:
        yield Row(str(path), "", "", "unreadable", _line(error), 0)
        return
    _warm_up()
    names = _lessons()[lesson]
    left = seconds
    for i, name in enumerate(names):
        start = time.monotonic()
        state, message = _grade(cells, name, left / (len(names) - i), memory * 10**6)
        took = time.monotonic() - start
        left -= took
        yield Row(str(path), lesson, name, state, _line(message), round(took, 1))


def _grade(cells: dict[int, str], name: str, seconds: float, memory: int) -> tuple[str, str]:
    exercise = getattr(check, name)
    try:
        outcomes = _attempt(name, cells, seconds, memory)
        verdict = exercise.judge(outcomes)
    except TimeoutError:
        return "timed out", f"no answer after {seconds:.3g} s"
    except attempt.Crash as error:
        return "crashed", str(error)
    except (ValueError, TypeError, RuntimeError) as error:  # outcomes that no answer gives
        return "crashed", f"the result is not one of this check ({error})"
    messages = {"wrong": verdict.message, "unattempted": outcomes[-1].stopped}
    return STATES[verdict.state], messages.get(verdict.state, "")


def _attempt(name: str, cells: dict[int, str], seconds: float, memory: int) -> list[Outcome]:
    """Let an answer work in a process of its own, and end that process and what it started."""
    timed_out = threading.Event()

    def out_of_time() -> None:
        timed_out.set()
        _end(process)

    with tempfile.TemporaryDirectory(prefix="dip_lessons_", ignore_cleanup_errors=True) as folder:
        ours, theirs = multiprocessing.Pipe(duplex=False)
        process = _start(attempt.attempt, name, cells, Path(folder), theirs, memory)
        theirs.close()
        timer = threading.Timer(seconds, out_of_time)
        timer.start()
        result: bytes | None
        try:
            result = ours.recv_bytes(attempt.LARGEST)
        except (EOFError, OSError) as error:  # it ended, or sends more than that
            result = None if isinstance(error, EOFError) else b""
        finally:
            timer.cancel()
            _end(process)
            process.join()
            ours.close()
    if timed_out.is_set():
        raise TimeoutError
    if result is None:
        signals = {-number: number.name for number in signal.Signals if number > 0}
        how = signals.get(process.exitcode or 0, f"exit code {process.exitcode}")
        raise attempt.Crash(f"its process ended before it answered ({how})")
    return attempt.read(result)


def _end(process: BaseProcess) -> None:
    """End a process, what it started, and, on Linux, what left its group meanwhile."""
    if hasattr(os, "killpg") and process.pid:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    for stray in _children() - _known if _known else ():
        with contextlib.suppress(ProcessLookupError, PermissionError, ChildProcessError):
            os.kill(stray, signal.SIGKILL)
            os.waitpid(stray, 0)


_known: set[int] = (
    set()
)  # children of this process that no answer has started; empty where none is looked after


def _adopt_strays() -> None:
    """On Linux, make processes whose parent has ended this one's children, which :func:`_end` finds."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>
        _known.add(os.getpid())


def _children() -> set[int]:
    """Processes whose parent is this one; Linux only."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            _state, parent, *_ = path.read_text(errors="replace").rpartition(")")[2].split()
            found |= {int(path.parent.name)} if int(parent) == os.getpid() else set()
    return found


def _start(target: Callable[..., None], *arguments: object) -> BaseProcess:
    """Start a process that shares nothing with this one.

    On Linux it is forked by a server that has loaded torch: milliseconds in place of seconds. Elsewhere system
    libraries do not survive a fork, so that it loads torch itself, on the clock of its answer.
    """
    if not sys.platform.startswith("linux"):
        process: BaseProcess = multiprocessing.get_context("spawn").Process(target=target, args=arguments)
        process.start()
        return process
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([attempt.__name__])
    for patience in range(10):
        process = context.Process(target=target, args=arguments)
        try:
            process.start()
            if _known:  # a server is new when an answer has killed the last one
                _known.update(_children())
            return process
        except (OSError, EOFError):  # an answer has killed the server: a new one follows when it is gone
            time.sleep(0.1 * patience)
    raise ChildProcessError(
        "no process could be started for an answer; try again, and see dip-lessons doctor"
    )


def _warm_up() -> None:
    """Let that server start, or files be cached, before the clock of an answer runs."""
    _start(_nothing).join()


def _nothing() -> None:
    pass


# --- which notebooks, which lesson ------------------------------------------------------------------------


def _notebooks(files: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """The notebooks and whose they are; what else lies in the folders is named."""
    for file in files:
        if file.is_dir():
            inside = [
                p for p in sorted(file.rglob("*")) if ".ipynb_checkpoints" not in p.parts and not p.is_dir()
            ]
            found = [p for p in inside if p.suffix == ".ipynb"]
            for other in inside:
                if other.suffix != ".ipynb":
                    print(f"{_line(other)}   skipped: no notebook", flush=True)
            if not found:
                raise FileNotFoundError(f"there is no notebook in {file}")
            yield from ((path, _student(path.relative_to(file))) for path in found)
        elif file.is_file():
            yield file, _student(Path(file.name))
        else:
            raise FileNotFoundError(f"there is no file {file}")


def _student(path: Path) -> str:
    """Whose a notebook is: its first folder's, or what its name holds before the lesson's."""
    before = re.match(r"(.+?)[ _-]*(?<!\d)\d\d_[a-z]", path.stem)
    return path.parts[0] if len(path.parts) > 1 else before[1] if before else path.stem


def _newest(students: dict[Path, str]) -> dict[Path, str]:
    """The notebooks, less those beside which a newer copy of the same lesson lies."""
    groups: dict[tuple[Path, str], list[Path]] = {}
    for path in students:
        groups.setdefault((path.parent, COPY.sub("", path.stem)), []).append(path)
    kept = dict(students)
    for copies in groups.values():
        latest: dict[str, Path] = {}
        for path in sorted(copies, key=lambda p: p.lstat().st_mtime, reverse=True) if len(copies) > 1 else ():
            with contextlib.suppress(*notebooks.UNREADABLE):
                newest = latest.setdefault(_opened(path)[1], path)
                if newest != path:
                    print(f"{_line(path)}   not graded: {_line(newest)} is newer", flush=True)
                    del kept[path]
    return kept


def _opened(path: Path) -> tuple[dict[int, str], str]:
    """A notebook's cells of code, and its lesson; ValueError says why there are none."""
    if path.is_symlink():
        raise ValueError("is a link; hand in the file itself")
    cells = notebooks.code(notebooks.read(path))
    return cells, _lesson(path, cells)


def _lessons() -> dict[str, list[str]]:
    """The names of the exercises of each lesson: {"00": ["rings", …], …}."""
    return {
        module.removeprefix("lesson_"): [
            n for n in contents.__all__ if isinstance(getattr(check, n), check.Exercise)
        ]
        for module, contents in sorted(vars(check).items())
        if module.startswith("lesson_")
    }


def _lesson(path: Path, cells: dict[int, str]) -> str:
    """The lesson of which the notebook defines or checks most exercises; else the one that its name begins with."""
    text = "\n".join(cells.values())
    lessons = _lessons()
    number = re.search(r"(?<!\d)\d\d(?=_)", path.name)
    counts = {
        lesson: sum(bool(re.search(rf"\bdef {name}\b|\bcheck\.{name}\b", text)) for name in names)
        for lesson, names in lessons.items()
    }
    best = max(counts.values())
    likely = [lesson for lesson, count in counts.items() if count == best]
    if number and number[0] in likely:
        return number[0]
    if best == 0:
        raise ValueError("holds no exercise of the course")
    return likely[0]


# --- the table --------------------------------------------------------------------------------------------


def _line(text: object) -> str:
    """A learner's text as one line that no terminal takes for a command."""
    words = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return words if len(words) <= 300 else words[:299] + "…"


def _harmless(value: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return (
        f"'{value}"
        if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
        else value
    )


def _print(rows: list[Row]) -> None:
    if not rows[0].exercise:
        print(f"{_line(rows[0].notebook)}   unreadable: {rows[0].message}", flush=True)
        return
    passed, took = sum(row.grade == "passed" for row in rows), sum(row.seconds for row in rows)
    about = f"lesson {rows[0].lesson}   {passed} of {len(rows)} passed   {took:.1f} s"
    print(f"{_line(rows[0].notebook)}   {about}")
    width = max(len(row.exercise) for row in rows)
    for row in rows:
        print(f"    {row.exercise:{width}}   {row.grade:13}   {row.message}".rstrip(), flush=True)


def _print_guesses(path: Path) -> None:
    """A line for each guess that the notebook's outputs hold; all that it says is a learner's."""
    with contextlib.suppress(ValueError):
        for guess in notebooks.predictions(notebooks.read(path)).values():
            hit = guess.get("hit")
            came_true = (
                "came true" if hit is True else "did not come true" if hit is False else "not answered"
            )
            question, said = _line(guess.get("question")), _line(guess.get("guess"))
            print(f"    guess   {question} {said}: {came_true}", flush=True)


def _print_alike(paths: Sequence[Path]) -> None:
    """A line for each exercise and group of notebooks whose answers have the same syntax tree."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for path in paths:
        with contextlib.suppress(*notebooks.UNREADABLE):
            cells, lesson = _opened(path)
            for name in _lessons()[lesson]:
                if tree := notebooks.syntax(cells, name):
                    groups.setdefault((lesson, name, tree), []).append(_line(path))
    print()
    for (lesson, name, _), same in groups.items():
        if len(same) > 1:
            print(f"alike: {lesson} {name}: {', '.join(same)}")


def _write_wide(file: Path, rows: Sequence[Row], students: dict[Path, str]) -> None:
    """A row a student; a notebook that would fall into another one's cells has a row of its own."""
    exercises = dict.fromkeys((row.lesson, row.exercise) for row in rows if row.exercise)
    exercises = dict.fromkeys(sorted(exercises, key=lambda of: of[0]))  # a lesson's own order stays
    table: dict[str, dict[tuple[str, str], int]] = {}
    for path, student in students.items():
        passed = {(r.lesson, r.exercise): int(r.grade == "passed") for r in rows if r.notebook == str(path)}
        taken = table.get(student, {}).keys() & passed.keys()
        table.setdefault(f"{student} ({path.name})" if taken else student, {}).update(passed)
    with (
        atomic_write(file) as part,
        part.open("w", encoding="utf-8-sig", errors="replace", newline="") as text,
    ):
        write = csv_format.writer(text).writerow
        write(["student", *(" ".join(of) for of in exercises), "passed"])
        for student, passed in table.items():
            write([_harmless(student), *(passed.get(of, "") for of in exercises), sum(passed.values())])


def _print_summary(rows: list[Row]) -> None:
    exercises = dict.fromkeys((row.lesson, row.exercise) for row in rows if row.exercise)
    if not exercises:
        return
    width = max(len(name) for _, name in exercises)
    columns = GRADES[:-1]
    print(f"\n{'':2}   {'':{width}}   " + "   ".join(columns))
    for lesson, name in exercises:
        counts = Counter(row.grade for row in rows if (row.lesson, row.exercise) == (lesson, name))
        print(
            f"{lesson:2}   {name:{width}}   " + "   ".join(f"{counts[c] or '·':>{len(c)}}" for c in columns)
        )
