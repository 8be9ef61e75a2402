"""What a panel has shown, kept so that it can be written as a film."""

from __future__ import annotations

import bisect
import io
from collections.abc import Sequence

from PIL import Image

LONGEST = 240  # pictures; a film has half as many at the most, ten seconds
LARGEST = 24 * 2**20  # bytes of all of them


class Reel:
    """The pictures that a panel has shown, by step, as JPEG. Memory stays the same however long it plays."""

    def __init__(self) -> None:
        self._shown: dict[int, tuple[int, bytes]] = {}

    def add(self, step: int, jpeg: bytes, dropped: int) -> None:
        """Keep a picture; ``dropped`` is how often steps had been dropped when it was made."""
        self._shown[step] = dropped, jpeg
        if len(self._shown) > LONGEST or sum(len(jpeg) for _, jpeg in self._shown.values()) > LARGEST:
            self._shown = {
                s: self._shown[s] for s in evenly(sorted(self._shown), max(2, len(self._shown) // 2))
            }

    @property
    def steps(self) -> list[int]:
        """Of the pictures that are kept, ascending."""
        return sorted(self._shown)

    def pages(self, step: int, dropped: Sequence[int]) -> list[Image.Image]:
        """The pictures from the first to that of ``step``, without those of steps that were dropped since.

        Args:
            step: where the film ends.
            dropped: the steps, in the order of time, at which a change made void what lay ahead.
        """
        valid = [s for s, (n, _) in self._shown.items() if s <= step and all(at >= s for at in dropped[n:])]
        chosen = evenly(sorted(valid), LONGEST // 2)
        return [Image.open(io.BytesIO(self._shown[s][1])).convert("RGB") for s in chosen]


def evenly(steps: Sequence[int], count: int) -> list[int]:
    """At most ``count`` of some ascending steps, about equally far apart, first and last among them."""
    if len(steps) <= count:
        return list(steps)
    places = (steps[0] + (steps[-1] - steps[0]) * i / (count - 1) for i in range(count))

    def nearest(place: float) -> int:
        after = bisect.bisect_left(steps, place, hi=len(steps) - 1)
        return min(steps[max(0, after - 1) : after + 1], key=lambda step: abs(step - place))

    return sorted(set(map(nearest, places)))
