"""One door for pictures on their way in, and one on their way out.

In: a file's path or bytes, an upload, a PIL image, an array or a tensor becomes (1, 3, H, W), float32 in [0, 1].
Out: one tensor becomes a PIL image, or a file that is there whole or not at all.
"""

from __future__ import annotations

import io
import os
import re
import struct
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from torch import Tensor

from .arguments import height_width
from .atomic import atomic_write

# What is decoded by Pillow alone. EPS, for one, is not: a program would be started with what a stranger wrote.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF")
LARGEST = 2**27  # pixels of a file; 1.6 GB as a tensor
SUSPECT = 2**25  # pixels from which on a file must have a byte for each hundred
_UPRIGHT = {  # EXIF's orientations, and what turns them back
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90",
}  # fmt: skip


@torch.inference_mode(False)
def as_picture(
    source: Any, size: int | tuple[int, int] | None = None, device: torch.device | str | None = None
) -> Tensor:
    """Any picture, upright, as a float32 tensor of shape (1, 3, H, W) in [0, 1]; transparent parts become white.

    Args:
        source: the path of a file (JPEG, PNG, WEBP, GIF, TIFF, BMP, PPM, JPEG2000, AVIF), its bytes, or an open
            file; the value of an upload button (``ipywidgets.FileUpload``); a PIL image; an array (H, W) or
            (H, W, C); a tensor (H, W), (C, H, W) or (1, C, H, W). C = 1, 3 or 4 with alpha. Numbers are
            uint8 (0 to 255), uint16 (0 to 65535), booleans, or floats from 0 to 1.
        size: the longest side in pixels, or (H, W), to which the picture is cut about its centre and scaled;
            None keeps its own size. Scaling is antialiased.
        device: where the tensor goes; None is the CPU.

    Raises ValueError for what is no picture, or none that can be read: it says what it was, and what was expected.

    >>> from dip_lessons.pictures import as_picture
    >>> orange = torch.tensor([200, 100, 50], dtype=torch.uint8).view(3, 1, 1).expand(3, 4, 6)
    >>> as_picture(orange).shape, as_picture(orange.permute(1, 2, 0).numpy(), size=3).shape
    (torch.Size([1, 3, 4, 6]), torch.Size([1, 3, 2, 3]))
    >>> as_picture(torch.zeros(6, 8, 3))
    Traceback (most recent call last):
        ...
    ValueError: a tensor that is a picture has shape (C, H, W), C = 1, 3 or 4; got (6, 8, 3): permute(2, 0, 1) first
    """
    sides = None if size is None else height_width(size)
    if isinstance(source, (Tensor, np.ndarray)):
        bands = _of_numbers(source)
    elif isinstance(source, Image.Image):
        bands = _upright(source, _opaque(source))
    else:
        bands = _read(*_file(source), sides)
    if sides is not None and isinstance(size, (tuple, list)):
        bands = [ImageOps.fit(band, sides[::-1], Image.Resampling.LANCZOS) for band in bands]
    elif sides is not None:
        scale = sides[0] / max(bands[0].size)
        width, height = (max(1, round(side * scale)) for side in bands[0].size)
        bands = [band.resize((width, height), Image.Resampling.LANCZOS) for band in bands]
    if bands[0].mode == "RGB":
        pixels = torch.from_numpy(np.array(bands[0])).permute(2, 0, 1)
        return pixels[None].contiguous().to(device=device or "cpu", dtype=torch.float32) / 255
    pixels = torch.from_numpy(np.stack([np.asarray(band) for band in bands])).clamp(0, 1)
    return pixels.expand(1, 3, -1, -1).contiguous().to(device or "cpu")


def to_pil(image: Tensor) -> Image.Image:
    """One picture (C, H, W) or (1, C, H, W) in [0, 1], C = 1, 3 or 4, as a PIL image of 8 bits.

    Raises ValueError for another shape, and for NaN.

    >>> from dip_lessons.pictures import to_pil
    >>> to_pil(torch.tensor([1.0, 0.0, 0.5]).view(3, 1, 1)).getpixel((0, 0))
    (255, 0, 128)
    """
    one = image[0] if image.ndim == 4 and len(image) == 1 else image
    if one.ndim != 3 or one.shape[0] not in (1, 3, 4) or not one.numel():
        raise ValueError(f"a picture has shape (C, H, W) with 1, 3 or 4 channels; got {tuple(image.shape)}")
    if not one.isfinite().all():
        raise ValueError("the picture holds NaN or infinite numbers")
    data = (one.detach().float().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(data[..., 0] if data.shape[2] == 1 else data))


