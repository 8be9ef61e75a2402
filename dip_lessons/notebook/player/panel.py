"""What a player looks like: one card with the picture, the buttons, the knobs and the curve.

Nothing else in this room makes widgets, but for the knobs (controls.py) and the file button (chooser.py).
"""

from __future__ import annotations

import base64
import html
import math
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets
from traitlets import Unicode

from ...run import RunError
from .controls import Knob, explain, labelled
from .drawing import Frame, curve, encode, status

STYLE, NAMES = (Path(__file__).with_name(f"panel.{kind}").read_text("utf-8") for kind in ("css", "js"))
Events = Mapping[str, Callable[..., Any]]
HEAD = f'<style>{STYLE}</style><style onload="{html.escape(NAMES)}"></style>'


class Picture(widgets.Image):
    """An image with a name for screen readers, where the page can give it one.

    ipywidgets 8 names it by its tooltip, but only if it has a description, which must be empty. ipywidgets 7 draws
    no tooltip: there words beside the image have to do.
    """

    description = Unicode().tag(sync=True)

    def call(self, name: str) -> bool:
        """Name it; whether the page will."""
        if self.has_trait("tooltip"):
            self.tooltip = name
        return self.has_trait("tooltip")


class Card:
    """What every panel has: a picture, a status and a note under it, a clock on the page; one box around them.

    Args:
        name: of the picture, for who cannot see it.
        knobs: its controls.
        events: what to call by name: on ``tick``, on ``turn`` with the knob, and what a kind of card has besides.
        lock: held by each handler of what the page sends: its messages may come in several threads.
        again: called when a handler was broken off, so that the panel shows what is.
    """

    box: widgets.DOMWidget | None = None  # None once closed, too

    def __init__(
        self,
        name: str,
        knobs: Sequence[Knob],
        events: Events,
        lock: threading.RLock,
        again: Callable[[], None],
    ) -> None:
        self._lock, self._again = lock, again
        self.do = {event: self._handler(handle) for event, handle in events.items()}
        self.inputs = [widget for knob in knobs for widget in knob.inputs]
        for knob in knobs:
            knob.listen(self.do["turn"])
        self.jpeg, self.width = b"", 0
        self.ticker = widgets.Play(max=10**9, interval=20, layout=widgets.Layout(display="none"))
        self.ticker.observe(lambda _: self.do["tick"](), "value")
        self.picture = classed("picture", Picture(format="jpeg"))
        self._caption = "" if self.picture.call(name) else f'<p class="dip-unseen">{html.escape(name)}:</p>'
        self.status, self.note = classed("strip", widgets.HTML()), classed("message", widgets.HTML())

    def enclose(self, side: Sequence[widgets.DOMWidget]) -> None:
        """Make the box: the picture with what stands at its side, status and note below."""
        main = _row("main", [self.picture, classed("side", widgets.VBox([*side, self.ticker]))])
        head = classed("head", widgets.HTML(HEAD + self._caption))
        self.box = classed("player", widgets.VBox([head, main, self.status, self.note]))
        reachable(self.box)

    def _handler(self, handle: Callable[..., None]) -> Callable[..., None]:
        """``handle`` for what the page sends. Nothing that it raises may leave it: it would be shown nowhere."""

        def handled(*arguments: object) -> None:
            with self._lock:
                if self.box is None:
                    return
                try:
                    handle(*arguments)
                except KeyboardInterrupt:  # what was begun is done, and that was all
                    self._again()
                except Exception as error:
                    self._again()
                    self.say(error=error)

        return handled

    def tick(self, active: bool) -> None:
        """Let the page send ticks, or stop it."""
        name = "playing" if self.ticker.has_trait("playing") else "_playing"  # ipywidgets 8, or 7
        # After a reload the page's clock stands still although it says that it runs: stop it first.
        setattr(self.ticker, name, False)
        if active:
            setattr(self.ticker, name, True)

    def say(self, text: str = "", *, code: str = "", error: BaseException | None = None) -> None:
        """Write a note under the curve, or take it away."""
        if error is not None:
            what = str(error) if isinstance(error, RunError) else f"{type(error).__name__}: {error}"
            # Not traceback.format_exception, which parses the lines for its carets: Python 3.11 cannot do that
            # in a thread while a cell is parsed in another.
            calls = traceback.extract_tb((error.__cause__ or error).__traceback__)
            lines = "\n".join(f"{c.filename}:{c.lineno} in {c.name}\n    {c.line}" for c in calls)
            self.note.value = (
                f'<div class="dip-note dip-error" role="alert">{html.escape(what)}'
                f"<details><summary>Where</summary><pre>{html.escape(lines)}</pre></details></div>"
            )
        elif text:
            code = f'<pre class="dip-code">{html.escape(code)}</pre>' if code else ""
            self.note.value = f'<div class="dip-note" role="status">{html.escape(text)}{code}</div>'
        elif self.note.value:
            self.note.value = ""

    def close(self) -> None:
        """Take every widget off the page, and out of the list in which ipywidgets keep them alive."""
        if self.box is not None:
            take_away(self.box)
            self.box = None

    def fit(self, width: int, height: int) -> None:
        """Show small pictures larger: tiny ones with their pixels to be seen."""
        longest = max(width, height)
        factor = math.ceil(256 / longest) if longest <= 128 else max(1.0, min(1.5, 384 / longest))
        shown = round(width * factor * min(1.0, 448 / (longest * factor)))
        if self.width != shown:
            self.width, self.picture.layout.width = shown, f"{shown}px"
            (self.picture.add_class if longest <= 128 else self.picture.remove_class)("dip-enlarged")


