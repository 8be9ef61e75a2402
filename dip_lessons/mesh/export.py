"""A mesh and its texture as files that other programs open."""

from __future__ import annotations

import os
import re
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ..atomic import atomic_write
from ..pictures import save_picture, to_pil
from .mesh import OTHERS, Mesh
from .raster import coverage, dilate


def save_mesh(image: Tensor, mesh: Mesh, path: str | os.PathLike[str]) -> Path:
    """Write a mesh with its texture for 3D programs: as .obj, with .mtl and .png beside it, or as one .glb.

    Texels that no face covers get the colour of the nearest one that is covered (:func:`dilate`), so that no
    viewer's filter draws seams.

    Args:
        image: the texture, (3, H, W) or (1, 3, H, W) in [0, 1].
        mesh: what it is painted on.
        path: ending in .obj or .glb. What comes after another dot is part of the name, as in ``ring_0.05``, and .obj
            is added. Blanks in it become ``_``, for the formats know none.

    Returns the path of the .obj or .glb. An earlier export of the same name is written anew.

    Raises:
        ValueError: no texture, or the ending of another format.
        FileExistsError: the .mtl or .png that would be written is there already, and is not of an earlier export.
        ImportError: a .glb was asked for, and trimesh, which writes it, is not installed.

    **Source:** Wavefront's OBJ and MTL formats, as most 3D programs read them; glTF 2.0 (Khronos) as trimesh writes it.

    >>> from dip_lessons.mesh.mesh import torus
    >>> file = dip.save_mesh(torch.full((3, 16, 16), 0.5), torus(8, 8), "my ring.obj")
    >>> file.name, dip.load_mesh(file)
    ('my_ring.obj', <mesh my_ring: 64 vertices, 128 faces>)
    """
    picture = image.detach()
    picture = picture[None] if picture.ndim == 3 else picture
    if picture.ndim != 4 or picture.shape[:2] != (1, 3) or not picture.isfinite().all():
        raise ValueError(
            f"a texture is finite and has shape (3, H, W) or (1, 3, H, W); got {tuple(image.shape)}"
        )
    file = Path(path).expanduser()
    if (ending := file.suffix.lower()) in (*OTHERS, ".jpeg", ".jpg", ".mtl", ".npz", ".png", ".zip"):
        raise ValueError(
            f"a mesh is written as .obj, with .mtl and .png beside it, or as .glb; got {file.name!r}"
        )
    stem = re.sub(r"\s", "_", file.stem if ending in (".obj", ".glb") else file.name)
    mesh = mesh.to("cpu")
    pixels = to_pil(dilate(picture.float().cpu(), coverage(mesh, (picture.shape[2], picture.shape[3]))))
    if ending == ".glb":
        with atomic_write(file := file.with_name(f"{stem}.glb")) as part:
            part.write_bytes(_glb(pixels, mesh))
        return file
    file, material, texture = (file.with_name(stem + ending) for ending in (".obj", ".mtl", ".png"))
    says = f"newmtl painted\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {texture.name}\n"
    ours = material.is_file() and material.read_bytes() == says.encode()
    for beside in () if ours else (material, texture):
        if beside.exists():
            raise FileExistsError(
                f"{beside} is there already and is not of an earlier export of {file.name}: choose another name"
            )
    save_picture(pixels, texture)
    lines = [f"mtllib {material.name}", "usemtl painted"]
    for key, rows in (("v", mesh.vertices), ("vt", mesh.uv), ("vn", mesh.normals)):
        lines += [" ".join([key, *(f"{number:.7g}" for number in row)]) for row in rows.tolist()]
    for corners, texels in zip((mesh.faces + 1).tolist(), (mesh.uv_faces + 1).tolist(), strict=True):
        lines.append("f " + " ".join(f"{v}/{t}/{v}" for v, t in zip(corners, texels, strict=True)))
    for target, text in ((material, says), (file, "\n".join([*lines, ""]))):
        with atomic_write(target) as part:
            part.write_bytes(text.encode())
    return file


def _glb(pixels: Image.Image, mesh: Mesh) -> bytes:
    """glTF has one list of corners: a vertex on a seam of the texture stands in it for each of its places there."""
    try:
        import trimesh
    except ImportError as error:
        raise ImportError(
            "a .glb is written by the package trimesh: run pip install trimesh, or ask for an .obj, which needs none"
        ) from error
    pairs = torch.stack([mesh.faces.flatten(), mesh.uv_faces.flatten()], dim=1)
    (vertex, texel), corners = (
        part.T if part.ndim == 2 else part for part in pairs.unique(dim=0, return_inverse=True)
    )
    look = trimesh.visual.material.PBRMaterial(
        baseColorTexture=pixels, metallicFactor=0.0, roughnessFactor=1.0
    )
    written = trimesh.Trimesh(
        mesh.vertices[vertex].numpy(),
        corners.view(-1, 3).numpy(),
        vertex_normals=mesh.normals[vertex].numpy(),
        visual=trimesh.visual.TextureVisuals(uv=mesh.uv[texel].numpy(), material=look),
        process=False,
    )
    return written.export(file_type="glb", include_normals=True)  # type: ignore[return-value]
