"""Which axis of an activation is the channels': seen in trials on pictures of two sizes, declared, or refused."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ..arguments import whole
from .trials import Call, Size, Trial, channels_first, channels_last

AXES = ("NCHW", "NHWC", "NTC", "NCT", "TNC")


@dataclass(frozen=True)
class Layout:
    """Where the axes of a layer's output are, and which of its tokens are patches of the picture.

    Args:
        axes: ``"NCHW"``, ``"NHWC"``; of tokens ``"NTC"``, ``"NCT"``, ``"TNC"``; of vectors ``"NC"``; ``"folded"`` where
            the rows are no pictures.
        first: how many tokens stand before the patches'.
        others: how many tokens are no patches, before and after.
        grid: the layer whose map has one position for each patch, where there is one.
    """

    axes: str
    first: int = 0
    others: int = 0
    grid: Call | None = None


class Refused(ValueError):
    """A layer's output whose axes are not certain; it says what to do."""


def grid_of(count: int, size: Size) -> Size | None:
    """The (h, w) with h·w = count into which square patches cut a picture, or None where that is not certain.

    Rows and columns that are left over are dropped, or filled up.

    >>> from dip_lessons.networks.layouts import grid_of
    >>> grid_of(196, (224, 224)), grid_of(72, (48, 100)), grid_of(197, (224, 224))
    ((14, 14), (6, 12), None)
    """
    height, width = size
    found = set()
    for h in range(1, min(count, height) + 1):
        w, rest = divmod(count, h)
        if rest or w > width:
            continue
        dropped = max(height / (h + 1), width / (w + 1)) < min(height / h, width / w)
        filled = max(height / h, width / w) < min(height / max(h - 1, 1e-9), width / max(w - 1, 1e-9))
        if height * w == width * h:
            return h, w
        if dropped or filled:
            found.add((h, w))
    return found.pop() if len(found) == 1 else None


