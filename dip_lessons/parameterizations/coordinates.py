"""Pictures as functions of position: a small network maps (x, y) to a colour, at every pixel alike."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..arguments import height_width, whole
from ..registry import enter
from .base import Parameterization
from .color import to_image

CPU: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}  # whatever the host has for defaults
Activation = Callable[[Tensor], tuple[Tensor, ...]]


def composite(x: Tensor) -> tuple[Tensor, ...]:
    a = x.atan()
    return a / 0.67, a.square() / 0.6


def unbiased(x: Tensor) -> tuple[Tensor, ...]:
    a = x.atan()
    return a / 0.67, (a.square() - 0.45) / 0.396


def relu(x: Tensor) -> tuple[Tensor, ...]:
    return ((x.clamp(min=0) - 0.40) / 0.58,)


# Each entry of the tuple is one map of features, scaled so that a standard normal x gives it a mean square or
# a variance of 1. Source: the first three Lucid's CPPN notebook; the constants of the others follow likewise.
ACTIVATIONS: dict[str, Activation] = {
    "composite": composite,
    "unbiased": unbiased,
    "relu": relu,
    "abs": lambda x: ((x.abs() - 0.798) / 0.603,),
    "tanh": lambda x: (x.tanh() / 0.628,),
    "sine": lambda x: (x.sin() / 0.658,),
}


def places(size: tuple[int, int], extent: float, tile: bool = False) -> Tensor:
    """The coordinates of every pixel, (2, H·W), rows x and y: the longer side from −extent to extent.

    With ``tile`` they are those of a torus, (4, H·W): sine and cosine, times √2, of one turn along each side,
    so that the right border continues at the left one.
    """
    height, width = size
    if tile:
        turns = [2 * math.pi * torch.arange(n, **CPU) / n for n in (height, width)]
        y, x = torch.meshgrid(*turns, indexing="ij")
        return math.sqrt(2) * torch.stack([x.sin(), x.cos(), y.sin(), y.cos()]).flatten(1)
    longest = max(height - 1, width - 1, 1)
    rows = torch.linspace(-extent, extent, height, **CPU) * (height - 1) / longest
    columns = torch.linspace(-extent, extent, width, **CPU) * (width - 1) / longest
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([x, y]).flatten(1)


class Coordinates(Parameterization):
    """The picture σ(f(x, y)): a network f with the same weights at every position. Base of CPPN and SIREN.

    The parameters know no resolution: ``picture(size)`` renders them at any. A subclass makes ``weights`` and
    ``biases``, one of each a layer, and says by ``features`` what a layer makes of its sum.
    """

    extent: float
    tile: bool
    weights: nn.ParameterList  # (B, out, in) each
    biases: nn.ParameterList  # (B, out, 1) each

    def features(self, x: Tensor, layer: int) -> tuple[Tensor, ...]:
        """What a layer hands on: maps (B, units, P), which the next one has one block of weights for each."""
        raise NotImplementedError

    def raw(self, size: tuple[int, int] | None = None) -> Tensor:
        height, width = size or self.size
        weight = self.weights[0]
        parts: tuple[Tensor, ...] = (places((height, width), self.extent, self.tile).to(weight)[None],)
        for layer, (weight, x) in enumerate(zip(self.weights, self.biases, strict=True)):
            # W [part₁; part₂; …] + b, without putting the parts together: (B, out, P)
            for block, part in zip(weight.split(parts[0].shape[1], dim=2), parts, strict=True):
                x = torch.baddbmm(x, block, part.expand(len(block), -1, -1))
            parts = self.features(x, layer) if layer < len(self.weights) - 1 else (x,)
        return parts[0].unflatten(2, (height, width))

    def forward(self, size: int | tuple[int, int] | None = None) -> Tensor:
        """The picture, (B, C, H, W), at its own size or any other."""
        return to_image(self.raw(None if size is None else height_width(size)), self.decorrelate)


@enter("parameterization")
class CPPN(Coordinates):
    """A compositional pattern-producing network: the article's "light paintings".

    Eight layers of 24 units; each hands on two features of its sum x, atan(x)/.67 and atan(x)²/.6; the last
    one is zero at first, so that every start is the same grey. 8,451 parameters a picture, at any size.

    Args:
        size: at which it is optimized; ``picture(800)`` renders it at another.
        batch, channels, decorrelate, generator, device: see :class:`Parameterization`.
        layers: the number of hidden layers; more of them draw finer.
        units: of each hidden layer.
        activation: ``"composite"`` (the article's), ``"unbiased"`` (its second feature (atan(x)² − .45)/.396),
            ``"relu"``, ``"abs"``, ``"tanh"`` or ``"sine"``; the choice decides what kind of picture comes out.
        extent: coordinates run from −extent to extent along the longer side; √3 gives them variance 1.
        tile: whether the picture continues itself at its borders.

    Raises ValueError for an unknown activation, and for numbers of layers or units below 1.

    **Source:** Distill 2018, "Compositional Pattern Producing Networks", and Lucid's notebook; the idea is
    Stanley's (2007). Learning rate .005, and no random views: it needs none.

    >>> picture = dip.CPPN(16)
    >>> sum(p.numel() for p in picture.parameters())
    8451
    >>> picture(64).shape  # the same parameters
    torch.Size([1, 3, 64, 64])
    """

    lr = 0.005

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        layers: int = 8,
        units: int = 24,
        activation: str = "composite",
        extent: float = math.sqrt(3),
        tile: bool = False,
        decorrelate: bool = False,
        **shared: Any,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}; got {activation!r}")
        layers, units = whole(layers, "layers", 1), whole(units, "units", 1)
        super().__init__(size, decorrelate=decorrelate, **shared)
        self.extent, self.tile = extent, tile
        self.activation = ACTIVATIONS[activation]
        wide = units * len(self.activation(torch.zeros(1, device="cpu")))
        inputs = [4 if tile else 2, *[wide] * (layers - 1)]
        starts = [self.noise(self.batch, units, n) / math.sqrt(n) for n in inputs]
        starts += [starts[0].new_zeros(self.batch, self.channels, wide)]
        self.weights = nn.ParameterList(map(self.trainable, starts))
        self.biases = nn.ParameterList(self.trainable(torch.zeros_like(w[:, :, :1])) for w in starts)

    def features(self, x: Tensor, layer: int) -> tuple[Tensor, ...]:
        return self.activation(x)


@enter("parameterization")
class Siren(Coordinates):
    """A sinusoidal representation network: every layer is sin(ω₀ (W x + b)), so that fine detail is learnable.

    Args:
        size: at which it is optimized; ``picture(800)`` renders it at another.
        batch, channels, decorrelate, generator, device: see :class:`Parameterization`.
        layers: the number of hidden layers.
        units: of each hidden layer.
        omega: ω₀, the frequency: higher draws finer from the start.
        tile: whether the picture continues itself at its borders.

    Raises ValueError for an omega that is not above 0, and for numbers of layers or units below 1.

    **Source:** Sitzmann et al., *Implicit Neural Representations with Periodic Activation Functions* (2020),
    §3.2 and supplement §1.5: first weights U(±1/n), others U(±√(6/n)/ω₀), coordinates in [−1, 1].

    >>> picture = dip.Siren(9)
    >>> fine = picture(17)  # every second pixel lies where one of the coarse picture's does
    >>> torch.allclose(fine[..., ::2, ::2], picture(), atol=1e-4)
    True
    """

    lr = 0.001

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        layers: int = 3,
        units: int = 64,
        omega: float = 30.0,
        tile: bool = False,
        decorrelate: bool = False,
        **shared: Any,
    ) -> None:
        if not (math.isfinite(omega) and omega > 0):
            raise ValueError(f"omega is a frequency and must be a number above 0; got {omega!r}")
        layers, units = whole(layers, "layers", 1), whole(units, "units", 1)
        super().__init__(size, decorrelate=decorrelate, **shared)
        self.extent, self.tile, self.omega = 1.0, tile, omega
        inputs = [4 if tile else 2, *[units] * layers]
        outputs = [*[units] * layers, self.channels]
        bounds = [1 / inputs[0], *[math.sqrt(6 / n) / omega for n in inputs[1:]]]
        shapes = list(zip(outputs, inputs, bounds, strict=True))
        self.weights = nn.ParameterList(
            self.trainable(b * self.uniform(self.batch, out, n)) for out, n, b in shapes
        )
        # torch's own start for the bias of a linear layer, which the authors keep
        self.biases = nn.ParameterList(
            self.trainable(self.uniform(self.batch, out, 1) / math.sqrt(n)) for out, n, _ in shapes
        )

    def features(self, x: Tensor, layer: int) -> tuple[Tensor, ...]:
        return ((self.omega * x).sin(),)
