"""Films: pictures one after the other, on the page and as files."""

from __future__ import annotations

import base64
import html
import io
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from ..atomic import atomic_write
from .display import present, say_caption
from .sheets import Pictures, sheet

# Of WebP: small differences that libwebp leaves out between frames would add up to stale blocks.
WHOLE_FRAMES = {"method": 4, "kmin": 0, "kmax": 1}


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
    A film of 6 frames, 0.5 s: fade.webp
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
    kept = "shown in a notebook; path=… writes it" if path is None else path
    source = f"data:image/webp;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    image = f'<img src="{source}" alt="{html.escape(caption or told)}" width="{pages[0].width}">'
    present({"text/html": image, "text/plain": f"<{told}>"}, f"A {told}: {kept}", raw=True)
    say_caption(caption)


def _animate(
    file: io.BytesIO | Path, kind: str, pages: list[Image.Image], fps: float, **options: object
) -> None:
    duration = round(1000 / fps)
    pages[0].save(file, kind, save_all=True, append_images=pages[1:], duration=duration, loop=0, **options)


def film_path(path: str | os.PathLike) -> Path:
    """The path of a film. Raises ValueError for another kind of file, RuntimeError where ffmpeg is missing.

    >>> from dip_lessons.notebook.films import film_path
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
    path: Path, pages: list[Image.Image], *, fps: float = 12, quality: int = 45, webp: bytes | None = None
) -> None:
    """Write pictures of one size as a film; ``webp`` is the same, if it was made already. See :func:`film`.

    Args:
        path: see :func:`film_path`.
        pages: PIL images.
        fps, quality: see :func:`film`.

    >>> from pathlib import Path
    >>> from dip_lessons.notebook.films import write_film
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


def _encode_mp4(path: Path, pages: list[Image.Image], fps: float, quality: int) -> None:
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
