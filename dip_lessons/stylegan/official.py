"""NVIDIA's checkpoints of StyleGAN2 and StyleGAN3, which a learner may bring: read without running anything.

A pickle is a program, and the official ones hold, moreover, the source code of their networks, to be executed. Here
both stay data (see restricted_pickle.py). Weights and settings go into our own networks; a setting that these do not
have is refused by its name.

**Source:** NVlabs/stylegan2-ada-pytorch and NVlabs/stylegan3 on GitHub, README, for what a checkpoint holds.
"""

from __future__ import annotations

import math
import os
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..hardware import device as choose_device
from . import stylegan2, stylegan3
from .generator import Generator, Synthesis
from .restricted_pickle import BYTES, Machine, Numbers, Part, Refused

LARGEST = 4096  # side of features, in pixels


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the message says why, and what to do."""


def load_official(
    path: str | os.PathLike[str], *, network: str = "G_ema", device: torch.device | str | None = None
) -> Generator:
    """A generator from an official checkpoint: a ``.pkl`` of stylegan2-ada-pytorch or stylegan3, 2 or 3-T or 3-R.

    Its pictures are those of the official classes in float32: to 1e-5 for StyleGAN2, 1e-4 for StyleGAN3, of the
    range [−1, 1].

    Args:
        path: the file. Nothing in it is run.
        network: which of its networks: ``"G_ema"``, the running average, makes the better pictures; ``"G"`` is
            the one that was trained.
        device: where it shall live; None takes the best that is there (see :func:`dip_lessons.device`).

    Raises CheckpointError, a ValueError, for a file that asks for anything but tensors and plain containers,
    holds another kind of network, or one with settings that are not computed here; FileNotFoundError if there is
    none.

    >>> import pickle, pathlib
    >>> pathlib.Path("network.pkl").write_bytes(pickle.dumps(print)) > 0  # a pickle that names a function ...
    True
    >>> dip.load_official("network.pkl")  # ... which is not called
    Traceback (most recent call last):
        ...
    dip_lessons.stylegan.official.CheckpointError: network.pkl is not read: it asks for ...print; only tensors ...
    """
    where, parts = choose_device(device), read(path)
    networks = (
        {name: part for name, part in parts.items() if isinstance(part, Part)} if type(parts) is dict else {}
    )
    if network not in networks:
        names = ", ".join(name[:80] for name in networks) or "none"
        raise CheckpointError(f"{path} holds no network {network!r}; it holds {names}")
    try:
        with torch.inference_mode(False):
            return build(networks[network], name=Path(path).stem).to(where)
    except CheckpointError:
        raise
    except Exception as error:  # whatever a part that is not there, or is another thing, leads to
        raise CheckpointError(
            f"{network} of {path} is no StyleGAN2 or StyleGAN3 as NVIDIA's code writes it: "
            f"{type(error).__name__}: {str(error)[:300]}"
        ) from error


def read(path: str | os.PathLike[str]) -> Any:
    """What a checkpoint holds: containers, numbers, :class:`Numbers` and :class:`Part`. See :func:`load_official`."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > BYTES:
            raise CheckpointError(
                f"{path} has {size:,} bytes, more than any official checkpoint; nothing is read"
            )
        data = file.read(size)
    hint = "expected a .pkl as NVIDIA's training code writes it, whole"
    if data[:2] == b"PK":
        hint += ". This is an archive, as torch.save writes it"
    try:
        return Machine(data).load()
    except Refused as error:
        if "tflib" in str(error):
            hint = (
                "it was made with TensorFlow. NVIDIA's legacy.py, in the repository stylegan3, writes it anew, "
                "and that is read: python legacy.py --source=old.pkl --dest=new.pkl"
            )
        raise CheckpointError(f"{path} is not read: {error}; {hint}") from error
    except Exception as error:  # whatever a broken pickle leads to
        raise CheckpointError(
            f"{path} cannot be read ({type(error).__name__}: {str(error)[:300]}); {hint}"
        ) from error


def child(part: Part, path: str) -> Part:
    """A module in a module, by its names with dots between them; "" is the module itself."""
    for name in path.split(".") if path else []:
        inner = part.attributes["_modules"].get(name)
        if not isinstance(inner, Part):
            raise CheckpointError(f"this is no StyleGAN that this course knows: {path} is not there")
        part = inner
    return part


def arrays(part: Part, prefix: str = "", seen: set[int] | None = None) -> dict[str, np.ndarray]:
    """Parameters and buffers of a module and those in it, by name. Raises CheckpointError for what occurs twice."""
    seen = set() if seen is None else seen
    found: dict[str, np.ndarray] = {}
    for group in ("_parameters", "_buffers", "_modules"):
        for name, value in part.attributes.get(group, {}).items():
            if not isinstance(value, Numbers | Part):
                continue
            if id(value) in seen or len(prefix) > 200:
                raise CheckpointError(f"{prefix}{name[:80]} occurs twice in the network, or in itself")
            seen.add(id(value))
            if isinstance(value, Part):
                found |= arrays(value, f"{prefix}{name}.", seen)
            else:
                found[prefix + name] = value.values
    return found


