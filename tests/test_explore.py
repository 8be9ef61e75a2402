"""Sliders without a page: what they draw and when, what goes wrong, and what they leave behind."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest
import torch
from panel import Panel, on_each_start, open_panels, pixels, widgets_alive
from torch import Tensor

from dip_lessons import Explorer, choice, slider
from dip_lessons import explore as make
from dip_lessons.notebook.player import sliders as room
from dip_lessons.notebook.player.cells import UNNAMED

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


def test_the_cell_shows_the_sharp_picture_at_drawings_own_values() -> None:
    drawing = Drawing()
    explorer = sliders(drawing)
    assert drawing.asked == [(8, 0.25), (16, 0.25), (32, 0.25)]
    assert pixels(Panel(explorer).picture).shape == (32, 32, 3)
    assert abs(pixels(Panel(explorer).picture).mean() - 0.25 * 255) < 1
    assert explorer.image.shape == (1, 3, 32, 32)
    assert explorer.values == {"light": 0.25}
    assert not Panel(explorer).ticking


def test_a_slider_draws_small_at_once_and_sharpens_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    drawing = Drawing()
    explorer = sliders(drawing)
    now = [100.0]
    monkeypatch.setattr(room.time, "monotonic", lambda: now[0])
    del drawing.asked[:]
    for light in (0.3, 0.4, 0.5):
        Panel(explorer).move(0, light)
        now[0] += 0.1
        Panel(explorer).tick()  # it moves still
    assert drawing.asked == [(8, 0.3), (8, 0.4), (8, 0.5)]
    assert Panel(explorer).ticking
    assert pixels(Panel(explorer).picture).shape == (8, 8, 3)
    now[0] += 0.2
    Panel(explorer).tick()
    assert drawing.asked[3:] == [(16, 0.5)]
    Panel(explorer).move(0, 0.6)  # in between: it begins again
    assert drawing.asked[4:] == [(8, 0.6)]
    for _ in range(4):
        now[0] += 0.26
        Panel(explorer).tick()
    assert drawing.asked[5:] == [(16, 0.6), (32, 0.6)]
    assert not Panel(explorer).ticking
    assert abs(pixels(Panel(explorer).picture).mean() - 0.6 * 255) < 1
    assert explorer.image.shape[-1] == 32
    Panel(explorer).move(0, 0.7)
    assert Panel(explorer).ticking


def test_the_clock_is_started_once_a_drag_and_anew_after_a_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    explorer = sliders(Drawing())
    now, starts = [100.0], []
    monkeypatch.setattr(room.time, "monotonic", lambda: now[0])
    on_each_start(explorer, starts.append)
    for light in (0.3, 0.4, 0.5):
        Panel(explorer).move(0, light)
        now[0] += 0.1
    assert starts == [True]
    now[0] += room.AWAY_SECONDS  # no tick came: the page was loaded again
    Panel(explorer).move(0, 0.6)
    assert starts == [True, True]


def test_the_picture_keeps_its_width_while_a_slider_moves() -> None:
    explorer = make(Drawing(), slider("light", 0.0, 1.0), sizes=(64, 256))
    width = Panel(explorer).width
    assert width == "384px"
    Panel(explorer).move(0, 0.5)
    assert Panel(explorer).width == width
    assert not Panel(explorer).pixelated  # blurred rather than in squares


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
    assert [Panel(explorer).knob(i) for i in range(4)] == [1, 0, 0.2, "y"]
    Panel(explorer).move(3, "x")
    Panel(explorer).move(0, 0.0)
    assert explorer.values == {"a": 0, "b": 0, "c": 0.2, "d": 3}
    Panel(explorer).click("reset")
    assert explorer.values == {"a": 1, "b": 0, "c": 0.2, "d": 4}
    assert [Panel(explorer).knob(i) for i in range(4)] == [1, 0, 0.2, "y"]


def test_values_from_code() -> None:
    drawing = Drawing()
    explorer = sliders(drawing)
    del drawing.asked[:]
    assert explorer.set(light=0.75) is explorer
    assert drawing.asked == [(8, 0.75), (16, 0.75), (32, 0.75)]
    assert Panel(explorer).knob(0) == 0.75
    assert not Panel(explorer).ticking
    with pytest.raises(KeyError, match="no slider 'dark'; there are light"):
        explorer.set(dark=1)


def test_errors_are_shown_and_the_next_move_forgives() -> None:
    drawing = Drawing()
    explorer = sliders(drawing)
    before = pixels(Panel(explorer).picture)
    Panel(explorer).move(0, 0.95)
    note = Panel(explorer).message
    assert "ZeroDivisionError: &lt;too bright&gt;" in note
    assert "in __call__\n" in note  # the line that raised it is told
    assert 'role="alert"' in note
    assert (pixels(Panel(explorer).picture) == before).all()
    assert not Panel(explorer).ticking
    with pytest.raises(ZeroDivisionError):
        explorer.set(light=0.95)
    Panel(explorer).move(0, 0.5)
    assert Panel(explorer).message == ""
    assert abs(pixels(Panel(explorer).picture).mean() - 0.5 * 255) < 1
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
    Panel(explorer).move(0, 0.6)
    Panel(explorer).tick()
    assert "MemoryError: no room" in Panel(explorer).message
    assert not Panel(explorer).ticking
    assert pixels(Panel(explorer).picture).shape == (8, 8, 3)


def test_messages_from_several_threads_take_turns() -> None:
    inside, most = [0], [0]

    def draw(size: int, a: float = 0, b: float = 0) -> Tensor:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        time.sleep(0.02)
        inside[0] -= 1
        return torch.zeros(3, size, size)

    explorer = make(draw, [slider("a", 0, 9), slider("b", 0, 9)], sizes=(8,))
    threads = [threading.Thread(target=Panel(explorer).move, args=(n % 2, n % 9 + 1)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert Panel(explorer).message == ""


def test_bundle_holds_panel_and_picture() -> None:
    explorer = sliders(Drawing())
    bundle = explorer._repr_mimebundle_()
    assert set(bundle) == {"application/vnd.jupyter.widget-view+json", "image/jpeg", "text/plain"}
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == Panel(explorer).box.model_id
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
    controls = Panel(explorer).everything()
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
        widgets.append(widgets_alive())
        assert sum(ref() is not None for ref in drawings) == 1
    assert len(set(widgets)) == 1
    late = Panel(outputs[-1])
    outputs[-1].close()
    late.move(0, 0.8)  # a late message does nothing
    del late
    gc.collect()
    assert [ref() for ref in drawings] == [None] * 4
    assert not open_panels()


def test_sliders_without_a_name_are_kept_in_a_limited_number() -> None:
    many = [sliders(Drawing()) for _ in range(UNNAMED + 2)]
    assert open_panels() == many[2:]


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
