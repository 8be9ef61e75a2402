"""NVIDIA's checkpoints of StyleGAN2, which a learner may bring: pickles that are read without running anything.

A pickle is a program; it may name any function and have it called. The official ones, moreover, hold the source
code of their networks, to be executed. Here a pickle can build numbers, strings, containers and tensors; the code
stays text, and whatever else is named ends the reading.

**Source:** NVlabs/stylegan2-ada-pytorch and NVlabs/stylegan3 on GitHub, ``torch_utils/persistence.py``, for the
format.
"""

from __future__ import annotations

import io
import math
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..hardware import device as choose_device
from .generator import Generator
from .stylegan2 import MappingNetwork, SynthesisNetwork


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says why, and what to do."""


class Attributes(dict):
    """What their ``EasyDict`` becomes: a dict."""


class Part(dict):
    """A module of theirs, as its attributes: ``_parameters``, ``_buffers``, ``_modules`` and settings."""

    def __init__(self, meta: dict) -> None:
        super().__init__(meta["state"])
        self.kind = str(meta["class_name"])


def storage(data: bytes) -> Any:
    """A tensor's numbers; torch's own restricted reader takes them out of their wrapping."""
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def tensor(numbers: Any, offset: int, shape: tuple, strides: tuple, *_rest: object) -> Tensor:
    """A tensor laid over its numbers, and nowhere beyond them."""
    flat = torch.empty(0, dtype=numbers.dtype).set_(numbers)
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if (
        min(offset, *shape, *strides, 0) < 0
        or (all(shape) and last >= len(flat))
        or math.prod(shape) > len(flat)
    ):
        raise pickle.UnpicklingError(f"a tensor of shape {shape} reaches beyond its {len(flat)} numbers")
    return flat.as_strided(shape, strides, offset).clone()


def parameter(data: Tensor, *_rest: object) -> Tensor:
    """A parameter is read as the tensor that it is."""
    return data


ALLOWED: dict[tuple[str, str], Any] = {
    ("torch_utils.persistence", "_reconstruct_persistent_obj"): Part,
    ("dnnlib.util", "EasyDict"): Attributes,
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): tensor,
    ("torch._utils", "_rebuild_parameter"): parameter,
    ("torch.storage", "_load_from_bytes"): storage,
    ("torch", "Size"): tuple,
    ("torch", "device"): lambda *names: ":".join(map(str, names)),
    **{
        ("torch", name): name for name in ("float64", "float32", "float16", "int64", "int32", "uint8", "bool")
    },
}


class RestrictedUnpickler(pickle.Unpickler):
    """Builds numbers, strings, containers and tensors; a pickle that names anything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ALLOWED:
            return ALLOWED[module, name]
        hint = "It was made with TensorFlow: " if "tflib" in module else "If you trust it, "
        raise CheckpointError(
            f"the checkpoint asks for {module}.{name}; only tensors and plain containers are read from it, and "
            f"nothing is run. {hint}let NVIDIA's own code (legacy.py) write it anew"
        )

    def persistent_load(self, pid: Any) -> Any:
        raise CheckpointError(
            f"the checkpoint refers to something outside it, {pid!r}; expected one whole file"
        )


def load_official(
    path: str | os.PathLike[str], *, network: str = "G_ema", device: torch.device | str | None = None
) -> Generator:
    """A generator from an official StyleGAN2 checkpoint (``.pkl`` of stylegan2-ada-pytorch or stylegan3).

    Args:
        path: the file. Nothing in it is run.
        network: which of its networks; ``"G_ema"``, the running average, makes the better pictures.
        device: where it shall live; None takes the best that is there (see :func:`dip_lessons.device`).

    Raises CheckpointError, a ValueError, for a file that asks for anything but tensors and plain containers, or
    holds another kind of network; FileNotFoundError if there is none.

    >>> import pickle, pathlib
    >>> pathlib.Path("network.pkl").write_bytes(pickle.dumps(print)) > 0  # a pickle that names a function ...
    True
    >>> dip.load_official("network.pkl")  # ... which is not called
    Traceback (most recent call last):
        ...
    dip_lessons.stylegan.official.CheckpointError: the checkpoint asks for ...print; only tensors ...
    """
    parts = read(path)
    found = parts.get(network) if isinstance(parts, dict) else None
    if not isinstance(found, Part):
        names = (
            [str(name) for name, part in parts.items() if isinstance(part, Part)]
            if isinstance(parts, dict)
            else []
        )
        raise CheckpointError(f"{path} holds no network {network!r}; it holds {', '.join(names) or 'none'}")
    generator = build(found, name=Path(path).stem)
    return generator.to(choose_device(device))


