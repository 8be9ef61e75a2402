"""What every parameterization shares: its size, the source of its first values, how it takes a picture in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..size import height_width
from .color import from_image, to_image

if TYPE_CHECKING:
    from typing_extensions import Self


class Parameterization(nn.Module):
    """A picture that is a differentiable function of parameters: call it without argument to get the picture.

    A subclass calls this constructor, makes parameters (``nn.Parameter``), and writes its formula in
    ``raw``: the picture before colours and sigmoid. (Or in ``forward``, which returns (B, C, H, W), float32, in
    [0, 1].) Where the formula has an inverse, it is ``set_raw``. Those of the package also take ``device``, where their
    parameters live; None is the CPU.

    Args:
        size: an int, or (H, W), in pixels.
        batch: the number B of pictures.
        channels: 3 (RGB), 4 (RGB and alpha) or 1 (grey).
        decorrelate: whether the first three channels of ``raw`` are decorrelated colours (see ``color.py``)
            or logits of RGB.
        generator: where the first values are drawn from, on the CPU, so that one seed gives one start on
            every device. None stands for a fresh generator with seed 0.
        options: what else the subclass was made with; together with the above it is enough to make it again.

    Raises ValueError for a size, a batch or channels that make no sense.

    >>> class Grey(dip.Parameterization):  # a picture of three parameters
    ...     def __init__(self, size):
    ...         super().__init__(size)
    ...         self.level = torch.nn.Parameter(torch.zeros(1, 3, 1, 1))
    ...
    ...     def raw(self):
    ...         return self.level.expand(1, 3, *self.size)
    >>> Grey((2, 4))().shape, Grey(2)().mean().item()
    (torch.Size([1, 3, 2, 4]), 0.5)
    """

    # Names of plain attributes that may be changed while it is being optimized.
    adjustable: tuple[str, ...] = ()
    # The learning rate for Adam that :func:`dip_lessons.optimize` takes where none is given.
    lr: float = 0.05
    # Columns for each row of a picture whose size is an int.
    aspect: int = 1

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        batch: int = 1,
        channels: int = 3,
        decorrelate: bool = False,
        generator: torch.Generator | None = None,
        **options: object,
    ) -> None:
        super().__init__()
        self.size = height_width(size, self.aspect)
        if not (isinstance(batch, int) and batch > 0):
            raise ValueError(f"batch is the number of pictures and must be a positive int; got {batch!r}")
        if channels not in (1, 3, 4):
            raise ValueError(f"channels must be 3 (RGB), 4 (RGB and alpha) or 1 (grey); got {channels!r}")
        self.batch, self.channels, self.decorrelate = batch, channels, decorrelate
        self.generator = torch.Generator().manual_seed(0) if generator is None else generator
        self.options = options

    def raw(self) -> Tensor:
        """The picture before colours and sigmoid, (B, C, H, W): any real numbers.

        >>> picture = dip.Pixels(8)
        >>> torch.equal(picture(), picture.raw().sigmoid())
        True
        """
        raise NotImplementedError(f"{type(self).__name__} must define raw(), or forward() itself")

    def forward(self) -> Tensor:
        return to_image(self.raw(), self.decorrelate)

    def sample(self, generator: torch.Generator) -> Tensor:
        """The picture that one step of an optimization works on: the picture itself, unless a subclass draws
        something anew for each step, from the run's generator.

        >>> generator = torch.Generator().manual_seed(0)
        >>> waves, prior = dip.Fourier(8), dip.DeepImagePrior(8, widths=(4, 8))
        >>> torch.equal(waves.sample(generator), waves())
        True
        >>> torch.equal(prior.sample(generator), prior())  # whose input gets new noise at each step
        False
        """
        return self()

    def set_raw(self, z: Tensor) -> None:
        """The inverse of ``raw``, where there is one: choose parameters that give z, (B, C, H, W).

        >>> picture = dip.Fourier(8)
        >>> with torch.no_grad():
        ...     picture.set_raw(torch.ones(1, 3, 8, 8))
        >>> torch.allclose(picture.raw(), torch.ones(1, 3, 8, 8), atol=1e-5)
        True
        """
        raise NotImplementedError

    @torch.no_grad()
    def set_image(self, image: Tensor) -> Self:
        """Start from a picture (B or 1, C, H, W) in [0, 1]: exact to 1e-4 where the formula has an inverse,
        else fitted (see :meth:`fit`).

        Raises ValueError for what is no such picture.

        >>> photo = dip.assets.picture("chelsea", (32, 32))
        >>> picture = dip.Fourier(32).set_image(photo)
        >>> torch.allclose(picture(), photo, atol=1e-3)
        True
        """
        image = self.checked(image)
        if type(self).set_raw is Parameterization.set_raw:
            return self.fit(image)
        self.set_raw(from_image(image, self.decorrelate))
        return self

    def fit(self, image: Tensor, *, steps: int = 300, lr: float | None = None) -> Self:
        """Approach a picture (B or 1, C, H, W) in [0, 1] by gradient descent on the mean squared error.

        Args:
            image: (B or 1, C, H, W) in [0, 1], of this size.
            steps: of Adam.
            lr: learning rate; None takes the parameterization's own.

        Raises ValueError for what is no such picture.

        >>> photo, picture = dip.assets.picture("chelsea", (16, 16)), dip.CPPN(16)  # which has no inverse
        >>> before = (picture() - photo).square().mean().item()
        >>> picture = picture.fit(photo, steps=40)
        >>> (picture() - photo).square().mean().item() < before / 2
        True
        """
        image = self.checked(image)
        optimizer = torch.optim.Adam([p for p in self.parameters() if p.requires_grad], lr=lr or self.lr)
        generator = torch.Generator().manual_seed(0)
        with torch.enable_grad():
            for _ in range(steps):
                optimizer.zero_grad()
                (self.sample(generator) - image).square().mean().backward()
                optimizer.step()
        optimizer.zero_grad()
        return self

    def morph(self, other: Parameterization, t: float, **options: object) -> Tensor:
        """The picture of the parameters (1 − t)·θ + t·θ′, between this parameterization (t = 0) and another (t = 1).

        Args:
            other: a parameterization made with the same settings.
            t: a number; a loop there and back is t = (1 − cos 2πs) / 2 for s from 0 to 1.
            options: handed to ``forward``, such as ``size`` for pictures that are functions of the place.

        Raises ValueError if the two have other parameters.

        >>> a, b = (dip.Siren(16, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
        >>> torch.allclose(a.morph(b, 0.0), a()), torch.allclose(a.morph(b, 1.0), b())
        (True, True)
        >>> a.morph(b, 0.5, size=64).shape
        torch.Size([1, 3, 64, 64])
        """
        mine, theirs = dict(self.named_parameters()), dict(other.named_parameters())
        shapes = [{name: p.shape for name, p in ps.items()} for ps in (mine, theirs)]
        if type(self) is not type(other) or shapes[0] != shapes[1]:
            raise ValueError(
                f"only parameterizations made with the same settings can be morphed; got {self} and {other}"
            )
        between = {name: torch.lerp(p, theirs[name], t) for name, p in mine.items()}
        return torch.func.functional_call(self, between, (), options)

    def noise(self, *shape: int) -> Tensor:
        """Standard normal numbers of this shape, from the generator of the constructor.

        >>> a, b = (dip.Pixels(8, generator=torch.Generator().manual_seed(7)) for _ in range(2))
        >>> torch.equal(a.noise(2, 3), b.noise(2, 3))
        True
        """
        return torch.randn(shape, generator=self.generator, device=self.generator.device).cpu()

    def uniform(self, *shape: int) -> Tensor:
        """Numbers of this shape, uniform in [−1, 1), from the generator of the constructor.

        >>> u = dip.Pixels(8).uniform(1000)
        >>> bool((u >= -1).all() and (u < 1).all())
        True
        """
        return 2 * torch.rand(shape, generator=self.generator, device=self.generator.device).cpu() - 1

    def settings(self) -> dict[str, object]:
        """Constructor arguments that make a parameterization of the same shape (not the same values).

        >>> dip.Fourier(8, decay=0.5).settings()
        {'size': (8, 8), 'batch': 1, 'channels': 3, 'decorrelate': True, 'sd': 0.01, 'decay': 0.5}
        """
        now = {name: getattr(self, name) for name in self.adjustable}
        shared = {"size": self.size, "batch": self.batch, "channels": self.channels}
        return {**shared, "decorrelate": self.decorrelate, **self.options, **now}

    def checked(self, image: Tensor) -> Tensor:
        """``image`` as (B, C, H, W) on this device, or a ValueError that says what does not fit.

        >>> dip.Pixels(8, batch=2).checked(torch.zeros(3, 8, 8)).shape
        torch.Size([2, 3, 8, 8])
        """
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
