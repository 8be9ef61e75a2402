"""Networks to look into, loaded by name."""

from __future__ import annotations

import torch

from ..environment import device as choose_device
from .embedded import EMBEDDED
from .network import LOGITS, Layer, Layers, Network, UnknownName
from .relu import redirected_relu
from .torchvision_models import torchvision_network

__all__ = ["LOGITS", "Layer", "Layers", "Network", "UnknownName", "load_network", "redirected_relu"]


def load_network(
    name: str = "squeezenet1_1", device: torch.device | str | None = None, *, weights: str | None = "embedded"
) -> Network:
    """A network by name, frozen, with its normalisation inside.

    Args:
        name: ``"squeezenet1_1"``, ``"inception_v3"`` or ``"vgg16"`` (as far as relu4_3), all embedded, or any
            classifier of torchvision.
        device: where it shall live; None takes the best that is there (see :func:`dip_lessons.device`).
        weights: ``"embedded"`` takes the embedded weights where there are some, else torchvision's default
            ones; the name of one of torchvision's weights (``"DEFAULT"``, ``"IMAGENET1K_V1"``) downloads
            those; None gives random ones.

    Raises KeyError for an unknown name of a network or of weights, OSError for weights that cannot be
    downloaded, :class:`dip_lessons.assets.AssetError` for embedded ones that are missing or corrupt.
    """
    with torch.random.fork_rng(
        devices=[]
    ):  # torch draws first weights; the caller's random numbers stay the same
        if weights == "embedded":
            network = EMBEDDED[name]() if name in EMBEDDED else torchvision_network(name)
        else:
            network = torchvision_network(name, weights)
    network.loaded_as = {"name": name, "weights": weights}
    return network.to(choose_device(device))
