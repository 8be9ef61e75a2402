"""Several pictures that share a part: what they have in common is learned by all of them together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..arguments import is_whole
from ..registry import enter
from .base import Parameterization
from .fourier import Fourier

# (how many, side) of each shared layer. Source: the article's notebook on aligned interpolation.
LAYERS = ((1, 64), (1, 32), (1, 16), (2, 16), (1, 8), (2, 8))


@enter("parameterization")
class Shared(Parameterization):
    """Frames Pⁱ = σ(A · (uniqueⁱ + Σₖ sharedₖⁱ)): each has parameters of its own and some in common with the others.

    A shared layer (n, side) holds n small maps, side × side, enlarged to the picture's size, and, if n is
    more than 1, interpolated from the first frame to the last. With n = 1 all frames get the same.

    Args:
        unique: the frames' own part: another parameterization with a batch, or a size, which stands for
            ``Fourier(size, batch=batch)``.
        batch: the number B of frames, if ``unique`` is a size.
        layers: (n, side) of each shared layer; a pair (height, width) may stand for side.
        only_shared: leave the frames' own part out.
        sd: standard deviation of the first values of the shared layers.
        generator, device: see :class:`Parameterization`.

    Raises ValueError for layers that make no sense, or more maps than frames.

    **Source:** Distill 2018, "Aligned Feature Visualization Interpolation".

    >>> frames = dip.Shared(16, batch=4, layers=[(1, 8), (2, 4)])
    >>> frames().shape
    torch.Size([4, 3, 16, 16])
    >>> [tuple(layer.shape) for layer in frames.layers]  # (1, channels, maps, height, width)
    [(1, 3, 1, 8, 8), (1, 3, 2, 4, 4)]
    """

    def __init__(
        self,
        unique: int | tuple[int, int] | Parameterization,
        *,
        batch: int = 6,
        layers: Sequence[tuple[int, int | tuple[int, int]]] = LAYERS,
        only_shared: bool = False,
        sd: float = 0.01,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        if not isinstance(unique, Parameterization):
            unique = Fourier(unique, batch=batch, generator=generator, device=device)
        super().__init__(
            unique.size,
            batch=unique.batch,
            channels=unique.channels,
            decorrelate=unique.decorrelate,
            generator=generator or unique.generator,
            device=device or next(unique.parameters()).device,
        )
        layers = tuple((n, side) for n, side in layers)
        self.arguments = {"unique": unique, "layers": layers, "only_shared": only_shared, "sd": sd}
        self.unique, self.only_shared = unique, only_shared
        if only_shared:
            unique.requires_grad_(False)
        self.layers = nn.ParameterList()
        for n, side in layers:
            height, width = side if isinstance(side, (tuple, list)) else (side, side)
            if not (
                all(map(is_whole, (n, height, width))) and 1 <= n <= self.batch and min(height, width) > 0
            ):
                raise ValueError(
                    f"a shared layer is (n, side) with 1 to {self.batch} maps for {self.batch} frames and a side "
                    f"above 0; got {(n, side)}"
                )
            self.layers.append(self.trainable(sd * self.noise(1, self.channels, n, height, width)))

    def common(self) -> Tensor:
        """The sum of the shared layers, (B, C, H, W).

        >>> same = dip.Shared(16, batch=4, layers=[(1, 8)]).common()
        >>> changing = dip.Shared(16, batch=4, layers=[(2, 8)]).common()  # from one map to another
        >>> torch.allclose(same[0], same[3]), torch.allclose(changing[0], changing[3])
        (True, False)
        """
        shape = (self.batch, *self.size)
        first = next(self.parameters())
        total = first.new_zeros((1, self.channels, *shape))
        for layer in self.layers:
            total = total + F.interpolate(layer, shape, mode="trilinear", align_corners=False)
        return total[0].transpose(0, 1)

    def raw(self) -> Tensor:
        return self.common() if self.only_shared else self.unique.raw() + self.common()

    def set_raw(self, z: Tensor) -> None:
        """The frames' own part takes what the shared layers leave over."""
        self.unique.set_raw(z - self.common())
