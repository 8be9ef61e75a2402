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

    The forward pass is ReLU's; with ``inplace``, x itself is changed. Backward, for each picture of the batch: if
    ReLU lets any gradient through, it is ReLU's; else the gradient passes except where x is not positive and
    descent on −objective would lower it.

    **Source:** Lucid, ``misc/redirected_relu_grad.py``.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, inplace: bool = False) -> Tensor:
        y = x.clamp_(min=0) if inplace else x.clamp(min=0)
        if inplace:
            ctx.mark_dirty(x)
        ctx.save_for_backward(y)  # which the next layer keeps anyway; x need not be kept
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        plain = torch.ops.aten.threshold_backward(grad, y, 0)  # ReLU's own: grad where x > 0, else 0
        each = plain[..., None]  # one more axis, so that there is one to reduce
        axes = tuple(range(1, each.ndim))
        silent = ((each.amin(axes, keepdim=True) == 0) & (each.amax(axes, keepdim=True) == 0))[..., 0]
        if y.device.type == "cpu" and not silent.any():  # elsewhere, to ask is to wait for the device
            return plain, None
        return torch.where(silent, torch.where((y == 0) & (grad > 0), 0, grad), plain), None


class _Redirect(TorchFunctionMode):
    inplace = {F.relu_, torch.relu_, Tensor.relu_}
    relus = {F.relu, torch.relu, Tensor.relu} | inplace

    def __torch_function__(
        self, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func not in self.relus or not torch.is_grad_enabled():
            return func(*args, **kwargs)
        x, *rest = args or (kwargs["input"],)
        return RedirectedReLU.apply(x, func in self.inplace or any(rest) or kwargs.get("inplace", False))


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
