"""What every parameterization shares: its size, the source of its first values, how it takes a picture in."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import registry
from ..arguments import height_width, known_device, whole
from ..hardware import no_autocast
from .color import from_image, to_image

if TYPE_CHECKING:
    from typing_extensions import Self


class Parameterization(nn.Module):
    """A picture that is a differentiable function of parameters: call it without argument to get the picture.

    A subclass calls this constructor, makes its parameters with :meth:`trainable`, and writes its formula in
    ``raw``: the picture before colours and sigmoid. (Or in ``forward``, which returns (B, C, H, W), float32, in
    [0, 1].) Where the formula has an inverse, it is ``set_raw``. The arguments that a subclass was made with are
    remembered; with ``@registry.enter("parameterization")`` before the class, runs are stored with them.

    Args:
        size: a whole number, or (H, W), in pixels.
        batch: the number B of pictures.
        channels: 3 (RGB), 4 (RGB and alpha) or 1 (grey).
        decorrelate: whether the first three channels of ``raw`` are decorrelated colours (see ``color.py``)
            or logits of RGB.
        generator: where the first values are drawn from, on the CPU, so that one seed gives one start on
            every device. None stands for a fresh generator with seed 0.
        device: where the parameters live; None is the CPU.

    Raises ValueError for a size, a batch, channels or a device that make no sense.

    >>> class Grey(dip.Parameterization):  # a picture of three parameters
    ...     def __init__(self, size, *, level=0.0, **shared):
    ...         super().__init__(size, **shared)
    ...         self.constant("mask", torch.ones(*self.size))
    ...         self.level = self.trainable(level + 0.1 * self.noise(self.batch, 3, 1, 1))
    ...
    ...     def raw(self):
    ...         return self.level * self.mask
    ...
    ...     def set_raw(self, z):
    ...         self.level.copy_(z.mean(dim=(2, 3), keepdim=True))
    >>> grey = Grey((2, 4), batch=2)
    >>> grey, grey().shape
    (Grey(size=(2, 4), level=0.0, batch=2, channels=3), torch.Size([2, 3, 2, 4]))
    >>> grey.settings()  # what is stored with a run
    {'size': (2, 4), 'level': 0.0, 'batch': 2, 'channels': 3}
    >>> flat = torch.full((1, 3, 2, 4), 0.25)
    >>> torch.allclose(grey.set_image(flat)(), grey.checked(flat), atol=1e-4)  # exactly, by set_raw
    True
    >>> torch.allclose(dip.Pixels((2, 4)).fit(flat, steps=200)(), flat, atol=0.05)  # by gradient descent
    True
    >>> torch.equal(grey.sample(torch.Generator()), grey()), grey.uniform(5).abs().max() <= 1
    (True, tensor(True))
    >>> torch.equal(grey.morph(Grey((2, 4), batch=2), 0.0), grey())
    True
    """

    # Names of plain attributes that may be changed while it is being optimized.
    adjustable: tuple[str, ...] = ()
    # The learning rate for Adam that :func:`dip_lessons.optimize` takes where none is given.
    lr: float = 0.05
    # Columns for each row of a picture whose size is a whole number.
    aspect: int = 1
    arguments: dict[str, Any]  # what it was made with, defaults included; without generator and device

    def __new__(cls, *args: object, **options: object) -> Self:
        self = super().__new__(cls)
        object.__setattr__(
            self, "arguments", _remembered(cls, args, options)
        )  # before torch's own constructor
        return self

    def __init__(
        self,
        size: int | tuple[int, int],
        *,
        batch: int = 1,
        channels: int = 3,
        decorrelate: bool = False,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        self.size = height_width(size, self.aspect)
        self.batch, self.channels = whole(batch, "batch", 1), channels
        if channels not in (1, 3, 4):
            raise ValueError(f"channels must be 3 (RGB), 4 (RGB and alpha) or 1 (grey); got {channels!r}")
        self.decorrelate = decorrelate
        self.generator = torch.Generator().manual_seed(0) if generator is None else generator
        self._made_on = known_device(device) or torch.device("cpu")

    def trainable(self, values: Tensor) -> nn.Parameter:
        """A parameter with these first values, float32, on the device that was asked for."""
        return nn.Parameter(self._own(values))

    def constant(self, name: str, values: Tensor, *, stored: bool = False) -> None:
        """Keep numbers that do not change under a name: they move with the picture from device to device.

        Args:
            name: of the attribute.
            values: any tensor; it becomes float32.
            stored: whether they are part of ``state_dict``, which what the arguments decide need not be.
        """
        self.register_buffer(name, self._own(values), persistent=stored)

    def _own(self, values: Tensor) -> Tensor:
        first = next(self.parameters(), None)
        place = self._made_on if first is None else first.device
        with torch.inference_mode(False):  # what is made inside a user's inference mode could not be trained
            values = values.to(place, torch.float32)
            return values.clone() if values.is_inference() else values

    def raw(self) -> Tensor:
        """The picture before colours and sigmoid, (B, C, H, W): any real numbers."""
        raise NotImplementedError(f"{type(self).__name__} must define raw(), or forward() itself")

    def forward(self) -> Tensor:
        return to_image(self.raw(), self.decorrelate)

    def __call__(self, *args: Any, **options: Any) -> Any:
        with torch.autocast(
            self._made_on.type, enabled=False
        ):  # pictures are float32, whatever is around them
            return super().__call__(*args, **options)

    def sample(self, generator: torch.Generator) -> Tensor:
        """The picture that one step of an optimization works on: the picture itself, unless a subclass draws
        something anew for each step, from the run's generator.
        """
        return self()

    def set_raw(self, z: Tensor) -> None:
        """The inverse of ``raw``, where there is one: choose parameters that give z, (B, C, H, W)."""
        raise NotImplementedError

    @no_autocast()
    @torch.no_grad()
    def set_image(self, image: Tensor) -> Self:
        """Start from a picture (B or 1, C, H, W) in [0, 1]: exact to 1e-4 where the formula has an inverse,
        else fitted (see :meth:`fit`).

        Raises ValueError for a tensor that is not such a picture.
        """
        image = self.checked(image)
        if type(self).set_raw is Parameterization.set_raw:
            return self.fit(image)
        self.set_raw(from_image(image, self.decorrelate))
        return self

    def fit(self, image: Tensor, *, steps: int = 300, lr: float | None = None) -> Self:
        """Approach a picture (B or 1, C, H, W) in [0, 1] by gradient descent on the mean squared error.

        ``steps`` of Adam with learning rate ``lr``; None takes the parameterization's own. Raises ValueError for a
        tensor that is not such a picture.
        """
        image = self.checked(image)
        optimizer = torch.optim.Adam([p for p in self.parameters() if p.requires_grad], lr=lr or self.lr)
        generator = torch.Generator().manual_seed(0)
        with torch.inference_mode(False), torch.enable_grad():
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
            options: handed to ``forward``, such as ``size`` for pictures that are functions of the position.

        Raises ValueError if the two have other parameters.
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
        """Standard normal numbers of this shape, from the generator of the constructor."""
        source = self.generator
        return torch.randn(shape, generator=source, device=source.device, dtype=torch.float32).cpu()

    def uniform(self, *shape: int) -> Tensor:
        """Numbers of this shape, uniform in [−1, 1), from the generator of the constructor."""
        source = self.generator
        return 2 * torch.rand(shape, generator=source, device=source.device, dtype=torch.float32).cpu() - 1

    def settings(self) -> dict[str, Any]:
        """Constructor arguments that make a parameterization of the same shape (not the same values)."""
        now = {name: getattr(self, name) for name in self.adjustable}
        size = {"size": self.size} if "size" in self.arguments else {}
        return {**self.arguments, **size, **now}

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """A ``state_dict`` holds what can be adjusted, too, as it is now: the picture is not the same without."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for name in self.adjustable:
            destination[prefix + name] = torch.tensor(getattr(self, name), dtype=torch.float64, device="cpu")

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in self.adjustable:
            if prefix + name in state:  # a file of old has none
                setattr(self, name, float(state.pop(prefix + name)))
        super()._load_from_state_dict(state, prefix, *args)

    def checked(self, image: Tensor) -> Tensor:
        """``image`` as (B, C, H, W) on this device, or a ValueError that says what does not fit."""
        image = image if isinstance(image, Tensor) else torch.as_tensor(image, device="cpu")
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


