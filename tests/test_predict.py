"""Guesses without a page: what a learner clicks, what is shown and stored, and what counts as right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from panel import Shell

import dip_lessons as dip
from dip_lessons.course import predict as module
from dip_lessons.course.notebooks import PREDICTION as MIME
from dip_lessons.notebook.player.panel import within

CURVE = {"x": (0, 10, "x"), "y": (0, 1, "y")}


class Output:
    """One output of a cell."""

    def __init__(self, data: dict) -> None:
        self.data = data

    def update(self, data: dict, **_: object) -> None:
        """Show something else in its place."""
        self.data = data


class Page:
    """A notebook's outputs, and the learner who clicks on what is in them."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []

    def display(self, data: Any, **_: object) -> Output:
        """IPython's ``display``."""
        self.outputs.append(Output(data))
        return self.outputs[-1]

    def widgets(self, name: str) -> list[Any]:
        """Those of a class on the page, the newest last."""
        import ipywidgets

        known = getattr(ipywidgets.widgets.widget, "_instances", None) or ipywidgets.Widget.widgets
        bundles = [out.data for out in self.outputs if isinstance(out.data, dict)]
        views = [data.get("application/vnd.jupyter.widget-view+json") for data in bundles]
        boxes = [known[view["model_id"]] for view in views if view]
        return [w for box in boxes for w in within(box) if f"dip-{name}" in getattr(w, "_dom_classes", ())]

    def commit(self, sure: float | None) -> str:
        """Say how sure one is, and commit; what the page says then."""
        self.widgets("sure")[-1].value = sure
        note = self.widgets("message")[-1]
        self.widgets("commit")[-1].click()
        return note.value


@pytest.fixture(autouse=True)
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Page:
    """A notebook in an empty folder, in which nothing was asked yet."""
    page = Page()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "_asked", {})
    monkeypatch.setattr("IPython.get_ipython", Shell)
    monkeypatch.setattr("dip_lessons.notebook.display.display", page.display)
    return page


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> None:
    """No notebook after all."""
    monkeypatch.setattr("IPython.get_ipython", lambda: None)


def fill(page: Page, kind: str, guess: Any) -> None:
    """Enter a guess as a learner would."""
    asked = page.widgets(kind)[-1]
    if kind == "order":
        for item in guess:
            next(w for w in within(asked) if getattr(w, "description", "") == item).click()
    elif kind == "curve":
        page.widgets("drawn")[-1].value = json.dumps(guess)
    else:
        asked.value = guess


