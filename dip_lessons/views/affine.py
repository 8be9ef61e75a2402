"""Random views of a picture: shifted, scaled, rotated, cropped by ONE affine resampling, blurred, with noise.

A picture with transparency is seen over a random background.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..arguments import is_whole
from ..registry import enter
from .background import BACKGROUNDS, composite
from .base import CPU, RandomViews


@enter("views")
@dataclass(frozen=True)
class Views(RandomViews):
    """``views(image, generator) -> (count·B, C, h, w)``: every view draws its own transformation.

    A pixel q of a view, counted from the view's centre, shows the picture at

        p = R(φ) q / s + t + c

    counted from the picture's centre: s is the scale, φ the angle, t the jitter, c the position of the crop.
    Outside the picture its mirror image is seen. See :func:`random_views` for the ranges.

    A picture (B, 4, H, W), RGB and alpha, is laid over a background first, at full size. Its views have four
    channels too: the colours that are seen, and the alpha at each position of the view.

    ``strength`` scales jitter, scale, rotation, blur and noise together: 1 is as asked, 0 leaves the picture
    as it is, but for the crop.

    >>> views = dip.random_views(jitter=8, count=4)
    >>> views.jitter, views.count
    (8, 4)
    >>> image, generator = torch.zeros(2, 3, 32, 32), torch.Generator().manual_seed(0)
    >>> views(image, generator).shape  # four views of each of two pictures
    torch.Size([8, 3, 32, 32])
    """

    jitter: int = 0
    scale: tuple[float, float] = (1.0, 1.0)
    rotate: float = 0.0
    crop: tuple[int, int] | None = None
    blur: float = 0.0
    count: int = 1
    strength: float = 1.0
    noise: float = 0.0
    shared: bool = False
    background: str | None = None
    made_by = "random_views"

    def see(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Draw ``count`` views of each picture (B, C, H, W), view by view: view i of picture b is i·B + b.

        Raises ValueError for a tensor that is not a picture, for a crop that does not fit in it, and for transparency
        without a background.
        """
        if image.ndim != 4:
            raise ValueError(f"views are taken of pictures (B, C, H, W); got {tuple(image.shape)}")
        batch, channels, height, width = image.shape
        size = self.crop or (height, width)
        if size[0] > height or size[1] > width:
            raise ValueError(
                f"a crop of {size} does not fit in a picture of {(height, width)}; take a smaller crop"
            )
        n = self.count * (1 if self.shared else batch)  # how many views are drawn
        matrix = self.draw(n, (height, width), generator)
        if channels == 4:
            image = self._over_background(image, n, generator)
        # Pictures that share their views are channels of one picture.
        seen = image.reshape(len(image) // batch, -1, height, width) if self.shared else image
        views = resample(seen, matrix.to(image), size)
        if self.blur * self.strength > 0:
            sigma = self.blur * self.strength * torch.rand(n, generator=generator, **CPU)
            views = gaussian_blur(views, sigma.to(image))
        views = views.reshape(self.count * batch, channels, *size)
        if self.noise * self.strength > 0:
            colours = 3 if channels == 4 else channels
            noise = torch.randn(n, colours, *size, generator=generator, **CPU).to(image)
            noise = noise.repeat_interleave(len(views) // n, dim=0) if self.shared else noise
            if channels > colours:
                noise = F.pad(noise, (0, 0, 0, 0, 0, channels - colours))  # none on alpha
            views = torch.add(views, noise, alpha=self.noise * self.strength)
        return views

    def _over_background(self, rgba: Tensor, n: int, generator: torch.Generator) -> Tensor:
        """(B, 4, H, W) over n backgrounds: (count·B, 4, H, W), composited colours and alpha."""
        if self.background is None:
            raise ValueError(
                "a picture with transparency is seen over a background: random_views(background=…) with one "
                f"of {', '.join(map(repr, BACKGROUNDS))}"
            )
        # One number is drawn for any kind, so that runs over different backgrounds differ in nothing else.
        seed = int(torch.randint(2**32, (), generator=generator, device="cpu"))
        own, (height, width) = torch.Generator().manual_seed(seed), rgba.shape[-2:]
        drawn = BACKGROUNDS[self.background](n, (height, width), own)
        background = drawn.to(rgba).expand(n, -1, -1, -1).unflatten(0, (self.count, -1))  # (count, B or 1, …)
        colours = composite(rgba, background)  # (count, B, 3, H, W)
        alpha = rgba[:, 3:].expand(self.count, -1, -1, -1, -1)
        return torch.cat([colours, alpha], dim=2).flatten(0, 1)

    def draw(self, n: int, size: tuple[int, int], generator: torch.Generator) -> Tensor:
        """n random matrices [R(φ)/s | t + c], (n, 2, 3), in pixels, rows (x, y), drawn on the CPU.

        >>> views = dip.random_views(scale=(2.0, 2.0))  # always twice as near
        >>> matrix = views.draw(1, (32, 32), torch.Generator().manual_seed(0))
        >>> matrix.shape, matrix[0, 0, 0].item()  # from one pixel to the next, half a pixel of the picture
        (torch.Size([1, 2, 3]), 0.5)
        """

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(n, generator=generator, **CPU)

        k = self.strength
        scale = uniform(1 + k * (self.scale[0] - 1), 1 + k * (self.scale[1] - 1))
        angle = torch.deg2rad(uniform(-k * self.rotate, k * self.rotate))
        cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
        shifts = []
        for full, part in zip(reversed(size), reversed(self.crop or size), strict=True):  # x, then y
            bound = round(k * self.jitter)
            jitter = torch.randint(
                -bound, bound + 1, (n,), generator=generator, device="cpu"
            )  # whole pixels blur nothing
            place = (
                torch.randint(0, full - part + 1, (n,), generator=generator, device="cpu") + (part - full) / 2
            )
            shifts.append(jitter + place)
        rows = [torch.stack([cos, -sin, shifts[0]], dim=-1), torch.stack([sin, cos, shifts[1]], dim=-1)]
        return torch.stack(rows, dim=1)  # (n, 2, 3)

    @classmethod
    def written_out(cls, changed: dict[str, Any]) -> dict[str, Any]:
        """A single number for ``scale`` or ``crop`` written out as a pair."""
        changed = dict(changed)
        if "scale" in changed:
            scale = changed["scale"]
            span = (
                (1 - float(scale), 1 + float(scale)) if isinstance(scale, Real) else tuple(map(float, scale))
            )
            changed["scale"] = span if len(span) == 2 else (0.0, 0.0)  # which is refused
        if is_whole(changed.get("crop")):
            changed["crop"] = (operator.index(changed["crop"]),) * 2
        if is_whole(changed.get("count")):
            changed["count"] = operator.index(changed["count"])
        return changed

    def problems(self) -> Mapping[str, bool]:
        """{what a field must be: whether it is not}."""
        low, high = self.scale
        return {
            "jitter must be a whole number of pixels, 0 or more": not 0 <= self.jitter < math.inf
            or self.jitter != int(self.jitter),
            "scale must lie above 0: a number below 1 or (low, high)": not 0 < low <= high < math.inf,
            "rotate must be degrees between 0 and 180": not 0 <= self.rotate <= 180,
            "crop must be a positive number of pixels, or two": self.crop is not None
            and not (len(self.crop) == 2 and all(is_whole(n) and n > 0 for n in self.crop)),
            "blur must be a standard deviation in pixels, 0 or more": not 0 <= self.blur < math.inf,
            "noise must be a standard deviation of colours, 0 or more": not 0 <= self.noise < math.inf,
            "shared must be True or False": not isinstance(self.shared, bool),
            f"background must be None or one of {', '.join(map(repr, BACKGROUNDS))}": self.background
            not in (None, *BACKGROUNDS),
            "count must be a whole number, 1 or more": not is_whole(self.count) or self.count < 1,
            "strength must be 0 or more, and small enough for the scale to stay above 0": not (
                0 <= self.strength < math.inf and 1 + self.strength * (low - 1) > 0
            ),
        }


def random_views(
    *,
    jitter: int = 0,
    scale: float | tuple[float, float] = 0.0,
    rotate: float = 0.0,
    crop: int | tuple[int, int] | None = None,
    blur: float = 0.0,
    noise: float = 0.0,
    background: str | None = None,
    shared: bool = False,
    count: int = 1,
) -> Views:
    """Random views, for transformation robustness.

    Args:
        jitter: shift by up to this many whole pixels, in x and in y.
        scale: .1 draws the magnification from [.9, 1.1]; a pair gives the range itself. Above 1 is nearer.
        rotate: turn by up to this many degrees, either way.
        crop: side, or (height, width), of the view in pixels; its position is drawn over the whole picture.
        blur: a Gaussian blur whose standard deviation, in pixels, is drawn from [0, blur].
        noise: standard deviation of the Gaussian noise that is added to colours last; it may leave [0, 1].
        background: what a picture with transparency is seen over, a new one in each view: "waves" (a random
            picture), "noise" (independent pixels), "color" (one flat random colour), "grey", "black" or
            "white"; or "static", one picture that never changes. Pictures without alpha take no notice of it.
        shared: whether all pictures of a batch share their views (shift, scale, angle, crop, blur,
            noise, background), for objectives that compare them.
        count: the number of views of each picture in one step.

    All draws but the noise's are uniform. Raises ValueError for a range that makes no sense.

    **Source:** the ingredients are those of Lucid's ``optvis/transform.py``, a chain of resamplings there; noise
    as in MACO (Fel et al. 2023, with .08); backgrounds as in the article's section on transparency.

    >>> photo = dip.assets.picture("chelsea", (64, 64))
    >>> views = dip.random_views(jitter=4, crop=48)
    >>> view = views(photo, torch.Generator().manual_seed(0))
    >>> view.shape
    torch.Size([1, 3, 48, 48])
    >>> again = views(photo, torch.Generator().manual_seed(0))
    >>> torch.equal(view, again)  # what is drawn comes from the generator
    True
    """
    fields = {
        "jitter": jitter,
        "scale": scale,
        "rotate": rotate,
        "crop": crop,
        "blur": blur,
        "noise": noise,
        "background": background,
        "shared": shared,
        "count": count,
    }
    return Views().change(**fields)


def standard_views() -> Views:
    """The mixture the course uses where nothing else is said: ±12 px, ±10 %, ±10°, blur up to 1.2 px.

    >>> dip.standard_views()  # doctest: +NORMALIZE_WHITESPACE
    Views(jitter=12, scale=(0.9, 1.1), rotate=10, crop=None, blur=1.2, count=1, strength=1.0, noise=0.0,
          shared=False, background=None)
    """
    return random_views(jitter=12, scale=0.1, rotate=10, blur=1.2)


def resample(image: Tensor, matrix: Tensor, size: tuple[int, int]) -> Tensor:
    """Sample pictures at M q for every pixel q of a view: bilinear, mirrored at the border.

    Args:
        image: (N, C, H, W).
        matrix: (k·N, 2, 3), from pixels (x, y) of a view to those of the picture, counted from their centres:
            k views of each picture, matrix i·N + b for picture b.
        size: (h, w) of the view.

    Returns (k·N, C, h, w), differentiable in ``image``.

    >>> from dip_lessons.views.affine import resample
    >>> row = torch.arange(4.0).view(1, 1, 1, 4)
    >>> shift = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]])  # one pixel to the right of where a pixel lies
    >>> resample(row, shift, (1, 4)).flatten()  # and mirrored at the border
    tensor([1., 2., 3., 3.])
    """
    pictures, (h, w) = len(image), size
    per_half = image.new_tensor(
        [2 / image.shape[-1], 2 / image.shape[-2]]
    )  # grid_sample counts in half sides
    along, down, shift = (matrix * per_half[:, None]).unbind(dim=-1)  # each (k·N, 2): a step right, down; t
    x, y = (torch.arange(n, device=image.device, dtype=image.dtype) - (n - 1) / 2 for n in (w, h))
    rows = along[:, None, None] * x[:, None]  # (k·N, 1, w, 2)
    columns = (down[:, None] * y[:, None] + shift[:, None])[:, :, None]  # (k·N, h, 1, 2)
    # Their sum, taken of points as complex numbers: pairs would be added one at a time.
    places = torch.view_as_real(torch.view_as_complex(rows) + torch.view_as_complex(columns))
    # The k views of a picture, one below the other, are sampled as one: nothing of the picture's size is copied.
    grid = places.unflatten(0, (-1, pictures)).transpose(0, 1).flatten(1, 2)  # (N, k·h, w, 2)
    views = F.grid_sample(image, grid, padding_mode="reflection", align_corners=False)
    return views.unflatten(2, (-1, h)).permute(2, 0, 1, 3, 4).flatten(0, 1)


def gaussian_blur(image: Tensor, sigma: Tensor) -> Tensor:
    """Blur each picture (N, C, H, W) by its own standard deviation (N,) in pixels, mirrored at the border.

    Args:
        image: (N, C, H, W).
        sigma: (N,), 0 or more; up to three of it the blur reaches.

    >>> from dip_lessons.views.affine import gaussian_blur
    >>> dot = torch.zeros(1, 1, 15, 15)
    >>> dot[..., 7, 7] = 1
    >>> soft = gaussian_blur(dot, torch.tensor([1.5]))
    >>> round(soft.sum().item(), 4), soft[0, 0, 7, 7].item() < 0.1  # spread out, and nothing lost
    (1.0, True)
    """
    n, channels, height, width = image.shape
    radius = min(math.ceil(3 * float(sigma.max())), height - 1, width - 1)
    offsets = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma.clamp(min=1e-3)[:, None]) ** 2)  # (N, 2·radius + 1)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)[:, None]
    x = F.pad(image, (radius, radius, radius, radius), mode="reflect")
    x = x.reshape(1, n * channels, -1, width + 2 * radius).contiguous(memory_format=torch.channels_last)
    x = F.conv2d(x, kernel[:, :, None, :], groups=n * channels)
    x = F.conv2d(x, kernel[:, :, :, None], groups=n * channels)
    return x.reshape(n, channels, height, width)
