"""What a picture's size may be."""

from __future__ import annotations

from collections.abc import Sequence


def height_width(size: int | Sequence[int], aspect: int = 1) -> tuple[int, int]:
    """``size`` as (H, W): an int is H, and W is ``aspect`` times as much. Raises ValueError for what is no size."""
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2 or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in pair):
        raise ValueError(
            f"size must be a positive int or (height, width) in pixels, as 224 or (180, 240); got {size!r}"
        )
    return pair[0], pair[1] if isinstance(size, (tuple, list)) else aspect * pair[1]
