"""Notebooks to hand out: no solution is left, everything else is, and nothing is overwritten unasked."""

import json
import re
from pathlib import Path

import pytest

from dip_lessons.course.commands import main
from dip_lessons.course.handout import handout

ROOT = Path(__file__).parents[1]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOLUTION = re.compile(r"<details>\s*<summary>Solution</summary>(.*?)</details>", re.DOTALL)
NEXT = re.compile(r"\[([^\]]+)\]\((\d\d_\w+\.ipynb)\)")
PYTHON = re.compile(r"```python\n(.*?)```", re.DOTALL)


def cells(path):
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def text(cell):
    return "".join(cell["source"])


def write(path, *markdown, code=()):
    content = [
        {"cell_type": "markdown", "id": str(i), "metadata": {}, "source": m} for i, m in enumerate(markdown)
    ]
    content += [
        {
            "cell_type": "code",
            "id": f"c{i}",
            "metadata": {},
            "source": c,
            "execution_count": 1,
            "outputs": [{"x": 1}],
        }
        for i, c in enumerate(code)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": content, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


@pytest.fixture(scope="module")
def handed_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("handout")
    before = {path: path.read_bytes() for path in LESSONS}
    assert handout(LESSONS, folder) == 0
    assert {path: path.read_bytes() for path in LESSONS} == before  # the sources are only read
    return folder


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_no_line_of_a_solution_is_left_and_nothing_else_is_gone(lesson, handed_out):
    before, after = cells(lesson), cells(handed_out / lesson.name)
    names = [path.name for path in LESSONS]
    kept = {cell["id"]: cell for cell in after}
    everything = "\n".join(map(text, after))
    solutions = [s for cell in before for s in SOLUTION.findall(text(cell))]
    assert len(solutions) >= 2
    for solution in solutions:
        pythons = PYTHON.findall(solution)
        assert pythons
        assert not any(python.strip() in everything for python in pythons)
    assert "Solution" not in everything
    for cell in before:
        if SOLUTION.search(text(cell)) or "colab.research" in text(cell):
            hints = SOLUTION.split(text(cell))[::2]  # what stands around the solutions
            remains = text(kept[cell["id"]])
            assert remains.count("<summary>Hint") == sum(h.count("<summary>Hint") for h in hints)
            assert remains.count("<details>") == remains.count("</details>")
            assert re.findall(r"^#+ .*$", remains, re.M) == re.findall(r"^#+ .*$", text(cell), re.M)
            assert kept[cell["id"]].get("attachments") == cell.get("attachments")
        elif re.search(r"dip\.check\.\w+\(", text(cell)) and cell["cell_type"] == "code":
            assert kept[cell["id"]] == cell | {"outputs": [], "execution_count": None}
        elif "raise NotImplementedError" in text(cell):
            assert kept[cell["id"]]["source"] == cell["source"]
        else:  # a lesson may lead on to one that is not there yet
            assert text(kept[cell["id"]]) == NEXT.sub(lambda m: m[0] if m[2] in names else m[1], text(cell))
            assert kept[cell["id"]] | {"source": cell["source"]} == cell
    assert list(kept) == [cell["id"] for cell in before]


def test_links_between_the_lessons_that_are_handed_out_still_lead_somewhere(handed_out):
    links = 0
    for path in handed_out.glob("*.ipynb"):
        for cell in cells(path):
            if cell["cell_type"] == "markdown":
                for target in re.findall(r"\]\((\w+\.ipynb)\)", text(cell)):
                    links += 1
                    assert (handed_out / target).is_file()
                for name in re.findall(r"\(attachment:([^)]+)\)", text(cell)):
                    assert name in cell["attachments"]
                assert "colab.research" not in text(cell)  # it would open the lesson with its solutions
    assert links >= len(LESSONS)


def test_a_link_to_what_is_not_handed_out_becomes_text(tmp_path):
    source = write(
        tmp_path / "all" / "02_b.ipynb",
        "[**one**](01_a.ipynb#top), [self](02_b.ipynb), [read](../README.md), [web](https://x.org/a.ipynb), [h](#up)",
        '`layers[i](x)` and $A[j](y)$ and [a map](pictures/map.png "title")',
        '<img src="pictures/a.jpg"> ![b](pictures/b.jpg) [![b](pictures/b.jpg)](01_a.ipynb)',
    )
    (tmp_path / "README.md").write_text("…")
    (tmp_path / "all" / "pictures").mkdir()
    for name in ("a.jpg", "b.jpg", "map.png"):
        (tmp_path / "all" / "pictures" / name).write_bytes(name.encode())
    assert handout([source], tmp_path / "out") == 0
    assert [text(cell) for cell in cells(tmp_path / "out" / "02_b.ipynb")] == [
        "**one**, [self](02_b.ipynb), read, [web](https://x.org/a.ipynb), [h](#up)",
        '`layers[i](x)` and $A[j](y)$ and [a map](pictures/map.png "title")',
        '<img src="pictures/a.jpg"> ![b](pictures/b.jpg) ![b](pictures/b.jpg)',
    ]
    for name in ("a.jpg", "b.jpg", "map.png"):
        assert (tmp_path / "out" / "pictures" / name).read_bytes() == name.encode()


@pytest.mark.parametrize(
    "solution",
    [
        "<details>\n<summary>Solution</summary>\n\nanswer\n\n</details>",
        '<details class="x"><summary> solution 2 (short)</summary>answer</details>',
        "<DETAILS><summary>Solution: by rows</summary>answer</DETAILS>",
        '<details><summary class="s">Solution</summary>answer</details>',
        "<details><summary><b>Solution</b></summary>answer</details>",
    ],
)
def test_solutions_are_found_however_they_are_written(solution, tmp_path):
    source = write(
        tmp_path / "a.ipynb", f"<details><summary>Hint</summary>h</details>\n{solution}\n\n## Next", solution
    )
    handout([source], tmp_path / "out")
    (cell,) = cells(tmp_path / "out" / "a.ipynb")  # a cell with nothing left is left out
    assert text(cell) == "<details><summary>Hint</summary>h</details>\n## Next"


@pytest.mark.parametrize(
    "markdown",
    [
        "<details><summary>Solution</summary>\n\nanswer, never closed",
        "<details><summary>Solution</summary><details>inner</details>answer</details>",
        "<details><summary><b>The solution</b></summary>answer</details>",
    ],
)
def test_what_might_show_a_solution_is_not_handed_out(markdown, tmp_path):
    source = write(tmp_path / "a.ipynb", markdown)
    with pytest.raises(ValueError, match="a.ipynb: something of a solution would remain in the cell"):
        handout([source], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_elsewhere_is_not_written_to(tmp_path):
    page = tmp_path / "mine.md"
    page.write_text("see [the lesson](gone.ipynb)")
    (tmp_path / "lessons").mkdir()
    source = write(tmp_path / "lessons" / "a.ipynb", f"[a page]({page})")
    assert main(["handout", str(source), "--out", str(tmp_path / "out")]) == 0
    assert page.read_text() == "see [the lesson](gone.ipynb)"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "a.ipynb"]


@pytest.mark.parametrize(
    ("outputs", "kept"), [("lesson", [1, 0, 0]), ("all", [1, 1, 1]), ("none", [0, 0, 0])]
)
def test_stored_outputs(outputs, kept, tmp_path):
    code = ["print(1)", "def f(x):\n    raise NotImplementedError", "dip.check.f(f)"]
    handout([write(tmp_path / "a.ipynb", code=code)], tmp_path / "out", outputs=outputs)
    handed = cells(tmp_path / "out" / "a.ipynb")
    assert [len(cell["outputs"]) for cell in handed] == kept
    assert [cell["execution_count"] or 0 for cell in handed] == kept


def test_nothing_is_overwritten_unasked(tmp_path, capsys):
    source = write(tmp_path / "a.ipynb", "new")
    other = write(tmp_path / "b.ipynb", "new")
    mine = write(tmp_path / "out" / "b.ipynb", "mine")
    before = mine.read_bytes()
    words = ["handout", str(source), str(other), "--out", str(tmp_path / "out")]
    assert main(words) == 1
    assert "b.ipynb exists; name another folder (--out FOLDER), or add --overwrite" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["b.ipynb"]
    assert mine.read_bytes() == before
    assert main([*words, "--overwrite"]) == 0
    assert text(cells(mine)[0]) == "new"
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["README.md", "a.ipynb", "b.ipynb"]


def test_the_lessons_themselves_are_never_overwritten(tmp_path, capsys):
    source = write(tmp_path / "a.ipynb", "<details><summary>Solution</summary>answer</details>")
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    before = source.read_bytes()
    for folder in (tmp_path, tmp_path / "link"):
        assert main(["handout", str(source), "--out", str(folder), "--overwrite"]) == 1
        assert "is where the notebooks lie themselves" in capsys.readouterr().err
    assert source.read_bytes() == before


def test_errors_say_what_to_do(tmp_path, capsys):
    (tmp_path / "no.ipynb").write_text("{}")
    twice = [write(tmp_path / folder / "a.ipynb", "x") for folder in ("x", "y")]
    picture = write(tmp_path / "p.ipynb", "![lost](pictures/lost.png)")
    out = ["--out", str(tmp_path / "out")]
    for words, message in [
        ([str(tmp_path / "none.ipynb")], "there is no notebook"),
        ([str(tmp_path / "no.ipynb")], "no.ipynb: is no notebook of format 4"),
        (list(map(str, twice)), "two notebooks are called a.ipynb"),
        ([str(picture)], "p.ipynb: it shows pictures/lost.png, which is no file below its folder"),
    ]:
        assert main(["handout", *words, *out]) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_by_default_all_lessons_are_handed_out(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["handout", "--outputs", "none"]) == 0
    names = [p.name for p in LESSONS]
    assert sorted(p.name for p in (tmp_path / "handout").iterdir()) == [
        *names,
        "README.md",
        "glossary.md",
    ]  # which they link
    whole = (ROOT / "notebooks" / "glossary.md").read_text("utf-8")
    assert (tmp_path / "handout" / "glossary.md").read_text("utf-8") == whole


def test_a_page_goes_along_with_links_to_what_is_handed_out_only(tmp_path):
    (tmp_path / "a.png").write_bytes(b"a picture")
    page = "[a](a.ipynb), [b](b.ipynb#there), [itself](words.md#x), ![a picture](a.png)\n"
    (tmp_path / "words.md").write_text(page, "utf-8")
    for name in "ab":
        cell = {"cell_type": "markdown", "metadata": {}, "source": "See [words](words.md)."}
        content = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(content), "utf-8")
    assert main(["handout", str(tmp_path / "a.ipynb"), "--out", str(tmp_path / "out")]) == 0
    names = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert names == ["README.md", "a.ipynb", "a.png", "words.md"]
    handed = (tmp_path / "out" / "words.md").read_text("utf-8")
    assert handed == "[a](a.ipynb), b, [itself](words.md#x), ![a picture](a.png)\n"


def test_some_lessons_and_a_page_that_says_what_to_do(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["handout", "--lessons", "05", "00", "--outputs", "none"]) == 0
    page = (tmp_path / "handout" / "README.md").read_text("utf-8")
    linked = re.findall(r"\]\((\S+\.ipynb)\)", page)
    assert [name[:2] for name in linked] == ["05", "00"]
    assert all((tmp_path / "handout" / name).is_file() for name in linked)
    assert "pip install" in page
    assert "Hand in" in page
    warned = "/OWNER/" in capsys.readouterr().err
    assert warned == ("/OWNER/" in page)  # the address is not set, and who hands out is told
    assert main(["handout", "--lessons", "99", "--out", "elsewhere"]) == 1
    assert "there is no lesson 99, but 00, 01" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()
