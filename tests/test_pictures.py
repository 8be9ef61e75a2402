"""Pictures as they come: files written byte by byte or by Pillow, against what their numbers say in float64."""

from __future__ import annotations

import io
import os
import random
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, features

from dip_lessons import assets
from dip_lessons.pictures import FORMATS, as_picture, save_picture, to_pil, uploaded


def numbers(image: torch.Tensor) -> np.ndarray:
    """(1, 3, H, W), as every way in returns it, to (H, W, 3) in float64."""
    assert image.dtype == torch.float32
    assert image.device.type == "cpu"
    assert image.is_contiguous()
    assert image.shape[:2] == (1, 3)
    assert 0 <= image.min() <= image.max() <= 1
    return image[0].permute(1, 2, 0).double().numpy()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


RNG = np.random.default_rng(3)
STORED = RNG.integers(0, 256, (4, 6, 3), np.uint8)  # (rows, columns, channels)


# --- one picture, by every way in -------------------------------------------------------------------------


def test_every_way_in_leads_to_the_same_picture(tmp_path: Path) -> None:
    data = saved(Image.fromarray(STORED), "PNG")
    file = tmp_path / "größe 名.png"
    file.write_bytes(data)
    floats = torch.from_numpy(STORED).permute(2, 0, 1).float() / 255
    ways = {
        "path": file,
        "string": str(file),
        "bytes": data,
        "bytearray": bytearray(data),
        "memoryview": memoryview(data),
        "open file": io.BytesIO(data),
        "upload of ipywidgets 8": ({"name": "a.png", "type": "image/png", "content": memoryview(data)},),
        "one file of it": {"name": "a.png", "content": memoryview(data)},
        "upload of ipywidgets 7": {"a.png": {"metadata": {}, "content": data}},
        "PIL": Image.fromarray(STORED),
        "array": STORED,
        "array that is not contiguous": STORED[::-1, ::-1][::-1, ::-1],
        "array of floats": STORED / 255,
        "array of half floats": (STORED / 255).astype(np.float16),
        "array of 16 bits": STORED.astype(np.uint16) * 257,
        "tensor of bytes": torch.from_numpy(STORED).permute(2, 0, 1),
        "tensor": floats,
        "tensor in a batch": floats[None],
        "float64": floats.double(),
        "bfloat16": floats.bfloat16(),
        "with a gradient": floats.clone().requires_grad_() * 1,
    }
    for name, source in ways.items():
        error = {"array of half floats": 2**-11, "bfloat16": 2**-8}.get(name, 1e-7)
        for way in (as_picture, assets.picture):
            if isinstance(source, io.BytesIO):
                source.seek(0)
            np.testing.assert_allclose(numbers(way(source)), STORED / 255, atol=error, err_msg=name)


def test_grey_and_transparent_numbers() -> None:
    grey = RNG.integers(0, 256, (4, 6), np.uint8)
    for source in (grey, grey[..., None], torch.from_numpy(grey), torch.from_numpy(grey)[None], grey / 255):
        np.testing.assert_allclose(
            numbers(as_picture(source)), np.repeat(grey[..., None], 3, 2) / 255, atol=1e-7
        )
    np.testing.assert_array_equal(numbers(as_picture(grey > 99))[..., 0], grey > 99)
    rgba = RNG.integers(0, 256, (4, 6, 4), np.uint8)
    colours, alpha = rgba[..., :3] / 255, rgba[..., 3:] / 255
    over_white = colours * alpha + 1 - alpha
    np.testing.assert_allclose(numbers(as_picture(rgba)), over_white, atol=1 / 255)  # Pillow rounds to bytes
    np.testing.assert_allclose(numbers(as_picture(rgba / 255)), over_white, atol=1e-6)
    tensor = torch.from_numpy(rgba / 255).permute(2, 0, 1)
    np.testing.assert_allclose(numbers(as_picture(tensor)), over_white, atol=1e-6)


def test_floats_and_bytes_are_scaled_alike() -> None:
    photo = np.asarray(Image.open(assets.path("pictures/chelsea.jpg")))
    photo = photo // 2 + 64  # far from 0 and 255, where bytes end
    for size in (64, (48, 81), (301, 200)):
        bytes_, floats = (numbers(as_picture(source, size)) for source in (photo, photo / 255))
        assert bytes_.shape == floats.shape
        assert np.abs(bytes_ - floats).max() < 1.5 / 255  # each of the filter's two passes is rounded


