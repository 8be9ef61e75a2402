"""Trials: what comes out of every part of a module that is shown random pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .frozen import tried

CHANNELS_FIRST = (
    *(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.SyncBatchNorm, nn.InstanceNorm2d, nn.GroupNorm),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.LPPool2d),
    *(nn.FractionalMaxPool2d, nn.LocalResponseNorm, nn.Upsample, nn.PixelShuffle, nn.PixelUnshuffle),
    *(nn.Dropout2d, nn.Softmax2d),
)
Size = tuple[int, int]
Shape = tuple[int, ...]


class Call(NamedTuple):
    """One run of a module: which, and the how-manieth of it in a run of the network, from 1."""

    part: nn.Module
    number: int


@dataclass
class Trial:
    """What came out of each call of a module in one run of a network on one or two random pictures of one size."""

    pictures: int
    size: Size
    ran: bool = False
    shapes: dict[Call, Shape] = field(default_factory=dict)
    calls: Counter[nn.Module] = field(default_factory=Counter)
    maps: dict[Call, Size] = field(default_factory=dict)  # of those whose channels come first for certain
    tokens: dict[int, tuple[int, int]] = field(default_factory=dict)  # of T: the first patch and their number

    def see(self, x: object) -> None:
        """Which tokens depend on the picture, where T of them are seen first: later, attention has mixed them."""
        if (
            self.pictures != 2
            or not isinstance(x, Tensor)
            or x.ndim != 3
            or x.is_meta
            or 2 not in x.shape[:2]
        ):
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
    trial = Trial(len(x), (x.shape[2], x.shape[3]))
    numbers: dict[nn.Module, list[int]] = {}  # of the calls that have begun: one may lie inside another

    def before(part: nn.Module, inputs: tuple) -> None:
        trial.calls[part] += 1
        numbers.setdefault(part, []).append(trial.calls[part])
        for value in inputs:
            trial.see(value)

    def after(part: nn.Module, _inputs: object, output: object) -> None:
        call = Call(part, numbers[part].pop())
        if (tensor := only_tensor(output)) is None:
            return
        trial.see(tensor)
        trial.shapes[call] = tuple(tensor.shape)
        if tensor.ndim == 4 and channels_first(part):
            trial.maps[call] = (tensor.shape[2], tensor.shape[3])

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


def runs_of(part: nn.Module, trials: Iterable[Trial]) -> int:
    """How often a module runs in a run of the network, as far as the trials tell."""
    return max((trial.calls[part] for trial in trials), default=0)


def calls_by_name(parts: Mapping[str, nn.Module], trials: Sequence[Trial]) -> dict[str, Call]:
    """What can be asked for: a module's name, or the one of its runs that a name means.

    ``"relu"`` is the first time that a module runs, ``"relu:2"`` the second; of a module that has several names and
    runs as often, each name is one time.

    >>> from dip_lessons.networks.trials import attempt, calls_by_name
    >>> relu = torch.nn.ReLU()
    >>> twice = torch.nn.Sequential(relu, torch.nn.Flatten(), relu)
    >>> calls = calls_by_name({"a": relu}, [attempt(twice, torch.ones(2, 3, 6, 8))[0]])
    >>> {name: call.number for name, call in calls.items()}
    {'a': 1, 'a:2': 2}
    """
    names: dict[nn.Module, list[str]] = {}
    for name, part in parts.items():
        names.setdefault(part, []).append(name)
    found: dict[str, Call] = {}
    for part, mine in names.items():
        runs = runs_of(part, trials)
        numbers = range(1, runs + 1)
        if len(mine) == runs:
            found |= {name: Call(part, number) for name, number in zip(mine, numbers, strict=True)}
            continue
        if len(mine) == 1 or runs < 2:
            found |= {name: Call(part, 1) for name in mine}
            numbers = numbers[1:]
        found |= {f"{mine[0]}:{number}": Call(part, number) for number in numbers}
    return found


def channels_first(part: nn.Module) -> bool:
    """Whether a module's type alone says that channels come first: one of torch's, with torch's own forward."""
    base = next((kind for kind in CHANNELS_FIRST if isinstance(part, kind)), None)
    return base is not None and type(part).forward is base.forward


def channels_last(part: nn.Module) -> bool:
    """Whether a module's type says that channels come last, if the rest is a map."""
    norm = type(part) is nn.LayerNorm and len(part.normalized_shape) == 1
    return norm or type(part) in (nn.Linear, nn.Embedding)


def only_tensor(output: object) -> Tensor | None:
    """The tensor itself, or the one in a tuple, list or dict; of several in a dict, the one called ``"logits"``.

    >>> from dip_lessons.networks.trials import only_tensor
    >>> only_tensor((torch.ones(2), None)), only_tensor((torch.ones(2), torch.ones(2)))
    (tensor([1., 1.]), None)
    """
    if isinstance(output, Tensor):
        return output
    named = output if isinstance(output, Mapping) else {}
    if isinstance(named.get("logits"), Tensor):
        return named["logits"]
    inside = named.values() if named else output if isinstance(output, (tuple, list)) else ()
    tensors = [value for value in inside if isinstance(value, Tensor)]
    nested = any(isinstance(value, (tuple, list, Mapping)) and value for value in inside)
    return tensors[0] if len(tensors) == 1 and not nested else None
