"""Sliders that redraw a picture: a small one at once, a sharp one when they rest."""

from __future__ import annotations

import inspect
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from ...arguments import is_whole
from .cells import CellPanel, forget, register
from .controls import Choice, Control, Knob, Slider
from .drawing import contact_sheet, encode
from .engine import AWAY_SECONDS
from .panel import SliderCard

__all__ = ["Explorer", "explore"]

REST_SECONDS = 0.25  # without a change: the sliders rest


def explore(
    draw: Callable[..., Tensor],
    controls: Sequence[Control] | Control,
    *,
    sizes: Sequence[int] = (128, 512),
    start: Mapping[str, object] | None = None,
    name: str | None = None,
) -> Explorer:
    """Make a panel of sliders that redraw a picture; make it a cell's last line to show it.

    While a slider moves, the picture is drawn at the first size; when the sliders rest, at one size after the other.

    Args:
        draw: ``draw(size, **values)`` returns a picture, or several, (C, H, W) or (B, C, H, W) in [0, 1].
        controls: made by ``dip.slider`` or ``dip.choice``, each named as one of draw's arguments.
        sizes: in pixels, rising; what ``draw`` is called with.
        start: first values by name. What it does not name starts at draw's own default; without one, a slider
            starts at 0 or what is nearest to it, a menu at its first entry.
        name: an older panel of this name is closed. None stands for the cell, so that running it again
            replaces its panel.

    Raises TypeError or ValueError for controls, sizes and values that cannot be, and for what is no picture;
    whatever ``draw`` raises at the first values.

    >>> def grey(size, level=0.5):
    ...     return torch.full((3, size, size), level)
    >>> panel = dip.explore(grey, dip.slider("level", 0.0, 1.0), sizes=(16, 64))  # in a notebook: slider and picture
    >>> panel.values, panel.image.shape
    ({'level': 0.5}, torch.Size([1, 3, 64, 64]))
    >>> panel.close()
    """
    listed: list[Slider | Choice] = []
    for control in [controls] if isinstance(controls, (str, Control)) else controls:
        if not isinstance(control, (Slider, Choice)) or control.setting == "scale":  # a range, in players
            raise TypeError(
                "a control is dip.slider or dip.choice with the name of one of draw's arguments (other than "
                f"'scale'); got {control!r}"
            )
        listed.append(control)
    if not sizes or not all(is_whole(n) and n > 0 for n in sizes):
        raise ValueError(f"sizes are whole numbers of pixels, as in (128, 512); got {sizes!r}")
    if any(a >= b for a, b in zip(sizes, sizes[1:], strict=False)):
        raise ValueError(f"sizes rise, from the picture that comes at once to the sharp one; got {sizes!r}")
    return register(Explorer(draw, listed, sizes, _first_values(draw, listed, start or {})), name)


