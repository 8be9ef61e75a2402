"""Random views of a picture: shifted, scaled, rotated, cropped by ONE affine resampling, perhaps blurred."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Views:
    """``views(image, generator) -> (count·B, C, h, w)``: every view draws its own transformation.

    A pixel q of a view, counted from the view's centre, shows the picture at

        p = R(φ) q / s + t + c

    counted from the picture's centre: s is the scale, φ the angle, t the jitter, c the place of the crop.
    Outside the picture its mirror image is seen. See :func:`random_views` for the ranges.
    """

    jitter: int = 0
    scale: tuple[float, float] = (1.0, 1.0)
    rotate: float = 0.0
    crop: tuple[int, int] | None = None
    blur: float = 0.0
    count: int = 1
    strength: float = 1.0

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Draw ``count`` views of each picture (B, C, H, W), view by view: view i of picture b is i·B + b.

        Raises ValueError for what is no picture, and for a crop that does not fit in it.
        """
        if image.ndim != 4:
            raise ValueError(f"views are taken of pictures (B, C, H, W); got {tuple(image.shape)}")
        batch, _, height, width = image.shape
        size = self.crop or (height, width)
        if size[0] > height or size[1] > width:
            raise ValueError(
                f"a crop of {size} does not fit in a picture of {(height, width)}; take a smaller crop"
            )
        matrix = self.draw(self.count * batch, (height, width), generator)
        views = image.repeat(self.count, 1, 1, 1)
        views = resample(views, matrix.to(image), size)
        if self.blur * self.strength > 0:
            sigma = self.blur * self.strength * torch.rand(len(views), generator=generator)
            views = gaussian_blur(views, sigma.to(image))
        return views

    def draw(self, n: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """n random matrices [R(φ)/s | t + c], (n, 2, 3), in pixels, rows (x, y), drawn on the CPU."""

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(n, generator=generator)

        k = self.strength
        scale = uniform(1 + k * (self.scale[0] - 1), 1 + k * (self.scale[1] - 1))
        angle = torch.deg2rad(uniform(-k * self.rotate, k * self.rotate))
        cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
        shifts = []
        for full, part in zip(reversed(size), reversed(self.crop or size), strict=True):  # x, then y
            bound = round(k * self.jitter)
            jitter = torch.randint(-bound, bound + 1, (n,), generator=generator)  # whole pixels blur nothing
            place = torch.randint(0, full - part + 1, (n,), generator=generator) + (part - full) / 2
            shifts.append(jitter + place)
        rows = [torch.stack([cos, -sin, shifts[0]], dim=-1), torch.stack([sin, cos, shifts[1]], dim=-1)]
        return torch.stack(rows, dim=1)  # (n, 2, 3)

    def change(self, **fields: object) -> Views:
        """The same views with some fields changed, checked like those of :func:`random_views`."""
        return _checked(replace(self, **_ranges(fields)))


def random_views(
    *,
    jitter: int = 0,
    scale: float | tuple[float, float] = 0.0,
    rotate: float = 0.0,
    crop: int | tuple[int, int] | None = None,
    blur: float = 0.0,
    count: int = 1,
) -> Views:
    """Random views, for transformation robustness.

    Args:
        jitter: shift by up to this many whole pixels, in x and in y.
        scale: .1 draws the magnification from [.9, 1.1]; a pair gives the range itself. Above 1 is nearer.
        rotate: turn by up to this many degrees, either way.
        crop: side, or (height, width), of the view in pixels; its place is drawn over the whole picture.
        blur: a Gaussian blur whose standard deviation, in pixels, is drawn from [0, blur].
        count: the number of views of each picture in one step.

    All draws are uniform. Raises ValueError for a range that makes no sense.

    **Source:** the ingredients are those of Lucid's ``optvis/transform.py``, a chain of resamplings there.
    """
    fields = {"jitter": jitter, "scale": scale, "rotate": rotate, "crop": crop, "blur": blur, "count": count}
    return _checked(Views(**_ranges(fields)))


def standard_views() -> Views:
    """The mixture the course uses where nothing else is said: ±12 px, ±10 %, ±10°, blur up to 1.2 px."""
    return random_views(jitter=12, scale=0.1, rotate=10, blur=1.2)


def _ranges(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of :class:`Views`, with a single number for ``scale`` or ``crop`` written out as a pair."""
    fields = dict(fields)
    if "scale" in fields:
        scale = fields["scale"]
        span = (1 - float(scale), 1 + float(scale)) if isinstance(scale, Real) else tuple(map(float, scale))
        fields["scale"] = span if len(span) == 2 else (0.0, 0.0)  # which is refused
    if isinstance(crop := fields.get("crop"), int):
        fields["crop"] = (crop, crop)
    return fields


def _checked(views: Views) -> Views:
    low, high = views.scale
    problems = {
        "jitter must be a whole number of pixels, 0 or more": not 0 <= views.jitter < math.inf
        or views.jitter != int(views.jitter),
        "scale must lie above 0: a number below 1 or (low, high)": not 0 < low <= high < math.inf,
        "rotate must be degrees between 0 and 180": not 0 <= views.rotate <= 180,
        "crop must be a positive number of pixels, or two": views.crop is not None
        and not (len(views.crop) == 2 and all(isinstance(n, int) and n > 0 for n in views.crop)),
        "blur must be a standard deviation in pixels, 0 or more": not 0 <= views.blur < math.inf,
        "count must be a whole number, 1 or more": not isinstance(views.count, int) or views.count < 1,
        "strength must be 0 or more, and small enough for the scale to stay above 0": not (
            0 <= views.strength < math.inf and 1 + views.strength * (low - 1) > 0
        ),
    }
    for message, wrong in problems.items():
        if wrong:
            raise ValueError(f"{message}; got {views}")
    return views


def resample(image: Tensor, matrix: Tensor, size: tuple[int, int]) -> Tensor:
    """Sample (N, C, H, W) at M q for every pixel q of a view: bilinear, mirrored at the border.

    Args:
        image: (N, C, H, W).
        matrix: (N, 2, 3), from pixels (x, y) of the view to those of the picture, counted from their centres.
        size: (h, w) of the view.

    Returns (N, C, h, w), differentiable in ``image``.
    """
    height, width = image.shape[-2:]
    # affine_grid counts both sides in halves of their own size: pixels = normalised · size / 2.
    to_pixels = matrix.new_tensor([size[1] / 2, size[0] / 2, 1.0])
    from_pixels = matrix.new_tensor([2 / width, 2 / height])[:, None]
    grid = F.affine_grid(matrix * to_pixels * from_pixels, [len(image), 1, *size], align_corners=False)
    return F.grid_sample(image, grid, padding_mode="reflection", align_corners=False)


def gaussian_blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Blur each picture (N, C, H, W) by its own standard deviation (N,) in pixels, mirrored at the border."""
    n, channels, height, width = image.shape
    radius = min(math.ceil(3 * float(sigma.max())), height - 1, width - 1)
    offsets = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp(min=1e-3)[:, None]) ** 2)  # (N, 2·radius + 1)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)[:, None]
    x = F.pad(image, (radius, radius, radius, radius), mode="reflect").reshape(
        1, n * channels, -1, width + 2 * radius
    )
    x = F.conv2d(x, kernel[:, :, None, :], groups=n * channels)
    x = F.conv2d(x, kernel[:, :, :, None], groups=n * channels)
    return x.reshape(n, channels, height, width)
