"""A frozen copy of somebody's module: what is copied, what is refused, and whether both compute the same."""

from __future__ import annotations

import copy
import itertools
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

WRAPPERS = {"OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}


def frozen(module: nn.Module) -> nn.Module:
    """A copy in eval mode whose weights get no gradients, in channels_last; the original stays as it is.

    Raises TypeError for what is no module or cannot be copied, ValueError for parameters that have no shape yet.

    >>> from dip_lessons.networks.frozen import frozen
    >>> slope = torch.nn.PReLU()
    >>> frozen(slope).weight.requires_grad, slope.weight.requires_grad
    (False, True)
    >>> frozen(torch.nn.LazyLinear(2))
    Traceback (most recent call last):
        ...
    ValueError: LazyLinear has parameters without a shape (weight, ...): run it once on a picture...
    """
    name = type(module).__name__
    if not isinstance(module, nn.Module):
        raise TypeError(f"a network is made of a torch.nn.Module; got {name}")
    tensors = itertools.chain(module.named_parameters(), module.named_buffers())
    if lazy := [n for n, t in tensors if torch.nn.parameter.is_lazy(t)]:
        raise ValueError(
            f"{name} has parameters without a shape ({', '.join(lazy[:3])}): run it once on a picture, as in "
            f"module(torch.zeros(1, 3, 224, 224)), so that they get theirs"
        )
    # torch refuses to copy tensors that were computed, as weight norm's weights and cached activations are.
    computed = {
        id(leaf): leaf.detach().clone()
        for part in module.modules()
        for leaf in tree_leaves(list(vars(part).values()))
        if isinstance(leaf, Tensor) and not leaf.is_leaf
    }
    try:
        with torch.inference_mode(False):
            twin = copy.deepcopy(module, computed).eval().requires_grad_(False)
    except Exception as error:
        raise TypeError(
            f"{name} cannot be copied ({type(error).__name__}: {str(error)[:200]}). A Network holds a frozen copy, so "
            "that yours stays as it is: take out what copy.deepcopy(module).eval() refuses, or wrap the eager module "
            "that it was made of"
        ) from error
    return eager(laid_out(twin, torch.channels_last))


def laid_out(module: nn.Module, memory_format: torch.memory_format) -> nn.Module:
    """Bring a module's convolutions' weights into a memory format; their values stay."""
    for tensor in itertools.chain(module.parameters(), module.buffers()):
        if tensor.layout == torch.strided and tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=memory_format)
    return module


def inner(module: nn.Module) -> nn.Module | None:
    """The plain module in a compiled or parallel one; None for a plain one."""
    return module._modules.get(WRAPPERS.get(type(module).__name__, ""))


def eager(module: nn.Module) -> nn.Module:
    """Have compiled and parallel modules run the plain one inside them: hooks would see nothing else."""
    for part in module.modules():
        if (plain := inner(part)) is not None:
            part.__dict__["forward"] = plain.__call__
        if getattr(part, "_compiled_call_impl", None) is not None:
            part._compiled_call_impl = None  # of module.compile()
    return module


def compiled(module: nn.Module) -> bool:
    """Whether torch.compile, or a parallel wrapper, stands around a module or one of its parts."""
    return any(inner(p) is not None or getattr(p, "_compiled_call_impl", None) for p in module.modules())


def tried(module: nn.Module, x: Tensor) -> tuple[Any, Exception | None]:
    """What a module returns for x in eval mode, or the error that it raises; it draws the same numbers each time."""
    training = [part for part in module.modules() if getattr(part, "training", False)]
    devices = [x.device] if x.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad(), warnings.catch_warnings():
        torch.manual_seed(0)
        warnings.simplefilter("ignore")
        try:
            for part in training:
                part.training = False
            return module(x), None
        except Exception as error:
            return None, error
        finally:
            for part in training:
                part.training = True


def unchanged(own: nn.Module, twin: nn.Module) -> bool:
    """Whether a module's weights are still those of its copy."""
    pairs = itertools.zip_longest(own.state_dict().values(), twin.state_dict().values())
    return all(isinstance(a, Tensor) and isinstance(b, Tensor) and torch.equal(a, b) for a, b in pairs)


def differ(one: Any, other: Any) -> float | None:
    """The largest difference of two outputs, as a share of the largest number; None within the precision.

    Tensors may lie in tuples, lists and dicts. Kernels of another memory format sum in another order: what
    counts is a difference above the root of the type's precision.

    >>> from dip_lessons.networks.frozen import differ
    >>> differ(torch.ones(3), torch.ones(3) * (1 + 1e-6)), differ((torch.ones(3), 5), (torch.full((3,), 2.0), 5))
    (None, 1.0)
    """
    pairs = [[t.detach() for t in tree_leaves(out) if isinstance(t, Tensor)] for out in (one, other)]
    if [t.shape for t in pairs[0]] != [t.shape for t in pairs[1]]:
        return float("inf")
    worst = 0.0
    for a, b in zip(*pairs, strict=True):
        if a.is_meta or not a.is_floating_point() or not a.numel():
            continue
        a, b = a.to(b.device), b.to(a.dtype)
        unequal = ~((a == b) | (a.isnan() & b.isnan()))
        gap, scale = (a - b)[unequal].abs().nan_to_num(nan=torch.inf), a[a.isfinite()].abs()
        share = float(gap.max() / scale.max()) if gap.numel() and scale.numel() else 0.0
        worst = max(worst, share if share > torch.finfo(a.dtype).eps ** 0.5 else 0.0)
    return worst or None
