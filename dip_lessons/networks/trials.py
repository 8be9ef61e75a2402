"""Trials: what comes out of every part of a module that is shown random pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .frozen import tried

CHANNELS_FIRST = (
    *(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.SyncBatchNorm, nn.InstanceNorm2d, nn.GroupNorm),
    *(
        nn.MaxPool2d,
        nn.AvgPool2d,
        nn.AdaptiveAvgPool2d,
        nn.AdaptiveMaxPool2d,
        nn.LPPool2d,
        nn.FractionalMaxPool2d,
    ),
    *(nn.LocalResponseNorm, nn.Upsample, nn.PixelShuffle, nn.PixelUnshuffle, nn.Dropout2d, nn.Softmax2d),
)
Size = tuple[int, int]


class Call(NamedTuple):
    """One run of a module: which, and the how-manieth of it in a run of the network, from 1."""

    part: nn.Module
    number: int


@dataclass
class Trial:
    """What came out of each call of a module in one run of a network on two random pictures of one size."""

    size: Size
    shapes: dict[Call, tuple[int, ...]] = field(default_factory=dict)
    calls: dict[nn.Module, int] = field(default_factory=dict)
    maps: dict[Call, Size] = field(default_factory=dict)  # of those whose channels come first for certain
    tokens: dict[int, tuple[int, int]] = field(default_factory=dict)  # of T: the first patch and their number
    ran: bool = False

    def see(self, x: object) -> None:
        """Which tokens depend on the picture, where T of them are seen first: later, attention has mixed them."""
        if not isinstance(x, Tensor) or x.ndim != 3 or x.is_meta or 2 not in x.shape[:2]:
            return
        x = x if len(x) == 2 else x.transpose(0, 1)
        depends = (x[0] != x[1]).any(dim=1).nonzero().flatten().tolist()  # among the T tokens
        together = bool(depends) and depends[-1] - depends[0] == len(depends) - 1
        self.tokens.setdefault(x.shape[1], (depends[0], len(depends)) if together else (0, 0))

    @property
    def grids(self) -> set[Size]:
        """The sizes that maps of the picture have, each of them halved as often as may be."""
        found = {self.size, *self.maps.values()}
        for h, w in list(found):
            while (h, w) != (1, 1):
                found |= {(h // 2 or 1, w // 2 or 1), (-(-h // 2), -(-w // 2))}
                h, w = -(-h // 2), -(-w // 2)
        return found


def attempt(module: nn.Module, x: Tensor) -> tuple[Trial, Any, Exception | None]:
    """Run a module on pictures, and note what comes out of every part; also what it returns, or the error.

    >>> from dip_lessons.networks.trials import Call, attempt
    >>> pool = torch.nn.AvgPool2d(2)
    >>> trial, output, error = attempt(torch.nn.Sequential(pool), torch.ones(2, 3, 6, 8))
    >>> trial.shapes[Call(pool, 1)], output.shape, error
    ((2, 3, 3, 4), torch.Size([2, 3, 3, 4]), None)
    """
    trial = Trial((x.shape[2], x.shape[3]))

    def before(part: nn.Module, inputs: tuple) -> None:
        trial.calls[part] = trial.calls.get(part, 0) + 1
        numbers.setdefault(part, []).append(trial.calls[part])
        for value in inputs:
            trial.see(value)

    def after(part: nn.Module, _inputs: object, output: object) -> None:
        call = Call(part, numbers[part].pop())
        tensor = only_tensor(output)
        if tensor is not None:
            trial.see(tensor)
            trial.shapes[call] = tuple(tensor.shape)
            if tensor.ndim == 4 and channels_first(part):
                trial.maps[call] = (tensor.shape[2], tensor.shape[3])

    numbers: dict[nn.Module, list[int]] = {}
    hooks = []
    try:
        for part in module.modules():
            if not isinstance(part, torch.jit.ScriptModule):
                hooks += [part.register_forward_pre_hook(before), part.register_forward_hook(after)]
        output, error = tried(module, x)
    finally:
        for hook in hooks:
            hook.remove()
    trial.ran = error is None
    if (tensor := only_tensor(output)) is not None:  # TorchScript runs no hooks
        trial.shapes.setdefault(Call(module, 1), tuple(tensor.shape))
    return trial, output, error


def channels_first(part: nn.Module) -> bool:
    """Whether a module's type alone says that channels come first: one of torch's, with torch's own forward."""
    base = next((kind for kind in CHANNELS_FIRST if isinstance(part, kind)), None)
    return base is not None and type(part).forward is base.forward


def channels_last(part: nn.Module) -> bool:
    """Whether a module's type says that channels come last, if the rest is a map."""
    return type(part) in (nn.Linear, nn.Embedding) or (
        type(part) is nn.LayerNorm and len(part.normalized_shape) == 1
    )


def only_tensor(output: object, name: str = "") -> Tensor | None:
    """The tensor itself, or the one in a tuple, list or dict; of several, the one called ``name``.

    >>> from dip_lessons.networks.trials import only_tensor
    >>> only_tensor((torch.ones(2), None)), only_tensor((torch.ones(2), torch.ones(2)))
    (tensor([1., 1.]), None)
    """
    if isinstance(output, Tensor):
        return output
    named = output if isinstance(output, Mapping) else {}
    if isinstance(named.get(name), Tensor):
        return named[name]
    inside = named.values() if named else output if isinstance(output, (tuple, list)) else ()
    tensors = [value for value in inside if isinstance(value, Tensor)]
    nested = any(isinstance(value, (tuple, list, Mapping)) and value for value in inside)
    return tensors[0] if len(tensors) == 1 and not nested else None
