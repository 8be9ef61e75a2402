"""The texture of a mesh, made of any parameterization."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor

from ..parameterizations.base import Parameterization
from ..parameterizations.fourier import Fourier
from ..registry import enter
from .export import save_mesh
from .mesh import Mesh, as_mesh


@enter("parameterization")
class Texture(Parameterization):
    """The picture that is wrapped around a mesh: another parameterization's, and the mesh it belongs to.

    It is the texture map itself, u to the right and v upwards. What a network should see of it are views:
    ``mesh_views(picture.mesh)``. Optimized without them, it becomes a flat picture that is cut at the seams.

    Args:
        of: a parameterization of 3 channels, or a size, which stands for ``Fourier(size)``.
        mesh: a mesh, the name of one of the course's ("teapot", "suzanne", "bunny"), or a mesh's four tensors.
        original: a texture map (1 or N, 3, H, W) in [0, 1] that comes after the others in the batch and never
            changes. ``mesh_views(…, shared=True)`` shows it by the same cameras, so that an objective can ask of
            the others to keep its scene.
        generator, device: see :class:`Parameterization`.

    Raises ValueError for another number of channels, and for an original of another size.

    **Source:** Distill 2018, "Texturing 3D models", with a Fourier texture of 1024².

    >>> from dip_lessons.mesh.mesh import torus
    >>> texture = dip.Texture(16, torus(8, 8))
    >>> views = dip.mesh_views(texture.mesh, size=32, count=2)
    >>> texture().shape, views(texture(), torch.Generator().manual_seed(0)).shape
    (torch.Size([1, 3, 16, 16]), torch.Size([2, 3, 32, 32]))
    """

    def __init__(
        self,
        of: int | tuple[int, int] | Parameterization,
        mesh: Mesh | str | tuple[Tensor, Tensor, Tensor, Tensor],
        *,
        original: Tensor | None = None,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        if not isinstance(of, Parameterization):
            of = Fourier(of, generator=generator, device=device)
        if of.channels != 3:
            raise ValueError(f"a texture has 3 channels; got {of}")
        kept = (
            torch.zeros(0, 3, *of.size, dtype=torch.float32, device="cpu")
            if original is None
            else original.detach().float().clone()
        )
        if kept.ndim != 4 or kept.shape[1:] != (3, *of.size):
            raise ValueError(
                f"the original must have shape (1, 3, H, W), of the size {of.size}; got {tuple(kept.shape)}"
            )
        super().__init__(
            of.size,
            batch=of.batch + len(kept),
            channels=3,
            decorrelate=of.decorrelate,
            generator=generator or of.generator,
            device=next(of.parameters()).device,
        )
        self.of, self.lr = of, of.lr
        self.mesh = as_mesh(mesh)
        self.original: Tensor
        self.constant("original", kept, stored=True)
        self.arguments = {"of": of, "mesh": self.mesh, "original": kept.cpu() if len(kept) else None}

    def forward(self) -> Tensor:
        return self._beside(self.of())

    def sample(self, generator: torch.Generator) -> Tensor:
        return self._beside(self.of.sample(generator))

    def _beside(self, image: Tensor) -> Tensor:
        return torch.cat([image, self.original]) if len(self.original) else image

    def set_image(self, image: Tensor) -> Texture:
        """Start from a texture map (1, 3, H, W) in [0, 1], or one for each that can change."""
        self.of.set_image(image)
        return self

    def save(self, path: str | os.PathLike[str], index: int = 0) -> Path:
        """Write mesh and texture as .obj, .mtl and .png (see :func:`save_mesh`); ``index`` says which of a batch.

        Args:
            path: of the .obj.

        >>> from dip_lessons.mesh.mesh import torus
        >>> file = dip.Texture(16, torus(8, 8)).save("ring.obj")
        >>> sorted(part.suffix for part in file.parent.glob("ring.*"))
        ['.mtl', '.obj', '.png']
        """
        with torch.no_grad():
            return save_mesh(self()[index], self.mesh, path)

    def extra_repr(self) -> str:
        return f"mesh={self.mesh}"
