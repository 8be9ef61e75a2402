"""A pretrained StyleGAN: from a normal z to a style w, from w to a picture; frozen, and differentiable in both."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# As many pictures are made at once as add up to this side, one at least: with gradients they hold about 1.2 GB.
# (Coarse layers have more channels, so that memory grows with the side rather than with the area.)
SIDE_AT_ONCE = 512


class Clip(torch.autograd.Function):
    """Clips to [0, 1]; the gradient passes as if nothing were clipped.

    A generator overshoots where a picture is very bright or dark. With clamp's own gradient, which is 0 there,
    such a place could never be brought back.
    """

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clamp(0, 1)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


class Synthesis(nn.Module):
    """What a synthesis network has: pictures in about [−1, 1] of styles, one style for each layer.

    ``styles`` is their number; ``sizes`` are the sides of the pictures that it offers, in pixels, rising.

    >>> synthesis = dip.load_generator(device="cpu").synthesis_network
    >>> synthesis.styles, synthesis.sizes[-1]
    (23, 1024)
    """

    styles: int
    sizes: tuple[int, ...]

    def noisy_layers(self, size: int) -> list[NoisyLayer]:
        """The layers that add noise on the way to a picture of this size, in the order in which they run.

        >>> synthesis = dip.load_generator(device="cpu").synthesis_network
        >>> [tuple(layer.noise.shape) for layer in synthesis.noisy_layers(64)][-1]
        (1, 1, 64, 64)
        """
        raise NotImplementedError

    def forward(self, w: Tensor, size: int, noise: list[Tensor | None]) -> Tensor:
        """w (B, styles, W), one (B or 1, 1, h, w) or None for each noisy layer → (B, 3, size, size)."""
        raise NotImplementedError


class NoisyLayer(nn.Module):
    """A layer that adds the same noise to all its channels.

    ``noise`` (1, 1, h, w) is the one that the network was stored with, its strength (a standard deviation)
    multiplied in.
    """

    noise: Tensor
    strength: Tensor


class Generator(nn.Module):
    """A pretrained StyleGAN, frozen: ``mapping`` takes z to w, ``synthesis`` takes w to pictures.

    Args:
        mapping_network: z (B, Z) → w (B, W).
        synthesis_network: see :class:`Synthesis`.
        mean_w: w̄ (W,), the mean of w over many z; truncation pulls towards it.
        z_size: Z.
        name: what it is called in messages.

    >>> generator = dip.load_generator(device="cpu")
    >>> z = torch.randn(2, generator.z_size, generator=torch.Generator().manual_seed(0))
    >>> w = generator.mapping(z)
    >>> w.shape, generator.synthesis(w, size=64).shape, generator.device
    (torch.Size([2, 512]), torch.Size([2, 3, 64, 64]), device(type='cpu'))
    """

    mean_w: Tensor

    def __init__(
        self,
        mapping_network: nn.Module,
        synthesis_network: Synthesis,
        mean_w: Tensor,
        *,
        z_size: int = 512,
        name: str = "generator",
    ) -> None:
        super().__init__()
        self.name = name
        self.mapping_network = mapping_network
        self.synthesis_network = synthesis_network.to(memory_format=torch.channels_last)
        self.register_buffer("mean_w", mean_w.detach().clone())
        self.z_size, self.w_size, self.styles = z_size, len(mean_w), synthesis_network.styles
        self.sizes, self.size = synthesis_network.sizes, synthesis_network.sizes[-1]
        self.eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.mean_w.device

    def mapping(self, z: Tensor) -> Tensor:
        """The style w (B, W) of each z (B, Z), which is meant to be standard normal.

        Raises ValueError for another shape, TypeError for what is no floating-point tensor.

        >>> generator = dip.load_generator(device="cpu")
        >>> z = torch.randn(1, 512, generator=torch.Generator().manual_seed(0))
        >>> torch.allclose(generator.mapping(z), generator.mapping(2 * z), atol=1e-4)  # only where z points to counts
        True
        """
        self._check(z, "z", [("B", self.z_size)])
        return self.mapping_network(z)

    def synthesis(
        self, w: Tensor, *, size: int | None = None, noise: str | torch.Generator | None = "fixed"
    ) -> Tensor:
        """The pictures (B, 3, size, size) in [0, 1] of styles, differentiable in w.

        The network's own range, about [−1, 1], goes to (x + 1) / 2 and is clipped to [0, 1]; the gradient
        passes as if nothing were clipped. Large batches are made piece by piece: with gradients, each
        piece is made once more on the way back (gradient checkpointing), so that memory stays bounded.

        Args:
            w: (B, W), one style for all layers, or w+ (B, styles, W), one for each, in the order in which they run.
            size: one of ``sizes``, in pixels; None is the full size. Smaller pictures cost less; they may
                differ a little from the full one reduced.
            noise: ``"fixed"`` adds the noise that the network was stored with; a ``torch.Generator`` (on the CPU)
                draws it anew for each picture, coarse layers first, so that one seed looks alike at all sizes;
                None adds none.

        Raises ValueError for another shape, size or noise, TypeError for what is no floating-point tensor.

        >>> generator = dip.load_generator(device="cpu")
        >>> w = generator.mean_w[None]  # the mean face
        >>> generator.synthesis(w, size=64).shape
        torch.Size([1, 3, 64, 64])
        >>> wplus = w[:, None].repeat(1, generator.styles, 1)  # a style for each layer, all the same
        >>> torch.allclose(generator.synthesis(wplus, size=64), generator.synthesis(w, size=64))
        True
        """
        self._check(w, "w", [("B", self.w_size), ("B", self.styles, self.w_size)])
        size = self.size if size is None else size
        if size not in self.sizes:
            raise ValueError(
                f"{self.name} makes pictures of {', '.join(map(str, self.sizes))} pixels; got {size!r}: "
                "take one of these, or resize the picture afterwards"
            )
        if w.ndim == 2:
            w = w[:, None].expand(-1, self.styles, -1)
        noises = self._noise(noise, len(w), size)
        step = max(1, SIDE_AT_ONCE // size)
        again = len(w) > step and w.requires_grad and torch.is_grad_enabled()
        pictures = []
        for i in range(0, len(w), step):
            piece = [n if n is None or len(n) == 1 else n[i : i + step] for n in noises]
            if again:
                picture = checkpoint(
                    self._picture, w[i : i + step], size, piece, use_reentrant=False, preserve_rng_state=False
                )
            else:
                picture = self._picture(w[i : i + step], size, piece)
            pictures.append(picture)
        return torch.cat(pictures) if len(pictures) > 1 else pictures[0]

    def extra_repr(self) -> str:
        return f"{self.name}, z {self.z_size}, w {self.w_size}, w+ {self.styles} styles, sizes {self.sizes}, frozen"

    def _picture(self, w: Tensor, size: int, noise: list[Tensor | None]) -> Tensor:
        return Clip.apply((self.synthesis_network(w, size, noise) + 1) / 2)

    def _noise(self, noise: str | torch.Generator | None, batch: int, size: int) -> list[Tensor | None]:
        layers = self.synthesis_network.noisy_layers(size)
        if noise is None:
            return [None] * len(layers)
        if isinstance(noise, str) and noise == "fixed":
            return [layer.noise for layer in layers]
        if not isinstance(noise, torch.Generator):
            raise ValueError(f"noise must be 'fixed', a torch.Generator or None; got {noise!r}")
        shapes = [(batch, 1, *layer.noise.shape[-2:]) for layer in layers]
        float32 = torch.float32  # whatever the host has for a default
        drawn = [torch.randn(shape, generator=noise, device=noise.device, dtype=float32) for shape in shapes]
        return [n.to(self.mean_w) * layer.strength for n, layer in zip(drawn, layers, strict=True)]

    def _check(self, x: Tensor, name: str, shapes: list[tuple[str | int, ...]]) -> None:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            got = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"{self.name} takes {name} as a floating-point tensor; got {got}")
        if len(x) == 0 or not any(x.ndim == len(s) and x.shape[1:] == s[1:] for s in shapes):
            wanted = " or ".join(str(s).replace("'", "") for s in shapes)
            raise ValueError(
                f"{self.name} takes {name} of shape {wanted}, B at least 1; got {tuple(x.shape)}"
                + (f": {name}[None] makes a batch of one" if x.ndim == 1 else "")
            )
        if x.device != self.device or x.dtype != self.mean_w.dtype:
            raise ValueError(
                f"{name} is {x.dtype} on {x.device}, {self.name} is {self.mean_w.dtype} on {self.device}; "
                "move one of them with .to(...)"
            )