def test_what_rounding_puts_beyond_is_put_back() -> None:
    image = torch.tensor([-1e-6, 0.5, 1 + 1e-6]).expand(3, 1, 3)
    assert as_picture(image)[0, 0, 0].tolist() == [0, 0.5, 1]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (np.full((4, 4, 3), np.nan), "an array holds NaN or infinite numbers"),
        (torch.full((3, 4, 4), torch.inf), "a tensor holds NaN or infinite numbers"),
        (torch.zeros(5, 6, 3), r"has shape \(C, H, W\), .* got \(5, 6, 3\): permute\(2, 0, 1\) first"),
        (np.zeros((3, 4, 6)), r"has shape \(H, W, C\), .* got \(3, 4, 6\): transpose\(1, 2, 0\) first"),
        (torch.zeros(2, 3, 4, 4), r"got \(2, 3, 4, 4\)$"),
        (torch.zeros(2, 5, 6), r"got \(2, 5, 6\)$"),
        (np.zeros((6, 6, 5)), r"got \(6, 6, 5\)$"),
        (np.zeros((1, 4, 6, 3)), r"got \(1, 4, 6, 3\)$"),
        (torch.zeros(3), r"got \(3,\)"),
        (torch.zeros(3, 0, 4), r"has pixels; got \(3, 0, 4\)"),
        (np.zeros((0, 4)), r"has pixels; got \(0, 4\)"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "whole numbers as uint8 or uint16; got torch.int64"),
        (np.zeros((4, 4), np.complex64), "got complex64"),
        (np.full((4, 4, 3), 200.0), "holds numbers from 200 to 200, where 0 to 1 were expected; .* divide by 255"),
        (torch.full((3, 4, 4), -0.5), "holds numbers from -0.5 to -0.5"),
        (None, "got nothing"),
        ((), "got nothing"),
        (3, "got int"),
        ({"name": "a.png"}, "got dict"),
        ([1, 2], "got list"),
        (b"", "a file of 0 bytes cannot be read as a picture .*expected a whole file of one of the formats JPEG, PNG"),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused_by_name(source: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        as_picture(source)
    with pytest.raises(assets.AssetError, match=says):
        assets.picture(source)


# --- PNGs with numbers of 1 to 16 bits --------------------------------------------------------------------


def png(depth: int, kind: int, values: np.ndarray, clear: tuple[int, ...] | None = None) -> bytes:
    """A PNG (W3C, Portable Network Graphics) of (H, W, C) whole numbers; ``clear`` is the tRNS colour."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = values.shape[:2]
    if depth == 16:
        rows = [row.astype(">u2").tobytes() for row in values]
    else:
        bits = (values.reshape(height, -1)[..., None] >> np.arange(depth)[::-1]) & 1
        rows = [np.packbits(row).tobytes() for row in bits.reshape(height, -1).astype(np.uint8)]
    trns = b"" if clear is None else chunk(b"tRNS", struct.pack(f">{len(clear)}H", *clear))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
        + trns
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("transparent", [False, True])
def test_grey_of_every_depth(depth: int, transparent: bool) -> None:
    most = 2**depth - 1
    values = np.random.default_rng(depth).integers(0, most + 1, (5, 7, 1))
    clear = int(values[2, 3, 0])
    expected = values / most
    if transparent:
        expected = np.where(values == clear, 1.0, expected)
    found = numbers(as_picture(png(depth, 0, values, (clear,) if transparent else None)))
    np.testing.assert_allclose(found, np.repeat(expected, 3, 2), atol=1e-6)


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_colour_is_compared_to_the_last_bit(depth: int) -> None:
    """Neighbours of it that differ in the lowest bit of one channel are no holes."""
    most = 2**depth - 1
    colour = (most - 1, most // 2, 0)
    values = np.array(
        [[colour, (most, most // 2, 0), (most - 1, most // 2 - 1, 0), (most - 1, most // 2, 1), colour]]
    )
    expected = values / most
    expected[0, [0, 4]] = 1
    np.testing.assert_allclose(numbers(as_picture(png(depth, 2, values, colour))), expected, atol=1 / 255)


@pytest.mark.parametrize("kind", [4, 6])
def test_deep_alpha_lies_over_white(kind: int) -> None:
    values = np.random.default_rng(kind).integers(0, 65536, (5, 7, {4: 2, 6: 4}[kind]))
    colours, alpha = values[..., :-1] / 65535, values[..., -1:] / 65535
    expected = np.broadcast_to(colours * alpha + 1 - alpha, (5, 7, 3))
    np.testing.assert_allclose(numbers(as_picture(png(16, kind, values))), expected, atol=2.1 / 255)


def test_deep_grey_keeps_its_steps_and_is_scaled_with_them() -> None:
    ramp = np.arange(32768, 32768 + 128, dtype=np.uint16)
    data = png(16, 0, np.tile(ramp, (64, 1))[..., None])
    np.testing.assert_allclose(numbers(as_picture(data))[0, :, 0], ramp / 65535, atol=1e-7)
    small = numbers(as_picture(data, (8, 16)))[3, 3:-3, 1]  # beyond the filter's reach from the borders
    np.testing.assert_allclose(small, ramp.reshape(16, 8).mean(axis=1)[3:-3] / 65535, atol=2e-7)


# --- other formats and modes ------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_deep_tiff(order: str) -> None:
    values = RNG.integers(0, 65536, (4, 6)).astype(np.uint16)
    image = Image.frombytes("I;16B" if order == ">u2" else "I;16", (6, 4), values.astype(order).tobytes())
    np.testing.assert_allclose(numbers(as_picture(saved(image, "TIFF")))[..., 1], values / 65535, atol=1e-7)


def test_float_tiff() -> None:
    values = RNG.random((4, 6)).astype(np.float32)
    np.testing.assert_allclose(
        numbers(as_picture(saved(Image.fromarray(values), "TIFF")))[..., 2], values, atol=1e-7
    )
    for wrong, says in (
        (np.nan, "NaN"),
        (7.0, "numbers from .* to 7, where 0 to 1 were expected"),
        (-1.0, "from -1"),
    ):
        values[1, 2] = wrong
        with pytest.raises(ValueError, match=f"a file of .* bytes cannot be read as a picture .*{says}"):
            as_picture(saved(Image.fromarray(values), "TIFF"))


def test_whole_numbers_of_32_bits() -> None:
    values = np.array([[0, 32768, 65535]], np.int32)
    np.testing.assert_allclose(
        numbers(as_picture(saved(Image.fromarray(values), "TIFF")))[0, :, 0], [0, 32768 / 65535, 1], atol=1e-7
    )
    for wrong in (-1, 65536, 2**31 - 1):
        with pytest.raises(
            ValueError, match=f"whole numbers from .*{wrong}.* where 0 to 65535 were expected"
        ):
            as_picture(saved(Image.fromarray(np.array([[5, wrong]], np.int32)), "TIFF"))


def test_palettes_and_bits_with_transparency() -> None:
    palette = Image.new("P", (3, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.putdata([0, 1, 2])
    expected = np.array([[[1, 0, 0], [1, 1, 1], [0, 0, 1.0]]])
    for kind in ("PNG", "GIF"):
        np.testing.assert_array_equal(numbers(as_picture(saved(palette, kind, transparency=1))), expected)
    shares = bytes([255, 0, 51])  # alpha of each colour
    found = numbers(as_picture(saved(palette, "PNG", transparency=shares)))
    np.testing.assert_allclose(found[0], [[1, 0, 0], [1, 1, 1], [0.8, 0.8, 1]], atol=1 / 255)


@pytest.mark.parametrize(
    ("mode", "colour", "kind", "expected"),
    [
        ("CMYK", (0, 255, 255, 0), "JPEG", (1, 0, 0)),
        ("CMYK", (255, 0, 0, 51), "TIFF", (0, 0.8, 0.8)),
        (
            "LAB",
            (128, 128, 128),
            "TIFF",
            (0.4664, 0.4664, 0.4664),
        ),  # L* = 50.2 is Y = 0.1858 (CIE), sRGB 0.4684
        ("YCbCr", (255, 128, 128), "JPEG", (1, 1, 1)),
        ("1", 1, "TIFF", (1, 1, 1)),
        ("LA", (0, 51), "PNG", (0.8, 0.8, 0.8)),
        ("RGB", (200, 100, 50), "BMP", (200 / 255, 100 / 255, 50 / 255)),
        ("RGB", (200, 100, 50), "PPM", (200 / 255, 100 / 255, 50 / 255)),
        ("RGB", (200, 100, 50), "WEBP", (200 / 255, 100 / 255, 50 / 255)),
        ("RGBA", (200, 100, 50, 0), "WEBP", (1, 1, 1)),
        ("RGB", (200, 100, 50), "JPEG2000", (200 / 255, 100 / 255, 50 / 255)),
        ("RGB", (200, 100, 50), "AVIF", (200 / 255, 100 / 255, 50 / 255)),
    ],
)
def test_colours_of_other_modes_and_formats(mode: str, colour: object, kind: str, expected: tuple) -> None:
    Image.init()
    needs = {"WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif"}.get(kind)
    if kind not in Image.SAVE or (needs and needs not in features.get_supported()):
        pytest.skip(f"this Pillow has no {kind}")
    found = numbers(as_picture(saved(Image.new(mode, (16, 8), colour), kind)))
    assert found.shape == (8, 16, 3)
    np.testing.assert_allclose(found[4, 8], expected, atol=4 / 255)


def test_formats_that_are_not_listed_are_refused() -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
    for data in (eps, b"%PDF-1.4", saved(Image.new("RGB", (8, 8)), "TGA"), b"<html>404</html>", b"\0" * 99):
        with pytest.raises(ValueError, match="none of these formats.*JPEG, PNG, WEBP, GIF, TIFF, BMP, PPM"):
            as_picture(data)
    assert "EPS" not in FORMATS


# --- EXIF ----------------------------------------------------------------------------------------------------

# EXIF's orientations, as numpy undoes them; (rows, columns, channels).
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


def tiff(order: str, entries: list[tuple[int, int, int, bytes]], tail: bytes = b"") -> bytes:
    """A TIFF header and one directory of entries (tag, type, count, value or offset)."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(entries))
    return head + b"".join(struct.pack(order + "HHI", *e[:3]) + e[3] for e in entries) + b"\0" * 4 + tail


def turned(order: str, orientation: int) -> tuple[int, int, int, bytes]:
    return 0x0112, 3, 1, struct.pack(order + "HH", orientation, 0)


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_a_camera_held_sideways(orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(Image.fromarray(STORED), kind, exif=exif, **options)
    for source in (data, Image.open(io.BytesIO(data))):
        np.testing.assert_allclose(numbers(as_picture(source)), UPRIGHT[orientation](STORED) / 255, atol=1e-7)


def photo(exif: bytes) -> bytes:
    return saved(Image.new("RGB", (32, 16), (200, 100, 50)), "JPEG", quality=95, exif=exif)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "others",
    [
        [],
        [(0x010F, 2, 4000, b"\xff\xff\0\0")],  # before it: a maker's name that lies beyond the end
        [(0x010F, 99, 1, b"abcd"), (0x0110, 0, 0, b"\0" * 4)],  # types that there are none of
        [(0x011A, 5, 1, b"\xff\xff\xff\x7f")],  # after it: a resolution that lies nowhere
        [(0x011A, 2, 4, b"abc\0")],
        [
            (0x8769, 4, 1, b"\x08\0\0\0"),
            (0x8825, 4, 1, b"\x08\0\0\0"),
        ],  # directories that lead into themselves
    ],
)
def test_the_orientation_is_read_whatever_else_is_broken(order: str, others: list) -> None:
    entries = sorted([turned(order, 6), *others])
    for header in (b"Exif\0\0", b"Exif\0\0Exif\0\0"):
        assert as_picture(photo(header + tiff(order, entries))).shape == (1, 3, 32, 16)
    cut = tiff(order, entries)[: 10 + 12 * (1 + entries.index(turned(order, 6)))]  # nothing after it
    assert as_picture(photo(b"Exif\0\0" + cut)).shape == (1, 3, 32, 16)


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"II*\0",
        b"II*\0" + b"\xff" * 40,
        b"no header at all",
        b"MM\0*\0\0\0\x08\xff\xff",
        tiff("<", [turned("<", 0)]),
        tiff(">", [turned(">", 9)]),
        tiff("<", [(0x0112, 2, 2, b"6\0\0\0")]),
        tiff("<", [turned("<", 6)])[:15],
    ],
)
def test_where_no_orientation_can_be_read_the_picture_is_taken_as_it_is(exif: bytes) -> None:
    found = numbers(as_picture(photo(b"Exif\0\0" + exif)))
    assert found.shape == (16, 32, 3)
    np.testing.assert_allclose(found.mean(axis=(0, 1)) * 255, [200, 100, 50], atol=3)