def save_picture(image: Tensor | Image.Image, path: str | os.PathLike[str], **options: Any) -> Path:
    """Write one picture as a file of 8 bits, whole or not at all; the name's ending says which format.

    Args:
        image: see :func:`to_pil`, or a PIL image.
        path: ending in .png, .jpg, .webp, .gif, .tiff or another that Pillow writes.
        options: of the format, as ``quality=92``.

    Returns the path. Raises ValueError for an ending that says no format, for transparency in a JPEG, and as
    :func:`to_pil`.

    >>> from dip_lessons.pictures import as_picture, save_picture
    >>> file = save_picture(torch.full((1, 3, 8, 8), 0.2), "dark.png")
    >>> round(as_picture(file).mean().item(), 3)
    0.2
    """
    file = Path(path).expanduser()
    kind = Image.registered_extensions().get(file.suffix.lower())
    if kind not in Image.SAVE:
        raise ValueError(f"the ending of {file.name!r} says no picture format; use .png or .jpg, for example")
    picture = image if isinstance(image, Image.Image) else to_pil(image)
    if kind == "JPEG" and picture.mode == "RGBA":
        raise ValueError(f"a JPEG has no transparency: write {file.with_suffix('.png').name!r} instead")
    with atomic_write(file) as part:
        picture.save(part, kind, **options)
    return file


# --- files ------------------------------------------------------------------------------------------------


def uploaded(value: object) -> tuple[str, bytes] | None:
    """Name and bytes of the last file in the value of a FileUpload; None where there is none.

    ipywidgets 8 has a tuple of {"name": …, "content": memoryview}, ipywidgets 7 {name: {"content": bytes}}.

    >>> from dip_lessons.pictures import uploaded
    >>> uploaded(({"name": "cat.jpg", "content": memoryview(b"...")},)), uploaded(())
    (('cat.jpg', b'...'), None)
    """
    if not value:
        return None
    if isinstance(value, Mapping) and "content" not in value:
        name, file = list(value.items())[-1]
    else:
        file = value if isinstance(value, Mapping) else list(value)[-1]  # type: ignore[call-overload]
        name = file.get("name", "the upload")
    return name, bytes(file["content"])


def _file(source: Any) -> tuple[Path | bytes, str]:
    """A file as a path or as its bytes, and what to call it."""
    if isinstance(source, (str, os.PathLike)):
        file = Path(os.fsdecode(source)).expanduser()
        return file, str(file)
    if hasattr(source, "read"):
        source = source.read()
    if isinstance(source, (bytes, bytearray, memoryview)):
        return bytes(source), f"a file of {len(bytes(source))} bytes"
    if isinstance(source, (Mapping, tuple, list)):
        try:
            found = uploaded(source)
        except (KeyError, TypeError, AttributeError):
            found = None
        if found is not None:
            return found[1], found[0]
    raise ValueError(
        "a picture is a path, a file's bytes, an upload, a PIL image, an array or a tensor; got "
        f"{'nothing' if source is None or source == () else type(source).__name__}"
    )


def _read(file: Path | bytes, called: str, sides: tuple[int, int] | None) -> list[Image.Image]:
    try:
        # Broken tags make Pillow warn; those that are needed are read below. A camera's large picture is no danger.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            Image.init()
            known = [kind for kind in FORMATS if kind in Image.OPEN]
            with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=known) as opened:
                if sides is not None and max(opened.size) > max(2000, 8 * max(sides)):
                    opened.draft(None, (4 * max(sides),) * 2)  # a JPEG is decoded small, in little memory
                pixels = opened.width * opened.height
                size = len(file) if isinstance(file, bytes) else file.stat().st_size
                if pixels > LARGEST or (pixels > SUSPECT and pixels > 100 * size):
                    raise ValueError(
                        f"it says that it holds {opened.width} × {opened.height} pixels, in {size} bytes"
                    )
                low = _prepared(opened, file)
                opened.load()
                return _upright(opened, _opaque(opened, low))
    except Exception as error:  # decoders raise whatever a file's bytes lead them to
        reason = "none of these formats, or not whole" if isinstance(error, UnidentifiedImageError) else error
        raise ValueError(
            f"{called} cannot be read as a picture ({reason or type(error).__name__}); expected a whole file of one of "
            f"the formats {', '.join(FORMATS)}, of {LARGEST // 10**6} million pixels at most"
        ) from error


def _upright(image: Image.Image, bands: list[Image.Image]) -> list[Image.Image]:
    turn = _UPRIGHT.get(_orientation(image))
    return [band.transpose(Image.Transpose[turn]) for band in bands] if turn else bands


def _orientation(image: Image.Image) -> int:
    """EXIF's tag 0x0112, read alone: whatever else in the metadata is broken does not matter. 1 where there is none."""
    exif = image.info.get("exif", b"")
    start = re.search(rb"II\*\0|MM\0\*", exif)
    try:
        if not exif:  # a TIFF's own tags, a PNG's text, XMP
            return int(image.getexif().get(0x0112, 1))
        if not start:
            return 1
        tiff, order = exif[start.start() :], "<" if start[0][:1] == b"I" else ">"
        (place,) = struct.unpack_from(order + "I", tiff, 4)
        for entry in range(*struct.unpack_from(order + "H", tiff, place)):
            tag, kind = struct.unpack_from(order + "HH", tiff, place + 2 + 12 * entry)
            if tag == 0x0112:
                return struct.unpack_from(order + ("I" if kind == 4 else "H"), tiff, place + 10 + 12 * entry)[
                    0
                ]
    except Exception:  # the metadata ends too early: the picture is taken as it lies there
        pass
    return 1


