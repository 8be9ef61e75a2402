"""Any classifier of torchvision by name, with torchvision's own weights."""

from __future__ import annotations

import urllib.error
from collections import Counter

import torch
import torchvision
from torch import nn

from .layers import UnknownName, no_such
from .network import IMAGENET_MEAN, IMAGENET_STD, Network


def torchvision_network(name: str, weights: str | None = "DEFAULT") -> Network:
    """A torchvision classifier.

    Args:
        name: as in ``torchvision.models``, for instance ``"googlenet"``, ``"resnet50"``, ``"vit_b_16"``.
        weights: a name of its weights enum, or None for random weights (seed 0).

    Raises KeyError for an unknown name of either, OSError where the weights cannot be downloaded.
    """
    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        see = "torchvision.models.list_models(module=torchvision.models)"
        raise UnknownName(no_such("network", name, names, see))
    entry = _entry(name, weights) if weights else None
    options: dict[str, object] = {}
    if name in ("googlenet", "inception_v3"):  # their weights expect another normalisation, done inside
        options = {"init_weights": entry is None, "transform_input": entry is not None}
    elif name.startswith("vit") and entry is not None:
        options = {"image_size": entry.meta["min_size"][0]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = torchvision.models.get_model(name, weights=None, **options)
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    if entry is not None:
        module.load_state_dict(_download(name, entry))
        mean, std = entry.transforms().mean, entry.transforms().std
    for auxiliary in ("aux1", "aux2", "AuxLogits"):
        if hasattr(module, auxiliary):
            setattr(module, auxiliary, None)  # heads that are used in training only
    fold_batch_norm(module)
    size = getattr(module, "image_size", None)  # vision transformers take one size only
    classes = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.meta["categories"]
    return Network(module, mean=mean, std=std, name=name, classes=classes, input_size=size)


def _entry(name: str, weights: str) -> torchvision.models.WeightsEnum:
    known = torchvision.models.get_model_weights(name)
    if weights not in known.__members__:
        raise UnknownName(f"{name} has no weights {weights!r}; there are {', '.join(known.__members__)}")
    return known[weights]


def _download(name: str, entry: torchvision.models.WeightsEnum) -> dict[str, torch.Tensor]:
    try:
        return entry.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (urllib.error.URLError, OSError, RuntimeError) as error:
        raise OSError(
            f"the weights of {name} could not be downloaded from {entry.url} ({error}). Embedded networks "
            "need no download: 'squeezenet1_1', 'inception_v3', 'vgg16'. weights=None gives random weights"
        ) from error


def fold_batch_norm(module: nn.Module) -> int:
    """Fold every batch norm that follows a convolution, and nothing else does, into it; return how many.

    Weights change in place and the batch norm becomes an identity, so all names survive. The convolution's
    own activation is then the normalised one. In eval mode the network computes the same, up to rounding.
    """
    try:
        graph = torch.fx.symbolic_trace(module.eval()).graph
    except Exception:
        return 0
    parts = dict(module.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    folded = 0
    for node in graph.nodes:
        norm = parts.get(node.target) if node.op == "call_module" else None
        if not isinstance(norm, nn.BatchNorm2d) or norm.running_mean is None:
            continue
        before = node.args[0]
        conv = parts.get(before.target) if before.op == "call_module" else None
        if not isinstance(conv, nn.Conv2d) or len(before.users) != 1:
            continue
        if calls[before.target] != 1 or calls[node.target] != 1:  # shared with another place
            continue
        fused = torch.nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
        conv.weight, conv.bias = fused.weight, fused.bias
        parent, _, child = node.target.rpartition(".")
        setattr(module.get_submodule(parent), child, nn.Identity())
        folded += 1
    return folded
