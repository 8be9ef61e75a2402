"""Pictures on the page: right pixels, right shapes, clear errors."""

import base64
import io
import math
import re
import shutil
import subprocess

import numpy as np
import pytest
import torch
from panel import in_a_notebook as shown
from PIL import Image

import dip_lessons as dip
from dip_lessons.notebook import sheets
from dip_lessons.notebook.sheets import FONT_SIZES, _fitted
from dip_lessons.pictures import to_pil


def test_to_pil_rounds_each_value():
    image = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = np.round(image.numpy().transpose(1, 2, 0) * 255).astype(np.uint8)
    assert np.array_equal(np.asarray(to_pil(image)), expected)


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


def test_a_long_title_takes_lines_and_nothing_of_it_is_lost():
    black = torch.zeros(3, 8, 8)
    one, two = dip.sheet({"wave": black}, side=98), dip.sheet({"the great wave": black}, side=98)
    assert two.height == one.height + 16
    assert np.array_equal(np.asarray(two)[-98:], np.asarray(one)[-98:])
    texts = ["van_gogh_auvers", "strongest grid of 2, 4, 8: pixels", "ψ = 0.8", ""]
    assert _fitted(texts, 94)[1].size == FONT_SIZES[0]
    for text in [*texts, "word " * 40, "Donaudampfschifffahrtsgesellschaft", "a" * 300]:
        (lines,), font = _fitted([text], 94)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert all(font.getlength(line) <= 94 for line in lines)
    tiny = dip.sheet({"a title far too long": black, "b": black}, side=8)
    assert tiny.width == 2 * 8 + 6


def test_long_titles_in_small_letters() -> None:
    """Where 13 px would take too many lines or break a word, all titles of a sheet are smaller."""
    texts = ["short", "unbreakable"]
    sizes = [_fitted(texts, width)[1].size for width in (120, 70, 55, 20)]
    assert sizes == sorted(sizes, reverse=True)
    assert (sizes[0], sizes[-1]) == (FONT_SIZES[0], FONT_SIZES[-1])
    just = math.ceil(sheets._font(FONT_SIZES[-1]).getlength("unbreakable"))
    assert _fitted(texts, just)[0] == [["short"], ["unbreakable"]]


def test_rows_have_labels_and_columns_titles():
    grid = [torch.full((3, 8, 8), i / 8) for i in range(6)]
    plain = np.asarray(dip.sheet(grid, columns=3, side=32))
    page = np.asarray(dip.sheet(grid, rows=["as it is", "blurred"], side=32))
    left = page.shape[1] - plain.shape[1]
    assert np.array_equal(page[:, left:], plain)
    for y in (0, 38):  # something is written to the left of each row, and nothing reaches its pictures
        assert page[y : y + 32, :left].min() < 100
        assert page[y : y + 32, left - 6 : left].min() == 255
    titled = np.asarray(dip.sheet(grid, ["a", "b", "c"], rows=["as it is", "blurred"], side=32))
    assert np.array_equal(titled[22:], page)  # titles stand over the first row only
    each = dip.sheet(grid, list("abcdef"), rows=["as it is", "blurred"], side=32)
    assert each.height == len(page) + 2 * 22
    for bad in ({"rows": ["a", "b", "c", "d"]}, {"rows": []}, {"rows": ["a", "b"], "columns": 2}):
        with pytest.raises(ValueError, match=f"6 pictures do not make {len(bad['rows'])} labelled rows"):
            dip.sheet(grid, **bad)
    with pytest.raises(ValueError, match="6 pictures but 2 titles"):
        dip.sheet(grid, ["a", "b"], rows=["as it is", "blurred"])