class Explorer(CellPanel):
    """Sliders and the picture that they draw; made by :func:`explore`.

    The page's own clock asks for the sharper pictures, since not every page draws what a thread sends (Colab).

    >>> slider = dip.slider("level", 0.0, 1.0)
    >>> panel = dip.explore(lambda size, level=0.5: torch.full((3, size, size), level), slider)
    >>> panel.values, panel.image.shape
    ({'level': 0.5}, torch.Size([1, 3, 512, 512]))
    >>> panel.close()
    """

    def __init__(
        self, draw: Callable[..., Tensor], controls: Sequence[Control], sizes: Sequence[int], start: dict
    ):
        self._draw, self._sizes, self._start, self._values = draw, tuple(sizes), start, dict(start)
        self._next = 0  # which of the sizes is to be drawn now
        self._changed = self._last_tick = -math.inf  # when a slider moved, when the page's clock ticked
        self._image: Tensor | None = None
        self._control = threading.RLock()
        self._knobs = [Knob(control, self._values) for control in controls]
        events: dict[str, Callable] = {"turn": self._turned, "reset": self._reset, "tick": self._ticked}
        self._card = SliderCard(self._knobs, events, self._control, self._rest)
        self._redraw_all()

    @property
    def values(self) -> dict[str, Any]:
        """What the sliders say, by name."""
        return dict(self._values)

    @property
    def image(self) -> Tensor:
        """The last picture that was drawn, (B, C, H, W) in [0, 1]."""
        if self._image is None:
            raise RuntimeError("these sliders were closed, as when their cell runs again; use the newer ones")
        return self._image

    def set(self, **values: object) -> Explorer:
        """Move sliders from code, and draw at all sizes.

        Raises KeyError for a name that no slider has, RuntimeError once closed, and whatever ``draw`` raises.

        >>> slider = dip.slider("level", 0.0, 1.0)
        >>> panel = dip.explore(lambda size, level=0.5: torch.full((3, size, size), level), slider)
        >>> panel.set(level=0.25).image.unique()
        tensor([0.2500])
        >>> panel.close()
        """
        unknown = [name for name in values if name not in self._values]
        if unknown:
            raise KeyError(f"there is no slider {unknown[0]!r}; there are {', '.join(self._values)}")
        with self._control:
            _ = self.image  # or they were closed
            self._values.update(values)
            self._show_values()
            self._redraw_all()
        return self

    def close(self) -> None:
        """Take the panel away, and let go of all that it draws with.

        >>> slider = dip.slider("level", 0.0, 1.0)
        >>> panel = dip.explore(lambda size, level=0.5: torch.full((3, size, size), level), slider)
        >>> panel.close()
        >>> panel.image
        Traceback (most recent call last):
            ...
        RuntimeError: these sliders were closed, as when their cell runs again; use the newer ones
        """
        with self._control:
            if self._card is not None:
                self._card.close()
                self._knobs, self._image = [], None
                self._draw = self._card = None  # type: ignore[assignment]
                forget(self)

    def __repr__(self) -> str:
        return "<sliders: closed>" if self._card is None else "<sliders: move them, or call set(…)>"

    def _look(self) -> tuple[Any, bytes, int] | None:
        return None if self._card is None else (self._card.box, self._card.jpeg, self._card.width)

    def _redraw(self) -> None:
        """Draw at the next size, and show it."""
        size, began = self._sizes[self._next], time.perf_counter()
        picture = self._draw(size, **self._values)
        if (
            not isinstance(picture, Tensor)
            or picture.ndim not in (3, 4)
            or picture.shape[-3] not in (1, 3, 4)
        ):
            got = tuple(picture.shape) if isinstance(picture, Tensor) else type(picture).__name__
            raise TypeError(f"draw returns a picture (C, H, W) or (B, C, H, W), C = 1, 3 or 4; got {got}")
        self._image, self._next = picture.detach().view(-1, *picture.shape[-3:]), self._next + 1
        sheet, last = contact_sheet(self._image), self._next == len(self._sizes)
        took = f"drawn in {1000 * (time.perf_counter() - began):.0f} ms"
        what = f"{size} px" if last else f"{size} px, sharper when the sliders rest"
        # Small ones are shown as large as the sharp one.
        self._card.show(encode(sheet), sheet.shape[1::-1] if last else None, what, took)

    def _redraw_all(self) -> None:
        self._next = 0
        while self._next < len(self._sizes):
            self._redraw()

    def _show_values(self) -> None:
        for knob in self._knobs:
            knob.show(self._values)

    # What the page sends

    def _turned(self, knob: Knob) -> None:
        self._move({knob.control.setting: knob.asked()})

    def _reset(self) -> None:
        self._move(self._start)
        self._show_values()

    def _move(self, values: Mapping[str, object]) -> None:
        self._values.update(values)
        self._next = 0
        self._redraw()
        self._card.say()
        self._changed = now = time.monotonic()
        # The clock is started once a drag, and anew where it stands still, as after a reload of the page.
        if self._next < len(self._sizes) and now - self._last_tick > AWAY_SECONDS:
            self._last_tick = now
            self._card.tick(True)

    def _ticked(self) -> None:
        self._last_tick = time.monotonic()
        if self._next < len(self._sizes) and self._last_tick - self._changed >= REST_SECONDS:
            self._redraw()
        if self._next == len(self._sizes):
            self._rest()

    def _rest(self) -> None:
        self._next, self._last_tick = len(self._sizes), -math.inf
        self._card.tick(False)


def _first_values(
    draw: Callable, controls: Sequence[Slider | Choice], start: Mapping[str, object]
) -> dict[str, Any]:
    """What the sliders begin with: ``start``, or draw's own default, or 0, or the first of a menu."""
    parameters = dict(list(inspect.signature(draw).parameters.items())[1:])
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    values: dict[str, Any] = {}
    for control in controls:
        name = control.setting
        if name not in parameters and not takes_any:
            known = ", ".join(parameters) or "none but the size"
            raise ValueError(f"draw has no argument {name!r} for a slider to set; it has {known}")
        default = getattr(parameters.get(name), "default", inspect.Parameter.empty)
        if default is inspect.Parameter.empty and isinstance(control, Slider):
            default = min(max(0, control.low), control.high)
        elif default is inspect.Parameter.empty and isinstance(control, Choice):
            default = next(iter(control.options.values()))
        values[name] = start.get(name, default)
    if unknown := [name for name in start if name not in values]:
        raise ValueError(
            f"start names {unknown[0]!r}, for which there is no slider; there are {', '.join(values)}"
        )
    return values
