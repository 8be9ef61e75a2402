"""The one place where tests know what panels are made of: what a reader sees of them, and what a page sends to them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from ipywidgets.widgets import widget as ipywidgets_base

import dip_lessons as dip
from dip_lessons.notebook.player import cells
from dip_lessons.notebook.player.drawing import contact_sheet, encode
from dip_lessons.notebook.player.panel import within

if TYPE_CHECKING:
    import pytest


class Panel:
    """A panel of a player or of sliders, in front of a reader.

    Args:
        shown: the player, or the sliders.
        nth: which of its panels, where it compares several runs.
    """

    def __init__(self, shown: dip.Player | dip.Explorer, nth: int = 0) -> None:
        side = shown if isinstance(shown, dip.Explorer) else shown._sides[nth]
        self._card = side._card if side is shown else side.panel
        self._knobs = side._knobs
        self.box = self._card.box

    def _part(self, name: str) -> Any:
        (found,) = [w for w in within(self.box) if f"dip-{name}" in getattr(w, "_dom_classes", ())]
        return found

    # What the reader does

    def click(self, button: str) -> None:
        """Press a button: play, step, rewind, save, film, copy; reset."""
        self._part(button).click()

    def move(self, knob: int, value: object, part: int = 0) -> None:
        """Turn a knob; a channel picker has two parts."""
        self._knobs[knob].inputs[part].value = value

    def scrub(self, step: int) -> None:
        """Move the step slider."""
        self._part("time").value = step

    def tick(self) -> None:
        """What the page's clock does."""
        self._card.ticker.value += 1

    # What the reader sees

    @property
    def picture(self) -> bytes:
        """The JPEG on screen."""
        return self._part("picture").value

    @property
    def width(self) -> str:
        """How wide it is shown."""
        return self._part("picture").layout.width

    @property
    def pixelated(self) -> bool:
        """Whether it is enlarged in squares."""
        return "dip-enlarged" in self._part("picture")._dom_classes

    @property
    def status(self) -> str:
        """The line under the picture, and the curve, as HTML."""
        return self._card.status.value

    @property
    def message(self) -> str:
        """The note under the curve, as HTML."""
        return self._card.note.value

    @property
    def step(self) -> int:
        """Where the step slider stands."""
        return self._part("time").value

    @property
    def play_button(self) -> str:
        """What is written on it."""
        return self._part("play").description

    @property
    def ticking(self) -> bool:
        """Whether the page was told to send ticks."""
        ticker = self._card.ticker
        return ticker.playing if ticker.has_trait("playing") else ticker._playing

    def knob(self, nth: int) -> Any:
        """What a knob says; of one with several parts, a tuple."""
        values = tuple(part.value for part in self._knobs[nth].inputs)
        return values if len(values) > 1 else values[0]

    def input(self, nth: int, part: int = 0) -> Any:
        """A knob's widget itself."""
        return self._knobs[nth].inputs[part]

    @property
    def names(self) -> list[str | None]:
        """What a page has for who cannot see the picture: the head's HTML, and the picture's own name."""
        return [self.box.children[0].value, getattr(self._part("picture"), "tooltip", None)]

    def parts(self) -> dict[str, str]:
        """The models of buttons, knobs, slider, clock and picture, as messages name them."""
        buttons = ("rewind", "play", "step", "save", "film", "copy")
        models = {name: self._part(name).model_id for name in (*buttons, "time", "picture")}
        models |= {knob.control.setting: knob.inputs[0].model_id for knob in self._knobs}
        return {**models, "tick": self._card.ticker.model_id}

    def everything(self) -> list[Any]:
        """All that can be pressed or moved."""
        return [w for w in within(self.box) if w.has_trait("disabled") and w is not self._card.ticker]


def open_panels() -> list[Any]:
    """Players and sliders that were not closed."""
    return cells.panels()


def widgets_alive() -> int:
    """How many widgets there are in the process."""
    return len(getattr(ipywidgets_base, "_instances", None) or ipywidgets_base.Widget.widgets)


def threads_of_players() -> list[threading.Thread]:
    """Those that take steps, or wait for ticks."""
    return [thread for thread in threading.enumerate() if thread.name == "dip-player"]


def drawn(run: dip.Run) -> bytes:
    """What a panel shows of a run's picture."""
    return encode(contact_sheet(run.image))


def on_each_drawing(player: dip.Player, call: Callable[[Callable[[], None]], None]) -> Callable[[], None]:
    """Have ``call(draw)`` called in place of each drawing; returns what undoes it."""
    panel = player._sides[0].panel
    show = panel.show
    panel.show = lambda frame: call(lambda: show(frame))
    return lambda: setattr(panel, "show", show)


def on_each_start(sliders: dip.Explorer, call: Callable[[bool], None]) -> None:
    """Have ``call(active)`` called in place of starting and stopping the page's clock."""
    sliders._card.tick = call


def draw_at_once(player: dip.Player) -> None:
    """Have the next step drawn, however soon it comes."""
    player._engine._due = 0.0


def ticked(player: dip.Player) -> bool:
    """Whether the page's clock takes the steps, as on Colab."""
    return player._engine.ticks


def without_a_page(player: dip.Player) -> None:
    """Have a thread take the steps, even on Colab."""
    player._engine.ticks = False


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Wait until a condition holds, with a generous end."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def late_enough() -> None:
    """Wait as long as a click after the end passes for one on Pause that came late."""
    from dip_lessons.notebook.player.engine import LATE_SECONDS

    time.sleep(1.2 * LATE_SECONDS)


class Shell:
    """The notebook's shell as far as the package looks at it; with ``kernel``, ipykernel's too."""

    def __init__(self, kernel: object = None) -> None:
        self.user_ns: dict = {"In": [""]}
        self.request: dict = {}
        self.kernel = kernel

    def execute(self, text: str, cell: str | None = None) -> None:
        """Begin to execute a cell."""
        self.user_ns["In"].append(text)
        metadata = {"cellId": cell} if cell else {}
        self.request = {"header": {"msg_id": str(len(self.user_ns["In"]))}, "metadata": metadata}

    def get_parent(self) -> dict:
        """The request that is being executed."""
        return self.request


def in_a_notebook(monkeypatch: pytest.MonkeyPatch, shell: Shell | None = None) -> list[Any]:
    """Have the package find a shell; what it displays comes into the list that is returned."""
    displayed: list[Any] = []
    shell = shell or Shell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(
        "dip_lessons.notebook.display.display", lambda *things, **options: displayed.extend(things)
    )
    return displayed


def pixels(jpeg: bytes) -> np.ndarray:
    """A JPEG as (H, W, 3) bytes."""
    import io

    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(jpeg)))
