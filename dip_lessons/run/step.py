"""The mathematics of one step: picture → views → activations → value → gradient → step."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from ..objectives import Memory, Objective, look
from ..parameterizations import Parameterization
from ..views.base import transformed
from .checks import check_picture, check_views


def values_of(
    parameterization: Parameterization,
    objective: Objective,
    network: Callable,
    views: Callable | None,
    generator: torch.Generator,
    memory: Memory,
    *,
    first: bool,
) -> Tensor:
    """The objective (B,): the mean over the views of each picture. At the first step the picture is checked."""
    image = parameterization.sample(generator)
    if first:
        check_picture(parameterization, image)
    if views is None and image.shape[1] == 4:
        raise ValueError(
            "a picture with transparency is seen over a background: views=dip.random_views(background='waves')"
        )
    seen = image if views is None else transformed(views, image, generator)
    count = check_views(len(image), seen)
    activations = look(network, objective.layers, seen, image, memory)
    values = []
    for i in range(count):  # view by view, so that the objective has one row for each picture
        rows = slice(i * len(image), (i + 1) * len(image))
        of_view = {n: a if a is image or a is memory else a[rows] for n, a in activations.items()}
        values.append(objective(of_view))
        memory.keep()
    return torch.stack(values).mean(dim=0)


def slopes(values: Tensor, parameters: list[nn.Parameter]) -> list[Tensor | None]:
    """The gradients by the parameters of minus the values' sum. Raises FloatingPointError for NaN in either."""
    if not values.isfinite().all():
        raise FloatingPointError(f"the objective's value is {values.tolist()}")
    if not values.requires_grad:
        raise RuntimeError("the objective does not depend on the picture's parameters")
    gradients = torch.autograd.grad(-values.sum(), parameters, allow_unused=True)
    if all(g is None for g in gradients):
        raise RuntimeError("the objective does not depend on the picture's parameters")
    if not _finite(gradients):
        raise FloatingPointError("the objective's gradient holds NaN or infinite numbers")
    return list(gradients)


def descend(
    gradients: list[Tensor | None], parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer
) -> None:
    """One step of torch's optimizer, which minimizes. Raises FloatingPointError if parameters became NaN by it."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None and gradient.stride() != parameter.stride():
            gradient = torch.empty_like(parameter).copy_(gradient)  # a fused step walks through memory
        parameter.grad = gradient
    try:
        optimizer.step()
        if not _finite(parameters):
            raise FloatingPointError("the step made parameters NaN or infinite")
    finally:
        optimizer.zero_grad()


def _finite(tensors: Iterable[Tensor | None]) -> bool:
    """Whether all numbers are finite: one NaN or infinite number makes the sum so, and sums are cheap."""
    return all(bool(t.sum().isfinite()) for t in tensors if t is not None)


@contextlib.contextmanager
def whatever_is_around(device: torch.device) -> Iterator[None]:
    """A step's own grad mode and precision, whatever the host has set around it."""
    with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
        yield


@contextlib.contextmanager
def finishing_first() -> Iterator[None]:
    """Hold a keyboard interrupt back until the block is done, so that no step is left half taken."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield
        return
    asked: list[bool] = []
    try:
        old = signal.signal(signal.SIGINT, lambda *_: asked.append(True))
    except ValueError:  # not the interpreter that receives signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)
    if asked:
        signal.raise_signal(signal.SIGINT)  # to whatever handles it outside
