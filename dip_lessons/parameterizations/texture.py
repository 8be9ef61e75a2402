"""The texture of a mesh, made of any parameterization."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from ..mesh import MESHES, Mesh, load_mesh, save_mesh
from .base import Parameterization
from .fourier import Fourier


class Texture(Parameterization):
    """The picture that is wrapped around a mesh: another parameterization's, and the mesh it belongs to.

    It is the texture map itself, u to the right and v upwards. What a network should see of it are views:
    ``mesh_views(picture.mesh)``. Optimized without them, it becomes a flat picture that is cut at the seams.

    Args:
        of: a parameterization of 3 channels, or a size, which stands for ``Fourier(size)``.
        mesh: a mesh, the name of one of the course's ("teapot", "suzanne", "bunny"), or a mesh's four tensors.
        generator, device: see :class:`Parameterization`.

    Raises ValueError for another number of channels.

    **Source:** Distill 2018, "Texturing 3D models", with a Fourier texture of 1024².
    """

    def __init__(
        self,
        of: int | tuple[int, int] | Parameterization,
        mesh: Mesh | str | tuple[Tensor, Tensor, Tensor, Tensor],
        *,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        if not isinstance(of, Parameterization):
            of = Fourier(of, generator=generator, device=device)
        if of.channels != 3:
            raise ValueError(f"a texture has 3 channels; got {of}")
        super().__init__(
            of.size,
            batch=of.batch,
            channels=3,
            decorrelate=of.decorrelate,
            generator=generator or of.generator,
        )
        self.of, self.lr = of, of.lr
        if not isinstance(mesh, Mesh):
            mesh = load_mesh(mesh) if isinstance(mesh, str) else Mesh(*mesh)
        self.mesh = mesh

    def forward(self) -> Tensor:
        return self.of()

    def sample(self, generator: torch.Generator) -> Tensor:
        return self.of.sample(generator)

    def set_image(self, image: Tensor) -> Texture:
        """Start from a texture map (B or 1, 3, H, W) in [0, 1]."""
        self.of.set_image(image)
        return self

    def save(self, path: str | os.PathLike[str], index: int = 0) -> Path:
        """Write mesh and texture as .obj, .mtl and .png (see :func:`save_mesh`); ``index`` says which of a batch."""
        with torch.no_grad():
            return save_mesh(path, self.mesh, self()[index])

    def settings(self) -> dict[str, object]:
        return {"of": self.of, "mesh": self.mesh.name if self.mesh.name in MESHES else self.mesh.parts()}

    def extra_repr(self) -> str:
        return f"mesh={self.mesh}"
