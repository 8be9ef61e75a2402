"""The pictures that the notebooks hold: all of them on one page, and a small one of each lesson for the README."""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from ..atomic import atomic_write
from . import notebooks

SMALL = 240, 15_000  # the width of a small picture in pixels, and what it may weigh in bytes
TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)
HEADER = re.compile(r"!\[([^\]]+)\]\(attachment:([^)]+)\)")
FILM = re.compile(r'<img [^>]*\bsrc="data:(image/\w+);base64,([^"]+)"')
CAPTION = re.compile(r"\*(.+)\*", re.DOTALL)
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Gallery</title><style>
body { font: 16px/1.4 system-ui, sans-serif; max-width: 1200px; margin: 0 auto; padding: 1em }
section { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(360px, 100%), 1fr)); gap: 1em }
h2, figure:first-of-type { grid-column: 1 / -1 } h2 { margin: 1.5em 0 0 } figure { margin: 0 }
img { max-width: 100%; max-height: 420px; display: block } figcaption { font-size: 13px; color: #666 }
</style><h1>What the notebooks show</h1>
"""


@dataclass(frozen=True)
class Picture:
    """A stored picture: its MIME type, its file's bytes, and the words below it."""

    kind: str
    data: bytes
    caption: str


def gallery(sources: Sequence[Path], out: Path, *, thumbnails: Path | None = None) -> int:
    """Write the header pictures of notebooks, and all that have captions, onto one page that needs no other file.

    It shows them as they are stored, and nothing is executed. What was written is printed; returns 0.

    Args:
        sources: the notebooks; they are only read.
        out: the page, ``….html``. It is replaced if it is there, and so are small pictures.
        thumbnails: a folder for a small JPEG of each lesson's header picture, ``NN_name.jpg``; None writes none.

    Raises:
        FileNotFoundError: there is no such notebook.
        ValueError: a file is no notebook or begins without a picture, or the page is to have another ending.

    >>> from pathlib import Path
    >>> from dip_lessons.course.gallery import gallery
    >>> lessons = sorted(Path(dip.__file__).parents[1].glob("notebooks/0[01]_*.ipynb"))
    >>> gallery(lessons, Path("page.html"))
    page.html
    0
    """
    if out.suffix != ".html":
        raise ValueError(f"the page is HTML, and {out} would not be opened as such: --out {out.stem}.html")
    page, written = PAGE, {}
    for path in sources:
        if not path.is_file():
            raise FileNotFoundError(f"there is no notebook {path}")
        try:
            notebook = notebooks.read(path)
            first, *others = [header(notebook), *captioned(notebook)]
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        title = TITLE.search(notebooks.source(notebook["cells"][0]))
        place = escape(quote(Path(os.path.relpath(path, out.parent)).as_posix()))
        link = f'<a href="{place}">{escape(path.stem[:2])}</a>'
        page += f"<section><h2>{link} · {escape(title[1] if title else path.stem)}</h2>\n"
        page += "".join(map(_figure, [first, *others])) + "</section>\n"
        if thumbnails is not None:
            written[thumbnails / f"{path.stem}.jpg"] = thumbnail(first.data)
    for path, data in {out: (page + "</html>\n").encode(), **written}.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            part.write_bytes(data)
        print(path)
    return 0


def header(notebook: Mapping) -> Picture:
    """The picture attached to the first cell, with its words for who cannot see it; ValueError where there is none."""
    cell = notebook["cells"][0]
    if shown := HEADER.search(notebooks.source(cell)):
        for kind, data in cell.get("attachments", {}).get(shown[2], {}).items():
            return Picture(kind, base64.b64decode("".join(data)), shown[1])
    raise ValueError("its first cell shows no attached picture")


def captioned(notebook: Mapping) -> Iterator[Picture]:
    """The stored pictures and films that are followed by a line in italics, in the order of the notebook."""
    for cell in notebook["cells"]:
        outputs = [output.get("data", {}) for output in cell.get("outputs", [])]
        for shown, below in zip(outputs, outputs[1:], strict=False):
            found = [(kind, "".join(shown[kind])) for kind in ("image/jpeg", "image/png") if kind in shown]
            found += FILM.findall("".join(shown.get("text/html", "")))
            caption = CAPTION.fullmatch("".join(below.get("text/markdown", "")).strip())
            if found and caption:
                yield Picture(found[0][0], base64.b64decode(found[0][1]), caption[1].replace("\\*", "*"))


def thumbnail(data: bytes) -> bytes:
    """A picture's file as a JPEG that is SMALL: as wide as that and, by its quality, not heavier."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    size = SMALL[0], round(picture.height * SMALL[0] / picture.width)
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    for quality in range(90, 0, -5):
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= SMALL[1]:
            break
    return buffer.getvalue()


def _figure(picture: Picture) -> str:
    source = f"data:{escape(picture.kind)};base64,{base64.b64encode(picture.data).decode()}"
    words = escape(picture.caption)
    return f'<figure><img loading="lazy" alt="{words}" src="{source}"><figcaption>{words}</figcaption></figure>\n'
