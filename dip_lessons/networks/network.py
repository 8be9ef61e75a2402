"""A network to look into: frozen, normalising inside, run only as deep as it is asked."""

from __future__ import annotations

import copy
import difflib
import functools
import math
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LOGITS = "logits"  # the name under which a network's own output is asked for
# The layers of torchvision's networks that carry (N, H, W, C), by the network's class.
CHANNELS_LAST = {
    "SwinTransformer": r"(?!features\.0\.0$|permute$|avgpool$).*",
    "ConvNeXt": r".*\.block\.[1-5]",
}


class UnknownName(KeyError):
    """A layer or network that does not exist; the message gives the nearest names."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would print its repr


class _Deepest(Exception):
    """Raised by the last layer that was asked for: what lies behind it need not run."""


@dataclass(frozen=True)
class Layer:
    """A layer to ask for: its name, kind, and the (C, H, W) or (C,) of its activation at 224 px.

    >>> layer = dip.load_network(device="cpu").layers["features.3"]
    >>> layer
    Layer(name='features.3', kind='Fire', shape=(128, 55, 55))
    >>> layer.channels, layer.receptive_field
    (128, 15)
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    network: Network = field(repr=False)

    @functools.cached_property
    def receptive_field(self) -> int:
        """Side, in pixels, of the square of the picture that one unit in the middle can depend on.

        Measured: with all weights positive and nonlinearities linear, the gradient is above 0 exactly inside.
        Units that see the whole of a 224 px picture give 224.
        """
        return self.network._receptive_field(self.name)

    @property
    def channels(self) -> int:
        """The number of channels."""
        return self.shape[0]


