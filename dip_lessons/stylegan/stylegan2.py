"""StyleGAN2 in plain PyTorch, with the names of the official checkpoints, so that their weights load as they are.

So do settings: a module's attributes named in ``honoured`` are the checkpoint's; those in ``expected`` must be as here.

**Source:** Karras et al., *Analyzing and Improving the Image Quality of StyleGAN* (2020): demodulation §2.2, skip
connections §3; *Training Generative Adversarial Networks with Limited Data* (2020) for the checkpoints' layout.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .generator import NoisyLayer, Synthesis


class FullyConnected(nn.Module):
    """A x + b, the weights of which are stored scaled: A = weight · weight_gain, b = bias · bias_gain.

    ``weight_gain`` is 1 / √inputs times the learning rate's multiplier, ``bias_gain`` that multiplier.
    """

    honoured = ("weight_gain", "bias_gain")

    def __init__(self, inputs: int, outputs: int, *, rate: float = 1.0, activation: str = "linear") -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.weight_gain, self.bias_gain = rate / math.sqrt(inputs), rate
        self.expected = {"activation": activation}

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain)


class MappingNetwork(nn.Module):
    """z is scaled to mean square 1, then goes through fully connected layers ``fc0``, ``fc1`` … and leaky ReLUs.

    Args:
        widths: of z, and of what each layer makes of it; the last is W.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.expected = {"c_dim": 0, "z_dim": widths[0], "w_dim": widths[-1], "num_layers": len(widths) - 1}
        for i, (inputs, outputs) in enumerate(pairwise(widths)):
            self.add_module(f"fc{i}", FullyConnected(inputs, outputs, rate=0.01, activation="lrelu"))

    def forward(self, z: Tensor) -> Tensor:
        x = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        for layer in self.children():
            x = leaky(layer(x))
        return x


def leaky(x: Tensor, clamp: float | None = None, *, slope: float = 0.2, gain: float = math.sqrt(2)) -> Tensor:
    """gain · leaky_relu(x), then kept within ± clamp, as in checkpoints that were trained in half precision."""
    x = gain * F.leaky_relu(x, slope)
    return x if clamp is None else x.clamp(-clamp, clamp)


def smooth(x: Tensor, up: int = 1, gain: float = 1.0) -> Tensor:
    """Put up − 1 zeros behind each pixel, then filter with [1, 3, 3, 1] / 8 · gain along rows and columns.

    (B, C, h, w) → (B, C, 2 h, 2 w) for up = 2, and (B, C, h − 1, w − 1) for up = 1, which is what a transposed
    convolution with stride 2 needs.
    """
    channels = x.shape[1]
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], device="cpu").to(x) * (gain / 8)
    filters = (row.view(1, 1, 4, 1), row.view(1, 1, 1, 4))
    for filter, stride, pad in zip(filters, ((up, 1), (1, up)), ((1, 0), (0, 1)), strict=True):
        kernel = filter.expand(channels, -1, -1, -1)
        if up == 1:
            x = F.conv2d(x, kernel, padding=pad, groups=channels)
        else:
            x = F.conv_transpose2d(x, kernel, stride=stride, padding=pad, groups=channels)
    return x


