"""Textures of meshes, and cameras that see them.

mesh.py      Mesh: triangles with texture coordinates; load, check and make them
raster.py    Camera and rasterize: which triangle is seen at each pixel, and where on it; texture look-up
views.py     mesh_views, what random cameras see of a texture; render and turntable
texture.py   Texture: any parameterization wrapped around a mesh; solid.py: Solid, a texture cut out of a volume
export.py    mesh and texture as files of other programs
measures.py  how visible the seams of a texture are; part of ``dip.metrics``

It may import the core. Begin reading with mesh.py, then views.py.
"""

from .export import save_mesh
from .measures import uv_seam_energy
from .mesh import MESHES, Mesh, as_mesh, load_mesh, sphere, torus
from .raster import Camera, Raster, rasterize, sample_texture, soft_coverage
from .solid import Solid
from .texture import Texture
from .views import MeshViews, mesh_views, render, turntable

__all__ = [
    "MESHES",
    "Camera",
    "Mesh",
    "MeshViews",
    "Raster",
    "Solid",
    "Texture",
    "as_mesh",
    "load_mesh",
    "mesh_views",
    "rasterize",
    "render",
    "sample_texture",
    "save_mesh",
    "soft_coverage",
    "sphere",
    "torus",
    "turntable",
    "uv_seam_energy",
]
