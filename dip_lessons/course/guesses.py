"""The four kinds of question: the widgets that ask, what may come out, and when a guess was right."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import ipywidgets as widgets
import numpy as np

from ..notebook.player.panel import classed

COLUMNS = 13  # at which a drawn curve has a value
# A drag writes the heights of the columns that it passes, as JSON, into the hidden text field beside the drawing.
DRAW = """
const drawing = this.parentElement.querySelector('svg'), area = drawing.querySelector('rect');
const line = drawing.querySelector('polyline'), heights = JSON.parse(drawing.dataset.heights);
const field = this.closest('.dip-curve').querySelector('.dip-drawn input');
const clip = value => Math.min(1, Math.max(0, value));
let last = null;
const draw = event => {
  const box = area.getBoundingClientRect(), y = clip((box.bottom - event.clientY) / box.height);
  const i = Math.round(clip((event.clientX - box.left) / box.width) * (heights.length - 1));
  const [from, start] = last ?? [i, y], way = Math.sign(i - from);
  for (let k = from; k !== i; k += way) if (k !== from) heights[k] = start + (y - start) * (k - from) / (i - from);
  heights[i] = y;
  last = [i, y];
  const spots = heights.map((h, k) => h === null ? '' : `${40 + 400 * k / (heights.length - 1)},${190 - 180 * h}`);
  line.setAttribute('points', spots.join(' '));
};
drawing.onpointerdown = event => { drawing.setPointerCapture(event.pointerId); last = null; draw(event); };
drawing.onpointermove = event => { if (drawing.hasPointerCapture(event.pointerId)) draw(event); };
drawing.onpointerup = () => {
  field.value = JSON.stringify(heights);
  for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, {bubbles: true}));
};
"""

Asked = tuple[
    widgets.DOMWidget, Callable[[], Any]
]  # widgets, and what reads a guess from them or raises ValueError


class Kind:
    """A kind of question; ``rule`` says in words when a guess is right."""

    rule = ""

    def ask(self) -> Asked:
        """Make the widgets, with nothing preselected."""
        raise NotImplementedError

    def outcome(self, result: Any) -> Any:
        """The result as plain Python, or a ValueError."""
        raise NotImplementedError

    def judge(self, guess: Any, result: Any) -> tuple[bool, str]:
        """Whether the guess was right, and by how much it was not."""
        raise NotImplementedError

    def words(self, value: Any) -> str:
        """A guess or a result in words."""
        return str(value)


class Number(Kind):
    """A number, right within a tenth of its range or what ``within`` says."""

    def __init__(self, ends: object, within: float | None) -> None:
        self.low, self.high = interval(ends, "number")
        self.within = (self.high - self.low) / 10 if within is None else finite(within, "within")
        if self.within < 0:
            raise ValueError(f"within must be how far off a right number may be, 0 or more; got {within!r}")
        self.rule = f"right within ±{brief(self.within)}"

    def ask(self) -> Asked:
        asked = f"a number from {brief(self.low)} to {brief(self.high)}"
        field = classed("number", widgets.Text(placeholder=asked))

        def read() -> float:
            try:
                guess = float(field.value.strip().rstrip("%").replace(",", "."))
            except ValueError:
                guess = math.nan
            if not self.low <= guess <= self.high:
                raise ValueError(f"Type {asked}.")
            return guess

        return field, read

    def outcome(self, result: Any) -> float:
        return finite(result, "the answer")

    def judge(self, guess: float, result: float) -> tuple[bool, str]:
        off = abs(guess - result)
        return off <= self.within, f"That is {brief(off)} apart; {self.rule}."

    def words(self, value: float) -> str:
        return brief(value)


class Choice(Kind):
    """One of several words."""

    def __init__(self, options: object) -> None:
        self.options = distinct(options, "choice")

    def ask(self) -> Asked:
        menu = classed("choice", widgets.RadioButtons(options=self.options, value=None))
        menu.layout.width = "max-content"

        def read() -> str:
            if menu.value is None:
                raise ValueError("Choose one.")
            return menu.value

        return menu, read

    def outcome(self, result: Any) -> str:
        if result not in self.options:
            raise ValueError(f"the answer must be one of {self.options}; got {result!r}")
        return result

    def judge(self, guess: str, result: str) -> tuple[bool, str]:
        return guess == result, ""


class Order(Kind):
    """Several words in an order."""

    def __init__(self, items: object) -> None:
        self.items = distinct(items, "order")

    def ask(self) -> Asked:
        picked: list[str] = []
        # By the alphabet, so that the order of the list tells nothing.
        buttons = {item: widgets.Button(description=item) for item in sorted(self.items)}
        again = widgets.Button(description="Start over", icon="undo")
        line = widgets.HTML("Click on them in their order.")

        def show() -> None:
            for item, button in buttons.items():
                button.disabled = item in picked
            line.value = html.escape(self.words(picked)) or "Click on them in their order."

        def pick(item: str) -> None:
            picked.append(item)
            show()

        def clear(_: object) -> None:
            picked.clear()
            show()

        for item, button in buttons.items():
            button.layout.width = "auto"
            button.on_click(lambda _, item=item: pick(item))
        again.on_click(clear)

        def read() -> list[str]:
            if len(picked) < len(buttons):
                raise ValueError("Click on all of them, the first one first.")
            return [*picked]

        row = widgets.HBox([*buttons.values(), again], layout=widgets.Layout(flex_flow="row wrap"))
        return classed("order", widgets.VBox([row, line])), read

    def outcome(self, result: Any) -> list[str]:
        if not isinstance(result, (list, tuple)) or sorted(map(str, result)) != sorted(self.items):
            raise ValueError(f"the answer must be {self.items} in the right order; got {result!r}")
        return [*map(str, result)]

    def judge(self, guess: list[str], result: list[str]) -> tuple[bool, str]:
        pairs = list(combinations(guess, 2))
        right = sum(result.index(a) < result.index(b) for a, b in pairs)
        return guess == result, f"{right} of {len(pairs)} pairs stand in the right order."

    def words(self, value: list[str]) -> str:
        return " › ".join(value)


class Curve(Kind):
    """A curve that is drawn with the mouse: heights at some columns."""

    def __init__(self, axes: object) -> None:
        if not isinstance(axes, Mapping) or set(axes) != {"x", "y"}:
            raise ValueError(
                f'curve must be {{"x": (low, high, label), "y": (low, high, label)}}; got {axes!r}'
            )
        for name, axis in axes.items():
            if not isinstance(axis, (tuple, list)) or len(axis) != 3 or not isinstance(axis[2], str):
                raise ValueError(
                    f'curve\'s {name} must be (low, high, label), as (0, 1, "value"); got {axis!r}'
                )
        self.x, self.y = (interval(axes[name][:2], f"curve's {name}") for name in "xy")
        self.x_label, self.y_label = axes["x"][2], axes["y"][2]
        self.within = (self.y[1] - self.y[0]) / 10
        self.rule = f"draw with the mouse; right within {brief(self.within)} on average"

    def ask(self) -> Asked:
        heights: list[float | None] = [None] * COLUMNS
        drawing = widgets.HTML(self._drawing(heights))
        drawn = classed("drawn", widgets.Text(continuous_update=False, layout=widgets.Layout(display="none")))
        options = {"min": 0.0, "max": 1.0, "step": 0.01, "orientation": "vertical", "readout": False}
        size = widgets.Layout(width="30px", height="110px")
        sliders = [widgets.FloatSlider(value=0.5, layout=size, **options) for _ in heights]

        def show() -> None:
            # What was not drawn yet follows its neighbours.
            known = {i: height for i, height in enumerate(heights) if height is not None}
            heights[:] = np.interp(range(COLUMNS), [*known], [*known.values()]).tolist()
            drawing.value = self._drawing(heights)
            for slider, height in zip(sliders, heights, strict=True):
                slider.value = height

        def take(change: dict) -> None:
            found = json.loads(change["new"])
            heights[:] = [None if h is None else float(h) for h in found]
            show()

        def move(i: int, value: float) -> None:
            if heights[i] != value:
                heights[i] = value
                show()

        drawn.observe(take, "value")
        for i, slider in enumerate(sliders):
            slider.observe(lambda change, i=i: move(i, change["new"]), "value")
        keys = widgets.Accordion(children=[widgets.HBox(sliders)], selected_index=None)
        keys.set_title(0, "by sliders")
        keys.layout.width = "480px"

        def read() -> tuple[list[float], list[float]]:
            low, high = self.y
            values = [round(low + (high - low) * h, 6) for h in heights if h is not None]
            if not values:
                raise ValueError("Draw the curve: press the mouse's button and move it from left to right.")
            return np.linspace(*self.x, COLUMNS).tolist(), values

        return classed("curve", widgets.VBox([drawing, drawn, keys])), read

    def _drawing(self, heights: Sequence[float | None]) -> str:
        known = [(i, h) for i, h in enumerate(heights) if h is not None]
        spots = (f"{40 + 400 * i / (COLUMNS - 1):.1f},{190 - 180 * h:.1f}" for i, h in known)
        (x0, x1), (y0, y1) = (map(brief, ends) for ends in (self.x, self.y))
        style = "touch-action: none; cursor: crosshair; user-select: none; width: 480px; max-width: 100%"
        return (
            f'<div>{html.escape(self.y_label)}</div><svg viewBox="0 0 480 210" style="{style}" role="img" '
            f'aria-label="your curve" data-heights="{json.dumps(heights)}" font-size="11" fill="currentColor">'
            '<rect x="40" y="10" width="400" height="180" fill="transparent" stroke="currentColor" opacity=".5"/>'
            f'<polyline points="{" ".join(spots)}" fill="none" stroke="#0072B2" stroke-width="3"/>'
            f'<text x="36" y="14" text-anchor="end">{y1}</text><text x="36" y="192" text-anchor="end">{y0}</text>'
            f'<text x="40" y="205">{x0}</text><text x="440" y="205" text-anchor="end">{x1}</text>'
            f'<text x="240" y="205" text-anchor="middle">{html.escape(self.x_label)}</text></svg>'
            f'<style onload="{html.escape(DRAW)}"></style>'
        )

    def outcome(self, result: Any) -> tuple[list[float], list[float]]:
        try:
            xs, ys = ([finite(v, "the answer") for v in values] for values in result)
        except TypeError:
            raise ValueError(f"the answer must be the curve's xs and ys, two lists; got {result!r}") from None
        inside = [(x, y) for x, y in sorted(zip(xs, ys, strict=False)) if self.x[0] <= x <= self.x[1]]
        if len(xs) != len(ys) or len(inside) < 2:
            what = f"{len(xs)} xs and {len(ys)} ys, {len(inside)} of them"
            raise ValueError(
                f"the answer needs two or more xs from {self.x[0]} to {self.x[1]}; got {what} there"
            )
        return [x for x, _ in inside], [y for _, y in inside]

    def judge(self, guess: tuple, result: tuple) -> tuple[bool, str]:
        apart = float(np.abs(np.interp(result[0], *guess) - result[1]).mean())
        return (
            apart <= self.within,
            f"They are {brief(apart)} apart on average; right within {brief(self.within)}.",
        )

    def words(self, value: tuple) -> str:
        xs, ys = value
        return f"a curve from {brief(ys[0])} at {brief(xs[0])} to {brief(ys[-1])} at {brief(xs[-1])}"


def finite(value: Any, name: str) -> float:
    """A finite number as Python's float, also of a tensor or array of one, or a ValueError that names it."""
    try:
        if isinstance(value, (str, bool)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} must be a finite number; got {value!r}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number; got {value!r}")
    return number


def interval(ends: object, name: str) -> tuple[float, float]:
    """Two rising finite numbers, or a ValueError that names them."""
    if not isinstance(ends, (tuple, list)) or len(ends) != 2:
        raise ValueError(f"{name} must be (low, high), as (0, 100); got {ends!r}")
    low, high = (finite(end, f"{name}'s end") for end in ends)
    if low >= high:
        raise ValueError(f"{name} must rise from low to high, as (0, 100); got {ends!r}")
    return low, high


def distinct(words: object, name: str) -> list[str]:
    """Two or more different words, or a ValueError that names them."""
    if (
        not isinstance(words, (list, tuple))
        or not all(isinstance(word, str) and word for word in words)
        or len(set(words)) < max(2, len(words))
    ):
        raise ValueError(f'{name} must be two or more different words, as ["one", "two"]; got {words!r}')
    return [*words]


def brief(value: float) -> str:
    """A number with three significant digits."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.3g}"
