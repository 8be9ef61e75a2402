"""What a player looks like: one card with the picture, the buttons, the knobs and the curve."""

from __future__ import annotations

import base64
import html
import io
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import ipywidgets as widgets
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from traitlets import Unicode

from ...run.loop import RunError
from ..display import COLORS
from .controls import Knob, labelled

LONGEST_SIDE = 1024  # of the picture that is sent to the page, in pixels

STATES = {
    "ready": "ready: press Play",
    "playing": "playing",
    "paused": "paused",
    "away": "paused: the page was away, press Play",
    "done": "done; Play goes on",
    "failed": "stopped by an error",
    "closed": "closed: its cell ran again",
}

# Lines are blue, marks vermilion, on dark pages sky blue and orange: Okabe and Ito's colours, which everyone
# can tell apart. The --jp variables are the theme's own, where the page has one.
STYLE = """<style>
.dip-player { --dip-line: #0072b2; --dip-mark: #d55e00; --dip-faint: rgba(128, 128, 128, .3);
  box-sizing: border-box; max-width: 860px; padding: 16px; overflow: hidden;
  border: 1px solid var(--dip-faint); border-radius: 10px;
  background: var(--jp-layout-color1, transparent); color: var(--jp-ui-font-color1, inherit); }
body[data-jp-theme-light="false"] .dip-player, html[theme="dark"] .dip-player, .vscode-dark .dip-player {
  --dip-line: #56b4e9; --dip-mark: #e69f00; }
.dip-player .dip-main { gap: 20px; overflow: visible; }
.dip-player .dip-side { flex: 1 1 260px; min-width: 0; overflow: visible; gap: 2px; }
.dip-player .dip-side .jupyter-widgets { margin-left: 0; margin-right: 0; }
.dip-player .dip-row { gap: 6px; overflow: visible; margin-bottom: 4px; }
.dip-player .dip-row button { width: auto; padding: 0 12px; border-radius: 5px; margin: 2px 0; }
.dip-player .dip-row .dip-play { min-width: 92px; }
.dip-player .dip-picture { height: auto; max-width: 100%; border-radius: 4px; margin: 0; align-self: start; }
.dip-player .dip-enlarged { image-rendering: pixelated; }
.dip-player .dip-knobs { border-top: 1px solid var(--dip-faint); padding-top: 8px; margin: 6px 0;
  overflow: visible; }
.dip-unseen { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); }
.dip-player .widget-html, .dip-player .widget-html-content { width: 100%; margin: 0; height: auto; }
.dip-together { flex-flow: row wrap; gap: 12px; overflow: visible; }
.dip-together > .widget-vbox { flex: 1 1 360px; min-width: 0; overflow: visible; }
.dip-status, .dip-plot { font-variant-numeric: tabular-nums; }
.dip-status { display: flex; flex-wrap: wrap; column-gap: 18px; line-height: 1.6; margin-top: 12px; }
.dip-status span { opacity: .8; white-space: nowrap; }
.dip-status .dip-state { opacity: 1; font-weight: 600; white-space: normal; }
.dip-plot { display: grid; grid-template-columns: max-content 1fr; gap: 4px 8px; margin-top: 6px;
  font-size: 11px; line-height: 1; }
.dip-plot div { display: flex; justify-content: space-between; opacity: .75; }
.dip-plot .dip-values { flex-direction: column; text-align: right; }
.dip-plot .dip-steps { grid-column: 2; }
.dip-plot svg { width: 100%; height: 96px; display: block; border: 0 solid var(--dip-faint);
  border-width: 0 0 1px 1px; }
.dip-plot path, .dip-plot line { fill: none; vector-effect: non-scaling-stroke; }
.dip-note { margin-top: 10px; padding: 8px 12px; border-left: 3px solid var(--dip-line); line-height: 1.45;
  background: rgba(128, 128, 128, .1); border-radius: 0 5px 5px 0; overflow-wrap: anywhere; }
.dip-error { border-left-color: var(--dip-mark); }
.dip-note pre { margin: 6px 0 0; font-size: 12px; line-height: 1.4; white-space: pre-wrap; color: inherit;
  background: none; max-height: 320px; overflow: auto; }
.dip-note pre.dip-code { user-select: all; }
.dip-note summary { cursor: pointer; }
</style>"""

# ipywidgets names no slider for screen readers, and offers no way to. Each gets the words that stand before it.
NAMES = """<style onload="
const box = this.closest('.dip-player');
const name = () => {
  for (const handle of box.querySelectorAll('[role=slider]:not([aria-label])')) {
    const label = handle.closest('.widget-slider')?.querySelector('label');
    if (label) handle.setAttribute('aria-label', label.innerText);
  }
};
if (!box.dataset.named) {  // a notebook takes what is scrolled away off the page, and puts it back
  box.dataset.named = 'yes';
  name();
  new MutationObserver(name).observe(box, {childList: true, subtree: true});
}
"></style>"""


