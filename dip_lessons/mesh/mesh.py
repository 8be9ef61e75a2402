"""Triangle meshes with texture coordinates: load, check, make and export them.

A texture is a picture with u from left to right and v from bottom to top, both from 0 to 1, as OBJ files have it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import assets

MESHES = {"teapot": "meshes/teapot.obj", "suzanne": "meshes/suzi_uv.npz", "bunny": "meshes/bunny_uv.npz"}
UNWRAP = "unwrap it first, in Blender (UV > Smart UV Project) or with the Python package xatlas"


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles in space, and where each of their corners lies on the texture.

    A vertex on a seam of the texture has several texture coordinates, hence two lists of triangles.

    Args:
        vertices: (V, 3) float32; meshes of this module fill the cube from −1 to 1 in their longest direction.
        faces: (F, 3) int64, indices of vertices, counter-clockwise as seen from outside.
        uv: (T, 2) float32 texture coordinates; beyond 0 and 1 the texture repeats.
        uv_faces: (F, 3) int64, indices into ``uv``.
        name: what it is called; one of ``MESHES`` can be loaded again by it.
        repairs: what was changed on loading, in words.

    Raises ValueError for shapes that do not fit together, indices out of range, and numbers that are not finite.

    >>> vertices, uv = torch.eye(3), torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> triangle = torch.tensor([[0, 1, 2]])
    >>> mesh = dip.Mesh(vertices, triangle, uv, triangle)
    >>> mesh, len(mesh.reference), dip.load_mesh("teapot").reference
    (<mesh without a name: 3 vertices, 1 faces>, 4, 'teapot')
    """

    vertices: Tensor
    faces: Tensor
    uv: Tensor
    uv_faces: Tensor
    name: str = ""
    repairs: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for name, width in (("vertices", 3), ("faces", 3), ("uv", 2), ("uv_faces", 3)):
            value = getattr(self, name)
            if value.ndim != 2 or value.shape[1] != width or len(value) == 0:
                raise ValueError(f"{name} must have shape (n, {width}), n > 0; got {tuple(value.shape)}")
        if self.faces.shape != self.uv_faces.shape:
            raise ValueError(
                f"there are {len(self.faces)} faces but {len(self.uv_faces)} faces of the texture"
            )
        for name, points in (("faces", self.vertices), ("uv_faces", self.uv)):
            if not points.isfinite().all():
                raise ValueError("vertices and uv must be finite; there are NaN or infinite numbers")
            low, high = (int(n) for n in getattr(self, name).aminmax())
            if low < 0 or high >= len(points):
                raise ValueError(f"{name} must lie from 0 to {len(points) - 1}; got {low} to {high}")

    @cached_property
    def normals(self) -> Tensor:
        """Unit normals of the vertices, (V, 3): the mean of the faces around each, weighted by area."""
        a, b, c = self.vertices[self.faces].unbind(dim=1)
        doubled = torch.linalg.cross(b - a, c - a)  # twice the area, times the normal
        total = torch.zeros_like(self.vertices)
        for corner in range(3):
            total.index_add_(0, self.faces[:, corner], doubled)
        return torch.nn.functional.normalize(total, dim=1, eps=1e-30)

    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """vertices, faces, uv, uv_faces: ``Mesh(*parts)`` is this mesh, but for its name.

        >>> from dip_lessons.mesh.mesh import torus
        >>> [tuple(part.shape) for part in torus(8, 8).parts()]  # the texture's border needs vertices twice
        [(64, 3), (128, 3), (81, 2), (128, 3)]
        """
        return self.vertices, self.faces, self.uv, self.uv_faces

    @property
    def reference(self) -> str | tuple[Tensor, Tensor, Tensor, Tensor]:
        """What is stored in its place: the name of one of the course's, else its parts; see :func:`as_mesh`."""
        return self.name if self.name in MESHES else self.parts()

    def to(self, device: torch.device | str | None) -> Mesh:
        """The same mesh on another device.

        >>> from dip_lessons.mesh.mesh import torus
        >>> torus(8, 8).to("cpu").vertices.device
        device(type='cpu')
        """
        if device is None or self.vertices.device == torch.device(device):
            return self
        vertices, faces, uv, uv_faces = (part.to(device) for part in self.parts())
        return Mesh(vertices, faces, uv, uv_faces, self.name, self.repairs)

    def __repr__(self) -> str:
        said = "".join(f"; {repair}" for repair in self.repairs)
        return f"<mesh {self.name or 'without a name'}: {len(self.vertices)} vertices, {len(self.faces)} faces{said}>"


