"""What can be asked for: layers by name, with shapes and receptive fields, and what a wrong name is told."""

from __future__ import annotations

import copy
import difflib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode


class UnknownName(KeyError):
    """A layer or network that does not exist; the message gives the nearest names."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would print its repr


@dataclass(frozen=True)
class Layer:
    """A layer to ask for: its name, kind, and the (C, H, W) or (C,) of its activation.

    That is for a picture (1, C, H, W) of 224 px, or of the ``input_size`` of a network that has one.

    >>> layer = dip.load_network(device="cpu").layers["features.3"]
    >>> layer
    Layer(name='features.3', kind='Fire', shape=(128, 55, 55))
    >>> layer.channels, layer.receptive_field
    (128, 15)
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    network: nn.Module = field(repr=False)
    picture: tuple[int, ...] = field(repr=False)

    @property
    def channels(self) -> int:
        """The number of channels."""
        return self.shape[0]

    @functools.cached_property
    def receptive_field(self) -> int:
        """Side, in pixels, of the square of the picture that one unit in the middle can depend on.

        Measured: with all weights positive and nonlinearities linear, the gradient is above 0 exactly inside.
        Units that see the whole of a 224 px picture give 224; those that do not depend on it, 0.
        """
        linear = copy.deepcopy(self.network).cpu().double()
        for parameter in linear.parameters():
            parameter.fill_(1 / parameter[:1].numel() if parameter.ndim else 1)
        image = torch.zeros(self.picture, dtype=torch.float64, device="cpu", requires_grad=True)
        with torch.enable_grad(), _Linear():
            a = linear(image, [self.name])[self.name]
            unit = a[0, :, a.shape[2] // 2, a.shape[3] // 2].sum() if a.ndim == 4 else a.sum()
            if not unit.requires_grad:  # a table, say of positions
                return 0
            (grad,) = torch.autograd.grad(unit, image)
        rows = (grad[0].abs().sum(dim=(0, 2)) > 0).nonzero()
        return int(rows.max() - rows.min() + 1)


class Layers(Mapping[str, Layer]):
    """The layers of a network by name, in the order in which they run; printed as a table.

    Args:
        layers: all that can be asked for.
        side: of the picture, in pixels, at which they have their shapes.

    >>> layers = dip.load_network(device="cpu").layers
    >>> list(layers)[:3]
    ['features.0', 'features.1', 'features.2']
    >>> layers["feature.3"]  # a slip
    Traceback (most recent call last):
        ...
    dip_lessons.networks.layers.UnknownName: there is no layer 'feature.3'; ...
    """

    def __init__(self, layers: Sequence[Layer], side: int = 224) -> None:
        self._layers, self.side = {layer.name: layer for layer in layers}, side

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
        return "\n".join([f"{'layer':24}{'kind':24}channels × height × width at {self.side} px", *rows])

    def _inside_block(self, name: str) -> bool:
        above = [name[:i] for i, c in enumerate(name) if c == "."]
        return any(a in self._layers and self._layers[a].kind not in ("Sequential", "Encoder") for a in above)


def no_such(what: str, name: str, names: Sequence[str], see: str) -> str:
    """The sentence for a wrong name, with the nearest right ones, and where to see them all."""
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.3) or list(names)[:3]
    return f"there is no {what} {name!r}; the nearest names are {', '.join(map(repr, near))}. See {see}"


class _Linear(TorchFunctionMode):
    """Inside, nonlinearities are identities and pools average: gradients reach all that they could reach.

    Layer norm is an identity too: it acts within one position, but its outputs have a constant sum. Gates stay
    sigmoids: as identities they would multiply without bound.
    """

    identities = {
        *(F.relu, torch.relu, F.relu6, F.hardtanh, F.leaky_relu, F.elu, F.silu, F.gelu, F.hardswish),
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
