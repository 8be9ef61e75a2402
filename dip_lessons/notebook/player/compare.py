"""Several runs side by side, played together: what does one setting change?"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import ipywidgets as widgets

from ...run.loop import Run, RunError
from . import Player, _players, register
from .controls import Control
from .panel import Frame, bundle, still, take_away


def compare(
    runs: Mapping[str, Run], *, controls: Sequence[Control | str] = (), name: str | None = None
) -> Comparison:
    """Make panels that play several runs together, step by step; make it a cell's last line to show them.

    ``dip.compare({"lr 0.05": make(lr=0.05), "lr 0.5": make(lr=0.5)})``: the same seed, and one setting differs.

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
    return register(Comparison(runs, controls), name, _players)


class Comparison(Player):
    """A player whose every step is one of each run; made by :func:`compare`.

    The first run's panel has the clock. Buttons and the step slider of all panels act on all runs; knobs, files
    and settings are each run's own.
    """

    def __init__(self, runs: Mapping[str, Run], controls: Sequence[Control | str] = ()) -> None:
        (title, first), *others = runs.items()
        self.runs = dict(runs)
        self._others = [Player(run, controls, other) for other, run in others]
        super().__init__(first, controls, title)
        players = [self, *self._others]
        for player in players:
            player._beside = [other.run for other in players if other is not player]
        for other in self._others:
            other._panel.events.update(
                {what: self._panel.events[what] for what in ("play", "step", "rewind", "scrub")}
            )
        titled = [
            widgets.VBox([widgets.HTML(f"<b>{html.escape(title)}</b>"), player._panel.box])
            for title, player in zip(runs, players, strict=True)
        ]
        self._box = widgets.HBox(titled).add_class("dip-together")
        self._draw()

    def _take_step(self) -> None:
        step = self.run.step
        for title, run in self.runs.items():
            try:
                run.advance()
            except BaseException as error:
                for each in self.runs.values():
                    each.rewind(step)  # all or none
                if isinstance(error, RunError):
                    raise RunError(f"{title}: {error}") from error.__cause__
                raise

    def _go_to(self, step: int) -> None:
        for run in self.runs.values():
            run.rewind(step)

    def _recorded(self) -> int:
        return min(run.recorded for run in self.runs.values())

    def _draw(self) -> None:
        super()._draw()
        for other in self._others:
            if other._state != "closed":
                for what in ("_state", "_until", "_end", "_last_tick", "_times"):
                    setattr(other, what, getattr(self, what))
                other._draw()

    def _frames(self) -> dict[str, Frame]:
        return dict(zip(self.runs, (p._frame() for p in (self, *self._others)), strict=True))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        """The panels, and their pictures and curves for pages without a kernel."""
        if self._state == "closed":
            return super()._repr_mimebundle_()
        return bundle(self._box, still(self._frames()), repr(self))

    def _size(self) -> dict[str, object]:
        return {"image/jpeg": {"width": 760}} if self._state != "closed" else {}

    def close(self) -> None:
        """Stop, take the panels away, and let go of the runs."""
        box, others, self._box = self._box, self._others, None
        super().close()
        for other in others:
            other.close()
        self.runs, self._others = {}, []
        if box is not None:
            take_away(box)
