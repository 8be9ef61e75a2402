"""Exercises of lesson 08."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from .verdict import Exercise, Experiment

__all__ = ["caricature_objective", "control", "pair_gain", "texture_diversity"]


def _grams(a: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, C, C)."""
    return torch.einsum("bchw,bdhw->bcd", a, a)


def _unlikeness(vectors: Tensor, *, itself: bool = False, unit: bool = True) -> Tensor:
    """Minus the sum of the products of each vector (B, …) with the others, and with itself if asked."""
    flat = vectors.flatten(1)
    flat = F.normalize(flat, dim=1) if unit else flat
    products = flat @ flat.T
    others = products if itself else products - torch.diag(products.diagonal())
    return -others.sum(dim=1)


def _activation(seed: int, batch: int, channels: int, height: int, width: int) -> Tensor:
    """Like those after a ReLU: never negative, a third of them 0, and channels of unlike size."""
    generator = torch.Generator().manual_seed(seed)
    scale = 0.5 + torch.rand(batch, channels, 1, 1, generator=generator)
    return scale * (torch.randn(batch, channels, height, width, generator=generator) + 0.4).clamp(min=0)


def _texture_case(seed: int, *shape: int) -> Callable[[], tuple]:
    return lambda: (_activation(seed, *shape),)


texture_diversity = Exercise(
    "texture_diversity",
    lambda a: _unlikeness(_grams(a)),
    [_texture_case(0, 4, 6, 5, 7), _texture_case(1, 2, 9, 4, 4), _texture_case(2, 3, 5, 5, 5)],
    {
        "your sum holds cos(G_i, G_i) = 1, too: only the *other* pictures count": (
            lambda a: _unlikeness(_grams(a), itself=True)
        ),
        "your sign is turned round: likeness is what costs": lambda a: -_unlikeness(_grams(a)),
        "your matrices are not divided by their length: pictures with larger activations would count more": (
            lambda a: _unlikeness(_grams(a), unit=False)
        ),
        "that compares the maps themselves, position by position: a texture is a sum over positions": _unlikeness,
        "that compares the channels' means: the Gram matrix knows which channels are active *together*": (
            lambda a: _unlikeness(a.mean(dim=(2, 3)))
        ),
        "your product runs over channels and leaves positions: a aᵀ is (C, C), summed over positions": (
            lambda a: _unlikeness(torch.einsum("bcp,bcq->bpq", a.flatten(2), a.flatten(2)))
        ),
        "you divided each row of the matrix by its length: the whole matrix is one vector, flatten(1) first": (
            lambda a: _unlikeness(F.normalize(_grams(a), dim=1), unit=False)
        ),
        "you took the mean over the other pictures: it is their sum": (
            lambda a: _unlikeness(_grams(a)) / (len(a) - 1)
        ),
        "you took the mean over the batch, yourself included: it is the sum over the others": (
            lambda a: _unlikeness(_grams(a)) / len(a)
        ),
    },
    gradient=[0],
)


_SETTINGS = ("index", "weight", "seed", "late")


def _chosen(control: Callable[[Mapping], Mapping], treatment: Mapping[str, float]) -> Tensor:
    """The four settings of the control, or nothing where they are others."""
    given = control(dict(treatment))
    whole = isinstance(given, Mapping) and set(given) == set(_SETTINGS)
    return torch.tensor(
        [float(given[k]) for k in _SETTINGS] if whole else [], device="cpu", dtype=torch.float64
    )


def _no_control(given: Tensor, treatment: Mapping[str, float]) -> str | None:
    if not len(given):
        return "return a dict with the treatment's four keys: index, weight, seed and late"
    changed = [k for k, x in zip(_SETTINGS, given.tolist(), strict=True) if x != treatment[k]]
    if not changed:
        return "that is the treatment itself: change the one thing that is in doubt"
    if len(changed) > 1:
        return f"{' and '.join(changed)} differ from the treatment: if the result does, too, which of them was it?"
    weight, late = given[1].item(), given[3].item()
    if late < 0 or late > 1:
        return f"late is a share of the steps, from 0 to 1, not their number; yours is {late:g}"
    if 0 < late < 0.1:
        return f"after {late:g} of the steps the channel has hardly begun"
    if late > 0.8:
        return f"after {late:g} of the steps hardly any are left in which the term counts"
    return {
        "index": "another channel is another question: it does not tell what happened to this one",
        "seed": "another seed repeats the treatment: the result may be the same for the same bad reason",
        "weight": "without the term you see what the channel does alone, which you know already"
        if weight == 0
        else "another weight still acts from the first step, before the channel has begun",
    }.get(changed[0])


control = Experiment(
    "control",
    _chosen,
    _no_control,
    [
        lambda: ({"index": 689, "weight": 0.1, "seed": 0, "late": 0.0},),
        lambda: ({"index": 42, "weight": 0.3, "seed": 2, "late": 0.0},),
    ],
)


