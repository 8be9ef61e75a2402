"""A learner's own picture: what either ipywidgets hands over, the picture made of it, and what the button shows."""

import datetime
import html
import io
import types

import ipywidgets
import numpy as np
import pytest
import torch
from panel import in_a_notebook
from PIL import Image

import dip_lessons as dip
from dip_lessons import assets


def file_of(array: np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def choose(chooser: dip.PictureChooser, name: str, content: bytes) -> None:
    """What ipywidgets does when the page sends a file: the one that is installed, 7 or 8."""
    now = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    file = {"name": name, "type": "image/png", "size": len(content), "last_modified": now}
    if int(ipywidgets.__version__.split(".")[0]) < 8:
        chooser._button.set_trait("value", {name: {"metadata": file, "content": content}})
    else:
        chooser._button.value = ({**file, "content": memoryview(content)},)


def test_what_both_versions_of_ipywidgets_hand_over() -> None:
    """The last file counts; the widget of 7 is a stand-in, since one of the two is installed."""
    old, new = (file_of(np.full((2, 2), level, np.uint8)) for level in (0, 255))
    eight = ({"name": "a.png", "content": memoryview(old)}, {"name": "b.png", "content": memoryview(new)})
    seven = {
        "a.png": {"metadata": {"name": "a.png"}, "content": old},
        "b.png": {"metadata": {}, "content": new},
    }
    for value in (eight, seven):
        chooser = dip.choose_picture()
        chooser._button = types.SimpleNamespace(value=value)
        assert chooser.name == "b.png"
        assert torch.equal(chooser.picture((2, 2)), torch.ones(1, 3, 2, 2))
    for nothing in ((), {}):
        chooser._button = types.SimpleNamespace(value=nothing)
        assert chooser.name == "astronaut"


def test_the_default_until_a_file_is_chosen() -> None:
    chooser = dip.choose_picture("chelsea")
    assert torch.equal(chooser.picture(96), assets.picture("chelsea", 96))
    assert (chooser.name, repr(chooser)) == ("chelsea", "<picture chooser: chelsea>")
    shown = Image.open(io.BytesIO(chooser._image.value))
    assert max(shown.size) == 192

    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    choose(chooser, "<mine>.png", file_of(pixels))
    image = chooser.picture((5, 7))
    np.testing.assert_allclose(image[0].permute(1, 2, 0).numpy() * 255, pixels, atol=1e-4)
    assert chooser.name == "<mine>.png"
    assert chooser._note.value == "&lt;mine&gt;.png"
    assert Image.open(io.BytesIO(chooser._image.value)).size == (192, 137)
    with pytest.raises(assets.UnknownAssetError):
        dip.choose_picture("chelsae")


def test_a_file_that_is_no_picture_is_told_on_the_page_and_when_asked_for() -> None:
    chooser = dip.choose_picture()
    choose(chooser, "notes.png", b"not a picture")
    assert "notes.png: a file of 13 bytes cannot be read as a picture" in chooser._note.value
    with pytest.raises(assets.AssetError, match=r"notes.png: .*JPEG.* Choose another file"):
        chooser.picture()
    choose(chooser, "grey.png", file_of(np.full((4, 4), 51, np.uint8)))
    torch.testing.assert_close(chooser.picture(4), torch.full((1, 3, 4, 4), 0.2))
    assert chooser._note.value == "grey.png"


@pytest.mark.parametrize(
    "error", [SyntaxError("broken PNG"), MemoryError(), OverflowError("too long"), KeyError("x")]
)
def test_whatever_a_reader_of_files_raises_is_told_on_the_page(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    chooser = dip.choose_picture()
    before = chooser._image.value

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("dip_lessons.notebook.player.chooser.load", broken)
    choose(chooser, "<mine>.png", b"")
    assert "&lt;mine&gt;.png: " in chooser._note.value
    assert (str(error) or type(error).__name__) in html.unescape(chooser._note.value)
    assert chooser._image.value == before  # the last one that could be read
    with pytest.raises(assets.AssetError, match="<mine>.png: .*Choose another file"):
        chooser.picture()


def test_a_camera_held_sideways_and_a_transparent_picture_as_bytes() -> None:
    stored = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    image = assets.picture(file_of(stored, exif=exif))
    np.testing.assert_allclose(image[0].permute(1, 2, 0).numpy() * 255, np.rot90(stored, -1), atol=1e-4)
    clear = np.array([[[255, 0, 0, 255], [255, 0, 0, 0]]], np.uint8)
    expected = torch.tensor([[[1.0, 1.0]], [[0.0, 1.0]], [[0.0, 1.0]]])[None]
    torch.testing.assert_close(assets.picture(file_of(clear)), expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_large_picture_is_the_same_as_made_small_at_once(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond what Pillow finds suspicious, and a JPEG is decoded at a fraction of its size; greys included."""
    x, y = np.meshgrid(np.linspace(0, 3, 3000), np.linspace(0, 2, 2000))
    grey = (127 + 120 * np.sin(3 * x) * np.cos(2 * y)).astype(np.uint8)
    large = file_of(grey, kind)
    whole = torch.from_numpy(grey.astype(np.float32) / 255).view(1, 40, 50, 60, 50).mean(dim=(2, 4))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4_000_000)  # 6 million are a warning, 8 million an error
    sizes = []
    thumbnail = Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda self, *a, **k: sizes.append(self.size) or thumbnail(self, *a, **k)
    )
    image = assets.picture(large, 60)
    torch.testing.assert_close(image[:, 0], whole, atol=0.01, rtol=0)
    assert sizes == [(375, 250) if kind == "JPEG" else (3000, 2000)]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2_000_000)
    with pytest.raises(
        assets.AssetError, match="a file of .* bytes cannot be read as a picture .*exceeds limit"
    ):
        assets.picture(large, 60)


def test_what_a_page_without_a_kernel_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = in_a_notebook(monkeypatch)
    chooser = dip.choose_picture()
    chooser._ipython_display_()
    (data,) = shown
    assert data["text/plain"] == "<picture chooser: astronaut>"
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == chooser._box.model_id
    assert data["image/jpeg"].startswith("/9j/")