# --- files that are broken, or too large ------------------------------------------------------------------


def test_whatever_the_bytes_are_there_is_a_picture_or_one_error() -> None:
    """Bytes changed at random in files of all formats: no other exception, no warning."""
    draw = random.Random(0)
    whole = [
        saved(Image.fromarray(STORED), kind) for kind in ("JPEG", "PNG", "GIF", "TIFF", "BMP", "PPM", "WEBP")
    ]
    whole += [
        photo(b"Exif\0\0" + tiff("<", [turned("<", 6)])),
        png(16, 2, np.zeros((3, 4, 3), int), (0, 0, 0)),
    ]
    outcomes, told = {"picture": 0, "error": 0}, set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for data in whole:
            for _ in range(60):
                spoiled = bytearray(data)
                for _ in range(draw.randint(1, 4)):
                    spoiled[draw.randrange(len(data))] = draw.randrange(256)
                if draw.random() < 0.3:
                    spoiled = spoiled[: draw.randrange(len(data))]
                try:
                    numbers(as_picture(bytes(spoiled)))
                    outcomes["picture"] += 1
                except ValueError as error:
                    outcomes["error"] += 1
                    told.add("cannot be read as a picture" in str(error))
    assert min(outcomes.values()) > 50
    assert told == {True}


@pytest.mark.parametrize(("width", "height"), [(60000, 60000), (12000, 12000), (2**31 - 1, 1), (65500, 700)])
def test_few_bytes_that_claim_many_pixels_are_refused_unread(width: int, height: int) -> None:
    """All zeros: a megabyte of them is a kilobyte of PNG."""
    data = bytearray(png(8, 2, np.zeros((1, 1, 3), int)))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(assets.AssetError, match="cannot be read as a picture .* pixels"):
        assets.picture(bytes(data))


