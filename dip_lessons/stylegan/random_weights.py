"""Generators with random weights: small ones to look at what an architecture does before it has learned anything.

**Source:** Karras et al., *Analyzing and Improving the Image Quality of StyleGAN* (2020); Karras et al., *Alias-Free
Generative Adversarial Networks* (2021), §3 and appendix C (filters), appendix F (cutoffs, sampling rates, sizes).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..arguments import whole
from ..hardware import no_autocast
from . import stylegan2, stylegan3
from .generator import Generator, Synthesis

KINDS = ("stylegan2", "stylegan3-t", "stylegan3-r")
LAYERS, CRITICAL = 14, 2  # layers before RGB; the last of them, which are sampled critically
MARGIN, TAPS = 10, 6  # samples around the picture; of a filter, for each step of the lower sampling rate
FIRST_CUTOFF, FIRST_STOPBAND, LAST_STOPBAND = 2.0, 2**2.1, 2**0.3  # the last one times the last cutoff


@no_autocast()
@torch.inference_mode(False)
@torch.no_grad()
def untrained(
    kind: str = "stylegan3-r", size: int = 64, *, channels: int = 16, w_size: int = 32, seed: int = 0
) -> Generator:
    """A generator with random weights, on the CPU: its pictures are textures in the style of its architecture.

    What training would settle is measured on eight styles: layers of StyleGAN3 divide by the root mean square that
    comes in, and biases centre what comes out; pictures have a mean of about .5, a standard deviation of about .2.

    Args:
        kind: ``"stylegan2"``, ``"stylegan3-t"`` (equivariant to shifts) or ``"stylegan3-r"`` (to turns as well).
        size: side of its pictures, a power of 2 from 16 to 1024, in pixels.
        channels: of its features.
        w_size: of z and of w.
        seed: of the weights.

    Raises ValueError for another kind, size, or number.

    >>> from dip_lessons.stylegan import untrained
    >>> generator = untrained("stylegan3-t", 32)
    >>> dip.StyleGAN(32, network=generator)().shape
    torch.Size([1, 3, 32, 32])
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}; got {kind!r}")
    if size not in (sizes := [2**i for i in range(4, 11)]):
        raise ValueError(f"size must be one of {', '.join(map(str, sizes))}; got {size!r}")
    channels, w_size = whole(channels, "channels", 1), whole(w_size, "w_size", 1)
    generator = torch.Generator().manual_seed(seed)
    mapping = stylegan2.MappingNetwork([w_size] * 3)
    synthesis: Synthesis
    if kind == "stylegan2":
        synthesis = stylegan2.SynthesisNetwork([channels] * (int(math.log2(size)) - 1), w_size)
    else:
        synthesis = stylegan3_synthesis(size, channels, w_size, radial=kind == "stylegan3-r")
    for network in (mapping, synthesis):
        fill(network, generator)
    z = torch.randn(1024, w_size, generator=generator, dtype=torch.float32, device="cpu")
    w = mapping(z)
    measure(synthesis, w[:8, None].expand(-1, synthesis.styles, -1))
    return Generator(mapping, synthesis, w.mean(dim=0), z_size=w_size, name=f"untrained {kind}")


def low_pass(taps: int, cutoff: float, width: float, rate: float, *, radial: bool = False) -> Tensor:
    """The ideal low-pass filter, in Kaiser's window: (taps,), or (taps, taps) radially symmetric. It sums to 1.

    Args:
        taps: its length, in samples.
        cutoff: the highest frequency that it lets through.
        width: of the transition from there to the stopband. Like cutoff in periods for each unit.
        rate: samples for each unit.
    """
    at = (np.arange(taps) - (taps - 1) / 2) / rate
    attenuation = 2.285 * (taps - 1) * math.pi * width / (rate / 2) + 7.95  # in dB, as Kaiser found
    beta = 0.1102 * (attenuation - 8.7)
    if attenuation <= 50:
        beta = 0.5842 * max(0.0, attenuation - 21) ** 0.4 + 0.07886 * max(0.0, attenuation - 21)
    window = np.kaiser(taps, beta)
    if radial:
        r = torch.from_numpy(np.hypot(at, at[:, None]))
        found = (torch.special.bessel_j1(2 * math.pi * cutoff * r) / r).numpy() * np.outer(window, window)
    else:
        found = np.sinc(2 * cutoff * at) * window
    return torch.from_numpy(found / found.sum()).float()


