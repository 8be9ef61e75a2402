"""Exercises of lesson 12."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ...sphere.harmonics import degrees
from ...sphere.panorama import cameras
from .verdict import Exercise, Experiment

__all__ = ["camera_rays", "fair_pitch", "inner_product", "turn"]


def _weighted(f: Tensor, g: Tensor, weight: Tensor) -> Tensor:
    return (f * g * weight[:, None]).sum(dim=(-2, -1))


def _middles(height: int) -> Tensor:
    return math.pi * (torch.arange(height) + 0.5) / height


def _area(height: int, width: int) -> float:
    return math.pi / height * 2 * math.pi / width


def _inner_product(f: Tensor, g: Tensor) -> Tensor:
    height, width = f.shape[-2:]
    return _weighted(f, g, _middles(height).sin() * _area(height, width))


def _edges(f: Tensor, g: Tensor) -> Tensor:
    height, width = f.shape[-2:]
    return _weighted(f, g, (math.pi * torch.arange(height) / height).sin() * _area(height, width))


def _mean(f: Tensor, g: Tensor) -> Tensor:
    return _inner_product(f, g) / _inner_product(torch.ones_like(f), torch.ones_like(f))


def _mean_of_products(f: Tensor, g: Tensor) -> Tensor:
    return (f * g * _middles(f.shape[-2]).sin()[:, None]).mean(dim=(-2, -1))


def _functions_case(*shape: int) -> Callable[[], tuple]:
    def case() -> tuple:
        generator = torch.Generator().manual_seed(shape[0])
        return torch.rand(shape, generator=generator), torch.rand(shape, generator=generator)

    return case


inner_product = Exercise(
    "inner_product",
    _inner_product,
    [_functions_case(2, 64, 128), _functions_case(1, 60, 80)],
    {
        "you counted every pixel alike: a pixel near a pole is narrow, its area is sin θ · π/H · 2π/W": (
            lambda f, g: _weighted(f, g, torch.full(f.shape[-2:-1], _area(*f.shape[-2:])))
        ),
        "you shared the sphere's area, 4π, out evenly: a pixel near a pole is narrow, its area is sin θ · π/H · 2π/W": (
            lambda f, g: 4 * math.pi * (f * g).mean(dim=(-2, -1))
        ),
        "you weighted by sin θ, but left out the size of a pixel on the equator, π/H · 2π/W": (
            lambda f, g: _weighted(f, g, _middles(f.shape[-2]).sin())
        ),
        "that is the mean of f g over the sphere: the integral is 4π times it, for the sphere's area is 4π": _mean,
        "that is the mean of f g sin θ over pixels; the integral is 2π² times it": _mean_of_products,
        "you took 4π times the mean of f g sin θ: the weights sin θ have the mean 2/π, so that your sphere has the "
        "area 8; divide by the sum of the weights, or add areas up": (
            lambda f, g: 4 * math.pi * _mean_of_products(f, g)
        ),
        "your rows lie at their upper edges: the middle of row i is at θ = π (i + ½) / H": _edges,
        "you weighted by the latitude's sine: θ counts from the pole, so that rows at the equator weigh most": (
            lambda f, g: _weighted(f, g, _middles(f.shape[-2]).cos().abs() * _area(*f.shape[-2:]))
        ),
        "your pixel is as high as it is wide only where W = 2H: it is π/H high and 2π/W wide": (
            lambda f, g: _weighted(f, g, _middles(f.shape[-2]).sin() * (math.pi / f.shape[-2]) ** 2)
        ),
    },
    gradient=[0, 1],
    rtol=2e-3,  # so that weights by the middle of a row, exact areas and Fejér's weights are all right
    atol=3e-5,
)


def _rays(
    yaw: float, pitch: float, fov: float, side: int, *, half: float = 0.5, tangent: bool = True
) -> Tensor:
    """Directions (side, side, 3) of a camera's pixels, of length 1."""
    q = (torch.arange(side) + half - side / 2) * 2 / side
    opening = math.radians(fov) / 2
    x, y = (q * math.tan(opening), q * math.tan(opening)) if tangent else (q * opening, q * opening)
    right, down, forward = cameras(*torch.tensor([[yaw], [pitch], [0.0]]))[0].T
    return F.normalize(forward + x[None, :, None] * right + y[:, None, None] * down, dim=-1)


# Each slip as the same camera with another argument, or with its picture turned about.
_SLIPS: dict[str, Callable[..., Tensor]] = {
    "your camera looks to the back: yaw 0 is the middle of the map, which has the longitude 180°": (
        lambda yaw, pitch, fov, side: _rays(yaw + 180, pitch, fov, side)
    ),
    "your view is upside down: rows go down, so q_y multiplies *down*": (
        lambda yaw, pitch, fov, side: _rays(yaw, pitch, fov, side).flip(0)
    ),
    "your view is mirrored: the longitude grows to the right": (
        lambda yaw, pitch, fov, side: _rays(yaw, pitch, fov, side).flip(1)
    ),
    "rows and columns are exchanged: q_x varies along a row, q_y from row to row": (
        lambda yaw, pitch, fov, side: _rays(yaw, pitch, fov, side).transpose(0, 1)
    ),
    "your camera looks down where it should look up: the height of its direction is + sin(pitch)": (
        lambda yaw, pitch, fov, side: _rays(yaw, -pitch, fov, side)
    ),
    "your q counts from the pixels' edges: the middle of pixel i is at i + ½": (
        lambda yaw, pitch, fov, side: _rays(yaw, pitch, fov, side, half=0.0)
    ),
    "your view is too wide: half of the field of view lies on either side, tan(fov/2)": (
        lambda yaw, pitch, fov, side: _rays(yaw, pitch, 2 * fov, side)
    ),
    "your pixels go by equal angles, so that straight lines bend: the plane is at tan(fov/2)": (
        lambda yaw, pitch, fov, side: _rays(yaw, pitch, fov, side, tangent=False)
    ),
    "your angles are in degrees: sin and cos take radians": (
        lambda yaw, pitch, fov, side: _rays(math.degrees(yaw + 180) - 180, math.degrees(pitch), fov, side)
    ),
}