def number(part: Part, key: str, default: Any = None, low: float = -math.inf, high: float = math.inf) -> Any:
    """A setting that is a number, an integer where ``low`` is one. Raises CheckpointError for another one."""
    value = part.attributes.get(key, default)
    kinds = (int,) if isinstance(low, int) else (int, float)
    if type(value) not in kinds or not low <= value <= high or not math.isfinite(value):
        raise CheckpointError(
            f"{key} of a {part.kind} is {reprlib.repr(value)}; that cannot be computed with"
        )
    return value


def side(part: Part, key: str) -> int:
    """A setting that is the size of square features: an array of two equal integers."""
    value = part.attributes.get(key)
    pair = value.values.tolist() if isinstance(value, Numbers) and value.values.size == 2 else value
    if type(pair) is not list or len(pair) != 2 or pair[0] != pair[1]:
        raise CheckpointError(f"{key} of a {part.kind} is {reprlib.repr(pair)}; expected two equal sizes")
    return number(Part(part.kind, {key: pair[0]}), key, low=1, high=LARGEST)


def adopt(module: nn.Module, part: Part, weights: Mapping[str, np.ndarray], where: str) -> None:
    """Give a module of ours the settings and weights of theirs.

    Raises CheckpointError for a setting that is not as expected, and for names and shapes that are not ours.
    """
    for name, inner in module.named_modules():
        theirs = child(part, name)
        for key in getattr(inner, "honoured", ()):
            absent = key == "conv_clamp" and theirs.attributes.get(key) is None
            setattr(inner, key, None if absent else number(theirs, key, getattr(inner, key)))
        for key, wanted in getattr(inner, "expected", {}).items():
            if (found := theirs.attributes.get(key, wanted)) != wanted:
                raise CheckpointError(
                    f"{where}{'.' * bool(name)}{name} has {key}={reprlib.repr(found)}; "
                    f"only networks with {wanted!r} there are drawn here"
                )
    shapes = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    for name in {**shapes, **weights}:
        there, ours = (weights[name].shape if name in weights else "none"), shapes.get(name, "none")
        if there != ours:
            raise CheckpointError(
                f"this is no StyleGAN that this course knows: {where}.{name[:80]} has the shape {there}, not {ours}"
            )
    module.load_state_dict({name: tensor(value) for name, value in weights.items()}, assign=True)


def tensor(array: np.ndarray) -> Tensor:
    """A copy in float32: the file's own bytes cannot be written to."""
    return torch.from_numpy(np.array(array, np.float32))


def build(part: Part, name: str = "official") -> Generator:
    """The generator with these weights and settings. Raises CheckpointError for what cannot be drawn."""
    mapping, synthesis = child(part, "mapping"), child(part, "synthesis")
    for owner in (part, mapping):
        if owner.attributes.get("c_dim") or owner.attributes["_modules"].get("embed") is not None:
            raise CheckpointError(
                "this StyleGAN makes pictures of a class that it is given; bring one without classes"
            )
    weights, drawing = arrays(mapping), arrays(synthesis)
    if "w_avg" not in weights:
        raise CheckpointError("mapping.w_avg is not there: the mean style, which truncation pulls towards")
    mean_w = tensor(weights.pop("w_avg"))
    depth = sum(key.startswith("fc") and key.endswith(".weight") for key in weights)
    if not depth or any(f"fc{i}.weight" not in weights for i in range(depth)):
        raise CheckpointError("this is no StyleGAN that this course knows: mapping.fc0.weight … is not there")
    widths = [weights["fc0.weight"].shape[-1], *(len(weights[f"fc{i}.weight"]) for i in range(depth))]
    with torch.device("meta"):  # no memory, no random first weights
        ours = stylegan2.MappingNetwork(widths)
    adopt(ours, mapping, weights, "mapping")
    make = stylegan3_synthesis if "input" in synthesis.attributes["_modules"] else stylegan2_synthesis
    network = make(synthesis, drawing, widths[-1])
    adopt(network, synthesis, drawing, "synthesis")
    if mean_w.shape != (widths[-1],):
        raise CheckpointError(f"mapping.w_avg has the shape {tuple(mean_w.shape)}, expected ({widths[-1]},)")
    return Generator(ours, network, mean_w, z_size=widths[0], name=name)