def test_transparency_shows_the_checkerboard():
    clear = torch.zeros(4, 32, 32)
    page = np.asarray(dip.sheet(clear, side=32))
    assert set(np.unique(page)) == {168, 192}
    for pixels in (8, 200):  # squares of 8 px on the page, whatever the picture's size
        assert np.array_equal(np.asarray(dip.sheet(torch.zeros(4, pixels, pixels), side=32)), page)
    half = torch.cat([torch.zeros(3, 32, 32), torch.full((1, 32, 32), 0.5)])
    assert set(np.unique(dip.sheet(half, side=32))) == {84, 96}  # half of 168 and of 192


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
        ("a name", "a list of these; got 'a name'"),
        ([3], "a list of these; got 3"),
    ],
)
def test_what_is_no_picture_is_refused(bad, message):
    with pytest.raises((ValueError, TypeError), match=message):
        dip.sheet(bad)


def test_wrong_number_of_titles():
    with pytest.raises(ValueError, match="2 pictures but 1 titles"):
        dip.sheet(torch.zeros(2, 3, 8, 8), ["one"])


def test_show_displays_a_jpeg_and_its_caption(monkeypatch):
    seen = shown(monkeypatch)
    dip.show(torch.rand(2, 3, 16, 16), caption="seed 0, 2*3 steps")
    assert seen[0].data[:2] == b"\xff\xd8"
    assert seen[1].data == r"*seed 0, 2\*3 steps*"


def test_curves_draw_lists_and_pairs(monkeypatch):
    seen = shown(monkeypatch)
    dip.curves({"list": [1, 2, 3], "pair": ([0.1, 10], [2, 1]), "tensor": torch.arange(4.0)}, log_x=True)
    assert seen[0].data[:4] == b"\x89PNG"


def test_a_table_rounds_numbers_and_keeps_words(monkeypatch):
    seen = shown(monkeypatch)
    dip.table([["pixels", 0.123456, torch.tensor(7.0)], ["Fourier", 12, 1234.5]], ["arm", "value", "steps"])
    assert seen[0].data.splitlines()[2:] == ["| pixels | 0.123 | 7 |", "| Fourier | 12 | 1,234 |"]


def moving(frames=12, side=40, channels=3):
    """A colourful film in which everything moves: waves that run through the picture, (T, C, H, W)."""
    t, y, x = torch.meshgrid(torch.arange(frames), torch.arange(side), torch.arange(side), indexing="ij")
    phases = [2 * torch.pi * (t / frames + (k * x + (3 - k) * y) / side) for k in range(channels)]
    return 0.5 + 0.5 * torch.stack(phases, dim=1).sin()


def decoded(source):
    """Frames (T, H, W, 3) as bytes, their durations in ms, and how often the film is shown (0: for ever)."""
    with Image.open(source) as film:
        frames, durations = [], []
        for i in range(film.n_frames):
            film.seek(i)
            film.load()
            frames.append(np.asarray(film.convert("RGB")))
            durations.append(film.info["duration"])
        return np.stack(frames), durations, film.info["loop"]


def webp_of(bundle):
    source = re.fullmatch(
        r'<img src="data:image/webp;base64,([^"]+)" alt="[^"<>]*" width="\d+">', bundle["text/html"]
    )
    return io.BytesIO(base64.b64decode(source[1]))


def as_bytes(frames):
    return (frames * 255).round().permute(0, 2, 3, 1).numpy()


def test_a_film_loops_with_all_its_frames(monkeypatch):
    seen = shown(monkeypatch)
    frames = moving()
    dip.film(frames, fps=10, side=40, quality=90, caption='decay "1" < 2')
    got, durations, loop = decoded(webp_of(seen[0]))
    assert (durations, loop) == ([100] * 12, 0)
    assert np.abs(got - as_bytes(frames)).mean() < 6
    assert np.abs(got - as_bytes(frames.roll(1, 0))).mean() > 30  # the order matters
    assert seen[0]["text/plain"] == "<film of 12 frames, 1.2 s>"
    assert 'alt="decay &quot;1&quot; &lt; 2" width="40">' in seen[0]["text/html"]
    assert seen[1].data == '*decay "1" < 2*'


def test_a_film_takes_tensors_lists_generators_and_sheets(monkeypatch):
    seen = shown(monkeypatch)
    frames = moving(4)
    for given in (frames, list(frames), (f for f in frames), [f[None] for f in frames]):
        dip.film(given, side=40)
    assert len({bundle["text/html"] for bundle in seen}) == 1
    dip.film([frames[:3], frames[1:]], side=40)
    assert decoded(webp_of(seen[-1]))[0].shape == (2, 40, 3 * 46 - 6, 3)


