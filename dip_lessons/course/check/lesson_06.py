"""Exercises of lesson 06."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .verdict import Exercise

__all__ = ["blur_pull", "total_variation", "with_magnitude"]


def _pictures(shape: tuple[int, ...]) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(sum(shape)))


def _total_variation(x: Tensor) -> Tensor:
    differences = x.diff(dim=3).abs().sum(dim=(1, 2, 3)) + x.diff(dim=2).abs().sum(dim=(1, 2, 3))
    return differences / (x.shape[2] * x.shape[3])


def _differences(x: Tensor) -> tuple[Tensor, Tensor]:
    return x.diff(dim=3), x.diff(dim=2)


def _summed(across: Tensor, down: Tensor, x: Tensor) -> Tensor:
    return (across.sum(dim=(1, 2, 3)) + down.sum(dim=(1, 2, 3))) / (x.shape[2] * x.shape[3])


def _euclidean(x: Tensor) -> Tensor:
    across, down = F.pad(x.diff(dim=3), (0, 1)), F.pad(x.diff(dim=2), (0, 0, 0, 1))
    length = (across.square() + down.square()).clamp(min=1e-12).sqrt()
    return length.sum(dim=(1, 2, 3)) / (x.shape[2] * x.shape[3])


total_variation = Exercise(
    "total_variation",
    _total_variation,
    [lambda: (_pictures((2, 3, 12, 17)),), lambda: (_pictures((3, 1, 8, 5)),)],
    {
        "you squared the differences: the total variation takes their size, |…|": (
            lambda x: _summed(x.diff(dim=3).square(), x.diff(dim=2).square(), x)
        ),
        "your last pixel is compared with the first: differences end at the border": (
            lambda x: _summed((x - x.roll(-1, 3)).abs(), (x - x.roll(-1, 2)).abs(), x)
        ),
        "you averaged over the differences: sum them, over channels too, and divide by H·W": (
            lambda x: sum(d.abs().mean(dim=(1, 2, 3)) for d in _differences(x))
        ),
        "your differences across only: the lower neighbour counts too": (
            lambda x: _summed(x.diff(dim=3).abs(), torch.zeros_like(x), x)
        ),
        "you joined the two differences under a root: here each counts for itself": _euclidean,
        "your sum is not divided by H·W": lambda x: _total_variation(x) * x.shape[2] * x.shape[3],
        "your mean is over channels too: sum over the channels, and divide by H·W only": (
            lambda x: _total_variation(x) / x.shape[1]
        ),
        "rises and falls cancel: take the size of each difference before you sum": (
            lambda x: _summed(*_differences(x), x)
        ),
    },
    gradient=[0],
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
        "your border is black: here the picture goes on periodically, as its waves do": (
            lambda x: _convolved(x, "constant")
        ),
        "your border is mirrored: here the picture goes on periodically, as its waves do": (
            lambda x: _convolved(x, "reflect")
        ),
        "your blur weighs all nine pixels alike: the one in the middle counts twice": (
            lambda x: _convolved(x, "circular", centre=1.0)
        ),
    },
    gradient=[0],
)


def _with_magnitude(z: Tensor, magnitude: Tensor) -> Tensor:
    waves = torch.fft.rfft2(z)
    return _waves_back(magnitude * waves / waves.abs(), z)


def _waves_back(waves: Tensor, z: Tensor, norm: str = "ortho") -> Tensor:
    return torch.fft.irfft2(waves, s=z.shape[-2:], norm=norm)


def _magnitude_case(*shape: int) -> Callable[[], tuple]:
    def case() -> tuple:
        z = _pictures(shape) - 0.4
        height, width = shape[-2:]
        f = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width))
        strength = torch.arange(1.0, shape[1] + 1)[:, None, None]  # another one for each channel
        magnitude = strength * (f > 0) / f.clamp(min=1 / max(height, width)) / 10  # the mean's is 0
        return z, magnitude

    return case


with_magnitude = Exercise(
    "with_magnitude",
    _with_magnitude,
    [_magnitude_case(1, 3, 16, 24), _magnitude_case(2, 3, 11, 9)],
    {
        "your picture keeps its own magnitudes, multiplied by the given ones: replace them": (
            lambda z, m: _waves_back(m * torch.fft.rfft2(z, norm="ortho"), z)
        ),
        'the magnitudes are meant for norm="ortho": the way back needs it too': (
            lambda z, m: _waves_back(
                m * torch.polar(torch.ones(()), torch.fft.rfft2(z).angle()), z, "backward"
            )
        ),
        "your phases have the wrong sign: the picture is turned upside down": (
            lambda z, m: _waves_back(m * torch.fft.rfft2(z).conj() / torch.fft.rfft2(z).abs(), z)
        ),
        "your phases are all 0: keep those of z": (
            lambda z, m: _waves_back((m + 0 * torch.fft.rfft2(z).abs()) + 0j, z)
        ),
    },
    gradient=[0],
    atol=1e-4,
)
