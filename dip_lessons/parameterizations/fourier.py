"""A picture as a sum of Fourier components, with the prior variance of natural pictures at each frequency."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..arguments import finite_decay
from ..registry import enter
from .base import Parameterization


def frequencies(height: int, width: int) -> Tensor:
    """Length of the frequency vectors of ``torch.fft.rfft2`` in cycles per pixel, (H, W//2 + 1).

    Args:
        height, width: of the picture, in pixels.

    >>> from dip_lessons.parameterizations import fourier
    >>> fourier.frequencies(4, 4)[0]
    tensor([0.0000, 0.2500, 0.5000])
    """
    fy = torch.fft.fftfreq(height, dtype=torch.float32, device="cpu")[:, None]
    fx = torch.fft.rfftfreq(width, dtype=torch.float32, device="cpu")[None, :]
    return torch.sqrt(fx**2 + fy**2)


def spectrum_scale(height: int, width: int, decay: float = 1.0) -> Tensor:
    """1 / max(f, 1/max(H, W))^decay: how large a component of frequency f may be, (H, W//2 + 1).

    Natural pictures have amplitudes that fall as 1/f, hence ``decay=1``. The bound keeps f = 0 finite.
    **Source:** Lucid, ``optvis/param/spatial.py``.

    Args:
        height, width: of the picture, in pixels.
        decay: the exponent.

    >>> from dip_lessons.parameterizations import fourier
    >>> fourier.spectrum_scale(4, 4)[0], fourier.spectrum_scale(4, 4, decay=0)[0]
    (tensor([4., 4., 2.]), tensor([1., 1., 1.]))
    """
    return 1 / frequencies(height, width).clamp(min=1 / max(height, width)) ** decay


def irfft2(spectrum: Tensor, size: tuple[int, int]) -> Tensor:
    """``torch.fft.irfft2`` with ``norm="ortho"``, one axis after the other: (…, H, W//2 + 1) to (…, H, W).

    Gradients then go back through ``rfft`` and ``fft``. The backward pass of ``irfft2`` is ``rfft2``, which MKL
    shares out among threads that wait by spinning: on a busy machine it cost up to thirty times as much.

    Args:
        spectrum: complex, (…, H, W//2 + 1).
        size: (H, W).

    >>> from dip_lessons.parameterizations.fourier import irfft2
    >>> photo = dip.assets.picture("chelsea", (16, 15))
    >>> torch.allclose(irfft2(torch.fft.rfft2(photo, norm="ortho"), (16, 15)), photo, atol=1e-5)
    True
    """
    return torch.fft.irfft(torch.fft.ifft(spectrum, dim=-2, norm="ortho"), n=size[1], norm="ortho")


@enter("parameterization")
class Fourier(Parameterization):
    """The picture σ(A · F⁻¹(s·θ) / 4): complex coefficients θ, scaled by s = 1/f^decay.

    F⁻¹ is the orthonormal inverse transform of a real picture, A the decorrelated colours of ``color.py``.

    Args:
        size, batch, channels, generator, device: see :class:`Parameterization`.
        decay: the exponent of the fall with frequency. 0 gives every frequency the same scale (as pixels do);
            1 is that of natural pictures; it may be changed while the picture is being optimized.
        decorrelate: whether colours are decorrelated (True) or the three channels are logits of RGB.
        sd: standard deviation of the first coefficients.

    Raises ValueError for a decay that is not finite.

    **Source:** Olah, Mordvintsev and Schubert, *Feature Visualization* (Distill 2017), "Preconditioning and
    parameterization".

    >>> picture = dip.Fourier((6, 8))
    >>> picture().shape, bool(picture().min() >= 0 and picture().max() <= 1)
    (torch.Size([1, 3, 6, 8]), True)
    >>> picture.coefficients.shape  # half a spectrum says all of a real picture; the last axis is real, imaginary
    torch.Size([1, 3, 6, 5, 2])
    >>> picture.decay
    1.0
    """

    adjustable = ("decay",)
    scale: Tensor

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        decay: float = 1.0,
        decorrelate: bool = True,
        sd: float = 0.01,
        **shared: Any,
    ) -> None:
        super().__init__(size, decorrelate=decorrelate, **shared)
        self.decay = decay
        height, width = self.size
        start = sd * self.noise(
            self.batch, self.channels, height, width // 2 + 1, 2
        )  # last axis: real, imaginary
        self.coefficients = self.trainable(start)

    @property
    def decay(self) -> float:
        """The exponent of the fall with frequency."""
        return self._decay

    @decay.setter
    def decay(self, value: float) -> None:
        self._decay = finite_decay(value)
        scale = spectrum_scale(*self.size, self._decay) / 4
        # For the real and for the imaginary part, laid out: a product with what is expanded takes longer.
        scale = torch.stack([scale, scale], dim=-1)
        self.constant("scale", scale)

    def raw(self) -> Tensor:
        spectrum = torch.view_as_complex(self.coefficients * self.scale)  # (B, C, H, W//2 + 1)
        return irfft2(spectrum, self.size)

    def set_raw(self, z: Tensor) -> None:
        spectrum = torch.fft.rfft2(z, norm="ortho")
        self.coefficients.copy_(torch.view_as_real(spectrum) / self.scale)
