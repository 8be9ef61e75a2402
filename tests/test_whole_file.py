"""A file is there whole, or as it was."""

from pathlib import Path

import pytest

from dip_lessons.atomic import atomic_write


def test_what_was_written_stands_in_the_old_ones_place(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as part:
        part.write_text("new")
        assert path.read_text() == "old"  # until all is written
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def fail_halfway(part: Path, error: type[BaseException]) -> None:
    part.write_text("half of")
    raise error


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as part:
        fail_halfway(part, error)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
