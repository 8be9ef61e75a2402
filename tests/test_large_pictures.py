"""The gallery's pictures: made once, made anew when their lines change, gone on with after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

HERE = Path(__file__).resolve().parents[1] / "notebooks" / "pictures"
JOBS = '''\
"""# Two squares"""
import time
import torch
from build import Family

def grey(level, seed=0, size=64, wait=0.0):
    time.sleep(wait)
    return torch.full((1, 3, size, size), level)

FAMILIES = [Family("Greys", "Only the level varies.", grey, {"dark": {"level": 0.2}, "light": {"level": 0.8}})]
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "greys.py").write_text(JOBS, encoding="utf-8")
    return tmp_path


def run(folder: Path, *, kill_after: str | None = None) -> str:
    """`build` in a process of its own, and the page; killed when a file of this name is there."""
    code = (
        "import sys; from pathlib import Path; import build\n"
        "if __name__ == '__main__':\n"
        "    done = build.build('greys', Path('out'), [], 1)\n"
        "    print(build.page('greys', Path('out'), Path('.')))\n"
        "    sys.exit(not done)\n"
    )
    (folder / "main.py").write_text(code, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), str(HERE), str(HERE.parents[1])]),
    }
    process = subprocess.Popen(
        [sys.executable, "main.py"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    if kill_after:
        while not (folder / "out" / kill_after).exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=300)  # until its worker, too, has ended
        return ""
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()
    return out.decode()


def test_each_picture_is_made_once_and_the_page_shows_the_lines(folder: Path) -> None:
    page = run(folder)
    dark = Image.open(folder / "out" / "grey_dark.jpg")
    assert dark.size == (64, 64)
    assert abs(dark.getpixel((4, 4))[0] - 51) <= 1
    told = json.loads((folder / "out" / "grey_dark.json").read_text(encoding="utf-8"))
    assert (told["level"], told["seed"], told["size"]) == (0.2, 0, 64)
    assert "seconds" in told
    assert "machine" in told
    assert "![light](out/grey_light.jpg)" in page
    assert "def grey(level, seed=0, size=64, wait=0.0):" in page
    times = [(folder / "out" / f"grey_{n}.jpg").stat().st_mtime_ns for n in ("dark", "light")]
    run(folder)
    assert times == [(folder / "out" / f"grey_{n}.jpg").stat().st_mtime_ns for n in ("dark", "light")]
    (folder / "greys.py").write_text(JOBS.replace('"level": 0.8', '"level": 0.6'), encoding="utf-8")
    run(folder)
    assert (folder / "out" / "grey_dark.jpg").stat().st_mtime_ns == times[0]
    light = Image.open(folder / "out" / "grey_light.jpg")
    assert abs(light.getpixel((4, 4))[0] - 153) <= 1


@pytest.mark.skipif(os.name != "posix", reason="kills by a POSIX signal")
def test_a_killed_build_goes_on(folder: Path) -> None:
    slow = JOBS.replace('"light": {"level": 0.8}', '"light": {"level": 0.8, "wait": 600}')
    (folder / "greys.py").write_text(slow, encoding="utf-8")
    run(folder, kill_after="grey_dark.json")
    assert not (folder / "out" / "grey_light.json").exists()
    kept = (folder / "out" / "grey_dark.jpg").stat().st_mtime_ns
    (folder / "greys.py").write_text(JOBS, encoding="utf-8")
    page = run(folder)
    assert (folder / "out" / "grey_dark.jpg").stat().st_mtime_ns == kept
    assert "grey_light.jpg" in page


def test_saturation_and_grain_of_known_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    from build import look

    red = torch.zeros(1, 3, 64, 64)
    red[:, 0] = 1
    assert look(red)["saturated"] == 1
    assert look(red)["chroma"] == 1
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert abs(look(noise)["slope"]) < 0.1
    assert look(noise)["saturated"] == pytest.approx(0.04, abs=0.005)


def test_the_gallery_shows_the_jobs_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    import build

    shown = (HERE.parent / "gallery.md").read_text(encoding="utf-8")
    assert shown == build.page("jobs", HERE / "large", HERE.parent)
    assert shown.count("![") >= 6
    for picture in (HERE / "large").iterdir():
        assert picture.suffix == ".json" or picture.name in shown