def parameters_of(kind: type) -> dict[str, inspect.Parameter]:
    """The arguments of a parameterization's constructor by name, those that it hands on to its bases included."""
    found: dict[str, inspect.Parameter] = {}
    for base in kind.__mro__:
        if "__init__" not in vars(base):
            continue
        _, *own = inspect.signature(vars(base)["__init__"]).parameters.values()
        hands_on = any(p.kind is p.VAR_KEYWORD for p in own)
        # The base's decorrelate is a subclass's own affair: it names it if it has it.
        skipped = {"decorrelate"} if base is Parameterization and found else set()
        for p in own:
            if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in skipped:
                found.setdefault(p.name, p)
        if not hands_on:
            break
    return found


def _remembered(kind: type, args: tuple, options: Mapping[str, Any]) -> dict[str, Any]:
    known = parameters_of(kind)
    defaults = {name: p.default for name, p in known.items() if p.default is not p.empty}
    given = {**defaults, **dict(zip(known, args, strict=False)), **options}
    order = [*known, *(name for name in options if name not in known)]
    return {
        name: _pythons(given[name]) for name in order if name in given and name not in ("generator", "device")
    }


def _pythons(value: Any) -> Any:
    """A number of numpy's or torch's as Python's own, which files can hold."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(_pythons, value))
    scalar = isinstance(value, np.generic) or (isinstance(value, Tensor) and value.ndim == 0)
    return value.item() if scalar else value


def describe(picture: Parameterization) -> dict | None:
    """A parameterization as plain data: {"kind": its name, "settings": its arguments, "room": where it lives}.

    Parameterizations that it is made of are described likewise; what has a ``reference`` (a mesh), by that. None
    for one that was not entered in the registry, or is made of another module.
    """
    kind, settings = type(picture), {}
    if not registry.knows("parameterization", kind):
        return None
    for name, value in picture.settings().items():
        settings[name] = describe(value) if isinstance(value, Parameterization) else plain(value)
        if isinstance(value, nn.Module) and not isinstance(settings[name], dict):
            return None
    room = registry.room_of(kind)
    return {"kind": kind.__name__, "settings": settings, **({"room": room} if room else {})}


def plain(value: Any) -> Any:
    """What stands for a value in a file: a mesh's name or tensors for the mesh, the value itself for others."""
    return getattr(value, "reference", value)


def from_description(description: Mapping[str, Any]) -> Parameterization:
    """The inverse of :func:`describe`: the same shape, not the same values. Raises ValueError for another kind."""
    kind = description["kind"]
    try:
        made = registry.find("parameterization", kind, description.get("room"))
    except KeyError:
        made = None
    if made is None or description["settings"] is None:
        raise ValueError(f"there is no parameterization {kind!r} to make again")
    settings = {
        name: from_description(value) if isinstance(value, Mapping) else value
        for name, value in description["settings"].items()
    }
    return made(**settings)
