"""Style and content: the style of one picture and the content of another, as a network sees them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from numbers import Real

import torch
from torch import Tensor

from .activations import by_place, require_shape, targets_of
from .objective import MEMORY, Activations, Objective


def gram(activation: Tensor, *, centred: bool = False) -> Tensor:
    """The Gram matrix G = a aᵀ / (h·w): which channels are active together, wherever that is.

    Args:
        activation: a, (B, C, h, w), or (B, C) for a layer without positions.
        centred: whether each channel's mean over positions is taken away first; G is then their covariance. After a
            ReLU most of a Gram matrix is the product of means, which says how much there is of everything.

    Returns (B, C, C), symmetric. Divided by the number of positions, it is that of a typical position, and so pictures
    of any two sizes can be compared. Raises ValueError for a tensor of another shape.

    **Source:** Gatys, Ecker and Bethge, *Image Style Transfer Using Convolutional Neural Networks* (CVPR 2016),
    eq. 3, which does not divide; Lucid's ``gram_style`` does.

    >>> a = torch.tensor([[1.0, 3.0], [0.0, 2.0]]).view(1, 2, 1, 2)  # two channels at two positions
    >>> dip.gram(a)[0]  # a aᵀ / 2
    tensor([[5., 3.],
            [3., 2.]])
    >>> shuffled = a.flip(3)
    >>> torch.equal(dip.gram(shuffled), dip.gram(a))  # where things are does not count
    True
    """
    if activation.ndim not in (2, 3, 4):
        raise ValueError(
            f"a Gram matrix is made of activations (B, C, h, w) or (B, C); got {tuple(activation.shape)}"
        )
    a = by_place(activation)  # (B, C, positions)
    if centred:
        a = a - a.mean(dim=2, keepdim=True)
    return a @ a.transpose(1, 2) / a.shape[2]


def style(
    *activations: Activations,
    shares: Sequence[float] | None = None,
    weights: Mapping[str, float] | None = None,
    centred: bool = False,
    squared: bool = False,
    memory: float = 0.0,
) -> Objective:
    """How far a picture's style is from that of another one; a quantity to subtract.

    The mean over layers, weighted by w, of Σ|G − T| / Σ|T|, with the Gram matrices G of the picture and T of the
    style picture (see :func:`gram`): 0 for the same style, 1 for a picture that no channel answers to. Gram matrices
    of different layers and networks differ in size by orders of magnitude; divided by Σ|T|, weights mean the same.

    Args:
        activations: {layer: (1 or B, C, h, w)} of the style picture, as ``network(image, layers)`` returns them; its
            size need not be that of the pictures. One for all pictures, or one for each. Of several such
            arguments, the mean of their Gram matrices is the target: a mixed style.
        shares: of each argument in that mean; by default all have the same.
        weights: {layer: w}; by default all layers have the same. (Those of the plain mean |G − T| are mean |T|.)
        centred: whether Gram matrices are those of centred activations, that is covariances.
        squared: whether to compare by ‖G − T‖² / ‖T‖² instead of absolute values.
        memory: where each view shows a part only, compare what all views so far have shown: in place of G stands
            the mean of the run's Gram matrices, where one that lies n views back counts memoryⁿ times as much, in
            [0, 1). The gradient is that of the present view, as if G had this value. 0 compares each view alone.

    It holds the Gram matrices, and so is not stored with a run. Raises TypeError for anything but {layer: activation},
    ValueError for arguments of different layers, shares, weights or a memory that do not fit, a layer in which
    nothing is active, and, when called, for another number of channels or pictures.

    **Source:** Lucid's style objectives: mean absolute differences (Gatys et al. 2016, eq. 4–5, take squares); its
    notebook on style transfer in 3D: G + stop_gradient(mean − G), with a decay of .95.

    >>> t = torch.tensor([[1.0, 3.0], [0.0, 2.0]]).view(1, 2, 1, 2)
    >>> distance = dip.style({"conv": t})
    >>> distance({"conv": t.flip(3)}), distance({"conv": 0 * t})  # the same style, and none
    (tensor([0.]), tensor([1.]))
    """
    grams = [
        {name: gram(t, centred=centred) for name, t in targets_of("style", a).items()} for a in activations
    ]
    layers = tuple(grams[0]) if grams else ()
    if not all(set(one) == set(layers) for one in grams) or not grams:
        raise ValueError(
            f"a style is made of activations of the same layers; got {[list(one) for one in grams]}"
        )
    of_layer = dict.fromkeys(layers, 1.0) if weights is None else dict(weights)
    if set(of_layer) != set(layers) or not _are_weights(of_layer.values()):
        raise ValueError(
            f"weights are numbers from 0 on, not all 0, one for each of {', '.join(layers)}; got {of_layer}"
        )
    of_picture = [1.0] * len(grams) if shares is None else list(shares)
    if len(of_picture) != len(grams) or not _are_weights(of_picture):
        raise ValueError(
            f"shares are numbers from 0 on, not all 0, one for each of {len(grams)} arguments; got {of_picture}"
        )
    if not (isinstance(memory, Real) and 0 <= memory < 1):
        raise ValueError(f"memory is a number from 0 on, below 1, such as .95; got {memory!r}")
    parts = [share / sum(of_picture) for share in of_picture]
    targets = {
        name: torch.stack([part * one[name] for part, one in zip(parts, grams, strict=True)]).sum(dim=0)
        for name in layers
    }
    sizes = {name: _size_of_target(name, t, squared) for name, t in targets.items()}

    what = "covariance" if centred else "gram"

    def distance(activations: Activations) -> Tensor:
        values = []
        for name, t in targets.items():
            g = gram(activations[name], centred=centred)
            if g.shape[1:] != t.shape[1:] or len(t) not in (1, len(g)):
                raise ValueError(
                    f"{name} has {g.shape[1]} channels for {len(g)} pictures here, and {t.shape[1]} channels for "
                    f"{len(t)} style pictures: show both to the same network, with one style, or one for each picture"
                )
            if memory:
                mean = activations[MEMORY].mean(f"{what} of {name}, {memory}", g, memory)
                g = g + (mean - g).detach()
            values.append(of_layer[name] * _size(g - t.to(g), squared) / sizes[name].to(g))
        return torch.stack(values).sum(dim=0) / sum(of_layer.values())

    asked = (*layers, MEMORY) if memory else layers
    return Objective(distance, asked, code=f"style({', '.join(layers)})")


def content(activations: Activations) -> Objective:
    """How far a picture's content is from that of another one; a quantity to subtract.

    The mean over layers of Σ|a − t| / Σ|t|, position by position: 0 for the picture itself, 1 for a picture that no
    channel answers to. One middle layer is usual: it knows what is where, and no longer each brush stroke.

    t is what the network sees in one view. With random views, the other picture must be seen in the same
    view at each step, so this objective is for runs without views; lesson 09 has one for runs with them.

    Args:
        activations: {layer: (1 or B, C, h, w)} of the content picture, as ``network(image, layers)`` returns
            them; one for all pictures, or one for each.

    It holds the activations, and so is not stored with a run. Raises TypeError for anything but {layer: activation},
    ValueError for a layer in which nothing is active, and, when called, for maps of another shape.

    **Source:** Lucid's content objective is the mean of |a − t|, with weight 100 beside unscaled Gram matrices;
    Gatys et al. 2016, eq. 1, take squares.

    >>> t = torch.tensor([[1.0, 3.0], [0.0, 2.0]]).view(1, 2, 1, 2)
    >>> distance = dip.content({"conv": t})
    >>> distance({"conv": t}), distance({"conv": t.flip(3)})  # the same style, but not the same content
    (tensor([0.]), tensor([1.3333]))
    """
    targets = targets_of("content", activations)
    sizes = {name: _size_of_target(name, t) for name, t in targets.items()}

    def distance(activations: Activations) -> Tensor:
        values = []
        for name, t in targets.items():
            a = activations[name]
            require_shape(name, a, t, "compared with")
            values.append(_size(a - t.to(a)) / sizes[name].to(a))
        return torch.stack(values).mean(dim=0)

    return Objective(distance, tuple(targets), code=f"content({', '.join(targets)})")


def _size(x: Tensor, squared: bool = False) -> Tensor:
    """Σ|x|, or Σ x², of each of (B, …): (B,)."""
    x = x.flatten(1)
    return x.square().sum(dim=1) if squared else x.abs().sum(dim=1)


def _size_of_target(name: str, target: Tensor, squared: bool = False) -> Tensor:
    size = _size(target, squared)
    if not (size.isfinite() & (size > 0)).all():
        raise ValueError(
            f"activations of {name} are all 0 or not finite: take another layer, or another picture"
        )
    return size


def _are_weights(numbers: Iterable[float]) -> bool:
    numbers = list(numbers)
    return all(isinstance(n, Real) and 0 <= n < math.inf for n in numbers) and any(numbers)
