"""What every parameterization shares: its size, the source of its first values, how it takes a picture in."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def height_width(size: int | tuple[int, int]) -> tuple[int, int]:
    """``size`` as (H, W): an int is a square. Raises ValueError for anything that is no picture's size."""
    pair = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2 or not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in pair):
        raise ValueError(
            f"size must be a positive int or (height, width) in pixels, as 224 or (180, 240); got {size!r}"
        )
    return pair


class Parameterization(nn.Module):
    """A picture that is a differentiable function of parameters: call it without argument to get the picture.

    A subclass calls this constructor, makes ``nn.Parameter``s, and writes the formula of the picture in
    ``forward``, which returns (B, C, H, W), float32, in [0, 1].

    Args:
        size: an int, or (H, W), in pixels.
        batch: the number B of pictures.
        channels: 3 (RGB), 4 (RGB and alpha) or 1 (grey).
        generator: where the first values are drawn from, on the CPU, so that one seed gives one start on
            every device. None stands for a fresh generator with seed 0.
        options: what else the subclass was made with; together with the above it is enough to make it again.
    """

    adjustable: tuple[
        str, ...
    ] = ()  # names of plain attributes that may be changed while it is being optimized

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        batch: int = 1,
        channels: int = 3,
        generator: torch.Generator | None = None,
        **options: object,
    ) -> None:
        super().__init__()
        self.size = height_width(size)
        if not (isinstance(batch, int) and batch > 0):
            raise ValueError(f"batch is the number of pictures and must be a positive int; got {batch!r}")
        if channels not in (1, 3, 4):
            raise ValueError(f"channels must be 3 (RGB), 4 (RGB and alpha) or 1 (grey); got {channels!r}")
        self.batch, self.channels = batch, channels
        self.generator = torch.Generator().manual_seed(0) if generator is None else generator
        self.options = options

    def noise(self, *shape: int) -> Tensor:
        """Standard normal numbers of this shape, from the generator of the constructor."""
        return torch.randn(shape, generator=self.generator, device=self.generator.device).cpu()

    def settings(self) -> dict[str, object]:
        """Constructor arguments that make a parameterization of the same shape (not the same values)."""
        now = {name: getattr(self, name) for name in self.adjustable}
        return {"size": self.size, "batch": self.batch, "channels": self.channels, **self.options, **now}

    def checked(self, image: Tensor) -> Tensor:
        """``image`` as (B, C, H, W) on this device, or a ValueError that says what does not fit."""
        image = torch.as_tensor(image)
        if image.ndim == 3:
            image = image[None]
        want = (self.batch, self.channels, *self.size)
        if image.ndim != 4 or image.shape[1:] != want[1:] or image.shape[0] not in (1, self.batch):
            raise ValueError(f"the picture must have shape {want}; got {tuple(image.shape)}: resize it first")
        if not image.is_floating_point() or image.isnan().any() or image.min() < 0 or image.max() > 1:
            raise ValueError("the picture must hold floating-point numbers in [0, 1]; divide bytes by 255")
        device = next(self.parameters()).device
        return image.to(device, torch.float32).expand(want)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.settings().items())
