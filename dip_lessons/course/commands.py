"""The command line: ``dip-lessons lab | run | handout | grade | gallery | sweep | doctor | address``."""

# Only the standard library up here: a command imports torch or Jupyter when it needs them.
from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import re
import subprocess
import sys
import time
import webbrowser
from collections.abc import Sequence
from pathlib import Path

START = Path("notebooks", "00_start_here.ipynb")
ADDRESS_FILES = (
    "pyproject.toml",
    "README.md",
    "CONTRIBUTING.md",
    "CITATION.cff",
    "dip_lessons/course/environment.py",
)
# What has to stand in the environment before Python and torch start; kernels inherit it.
FOR_SPEED = {
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that wait by spinning slow a busy machine down many times over
    # glibc gives memory back to the system as soon as much is free, and each step asks for it again, up to a
    # quarter of its time. So up to 256 MB are kept, and arrays of less than 32 MB come from what is kept.
    "MALLOC_TRIM_THRESHOLD_": str(256 * 2**20),
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: the words after ``dip-lessons``; None takes the process's own.
    """
    parser = argparse.ArgumentParser(
        prog="dip-lessons", description="Differentiable image parameterizations, as a course in notebooks."
    )
    parser.set_defaults(expected=(CommandError, OSError, ValueError))
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser(
        "lab", help="open JupyterLab at the first lesson; passes further options to it"
    )
    command.set_defaults(func=lab)
    command.add_argument(
        "--port", type=int, help="the port JupyterLab listens on (its own choice: 8888 or next)"
    )
    command.add_argument("--no-browser", action="store_true", help="only print the address")

    command = commands.add_parser(
        "run", help="execute notebooks from the top and store their new outputs in them"
    )
    command.set_defaults(func=run)
    command.add_argument("notebooks", nargs="+", type=Path, metavar="NOTEBOOK")
    command.add_argument("--check", action="store_true", help="execute, but leave the files as they are")
    command.add_argument(
        "--timeout", type=int, default=600, help="seconds a cell may take (default: %(default)s)"
    )

    stored = argparse.ArgumentParser(add_help=False)
    stored.add_argument(
        "notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="by default all of the checkout's"
    )
    about = "write the notebooks without their solutions, for learners, into a folder"
    command = commands.add_parser("handout", parents=[stored], help=about)
    command.set_defaults(func=handout)
    about = "(default: %(default)s)"
    command.add_argument("--out", type=Path, default=Path("handout"), metavar="FOLDER", help=about)
    about = "which stored outputs stay: all but those of exercises, all, none (default: %(default)s)"
    command.add_argument("--outputs", choices=("lesson", "all", "none"), default="lesson", help=about)
    command.add_argument("--overwrite", action="store_true", help="replace files that are in the folder")
    about = "of the checkout's notebooks those of these lessons, as in --lessons 00 02 05"
    command.add_argument("--lessons", nargs="+", metavar="NUMBER", help=about)

    command = commands.add_parser(
        "grade",
        help="check the exercises in notebooks that learners handed in",
        description="Executes each answer in a process of its own and prints what became of it. This is no "
        "sandbox: an answer runs with your rights. Grade the work of people whom you do not know in a container.",
    )
    command.set_defaults(func=grade)
    command.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="a notebook, or a folder of them"
    )
    about = "that the answers of a notebook may take (default: %(default)s)"
    command.add_argument("--seconds", type=float, default=60, help=about)
    about = "that an answer may take, on Linux (default: %(default)s)"
    command.add_argument("--memory", type=int, default=2000, metavar="MB", help=about)
    command.add_argument("--csv", type=Path, metavar="PATH", help="write the table to a file as well")
    command.add_argument("--overwrite", action="store_true", help="replace those files if they are there")
    about = "write a table with a row for each student and a column for each exercise, as learning platforms import it"
    command.add_argument("--wide", type=Path, metavar="PATH", help=about)
    about = "list answers that are the same in several notebooks, but for comments and layout"
    command.add_argument("--alike", action="store_true", help=about)

    about = "write the pictures that the notebooks hold onto one page, with their captions"
    command = commands.add_parser("gallery", parents=[stored], help=about)
    command.set_defaults(func=gallery)
    about = "the page (default: %(default)s)"
    command.add_argument("--out", type=Path, default=Path("gallery.html"), metavar="FILE", help=about)
    about = "write a small picture of each lesson as well"
    command.add_argument("--thumbnails", type=Path, metavar="FOLDER", help=about)

    about = "a picture of what each channel of a layer wants, and a page to look through them"
    command = commands.add_parser("sweep", help=about)
    command.set_defaults(func=sweep, expected=(CommandError, OSError, KeyError, ValueError, RuntimeError))
    command.add_argument("network", metavar="NETWORK", help="as in squeezenet1_1 or inception_v3")
    command.add_argument("layer", metavar="LAYER", help="as in features.9 or Mixed_6b")
    command.add_argument("--out", type=Path, metavar="FOLDER", help="(default: sweep_NETWORK_LAYER)")
    command.add_argument("--channels", metavar="NUMBERS", help="as in 0-31,40 (default: all)")
    for name, default in {"size": 160, "steps": 128, "seed": 0, "batch": 4}.items():
        command.add_argument(f"--{name}", type=int, default=default, help="(default: %(default)s)")
    command.add_argument("--device", help="cpu, cuda or mps (default: the best that is there)")
    about = "that work at a time (default: one for each core; one on a GPU)"
    command.add_argument("--processes", type=int, help=about)
    about = "of a scheduler whose workers share the work, as in tcp://host:8786"
    command.add_argument("--dask", metavar="ADDRESS", help=about)

    about = "say what this machine has and what to do about what is missing"
    commands.add_parser("doctor", help=about).set_defaults(func=doctor)

    about = "write the repository's address into badges and setup cells"
    command = commands.add_parser("address", help=about)
    command.set_defaults(func=address)
    command.add_argument("url", metavar="URL", help="as in https://github.com/someone/dip_lessons")

    options, further = parser.parse_known_args(arguments)
    if further and options.command != "lab":
        parser.error(f"unrecognized arguments: {' '.join(further)}")
    options.further = further
    for name, value in FOR_SPEED.items():
        os.environ.setdefault(name, value)
    try:
        return options.func(options)
    except options.expected as error:
        print(f"dip-lessons {options.command}: {error}", file=sys.stderr)
        return 1


class CommandError(Exception):
    """What went wrong and what to do, in a sentence for whoever typed the command."""


def checkout() -> Path:
    """Return the root of the course's checkout: the package's own, else one around the working directory.

    Raises:
        CommandError: there is none; an installed package holds no notebooks.
    """
    for folder in (Path(__file__).resolve().parents[2], Path.cwd(), *Path.cwd().parents):
        if (folder / START).is_file() and (folder / "pyproject.toml").is_file():
            return folder
    raise CommandError(
        "an installed package holds no notebooks; clone the course's repository and call it in there"
    )


# --- lab ------------------------------------------------------------------------------------------------


def lab(options: argparse.Namespace) -> int:
    """Open JupyterLab at the first lesson, or print its address where there is no browser.

    Raises:
        CommandError: no checkout around, or no JupyterLab installed.
    """
    root = checkout()
    if importlib.util.find_spec("jupyterlab") is None:
        raise CommandError(
            f"JupyterLab is not installed; {sys.executable} -m pip install -r {root / 'requirements.txt'}"
        )
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}"]
    command += [f"--LabApp.default_url=/lab/tree/{START.as_posix()}"]
    if options.port is not None:
        command += [f"--port={options.port}"]
    if options.no_browser or not has_browser():
        command += ["--no-browser"]
        print("JupyterLab prints its address below; open it in a browser.", flush=True)
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command += ["--allow-root"]
    command += options.further
    if os.name == "posix":
        # One process: interrupt, signals and exit code are JupyterLab's own.
        os.execv(sys.executable, command)
    return subprocess.run(command, check=False).returncode


def has_browser() -> bool:
    """Return whether a graphical browser can be opened from here."""
    graphical = any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")))
    if sys.platform.startswith("linux") and not graphical:
        return False  # what webbrowser finds here is a text browser, which JupyterLab cannot use
    with contextlib.suppress(webbrowser.Error):
        return bool(webbrowser.get())
    return False


# --- run ------------------------------------------------------------------------------------------------


def run(options: argparse.Namespace) -> int:
    """Execute notebooks in this Python, one after the other, and store what they show.

    The budget is DIP_BUDGET's, else full. Widget state, times and the kernel's version are left out, so that
    a difference between two executions is one of content. A notebook that fails is left as it was.

    Raises:
        CommandError: a path is no notebook, or nbclient is not installed.
    """
    try:
        import nbformat
        from nbclient import NotebookClient
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
        from nbclient.output_widget import OutputWidget
    except ImportError as error:
        raise CommandError(
            f"{error.name} is not installed; {sys.executable} -m pip install nbclient"
        ) from error

    from dip_lessons.atomic import atomic_write

    class SilentOutput(OutputWidget):
        """Collects what sliders draw, without telling the kernel: a message sent on the channel on which
        nbclient awaits the cell's reply can make it miss the reply, and wait for ever."""

        def send(self, *_: object, **__: object) -> None:
            pass

    missing = [str(path) for path in options.notebooks if not (path.suffix == ".ipynb" and path.is_file())]
    if missing:
        raise CommandError(f"no such notebook: {', '.join(missing)}")
    environment = {**os.environ, "DIP_BUDGET": os.environ.get("DIP_BUDGET") or "full"}
    failed = 0
    for path in options.notebooks:
        start = time.monotonic()
        print(f"{path} ", end="", flush=True)
        notebook = nbformat.read(path, as_version=4)
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=options.timeout,
            record_timing=False,
            store_widget_state=True,  # nbclient needs it for Output widgets; taken out again below
            resources={"metadata": {"path": str(path.resolve().parent)}},
            on_cell_start=lambda cell, cell_index: print(".", end="", flush=True),
        )
        client.widget_registry = {"@jupyter-widgets/output": {"OutputModel": SilentOutput}}
        try:
            client.execute(env=environment)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            failed += 1
            print(" failed", flush=True)
            print(re.sub(r"\x1b\[[\d;]*m", "", str(error)), file=sys.stderr)  # IPython colours tracebacks
            continue
        notebook.metadata.pop("widgets", None)
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        notebook.metadata.update(kernelspec=kernel, language_info={"name": "python"})
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
            for output in cell.get("outputs", []):
                without_widget(output.get("data", {}))
        if not options.check:
            with atomic_write(path) as part:
                nbformat.write(notebook, part)
        print(f" {time.monotonic() - start:.0f} s", flush=True)
    return int(failed > 0)


