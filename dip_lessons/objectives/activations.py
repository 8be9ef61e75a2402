"""Objectives that ask for one activation: neurons, channels, logits, directions, layers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..arguments import whole
from ..networks import OUTPUT
from ..registry import enter
from .objective import Activations, Objective


@enter("objective")
def channel(layer: str, index: int) -> Objective:
    """The mean of one channel over its whole map: the texture that excites the channel everywhere.

    Args:
        layer: a layer's name, one of ``network.layers``.
        index: of the channel, from 0.

    Raises ValueError for an index that is no whole number from 0 on and, when called, IndexError for a
    channel that does not exist.

    >>> a = {"conv": torch.arange(8.0).view(1, 2, 2, 2)}  # one picture, two channels, four positions
    >>> dip.channel("conv", 1)(a)  # the mean of 4, 5, 6, 7
    tensor([5.5000])
    """
    return _of_channel("channel", layer, index, lambda a: a.reshape(len(a), -1).mean(dim=1))


@enter("objective")
def neuron(layer: str, index: int, y: int | None = None, x: int | None = None) -> Objective:
    """One unit of a channel, at row y and column x of its map; the middle where they are left out.

    Args:
        layer: a layer's name, one of ``network.layers``.
        index: of the channel, from 0.
        y, x: row and column, from 0.

    Raises ValueError for an index that is no whole number from 0 on and, when called, IndexError for a
    channel or a position that does not exist.

    >>> a = {"conv": torch.arange(8.0).view(1, 2, 2, 2)}  # one picture, two channels, four positions
    >>> dip.neuron("conv", 1)(a), dip.neuron("conv", 1, y=0, x=0)(a)
    (tensor([7.]), tensor([4.]))
    """

    def unit(a: Tensor) -> Tensor:
        if a.ndim < 3:  # a layer without positions has one unit in each channel
            return a
        row = a.shape[1] // 2 if y is None else y
        column = a.shape[2] // 2 if x is None else x
        if not (0 <= row < a.shape[1] and 0 <= column < a.shape[2]):
            raise IndexError(
                f"{layer} has a map of {tuple(a.shape[1:])} here; ({row}, {column}) lies outside it"
            )
        return a[:, row, column]

    y, x = (None if n is None else operator.index(n) for n in (y, x))
    place = () if y is None and x is None else (y, x)
    return _of_channel("neuron", layer, index, unit, *place)


@enter("objective")
def logit(index: int) -> Objective:
    """The output for one class, before the softmax; ``network.classes.index(name)`` gives the index.

    >>> dip.logit(2)({"logits": torch.tensor([[0.1, 0.2, 0.7]])})
    tensor([0.7000])
    """
    objective = _of_channel("logit", OUTPUT, index, lambda a: a)
    return Objective(objective.function, (OUTPUT,), code=f"logit({index})", specification=("logit", index))


@enter("objective")
def direction(layer: str, vector: Tensor | Sequence[float], power: float = 0.0) -> Objective:
    """A direction v in the space of channels: mean over positions of a·v · max(.1, cos(a, v))^power.

    Args:
        layer: a layer with C channels.
        vector: v, of length C.
        power: how much the angle counts; 0 is the plain dot product, 1 or 2 keep pictures from being merely
            intense.

    Raises ValueError for a vector that is 0 or not finite.

    **Source:** Lucid's ``direction_cossim`` and ``dot_compare``; the bound .1 is Lucid's.

    >>> a = {"conv": torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)}  # one position, where channels are (3, 4)
    >>> dip.direction("conv", [1.0, 0.0])(a), dip.direction("conv", [1.0, 0.0], power=1)(a)  # 3, and 3 · cos = 3 · .6
    (tensor([3.]), tensor([1.8000]))
    """
    v = torch.as_tensor(vector, dtype=torch.float32).detach().flatten().clone()
    if not v.isfinite().all() or not v.any():
        raise ValueError("a direction is a vector of finite numbers that are not all 0")

    def along(activations: Activations) -> Tensor:
        a = by_place(activations[layer])
        if a.shape[1] != len(v):
            raise ValueError(f"the direction has {len(v)} numbers, but {layer} has {a.shape[1]} channels")
        w = v.to(a)
        dot = torch.einsum("bcp,c->bp", a, w)
        if power:
            cosine = dot / (a.norm(dim=1) * w.norm()).clamp(min=1e-6)
            dot = dot * cosine.clamp(min=0.1) ** power
        return dot.mean(dim=1)

    return Objective(
        along,
        (layer,),
        code=f"direction({layer!r}, …)",
        specification=("direction", layer, v.tolist(), power),
    )


@enter("objective")
def layer(layer: str) -> Objective:
    """The mean square of a whole layer, DeepDream's objective: more of whatever is there.

    >>> a = {"conv": torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)}
    >>> dip.layer("conv")(a)  # (9 + 16) / 2
    tensor([12.5000])
    """
    return Objective(
        lambda a: a[layer].flatten(1).square().mean(dim=1),
        (layer,),
        code=f"layer({layer!r})",
        specification=("layer", layer),
    )


def caricature(activations: Activations, power: float = 1.0) -> Objective:
    """A picture's activations t, exaggerated: Σ_layers a·t / ‖t‖ · max(.1, cos(a, t))^power.

    a and t are whole maps laid out as one vector each, so what is strong in t counts most, and stays where it
    is: position by position, an almost empty corner would count as much as an eye.

    Args:
        activations: {layer: (1 or B, C, h, w)} of the picture to exaggerate, as ``network(image, layers)``
            returns them; one for all pictures, or one for each.
        power: how much the angle counts; 0 asks for ever stronger activations along t, whatever else grows.

    It holds the activations, and so is not stored with a run. Raises TypeError for anything but {layer:
    activation}, ValueError for activations that are all 0 or not finite, and, when called, for maps of another
    shape.

    **Source:** Lucid's ``recipes/caricature.py``, ``dot_compare``. There the product is not divided by ‖t‖, and
    ‖a‖ is left out of the cosine, which therefore grows with the activations.

    >>> t = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    >>> objective = dip.caricature({"conv": t})
    >>> objective({"conv": t}), objective({"conv": 2 * t})  # more of the same is better
    (tensor([5.]), tensor([10.]))
    """
    targets = targets_of("caricature", activations)
    for name, t in targets.items():
        if not t.isfinite().all() or not t.flatten(1).any(dim=1).all():
            raise ValueError(f"of {name}, activations are all 0 or not finite: nothing to exaggerate")

    def along(activations: Activations) -> Tensor:
        values = [_exaggeration(name, activations[name], t, power) for name, t in targets.items()]
        return torch.stack(values).sum(dim=0)

    written = ", ".join(f"{name!r}: …" for name in targets)
    return Objective(along, tuple(targets), code=f"caricature({{{written}}})")


def perceptual_distance(activations: Activations) -> Objective:
    """How far a picture is from another one, as a network sees it; a quantity to subtract.

    Σ_layers mean over positions of ‖a/‖a‖ − t/‖t‖‖², with channels brought to length 1 at each position. 0 for the
    picture itself, at most 2 a layer where activations are not negative.

    Args:
        activations: {layer: (1 or B, C, h, w)} of the other picture, as ``network(image, layers)`` returns them.

    It holds the activations, and so is not stored with a run. Raises TypeError for anything but {layer:
    activation}, and, when called, ValueError for maps of another shape.

    **Source:** Zhang et al., *The Unreasonable Effectiveness of Deep Features as a Perceptual Metric* (LPIPS, 2018),
    eq. 1, without the learned weights.

    >>> t = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    >>> distance = dip.perceptual_distance({"conv": t})
    >>> distance({"conv": 2 * t}).abs() < 1e-6, distance({"conv": t.flip(1)})  # how much there is of all does not count
    (tensor([True]), tensor([0.0800]))
    """
    targets = targets_of("perceptual distance", activations)

    def distance(activations: Activations) -> Tensor:
        values = []
        for name, t in targets.items():
            require_shape(name, activations[name], t, "compared with")
            # Where nothing is active a/‖a‖ has no slope worth following: eps bounds it.
            one, other = (F.normalize(by_place(x), dim=1, eps=1e-3) for x in (activations[name], t))
            values.append((one - other.to(one)).square().sum(dim=1).mean(dim=1))
        return torch.stack(values).sum(dim=0)

    written = ", ".join(f"{name!r}: …" for name in targets)
    return Objective(distance, tuple(targets), code=f"perceptual_distance({{{written}}})")


def by_place(activation: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, C, positions); a layer without positions, (B, C), has one."""
    return activation.flatten(2) if activation.ndim > 2 else activation[..., None]