def _fault_of_rays(found: Tensor, yaw: float, pitch: float, fov: float, side: int) -> str | None:
    if found.shape != (side, side, 3):
        return f"return directions of shape ({side}, {side}, 3); yours have {tuple(found.shape)}"
    right = _rays(yaw, pitch, fov, side)
    if torch.allclose(found, right, atol=1e-4):
        return None
    for hint, rays in _SLIPS.items():
        if torch.allclose(found, rays(yaw, pitch, fov, side), atol=1e-4):
            return hint
    off = torch.rad2deg(torch.acos((found * right).sum(dim=-1).clamp(-1, 1))).max()
    return f"your directions are off by up to {off:.0f}°"


camera_rays = Experiment(
    "camera_rays",
    lambda rays, *camera: F.normalize(torch.as_tensor(rays(*camera)).float(), dim=-1),
    _fault_of_rays,
    [lambda: (-50.0, 35.0, 60.0, 8), lambda: (200.0, -20.0, 85.0, 5)],
)


def _orders(c: Tensor) -> tuple[Tensor, Tensor]:
    """m of each coefficient, and where that of −m stands."""
    l = degrees(math.isqrt(c.shape[-1]) - 1)
    m = torch.arange(len(l)) - l * l - l
    return m, l * l + l - m


def _turn(c: Tensor, angle: float) -> Tensor:
    m, partner = _orders(c)
    return torch.cos(m * angle) * c - torch.sin(m * angle) * c[..., partner]


def _turn_by_degree(c: Tensor, angle: float) -> Tensor:
    m, partner = _orders(c)
    l = degrees(math.isqrt(c.shape[-1]) - 1)
    return torch.cos(l * angle) * c - m.sign() * torch.sin(l * angle) * c[..., partner]


def _turn_all_alike(c: Tensor, angle: float) -> Tensor:
    m, partner = _orders(c)
    return torch.cos(m.sign() * angle) * c - torch.sin(m.sign() * angle) * c[..., partner]


def _coefficients_case(degree: int, angle: float) -> Callable[[], tuple]:
    def case() -> tuple:
        generator = torch.Generator().manual_seed(degree)
        return torch.randn(2, 3, (degree + 1) ** 2, generator=generator), angle

    return case


turn = Exercise(
    "turn",
    _turn,
    [_coefficients_case(6, 0.4), _coefficients_case(3, -1.3)],
    {
        "your picture turns the other way: cos m(φ − α) = cos mα cos mφ + sin mα sin mφ": (
            lambda c, angle: _turn(c, -angle)
        ),
        "you left the partner out: a turned cosine is part cosine, part sine, so c_m and c_−m mix": (
            lambda c, angle: torch.cos(_orders(c)[0] * angle) * c
        ),
        "both of a pair got the same sign: c′_m takes − sin mα of its partner, c′_−m takes + sin mα": (
            lambda c, angle: (
                torch.cos(_orders(c)[0] * angle) * c
                - torch.sin(_orders(c)[0].abs() * angle) * c[..., _orders(c)[1]]
            )
        ),
        "you took the degree l for m: Y_l^m has m waves around the axis": _turn_by_degree,
        "you turned every pair by α: one with m waves around the axis turns by mα": _turn_all_alike,
        "you made radians of α: it is given in radians already": (
            lambda c, angle: _turn(c, math.radians(angle))
        ),
    },
    gradient=[0],
)


def _fair_pitch(u: Tensor, highest: float) -> Tensor:
    return torch.rad2deg(torch.asin((2 * u - 1) * math.sin(math.radians(highest))))


def _uniform_case(n: int, highest: float) -> Callable[[], tuple]:
    return lambda: (0.01 + 0.98 * torch.rand(n, generator=torch.Generator().manual_seed(n)), highest)


fair_pitch = Exercise(
    "fair_pitch",
    _fair_pitch,
    [_uniform_case(40, 90.0), _uniform_case(12, 35.0)],
    {
        "your pitch is uniform, and so it looks at the poles far too often: make the height sin(pitch) uniform": (
            lambda u, h: (2 * u - 1) * h
        ),
        "your cameras look up only: heights go from −sin(highest) to sin(highest)": (
            lambda u, h: torch.rad2deg(torch.asin(u * math.sin(math.radians(h))))
        ),
        "you left `highest` out: heights go from −sin(highest) to sin(highest), not from −1 to 1": (
            lambda u, h: _fair_pitch(u, 90.0)
        ),
        "your answer is in radians: pitch is wanted in degrees": (
            lambda u, h: torch.deg2rad(_fair_pitch(u, h))
        ),
        "you cut the sphere's pitch to the band: choose the height within ±sin(highest) instead": (
            lambda u, h: _fair_pitch(u, 90.0).clamp(-h, h)
        ),
        "you squeezed the pitch of the whole sphere into the band: it is the height that is scaled, by sin(highest)": (
            lambda u, h: _fair_pitch(u, 90.0) * h / 90
        ),
        "your angle counts from the pole: pitch is 0 on the horizon": (lambda u, h: 90 - _fair_pitch(u, h)),
    },
    gradient=[0],
)