def load_mesh(name: str | os.PathLike[str], *, device: torch.device | str | None = None) -> Mesh:
    """Load a mesh of the course, or a file of one's own, centred and scaled to the cube from −1 to 1.

    OBJ: ``v``, ``vt`` and ``f`` with v/vt or v/vt/vn, negative indices included; polygons are cut into fans of
    triangles, which is right for convex ones; all objects of the file become one mesh; normals are made anew.
    ``.npz``: arrays ``v`` (V, 3), ``uv`` (V, 2) and ``f`` (F, 3). Vertices at the same place become one, faces
    without area are dropped, coordinates of any size are scaled in float64; ``repairs`` says what was changed.

    Args:
        name: one of ``MESHES`` ("teapot", "suzanne", "bunny"), or the path of an ``.obj`` or ``.npz`` file.
        device: where the tensors go; None is the CPU.

    Raises:
        UnknownAssetError: the name is neither a mesh of the course nor a file.
        ValueError: the file is no such mesh; says in which line and what to do.

    >>> mesh = dip.load_mesh("teapot")
    >>> mesh.vertices.shape[1], round(mesh.vertices.abs().max().item(), 4)
    (3, 1.0)
    """
    key = os.fspath(name)
    file = assets.path(MESHES[key]) if key in MESHES else Path(key).expanduser()
    if not file.is_file():
        raise assets.UnknownAssetError(
            f"{key!r} is neither a mesh of the course ({', '.join(MESHES)}) nor a file"
        )
    arrays = _read_npz(file) if file.suffix == ".npz" else _read_obj(file)
    return _cleaned(*arrays, name=key if key in MESHES else file.stem, file=file).to(device)


def as_mesh(mesh: Mesh | str | tuple[Tensor, Tensor, Tensor, Tensor]) -> Mesh:
    """A mesh itself, or the one that a name, a path or four tensors stand for (see :attr:`Mesh.reference`).

    >>> from dip_lessons.mesh.mesh import as_mesh, torus
    >>> ring = torus(8, 8)
    >>> as_mesh(ring) is ring, len(as_mesh(ring.parts()).faces)
    (True, 128)
    """
    if isinstance(mesh, Mesh):
        return mesh
    return load_mesh(mesh) if isinstance(mesh, str) else Mesh(*mesh)


def torus(rings: int = 64, sides: int = 32, *, radius: float = 0.35) -> Mesh:
    """A torus about the y axis that touches the planes x, z = ±1, with its texture wrapped around both ways.

    At (u, v), with φ = 2πu, ψ = 2πv and ρ = 1 − radius + radius · cos ψ, lies (ρ sin φ, radius · sin ψ, ρ cos φ).
    Its surface is 4π² (1 − radius) radius; everything of the texture is seen.

    Args:
        rings: steps around the axis, 3 or more.
        sides: steps around the tube, 3 or more.
        radius: of the tube, in (0, ½).

    >>> from dip_lessons.mesh.mesh import torus
    >>> torus(8, 8).vertices.abs().amax(dim=0)
    tensor([1.0000, 0.3500, 1.0000])
    """
    if not (rings >= 3 and sides >= 3 and 0 < radius < 0.5):
        raise ValueError(
            f"a torus needs 3 rings and sides or more, radius in (0, ½); got {rings, sides, radius}"
        )
    u, v = np.meshgrid(np.arange(rings + 1) / rings, np.arange(sides + 1) / sides, indexing="ij")
    i, j = np.meshgrid(np.arange(rings), np.arange(sides), indexing="ij")
    phi, psi = 2 * np.pi * u[:-1, :-1], 2 * np.pi * v[:-1, :-1]
    rho = 1 - radius + radius * np.cos(psi)
    points = np.stack([rho * np.sin(phi), radius * np.sin(psi), rho * np.cos(phi)], axis=-1)

    def quads(columns: int, wrap: bool) -> np.ndarray:
        nexts = ((i + 1) % rings, (j + 1) % sides) if wrap else (i + 1, j + 1)
        a, b = i * columns + j, nexts[0] * columns + j
        return _halved(a, b, nexts[0] * columns + nexts[1], i * columns + nexts[1])

    uv = np.stack([u, v], axis=-1).reshape(-1, 2)
    return _mesh(points.reshape(-1, 3), quads(sides, True), uv, quads(sides + 1, False), "torus")


