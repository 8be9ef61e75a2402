"""The player: a panel of widgets that plays, pauses, rewinds and steers a run."""

from __future__ import annotations

import atexit
import base64
import contextlib
import functools
import math
import re
import shutil
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image

from ...atomic import atomic_write
from ...run.loop import Run
from ..display import film_path, write_film
from .controls import Choice as choice
from .controls import Control, Knob, pick_channel, same
from .controls import Slider as slider
from .film import Reel
from .panel import Frame, Panel, bundle, contact_sheet, still
from .replay import code

__all__ = ["Player", "choice", "compare", "pick_channel", "play", "slider"]

FRAME_SECONDS = 0.12  # from one picture to the next at the most, where steps take no longer: eight a second
GPU_FRAME_SECONDS = 0.036  # where the processor has little else to do
TICK_SECONDS = 0.08  # of steps at each tick of the page's clock
AWAY_SECONDS = 2.0  # without a tick: the page is gone, or was loaded again
UNNAMED = 8  # players without a name that are kept; no lesson has as many
NEVER = math.inf

P = TypeVar("P")
_players: dict[str, Player] = {}  # by name, in the order in which they were made
_calls: list[Any] = ["", 0]  # the request that is being executed, and how many players it made before


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
    return register(Player(run, controls, name), name, _players)


def register(panel: P, name: str | None, panels: dict[str, Any]) -> P:
    """Have a panel known by its name, or by the cell that is being executed, and close the one before it."""
    key = _cell() if name is None else name
    if key in panels:
        panels[key].close()
    panels[key] = panel
    for old in [other for other in panels if other.startswith("cell ")][:-UNNAMED]:
        panels[old].close()
    kernel: Any = getattr(_shell(), "kernel", None)
    if hasattr(kernel, "saved_sigint_handler"):  # ipykernel's own, in force while no cell runs; ignores ■
        kernel.saved_sigint_handler = _interrupted
    return panel


def forget(panel: object, panels: dict[str, Any]) -> None:
    """Undo :func:`register`."""
    for key in [key for key, each in panels.items() if each is panel]:
        del panels[key]


def _event(method: Callable[..., None]) -> Callable[..., None]:
    """A handler of what the page sends. Nothing that it raises may leave it: it would be shown nowhere."""

    @functools.wraps(method)
    def handle(self: Player, *arguments: object) -> None:
        with self._control:
            if self._state == "closed":
                return
            try:
                method(self, *arguments)
            except KeyboardInterrupt:  # the step is done, and that was all
                self._draw()
            except Exception as error:
                self._draw()
                self._panel.say(error=error)

    return handle