class Layers(Mapping[str, Layer]):
    """The layers of a network by name, in the order in which they run; printed as a table.

    >>> layers = dip.load_network(device="cpu").layers
    >>> list(layers)[:3]
    ['features.0', 'features.1', 'features.2']
    >>> layers["feature.3"]  # a slip
    Traceback (most recent call last):
        ...
    dip_lessons.networks.network.UnknownName: there is no layer 'feature.3'; ...
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = {layer.name: layer for layer in layers}

    def __getitem__(self, name: str) -> Layer:
        if name not in self._layers:
            raise UnknownName(no_such("layer", name, list(self._layers), "network.layers"))
        return self._layers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def __repr__(self) -> str:
        """Blocks only, without the layers inside them (which can be asked for by name all the same)."""
        blocks = [layer for name, layer in self._layers.items() if not self._inside_block(name)]
        rows = [f"{b.name:24}{b.kind:24}{' × '.join(map(str, b.shape))}" for b in blocks]
        return "\n".join([f"{'layer':24}{'kind':24}channels × height × width at 224 px", *rows])

    def _inside_block(self, name: str) -> bool:
        above = [name[:i] for i, c in enumerate(name) if c == "."]
        return any(a in self._layers and self._layers[a].kind not in ("Sequential", "Encoder") for a in above)


def no_such(what: str, name: str, names: Sequence[str], see: str) -> str:
    """The sentence for a wrong name, with the nearest right ones, and where to see them all."""
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.3) or list(names)[:3]
    return f"there is no {what} {name!r}; the nearest names are {', '.join(map(repr, near))}. See {see}"


class Network(nn.Module):
    """``network(image, layers) -> {layer: activation}`` for pictures (N, 3, H, W) in [0, 1] of any size.

    Args:
        module: a torch network that takes normalised pictures. It is copied; the copy is frozen and in eval
            mode, so the original stays as it is.
        mean, std: what the network expects: each channel minus mean, divided by std, on the scale [0, 1].
        bgr: whether it expects the channels in the order blue, green, red; mean and std are given in the
            order red, green, blue all the same.
        name: what it is called in messages and captions.
        classes: the names of its logits, if it has any.
        input_size: the one size that it can take, if it has one: pictures of other sizes are resized to it.
        has_logits: whether its output can be asked for as ``"logits"``.

    >>> module = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten())  # whatever torch can run
    >>> network = dip.Network(module, mean=(0, 0, 0), std=(1, 1, 1))
    >>> network(torch.ones(1, 3, 16, 16), ["0"])["0"].shape, network.device
    (torch.Size([1, 3, 2, 2]), device(type='cpu'))
    >>> any(p.requires_grad for p in network.parameters())  # it is frozen; only pictures get gradients
    False
    >>> dip.load_network(device="cpu").dtype
    torch.float32
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        bgr: bool = False,
        name: str | None = None,
        classes: Sequence[str] = (),
        input_size: int | None = None,
        has_logits: bool = True,
    ) -> None:
        super().__init__()
        if len(mean) != 3 or len(std) != 3:
            raise ValueError(
                f"mean and std must be three numbers each, for red, green and blue; got {mean} and {std}. A "
                "network of grey pictures needs a module before it that averages the channels"
            )
        self.module = copy.deepcopy(module).eval().requires_grad_(False).to(memory_format=torch.channels_last)
        self.name, self.classes = name or type(module).__name__, list(classes)
        self.bgr, self.input_size, self.has_logits = bgr, input_size, has_logits
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1))
        for part in self.module.modules():
            if hasattr(part, "inplace"):
                part.inplace = False  # type: ignore[assignment]  # or it would overwrite what was asked for
        self.loaded_as: dict[str, str | None] | None = None  # what load_network was called with
        self._lock = threading.RLock()  # two threads must not see each other's activations

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        return self.mean.device

    @property
    def dtype(self) -> torch.dtype:
        """What the network computes in; pictures and activations are float32 all the same."""
        return next((p.dtype for p in self.module.parameters() if p.is_floating_point()), self.mean.dtype)

    def __getstate__(self) -> dict:
        return {
            name: value for name, value in self.__dict__.items() if name != "_lock"
        }  # no lock can be copied

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._lock = threading.RLock()

    def forward(self, image: Tensor, layers: Iterable[str] | str = (LOGITS,)) -> dict[str, Tensor]:
        """Activations by layer name: (N, C, h, w), or (N, C) for layers without place.

        ``"logits"`` is the output. The network runs only as far as the deepest layer asked for. Transformers'
        tokens are laid out as a map, without the class token. Of a layer that runs several times, the first
        activation is taken. Raises UnknownName, a KeyError, for a layer that does not exist, ValueError or
        TypeError for what is no picture or no tensor.
        """
        layers = [layers] if isinstance(layers, str) else list(dict.fromkeys(layers))
        self._check_picture(image)
        parts = self.require(layers)
        kept: dict[str, Tensor] = {}
        waiting = set(layers)

        def keep(name: str, output: object) -> None:
            if name in kept:
                return
            waiting.discard(name)
            if waiting and isinstance(output, Tensor):
                output = output.clone()  # what follows may work in place
            kept[name] = self._as_map(name, output)
            if not waiting:
                raise _Deepest

        with self._lock:
            hooks = [
                part.register_forward_hook(lambda _m, _i, output, name=name: keep(name, output))
                for name, part in parts.items()
            ]
            try:
                output = self.module(self._normalise(image))
                if LOGITS in waiting:
                    kept[LOGITS] = self._as_map(LOGITS, output)
                    waiting.discard(LOGITS)
            except _Deepest:
                pass
            finally:
                for hook in hooks:
                    hook.remove()
        if waiting:
            raise UnknownName(
                f"{self.name} never runs {', '.join(sorted(waiting))} in eval mode; ask for another layer"
            )
        return {name: kept[name].to(image.dtype) for name in layers}

    @functools.cached_property
    def layers(self) -> Layers:
        """What can be asked for, in the order in which it runs, with kind, shape and receptive field."""
        names = {part: name for name, part in self.module.named_modules() if name}
        found: dict[str, Layer] = {}

        def note(part: nn.Module, _inputs: object, output: object) -> None:
            name = names[part]
            if isinstance(output, Tensor) and output.ndim in (2, 3, 4) and name not in found:
                shape = tuple(self._as_map(name, output).shape[1:])
                found[name] = Layer(name, type(part).__name__, shape, self)

        side = self.input_size or 224
        picture = torch.full((1, 3, side, side), 0.5, device=self.device)
        with self._lock, torch.no_grad():
            hooks = [part.register_forward_hook(note) for part in names]
            try:
                output = self.module(self._normalise(picture))
            finally:
                for hook in hooks:
                    hook.remove()
        if self.has_logits and isinstance(output, Tensor):
            found[LOGITS] = Layer(LOGITS, "output", tuple(output.shape[1:]), self)
        return Layers(list(found.values()))

    def extra_repr(self) -> str:
        return f"{self.name}, input normalised and weights frozen inside"

    def has(self, name: str) -> bool:
        """Whether it has a layer of this name.

        >>> dip.load_network(device="cpu").has("picture")
        False
        """
        return name in dict(self.module.named_modules()) and name != ""

    def require(self, layers: Iterable[str]) -> dict[str, nn.Module]:
        """The modules of these layers, the logits left out; raises KeyError for one that does not exist.

        >>> list(dip.load_network(device="cpu").require(["features.3", "logits"]))
        ['features.3']
        """
        parts = dict(self.module.named_modules())
        del parts[""]
        for name in layers:
            if name == LOGITS and not self.has_logits:
                raise UnknownName(f"{self.name} ends before its classifier: it has layers, but no logits")
            if name not in parts and name != LOGITS:
                names = [*parts, LOGITS] if self.has_logits else list(parts)
                raise UnknownName(no_such("layer", name, names, "network.layers"))
        return {name: parts[name] for name in layers if name != LOGITS}

    def _check_picture(self, image: Tensor) -> None:
        if not isinstance(image, Tensor) or image.ndim != 4 or image.shape[1] != 3 or image.numel() == 0:
            got = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
            raise ValueError(
                f"{self.name} takes pictures (N, 3, H, W) in [0, 1]; got {got}. An RGBA picture needs a "
                "background first; a single picture needs image[None]"
            )
        if not image.is_floating_point():
            raise TypeError(
                f"{self.name} takes floating-point pictures in [0, 1]; got {image.dtype}: divide by 255"
            )
        if image.dtype != self.mean.dtype:
            raise TypeError(
                f"{self.name} takes pictures of {self.mean.dtype}; got {image.dtype}: convert one of them "
                "with .to(...)"
            )
        if image.device != self.device:
            raise ValueError(
                f"the picture is on {image.device}, {self.name} on {self.device}; move one of them "
                "with .to(...)"
            )

    def _normalise(self, image: Tensor) -> Tensor:
        if self.input_size and image.shape[-2:] != (self.input_size, self.input_size):
            image = F.interpolate(image, (self.input_size,) * 2, mode="bilinear", antialias=True)
        # (image − mean) / std in one pass: colours side by side, as they lie in memory in channels_last.
        rows = image.permute(0, 2, 3, 1).flatten(2)  # (N, H, W·3)
        gain, offset = (1 / self.std).flatten(), (-self.mean / self.std).flatten()
        width = image.shape[3]
        x = (
            torch.addcmul(offset.repeat(width), rows, gain.repeat(width))
            .unflatten(2, (-1, 3))
            .permute(0, 3, 1, 2)
        )
        x = x.flip(1) if self.bgr else x
        return x.to(self.dtype, memory_format=torch.channels_last)

    def _as_map(self, name: str, output: object) -> Tensor:
        if not isinstance(output, Tensor):
            raise TypeError(
                f"{name} of {self.name} returns a {type(output).__name__}, not a tensor; ask for a layer "
                "inside it, or wrap the network in one that returns a tensor"
            )
        if output.ndim == 3:  # (N, T, C), with or without a class token first
            side = math.isqrt(output.shape[1])
            tokens = output[:, output.shape[1] - side * side :]
            if output.shape[1] - side * side <= 1:
                return tokens.transpose(1, 2).unflatten(2, (side, side))
        channels_last = CHANNELS_LAST.get(type(self.module).__name__)
        if output.ndim == 4 and channels_last and re.fullmatch(channels_last, name):
            return output.permute(0, 3, 1, 2)
        return output

    def _receptive_field(self, name: str) -> int:
        ones = copy.deepcopy(self.module).double()
        for parameter in ones.parameters():
            parameter.fill_(1 / parameter[:1].numel() if parameter.ndim else 1)
        ones = Network(ones, input_size=self.input_size)
        image = torch.zeros(1, 3, *(self.input_size or 224,) * 2, dtype=torch.float64, requires_grad=True)
        with torch.enable_grad(), _Linear():
            a = ones.cpu().double()(image, [name])[name]
            unit = a[0, :, a.shape[2] // 2, a.shape[3] // 2].sum() if a.ndim == 4 else a.sum()
            if not unit.requires_grad:  # a table, say of positions
                return 0
            (grad,) = torch.autograd.grad(unit, image)
        rows = (grad[0].abs().sum(dim=(0, 2)) > 0).nonzero()
        return int(rows.max() - rows.min() + 1)


class _Linear(TorchFunctionMode):
    """Inside, nonlinearities are identities and pools average: gradients reach all that they could reach.

    Layer norm is an identity too: it acts within one place, but its outputs have a constant sum. Gates stay
    sigmoids: as identities they would multiply without bound.
    """

    identities = {
        F.relu,
        torch.relu,
        F.relu6,
        F.hardtanh,
        F.leaky_relu,
        F.elu,
        F.silu,
        F.gelu,
        F.hardswish,
        F.layer_norm,
    }

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func in self.identities:
            return args[0]
        if func is F.hardsigmoid:
            return torch.sigmoid(args[0])
        kwargs = kwargs or {}
        if func is F.max_pool2d:
            options = {name: kwargs[name] for name in ("stride", "padding", "ceil_mode") if name in kwargs}
            return F.avg_pool2d(*args, **options)
        return func(*args, **kwargs)