def sphere(rings: int = 32, segments: int = 64) -> Mesh:
    """The unit sphere about the y axis, its texture an equirectangular map as it is seen from outside.

    At (u, v), with φ = 2πu and colatitude θ = π(1 − v), lies (sin θ sin φ, cos θ, sin θ cos φ).

    Args:
        rings: steps from pole to pole, 2 or more.
        segments: steps around, 3 or more.

    >>> from dip_lessons.mesh.mesh import sphere
    >>> ball = sphere(8, 16)
    >>> bool((ball.vertices.norm(dim=1) - 1).abs().max() < 1e-6)
    True
    """
    if rings < 2 or segments < 3:
        raise ValueError(f"a sphere needs 2 rings and 3 segments or more; got {rings, segments}")
    theta = np.pi * np.arange(1, rings)[:, None] / rings
    phi = 2 * np.pi * np.arange(segments) / segments
    around = np.broadcast_arrays(np.sin(theta) * np.sin(phi), np.cos(theta), np.sin(theta) * np.cos(phi))
    points = np.concatenate([np.stack(around, -1).reshape(-1, 3), [[0, 1, 0], [0, -1, 0]]])
    north, south = len(points) - 2, len(points) - 1
    # Texture: rings − 1 rows of segments + 1 points, then a point of each pole for each segment.
    v = 1 - np.arange(1, rings) / rings
    rows = np.stack(np.meshgrid(np.arange(segments + 1) / segments, v), axis=-1).reshape(-1, 2)
    middle = (np.arange(segments) + 0.5) / segments
    poles = [np.stack([middle, np.full(segments, end)], axis=-1) for end in (1.0, 0.0)]
    uv = np.concatenate([rows, *poles])

    def faces(columns: int, tops: np.ndarray, bottoms: np.ndarray) -> np.ndarray:
        i, j = np.meshgrid(np.arange(rings - 2), np.arange(segments), indexing="ij")
        k = np.arange(segments)
        above, below = i * columns, (i + 1) * columns  # the first of the two rows
        right = (j + 1) % columns
        caps_right = (k + 1) % columns
        last = (rings - 2) * columns
        return np.concatenate(
            [
                np.stack([tops, k, caps_right], axis=-1),
                _halved(below + j, below + right, above + right, above + j),
                np.stack([bottoms, last + caps_right, last + k], axis=-1),
            ]
        )

    k = np.arange(segments)
    own = faces(segments, np.full(segments, north), np.full(segments, south))
    return _mesh(points, own, uv, faces(segments + 1, len(rows) + k, len(rows) + segments + k), "sphere")


def _mesh(points: np.ndarray, faces: np.ndarray, uv: np.ndarray, uv_faces: np.ndarray, name: str) -> Mesh:
    numbers = [torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in (points, uv)]
    indices = [torch.from_numpy(np.ascontiguousarray(a, np.int64)) for a in (faces, uv_faces)]
    return Mesh(numbers[0], indices[0], numbers[1], indices[1], name)


