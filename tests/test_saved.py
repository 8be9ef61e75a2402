"""A saved notebook without a kernel: a picture stands wherever a player was."""

from __future__ import annotations

import base64
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

nbformat = pytest.importorskip("nbformat")
nbconvert = pytest.importorskip("nbconvert")
nbclient = pytest.importorskip("nbclient")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

SETUP = """
import torch
import dip_lessons as dip
network = dip.Network(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)), name="tiny")

def make(lr=0.05):
    target = dip.Objective(lambda a: -(a["picture"] - 1).square().mean(dim=(1, 2, 3)), ["picture"])
    return dip.optimize(dip.Pixels(16), target, network, steps=40, lr=lr)
"""
CELLS = [
    SETUP,
    "player = dip.play(make())\nplayer",
    "player.result();",
    "both = dip.compare({'slow': make(), 'fast': make(0.5)})\nboth",
    "both.result();",
    "idle = dip.play(make())\nidle",
    "dip.explore(lambda size, light: torch.full((3, size, size), light), dip.slider('light', 0.75, 1.0))",
    "dip.choose_picture()",
]


@pytest.fixture(scope="module")
def notebook(root: Path, tmp_path_factory: pytest.TempPathFactory):
    """A notebook that was executed and saved, without the state of its widgets."""
    folder = tmp_path_factory.mktemp("saved")
    cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    environment = {**os.environ, "PYTHONPATH": str(root), "IPYTHONDIR": str(folder), "OMP_NUM_THREADS": "1"}
    client = nbclient.NotebookClient(
        notebook, timeout=120, store_widget_state=False, resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=environment)
    return notebook


def mean(jpeg: bytes) -> float:
    return float(np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"), float).mean())


def test_every_output_holds_its_picture(notebook) -> None:
    data = [[output["data"] for output in cell["outputs"]] for cell in notebook["cells"]]
    assert [len(outputs) for outputs in data] == [0, 1, 1, 1, 1, 1, 1, 1]
    pictures = [base64.b64decode(outputs[0]["image/jpeg"]) for outputs in data[1:]]
    played, result, pair, compared, idle, explored, chosen = map(mean, pictures)
    assert played > idle + 30  # result() put the last picture in place of the first
    assert min(result, pair, compared) > 128
    assert explored == pytest.approx(0.75 * 255, abs=2)
    assert 50 < chosen < 200
    assert all(Image.open(io.BytesIO(picture)).width > 900 for picture in pictures[1:4])


def test_exported_html_shows_them(notebook) -> None:
    html, _ = nbconvert.HTMLExporter(embed_images=True).from_notebook_node(notebook)
    shown = re.findall(r'<img[^>]*src="data:image/jpeg;base64,([^"]+)"', html, re.DOTALL)
    stored = [output["data"]["image/jpeg"] for cell in notebook["cells"] for output in cell["outputs"]]
    assert [base64.b64decode(text) for text in shown] == [base64.b64decode(text) for text in stored]
    assert "widget-view+json" not in html


@pytest.mark.parametrize("kind", ["LatexExporter", "MarkdownExporter"])
def test_paper_and_plain_pages_show_them(notebook, kind: str) -> None:
    """The files that a PDF, or a page of Markdown, is made of."""
    text, resources = getattr(nbconvert, kind)().from_notebook_node(notebook)
    assert len(resources["outputs"]) == 7
    assert all(name.endswith((".jpg", ".jpeg")) and name in text for name in resources["outputs"])
