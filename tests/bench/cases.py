"""The networks that everybody is measured on: one module, with the same weights, for us, the peers and the floor."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torchvision
from torch import Tensor, nn

import dip_lessons as dip
from dip_lessons.networks.torchvision_models import fold_batch_norm

INDEX = 10  # the channel whose mean is maximised


@dataclass(frozen=True)
class Case:
    """A network, a layer of it and a size; ``bound`` is how many of our steps one of Lucent's shall pay for."""

    name: str
    layer: str
    size: int
    bound: float | None = None

    @property
    def title(self) -> str:
        """How its rows begin."""
        return f"{self.name} {self.layer}, {self.size} px"


STEPS = (
    Case("googlenet", "inception4a", 224, 2.8),
    Case("resnet50", "layer3.0", 224, 2.8),
    Case("efficientnet_lite0", "blocks.3", 224, 3.2),
    Case("inception_v3", "Mixed_6b", 224),
    Case("squeezenet1_1", "features.9", 224),
    Case("squeezenet1_1", "features.9", 128),
    Case("vgg16", "features.15", 128, 1.8),
)
DENSE = (STEPS[1], STEPS[-1])  # networks of dense convolutions, for bf16


class Normalise(nn.Module):
    """What a network expects of a picture in [0, 1]."""

    def __init__(self, network: dip.Network) -> None:
        super().__init__()
        self.mean, self.std, self.bgr = network.mean, network.std, network.bgr

    def forward(self, image: Tensor) -> Tensor:
        x = (image - self.mean) / self.std
        return x.flip(1) if self.bgr else x


@dataclass
class Parts:
    """One network three times, with the same weights: as it came, ours, and the floor's."""

    module: nn.Module  # for the peers: nothing frozen, nothing folded
    network: dip.Network
    folded: nn.Module
    normalise: Normalise


@functools.lru_cache(maxsize=1)
def parts(name: str) -> Parts:
    """The network of a case on the best device there is.

    SqueezeNet and InceptionV3 have their real weights (the latter with batch norm folded in already, so that
    there is nothing for us to gain); the others random ones, with batch norm's statistics taken from the
    course's pictures, so that activations are of ordinary size.
    """
    if name in ("squeezenet1_1", "inception_v3"):
        network = dip.load_network(name)
        module = as_it_came(network.module)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = calibrate(MAKERS.get(name, lambda: torchvision.models.get_model(name, weights=None))())
        ours = copy.deepcopy(module)
        fold_batch_norm(ours)
        network = dip.Network(ours, name=name).to(dip.device())
    module = module.to(network.device)
    folded = copy.deepcopy(module)
    fold_batch_norm(folded)
    return Parts(module, network, folded, Normalise(network))


def as_it_came(module: nn.Module) -> nn.Module:
    """A copy that wants gradients, works in place where it can, and has ordinary memory format."""
    module = copy.deepcopy(module).requires_grad_(True).to(memory_format=torch.contiguous_format)
    for part in module.modules():
        if isinstance(part, (nn.ReLU, nn.ReLU6)):
            part.inplace = True
    return module


def efficientnet_lite0() -> nn.Module:
    """From timm, where it is installed; its batch norms that end in an activation are split into the two."""
    import timm

    module = timm.create_model("efficientnet_lite0", pretrained=False).eval()
    for name, part in list(module.named_modules()):
        if type(part).__name__ == "BatchNormAct2d":
            norm = nn.BatchNorm2d(part.num_features, eps=part.eps)
            norm.load_state_dict(part.state_dict())
            parent, _, child = name.rpartition(".")
            setattr(module.get_submodule(parent), child, nn.Sequential(norm, part.act))
    return module


def googlenet() -> nn.Module:
    """Without the heads that are used in training only."""
    return torchvision.models.googlenet(weights=None, aux_logits=False, init_weights=True)


MAKERS: dict[str, Callable[[], nn.Module]] = {
    "efficientnet_lite0": efficientnet_lite0,
    "googlenet": googlenet,
}


@torch.no_grad()
def calibrate(module: nn.Module) -> nn.Module:
    """Give random weights ordinary activations: batch norm's statistics from pictures. Returns it in eval mode."""
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    pictures = torch.cat([dip.assets.picture(name, (128, 128)) for name in dip.assets.pictures()[:8]])
    module.eval()
    for norm in norms:
        norm.train()
    module((pictures - 0.45) / 0.226)
    return module.eval()


def agree(case: Case) -> float:
    """How far our activation lies from the module's own, relative to the largest: the same network is measured."""
    p = parts(case.name)
    image = torch.rand(1, 3, case.size, case.size, generator=torch.Generator().manual_seed(0)).to(
        p.network.device
    )
    kept: list[Tensor] = []
    handle = p.module.get_submodule(case.layer).register_forward_hook(
        lambda _m, _i, o: kept.append(o.clone())
    )
    with torch.no_grad():
        p.module(p.normalise(image))
        ours = p.network(image, [case.layer])[case.layer]
    handle.remove()
    return float((ours - kept[0]).abs().max() / kept[0].abs().max())