class Layouts:
    """How a network's activations become (N, C, h, w) or (N, C).

    Args:
        declared: one of ``AXES`` for all layers whose axes are not certain, or {pattern of names: one of them}.
        prefix: how many tokens stand before the patches', or None where the trials shall tell.
    """

    def __init__(self, declared: str | Mapping[str, str] | None, prefix: int | None) -> None:
        named = declared if isinstance(declared, Mapping) else {}
        default = None if isinstance(declared, Mapping) else declared
        for axes in [*named.values(), *([] if default is None else [default])]:
            if axes not in AXES:
                raise ValueError(
                    f"layout must be one of {', '.join(AXES)}, or {{name: one of them}}; got {axes!r}"
                )
        self.named, self.default = dict(named), default
        self.prefix = None if prefix is None else whole(prefix, "prefix")
        self.trials: list[Trial] = []
        self._known: dict[Call, Layout | str] = {}

    def learn(self, trials: Sequence[Trial]) -> None:
        self.trials = list(trials)
        self._known.clear()

    def runs(self, part: nn.Module) -> int:
        """How often a module runs, as far as the trials tell."""
        return max((trial.calls.get(part, 0) for trial in self.trials), default=0)

    def grid(self, name: str, call: Call) -> Call | None:
        """The layer whose map tells the grid of a layer's patches, if there is one; Refused as in :meth:`of`."""
        shape = next((trial.shapes[call] for trial in self.trials if call in trial.shapes), ())
        return self.of(name, call, shape).grid if shape else None

    def of(self, name: str, call: Call, shape: Sequence[int]) -> Layout:
        """The layout of a layer whose output has this shape; Refused where it is not certain."""
        if call not in self._known:
            self._known[call] = self._decide(name, call, tuple(shape))
        found = self._known[call]
        if isinstance(found, str):
            raise Refused(found)
        return found

    def _decide(self, name: str, call: Call, shape: tuple[int, ...]) -> Layout | str:
        seen = [(trial, trial.shapes[call]) for trial in self.trials if call in trial.shapes]
        seen = [(trial, s) for trial, s in seen if len(s) == len(shape)]
        declared = next(
            (axes for pattern, axes in self.named.items() if fnmatch.fnmatchcase(name, pattern)), None
        )
        if declared is None and any(s[0] != 2 and not (len(s) == 3 and s[1] == 2) for _, s in seen):
            return Layout("folded")
        layout = None
        if len(shape) == 2:
            return Layout("NC")
        if len(shape) == 4:
            axes = declared or self._map(call, seen) or self.default
            layout = Layout(axes) if axes in ("NCHW", "NHWC") else None
        elif len(shape) == 3:
            options = [declared] if declared else self._orders(seen)
            found = [made for axes in options if (made := self._patches(axes, seen))]
            if not found and not declared and self.default:
                found = [made for made in [self._patches(self.default, seen)] if made]
            found = [
                made for made in found if made.others
            ] or found  # one of them has tokens that are no patches
            layout = found[0] if len(found) == 1 else None
        if layout is not None:
            return layout
        got = tuple(seen[0][1] if seen else shape)
        size = f" for 2 pictures of {seen[0][0].size[0]} × {seen[0][0].size[1]} px" if seen else ""
        choice = "'NTC', 'NCT' or 'TNC', with prefix= the number of tokens before the patches'"
        choice = choice if len(shape) == 3 else "'NCHW' or 'NHWC'"
        if len(shape) not in (3, 4):
            return f"{name} returns {got}{size}: only (N, C), tokens and maps can be asked for; ask for another layer"
        return (
            f"{name} returns {got}{size}, and which axes are channels, rows and columns is not certain. If it is a map "
            f"of the picture, say so: Network(…, layout={{{name!r}: {choice}}}); else ask for another layer"
        )

    def _map(self, call: Call, seen: list[tuple[Trial, tuple[int, ...]]]) -> str | None:
        """The axes of (N, …, …, …): by type, by what changes with the picture's size, or by the maps' sizes."""
        if channels_first(call.part):
            return "NCHW"
        changing = {axis for axis in (1, 2, 3) if len({shape[axis] for _, shape in seen}) > 1}
        for axes, (h, w) in {"NCHW": (2, 3), "NHWC": (1, 2)}.items():
            if changing == {h, w} and any(shape[h] != shape[w] for _, shape in seen):
                return axes
        if changing or not seen:
            return None
        first = all((shape[2], shape[3]) in trial.grids for trial, shape in seen)
        last = all((shape[1], shape[2]) in trial.grids for trial, shape in seen)
        if channels_last(call.part):
            return "NHWC" if last else None
        return None if first == last else "NCHW" if first else "NHWC"

    def _orders(self, seen: list[tuple[Trial, tuple[int, ...]]]) -> list[str]:
        if any(len(shape) != 3 for _, shape in seen):
            return []
        if all(shape[0] == 2 for _, shape in seen):
            changing = {axis for axis in (1, 2) if len({shape[axis] for _, shape in seen}) > 1}
            return [axes for axis, axes in ((1, "NTC"), (2, "NCT")) if changing <= {axis}]
        return ["TNC"] if all(shape[1] == 2 for _, shape in seen) else []

    def _patches(self, axes: str, seen: list[tuple[Trial, tuple[int, ...]]]) -> Layout | None:
        """Which tokens are patches: those that depended on the picture, as many as a map has positions."""
        if axes not in ("NTC", "NCT", "TNC"):
            return None
        if not seen:
            return None if self.prefix is None else Layout(axes, self.prefix, self.prefix)
        counts, found = [shape[axes.index("T")] for _, shape in seen], []
        if len(seen) > 1 and len(set(counts)) == 1:
            return None  # as many at every size: not patches
        for (trial, _), count in zip(seen, counts, strict=True):
            first, patches = trial.tokens.get(count, (0, count if axes == "NCT" else 0))
            if self.prefix is not None:
                first, patches = self.prefix, count - self.prefix
            found.append((first, count - patches, patches))
        if len({(first, others) for first, others, _ in found}) > 1 or found[0][2] <= 0:
            return None
        first, others, _ = found[0]
        grids = [
            {call for call, (h, w) in trial.maps.items() if h * w == patches}
            for (trial, _), (*_, patches) in zip(seen, found, strict=True)
        ]
        if common := [call for call in grids[0] if all(call in each for each in grids)]:
            return Layout(axes, first, others, common[0])
        for (trial, _), (*_, patches) in zip(seen, found, strict=True):
            grid = grid_of(patches, trial.size)
            if grid is None or (trial.maps and grid not in trial.grids):
                return None
            if axes == "NCT" and not trial.maps:
                return None
        return Layout(axes, first, others)


def as_map(name: str, a: Tensor, layout: Layout, pictures: int, size: Size, grid: Size | None) -> Tensor:
    """An activation as (N, C, h, w) or (N, C).

    Args:
        name: of its layer, for messages.
        a: with axes as the layout says.
        pictures: N.
        size: of the pictures that the module was shown.
        grid: of the patches, where a layer's map has told it.

    Raises Refused for another number of tokens than fit a grid. Where parts of pictures are folded into the batch, as
    windows are, there are other rows than pictures, and the activation is returned as it is.
    """
    rows = layout.axes.index("N") if "N" in layout.axes else None
    if rows is None and len(a) == pictures:
        raise Refused(
            f"{name} returns {tuple(a.shape)} for {pictures} picture{'s'[: pictures > 1]}, but its rows are no "
            "pictures: parts of a picture are folded into the batch; ask for a layer before or after it"
        )
    if rows is None or a.ndim != len(layout.axes) or a.shape[rows] != pictures:
        return a
    if layout.axes == "NHWC":
        return a.permute(0, 3, 1, 2)
    if layout.axes in ("NC", "NCHW"):
        return a
    a = a.permute(*(layout.axes.index(axis) for axis in "NCT"))
    count = a.shape[2] - layout.others
    grid = grid if grid and math.prod(grid) == count else grid_of(count, size)
    if grid is None:
        raise Refused(
            f"{name} returns {a.shape[2]} tokens for a picture of {size[0]} × {size[1]} px, of which {layout.others} "
            "are no patches; the rest makes no grid of square patches: say how many stand before them, "
            "Network(…, prefix=…)"
        )
    return a[:, :, layout.first : layout.first + count].unflatten(2, grid)  # (N, C, h, w)
