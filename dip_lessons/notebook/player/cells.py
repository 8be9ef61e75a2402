"""One panel for each cell: known by its name, and closed when its cell runs again."""

from __future__ import annotations

import atexit
from typing import Any, TypeVar

from ..display import present, shell
from .panel import bundle

UNNAMED = 8  # panels of one kind without a name that are kept; no lesson has as many

_open: dict[tuple[type, str], CellPanel] = {}  # by kind and name, in the order in which they were made
_calls: list[Any] = ["", 0]  # the request that is being executed, and how many panels it made before


class CellPanel:
    """What a cell's last line shows: a box of widgets, and its picture for pages without a kernel.

    The notebook's list of outputs keeps it for ever: ``close`` lets go of all that it holds.
    """

    _output: Any = None  # IPython's handle of the output that holds the box

    def close(self) -> None:
        """Take the box away."""
        raise NotImplementedError

    def _halt(self, seconds: float = 0.0) -> None:
        """Stop what goes on in the background, and wait for it so long."""

    def _look(self) -> tuple[Any, bytes, int] | None:
        """The box, its picture as JPEG, and how wide that is shown; None once closed."""
        raise NotImplementedError

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        return self._shown()[0]

    def _shown(self) -> tuple[dict[str, object], dict[str, Any]]:
        """What is displayed, and IPython's options for it."""
        if (look := self._look()) is None:
            return {"text/plain": repr(self)}, {"raw": True}
        box, jpeg, width = look
        return bundle(box, jpeg, repr(self)), {"raw": True, "metadata": {"image/jpeg": {"width": width}}}

    def _ipython_display_(self) -> None:
        data, options = self._shown()
        self._output = present(data, repr(self), display_id=True, **options)


P = TypeVar("P", bound=CellPanel)


def register(panel: P, name: str | None) -> P:
    """Have a panel known by its name, or by the cell that is being executed, and close the one before it."""
    kind, key = type(panel), (type(panel), _cell() if name is None else name)
    if key in _open:
        _open[key].close()
    _open[key] = panel
    for old in [each for each in _open if each[0] is kind and each[1].startswith("cell ")][:-UNNAMED]:
        _open[old].close()
    kernel: Any = getattr(shell(), "kernel", None)
    if hasattr(kernel, "saved_sigint_handler"):  # ipykernel's own, in force while no cell runs; ignores ■
        kernel.saved_sigint_handler = interrupted
    return panel


def forget(panel: CellPanel) -> None:
    """Undo :func:`register`."""
    for key in [key for key, each in _open.items() if each is panel]:
        del _open[key]


def panels() -> list[CellPanel]:
    """Those that are open, in the order in which they were made."""
    return list(_open.values())


def interrupted(*_: object) -> None:
    """■ while no cell runs: pause all. The threads, or the next ticks, see to the rest."""
    for panel in panels():
        panel._halt()


def _cell() -> str:
    """A name for the cell that is being executed, the same whenever it is executed again."""
    here = shell()
    parent: dict[str, Any] = getattr(here, "get_parent", dict)()
    request = parent.get("header", {}).get("msg_id", "")
    _calls[:] = [request, _calls[1] + 1 if request == _calls[0] else 0]
    # A front end that does not name its cells leaves their text; without a notebook each panel stands alone.
    text = here.user_ns.get("In", [""])[-1] if here is not None else ""
    return f"cell {parent.get('metadata', {}).get('cellId', text)} {_calls[1]}"


@atexit.register
def _stop_all() -> None:
    for panel in panels():
        panel._halt(seconds=10)  # a thread in the middle of a step would crash the end of the process