def targets_of(what: str, activations: Activations) -> dict[str, Tensor]:
    """A copy of {layer: activation} of the picture that an objective holds."""
    if not isinstance(activations, Mapping) or not activations:
        raise TypeError(
            f"a {what} is made of {{layer: activation}}, as network(image, layers) returns it; got "
            f"{activations if isinstance(activations, Mapping) else type(activations).__name__}"
        )
    return {name: t.detach().clone() for name, t in activations.items()}


def require_shape(name: str, activation: Tensor, target: Tensor, done: str) -> None:
    if activation.shape[1:] != target.shape[1:] or len(target) not in (1, len(activation)):
        raise ValueError(
            f"{name} is {tuple(activation.shape)} here, but was to be {done} {tuple(target.shape)}: look at "
            "pictures of the same size, with one target, or one for each picture of the batch"
        )


def _exaggeration(name: str, activation: Tensor, target: Tensor, power: float) -> Tensor:
    require_shape(name, activation, target, "exaggerated after")
    a, t = activation.flatten(1), target.to(activation).flatten(1)  # (B, C·h·w), (1 or B, C·h·w)
    along = (a * t).sum(dim=1) / t.norm(dim=1)
    cosine = along / a.norm(dim=1).clamp(min=1e-6)
    return along * cosine.clamp(min=0.1) ** power


def _of_channel(
    name: str, layer: str, index: int, reduce: Callable[[Tensor], Tensor], *place: int | None
) -> Objective:
    index = whole(index, f"{name}: the index of a channel")

    def value(activations: Activations) -> Tensor:
        a = activations[layer]
        if index >= a.shape[1]:
            raise IndexError(
                f"{name} {index} does not exist: {layer.strip('<>')} has {a.shape[1]}, counted from 0"
            )
        return reduce(a[:, index])

    arguments = ", ".join(map(repr, (layer, index, *place)))
    return Objective(value, (layer,), code=f"{name}({arguments})", specification=(name, layer, index, *place))
