"""Panoramas: views from inside an equirectangular picture, and files that 360° viewers recognise.

Longitude grows to the right, as somebody in the centre sees it; row 0 is the zenith.
"""

from __future__ import annotations

import io
import math
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..arguments import height_width, is_whole
from ..atomic import atomic_write
from ..hardware import no_autocast
from ..pictures import to_pil
from ..registry import enter
from ..views.affine import gaussian_blur
from ..views.base import CPU, RandomViews


@enter("views")
@dataclass(frozen=True)
class TangentViews(RandomViews):
    """``views(image, generator) -> (count·B, C, h, w)``: each is what a camera in the centre of a panorama sees.

    A pixel q of a view, counted from the view's centre, shows the panorama in the direction

        n = forward + (2 tan(fov/2) / w) (q_x right + q_y down)

    of a camera whose heading, pitch and roll are drawn. See :func:`tangent_views` for the ranges.

    >>> views = dip.tangent_views(32, count=2)
    >>> panorama = dip.SphericalHarmonics(16)()
    >>> views(panorama, torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3, 32, 32])
    """

    size: tuple[int, int] = (224, 224)
    fov: tuple[float, float] = (60.0, 90.0)
    pitch: float = 90.0
    roll: float = 0.0
    blur: float = 0.0
    count: int = 1
    strength: float = 1.0

    made_by = "tangent_views"

    @no_autocast()
    def see(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Draw ``count`` views of each panorama (B, C, H, W), view by view: view i of panorama b is i·B + b.

        Raises ValueError for what is no panorama, and for one with transparency.
        """
        n = self.count * len(image) if image.ndim == 4 else 1
        camera, fov = self.draw(n, generator)
        views = gnomonic(image, camera, fov, self.size)
        if self.blur * self.strength > 0:
            sigma = self.blur * self.strength * torch.rand(n, generator=generator, **CPU)
            views = gaussian_blur(views, sigma.to(image))
        return views

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """n random cameras (n, 3, 3), see :func:`cameras`, and horizontal fields of view (n,) in degrees.

        >>> camera, fov = dip.tangent_views().draw(4, torch.Generator().manual_seed(0))
        >>> camera.shape, bool((60 <= fov).all() and (fov <= 90).all())
        (torch.Size([4, 3, 3]), True)
        """
        heading, height, roll, fov = torch.rand(4, n, generator=generator, dtype=torch.float64, device="cpu")
        k = self.strength
        highest = math.sin(math.radians(min(k * self.pitch, 90)))
        # A band of the sphere has an area in proportion to its height: uniform height is uniform direction.
        pitch = ((2 * height - 1) * highest).asin().rad2deg()
        middle, half = sum(self.fov) / 2, k * (self.fov[1] - self.fov[0]) / 2
        roll = k * self.roll * (2 * roll - 1)
        return cameras(360 * heading - 180, pitch, roll), middle + half * (2 * fov - 1)

    @classmethod
    def written_out(cls, changed: dict[str, Any]) -> dict[str, Any]:
        """A single number for ``size`` or ``fov`` written out as a pair; whole numbers as Python's own."""
        changed = {name: operator.index(n) if is_whole(n) else n for name, n in changed.items()}
        if "size" in changed:
            changed["size"] = height_width(changed["size"])
        if "fov" in changed:
            changed["fov"] = _pair(changed["fov"])
        return changed

    def problems(self) -> Mapping[str, bool]:
        """{what a field must be: whether it is not}."""
        numbers = [*self.fov, self.pitch, self.roll, self.blur, self.strength]
        if not all(isinstance(n, Real) and not isinstance(n, bool) and math.isfinite(n) for n in numbers):
            return {"fov, pitch, roll, blur and strength must be finite numbers": True}
        low, high = self.fov if len(self.fov) == 2 else (0, 0)
        half = (high - low) / 2 * max(self.strength, 0)
        return {
            "fov must be degrees between 0 and 180, or (low, high)": not 0 < low <= high < 180,
            "pitch must be degrees between 0 and 90": not 0 <= self.pitch <= 90,
            "roll must be degrees between 0 and 180": not 0 <= self.roll <= 180,
            "blur must be a standard deviation in pixels, 0 or more": self.blur < 0,
            "count must be a whole number, 1 or more": not is_whole(self.count) or self.count < 1,
            "strength must be 0 or more, and small enough for the field of view to stay in (0, 180)": not (
                self.strength >= 0 and half < (low + high) / 2 < 180 - half
            ),
        }


def tangent_views(
    size: int | tuple[int, int] = 224,
    *,
    fov: float | tuple[float, float] = (60.0, 90.0),
    pitch: float = 90.0,
    roll: float = 0.0,
    blur: float = 0.0,
    count: int = 1,
) -> TangentViews:
    """Random views from inside a panorama: gnomonic projections, in which straight lines stay straight.

    Args:
        size: side, or (height, width), of the view in pixels.
        fov: the horizontal field of view in degrees, below 180: a number, or (low, high) to draw from.
        pitch: look up and down by up to this many degrees; every direction in that band is equally likely. 90 is
            the whole sphere.
        roll: tilt the camera by up to this many degrees, either way. 0 keeps the horizon level; 180 together
            with ``pitch=90`` makes the camera's orientation uniform on SO(3).
        blur: a Gaussian blur whose standard deviation, in pixels of the view, is drawn from [0, blur].
        count: the number of views of each panorama in one step.

    All headings are equally likely. ``views.change(strength=…)`` scales pitch, roll, blur and the spread of
    the field of view. Raises ValueError for a range that makes no sense.

    **Source:** the gnomonic projection, Snyder, *Map Projections: A Working Manual* (1987), §22.

    >>> panorama = dip.SphericalHarmonics(16)()
    >>> views = dip.tangent_views((24, 32), fov=(60, 90), pitch=30)
    >>> views(panorama, torch.Generator().manual_seed(0)).shape
    torch.Size([1, 3, 24, 32])
    """
    return TangentViews().change(size=size, fov=fov, pitch=pitch, roll=roll, blur=blur, count=count)


def look_around(
    image: Tensor,
    *,
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
    fov: float = 90.0,
    size: int | tuple[int, int] = 512,
) -> Tensor:
    """One view from inside a panorama (B, C, H, W): (B, C, h, w), differentiable in it.

    Args:
        image: equirectangular, C = 1 or 3.
        yaw: degrees to the right of the panorama's middle column.
        pitch: degrees above the horizon.
        roll: degrees by which the camera is tilted clockwise.
        fov: the horizontal field of view in degrees, below 180.
        size: side, or (height, width), of the view in pixels.

    Raises ValueError for what is no panorama, and for angles or sizes that make no sense.

    >>> x = (torch.arange(64) + 0.5) / 64  # grey says how far to the right a column lies
    >>> panorama = x.expand(1, 3, 32, 64)
    >>> ahead, right = (dip.look_around(panorama, yaw=yaw, size=9)[0, 0, 4, 4] for yaw in (0, 90))
    >>> round(ahead.item(), 2), round(right.item(), 2)
    (0.5, 0.75)
    """
    one = TangentViews().change(size=size, fov=fov)
    if not all(isinstance(a, Real) and math.isfinite(a) for a in (yaw, pitch, roll)):
        raise ValueError(f"yaw, pitch and roll are angles in degrees; got {yaw!r}, {pitch!r}, {roll!r}")
    angles = torch.tensor([yaw, pitch, roll, fov], dtype=torch.float64, device="cpu")
    camera = cameras(*angles[:3, None]).expand(len(image), 3, 3)
    return gnomonic(image, camera, angles[3].expand(len(image)), one.size)


def cameras(yaw: Tensor, pitch: Tensor, roll: Tensor) -> Tensor:
    """Cameras (n, 3, 3) from angles (n,) in degrees: the columns point right, down and forward.

    Axes are those of ``spherical_harmonics.directions``: z is the zenith, x lies at the left border of the
    panorama. As its longitude grows to the right, right, down and forward are a left-handed frame.

    >>> from dip_lessons.sphere.panorama import cameras
    >>> zero = torch.zeros(1)
    >>> cameras(zero, zero + 90, zero)[0, :, 2].round().abs()  # forward is the zenith
    tensor([0., 0., 1.])
    """
    longitude, latitude, roll = (torch.deg2rad(a) for a in (yaw + 180, pitch, roll))
    zero = torch.zeros_like(longitude)
    sin, cos, up, flat = longitude.sin(), longitude.cos(), latitude.sin(), latitude.cos()
    right = torch.stack([-sin, cos, zero], dim=-1)
    down = torch.stack([up * cos, up * sin, -flat], dim=-1)
    forward = torch.stack([flat * cos, flat * sin, up], dim=-1)
    c, s = roll.cos()[:, None], roll.sin()[:, None]
    return torch.stack([c * right + s * down, c * down - s * right, forward], dim=-1)


@no_autocast()
def gnomonic(image: Tensor, camera: Tensor, fov: Tensor, size: tuple[int, int]) -> Tensor:
    """Gnomonic views of panoramas by one bilinear resampling, across the ±180° border and over the poles.

    Args:
        image: (B, C, H, W), equirectangular, C = 1 or 3.
        camera: (n·B, 3, 3), see :func:`cameras`; camera i·B + b looks at panorama b.
        fov: horizontal fields of view in degrees, (n·B,).
        size: (h, w) of the views.

    Returns (n·B, C, h, w), differentiable in ``image``. Raises ValueError for what is no panorama.

    >>> from dip_lessons.sphere.panorama import cameras, gnomonic
    >>> panorama, zero = dip.SphericalHarmonics(16)(), torch.zeros(2)
    >>> camera = cameras(zero, torch.tensor([0.0, 45.0]), zero)  # ahead, and up
    >>> gnomonic(panorama, camera, zero + 90, (24, 32)).shape
    torch.Size([2, 3, 24, 32])
    """
    if image.ndim != 4 or image.shape[1] == 4:
        raise ValueError(
            "views from inside are taken of opaque panoramas (B, C, H, W), C = 3 or 1; got "
            f"{tuple(image.shape)}"
        )
    batch, channels, height, width = image.shape
    (h, w), n = size, len(camera) // batch
    y, x = ((torch.arange(k, dtype=torch.float64, device="cpu") + 0.5 - k / 2) * 2 / w for k in (h, w))
    tangent = torch.tan(torch.deg2rad(fov.double()) / 2)[:, None, None].cpu()
    rays = torch.stack(
        torch.broadcast_tensors(x * tangent, y[:, None] * tangent, tangent.new_ones(1, h, w)), dim=-1
    )
    rays = rays.to(image) @ camera.to(image).mT[:, None]  # (n·B, h, w, 3)
    row = torch.atan2(torch.hypot(rays[..., 0], rays[..., 1]), rays[..., 2]) * (height / math.pi) - 0.5
    column = (torch.atan2(rays[..., 1], rays[..., 0]) / (2 * math.pi)).remainder(1) * width - 0.5
    grid = torch.stack([(column + 1) * 2 / (width + 1) - 1, (row + 1) * 2 / (height + 1) - 1], dim=-1)
    # All views of one panorama lie below each other: one picture to sample, and no copies of the panorama.
    grid = grid.unflatten(0, (n, batch)).transpose(0, 1).flatten(1, 2)  # (B, n·h, w, 2)
    views = F.grid_sample(around(image), grid, padding_mode="border", align_corners=True)
    return views.unflatten(2, (n, h)).permute(2, 0, 1, 3, 4).flatten(0, 1)


def around(image: Tensor) -> Tensor:
    """A panorama (…, H, W) with its neighbours on every side, (…, H+2, W+2).

    Left and right of it lies its other border; beyond a pole, the row that is nearest to it, half a turn away.

    >>> from dip_lessons.sphere.panorama import around
    >>> around(torch.arange(8.0).view(2, 4))
    tensor([[1., 2., 3., 0., 1., 2.],
            [3., 0., 1., 2., 3., 0.],
            [7., 4., 5., 6., 7., 4.],
            [5., 6., 7., 4., 5., 6.]])
    """
    width = image.shape[-1]

    def half_turned(row: Tensor) -> Tensor:  # between two columns, where their number is odd
        return (row.roll(width // 2, dims=-1) + row.roll((width + 1) // 2, dims=-1)) / 2

    rows = torch.cat([half_turned(image[..., :1, :]), image, half_turned(image[..., -1:, :])], dim=-2)
    return torch.cat([rows[..., -1:], rows, rows[..., :1]], dim=-1)


def save_panorama(image: Tensor, path: str | os.PathLike[str], *, quality: int = 92) -> Path:
    """Write a panorama as a JPEG that 360° viewers recognise: it carries Google's photo sphere metadata.

    Args:
        image: (3, H, 2H) or (1, 3, H, 2H) in [0, 1].
        path: ending in .jpg or .jpeg.
        quality: of the JPEG, 1 to 95.

    Returns the path. Raises ValueError for another shape (viewers stretch it over the sphere as 2:1), and for NaN.

    **Source:** the XMP namespace http://ns.google.com/photos/1.0/panorama/ in an APP1 segment (XMP
    specification, part 3, §1.1.3).

    >>> path = dip.save_panorama(torch.zeros(1, 3, 16, 32), "sky.jpg")
    >>> b'ProjectionType="equirectangular"' in path.read_bytes()
    True
    """
    path = Path(path).expanduser()
    if path.suffix.lower() not in (".jpg", ".jpeg"):
        raise ValueError(f"a panorama is written as JPEG, path.jpg; got {path.name!r}")
    picture = image[0] if image.ndim == 4 and len(image) == 1 else image
    if picture.ndim != 3 or len(picture) != 3 or picture.shape[2] != 2 * picture.shape[1]:
        raise ValueError(
            f"one panorama (3, H, 2H) was expected, twice as wide as high; got {tuple(image.shape)}"
        )
    file = io.BytesIO()
    to_pil(picture).save(file, "JPEG", quality=quality)
    packet = b"http://ns.adobe.com/xap/1.0/\0" + _xmp(*picture.shape[1:]).encode()
    segment = b"\xff\xe1" + (len(packet) + 2).to_bytes(2, "big") + packet
    jpeg = file.getvalue()
    # After the start and JFIF's own segment, which must come first.
    first = 4 + int.from_bytes(jpeg[4:6], "big")
    with atomic_write(path) as part:
        part.write_bytes(jpeg[:first] + segment + jpeg[first:])
    return path


def _xmp(height: int, width: int) -> str:
    fields = {
        "ProjectionType": "equirectangular",
        "UsePanoramaViewer": "True",
        "FullPanoWidthPixels": width,
        "FullPanoHeightPixels": height,
        "CroppedAreaImageWidthPixels": width,
        "CroppedAreaImageHeightPixels": height,
        "CroppedAreaLeftPixels": 0,
        "CroppedAreaTopPixels": 0,
    }
    values = " ".join(f'GPano:{name}="{value}"' for name, value in fields.items())
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" {values}/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def _pair(value: object) -> tuple:
    """A number as a pair of it; pairs as they are."""
    return tuple(value) if isinstance(value, Sequence) else (value, value)
