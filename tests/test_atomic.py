"""A file is there whole, or as it was."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dip_lessons.atomic import atomic_write

posix = pytest.mark.skipif(os.name != "posix", reason="permissions, links and signals as POSIX has them")


def test_what_was_written_stands_in_the_old_ones_place(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"  # until all is written
    assert path.read_text() == "new"
    with atomic_write(str(path)) as part:  # any kind of path
        part.write_text("newer")
    assert path.read_text() == "newer"
    assert list(tmp_path.iterdir()) == [path]


def fail_halfway(part: Path, error: type[BaseException]) -> None:
    part.write_text("half of")
    raise error


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, ValueError])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as part:
        fail_halfway(part, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "name", ["a.txt", "[a] *?.txt", "größe 名前.txt", "n" * 250 + ".txt", "名" * 80 + ".txt"]
)
def test_any_name_of_a_file_will_do(tmp_path: Path, name: str) -> None:
    for text in ("first", "second"):
        with atomic_write(tmp_path / name) as part:
            part.write_text(text)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "second"


@posix
def test_permissions_stay(tmp_path: Path) -> None:
    path = tmp_path / "run.sh"
    for mode in (0o600, 0o755, 0o664):
        path.write_text("old")
        path.chmod(mode)
        with atomic_write(path) as part:
            part.write_text("new")
        assert path.stat().st_mode & 0o7777 == mode
    (tmp_path / "plain").write_text("as any new file")
    with atomic_write(tmp_path / "new") as part:
        part.write_text("new")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


@posix
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    kept = tmp_path / "store" / "kept.txt"
    kept.write_text("old")
    for link, leads_to in (("to_a_file", "store/kept.txt"), ("to_a_link", "to_a_file"), ("new", "store/new")):
        (tmp_path / link).symlink_to(leads_to)
        with atomic_write(tmp_path / link) as part:
            part.write_text(link)
        assert (tmp_path / link).is_symlink()
        assert (tmp_path / link).read_text() == link
    assert kept.read_text() == "to_a_link"
    assert sorted(file.name for file in (tmp_path / "store").iterdir()) == ["kept.txt", "new"]


@posix
def test_a_pipe_is_written_to_and_stays_one(tmp_path: Path) -> None:
    path, heard = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: heard.append(path.read_text()))
    reader.start()
    with atomic_write(path) as part:
        part.write_text("through")
    reader.join(60)
    assert heard == ["through"]
    assert path.is_fifo()


def test_threads_do_not_write_into_each_others_part(tmp_path: Path) -> None:
    """All write the same file at the same time; what stands there in the end is whole, and one of theirs."""
    path, barrier, errors = tmp_path / "a.txt", threading.Barrier(8), []

    def write(letter: str) -> None:
        try:
            barrier.wait(60)
            for _ in range(20):
                with atomic_write(path) as part, open(part, "w") as file:
                    for _ in range(10):
                        file.write(100 * letter)
                        file.flush()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    text = path.read_text()
    assert text == 1000 * text[0]
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_what_a_killed_process_left_goes_with_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    program = (
        "import sys, time; from dip_lessons.atomic import atomic_write\n"
        "with atomic_write(sys.argv[1]) as part:\n"
        "    part.write_text('half'); print('written', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "written\n"
    (left,) = [file for file in tmp_path.iterdir() if file != path]
    with atomic_write(path) as part:
        part.write_text("new")
    assert left.exists()  # the other still writes
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    process.stdout.close()
    assert path.read_text() == "new"
    elsewhere = tmp_path / ".a.txt.another machine.1.1.part"  # is nobody's process here: it may live
    old, other = tmp_path / ".a.txt.another machine.2.1.part", tmp_path / ".b.txt.here.1.1.part"
    for file in (elsewhere, old, other):
        file.write_text("half")
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    with atomic_write(path) as part:
        part.write_text("newer")
    assert sorted(tmp_path.iterdir()) == sorted([path, elsewhere, other])


def test_errors_name_the_file(tmp_path: Path) -> None:
    missing = tmp_path / "no folder" / "a.txt"
    with pytest.raises(FileNotFoundError) as caught, atomic_write(missing) as part:
        part.write_text("new")
    assert str(caught.value).endswith(repr(str(missing)))
    with pytest.raises(IsADirectoryError) as caught, atomic_write(tmp_path) as part:
        part.write_text("new")
    assert repr(str(tmp_path)) in str(caught.value)
    full = tmp_path / "full.txt"
    with pytest.raises(OSError, match=r"No space left on device: .*full\.txt'$"), atomic_write(full):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(FileNotFoundError, match=r"another\.txt"), atomic_write(full):  # no fault of this file
        (tmp_path / "another.txt").read_text()
    assert list(tmp_path.iterdir()) == []
