"""A picture with the Fourier magnitudes of natural pictures: only the phases are parameters."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor

from .. import assets
from ..registry import enter
from .base import Parameterization
from .color import from_image
from .fourier import frequencies, irfft2

SIDE, RINGS = 256, 24


@functools.cache
def natural_spectrum() -> tuple[Tensor, Tensor]:
    """The mean spectrum of the course's photographs and paintings: frequencies (K,), amplitudes (3, K).

    Mean amplitude of the orthonormal Fourier transform in decorrelated colours, in rings of equal width in
    log frequency, from two cycles across 256 pixels (one would be the window's) to the corner of the spectrum.
    A Hann window, divided by its root mean square, takes away the cross that the jump from one border to the
    opposite one would add.

    >>> from dip_lessons.parameterizations import phase_only
    >>> frequency, amplitude = phase_only.natural_spectrum()
    >>> bool((amplitude[:, 0] > 10 * amplitude[:, -1]).all())  # low frequencies are strong
    True
    """
    window = torch.hann_window(SIDE, dtype=torch.float32, device="cpu")
    window = window[:, None] * window
    window = window / window.square().mean().sqrt()
    amplitudes = torch.zeros(3, SIDE, SIDE // 2 + 1, dtype=torch.float32, device="cpu")
    for name in assets.pictures():
        z = from_image(assets.picture(name, (SIDE, SIDE)).clamp(0.02, 0.98))  # or black would be −9
        z = (z - z.mean(dim=(2, 3), keepdim=True)) * window
        amplitudes += torch.fft.rfft2(z[0], norm="ortho").abs() / len(assets.pictures())
    f = frequencies(SIDE, SIDE)
    first, last = math.log10(1.5 / SIDE), math.log10(float(f.max()) + 1e-6)
    edges = torch.logspace(first, last, RINGS + 1, dtype=torch.float32, device="cpu")
    rings = [(f >= low) & (f < high) for low, high in zip(edges[:-1], edges[1:], strict=True)]
    rings = [ring for ring in rings if ring.any()]
    means = torch.stack([amplitudes[:, ring].mean(dim=1) for ring in rings], dim=1)
    return torch.stack([f[ring].mean() for ring in rings]), means


def natural_magnitude(height: int, width: int) -> Tensor:
    """The magnitude of each component of ``torch.fft.rfft2`` in natural pictures, (3, H, W//2 + 1), 0 at f = 0.

    A straight line in log–log coordinates between the rings of :func:`natural_spectrum`, and beyond the first
    and the last.

    Args:
        height, width: of the picture, in pixels.

    >>> from dip_lessons.parameterizations import phase_only
    >>> magnitude = phase_only.natural_magnitude(8, 8)
    >>> magnitude.shape, magnitude[0, 0, 0].item()
    (torch.Size([3, 8, 5]), 0.0)
    """
    at, amplitudes = (x.log() for x in natural_spectrum())
    f = frequencies(height, width)
    x = f.clamp(min=0.5 / max(height, width)).log()  # f = 0 is dealt with below
    i = torch.searchsorted(at, x).clamp(1, len(at) - 1)
    t = (x - at[i - 1]) / (at[i] - at[i - 1])
    magnitude = torch.lerp(amplitudes[:, i - 1], amplitudes[:, i], t).exp()
    return torch.where(f > 0, magnitude, 0)


class _Phasor(torch.autograd.Function):
    """M · e^{iφ} for magnitudes M and phases φ: what ``torch.polar`` computes, in two fifths of its time.

    dz/dφ = iz. So for a gradient g of z, that of its phase is Re(g · conj(iz)) = Im(g · conj(z)).
    """

    @staticmethod
    def forward(ctx: Any, magnitude: Tensor, phase: Tensor) -> Tensor:
        z = torch.stack([phase.cos(), phase.sin()], dim=-1).mul_(magnitude[..., None])
        ctx.save_for_backward(z)
        return torch.view_as_complex(z)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        (z,) = ctx.saved_tensors
        (x, y), (gx, gy) = z.unbind(dim=-1), torch.view_as_real(grad).unbind(dim=-1)
        return None, torch.addcmul(x * gy, y, gx, value=-1)


@enter("parameterization")
class PhaseOnly(Parameterization):
    """The picture σ(A · F⁻¹(M · e^{iφ})): the magnitudes M are those of natural pictures, only the phases φ change.

    Noise cannot be drawn: it would need more of the high frequencies than M holds. By Parseval's theorem every
    picture has the same contrast, but for the few components that are their own mirror images (the columns of 0 and of
    Nyquist), of which only the real part is seen.

    Args:
        size, batch, generator, device: see :class:`Parameterization`. Three channels, decorrelated.

    **Source:** Fel et al., *Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained
    Optimization* (MACO, 2023), §3.2; theirs is the mean spectrum of ImageNet, ours that of the pictures in
    ``data/``. Learning rate 1, as theirs: phases are angles. With
    random views and a hundred steps .2 gets further (lesson 06).

    >>> picture = dip.PhaseOnly(8)
    >>> picture.phase.shape  # no magnitudes among the parameters
    torch.Size([1, 3, 8, 5])
    >>> strength = torch.fft.rfft2(picture.raw(), norm="ortho").abs()
    >>> torch.allclose(strength[..., 1:4], picture.magnitude[..., 1:4].expand(1, 3, 8, 3), atol=1e-3)
    True
    """

    lr = 1.0
    magnitude: Tensor

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        batch: int = 1,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(size, batch=batch, decorrelate=True, generator=generator, device=device)
        height, width = self.size
        start = math.pi * self.uniform(self.batch, 3, height, width // 2 + 1)  # in [−π, π)
        self.phase = self.trainable(start)
        self.constant("magnitude", natural_magnitude(height, width))

    def raw(self) -> Tensor:
        return irfft2(_Phasor.apply(self.magnitude, self.phase), self.size)

    def set_raw(self, z: Tensor) -> None:
        """The phases of z: the nearest picture with natural magnitudes."""
        self.phase.copy_(torch.fft.rfft2(z, norm="ortho").angle())
