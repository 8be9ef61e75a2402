"""Rasterization in plain torch: which face each pixel sees, and where on it; and lookups in textures.

A pixel's ray meets a triangle where three edge functions agree in sign. They are linear in the pixel, their
shares are the perspective-correct barycentric coordinates, and triangles need no clipping.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..arguments import height_width
from ..hardware import no_autocast

if TYPE_CHECKING:
    from .mesh import Mesh

CHUNK = 2**18  # pairs (triangle, pixel) that are looked at together; about 60 MB
_NOTHING = 2**63 - 1  # farther than any face


@dataclass(frozen=True)
class Camera:
    """A pinhole camera at ``eye`` that looks at ``target``.

    Args:
        eye, target: (x, y, z), places in the world.
        up: the direction that is up in the picture; where it is the viewing direction, z takes its place.
        fovy: the angle from the picture's lower to its upper border, in degrees, in (0, 180).
        near: nothing is seen that is nearer than this, measured along the viewing direction; above 0.

    Raises ValueError for numbers that make no sense.

    >>> camera = dip.Camera(eye=(0, 0, 12))
    >>> camera.target, camera.fovy
    ((0.0, 0.0, 0.0), 10.0)
    """

    eye: tuple[float, float, float]
    target: tuple[float, float, float] = (0.0, 0.0, 0.0)
    up: tuple[float, float, float] = (0.0, 1.0, 0.0)
    fovy: float = 10.0
    near: float = 0.01

    def __post_init__(self) -> None:
        places = (*self.eye, *self.target, *self.up)
        if len(places) != 9 or not all(map(math.isfinite, places)):
            raise ValueError(f"eye, target and up are three finite numbers each; got {self}")
        if not (0 < self.fovy < 180 and 0 < self.near < math.inf):
            raise ValueError(f"fovy must lie in (0, 180) degrees and near above 0; got {self}")
        if math.dist(self.eye, self.target) == 0 or not any(self.up):
            raise ValueError(f"eye and target must differ, and up must point somewhere; got {self}")

    def rotation(self) -> Tensor:
        """Rows right, up and backward, (3, 3) float64: R (p − eye) are coordinates as the camera has them.

        >>> dip.Camera(eye=(0, 0, 12)).rotation().round().abs()  # right is x, up is y, backward is z
        tensor([[1., 0., 0.],
                [0., 1., 0.],
                [0., 0., 1.]], dtype=torch.float64)
        """
        eye, target, up = (
            torch.tensor(p, dtype=torch.float64, device="cpu") for p in (self.eye, self.target, self.up)
        )
        back = F.normalize(eye - target, dim=0)
        right = torch.linalg.cross(up / up.norm(), back)
        if right.norm() < 1e-6:
            instead = back.new_tensor([0.0, 0.0, 1.0] if back[2].abs() < 0.9 else [0.0, 1.0, 0.0])
            right = torch.linalg.cross(instead, back)
        right = F.normalize(right, dim=0)
        return torch.stack([right, torch.linalg.cross(back, right), back])

    def project(self, points: Tensor, size: tuple[int, int]) -> Tensor:
        """Places (…, 3) as (x·d, y·d, d), float64: pixels from the picture's upper left corner, and the depth d.

        d is measured along the viewing direction. The centre of pixel (i, j) is x = j + ½, y = i + ½.

        Args:
            points: in the world, (…, 3).
            size: (H, W) of the picture.

        >>> at = dip.Camera(eye=(0, 0, 12)).project(torch.zeros(3), (64, 64))
        >>> [round(x, 4) for x in (at / at[2]).tolist()]  # the target lies in the picture's middle
        [32.0, 32.0, 1.0]
        """
        height, width = size
        rotation = self.rotation().to(points.device)
        eye = torch.tensor(self.eye, dtype=torch.float64, device=points.device)
        x, y, z = ((points.double() - eye) @ rotation.T).unbind(dim=-1)
        focal = height / 2 / math.tan(math.radians(self.fovy) / 2)  # in pixels
        return torch.stack([focal * x - z * width / 2, -focal * y - z * height / 2, -z], dim=-1)


@dataclass(frozen=True, eq=False)
class Raster:
    """What each pixel (H, W) sees: see :func:`rasterize`.

    >>> from dip_lessons.mesh.mesh import torus
    >>> seen = dip.rasterize(torus(8, 8), dip.Camera(eye=(0, 12, 0)), 32)
    >>> seen.face.shape, seen.barycentric.shape, bool(seen.mask[0, 0])
    (torch.Size([32, 32]), torch.Size([32, 32, 3]), False)
    """

    face: Tensor
    barycentric: Tensor
    depth: Tensor
    uv: Tensor
    normal: Tensor

    @property
    def mask(self) -> Tensor:
        """Whether a face is seen, (H, W)."""
        return self.face >= 0


@no_autocast()
@torch.no_grad()
def rasterize(mesh: Mesh, camera: Camera, size: int | tuple[int, int], *, chunk: int = CHUNK) -> Raster:
    """Find the nearest face at the centre of every pixel, from both of its sides.

    With corners P₀, P₁, P₂ as :meth:`Camera.project` has them and q = (x, y, 1), the edge functions are
    eᵢ = q · (Pⱼ × Pₖ). Where all three have the sign of det = P₀ · (P₁ × P₂), the pixel sees the triangle at
    barycentric coordinates eᵢ / Σe, at depth det / Σe. A pixel on an edge belongs to both faces; of faces whose
    depths are the same float32, the one with the lowest number is seen. So shared edges have no holes, and the
    result does not depend on the order of the work.

    Args:
        mesh: with F faces.
        camera: where it is seen from.
        size: (H, W) in pixels, or an int for a square.
        chunk: how many pairs (triangle, pixel) are looked at together: memory against time.

    Returns a :class:`Raster` on the mesh's device:
        face: (H, W) int64, −1 where nothing is seen; the rest is 0 there, depth infinite.
        barycentric: (H, W, 3), perspective-correct weights of the face's corners.
        depth: (H, W), along the viewing direction.
        uv: (H, W, 2), texture coordinates.
        normal: (H, W, 3), the interpolated normal in the world's directions, of length 1.

    **Source:** Olano and Greer, *Triangle Scan Conversion using 2D Homogeneous Coordinates* (1997), section 3.

    >>> from dip_lessons.mesh.mesh import sphere
    >>> seen = dip.rasterize(sphere(16, 32), dip.Camera(eye=(0, 0, 12)), 33)
    >>> round(seen.depth[16, 16].item(), 2)  # the sphere's surface is a radius nearer than its middle
    11.0
    >>> seen.normal[16, 16].round().abs()  # and looks back
    tensor([0., 0., 1.])
    """
    height, width = height_width(size)
    device = mesh.vertices.device
    if device.type == "mps":  # which has no float64
        seen = rasterize(mesh.to("cpu"), camera, size, chunk=chunk)
        return Raster(*(getattr(seen, name).to(device) for name in Raster.__dataclass_fields__))
    corners = camera.project(mesh.vertices, (height, width))[mesh.faces]  # (F, 3, 3)
    face = _nearest(corners, (height, width), camera.near, chunk)
    # The winners once more, for their coordinates.
    pixel = (face >= 0).nonzero()[:, 0]
    winner = face[pixel]
    edges, det = _edges(corners[winner])
    e = _edge_values(edges, pixel % width, torch.div(pixel, width, rounding_mode="floor"))  # (n, 3)
    total = e.sum(dim=1)
    weights = (e / total[:, None]).float()

    def interpolated(attribute: Tensor, faces: Tensor) -> Tensor:
        corners = attribute.index_select(0, faces[winner].flatten()).view(-1, 3, attribute.shape[1])
        return torch.bmm(weights[:, None], corners)[:, 0]  # (n, K)

    def picture(values: Tensor, background: float = 0.0) -> Tensor:
        full = values.new_full((height * width, *values.shape[1:]), background)
        return full.index_copy_(0, pixel, values).unflatten(0, (height, width))

    normal = F.normalize(interpolated(mesh.normals, mesh.faces), dim=-1, eps=1e-30)
    return Raster(
        face.view(height, width),
        picture(weights),
        picture((det / total).float(), math.inf),
        picture(interpolated(mesh.uv, mesh.uv_faces)),
        picture(normal),
    )


def _nearest(corners: Tensor, size: tuple[int, int], near: float, chunk: int) -> Tensor:
    """The face that each pixel sees, (H·W,), of triangles (x·d, y·d, d), (F, 3, 3) float64; −1 for none."""
    height, width = size
    which, left, top, across, down = _boxes(corners, size, near)
    edges, det = _edges(corners.index_select(0, which))
    count = (across * down).masked_fill_(det == 0, 0)  # or seen from the side
    ends = count.cumsum(dim=0)
    boxes = torch.stack([ends - count, across, left, top], dim=1)
    # A pixel's best face so far, as one whole number that is smallest for the nearest: depth, then face.
    indices: dict[str, Any] = {"dtype": torch.int64, "device": corners.device}
    best = torch.full((height * width,), _NOTHING, dtype=torch.int64, device=corners.device)
    done, pairs = 0, int(ends[-1]) if len(ends) else 0
    first = 0
    while done < pairs:
        last = int(torch.searchsorted(ends, done + chunk, right=True))
        last = max(last, first + 1)  # one triangle may be larger than a chunk
        t = torch.arange(first, last, **indices).repeat_interleave(count[first:last])
        start, columns, left, top = boxes.index_select(0, t).unbind(dim=1)
        place = torch.arange(done, int(ends[last - 1]), **indices) - start
        row = torch.div(place, columns, rounding_mode="floor")
        column = left + place - row * columns
        row = top + row
        e = _edge_values(edges.index_select(0, t), column, row)  # (pairs, 3)
        inside = (e.amin(dim=1) >= 0).nonzero()[:, 0]
        t, pixel = t[inside], row[inside] * width + column[inside]
        depth = det[t] / e.index_select(0, inside).sum(dim=1)
        key = depth.float().view(torch.int32).long() << 32 | which[t]
        key = key.masked_fill_(depth < near, _NOTHING)
        best.scatter_reduce_(0, pixel, key, "amin")
        first, done = last, int(ends[last - 1])
    return torch.where(best != _NOTHING, best & 0xFFFFFFFF, -1)


def _boxes(
    corners: Tensor, size: tuple[int, int], near: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Faces that may be seen, and the rectangle of pixels that holds each: left, top, across, down."""
    depth = corners[..., 2]
    crosses = (depth < near).any(dim=1)
    xy = corners[..., :2] / depth.clamp(min=near)[..., None]
    low, high = xy.amin(dim=1), xy.amax(dim=1)  # (F, 2), x and y
    bounds = corners.new_tensor([size[1], size[0]])
    # A face that reaches behind the near plane may be anywhere in the picture.
    low = torch.where(crosses[:, None], 0.0, low.clamp(min=0).minimum(bounds + 1))
    high = torch.where(crosses[:, None], bounds, high.minimum(bounds).clamp(min=-1))
    slack = 1e-6  # of a pixel, for rounding
    first = (low - 0.5 - slack).ceil().clamp(min=0)
    extent = ((high - 0.5 + slack).floor().minimum(bounds - 1) - first + 1).clamp(min=0)
    which = ((extent > 0).all(dim=1) & (depth >= near).any(dim=1)).nonzero()[:, 0]
    (left, top), (across, down) = first[which].long().T, extent[which].long().T
    return which, left, top, across, down


