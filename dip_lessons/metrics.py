"""The numbers that the lessons' claims rest on. Each takes pictures (B, C, H, W) in [0, 1] and returns (B,)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .networks import LOGITS, Network
from .objectives import Objective
from .views import Views, standard_views

HELD_OUT_SEED = 20180725  # far from the seeds that runs use: these views were never seen while optimizing


@torch.no_grad()
def value(image: Tensor, objective: Objective, network: Network) -> Tensor:
    """The objective of the pictures as they are, (B,)."""
    return objective(network(image, objective.layers))


@torch.no_grad()
def robust_value(
    image: Tensor,
    objective: Objective,
    network: Network,
    *,
    views: Views | None = None,
    count: int = 64,
    seed: int = HELD_OUT_SEED,
) -> Tensor:
    """The objective's mean over held-out random views of each picture, (B,).

    Args:
        views: what the views are drawn from; None takes :func:`standard_views`.
        count: how many views of each picture.
        seed: of the views; the default is one that no run should use.
    """
    generator = torch.Generator().manual_seed(seed)
    one = (views or standard_views()).change(count=1)
    values = [objective(network(one(image, generator), objective.layers)) for _ in range(count)]
    return torch.stack(values).mean(dim=0)


@torch.no_grad()
def class_probability(image: Tensor, index: int, network: Network) -> Tensor:
    """The probability that the network gives to one of its classes, (B,)."""
    return network(image, [LOGITS])[LOGITS].softmax(dim=1)[:, index]


@torch.no_grad()
def class_rank(image: Tensor, index: int, network: Network) -> Tensor:
    """How many classes the network finds more likely than this one, (B,): 0 means it is the first."""
    logits = network(image, [LOGITS])[LOGITS]
    return (logits > logits[:, index : index + 1]).sum(dim=1)


def power_spectrum(image: Tensor) -> tuple[Tensor, Tensor]:
    """Frequencies (H, W) in cycles per pixel and the power (B, H, W) at each, summed over channels, mean removed.

    A Hann window takes away the cross that the jump from one border to the opposite one would add.
    """
    height, width = image.shape[-2:]
    x = image.detach().cpu().double()  # not every device has float64
    window = torch.hann_window(height, dtype=x.dtype)[:, None] * torch.hann_window(width, dtype=x.dtype)
    x = (x - x.mean(dim=(-2, -1), keepdim=True)) * window
    fy, fx = torch.fft.fftfreq(height, dtype=x.dtype), torch.fft.fftfreq(width, dtype=x.dtype)
    frequency = torch.sqrt(fy[:, None] ** 2 + fx**2)
    return frequency, torch.fft.fft2(x).abs().square().sum(dim=1)


def high_frequency_share(image: Tensor, cutoff: float = 0.25) -> Tensor:
    """The share of a picture's power above ``cutoff`` cycles per pixel, (B,); .25 is a wave of four pixels."""
    frequency, power = power_spectrum(image)
    total = power.sum(dim=(1, 2)).clamp(min=1e-30)
    return (power[:, frequency > cutoff].sum(dim=1) / total).float()


def radial_spectrum(image: Tensor, rings: int = 32) -> tuple[Tensor, Tensor]:
    """Mean amplitude in rings of equal width in log frequency: frequencies (K,), amplitudes (B, K), K ≤ rings.

    From four waves across the shorter side to the Nyquist frequency of one axis, .5 cycles per pixel.
    """
    frequency, power = power_spectrum(image)
    edges = torch.logspace(
        torch.log10(torch.tensor(4 / min(image.shape[-2:]))), torch.log10(torch.tensor(0.5)), rings + 1
    )
    centres, amplitudes = [], []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        ring = (frequency >= low) & (frequency < high)
        if ring.any():
            centres.append(frequency[ring].mean())
            amplitudes.append(power[:, ring].mean(dim=1).sqrt())
    return torch.stack(centres).float(), torch.stack(amplitudes, dim=1).float()


def spectrum_slope(image: Tensor) -> Tensor:
    """Slope of log amplitude against log frequency, (B,): about −1 for natural pictures, 0 for white noise."""
    frequency, amplitude = radial_spectrum(image)
    x = frequency.double().log()
    y = amplitude.double().clamp(min=1e-30).log()
    x = x - x.mean()
    return ((y * x).sum(dim=1) / (x * x).sum()).float()


def saturated_share(image: Tensor, margin: float = 0.02) -> Tensor:
    """The share of a picture's values that lie within ``margin`` of 0 or 1, (B,)."""
    return ((image < margin) | (image > 1 - margin)).float().mean(dim=(1, 2, 3))


def steps_to(history: Sequence[float], goal: float) -> int | None:
    """The first step whose value reaches the goal, counted from 0; None if no step does."""
    return next((i for i, v in enumerate(history) if v >= goal), None)
