"""Exercises of lesson 11."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .verdict import Exercise

__all__ = ["principal_directions", "slerp", "style_mix"]


def _slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    cosine = (F.normalize(a, dim=-1) * F.normalize(b, dim=-1)).sum(dim=-1, keepdim=True)
    angle = torch.acos(cosine)
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def _of_lengths(a: Tensor, b: Tensor, t: float) -> Tensor:
    angle = torch.acos(((a * b).sum(dim=-1, keepdim=True) / a.shape[-1]).clamp(-0.999, 0.999))
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / torch.sin(angle)


def _rescaled(a: Tensor, b: Tensor, t: float) -> Tensor:
    length = torch.lerp(a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True), t)
    return F.normalize(torch.lerp(a, b, t), dim=-1) * length


def _latents(seed: int, t: float) -> Callable[[], tuple]:
    return lambda: (*torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(seed)), t)


slerp = Exercise(
    "slerp",
    _slerp,
    [_latents(1, 0.25), _latents(2, 0.5), _latents(3, 0.0)],
    {
        "that is the straight line through the ball: walk along the arc": lambda a, b, t: torch.lerp(a, b, t),
        "you walk from b to a: at t = 0 stands a": lambda a, b, t: _slerp(b, a, t),
        "that is the straight line pushed out to the sphere: the same path, but faster in the middle": _rescaled,
        "your angle is wrong unless both have length √n: divide by both lengths before acos": _of_lengths,
        "your a and b have lost their lengths: unit vectors are for the angle only": (
            lambda a, b, t: _slerp(F.normalize(a, dim=-1), F.normalize(b, dim=-1), t)
        ),
        "the two sines must be divided by sin Ω": (
            lambda a, b, t: (
                _slerp(a, b, t)
                * torch.sin(
                    torch.acos((F.normalize(a, dim=-1) * F.normalize(b, dim=-1)).sum(-1, keepdim=True))
                )
            )
        ),
    },
    gradient=[0, 1],
)


def _style_mix(a: Tensor, b: Tensor, first: int, last: int, layers: int) -> Tensor:
    k = torch.arange(layers)[:, None]  # (layers, 1)
    return torch.where((k >= first) & (k < last), b[:, None], a[:, None])  # (B, layers, W)


def _mixing_case(seed: int, first: int, last: int, layers: int) -> Callable[[], tuple]:
    return lambda: (
        *torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(seed)),
        first,
        last,
        layers,
    )


style_mix = Exercise(
    "style_mix",
    _style_mix,
    [_mixing_case(1, 1, 4, 23), _mixing_case(2, 4, 10, 23), _mixing_case(3, 2, 3, 6)],
    {
        "you gave b to the layers outside: layers first … last − 1 get b, all others a": (
            lambda a, b, first, last, n: _style_mix(b, a, first, last, n)
        ),
        "layer last has b too: the range ends before it, as ranges do in Python": (
            lambda a, b, first, last, n: _style_mix(a, b, first, last + 1, n)
        ),
        "all layers before last have b: the range begins at first": (
            lambda a, b, first, last, n: _style_mix(a, b, 0, last, n)
        ),
        "all layers from first on have b: the range ends before last": (
            lambda a, b, first, last, n: _style_mix(a, b, first, n, n)
        ),
        "you mixed the two halfway: a layer has one style, a's or b's": (
            lambda a, b, first, last, n: (_style_mix(a, b, first, last, n) + a[:, None]) / 2
        ),
    },
    gradient=[0, 1],
)


def _principal(w: Tensor, count: int, *, centred: bool = True, power: float = 0.5) -> Tensor:
    """The strongest directions first, times variance ** power, with signs fixed."""
    x = w - w.mean(dim=0) if centred else w
    variance, directions = torch.linalg.eigh(x.T @ x / len(x))
    rows = (directions * variance.clamp(min=0) ** power).T.flip(0)[:count]
    return rows * rows.sum(dim=1, keepdim=True).sign()


def _cloud_case(seed: int, count: int) -> Callable[[], tuple]:
    def case() -> tuple:
        generator = torch.Generator().manual_seed(seed)
        axes = torch.randn(10, 10, generator=generator, dtype=torch.float64)
        x = torch.randn(300, 10, generator=generator, dtype=torch.float64)
        scale = torch.tensor([3.0, 2, 1.4, 1, 0.7, 0.5, 0.3, 0.2, 0.1, 0.05], dtype=torch.float64)
        return x * scale @ torch.linalg.qr(axes)[0] + 2.0, count

    return case


principal_directions = Exercise(
    "principal_directions",
    lambda w, count: _principal(w, count),
    [_cloud_case(1, 4), _cloud_case(2, 10)],
    {
        "you forgot to take away the mean: the first direction then points at the cloud instead of along it": (
            lambda w, count: _principal(w, count, centred=False)
        ),
        "your directions have length 1: each should be as long as the standard deviation along it": (
            lambda w, count: _principal(w, count, power=0.0)
        ),
        "your directions are as long as the variance: take its root": (
            lambda w, count: _principal(w, count, power=1.0)
        ),
        "eigh sorts from weak to strong: the strongest come first": (
            lambda w, count: _principal(w, w.shape[1]).flip(0)[:count]
        ),
        "your directions stand in columns: return them as rows, (count, W)": (
            lambda w, count: _principal(w, count).T
        ),
        "the signs are not as asked: the coordinates of each direction add up to a positive number": (
            lambda w, count: -_principal(w, count)
        ),
    },
    rtol=5e-3,
    atol=1e-4,
)
