"""How steps are taken: by a thread, by the ticks of the page's clock, or in the cell itself.

All three go through one loop; a step is one of each run, all or none.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from ...run import Run, RunError
from .turns import interrupt_sets, turn

FRAME_SECONDS = 0.12  # from one picture to the next at the most, where steps take no longer: eight a second
GPU_FRAME_SECONDS = 0.036  # where the processor has little else to do
TICK_SECONDS = 0.08  # of steps at each tick of the page's clock
AWAY_SECONDS = 2.0  # without a tick: the page is gone, or was loaded again
LATE_SECONDS = 0.3  # a click on Pause may come so long after the end, having waited for its cell
NEVER = math.inf


class Engine:
    """Takes the steps of one or several runs together.

    A background thread takes them, so that the kernel stays usable. Where the page does not draw what a thread
    sends (Colab), the page's own clock asks for them, a few at each tick. :meth:`in_cell` takes them where it stands.

    Args:
        runs: by title; all at one step.
        draw: called with a state to show: when that changes, and as often as pictures are due.
        say: called with an error, or with None to take its words away.
        clock: called with whether the page's clock shall tick.
    """

    def __init__(
        self,
        runs: Mapping[str, Run],
        *,
        draw: Callable[[str], None],
        say: Callable[[BaseException | None], None],
        clock: Callable[[bool], None],
    ) -> None:
        self.runs, self._draw, self._say, self._clock = dict(runs), draw, say, clock
        self.first = next(iter(self.runs.values()))
        self.ticks = "google.colab" in sys.modules
        self.until = self.first.steps  # where the curve ends
        self.error: BaseException | None = None
        self.control, self.drawing = threading.RLock(), threading.Lock()
        self._state = "ready"
        self._stop = threading.Event()  # a new one each time it is set going
        self._thread: threading.Thread | None = None
        self._goal = self.until  # where the ticks stop
        self._last_tick = NEVER  # NEVER while none is expected
        self._ended = self._due = -NEVER  # when the steps, or their cell, came to an end; when to draw again
        self._cell_since = NEVER  # when in_cell began
        self._times: deque[float] = deque(maxlen=40)

    @property
    def state(self) -> str:
        """See :attr:`Player.state`."""
        away = self.playing and time.monotonic() - self._last_tick > AWAY_SECONDS
        return "away" if away else self._state

    @property
    def playing(self) -> bool:
        """Whether it is going, or would be if the page were there."""
        return self._state == "playing"

    @property
    def rate(self) -> float | None:
        """Steps a second, if there were two."""
        times = self._times
        return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None

    # What can be asked for

    def play(self, goal: int, until: int) -> None:
        """Go on in the background up to a step; the curve ends at ``until``."""
        with self.control:
            self.pause()
            stop = self._begin(goal, until)
            if self.ticks:
                self._last_tick = time.monotonic()
            work = (self._watch, (stop,)) if self.ticks else (self._take_steps, (goal, stop))
            self._thread = threading.Thread(target=work[0], args=work[1], name="dip-player", daemon=True)
            self.show()
            self._thread.start()
            self._clock(self.ticks)

    def pause(self) -> None:
        """Stop after the step that is being taken; returns when it is done."""
        with self.control:
            self.halt(None)
            self._thread = None
            if self.ticks and self.playing:
                self._clock(False)
                self._settle(self._stop)

    def halt(self, seconds: float | None = 0) -> None:
        """Have whatever takes steps stop after this one, and wait so long for its thread; None: until it has ended."""
        self._stop.set()
        if self._thread is not None and seconds != 0:
            self._thread.join(seconds)

    def toggle(self, play: Callable[[], object]) -> None:
        """Pause what goes on, or play, unless it has just come to its end."""
        if self.state == "playing":
            self.pause()
        elif time.monotonic() - self._ended > LATE_SECONDS:
            play()

    def go_to(self, step: int) -> None:
        """Pause, and bring every run to a recorded step."""
        with self.control:
            self.pause()
            with turn(*self.runs.values()):
                for run in self.runs.values():
                    run.rewind(step)
            self.changed()

    def changed(self) -> None:
        """Show what was changed from outside; while steps are taken, the next picture does."""
        if not self.playing:
            self._recover()
            self.show()

    def in_cell(self, goal: int, show: Callable[[], None]) -> None:
        """Take the steps here and now, then ``show``.

        Raises what stopped the thread, once; what a step raises now; KeyboardInterrupt if it is paused.
        """
        with self.control:
            self.pause()
            self._raise_once()
            stop = self._begin(goal, goal)
        self._cell_since = time.monotonic()
        try:
            self._take_steps(goal, stop)
            self._raise_once()
            if stop.is_set():
                where = f"step {self.first.step} of {goal}"
                raise KeyboardInterrupt(f"paused at {where}; result() goes on from there")
            show()
        finally:
            self._cell_since, self._ended = NEVER, time.monotonic()

    def tick(self) -> None:
        """A tick of the page's clock: take a few steps."""
        if self._last_tick == NEVER:
            return  # sent before the clock heard that it shall stop
        self._last_tick = NEVER
        self._take_steps(self._goal, self._stop, TICK_SECONDS)
        if self.playing:
            self._last_tick = time.monotonic()
        else:
            self._stop.set()
            self._clock(False)

    def show(self, state: str | None = None) -> None:
        """Draw, and decide when the next picture is due."""
        with self.drawing:  # or an older picture might come after a newer one
            began = time.perf_counter()
            start = time.thread_time()  # not the clock's, which a busy machine or GPU makes long
            self._draw(state or self.state)
            took = time.thread_time() - start
            # At the last step within the time, not the first after it. Less often: what takes long, and in a long
            # cell, whose messages may be taken in at its end only.
            step = self._times[-1] - self._times[-2] if len(self._times) > 1 else 0.0
            most = FRAME_SECONDS if self.first.parameters[0].device.type == "cpu" else GPU_FRAME_SECONDS
            cell = max(0.0, time.monotonic() - self._cell_since) / 60
            self._due = began + max(most - step, 12 * took, cell)

    # The loop

    def _take_steps(self, goal: int, stop: threading.Event, seconds: float = NEVER) -> None:
        """Take steps to the goal, until ``stop``, or for so long: the one loop of thread, ticks and cell."""
        end = time.monotonic() + seconds
        with interrupt_sets(stop):
            try:
                while self._step_if(
                    lambda: self.first.step < goal and not stop.is_set() and time.monotonic() < end
                ):
                    now = time.perf_counter()
                    self._times.append(now)
                    if now >= self._due:
                        self.show()
            except KeyboardInterrupt:  # from the run, which finishes its step first
                stop.set()
            except BaseException as error:  # result() raises it
                self._end("failed", error)
                return
            if stop.is_set() or self.first.step >= goal:
                self._settle(stop)

    def _step_if(self, wanted: Callable[[], bool]) -> bool:
        """Take a step of each run, or of none where one fails; whether a step was wanted."""
        with turn(*self.runs.values()):
            if not wanted():
                return False
            step = self.first.step
            for title, run in self.runs.items():
                try:
                    run.advance()
                except BaseException as error:
                    if len(self.runs) == 1:
                        raise
                    for each in self.runs.values():
                        each.rewind(step)
                    if isinstance(error, RunError):
                        raise RunError(f"{title}: {error}") from error.__cause__
                    raise
        return True

    def _watch(self, stop: threading.Event) -> None:
        """What the background thread does where ticks take the steps: say so when they stay away."""
        away = False
        while not stop.wait(AWAY_SECONDS / 4):
            if away != (self.state == "away"):
                away = not away
                self.show()

    def _begin(self, goal: int, until: int) -> threading.Event:
        self._recover()
        self._state, self._goal, self.until, self._stop = "playing", goal, until, threading.Event()
        self._times.clear()
        return self._stop

    def _settle(self, stop: threading.Event) -> None:
        done = not stop.is_set() and self.first.step >= self.first.steps
        if done:
            self._ended = time.monotonic()
        self._end("done" if done else "paused")

    def _end(self, state: str, error: BaseException | None = None) -> None:
        self._last_tick, self.error = NEVER, error
        try:
            self.show(state)
            if error is not None:
                self._say(error)
        finally:
            self._state = state  # last: whoever sees it finds that nothing more is drawn

    def _raise_once(self) -> None:
        error, self.error = self.error, None  # the next call tries again
        if error is not None:
            raise error

    def _recover(self) -> None:
        """The run is whole after an error, so whatever is asked next starts afresh."""
        if self._state in ("failed", "done"):
            self._state = "paused"
        self.error = None
        self._say(None)
