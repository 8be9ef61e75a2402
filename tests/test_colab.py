"""Every lesson as on Colab: its kernel and widgets, its module, a folder with nothing in it but the notebook."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from test_kernels import COLAB, kernel

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_lesson_runs_as_on_colab(
    path: Path, root: Path, tmp_path: Path, request: pytest.FixtureRequest, pip_install: Callable
) -> None:
    """At the quick budget. torch is the one installed here."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    with kernel("colab", root, tmp_path, request.config, pip_install) as page:
        page.run(COLAB)
        for text in ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"):
            reply = page.execute(text, seconds=600)
            assert reply["status"] == "ok", "\n".join([text, *reply.get("traceback", [])])
            page.drain()
        # The page's clock drives every player, and the last one takes steps when it ticks.
        assert page.value("all(each.ticks for each in dip.player._players.values())")
        page.run("player, taken = [*dip.player._players.values()][-1].play(), player.run.step")
        page.run("player._panel.ticker.value += 1")
        assert page.value("player.run.step > taken and player.state == 'playing'")