def without_widget(data: dict[str, object]) -> None:
    """Leave of a stored output what a page without a kernel can show: picture or sentence, else a line of text."""
    view = data.pop("application/vnd.jupyter.widget-view+json", None)
    if view and not any(kind.startswith("image/") or kind == "text/html" for kind in data):
        data.clear()
        data["text/plain"] = "(sliders appear here when you run this cell)"


# --- handout, grade, gallery ----------------------------------------------------------------------------


def handout(options: argparse.Namespace) -> int:
    """Write notebooks to hand out, see ``handout.py``."""
    from .handout import handout

    sources = options.notebooks or lessons()
    if options.lessons:
        known = {path.name[:2]: path for path in lessons()}
        if unknown := [number for number in options.lessons if number not in known]:
            raise CommandError(f"there is no lesson {', '.join(unknown)}, but {', '.join(known)}")
        sources = options.notebooks + [known[number] for number in options.lessons]
    return handout(sources, options.out, outputs=options.outputs, overwrite=options.overwrite)


def grade(options: argparse.Namespace) -> int:
    """Grade notebooks that were handed in, see ``grade.py``."""
    from .grade import grade

    limits = {"seconds": options.seconds, "memory": options.memory}
    try:
        return grade(
            options.files,
            **limits,
            csv=options.csv,
            wide=options.wide,
            overwrite=options.overwrite,
            alike=options.alike,
        )
    except KeyboardInterrupt:
        print("stopped" + f"; {options.csv} holds the rows so far" * bool(options.csv), file=sys.stderr)
        return 130