def stylegan3_synthesis(size: int, channels: int, style: int, *, radial: bool) -> stylegan3.SynthesisNetwork:
    """StyleGAN3's synthesis without its weights: cutoffs and stopbands rise geometrically from layer to layer."""
    share = np.minimum(np.arange(LAYERS + 1) / (LAYERS - CRITICAL), 1)
    cutoffs = FIRST_CUTOFF * (size / 2 / FIRST_CUTOFF) ** share
    stopbands = FIRST_STOPBAND * (size / 2 * LAST_STOPBAND / FIRST_STOPBAND) ** share
    rates = [int(n) for n in 2 ** np.ceil(np.log2(np.minimum(2 * stopbands, size)))]
    widths = 2 * (np.maximum(stopbands, np.array(rates) / 2) - cutoffs)
    sizes = [rate + 2 * MARGIN for rate in rates[:-2]] + [size] * 2
    first = stylegan3.FourierInput(style, channels, sizes[0], rates[0], float(cutoffs[0]))
    layers, kernel = {}, 1 if radial else 3
    for i in range(LAYERS + 1):
        before, rgb = max(i - 1, 0), i == LAYERS
        rate = max(rates[before], rates[i]) * (1 if rgb else 2)  # of the nonlinearity
        factors = rate // rates[before], rate // rates[i]
        taps = [1 if rgb else TAPS * factor for factor in factors]
        total = (sizes[i] - 1) * factors[1] + 1 - (sizes[before] + (1 if rgb else kernel) - 1) * factors[0]
        total += sum(taps) - 2
        low = (total + factors[0]) // 2
        filters = [
            None if rgb else low_pass(n, cutoffs[at], widths[at], rate, radial=round_)
            for n, at, round_ in zip(
                taps, (before, i), (False, radial and i < LAYERS - CRITICAL), strict=True
            )
        ]
        layers[f"L{i}_{sizes[i]}_{3 if rgb else channels}"] = stylegan3.Layer(
            style,
            channels,
            3 if rgb else channels,
            1 if rgb else kernel,
            sizes[i],
            up=factors[0],
            down=factors[1],
            padding=[low, total - low] * 2,
            up_filter=filters[0],
            down_filter=filters[1],
            rgb=rgb,
        )
    return stylegan3.SynthesisNetwork(first, layers)


def fill(network: nn.Module, generator: torch.Generator) -> None:
    """Draw normal weights; biases are 0, of styles 1. StyleGAN3's input keeps frequencies within its band."""
    state = {name: x for name, x in network.state_dict().items() if name.endswith("_filter")}
    for name, x in network.state_dict().items():
        if name not in state:
            state[name] = torch.randn(x.shape, generator=generator, dtype=torch.float32, device="cpu")
        if name.endswith("bias"):
            state[name].fill_(float(name.endswith("affine.bias")))
        if name.endswith((".noise", ".strength")):
            state[name] = (
                torch.full_like(state[name], 0.1) if name.endswith("strength") else 0.1 * state[name]
            )
        if name.startswith("fc") and name.endswith("weight"):
            state[name] /= 0.01  # they are stored divided by the learning rate's multiplier
    if isinstance(network, stylegan3.SynthesisNetwork):
        phases, freqs = state["input.phases"], state["input.freqs"]
        phases.uniform_(generator=generator)
        radii = torch.rand(len(freqs), 1, generator=generator, dtype=torch.float32, device="cpu").sqrt()
        freqs *= network.input.bandwidth * radii / freqs.norm(dim=1, keepdim=True)
        state["input.transform"] = torch.eye(3, dtype=torch.float32, device="cpu")
        state["input.affine.weight"].zero_()  # the style neither turns nor shifts
        state["input.affine.bias"] = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float32, device="cpu")
    network.load_state_dict(state, assign=True)


def measure(synthesis: Synthesis, w: Tensor) -> None:
    """Set what training would have settled, from what the styles w (B, styles, W) make of the weights."""
    rgb: list[Any] = [part for part in synthesis.modules() if isinstance(part, stylegan2.ToRGB)]
    if isinstance(synthesis, stylegan3.SynthesisNetwork):
        x = synthesis.input(w[:, 0])
        for i, name in enumerate(synthesis.layers):
            layer: Any = synthesis.get_submodule(name)
            layer.magnitude_ema = x.square().mean()
            if not layer.rgb:
                middle = layer(x, w[:, i + 1]).transpose(0, 1).flatten(1).median(dim=1).values
                layer.bias -= torch.where(middle > 0, middle, 5 * middle) / math.sqrt(2)
                x = layer(x, w[:, i + 1])
        rgb = [layer]
    picture = synthesis(w, synthesis.sizes[-1], [None] * len(synthesis.noisy_layers(synthesis.sizes[-1])))
    scale = 0.4 / picture.std()
    for layer in rgb:
        layer.weight *= scale
    rgb[-1].bias -= picture.mean(dim=(0, 2, 3)) * scale / getattr(synthesis, "output_scale", 1.0)
