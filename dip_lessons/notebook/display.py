"""Tensors as pictures: contact sheets, curves, tables, films, and progress while something runs."""

from __future__ import annotations

import base64
import functools
import html
import io
import math
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from IPython.display import HTML, Image, Markdown, display
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont
from torch import Tensor

from ..atomic import atomic_write
from ..pictures import to_pil
from ..run.loop import Run

# Okabe and Ito's colours, which people with any colour vision can tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# Of WebP: small differences that libwebp leaves out between frames would add up to stale blocks.
WHOLE_FRAMES = {"method": 4, "kmin": 0, "kmax": 1}
LABEL = 110  # pixels for the label of a row
Pictures = Tensor | Run | Sequence | Mapping


def show(
    images: Pictures,
    titles: Sequence[str] | None = None,
    *,
    caption: str = "",
    rows: Sequence[str] | None = None,
    columns: int | None = None,
    side: int = 224,
    quality: int = 88,
) -> None:
    """Display pictures as one contact sheet with a title over each and a caption below.

    Args:
        images: a tensor (C, H, W) or (B, C, H, W) in [0, 1] with 1, 3 or 4 channels (transparency on a checkerboard),
            a :class:`Run`, a list of these, or a dict {title: picture}.
        titles: one for each picture; with ``rows``, one for each column will do. Long ones take several lines.
        caption: what was varied, with seed and number of steps.
        rows: a label for each row, to its left.
        columns: pictures in a row; by default up to six, or what makes as many rows as there are labels.
        side: the longer side of each picture on the page, in pixels; small pictures are enlarged without smoothing.
        quality: of the JPEG, 1 to 95.

    Raises ValueError for what is no picture, and for another number of titles than of pictures.

    >>> picture = dip.Fourier(32)
    >>> dip.show({"waves": picture(), "their mean": picture().mean(dim=(2, 3), keepdim=True)}, side=64)
    <IPython.core.display.Image object>
    """
    buffer = io.BytesIO()
    sheet(images, titles, rows=rows, columns=columns, side=side).save(buffer, "JPEG", quality=quality)
    display(Image(buffer.getvalue(), format="jpeg", metadata=_words(caption)))
    say_caption(caption)