def stylegan2_synthesis(part: Part, weights: dict[str, np.ndarray], style: int) -> Synthesis:
    """StyleGAN2's synthesis without its weights; what is stored in another way there is changed in ``weights``."""
    sizes = [size for size in (4 * 2**i for i in range(11)) if f"b{size}" in part.attributes["_modules"]]
    for size in sizes:
        if (kind := child(part, f"b{size}").attributes.get("architecture", "skip")) != "skip":
            raise CheckpointError(
                f"synthesis.b{size} has architecture={reprlib.repr(kind)}; only networks with 'skip' (config-f) "
                "are drawn here"
            )
    needed = [f"b{size}.{layer}.weight" for size in sizes or [4] for layer in ("conv1", "torgb")]
    if missing := [key for key in needed if key not in weights]:
        raise CheckpointError(
            f"this is no StyleGAN2 with skip connections (config-f): synthesis.{missing[0]} is not there"
        )
    row = np.array([1, 3, 3, 1]) / 8
    for key in [key for key in weights if key.endswith("resample_filter")]:
        found = weights.pop(key)
        if found.shape != (4, 4) or not np.allclose(found, np.outer(row, row), atol=1e-6):
            raise CheckpointError(
                f"synthesis.{key} is not the filter [1, 3, 3, 1], the only one that is drawn with here"
            )
    for size in sizes:
        for layer in [
            f"b{size}.{conv}" for conv in ("conv0", "conv1") if f"b{size}.{conv}.weight" in weights
        ]:
            noise, strength = (weights.pop(f"{layer}.noise_{key}", None) for key in ("const", "strength"))
            used = child(part, layer).attributes.get("use_noise", True)
            if used is False:
                noise, strength = np.zeros((size, size)), np.zeros(())
            if used not in (True, False) or noise is None or strength is None or noise.ndim != 2:
                raise CheckpointError(
                    f"the noise of synthesis.{layer} is not there, though it has use_noise={used!r}"
                )
            weights[f"{layer}.noise"], weights[f"{layer}.strength"] = (noise * strength)[None, None], strength
    with torch.device("meta"):
        return stylegan2.SynthesisNetwork([len(weights[f"b{size}.conv1.weight"]) for size in sizes], style)


def stylegan3_synthesis(part: Part, weights: dict[str, np.ndarray], style: int) -> Synthesis:
    """StyleGAN3's synthesis without its weights."""
    source, layers = child(part, "input"), {}
    size, rate = side(source, "size"), number(source, "sampling_rate", low=0.0)
    band = number(source, "bandwidth", low=0.0)
    if band >= rate / 2:
        raise CheckpointError(
            f"synthesis.input has bandwidth={band} at sampling_rate={rate}; less than half is expected"
        )
    names = part.attributes.get("layer_names")
    if type(names) is not list or not names or not all(type(name) is str for name in names):
        raise CheckpointError("this is no StyleGAN3 that this course knows: its layer_names are not there")
    with torch.device("meta"):
        first = stylegan3.FourierInput(style, number(source, "channels", low=1), size, rate, band)
        for i, name in enumerate(names):
            layers[name] = stylegan3_layer(child(part, name), name, weights, style, i == len(names) - 1)
            found = layers[name].out(size)
            if side(child(part, name), "in_size") != size or found != [layers[name].size] * 2:
                raise CheckpointError(
                    f"synthesis.{name} makes {found} of {size} samples, not {layers[name].size}: sizes do not fit"
                )
            size = layers[name].size
        return stylegan3.SynthesisNetwork(first, layers)


def stylegan3_layer(
    part: Part, name: str, weights: dict[str, np.ndarray], style: int, last: bool
) -> stylegan3.Layer:
    """One layer without its weights, but with its filters."""
    if (rgb := part.attributes.get("is_torgb")) is not last:
        raise CheckpointError(
            f"synthesis.{name} has is_torgb={reprlib.repr(rgb)}; the last layer, and it alone, is"
        )
    up, down = (number(part, f"{way}_factor", low=1, high=16) for way in ("up", "down"))
    up_filter, down_filter = (weights.get(f"{name}.{way}_filter") for way in ("up", "down"))
    padding: Any = part.attributes.get("padding")
    fits = type(padding) is list and len(padding) == 4 and all(type(n) is int for n in padding)
    for factor, taps in ((up, up_filter), (down, down_filter)):
        fits &= factor == 1 if taps is None else taps.ndim in (1, 2) and len(set(taps.shape)) == 1
    if not fits or max(map(abs, padding)) > LARGEST:
        raise CheckpointError(
            f"synthesis.{name} has a padding or filters that do not fit its up- and downsampling"
        )
    inputs, outputs, kernel = (
        number(part, key, low=1) for key in ("in_channels", "out_channels", "conv_kernel")
    )
    return stylegan3.Layer(
        style,
        inputs,
        outputs,
        kernel,
        side(part, "out_size"),
        up=up,
        down=down,
        padding=padding,
        up_filter=None if up_filter is None else tensor(up_filter),
        down_filter=None if down_filter is None else tensor(down_filter),
        rgb=last,
    )