def test_a_film_runs_there_and_back(monkeypatch):
    seen = shown(monkeypatch)
    dip.film(moving(5), side=40, quality=90, bounce=True)
    got, durations, _ = decoded(webp_of(seen[0]))
    assert len(durations) == 8  # neither end is shown twice
    assert np.abs(got - as_bytes(moving(5)[[0, 1, 2, 3, 4, 3, 2, 1]])).mean() < 6
    dip.film(moving(1), side=40, bounce=True)
    assert seen[1]["text/plain"] == "<film of 1 frames, 0.0833 s>"


def test_transparent_frames_lie_over_the_checkerboard(monkeypatch):
    seen = shown(monkeypatch)
    dip.film([torch.zeros(4, 32, 32), torch.ones(4, 32, 32)], side=32, quality=100)
    got, _, _ = decoded(webp_of(seen[0]))
    assert np.abs(got[0] - np.asarray(dip.sheet(torch.zeros(4, 32, 32), side=32)).astype(float)).max() < 4
    assert got[1].min() > 250


def test_small_changes_leave_nothing_behind(monkeypatch):
    """One half moves, the other fades: no block of it may stay as it was (it does with libwebp's defaults)."""
    seen = shown(monkeypatch)
    frames = moving(60, side=96)
    rough = torch.rand(3, 96, 96, generator=torch.Generator().manual_seed(0))
    fading = torch.stack([0.5 + (rough - 0.5) * i / 59 for i in range(60)])
    frames[..., 48:] = fading[..., 48:]
    dip.film(frames, fps=20, side=96)
    got, durations, _ = decoded(webp_of(seen[0]))
    assert durations == [50] * 60
    contrast = got[:, :, 52:].std(axis=(1, 2, 3)) / as_bytes(frames)[:, :, 52:].std(axis=(1, 2, 3)).clip(1)
    assert contrast[20:].min() > 0.6, contrast


def test_a_colourful_film_of_three_seconds_stays_small(monkeypatch):
    seen = shown(monkeypatch)
    dip.film(moving(36, side=224), side=224)
    assert len(seen[0]["text/html"]) < 250_000


def test_films_are_written_as_webp_and_gif(monkeypatch, tmp_path):
    seen = shown(monkeypatch)
    for name in ("a.webp", "b.GIF"):
        dip.film(moving(6), fps=10, side=40, path=tmp_path / name)
        frames, durations, loop = decoded(tmp_path / name)
        assert (durations, loop) == ([100] * 6, 0)
        assert np.abs(frames - as_bytes(moving(6))).mean() < 16
    assert (tmp_path / "a.webp").read_bytes() == webp_of(seen[0]).getvalue()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.webp", "b.GIF"]


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg writes .mp4 and reads it")
def test_films_are_written_as_mp4_of_even_size(monkeypatch, tmp_path):
    shown(monkeypatch)
    dip.film(moving(6, side=41), fps=10, side=41, quality=90, path=str(tmp_path / "film.mp4"))
    told = subprocess.run(["ffmpeg", "-i", tmp_path / "film.mp4"], capture_output=True, text=True).stderr
    assert re.search(r"h264.*yuv420p.*42x42.*10 fps", told)
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        tmp_path / "film.mp4",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(6, 42, 42, 3)[:, :41, :41]
    assert np.abs(frames - as_bytes(moving(6, side=41))).mean() < 12
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]


def test_an_mp4_without_ffmpeg_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"install it, or choose \.webp or \.gif"):
        dip.film(moving(2), path=tmp_path / "film.mp4")


