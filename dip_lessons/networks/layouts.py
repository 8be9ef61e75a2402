"""Which axis of an activation is the channels': seen in trials on pictures of two sizes, declared, or refused."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from ..arguments import whole
from .trials import Call, Shape, Size, Trial, channels_first, channels_last

AXES = ("NCHW", "NHWC", "NTC", "NCT", "TNC")
Seen = list[tuple[Trial, Shape]]


@dataclass(frozen=True)
class Layout:
    """Where the axes of a layer's output are, and which of its tokens are patches of the picture.

    Args:
        axes: one of ``AXES``; of vectors ``"NC"``; ``"folded"`` where the rows are no pictures.
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
        if height * w == width * h:
            return h, w
        dropped = max(height / (h + 1), width / (w + 1)) < min(height / h, width / w)
        filled = max(height / h, width / w) < min(height / max(h - 1, 1e-9), width / max(w - 1, 1e-9))
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
        self.named = dict(declared) if isinstance(declared, Mapping) else {}
        self.default = None if isinstance(declared, Mapping) else declared
        for axes in [*self.named.values(), *([] if self.default is None else [self.default])]:
            if axes not in AXES:
                raise ValueError(
                    f"layout must be one of {', '.join(AXES)}, or {{name: one of them}}; got {axes!r}"
                )
        self.prefix = None if prefix is None else whole(prefix, "prefix")
        self.learn([])

    def learn(self, trials: Sequence[Trial]) -> None:
        """Take what came out in trials for what comes out."""
        self.trials = list(trials)
        self._known: dict[Call, Layout | str] = {}

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

    def _decide(self, name: str, call: Call, shape: Shape) -> Layout | str:
        seen = [(t, t.shapes[call]) for t in self.trials if len(t.shapes.get(call, ())) == len(shape)]
        patterns = [axes for pattern, axes in self.named.items() if fnmatch.fnmatchcase(name, pattern)]
        if not patterns and any(t.pictures not in s[: 2 if len(s) == 3 else 1] for t, s in seen):
            return Layout("folded")
        if len(shape) == 2:
            return Layout("NC")
        if patterns:
            options = self._layouts(patterns[:1], len(shape), seen)
        else:
            options = self._layouts(self._orders(call, seen), len(shape), seen)
            if len(options) != 1 and self.default:
                options = self._layouts([self.default], len(shape), seen)
        if len(options) == 1:
            return options[0]
        got = f"{name} returns {shape}"
        if seen:
            trial, first = seen[0]
            height, width = trial.size
            got = f"{name} returns {first} for {trial.pictures} pictures of {height} × {width} px"
        choice = {
            3: "'NTC', 'NCT' or 'TNC', with prefix= the number of tokens before the patches'",
            4: "'NCHW' or 'NHWC'",
        }.get(len(shape))
        if choice is None:
            return f"{got}: only (N, C), tokens and maps can be asked for; ask for another layer"
        return (
            f"{got}, and which axes are channels, rows and columns is not certain. If it is a map of the picture, "
            f"say so: Network(…, layout={{{name!r}: {choice}}}); else ask for another layer"
        )

    def _orders(self, call: Call, seen: Seen) -> list[str]:
        """The orders of axes that fit the type of a layer, and how its shape changes with the picture's."""
        if not seen:
            return ["NCHW"] if channels_first(call.part) else []
        shapes = [shape for _, shape in seen]
        rows = 0 if all(shape[0] == trial.pictures for trial, shape in seen) else 1
        lengths = zip(*shapes, strict=True)
        changing = {axis for axis, each in enumerate(lengths) if len(set(each)) > 1 and axis != rows}
        if len(shapes[0]) == 3:
            orders = ("TNC",) if rows else ("NTC", "NCT")
            return [axes for axes in orders if changing <= {axes.index("T")}]
        if channels_first(call.part):
            return ["NCHW"]

        def fits(h: int, w: int) -> bool:
            if changing:  # both, and not alike, as those of attention from each token to each
                return changing == {h, w} and any(shape[h] != shape[w] for shape in shapes)
            return all((shape[h], shape[w]) in trial.grids for trial, shape in seen)

        orders = ("NHWC",) if channels_last(call.part) else ("NCHW", "NHWC")
        return [axes for axes in orders if fits(axes.index("H"), axes.index("W"))]

    def _layouts(self, orders: Sequence[str], axes: int, seen: Seen) -> list[Layout]:
        """Layouts in these orders; if in one of them some tokens are no patches, only those of that kind."""
        if axes == 4:
            return [Layout(order) for order in orders if len(order) == 4]
        tokens = [self._tokens(order, seen) for order in orders if len(order) == axes == 3]
        found = [layout for layout in tokens if layout]
        return [layout for layout in found if layout.others] or found

    def _tokens(self, order: str, seen: Seen) -> Layout | None:
        """Which tokens are patches: those that depended on the picture, as many as a map has positions."""
        if not seen:
            return None if self.prefix is None else Layout(order, self.prefix, self.prefix)
        counts = [shape[order.index("T")] for _, shape in seen]
        if len(seen) > 1 and len(set(counts)) == 1:
            return None  # as many at every size: not patches
        spans = set()  # (first, others)
        for (trial, _), count in zip(seen, counts, strict=True):
            first, patches = trial.tokens.get(count, (0, count if order == "NCT" else 0))
            if self.prefix is not None:
                first, patches = self.prefix, count - self.prefix
            spans.add((first, count - patches))
        first, others = spans.pop()
        if spans or counts[0] <= others:
            return None
        trials = [(trial, count - others) for (trial, _), count in zip(seen, counts, strict=True)]
        for call in seen[0][0].maps:
            if all(math.prod(trial.maps.get(call, (0, 0))) == patches for trial, patches in trials):
                return Layout(order, first, others, call)
        for trial, patches in trials:
            grid = grid_of(patches, trial.size)
            if grid is None or (grid not in trial.grids if trial.maps else order == "NCT"):
                return None
        return Layout(order, first, others)


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
