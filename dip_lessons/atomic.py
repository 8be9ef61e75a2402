"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file to write in place of ``path``: beside it, then renamed, so that an old file survives all failures.

    The old file's permissions stay. Of a symbolic link, the file that it leads to is written anew. What is no
    file, as a pipe or ``/dev/null``, is written to directly. Parts that a killed process left go with the next
    write. Raises OSError that names ``path`` where it cannot be written.

    >>> from pathlib import Path
    >>> from dip_lessons.atomic import atomic_write
    >>> with atomic_write(Path("notes.txt")) as part:
    ...     written = part.write_text("all of it")
    >>> Path("notes.txt").read_text()
    'all of it'
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        yield target
        return
    # A name of its own for each process and thread; of a long name the beginning, for names have 255 bytes at most.
    start = f".{os.fsdecode(os.fsencode(target.name)[:120])}."
    host = f"{socket.gethostname()[:60]}."
    part = target.with_name(f"{start}{host}{os.getpid()}.{threading.get_ident()}.part")
    for left in target.parent.glob(f"{glob.escape(start)}*.part"):
        if _is_abandoned(left, left.name[len(start) :], host):
            left.unlink(missing_ok=True)
    try:
        yield part
        if target.exists():
            shutil.copymode(target, part)
        os.replace(part, target)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(part), part):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _is_abandoned(part: Path, rest: str, host: str) -> bool:
    """Whether the process that wrote a part is gone: it ran here and does not any more, or a day has passed."""
    with contextlib.suppress(OSError, ValueError):
        if os.name == "posix" and rest.startswith(host):
            try:
                os.kill(int(rest[len(host) :].split(".")[0]), 0)
            except ProcessLookupError:
                return True
        return time.time() - part.stat().st_mtime > 24 * 3600
    return False
