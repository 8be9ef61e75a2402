"""The player without a page: its three engines, its knobs, what goes wrong, and what it leaves behind."""

from __future__ import annotations

import base64
import gc
import io
import itertools
import re
import signal
import sys
import threading
import time
import types
import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from panel import (
    Panel,
    Shell,
    draw_at_once,
    drawn,
    in_a_notebook,
    on_each_drawing,
    open_panels,
    pixels,
    threads_of_players,
    wait_for,
    widgets_alive,
)
from PIL import Image
from torch import Tensor, nn

import dip_lessons as dip
from dip_lessons import Player, choice, compare, pick_channel, play, slider
from dip_lessons.notebook.display import COLORS
from dip_lessons.notebook.player import engine as engines
from dip_lessons.notebook.player import reel as reels
from dip_lessons.notebook.player.cells import UNNAMED, interrupted
from dip_lessons.notebook.player.drawing import contact_sheet, encode
from dip_lessons.notebook.player.panel import STYLE
from dip_lessons.notebook.player.turns import turn

pytestmark = pytest.mark.usefixtures("panels_closed")

STEPS = 24


def tiny_network(device: str = "cpu") -> dip.Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        layers = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Conv2d(8, 6, 3)).to(device)
    return dip.Network(layers, name="tiny")


@pytest.fixture(scope="module")
def network() -> dip.Network:
    return tiny_network()