class Panel(Card):
    """The widgets. They know no run: what the reader does goes out, and :meth:`show` draws what it is given.

    Its events are play, step, rewind, save, film and copy, too, and scrub with the step.
    """

    def __init__(self, name: str, knobs: Sequence[Knob], events: Events, *guard: Any) -> None:
        super().__init__(name, knobs, events, *guard)
        self._shown_step, self._buttons, do = 0, {}, self.do
        for name, text, icon, tooltip in (
            ("rewind", "Start", "fast-backward", "Go back to the start; nothing is lost"),
            ("play", "Play", "play", "Play or pause"),
            ("step", "Step", "step-forward", "Take one step"),
            ("save", "Save picture", "download", "Write the picture to a PNG file"),
            ("film", "Save film", "film", "Write what was shown so far to a film"),
            ("copy", "Copy settings", "code", "Show the code that makes this picture"),
        ):
            button = classed(name, widgets.Button(description=text, icon=icon, tooltip=tooltip))
            button.on_click(lambda _, handle=do[name]: handle())
            self._buttons[name] = button
        self._buttons["play"].button_style = "primary"
        # Every move of a drag is sent, so that the first one pauses; the page waits for one to be done before
        # it sends the next.
        self.time = classed("time", labelled(widgets.IntSlider, "step", "Go to any recorded step", max=1))
        self.time.observe(
            # Not where it is the panel that moves the slider, in a thread that may not wait for the lock.
            lambda change: None if change["new"] == self._shown_step else do["scrub"](change["new"]),
            "value",
        )
        side = [
            _row("row", [self._buttons[name] for name in ("rewind", "play", "step")]),
            self.time,
            *([classed("knobs", widgets.VBox(self.inputs))] if self.inputs else []),
            _row("row", [self._buttons[name] for name in ("save", "film", "copy")]),
        ]
        self.enclose(side)

    def show(self, frame: Frame) -> None:
        """Draw: one message each for the picture, the status with its curve, and the step."""
        self.jpeg = encode(frame.picture)
        self.fit(*frame.picture.shape[1::-1])
        self.picture.value = self.jpeg
        self.status.value = status(frame) + curve(frame)
        self._shown_step, longest = frame.step, max(frame.until, frame.recorded, 1)
        with self.time.hold_sync():
            self.time.max = max(longest, self.time.value)
            self.time.value = frame.step
            self.time.max = longest
        play = self._buttons["play"]
        label, icon = ("Pause", "pause") if frame.state == "playing" else ("Play", "play")
        if play.description != label:
            with play.hold_sync():
                play.description, play.icon = label, icon


class SliderCard(Card):
    """A card of sliders that draw its picture, and a button that puts them back, whose event is reset."""

    def __init__(self, knobs: Sequence[Knob], events: Events, *guard: Any) -> None:
        super().__init__("The picture that the sliders draw", knobs, events, *guard)
        self.ticker.interval = 120  # milliseconds between two looks at whether the sliders rest
        for widget in self.inputs:
            explain(widget, f"{widget.description}: draws the picture again")
            if widget.has_trait("continuous_update"):
                widget.continuous_update = True  # the page sends the next place when the last is drawn
        reset = classed("reset", widgets.Button(description="Start values", icon="undo"))
        reset.tooltip = "Put all sliders back to where they started"
        reset.on_click(lambda _: self.do["reset"]())
        self.enclose([classed("row", widgets.HBox([reset])), classed("knobs", widgets.VBox(self.inputs))])

    def show(self, jpeg: bytes, size: tuple[int, int] | None, *words: str) -> None:
        """Draw: the picture, as large as (width, height) tell if they are given, and words below it."""
        self.jpeg = jpeg
        if size is not None:
            self.fit(*size)
        self.picture.value = jpeg
        what, *rest = (html.escape(word) for word in words)
        spans = "".join(f"<span>{word}</span>" for word in rest)
        self.status.value = f'<div class="dip-status"><span class="dip-state">{what}</span>{spans}</div>'


def bundle(box: widgets.DOMWidget, jpeg: bytes, words: str) -> dict[str, object]:
    """A box, and its picture for pages without a kernel; by hand, for ipywidgets 7 and 8."""
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    picture = base64.b64encode(jpeg).decode("ascii")
    return {"application/vnd.jupyter.widget-view+json": view, "image/jpeg": picture, "text/plain": words}


def within(box: widgets.DOMWidget) -> list[widgets.DOMWidget]:
    """A box and every widget in it."""
    found = [box]
    for widget in found:
        found += getattr(widget, "children", ())
    return found


def reachable(box: widgets.DOMWidget) -> None:
    """Have the page reach a box and all that is in it, also when it was loaded again."""
    for widget in within(box):
        # ipykernel 7.4 sends what the page says about a widget to the subshell that asked for the widget's
        # last change. After a reload that one is gone, and every click with it; the page's own is right.
        if hasattr(widget.comm, "_reply_subshell_for"):
            widget.comm._reply_subshell_for = None


def take_away(box: widgets.DOMWidget) -> None:
    """Close a box and all that is in it."""
    for widget in within(box):
        widget.unobserve_all()
        for part in (widget, widget.layout, getattr(widget, "style", None)):
            if part is not None:
                part.close()


def classed(name: str, widget: widgets.DOMWidget) -> widgets.DOMWidget:
    return widget.add_class(f"dip-{name}")


def _row(name: str, parts: Sequence[widgets.DOMWidget]) -> widgets.DOMWidget:
    return classed(name, widgets.HBox(parts, layout=widgets.Layout(flex_flow="row wrap")))


def beside(boxes: Mapping[str, widgets.DOMWidget]) -> widgets.DOMWidget:
    """Boxes side by side, with a title over each."""
    titled = [widgets.VBox([widgets.HTML(f"<b>{html.escape(t)}</b>"), box]) for t, box in boxes.items()]
    return classed("together", widgets.HBox(titled))
