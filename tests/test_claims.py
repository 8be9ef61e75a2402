"""docs/claims.md, a row for each comparison of the lessons: what it quotes is what the stored notebooks show."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CLAIMS = ROOT / "docs/claims.md"
COLUMNS = ("lesson", "where", "arms", "steps", "seeds", "knows nothing, ceiling", "claim", "shown")


def rows() -> list[dict[str, str]]:
    lines = [line for line in CLAIMS.read_text("utf-8").splitlines() if re.match(r"\| \d\d \|", line)]
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    assert {len(row) for row in cells} == {len(COLUMNS)}, "a row has another number of columns"
    return [dict(zip(COLUMNS, row, strict=True)) for row in cells]


def lesson(number: str) -> dict:
    (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
    return json.loads(path.read_text("utf-8"))


def plain(text: str) -> str:
    """Without tags, and with one space where there is any white space."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


def shown(notebook: dict) -> Iterator[str]:
    """Every text that a reader finds under a cell."""
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            yield plain("".join(output.get("text", "")))
            for kind in ("text/plain", "text/markdown", "text/html"):
                yield plain("".join(output.get("data", {}).get(kind, "")))


def headings(notebook: dict) -> str:
    prose = "\n".join("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown")
    return "\n".join(re.findall(r"^#+ .*", prose, flags=re.MULTILINE))


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row['lesson']} {row['where']}")
def test_a_claim_quotes_what_its_lesson_shows(row: dict[str, str]) -> None:
    notebook = lesson(row["lesson"])
    assert all(row.values())
    assert row["where"] in headings(notebook)
    quoted = re.findall(r"`([^`]+)`", row["shown"])
    there = "\n".join(shown(notebook))
    assert quoted
    assert [text for text in quoted if plain(text) not in there] == []


def test_every_lesson_has_its_rows() -> None:
    lessons = {path.name[:2] for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")}
    assert {row["lesson"] for row in rows()} == lessons