def _edges(corners: Tensor) -> tuple[Tensor, Tensor]:
    """Coefficients of the edge functions over x, y, 1, (F, 3, 3): last axis the edge, positive inside; |det|, (F,)."""
    coefficients = []
    for j, k in ((1, 2), (2, 0), (0, 1)):
        (x, y, z), (u, v, w) = corners[:, j].T, corners[:, k].T
        coefficients.append(torch.stack([y * w - z * v, z * u - x * w, x * v - y * u], dim=1))
    det = (corners[:, 0] * coefficients[0]).sum(dim=1)
    return torch.stack(coefficients, dim=2) * det.sign()[:, None, None], det.abs()


def _edge_values(edges: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """Edge functions (n, 3) at centres of pixels.

    Product by product, as in ``_edges``: so the two faces of an edge get the same numbers but for the sign, to the
    last bit, and no pixel falls between them. A fused kernel would round them differently.
    """
    a, b, c = edges.unbind(dim=1)
    return a * (column + 0.5)[:, None] + b * (row + 0.5)[:, None] + c


def soft_coverage(corners: Tensor, points: Tensor, softness: float) -> Tensor:
    """How much a triangle in the plane covers each point, so softly that corners have a gradient.

    σ(δ/s), with δ the smallest of the signed distances to the lines through the three edges, positive inside.

    Args:
        corners: (3, 2), in either order around the triangle.
        points: (N, 2).
        softness: s above 0, in the unit of the points.

    Returns (N,), differentiable in the corners.

    **Source:** Liu, Li, Chen and Li, *Soft Rasterizer* (ICCV 2019), eq. 1, which squares the distance.

    >>> from dip_lessons.mesh.raster import soft_coverage
    >>> corners = torch.tensor([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]])
    >>> inside, on_an_edge, outside = soft_coverage(corners, torch.tensor([[1.0, 1.0], [2.0, 0.0], [9.0, 9.0]]), 0.1)
    >>> round(inside.item(), 2), round(on_an_edge.item(), 2), round(outside.item(), 2)
    (1.0, 0.5, 0.0)
    """
    along = corners.roll(-1, 0) - corners  # (3, 2): each corner to the next one
    towards = points[:, None] - corners  # (N, 3, 2)
    cross = along[:, 0] * towards[..., 1] - along[:, 1] * towards[..., 0]
    area = along[0, 0] * along[1, 1] - along[0, 1] * along[1, 0]
    distance = cross * area.sign() / along.norm(dim=1)
    return torch.sigmoid(distance.amin(dim=1) / softness)


def sample_texture(texture: Tensor, uv: Tensor) -> Tensor:
    """Look a texture up, bilinearly; it repeats in both directions.

    Args:
        texture: (1, C, H, W); u = 0 is its left border, v = 0 its lower one.
        uv: (N, h, w, 2), any finite numbers.

    Returns (N, C, h, w), differentiable in both. All N are looked up by one call of ``grid_sample``.
    Raises ValueError for other shapes.

    >>> from dip_lessons.mesh.raster import sample_texture
    >>> texture = torch.arange(4.0).view(1, 1, 2, 2)
    >>> uv = torch.tensor([[0.25, 0.75], [1.25, 0.25]]).view(1, 1, 2, 2)  # v points up, and all repeats
    >>> sample_texture(texture, uv).flatten()
    tensor([0., 2.])
    """
    if texture.ndim != 4 or len(texture) != 1 or uv.ndim != 4 or uv.shape[-1] != 2:
        raise ValueError(
            f"a texture is (1, C, H, W), places on it (N, h, w, 2); got {tuple(texture.shape)}, {tuple(uv.shape)}"
        )
    n, h, w, _ = uv.shape
    height, width = texture.shape[-2:]
    around = F.pad(texture, (1, 1, 1, 1), mode="circular")  # neighbours beyond the border
    size = uv.new_tensor([width, height])
    place = uv * uv.new_tensor([1, -1])
    place = (place - place.floor()) * size + 1  # from the padded texture's upper left corner, in texels
    grid = place.reshape(1, n * h, w, 2) / (size + 2) * 2 - 1
    found = F.grid_sample(around, grid, align_corners=False)  # (1, C, N·h, w)
    return found.reshape(-1, n, h, w).transpose(0, 1)


@torch.no_grad()
def coverage(mesh: Mesh, size: int | tuple[int, int]) -> Tensor:
    """Which texels of a texture of this size the mesh covers with their centres, (H, W) bool, on the CPU.

    >>> from dip_lessons.mesh.mesh import torus
    >>> from dip_lessons.mesh.raster import coverage
    >>> coverage(torus(8, 8), 16).all()  # all of its texture is seen
    tensor(True)
    """
    height, width = height_width(size)
    corners, tiles = _charts(mesh, (height, width))
    if tiles > 8:  # a face over more than eight textures leaves no texel out
        return torch.ones(height, width, dtype=torch.bool, device="cpu")
    face = _nearest(corners, (tiles * height, tiles * width), 0.5, CHUNK)
    return (face >= 0).view(tiles, height, tiles, width).any(dim=2).any(dim=0)


@no_autocast()
@torch.no_grad()
def texel_places(mesh: Mesh, size: int | tuple[int, int]) -> Tensor:
    """Where on the mesh each texel of a texture of this size lies, (H, W, 3), on the CPU.

    Of several faces on one texel it is the one with the lowest number; a texel that no face covers gets the place
    of the nearest one that is covered, as in :func:`dilate`. Raises ValueError for a face over more than eight
    textures.

    >>> from dip_lessons.mesh.mesh import torus
    >>> from dip_lessons.mesh.raster import texel_places
    >>> places = texel_places(torus(32, 32), 16)
    >>> places.shape, bool((places[..., 1].abs() <= 0.35).all())  # the tube is .7 high
    (torch.Size([16, 16, 3]), True)
    """
    height, width = height_width(size)
    corners, tiles = _charts(mesh, (height, width))
    if tiles > 8:
        raise ValueError(f"a face of this mesh reaches over {tiles} textures side by side; unwrap it anew")
    face = _nearest(corners, (tiles * height, tiles * width), 0.5, CHUNK)
    face = face.view(tiles, height, tiles, width).transpose(1, 2).reshape(tiles * tiles, height, width)
    winner, tile = torch.where(face < 0, len(corners), face).min(dim=0)  # (H, W)
    row, column = (winner < len(corners)).nonzero().T
    winner, tile = winner[row, column], tile[row, column]
    edges, _ = _edges(corners[winner])
    below, beside = torch.div(tile, tiles, rounding_mode="floor") * height, tile % tiles * width
    weights = _edge_values(edges, column + beside, row + below)
    weights = (weights / weights.sum(dim=1, keepdim=True)).float()
    places = torch.zeros(height, width, 3, dtype=torch.float32, device="cpu")
    covered = torch.zeros(height, width, dtype=torch.bool, device="cpu")
    places[row, column] = torch.einsum("nc,ncd->nd", weights, mesh.vertices.cpu()[mesh.faces.cpu()[winner]])
    covered[row, column] = True
    return dilate(places.permute(2, 0, 1)[None], covered)[0].permute(1, 2, 0)


def _charts(mesh: Mesh, size: tuple[int, int]) -> tuple[Tensor, int]:
    """Faces on a canvas of tiles × tiles textures of this size, (x, y, 1), (F, 3, 3) float64; and tiles."""
    corners = mesh.uv.cpu()[mesh.uv_faces.cpu()].double()  # (F, 3, 2)
    corners = corners - corners.amin(dim=1, keepdim=True).floor()  # each face to where the texture begins
    tiles = max(1, math.ceil(corners.max()))
    x, y = corners[..., 0] * size[1], (tiles - corners[..., 1]) * size[0]
    return torch.stack([x, y, torch.ones_like(x)], dim=-1), tiles


@torch.no_grad()
def dilate(texture: Tensor, covered: Tensor) -> Tensor:
    """Give each texel that is not covered the colour of the nearest one that is; the texture repeats.

    Args:
        texture: (B, C, H, W).
        covered: (H, W) bool, as :func:`coverage` has it; if nothing is covered, nothing changes.

    Returns (B, C, H, W). The nearest is found by jump flooding, which misses it by less than a texel, rarely.

    **Source:** Rong and Tan, *Jump Flooding in GPU with Applications to Voronoi Diagram and Distance Transform* (2006).

    >>> from dip_lessons.mesh.raster import dilate
    >>> texture, covered = torch.tensor([[[[5.0, 0.0, 0.0, 7.0]]]]), torch.tensor([[True, False, False, True]])
    >>> dilate(texture, covered).flatten()
    tensor([5., 5., 7., 7.])
    """
    height, width = covered.shape
    device = texture.device
    y, x = (torch.arange(n, dtype=torch.int64, device=device) for n in (height, width))
    far = 4 * (height + width)
    covered = covered.to(device)
    # For each texel, the offset (dy, dx) to the nearest covered one that is known.
    dy = torch.where(covered, 0, far)
    dx = torch.where(covered, 0, far)
    jumps = [2**k for k in reversed(range(max(height, width, 2).bit_length() - 1))]
    for jump in jumps:
        for a in (-jump, 0, jump):
            for b in (-jump, 0, jump):
                ny, nx = dy.roll((-a, -b), (0, 1)) + a, dx.roll((-a, -b), (0, 1)) + b
                nearer = ny * ny + nx * nx < dy * dy + dx * dx
                dy, dx = torch.where(nearer, ny, dy), torch.where(nearer, nx, dx)
    if not covered.any():
        return texture
    return texture[..., (y[:, None] + dy) % height, (x + dx) % width]


def across_edges(mesh: Mesh, step: float = 0.02) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Places on the texture that lie opposite each other across the E edges of a mesh that join two faces.

    Args:
        mesh: the mesh.
        step: the distance of two opposite places, in the mesh's unit; in small faces, half their height on each side.

    Returns on the mesh's device:
        places: (8, E, 2, 2), texture coordinates of eight places along each edge, on both sides.
        cut: (E,) bool, whether the texture is cut along the edge.
        points: (8, E, 3), the places on the edge, in space.
        length: (E,), of the edges.

    >>> from dip_lessons.mesh.mesh import torus
    >>> from dip_lessons.mesh.raster import across_edges
    >>> places, cut, points, length = across_edges(torus(8, 8))
    >>> places.shape, int(cut.sum())  # of 192 edges 16 lie where the texture is cut: once around, once along
    (torch.Size([8, 192, 2, 2]), 16)
    """
    halves = []  # for each edge of each face: its vertices, then what lies at its ends and at the opposite corner
    for opposite in range(3):
        i, j = (opposite + 1) % 3, (opposite + 2) % 3
        swap = (mesh.faces[:, i] > mesh.faces[:, j])[:, None]
        forth, back = mesh.faces.new_tensor([[i, j, opposite], [j, i, opposite]])
        corners = torch.where(swap, back, forth)
        halves.append((mesh.faces.gather(1, corners), mesh.uv_faces.gather(1, corners)))
    vertices, texels = (torch.cat(part) for part in zip(*halves, strict=True))  # (3F, 3): end, end, opposite
    key = vertices[:, 0] * len(mesh.vertices) + vertices[:, 1]
    _, edge, times = key.unique(return_inverse=True, return_counts=True)
    inner = (times[edge] == 2).nonzero()[:, 0]  # of two faces, not of a border
    pairs = inner[edge[inner].argsort()].view(-1, 2)
    a, b, c = mesh.vertices[vertices[pairs]].unbind(dim=2)  # (E, 2, 3)
    ends = mesh.uv[texels[pairs]]  # (E, 2, 3, 2)
    cut = (ends[:, 0, :2] - ends[:, 1, :2]).abs().amax(dim=(1, 2)) > 1e-6
    along, across = b - a, c - a
    length = along.square().sum(dim=-1, keepdim=True)
    foot = (across * along).sum(dim=-1, keepdim=True) / length
    height = (across - foot * along).norm(dim=-1, keepdim=True).clamp(min=1e-12)
    u, v, w = ends.unbind(dim=2)
    inward = (step / 2 / height).clamp(max=0.5) * (w - u - foot * (v - u))  # (E, 2, 2)
    at = (torch.arange(8, dtype=torch.float32, device=mesh.uv.device) + 0.5)[:, None, None] / 8
    places = u + at[..., None] * (v - u) + inward  # (8, E, 2, 2)
    return places, cut, a[:, 0] + at * along[:, 0], length[:, 0, 0].sqrt()
