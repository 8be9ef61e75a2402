"""Contact sheets: tensors as pictures with titles."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ..pictures import to_pil
from ..run import Run

LABEL = 110  # pixels for the label of a row
FONT_SIZES = (13, 11, 9)  # of titles: the smaller ones where they would take too many lines
Pictures = Tensor | Run | Sequence | Mapping


def sheet(
    images: Pictures,
    titles: Sequence[str] | None = None,
    *,
    rows: Sequence[str] | None = None,
    columns: int | None = None,
    side: int = 224,
) -> Image.Image:
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
    gap = 6
    width, height = max(t.width for t in tiles), max(t.height for t in tiles)
    heads, font = _fitted(titles or (), width - 4)
    labels, label_font = _fitted(rows or (), LABEL)
    line, label_line = int(font.size) + 3, int(label_font.size) + 3
    longest = max((label_font.getlength(text) for label in labels for text in label), default=0)
    left = 10 + math.ceil(longest) if labels else 0
    tops, bottom = [], -gap  # of the pictures in each row
    for i, first in enumerate(range(0, len(tiles), columns)):
        most = max(map(len, heads[first : first + columns]), default=0)
        tops.append(bottom + gap + (6 + most * line if most else 0))
        bottom = tops[-1] + max([height, *(len(label) * label_line for label in labels[i : i + 1])])
    page = Image.new("RGB", (left + columns * (width + gap) - gap, bottom), "white")
    draw = ImageDraw.Draw(page)

    def write(lines: Sequence[str], x: int, y: int, font: ImageFont.FreeTypeFont) -> None:
        for i, text in enumerate(lines):
            draw.text((x, y + i * (int(font.size) + 3)), text, font=font, fill="#333333")

    for i, tile in enumerate(tiles):
        row, column = divmod(i, columns)
        x, y = left + column * (width + gap), tops[row]
        if i < len(heads):
            write(heads[i], x + 2, y - 4 - len(heads[i]) * line, font)
        page.paste(tile, (x, y))
    for i, label in enumerate(labels):
        write(label, 2, tops[i] + max(0, height - len(label) * label_line) // 2, label_font)
    return page


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


def _tile(image: Tensor, side: int) -> Image.Image:
    picture = to_pil(image)
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    picture = picture.resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS)
    if picture.mode == "RGBA":  # after the resizing, so that the squares have one size on the page
        picture = Image.alpha_composite(_checkerboard(picture.size), picture)
    return picture.convert("RGB")


def _checkerboard(size: tuple[int, int], square: int = 8) -> Image.Image:
    x, y = np.arange(size[0]) // square, np.arange(size[1])[:, None] // square
    grey = np.where((x + y) % 2, 192, 168).astype(np.uint8)  # neither hides what is white nor what is black
    return Image.fromarray(grey).convert("RGBA")


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Matplotlib's own, which has mathematical signs."""
    import matplotlib

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"), size=size)


def _fitted(texts: Sequence[str], width: int) -> tuple[list[list[str]], ImageFont.FreeTypeFont]:
    """The texts in lines, whole, and the largest font in which none needs more than three, nor breaks a word."""
    for size in FONT_SIZES:
        font = _font(size)
        found = [_lines(text, width, font) for text in texts]
        if all(len(lines) <= 3 and not broken for lines, broken in found):
            break
    return [lines for lines, _ in found], font


def _lines(text: str, width: int, font: ImageFont.FreeTypeFont) -> tuple[list[str], bool]:
    """The text in lines that fit, broken after spaces and underscores; and whether a word had to be broken, too."""
    lines, broken = [""], False
    for part in re.split(r"(?<=[ _])", text):
        if lines[-1] and font.getlength((lines[-1] + part).rstrip()) > width:
            lines.append("")
        while font.getlength(part.rstrip()) > width and len(part.rstrip()) > 1:
            fits = next(n for n in range(len(part) - 1, 0, -1) if n == 1 or font.getlength(part[:n]) <= width)
            lines[-1], part, broken = part[:fits], part[fits:], True
            lines.append("")
        lines[-1] += part
    return [line.rstrip() for line in lines] if len(lines) > 1 else lines, broken
