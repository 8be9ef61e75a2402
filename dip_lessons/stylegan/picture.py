"""A picture as what a generator draws for a latent: the parameters choose among the pictures that it knows."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..arguments import whole
from ..hardware import no_autocast
from ..networks import load_network
from ..parameterizations.base import Parameterization
from ..registry import enter
from .generator import Generator
from .load import load_generator
from .projection import project

CPU: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}  # whatever the host has for defaults
SPACES = ("z", "w", "w+")
NOISES = ("fixed", "random", "none")


@functools.lru_cache(maxsize=4)
@no_autocast()
@torch.inference_mode(False)  # what is kept serves gradients later
@torch.no_grad()
def spread(network: Generator) -> float:
    """How far a style lies from the mean: the root mean square of w − w̄ per coordinate, of 4,096 seeded z."""
    z = torch.randn(4096, network.z_size, generator=torch.Generator().manual_seed(0), **CPU).to(
        network.mean_w
    )
    return float((network.mapping(z) - network.mean_w).square().mean().sqrt())


@functools.lru_cache(maxsize=4)
@no_autocast()
@torch.inference_mode(False)  # what is kept serves gradients later
@torch.no_grad()
def principal_axes(network: Generator) -> Tensor:
    """The principal axes (W, W) of the styles, as columns, each as long as the standard deviation along it; the
    strongest last. From 8,192 seeded z, in float64.
    """
    z = torch.randn(8192, network.z_size, generator=torch.Generator().manual_seed(0), **CPU).to(
        network.mean_w
    )
    w = (network.mapping(z) - network.mean_w).double().cpu()
    variance, directions = torch.linalg.eigh(w.T @ w / len(w))
    return (directions * variance.clamp(min=1e-8 * variance[-1]).sqrt()).to(network.mean_w)


@enter("parameterization")
class StyleGAN(Parameterization):
    """The picture G(w̄ + ψ (w − w̄)): a generator G was trained on one kind of picture and is kept as it is.

    The parameters are the latent, in one of three spaces: z, standard normal, from which G makes its style w;
    w itself; or w+, a style for each layer, which reaches more pictures, and worse ones.

    Args:
        size: side in pixels; smaller than G's own size it is made from a preview, which costs little.
        batch, generator: see :class:`Parameterization`. The first latents are those of random z.
        space: ``"z"``, ``"w"`` or ``"w+"``.
        truncation: ψ; 1 is G as it was trained, 0 the mean picture; may be changed while it is being optimized.
        cutoff: how many layers' styles, from the first on, are truncated: details then keep their diversity.
            None truncates all.
        noise: ``"fixed"`` adds G's stored noise inputs, ``"random"`` draws them anew at each step of a run,
            ``"none"`` leaves them out.
        noise_sd: standard deviation of the noise added to the latent at each step of a run, in units of the
            latent's own spread; may be changed while it is being optimized.
        whitened: whether styles are counted along their principal axes, in standard deviations: the parameters
            are u of w = w̄ + A u, where A Aᵀ is the covariance of w. The same pictures in better coordinates:
            steps, and noise, then go where faces are. Not in z, which is white already.
        network: G, or its name for :func:`dip_lessons.load_generator`.
        device: where a network that is given by its name shall live, and the latent with it; None takes the best
            that is there (see :func:`dip_lessons.device`).

    Raises ValueError for what G cannot draw, and :class:`dip_lessons.assets.AssetError` where G cannot be had.

    **Source:** Karras et al., *A Style-Based Generator Architecture for GANs* (2019), §3.2 for truncation; Abdal et
    al., *Image2StyleGAN* (2019), for w+.

    >>> face = dip.StyleGAN(16, device="cpu")
    >>> face().shape, face.latent.shape  # a picture of 512 parameters
    (torch.Size([1, 3, 16, 16]), torch.Size([1, 512]))
    >>> face.network.size, face.truncation, face.noise_sd
    (1024, 1.0, 0.0)
    """

    adjustable = ("truncation", "noise_sd")

    def __init__(
        self,
        size: int | tuple[int, int] = 256,
        *,
        batch: int = 1,
        space: str = "w",
        truncation: float = 1.0,
        cutoff: int | None = None,
        noise: str = "fixed",
        noise_sd: float = 0.0,
        whitened: bool = False,
        network: str | Generator = "mobilestylegan_ffhq",
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        for name, value, known in (("space", space, SPACES), ("noise", noise, NOISES)):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}; got {value!r}")
        if whitened and space == "z":
            raise ValueError("z is white already: whitened is for space 'w' or 'w+'")
        if isinstance(network, str):
            network = load_generator(network, device=device)
        super().__init__(size, batch=batch, generator=generator, device=network.mean_w.device)
        if self.size[0] != self.size[1] or self.size[0] > network.size:
            raise ValueError(
                f"{network.name} draws squares of up to {network.size} pixels; got size {self.size}"
            )
        self._network = (network,)  # in a tuple, for its weights are no parameters of the picture
        self.space, self.stored_noise, self.whitened = space, noise, whitened
        self.truncation, self.noise_sd = truncation, noise_sd
        self.cutoff = None if cutoff is None else whole(cutoff, "cutoff", 0, network.styles)
        self.latent = self.trainable(
            self.latent_of(self.noise(self.batch, network.z_size).to(network.mean_w))
        )

    @property
    def network(self) -> Generator:
        """The generator G."""
        return self._network[0]

    @property
    def truncation(self) -> float:
        """ψ, how much of the distance from the mean style is kept."""
        return self._truncation

    @truncation.setter
    def truncation(self, value: float) -> None:
        if not math.isfinite(value):
            raise ValueError(f"truncation must be a finite number, usually between 0 and 1; got {value!r}")
        self._truncation = float(value)

    @property
    def noise_sd(self) -> float:
        """Standard deviation of the noise added to the latent at each step, in units of its spread."""
        return self._noise_sd

    @noise_sd.setter
    def noise_sd(self, value: float) -> None:
        if not 0 <= value < math.inf:
            raise ValueError(f"noise_sd is a standard deviation and must be 0 or more; got {value!r}")
        self._noise_sd = float(value)

    @no_autocast()
    @torch.no_grad()
    def latent_of(self, z: Tensor) -> Tensor:
        """The latent, as the parameters are, of the picture that G draws for each z (B, Z).

        >>> face = dip.StyleGAN(16, space="w+", device="cpu")
        >>> face.latent_of(torch.zeros(2, 512)).shape  # a style for each of the layers
        torch.Size([2, 23, 512])
        """
        if self.space == "z":
            return z
        latent = self.network.mapping(z)
        if self.whitened:
            latent = torch.linalg.solve(principal_axes(self.network), (latent - self.network.mean_w).T).T
        return latent if self.space == "w" else latent[:, None].repeat(1, self.network.styles, 1)

    @no_autocast()
    def styles(self, latent: Tensor | None = None) -> Tensor:
        """The styles that G is given: w̄ + ψ (w − w̄), (B, W) or, in w+ or with a cutoff, (B, styles, W).

        Args:
            latent: another one than the parameters, of the same shape.

        >>> face = dip.StyleGAN(16, truncation=0.0, device="cpu")
        >>> torch.equal(face.styles()[0], face.network.mean_w)  # nothing is left of the latent
        True
        """
        w, mean = self.latent if latent is None else latent, self.network.mean_w
        if self.space == "z":
            w = self.network.mapping(w)
        elif self.whitened:
            w = mean + w @ principal_axes(self.network).T
        truncated = torch.lerp(mean.expand_as(w), w, self.truncation)
        if self.cutoff is None:
            return truncated
        both = [x if x.ndim == 3 else x[:, None].expand(-1, self.network.styles, -1) for x in (truncated, w)]
        return torch.cat([both[0][:, : self.cutoff], both[1][:, self.cutoff :]], dim=1)

    def forward(self, latent: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """The picture, (B, 3, H, W).

        Args:
            latent: another one than the parameters, of the same shape.
            generator: of random noise inputs; None adds the stored ones.
        """
        side = min(s for s in self.network.sizes if s >= self.size[0])
        noise = generator if self.stored_noise == "random" and generator else "fixed"
        picture = self.network.synthesis(
            self.styles(latent), size=side, noise=None if self.stored_noise == "none" else noise
        )
        return picture if side == self.size[0] else F.interpolate(picture, self.size, mode="area")

    def sample(self, generator: torch.Generator) -> Tensor:
        latent: Tensor = self.latent
        if self.noise_sd:
            unit = 1.0 if self.space == "z" or self.whitened else spread(self.network)
            drawn = torch.randn(latent.shape, generator=generator, **CPU).to(latent)
            latent = latent + self.noise_sd * unit * drawn
        return self(latent, generator)

    @torch.no_grad()
    def set_mean(self) -> StyleGAN:
        """Start from the mean style w̄, in every picture of the batch; in space z from z = 0.

        >>> face = dip.StyleGAN(16, device="cpu").set_mean()
        >>> torch.equal(face.latent[0], face.network.mean_w)
        True
        """
        if self.space == "z" or self.whitened:
            self.latent.zero_()
        else:
            self.latent.copy_(self.network.mean_w.expand_as(self.latent))
        return self

    def set_image(self, image: Tensor, *, steps: int = 200) -> StyleGAN:
        """Project a picture (B or 1, 3, H, W) in [0, 1]: look for the latent whose picture resembles it most.

        This is :func:`dip_lessons.project`, with SqueezeNet as the eye, from the mean style.
        """
        project(self, image, load_network("squeezenet1_1", device=self.latent.device), steps=steps).finish()
        return self