def _exaggeration(
    a: Tensor,
    t: Tensor,
    power: float,
    *,
    least: float = 0.1,
    unit: bool = True,
    unit_a: bool = True,
    dot_counts: bool = True,
) -> Tensor:
    a, t = a.flatten(1), t.flatten(1)
    dot = (a * t).sum(dim=1)
    cosine = dot / t.norm() / (a.norm(dim=1) if unit_a else 1)
    along = dot / (t.norm() if unit else 1)
    angle = cosine.clamp(min=least) ** power
    return along * angle if dot_counts else angle


def _by_position(a: Tensor, t: Tensor, power: float) -> Tensor:
    dot = (a * t).sum(dim=1)  # (B, h, w)
    along = dot / t.norm(dim=1).clamp(min=1e-6)
    cosine = along / a.norm(dim=1).clamp(min=1e-6)
    return (along * cosine.clamp(min=0.1) ** power).mean(dim=(1, 2))


def _exaggerated_case(seed: int, batch: int, channels: int, power: float) -> Callable[[], tuple]:
    def case() -> tuple:
        a = _activation(seed, batch, channels, 4, 5)
        target = _activation(seed + 10, 1, channels, 4, 5)
        a[0] = -a[0] + 0.05 * target[0]  # one that points the other way
        return a, target, power

    return case


caricature_objective = Exercise(
    "caricature_objective",
    _exaggeration,
    [_exaggerated_case(0, 3, 6, 2.0), _exaggerated_case(1, 2, 9, 1.0), _exaggerated_case(2, 4, 4, 0.0)],
    {
        "the angle is left out: multiply by the bounded cosine to the power": (
            lambda a, t, p: _exaggeration(a, t, 0)
        ),
        "you did not divide by ‖t‖: then a photograph with larger activations would count more": (
            lambda a, t, p: _exaggeration(a, t, p, unit=False)
        ),
        "that is the angle alone: it multiplies a·t / ‖t‖": (
            lambda a, t, p: _exaggeration(a, t, p, dot_counts=False)
        ),
        "the bound is missing: an even power would reward what points the other way": (
            lambda a, t, p: _exaggeration(a, t, p, least=-2)
        ),
        "your bound is 0: whatever points the wrong way would get no gradient, and never turn; it is .1": (
            lambda a, t, p: _exaggeration(a, t, p, least=0)
        ),
        "your cosine is not divided by the length of a, so it grows with the activations": (
            lambda a, t, p: _exaggeration(a, t, p, unit_a=False)
        ),
        "you multiplied by the cosine once more: a·t / ‖t‖ holds one already": (
            lambda a, t, p: _exaggeration(a, t, p + 1)
        ),
        "you compare position by position: the whole map is one vector, strong positions count most": _by_position,
        "the length of a is that of each picture by itself, not of the whole batch": (
            lambda a, t, p: (
                (d := (a * t).flatten(1).sum(dim=1) / t.norm()) * (d / a.norm()).clamp(min=0.1) ** p
            )
        ),
    },
    gradient=[0],
)


def _gain(answers: Tensor, own: Tensor, *, first: bool = True, second: bool = True) -> Tensor:
    """``own``: what answers (N, N, N) are divided by. The sum of the pair's shares, minus 1."""
    n = len(answers)
    shares, i, j = answers / own, torch.arange(n)[:, None], torch.arange(n)
    return first * shares[i, j, i] + second * shares[i, j, j] - 1


def _off_diagonal(gain: Tensor) -> Tensor:
    return gain * (1 - torch.eye(len(gain)))


def _gain_case(seed: int, n: int) -> Callable[[], tuple]:
    def case() -> tuple:
        generator = torch.Generator().manual_seed(seed)
        return 10 * torch.rand(n, n, n, generator=generator), 5 + 15 * torch.rand(n, generator=generator)

    return case


pair_gain = Exercise(
    "pair_gain",
    lambda answers, alone: _off_diagonal(_gain(answers, alone)),
    [_gain_case(0, 4), _gain_case(1, 6), _gain_case(2, 2)],
    {
        "your diagonal is not 0: a channel makes no pair with itself": _gain,
        "your answers are not divided by what each channel reaches alone: large ones would count more": (
            lambda answers, alone: _off_diagonal(_gain(answers, torch.ones_like(alone)))
        ),
        "you did not take 1 away: a divided plane gives shares that add up to 1, and no gain": (
            lambda answers, alone: _off_diagonal(_gain(answers, alone) + 1)
        ),
        "you counted the first channel of each pair only: both shares add up": (
            lambda answers, alone: _off_diagonal(_gain(answers, alone, second=False))
        ),
        "you counted the second channel of each pair only: both shares add up": (
            lambda answers, alone: _off_diagonal(_gain(answers, alone, first=False))
        ),
        "you added the shares of *all* channels in each picture: only the two count that it was painted for": (
            lambda answers, alone: _off_diagonal((answers / alone).sum(dim=2) - 1)
        ),
        "you divided by another channel's own value: alone[c] belongs to the last axis, c": (
            lambda answers, alone: _off_diagonal(_gain(answers, alone[:, None, None]))
        ),
        "you took the mean of the two shares: it is their sum": (
            lambda answers, alone: _off_diagonal((_gain(answers, alone) + 1) / 2 - 1)
        ),
    },
)
