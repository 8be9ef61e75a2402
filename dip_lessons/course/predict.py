"""Guesses that are committed before the answer is seen, and how good they were."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from ..atomic import atomic_write
from ..notebook.display import curves, present, shell, table
from ..notebook.player.panel import classed, reachable
from .guesses import Choice, Curve, Kind, Number, Order
from .notebooks import PREDICTION

__all__ = ["Prediction", "predict", "predictions"]

FILE = Path("predictions.json")
SURE = {"50 %": 0.5, "75 %": 0.75, "95 %": 0.95}

_asked: dict[str, Prediction] = {}  # in this session, by name


class Prediction:
    """A question, the learner's guess and what came out; made by :func:`predict`.

    >>> best = dip.predict("Which is larger?", choice=["7 · 8", "5 · 11"])
    Your guess, in a notebook: Which is larger?
    >>> print(best.guess)
    None
    """

    def __init__(self, name: str, question: str, kind: Kind) -> None:
        self.name, self.question, self._kind = name, question, kind
        self._guess: Any = None
        self._sure = 0.0
        self._result: Any = None
        self._hit: bool | None = None
        self._output: Any = None  # IPython's handle of the output that asks

    @property
    def guess(self) -> Any:
        """What was committed, None before: a number, one of the choices, a list in order, or (xs, ys) of a curve."""
        return self._guess

    def answer(self, result: Any, ys: Any = None) -> None:
        """Show the guess beside what came out; without a guess, only what came out.

        Args:
            result: a number, one of the choices, all of them in order, or the xs of a curve.
            ys: the curve's values at ``result``.

        Raises ValueError for a result that the question cannot have, such as NaN.

        >>> share = dip.predict("How much is left, in %?", number=(0, 100))
        Your guess, in a notebook: How much is left, in %?
        >>> share.answer(37.2)
        How much is left, in %? What came out: 37.2.
        """
        kind = self._kind
        outcome = kind.outcome((result, ys) if isinstance(kind, Curve) else result)
        came_out = f"What came out: {kind.words(outcome)}."
        if self._guess is None:
            _say(f"{self.question} {came_out}")
            return
        self._result = outcome
        self._hit, how = kind.judge(self._guess, outcome)
        words = f"{'✅' if self._hit else '❌'} {self._said()} {came_out} {how}"
        present(self._bundle(words), words, raw=True)
        if isinstance(kind, Curve):
            curves({"your guess": self._guess, "what came out": outcome}, x=kind.x_label, y=kind.y_label)

    def __repr__(self) -> str:
        return f"<prediction: {'no guess yet' if self._guess is None else self._said()}>"

    # What a notebook shows, and its file holds

    def _asks_like(self, other: Prediction) -> bool:
        return self.question == other.question and vars(self._kind) == vars(other._kind)

    def _outcome(self) -> str:
        return "" if self._result is None else self._kind.words(self._result)

    def _said(self) -> str:
        return f"You guessed {self._kind.words(self._guess)}, {self._sure:.0%} sure."

    def _record(self) -> dict[str, Any]:
        record = {"question": self.question, "guess": self._guess, "sure": self._sure}
        return {**record, "result": self._result, "hit": self._hit}

    def _bundle(self, words: str) -> dict[str, Any]:
        return {**_sentence(words), PREDICTION: {"name": self.name, **self._record()}}

    def _ask(self) -> None:
        """Show the question; or the guess, and a button that takes it back."""
        if shell() is None:
            print(f"Your guess, in a notebook: {self.question}")
        elif self._guess is None:
            box = classed("predict", widgets.VBox())
            self._fill(box)
            self._output = _show(box, f"Your guess is asked for here: {self.question}")
        else:
            told = present(
                self._bundle(f"{self.question} {self._said()} It stays."), "", raw=True, display_id=True
            )
            again = classed("again", widgets.Button(description="Guess again", icon="undo"))
            box = classed("predict", widgets.VBox([again]))
            again.on_click(lambda _: self._take_back(box, told))
            self._output = _show(box, "")

    def _fill(self, box: widgets.DOMWidget) -> None:
        """Put the question's widgets into a box."""
        rule = f"<small>{html.escape(self._kind.rule)}</small>"
        title = widgets.HTML(f"<b>{html.escape(self.question)}</b> {rule}")
        controls, read = self._kind.ask()
        sure = classed("sure", widgets.ToggleButtons(options=list(SURE.items()), value=None))
        sure.style.button_width = "5em"
        commit = classed("commit", widgets.Button(description="Commit", button_style="primary"))
        note = classed("message", widgets.HTML())
        row = widgets.HBox([widgets.Label("How sure are you?"), sure, commit])
        row.layout.flex_flow = "row wrap"
        box.children = [title, controls, row, note]
        reachable(box)

        def committed(_: object) -> None:
            try:
                guess = read()
                if sure.value is None:
                    raise ValueError("Say how sure you are.")
            except ValueError as error:
                note.value = f'<span role="alert">{html.escape(str(error))}</span>'
                return
            self._guess, self._sure = guess, sure.value
            told = f"{self.question} {self._said()}"
            box.children = [widgets.HTML(html.escape(told))]  # on a page that was loaded again meanwhile
            self._output.update(self._bundle(told), raw=True)

        commit.on_click(committed)

    def _take_back(self, box: widgets.DOMWidget, told: Any) -> None:
        self._guess = self._result = self._hit = None
        told.update(_sentence(""), raw=True)
        self._fill(box)


