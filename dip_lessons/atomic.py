"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A file to write in place of ``path``: beside it, then renamed, so that an old file survives all failures.

    >>> from pathlib import Path
    >>> from dip_lessons.atomic import atomic_write
    >>> with atomic_write(Path("notes.txt")) as part:
    ...     written = part.write_text("all of it")
    >>> Path("notes.txt").read_text()
    'all of it'
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