def _prepared(image: ImageFile.ImageFile, file: Path | bytes) -> np.ndarray | None:
    """What Pillow leaves out of a PNG whose transparent colour has another depth than the bytes that it makes of it.

    Grey of 2 or 4 bits is spread over a byte, but not the transparent grey: here it is, too. Of three colours of 16
    bits the higher bytes are kept: the lower ones, (H, W, 3), are returned.
    """
    if image.format != "PNG" or "transparency" not in image.info:
        return None
    depth = image.tile[0][3]
    if depth in ("L;2", "L;4"):
        image.info["transparency"] *= {"L;2": 85, "L;4": 17}[depth]
    if depth != "RGB;16B":
        return None
    with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=["PNG"]) as again:
        # Read as if the lower byte came last.
        again.tile = [(*tile[:3], "RGB;16L") for tile in again.tile]  # type: ignore[misc]
        return np.array(again)


# --- colours ----------------------------------------------------------------------------------------------


def _opaque(image: Image.Image, low: np.ndarray | None = None) -> list[Image.Image]:
    """A picture over white: one of mode RGB, or of one band of floats from 0 to 1 where a byte would be too coarse."""
    if not min(image.size):
        raise ValueError(f"the picture is empty: {image.width} × {image.height} pixels")
    clear = image.info.get("transparency")
    if image.mode == "F" or image.mode.startswith("I"):  # which convert() would clip at 255
        values = np.asarray(image)
        grey = _unit(values, "the picture") if image.mode == "F" else _of_16_bits(values)
        if isinstance(clear, int):
            grey = np.where(values == clear, np.float32(1), grey)
        return [Image.fromarray(grey)]
    if low is not None:
        deep = np.asarray(image).astype(np.uint16) << 8 | low
        alpha = np.where((deep == clear).all(axis=-1), 0, 255).astype(np.uint8)
        image = Image.merge("RGBA", (*image.split(), Image.fromarray(alpha)))
    if {"A", "a"} & set(image.getbands()) or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return [image.convert("RGB")]


def _of_numbers(source: Tensor | np.ndarray) -> list[Image.Image]:
    """The same of a tensor (…, H, W) or an array (H, W, …): three bands, if its numbers are not bytes."""
    is_tensor = isinstance(source, Tensor)
    if isinstance(source, Tensor):
        one = source[0] if source.ndim == 4 and len(source) == 1 else source
        values = (one.float() if one.is_floating_point() else one).detach().cpu().numpy()
    else:
        values = source
    shape, name = "(C, H, W)" if is_tensor else "(H, W, C)", "a tensor" if is_tensor else "an array"
    if values.ndim == 2:
        values = values[None] if is_tensor else values[..., None]
    if values.ndim != 3 or values.shape[0 if is_tensor else 2] not in (1, 3, 4):
        other = values.ndim == 3 and values.shape[2 if is_tensor else 0] in (1, 3, 4)
        hint = f": {'permute(2, 0, 1)' if is_tensor else 'transpose(1, 2, 0)'} first" if other else ""
        raise ValueError(
            f"{name} that is a picture has shape {shape}, C = 1, 3 or 4; got {tuple(source.shape)}{hint}"
        )
    if not values.size:
        raise ValueError(f"{name} that is a picture has pixels; got {tuple(source.shape)}")
    values = np.ascontiguousarray(values.transpose(1, 2, 0) if is_tensor else values)  # (H, W, C)
    if values.dtype == np.uint8:
        return _opaque(Image.fromarray(values[..., 0] if values.shape[2] == 1 else values))
    if values.dtype.kind == "f":
        values = _unit(values, name)
    elif values.dtype == np.bool_ or values.dtype == np.uint16:
        values = values.astype(np.float32) / np.float32(
            np.iinfo(np.uint16).max if values.dtype == np.uint16 else 1
        )
    else:
        raise ValueError(
            f"{name} that is a picture holds floats from 0 to 1, or whole numbers as uint8 or uint16; got "
            f"{source.dtype}"
        )
    if values.shape[2] == 4:
        values = values[..., 3:] * values[..., :3] + (1 - values[..., 3:])
    return [Image.fromarray(np.ascontiguousarray(band)) for band in np.moveaxis(values, 2, 0)]


def _of_16_bits(values: np.ndarray) -> np.ndarray:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ValueError(f"it holds whole numbers from {low} to {high}, where 0 to 65535 were expected")
    return values.astype(np.float32) / np.float32(65535)


def _unit(values: np.ndarray, name: str) -> np.ndarray:
    """Floats from 0 to 1 as float32; what rounding puts beyond is put back."""
    if not np.isfinite(values).all():
        raise ValueError(f"{name} holds NaN or infinite numbers")
    low, high = float(values.min()), float(values.max())
    if low < -1e-3 or high > 1 + 1e-3:
        raise ValueError(
            f"{name} holds numbers from {low:.4g} to {high:.4g}, where 0 to 1 were expected; of bytes as floats, "
            "divide by 255"
        )
    return values.astype(np.float32).clip(0, 1)
