"""Tensors as pictures: contact sheets, curves, tables, films, and progress while something runs."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from IPython.display import HTML, Image, Markdown, display
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont
from torch import Tensor

from .optimize import Run

# Okabe and Ito's colours, which people with any colour vision can tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
Pictures = Tensor | Run | Sequence | Mapping


def show(
    images: Pictures,
    titles: Sequence[str] | None = None,
    *,
    caption: str = "",
    columns: int | None = None,
    side: int = 224,
    quality: int = 88,
) -> None:
    """Display pictures as one contact sheet with a title over each and a caption below.

    Args:
        images: a tensor (C, H, W) or (B, C, H, W) in [0, 1] with 1, 3 or 4 channels (transparency on a checkerboard),
            a :class:`Run`, a list of these, or a dict {title: picture}.
        titles: one for each picture.
        caption: what was varied, with seed and number of steps.
        columns: pictures in a row; by default up to six.
        side: the longer side of each picture on the page, in pixels; small pictures are enlarged without smoothing.
        quality: of the JPEG, 1 to 95.
    """
    buffer = io.BytesIO()
    sheet(images, titles, columns=columns, side=side).save(buffer, "JPEG", quality=quality)
    display(Image(buffer.getvalue(), format="jpeg", alt=caption or None))
    _caption(caption)


def sheet(
    images: Pictures, titles: Sequence[str] | None = None, *, columns: int | None = None, side: int = 224
) -> PILImage.Image:
    """The contact sheet that :func:`show` displays, as a PIL image. Raises ValueError for what is no picture."""
    if isinstance(images, Mapping):
        titles, images = list(images), list(images.values())
    pictures = _as_list(images)
    if not pictures:
        raise ValueError("there is no picture to show")
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"there are {len(pictures)} pictures but {len(titles)} titles")
    tiles = [_tile(p, side) for p in pictures]
    columns = columns or min(len(tiles), 6)
    gap, line = 6, 22 if titles else 0
    width, height = max(t.width for t in tiles), max(t.height for t in tiles) + line
    rows = math.ceil(len(tiles) / columns)
    page = PILImage.new("RGB", (columns * (width + gap) - gap, rows * (height + gap) - gap), "white")
    draw = ImageDraw.Draw(page)
    for i, tile in enumerate(tiles):
        x, y = i % columns * (width + gap), i // columns * (height + gap)
        if titles:
            title, font = _fitting(titles[i], width - 4)
            draw.text((x + 2, y + 2), title, font=font, fill="#333333")
        page.paste(tile, (x, y + line))
    return page


def to_pil(image: Tensor) -> PILImage.Image:
    """One picture (C, H, W) in [0, 1], C = 1, 3 or 4, as a PIL image of 8 bits."""
    if image.ndim != 3 or image.shape[0] not in (1, 3, 4):
        raise ValueError(f"a picture has shape (C, H, W) with 1, 3 or 4 channels; got {tuple(image.shape)}")
    if not image.isfinite().all():
        raise ValueError("the picture holds NaN or infinite numbers")
    data = (image.detach().float().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return PILImage.fromarray(data[..., 0] if data.shape[2] == 1 else data)


def difference(a: Tensor, b: Tensor, gain: float = 1.0) -> Tensor:
    """A picture of a − b: grey where they agree; ``gain`` multiplies what differs."""
    return (0.5 + gain * (a - b) / 2).clamp(0, 1)


def curves(
    series: Mapping[str, Tensor | Sequence[float] | tuple[Sequence[float], Sequence[float]]],
    *,
    x: str = "step",
    y: str = "objective",
    caption: str = "",
    log_x: bool = False,
    log_y: bool = False,
    size: tuple[float, float] = (6.4, 3.0),
) -> None:
    """Display curves by name: each a list of values, or a pair (xs, ys)."""
    # Here, for it takes as long to import as all the rest of the package.
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    for (name, line), color in zip(series.items(), COLORS * math.ceil(len(series) / len(COLORS))):  # noqa: B905
        points = line if isinstance(line, tuple) else (range(len(line)), line)
        axes.plot(
            *[np.asarray(torch.as_tensor(p)) if isinstance(p, Tensor) else p for p in points], color=color
        )
        axes.lines[-1].set_label(name)
    axes.set(xlabel=x, ylabel=y, xscale="log" if log_x else "linear", yscale="log" if log_y else "linear")
    logarithmic = [(axes.xaxis, axes.get_xlim())] * log_x + [(axes.yaxis, axes.get_ylim())] * log_y
    for axis, (low, high) in logarithmic:
        if high / low < 1000:  # few powers of ten: label 2 and 5 too, as plain numbers
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())  # or labels are written over each other
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    if len(series) > 1:
        axes.legend(frameon=False, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    display(Image(buffer.getvalue(), format="png", alt=caption or None))
    _caption(caption)


def table(rows: Iterable[Sequence[object]], header: Sequence[str], *, caption: str = "") -> None:
    """Display a table; numbers are shown with three significant digits."""
    lines = [header, ["---"] * len(header), *[[_cell(v) for v in row] for row in rows]]
    display(Markdown("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)))
    _caption(caption)


def say(text: str) -> None:
    """Display a sentence of Markdown: for prose whose numbers were just computed."""
    display(Markdown(text))


def film(frames: Iterable[Tensor], *, fps: float = 12, side: int = 256, caption: str = "") -> None:
    """Display pictures (C, H, W) or (B, C, H, W) one after the other, as a looping animation (GIF)."""
    pages = [sheet(f, side=side).quantize(128, dither=PILImage.Dither.FLOYDSTEINBERG) for f in frames]
    if not pages:
        raise ValueError("a film needs at least one frame")
    buffer = io.BytesIO()
    pages[0].save(buffer, "GIF", save_all=True, append_images=pages[1:], duration=round(1000 / fps), loop=0)
    display(Image(buffer.getvalue(), format="gif", alt=caption or None))
    _caption(caption)


def finish(runs: Run | Mapping[str, Run] | Iterable[Run]) -> None:
    """Take all remaining steps of one or several runs, with a line that tells how far they are."""
    if isinstance(runs, Mapping):
        named = list(runs.items())
    else:
        named = [(str(i + 1), r) for i, r in enumerate([runs] if isinstance(runs, Run) else runs)]
    total = sum(max(0, run.steps - run.step) for _, run in named)
    line = display(HTML(_bar("starting", 0, total)), display_id=True)
    done, start, shown = 0, time.monotonic(), 0.0
    for name, run in named:
        for _ in run:
            done += 1
            if time.monotonic() - shown > 0.5:
                shown = time.monotonic()
                rate = done / (shown - start + 1e-9)
                text = f"{name}: step {run.step} of {run.steps}, {rate:.1f} steps/s"
                line.update(HTML(_bar(text, done, total))) if line else None
    if line:
        line.update(HTML(""))


def _bar(text: str, done: int, total: int) -> str:
    return f'<progress value="{done}" max="{max(total, 1)}" style="width:220px"></progress> <small>{text}</small>'


def _caption(text: str) -> None:
    if text:
        display(Markdown(f"*{text}*"))


def _cell(v: object) -> object:
    if isinstance(v, Tensor):
        v = v.item()
    if isinstance(v, float):
        return f"{v:,.0f}" if 1000 <= abs(v) < 1e7 else f"{v:.3g}"
    return v


def _as_list(images: Pictures) -> list[Tensor]:
    if isinstance(images, Run):
        images = images.image
    if isinstance(images, Tensor):
        if images.ndim not in (3, 4):
            raise ValueError(f"pictures are (C, H, W) or (B, C, H, W); got {tuple(images.shape)}")
        return [images] if images.ndim == 3 else list(images)
    return [picture for item in images for picture in _as_list(item)]


def _tile(image: Tensor, side: int) -> PILImage.Image:
    picture = to_pil(image)
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    if picture.mode == "RGBA":
        picture = PILImage.alpha_composite(_checkerboard(picture.size), picture)
    return picture.convert("RGB").resize(
        size, PILImage.Resampling.NEAREST if scale >= 2 else PILImage.Resampling.LANCZOS
    )


def _checkerboard(size: tuple[int, int], square: int = 8) -> PILImage.Image:
    x, y = np.arange(size[0]) // square, np.arange(size[1])[:, None] // square
    grey = np.where((x + y) % 2, 255, 214).astype(np.uint8)
    return PILImage.fromarray(grey).convert("RGBA")


def _fitting(text: str, width: int) -> tuple[str, ImageFont.FreeTypeFont]:
    """The text, shortened until it fits, and its font: matplotlib's own, which has mathematical signs."""
    import matplotlib

    font = ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size=13)
    while font.getlength(text) > width and len(text) > 1:
        text = text[:-2] + "…"
    return text, font
