"""Objectives for a batch: each picture its own, or pictures compared with each other."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..arguments import whole
from ..registry import enter
from .activations import by_place, direction
from .memory import Memory
from .objective import Activations, Objective


@enter("objective")
def each(*objectives: Objective) -> Objective:
    """Picture i gets objective i: several runs in one.

    Every objective sees its own picture only, so those that compare pictures make no sense inside; add them
    outside, ``each(a, b, c) + 0.1 * alignment(layer)``.

    Raises ValueError when called with another number of pictures than there are objectives.

    >>> a = {"conv": torch.arange(8.0).view(2, 4, 1, 1)}  # two pictures, four channels
    >>> dip.each(dip.channel("conv", 0), dip.channel("conv", 3))(a)
    tensor([0., 7.])
    """
    _require_objectives("each", *objectives)

    def one_by_one(activations: Activations) -> Tensor:
        pictures = next(len(a) for a in activations.values() if isinstance(a, Tensor))
        if pictures != len(objectives):
            raise ValueError(
                f"each(…) has {len(objectives)} objectives for {pictures} pictures: make the "
                f"parameterization with batch={len(objectives)}"
            )
        values = [
            objective({name: _of_picture(i, activations[name]) for name in objective.layers})
            for i, objective in enumerate(objectives)
        ]
        return torch.cat(values)

    layers = [name for objective in objectives for name in objective.layers]
    codes = [objective.code for objective in objectives]
    if len(codes) > 4:
        codes = [codes[0], "…", codes[-1]]
    specifications = [objective.specification for objective in objectives]
    return Objective(
        one_by_one,
        layers,
        code=f"each({', '.join(codes)})",
        specification=("each", *specifications) if all(specifications) else None,
    )


@enter("objective")
def interpolate(a: Objective, b: Objective) -> Objective:
    """From one objective to another: picture i of B gets (1 − w)·a + w·b with w = i / (B − 1).

    Raises ValueError when called with one picture only.

    **Source:** Lucid's ``channel_interpolate``, for any two objectives.

    >>> a = {"conv": torch.tensor([0.0, 10.0]).view(1, 2, 1, 1).expand(3, 2, 1, 1)}  # three pictures alike
    >>> dip.interpolate(dip.channel("conv", 0), dip.channel("conv", 1))(a)
    tensor([ 0.,  5., 10.])
    """
    _require_objectives("interpolate", a, b)

    def between(activations: Activations) -> Tensor:
        first, last = a(activations), b(activations)
        _require_batch("interpolate", len(first))
        w = torch.arange(len(first), device="cpu").to(first) / (len(first) - 1)
        return (1 - w) * first + w * last

    known = (a.specification, b.specification)
    return Objective(
        between,
        a.layers + b.layers,
        code=f"interpolate({a.code}, {b.code})",
        specification=("interpolate", *known) if all(known) else None,
    )


@enter("objective")
def alignment(layer: str, decay: float = 5.0, reach: int = 4) -> Objective:
    """How little neighbours in the batch differ: −½ Σ_d (mean (a_i − a_{i−d})² + mean (a_i − a_{i+d})²) / decay^d.

    Every pair's share goes half to each of the two, so the sum over the batch is −Σ_d Σ_i mean (a_i − a_{i+d})² /
    decay^d, each pair once. Pictures are compared position by position, so show them in the same views:
    ``random_views(…, shared=True)``.

    Args:
        layer: a layer of the network, or ``"picture"``.
        decay: by how much a pair counts less for each step that it lies farther apart.
        reach: the largest distance d in the batch.

    Raises ValueError when called with one picture only.

    **Source:** Lucid's ``alignment``; decay 5 is that of the article's interpolation, Lucid's default is 2.

    >>> a = {"conv": torch.tensor([0.0, 1.0, 3.0]).view(3, 1, 1, 1)}  # three frames
    >>> dip.alignment("conv", decay=5, reach=1)(a)  # −½ (1, 1 + 4, 4) / 5
    tensor([-0.1000, -0.5000, -0.4000])
    """
    reach = whole(reach, "alignment: the reach", 1)
    if not decay > 0:
        raise ValueError(f"alignment: the decay must be a number above 0; got {decay!r}")

    def nearness(activations: Activations) -> Tensor:
        a = activations[layer].flatten(1)  # (B, C·h·w)
        _require_batch("alignment", len(a))
        total = a.new_zeros(len(a))
        for d in range(1, min(reach, len(a) - 1) + 1):
            half = (a[d:] - a[:-d]).square().mean(dim=1) / decay**d / 2  # (B − d,)
            total = total - F.pad(half, (0, d)) - F.pad(half, (d, 0))
        return total

    return Objective(
        nearness,
        (layer,),
        code=f"alignment({layer!r}, {decay!r}, {reach!r})",
        specification=("alignment", layer, decay, reach),
    )


@enter("objective")
def diversity(layer: str) -> Objective:
    """How unlike the other pictures' textures: −Σ_{j≠i} cos(G_i, G_j), with the Gram matrix G = Σ_positions a aᵀ.

    The least is −(B − 1), where all pictures have the same texture; 0 is reached where they share nothing.

    Args:
        layer: whose channels are compared.

    Raises ValueError when called with one picture only.

    **Source:** Lucid's ``diversity``, of which the mean over the batch here is the negative.

    >>> alike, unlike = torch.ones(2, 2, 1, 1), torch.eye(2).view(2, 2, 1, 1)  # which of two channels is active
    >>> dip.diversity("conv")({"conv": alike}).mean() < -0.99, dip.diversity("conv")({"conv": unlike}).mean()
    (tensor(True), tensor(0.))
    """

    def unlikeness(activations: Activations) -> Tensor:
        a = by_place(activations[layer])  # (B, C, positions)
        _require_batch("diversity", len(a))
        gram = F.normalize((a @ a.transpose(1, 2)).flatten(1), dim=1)  # (B, C·C), of length 1
        cosine = gram @ gram.T
        return cosine.diagonal() - cosine.sum(dim=1)

    return Objective(unlikeness, (layer,), code=f"diversity({layer!r})", specification=("diversity", layer))


def activation_grid(activation: Tensor, layer: str, rows: int, columns: int, power: float = 2.0) -> Objective:
    """What a network sees where: one picture for each cell of a photo's map, row by row, rows·columns in all.

    Picture i is to point in the direction of the mean activation of cell i: :func:`each` of
    :func:`direction`.

    Args:
        activation: (1, C, h, w), of a photo at this layer: ``network(photo, [layer])[layer]``.
        layer: the layer's name.
        rows, columns: of cells, at most h and w.
        power: see :func:`direction`.

    Raises ValueError for a tensor that is not the map of one photograph, for more cells than positions, and for
    a cell in which nothing is active.

    **Source:** Olah et al. 2018, *The Building Blocks of Interpretability*, activation grids.

    >>> a = torch.arange(1.0, 33.0).view(1, 2, 4, 4)  # a photo's map of two channels
    >>> dip.activation_grid(a, "conv", rows=2, columns=2)  # for a parameterization with batch=4
    each(direction('conv', …), direction('conv', …), direction('conv', …), direction('conv', …))
    """
    if activation.ndim != 4 or len(activation) != 1:
        raise ValueError(
            f"an activation grid is made of one photo's map, (1, C, h, w); got {tuple(activation.shape)}"
        )
    height, width = activation.shape[2:]
    rows, columns = whole(rows, "rows"), whole(columns, "columns")
    if not (1 <= rows <= height and 1 <= columns <= width):
        raise ValueError(
            f"{layer} has a map of {(height, width)} here, which cannot be cut into {rows} × {columns} cells"
        )
    cells = F.adaptive_avg_pool2d(activation.detach(), (rows, columns))[0]  # (C, rows, columns)
    vectors = cells.flatten(1).T  # (rows·columns, C)
    for i, vector in enumerate(vectors):
        if not vector.any():
            raise ValueError(
                f"nothing is active in the cell of row {i // columns} and column {i % columns}: take fewer "
                f"cells than {rows} × {columns}, or another layer than {layer}"
            )
    return each(*(direction(layer, vector, power) for vector in vectors))


def _of_picture(index: int, seen: Any) -> Any:
    """One picture's share of what a batch shows."""
    return seen.of(index) if isinstance(seen, Memory) else seen[index : index + 1]


def _require_objectives(name: str, *objectives: Objective) -> None:
    if not objectives:
        raise ValueError(f"{name} takes objectives, one for each picture of the batch; got none")
    for objective in objectives:
        if not isinstance(objective, Objective):
            raise TypeError(
                f"{name} takes objectives, such as dip.channel('features.9', 10); got "
                f"{type(objective).__name__}. A list of them is handed over as {name}(*objectives)"
            )


def _require_batch(name: str, pictures: int) -> None:
    if pictures < 2:
        raise ValueError(
            f"{name} compares the pictures of a batch, and here there is one: make the parameterization with "
            "batch=2 or more"
        )