def sheet(
    images: Pictures,
    titles: Sequence[str] | None = None,
    *,
    rows: Sequence[str] | None = None,
    columns: int | None = None,
    side: int = 224,
) -> PILImage.Image:
    """The contact sheet that :func:`show` displays, as a PIL image. Raises ValueError for what is no picture.

    Args:
        images, titles, columns, side, rows: see :func:`show`.

    >>> dip.sheet(torch.zeros(3, 3, 32, 32), side=64).size  # three pictures and two gaps of 6 pixels
    (204, 64)
    """
    if isinstance(images, Mapping):
        titles, images = list(images), list(images.values())
    pictures = _as_list(images)
    if not pictures:
        raise ValueError("there is no picture to show")
    if rows is not None:
        each, rest = divmod(len(pictures), max(len(rows), 1))
        if rest or not rows or columns not in (None, each):
            raise ValueError(
                f"{len(pictures)} pictures do not make {len(rows)} labelled rows of {columns or 'equal length'}"
            )
        columns = each
    columns = columns or min(len(pictures), 6)
    if titles is not None and len(titles) != len(pictures) and not (rows and len(titles) == columns):
        raise ValueError(f"there are {len(pictures)} pictures but {len(titles)} titles")
    tiles = [_tile(p, side) for p in pictures]
    gap, line = 6, 16
    width, height = max(t.width for t in tiles), max(t.height for t in tiles)
    heads = [_lines(title, width - 4) for title in titles or ()]
    labels = [_lines(label, LABEL) for label in rows or ()]
    left = 10 + math.ceil(max(_font().getlength(text) for label in labels for text in label)) if labels else 0
    tops, bottom = [], -gap  # of the pictures in each row
    for first in range(0, len(tiles), columns):
        most = max(map(len, heads[first : first + columns]), default=0)
        tops.append(bottom + gap + (6 + most * line if most else 0))
        bottom = tops[-1] + height
    page = PILImage.new("RGB", (left + columns * (width + gap) - gap, bottom), "white")
    draw = ImageDraw.Draw(page)

    def write(lines: Sequence[str], x: int, y: int) -> None:
        for i, text in enumerate(lines):
            draw.text((x, y + i * line), text, font=_font(), fill="#333333")

    for i, tile in enumerate(tiles):
        row, column = divmod(i, columns)
        x, y = left + column * (width + gap), tops[row]
        if i < len(heads):
            write(heads[i], x + 2, y - 4 - len(heads[i]) * line)
        page.paste(tile, (x, y))
    for i, label in enumerate(labels):
        write(label, 2, tops[i] + (height - len(label) * line) // 2)
    return page


def difference(a: Tensor, b: Tensor, gain: float = 1.0) -> Tensor:
    """A picture of a − b: grey where they agree; ``gain`` multiplies what differs.

    >>> from dip_lessons.notebook.display import difference
    >>> a, b = torch.tensor([0.5, 0.6, 0.4]), torch.tensor([0.5, 0.5, 0.5])
    >>> difference(a, b, gain=2)
    tensor([0.5000, 0.6000, 0.4000])
    """
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
    """Display curves by name: each a list of values, or a pair (xs, ys).

    Args:
        series: {name: values}, or {name: (xs, ys)}; numbers or tensors (n,).
        x, y: what is written at the axes.
        caption: what was varied, with seed and number of steps.
        log_x, log_y: whether equal distances are equal ratios.
        size: (width, height) in inches.

    >>> dip.curves({"pixels": [0.0, 1.0, 1.5], "waves": ([0, 2], [0.0, 3.0])}, caption="two runs")
    <IPython.core.display.Image object>
    <IPython.core.display.Markdown object>
    """
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
    display(Image(buffer.getvalue(), format="png", metadata=_words(caption)))
    say_caption(caption)


def table(rows: Iterable[Sequence[object]], header: Sequence[str], *, caption: str = "") -> None:
    """Display a table; numbers are shown with three significant digits.

    Args:
        rows: of cells: numbers, tensors of one number, or text.
        header: what stands above each column.
        caption: what was varied, with seed and number of steps.

    >>> dip.table([["pixels", 1.23456], ["waves", 12345.6]], header=["made of", "value"])  # 1.23 and 12,346
    <IPython.core.display.Markdown object>
    """
    lines = [header, ["---"] * len(header), *[[_cell(v) for v in row] for row in rows]]
    display(Markdown("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)))
    say_caption(caption)


def say(text: str) -> None:
    """Display a sentence of Markdown: for prose whose numbers were just computed.

    Args:
        text: Markdown, formulas in $…$ included.

    >>> dip.say(f"A half is **{1 / 2:.0%}**.")
    <IPython.core.display.Markdown object>
    """
    display(Markdown(text))


def film(
    frames: Iterable[Pictures],
    *,
    fps: float = 12,
    side: int = 256,
    caption: str = "",
    quality: int = 45,
    bounce: bool = False,
    path: str | os.PathLike | None = None,
) -> None:
    """Display pictures one after the other, as a looping animation that every front end shows (WebP in an <img>).

    Args:
        frames: a tensor (T, C, H, W) in [0, 1], or anything that yields frames: a picture (C, H, W), or several
            for a contact sheet, whatever :func:`show` takes. All frames must come out in one size.
        fps: frames a second, up to 50.
        side: the longer side of each picture on the page, in pixels.
        caption: what was varied, with seed and number of steps.
        quality: of the WebP and of an MP4, 1 to 100. Neighbours that differ by less than what compression loses
            are shown as one longer frame. A GIF has 256 colours always.
        bounce: whether the film runs there and back again.
        path: where to write the film too: .webp, .gif, or .mp4, which needs ffmpeg. Beside it first, then
            renamed, so that an old file survives a failure.

    Raises ValueError for no frames, frames of different sizes, numbers out of range, or another kind of file;
    RuntimeError where ffmpeg is missing or fails.

    >>> frames = torch.linspace(0, 1, 6).view(6, 1, 1, 1).expand(6, 3, 32, 32)  # from black to white
    >>> dip.film(frames, side=64, path="fade.webp")
    {'text/html': '<img src="data:image/webp;base64,...
    """
    if not 0 < fps <= 50:
        raise ValueError(f"fps must be above 0 and at most 50, beyond which browsers slow down; got {fps!r}")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must lie between 1 and 100; got {quality!r}")
    path = None if path is None else film_path(path)  # before frames are made, which may take long
    if isinstance(frames, Tensor) and frames.ndim < 4:
        raise ValueError(f"a film is a tensor (T, C, H, W), or a list of pictures; got {tuple(frames.shape)}")
    pages = [sheet(frame, side=side) for frame in frames]
    if not pages:
        raise ValueError("a film needs at least one frame")
    for i, page in enumerate(pages):
        if page.size != pages[0].size:
            raise ValueError(
                f"all frames must have one size; frame {i} is {page.size}, the first is {pages[0].size}"
            )
    if bounce:
        pages += pages[-2:0:-1]
    buffer = io.BytesIO()
    _animate(buffer, "WEBP", pages, fps, quality=quality, **WHOLE_FRAMES)
    if path is not None:
        write_film(path, pages, fps=fps, quality=quality, webp=buffer.getvalue())
    told = f"film of {len(pages)} frames, {len(pages) / fps:.3g} s"
    source = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    image = f'<img src="{source}" alt="{html.escape(caption or told)}" width="{pages[0].width}">'
    display({"text/html": image, "text/plain": f"<{told}>"}, raw=True)
    say_caption(caption)


def _animate(
    file: io.BytesIO | Path, kind: str, pages: list[PILImage.Image], fps: float, **options: object
) -> None:
    duration = round(1000 / fps)
    pages[0].save(file, kind, save_all=True, append_images=pages[1:], duration=duration, loop=0, **options)


def film_path(path: str | os.PathLike) -> Path:
    """The path of a film. Raises ValueError for another kind of file, RuntimeError where ffmpeg is missing.

    >>> from dip_lessons.notebook.display import film_path
    >>> film_path("morph.webp").suffix
    '.webp'
    >>> film_path("morph.avi")
    Traceback (most recent call last):
        ...
    ValueError: a film is written as .webp, .gif or .mp4; got 'morph.avi'
    """
    path = Path(path)
    if path.suffix.lower() not in (".webp", ".gif", ".mp4"):
        raise ValueError(f"a film is written as .webp, .gif or .mp4; got {path.name!r}")
    if path.suffix.lower() == ".mp4" and not shutil.which("ffmpeg"):
        raise RuntimeError(
            "an .mp4 needs ffmpeg, which is not on the PATH: install it, or choose .webp or .gif"
        )
    return path


def write_film(
    path: Path, pages: list[PILImage.Image], *, fps: float = 12, quality: int = 45, webp: bytes | None = None
) -> None:
    """Write pictures of one size as a film; ``webp`` is the same, if it was made already. See :func:`film`.

    Args:
        path: see :func:`film_path`.
        pages: PIL images.
        fps, quality: see :func:`film`.

    >>> from pathlib import Path
    >>> from dip_lessons.notebook.display import write_film
    >>> pages = [dip.sheet(torch.full((3, 8, 8), level), side=16) for level in (0.0, 1.0)]
    >>> write_film(Path("blink.gif"), pages, fps=2)
    >>> Path("blink.gif").read_bytes()[:3]
    b'GIF'
    """
    with atomic_write(path) as part:
        if webp is not None and path.suffix.lower() == ".webp":
            part.write_bytes(webp)
        elif path.suffix.lower() == ".webp":
            _animate(part, "WEBP", pages, fps, quality=quality, **WHOLE_FRAMES)
        elif path.suffix.lower() == ".gif":
            _animate(part, "GIF", [page.quantize(256) for page in pages], fps)
        else:
            _encode_mp4(part, pages, fps, quality)


def _encode_mp4(path: Path, pages: list[PILImage.Image], fps: float, quality: int) -> None:
    """H.264 in yuv420p, which everything plays. It has even sizes only: the last row or column is repeated."""
    width, height = pages[0].size
    even = ((0, height % 2), (0, width % 2), (0, 0))
    raw = b"".join(np.pad(np.asarray(page), even, mode="edge").tobytes() for page in pages)
    size, rate = f"{width + width % 2}x{height + height % 2}", f"{fps:g}"
    taken = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", size, "-r", rate, "-i", "-"]
    crf = str(round(32 - quality / 5))  # 23, which is x264's default, at a quality of 45
    made = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", crf, "-movflags", "+faststart", "-f", "mp4"]
    command = ["ffmpeg", "-y", "-v", "error", *taken, *made, str(path.absolute())]
    done = subprocess.run(command, input=raw, capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it gave no reason"]
        raise RuntimeError(f"ffmpeg could not make the .mp4 ({said[-1]}): choose .webp or .gif")


def finish(runs: Run | Mapping[str, Run] | Iterable[Run]) -> None:
    """Take all remaining steps of one or several runs, with a line that tells how far they are.

    Args:
        runs: a run, a list of runs, or {name: run}.

    >>> network = dip.load_network(device="cpu")
    >>> run = dip.optimize(dip.Pixels(32), dip.channel("features.3", 0), network, steps=2)
    >>> dip.finish(run)
    <IPython.core.display.HTML object>
    >>> run.step
    2
    """
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


def _words(caption: str) -> dict[str, str] | None:
    """The alternative text of a picture, as metadata: Colab's IPython has no argument for it."""
    return {"alt": caption} if caption else None


def _bar(text: str, done: int, total: int) -> str:
    return f'<progress value="{done}" max="{max(total, 1)}" style="width:220px"></progress> <small>{text}</small>'


def say_caption(text: str) -> None:
    """Display what stands below a picture, in italics; nothing where the text is empty.

    >>> from dip_lessons.notebook.display import say_caption
    >>> say_caption("seed 0, 64 steps")
    <IPython.core.display.Markdown object>
    >>> say_caption("")
    """
    if text:
        escaped = text.replace("*", "\\*")  # or a product would end the italics
        display(Markdown(f"*{escaped}*"))


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
    if isinstance(images, (str, bytes)) or not isinstance(images, Iterable):
        raise TypeError(
            f"a picture is a tensor (C, H, W) or (B, C, H, W), a run, or a list of these; got {images!r:.80}"
        )
    return [picture for item in images for picture in _as_list(item)]


def _tile(image: Tensor, side: int) -> PILImage.Image:
    picture = to_pil(image)
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, PILImage.Resampling.NEAREST if scale >= 2 else PILImage.Resampling.LANCZOS)
    if picture.mode == "RGBA":  # after the resizing, so that the squares have one size on the page
        picture = PILImage.alpha_composite(_checkerboard(picture.size), picture)
    return picture.convert("RGB")


def _checkerboard(size: tuple[int, int], square: int = 8) -> PILImage.Image:
    x, y = np.arange(size[0]) // square, np.arange(size[1])[:, None] // square
    grey = np.where((x + y) % 2, 192, 168).astype(np.uint8)  # neither hides what is white nor what is black
    return PILImage.fromarray(grey).convert("RGBA")


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    """Matplotlib's own, which has mathematical signs."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size=13)


def _lines(text: str, width: int) -> list[str]:
    """The text in lines that fit, up to three, broken after spaces and underscores; what does not fit is cut."""
    lines = [""]
    for part in re.split(r"(?<=[ _])", text):
        if lines[-1] and _font().getlength((lines[-1] + part).rstrip()) > width:
            lines.append("")
        lines[-1] += part
    lines = [*lines[:2], "".join(lines[2:])] if len(lines) > 2 else lines
    return [_cut(line.rstrip() if len(lines) > 1 else line, width) for line in lines]


def _cut(text: str, width: int) -> str:
    while _font().getlength(text) > width and len(text) > 1:
        text = text[:-2] + "…"
    return text
