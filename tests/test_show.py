"""Pictures on the page: right pixels, right shapes, clear errors."""

import importlib

import numpy as np
import pytest
import torch
from PIL import Image

import dip_lessons as dip

show = importlib.import_module("dip_lessons.show")  # `dip_lessons.show` is the function of that name


def test_to_pil_rounds_each_value():
    image = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = np.round(image.numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
    assert np.array_equal(np.asarray(show.to_pil(image)), expected)


def test_a_sheet_holds_each_picture_at_its_place():
    red, blue = torch.zeros(3, 8, 8), torch.zeros(3, 8, 8)
    red[0], blue[2] = 1, 1
    page = dip.sheet([red, blue, red], columns=2, side=32)
    assert page.size == (32 * 2 + 6, 32 * 2 + 6)
    assert page.getpixel((10, 10)) == (255, 0, 0)
    assert page.getpixel((50, 10)) == (0, 0, 255)
    assert page.getpixel((10, 50)) == (255, 0, 0)
    assert page.getpixel((50, 50)) == (255, 255, 255)


def test_titles_of_a_dict_take_room_above_the_pictures():
    plain = dip.sheet([torch.zeros(3, 8, 8)], side=32)
    titled = dip.sheet({"a title far too long for thirty-two pixels": torch.zeros(3, 8, 8)}, side=32)
    assert titled.width == plain.width
    assert titled.height > plain.height


def test_transparency_shows_the_checkerboard():
    clear = torch.zeros(4, 32, 32)
    page = np.asarray(dip.sheet(clear, side=32))
    assert set(np.unique(page)) == {214, 255}


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_batches_and_channels(channels):
    assert dip.sheet(torch.rand(5, channels, 6, 9), side=18, columns=5).size == (5 * 24 - 6, 12)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.zeros(2, 8, 8), "1, 3 or 4 channels"),
        (torch.zeros(8, 8), r"\(C, H, W\)"),
        (torch.full((3, 8, 8), torch.nan), "NaN"),
        ([], "no picture"),
    ],
)
def test_what_is_no_picture_is_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        dip.sheet(bad)


def test_wrong_number_of_titles():
    with pytest.raises(ValueError, match="2 pictures but 1 titles"):
        dip.sheet(torch.zeros(2, 3, 8, 8), ["one"])


def shown(monkeypatch):
    seen = []
    monkeypatch.setattr(show, "display", lambda *objects, **_: seen.extend(objects))
    return seen


def test_show_displays_a_jpeg_and_its_caption(monkeypatch):
    seen = shown(monkeypatch)
    dip.show(torch.rand(2, 3, 16, 16), caption="seed 0")
    assert seen[0].data[:2] == b"\xff\xd8"
    assert seen[1].data == "*seed 0*"


def test_curves_draw_lists_and_pairs(monkeypatch):
    seen = shown(monkeypatch)
    dip.curves({"list": [1, 2, 3], "pair": ([0.1, 10], [2, 1]), "tensor": torch.arange(4.0)}, log_x=True)
    assert seen[0].data[:4] == b"\x89PNG"


def test_a_table_rounds_numbers_and_keeps_words(monkeypatch):
    seen = shown(monkeypatch)
    dip.table([["pixels", 0.123456, torch.tensor(7.0)], ["Fourier", 12, 1234.5]], ["arm", "value", "steps"])
    assert seen[0].data.splitlines()[2:] == ["| pixels | 0.123 | 7 |", "| Fourier | 12 | 1,234 |"]


def test_a_film_loops_with_all_its_frames(monkeypatch, tmp_path):
    seen = shown(monkeypatch)
    dip.film([torch.full((3, 8, 8), v) for v in (0.0, 0.5, 1.0)], fps=10, side=16)
    (tmp_path / "film.gif").write_bytes(seen[0].data)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 3
        assert film.info["loop"] == 0
        assert film.info["duration"] == 100


def test_finish_takes_the_remaining_steps_of_all_runs(monkeypatch):
    shown(monkeypatch)
    monkeypatch.setattr(show, "display", lambda *_, **__: None)  # as where there is no front end
    network = dip.Network(torch.nn.Conv2d(3, 2, 3))
    runs = {
        name: dip.optimize(dip.Pixels(8), dip.channel("logits", 0), network, steps=n)
        for name, n in {"a": 2, "b": 3}.items()
    }
    runs["a"].advance(1)
    dip.finish(runs)
    assert [run.step for run in runs.values()] == [2, 3]