def _halved(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Quadrilaterals a, b, c, d as triangles, (2n, 3)."""
    return np.stack([np.stack([a, b, c], axis=-1), np.stack([a, c, d], axis=-1)], axis=-2).reshape(-1, 3)


def _cleaned(
    points: np.ndarray, faces: np.ndarray, uv: np.ndarray, uv_faces: np.ndarray, *, name: str, file: Path
) -> Mesh:
    """A mesh in the cube from −1 to 1, its vertices merged, faces without area and unused points left out."""
    repairs = []
    if np.abs(uv).max() > 1000:
        raise ValueError(
            f"{file}: texture coordinates reach {np.abs(uv).max():.3g}, where float32 cannot tell texels apart; "
            f"{UNWRAP}"
        )
    used, faces = np.unique(faces, return_inverse=True)
    points, faces = points[used], faces.reshape(-1, 3)
    low, high = points.min(axis=0), points.max(axis=0)
    # Halves, for the difference of two huge numbers might overflow.
    extent = float((high / 2 - low / 2).max())
    if not extent > 0:
        raise ValueError(f"{file}: all vertices lie at one place, so there is nothing to see")
    # To float32 first: what is the same for the rasterizer becomes one vertex.
    points = ((points - (low / 2 + high / 2)) / extent).astype(np.float32)
    points, merged = np.unique(points + np.float32(0), axis=0, return_inverse=True)  # −0 + 0 = 0
    faces = merged.reshape(-1)[faces]
    a, b, c = (points[faces[:, i]].astype(np.float64) for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    if (flat := area <= 1e-12).any():
        repairs.append(f"{flat.sum()} of {len(faces)} faces had no area and were dropped")
        faces, uv_faces = faces[~flat], uv_faces[~flat]
    if not len(faces):
        raise ValueError(f"{file}: no face has an area, so there is nothing to see")
    used, faces = np.unique(faces, return_inverse=True)
    used_uv, uv_faces = np.unique(uv_faces, return_inverse=True)
    mesh = _mesh(points[used], faces.reshape(-1, 3), uv[used_uv], uv_faces.reshape(-1, 3), name)
    return replace(mesh, repairs=tuple(repairs))


def _read_npz(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    with np.load(file, allow_pickle=False) as stored:
        if missing := {"v", "f", "uv"} - set(stored.files):
            hint = f"; {UNWRAP}" if missing == {"uv"} else ""
            raise ValueError(f"{file} lacks the arrays {', '.join(sorted(missing))}{hint}")
        points, uv, faces = stored["v"].astype(np.float64), stored["uv"].astype(np.float64), stored["f"]
    good = (
        points.ndim == uv.ndim == faces.ndim == 2
        and (points.shape[1], uv.shape[1], faces.shape[1]) == (3, 2, 3)
        and len(points) == len(uv)
        and min(len(points), len(faces)) > 0
        and np.issubdtype(faces.dtype, np.integer)
    )
    if not good:
        raise ValueError(
            f"{file}: expected v (V, 3), uv (V, 2) and whole numbers f (F, 3); got "
            f"{points.shape}, {uv.shape} and {faces.shape} {faces.dtype}"
        )
    for name, values in (("v", points), ("uv", uv)):
        if (rows := np.flatnonzero(~np.isfinite(values).all(axis=1))).size:
            raise ValueError(
                f"{file}: {name}[{rows[0]}] is {values[rows[0]].tolist()}; expected finite numbers"
            )
    if (rows := np.flatnonzero(((faces < 0) | (faces >= len(points))).any(axis=1))).size:
        raise ValueError(
            f"{file}: f[{rows[0]}] is {faces[rows[0]].tolist()}, but there are vertices 0 to {len(points) - 1}"
        )
    return points, faces.astype(np.int64), uv, faces.astype(np.int64)


def _read_obj(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    points: list[list[float]] = []
    uv: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    uv_faces: list[tuple[int, int, int]] = []
    for number, text in _lines(file):
        where = f"{file}, line {number}"
        key, *words = text.split()
        if key in ("v", "vt"):
            wanted = 3 if key == "v" else 2
            row = _numbers(words[:wanted], where)
            if len(row) < wanted:
                raise ValueError(f"{where}: {key} needs {wanted} numbers; got {text!r}")
            (points if key == "v" else uv).append(row)
        elif key == "f":
            if len(words) < 3:
                raise ValueError(f"{where}: a face needs 3 corners or more; got {text!r}")
            corners = [_corner(word, len(points), len(uv), where) for word in words]
            for second, third in zip(corners[1:], corners[2:], strict=False):
                fan = (corners[0], second, third)
                faces.append((fan[0][0], fan[1][0], fan[2][0]))
                uv_faces.append((fan[0][1], fan[1][1], fan[2][1]))
    if not faces:
        raise ValueError(f"{file} holds no faces: expected an OBJ file with lines v, vt and f")
    return np.array(points), np.array(faces), np.array(uv), np.array(uv_faces)


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Lines that say something, with their numbers; a backslash at the end joins the next line."""
    started, joined = 0, ""
    with open(file, encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            started = started or number
            joined += line.split("#")[0].rstrip()
            if joined.endswith("\\"):
                joined = joined[:-1] + " "
                continue
            if joined.strip():
                yield started, joined.strip()
            started, joined = 0, ""
    if joined.strip():
        yield started, joined.strip()


def _numbers(words: list[str], where: str) -> list[float]:
    try:
        row = [float(word) for word in words]
    except ValueError as error:
        raise ValueError(f"{where}: expected numbers; got {' '.join(words)!r}") from error
    if not all(map(math.isfinite, row)):
        raise ValueError(f"{where}: expected finite numbers; got {' '.join(words)!r}")
    return row


def _corner(word: str, points: int, uvs: int, where: str) -> tuple[int, int]:
    """v/vt or v/vt/vn as indices from 0; negative ones count back from the last line read."""
    parts = word.split("/")
    if len(parts) < 2 or not parts[1]:
        raise ValueError(f"{where}: the corner {word!r} has no texture coordinate (v/vt); {UNWRAP}")
    found = []
    for part, count, kind in ((parts[0], points, "vertices"), (parts[1], uvs, "texture coordinates")):
        try:
            index = int(part)
        except ValueError as error:
            raise ValueError(
                f"{where}: a corner is v/vt or v/vt/vn in whole numbers; got {word!r}"
            ) from error
        if index == 0 or not -count <= index <= count:
            raise ValueError(
                f"{where}: the corner {word!r} asks for one of {count} {kind} above it that is not there"
            )
        found.append(index - 1 if index > 0 else count + index)
    return found[0], found[1]
