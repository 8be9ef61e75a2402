"""The notebooks as they are handed out: without solutions."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from ..atomic import atomic_write
from . import notebooks
from .environment import REPOSITORY

SOLUTION = re.compile(
    r"<details[^>]*>\s*<summary[^>]*>\s*(?:<[^>]*>\s*)*Solution\b.*?</summary>.*?</details>\n*",
    re.DOTALL | re.IGNORECASE,
)
CHECK = re.compile(r"\bdip\.check\.\w+\(")
BADGE = re.compile(r"\[!\[Open in Colab\]\([^)]*\)\]\([^)]*\)\n*")
# A picture's or a link's text and its target: ![…](…), […](…), src="…", href="…".
MARKDOWN = re.compile(r'(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^()\s]+)((?:\s+"[^"]*")?)\)')
README = """\
# Lessons to work on

{lessons}

**Begin.** With Python 3.10 or newer, in this folder:

    python -m venv .venv
    .venv/bin/pip install jupyterlab git+{address}
    .venv/bin/jupyter lab

On Windows it is `.venv\\Scripts` in place of `.venv/bin`. On Colab, upload a notebook and run its first cell.

**Work.** From top to bottom. A cell that asks for a guess comes before the one that answers. An exercise is a function
to write; the cell below it says whether it is right, and what to look at if it is not. Hints open by a click.

**Hand in** the notebooks, saved, under the names that they have, or with your own name before them as in
`anna_{first}`. Leave the names of functions as they are. Handed in again, a notebook keeps its name:
of its copies the newest counts.
"""
UNSET = (
    "These notebooks and their README say /OWNER/ where the repository's address belongs: set it by `dip-lessons "
    "address URL`, else Colab and `pip` find no course."
)
HTML = re.compile(r'\b(?:src|href)="([^"]+)"')
ELSEWHERE = re.compile(r"#|[a-z][a-z0-9+.-]+:", re.IGNORECASE)


def handout(
    sources: Sequence[Path],
    out: Path,
    *,
    outputs: Literal["lesson", "all", "none"] = "lesson",
    overwrite: bool = False,
) -> int:
    """Write notebooks without their solutions into a folder, print what was written, and return 0.

    A README.md says how to begin and what to hand in. Hints, attachments and cells stay as they are; pictures and pages
    that the text shows or links, such as the glossary, are copied along. A link to a notebook that is not handed out
    becomes plain text, there too, and the badge *Open in Colab* goes, since both lead to solutions.

    Args:
        sources: the notebooks; they are only read.
        out: the folder; made if it is not there.
        outputs: which stored outputs stay: those of the lesson, but not of exercises; all; or none.
        overwrite: whether files in the folder may be replaced.

    Raises:
        FileNotFoundError: there is no such notebook.
        FileExistsError: a file is there already; nothing is written then.
        ValueError: a file is no notebook, two have one name, the folder is the notebooks' own, a picture cannot go
            along, or something of a solution would remain.

    >>> import nbformat
    >>> from pathlib import Path
    >>> from dip_lessons.course.handout import handout
    >>> cell = nbformat.v4.new_markdown_cell("7 · 6? <details><summary>Solution</summary>42</details>")
    >>> nbformat.write(nbformat.v4.new_notebook(cells=[cell]), "lesson.ipynb")
    >>> handout([Path("lesson.ipynb")], Path("for_my_class"))
    for_my_class/lesson.ipynb...
    0
    >>> "42" in Path("for_my_class/lesson.ipynb").read_text()
    False
    """
    names = [path.name for path in sources]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"two notebooks are called {', '.join(sorted(twice))}: hand them out one by one")
    texts: dict[Path, str] = {}
    copies: dict[Path, Path] = {}
    for path in sources:
        if not path.is_file():
            raise FileNotFoundError(f"there is no notebook {path}")
        if (out / path.name).resolve() == path.resolve():
            raise ValueError(
                f"{out} is where the notebooks lie themselves; name another folder: --out FOLDER"
            )
        try:
            notebook = notebooks.read(path)
            along = _hand_out(notebook, path.parent, names, outputs)
            for name in along:  # which grows by what a page leads to
                if name.endswith(".md") and out / name not in texts:
                    page = (path.parent / name).read_text(encoding="utf-8")
                    texts[out / name] = _linked(page, path.parent, names, along)
                elif not name.endswith(".md"):
                    copies[out / name] = path.parent / name
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        texts[out / path.name] = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    texts[out / "README.md"] = README.format(
        lessons="\n".join(f"- [{name}]({quote(name)})" for name in names), address=REPOSITORY, first=names[0]
    )
    if any("/OWNER/" in text for text in texts.values()):
        print(UNSET, file=sys.stderr)
    there = [str(path) for path in [*texts, *copies] if path.exists()]
    if there and not overwrite:
        raise FileExistsError(f"{there[0]} exists; name another folder (--out FOLDER), or add --overwrite")
    for path in [*texts, *copies]:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            if path in texts:
                part.write_text(texts[path], encoding="utf-8", newline="\n")
            else:
                shutil.copyfile(copies[path], part)
        print(path)
    return 0


def _hand_out(notebook: dict, folder: Path, names: Sequence[str], outputs: str) -> list[str]:
    """Change a notebook into the one to hand out; return the files that it leads to, relative to its folder."""
    cells = notebook["cells"]
    pictures: list[str] = []
    for cell in list(cells):
        text = notebooks.source(cell)
        if cell["cell_type"] == "code":
            is_exercise = CHECK.search(text) or "raise NotImplementedError" in text
            if outputs == "none" or (outputs == "lesson" and is_exercise):
                cell["outputs"], cell["execution_count"] = [], None
            continue
        if cell["cell_type"] != "markdown":
            continue
        changed = BADGE.sub("", SOLUTION.sub("", text))
        changed = _linked(changed, folder, names, pictures)
        if changed.count("<details") != changed.count("</details>") or _names_a_solution(changed):
            raise ValueError(f"something of a solution would remain in the cell that begins {text[:40]!r}")
        if changed != text:
            cell["source"] = changed.rstrip("\n").splitlines(keepends=True)
        if not changed.strip():
            cells.remove(cell)
    return pictures


def _names_a_solution(text: str) -> bool:
    return any(
        "solution" in summary.lower()
        for summary in re.findall(r"<summary\b.*?</summary>", text, re.DOTALL | re.IGNORECASE)
    )


def _linked(text: str, folder: Path, names: Sequence[str], pictures: list[str]) -> str:
    """The text with links that still lead somewhere; the files that it shows are added to ``pictures``."""

    def is_kept(target: str, shown: bool) -> bool:
        path = target.partition("#")[0]
        if ELSEWHERE.match(target) or Path(path).as_posix() in names:
            return True
        is_below = (folder / path).is_file() and not Path(path).is_absolute() and ".." not in Path(path).parts
        if is_below and not path.endswith(".ipynb"):
            pictures.append(path)
            return True
        if shown:
            raise ValueError(
                f"it shows {target}, which is no file below its folder, so that it cannot go along"
            )
        # What leads to no file is no link: [i](x) may be a line of code.
        return not (path.endswith(".ipynb") or (folder / path).exists())

    def replaced(match: re.Match) -> str:
        sign, label, target, title = match.groups()
        label = MARKDOWN.sub(replaced, label)  # a link may hold a picture
        return f"{sign}[{label}]({target}{title})" if is_kept(target, shown=sign == "!") else label

    for target in HTML.findall(text):
        is_kept(target, shown=True)
    return MARKDOWN.sub(replaced, text)
