"""The numbers that the lessons' claims rest on.

Most take pictures (B, C, H, W) in [0, 1] and return (B,). Where a network looks at pictures with transparency,
it sees them over mid-grey, unless views say otherwise.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import registry
from .networks import LOGITS, Network
from .objectives import Objective, look
from .objectives import diversity as unlikeness
from .views.affine import Views, standard_views
from .views.background import composite


def __getattr__(name: str) -> Any:
    """The measures of panoramas and of textures live in their rooms, which are imported when one is asked for."""
    if not name.startswith("_"):
        with contextlib.suppress(KeyError):
            return registry.find("measure", name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


HELD_OUT_SEED = 20180725  # far from the seeds that runs use: these views were never seen while optimizing


@torch.no_grad()
def value(image: Tensor, objective: Objective, network: Network) -> Tensor:
    """The objective of the pictures as they are, (B,); of those with transparency, over mid-grey.

    Args:
        image: (B, C, H, W) in [0, 1].
        objective: what is measured.
        network: the evaluation network.

    >>> network = dip.load_network(device="cpu")
    >>> photo = dip.assets.picture("chelsea", (64, 64))
    >>> map_ = network(photo, ["features.3"])["features.3"][:, 0]
    >>> value = dip.metrics.value(photo, dip.channel("features.3", 0), network)
    >>> torch.allclose(value, map_.mean(dim=(1, 2)))
    True
    """
    return objective(look(network, objective.layers, _over_grey(image), image))


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
        image: (B, C, H, W) in [0, 1].
        objective: what is measured.
        network: the evaluation network.
        views: what the views are drawn from; None takes :func:`standard_views`, and random pictures ("waves")
            as backgrounds of what is transparent.
        count: how many views of each picture.
        seed: of the views; the default is one that no run should use.

    >>> network = dip.load_network(device="cpu")
    >>> photo = dip.assets.picture("chelsea", (64, 64))
    >>> once, again = (
    ...     dip.metrics.robust_value(photo, dip.channel("features.3", 0), network, count=2) for _ in range(2)
    ... )
    >>> torch.equal(once, again)  # the same held-out views each time
    True
    """
    generator = torch.Generator().manual_seed(seed)
    one = (views or standard_views().change(background="waves")).change(count=1)
    values = [objective(look(network, objective.layers, one(image, generator), image)) for _ in range(count)]
    return torch.stack(values).mean(dim=0)


@torch.no_grad()
def class_probability(image: Tensor, index: int, network: Network) -> Tensor:
    """The probability that the network gives to one of its classes, (B,).

    Args:
        image: (B, C, H, W) in [0, 1].
        index: of the class, from 0.
        network: one with logits.

    >>> network = dip.load_network(device="cpu")
    >>> cat = dip.assets.picture("chelsea", (224, 224))
    >>> index = network.classes.index("Egyptian cat")
    >>> dip.metrics.class_probability(cat, index, network).item() > 0.1
    True
    """
    return _logits(image, network).softmax(dim=1)[:, index]


@torch.no_grad()
def class_rank(image: Tensor, index: int, network: Network) -> Tensor:
    """How many classes the network finds more likely than this one, (B,): 0 means it is the first.

    Args:
        image: (B, C, H, W) in [0, 1].
        index: of the class, from 0.
        network: one with logits.

    >>> network = dip.load_network(device="cpu")
    >>> cat = dip.assets.picture("chelsea", (224, 224))
    >>> dip.metrics.class_rank(cat, network.classes.index("Egyptian cat"), network).item() < 3
    True
    """
    logits = _logits(image, network)
    return (logits > logits[:, index : index + 1]).sum(dim=1)


def _logits(image: Tensor, network: Network) -> Tensor:
    return look(network, [LOGITS], _over_grey(image))[LOGITS]


def _over_grey(image: Tensor) -> Tensor:
    """The view of pictures as they are: with transparency, composited colours and alpha."""
    if image.ndim != 4 or image.shape[1] != 4:
        return image
    return torch.cat([composite(image, torch.full_like(image[:1, :3, :1, :1], 0.5)), image[:, 3:]], dim=1)


