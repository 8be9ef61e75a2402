"""Whether the parts of a run fit together, and what a failed step is told."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from ..networks import Network
from ..objectives import OUTSIDE, Objective
from ..parameterizations import Parameterization

BETAS = (0.9, 0.999)


def _adam(parameters: list[nn.Parameter], lr: float, betas: tuple[float, float]) -> torch.optim.Optimizer:
    try:
        return torch.optim.Adam(parameters, lr=lr, betas=betas, fused=True)  # in one pass through memory
    except RuntimeError:  # on a device that has no such kernel
        return torch.optim.Adam(parameters, lr=lr, betas=betas)


OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": _adam,
    "nadam": torch.optim.NAdam,
    "sgd": lambda parameters, lr, betas: torch.optim.SGD(parameters, lr=lr),
}


def make_optimizer(
    optimizer: str | Callable[..., torch.optim.Optimizer],
    parameters: list[nn.Parameter],
    lr: float,
    betas: tuple[float, float],
) -> torch.optim.Optimizer:
    """An optimizer of torch's: a named one, or what a function (parameters, lr) makes."""
    if isinstance(optimizer, str):
        return OPTIMIZERS[optimizer](parameters, lr=lr, betas=betas)
    made = optimizer(parameters, lr)
    if not isinstance(made, torch.optim.Optimizer):
        raise TypeError(
            f"optimizer(parameters, lr) must return a torch.optim.Optimizer; got {type(made).__name__}"
        )
    if "closure" in (required := _required(made.step)):
        raise ValueError(
            f"{type(made).__name__} calls the objective itself; take one whose step() needs no {required}"
        )
    return made


