"""MobileStyleGAN in plain PyTorch: a small StyleGAN2, distilled from the large one.

Instead of 3×3 convolutions it has separable ones (one 3×3 filter a channel, then a 1×1 convolution), and it
doubles the resolution by an inverse wavelet transform, which has no parameters. Demodulation, which in StyleGAN2
rescales the weights for each style, was multiplied into them once and for all.

**Source:** Belousov, *MobileStyleGAN: A Lightweight Convolutional Neural Network for High-Fidelity Image Synthesis*
(2021); Karras et al., *Analyzing and Improving the Image Quality of StyleGAN* (2020), for what it is made from.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import assets
from .generator import Generator, NoisyLayer, Synthesis
from .openvino import constants

CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64)  # at 4, 8, … 512 pixels
STYLE = 512
CPU: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}  # whatever the host has for defaults
FITTED = "weights/mobilestylegan_previews.npz"  # heads for small pictures, and the mean style


class MappingNetwork(nn.Module):
    """z is scaled to mean square 1, then goes through layers √2 · leaky_relu(A x + b)."""

    def __init__(self, width: int = STYLE, depth: int = 8) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, z: Tensor) -> Tensor:
        x = z * torch.rsqrt(z.square().mean(dim=1, keepdim=True) + 1e-8)
        for layer in self.layers:
            x = math.sqrt(2) * F.leaky_relu(layer(x), 0.2)
        return x


class Modulation(nn.Module):
    """Multiplies each channel by a number that depends on the style: x · (A w + b) · gain."""

    def __init__(self, style: int, channels: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, style))
        self.bias = nn.Parameter(torch.empty(channels))
        self.gain = gain

    def forward(self, x: Tensor, w: Tensor) -> Tensor:  # x (B, C, h, w), w (B, W)
        return x * (F.linear(w, self.weight, self.bias) * self.gain)[:, :, None, None]


class StyledConvolution(NoisyLayer):
    """Modulation, 3×3 convolution, noise, bias, leaky ReLU.

    The convolution is separable (``depthwise``, then ``weight``, 1×1) in all layers but the first one.
    """

    def __init__(self, style: int, inputs: int, outputs: int, size: int, separable: bool = True) -> None:
        super().__init__()
        self.modulation = Modulation(style, inputs, gain=1 / math.sqrt(9 * inputs))
        self.depthwise = nn.Parameter(torch.empty(inputs, 1, 3, 3)) if separable else None
        side = 1 if separable else 3
        self.weight = nn.Parameter(torch.empty(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.register_buffer("noise", torch.empty(1, 1, size, size))
        self.register_buffer("strength", torch.empty(()))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        x = self.modulation(x, w)
        if self.depthwise is not None:
            x = F.conv2d(x, self.depthwise, padding=1, groups=x.shape[1])
        x = F.conv2d(x, self.weight, self.bias, padding=self.weight.shape[-1] // 2)
        if noise is not None:
            x = x.add_(noise)  # in place, as is the next one: these are the largest arrays there are
        return F.leaky_relu_(x, 0.2)

    def coarse(self, x: Tensor, w: Tensor) -> Tensor:
        """The same for features at a lower resolution: neighbours are taken to be alike, noise to cancel out."""
        weight: Tensor = self.weight
        if self.depthwise is not None:
            weight = weight * self.depthwise.sum(dim=(1, 2, 3))[:, None, None]
        return F.leaky_relu_(F.conv2d(self.modulation(x, w), weight, self.bias), 0.2)


class InverseHaar(nn.Module):
    """The inverse Haar wavelet transform, (B, 4 C, h, w) → (B, C, 2 h, 2 w).

    Each pixel becomes a square of four: (low ± vertical ± horizontal ± diagonal) / 2. The first C channels are low;
    the others are the three bands of the first channel, of the second one, and so on. Being linear, it is one
    transposed convolution, faster than adding and interleaving.
    """

    kernel: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = torch.zeros(4 * channels, channels, 2, 2, **CPU)
        c = torch.arange(channels, device="cpu")
        plus, minus = [0.5, 0.5], [-0.5, -0.5]
        kernel[c, c] = torch.tensor([plus, plus], **CPU)
        kernel[channels + 3 * c, c] = torch.tensor([plus, minus], **CPU)  # upper row − lower row
        kernel[channels + 3 * c + 1, c] = torch.tensor([[0.5, -0.5]] * 2, **CPU)  # left − right
        kernel[channels + 3 * c + 2, c] = torch.tensor([[0.5, -0.5], [-0.5, 0.5]], **CPU)
        self.register_buffer("kernel", kernel, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(x, self.kernel, stride=2)


class Block(nn.Module):
    """Twice the resolution, then two styled convolutions: three styles."""

    def __init__(self, style: int, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        self.up = Modulation(style, inputs)
        self.haar = InverseHaar(inputs // 4)
        self.conv1 = StyledConvolution(style, inputs // 4, outputs, size)
        self.conv2 = StyledConvolution(style, outputs, outputs, size)

    def forward(self, x: Tensor, w: Tensor, noise: Sequence[Tensor | None]) -> Tensor:  # w (B, 3, W)
        x = self.haar(self.up(x, w[:, 0]))
        x = self.conv1(x, w[:, 1], noise[0])
        return self.conv2(x, w[:, 2], noise[1])

    def coarse(self, x: Tensor, w: Tensor) -> Tensor:
        """The same without growing: of the wavelet bands only the low one, twice the mean of four pixels."""
        x = self.up(x, w[:, 0])[:, : x.shape[1] // 4] / 2
        return self.conv2.coarse(self.conv1.coarse(x, w[:, 1]), w[:, 2])


class SynthesisNetwork(Synthesis):
    """From a learned constant of 4 × 4 pixels, block by block, to the features at half the size, and to RGB.

    The network has RGB at its end only. A picture of half the size is the low band of the last wavelet transform.
    For a smaller one, the blocks that are left run without growing and without detail, which costs little; a
    linear head on the features before and after corrects what that leaves out. The heads were fitted by least
    squares to full pictures, reduced (``previews`` in data/build.py).

    Args:
        channels: of the features at 4, 8, 16, … pixels; pictures are twice the size of the last ones.
        style: W.
        previews: sizes, smaller than half, for which there is a head.
    """

    def __init__(
        self, channels: Sequence[int] = CHANNELS, style: int = STYLE, previews: Sequence[int] = ()
    ) -> None:
        super().__init__()
        sides = [4 * 2**i for i in range(len(channels))]
        self.input = nn.Parameter(torch.empty(1, channels[0], 4, 4))
        self.conv0 = StyledConvolution(style, channels[0], channels[0], 4, separable=False)
        self.blocks = nn.ModuleList(
            Block(style, channels[i - 1], channels[i], sides[i]) for i in range(1, len(channels))
        )
        self.rgb_modulation = Modulation(style, channels[-1], gain=1 / math.sqrt(channels[-1]))
        self.rgb_weight = nn.Parameter(torch.empty(12, channels[-1], 1, 1))
        self.rgb_bias = nn.Parameter(torch.empty(12))
        self.haar = InverseHaar(3)
        width = dict(zip(sides, channels, strict=True))
        self.heads = nn.ModuleDict(
            {str(size): nn.Conv2d(width[size] + channels[-1], 3, 1) for size in previews}
        )
        self.styles = 1 + 3 * len(self.blocks) + 1
        self.sizes = (*previews, sides[-1], 2 * sides[-1])

    def noisy_layers(self, size: int) -> list[NoisyLayer]:
        layers = [part for part in self.modules() if isinstance(part, NoisyLayer)]
        return [layer for layer in layers if layer.noise.shape[-1] <= size]

    def features(self, w: Tensor, size: int, noise: Sequence[Tensor | None]) -> tuple[Tensor, Tensor]:
        """The features (B, C, size, size), at most half the full size, and what the blocks left make of them.

        See ``forward`` for the arguments.
        """
        x = self.input.expand(len(w), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        x = end = self.conv0(x, w[:, 0], noise[0])
        for i, block in enumerate(self.blocks):
            styles = w[:, 1 + 3 * i : 4 + 3 * i]
            if x.shape[-1] < size:
                x = end = block(x, styles, noise[1 + 2 * i : 3 + 2 * i])
            else:
                end = block.coarse(end, styles)  # type: ignore[operator]  # a Block
        return x, end

    def low(self, end: Tensor, w: Tensor) -> Tensor:
        """RGB of the last features' own size: of the four wavelet bands, the low one, twice the mean of four pixels."""
        return F.conv2d(self.rgb_modulation(end, w[:, -1]), self.rgb_weight[:3], self.rgb_bias[:3]) / 2

    def forward(self, w: Tensor, size: int, noise: Sequence[Tensor | None]) -> Tensor:
        x, end = self.features(w, size, noise)
        if size == self.sizes[-1]:
            return self.haar(F.conv2d(self.rgb_modulation(end, w[:, -1]), self.rgb_weight, self.rgb_bias))
        image = self.low(end, w)
        if str(size) in self.heads:
            image = image + self.heads[str(size)](torch.cat([x, end], dim=1))
        return image