@dataclass(frozen=True)
class Frame:
    """Everything that the panel shows of one moment."""

    state: str
    step: int
    recorded: int
    until: int  # where playing stops
    values: Sequence[float]  # the objective of every recorded step
    beside: Sequence[Sequence[float]]  # the same of the runs that this one is compared with
    changes: Sequence[int]  # the steps after which a knob was turned
    rate: float | None  # steps a second
    device: str
    picture: np.ndarray  # (H, W, 3 or 4), bytes
    dropped: int  # how often steps that lay ahead had been dropped


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
    """

    box: widgets.DOMWidget

    def __init__(self, name: str) -> None:
        self.jpeg, self.width = b"", 0
        self.ticker = widgets.Play(max=10**9, interval=20, layout=widgets.Layout(display="none"))
        self.picture = _classed("picture", Picture(format="jpeg"))
        self._caption = "" if self.picture.call(name) else f'<p class="dip-unseen">{html.escape(name)}:</p>'
        self.status, self.note = _classed("strip", widgets.HTML()), _classed("message", widgets.HTML())

    def enclose(self, side: Sequence[widgets.DOMWidget]) -> None:
        """Make the box: the picture with what stands at its side, status and note below."""
        main = _row("main", [self.picture, _classed("side", widgets.VBox([*side, self.ticker]))])
        head = _classed("head", widgets.HTML(STYLE + NAMES + self._caption))
        self.box = _classed("player", widgets.VBox([head, main, self.status, self.note]))
        for widget in within(self.box):
            # ipykernel 7.4 sends what the page says about a widget to the subshell that asked for the widget's
            # last change. After a reload that one is gone, and every click with it; the page's own is right.
            if hasattr(widget.comm, "_reply_subshell_for"):
                widget.comm._reply_subshell_for = None

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

    Args:
        name: of the picture.
        knobs: the controls.
        events: what to call on play, step, rewind, save, film, copy and tick, and on scrub with the step.
    """

    def __init__(self, name: str, knobs: Sequence[Knob], events: Mapping[str, Callable]) -> None:
        super().__init__(name)
        self._shown_step, self._buttons, self.events = 0, {}, dict(events)
        for name, text, icon, tooltip in (
            ("rewind", "Start", "fast-backward", "Go back to the start; nothing is lost"),
            ("play", "Play", "play", "Play or pause"),
            ("step", "Step", "step-forward", "Take one step"),
            ("save", "Save picture", "download", "Write the picture to a PNG file"),
            ("film", "Save film", "film", "Write what was shown so far to a film"),
            ("copy", "Copy settings", "code", "Show the code that makes this picture"),
        ):
            button = _classed(name, widgets.Button(description=text, icon=icon, tooltip=tooltip))
            button.on_click(lambda _, name=name: self.events[name]())
            self._buttons[name] = button
        self._buttons["play"].button_style = "primary"
        # Every move of a drag is sent, so that the first one pauses; the page waits for one to be done before
        # it sends the next.
        self.time = _classed("time", labelled(widgets.IntSlider, "step", "Go to any recorded step", max=1))
        self.time.observe(lambda change: self._scrubbed(change["new"]), "value")
        self.ticker.observe(lambda _: self.events["tick"](), "value")
        inputs = [widget for knob in knobs for widget in knob.inputs]
        side = [
            _row("row", [self._buttons[name] for name in ("rewind", "play", "step")]),
            self.time,
            *([_classed("knobs", widgets.VBox(inputs))] if inputs else []),
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

    def _scrubbed(self, step: int) -> None:
        if step != self._shown_step:  # else it is this panel that moved the slider
            self.events["scrub"](step)


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


def take_away(box: widgets.DOMWidget) -> None:
    """Close a box and all that is in it."""
    for widget in within(box):
        widget.unobserve_all()
        for part in (widget, widget.layout, getattr(widget, "style", None)):
            if part is not None:
                part.close()


def _classed(name: str, widget: widgets.DOMWidget) -> widgets.DOMWidget:
    return widget.add_class(f"dip-{name}")


def _row(name: str, parts: Sequence[widgets.DOMWidget]) -> widgets.DOMWidget:
    return _classed(name, widgets.HBox(parts, layout=widgets.Layout(flex_flow="row wrap")))


def status(frame: Frame) -> str:
    """One line: state, step, value, speed and device."""
    parts = [f"step {frame.step} of {frame.until}"]
    if frame.step:
        parts += [f"objective {frame.values[frame.step - 1]:.4g}"]
    if frame.rate is not None:
        parts += [f"{frame.rate:.3g} steps/s"]
    parts += [frame.device]
    spans = "".join(f"<span>{html.escape(part)}</span>" for part in parts)
    return f'<div class="dip-status"><span class="dip-state">{STATES[frame.state]}</span>{spans}</div>'


def curve(frame: Frame, points: int = 240) -> str:
    """The objective over the steps as an inline SVG: what lies ahead is faint, knob changes are dashed."""
    values, until = frame.values, max(frame.until, frame.recorded, 1)
    all_values = [value for line in (values, *frame.beside) for value in line]
    low, high = (min(all_values), max(all_values)) if all_values else (0.0, 1.0)
    span = (high - low) or 1.0

    def path(values: Sequence[float], first: int, last: int, look: str) -> str:
        stride = max(1, math.ceil((last - first) / points))
        steps = [*range(first, last, stride), last]
        spots = (f"{1000 * i / until:.0f} {96 - 92 * (values[i - 1] - low) / span:.1f}" for i in steps)
        return f'<path d="M{"L".join(spots)}" {look}/>'

    def upright(step: int, look: str) -> str:
        x = f"{1000 * step / until:.0f}"
        return f'<line x1="{x}" x2="{x}" y1="0" y2="100" {look}/>'

    line = 'stroke="var(--dip-line)" stroke-width='
    parts = [upright(step, 'stroke="var(--dip-mark)" stroke-dasharray="3 3"') for step in frame.changes]
    parts += [
        path(other, 1, len(other), 'stroke="currentColor" opacity=".35"') for other in frame.beside if other
    ]
    if frame.recorded > max(frame.step, 1):
        parts.append(path(values, max(frame.step, 1), frame.recorded, f'{line}"1.5" opacity=".35"'))
    if frame.step:
        parts.append(path(values, 1, frame.step, f'{line}"2"'))
    parts.append(upright(frame.step, 'stroke="currentColor" opacity=".45"'))
    label = f"The objective over {frame.recorded} steps, from {low:.3g} to {high:.3g}"
    ends = f"<span>{high:.3g}</span><span>{low:.3g}</span>" if all_values else ""
    return (
        f'<div class="dip-plot"><div class="dip-values">{ends}</div>'
        f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
        f'<div class="dip-steps"><span>0</span><span>{until} steps</span></div></div>'
    )


def contact_sheet(images: Tensor) -> np.ndarray:
    """Pictures (B, C, H, W) in [0, 1] as one, (H', W', 3) or with alpha (H', W', 4), in bytes: in a grid."""
    tiles = (images * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    tiles = tiles.repeat(3, axis=3) if tiles.shape[3] == 1 else tiles
    count, height, width, channels = tiles.shape
    least = math.ceil(math.sqrt(count))
    columns = next(
        (c for c in range(least, least * 3 // 2 + 1) if count % c == 0), least
    )  # full rows, if there are
    gap = max(1, width // 48)
    rows = math.ceil(count / columns)
    shape = rows * (height + gap) - gap, columns * (width + gap) - gap, channels
    sheet = np.full(shape, 128, np.uint8)
    for i, tile in enumerate(tiles):
        y, x = (height + gap) * (i // columns), (width + gap) * (i % columns)
        sheet[y : y + height, x : x + width] = tile
    return sheet


def encode(picture: np.ndarray) -> bytes:
    """A picture (H, W, 3 or 4) in bytes as JPEG; what is transparent shows a chequered ground."""
    if picture.shape[2] == 4:
        y, x = np.indices(picture.shape[:2]) // 8
        ground = np.where((x + y) % 2, 200, 230)[..., None]
        alpha = picture[..., 3:] / 255
        picture = (alpha * picture[..., :3] + (1 - alpha) * ground).round().astype(np.uint8)
    image = Image.fromarray(picture)
    if max(image.size) > LONGEST_SIDE:
        image = image.reduce(math.ceil(max(image.size) / LONGEST_SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=90)
    return file.getvalue()


def still(frames: Mapping[str, Frame]) -> bytes:
    """Pictures by title and their curves, side by side, as JPEG: what a notebook shows where there is no kernel."""
    from matplotlib.figure import Figure  # not pyplot: no global state

    widths = [min(2.0, max(0.8, f.picture.shape[1] / f.picture.shape[0])) for f in frames.values()]
    figure = Figure(figsize=(4.2 + 3.4 * len(frames), 3.2), dpi=120, layout="constrained")
    *pictures, curves = figure.subplots(1, len(frames) + 1, width_ratios=[*widths, 1.3])
    for axes, (title, frame), color in zip(pictures, frames.items(), COLORS, strict=False):
        smooth = "nearest" if max(frame.picture.shape[:2]) <= 128 else "lanczos"
        axes.imshow(Image.open(io.BytesIO(encode(frame.picture))), interpolation=smooth)
        axes.set_axis_off()
        curves.plot(range(1, frame.step + 1), frame.values[: frame.step], color=color, label=title)
        for step in frame.changes:
            if step <= frame.step:
                curves.axvline(step, color="#d55e00", linestyle=":", linewidth=1)
        if len(frames) > 1:
            axes.set_title(title, color=color)
    curves.set(xlabel="step", ylabel="objective")
    curves.xaxis.get_major_locator().set_params(integer=True)
    curves.spines[["top", "right"]].set_visible(False)
    file = io.BytesIO()
    figure.savefig(file, format="jpeg", pil_kwargs={"quality": 90})
    return file.getvalue()
