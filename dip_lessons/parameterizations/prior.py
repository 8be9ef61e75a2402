"""A picture made of noise by a convolutional network: the network's build is the prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..arguments import whole
from ..registry import enter
from .base import Parameterization
from .color import to_image

WIDTHS = (16, 32, 64, 128, 128)  # channels from fine to coarse


class Convolution(nn.Sequential):
    """Convolution (mirrored at the border), normalisation of each map, leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        pad = nn.ReflectionPad2d(kernel // 2) if kernel > 1 else nn.Identity()
        super().__init__(
            pad,
            nn.Conv2d(inputs, outputs, kernel, stride, bias=False, dtype=torch.float32),
            # Over one picture, which is what batch norm does with a batch of one.
            nn.GroupNorm(outputs, outputs, dtype=torch.float32),
            nn.LeakyReLU(0.2),
        )


class Hourglass(nn.Module):
    """One scale of the skip network: x goes by a narrow skip, and by half the resolution and back."""

    def __init__(self, inputs: int, widths: Sequence[int], skip: int) -> None:
        super().__init__()
        width, *deeper = widths
        self.skip = Convolution(inputs, skip, 1)
        self.down = nn.Sequential(Convolution(inputs, width, 3, stride=2), Convolution(width, width, 3))
        self.deeper = Hourglass(width, deeper, skip) if deeper else nn.Identity()
        inner = skip + (deeper or [width])[0]
        self.norm = nn.GroupNorm(inner, inner, dtype=torch.float32)
        self.up = nn.Sequential(Convolution(self.norm.num_channels, width, 3), Convolution(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        below = self.deeper(self.down(x))
        below = F.interpolate(below, x.shape[-2:], mode="bilinear", align_corners=False)
        return self.up(self.norm(torch.cat([self.skip(x), below], dim=1)))


@enter("parameterization")
class DeepImagePrior(Parameterization):
    """The picture σ(f(z)): z is fixed noise, the parameters are the weights of a convolutional network f.

    Convolutions at several resolutions draw smooth shapes sooner than noise, whatever they are asked for.

    Args:
        size, batch, channels, decorrelate, generator, device: see :class:`Parameterization`. Each picture has a
            network of its own.
        widths: channels at each scale, from fine to coarse; each scale halves the resolution. None takes 16, 32,
            64, 128, 128, or as many of them as the picture has room for.
        skip: channels of the skip connections.
        inputs: channels of the noise z, uniform in [0, .1).
        noise_sd: standard deviation of the noise added to z anew at each step; may be changed while it is being
            optimized.

    Raises ValueError for a picture that is too small for so many scales.

    **Source:** Ulyanov, Vedaldi and Lempitsky, *Deep Image Prior* (2018), supplement; they use up to 128
    channels at all scales. Learning rate .01.

    >>> picture = dip.DeepImagePrior(16, widths=(4, 8))
    >>> picture().shape, picture.z.shape  # the picture, and the noise that it is made of
    (torch.Size([1, 3, 16, 16]), torch.Size([1, 32, 16, 16]))
    >>> picture.noise_sd
    0.03
    """

    lr = 0.01
    adjustable = ("noise_sd",)
    z: Tensor

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        widths: Sequence[int] | None = None,
        skip: int = 4,
        inputs: int = 32,
        noise_sd: float = 0.03,
        decorrelate: bool = False,
        **shared: Any,
    ) -> None:
        super().__init__(size, decorrelate=decorrelate, **shared)
        room = min(self.size).bit_length() - 2  # scales that the shorter side can be halved into
        widths = tuple(WIDTHS[: max(room, 1)] if widths is None else widths)
        if not widths or len(widths) > room:
            raise ValueError(
                f"{len(widths)} scales need a picture of at least {2 ** (len(widths) + 1)} pixels a side; got "
                f"{self.size} and widths={widths!r}: take a larger picture or fewer widths, at least one"
            )
        self.arguments["widths"] = widths
        skip, inputs = whole(skip, "skip", 1), whole(inputs, "inputs", 1)
        self.noise_sd = noise_sd
        self.constant("z", 0.05 * (1 + self.uniform(self.batch, inputs, *self.size)), stored=True)
        seed = int(torch.randint(2**31, (1,), generator=self.generator, device=self.generator.device))
        # Torch's own first weights, without touching the global generator.
        with torch.random.fork_rng(devices=[]), torch.inference_mode(False), torch.device("cpu"):
            torch.manual_seed(seed)
            networks = []
            for _ in range(self.batch):
                parts = (
                    Hourglass(inputs, widths, skip),
                    nn.Conv2d(widths[0], self.channels, 1, dtype=torch.float32),
                )
                networks.append(nn.Sequential(*parts))
            self.networks = nn.ModuleList(networks).to(memory_format=torch.channels_last).to(self._made_on)

    @property
    def noise_sd(self) -> float:
        """Standard deviation of the noise added to z at each step."""
        return self._noise_sd

    @noise_sd.setter
    def noise_sd(self, value: float) -> None:
        if not 0 <= value < float("inf"):
            raise ValueError(f"noise_sd is a standard deviation and must be 0 or more; got {value!r}")
        self._noise_sd = float(value)

    def raw(self, z: Tensor | None = None) -> Tensor:
        z = self.z if z is None else z
        return torch.cat([f(z[i : i + 1]) for i, f in enumerate(self.networks)])

    def forward(self, z: Tensor | None = None) -> Tensor:
        return to_image(self.raw(z), self.decorrelate)

    def sample(self, generator: torch.Generator) -> Tensor:
        drawn = torch.randn(self.z.shape, generator=generator, dtype=torch.float32, device="cpu").to(self.z)
        return self(self.z + self.noise_sd * drawn)