def gallery(options: argparse.Namespace) -> int:
    """Write the page of pictures, see ``gallery.py``."""
    from .gallery import gallery

    return gallery(options.notebooks or lessons(), options.out, thumbnails=options.thumbnails)


def lessons() -> list[Path]:
    """The notebooks of the checkout."""
    return sorted((checkout() / START).parent.glob("*.ipynb"))


# --- sweep ----------------------------------------------------------------------------------------------


def sweep(options: argparse.Namespace) -> int:
    """Render a layer and print where its page is: :func:`dip_lessons.sweep`.

    Raises:
        CommandError: Dask is missing. Errors of :func:`dip_lessons.sweep` go on.
    """
    from ..hardware import device, memory
    from ..sweeps import numbers, sweep

    chosen = {name: getattr(options, name) for name in ("out", "size", "steps", "seed", "batch", "device")}
    if options.channels:
        chosen["channels"] = numbers(options.channels)
    chosen["processes"] = options.processes
    try:
        if options.processes is None:
            cores, room = os.cpu_count() or 1, memory(device("cpu"))
            fitting = min(cores, room[0] // 2**31) if room else cores  # each takes about a gigabyte
            chosen["processes"] = max(1, fitting) if device(options.device).type == "cpu" else 1
        with contextlib.ExitStack() as stack:
            if options.dask:
                from distributed import Client

                chosen["executor"] = stack.enter_context(Client(options.dask)).get_executor()
            print(sweep(options.network, options.layer, **chosen))
    except ModuleNotFoundError as error:
        if error.name != "distributed":
            raise
        raise CommandError(f"Dask is not installed; {sys.executable} -m pip install distributed") from error
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


# --- doctor, address ------------------------------------------------------------------------------------


def doctor(options: argparse.Namespace) -> int:
    """Say what this machine has, see ``doctor.py``."""
    from .doctor import doctor

    return doctor()


def address(options: argparse.Namespace) -> int:
    """Write the repository's public address wherever the checkout names it, and print the files that changed.

    A ``.git`` or a slash at its end is dropped.

    Raises:
        CommandError: no such address, or no checkout around.
    """
    from dip_lessons.atomic import atomic_write

    new = re.sub(r"(\.git)?/*$", "", options.url.strip())
    if not re.fullmatch(r"https://[\w.-]+(:\d+)?(/[\w.-]+){2,}", new, flags=re.ASCII):
        raise CommandError(f"{options.url!r} is not an address as in https://github.com/someone/dip_lessons")
    root = checkout()
    project = (root / "pyproject.toml").read_text("utf-8")
    old = re.search(r'^Repository = "(.*)"$', project, flags=re.MULTILINE)
    if old is None:
        raise CommandError(f'{root / "pyproject.toml"} has no line Repository = "…" under [project.urls]')
    on_github = re.fullmatch(r"https://github\.com/([^/]+/[^/]+)", new)
    changed = []
    for path in [root / name for name in ADDRESS_FILES] + sorted((root / "notebooks").glob("*.ipynb")):
        if not path.is_file():
            continue
        before = path.read_bytes().decode("utf-8")  # bytes: line ends stay as they are
        after = re.sub(re.escape(old[1]) + r"(?![\w-]|\.\w)", new, before)
        # In a notebook's JSON the quotes of the setup cell carry a backslash.
        after = re.sub(r'\b(REPOSITORY = \\?")https://[^"\\]*', rf"\g<1>{new}", after)
        if on_github:
            after = re.sub(r"(?<=colab\.research\.google\.com/github/)[^/]+/[^/]+(?=/)", on_github[1], after)
        if after != before:
            with atomic_write(path) as part:
                part.write_bytes(after.encode("utf-8"))
            changed.append(path.relative_to(root).as_posix())
    print("\n".join(changed) if changed else "nothing to change")
    if not on_github:
        print("Colab opens notebooks from github.com only: its badges stay as they were.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
