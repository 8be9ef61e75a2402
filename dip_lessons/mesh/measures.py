"""How visible the seams of a texture are on its mesh. It is found in ``dip.metrics``, too."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..registry import enter
from .mesh import Mesh
from .raster import Camera, across_edges, rasterize, sample_texture


@enter("measure")
@torch.no_grad()
def uv_seam_energy(
    image: Tensor, mesh: Mesh, *, step: float = 0.02, cameras: Sequence[Camera] | None = None
) -> Tensor:
    """How visible the seams of a texture are on the mesh, (B,): 0 means not at all, 1 that its sides are strangers.

    E is the mean squared step of colour across an edge, from places on one face to those opposite on the other.
    Result: (E where the texture is cut − E elsewhere) / (E of places that have nothing to do with each other − E
    elsewhere). Edges count by their length and by how many cameras see them, for the inside of a mouth is free.

    Args:
        image: textures (B, C, H, W).
        mesh: on which they are wrapped.
        step: the distance of the two places, in the mesh's unit; in small faces, half their height on each side.
        cameras: who looks; None takes 32 that are spread evenly over all directions.

    Raises ValueError if the texture is cut nowhere, or everywhere, as far as the cameras see.

    >>> from dip_lessons.mesh.mesh import torus
    >>> x = torch.arange(64) / 64  # which meets itself at the seam: from 1 back to 0
    >>> ramp, wave = x.expand(1, 3, 64, 64), (0.5 + 0.5 * (2 * torch.pi * x).sin()).expand(1, 3, 64, 64)
    >>> cameras = dip.turntable(4)
    >>> torn, whole = (dip.metrics.uv_seam_energy(image, torus(), cameras=cameras) for image in (ramp, wave))
    >>> (torn > whole).item()
    True
    """
    mesh = mesh.to(image.device)
    places, cut, points, length = across_edges(mesh, step)
    weight = length * _times_seen(mesh, points, cameras)  # (8, E)
    cuts, others = (weight * part for part in (cut, ~cut))
    if cuts.sum() == 0 or others.sum() == 0:
        raise ValueError(
            f"of this mesh's {len(cut)} edges {int(cut.sum())} cut the texture, and cameras see "
            f"{'none of them' if cuts.sum() == 0 else 'no other'}: nothing to compare"
        )
    energies = []
    for texture in image.float():
        colour = sample_texture(texture[None], places)  # (8, C, E, 2)
        squared = (colour[..., 0] - colour[..., 1]).square().mean(dim=1)  # (8, E)
        at_cuts, elsewhere = ((squared * part).sum() / part.sum() for part in (cuts, others))
        share = weight[:, None, :, None] / weight.sum() / 2
        mean = (colour * share).sum(dim=(0, 2, 3), keepdim=True)
        strangers = 2 * ((colour - mean).square() * share).sum() / colour.shape[1]  # E|x − y|² = 2 Var x
        energies.append((at_cuts - elsewhere) / (strangers - elsewhere).clamp(min=1e-6))
    return torch.stack(energies)


def _times_seen(mesh: Mesh, points: Tensor, cameras: Sequence[Camera] | None) -> Tensor:
    """How many cameras see each of the places (…, 3) on the mesh."""
    if cameras is None:
        i = torch.arange(32, dtype=torch.float32, device="cpu")
        y = 1 - (i + 0.5) / 16  # a spiral from pole to pole, turned by the golden angle
        phi = i * math.pi * (3 - math.sqrt(5))
        radius = (1 - y * y).sqrt()
        eyes = 12 * torch.stack([radius * phi.sin(), y, radius * phi.cos()], dim=1)
        cameras = [Camera((eye[0], eye[1], eye[2])) for eye in eyes.tolist()]
    side, total = 256, torch.zeros(points.shape[:-1], dtype=torch.float32, device=points.device)
    for camera in cameras:
        depth = rasterize(mesh, camera, side).depth
        at = camera.project(points, (side, side))
        pixel = (at[..., :2] / at[..., 2:].clamp(min=camera.near)).floor().long()
        inside = ((pixel >= 0) & (pixel < side)).all(dim=-1) & (at[..., 2] >= camera.near)
        column, row = pixel.clamp(0, side - 1).unbind(dim=-1)
        total += inside & ((depth[row, column] - at[..., 2]).abs() < 0.03)
    return total
