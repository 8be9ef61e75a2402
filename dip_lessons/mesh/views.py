"""Views of a texture on a mesh: what random cameras see of it, as a network should; and frames of a turntable."""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..arguments import height_width, is_whole, whole
from ..hardware import no_autocast
from ..registry import enter
from ..views.background import BACKGROUNDS
from ..views.base import RandomViews
from .mesh import Mesh, as_mesh
from .raster import Camera, Raster, rasterize, sample_texture

LIGHT = (-0.4, 0.6, 0.7)  # towards the light, as the camera has it: right, up, backward


@enter("views")
@dataclass(frozen=True)
class MeshViews(RandomViews):
    """``views(texture, generator) -> (count·B, C, h, w)``: what a random camera sees of the textured mesh.

    Made by :func:`mesh_views`, which says what the fields are.

    >>> from dip_lessons.mesh.mesh import torus
    >>> views = dip.mesh_views(torus(8, 8), size=32, count=3)
    >>> views(torch.full((1, 3, 16, 16), 0.5), torch.Generator().manual_seed(0)).shape
    torch.Size([3, 3, 32, 32])
    """

    mesh: Mesh
    size: tuple[int, int] = (224, 224)
    fovy: float = 10.0
    distance: tuple[float, float] = (11.0, 13.0)
    elevation: tuple[float, float] = (-90.0, 90.0)
    count: int = 1
    background: str = "color"
    shading: float = 0.0
    supersample: int = 2
    shared: bool = False

    made_by = "mesh_views"

    def __post_init__(self) -> None:
        object.__setattr__(self, "mesh", as_mesh(self.mesh))  # a run is stored with what stands for it

    def see(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Draw ``count`` views of each texture (B, C, H, W), C = 1 or 3; view i of texture b is i·B + b."""
        _check_texture(image)
        batch, channels = image.shape[:2]
        n = self.count * (1 if self.shared else batch)  # how many cameras are drawn
        cameras = self.cameras(n, generator)
        # One number is drawn for any kind, so that runs over different backgrounds differ in nothing else.
        seed = int(torch.randint(2**32, (), generator=generator, dtype=torch.int64, device="cpu"))
        background = BACKGROUNDS[self.background](n, self.size, torch.Generator().manual_seed(seed)).to(image)
        background = background.expand(n, -1, -1, -1)
        if channels == 1:
            background = background.mean(dim=1, keepdim=True)
        # What is seen by the same cameras is channels of one texture.
        groups = image.reshape(1, batch * channels, *image.shape[2:]) if self.shared else image
        colours, alphas = [], []
        for b, texture in enumerate(groups):
            colour, alpha = _seen(
                texture[None], self.mesh, cameras[b :: len(groups)], self.size, self.shading, self.supersample
            )
            colours.append(colour)
            alphas.append(alpha)
        colour = torch.stack(colours, dim=1).reshape(self.count, batch, channels, *self.size)
        alpha = torch.stack(alphas, dim=1)  # (count, B or 1, 1, h, w)
        over = background.unflatten(0, (self.count, -1))
        return (colour + (1 - alpha) * over).flatten(0, 1)

    @classmethod
    def written_out(cls, changed: dict[str, Any]) -> dict[str, Any]:
        """A single number for ``size`` written out as a pair; whole numbers as Python's own."""
        changed = {name: operator.index(n) if is_whole(n) else n for name, n in changed.items()}
        return {**changed, "size": height_width(changed["size"])} if "size" in changed else changed

    def problems(self) -> Mapping[str, bool]:
        """{what a field must be: whether it is not}."""
        distance, elevation = self.distance, self.elevation
        return {
            "fovy must lie in (0, 180) degrees": not 0 < self.fovy < 180,
            "distance must be (low, high), 0 < low ≤ high": not 0 < distance[0] <= distance[1] < math.inf,
            "elevation must be (low, high) degrees in [−90, 90]": not -90
            <= elevation[0]
            <= elevation[1]
            <= 90,
            "count must be a whole number, 1 or more": not is_whole(self.count) or self.count < 1,
            f"background must be one of {', '.join(map(repr, BACKGROUNDS))}": self.background
            not in BACKGROUNDS,
            "shading must lie in [0, 1]": not 0 <= self.shading <= 1,
            "supersample must be a whole number, 1 or more": not is_whole(self.supersample)
            or self.supersample < 1,
            "shared must be True or False": not isinstance(self.shared, bool),
        }

    def cameras(self, n: int, generator: torch.Generator) -> list[Camera]:
        """n cameras in directions that are uniform on the sphere between the elevations, at uniform distances.

        >>> from dip_lessons.mesh.mesh import torus
        >>> views = dip.mesh_views(torus(8, 8), elevation=(0, 90))
        >>> all(camera.eye[1] > 0 for camera in views.cameras(8, torch.Generator().manual_seed(0)))  # never from below
        True
        """
        z, turn, far = torch.rand(3, n, generator=generator, dtype=torch.float64, device="cpu")
        low, high = (math.sin(math.radians(angle)) for angle in self.elevation)
        y = low + (high - low) * z
        around = (1 - y * y).clamp(min=0).sqrt()
        phi = 2 * math.pi * turn
        distance = self.distance[0] + (self.distance[1] - self.distance[0]) * far
        eyes = distance[:, None] * torch.stack([around * phi.sin(), y, around * phi.cos()], dim=1)
        return [Camera((eye[0], eye[1], eye[2]), fovy=self.fovy) for eye in eyes.tolist()]


def mesh_views(
    mesh: Mesh | str,
    *,
    size: int | tuple[int, int] = 224,
    fovy: float = 10.0,
    distance: tuple[float, float] = (11.0, 13.0),
    elevation: tuple[float, float] = (-90.0, 90.0),
    count: int = 1,
    background: str = "color",
    shading: float = 0.0,
    supersample: int = 2,
    shared: bool = False,
) -> MeshViews:
    """Make views of a mesh from random directions: what they are called with is its texture, what they return is seen.

    Args:
        mesh: a mesh, or the name of one of the course's.
        size: of a view, an int or (h, w), in pixels.
        fovy: the camera's angle from the lower to the upper border, in degrees, in (0, 180).
        distance: (low, high) from the origin, above 0; 11 to 13 at 10 degrees holds the cube from −1 to 1.
        elevation: (low, high) of the camera above the horizon, in degrees, in [−90, 90].
        count: the number of views of each texture in one step.
        background: what is seen beside the mesh, a new one for each view: "color" (one flat random colour), "grey",
            "waves", "noise", "black", "white", or "static".
        shading: 0 shows the texture's colours, 1 those of a matt surface under a lamp at the camera's upper left.
        supersample: this many by this many places are looked up for a pixel, and averaged.
        shared: whether all textures of a batch are seen by the same cameras, for objectives that compare them.

    Raises ValueError for numbers that make no sense.

    **Source:** Distill 2018, "Texturing 3D models": views of 512 px, fovy 10°, distances in (11, 13).

    >>> from dip_lessons.mesh.mesh import torus
    >>> views = dip.mesh_views(torus(8, 8), size=32, background="white")
    >>> seen = views(torch.zeros(1, 3, 16, 16), torch.Generator().manual_seed(0))  # a black ring
    >>> seen.min().item(), seen.max().item()
    (0.0, 1.0)
    """
    return MeshViews(as_mesh(mesh)).change(
        size=size,
        fovy=fovy,
        distance=distance,
        elevation=elevation,
        count=count,
        background=background,
        shading=shading,
        supersample=supersample,
        shared=shared,
    )


def turntable(
    count: int = 24, *, elevation: float = 20.0, distance: float = 13.0, fovy: float = 10.0
) -> list[Camera]:
    """Cameras once around the y axis in equal steps, the first one in the z direction.

    Args:
        count: how many, 1 or more.
        elevation: above the horizon, in degrees.
        distance: from the origin.
        fovy: see :class:`Camera`.

    >>> cameras = dip.turntable(4, elevation=0, distance=12)
    >>> [tuple(round(x) for x in camera.eye) for camera in cameras]
    [(0, 0, 12), (12, 0, 0), (0, 0, -12), (-12, 0, 0)]
    """
    count = whole(count, "count", 1, such_as=24)
    rise = math.radians(elevation)
    turns = [2 * math.pi * i / count for i in range(count)]
    return [
        Camera(
            (
                distance * math.cos(rise) * math.sin(phi),
                distance * math.sin(rise),
                distance * math.cos(rise) * math.cos(phi),
            ),
            fovy=fovy,
        )
        for phi in turns
    ]


def render(
    image: Tensor,
    mesh: Mesh,
    cameras: Camera | Sequence[Camera],
    *,
    size: int | tuple[int, int] = 224,
    background: float | Tensor = 1.0,
    shading: float = 0.0,
    supersample: int = 2,
) -> Tensor:
    """What cameras see of a mesh with a texture, differentiable in the texture.

    Args:
        image: the texture, (1, C, H, W), C = 1 or 3.
        mesh: what it is painted on.
        cameras: one, or N.
        size: of the pictures, an int or (h, w).
        background: a grey from 0 to 1, or a tensor that broadcasts to (N, C, h, w).
        shading, supersample: see :func:`mesh_views`.

    Returns (N, C, h, w).

    Raises ValueError for more than one texture, or what is none.

    >>> from dip_lessons.mesh.mesh import torus
    >>> red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    >>> pictures = dip.render(red, torus(16, 16), dip.turntable(4), size=32)
    >>> pictures.shape, pictures[0, :, 0, 0]  # beside the ring lies white
    (torch.Size([4, 3, 32, 32]), tensor([1., 1., 1.]))
    """
    _check_texture(image)
    if len(image) != 1:
        raise ValueError(f"render shows one texture (1, C, H, W); got {tuple(image.shape)}")
    height, width = height_width(size)
    cameras = [cameras] if isinstance(cameras, Camera) else cameras
    colour, alpha = _seen(image, mesh, cameras, (height, width), shading, supersample)
    return colour + (1 - alpha) * background


def _check_texture(image: Tensor) -> None:
    if image.ndim != 4 or image.shape[1] not in (1, 3):
        raise ValueError(
            f"a mesh is seen with a texture (B, 3, H, W), or of 1 channel; got {tuple(image.shape)}"
        )


@no_autocast()
def _seen(
    texture: Tensor,
    mesh: Mesh,
    cameras: Sequence[Camera],
    size: tuple[int, int],
    shading: float,
    supersample: int,
) -> tuple[Tensor, Tensor]:
    """Colours times coverage (n, C, h, w), and coverage (n, 1, h, w), of a texture (1, C, H, W)."""
    mesh = mesh.to(texture.device)
    fine = (size[0] * supersample, size[1] * supersample)
    rasters = [rasterize(mesh, camera, fine) for camera in cameras]
    mask = torch.stack([raster.mask for raster in rasters])  # (n, H, W) of the finer picture
    places = torch.cat([raster.uv[raster.mask] for raster in rasters]).to(texture.dtype)
    colour = sample_texture(texture, places[None, :, None])[0, ..., 0]  # (C, number of places)
    if shading:
        light = torch.cat([_lambert(*seen) for seen in zip(rasters, cameras, strict=True)])
        colour = colour * (1 - shading + shading * light)
    full = colour.new_zeros(len(colour), mask.numel()).index_copy(1, mask.flatten().nonzero()[:, 0], colour)
    full = full.view(-1, *mask.shape).transpose(0, 1)  # (n, C, H, W)
    return F.avg_pool2d(full, supersample), F.avg_pool2d(mask[:, None].to(full), supersample)


def _lambert(raster: Raster, camera: Camera) -> Tensor:
    """The cosine of normal and light at each place that is seen, 0 where the light is behind."""
    light = F.normalize(torch.tensor(LIGHT, dtype=torch.float64, device="cpu"), dim=0) @ camera.rotation()
    return (raster.normal[raster.mask] @ light.to(raster.normal)).clamp(min=0)
