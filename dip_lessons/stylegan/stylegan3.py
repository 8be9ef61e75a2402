"""StyleGAN3 in plain PyTorch: features are samples of continuous signals, so that details move with what they are on.

Each layer is a function of band-limited signals that commutes with shifts (T), or with shifts and turns (R: 1×1
convolutions, radially symmetric filters). A leaky ReLU alone makes frequencies that the grid cannot carry; here it
runs at a higher sampling rate, between two low-pass filters. Names are those of the official checkpoints; see
stylegan2.py for ``honoured`` and ``expected``.

**Source:** Karras et al., *Alias-Free Generative Adversarial Networks* (2021), §3 and appendix F.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .generator import NoisyLayer, Synthesis
from .stylegan2 import FullyConnected, leaky, modulated_convolution


def along_axes(filter: Tensor | None, gain: float = 1.0) -> list[Tensor]:
    """A filter as kernels to apply in turn: (n,) for columns and rows, each with the gain; (n, n) at once."""
    if filter is None:
        return []
    return [filter[:, None] * gain, filter[None] * gain] if filter.ndim == 1 else [filter * gain**2]


def upsample(x: Tensor, filter: Tensor | None, factor: int, padding: Sequence[int]) -> Tensor:
    """Put factor − 1 zeros behind each sample, pad, and convolve with the filter, times factor².

    Args:
        x: (B, C, h, w).
        filter: (n,) or (n, n); None leaves the values as they are.
        factor: see above; h becomes factor · h + top + bottom − n + 1.
        padding: left, right, top, bottom, in the new samples; less than 0 crops.
    """
    taps = 1
    for kernel in along_axes(filter, factor):
        taps = max(kernel.shape)
        stride = tuple(factor if n > 1 else 1 for n in kernel.shape)
        x = F.conv_transpose2d(x, kernel.expand(x.shape[1], 1, -1, -1), stride=stride, groups=x.shape[1])
    # A transposed convolution is the full one of samples and zeros, but for the zeros behind the last sample.
    left, right, top, bottom = (
        n - taps + (factor if i % 2 and filter is not None else 1) for i, n in enumerate(padding)
    )
    return F.pad(x, (left, right, top, bottom))


def downsample(x: Tensor, filter: Tensor | None, factor: int) -> Tensor:
    """Convolve with the filter, without padding, and keep every factor-th sample. See :func:`upsample`."""
    for kernel in along_axes(filter):
        stride = tuple(factor if n > 1 else 1 for n in kernel.shape)
        x = F.conv2d(x, kernel.flip(0, 1).expand(x.shape[1], 1, -1, -1), stride=stride, groups=x.shape[1])
    return x


class FourierInput(nn.Module):
    """Waves of fixed frequencies instead of a constant, which the style turns and shifts: (B, W) → (B, C, size, size).

    ``transform`` (3, 3), applied first, is the inverse of how the picture moves, in units of the picture's side, x to
    the right and y down: ``[[c, −s, x], [s, c, y], [0, 0, 1]]``. It may be set; frequencies that leave the band by it
    are damped.

    Args:
        style: W.
        channels: C.
        size: of the features, in samples.
        sampling_rate: samples for each unit of the picture.
        bandwidth: up to which frequency the waves have their full amplitude.
    """

    freqs: Tensor
    phases: Tensor
    transform: Tensor

    def __init__(self, style: int, channels: int, size: int, sampling_rate: float, bandwidth: float) -> None:
        super().__init__()
        self.affine = FullyConnected(style, 4)
        self.weight = nn.Parameter(torch.empty(channels, channels))
        for name, shape in (("freqs", (channels, 2)), ("phases", (channels,)), ("transform", (3, 3))):
            self.register_buffer(name, torch.empty(shape))
        self.size, self.sampling_rate, self.bandwidth = size, sampling_rate, bandwidth

    def forward(self, w: Tensor) -> Tensor:
        t = self.affine(w)
        c, s, x, y = (t / t[:, :2].norm(dim=1, keepdim=True)).unbind(dim=1)
        turn = torch.stack([c, -s, s, c], dim=1).view(-1, 2, 2)
        matrix = turn @ self.transform[:2, :2]  # (B, 2, 2)
        offset = turn @ (self.transform[:2, 2] - torch.stack([x, y], dim=1))[:, :, None]  # (B, 2, 1)
        freqs = self.freqs @ matrix  # (B, C, 2)
        phases = self.phases + (self.freqs @ offset).squeeze(2)  # (B, C)
        band = self.sampling_rate / 2
        amplitudes = ((band - freqs.norm(dim=2)) / (band - self.bandwidth)).clamp(0, 1)
        at = torch.arange(self.size, device=w.device).to(w)
        at = (at + 0.5 - self.size / 2) / self.sampling_rate
        angles = freqs[:, None, None, :, 0] * at[:, None] + freqs[:, None, None, :, 1] * at[:, None, None]
        waves = torch.sin(2 * math.pi * (angles + phases[:, None, None])) * amplitudes[:, None, None]
        return (waves @ self.weight.T / math.sqrt(len(self.weight))).permute(0, 3, 1, 2)  # from (B, h, w, C)


class Layer(nn.Module):
    """Modulated convolution, bias, leaky ReLU between an upsampling and a downsampling filter.

    The input is divided by its root mean square, √``magnitude_ema``, as it was in training. The last layer, to RGB,
    has neither demodulation nor nonlinearity.

    Args:
        style, inputs, outputs: W, and the channels.
        kernel: side of the convolution.
        size: of the output, in samples.
        up, down: factors of the sampling rates.
        padding: see :func:`upsample`.
        up_filter, down_filter: low-pass filters, (n,) or (n, n), or None.
        rgb: whether it is the last one.
    """

    honoured = ("conv_clamp",)
    magnitude_ema: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None

    def __init__(
        self,
        style: int,
        inputs: int,
        outputs: int,
        kernel: int,
        size: int,
        *,
        up: int,
        down: int,
        padding: Sequence[int],
        up_filter: Tensor | None,
        down_filter: Tensor | None,
        rgb: bool,
    ) -> None:
        super().__init__()
        self.affine = FullyConnected(style, inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.register_buffer("magnitude_ema", torch.empty(()))
        self.register_buffer("up_filter", up_filter)
        self.register_buffer("down_filter", down_filter)
        self.size, self.up, self.down, self.padding, self.rgb = size, up, down, tuple(padding), rgb
        self.conv_clamp: float | None = 256

    def out(self, size: int) -> list[int]:
        """Width and height of what comes out for features of this size."""
        taps = [1 if f is None else len(f) for f in (self.up_filter, self.down_filter)]
        wide = (size + self.weight.shape[-1] - 1) * self.up - sum(taps) + 1
        return [(wide + sum(self.padding[i : i + 2])) // self.down + 1 for i in (0, 2)]

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        weight: Tensor = self.weight
        style = self.affine(w)
        if self.rgb:
            style = style / math.sqrt(weight[0].numel())
        else:  # so that the 1e-8 in the norm is small beside it, whatever the weights
            weight = weight * weight.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
            style = style * style.square().mean(dim=1, keepdim=True).rsqrt()
        x = x * self.magnitude_ema.rsqrt()
        x = modulated_convolution(x, weight, style, demodulate=not self.rgb, padding=weight.shape[-1] - 1)
        x = upsample(x + self.bias[:, None, None], self.up_filter, self.up, self.padding)
        slope, gain = (1.0, 1.0) if self.rgb else (0.2, math.sqrt(2))
        x = leaky(x, self.conv_clamp, slope=slope, gain=gain)
        return downsample(x, self.down_filter, self.down)


class SynthesisNetwork(Synthesis):
    """The input, and the layers one after another; their last one's output, scaled, is the picture. No noise inputs.

    Args:
        input: makes the features from the first style.
        layers: by name, in the order in which they run; the last is to RGB.

    >>> from dip_lessons.stylegan import untrained
    >>> network = untrained("stylegan3-r", 64).synthesis_network
    >>> network.styles, network.sizes, network.input.transform.shape
    (16, (64,), torch.Size([3, 3]))
    """

    honoured = ("output_scale",)

    def __init__(self, input: FourierInput, layers: Mapping[str, Layer]) -> None:
        super().__init__()
        self.input, self.layers = input, list(layers)
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.sizes, self.styles = (layers[self.layers[-1]].size,), 1 + len(layers)
        self.output_scale = 0.25
        self.expected = {"img_channels": 3, "img_resolution": self.sizes[0], "num_ws": self.styles}

    def noisy_layers(self, size: int) -> list[NoisyLayer]:
        return []

    def forward(self, w: Tensor, size: int, noise: Sequence[Tensor | None] = ()) -> Tensor:
        x = self.input(w[:, 0])
        for i, name in enumerate(self.layers):
            x = self.get_submodule(name)(x, w[:, i + 1])
        return x * self.output_scale
