"""Nothing is lost: whatever goes wrong while a player plays, the run is whole, is shown, can be saved, goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from panel import Panel, drawn, late_enough, threads_of_players, wait_for, without_a_page
from test_player import bare, failing, make, once_at, tiny_network

import dip_lessons as dip
from dip_lessons import Player, play
from dip_lessons.notebook.player import engine as engines
from dip_lessons.notebook.player.cells import interrupted

resource = pytest.importorskip("resource", reason="limits of a process are POSIX's")

pytestmark = pytest.mark.usefixtures("panels_closed")

PLAN = 60
MEMORY = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)


@pytest.fixture(scope="module")
def network() -> dip.Network:
    return tiny_network()


def again(run: dip.Run, network: dip.Network) -> dip.Run:
    """The same run without a player: from the start, by what its log says."""
    other = make(network, steps=run.steps)
    for step in sorted(s for s in run.log if 0 < s <= run.step):
        other.advance(step - other.step).set(**run.log[step])
    return other.advance(run.step - other.step)


def nothing_is_lost(player: Player, network: dip.Network, folder: Path) -> None:
    """After any fault: a consistent state, the last good picture on screen and in a file, and play works."""
    run = player.run
    wait_for(lambda: player.state != "playing")
    wait_for(lambda: not threads_of_players())
    true = again(run, network)
    assert torch.equal(run.image, true.image)
    assert run.history == true.history
    assert Panel(player).picture == drawn(true)
    assert f"step {run.step} of" in Panel(player).status
    assert Panel(player).step == run.step
    loaded = dip.Run.load(run.save(folder / "run.pt"), network=network, objective=run.settings["objective"])
    assert torch.equal(loaded.image, true.image)
    assert loaded.history == true.history
    step = run.step
    late_enough()  # a click just after the end is one on Pause
    Panel(player).click("play")
    wait_for(lambda: run.step >= step + 3)
    player.pause()
    assert player.state in ("paused", "done")
    assert Panel(player).message == ""
    assert run.history == again(run, network).history


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ZeroDivisionError("mine"), "ZeroDivisionError: mine"),
        (None, "rewind and lower lr"),  # NaN
        (
            MEMORY("CUDA out of memory. Tried to allocate 2.00 GiB"),
            "take a smaller picture or crop, a smaller batch",
        ),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "or fewer views"),
        (MemoryError(), "Out of memory"),
    ],
    ids=["exception", "nan", "memory of a GPU", "memory of torch", "memory of Python"],
)
@pytest.mark.parametrize("engine", ["background", "cell"])
def test_a_step_that_fails(
    network: dip.Network,
    tmp_path: Path,
    engine: str,
    error: Exception | None,
    words: str,
) -> None:
    run = make(network, failing(once_at(37), error), steps=PLAN)
    player = play(run)
    if engine == "background":
        Panel(player).click("play")
        wait_for(lambda: player.state == "failed")
    else:
        with pytest.raises(dip.RunError, match="step 37"):
            player.result()
    assert run.step == 36
    assert "step 37 of the run failed; the picture of step 36 is kept" in Panel(player).message
    assert words.replace("'", "&#x27;") in Panel(player).message
    nothing_is_lost(player, network, tmp_path)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_a_gpu_whose_memory_is_full(tmp_path: Path) -> None:
    """The real thing: a step that asks for more than the device has."""
    network, at_37 = tiny_network("cuda"), once_at(37)
    run = make(network, failing(lambda: at_37() and torch.empty(2**46, device="cuda") is None), steps=PLAN)
    player = play(run).play()
    wait_for(lambda: player.state == "failed")
    assert run.step == 36
    assert "take a smaller picture or crop, a smaller batch" in Panel(player).message
    nothing_is_lost(player, network, tmp_path)


@pytest.mark.parametrize("engine", ["background", "cell"])
def test_an_interrupt_in_the_middle_of_a_step(
    network: dip.Network,
    tmp_path: Path,
    engine: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """■ in a cell is a signal to the main thread; on an idle kernel it goes to the handler that play installs."""
    at_37 = once_at(37)

    def interrupt() -> bool:
        if at_37():
            signal.raise_signal(signal.SIGINT) if engine == "cell" else interrupted()
        return False

    run = make(network, failing(interrupt), steps=PLAN)
    player = play(run)
    if engine == "cell":
        with pytest.raises(KeyboardInterrupt, match="step 37"):
            player.result()
    else:
        player.play()
        wait_for(lambda: player.state == "paused")
    assert run.step == 37  # the step is finished first
    nothing_is_lost(player, network, tmp_path)


def test_a_slider_dragged_wildly_for_ten_seconds(network: dip.Network, tmp_path: Path) -> None:
    """Six hundred moves, as a page sends in ten seconds, of a knob and of the step slider, while it plays."""
    run = make(network, steps=10**6)
    player = play(run, controls=["lr", "jitter"]).play()
    wait_for(lambda: run.step > 5)
    for i in range(300):
        Panel(player).move(0, 10 ** (-(i * 7 % 30) / 10))
        Panel(player).move(1, i * 5 % 30)
    assert player.state == "playing"
    assert run.settings["lr"] == pytest.approx(10 ** (-(299 * 7 % 30) / 10))
    assert run.settings["views"].jitter == 299 * 5 % 30
    for i in range(40):  # the first one pauses
        Panel(player).scrub(i * 7 % 23)
    assert player.state == "paused"
    assert run.step == Panel(player).step
    nothing_is_lost(player, network, tmp_path)


def test_the_browser_gone_for_a_while(
    network: dip.Network,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the page's clock takes the steps, a page that is gone stops it, and says so when it is back."""
    monkeypatch.setitem(sys.modules, "google.colab", type(sys)("google.colab"))
    monkeypatch.setattr(engines, "AWAY_SECONDS", 0.2)
    run = make(network, steps=10**6)
    player = play(run).play()
    Panel(player).tick()
    wait_for(lambda: player.state == "away")
    assert run.step > 0
    wait_for(lambda: Panel(player).picture == drawn(run))
    player.pause()
    without_a_page(player)
    nothing_is_lost(player, network, tmp_path)


