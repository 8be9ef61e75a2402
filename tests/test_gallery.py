"""The page of pictures, against the notebooks' own JSON; the small pictures that are committed; links of the pages."""

import base64
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dip_lessons.course.commands import main
from dip_lessons.course.gallery import gallery, header, thumbnail

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
THUMBNAILS = ROOT / "notebooks" / "pictures" / "thumbnails"


class Page(HTMLParser):
    """What a browser would find: figures (alt, bytes, caption) below their headings, and links."""

    def __init__(self, path):
        super().__init__()
        self.sections, self.links, self.open = [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.open.append(tag)
        if tag == "h2":
            self.sections.append(["", []])
        if tag == "a":
            self.links.append(attrs["href"])
        if tag == "img":
            data = base64.b64decode(attrs["src"].partition(";base64,")[2])
            self.sections[-1][1].append([attrs["alt"], data, ""])

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        if "figcaption" in self.open:
            self.sections[-1][1][-1][2] += data
        elif "h2" in self.open:
            self.sections[-1][0] += data


def drawn(kind, colour, size=(12, 9)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, kind)
    return buffer.getvalue()


def output(**data):
    return {"output_type": "display_data", "metadata": {}, "data": data}


def lesson(path, outputs=(), first="# One < two\n\n![A red square](attachment:a.jpg)", attached=None):
    attached = drawn("JPEG", "red") if attached is None else attached
    cells = [
        {
            "cell_type": "markdown",
            "metadata": {},
            "source": first,
            "attachments": {"a.jpg": {"image/jpeg": base64.b64encode(attached).decode()}},
        },
        {"cell_type": "code", "metadata": {}, "source": "", "execution_count": 1, "outputs": list(outputs)},
    ]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


def test_a_page_holds_header_and_captioned_pictures_in_order(tmp_path, capsys):
    jpeg, png, film = drawn("JPEG", "green"), drawn("PNG", "blue"), drawn("WEBP", "white")
    code = {name: base64.b64encode(data).decode() for name, data in (("j", jpeg), ("p", png), ("f", film))}
    words = [output(**{"text/markdown": f"*{text}*"}) for text in ("a \\* b < c & d", "a film")]
    path = lesson(
        tmp_path / "01_a.ipynb",
        [
            output(**{"image/png": code["p"]}),  # no caption: a player's, or a curve's
            output(**{"text/html": "<progress>"}),
            output(**{"image/jpeg": code["j"]}),
            words[0],
            output(**{"text/html": f'<img alt="x" src="data:image/webp;base64,{code["f"]}">'}),
            words[1],
            output(**{"text/markdown": "*italics below no picture*"}),
        ],
    )
    before = path.read_bytes()
    out = tmp_path / "sub" / "page.html"
    assert main(["gallery", str(path), "--out", str(out)]) == 0
    assert path.read_bytes() == before
    assert capsys.readouterr().out.split() == [str(out)]
    page = Page(out)
    assert page.links == ["../01_a.ipynb"]
    ((heading, figures),) = page.sections
    assert heading == "01 · One < two"
    assert figures == [
        ["A red square", drawn("JPEG", "red"), "A red square"],
        ["a * b < c & d", jpeg, "a * b < c & d"],
        ["a film", film, "a film"],
    ]


def test_the_page_of_the_course_has_every_lesson_and_every_captioned_picture(tmp_path):
    gallery(LESSONS, tmp_path / "all.html")
    page = Page(tmp_path / "all.html")
    assert [(tmp_path / link).resolve() for link in page.links] == LESSONS
    for path, (_, figures) in zip(LESSONS, page.sections, strict=True):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = [
            "".join(o["data"].get("text/markdown", ""))
            for c in cells
            for o in c.get("outputs", [])
            if "data" in o
        ]
        # A table's caption stands below no picture; every picture's is among the lines in italics.
        italics = {t.strip("*").replace("\\*", "*") for t in text}
        assert len(figures) >= 5
        assert {caption for _, _, caption in figures[1:]} <= italics
        for alt, data, caption in figures:
            assert alt == caption != ""
            assert min(Image.open(io.BytesIO(data)).size) >= 60


def test_what_cannot_be_shown_is_said(tmp_path, capsys):
    good, out = lesson(tmp_path / "01_a.ipynb"), tmp_path / "page.html"
    bare = lesson(tmp_path / "02_b.ipynb", first="# No picture")
    (tmp_path / "03_c.ipynb").write_text("no JSON")
    for notebook, words in (
        (bare, "02_b.ipynb: its first cell shows no attached picture"),
        (tmp_path / "03_c.ipynb", "is no notebook of format 4"),
        (tmp_path / "04_d.ipynb", "there is no notebook"),
    ):
        assert main(["gallery", str(good), str(notebook), "--out", str(out)]) == 1
        assert words in capsys.readouterr().err
    assert main(["gallery", str(good), "--out", str(tmp_path / "page.ipynb")]) == 1
    assert "--out page.html" in capsys.readouterr().err
    assert not out.exists()  # nothing is written unless all of it can be


# --- small pictures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0, 127])
def test_a_small_picture_is_as_wide_as_it_should_be_and_light_enough(noise):
    """Even where nothing compresses: white noise, twice as wide as high."""
    pixels = np.random.default_rng(0).integers(128 - noise, 129 + noise, (300, 600, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    small = thumbnail(buffer.getvalue())
    assert Image.open(io.BytesIO(small)).size == (240, 120)
    assert len(small) <= 15_000
    assert noise or abs(np.asarray(Image.open(io.BytesIO(small)), dtype=float) - 128).max() <= 1


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_committed_small_picture_is_what_the_command_makes(path):
    """Up to what two versions of a JPEG encoder differ by: `make gallery` makes it again."""
    committed = (THUMBNAILS / f"{path.stem}.jpg").read_bytes()
    assert len(committed) <= 15_000
    made = thumbnail(header(json.loads(path.read_text(encoding="utf-8"))).data)
    ours, theirs = (np.asarray(Image.open(io.BytesIO(data)), dtype=float) for data in (committed, made))
    assert ours.shape == theirs.shape
    assert abs(ours - theirs).mean() < 1


def test_there_are_no_other_small_pictures():
    assert sorted(path.stem for path in THUMBNAILS.iterdir()) == [path.stem for path in LESSONS]