def read(path: str | os.PathLike[str]) -> Any:
    """What a checkpoint holds: containers, tensors, and :class:`Part` for each module. See :func:`load_official`."""
    try:
        with open(path, "rb") as file:
            return RestrictedUnpickler(file).load()
    except (CheckpointError, OSError):
        raise
    except Exception as error:  # whatever a broken pickle leads to
        raise CheckpointError(
            f"{path} cannot be read ({type(error).__name__}: {error}); expected an official StyleGAN2 .pkl, whole"
        ) from error


def state(part: Part, prefix: str = "") -> dict[str, Tensor]:
    """Parameters and buffers of a module and those in it, by name."""
    found = {
        prefix + name: value
        for group in ("_parameters", "_buffers")
        for name, value in part.get(group, {}).items()
        if isinstance(value, Tensor)
    }
    for name, inner in part.get("_modules", {}).items():
        if isinstance(inner, Part):
            found |= state(inner, f"{prefix}{name}.")
    return found


def build(part: Part, name: str = "official") -> Generator:
    """The generator whose weights these are. Raises CheckpointError for what is no StyleGAN2."""
    weights = {key: value.float() for key, value in state(part).items()}
    if "synthesis.input.transform" in weights:
        raise CheckpointError(
            "this is a StyleGAN3, whose layers this course has not; bring a StyleGAN2 (config-f)"
        )
    if "mapping.embed.weight" in weights:
        raise CheckpointError(
            "this StyleGAN2 makes pictures of a class that it is given; bring one without classes"
        )
    sizes = [4 * 2**i for i in range(16) if f"synthesis.b{4 * 2**i}.conv1.weight" in weights]
    needed = ["mapping.fc0.weight", "mapping.w_avg", *(f"synthesis.b{size}.torgb.weight" for size in sizes)]
    if missing := [key for key in needed if key not in weights] or ["synthesis.b4"] * (not sizes):
        raise CheckpointError(
            f"this is no StyleGAN2 with skip connections (config-f): {', '.join(missing)} is not there"
        )
    depth = sum(key.startswith("mapping.fc") and key.endswith("weight") for key in weights)
    widths = [weights["mapping.fc0.weight"].shape[1]]
    widths += [len(weights[f"mapping.fc{i}.weight"]) for i in range(depth)]
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], device="cpu") / 8
    for key in [key for key in weights if key.endswith("resample_filter")]:
        if not torch.allclose(weights.pop(key), row.outer(row), atol=1e-5):
            raise CheckpointError(f"{key} is not the filter [1, 3, 3, 1] that StyleGAN2 has")
    for key in [key for key in weights if key.endswith("noise_const")]:
        layer, noise = key.removesuffix("noise_const"), weights.pop(key)
        strength = weights.pop(f"{layer}noise_strength", torch.ones(()))
        weights[f"{layer}noise"], weights[f"{layer}strength"] = (noise * strength)[None, None], strength
    blocks = part["_modules"]["synthesis"]["_modules"]
    clamps = [blocks[f"b{size}"]["_modules"]["conv1"].get("conv_clamp") for size in sizes]
    with torch.device("meta"):  # no memory, no random first weights
        mapping = MappingNetwork(widths)
        channels = [len(weights[f"synthesis.b{size}.conv1.weight"]) for size in sizes]
        synthesis = SynthesisNetwork(channels, widths[-1], clamps)
    mean_w = weights.pop("mapping.w_avg")
    try:
        for module, prefix in ((mapping, "mapping."), (synthesis, "synthesis.")):
            own = {
                key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)
            }
            module.load_state_dict(own, assign=True)
    except RuntimeError as error:  # names or shapes
        raise CheckpointError(f"this is no StyleGAN2 that this course knows: {error}") from error
    return Generator(mapping, synthesis, mean_w, z_size=widths[0], name=name)