@pytest.fixture
def colab(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colab, as far as the player looks."""
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))


def make(
    network: dip.Network, objective: dip.Objective | None = None, steps: int = STEPS, **options
) -> dip.Run:
    options = {"views": dip.random_views(jitter=2, rotate=5)} | options
    picture = dip.Fourier(16, device=network.device)
    return dip.optimize(picture, objective or dip.channel("2", 3), network, steps=steps, **options)


def bare(network: dip.Network, steps: int = STEPS) -> dip.Run:
    """What every engine has to equal: the run without a player."""
    return make(network).advance(steps)


def failing(when: Callable[[], bool], error: BaseException | None = None) -> dip.Objective:
    """Channel 3, but where ``when()`` holds: then ``error``, or NaN."""

    def value(activations: dict[str, Tensor]) -> Tensor:
        a = activations["2"][:, 3].mean(dim=(1, 2))
        if when():
            if error is None:
                return a * float("nan")
            raise error
        return a

    return dip.Objective(value, ["2"], code="mine")


def once_at(call: int) -> Callable[[], bool]:
    calls = iter(range(1, 10**9))
    return lambda: next(calls) == call


# The engines


def test_foreground_equals_the_bare_loop(network: dip.Network) -> None:
    run = play(make(network)).result()
    assert run.history == bare(network).history
    assert torch.equal(run.image, bare(network).image)


def test_thread_equals_the_bare_loop(network: dip.Network) -> None:
    player = play(make(network)).play()
    wait_for(lambda: player.state == "done")
    assert player.run.history == bare(network).history
    assert torch.equal(player.run.image, bare(network).image)


def test_handover_from_thread_to_foreground(network: dip.Network) -> None:
    run = make(network, steps=200)
    player = play(run).play()
    wait_for(lambda: run.step >= 5)
    player.pause()
    assert 5 <= run.step < 200
    assert player.state == "paused"
    player.play()
    assert player.result() is run  # while the thread plays
    assert run.step == 200
    assert run.history == bare(network, 200).history


def test_colab_is_driven_by_ticks(network: dip.Network, colab: None) -> None:
    run = make(network)
    player = play(run)
    Panel(player).tick()
    assert run.step == 0  # not playing yet
    player.play()
    assert run.step == 0  # no thread takes steps
    ticks = 0
    while player.state == "playing":
        Panel(player).tick()
        ticks += 1
    assert ticks < STEPS  # several steps a tick
    assert player.state == "done"
    assert run.history == bare(network).history
    Panel(player).tick()
    assert run.step == STEPS


def test_ticks_hand_over_to_the_foreground(network: dip.Network, colab: None) -> None:
    run = make(network, steps=400)
    player = play(run).play()
    Panel(player).tick()
    assert 0 < run.step < 400
    player.pause()
    step = run.step
    Panel(player).tick()
    assert run.step == step
    player.play().result()
    assert run.history == bare(network, 400).history
    assert not Panel(player).ticking


def test_a_page_that_is_away_is_noticed(
    network: dip.Network, colab: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "AWAY_SECONDS", 0.2)
    run = make(network, steps=10**6)
    player = play(run).play()
    Panel(player).tick()
    assert player.state == "playing"
    wait_for(lambda: "press Play" in Panel(player).status)
    assert player.state == "away"
    assert Panel(player).play_button == "Play"
    step = run.step
    Panel(player).click("play")
    assert player.state == "playing"
    Panel(player).tick()
    assert run.step > step


def test_steps_beyond_the_planned_number(network: dip.Network) -> None:
    player = play(make(network))
    player.result(5)
    assert player.run.step == 5
    assert player.state == "paused"
    player.result()
    Panel(player).click("step")
    wait_for(lambda: player.run.step == STEPS + 1 and player.state == "done")
    player.play()
    wait_for(lambda: player.run.step == 2 * STEPS and player.state == "done")
    assert player.result().step == 2 * STEPS  # nothing remained
    assert player.result(2 * STEPS + 1).step == 2 * STEPS + 1
    for wrong in (-1, 2.5, True, "3"):
        with pytest.raises(ValueError, match="whole number"):
            player.result(wrong)


def test_pause_is_prompt(network: dip.Network) -> None:
    """It waits for the step that is being taken, and for no other."""

    def slow() -> bool:
        time.sleep(0.04)
        return False

    player = play(make(network, failing(slow), steps=10**6)).play()
    wait_for(lambda: player.run.step > 0)
    step = player.run.step
    Panel(player).click("play")
    assert player.run.step <= step + 2  # the click may come between two steps
    assert player.state == "paused"
    assert not threads_of_players()


@pytest.mark.parametrize("step", [0.004, 0.03, 0.061, 0.075, 0.119])
def test_pictures_come_as_often_as_they_should(
    network: dip.Network, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight a second on a processor and 25 with a GPU, or one for each step; by a clock that only steps move."""
    now = [0.0]
    clock = {
        "strftime": time.strftime,
        "monotonic": lambda: 0.0,
    }  # the other one, by which a cell is long, stands
    clock |= {"perf_counter": lambda: now[0], "thread_time": lambda: 0.0}
    monkeypatch.setattr(engines, "time", types.SimpleNamespace(**clock))

    def take_time() -> bool:
        now[0] += step
        return False

    for seconds, rate in ((engines.FRAME_SECONDS, 8), (engines.GPU_FRAME_SECONDS, 25)):
        monkeypatch.setattr(engines, "FRAME_SECONDS", seconds)
        player, seen = play(make(network, failing(take_time), steps=200)), []
        on_each_drawing(player, lambda draw, seen=seen: (draw(), seen.append(now[0])))
        player.result()
        least = 0.999 * min(rate, 1 / step)
        assert 1 / np.diff(seen[:-1]).max() >= least  # the last one comes at once
        assert 1 / np.median(np.diff(seen)) < 2.1 * rate


def test_nobody_starves(network: dip.Network) -> None:
    """Threads that release a lock and take it again at once keep all others out: not here."""
    taken, over, run = [0], threading.Event(), make(network)

    def take_steps() -> None:
        while not over.is_set():
            with turn(run):
                time.sleep(0.002)
                taken[0] += 1

    other = threading.Thread(target=take_steps)
    other.start()
    try:
        waited = []
        for _ in range(20):
            wait_for(lambda before=taken[0]: taken[0] > before)
            before = taken[0]
            with turn(run):
                waited.append(taken[0] - before)
    finally:
        over.set()
        other.join()
    # Only the step that the other is in the middle of; with a lock alone it is the next one too, at the least.
    assert sorted(waited)[10] <= 1


def test_two_players_at_once(network: dip.Network) -> None:
    runs = [make(network, steps=10**6) for _ in range(2)]
    players = [play(run, controls=["lr"], name=str(i)).play() for i, run in enumerate(runs)]
    wait_for(lambda: min(run.step for run in runs) > 20)
    Panel(players[0]).move(0, 0.02)
    assert [run.settings["lr"] for run in runs] == [0.02, 0.05]
    for player, run in zip(players, runs, strict=True):
        player.pause()
        again = make(network, steps=10**6)
        for step in sorted(run.log)[1:]:
            again.advance(step - again.step).set(**run.log[step])
        assert again.advance(run.step - again.step).history == run.history


def test_global_generator_and_grad_mode_are_untouched(network: dip.Network) -> None:
    state = torch.get_rng_state()
    with torch.no_grad():
        play(make(network), controls=["lr"]).result()
        assert not torch.is_grad_enabled()
    assert torch.equal(state, torch.get_rng_state())


# The panel


def test_panel_shows_the_run(network: dip.Network) -> None:
    player = play(make(network))
    player.result()
    jpeg = pixels(Panel(player).picture).astype(float)
    true = 255 * player.run.image[0].permute(1, 2, 0).numpy()
    assert np.abs(jpeg - true).mean() < 12  # JPEG halves the resolution of colour
    assert f"step {STEPS} of {STEPS}" in Panel(player).status
    assert "cpu" in Panel(player).status
    assert f"from {min(player.run.history):.3g} to" in Panel(player).status
    assert Panel(player).step == STEPS


def test_scrubbing(network: dip.Network) -> None:
    run = make(network, steps=60)
    player = play(run, controls=["lr", pick_channel(network, ["0", "2"])])
    run.advance(20).set(lr=0.2, objective=dip.channel("0", 7))
    player.result()
    history, last = list(run.history), run.image
    Panel(player).scrub(11)
    assert run.step == 11
    assert torch.equal(run.image, bare(network, 11).image)
    assert Panel(player).picture == drawn(run)
    panel = Panel(player)
    assert (panel.knob(0), panel.knob(1), panel.input(1, 1).max) == (0.05, ("2", 3), 5)
    Panel(player).scrub(40)
    assert (panel.knob(0), panel.knob(1), panel.input(1, 1).max) == (0.2, ("0", 7), 7)
    Panel(player).click("rewind")
    assert (run.step, run.recorded, Panel(player).step) == (0, 60, 0)
    player.result()
    assert run.history == history
    assert torch.equal(run.image, last)
    assert sorted(run.log) == [0, 20]


def test_scrubbing_pauses_and_stays_within_what_is_recorded(network: dip.Network) -> None:
    run = make(network, steps=10**5)
    player = play(run).play()
    wait_for(lambda: run.step > 10)
    Panel(player).scrub(10**5 - 1)
    assert player.state == "paused"
    assert run.step == run.recorded == Panel(player).step < 10**5 - 1


def test_a_change_after_a_scrub_drops_what_lay_ahead(network: dip.Network) -> None:
    run = make(network)
    player = play(run, controls=["lr"])
    player.result()
    player.rewind(10)
    Panel(player).move(0, 0.4)
    assert run.recorded == 10
    player.result()
    assert run.history == make(network).advance(10).set(lr=0.4).advance(14).history


def test_knobs_act_while_it_plays_and_are_logged(network: dip.Network) -> None:
    run = make(network, steps=10**6)
    controls = [
        *["lr", "strength", "jitter", "scale", "rotate", "blur", "decay"],
        choice("views", {"none": None, "some": dip.random_views(jitter=2, rotate=5)}),
        slider("strength", 0.1, 1.5, label="again"),
    ]
    player = play(run, controls=controls).play()
    wait_for(lambda: run.step > 3)
    values = [0.1, 0.5, 3, 0.2, 20, 1.0, 1.5]
    for knob, value in enumerate(values):
        Panel(player).move(knob, value)
    step = run.step
    wait_for(lambda: run.step > step + 3)
    player.pause()
    now = run.settings
    assert (now["lr"], now["decay"]) == (0.1, 1.5)
    views = now["views"]
    assert (views.strength, views.jitter, views.scale) == (0.5, 3, (0.8, 1.2))
    assert (views.rotate, views.blur) == (20, 1.0)
    assert Panel(player).knob(-1) == 0.5  # another knob for the same setting follows
    assert Panel(player).knob(7) is None  # these views are none of the menu's
    again = make(network, steps=10**6)
    for step in sorted(run.log)[1:]:
        again.advance(step - again.step).set(**run.log[step])
    assert again.advance(run.step - again.step).history == run.history
    Panel(player).move(7, "none")
    assert run.settings["views"] is None
    assert Panel(player).input(1).disabled
    Panel(player).move(7, "some")
    assert not Panel(player).input(1).disabled
    assert Panel(player).knob(1) == 1.0


def test_a_bad_value_is_explained_and_taken_back(network: dip.Network) -> None:
    run = make(network)
    player = play(run, controls=[choice("lr", {"good": 0.05, "bad": -1.0})])
    Panel(player).move(0, "bad")
    assert "above 0; got -1.0" in Panel(player).message
    assert Panel(player).knob(0) == "good"
    assert sorted(run.log) == [0]
    assert player.result().history == bare(network).history
    assert Panel(player).message == ""


def test_channel_picker(network: dip.Network) -> None:
    run = make(network)
    player = play(run, controls=[pick_channel(network, ["2", "0"])])
    panel = Panel(player)
    layer, index = panel.input(0, 0), panel.input(0, 1)
    layer.value = "0"
    assert run.settings["objective"].specification == ("channel", "0", 3)
    index.value = 7
    layer.value = "2"  # has 6 channels only
    assert run.settings["objective"].specification == ("channel", "2", 5)
    assert index.max == 5
    run.set(objective=failing(lambda: False))
    player.rewind(0)
    assert (layer.value, index.disabled) == (None, True)
    layer.value = "0"
    assert run.settings["objective"].specification == ("channel", "0", 5)
    assert not index.disabled
    with pytest.raises(KeyError, match="nearest"):
        pick_channel(network, ["nowhere"])


@pytest.mark.parametrize(
    ("controls", "error", "words"),
    [
        (["colour"], ValueError, "dip.slider"),
        ([slider("colour", 0, 1)], ValueError, "no setting 'colour'"),
        ([3], TypeError, "pick_channel"),
    ],
)
def test_wrong_controls(network: dip.Network, controls: list, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        play(make(network), controls=controls)
    assert not open_panels()


def test_other_wrong_arguments(network: dip.Network) -> None:
    with pytest.raises(ValueError, match="standard_views"):
        play(make(network, views=None), controls="jitter")
    with pytest.raises(TypeError, match="dip.optimize"):
        play(network)
    with pytest.raises(ValueError, match="low to a larger high"):
        slider("lr", 1, 0.1)
    with pytest.raises(ValueError, match="above 0"):
        slider("lr", 0, 1, log=True)
    with pytest.raises(ValueError, match="by name"):
        choice("lr", {})


def test_sliders_reach_what_code_has_set(network: dip.Network) -> None:
    run = make(network, lr=3.0)
    player = play(run, controls=["lr", "decay"])
    run.set(decay=-1.0)
    player.rewind(0)
    assert [Panel(player).knob(i) for i in range(2)] == [pytest.approx(3.0), -1.0]
    assert run.settings["lr"] == 3.0


def test_bundle_holds_panel_and_picture(network: dip.Network) -> None:
    player = play(make(network))
    bundle = player._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.jupyter.widget-view+json", "image/jpeg", "text/plain"}
    view = bundle["application/vnd.jupyter.widget-view+json"]
    assert view == {"version_major": 2, "version_minor": 0, "model_id": Panel(player).box.model_id}
    assert bundle["text/plain"] == play(make(network, steps=3))._repr_mimebundle_()["text/plain"]
    player.close()
    assert set(player._repr_mimebundle_()) == {"text/plain"}


def test_every_control_has_words(network: dip.Network) -> None:
    player = play(make(network), controls=["lr", pick_channel(network)])
    controls = Panel(player).everything()
    assert len(controls) == 6 + 1 + 1 + 2
    for control in controls:
        assert control.description
        assert control.tooltip if control.has_trait("tooltip") else control.description_tooltip


# Machado, Oliveira and Fernandes 2009, table 1, severity 1.0: linear RGB as it is seen without one kind of cones.
BLINDNESS = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def difference(one: str, other: str, seen: list) -> float:
    """How far apart two colours look: the distance in CIELAB, in which 2.3 is just noticeable."""

    def lab(color: str) -> np.ndarray:
        srgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        to_xyz = [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
        x, y, z = np.cbrt(to_xyz @ np.clip(seen @ linear, 0, 1) / (0.95047, 1, 1.08883))
        return np.array([116 * y, 500 * (x - y), 200 * (y - z)])

    return float(np.linalg.norm(lab(one) - lab(other)))


@pytest.mark.parametrize("kind", BLINDNESS)
def test_curves_and_marks_are_told_apart_without_one_kind_of_cones(kind: str) -> None:
    seen = np.array(BLINDNESS[kind])
    themes = re.findall(r"--dip-line: (#\w+); --dip-mark: (#\w+);", STYLE)
    assert len(themes) == 2  # light and dark
    assert min(difference(*pair, seen) for pair in themes) > 80
    assert min(difference(*pair, seen) for pair in itertools.combinations(COLORS[:6], 2)) > 15
    if kind == "deuteranopia":  # the usual red and green would not do
        assert difference("#d62728", "#2ca02c", seen) < 10


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_contact_sheet(channels: int) -> None:
    images = torch.rand(5, channels, 6, 9, generator=torch.Generator().manual_seed(0))
    sheet = contact_sheet(images)
    bytes_ = (images * 255).round().byte().permute(0, 2, 3, 1).numpy()
    assert sheet.shape == (2 * 6 + 1, 3 * 9 + 2, 4 if channels == 4 else 3)
    assert (sheet[:6, :9] == bytes_[0]).all()
    assert (sheet[7:, 10:19] == bytes_[4]).all()
    assert Image.open(io.BytesIO(encode(sheet))).size == (29, 13)
    assert contact_sheet(images[:1]).shape[:2] == (6, 9)


def test_large_pictures_are_sent_smaller() -> None:
    assert max(Image.open(io.BytesIO(encode(np.zeros((2100, 900, 3), np.uint8)))).size) == 700


# What it gives away


def test_code_makes_the_picture_again(network: dip.Network, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = dip.Fourier((12, 15), decay=1.2, batch=2, generator=torch.Generator().manual_seed(5))
    objective = dip.channel("2", 3) - 0.5 * dip.neuron("0", 1)
    options = {
        "steps": 9,
        "lr": 0.1,
        "seed": 4,
        "optimizer": "nadam",
        "betas": (0.9, 0.95),
        "redirect_relu": 5,
    }
    run = dip.optimize(picture, objective, network, views=dip.standard_views(), **options)
    player = play(run, controls=["strength", "decay", pick_channel(network)])
    player.result(4)
    Panel(player).move(0, 0.5)
    Panel(player).move(1, 0.7)
    player.result(7)
    Panel(player).move(2, 2, 1)
    player.result(12)
    player.rewind(11)
    Panel(player).click("copy")
    text = player.code()
    assert re.search(r"dip\.Fourier\(\(12, 15\), (batch=2, decay=1\.2|decay=1\.2, batch=2), generator=", text)
    assert "lr=0.1, seed=4, optimizer='nadam', betas=(0.9, 0.95), redirect_relu=5)" in text
    assert "run.advance(4).set(strength=0.5, decay=0.7)" in text
    assert "strength=0.5" in Panel(player).message
    assert torch.equal(again_by_code(player, network, monkeypatch), run.image)


def test_code_names_what_it_cannot_write(network: dip.Network) -> None:
    run = make(network, failing(lambda: False), views=lambda image, generator: image)
    run.parameterization.set_image(torch.full((3, 16, 16), 0.3))
    run = make(network, failing(lambda: False), views=lambda image, generator: image)
    text = play(run).code()
    assert "network = ...  # yours: tiny" in text
    assert "objective = ...  # yours: mine" in text
    assert "views = ...  # yours: <lambda>" in text
    assert "other values" not in text
    start = dip.Fourier(16).set_image(torch.full((3, 16, 16), 0.3))
    run = dip.optimize(start, dip.channel("2", 3), network, steps=3)
    assert "other values" in play(run).code()


def test_save_picture(network: dip.Network, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    player = play(make(network), name="my run")
    Panel(player).click("save")
    (path,) = tmp_path.iterdir()
    assert path.name.startswith("my_run_0000_")
    assert str(path) in Panel(player).message
    saved = np.asarray(Image.open(path))
    assert (saved == (player.run.image[0] * 255).round().byte().permute(1, 2, 0).numpy()).all()
    with pytest.raises(FileExistsError):
        player.save_picture(path)


def gray_levels(path) -> list[float]:
    """The mean of each frame of a film."""
    with Image.open(path) as film:
        frames = [film.seek(i) or np.asarray(film.convert("L"), float).mean() for i in range(film.n_frames)]
    return frames


def test_save_film(network: dip.Network, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame is the picture of its step: steps that a change made void are not in it, nor later ones."""
    monkeypatch.setattr(engines, "FRAME_SECONDS", 0.0)
    monkeypatch.chdir(tmp_path)
    target = dip.Objective(lambda a: a["picture"].mean(dim=(1, 2, 3)), ["picture"])  # brighter at every step
    run = dip.optimize(dip.Pixels(16), target, network, steps=60, lr=0.05)
    player = play(run, name="brighter")

    def expected(steps: range) -> list[float]:
        again = dip.optimize(dip.Pixels(16), target, network, steps=60, lr=0.05)
        return [
            255 * float(again.rewind(min(s, again.step)).advance(s - again.step).image.mean()) for s in steps
        ]

    def draw_every_step(until: int) -> None:
        while run.step < until:
            player.result(run.step + 1)

    draw_every_step(12)
    levels = gray_levels(player.save_film(tmp_path / "film.gif"))
    assert levels == pytest.approx(expected(range(13)), abs=3)
    assert len(set(map(round, levels))) == 13
    player.rewind(8)
    assert len(gray_levels(player.save_film(tmp_path / "film.gif"))) == 9  # to where it is
    run.set(lr=1e-6)
    player.result(10)
    levels = gray_levels(player.save_film(tmp_path / "film.webp"))
    assert levels[-1] == pytest.approx(expected(range(9))[-1], abs=3)
    assert all(a <= b + 1 for a, b in zip(levels, levels[1:], strict=False))

    Panel(player).click("film")
    (made,) = tmp_path.glob("brighter_0010_*")
    assert str(made) in Panel(player).message
    for name, error in (("film.avi", ValueError), ("nowhere/film.gif", OSError)):
        with pytest.raises(error):
            player.save_film(name)


def test_a_long_film_is_thinned_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    reel = reels.Reel()
    picture = encode(np.zeros((4, 4, 3), np.uint8))
    for step in range(10_000):
        reel.add(step, picture, 0)
        assert len(reel.steps) <= reels.LONGEST
    chosen = reels.evenly(reel.steps, 120)
    assert (chosen[0], chosen[-1]) == (0, 9999)
    assert max(np.diff(chosen)) < 3 * 10_000 / 120  # no jump
    assert len(reel.pages(9999, [])) > 90
    assert len(reel.pages(9999, [4000])) < 60  # of those up to 4000
    monkeypatch.setattr(reels, "LARGEST", 10 * len(picture))
    reel = reels.Reel()
    for step in range(100):
        reel.add(step, picture, 0)
        assert len(reel.steps) <= 10
    assert reel.pages(99, [])[0].size == (4, 4)
    assert reels.evenly([1, 2, 50], 3) == [1, 2, 50]


# Several runs


def pair(network: dip.Network, **options) -> dict[str, dip.Run]:
    return {f"lr {lr}": make(network, lr=lr, **options) for lr in (0.05, 0.5)}


@pytest.mark.parametrize("engine", ["thread", "ticks", "foreground"])
def test_compared_runs_are_played_together(
    network: dip.Network, engine: str, request: pytest.FixtureRequest
) -> None:
    if engine == "ticks":
        request.getfixturevalue("colab")
    runs = pair(network)
    player = compare(runs, controls=["lr"])
    if engine == "foreground":
        assert player.result() is runs["lr 0.05"]
    else:
        Panel(player, 1).click("play")  # any panel's button
        wait_for(lambda: (Panel(player).tick() if engine == "ticks" else None, player.state == "done")[1])
    for title, run in runs.items():
        assert run.history == make(network, lr=float(title[3:])).advance(STEPS).history
    for panel, run in zip((Panel(player), Panel(player, 1)), runs.values(), strict=True):
        assert f"step {STEPS} of" in panel.status
        assert panel.picture == drawn(run)
        assert panel.status.count("<path") == 2  # its own curve, and the other's
    Panel(player, 1).scrub(7)
    assert [run.step for run in runs.values()] == [7, 7]
    assert [Panel(player, nth).knob(0) for nth in range(2)] == [0.05, 0.5]
    Panel(player, 1).move(0, 0.2)
    assert [run.settings["lr"] for run in runs.values()] == [0.05, 0.2]
    Panel(player).click("rewind")
    player.result(9)
    assert [run.step for run in runs.values()] == [9, 9]
    assert Image.open(io.BytesIO(base64.b64decode(player._repr_mimebundle_()["image/jpeg"]))).width > 1200
    player.close()
    assert (player.state, player.runs) == ("closed", {})


def test_compared_runs_fail_together(network: dip.Network) -> None:
    broken = make(network, failing(once_at(9), ZeroDivisionError("mine")))
    runs = {"good": make(network), "bad": broken}
    player = compare(runs).play()
    wait_for(lambda: player.state == "failed")
    assert [run.step for run in runs.values()] == [8, 8]
    assert "bad: step 9 of the run failed" in Panel(player).message
    with pytest.raises(dip.RunError, match="bad: step 9"):
        player.result()
    player.result()
    assert runs["good"].history == bare(network).history == broken.history


def test_what_cannot_be_compared(network: dip.Network) -> None:
    run = make(network)
    with pytest.raises(TypeError, match="runs by title"):
        compare([run, run])
    with pytest.raises(ValueError, match="two or more"):
        compare({"one": run})
    with pytest.raises(ValueError, match="same step"):
        compare({"one": run, "other": make(network).advance(3)})
    with pytest.raises(ValueError, match="same picture"):
        compare({"one": run, "other": run})
    assert not open_panels()


# What goes wrong


@pytest.mark.parametrize("engine", ["thread", "ticks", "foreground"])
def test_failure_at_step_37_and_going_on(
    network: dip.Network, engine: str, request: pytest.FixtureRequest
) -> None:
    if engine == "ticks":
        request.getfixturevalue("colab")
    run = make(network, failing(once_at(37), ZeroDivisionError("<mine>")), steps=60)
    player = play(run)
    if engine != "foreground":
        player.play()
        wait_for(lambda: (Panel(player).tick() if engine == "ticks" else None, player.state == "failed")[1])
    with pytest.raises(dip.RunError, match="step 37 .*ZeroDivisionError"):
        player.result()
    assert player.state == "failed"
    assert "step 37 of the run failed" in Panel(player).message
    assert "&lt;mine&gt;" in Panel(player).message
    assert "in value\n" in Panel(player).message  # the line that raised it is told
    assert run.step == 36
    assert torch.equal(run.image, bare(network, 36).image)
    assert Panel(player).picture == drawn(run)
    player.play()
    assert Panel(player).message == ""
    wait_for(lambda: (Panel(player).tick() if engine == "ticks" else None, player.state == "done")[1])
    assert player.result().history == bare(network, 60).history


def test_a_knob_or_a_scrub_forgives_a_failure(network: dip.Network) -> None:
    broken = [True]
    run = make(network, failing(lambda: run.step == 7 and broken[0]))
    player = play(run, controls=["lr"]).play()
    wait_for(lambda: player.state == "failed")
    assert "NaN" in Panel(player).message or "nan" in Panel(player).message
    Panel(player).move(0, 0.1)
    assert (player.state, Panel(player).message) == ("paused", "")
    player.play()
    wait_for(lambda: player.state == "failed")
    Panel(player).scrub(3)
    assert player.state == "paused"
    broken.clear()
    broken.append(False)
    assert player.result().step == STEPS


def test_interrupt_in_a_step(network: dip.Network) -> None:
    def interrupt() -> bool:
        if run.step == 5 and player.state == "playing":
            signal.raise_signal(signal.SIGINT)
        return False

    run = make(network, failing(interrupt))
    player = play(run)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="step 6"):
        player.result()
    assert signal.getsignal(signal.SIGINT) is handler
    assert (run.step, player.state, Panel(player).message) == (6, "paused", "")
    assert "step 6 of" in Panel(player).status
    assert player.result().history == bare(network).history


def test_interrupt_while_drawing(network: dip.Network) -> None:
    run = make(network)
    player = play(run)
    seen = []

    def interrupted(draw: Callable[[], None]) -> None:
        seen.append("begun")
        if player.state == "playing":
            signal.raise_signal(signal.SIGINT)
        draw()
        seen.append("done")

    undo = on_each_drawing(player, interrupted)
    draw_at_once(player)
    with pytest.raises(KeyboardInterrupt):
        player.result()
    assert player.state == "paused"
    assert seen == ["begun", "done"] * (len(seen) // 2)  # no message to the page is broken off
    assert 0 < run.step < STEPS
    undo()
    assert player.result().history == bare(network).history


def test_interrupt_of_an_idle_kernel_pauses(network: dip.Network, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = types.SimpleNamespace(saved_sigint_handler=signal.SIG_IGN)
    in_a_notebook(monkeypatch, Shell(kernel))
    player = play(make(network, steps=10**6)).play()
    kernel.saved_sigint_handler(signal.SIGINT, None)
    wait_for(lambda: player.state == "paused")


def test_an_interrupt_raised_by_a_knob_leaves_the_kernel_alone(network: dip.Network) -> None:
    run = make(network, steps=40)
    player = play(run)
    player.result()
    hook = network.register_forward_pre_hook(lambda *_: signal.raise_signal(signal.SIGINT))
    Panel(player).scrub(12)  # repeats steps; the interrupt comes in one of them
    hook.remove()
    assert 0 <= run.step <= 12
    assert player.result().step == 40


# Reruns


@pytest.mark.parametrize("cells", [("a", "b"), (None, None)], ids=["named cells", "nameless cells"])
def test_a_rerun_closes_the_players_of_its_cell(
    network: dip.Network, cells: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = Shell()
    in_a_notebook(monkeypatch, shell)

    def execute(cell: int) -> list[Player]:
        shell.execute(f"cell {cell}", cells[cell])
        return [play(make(network, steps=10**6)) for _ in range(2)]

    first, other = execute(0), execute(1)
    first[0].play()
    (thread,) = threads_of_players()
    again = execute(0)
    assert [p.state for p in (*first, *other, *again)] == ["closed"] * 2 + ["ready"] * 4
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="closed"):
        first[0].result()
    with pytest.raises(RuntimeError, match="closed"):
        first[0].play()


def test_named_and_forgotten_players(network: dip.Network) -> None:
    named = [play(make(network), name="x") for _ in range(3)]
    assert [player.state for player in named] == ["closed", "closed", "ready"]
    many = [play(make(network)) for _ in range(UNNAMED + 2)]
    assert [player.state for player in many] == ["closed"] * 2 + ["ready"] * UNNAMED
    assert named[-1].state == "ready"
    named[-1].close()
    named[-1].close()  # once more does nothing


def test_memory_after_five_reruns_is_that_after_one(network: dip.Network) -> None:
    outputs, runs, widgets = [], [], []
    for _ in range(5):
        run = make(network, failing(lambda: False), steps=10**6)
        player = play(run, name="rerun", controls=["lr", pick_channel(network)]).play()
        wait_for(lambda run=run: run.step > 3)
        player.pause()
        outputs.append(player)  # a notebook keeps what its cells return
        runs.append(weakref.ref(run))
        del run, player
        gc.collect()
        widgets.append(widgets_alive())
        assert sum(ref() is not None for ref in runs) == 1
    assert len(set(widgets)) == 1
    outputs[-1].close()
    gc.collect()
    assert [ref() for ref in runs] == [None] * 5
    assert not open_panels()


def test_a_player_closes_while_it_plays(network: dip.Network) -> None:
    player = play(make(network, steps=10**6)).play()
    panel = Panel(player)
    player.close()
    assert not threads_of_players()
    panel.click("play")  # a late click does nothing
    assert player.state == "closed"


def test_the_result_is_displayed_once(network: dip.Network, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = in_a_notebook(monkeypatch)
    play(make(network)).result()
    (bundle,) = sent
    assert set(bundle) == {"image/jpeg", "text/plain"}


# Schedules


def scheduled(network: dip.Network, scheduler: Callable, steps: int = 12) -> dip.Run:
    """A run whose learning rate a scheduler of torch's changes after every step."""
    run = make(network, steps=steps)
    changes = scheduler(run.optimizer)
    for _ in range(steps):
        run.advance()
        changes.step()
    return run


def again_by_code(player: Player, network: dip.Network, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The picture that the player's code makes."""
    monkeypatch.setattr(dip, "load_network", lambda name: network)
    monkeypatch.setattr(network, "loaded_as", {"name": "tiny", "weights": "embedded"}, raising=False)
    *lines, last = player.code().splitlines()
    names: dict = {}
    exec("\n".join([*lines, f"image = {last}"]), names)
    return names["image"]


SCHEDULERS = {
    "cosine, down to 0": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12),
    "up from 0": lambda optimizer: torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: i / 12),
    "exponential": lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9),
    "one cycle, betas too": lambda optimizer: torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.1, total_steps=13
    ),
}


@pytest.mark.parametrize("kind", SCHEDULERS)
def test_code_repeats_what_a_scheduler_did(
    network: dip.Network, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scheduled(network, SCHEDULERS[kind])
    assert len(run.log) > 10
    player = play(run)
    assert torch.equal(again_by_code(player, network, monkeypatch), run.image)
    player.rewind(7)
    assert torch.equal(again_by_code(player, network, monkeypatch), run.image)


def test_code_names_an_optimizer_of_ones_own(network: dip.Network) -> None:
    run = make(network, optimizer=lambda parameters, lr: torch.optim.AdamW(parameters, lr=lr))
    text = play(run).code()
    assert "optimizer = ...  # yours, (parameters, lr) -> AdamW" in text
    assert text.splitlines()[-2].endswith("optimizer=optimizer)")


def test_a_curve_marks_few_changes(network: dip.Network) -> None:
    """A schedule that acts at every step is one mark; knobs have one each; never more than can be told apart."""

    def marks(run: dip.Run) -> int:
        return Panel(play(run)).status.count("stroke-dasharray")

    run = scheduled(network, SCHEDULERS["exponential"], steps=40)
    assert marks(run) == 1
    assert marks(run.set(decay=0.5)) == 2
    assert marks(make(network).advance(3).set(lr=0.1).advance(5).set(lr=0.2)) == 2
    run = make(network, steps=10**4)
    for step in range(120):
        run.advance(2).set(lr=0.05 + 0.001 * (step % 2 + 1))
    assert 2 < marks(run) <= 24


def test_nothing_is_drawn_after_the_state_says_so(network: dip.Network) -> None:
    """Whoever sees that it is paused, done or failed finds the last picture, whatever the thread was at."""
    for goal, objective in (("done", None), ("failed", failing(once_at(9))), ("paused", None)):
        player = play(make(network, objective, steps=10**6 if goal == "paused" else STEPS))
        late = []

        def slowly(draw: Callable[[], None], player: Player = player, late: list = late) -> None:
            time.sleep(0.02)
            late.append(player.state in ("paused", "done", "failed"))
            draw()

        on_each_drawing(player, slowly)
        player.play()
        if goal == "paused":
            wait_for(lambda player=player: player.run.step > 3)
            interrupted()
        wait_for(lambda player=player, goal=goal: player.state == goal)
        assert f"step {player.run.step} of" in Panel(player).status
        assert Panel(player).picture == drawn(player.run)
        assert not any(late)