class Player:
    """A run with a panel; made by :func:`play`.

    A background thread takes the steps, so that the kernel stays usable. Where the page does not draw what a
    thread sends (Colab), the page's own clock asks for them, a few at each tick. :meth:`result` takes them in
    the cell itself. All three go through one loop, one step at a time in the whole process.

    >>> network = dip.load_network(device="cpu")
    >>> run = dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2)
    >>> player = dip.play(run)
    >>> player.state, player.run is run
    ('ready', True)
    >>> player.result() is run, player.state
    (True, 'done')
    >>> player.close()
    """

    def __init__(self, run: Run, controls: Sequence[Control | str] = (), name: str | None = None) -> None:
        self.run, self.name, self.ticks = run, name, "google.colab" in sys.modules
        self._state = "ready"
        self._error: BaseException | None = None
        self._stop = threading.Event()  # a new one each time it is set going
        self._thread: threading.Thread | None = None
        self._until = self._end = run.steps  # where the loop stops, and where the curve ends
        self._last_tick = NEVER  # NEVER while none is expected
        self._ended = self._due = -NEVER  # when the steps, or their cell, came to an end; when to draw again
        self._cell_since = NEVER  # when result() began
        self._times: deque[float] = deque(maxlen=40)
        self._control, self._drawing = threading.RLock(), threading.Lock()
        self._settings = run.settings
        self._beside: list[Run] = []  # runs whose curves are drawn too
        self._reel = Reel()
        self._shown: Any = None  # IPython's handle of the output that holds the panel
        listed = [controls] if isinstance(controls, (str, Control)) else controls
        self._knobs = [Knob(control, self._settings, self._turned) for control in listed]
        handlers: dict[str, Callable] = {
            "play": self._toggled,
            "step": self._stepped,
            "rewind": functools.partial(self._scrubbed, 0),
            "scrub": self._scrubbed,
            "tick": self._ticked,
            "save": self._saved,
            "film": self._filmed,
            "copy": self._copied,
        }
        self._panel = Panel(f"The picture of {name}" if name else "The picture", self._knobs, handlers)
        self._draw()

    @property
    def state(self) -> str:
        """``"ready"``, ``"playing"``, ``"paused"``, ``"away"``, ``"done"``, ``"failed"`` or ``"closed"``."""
        away = self._state == "playing" and time.monotonic() - self._last_tick > AWAY_SECONDS
        return "away" if away else self._state

    def play(self, steps: int | None = None) -> Player:
        """Go on in the background: for so many steps, or to the planned number, or for as many again.

        >>> network = dip.load_network(device="cpu")
        >>> run = dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=64)
        >>> player = dip.play(run).play()  # goes on while other code runs
        >>> player.pause().state
        'paused'
        >>> player.close()
        """
        with self._control:
            run = self._open_run()
            self.pause()
            planned = run.steps or 256
            until = (run.step // planned + 1) * planned if steps is None else run.step + steps
            stop = self._begin(until, self._end if steps else until)
            if self.ticks:
                self._last_tick = time.monotonic()
            work = functools.partial(self._watch if self.ticks else self._work, until, stop)
            self._thread = threading.Thread(target=work, name="dip-player", daemon=True)
            self._draw()
            self._thread.start()
            self._panel.tick(self.ticks)
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
        with self._control:
            self._stop.set()
            if self._thread is not None:
                self._thread.join()
                self._thread = None
            if self.ticks and self._state == "playing":
                self._panel.tick(False)
                self._settle(self._stop)
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
        with self._control:
            self._open_run()
            self.pause()
            with _turn(self.run):
                self._go_to(step)
            self._recover()
            self._draw()
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
        until = self._open_run().steps if steps is None else steps
        if isinstance(until, bool) or not isinstance(until, int) or until < 0:
            raise ValueError(f"steps must be a whole number, 0 or more; got {steps!r}")
        with self._control:
            self.pause()
            failure, self._error = self._error, None  # raised once: the next call tries again
            if failure is not None:
                raise failure
            stop = self._begin(until, until)
        self._cell_since = time.monotonic()
        try:
            try:
                self._in_this_thread(until, stop)
            except BaseException as error:
                self._fail(error)
                self._error = None
                raise
            self._settle(stop)
            if stop.is_set():
                where = f"step {self.run.step} of {until}"
                raise KeyboardInterrupt(f"paused at {where}; result() goes on from there")
            if _shell() is not None:
                self._show_result()
        finally:
            self._cell_since, self._ended = NEVER, time.monotonic()
        return self.run

    def _show_result(self) -> None:
        from IPython.display import display

        picture = base64.b64encode(still(self._frames())).decode("ascii")
        data = {"image/jpeg": picture, "text/plain": "<the picture and its curve>"}
        display(data, metadata={"image/jpeg": {"width": 760}}, raw=True)
        if self._shown is not None:  # a stored notebook has this picture in place of the panel
            self._shown.update(self._repr_mimebundle_(), metadata=self._size(), raw=True)

    def save_picture(self, path: str | Path | None = None) -> Path:
        """Write the picture to a new PNG file and return its path.

        Args:
            path: where to; None makes a name in the working directory of the player's name, step and time.

        Raises OSError if the file exists already or cannot be written.

        >>> network = dip.load_network(device="cpu")
        >>> player = dip.play(dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2))
        >>> player.save_picture("start.png").name
        'start.png'
        >>> player.close()
        """
        frame = self._frame()
        place = self._place(path, frame.step, ".png")
        if place.exists():
            raise FileExistsError(f"{place} is there already: choose another name")
        with atomic_write(place) as part:
            Image.fromarray(frame.picture).save(part, "PNG")
        return place

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
        with self._drawing:
            run = self._open_run()
            step, pages = run.step, self._reel.pages(run.step, run._dropped)
        place = film_path(self._place(path, step, ".mp4" if shutil.which("ffmpeg") else ".webp"))
        write_film(place, pages, quality=75)
        return place

    def _place(self, path: str | Path | None, step: int, kind: str) -> Path:
        stem = re.sub(r"\W+", "_", self.name or "picture")
        return Path(path or Path.cwd() / f"{stem}_{step:04}_{time.strftime('%H%M%S')}{kind}")

    def code(self) -> str:
        """The code that makes this picture again, knob changes included.

        >>> network = dip.load_network(device="cpu")
        >>> player = dip.play(dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2))
        >>> "dip.channel('features.3', 0)" in player.code()
        True
        >>> player.close()
        """
        run = self._open_run()
        with _turn(run):
            return code(run)

    def close(self) -> None:
        """Stop, take the panel away, and let go of the run and all memory that it holds.

        >>> network = dip.load_network(device="cpu")
        >>> player = dip.play(dip.optimize(dip.Fourier(32), dip.channel("features.3", 0), network, steps=2))
        >>> player.close()
        >>> player, player.state
        (<player: closed>, 'closed')
        """
        with self._control:
            if self._state == "closed":
                return
            self.pause()
            self._state = "closed"
            self._panel.close()
            self._knobs, self._settings, self._beside = [], {}, []
            # The notebook's list of outputs keeps the player itself.
            self.run = self._panel = self._reel = self._error = None  # type: ignore[assignment]
            forget(self, _players)
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def __repr__(self) -> str:
        return "<player: closed>" if self._state == "closed" else "<player: press Play, or call result()>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        """The panel, and its picture for pages without a kernel."""
        if self._state == "closed":
            return {"text/plain": repr(self)}
        return bundle(self._panel.box, self._panel.jpeg, repr(self))

    def _ipython_display_(self) -> None:
        from IPython.display import display

        self._shown = display(
            self._repr_mimebundle_(), metadata=self._size(), raw=True, display_id=_shell() is not None
        )

    def _size(self) -> dict[str, object]:
        """How large the picture is shown in place of the panel."""
        return {"image/jpeg": {"width": self._panel.width}} if self._state != "closed" else {}

    def _open_run(self) -> Run:
        if self._state == "closed":
            raise RuntimeError("this player was closed, as when its cell runs again; use the newer one")
        return self.run

    # The loop

    def _advance(self, until: int, stop: Callable[[], bool]) -> None:
        """Take steps to ``until`` or until ``stop()``: the one loop of thread, ticks and result()."""
        run = self.run
        while True:
            with _turn(run):
                if run.step >= until or stop():
                    return
                self._take_step()
            now = time.perf_counter()
            self._times.append(now)
            if now >= self._due:
                self._draw()

    def _work(self, until: int, stop: threading.Event) -> None:
        """What the background thread does."""
        try:
            self._advance(until, stop.is_set)
        except BaseException as error:  # result() raises it
            self._fail(error)
        else:
            self._settle(stop)

    @_event
    def _ticked(self) -> None:
        """A tick of the page's clock, in the thread that takes in what the page sends."""
        if self._last_tick == NEVER:
            return  # sent before the clock heard that it shall stop
        self._last_tick, stop = NEVER, self._stop
        try:
            self._in_this_thread(self._until, stop, TICK_SECONDS)
        except BaseException as error:  # result() raises it
            self._fail(error)
        else:
            if not stop.is_set() and self.run.step < self._until:
                self._last_tick = time.monotonic()
                return
            self._settle(stop)
        self._stop.set()
        self._panel.tick(False)

    def _watch(self, until: int, stop: threading.Event) -> None:
        """What the background thread does where ticks take the steps: say so when they stay away."""
        away = False
        while not stop.wait(AWAY_SECONDS / 4):
            if away != (self.state == "away"):
                away = not away
                self._draw()

    def _in_this_thread(self, until: int, stop: threading.Event, seconds: float = NEVER) -> None:
        deadline = time.monotonic() + seconds
        try:
            with _interrupt_sets(stop):
                self._advance(until, lambda: stop.is_set() or time.monotonic() >= deadline)
        except KeyboardInterrupt:  # from the run, which finishes its step first
            stop.set()

    def _begin(self, until: int, end: int) -> threading.Event:
        self._recover()
        self._state, self._until, self._end, self._stop = "playing", until, end, threading.Event()
        self._times.clear()
        return self._stop

    def _settle(self, stop: threading.Event) -> None:
        self._last_tick = NEVER
        self._state = "paused" if stop.is_set() or self.run.step < self.run.steps else "done"
        if self._state == "done":
            self._ended = time.monotonic()
        self._draw()

    def _fail(self, error: BaseException) -> None:
        self._last_tick = NEVER
        self._state, self._error = "failed", error
        self._draw()
        self._panel.say(error=error)

    def _recover(self) -> None:
        """The run is whole after an error, so whatever is asked next starts afresh."""
        if self._state in ("failed", "done"):
            self._state = "paused"
        self._error = None
        self._panel.say()

    # The run; a comparison has several

    def _take_step(self) -> None:
        self.run.advance()

    def _go_to(self, step: int) -> None:
        self.run.rewind(step)

    def _recorded(self) -> int:
        return self.run.recorded

    # The picture

    def _frames(self) -> dict[str, Frame]:
        return {self.name or "": self._frame()}

    def _frame(self) -> Frame:
        run, times = self._open_run(), self._times
        with _turn(run):
            device = run.parameters[0].device
            return Frame(
                state=self.state,
                step=run.step,
                recorded=run.recorded,
                until=max(self._end, run.recorded),
                values=list(run._history),
                beside=[list(other._history) for other in self._beside],
                changes=[step for step in run.log if step],
                rate=(len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else None,
                device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
                picture=contact_sheet(run.image),
                dropped=len(run._dropped),
            )

    def _draw(self) -> None:
        with self._drawing:  # or an older picture might come after a newer one
            began = time.perf_counter()
            start = time.thread_time()  # not the clock's, which a busy machine or GPU makes long
            frame = self._frame()
            self._panel.show(frame)
            self._reel.add(frame.step, self._panel.jpeg, frame.dropped)
            settings = self.run.settings
            if any(settings[name] is not self._settings[name] for name in settings):
                for knob in self._knobs:
                    knob.show(settings)
                self._settings = settings
            took = time.thread_time() - start
            # At the last step within the time, not the first after it. Less often: what takes long, and in a long
            # cell, whose messages may be taken in at its end only.
            step = self._times[-1] - self._times[-2] if len(self._times) > 1 else 0.0
            most = FRAME_SECONDS if self.run.parameters[0].device.type == "cpu" else GPU_FRAME_SECONDS
            cell = max(0.0, time.monotonic() - self._cell_since) / 60
            self._due = began + max(most - step, 12 * took, cell)

    # What the page sends

    @_event
    def _toggled(self) -> None:
        if self.state == "playing":
            self.pause()
        elif (
            time.monotonic() - self._ended > 0.3
        ):  # a click on Pause may come just after, having waited for a cell
            self.play()

    @_event
    def _stepped(self) -> None:
        self.play(1)

    @_event
    def _scrubbed(self, step: int) -> None:
        self.pause()
        self.rewind(min(step, self._recorded()))

    @_event
    def _turned(self, knob: Knob) -> None:
        value = knob.asked()
        try:
            with _turn(self.run):
                if same(value, knob.current(self.run.settings)):
                    return
                self.run.set(**{knob.control.setting: value})
        finally:
            knob.show(self.run.settings)
        if self._state != "playing":
            self._recover()
            self._draw()

    @_event
    def _saved(self) -> None:
        self._panel.say(f"Saved as {self.save_picture()}")

    @_event
    def _filmed(self) -> None:
        self._panel.say(f"Saved as {self.save_film()}")

    @_event
    def _copied(self) -> None:
        self._panel.say("This code makes the picture again. Click on it to select all:", code=self.code())


_turns = threading.Lock()


@contextlib.contextmanager
def _turn(run: Run) -> Iterator[None]:
    """A run's lock, in turns: left to itself, the thread that gives a lock up takes it again at once.

    Not to be nested: the outer one holds the lock while the next in the queue waits for it.
    """
    with _turns:
        run.lock.acquire()
    try:
        yield
    finally:
        run.lock.release()


@contextlib.contextmanager
def _interrupt_sets(stop: threading.Event) -> Iterator[None]:
    """Let a keyboard interrupt set ``stop`` instead of breaking off a step or a message to the page."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)


def _interrupted(*_: object) -> None:
    """■ while no cell runs: pause all. The threads, or the next ticks, see to the rest."""
    for player in list(_players.values()):
        player._stop.set()


def _shell() -> Any:
    """The notebook's shell, or None if this is no notebook."""
    return sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None


def _cell() -> str:
    """A name for the cell that is being executed, the same whenever it is executed again."""
    shell = _shell()
    parent: dict[str, Any] = getattr(shell, "get_parent", dict)()
    request = parent.get("header", {}).get("msg_id", "")
    _calls[:] = [request, _calls[1] + 1 if request == _calls[0] else 0]
    # A front end that does not name its cells leaves their text; without a notebook each player stands alone.
    text = shell.user_ns.get("In", [""])[-1] if shell is not None else ""
    return f"cell {parent.get('metadata', {}).get('cellId', text)} {_calls[1]}"


@atexit.register
def _stop_all() -> None:
    for player in list(_players.values()):
        player._stop.set()
        if player._thread is not None:  # in the middle of a step, it would crash the end of the process
            player._thread.join(timeout=10)


from .compare import compare  # noqa: E402  it is made of what stands above
