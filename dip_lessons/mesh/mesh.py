"""Triangle meshes with texture coordinates: load, check, make and export them.

A texture is a picture with u from left to right and v from bottom to top, both from 0 to 1, as OBJ files have it.
"""

from __future__ import annotations

import math
import operator
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import assets
from ..arguments import is_whole

MESHES = {"teapot": "meshes/teapot.obj", "suzanne": "meshes/suzi_uv.npz", "bunny": "meshes/bunny_uv.npz"}
# Formats that are neither read nor written here; .glb is written.
OTHERS = (".3ds", ".blend", ".dae", ".fbx", ".gltf", ".off", ".ply", ".stl", ".usd", ".usdz", ".x3d")
UNWRAP = "unwrap it first, in Blender (UV > Smart UV Project) or with the Python package xatlas"
LARGEST = 2**30  # bytes of the arrays of an .npz, unpacked: about 40 million vertices


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
    def _elsewhere(self) -> dict[torch.device, Mesh]:
        """What :meth:`to` has made."""
        return {}

    @cached_property
    @torch.inference_mode(False)
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

    @torch.inference_mode(False)
    def to(self, device: torch.device | str | None) -> Mesh:
        """The same mesh on another device; the copy is made once, and kept with this one.

        >>> from dip_lessons.mesh.mesh import torus
        >>> torus(8, 8).to("cpu").vertices.device
        device(type='cpu')
        """
        place = self.vertices.device if device is None else torch.device(device)
        if place == self.vertices.device:
            return self
        if place not in self._elsewhere:
            vertices, faces, uv, uv_faces = (part.to(place) for part in self.parts())
            self._elsewhere[place] = Mesh(vertices, faces, uv, uv_faces, self.name, self.repairs)
        return self._elsewhere[place]

    def __getstate__(self) -> dict[str, object]:
        """Without what can be made again."""
        return {name: vars(self)[name] for name in self.__dataclass_fields__}

    def __repr__(self) -> str:
        said = "".join(f"; {repair}" for repair in self.repairs)
        return f"<mesh {self.name or 'without a name'}: {len(self.vertices)} vertices, {len(self.faces)} faces{said}>"


def load_mesh(name: str | os.PathLike[str], *, device: torch.device | str | None = None) -> Mesh:
    """Load a mesh of the course, or a file of one's own, centred and scaled to the cube from −1 to 1.

    OBJ: ``v``, ``vt`` and ``f`` with v/vt or v/vt/vn, negative indices included; polygons are cut into fans of
    triangles, which is right for convex ones; all objects of the file become one mesh; normals are made anew.
    Text is UTF-8, with or without a byte-order mark; a face may stand before its coordinates. Materials are not
    read: all faces share one texture, and where there were several, ``repairs`` says so. ``.npz``: arrays ``v``
    (V, 3), ``uv`` (V, 2) and ``f`` (F, 3). Vertices at the same place become one, faces without area are dropped,
    coordinates of any size are scaled in float64; ``repairs`` says what was changed.

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
    if (ending := file.suffix.lower()) in (*OTHERS, ".glb"):
        raise ValueError(
            f"{file}: a mesh is read from .obj, or .npz; write this {ending} as .obj first, in Blender or with the "
            f"Python package trimesh: trimesh.load(path, force='mesh').export('{file.stem}.obj')"
        )
    arrays, materials = (_read_npz(file), set()) if file.suffix == ".npz" else _read_obj(file)
    mesh = _cleaned(*arrays, name=key if key in MESHES else file.stem, file=file)
    if len(materials) > 1:
        said = f"faces of {len(materials)} materials ({', '.join(sorted(materials))}) share one texture"
        mesh = replace(mesh, repairs=(*mesh.repairs, said))
    return mesh.to(device)


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
    if not (is_whole(rings) and is_whole(sides) and rings >= 3 and sides >= 3 and 0 < radius < 0.5):
        raise ValueError(
            f"a torus needs 3 rings and sides or more, radius in (0, ½); got {rings, sides, radius}"
        )
    rings, sides = operator.index(rings), operator.index(sides)
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
    if not (is_whole(rings) and is_whole(segments) and rings >= 2 and segments >= 3):
        raise ValueError(f"a sphere needs 2 rings and 3 segments or more; got {rings, segments}")
    rings, segments = operator.index(rings), operator.index(segments)
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


@torch.inference_mode(False)
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
    arrays = _arrays(file)
    if missing := {"v", "f", "uv"} - set(arrays):
        hint = f"; {UNWRAP}" if missing == {"uv"} else ""
        raise ValueError(f"{file} lacks the arrays {', '.join(sorted(missing))}{hint}")
    points, uv, faces = arrays["v"], arrays["uv"], arrays["f"]
    good = (
        points.ndim == uv.ndim == faces.ndim == 2
        and (points.shape[1], uv.shape[1], faces.shape[1]) == (3, 2, 3)
        and len(points) == len(uv)
        and min(len(points), len(faces)) > 0
        and points.dtype.kind in "fiu"
        and uv.dtype.kind in "fiu"
        and faces.dtype.kind in "iu"
    )
    if not good:
        raise ValueError(
            f"{file}: expected v (V, 3), uv (V, 2) and whole numbers f (F, 3); got "
            f"{points.shape} {points.dtype}, {uv.shape} {uv.dtype} and {faces.shape} {faces.dtype}"
        )
    points, uv = points.astype(np.float64), uv.astype(np.float64)
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


def _arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays v, uv and f of an .npz, as far as they are there; none is made that the file does not hold."""
    found = {}
    try:
        with zipfile.ZipFile(file) as archive:
            members = {
                name: f"{name}.npy" for name in ("v", "uv", "f") if f"{name}.npy" in archive.namelist()
            }
            if (total := sum(archive.getinfo(member).file_size for member in members.values())) > LARGEST:
                raise ValueError(f"its arrays have {total} bytes; a mesh has {LARGEST} at most")
            for name, member in members.items():
                with archive.open(member) as stream:
                    version = np.lib.format.read_magic(stream)
                    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else None
                    shape, _, dtype = (read or np.lib.format.read_array_header_2_0)(stream)
                    if (told := math.prod(shape) * dtype.itemsize) > archive.getinfo(member).file_size:
                        raise ValueError(
                            f"{name} says that it has {shape} numbers, {told} bytes: more than there are"
                        )
                with archive.open(member) as stream:
                    found[name] = np.lib.format.read_array(stream, allow_pickle=False)
    except Exception as error:  # whatever a broken archive leads its readers to
        raise ValueError(f"{file} was expected to be an .npz of plain arrays v, uv and f: {error}") from error
    return found


