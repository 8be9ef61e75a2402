"""Pictures in [0, 1] as a network wants them: its channels, mean, standard deviation, order and size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Statistic = float | Sequence[float] | Tensor


def statistics(mean: Statistic, std: Statistic, channels: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation as float32 tensors (1, C, 1, 1) on the CPU; one number each stands for all channels.

    Args:
        mean, std: one number, or one for each of one or three channels, on the scale [0, 1].
        channels: how many the network takes, where both are one number.

    Raises ValueError for other numbers, among them those on the scale 0 to 255.

    >>> from dip_lessons.networks.normalise import statistics
    >>> statistics(0.13, 0.3, 1)[0].shape, statistics((0.5, 0.5, 0.5), 0.5, 3)[1].flatten()
    (torch.Size([1, 1, 1, 1]), tensor([0.5000, 0.5000, 0.5000]))
    >>> statistics((123.7, 116.8, 103.9), (58.4, 57.1, 57.4), 3)
    Traceback (most recent call last):
        ...
    ValueError: mean and std are on the scale [0, 1] of the pictures; got a mean of (123.7, 116.8, 103.9): divide ...
    """
    pair = [torch.as_tensor(v).detach().to("cpu", torch.float32).flatten() for v in (mean, std)]
    given = f"mean {_short(mean)} and std {_short(std)}"
    lengths = {len(v) for v in pair} - {1} or {channels if _single(mean) and _single(std) else 1}
    if len(lengths) > 1 or not lengths <= {1, 3}:
        raise ValueError(
            "mean and std must be three numbers each, for red, green and blue, or one number each for a network of "
            f"grey pictures; got {given}"
        )
    if not all(v.isfinite().all() for v in pair) or not (pair[1] > 0).all():
        raise ValueError(f"mean must be finite and std above 0; got {given}")
    if (pair[0] > 1.5).any():
        raise ValueError(
            f"mean and std are on the scale [0, 1] of the pictures; got a mean of {_short(mean)}: divide both by 255"
        )
    one, other = (v.expand(*lengths).clone().view(1, -1, 1, 1) for v in pair)
    return one, other


def normalised(image: Tensor, mean: Tensor, std: Tensor, bgr: bool, side: int | None) -> Tensor:
    """(image − mean) / std, resized to one side if there is one, in channels_last: (N, C, h, w)."""
    channels = mean.shape[1]
    if image.shape[1] != channels:
        image = image.expand(-1, channels, -1, -1)
    if side and image.shape[-2:] != (side, side):
        image = F.interpolate(image, (side, side), mode="bilinear", antialias=True)
    # In one pass: colours side by side, as they lie in memory in channels_last.
    rows = image.permute(0, 2, 3, 1).flatten(2)  # (N, H, W·C)
    gain, offset = (1 / std).flatten(), (-mean / std).flatten()
    width = image.shape[3]
    x = torch.addcmul(offset.repeat(width), rows, gain.repeat(width))
    x = x.unflatten(2, (-1, channels)).permute(0, 3, 1, 2)
    return x.flip(1) if bgr else x


def _single(value: Statistic) -> bool:
    return torch.as_tensor(value).ndim == 0


def _short(value: Statistic) -> object:
    return value.tolist() if isinstance(value, Tensor) else value