def test_a_film_that_fails_leaves_the_old_file(monkeypatch, tmp_path):
    shown(monkeypatch)
    ffmpeg = tmp_path / "bin" / "ffmpeg"
    ffmpeg.parent.mkdir()
    ffmpeg.write_text("#!/bin/sh\necho 'Unknown encoder' >&2\nexit 1\n")
    ffmpeg.chmod(0o755)
    monkeypatch.setenv("PATH", str(ffmpeg.parent))
    (tmp_path / "film.mp4").write_text("old")
    with pytest.raises(RuntimeError, match=r"\(Unknown encoder\): choose"):
        dip.film(moving(2), path=tmp_path / "film.mp4")
    assert (tmp_path / "film.mp4").read_text() == "old"
    assert {p.name for p in tmp_path.iterdir()} == {"bin", "film.mp4"}


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "at least one frame"),
        (torch.zeros(3, 8, 8), {}, r"\(T, C, H, W\), or a list of pictures; got \(3, 8, 8\)"),
        (torch.zeros(2, 2, 8, 8), {}, "1, 3 or 4 channels"),
        ([torch.zeros(3, 8, 8), torch.zeros(3, 8, 4)], {}, r"frame 1 is \(16, 32\), the first is \(32, 32\)"),
        (torch.zeros(2, 3, 8, 8), {"fps": 0}, "fps must be above 0"),
        (torch.zeros(2, 3, 8, 8), {"fps": float("nan")}, "fps must be above 0"),
        (torch.zeros(2, 3, 8, 8), {"quality": 0}, "quality must lie between 1 and 100"),
        (torch.zeros(2, 3, 8, 8), {"path": "film.avi"}, r"\.webp, \.gif or \.mp4; got 'film.avi'"),
    ],
)
def test_what_is_no_film_is_refused(frames, options, message):
    with pytest.raises(ValueError, match=message):
        dip.film(frames, **{"side": 32, **options})


def test_a_film_is_there_in_an_exported_page(monkeypatch):
    nbformat, nbconvert = pytest.importorskip("nbformat"), pytest.importorskip("nbconvert")
    seen = shown(monkeypatch)
    dip.film(moving(4), side=40)
    cell = nbformat.v4.new_code_cell("dip.film(frames)")
    cell.outputs = [nbformat.v4.new_output("display_data", data=seen[0])]
    page, _ = nbconvert.HTMLExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    source, told = re.search(r'src="([^"]+)" alt="([^"]+)"', seen[0]["text/html"]).groups()
    image = re.search(rf'<img [^>]*src="{re.escape(source)}"[^>]*>', page)
    assert image
    assert f'alt="{told}"' in image[0]


def test_finish_takes_the_remaining_steps_of_all_runs(capsys):
    network = dip.Network(torch.nn.Conv2d(3, 2, 3))
    runs = {
        name: dip.optimize(dip.Pixels(8), dip.channel("logits", 0), network, steps=n)
        for name, n in {"a": 2, "b": 3}.items()
    }
    runs["a"].advance(1)
    dip.finish(runs)
    assert [run.step for run in runs.values()] == [2, 3]
    assert capsys.readouterr().out == "4 steps were taken.\n"


def test_a_script_prints_a_sentence_in_place_of_a_picture(capsys, tmp_path):
    """And no base64: whatever is displayed, one line of words; a table is text already."""
    picture = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    calls = {
        "sheet": lambda: dip.show([picture, picture], ["one", "two"], caption="seed 0"),
        "Curves of loss": lambda: dip.curves({"loss": [1.0, 2.0]}, caption="seed 0"),
        "film of 3 frames": lambda: dip.film([picture] * 3, caption="seed 0"),
        "film.gif": lambda: dip.film([picture] * 3, path=tmp_path / "film.gif"),
        "panorama": lambda: dip.view_panorama(picture[:, :8]),
        "mesh": lambda: dip.view_mesh(picture, dip.mesh.torus(4, 4), size=(24, 32)),
        "A half": lambda: dip.say("A half is **50%**."),
    }
    for words, call in calls.items():
        call()
        out = capsys.readouterr().out
        assert words in out
        assert out.count("\n") == 1
        assert len(out) < 120 + len(str(tmp_path))
    dip.table([["pixels", 0.5]], ["arm", "value"])
    assert capsys.readouterr().out == "| arm | value |\n| --- | --- |\n| pixels | 0.5 |\n"
