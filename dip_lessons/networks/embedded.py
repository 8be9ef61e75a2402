"""The ImageNet networks whose weights lie in ``data/``: they load offline, by torchvision's names."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models import vgg
from torchvision.models.inception import BasicConv2d

from .. import assets
from .network import Network


def squeezenet1_1() -> Network:
    """SqueezeNet 1.1: small and fast; 1000 ImageNet classes."""
    module = torchvision.models.squeezenet1_1()
    module.load_state_dict(_tensors("weights/squeezenet1_1.fp16.npz"))
    first = module.features[0]
    first.weight = nn.Parameter(first.weight.flip(1))  # it was trained with Caffe's BGR; pictures are RGB
    mean, std = [123.68 / 255, 116.779 / 255, 103.939 / 255], [1 / 255] * 3
    return Network(module, mean=mean, std=std, name="squeezenet1_1", classes=imagenet_classes())


def vgg16() -> Network:
    """VGG16's convolutions as far as relu4_3, ``features.22``, usual in style transfer; it has no classes."""
    module = nn.Sequential()
    module.add_module("features", vgg.make_layers(vgg.cfgs["D"])[:23])
    module.load_state_dict(_tensors("weights/vgg16_relu4_3.fp16.npz"))
    return Network(module, name="vgg16", has_logits=False)


def inception_v3() -> Network:
    """InceptionV3, the nearest to the article's InceptionV1; 1000 ImageNet classes.

    The weights were stored in 8 bits with batch norm folded in: w = (w_u8 − zero) · scale.
    """
    module = torchvision.models.inception_v3(aux_logits=False, transform_input=False, init_weights=False)
    stored = _tensors("weights/inception_v3.uint8.npz")
    for name, part in module.named_modules():
        if isinstance(part, BasicConv2d):
            part.bn = nn.Identity()
            part.conv.bias = nn.Parameter(torch.zeros(part.conv.out_channels))
            if name.endswith("branch_pool"):
                part.__class__ = PooledConv2d
    with torch.no_grad():
        for name, part in module.named_modules():
            if f"{name}.weight_u8" in stored:
                target = part.conv if isinstance(part, BasicConv2d) else part
                scale, zero = stored[f"{name}.scale_zero"].tolist()
                weight = (stored[f"{name}.weight_u8"].float() - zero) * scale
                target.weight.copy_(weight.view_as(target.weight))
                target.bias.copy_(stored[f"{name}.bias"])
    half, mean = [128 / 255] * 3, [128 / 255] * 3  # (255·x − 128) / 128
    return Network(module, mean=mean, std=half, name="inception_v3", classes=imagenet_classes())


class PooledConv2d(BasicConv2d):
    """A convolution after an average pool that, as in TensorFlow, leaves the padding out of the count."""

    def forward(self, x: Tensor) -> Tensor:
        inside = F.avg_pool2d(
            torch.ones_like(x[:1, :1]), 3, stride=1, padding=1
        )  # share of each window in the map
        return super().forward(x / inside)


def imagenet_classes() -> list[str]:
    """The names of ImageNet's 1000 classes, in the usual order."""
    return torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.meta["categories"]


def _tensors(asset: str) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in assets.arrays(asset).items()}


EMBEDDED: dict[str, Callable[[], Network]] = {
    "squeezenet1_1": squeezenet1_1,
    "inception_v3": inception_v3,
    "vgg16": vgg16,
}
