"""A way out for dead ReLUs: let the gradient through where it would bring a silent unit to life."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class RedirectedReLU(torch.autograd.Function):
    """ReLU whose gradient, for pictures that would get none, is the identity's where x should grow.

    The forward pass is ReLU's. Backward, for each picture of the batch: if ReLU lets any gradient through, it
    is ReLU's; else the gradient passes except where x is negative and descent on −objective would lower it.

    **Source:** Lucid, ``misc/redirected_relu_grad.py``.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        plain = torch.ops.aten.threshold_backward(grad, x, 0)  # ReLU's own: grad where x > 0, else 0
        silent = plain.abs().reshape(len(x), -1).amax(dim=1).view(-1, *[1] * (x.ndim - 1)) == 0
        if x.device.type == "cpu" and not silent.any():  # elsewhere, to ask is to wait for the device
            return plain
        return torch.where(silent, torch.where((x < 0) & (grad > 0), 0, grad), plain)


class _Redirect(TorchFunctionMode):
    relus = {F.relu, F.relu_, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func in self.relus and args:
            return RedirectedReLU.apply(args[0])
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def redirected_relu(active: bool = True) -> Iterator[None]:
    """Inside the block, on this thread, every ReLU is a :class:`RedirectedReLU`; no network is changed.

    Args:
        active: False leaves everything as it is.

    >>> x = torch.tensor([[-1.0, -2.0]], requires_grad=True)  # a picture for which every unit is silent
    >>> with dip.redirected_relu():
    ...     loss = -torch.relu(x).sum()
    >>> torch.autograd.grad(loss, x)[0]  # a step against it brings them to life
    tensor([[-1., -1.]])
    >>> torch.autograd.grad(-torch.relu(x).sum(), x)[0].abs()
    tensor([[0., 0.]])
    """
    with _Redirect() if active else contextlib.nullcontext():
        yield
