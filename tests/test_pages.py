"""The pages: no link leads nowhere, and what README.md and TEACHING.md say of lessons is what lessons say."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from PIL import Image
from test_grade import filled, planted, solutions

from dip_lessons.course.commands import main

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
PAGES = [
    ROOT / name
    for name in ("README.md", "TEACHING.md", "CONTRIBUTING.md", "data/README.md", "tests/README.md")
]
PAGES += [*(ROOT / "notebooks").glob("*.md"), *LESSONS]
LINK = re.compile(r"\]\(([^()\s]+)\)|\b(?:src|href)=\"([^\"]+)\"|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
WORDS = {
    "twenty-five": 25,
    "thirty": 30,
    "forty-five": 45,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "an hour": 60,
}
TEACHING = (ROOT / "TEACHING.md").read_text(encoding="utf-8")


def cells(path, kind):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def text(path):
    """A page's Markdown, of a notebook its Markdown cells; code, where ](x) is no link, is left out."""
    found = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        found = "\n\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    return re.sub(r"`[^`\n]+`", "", re.sub(r"```.*?```", "", found, flags=re.DOTALL))


def anchors(path):
    """What GitHub calls the headings of a page."""
    titles = re.findall(r"^#+ +(.+?) *$", text(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def said(lesson):
    """What a lesson's stored run printed."""
    outputs = [output for cell in cells(lesson, "code") for output in cell["outputs"]]
    parts = [
        "".join(o.get("text", "")) + "".join(o.get("data", {}).get("text/markdown", "")) for o in outputs
    ]
    return "\n".join(parts)


# --- links ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    for target in ("".join(groups) for groups in LINK.findall(text(page))):
        if re.match(r"https?://|attachment:|data:", target):
            continue
        name, _, anchor = target.partition("#")
        other = (page.parent / name).resolve() if name else page
        assert other.exists(), f"{page.name}: {target} leads to no file"
        assert other.is_relative_to(ROOT)
        assert not anchor or anchor in anchors(other), (
            f"{page.name}: {other.name} has no heading for #{anchor}"
        )


@pytest.mark.parametrize("page", PAGES[:3], ids=lambda path: path.name)
def test_every_path_that_a_page_names_is_there(page):
    full = page.read_text(encoding="utf-8")
    paths = re.findall(r"(?<![\w/])((?:dip_lessons|notebooks|tests|data)/[\w./]*)", full)
    paths = [p.rstrip(".") for p in paths if "NN" not in p and "OWNER" not in p]
    assert page.name == "TEACHING.md" or len(paths) > 5
    assert [p for p in paths if not (ROOT / p).exists()] == []


# --- README.md --------------------------------------------------------------------------------------------


def test_the_moving_picture_moves_and_is_light():
    path = ROOT / "notebooks" / "pictures" / "hero.webp"
    assert path.stat().st_size <= 1_500_000
    with Image.open(path) as film:
        assert film.n_frames >= 24
        assert film.info["loop"] == 0  # for ever


def test_the_picture_beside_the_code_was_made_by_that_code():
    """Of other lines `notebooks/pictures/readme.py` makes another picture."""
    program, _ = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), flags=re.DOTALL)
    with Image.open(ROOT / "notebooks" / "pictures" / "research.jpg") as picture:
        assert picture.info["comment"].decode() == hashlib.sha256(program.encode()).hexdigest()
        assert picture.size == (224, 224)


def test_the_readme_shows_each_lessons_picture_and_minutes():
    rows = re.findall(
        r"^\| \[<img src=\"notebooks/pictures/thumbnails/(\w+)\.jpg\" .*?\]\(notebooks/\1\.ipynb\) "
        r"\| \[.+?\]\(notebooks/\1\.ipynb\), (\d+)&nbsp;min<br>",
        (ROOT / "README.md").read_text("utf-8"),
        re.MULTILINE,
    )
    assert [stem for stem, _ in rows] == [path.stem for path in LESSONS]
    for path, (_, minutes) in zip(LESSONS, rows, strict=True):
        assert int(minutes) == reading_minutes(path), path.name


def reading_minutes(lesson):
    header = "".join(cells(lesson, "markdown")[0]["source"])
    row = re.search(r"^\|(?:-+\|)+\n\|.*\| *([^|]+?) *\|$", header, re.MULTILINE)
    return next(minutes for words, minutes in WORDS.items() if row[1].startswith(words))


# --- TEACHING.md ------------------------------------------------------------------------------------------


def misconceptions():
    """(lesson, minutes or None, section, what comes out) of each row of the table."""
    lesson, rows = None, []
    for first, section, outcome in re.findall(
        r"^\| *((?:\[\d\d\][^|]*)?)\| [^|]+ \| (\d · [^|]+?) \| (.+?) \|$", TEACHING, re.MULTILINE
    ):
        found = re.match(r"\[(\d\d)\]\((notebooks/\S+)\) · (\d+) min", first)
        lesson = ROOT / found[2] if found else lesson
        rows.append((lesson, int(found[3]) if found else None, section, outcome))
    return rows


def test_misconceptions_of_every_lesson_with_its_minutes():
    first = [(lesson, minutes) for lesson, minutes, _, _ in misconceptions() if minutes]
    assert first == [(path, reading_minutes(path)) for path in LESSONS]
    assert all([row[0] for row in misconceptions()].count(path) >= 2 for path in LESSONS)


def test_the_questions_are_asked_and_the_numbers_were_measured():
    """Each section is a heading of the lesson that asks for a prediction, each bold number was printed there."""
    bold = 0
    for lesson, _, section, outcome in misconceptions():
        sections = re.split(r"^## ", text(lesson), flags=re.MULTILINE)
        (asked,) = [part for part in sections if part.startswith(section + "\n")]
        assert "**Predict" in asked or "Predict**" in asked, (lesson.name, section)
        for measured in re.findall(r"\*\*(.+?)\*\*", outcome):
            bold += 1
            printed, number = said(lesson), re.escape(measured)
            if re.fullmatch(r"\d", measured):  # a digit stands anywhere: there too it has to be bold
                assert f"**{measured}**" in printed, (lesson.name, measured)
            else:
                whole = rf"(?<![\w.]){number}(?![\w%]|\.\d)"
                assert re.search(whole, printed.replace("*", "")), (lesson.name, measured)
    assert bold >= 40


def test_the_semester_names_every_exercise_with_its_minutes():
    planned = re.findall(r"`(\w+)` (\d+)[,;| ]", TEACHING.split("### One semester")[1].split("## What")[0])
    found = []
    for path in LESSONS:
        names = re.findall(
            r"^dip\.check\.(\w+)\(",
            "\n".join("".join(c["source"]) for c in cells(path, "code")),
            re.MULTILINE,
        )
        minutes = re.findall(r"^### .+ · (\d+) minutes$", text(path), re.MULTILINE)
        found += zip(names, minutes, strict=True)
    assert planned == found


def test_what_grading_prints_is_what_the_page_shows(tmp_path, monkeypatch, capsys):
    """Three of the four people; the fourth would loop without end. Times differ, and sums by the fourth."""
    lesson = ROOT / "notebooks" / "02_decorrelation.ipynb"
    right, wrong = solutions(lesson), planted(lesson)["preconditioned_step"]
    ben = {
        "preconditioned_step": wrong["took the gradient of x for that of θ"],
        "color_root": right["color_root"],
    }
    monkeypatch.chdir(tmp_path)
    for name, answers in {"ada": right, "ben": ben, "dan": {}}.items():
        Path("handed_in", name).mkdir(parents=True)
        filled(lesson, answers, Path("handed_in", name, lesson.name))
    Path("handed_in/dan", lesson.name).write_text("half a file")
    assert main(["grade", "handed_in"]) == 0
    printed = re.sub(r"\d+\.\d s\n", "", capsys.readouterr().out)
    assert printed.count("passed") == 7 + 1
    shown = re.sub(r"\d+\.\d s\n", "", TEACHING)
    for person in printed.split("\n\n")[0].split("handed_in/")[1:]:
        assert person.rstrip() in shown