def mobilestylegan_ffhq() -> Generator:
    """MobileStyleGAN, distilled from StyleGAN2 trained on FFHQ: faces of 1024 pixels.

    The weights are fetched when they are first asked for; see ``dip_lessons/assets.py`` and data/README.md.
    """
    fitted = {name: torch.from_numpy(array) for name, array in assets.arrays(FITTED).items()}
    mean_w = fitted.pop("mean_w")
    return Generator(*networks(fitted), mean_w, name="mobilestylegan_ffhq")


def networks(heads: Mapping[str, Tensor]) -> tuple[MappingNetwork, SynthesisNetwork]:
    """Both networks with their weights.

    Args:
        heads: state of the previews' heads, ``"64.weight"``, ``"64.bias"`` …; may be empty.
    """
    stored = {}
    for part in ("Mapping", "Synthesis"):
        files = [assets.path(f"mobilestylegan_ffhq/{part}Network.{kind}") for kind in ("xml", "bin")]
        stored[part] = constants(files[0])
    sizes = sorted({int(name.split(".")[0]) for name in heads})
    with torch.device("meta"):  # no memory, no random first weights
        mapping, synthesis = MappingNetwork(), SynthesisNetwork(previews=sizes)
    mapping.load_state_dict(mapping_weights(stored["Mapping"]), assign=True)
    state = synthesis_weights(stored["Synthesis"]) | {f"heads.{name}": head for name, head in heads.items()}
    synthesis.load_state_dict(state, assign=True)
    return mapping, synthesis


