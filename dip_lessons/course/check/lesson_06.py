"""Exercises of lesson 06."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ... import assets
from .verdict import Exercise, Experiment

__all__ = ["blur_pull", "from_phases", "restored"]


def _pictures(shape: tuple[int, ...]) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


def _back(components: Tensor, size: tuple[int, int], norm: str = "ortho") -> Tensor:
    return torch.fft.irfft2(components, s=size, norm=norm)


def _from_phases(phase: Tensor, magnitude: Tensor, size: tuple[int, int]) -> Tensor:
    return _back(magnitude * torch.exp(1j * phase), size)


def _phase_case(batch: int, channels: int, height: int, width: int) -> Callable[[], tuple]:
    def case() -> tuple:
        f = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width))
        strength = torch.arange(1.0, channels + 1)[:, None, None]  # another one for each channel
        magnitude = strength * (f > 0) / f.clamp(min=1 / max(height, width)) / 10  # the mean's is 0
        phase = 2 * math.pi * _pictures((batch, channels, height, width // 2 + 1)) - math.pi
        return phase, magnitude, (height, width)

    return case


from_phases = Exercise(
    "from_phases",
    _from_phases,
    [_phase_case(1, 3, 16, 24), _phase_case(2, 3, 11, 9)],
    {
        "your phases are lost, all components have phase 0: multiply the magnitudes by exp(iφ)": (
            lambda phase, m, size: _back(m + 0j * phase, size)
        ),
        "your components are M cos φ, the real part alone: the sine belongs to it, M (cos φ + i sin φ)": (
            lambda phase, m, size: _back(m * phase.cos() + 0j, size)
        ),
        "your magnitudes are lost, all components have size 1": (
            lambda phase, m, size: _back(torch.exp(1j * phase), size)
        ),
        'the magnitudes are meant for norm="ortho": the way back needs it': (
            lambda phase, m, size: _back(m * torch.exp(1j * phase), size, "backward")
        ),
        "your phases have the wrong sign: the picture is turned upside down": (
            lambda phase, m, size: _from_phases(-phase, m, size)
        ),
        "you multiplied the magnitudes by φ itself: a phase is an angle, exp(iφ)": (
            lambda phase, m, size: _back(m * phase + 0j, size)
        ),
        "your magnitudes are squared: M stands for the amplitude, not for the power": (
            lambda phase, m, size: _from_phases(phase, m**2, size)
        ),
    },
    gradient=[0],
    atol=1e-4,
)


def _missing_case(name: str, seed: int) -> Callable[[], tuple]:
    """A photograph of 48 pixels, of which three tenths are known; the others are black in what is given."""

    def case() -> tuple:
        known = torch.rand((1, 1, 48, 48), generator=torch.Generator().manual_seed(seed)) < 0.3
        return assets.picture(name, (48, 48)), known

    return case


def _errors(answer: Callable, photograph: Tensor, known: Tensor) -> Tensor:
    """Mean square errors: where it was known, where it was not, there of the flat fill; brightness there, of both."""
    x = answer(photograph * known, known).detach()
    if x.shape != photograph.shape:
        raise ValueError(
            f"the picture should have shape {tuple(photograph.shape)}; yours has {tuple(x.shape)}"
        )
    seen, hidden = known.expand_as(x), ~known.expand_as(x)
    flat = (photograph * known).sum(dim=(2, 3), keepdim=True) / known.sum()
    wrong, of_flat = ((y - photograph).square() for y in (x, flat))
    return torch.stack(
        [
            wrong[seen].mean(),
            wrong[hidden].mean(),
            of_flat[hidden].mean(),
            x[hidden].mean(),
            photograph[hidden].mean(),
        ]
    )


def _not_restored(found: Tensor, *_: Tensor) -> str | None:
    seen, hidden, flat, bright, true = found.tolist()
    share = f"where nothing is known your error is {hidden / flat:.0%} of that of one flat colour"
    if bright < 0.2 * true:
        return "what was missing came out black: you fitted the black there too; compare at the known pixels only"
    if seen > 0.3 * flat:
        return "what is known was not kept: fit it closer, with more steps or a smaller weight"
    if hidden > 0.9 * flat:
        return f"{share}: no prior reaches those pixels; bare pixels get no gradient there"
    if hidden > 0.6 * flat:
        return f"{share}, 60% is asked for: a prior is at work, and too weak, or at too fine a scale"
    return None


restored = Experiment(
    "restored",
    _errors,
    _not_restored,
    [_missing_case(name, seed) for seed, name in enumerate(("chelsea", "astronaut", "coffee"))],
)


def _cosines(height: int, width: int, turn: float = 2 * math.pi) -> tuple[Tensor, Tensor]:
    """Of the frequencies down (H, 1) and across (W//2 + 1,)."""
    return torch.cos(turn * torch.fft.fftfreq(height))[:, None], torch.cos(turn * torch.fft.rfftfreq(width))


def _filtered(x: Tensor, gain: Tensor) -> Tensor:
    return torch.fft.irfft2(gain.to(x) * torch.fft.rfft2(x), s=x.shape[-2:])


def _k(down: Tensor, across: Tensor) -> Tensor:
    return (2 + 2 * across + 2 * down + 4 * across * down) / 10


def _blur_pull(x: Tensor) -> Tensor:
    return _filtered(x, _k(*_cosines(*x.shape[-2:])) - 1)


def _convolved(x: Tensor, mode: str, centre: float = 2.0) -> Tensor:
    """blur(x) − x with what lies outside as F.pad has it."""
    kernel = torch.ones(3, 3)
    kernel[1, 1] = centre
    kernel = (kernel / kernel.sum()).to(x).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode=mode), kernel, groups=x.shape[1]) - x


blur_pull = Exercise(
    "blur_pull",
    _blur_pull,
    [lambda: (_pictures((1, 3, 16, 24)),), lambda: (_pictures((2, 1, 11, 9)),)],
    {
        "your result is the blurred picture: the pull is blur(x) − x, so multiply by k(f) − 1": (
            lambda x: _filtered(x, _k(*_cosines(*x.shape[-2:])))
        ),
        "your pull points the other way: towards the blurred picture it is k(f) − 1, not 1 − k(f)": (
            lambda x: -_blur_pull(x)
        ),
        "frequencies are in cycles per pixel: the cosine wants 2πf": (
            lambda x: _filtered(x, _k(*_cosines(x.shape[-2], x.shape[-1], turn=1.0)) - 1)
        ),
        "the cosine wants 2πf; yours has πf": (
            lambda x: _filtered(x, _k(*_cosines(x.shape[-2], x.shape[-1], turn=math.pi)) - 1)
        ),
        "your border is black: here the picture goes on periodically, as its Fourier components do": (
            lambda x: _convolved(x, "constant")
        ),
        "your border is mirrored: here the picture goes on periodically, as its Fourier components do": (
            lambda x: _convolved(x, "reflect")
        ),
        "your blur weighs all nine pixels alike: the one in the middle counts twice": (
            lambda x: _convolved(x, "circular", centre=1.0)
        ),
    },
    gradient=[0],
)
