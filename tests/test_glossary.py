"""The glossary: in order, every term once, and each lesson that it names speaks of the term."""

import json
import re
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
ENTRY = re.compile(r"^- \*\*(.+?)\*\*: (.+) \[(\d\d)\]\((\d\d_\w+\.ipynb)\)$")
LINES = (NOTEBOOKS / "glossary.md").read_text(encoding="utf-8").splitlines()
ENTRIES = [ENTRY.match(line) for line in LINES if line.startswith("- ")]
# What a lesson calls by another form of the word.
FORMS = {
    "activation maximization": "gradient ascent",
    "cppn": "compositional pattern-producing network",
    "decorrelated": "decorrelating",
    "held-out views": "held-out view",
    "linear light": "is mixed",
    "redirected gradient": "redirect",
    "shared part": "shared layer",
    "transformation robustness": "robust",
    "gnomonic projection": "gnomonic",
    "morph": "walk from one",
    "w+": "w^+",
}


def words(lesson):
    cells = json.loads((NOTEBOOKS / lesson).read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown").lower()


def test_every_line_is_an_entry_in_the_order_of_the_alphabet():
    assert None not in ENTRIES
    terms = [entry[1].lower() for entry in ENTRIES]
    assert len(set(terms)) == len(terms) >= 50
    assert terms == sorted(terms, key=lambda term: re.sub("[^a-z0-9]", "", term))


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry[1] for entry in ENTRIES])
def test_the_lesson_that_introduces_a_term_speaks_of_it(entry):
    term, _, number, lesson = entry.groups()
    assert lesson.startswith(number)
    text = words(lesson)
    for part in term.lower().split(", "):
        form = FORMS.get(part, part)
        assert form in text
        # If lessons define the term, in bold, the first of them is the one.
        bold = [
            other.name
            for other in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
            if re.search(rf"\*\*{re.escape(form)}s?\*\*", words(other.name))
        ]
        assert bold[:1] in ([], [lesson]), bold
