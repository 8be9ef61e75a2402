"""What a stored run is made of, and how pictures are measured, by name. Each room enters its own when it is imported.

A file names a thing and the room that has it, so that reading the file imports that room and nothing else.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

Thing = TypeVar("Thing", bound=Callable[..., Any])

ROOMS = ("sphere", "mesh", "stylegan")  # outside the core: imported when something of theirs is asked for
_entered: dict[str, dict[str, Any]] = {
    "parameterization": {},  # classes
    "views": {},  # classes, kinds of random views
    "transform": {},  # functions (pictures, generator) -> pictures, for views.then
    "objective": {},  # functions that make objectives of plain arguments
    "measure": {},  # functions of pictures, for dip.metrics
}


def enter(kind: str) -> Callable[[Thing], Thing]:
    """Decorate a class or function, so that what a run is stored with can name it.

    Args:
        kind: ``"parameterization"``, ``"views"``, ``"transform"``, ``"objective"`` or ``"measure"``.

    Raises ValueError for a name that something else has.

    >>> from dip_lessons import registry
    >>> @registry.enter("transform")
    ... def darker(pictures, generator):
    ...     return 0.9 * pictures
    >>> registry.find("transform", "darker") is darker
    True
    """

    def decorate(thing: Thing) -> Thing:
        name, there = thing.__name__, _entered[kind].get(thing.__name__)
        # A cell that runs again, or a module that is reloaded, enters the same thing anew.
        if there is not None and (there.__module__, there.__qualname__) != (
            thing.__module__,
            thing.__qualname__,
        ):
            raise ValueError(
                f"{there.__module__} has a {kind} {name} already: choose another name for this one"
            )
        _entered[kind][name] = thing
        return thing

    return decorate


def find(kind: str, name: str, room: str | None = None) -> Any:
    """What was entered under this name. Rooms that were not imported yet are, as far as they are needed.

    Args:
        kind, name: see :func:`enter`.
        room: the one that has it, if a file says so; None asks all rooms.

    Raises KeyError where no room of this package has it, nor a module of yours that was imported.
    """
    for outer in () if name in _entered[kind] else ROOMS if room is None else {room} & set(ROOMS):
        importlib.import_module(f"{__package__}.{outer}")
    return _entered[kind][name]


def knows(kind: str, thing: Any) -> bool:
    """Whether exactly this was entered."""
    return _entered[kind].get(getattr(thing, "__name__", "")) is thing


def names(kind: str) -> list[str]:
    """What was entered so far."""
    return list(_entered[kind])


def room_of(thing: Any) -> str | None:
    """The room outside the core that a thing was defined in; None for the core's and for yours."""
    package, _, inside = thing.__module__.partition(".")
    room = inside.partition(".")[0]
    return room if package == __package__ and room in ROOMS else None
