"""Pictures with transparency: colours, and how much of them covers what lies behind."""

from __future__ import annotations

import torch
from torch import Tensor

from ..registry import enter
from .base import Parameterization
from .fourier import Fourier


@enter("parameterization")
class RGBA(Parameterization):
    """A picture (B, 4, H, W): the colours of one parameterization, the alpha of another.

    A network sees it only over a background: ``random_views(background="waves")`` lays it over a new one at
    each step, so that what the objective does not need has no reason to be opaque.

    Args:
        color: a parameterization of 3 channels, or a size, which stands for ``Fourier(size, batch=batch)``.
        alpha: a parameterization of 1 channel, of the same size and batch; None stands for a Fourier one.
        batch: the number of pictures, if ``color`` is a size.
        generator, device: see :class:`Parameterization`.

    Raises ValueError for parts that do not fit together.

    **Source:** Distill 2018, "Generating Semi-Transparent Patterns".

    >>> picture = dip.RGBA(dip.CPPN(16))  # a CPPN's colours, a Fourier alpha
    >>> picture().shape
    torch.Size([1, 4, 16, 16])
    >>> views = dip.random_views(background="waves")
    >>> views(picture(), torch.Generator().manual_seed(0)).shape  # what is seen, and its alpha
    torch.Size([1, 4, 16, 16])
    """

    def __init__(
        self,
        color: int | tuple[int, int] | Parameterization,
        alpha: Parameterization | None = None,
        *,
        batch: int = 1,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        if not isinstance(color, Parameterization):
            color = Fourier(color, batch=batch, generator=generator, device=device)
        generator = generator or color.generator
        self.arguments = {"color": color} if alpha is None else {"color": color, "alpha": alpha}
        if alpha is None:
            device = next(color.parameters()).device
            alpha = Fourier(color.size, batch=color.batch, channels=1, generator=generator, device=device)
        super().__init__(color.size, batch=color.batch, channels=4, generator=generator)
        have = (color.channels, alpha.channels, alpha.batch, alpha.size)
        if have != (3, 1, color.batch, color.size):
            raise ValueError(
                f"colours need 3 channels and alpha 1, with equal batch and size; got colours {color} and alpha {alpha}"
            )
        self.color, self.alpha = color, alpha

    def forward(self) -> Tensor:
        return torch.cat([self.color(), self.alpha()], dim=1)

    def sample(self, generator: torch.Generator) -> Tensor:
        return torch.cat([self.color.sample(generator), self.alpha.sample(generator)], dim=1)

    @torch.no_grad()
    def set_image(self, image: Tensor) -> RGBA:
        """Start from a picture (B or 1, 4, H, W) in [0, 1]."""
        image = self.checked(image)
        self.color.set_image(image[:, :3])
        self.alpha.set_image(image[:, 3:])
        return self