@torch.no_grad()
def frame_distance(images: Tensor) -> Tensor:
    """Root mean square distance of neighbouring frames, (B − 1,).

    Args:
        images: (B, …), pictures in the order of the film, or a layer's activations for them.

    Raises ValueError for fewer than two frames.

    >>> frames = torch.tensor([0.0, 0.1, 0.3]).view(3, 1, 1, 1).expand(3, 3, 8, 8)
    >>> dip.metrics.frame_distance(frames)
    tensor([0.1000, 0.2000])
    """
    if len(images) < 2:
        raise ValueError(f"a distance needs two frames; got {len(images)}")
    return images.float().diff(dim=0).flatten(1).square().mean(dim=1).sqrt()


@torch.no_grad()
def diversity(images: Tensor, network: Network, layer: str) -> Tensor:
    """How unlike the textures of pictures are: the mean over pairs of 1 − cos(G_i, G_j), a scalar in [0, 1].

    G is the Gram matrix of a layer's channels. 0 stands for one texture in all pictures, 1 for nothing shared
    (of activations after a ReLU, where cosines are not negative). Raises ValueError for fewer than two pictures.

    Args:
        images: (B, C, H, W) in [0, 1], B > 1.
        network: the evaluation network.
        layer: a layer's name.

    **Source:** Lucid's ``diversity``, which the objective of that name maximises.

    >>> network = dip.load_network(device="cpu")
    >>> photo = dip.assets.picture("chelsea", (64, 64))
    >>> same = torch.cat([photo, photo])
    >>> abs(dip.metrics.diversity(same, network, "features.3").item()) < 1e-4
    True
    """
    values = unlikeness(layer)(look(network, [layer], _over_grey(images)))  # −Σ_{j≠i} cos(G_i, G_j)
    return 1 + values.mean() / (len(images) - 1)


@torch.no_grad()
def seam_energy(image: Tensor, axis: str = "x") -> Tensor:
    """How visible the seam is where the picture is continued by itself, (B,): 1 means not at all.

    The mean squared step from the last column to the first (``axis="x"``), or from the last row to the first
    (``"y"``), divided by that between neighbours inside.

    Args:
        image: (B, C, H, W) in [0, 1].
        axis: ``"x"`` or ``"y"``.

    Raises ValueError for another axis.

    >>> x = torch.arange(64) / 64
    >>> ramp, wave = x.expand(1, 3, 64, 64), (0.5 + 0.5 * (2 * torch.pi * x).sin()).expand(1, 3, 64, 64)
    >>> dip.metrics.seam_energy(ramp).item() > 1000  # from 1 back to 0
    True
    >>> dip.metrics.seam_energy(wave).item() < 3
    True
    """
    if axis not in ("x", "y"):
        raise ValueError(f'axis must be "x" (left and right border) or "y" (top and bottom); got {axis!r}')
    dim = -1 if axis == "x" else -2
    x = image.float()
    inside = x.diff(dim=dim).square().mean(dim=(1, 2, 3))
    border = (x.select(dim, 0) - x.select(dim, -1)).square().mean(dim=(1, 2))
    return (border + 1e-12) / (inside + 1e-12)  # a flat picture has no seam


def power_spectrum(image: Tensor) -> tuple[Tensor, Tensor]:
    """Frequencies (H, W) in cycles per pixel and the power (B, H, W) at each, summed over channels, mean removed.

    A Hann window takes away the cross that the jump from one border to the opposite one would add.

    Args:
        image: (B, C, H, W).

    >>> stripes = (torch.arange(32) % 2).float().expand(1, 1, 32, 32)  # a period of two pixels
    >>> frequency, power = dip.metrics.power_spectrum(stripes)
    >>> frequency.flatten()[power.flatten().argmax()].item()
    0.5
    """
    height, width = image.shape[-2:]
    x = image.detach().cpu().double()  # not every device has float64
    window = torch.hann_window(height, dtype=x.dtype)[:, None] * torch.hann_window(width, dtype=x.dtype)
    x = (x - x.mean(dim=(-2, -1), keepdim=True)) * window
    fy, fx = torch.fft.fftfreq(height, dtype=x.dtype), torch.fft.fftfreq(width, dtype=x.dtype)
    frequency = torch.sqrt(fy[:, None] ** 2 + fx**2)
    return frequency, torch.fft.fft2(x).abs().square().sum(dim=1)


