"""The player: one engine that takes steps, and a panel for each run that it takes them of."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ...arguments import whole
from ...run import Run
from ..display import present, shell
from .cells import CellPanel, forget, register
from .controls import Control
from .drawing import Frame, still
from .engine import Engine
from .panel import beside, take_away
from .side import Side
from .turns import turn

STILL_WIDTH = 760  # pixels on the page, of pictures with their curves


def play(run: Run, *, controls: Sequence[Control | str] = (), name: str | None = None) -> Player:
    """Make a panel that drives a run; make it a cell's last line to show it.

    Args:
        run: what :func:`dip_lessons.optimize` returned.
        controls: knobs, each a setting's name (``"lr"``, ``"strength"``, ``"jitter"``, ``"scale"``,
            ``"rotate"``, ``"blur"``, ``"decay"``) or made by ``slider``, ``choice`` or ``pick_channel``.
        name: an older player of this name is closed. None stands for the cell, so that running it again
            replaces its player.

    Raises TypeError or ValueError for what is no run and for controls that this run cannot have.

    >>> network = dip.load_network(device="cpu")
    >>> run = dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2)
    >>> player = dip.play(run, controls=["lr", dip.slider("decay", 0.0, 2.0)], name="waves")
    >>> player  # in a notebook: the panel
    <player: press Play, or call result()>
    >>> player.close()
    """
    if not isinstance(run, Run):
        raise TypeError(f"play takes a run, such as dip.optimize(…); got {type(run).__name__}")
    return register(Player({name or "": run}, controls), name)


def compare(
    runs: Mapping[str, Run], *, controls: Sequence[Control | str] = (), name: str | None = None
) -> Player:
    """Make panels that play several runs together, step by step; make it a cell's last line to show them.

    ``dip.compare({"lr 0.05": make(lr=0.05), "lr 0.5": make(lr=0.5)})``: the same seed, and one setting differs.
    Buttons and the step slider of all panels act on all runs; knobs, files and settings are each run's own.

    Args:
        runs: by what is written over them; two or more, with parameters of their own, at the same step.
        controls: knobs, as those of :func:`dip_lessons.play`; every run has its own.
        name: an older player of this name is closed. None stands for the cell.

    Raises TypeError or ValueError for runs that cannot be compared and for controls that they cannot have.

    >>> network, objective = dip.load_network(device="cpu"), dip.channel("features.3", 0)
    >>> runs = {f"lr {lr}": dip.optimize(dip.Fourier(32), objective, network, steps=2, lr=lr) for lr in (0.01, 0.1)}
    >>> players = dip.compare(runs)
    >>> first = players.result()  # takes the steps of both
    >>> [run.step for run in runs.values()]
    [2, 2]
    >>> players.close()
    """
    if not isinstance(runs, Mapping) or not all(isinstance(run, Run) for run in runs.values()):
        raise TypeError(f"compare takes runs by title: {{'lr 0.05': run, 'lr 0.5': other}}; got {runs!r:.80}")
    if len(runs) < 2 or len({run.step for run in runs.values()}) > 1:
        told = {title: run.step for title, run in runs.items()}
        raise ValueError(
            f"compare takes two or more runs at the same step; got these, and their steps: {told}"
        )
    parameters = [id(p) for run in runs.values() for p in run.parameters]
    if len(set(parameters)) < len(parameters):
        raise ValueError("two of these runs change the same picture: make a parameterization for each")
    return register(Player(runs, controls), name)


class Player(CellPanel):
    """One run or several with their panels; made by :func:`play` and :func:`compare`.

    Its steps are taken in the background, so that the kernel stays usable, or by :meth:`result` in the cell itself.

    >>> network = dip.load_network(device="cpu")
    >>> run = dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2)
    >>> player = dip.play(run)
    >>> player.state, player.run is run
    ('ready', True)
    >>> player.result() is run, player.state
    (True, 'done')
    >>> player.close()
    """

    def __init__(self, runs: Mapping[str, Run], controls: Sequence[Control | str] = ()) -> None:
        self.runs, self.run = dict(runs), next(iter(runs.values()))
        self._engine = Engine(
            self.runs, draw=self._draw, say=self._say, clock=lambda active: self._sides[0].panel.tick(active)
        )
        listed = [controls] if isinstance(controls, (str, Control)) else controls
        events: dict[str, Callable] = {
            "play": lambda: self._engine.toggle(self.play),
            "step": functools.partial(self.play, 1),
            "rewind": self.rewind,
            "scrub": self._scrubbed,
            "tick": self._engine.tick,
        }
        self._sides = [Side(run, title, listed, self._engine, events) for title, run in self.runs.items()]
        boxes = {side.name: side.panel.box for side in self._sides}
        self._box = beside(boxes) if len(boxes) > 1 else self._sides[0].panel.box
        self._engine.show()

    @property
    def state(self) -> str:
        """``"ready"``, ``"playing"``, ``"paused"``, ``"away"``, ``"done"``, ``"failed"`` or ``"closed"``.

        Where it is none of the first two and not ``"away"``, nothing more is drawn until somebody asks.
        """
        return self._engine.state if self._engine is not None else "closed"

    def play(self, steps: int | None = None) -> Player:
        """Go on in the background: for so many steps, or to the planned number, or for as many again.

        Args:
            steps: how many; None goes to the next multiple of the planned number.

        >>> network = dip.load_network(device="cpu")
        >>> run = dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=64)
        >>> player = dip.play(run).play()  # goes on while other code runs
        >>> player.pause().state
        'paused'
        >>> player.close()
        """
        engine = self._open_engine()
        with engine.control:
            engine.pause()
            planned, step = self.run.steps or 256, self.run.step
            if steps is None:
                goal = (step // planned + 1) * planned
                engine.play(goal, goal)
            else:
                engine.play(step + whole(steps, "steps"), engine.until)
        return self

    def pause(self) -> Player:
        """Stop after the step that is being taken; returns when it is done.

        >>> network = dip.load_network(device="cpu")
        >>> player = dip.play(dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=64))
        >>> run = player.play().pause().run
        >>> there = run.step
        >>> run.step == there  # it stands still
        True
        >>> player.close()
        """
        if self._engine is not None:
            self._engine.pause()
        return self

    def rewind(self, step: int = 0) -> Player:
        """Pause, and go to any recorded step.

        >>> network = dip.load_network(device="cpu")
        >>> player = dip.play(dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2))
        >>> run = player.result()
        >>> player.rewind(1).run.step
        1
        >>> player.close()
        """
        self._open_engine().go_to(step)
        return self

    def result(self, steps: int | None = None) -> Run:
        """Take the steps that remain, in this cell; show the picture and its curve; return the run.

        Args:
            steps: how many steps the run shall have in the end; None takes the planned number.

        Raises what stopped the player in the background, if something did; RunError if a step fails now;
        KeyboardInterrupt if it is interrupted or paused. The steps taken so far are kept.

        >>> network = dip.load_network(device="cpu")
        >>> player = dip.play(dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2))
        >>> player.result().step, player.result(steps=3).step
        (2, 3)
        >>> player.close()
        """
        engine = self._open_engine()
        engine.in_cell(whole(self.run.steps if steps is None else steps, "steps"), self._show_result)
        return self.run

    def save_picture(self, path: str | Path | None = None) -> Path:
        """Write the picture to a new PNG file and return its path; of several runs, the first one's.

        Args:
            path: where to; None makes a name in the working directory of the player's name, step and time.

        Raises OSError if the file exists already or cannot be written.

        >>> network = dip.load_network(device="cpu")
        >>> player = dip.play(dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2))
        >>> player.save_picture("start.png").name
        'start.png'
        >>> player.close()
        """
        self._open_engine()
        return self._sides[0].save_picture(path)

    def save_film(self, path: str | Path | None = None) -> Path:
        """Write what the panel has shown, from its first picture to the present one, as a film; return its path.

        Args:
            path: where to, as .mp4, .webp or .gif; None makes a name in the working directory, of an .mp4 where
                there is ffmpeg, which makes one, and of a .webp elsewhere.

        Raises OSError if it cannot be written, ValueError for another kind of file, RuntimeError where an .mp4
        is asked for and ffmpeg is missing.

        >>> network = dip.load_network(device="cpu")
        >>> player = dip.play(dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2))
        >>> run = player.result()
        >>> player.save_film("waves.webp").name
        'waves.webp'
        >>> player.close()
        """
        self._open_engine()
        return self._sides[0].save_film(path)

    def code(self) -> str:
        """The code that makes this picture again, knob changes included.

        >>> network = dip.load_network(device="cpu")
        >>> player = dip.play(dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2))
        >>> "dip.channel('features.3', 0)" in player.code()
        True
        >>> player.close()
        """
        self._open_engine()
        return self._sides[0].code()

    def close(self) -> None:
        """Stop, take the panel away, and let go of the run and all memory that it holds.

        >>> network = dip.load_network(device="cpu")
        >>> player = dip.play(dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2))
        >>> player.close()
        >>> player, player.state
        (<player: closed>, 'closed')
        """
        if (engine := self._engine) is None:
            return
        with engine.control:
            engine.pause()
            for side in self._sides:
                side.panel.close()
            take_away(self._box)
            forget(self)
            self.runs, self._sides = {}, []
            self.run = self._engine = self._box = None  # type: ignore[assignment]
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def _halt(self, seconds: float = 0.0) -> None:
        if self._engine is not None:
            self._engine.halt(seconds)

    def __repr__(self) -> str:
        return "<player: closed>" if self._engine is None else "<player: press Play, or call result()>"

    def _open_engine(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("this player was closed, as when its cell runs again; use the newer one")
        return self._engine

    def _scrubbed(self, step: int) -> None:
        self.pause()
        self.rewind(min([step, *(run.recorded for run in self.runs.values())]))

    # What is shown

    def _frames(self, state: str) -> dict[str, Frame]:
        with turn(*self.runs.values()):
            return {
                side.name: side.frame(state, [run for run in self.runs.values() if run is not side.run])
                for side in self._sides
            }

    def _draw(self, state: str) -> None:
        for side, frame in zip(self._sides, self._frames(state).values(), strict=True):
            side.show(frame)

    def _say(self, error: BaseException | None) -> None:
        for side in self._sides[:1] if error else self._sides:
            side.panel.say(error=error)

    def _look(self) -> tuple[Any, bytes, int] | None:
        if self._engine is None:
            return None
        if len(self._sides) > 1:
            return self._box, still(self._frames(self.state)), STILL_WIDTH
        panel = self._sides[0].panel
        return self._box, panel.jpeg, panel.width

    def _show_result(self) -> None:
        if shell() is None:
            return
        picture = base64.b64encode(still(self._frames(self.state))).decode("ascii")
        bundle = {"image/jpeg": picture, "text/plain": "<the picture and its curve>"}
        present(bundle, "", metadata={"image/jpeg": {"width": STILL_WIDTH}}, raw=True)
        if self._output is not None:  # a stored notebook has this picture in place of the panel
            data, options = self._shown()
            self._output.update(data, **options)
