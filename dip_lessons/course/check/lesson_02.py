"""Exercises of lesson 02."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ... import assets
from ...parameterizations.color import COVARIANCE
from .verdict import Exercise

__all__ = ["color_root", "preconditioned_step", "sum_components", "whiten"]


def _step_case(n: int, lr: float) -> Callable[[], tuple[Tensor, Tensor, Tensor, float]]:
    # Square matrices only: a wrong product then has the right shape, and its own hint.
    def case() -> tuple[Tensor, Tensor, Tensor, float]:
        generator = torch.Generator().manual_seed(n)
        x, gradient = torch.randn(2, n, generator=generator)
        return x, gradient, torch.randn(n, n, generator=generator), lr

    return case


preconditioned_step = Exercise(
    "preconditioned_step",
    lambda x, gradient, M, lr: x + lr * M @ (M.T @ gradient),
    [_step_case(5, 0.1), _step_case(8, 0.3)],
    {
        "you went downhill: ascent adds": lambda x, g, M, lr: x - lr * M @ (M.T @ g),
        "this is a plain step in x: M does not occur in it": lambda x, g, M, lr: x + lr * g,
        "you added a step of θ to x: a change of θ becomes one of x by another product": lambda x, g, M, lr: (
            x + lr * M.T @ g
        ),
        "you took the gradient of x for that of θ: a matrix lies between them": lambda x, g, M, lr: (
            x + lr * M @ g
        ),
        "M and its transpose stand in the wrong order": lambda x, g, M, lr: x + lr * M.T @ (M @ g),
        "M occurs twice, but the chain rule transposes it once": lambda x, g, M, lr: x + lr * M @ (M @ g),
        "the learning rate is missing": lambda x, g, M, lr: x + M @ (M.T @ g),
        "you returned the change of x alone: the step starts at x": lambda x, g, M, lr: lr * M @ (M.T @ g),
    },
)


def _components(
    theta: Tensor,
    size: tuple[int, int],
    decay: float = 1.0,
    *,
    power: float = -1.0,
    floor: bool = True,
    norm: str = "ortho",
    real_only: bool = False,
    swapped: bool = False,
) -> Tensor:
    height, width = size
    f = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width))
    f = f.clamp(min=1 / max(size)) if floor else f + (f == 0)
    theta = theta.flip(-1) if swapped else theta
    spectrum = torch.view_as_complex(theta.contiguous())
    spectrum = (spectrum.real + 0j if real_only else spectrum) * f.to(theta) ** (power * decay)
    return torch.fft.irfft2(spectrum, s=size, norm=norm) / 4


def _theta_case(size: tuple[int, int], decay: float) -> Callable[[], tuple[Tensor, tuple[int, int], float]]:
    def case() -> tuple[Tensor, tuple[int, int], float]:
        generator = torch.Generator().manual_seed(size[1])
        return torch.randn(2, 3, size[0], size[1] // 2 + 1, 2, generator=generator), size, decay

    return case


sum_components = Exercise(
    "sum_components",
    _components,
    [_theta_case((24, 24), 1.0), _theta_case((15, 21), 1.5)],
    {
        "you multiplied by f^decay: dividing makes high frequencies weak": lambda *a: _components(
            *a, power=1.0
        ),
        "you left the exponent out: it is f ** decay": lambda theta, size, decay: _components(
            theta, size, 1.0
        ),
        "no component was divided by f ** decay": lambda *a: _components(*a, power=0.0),
        "the constant counts as one cycle per picture: use `frequencies(size)`, which clamps f": lambda *a: (
            _components(*a, floor=False)
        ),
        'the sum is √(HW) too small: irfft2 needs norm="ortho"': lambda *a: _components(*a, norm="backward"),
        'the sum is √(HW) too large: irfft2 needs norm="ortho"': lambda *a: _components(*a, norm="forward"),
        "the quarter is missing": lambda *a: 4 * _components(*a),
        "only the real part, the cosines, arrived: view_as_complex keeps both": lambda *a: _components(
            *a, real_only=True
        ),
        "real and imaginary part are exchanged": lambda *a: _components(*a, swapped=True),
    },
    gradient=[0],
)


def _powers(covariance: Tensor, power: float, turn_back: bool = True) -> Tensor:
    """U λ^power Uᵀ, or without turning back U λ^power."""
    variance, directions = torch.linalg.eigh(covariance)
    scaled = directions * variance**power
    return scaled @ directions.T if turn_back else scaled


def _random_covariance() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    root = torch.rand(5, 5, generator=generator)  # all covariances positive: entrywise roots exist
    return root @ root.T / 5 + 0.1 * torch.eye(5)


color_root = Exercise(
    "color_root",
    lambda covariance: _powers(covariance, 0.5),
    [lambda: (COVARIANCE.clone(),), lambda: (_random_covariance(),)],
    {
        "you took the root of each entry: a matrix times itself is not each entry times itself": torch.sqrt,
        "a root, for A Aᵀ is right, but not the symmetric one: turn back at the end": lambda c: _powers(
            c, 0.5, turn_back=False
        ),
        "a root, for A Aᵀ is right, but the triangular, not the symmetric one": torch.linalg.cholesky,
        "you used the variances as they are: it is their roots that belong between U and Uᵀ": lambda c: (
            c.clone()
        ),
        "the variances lack their root, and the result is not symmetric yet": lambda c: _powers(
            c, 1.0, turn_back=False
        ),
        "this is the inverse of the root: it whitens colours, the root colours what is white": lambda c: (
            _powers(c, -0.5)
        ),
        "you drew the root of the largest variance only": lambda c: _strongest(c),
        "U and Uᵀ are exchanged: eigenvectors are the columns of U, so U diag Uᵀ": lambda c: _exchanged(c),
    },
)


def _exchanged(covariance: Tensor) -> Tensor:
    variance, directions = torch.linalg.eigh(covariance)
    return directions.T @ torch.diag(variance.sqrt()) @ directions


def _strongest(covariance: Tensor) -> Tensor:
    variance, directions = torch.linalg.eigh(covariance)
    return variance[-1].sqrt() * torch.outer(directions[:, -1], directions[:, -1])


def _filtered(image: Tensor, power: float = 1.0, floor: bool = True, axes: str = "both") -> Tensor:
    height, width = image.shape[-2:]
    fy, fx = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)
    f = {"both": torch.hypot(fy, fx), "sum": fy.abs() + fx, "square": fy**2 + fx**2}[axes]
    if floor:
        f = f.clamp(min=1 / max(height, width))
    return torch.fft.irfft2(f.to(image) ** power * torch.fft.rfft2(image), s=(height, width))


def _without_phase(image: Tensor) -> Tensor:
    size = image.shape[-2:]
    f = torch.hypot(torch.fft.fftfreq(size[0])[:, None], torch.fft.rfftfreq(size[1])).clamp(min=1 / max(size))
    return torch.fft.irfft2(f.to(image) * torch.fft.rfft2(image).abs(), s=size)


def _swapped(image: Tensor) -> Tensor:
    """The frequencies of fft2, in the order of fftshift: the constant in the middle."""
    height, width = image.shape[-2:]
    f = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)).clamp(
        min=1 / max(height, width)
    )
    return torch.fft.ifft2(torch.fft.fftshift(f).to(image) * torch.fft.fft2(image)).real


def _random_picture() -> Tensor:
    return torch.rand(2, 3, 15, 21, generator=torch.Generator().manual_seed(0))


whiten = Exercise(
    "whiten",
    _filtered,
    [lambda: (assets.picture("chelsea", (96, 97)),), lambda: (_random_picture(),)],
    {
        "you multiplied by 1/f, which blurs; whitening undoes it": lambda image: _filtered(image, -1.0),
        "you took the constant away: its factor is the bound, 1 / max(H, W), not 0": lambda image: _filtered(
            image, floor=False
        ),
        "the frequency is the length √(fx² + fy²); you used the square of it": lambda image: _filtered(
            image, axes="square"
        ),
        "the frequency is the length √(fx² + fy²); you used the sum of its parts": lambda image: _filtered(
            image, axes="sum"
        ),
        "you multiplied by f², which would whiten the power twice": lambda image: _filtered(image, 2.0),
        "the factors are in another order than the components: leave fftshift to pictures of spectra": _swapped,
        "your result is the picture itself: no component was changed": lambda image: image.clone(),
        "the phases are lost: multiply the complex components, not their absolute values": lambda image: (
            _without_phase(image)
        ),
    },
    gradient=[0],
    atol=1e-5,
)
