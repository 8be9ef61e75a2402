"""What a panel shows of one moment, as HTML and as JPEG: a frame knows no widgets."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..display import COLORS
from .reel import evenly

LONGEST_SIDE = 1024  # of the picture that is sent to the page, in pixels
MARKS = 24  # changes that a curve marks at the most

STATES = {
    "ready": "ready: press Play",
    "playing": "playing",
    "paused": "paused",
    "away": "paused: the page was away, press Play",
    "done": "done; Play goes on",
    "failed": "stopped by an error",
}


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


def marked(log: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """The steps of a run's log that a curve marks: few. A schedule that changes something at every step is one."""
    later = {step: names.keys() for step, names in log.items() if step}
    fresh = [step for step, names in later.items() if not names <= later.get(step - 1, set())]
    return evenly(sorted(fresh), MARKS)


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