def predict(
    question: str,
    *,
    number: tuple[float, float] | None = None,
    choice: Sequence[str] | None = None,
    order: Sequence[str] | None = None,
    curve: Mapping[str, tuple[float, float, str]] | None = None,
    within: float | None = None,
    name: str | None = None,
) -> Prediction:
    """Ask for a guess before the answer is seen; ``answer`` of what this returns shows both.

    In a notebook the question is shown with its widgets: a guess, how sure one is, and a button that commits it. A
    committed guess stays when the cell runs again. In a script the question is a sentence, and all goes on without a
    guess.

    Args:
        question: a sentence.
        number: (low, high), between which the number lies; right within a tenth of that range.
        choice: words to choose from; right where equal.
        order: words to put in order, shown by the alphabet; right where all pairs are.
        curve: {"x": (low, high, label), "y": (low, high, label)}, for a curve that is drawn with the mouse; right
            where it is a tenth of y's range off on average, or less.
        within: how far a right number may be off.
        name: what the guess is known by; None takes the question.

    Raises ValueError for a question of no kind or of several, and for what cannot be asked.

    >>> sizes = dip.predict("Which is larger?", order=["7 · 8", "5 · 11"])
    Your guess, in a notebook: Which is larger?
    >>> sizes.answer(["7 · 8", "5 · 11"])
    Which is larger? What came out: 7 · 8 › 5 · 11.
    """
    given = {"number": number, "choice": choice, "order": order, "curve": curve}
    chosen = [kind for kind, what in given.items() if what is not None]
    if not isinstance(question, str) or not question.strip():
        raise ValueError(f"the question must be a sentence; got {question!r}")
    if len(chosen) != 1:
        what = " and ".join(chosen) or "none"
        raise ValueError(f"give one of number=, choice=, order= and curve=; got {what} for {question!r}")
    if within is not None and number is None:
        raise ValueError(f"within= belongs to number=; {question!r} asks for {chosen[0]}=")
    kind: Kind
    if number is not None:
        kind = Number(number, within)
    elif choice is not None:
        kind = Choice(choice)
    else:
        kind = Curve(curve) if order is None else Order(order)
    new = Prediction(question if name is None else name, question, kind)
    prediction = _asked.get(new.name, new)
    if not prediction._asks_like(new):  # the cell was edited: another question
        prediction = new
    _asked[new.name] = prediction
    prediction._ask()
    return prediction


def predictions(keep: bool | None = None) -> None:
    """Show this lesson's guesses beside what came out, and how often each degree of sureness was right.

    Args:
        keep: whether they go into ``predictions.json`` in the working directory, and the degrees count what the file
            has of other lessons; None offers a button for it, and goes on where the file is there.

    Raises ValueError for a file of that name that is damaged; it stays as it is.

    >>> dip.predictions()
    No guess was committed here.
    """
    guessed = {p.name: p._record() for p in _asked.values() if p._guess is not None}
    if not guessed:
        _say("No guess was committed here.")
        return
    rows = [
        [
            p.question,
            p._kind.words(p._guess),
            p._outcome(),
            f"{p._sure:.0%}",
            {None: "", True: "✅", False: "❌"}[p._hit],
        ]
        for p in _asked.values()
        if p._guess is not None
    ]
    escaped = [[html.escape(cell).replace("|", "&#124;") for cell in row] for row in rows]
    table(escaped, header=["question", "your guess", "what came out", "sure", "right"])
    if keep or (keep is None and FILE.exists()):
        kept = _keep(guessed)
        _say(f"{_calibration(kept)} They are kept in {FILE}.")
        return
    _say(_calibration(guessed))
    if keep is None and shell() is not None:
        button = classed("keep", widgets.Button(description=f"Keep them in {FILE}"))
        button.layout.width = "auto"
        output = _show(widgets.VBox([button]), f"dip.predictions(keep=True) keeps them in {FILE}.")

        def clicked(_: object) -> None:
            try:
                words = f"{_calibration(_keep(guessed))} They are kept in {FILE}."
            except (OSError, ValueError) as error:
                words = str(error)
            output.update(_sentence(words), raw=True)

        button.on_click(clicked)


def _keep(guessed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Add guesses to those in the file, and return all."""
    kept: Any = {}
    if FILE.exists():
        try:
            kept = json.loads(FILE.read_text("utf-8"))
            for record in kept.values():
                _ = record["sure"], record["hit"], record["question"]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            advice = "move it away, and run this again"
            raise ValueError(
                f"{FILE.resolve()} is damaged ({type(error).__name__}) and was left as it is: {advice}"
            ) from error
    kept |= guessed
    with atomic_write(FILE) as part:
        part.write_text(json.dumps(kept, indent=1, ensure_ascii=False), "utf-8")
    return kept


def _calibration(guessed: Mapping[str, Mapping[str, Any]]) -> str:
    """How many of those said with each degree of sureness came true."""
    told = []
    for words, degree in SURE.items():
        hits = [bool(g["hit"]) for g in guessed.values() if g["sure"] == degree and g["hit"] is not None]
        if hits:
            told.append(f"of those said with {words}, {sum(hits)} of {len(hits)}")
    return f"What came true: {'; '.join(told)}." if told else "No guess was answered yet."


def _sentence(words: str) -> dict[str, Any]:
    return {"text/html": f"<p>{html.escape(words)}</p>" if words else "", "text/plain": words}


def _say(words: str) -> None:
    present(_sentence(words), words, raw=True)


def _show(box: widgets.DOMWidget, words: str) -> Any:
    """Display a box, and a sentence for pages without a kernel."""
    reachable(box)
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    data = {"application/vnd.jupyter.widget-view+json": view, **_sentence(words)}
    return present(data, words, raw=True, display_id=True)
