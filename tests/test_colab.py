"""Every lesson as on Colab: its kernel and widgets, its module, a folder with nothing in it but the notebook."""

from __future__ import annotations

import dis
import json
import os
import types
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from test_kernels import COLAB, DRIVER, kernel

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
WHOLE = os.environ.get("DIP_COLAB_CELLS") == "all"  # by hand: a quarter of an hour of a processor
WIDGETS = (
    "dip.setup(",
    "dip.play(",
    "player.result(",
    "dip.explore(",
    "dip.compare(",
    "choose_picture(",
    "interact(",
)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def names(code: types.CodeType) -> tuple[set[str], set[str], set[str]]:
    """The names that a cell needs from those before it, that its functions need when they are called, that it makes."""
    reads: set[str] = set()
    writes: set[str] = set()
    for each in dis.get_instructions(code):
        if each.opname == "STORE_NAME":
            writes.add(each.argval)
        elif each.opname in ("LOAD_NAME", "LOAD_GLOBAL") and each.argval not in writes:
            reads.add(each.argval)
    inner = [names(each) for each in code.co_consts if isinstance(each, types.CodeType)]
    return reads, set().union(*(now | later for now, later, _ in inner)), writes


def for_widgets(cells: Sequence[str]) -> list[str]:
    """The cells that show or use widgets, and those that make what they need."""
    known = [names(compile(text, "cell", "exec")) for text in cells]
    kept = {i for i, text in enumerate(cells) if any(word in text for word in WIDGETS)}
    todo, last = sorted(kept), max(kept)
    while todo:
        i = todo.pop()
        reads, later, _ = known[i]
        makers = [[j for j in range(i) if name in known[j][2]][-1:] for name in reads | later]
        makers += [[j for j in range(i + 1, last) if name in known[j][2]] for name in later]
        new = set().union(*makers) - kept
        kept |= new
        todo += new
    return [cells[i] for i in sorted(kept)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_runs_as_on_colab(
    path: Path, root: Path, tmp_path: Path, request: pytest.FixtureRequest, pip_install: Callable
) -> None:
    """At the quick budget: all that has to do with widgets. torch is the one installed here."""
    cells = [
        "".join(c["source"]) for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == "code"
    ]
    chosen = cells if WHOLE else for_widgets(cells)
    assert sum("dip.play(" in text for text in chosen) >= 1
    with kernel("colab", root, tmp_path, request.config, pip_install) as page:
        page.run(COLAB)
        for text in chosen:
            reply = page.execute(text, seconds=600)
            assert reply["status"] == "ok", "\n".join([text, *reply.get("traceback", [])])
            page.drain()
        print(
            f"{path.stem}: {len(chosen)} of {len(cells)} cells,",
            page.value("__import__('time').process_time()"),
            "s",
        )
        # The page's clock drives every player, and the last one takes steps when it ticks.
        page.run(DRIVER.replace("TESTS", repr(str(Path(__file__).parent))))
        page.run(
            "players = [each for each in open_panels() if isinstance(each, dip.Player)]; one = players[-1]"
        )
        assert page.value("all(map(ticked, players))")
        page.run("taken = one.run.step; one.play()")
        page.run("Panel(one).tick()")
        assert page.value("one.run.step > taken")
