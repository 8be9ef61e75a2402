"""A mesh and its texture as files that other programs open."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image
from torch import Tensor

from .mesh import Mesh
from .raster import coverage, dilate


def save_mesh(image: Tensor, mesh: Mesh, path: str | os.PathLike[str]) -> Path:
    """Write a mesh with its texture as three files that 3D programs open: .obj, .mtl and .png.

    Texels that no face covers get the colour of the nearest one that is covered (:func:`dilate`), so that no
    viewer's filter draws seams.

    Args:
        image: the texture, (3, H, W) or (1, 3, H, W) in [0, 1].
        mesh: what it is painted on.
        path: of the .obj; the others lie beside it. Spaces in its name become ``_``, for the formats know none.

    Returns the path of the .obj. Raises ValueError for what is no texture.

    **Source:** Wavefront's OBJ and MTL formats, as most 3D programs read them.

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
    file = file.with_name(file.stem.replace(" ", "_") + ".obj")
    height, width = picture.shape[-2:]
    filled = dilate(picture.float().cpu(), coverage(mesh, (height, width)))[0].clamp(0, 1)
    Image.fromarray((filled * 255).round().byte().permute(1, 2, 0).numpy()).save(file.with_suffix(".png"))
    file.with_suffix(".mtl").write_text(
        f"newmtl painted\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {file.stem}.png\n", "utf-8"
    )
    lines = [f"mtllib {file.stem}.mtl", "usemtl painted"]
    for key, rows in (("v", mesh.vertices), ("vt", mesh.uv), ("vn", mesh.normals)):
        lines += [" ".join([key, *(f"{number:.7g}" for number in row)]) for row in rows.tolist()]
    for corners, texels in zip((mesh.faces + 1).tolist(), (mesh.uv_faces + 1).tolist(), strict=True):
        lines.append("f " + " ".join(f"{v}/{t}/{v}" for v, t in zip(corners, texels, strict=True)))
    file.write_text("\n".join([*lines, ""]), "utf-8")
    return file