def test_one_of_two_players_fails(network: dip.Network, tmp_path: Path) -> None:
    good = play(make(network, steps=PLAN), name="good")
    bad = play(make(network, failing(once_at(5), ValueError("mine")), steps=PLAN), name="bad")
    good.play(), bad.play()
    wait_for(lambda: bad.state == "failed" and good.state == "done")
    assert good.run.history == bare(network, PLAN).history
    assert Panel(good).message == ""
    nothing_is_lost(bad, network, tmp_path)
    nothing_is_lost(good, network, tmp_path)


# Files


def saving(player: Player, what: str, path: Path) -> Callable[[], Path]:
    """One of the three things that can be saved."""
    return {
        "run": lambda: player.run.save(path),
        "picture": lambda: player.save_picture(path),
        "film": lambda: player.save_film(path),
    }[what]


@pytest.mark.parametrize(
    ("what", "kind"), [("run", "pt"), ("picture", "png"), ("film", "gif"), ("film", "webp")]
)
def test_a_full_disk(network: dip.Network, tmp_path: Path, what: str, kind: str) -> None:
    """The kernel itself refuses to write on, in the middle of the file."""
    player = play(make(network, steps=PLAN))
    player.result(20)
    path = tmp_path / "folder" / f"file.{kind}"
    path.parent.mkdir()
    if what != "picture":  # which never replaces a file
        old = saving(player, what, path)().read_bytes()
    player.result(30)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, limits[1]))
    try:
        with pytest.raises((OSError, RuntimeError)):  # torch's own writer raises the latter
            saving(player, what, path)()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    if what == "picture":
        assert os.listdir(path.parent) == []
    else:
        assert os.listdir(path.parent) == [path.name]
        assert path.read_bytes() == old
    nothing_is_lost(player, network, tmp_path)
    assert saving(player, what, path)().stat().st_size > 200


KILLED = """
import os, signal, sys, torch
import dip_lessons as dip
network = dip.Network(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), name="one")
run = dip.optimize(dip.Pixels(16), dip.channel("0", 1), network, steps=9)
run.advance(3).save(sys.argv[1])
print("saved", flush=True)
replace, write = os.replace, torch.save

def half(content, file):
    write(content, file)
    file.truncate(file.tell() // 2)
    file.flush()
    print("killing", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

torch.save = half
run.advance(3).save(sys.argv[1])
"""


def test_a_process_killed_while_it_saves(tmp_path: Path, root: Path) -> None:
    """The old file is whole, and the half of a new one stands beside it under another name."""
    path = tmp_path / "run.pt"
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", KILLED, str(path)]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert process.stdout.split() == ["saved", "killing"]
    network = dip.Network(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), name="one")
    run = dip.Run.load(path, network=network)
    assert (run.step, len(run.history)) == (3, 3)
    assert len(os.listdir(tmp_path)) == 2
    assert dip.Run.load(run.advance(1).save(path), network=network).step == 4
