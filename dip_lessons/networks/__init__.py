"""Networks to look into, loaded by name."""

from __future__ import annotations

import torch

from ..hardware import device as choose_device
from .embedded import EMBEDDED
from .layers import Layer, Layers, UnknownName
from .network import LOGITS, OUTPUT, Network
from .relu import redirected_relu
from .torchvision_models import torchvision_network

__all__ = ["LOGITS", "OUTPUT", "Layer", "Layers", "Network", "UnknownName", "load_network", "redirected_relu"]


def load_network(
    name: str = "squeezenet1_1",
    device: torch.device | str | None = None,
    *,
    weights: str | None = "embedded",
    precision: str = "float32",
) -> Network:
    """A network by name, frozen, with its normalisation inside.

    Args:
        name: ``"squeezenet1_1"``, ``"inception_v3"`` or ``"vgg16"`` (as far as relu4_3), all embedded, or any
            classifier of torchvision.
        device: where it shall live; None takes the best that is there (see :func:`dip_lessons.device`).
        weights: ``"embedded"`` takes the embedded weights where there are some, else torchvision's default
            ones; the name of one of torchvision's weights (``"DEFAULT"``, ``"IMAGENET1K_V1"``) downloads
            those; None gives random ones.
        precision: ``"float32"``; or ``"bfloat16"``, in which the network computes, with pictures, objectives and
            parameters still in float32. It has 3 digits instead of 7: gradients point nearly the same way (cosine
            .95 to .997 in the embedded networks). It is faster where the hardware computes in it (recent GPUs;
            CPUs with AVX512-BF16 or AMX: twice on VGG16 and ResNet50), and several times slower elsewhere.

    Raises ValueError for another precision, KeyError for an unknown name of a network or of weights, OSError
    for weights that cannot be downloaded, :class:`dip_lessons.assets.AssetError` for embedded ones that are
    missing or corrupt.

    >>> network = dip.load_network("squeezenet1_1", device="cpu")
    >>> seen = network(torch.zeros(1, 3, 64, 64), ["features.3", "features.9"])
    >>> {name: tuple(a.shape) for name, a in seen.items()}
    {'features.3': (1, 128, 15, 15), 'features.9': (1, 384, 3, 3)}
    """
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision must be 'float32' or 'bfloat16'; got {precision!r}")
    # torch draws first weights; the caller's random numbers stay the same.
    with torch.random.fork_rng(devices=[]):
        if weights == "embedded":
            network = EMBEDDED[name]() if name in EMBEDDED else torchvision_network(name)
        else:
            network = torchvision_network(name, weights)
    network.loaded_as = {"name": name, "weights": weights}
    if precision != "float32":
        network.module.to(torch.bfloat16)
        network.loaded_as["precision"] = precision
    return network.to(choose_device(device))
