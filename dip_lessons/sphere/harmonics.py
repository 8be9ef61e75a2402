"""Functions on the sphere as sums of spherical harmonics: to the grid, back, and turned, all differentiable.

Harmonics are real, orthonormal on the unit sphere and without the Condon–Shortley phase:

    Y_l^m(θ, φ) = P̄_l^|m|(cos θ) · √2 cos mφ  (m > 0),  1  (m = 0),  √2 sin |m|φ  (m < 0)

The coefficient of Y_l^m stands at l² + l + m, so that degree L has (L+1)² of them. θ is the angle from the
north pole, φ the longitude; grids are equirectangular with rows and columns at pixel centres, or have the rows
of Gauss and Legendre.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..arguments import height_width, is_whole
from ..hardware import no_autocast

GRIDS = ("equirectangular", "gauss-legendre")
EXACT: dict[str, Any] = {
    "dtype": torch.float64,
    "device": "cpu",
}  # of what is computed once, whatever the host's
WHOLE: dict[str, Any] = {"dtype": torch.int64, "device": "cpu"}  # defaults are


@no_autocast()
def synthesize(coefficients: Tensor, size: int | tuple[int, int], *, grid: str = "equirectangular") -> Tensor:
    """The function Σ c_lm Y_l^m at every point of a grid.

    Args:
        coefficients: (…, (L+1)²), c_lm at l² + l + m.
        size: (H, W) of the grid; an int is H, and W is 2H. Any will do: what it is too coarse for is sampled
            nevertheless.
        grid: ``"equirectangular"``, rows at θ = π(i + ½)/H, or ``"gauss-legendre"``, whose H rows are the
            nodes of that quadrature. Columns are at φ = 2π(j + ½)/W in both.

    Returns (…, H, W). Raises ValueError for a number of coefficients that is no square.

    **Source:** the separation of variables (Legendre functions along meridians, a Fourier transform along
    parallels) that Driscoll and Healy (1994) start from, §3; that P̄_l^m(−x) = (−1)^(l+m) P̄_l^m(x) halves the work.

    >>> from dip_lessons.sphere import harmonics as sh
    >>> c = torch.zeros(4)
    >>> c[2] = 1  # l = 1, m = 0: l² + l + m
    >>> f = sh.synthesize(c, (4, 8))  # √(3/4π) cos θ
    >>> torch.allclose(f, 0.4886 * sh.directions((4, 8))[2], atol=1e-4)
    True
    """
    degree = _degree(coefficients)
    height, width = height_width(size, 2)
    # A finer grid, of an odd multiple of the columns, has a column wherever this one has: no order m aliases.
    finer = (2 * degree // width + 1) | 1
    table = _table(degree, height, grid, coefficients.dtype, coefficients.device)  # (2, M, R, K)
    cos, sin, _ = _places(degree, coefficients.device)
    flat = F.pad(coefficients.reshape(-1, (degree + 1) ** 2).mT, (0, 0, 0, 1))  # (N + 1, B), the last row 0
    waves = torch.complex(flat[cos], -flat[sin])  # (2, M, K, B)
    waves = waves * _phase(degree, finer * width, math.sqrt(0.5), coefficients)[:, None, None]
    halves = table @ torch.view_as_real(waves).flatten(-2)  # (2, M, R, 2·B): even and odd about the equator
    north, south = halves[0] + halves[1], (halves[0] - halves[1])[:, : height // 2].flip(1)
    spectrum = torch.cat([north, south], dim=1).unflatten(-1, (-1, 2))  # (M, H, B, 2)
    spectrum = torch.view_as_complex(spectrum).permute(2, 1, 0)  # (B, H, M)
    values = torch.fft.irfft(spectrum, n=finer * width, norm="forward")[..., finer // 2 :: finer]
    return values.reshape(*coefficients.shape[:-1], height, width)


@no_autocast()
def analyze(image: Tensor, degree: int, *, grid: str = "equirectangular") -> Tensor:
    """The coefficients c_lm = ∫ f Y_l^m of a function that is given on a grid, up to a degree.

    They are exact if the function has no degree above this one; else what lies above leaks in a little.

    Args:
        image: f, (…, H, W).
        degree: L, below W/2, and below H/2, or H with Gauss–Legendre rows.
        grid: see :func:`synthesize`.

    Returns (…, (L+1)²). Raises ValueError for a degree that the grid cannot resolve.

    **Source:** Fejér's first quadrature (1933) integrates polynomials in cos θ up to degree H − 1 exactly from
    rows at pixel centres, that of Gauss and Legendre up to 2H − 1; a product of two harmonics has 2L.

    >>> from dip_lessons.sphere import harmonics as sh
    >>> c = torch.arange(9.0)
    >>> torch.allclose(sh.analyze(sh.synthesize(c, (6, 8)), degree=2), c, atol=1e-4)
    True
    """
    height, width = height_width(image.shape[-2:])
    highest = highest_degree((height, width), grid=grid)
    if not is_whole(degree) or not 0 <= degree <= highest:
        raise ValueError(
            f"degree must be a whole number from 0 to {highest} for a grid of {height} × {width}; got {degree!r}"
        )
    degree = operator.index(degree)
    table = _table(degree, height, grid, image.dtype, image.device)  # (2, M, R, K)
    _, _, back = _places(degree, image.device)
    weight = _rows(height, grid)[1].to(image.device, image.dtype)[:, None]
    waves = torch.fft.rfft(image.reshape(-1, height, width) * weight, norm="forward")[..., : degree + 1]
    phase = 2 * math.pi * _phase(degree, width, math.sqrt(2), image).conj()
    waves = (waves * phase).permute(2, 1, 0)  # (M, H, B)
    waves = torch.view_as_real(waves.resolve_conj()).flatten(-2)  # (M, H, 2·B)
    north, south = waves[:, : table.shape[2]], waves[:, table.shape[2] :].flip(1)
    south = F.pad(south, (0, 0, 0, height % 2))  # the equator, where H is odd, belongs to the north
    sums = table.mT @ torch.stack([north + south, north - south])  # (2, M, K, 2·B)
    cos, sin = sums.unflatten(-1, (-1, 2)).flatten(0, 2).unbind(-1)  # (2·M·K, B) each
    return torch.cat([cos, -sin])[back].mT.reshape(*image.shape[:-2], (degree + 1) ** 2)


@no_autocast()
def rotate(coefficients: Tensor, rotation: Tensor) -> Tensor:
    """The coefficients of the turned function n ↦ f(R⁻¹ n): what was seen at n is seen at R n.

    Args:
        coefficients: (…, (L+1)²).
        rotation: R, (3, 3), or (…, 3, 3) that broadcasts with the leading dimensions of the coefficients; it
            acts on (x, y, z) as :func:`directions` gives them.

    Returns (…, (L+1)²): degrees do not mix, and each keeps its length. Not differentiable in R at the poles of
    Euler's angles. Raises ValueError for what is no rotation.

    **Source:** R = Z(α) Y(β) Z(γ), and Y(β) = Q Z(β) Q⁻¹ with a quarter turn Q, so that all but a fixed matrix
    for each degree are rotations about z (the idea of Pinchon and Hoggan, 2007). Q is the exponential of the
    generator of rotations about y, whose entries are those of the ladder operators.

    >>> from dip_lessons.sphere import harmonics as sh
    >>> c, turns = torch.arange(9.0), sh.random_rotations(1, torch.Generator().manual_seed(0))
    >>> turned = sh.rotate(c, turns[0])
    >>> torch.allclose(sh.power(turned), sh.power(c), atol=1e-3)  # degrees do not mix
    True
    """
    degree = _degree(coefficients)
    alpha, beta, gamma = _euler_angles(rotation)
    quarter = _quarter_turns(degree, coefficients.dtype, coefficients.device)

    def tilt(c: Tensor, back: bool) -> Tensor:
        blocks = c.split([2 * l + 1 for l in range(degree + 1)], dim=-1)
        return torch.cat([b @ (q if back else q.mT) for b, q in zip(blocks, quarter, strict=True)], dim=-1)

    c = _turn(coefficients, gamma - math.pi / 2)
    c = _turn(tilt(c, True), beta)
    return _turn(tilt(c, False), alpha + math.pi / 2)


def degrees(degree: int) -> Tensor:
    """The degree l of each of the (L+1)² coefficients: 0, 1, 1, 1, 2, …

    >>> dip.spherical_harmonics.degrees(2)
    tensor([0, 1, 1, 1, 2, 2, 2, 2, 2])
    """
    l = torch.arange(degree + 1, **WHOLE)
    return l.repeat_interleave(2 * l + 1)


def power(coefficients: Tensor) -> Tensor:
    """The mean square C_l of the 2l + 1 coefficients of each degree: (…, (L+1)²) to (…, L+1).

    >>> dip.spherical_harmonics.power(torch.tensor([2.0, 1.0, 1.0, 1.0]))
    tensor([4., 1.])
    """
    squares = coefficients.square().split([2 * l + 1 for l in range(_degree(coefficients) + 1)], dim=-1)
    return torch.stack([s.mean(dim=-1) for s in squares], dim=-1)


def highest_degree(size: int | tuple[int, int], *, grid: str = "equirectangular") -> int:
    """The highest degree that :func:`analyze` recovers from a grid (H, W).

    Args:
        size: (H, W).
        grid: see :func:`synthesize`.

    >>> from dip_lessons.sphere import harmonics as sh
    >>> sh.highest_degree((32, 64)), sh.highest_degree((32, 64), grid="gauss-legendre")
    (15, 31)
    """
    height, width = height_width(size, 2)
    _known(grid)
    return min((height - 1) // 2 if grid == "equirectangular" else height - 1, (width - 1) // 2)


def directions(
    size: int | tuple[int, int], *, grid: str = "equirectangular", dtype: torch.dtype = torch.float32
) -> Tensor:
    """The unit vectors (x, y, z) = (sin θ cos φ, sin θ sin φ, cos θ) of the grid's points, (3, H, W).

    Args:
        size: (H, W).
        grid: see :func:`synthesize`.
        dtype: of the result.

    >>> n = dip.spherical_harmonics.directions((4, 8))
    >>> n.shape, torch.allclose(n.norm(dim=0), torch.ones(4, 8))
    (torch.Size([3, 4, 8]), True)
    """
    height, width = height_width(size, 2)
    theta = _rows(height, grid)[0][:, None]
    phi = 2 * math.pi * (torch.arange(width, **EXACT) + 0.5) / width
    z = theta.cos().expand(-1, width)
    return torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), z]).to(dtype)


def random_rotations(n: int, generator: torch.Generator, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """n rotation matrices, (n, 3, 3), uniform on SO(3).

    Args:
        n: how many.
        generator: they are drawn from it.
        dtype: of the result.

    **Source:** a quaternion of four normal numbers, made unit length, is uniform on S³ (Shoemake, 1992).

    >>> r = dip.spherical_harmonics.random_rotations(2, torch.Generator().manual_seed(0))
    >>> torch.allclose(r @ r.mT, torch.eye(3).expand(2, 3, 3), atol=1e-5)
    True
    """
    q = F.normalize(torch.randn(n, 4, generator=generator, **EXACT), dim=1)
    w, (x, y, z) = q[:, 0], q[:, 1:].unbind(1)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2).to(dtype)


def legendre(degree: int, colatitude: Tensor) -> Tensor:
    """Associated Legendre functions P̄_l^m(cos θ), normalised so that Y_l^m is orthonormal, without phase.

    Args:
        degree: L ≥ 0.
        colatitude: θ, (R,), in radians.

    Returns float64 (L+1, L+1, R), by l and m; 0 for m > l.

    **Source:** Holmes and Featherstone, *J. Geodesy* 76 (2002), eqs. 11–13: upwards in l from P̄_m^m, which is
    stable; with 1/√4π for their P̄_0^0 = 1.

    >>> p = dip.spherical_harmonics.legendre(1, torch.tensor([0.0]))  # at the pole
    >>> [round(x, 4) for x in p[:, 0, 0].tolist()]  # √(1/4π), √(3/4π)
    [0.2821, 0.4886]
    """
    return torch.stack(list(_legendre(degree, colatitude)))


def _legendre(degree: int, colatitude: Tensor) -> Iterator[Tensor]:
    """P̄_l^m for l = 0, 1, …: (L+1, R) by m, one degree after the other."""
    theta = colatitude.double()
    x, sine = theta.cos(), theta.sin()
    before, now = torch.zeros(2, degree + 1, len(theta), dtype=torch.float64, device=theta.device)
    now[0] = math.sqrt(1 / (4 * math.pi))
    yield now
    m = torch.arange(degree + 1, dtype=torch.float64, device=theta.device)[:, None]
    for l in range(1, degree + 1):
        k = m[:l]
        a = ((4 * l * l - 1) / (l * l - k * k)).sqrt()
        b = (((l - 1) ** 2 - k * k) / (4 * (l - 1) ** 2 - 1)).sqrt() if l > 1 else torch.zeros_like(k)
        after = torch.zeros_like(now)
        after[:l] = a * (x * now[:l] - b * before[:l])
        after[l] = math.sqrt((2 * l + 1) / (2 * l)) * sine * now[l - 1]
        before, now = now, after
        yield now


# What is computed once and kept. Tensors that are made in inference mode could not be used for gradients later.


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _table(degree: int, height: int, grid: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    """P̄_l^m of the northern rows, (2, M, R, K): l = m + 2k, even about the equator, and l = m + 2k + 1, odd."""
    theta = _rows(height, grid)[0][: (height + 1) // 2]
    table = torch.zeros(2, degree + 1, len(theta), degree // 2 + 1, dtype=dtype, device="cpu")
    for l, values in enumerate(_legendre(degree, theta)):
        m = torch.arange(l + 1, **WHOLE)
        table[(l - m) % 2, m, :, (l - m) // 2] = values[: l + 1].to(dtype)
    return table.to(device)


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _places(degree: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Where c_lm stands among the coefficients, by (parity, m, k) for cosines and for sines, and the way back.

    A place that does not exist points to one past the last coefficient.
    """
    count = (degree + 1) ** 2
    m = torch.arange(degree + 1, **WHOLE)[:, None]
    l = torch.stack([m, m + 1]) + 2 * torch.arange(degree // 2 + 1, **WHOLE)  # (2, M, K)
    cos = torch.where(l <= degree, l * l + l + m, count)
    sin = torch.where((l <= degree) & (m > 0), l * l + l - m, count)
    both = torch.cat([cos.flatten(), sin.flatten()])
    back = torch.empty(count + 1, **WHOLE)
    back[both] = torch.arange(len(both), **WHOLE)
    return cos.to(device), sin.to(device), back[:count].to(device)


@lru_cache(maxsize=32)
@torch.inference_mode(False)
def _rows(height: int, grid: str) -> tuple[Tensor, Tensor]:
    """Colatitudes from north to south and the weights of ∫ f sin θ dθ, float64 (H,) each."""
    _known(grid)
    if grid == "gauss-legendre":
        nodes, weights = np.polynomial.legendre.leggauss(height)
        return torch.from_numpy(nodes[::-1].copy()).acos(), torch.from_numpy(weights[::-1].copy())
    theta = math.pi * (torch.arange(height, **EXACT) + 0.5) / height
    k = torch.arange(1, height // 2 + 1, **EXACT)
    waves = (2 * theta[:, None] * k).cos() / (4 * k * k - 1)
    return theta, 2 / height * (1 - 2 * waves.sum(dim=1))


@lru_cache(maxsize=8)
@torch.inference_mode(False)
def _quarter_turns(degree: int, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """The rotation by 90° about y, from z to x, of the coefficients of each degree: (2l+1, 2l+1) each."""
    turns = []
    for l in range(degree + 1):
        m = torch.arange(l, **EXACT)
        ladder = ((l - m) * (l + m + 1)).sqrt() / 2  # from m to m + 1; sines go like cosines
        up = torch.zeros(2 * l + 1, 2 * l + 1, **EXACT)
        cosines, sines = torch.arange(l, 2 * l, **WHOLE), torch.arange(l, 0, -1, **WHOLE)
        up[cosines + 1, cosines] = ladder
        up[sines[1:] - 1, sines[1:]] = ladder[1:]
        if l:
            up[l + 1, l] *= math.sqrt(2)  # Y_l^0 lacks the √2 of the others
        turns.append(torch.linalg.matrix_exp(math.pi / 2 * (up - up.mT)).to(device, dtype))
    return turns


def _phase(degree: int, width: int, factor: float, like: Tensor) -> Tensor:
    """What takes e^{2πimj/W} to the columns' centres at j + ½, (M,); times a factor for all m but 0.

    The factor is √2, the harmonics' own; on the way to the grid, a real transform brings 2 of itself.
    """
    angle = math.pi * torch.arange(degree + 1, **EXACT) / width
    phase = torch.polar(torch.full_like(angle, factor), angle)
    phase[0] = 1
    return phase.to(like.device, like.dtype.to_complex())


def _turn(c: Tensor, angle: Tensor) -> Tensor:
    """Rotate coefficients about z, angle (…): cos mφ and sin mφ become cos m(φ − angle) and sin m(φ − angle)."""
    degree = _degree(c)
    l = degrees(degree).to(c.device)
    m = torch.arange(len(l), dtype=l.dtype, device=l.device) - l * l - l
    turn = angle[..., None] * m.abs()
    partner = c[..., l * l + l - m]
    return turn.cos().to(c) * c + (turn.sin() * -m.sign()).to(c) * partner


def _euler_angles(rotation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """α, β, γ with R = Z(α) Y(β) Z(γ), float64; γ is taken from what Z(α) leaves, which is safe for small β."""
    if rotation.ndim < 2 or rotation.shape[-2:] != (3, 3) or not rotation.is_floating_point():
        raise ValueError(
            f"a rotation is a matrix of floats, (3, 3) or (…, 3, 3); got {tuple(rotation.shape)}"
        )
    r = rotation.double()
    error = (r @ r.mT - torch.eye(3, dtype=r.dtype, device=r.device)).abs().max().nan_to_num(math.inf)
    if error > 1e-4 or (torch.linalg.det(r) < 0).any():
        raise ValueError(f"a rotation has R Rᵀ = 1 and determinant 1; this one is off by {float(error):.2g}")
    alpha = torch.atan2(r[..., 1, 2], r[..., 0, 2])
    cos, sin = alpha.cos(), alpha.sin()
    beta = torch.atan2(cos * r[..., 0, 2] + sin * r[..., 1, 2], r[..., 2, 2])
    gamma = torch.atan2(cos * r[..., 1, 0] - sin * r[..., 0, 0], cos * r[..., 1, 1] - sin * r[..., 0, 1])
    return alpha, beta, gamma


def _degree(coefficients: Tensor) -> int:
    count = coefficients.shape[-1] if coefficients.ndim else 0
    degree = math.isqrt(count) - 1
    if count == 0 or (degree + 1) ** 2 != count:
        raise ValueError(f"coefficients up to degree L are (…, (L+1)²); got {tuple(coefficients.shape)}")
    return degree


def _known(grid: str) -> None:
    if grid not in GRIDS:
        raise ValueError(f"grid must be {' or '.join(map(repr, GRIDS))}; got {grid!r}")
