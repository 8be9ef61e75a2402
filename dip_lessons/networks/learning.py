"""What a network is found to do when it is made: sizes that it takes, shapes that come out, its own numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .frozen import differ, in_eval_mode, inner, laid_out, tried
from .normalise import normalised
from .trials import Size, Trial, attempt

if TYPE_CHECKING:
    from .network import Network

TWO_SIZES = ((64, 128), (128, 192))  # height and width change, in ways that tell them apart
# The usual ones first.
ONE_SIZE = (224, 32, 28, 64, 128, 256, 299, 384, 48, 96, 160, 192, 240, 336, 448, 512, 518)


def learn(network: Network, own: nn.Module | None, size: Size | None) -> list[Trial]:
    """Trials at two sizes and, where the network runs at neither, at the usual ones until it runs.

    Args:
        network: its memory format becomes a plain one where its module needs that.
        own: the module that was wrapped; what the first trial returns is compared with what it returns.
        size: to try first, and alone.

    Raises ValueError where the copy computes something else than ``own``, or wants other channels.
    """
    trials: list[Trial] = []
    side = network.input_size
    known = [(side, side)] if side else []
    for wanted in [size] if size else [*known, *TWO_SIZES]:
        trials.append(_try(network, wanted, own if not any(t.ran for t in trials) else None))
    for n in () if size or any(t.ran for t in trials) else ONE_SIZE:
        trials.append(_try(network, (n, n), own))
        if trials[-1].ran:
            break
    if not size and not any(t.ran for t in trials):
        _try_other_channels(network, [*known, *TWO_SIZES, *((n, n) for n in ONE_SIZE)])
    return trials


def wrong_size(network: Network, trials: Iterable[Trial], error: Exception, size: Size) -> str | None:
    """What to say of an error on a picture of a size that a network was not seen to take; None for others."""
    took = [trial.size for trial in trials if trial.ran]
    full = isinstance(error, getattr(torch, "OutOfMemoryError", MemoryError)) or "memory" in str(error)
    if full or size in took or any(h != w for h, w in took):
        return None
    side = min((h for h, _ in took), default=None)
    only = f"It takes pictures of {side} × {side} px" if side else "If it takes pictures of one size only"
    return (
        f"{network.name} failed on a picture of {size[0]} × {size[1]} px ({type(error).__name__}: {str(error)[:200]}). "
        f"{only}: say so, Network(…, input_size={side or '…'}), and pictures of all sizes are resized to it"
    )


def _pictures(network: Network, size: Size, channels: int) -> Tensor:
    generator = torch.Generator("cpu").manual_seed(0)
    image = torch.rand((2, channels, *size), generator=generator, dtype=torch.float32, device="cpu")
    return image.to(
        network.device, network.mean.dtype
    ).requires_grad_()  # as in a run, which takes other paths


def _try(network: Network, size: Size, own: nn.Module | None) -> Trial:
    image = _pictures(network, size, network.channels)

    def run() -> tuple[Trial, Any, Exception | None]:
        with torch.enable_grad():
            x = normalised(image, network.mean, network.std, network.bgr, None)
            return attempt(network.module, x.to(network.dtype, memory_format=network._format))

    def in_plain_format() -> tuple[Trial, Any, Exception | None]:
        network._format = torch.contiguous_format
        laid_out(network.module, network._format)
        return run()

    trial, output, error = run()
    if error is not None and network._format == torch.channels_last and "view" in str(error):
        trial, output, error = in_plain_format()  # x.view(…) asks for it
        if error is not None:
            network._format = torch.channels_last
            laid_out(network.module, network._format)
    own = own if own is None else inner(own) or own
    compiled = own is not None and any(
        inner(part) is not None or getattr(part, "_compiled_call_impl", None) for part in own.modules()
    )
    if error is None and own is not None and not compiled and network.device.type != "meta":
        with in_eval_mode(own), torch.enable_grad():
            x = normalised(image, network.mean, network.std, network.bgr, None)
            expected, refusal = tried(own, x.to(network.dtype, memory_format=torch.contiguous_format))
        if refusal is None:
            if differ(expected, output) and network._format == torch.channels_last:
                trial, output, error = in_plain_format()
            if (gap := differ(expected, output)) is not None:
                raise ValueError(
                    f"a copy of {network.name} computes something else than the module itself: on a random picture "
                    f"their outputs differ by {gap:.1g} of the largest number. What a module keeps outside its "
                    "parameters and buffers (a counter, a function that holds another module, a random draw that is "
                    "not torch's) may not be copied: keep it in the module"
                )
    return trial


def _try_other_channels(network: Network, sizes: Iterable[Size]) -> None:
    channels = 4 - network.channels  # 1 or 3
    for size in sizes:
        x = _pictures(network, size, channels)
        _, error = tried(network.module, (x * 1).to(network.dtype))
        if error is None:
            wants = "one number each" if channels == 1 else "three numbers each, for red, green and blue"
            raise ValueError(
                f"{network.name} takes pictures of {channels} channel{'s'[: channels > 1]}: give mean and std as "
                f"{wants}"
            )


def unchanged(own: nn.Module, copy: nn.Module) -> bool:
    """Whether a module's weights are still those of its copy."""
    pairs = itertools.zip_longest(own.state_dict().values(), copy.state_dict().values())
    return all(isinstance(a, Tensor) and isinstance(b, Tensor) and torch.equal(a, b) for a, b in pairs)