def test_a_cameras_large_picture_is_none_of_them() -> None:
    """Six thousand by four thousand pixels, as cameras have them, in a flat JPEG of 100 kB; decoded small."""
    data = saved(Image.new("RGB", (6000, 4000), (200, 100, 50)), "JPEG")
    small = numbers(as_picture(data, 60))
    assert small.shape == (40, 60, 3)
    np.testing.assert_allclose(small[20, 30] * 255, [200, 100, 50], atol=3)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for source in (tmp_path / "none.png", tmp_path, os.fspath(tmp_path)):
        with pytest.raises(ValueError, match=f"{tmp_path}.* cannot be read as a picture"):
            as_picture(source)


# --- uploads and the way out ------------------------------------------------------------------------------


def test_the_last_upload_counts() -> None:
    files = [{"name": name, "content": memoryview(name.encode())} for name in ("a.png", "b.png")]
    assert uploaded(tuple(files)) == uploaded(files) == ("b.png", b"b.png")
    assert uploaded({f["name"]: {"content": bytes(f["content"])} for f in files}) == ("b.png", b"b.png")
    assert uploaded(()) is uploaded({}) is uploaded(None) is None
    with pytest.raises(ValueError, match="b.png cannot be read as a picture"):
        as_picture(tuple(files))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_is_saved_is_read_again(tmp_path: Path, channels: int) -> None:
    image = torch.rand(channels, 5, 7, generator=torch.Generator().manual_seed(channels))
    expected = (image.double() * 255).round().to(torch.uint8).permute(1, 2, 0).squeeze(2).numpy()
    for name, source in (
        ("a.png", image),
        ("b.PNG", image[None]),
        ("c.tiff", image),
        ("d.png", to_pil(image)),
    ):
        file = save_picture(source, tmp_path / name)
        assert file == tmp_path / name
        with Image.open(file) as opened:
            np.testing.assert_array_equal(np.asarray(opened), expected)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png", "b.PNG", "c.tiff", "d.png"]


def test_what_cannot_be_saved_says_so_and_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "old.jpg"
    save_picture(torch.zeros(3, 4, 4), file, quality=90)
    before = file.read_bytes()
    for image, name, says in (
        (torch.full((3, 4, 4), torch.nan), "old.jpg", "NaN"),
        (torch.zeros(4, 4, 4), "old.jpg", "a JPEG has no transparency: write 'old.png' instead"),
        (torch.zeros(2, 3, 4, 4), "old.jpg", r"got \(2, 3, 4, 4\)"),
        (torch.zeros(3, 0, 4), "old.jpg", r"got \(3, 0, 4\)"),
        (torch.zeros(3, 4, 4), "picture", "the ending of 'picture' says no picture format"),
        (torch.zeros(3, 4, 4), "v_0.05", "the ending of 'v_0.05' says no picture format"),
    ):
        with pytest.raises(ValueError, match=says):
            save_picture(image, tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"no folder/a\.png"):
        save_picture(torch.zeros(3, 4, 4), tmp_path / "no folder" / "a.png")
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]
