"""One run on the page: its panel, its knobs, its files. It takes no steps."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image

from ...atomic import atomic_write
from ...run import Run
from ..films import film_path, write_film
from .controls import Control, Knob, same
from .drawing import Frame, contact_sheet, marked
from .engine import Engine
from .panel import Panel
from .reel import Reel
from .replay import code
from .turns import turn


class Side:
    """A run with a panel of its own; a player has one or several.

    Args:
        run: what is shown.
        name: of the picture and of its files, "" for none.
        controls: knobs.
        engine: which takes the run's steps.
        events: what the panel calls besides what is answered here; see :class:`Panel`.
    """

    def __init__(
        self,
        run: Run,
        name: str,
        controls: Sequence[Control | str],
        engine: Engine,
        events: Mapping[str, Callable],
    ) -> None:
        self.run, self.name, self._engine = run, name, engine
        self._settings, self._reel = run.settings, Reel()
        self._knobs = [Knob(control, self._settings) for control in controls]
        title = f"The picture of {name}" if name else "The picture"
        own: dict[str, Callable] = {
            "turn": self._turned,
            "save": self._saved,
            "film": self._filmed,
            "copy": self._copied,
        }
        self.panel = Panel(title, self._knobs, {**events, **own}, engine.control, engine.show)

    def frame(self, state: str, beside: Sequence[Run]) -> Frame:
        """What is to be shown now; in one's turn."""
        run, device = self.run, self.run.parameters[0].device
        return Frame(
            state=state,
            step=run.step,
            recorded=run.recorded,
            until=max(self._engine.until, run.recorded),
            values=list(run._history),
            beside=[list(other._history) for other in beside],
            changes=marked(run.log),
            rate=self._engine.rate,
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
            picture=contact_sheet(run.image),
            dropped=len(run._dropped),
        )

    def show(self, frame: Frame) -> None:
        """Show it, and what the knobs are at."""
        self.panel.show(frame)
        self._reel.add(frame.step, self.panel.jpeg, frame.dropped)
        settings = self.run.settings
        if any(settings[name] is not self._settings[name] for name in settings):
            for knob in self._knobs:
                knob.show(settings)
            self._settings = settings

    def save_picture(self, path: str | Path | None) -> Path:
        """See :meth:`Player.save_picture`."""
        with turn(self.run):
            picture, step = contact_sheet(self.run.image), self.run.step
        place = self._place(path, step, ".png")
        if place.exists():
            raise FileExistsError(f"{place} is there already: choose another name")
        with atomic_write(place) as part:
            Image.fromarray(picture).save(part, "PNG")
        return place

    def save_film(self, path: str | Path | None) -> Path:
        """See :meth:`Player.save_film`."""
        with self._engine.drawing:
            step, pages = self.run.step, self._reel.pages(self.run.step, self.run._dropped)
        place = film_path(self._place(path, step, ".mp4" if shutil.which("ffmpeg") else ".webp"))
        write_film(place, pages, quality=75)
        return place

    def code(self) -> str:
        """See :meth:`Player.code`."""
        with turn(self.run):
            return code(self.run)

    def _place(self, path: str | Path | None, step: int, kind: str) -> Path:
        stem = re.sub(r"\W+", "_", self.name or "picture")
        return Path(path or Path.cwd() / f"{stem}_{step:04}_{time.strftime('%H%M%S')}{kind}")

    # What the page sends

    def _turned(self, knob: Knob) -> None:
        value = knob.asked()
        try:
            with turn(self.run):
                if same(value, knob.current(self.run.settings)):
                    return
                self.run.set(**{knob.control.setting: value})
        finally:
            knob.show(self.run.settings)
        self._engine.changed()

    def _saved(self) -> None:
        self.panel.say(f"Saved as {self.save_picture(None)}")

    def _filmed(self) -> None:
        self.panel.say(f"Saved as {self.save_film(None)}")

    def _copied(self) -> None:
        self.panel.say("This code makes the picture again. Click on it to select all:", code=self.code())
