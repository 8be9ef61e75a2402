"""Colour: from unbounded, decorrelated coordinates to RGB in [0, 1], and back."""

import torch
from torch import Tensor

# Covariance of the RGB values of ImageNet's pixels. Source: Lucid, optvis/param/color.py.
COVARIANCE = torch.tensor(
    [
        [0.07911157, 0.06922007, 0.0629285],
        [0.06922007, 0.07536791, 0.07108173],
        [0.0629285, 0.07108173, 0.08204902],
    ],
    dtype=torch.float32,
    device="cpu",
)

# A (rounded) square root of it: A Aᵀ ≈ COVARIANCE. Its columns are lightness, blue–yellow and green–magenta.
ROOT = torch.tensor(
    [[0.26, 0.09, 0.02], [0.27, 0.0, -0.05], [0.27, -0.09, 0.03]], dtype=torch.float32, device="cpu"
)
BASIS = ROOT / ROOT.norm(dim=0).max()  # the longest column has length 1


def mix(z: Tensor, matrix: Tensor) -> Tensor:
    """Apply a 3×3 matrix to the first three channels of (B, C, H, W); a fourth one (alpha) passes through.

    >>> from dip_lessons.parameterizations import color
    >>> z = torch.eye(3).view(3, 3, 1, 1)  # the three decorrelated colours, one a picture
    >>> color.mix(z, color.ROOT)[:, :, 0, 0]  # light, blue against yellow, magenta against green
    tensor([[ 0.2600,  0.2700,  0.2700],
            [ 0.0900,  0.0000, -0.0900],
            [ 0.0200, -0.0500,  0.0300]])
    """
    rgb = torch.einsum("rc,bchw->brhw", matrix.to(z), z[:, :3])
    return rgb if z.shape[1] == 3 else torch.cat([rgb, z[:, 3:]], dim=1)


def to_image(z: Tensor, decorrelate: bool = True) -> Tensor:
    """The picture σ(A z): (B, C, H, W) of any real numbers to [0, 1].

    ``decorrelate=False``, or a picture of one channel, leaves A out.

    >>> from dip_lessons.parameterizations import color
    >>> color.to_image(torch.zeros(1, 3, 1, 1)).flatten()
    tensor([0.5000, 0.5000, 0.5000])
    """
    if decorrelate and z.shape[1] >= 3:
        z = mix(z, BASIS)
    return torch.sigmoid(z)


def from_image(image: Tensor, decorrelate: bool = True) -> Tensor:
    """The inverse of :func:`to_image`: z = A⁻¹ logit(image), with the image kept 1e-4 away from 0 and 1.

    >>> from dip_lessons.parameterizations import color
    >>> photo = dip.assets.picture("chelsea", 16)
    >>> torch.allclose(color.to_image(color.from_image(photo)), photo, atol=1e-3)
    True
    """
    z = torch.logit(image, eps=1e-4)
    if decorrelate and z.shape[1] >= 3:
        z = mix(z, torch.linalg.inv(BASIS.double()).to(z))
    return z
