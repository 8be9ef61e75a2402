"""Pictures as files and as tensors: the way in and the way out."""

from __future__ import annotations

from PIL import Image
from torch import Tensor


def to_pil(image: Tensor) -> Image.Image:
    """One picture (C, H, W) in [0, 1], C = 1, 3 or 4, as a PIL image of 8 bits.

    >>> from dip_lessons.pictures import to_pil
    >>> to_pil(torch.tensor([1.0, 0.0, 0.5]).view(3, 1, 1)).getpixel((0, 0))
    (255, 0, 128)
    """
    if image.ndim != 3 or image.shape[0] not in (1, 3, 4):
        raise ValueError(f"a picture has shape (C, H, W) with 1, 3 or 4 channels; got {tuple(image.shape)}")
    if not image.isfinite().all():
        raise ValueError("the picture holds NaN or infinite numbers")
    data = (image.detach().float().cpu().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(data[..., 0] if data.shape[2] == 1 else data)