CASES = {
    "number": ((0, 100), "40,5", 40.5, [(50.5, True), (50.6, False), (torch.tensor(35.0), True)]),
    "choice": (["a", "b"], "b", "b", [("b", True), ("a", False)]),
    "order": (["c", "a", "b"], "abc", ["a", "b", "c"], [(["a", "b", "c"], True), (["b", "a", "c"], False)]),
    "curve": (
        CURVE,
        [1.0] + [None] * 11 + [0.0],
        ([10 * i / 12 for i in range(13)], [1 - i / 12 for i in range(13)]),
        [(([0, 5, 10], [1.0, 0.5, 0.29]), True), (([0, 5, 10], [1.0, 0.5, 0.31]), False)],
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_guess_is_committed_and_shown_beside_what_came_out(kind: str, page: Page) -> None:
    asked, entered, guess, results = CASES[kind]
    prediction = dip.predict("<Why>?", **{kind: asked})
    assert prediction.guess is None
    assert page.outputs[0].data["text/plain"] == "Your guess is asked for here: <Why>?"
    assert page.commit(0.75)  # nothing was entered: it says what to do
    fill(page, kind, entered)
    assert "how sure" in page.commit(None)
    assert prediction.guess is None
    page.commit(0.75)
    if kind == "curve":
        assert prediction.guess[0] == pytest.approx(guess[0])
        assert prediction.guess[1] == pytest.approx(guess[1], abs=1e-6)
    else:
        assert prediction.guess == guess

    (output,) = page.outputs  # the question's own, in its place
    assert set(output.data) == {"text/html", "text/plain", MIME}
    assert "&lt;Why&gt;? You guessed " in output.data["text/html"]
    assert json.loads(json.dumps(output.data[MIME]))["sure"] == 0.75
    for result, hit in results:
        prediction.answer(*result) if kind == "curve" else prediction.answer(result)
        shown = next(o.data for o in reversed(page.outputs) if isinstance(o.data, dict))
        assert shown[MIME]["hit"] is hit
        assert shown["text/plain"].startswith("✅" if hit else "❌")


def test_a_guess_stays_until_the_button_takes_it_back(page: Page) -> None:
    ask = {"question": "Which?", "choice": ["a", "b"]}
    first = dip.predict(**ask)
    fill(page, "choice", "a")
    page.commit(0.5)
    again = dip.predict(**ask)
    assert (again, again.guess) == (first, "a")
    assert page.outputs[-2].data["text/plain"] == "Which? You guessed a, 50% sure. It stays."
    page.widgets("again")[0].click()
    assert first.guess is None
    assert MIME not in page.outputs[-2].data
    assert page.widgets("choice")[0].value is None
    fill(page, "choice", "b")
    page.commit(0.95)
    assert (first.guess, page.outputs[-1].data[MIME]["sure"]) == ("b", 0.95)
    assert dip.predict("Which?", choice=["a", "c"]).guess is None  # another question


def test_a_curve_by_sliders(page: Page) -> None:
    """What was not moved follows its neighbours."""
    prediction = dip.predict("Draw.", curve=CURVE)
    sliders = [w for w in within(page.widgets("curve")[0]) if getattr(w, "orientation", "") == "vertical"]
    sliders[0].value, sliders[12].value = 1.0, 0.0
    sliders[6].value = 0.8
    page.commit(0.5)
    assert prediction.guess[1] == [1.0] * 6 + [0.8] + [1.0] * 5 + [0.0]


def test_without_a_guess_the_result_is_a_sentence(script: None, capsys: pytest.CaptureFixture) -> None:
    dip.predict("How much?", number=(0, 1)).answer(0.12345)
    dip.predict("Which first?", order=["a", "b"]).answer(["b", "a"])
    dip.predict("Draw.", curve=CURVE).answer(torch.tensor([0.0, 10.0]), torch.tensor([1.0, 0.25]))
    dip.predictions(keep=True)
    told = "Your guess, in a notebook: How much?\nHow much? What came out: 0.123.\n"
    told += "Your guess, in a notebook: Which first?\nWhich first? What came out: b › a.\n"
    told += "Your guess, in a notebook: Draw.\nDraw. What came out: a curve from 1 at 0 to 0.25 at 10.\n"
    assert capsys.readouterr().out == told + "No guess was committed here.\n"
    assert not Path("predictions.json").exists()


def guessed(page: Page, name: str, sure: float, right: bool) -> None:
    """Ask, commit and answer."""
    prediction = dip.predict(f"{name}?", choice=["a", "b"], name=name)
    fill(page, "choice", "a")
    page.commit(sure)
    prediction.answer("a" if right else "b")


def test_how_good_they_were_is_kept_over_lessons(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    guessed(page, "one", 0.75, True)
    guessed(page, "two | <b>", 0.75, False)
    dip.predictions(keep=False)
    assert page.outputs[-1].data["text/plain"] == "What came true: of those said with 75 %, 1 of 2."
    dip.predictions()
    assert not Path("predictions.json").exists()
    page.widgets("keep")[0].click()
    assert page.outputs[-1].data["text/plain"].endswith("They are kept in predictions.json.")
    table = next(o.data.data for o in reversed(page.outputs) if hasattr(o.data, "data"))
    assert "two &#124; &lt;b&gt;?" in table

    monkeypatch.setattr(module, "_asked", {})  # the next lesson
    guessed(page, "three", 0.75, True)
    guessed(page, "four", 0.95, True)
    dip.predictions()
    told = "What came true: of those said with 75 %, 2 of 3; of those said with 95 %, 1 of 1."
    assert page.outputs[-1].data["text/plain"] == f"{told} They are kept in predictions.json."
    assert list(json.loads(Path("predictions.json").read_text("utf-8"))) == [
        "one",
        "two | <b>",
        "three",
        "four",
    ]


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', '{"a": {}}', "\x00"])
def test_a_damaged_file_is_named_and_stays(content: str, page: Page) -> None:
    Path("predictions.json").write_text(content)
    guessed(page, "one", 0.75, True)
    with pytest.raises(ValueError, match=r"predictions\.json is damaged .* left as it is: move it away"):
        dip.predictions()
    assert Path("predictions.json").read_text() == content


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give one of number=, choice=, order= and curve=; got none"),
        ({"number": (0, 1), "choice": ["a", "b"]}, "got number and choice"),
        ({"number": (1, 0)}, r"number must rise from low to high, as \(0, 100\); got \(1, 0\)"),
        ({"number": 3}, r"number must be \(low, high\)"),
        ({"number": (0, float("nan"))}, "number's end must be a finite number; got nan"),
        ({"number": (0, 1), "within": -1}, "within must be .*0 or more; got -1"),
        ({"choice": ["a", "b"], "within": 1}, "within= belongs to number="),
        ({"choice": ["a"]}, "choice must be two or more different words"),
        ({"choice": "ab"}, "choice must be two or more different words"),
        ({"order": ["a", "a"]}, "order must be two or more different words"),
        ({"order": [1, 2]}, "order must be two or more different words"),
        ({"curve": {"x": (0, 1, "x")}}, "curve must be .*label"),
        ({"curve": {"x": (0, 1), "y": (0, 1, "y")}}, r"curve's x must be \(low, high, label\)"),
        ({"curve": {"x": (1, 1, "x"), "y": (0, 1, "y")}}, "curve's x must rise"),
    ],
)
def test_a_question_that_cannot_be_asked(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dip.predict("Why?", **arguments)


@pytest.mark.parametrize(
    ("kind", "result", "message"),
    [
        *[
            ("number", (bad,), "the answer must be a finite number")
            for bad in (None, float("nan"), "3", [1, 2])
        ],
        *[("choice", (bad,), "the answer must be one of") for bad in (None, "c", ["a"])],
        *[("order", (bad,), "in the right order; got") for bad in (None, "abc", ["a", "b"], 3)],
        *[("curve", ([0, 1], bad), "the answer must be") for bad in (None, 1, [0, float("nan")])],
        ("curve", ([0, 1], [0]), "2 xs and 1 ys"),
        ("curve", ([11, 12], [0, 1]), "0 of them"),
    ],
)
def test_a_result_that_no_question_has(kind: str, result: tuple, message: str, script: None) -> None:
    prediction = dip.predict("Why?", **{kind: CASES[kind][0]})
    with pytest.raises(ValueError, match=message):
        prediction.answer(*result)
