"""What the arguments of the whole package may be: whole numbers, sizes, devices."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import torch


def is_whole(value: object) -> bool:
    """Whether a value is a whole number: Python's, numpy's or a tensor of one integer; True and False are none.

    >>> import numpy as np
    >>> from dip_lessons.arguments import is_whole
    >>> [is_whole(value) for value in (3, np.int64(3), torch.tensor(3), True, 3.0, "3")]
    [True, True, True, False, False, False]
    """
    boolean = isinstance(value, bool) or "bool" in str(getattr(value, "dtype", ""))
    if boolean or getattr(value, "ndim", 0) != 0:
        return False
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def whole(value: Any, name: str, low: int = 0, high: int | None = None, *, such_as: object = None) -> int:
    """A whole number from ``low`` to ``high`` as Python's int, or a ValueError that says what was expected.

    Args:
        value: see :func:`is_whole`.
        name: of the argument.
        low, high: the smallest and the largest; None means no bound.
        such_as: an example for the message.

    >>> from dip_lessons.arguments import whole
    >>> whole(torch.tensor(3), "batch", 1)
    3
    >>> whole(0, "batch", 1)
    Traceback (most recent call last):
        ...
    ValueError: batch must be a whole number, 1 or more; got 0
    """
    if not is_whole(value) or not low <= operator.index(value) <= (
        operator.index(value) if high is None else high
    ):
        bounds = f"{low} or more" if high is None else f"from {low} to {high}"
        example = "" if such_as is None else f", such as {such_as}"
        raise ValueError(f"{name} must be a whole number, {bounds}{example}; got {value!r}")
    return operator.index(value)


def finite_decay(value: Any) -> float:
    """An exponent of the fall with frequency or degree, or a ValueError that says what was expected.

    >>> from dip_lessons.arguments import finite_decay
    >>> finite_decay(1)
    1.0
    """
    if not math.isfinite(value):
        raise ValueError(f"decay must be a finite number, such as 1 for natural pictures; got {value!r}")
    return float(value)


def height_width(size: int | Sequence[int], aspect: int = 1) -> tuple[int, int]:
    """``size`` as (H, W): a whole number is H, and W is ``aspect`` times as much. Raises ValueError for anything else.

    >>> from dip_lessons.arguments import height_width
    >>> height_width(64), height_width((48, 81)), height_width(64, aspect=2)
    ((64, 64), (48, 81), (64, 128))
    """
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2 or not all(is_whole(n) and operator.index(n) > 0 for n in pair):
        raise ValueError(
            f"size must be a positive int or (height, width) in pixels, as 224 or (180, 240); got {size!r}"
        )
    height, width = (operator.index(n) for n in pair)
    return height, width if isinstance(size, (tuple, list)) else aspect * width


def known_device(device: torch.device | str | int | None) -> torch.device | None:
    """A device as torch's own object, or a ValueError for a name that torch does not know.

    >>> from dip_lessons.arguments import known_device
    >>> known_device("cpu"), known_device(None)
    (device(type='cpu'), None)
    """
    if device is None:
        return None
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device {device!r} is unknown; use 'cpu', 'cuda', 'cuda:1' or 'mps', or the network's own: "
            "device=network.device"
        ) from error
