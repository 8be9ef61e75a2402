"""Sliders without a page: what they draw and when, what goes wrong, and what they leave behind."""

from __future__ import annotations

import gc
import io
import threading
import time
import weakref

import numpy as np
import pytest
import torch
from ipywidgets.widgets import widget as ipywidgets_base
from PIL import Image
from torch import Tensor

from dip_lessons import choice, slider
from dip_lessons import explore as make
from dip_lessons.notebook.player import UNNAMED
from dip_lessons.notebook.player import explore as room
from dip_lessons.notebook.player.explore import Explorer

pytestmark = pytest.mark.usefixtures("panels_closed")


class Drawing:
    """A grey of the brightness that a slider says; it remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple] = []

    def __call__(self, size: int, light: float = 0.25, tint: Tensor | None = None) -> Tensor:
        self.asked.append((size, round(light, 3)))
        if light > 0.9:
            raise ZeroDivisionError("<too bright>")
        picture = torch.full((3, size, size), light)
        return picture if tint is None else picture * tint[:, None, None]


def sliders(drawing: Drawing, **options) -> Explorer:
    return make(drawing, slider("light", 0.0, 1.0), **{"sizes": (8, 16, 32)} | options)


def move(explorer: Explorer, value: object, knob: int = 0) -> None:
    """What the page sends when a slider moves."""
    explorer._knobs[knob].inputs[0].value = value


def tick(explorer: Explorer) -> None:
    explorer._card.ticker.value += 1


def runs(explorer: Explorer) -> bool:
    """Whether the page was told to send ticks."""
    ticker = explorer._card.ticker
    return ticker.playing if ticker.has_trait("playing") else ticker._playing


def shown(explorer: Explorer) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(explorer._card.picture.value)))


def test_the_cell_shows_the_sharp_picture_at_drawings_own_values() -> None:
    drawing = Drawing()
    explorer = sliders(drawing)
    assert drawing.asked == [(8, 0.25), (16, 0.25), (32, 0.25)]
    assert shown(explorer).shape == (32, 32, 3)
    assert abs(shown(explorer).mean() - 0.25 * 255) < 1
    assert explorer.image.shape == (1, 3, 32, 32)
    assert explorer.values == {"light": 0.25}
    assert not runs(explorer)


def test_a_slider_draws_small_at_once_and_sharpens_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = Drawing()
    explorer = sliders(drawing)
    now = [100.0]
    monkeypatch.setattr(room.time, "monotonic", lambda: now[0])
    del drawing.asked[:]
    for light in (0.3, 0.4, 0.5):
        move(explorer, light)
        now[0] += 0.1
        tick(explorer)  # it moves still
    assert drawing.asked == [(8, 0.3), (8, 0.4), (8, 0.5)]
    assert runs(explorer)
    assert shown(explorer).shape == (8, 8, 3)
    now[0] += 0.2
    tick(explorer)
    assert drawing.asked[3:] == [(16, 0.5)]
    move(explorer, 0.6)  # in between: it begins again
    assert drawing.asked[4:] == [(8, 0.6)]
    for _ in range(4):
        now[0] += 0.26
        tick(explorer)
    assert drawing.asked[5:] == [(16, 0.6), (32, 0.6)]
    assert not runs(explorer)
    assert abs(shown(explorer).mean() - 0.6 * 255) < 1
    assert explorer.image.shape[-1] == 32
    move(explorer, 0.7)
    assert runs(explorer)


def test_the_clock_is_started_once_a_drag_and_anew_after_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = sliders(Drawing())
    now, starts = [100.0], []
    monkeypatch.setattr(room.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(explorer._card, "tick", starts.append)
    for light in (0.3, 0.4, 0.5):
        move(explorer, light)
        now[0] += 0.1
    assert starts == [True]
    now[0] += room.AWAY_SECONDS  # no tick came: the page was loaded again
    move(explorer, 0.6)
    assert starts == [True, True]


def test_the_picture_keeps_its_width_while_a_slider_moves() -> None:
    explorer = make(Drawing(), slider("light", 0.0, 1.0), sizes=(64, 256))
    width = explorer._card.picture.layout.width
    assert width == "384px"
    move(explorer, 0.5)
    assert explorer._card.picture.layout.width == width
    assert "dip-enlarged" not in explorer._card.picture._dom_classes  # blurred rather than in squares


def test_first_values() -> None:
    def draw(size: int, a: float = 0.5, **values: float) -> Tensor:
        return torch.zeros(1, size, size)

    controls = [
        slider("a", 0, 1),
        slider("b", -1.0, 1.0),
        slider("c", 0.2, 1.0),
        choice("d", {"x": 3, "y": 4}),
    ]
    assert make(draw, controls).values == {"a": 0.5, "b": 0, "c": 0.2, "d": 3}
    explorer = make(draw, controls, start={"a": 1, "d": 4})
    assert explorer.values == {"a": 1, "b": 0, "c": 0.2, "d": 4}
    assert [knob.inputs[0].value for knob in explorer._knobs] == [1, 0, 0.2, "y"]
    move(explorer, "x", knob=3)
    move(explorer, 0.0)
    assert explorer.values == {"a": 0, "b": 0, "c": 0.2, "d": 3}
    explorer._card.box.children[1].children[1].children[0].children[0].click()
    assert explorer.values == {"a": 1, "b": 0, "c": 0.2, "d": 4}
    assert [knob.inputs[0].value for knob in explorer._knobs] == [1, 0, 0.2, "y"]


def test_values_from_code() -> None:
    drawing = Drawing()
    explorer = sliders(drawing)
    del drawing.asked[:]
    assert explorer.set(light=0.75) is explorer
    assert drawing.asked == [(8, 0.75), (16, 0.75), (32, 0.75)]
    assert explorer._knobs[0].inputs[0].value == 0.75
    assert not runs(explorer)
    with pytest.raises(KeyError, match="no slider 'dark'; there are light"):
        explorer.set(dark=1)


def test_errors_are_shown_and_the_next_move_forgives() -> None:
    drawing = Drawing()
    explorer = sliders(drawing)
    before = shown(explorer)
    move(explorer, 0.95)
    note = explorer._card.note.value
    assert "ZeroDivisionError: &lt;too bright&gt;" in note
    assert "in __call__\n" in note  # the line that raised it is told
    assert 'role="alert"' in note
    assert (shown(explorer) == before).all()
    assert not runs(explorer)
    with pytest.raises(ZeroDivisionError):
        explorer.set(light=0.95)
    move(explorer, 0.5)
    assert explorer._card.note.value == ""
    assert abs(shown(explorer).mean() - 0.5 * 255) < 1
    with pytest.raises(ZeroDivisionError):  # in the cell it is raised, as nbval sees
        sliders(drawing, start={"light": 0.95})


def test_an_error_while_it_sharpens_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = []

    def draw(size: int, light: float = 0.5) -> Tensor:
        if broken and size == 16:
            raise MemoryError("no room")
        return torch.full((3, size, size), light)

    explorer = make(draw, slider("light", 0.0, 1.0), sizes=(8, 16))
    broken.append(True)
    monkeypatch.setattr(room, "REST_SECONDS", 0.0)
    move(explorer, 0.6)
    tick(explorer)
    assert "MemoryError: no room" in explorer._card.note.value
    assert not runs(explorer)
    assert shown(explorer).shape == (8, 8, 3)


def test_messages_from_several_threads_take_turns() -> None:
    inside, most = [0], [0]

    def draw(size: int, a: float = 0, b: float = 0) -> Tensor:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        inside[0] -= 1
        return torch.zeros(3, size, size)

    explorer = make(draw, [slider("a", 0, 9), slider("b", 0, 9)], sizes=(8,))
    threads = [threading.Thread(target=move, args=(explorer, n % 9 + 1, n % 2)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert explorer._card.note.value == ""


def test_bundle_holds_panel_and_picture() -> None:
    explorer = sliders(Drawing())
    bundle = explorer._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.jupyter.widget-view+json", "image/jpeg", "text/plain"}
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer._card.box.model_id
    assert bundle["text/plain"] == "<sliders: move them, or call set(…)>"
    explorer.close()
    explorer.close()  # once more does nothing
    assert explorer._repr_mimebundle_() == {"text/plain": "<sliders: closed>"}
    with pytest.raises(RuntimeError, match="closed"):
        explorer.set(light=0.5)
    with pytest.raises(RuntimeError, match="closed"):
        _ = explorer.image


def test_every_control_has_words() -> None:
    explorer = make(lambda size, **v: torch.zeros(3, size, size), [slider("a", 0, 1), choice("b", {"x": 1})])
    queue, controls = [explorer._card.box], []
    while queue:
        widget = queue.pop()
        queue += getattr(widget, "children", ())
        if widget.has_trait("disabled") and widget is not explorer._card.ticker:
            controls.append(widget)
    assert len(controls) == 3
    for control in controls:
        assert control.description
        assert control.tooltip if control.has_trait("tooltip") else control.description_tooltip


def test_a_rerun_closes_the_older_sliders_and_frees_what_they_held() -> None:
    outputs, drawings, widgets = [], [], []
    for _ in range(4):
        drawing = Drawing()
        outputs.append(sliders(drawing, name="rerun"))  # a notebook keeps what its cells return
        drawings.append(weakref.ref(drawing))
        del drawing
        gc.collect()
        widgets.append(len(getattr(ipywidgets_base, "_instances", None) or ipywidgets_base.Widget.widgets))
        assert sum(ref() is not None for ref in drawings) == 1
    assert len(set(widgets)) == 1
    late = outputs[-1]._knobs[0].inputs[0]
    outputs[-1].close()
    late.value = 0.8  # a late message does nothing
    gc.collect()
    assert [ref() for ref in drawings] == [None] * 4
    assert not room._explorers


def test_sliders_without_a_name_are_kept_in_a_limited_number() -> None:
    many = [sliders(Drawing()) for _ in range(UNNAMED + 2)]
    assert [explorer._closed for explorer in many] == [True] * 2 + [False] * UNNAMED


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sizes": ()}, "sizes are whole numbers"),
        ({"sizes": (8, 16.0)}, "sizes are whole numbers"),
        ({"sizes": (16, 8)}, "sizes rise"),
        ({"start": {"dark": 1}}, "start names 'dark'"),
    ],
)
def test_wrong_options_are_refused(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sliders(Drawing(), **options)


def test_wrong_controls_and_pictures_are_refused() -> None:
    with pytest.raises(ValueError, match="no argument 'dark' .* it has light, tint"):
        make(Drawing(), slider("dark", 0, 1))
    for wrong in ("light", 3):
        with pytest.raises(TypeError, match="a control is dip.slider or dip.choice"):
            make(Drawing(), [wrong])
    with pytest.raises(TypeError, match=r"draw returns a picture .* got \(8, 8\)"):
        make(lambda size, light: torch.zeros(size, size), slider("light", 0, 1), sizes=(8,))
    with pytest.raises(TypeError, match="draw returns a picture .* got NoneType"):
        make(lambda size, light: None, slider("light", 0, 1), sizes=(8,))
