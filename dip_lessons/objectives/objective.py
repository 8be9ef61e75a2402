"""Objectives, their algebra and their specifications, and the activations that they are functions of."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any

from torch import Tensor

from .. import registry
from ..networks import LOGITS, OUTPUT
from .memory import Memory

Activations = Mapping[str, Any]  # tensors; under "memory", a Memory
# Before the network's first layer: the whole picture, the view that the network is shown; and what was seen before.
# The package's objectives ask for them by these names, which no layer can have; yours may leave out the brackets
# where the network has no layer called so.
PICTURE, VIEW, MEMORY = "<picture>", "<view>", "<memory>"
OUTSIDE = (PICTURE, VIEW, MEMORY, "picture", "view", "memory")
SIGNS: dict[str, Callable] = {"+": operator.add, "-": operator.sub, "*": operator.mul}


class Objective:
    """``objective(activations) -> (B,)``: one number for each picture; larger is better.

    Make your own from a function of activations::

        dip.Objective(lambda a: a["features.9"][:, :8].mean(dim=(1, 2, 3)), layers=["features.9"])

    ``+``, ``-`` and ``*`` with numbers and other objectives, and ``/`` with numbers, make new objectives and
    change none.

    Args:
        function: takes {layer: activation} with activations (B, C, h, w) or (B, C); returns (B,).
        layers: the names of the layers that the function needs; ``"picture"``, ``"view"`` and ``"memory"`` are
            such names too, see :func:`look`.
        code: how it is written, for captions and for settings that can be copied.
        specification: (name, argument, …) of the function that makes it again; without it, it is not stored.

    >>> a = {"conv": torch.arange(8.0).view(1, 2, 2, 2)}  # one picture, two channels, four positions
    >>> peak = dip.Objective(lambda a: a["conv"].amax(dim=(1, 2, 3)), ["conv"])
    >>> peak(a), (2 * peak - dip.channel("conv", 0))(a)
    (tensor([7.]), tensor([12.5000]))
    >>> dip.channel("conv", 0) - 0.5 * dip.channel("conv", 1)
    (channel('conv', 0) - (channel('conv', 1) * 0.5))
    """

    def __init__(
        self,
        function: Callable[[Activations], Tensor],
        layers: Sequence[str] | str,
        *,
        code: str | None = None,
        specification: tuple | None = None,
    ) -> None:
        if not callable(function):
            raise TypeError(
                f"an objective is made of a function of activations; got {type(function).__name__}"
            )
        layers = (layers,) if isinstance(layers, str) else layers
        self.function, self.layers = function, tuple(dict.fromkeys(layers))
        self.code = code or str(getattr(function, "__name__", "objective"))
        self.specification = specification

    def __call__(self, activations: Activations) -> Tensor:
        if not activations:
            raise ValueError(
                f"{self.code} names no layer: Objective(function, layers=[…]) says which it needs"
            )
        # Whoever calls it by hand may leave the brackets of "<picture>" out.
        bare = {name: name.strip("<>") for name in self.layers if name not in activations}
        activations = {**activations, **{n: activations[b] for n, b in bare.items() if b in activations}}
        try:
            value = self.function(activations)
        except KeyError as error:
            (name,) = error.args if len(error.args) == 1 else (None,)
            if not isinstance(name, str) or name in activations:
                raise
            raise ValueError(
                f"{self.code} reads {name!r}, which it does not ask for: Objective(function, layers=[…, {name!r}]); "
                f"it asks for {', '.join(map(repr, self.layers))}"
            ) from error
        batch = next((len(a) for a in activations.values() if isinstance(a, Tensor)), 0)
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
            other = Objective(lambda a: number, (), code=f"{number:g}", specification=("number", number))
        if not isinstance(other, Objective):
            return NotImplemented
        parts = (self.specification, other.specification)
        function = SIGNS[sign]
        return Objective(
            lambda a: function(self.function(a), other.function(a)),
            self.layers + other.layers,
            code=f"({self.code} {sign} {other.code})",
            specification=(sign, *parts) if all(parts) else None,
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


def look(
    network: Callable[[Tensor, tuple[str, ...]], Activations],
    layers: Sequence[str],
    view: Tensor,
    picture: Tensor | None = None,
    memory: Memory | None = None,
) -> dict[str, Any]:
    """What an objective is a function of: activations by name, in the order in which the layers are given.

    ``"picture"`` is the whole picture, ``"view"`` the view of it, ``"memory"`` a :class:`Memory` of the views before,
    unless the network has a layer of that name, which is meant then; with angle brackets (``"<picture>"``) they are
    always meant. All other names are layers of the network, which runs only if one of them is there.

    Args:
        network: (pictures, layers) -> {layer: activation}.
        layers: names; an objective's ``layers``.
        view: (N, 3, h, w), or (N, 4, h, w): colours that lie over a background already, and the alpha seen.
            The network is shown the colours.
        picture: (B, C, H, W); None takes the view for the picture itself.
        memory: a run's; None stands for an empty one.

    With several views of each picture, N = count·B: split by view before an objective is called, so that all
    activations have B rows.

    Raises ValueError if the network leaves out a layer that it was asked for.

    >>> from dip_lessons.objectives import look
    >>> network = dip.load_network(device="cpu")
    >>> seen = look(network, ["features.3", "picture"], torch.zeros(1, 3, 64, 64))
    >>> {name: tuple(a.shape) for name, a in seen.items()}
    {'features.3': (1, 128, 15, 15), 'picture': (1, 3, 64, 64)}
    """
    has = getattr(network, "has", lambda name: False)
    inside = tuple(name for name in layers if name not in OUTSIDE or has(name))
    seen: dict[str, Any] = {}
    if inside:
        # A network's output is asked for by the name that any network knows, unless a layer is called so.
        known = {n: LOGITS if n == OUTPUT and not has(LOGITS) else n for n in inside}
        found = network(view[:, :3] if view.shape[1] == 4 else view, tuple(dict.fromkeys(known.values())))
        seen |= {name: found[asked] for name, asked in known.items() if asked in found}
    outside = {"view": view, "picture": view if picture is None else picture, "memory": memory or Memory()}
    for name in layers:
        if name in OUTSIDE and name not in inside:
            seen[name] = outside[name.strip("<>")]
    if missing := [name for name in layers if name not in seen]:
        raise ValueError(f"the network returned no activation for {', '.join(missing)}")
    if wrong := [name for name in inside if len(seen[name]) != len(view)]:
        shapes = ", ".join(f"{name} {tuple(seen[name].shape)}" for name in wrong)
        raise ValueError(
            f"activations must have one row for each of {len(view)} pictures; got {shapes}: a layer that folds parts "
            "of a picture into the batch cannot be asked for"
        )
    return {name: seen[name] for name in layers}


def is_specification(argument: object) -> bool:
    """Whether an argument in a specification is itself a specification: a sequence that begins with a name."""
    return isinstance(argument, (list, tuple)) and bool(argument) and isinstance(argument[0], str)


def from_specification(specification: Sequence) -> Objective:
    """The objective that a specification (nested names, numbers and lists) describes; nothing is executed.

    >>> from dip_lessons.objectives import from_specification
    >>> objective = dip.channel("features.9", 10) - 0.1 * dip.total_variation()
    >>> objective.specification  # what a run is stored with
    ('-', ('channel', 'features.9', 10), ('*', ('total_variation',), ('number', 0.1)))
    >>> from_specification(objective.specification)
    (channel('features.9', 10) - (total_variation() * 0.1))
    """
    name, *arguments = specification
    if name == "number":
        return Objective(
            lambda a: arguments[0], (), code=f"{arguments[0]:g}", specification=tuple(specification)
        )
    arguments = [from_specification(a) if is_specification(a) else a for a in arguments]
    if name in SIGNS:
        return SIGNS[name](*arguments)
    try:
        make = registry.find("objective", name)
    except KeyError as error:
        known = ", ".join(registry.names("objective"))
        raise ValueError(f"there is no objective {name!r} to make again; known are {known}") from error
    return make(*arguments)