def modulated_convolution(
    x: Tensor,
    weight: Tensor,
    style: Tensor,
    *,
    up: bool = False,
    demodulate: bool = True,
    padding: int | None = None,
) -> Tensor:
    """Convolve each picture with its own weights: w_oik · s_i, divided by their norm over i and k.

    The style multiplies the inputs and the norm divides the outputs, which is the same and lets one convolution
    serve all pictures.

    Args:
        x: (B, I, h, w).
        weight: (O, I, k, k).
        style: s (B, I).
        up: whether the resolution doubles, by zeros between the pixels and a smoothing filter.
        demodulate: whether to divide by the norm.
        padding: zeros around the picture; None keeps its size.

    **Source:** Karras et al. (2020), equations 1 to 3.
    """
    x = x * style[:, :, None, None]
    if up:
        x = smooth(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), gain=2)
    else:
        x = F.conv2d(x, weight, padding=weight.shape[-1] // 2 if padding is None else padding)
    if demodulate:
        norm = style.square() @ weight.square().sum(dim=(2, 3)).T  # (B, O)
        x = x * torch.rsqrt(norm + 1e-8)[:, :, None, None]
    return x


class Layer(NoisyLayer):
    """Modulated 3×3 convolution, noise, bias, leaky ReLU; ``conv_clamp`` bounds what comes out."""

    honoured = ("conv_clamp", "act_gain")

    def __init__(self, style: int, inputs: int, outputs: int, size: int, up: bool) -> None:
        super().__init__()
        self.affine = FullyConnected(style, inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.register_buffer("noise", torch.empty(1, 1, size, size))
        self.register_buffer("strength", torch.empty(()))
        self.up, self.act_gain = up, math.sqrt(2)
        self.conv_clamp: float | None = None
        self.expected = {"activation": "lrelu", "up": 2 if up else 1, "padding": 1, "resolution": size}

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        x = modulated_convolution(x, self.weight, self.affine(w), up=self.up)
        if noise is not None:
            x = x + noise
        return leaky(x + self.bias[:, None, None], self.conv_clamp, gain=self.act_gain)


class ToRGB(nn.Module):
    """Modulated 1×1 convolution to RGB, and bias."""

    honoured = ("conv_clamp", "weight_gain")

    def __init__(self, style: int, inputs: int) -> None:
        super().__init__()
        self.affine = FullyConnected(style, inputs)
        self.weight, self.bias = nn.Parameter(torch.empty(3, inputs, 1, 1)), nn.Parameter(torch.empty(3))
        self.weight_gain = 1 / math.sqrt(inputs)
        self.conv_clamp: float | None = None

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.affine(w) * self.weight_gain
        x = modulated_convolution(x, self.weight, style, demodulate=False) + self.bias[:, None, None]
        return leaky(x, self.conv_clamp, slope=1, gain=1)


class Block(nn.Module):
    """Twice the resolution, two layers (the first block: a constant, one layer), and what they add to the picture."""

    def __init__(self, style: int, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.const = nn.Parameter(torch.empty(outputs, size, size)) if inputs == 0 else None
        self.conv0 = Layer(style, inputs, outputs, size, True) if inputs else None
        self.conv1 = Layer(style, outputs, outputs, size, False)
        self.torgb = ToRGB(style, outputs)
        self.expected = {"architecture": "skip", "resolution": size, "img_channels": 3}

    def forward(
        self, x: Tensor | None, image: Tensor | None, w: Tensor, noise: Sequence[Tensor | None]
    ) -> tuple[Tensor, Tensor]:  # w (B, 3, W), of the first block (B, 2, W)
        if self.const is not None:
            x = self.const.expand(len(w), -1, -1, -1)
        if self.conv0 is not None:
            x = self.conv0(x, w[:, 0], noise[0])
        x = self.conv1(x, w[:, -2], noise[-1])
        rgb = self.torgb(x, w[:, -1])
        return x, rgb if image is None else smooth(image, up=2, gain=2) + rgb


class SynthesisNetwork(Synthesis):
    """Blocks ``b4``, ``b8`` … each of which adds to the picture of the one before: there are pictures of all sizes.

    Args:
        channels: of the features at 4, 8, 16, … pixels.
        style: W.
    """

    def __init__(self, channels: Sequence[int], style: int) -> None:
        super().__init__()
        self.sizes = tuple(4 * 2**i for i in range(len(channels)))
        self.styles = 2 * len(channels)
        self.expected = {"img_channels": 3, "img_resolution": self.sizes[-1], "num_ws": self.styles}
        for n, m, size in zip((0, *channels[:-1]), channels, self.sizes, strict=True):
            self.add_module(f"b{size}", Block(style, n, m, size))

    def noisy_layers(self, size: int) -> list[NoisyLayer]:
        layers = [part for part in self.modules() if isinstance(part, NoisyLayer)]
        return [layer for layer in layers if layer.noise.shape[-1] <= size]

    def forward(self, w: Tensor, size: int, noise: Sequence[Tensor | None]) -> Tensor:
        x, image, at = None, None, 0
        for side in self.sizes[: self.sizes.index(size) + 1]:
            # The RGB layer has its style in common with the next block's first.
            convolutions = 1 if side == 4 else 2
            block = self.get_submodule(f"b{side}")
            x, image = block(x, image, w[:, at : at + convolutions + 1], noise[at : at + convolutions])
            at += convolutions
        assert image is not None
        return image
