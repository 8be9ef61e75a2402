"""The notebooks as files: the anatomy of a lesson, stored pictures, nothing that a host could not show."""

import ast
import base64
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dip_lessons.course.environment import REPOSITORY, SETUP_CELL

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return json.loads(path.read_text(encoding="utf-8"))


def sources(notebook, kind):
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def outputs(notebook):
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def pictures(notebook):
    for output in outputs(notebook):
        for kind in ("image/jpeg", "image/png"):
            if kind in output.get("data", {}):
                yield base64.b64decode("".join(output["data"][kind]))


def test_the_first_code_cell_is_the_setup_cell(notebook):
    assert sources(notebook, "code")[0] == SETUP_CELL
    assert sum("REPOSITORY" in source for source in sources(notebook, "code")) == 1


def test_the_header_has_title_picture_table_and_badge(path, notebook):
    first = notebook["cells"][0]
    header = "".join(first["source"])
    assert header.startswith("# ")
    assert "you will be able to" in header
    assert "minutes" in header
    where = REPOSITORY.removeprefix("https://github.com/")
    assert f"https://colab.research.google.com/github/{where}/blob/main/notebooks/{path.name}" in header
    (name,) = re.findall(r"!\[[^\]]+\]\(attachment:([^)]+)\)", header)  # with words for who cannot see it
    data = base64.b64decode(first["attachments"][name]["image/jpeg"])
    assert min(Image.open(io.BytesIO(data)).size) >= 100


def test_it_is_small_executed_and_without_errors_or_widget_state(path, notebook):
    assert path.stat().st_size <= 2_500_000
    assert "widgets" not in notebook["metadata"]
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert [o["ename"] for o in outputs(notebook) if o["output_type"] == "error"] == []
    assert [o for o in outputs(notebook) if o.get("name") == "stderr"] == []
    counts = [c["execution_count"] for c in notebook["cells"] if c["cell_type"] == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_it_was_executed_with_the_full_budget(notebook):
    (setup,) = [c for c in notebook["cells"] if "".join(c["source"]) == SETUP_CELL]
    text = "".join("".join(o.get("text", "")) for o in setup["outputs"])
    assert re.search(r"^budget +full", text, re.MULTILINE)


def test_no_output_tells_of_the_machine_it_was_made_on(notebook):
    text = json.dumps([{k: v for k, v in o.items() if k != "data"} for o in outputs(notebook)])
    text += json.dumps(
        [o.get("data", {}).get(k) for o in outputs(notebook) for k in ("text/plain", "text/markdown")]
    )
    assert re.findall(r"/(?:home|root|Users|work|tmp)/|ipykernel_", text) == []


def test_its_pictures_are_pictures(notebook):
    """Neither grey mud nor a single colour: each stored picture has contrast, and there are several."""
    stored = [
        np.asarray(Image.open(io.BytesIO(data)).convert("L"), dtype=float) for data in pictures(notebook)
    ]
    assert len(stored) >= 5
    large = [p for p in stored if p.std() > 10]
    assert len(large) >= 0.8 * len(stored)  # a player before its first step may be grey


def test_it_has_predictions_reasons_exercises_playground_and_recap(notebook):
    text = "\n".join(sources(notebook, "markdown"))
    code = "\n".join(sources(notebook, "code"))
    assert 4 <= text.count("**Predict") <= 8
    assert len(re.findall(r"\*\*(?:Look|Why)", text)) >= 4
    assert text.count("**Why") >= 3
    assert any(by_hand in code for by_hand in ("interact(", "dip.explore("))
    assert code.count("raise NotImplementedError") >= 2
    assert text.count("<summary>Solution</summary>") == len(re.findall(r"^dip\.check\.", code, re.MULTILINE))
    assert "dip.play(" in code
    assert re.search(r"^player\.result\(\)", code, re.MULTILINE)
    assert "# NBVAL_CHECK_OUTPUT" in code
    assert "Reading" in text
    assert "breaks" in text


def test_cells_are_short(notebook):
    lengths = {source.splitlines()[0]: len(source.splitlines()) for source in sources(notebook, "code")[1:]}
    assert {first: n for first, n in lengths.items() if n > 30} == {}


def test_links_between_lessons_lead_somewhere(notebook):
    for target in re.findall(r"\]\((\d\d_\w+\.ipynb)\)", "\n".join(sources(notebook, "markdown"))):
        assert (ROOT / "notebooks" / target).is_file(), target


def statements(python: str) -> list[str]:
    """Those that do something, in one layout; of loops and branches what is in them."""
    outer = (
        ast.FunctionDef,
        ast.ClassDef,
        ast.Import,
        ast.ImportFrom,
        ast.For,
        ast.With,
        ast.If,
        ast.While,
        ast.Raise,
    )
    code = "\n".join(line for line in python.splitlines() if not line.startswith(("%", "!")))
    found = [
        ast.unparse(n)
        for n in ast.walk(ast.parse(code))
        if isinstance(n, ast.stmt) and not isinstance(n, outer)
    ]
    return [text for text in found if len(text) > 11 and not text.startswith(("'", '"'))]


def test_no_solution_stands_in_an_earlier_cell(notebook):
    earlier: set[str] = set()
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            earlier |= set(statements(text))
            continue
        for solution in re.findall(r"Solution\b.*?```python\n(.*?)```", text, re.DOTALL):
            own = statements(solution)
            assert len([text for text in own if text in earlier]) <= len(own) / 2, solution


def test_a_gpu_or_a_night_makes_larger_pictures(notebook):
    assert any("large=" in text for text in sources(notebook, "code"))