def check_parts(parameterization: object, objective: object, network: object, views: object) -> None:
    """Raise TypeError or ValueError for parts that do not fit together."""
    if not isinstance(parameterization, Parameterization):
        advice = ""
        if isinstance(parameterization, nn.Module):
            advice = ". Let your class inherit from dip.Parameterization, which says what a picture must be"
        raise TypeError(
            "the first argument must be a parameterization, such as dip.Fourier(224); got "
            f"{type(parameterization).__name__}{advice}"
        )
    if not isinstance(objective, Objective):
        raise TypeError(
            f"the objective must be an Objective, such as dip.channel('features.9', 10); got "
            f"{type(objective).__name__}. A function becomes one by dip.Objective(function, layers=[…])"
        )
    if isinstance(network, nn.Module) and not isinstance(network, Network):
        raise TypeError(
            f"wrap your network first, so that it is frozen and normalises inside: "
            f"dip.Network({type(network).__name__.lower()}, mean=…, std=…)"
        )
    if isinstance(network, Network):
        network.require(name for name in objective.layers if name not in OUTSIDE or network.has(name))
    if not callable(network):
        raise TypeError("the third argument is a network, such as dip.load_network('squeezenet1_1')")
    if not (views is None or callable(views)):
        raise TypeError(
            "views are made by dip.random_views(…), or are any function (pictures, generator) -> (N, C, h, w), or "
            f"None; got {type(views).__name__}"
        )
    parameters = [p for p in parameterization.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("this parameterization has no parameters that can be changed")
    if isinstance(network, Network) and parameters[0].device != network.device:
        raise ValueError(
            f"the picture is on {parameters[0].device}, the network on {network.device}: make the "
            "parameterization with device=network.device"
        )


def check_lr(lr: Any, groups: int = 1, *, zero: bool = False) -> float | tuple[float, ...]:
    """A learning rate as a float, or as one for each group of an optimizer's parameters.

    ``zero``: whether it may be 0, as at the end of a schedule of torch's.
    """
    several = isinstance(lr, (tuple, list))
    rates = lr if several else [lr]
    numbers = all(isinstance(r, Real) and not isinstance(r, bool) and 0 <= float(r) < math.inf for r in rates)
    if not numbers or (several and len(lr) != groups) or (not zero and 0 in rates):
        one_each = f", or {groups}, one for each group" if groups > 1 else ""
        raise ValueError(f"lr must be a number above 0{one_each}; got {lr!r}")
    return tuple(map(float, lr)) if several else float(lr)


def check_optimizer(optimizer: object, lr: object, betas: object) -> None:
    """Raise ValueError or TypeError for an optimizer, a first learning rate or betas that make no sense."""
    if isinstance(lr, (tuple, list)):
        raise ValueError(f"lr must be a number above 0; got {lr!r}")
    check_lr(lr)
    if not (optimizer in OPTIMIZERS if isinstance(optimizer, str) else callable(optimizer)):
        raise ValueError(
            f"optimizer must be one of {', '.join(OPTIMIZERS)}, or a function (parameters, lr) -> "
            f"torch.optim.Optimizer; got {optimizer!r}"
        )
    pair = betas if isinstance(betas, (tuple, list)) and len(betas) == 2 else ()
    if not pair or not all(isinstance(b, Real) and 0 <= float(b) < 1 for b in pair):
        raise ValueError(f"betas must be two numbers, 0 or more and below 1, such as {BETAS}; got {betas!r}")


def check_picture(parameterization: Parameterization, image: Any) -> None:
    """Raise TypeError or ValueError if a parameterization's picture is not what it promises."""
    name = type(parameterization).__name__
    if not isinstance(image, Tensor):
        raise TypeError(f"{name} must return a tensor; got {type(image).__name__}")
    want = (parameterization.batch, parameterization.channels, *parameterization.size)
    if tuple(image.shape) != want:
        raise ValueError(
            f"{name} says that its pictures are {want}, (batch, channels, height, width), and returns "
            f"{tuple(image.shape)}: hand the right size, batch and channels to super().__init__()"
        )
    own = {parameter.dtype for parameter in parameterization.parameters()}  # a user may have said .double()
    if image.dtype not in own | {torch.float32}:
        raise TypeError(f"{name} must return float32 pictures; got {image.dtype}: end with .float()")
    low, high = (float(bound) for bound in image.detach().aminmax())
    if not -1e-4 <= low <= high <= 1 + 1e-4:  # a NaN is neither
        raise ValueError(
            f"{name} must return pictures in [0, 1], as a sigmoid gives them; got {low:.3g} to {high:.3g}"
        )


def check_views(pictures: int, views: Any) -> int:
    """How many views of each picture there are; ValueError if that is no whole number."""
    if not isinstance(views, Tensor) or views.ndim != 4:
        got = tuple(views.shape) if isinstance(views, Tensor) else type(views).__name__
        raise ValueError(f"views must be a tensor (N, C, h, w); got {got}")
    count, rest = divmod(len(views), pictures)
    if count == 0 or rest:
        raise ValueError(f"of {pictures} pictures there must be equally many views; got {len(views)} in all")
    return count


def explain(error: BaseException, step: int) -> str | None:
    """The message of a failed step: where, what, what to do. None for an interrupt, which is not an error."""
    where = f"step {step + 1} of the run failed; the picture of step {step} is kept in run.image"
    memory = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)
    full = isinstance(error, (memory, MemoryError)) or any(
        words in str(error) for words in ("can't allocate memory", "out of memory")
    )
    if full:
        return (
            f"{where}. Out of memory: take a smaller picture or crop, a smaller batch, or fewer views (count)"
        )
    if isinstance(error, FloatingPointError):
        what = str(error)
        return (
            f"{where}. {what[:1].upper()}{what[1:]}: rewind and lower lr, or look for a division by 0 or a "
            "root of 0"
        )
    if isinstance(error, Exception):
        return f"{where}. {type(error).__name__}: {error}"
    return None


def _required(function: Callable) -> list[str]:
    parameters: Mapping[str, inspect.Parameter] = inspect.signature(function).parameters
    return [
        name for name, p in parameters.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
    ]
