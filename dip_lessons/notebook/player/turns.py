"""Who may touch a run, and what a keyboard interrupt may break off."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from ...run import Run

_queues: dict[threading.RLock, threading.Lock] = {}


@contextlib.contextmanager
def turn(*runs: Run) -> Iterator[None]:
    """The locks of runs, in turns: left to itself, the thread that gives a lock up takes it again at once.

    Not to be nested: the outer one holds the lock while the next in the queue waits for it.
    """
    with contextlib.ExitStack() as held:
        for lock in sorted({run.lock for run in runs}, key=id):  # one for each device, in one order for all
            with _queues.setdefault(lock, threading.Lock()):
                held.enter_context(lock)
        yield


@contextlib.contextmanager
def interrupt_sets(stop: threading.Event) -> Iterator[None]:
    """Let a keyboard interrupt set ``stop`` instead of breaking off a step or a message to the page."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = signal.signal(signal.SIGINT, lambda *_: stop.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)
