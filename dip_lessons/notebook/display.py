"""What a notebook displays: pictures, curves, tables, sentences, and progress while something runs.

In a script, where nobody sees pictures, each prints a sentence (or the table) instead.
"""

from __future__ import annotations

import io
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from IPython.display import HTML, Image, Markdown, display
from torch import Tensor

from ..run import Run
from .sheets import Pictures, sheet

# Okabe and Ito's colours, which people with any colour vision can tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def shell() -> Any:
    """The notebook's shell, or None in a script.

    >>> from dip_lessons.notebook.display import shell
    >>> print(shell())
    None
    """
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def present(thing: object, words: str, **options: Any) -> Any:
    """Display something in a notebook, and return what IPython's ``display`` returns; print words in a script.

    Args:
        thing: what IPython can display, or a bundle of MIME types with ``raw=True``.
        words: what a script says instead; nothing where they are empty.
        options: of ``IPython.display.display``.

    >>> from dip_lessons.notebook.display import present
    >>> present({"text/html": "<b>seven</b>"}, "Seven, boldly.", raw=True)
    Seven, boldly.
    """
    if shell() is not None:
        return display(thing, **options)
    if words:
        print(words)
    return None


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
    >>> dip.show({"a": picture(), "b": picture().mean(dim=(2, 3), keepdim=True)}, side=64)
    A sheet of 134 × 86 pixels, shown in a notebook; dip.sheet(…).save(…) writes one.
    """
    page, buffer = sheet(images, titles, rows=rows, columns=columns, side=side), io.BytesIO()
    page.save(buffer, "JPEG", quality=quality)
    told = f"A sheet of {page.width} × {page.height} pixels, shown in a notebook; dip.sheet(…).save(…) writes one."
    present(Image(buffer.getvalue(), format="jpeg", metadata=_alternative(caption)), told)
    say_caption(caption)


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
    Curves of pixels, waves, drawn in a notebook.
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
    shown = Image(buffer.getvalue(), format="png", metadata=_alternative(caption))
    present(shown, f"Curves of {', '.join(series)}, drawn in a notebook.")
    say_caption(caption)


def table(rows: Iterable[Sequence[object]], header: Sequence[str], *, caption: str = "") -> None:
    """Display a table; numbers are shown with three significant digits.

    Args:
        rows: of cells: numbers, tensors of one number, or text.
        header: what stands above each column.
        caption: what was varied, with seed and number of steps.

    >>> dip.table([["pixels", 1.23456], ["waves", 12345.6]], header=["made of", "value"])
    | made of | value |
    | --- | --- |
    | pixels | 1.23 |
    | waves | 12,346 |
    """
    lines = [header, ["---"] * len(header), *[[_cell(v) for v in row] for row in rows]]
    text = "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
    present(Markdown(text), text)
    say_caption(caption)


def say(text: str) -> None:
    """Display a sentence of Markdown: for prose whose numbers were just computed.

    Args:
        text: Markdown, formulas in $…$ included.

    >>> dip.say(f"A half is **{1 / 2:.0%}**.")
    A half is **50%**.
    """
    present(Markdown(text), text)


def finish(runs: Run | Mapping[str, Run] | Iterable[Run]) -> None:
    """Take all remaining steps of one or several runs, with a line that tells how far they are.

    Args:
        runs: a run, a list of runs, or {name: run}.

    >>> network = dip.load_network(device="cpu")
    >>> run = dip.optimize(dip.Pixels(32), dip.channel("features.3", 0), network, steps=2)
    >>> dip.finish(run)
    2 steps were taken.
    >>> run.step
    2
    """
    if isinstance(runs, Mapping):
        named = list(runs.items())
    else:
        named = [(str(i + 1), r) for i, r in enumerate([runs] if isinstance(runs, Run) else runs)]
    total = sum(max(0, run.steps - run.step) for _, run in named)
    line = present(HTML(_bar("starting", 0, total)), "", display_id=True)
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
    elif shell() is None:
        print(f"{total} steps were taken.")


def _alternative(caption: str) -> dict[str, str] | None:
    """The alternative text of a picture, as metadata: Colab's IPython has no argument for it."""
    return {"alt": caption} if caption else None


def _bar(text: str, done: int, total: int) -> str:
    return f'<progress value="{done}" max="{max(total, 1)}" style="width:220px"></progress> <small>{text}</small>'


def say_caption(text: str) -> None:
    """Display what stands below a picture, in italics; nothing where the text is empty, nor in a script.

    >>> from dip_lessons.notebook.display import say_caption
    >>> say_caption("seed 0, 64 steps")
    """
    if text:
        escaped = text.replace("*", "\\*")  # or a product would end the italics
        present(Markdown(f"*{escaped}*"), "")


def _cell(v: object) -> object:
    if isinstance(v, Tensor):
        v = v.item()
    if isinstance(v, float):
        return f"{v:,.0f}" if 1000 <= abs(v) < 1e7 else f"{v:.3g}"
    return v