def _read_obj(file: Path) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], set[str]]:
    """Vertices, faces, texture coordinates and their faces; and the names of the materials that faces have."""
    points: list[list[float]] = []
    uv: list[list[float]] = []
    corners: list[tuple[int, int]] = []  # of all triangles, vertex and texture coordinate
    lines: list[tuple[int, str]] = []  # where each corner stands, and as what
    material, materials = "", set()
    for number, text in _lines(file):
        where = f"{file}, line {number}"
        key, *words = text.split()
        if key in ("v", "vt"):
            wanted = 3 if key == "v" else 2
            row = _numbers(words[:wanted], where)
            if len(row) < wanted:
                raise ValueError(f"{where}: {key} needs {wanted} numbers; got {text!r}")
            (points if key == "v" else uv).append(row)
        elif key == "usemtl":
            material = " ".join(words)
        elif key == "f":
            if len(words) < 3:
                raise ValueError(f"{where}: a face needs 3 corners or more; got {text!r}")
            found = [_corner(word, len(points), len(uv), where) for word in words]
            for second in range(1, len(found) - 1):
                corners += [found[i] for i in (0, second, second + 1)]
                lines += [(number, words[i]) for i in (0, second, second + 1)]
            materials.add(material)
    if not corners:
        raise ValueError(f"{file} holds no faces: expected an OBJ file with lines v, vt and f")
    pairs = np.array(corners)
    for values, rows, kind in ((pairs[:, 0], points, "vertices"), (pairs[:, 1], uv, "texture coordinates")):
        if (beyond := np.flatnonzero(values >= len(rows))).size:
            number, word = lines[beyond[0]]
            raise ValueError(
                f"{file}, line {number}: the corner {word!r} asks for one of {len(rows)} {kind} that is not there"
            )
    faces, uv_faces = pairs.reshape(-1, 3, 2).transpose(2, 0, 1)
    return (np.array(points), faces, np.array(uv), uv_faces), materials


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Lines that say something, with their numbers; a backslash at the end joins the next line."""
    with open(file, "rb") as raw:
        start = raw.read(64)
    if start[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in start:
        raise ValueError(f"{file} is UTF-16 text, or no text: save it as UTF-8")
    started, joined = 0, ""
    with open(file, encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            started, line = started or number, line.replace("\ufeff", "")  # byte-order marks
            joined += (line if line.lstrip().startswith("usemtl") else line.split("#")[0]).rstrip()
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
    """v/vt or v/vt/vn as indices from 0; negative ones count back from the last line read, others may come later."""
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
        if index == 0 or index < -count:
            raise ValueError(
                f"{where}: the corner {word!r} asks for one of {count} {kind} above it that is not there"
            )
        found.append(index - 1 if index > 0 else count + index)
    return found[0], found[1]
