"""What to maximise: functions of activations, which can be added, subtracted and weighted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Real

import torch
from torch import Tensor

from .networks import LOGITS

Activations = Mapping[str, Tensor]
SIGNS: dict[str, Callable] = {"+": torch.add, "-": torch.sub, "*": torch.mul}


class Objective:
    """``objective(activations) -> (B,)``: one number for each picture; larger is better.

    Make your own from a function of activations::

        dip.Objective(lambda a: a["features.9"][:, :8].mean(dim=(1, 2, 3)), layers=["features.9"])

    ``+``, ``-`` and ``*`` with numbers and other objectives, and ``/`` with numbers, make new objectives and
    change none.

    Args:
        function: takes {layer: activation} with activations (B, C, h, w) or (B, C); returns (B,).
        layers: the names of the layers that the function needs.
        code: how it is written, for captions and for settings that can be copied.
        recipe: (name, arguments) of the constructor below that makes it again; without it, it is not stored.
    """

    def __init__(
        self,
        function: Callable[[Activations], Tensor],
        layers: Sequence[str] | str,
        *,
        code: str | None = None,
        recipe: tuple | None = None,
    ) -> None:
        if not callable(function):
            raise TypeError(
                f"an objective is made of a function of activations; got {type(function).__name__}"
            )
        layers = (layers,) if isinstance(layers, str) else layers
        self.function, self.layers = function, tuple(dict.fromkeys(layers))
        self.code = code or str(getattr(function, "__name__", "objective"))
        self.recipe = recipe

    def __call__(self, activations: Activations) -> Tensor:
        if not activations:
            raise ValueError(
                f"{self.code} names no layer: Objective(function, layers=[…]) says which it needs"
            )
        value = self.function(activations)
        batch = len(next(iter(activations.values())))
        if not isinstance(value, Tensor) or value.shape != (batch,):
            got = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(
                f"an objective must return one number for each picture, a tensor of shape ({batch},); "
                f"{self.code} returned {got}: average over all other axes, for instance a.mean(dim=(1, 2, 3))"
            )
        return value

    def _with(self, other: Objective | float, sign: str) -> Objective:
        if isinstance(other, Real):
            number = float(other)
            other = Objective(lambda a: number, (), code=f"{number:g}", recipe=("number", number))
        if not isinstance(other, Objective):
            return NotImplemented
        recipe = (sign, self.recipe, other.recipe) if self.recipe and other.recipe else None
        function = SIGNS[sign]
        return Objective(
            lambda a: function(self.function(a), other.function(a)),
            self.layers + other.layers,
            code=f"({self.code} {sign} {other.code})",
            recipe=recipe,
        )

    def __add__(self, other: Objective | float) -> Objective:
        return self._with(other, "+")

    def __sub__(self, other: Objective | float) -> Objective:
        return self._with(other, "-")

    def __mul__(self, other: Objective | float) -> Objective:
        return self._with(other, "*")

    def __truediv__(self, other: float) -> Objective:
        return self * (1 / other) if isinstance(other, Real) else NotImplemented

    __radd__, __rmul__ = __add__, __mul__  # a sum or product with a number may begin with the number

    def __rsub__(self, other: float) -> Objective:
        return self * -1 + other

    def __neg__(self) -> Objective:
        return self * -1

    def __repr__(self) -> str:
        return self.code


def channel(layer: str, index: int) -> Objective:
    """The mean of one channel over its whole map: a texture that the channel likes everywhere."""
    return _of_channel("channel", layer, index, lambda a: a.reshape(len(a), -1).mean(dim=1))


def neuron(layer: str, index: int, y: int | None = None, x: int | None = None) -> Objective:
    """One unit of a channel, at row y and column x of its map; the middle where they are left out."""

    def unit(a: Tensor) -> Tensor:
        if a.ndim < 3:  # a layer without place has one unit in each channel
            return a
        row = a.shape[1] // 2 if y is None else y
        column = a.shape[2] // 2 if x is None else x
        if not (0 <= row < a.shape[1] and 0 <= column < a.shape[2]):
            raise IndexError(
                f"{layer} has a map of {tuple(a.shape[1:])} here; ({row}, {column}) lies outside it"
            )
        return a[:, row, column]

    place = () if y is None and x is None else (y, x)
    return _of_channel("neuron", layer, index, unit, *place)


def logit(index: int) -> Objective:
    """The output for one class, before the softmax; ``network.classes.index(name)`` gives the index."""
    objective = _of_channel("logit", LOGITS, index, lambda a: a)
    return Objective(objective.function, (LOGITS,), code=f"logit({index})", recipe=("logit", index))


def direction(layer: str, vector: Tensor | Sequence[float], power: float = 0.0) -> Objective:
    """A direction v in the space of channels: mean over places of a·v · max(.1, cos(a, v))^power.

    Args:
        layer: a layer with C channels.
        vector: v, of length C.
        power: how much the angle counts; 0 is the plain dot product, 1 or 2 keep pictures from being merely
            intense.

    Raises ValueError for a vector that is 0 or not finite.

    **Source:** Lucid's ``direction_cossim`` and ``dot_compare``; the bound .1 is Lucid's.
    """
    v = torch.as_tensor(vector, dtype=torch.float32).detach().flatten().clone()
    if not v.isfinite().all() or not v.any():
        raise ValueError("a direction is a vector of finite numbers that are not all 0")

    def along(activations: Activations) -> Tensor:
        a = activations[layer].flatten(2) if activations[layer].ndim > 2 else activations[layer][..., None]
        if a.shape[1] != len(v):
            raise ValueError(f"the direction has {len(v)} numbers, but {layer} has {a.shape[1]} channels")
        w = v.to(a)
        dot = torch.einsum("bcp,c->bp", a, w)
        if power:
            cosine = dot / (a.norm(dim=1) * w.norm()).clamp(min=1e-6)
            dot = dot * cosine.clamp(min=0.1) ** power
        return dot.mean(dim=1)

    return Objective(
        along, (layer,), code=f"direction({layer!r}, …)", recipe=("direction", layer, v.tolist(), power)
    )


def layer(layer: str) -> Objective:
    """The mean square of a whole layer, DeepDream's objective: more of whatever is there."""
    return Objective(
        lambda a: a[layer].flatten(1).square().mean(dim=1),
        (layer,),
        code=f"layer({layer!r})",
        recipe=("layer", layer),
    )