def high_frequency_share(image: Tensor, cutoff: float = 0.25) -> Tensor:
    """The share of a picture's power above ``cutoff`` cycles per pixel, (B,); .25 is a period of four pixels.

    Args:
        image: (B, C, H, W).
        cutoff: in cycles per pixel, from 0 to .71.

    >>> stripes = (torch.arange(32) % 2).float().expand(1, 1, 32, 32)  # a period of two pixels
    >>> photo = dip.assets.picture("chelsea", (32, 32))
    >>> dip.metrics.high_frequency_share(torch.cat([stripes.expand(1, 3, 32, 32), photo])) > 0.5
    tensor([ True, False])
    """
    frequency, power = power_spectrum(image)
    total = power.sum(dim=(1, 2)).clamp(min=1e-30)
    return (power[:, frequency > cutoff].sum(dim=1) / total).float()


def radial_spectrum(image: Tensor, rings: int = 32) -> tuple[Tensor, Tensor]:
    """Mean amplitude in rings of equal width in log frequency: frequencies (K,), amplitudes (B, K), K ≤ rings.

    From four cycles across the shorter side to the Nyquist frequency of one axis, .5 cycles per pixel.

    Args:
        image: (B, C, H, W).
        rings: how many; those without a frequency are left out.

    >>> photo = dip.assets.picture("chelsea", (64, 64))
    >>> frequency, amplitude = dip.metrics.radial_spectrum(photo, rings=4)
    >>> frequency.shape, amplitude.shape
    (torch.Size([4]), torch.Size([1, 4]))
    >>> bool((amplitude.diff() < 0).all())  # the finer the weaker
    True
    """
    frequency, power = power_spectrum(image)
    edges = torch.logspace(
        math.log10(4 / min(image.shape[-2:])), math.log10(0.5), rings + 1, dtype=torch.float32, device="cpu"
    )
    centres, amplitudes = [], []
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        ring = (frequency >= low) & (frequency < high)
        if ring.any():
            centres.append(frequency[ring].mean())
            amplitudes.append(power[:, ring].mean(dim=1).sqrt())
    return torch.stack(centres).float(), torch.stack(amplitudes, dim=1).float()


def spectrum_slope(image: Tensor) -> Tensor:
    """Slope of log amplitude against log frequency, (B,): about −1 for natural pictures, 0 for white noise.

    Args:
        image: (B, C, H, W).

    >>> noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> abs(dip.metrics.spectrum_slope(noise).item()) < 0.1
    True
    >>> dip.metrics.spectrum_slope(dip.assets.picture("chelsea", (64, 64))).item() < -0.8
    True
    """
    frequency, amplitude = radial_spectrum(image)
    x = frequency.double().log()
    y = amplitude.double().clamp(min=1e-30).log()
    x = x - x.mean()
    return ((y * x).sum(dim=1) / (x * x).sum()).float()


def saturated_share(image: Tensor, margin: float = 0.02) -> Tensor:
    """The share of a picture's values that lie within ``margin`` of 0 or 1, (B,).

    Args:
        image: (B, C, H, W) in [0, 1].
        margin: from 0 to ½.

    >>> image = torch.tensor([0.0, 0.01, 0.5, 1.0]).view(1, 1, 2, 2)
    >>> dip.metrics.saturated_share(image)
    tensor([0.7500])
    """
    return ((image < margin) | (image > 1 - margin)).float().mean(dim=(1, 2, 3))


def steps_to(history: Sequence[float], goal: float) -> int | None:
    """The first step whose value reaches the goal, counted from 0; None if no step does.

    Args:
        history: as ``run.history`` has it.
        goal: the value to reach.

    >>> dip.metrics.steps_to([0.1, 0.5, 0.4, 0.9], 0.5)
    1
    >>> dip.metrics.steps_to([0.1, 0.5], 1.0) is None
    True
    """
    return next((i for i, v in enumerate(history) if v >= goal), None)
