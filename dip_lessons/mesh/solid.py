"""A texture that is cut out of a solid: colours depend on where a texel lies in space."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..arguments import whole
from ..parameterizations.base import Parameterization
from ..registry import enter
from .mesh import Mesh, as_mesh
from .raster import texel_places

REACH = 0.9  # of the solid is the cube from −1 to 1: the solid repeats, and the mesh's ends should not meet


@enter("parameterization")
class Solid(Parameterization):
    """The texture σ(A · V(p)) of a mesh: V = F⁻¹(s·θ) / 4 are waves in space, p is where the texel lies on the mesh.

    Neighbours on the mesh are neighbours here, wherever they lie on the texture: it can be cut anywhere and has no
    seams. F⁻¹ is the orthonormal inverse transform of a real volume, s = 1/f^decay, looked up trilinearly.

    Args:
        size, batch, generator, device: see :class:`Parameterization`.
        mesh: a mesh, the name of one of the course's, or a mesh's four tensors.
        cells: of the volume along each of its three sides; what is finer than 2.2 / cells of the mesh's unit it
            cannot say.
        decay: the exponent of the fall with frequency. A plane through waves of amplitude 1/f^1.5 shows waves of
            amplitude 1/f, those of natural pictures: power adds up along the third direction.
        decorrelate: whether colours are decorrelated or the three channels are logits of RGB.
        sd: standard deviation of the first coefficients.

    Raises ValueError for fewer than 2 cells.

    **Source:** Peachey, *Solid Texturing of Complex Surfaces* (SIGGRAPH 1985), for textures cut out of solids.

    >>> from dip_lessons.mesh.mesh import torus
    >>> texture = dip.Solid(16, torus(8, 8), cells=8)
    >>> texture().shape, texture.coefficients.shape  # a picture, made of waves in space
    (torch.Size([1, 3, 16, 16]), torch.Size([1, 3, 8, 8, 5, 2]))
    """

    lr = 0.03  # more of its waves are slow than of a picture's, and all of them reach every texel
    scale: Tensor
    places: Tensor

    def __init__(
        self,
        size: int | tuple[int, int],
        mesh: Mesh | str | tuple[Tensor, Tensor, Tensor, Tensor],
        *,
        cells: int = 96,
        batch: int = 1,
        decay: float = 1.5,
        decorrelate: bool = True,
        sd: float = 0.01,
        generator: torch.Generator | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        cells, mesh = whole(cells, "cells", 2, such_as=96), as_mesh(mesh)
        super().__init__(size, batch=batch, decorrelate=decorrelate, generator=generator, device=device)
        self.arguments["mesh"] = mesh
        self.cells = cells
        both, half = (
            frequencies(cells, dtype=torch.float32, device="cpu")
            for frequencies in (torch.fft.fftfreq, torch.fft.rfftfreq)
        )
        f = (both[:, None, None] ** 2 + both[:, None] ** 2 + half**2).sqrt()  # cycles per cell
        scale = 1 / f.clamp(min=1 / cells) ** decay
        self.constant("scale", scale[..., None])
        # (H, W, 3): x, y, z, from the last axis of V to the first
        self.constant("places", REACH * texel_places(mesh, self.size))
        self.coefficients = self.trainable(
            sd * self.noise(self.batch, 3, *f.shape, 2)
        )  # last axis: real, imaginary

    def raw(self) -> Tensor:
        spectrum = torch.view_as_complex(self.coefficients * self.scale)
        volume = torch.fft.irfftn(spectrum, s=(self.cells,) * 3, dim=(2, 3, 4), norm="ortho") / 4
        grid = self.places.expand(self.batch, 1, -1, -1, -1)
        return F.grid_sample(volume, grid, align_corners=False)[:, :, 0]  # (B, 3, H, W)