def _of_channel(
    name: str, layer: str, index: int, reduce: Callable[[Tensor], Tensor], *place: int | None
) -> Objective:
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise ValueError(f"{name}: the index of a channel is an int from 0 on; got {index!r}")

    def value(activations: Activations) -> Tensor:
        a = activations[layer]
        if index >= a.shape[1]:
            raise IndexError(f"{name} {index} does not exist: {layer} has {a.shape[1]}, counted from 0")
        return reduce(a[:, index])

    arguments = ", ".join(map(repr, (layer, index, *place)))
    return Objective(value, (layer,), code=f"{name}({arguments})", recipe=(name, layer, index, *place))


def from_recipe(recipe: Sequence) -> Objective:
    """The objective that a recipe (nested names, numbers and lists) describes; nothing is executed."""
    name, *arguments = recipe
    if name == "number":
        return Objective(lambda a: arguments[0], (), code=f"{arguments[0]:g}", recipe=tuple(recipe))
    if name in SIGNS:
        left, right = map(from_recipe, arguments)
        return left._with(right, name)
    makers: dict[str, Callable[..., Objective]] = {
        "channel": channel,
        "neuron": neuron,
        "logit": logit,
        "direction": direction,
        "layer": layer,
    }
    if name not in makers:
        raise ValueError(f"there is no objective {name!r} to make again; known are {', '.join(makers)}")
    return makers[name](*arguments)