@torch.no_grad()
def mean_style(mapping: nn.Module, count: int = 10_000, width: int = STYLE) -> Tensor:
    """w̄ (W,), the mean of w over ``count`` standard normal z, always the same ones."""
    return mapping(torch.randn(count, width, generator=torch.Generator().manual_seed(0), **CPU)).mean(dim=0)


def mapping_weights(stored: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The state of a :class:`MappingNetwork`: the file names its matrices and vectors by numbers, in order."""
    floats = [array for array in stored.values() if array.dtype == np.float32]
    matrices = [array for array in floats if array.ndim == 2 and array.size > 1]
    vectors = [array for array in floats if array.ndim == 1 and array.size > 1]
    state: dict[str, Tensor] = {}
    for i, (matrix, vector) in enumerate(zip(matrices, vectors, strict=True)):
        state |= {f"layers.{i}.weight": tensor(matrix), f"layers.{i}.bias": tensor(vector)}
    return state


def synthesis_weights(stored: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The state of a :class:`SynthesisNetwork`.

    Layers are named, but for the weights that demodulation was multiplied into, and the noise: these come in the
    order in which they are used.
    """
    weights = [array for name, array in stored.items() if name.startswith("Mul_")]
    noises = [a for a in stored.values() if a.ndim == 4 and a.shape[:2] == (1, 1) and a.size > 1]
    blocks = len(weights) // 2
    convolutions = {"conv0": "m.conv1"}
    last = f"m.layers.{blocks - 1}.to_img"
    modulations = {"rgb_modulation": f"{last}.conv"}
    for i in range(blocks):
        modulations[f"blocks.{i}.up"] = f"m.layers.{i}.up"
        convolutions |= {f"blocks.{i}.{conv}": f"m.layers.{i}.{conv}" for conv in ("conv1", "conv2")}
    state = {"input": tensor(stored["m.input.input"])}
    for (ours, theirs), weight, noise in zip(convolutions.items(), weights, noises, strict=True):
        modulations[f"{ours}.modulation"] = f"{theirs}.conv"
        state[f"{ours}.weight"] = tensor(weight)
        state[f"{ours}.bias"] = tensor(stored[f"{theirs}.bias"]).flatten()
        state[f"{ours}.noise"] = tensor(noise)
        state[f"{ours}.strength"] = tensor(noise).square().mean().sqrt()
        if f"{theirs}.conv.weight_dw" in stored:
            state[f"{ours}.depthwise"] = tensor(stored[f"{theirs}.conv.weight_dw"]).flatten(1, 2)
    for ours, theirs in modulations.items():
        state[f"{ours}.weight"] = tensor(stored[f"{theirs}.modulation.weight"])
        state[f"{ours}.bias"] = tensor(stored[f"{theirs}.modulation.bias"]).flatten()
    state["rgb_weight"] = tensor(stored[f"{last}.conv.weight"])
    state["rgb_bias"] = tensor(stored[f"{last}.bias"]).flatten()
    return state


def tensor(array: np.ndarray) -> Tensor:
    """A copy of the array: the file's own memory cannot be written to."""
    return torch.from_numpy(array.copy())
