"""Spherical harmonics against scipy's, closed forms, quadrature by others and finite differences."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch

from dip_lessons.sphere import harmonics as sh


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def scipys(degree: int, points: np.ndarray) -> np.ndarray:
    """All Y_l^m at unit vectors (3, …): (L+1)² × the points. scipy's are complex, with (−1)^m."""
    theta, phi = np.arctan2(np.hypot(points[0], points[1]), points[2]), np.arctan2(points[1], points[0])
    if hasattr(scipy.special, "sph_harm_y"):
        of = scipy.special.sph_harm_y
    else:  # before 1.15

        def of(l: int, m: int, theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
            return scipy.special.sph_harm(m, l, phi, theta)

    out = []
    for l in range(degree + 1):
        for m in range(-l, l + 1):
            y = (-1) ** m * of(l, abs(m), theta, phi)
            out.append(y.real if m == 0 else math.sqrt(2) * (y.real if m > 0 else y.imag))
    return np.stack(out)


def grid_points(size: tuple[int, int]) -> np.ndarray:
    """Unit vectors at pixel centres, typed in again: (3, H, W)."""
    theta = (np.arange(size[0])[:, None] + 0.5) * np.pi / size[0]
    phi = (np.arange(size[1])[None, :] + 0.5) * 2 * np.pi / size[1]
    z = np.cos(theta) + 0 * phi
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), z])


# --- the functions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("degree", "size"),
    [
        (5, (12, 24)),
        (5, (13, 11)),
        (4, (9, 10)),
        (8, (7, 5)),
        (8, (4, 2)),
        (6, (1, 1)),
        (0, (3, 4)),
        (128, (6, 9)),
    ],
)
def test_synthesis_is_scipys_sum_on_any_grid(degree: int, size: tuple[int, int]) -> None:
    c = numbers(2, 3, (degree + 1) ** 2)
    expected = np.tensordot(c.numpy(), scipys(degree, grid_points(size)), axes=(2, 0))
    found = sh.synthesize(c, size)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-10)
    single = sh.synthesize(c.float(), size).double().numpy()
    assert np.abs(single - expected).max() < 3e-6 * np.abs(expected).max()


def test_every_harmonic_up_to_degree_128_is_scipys() -> None:
    """The value at one point, as a function of the coefficients, has all harmonics for its gradient."""
    c = torch.zeros(129**2, dtype=torch.float64, requires_grad=True)
    image, expected = sh.synthesize(c, (5, 8)), scipys(128, grid_points((5, 8)))
    for i, j in [(0, 0), (1, 5), (2, 3), (4, 7)]:
        (values,) = torch.autograd.grad(image[i, j], c, retain_graph=True)
        np.testing.assert_allclose(values, expected[:, i, j], rtol=0, atol=1e-11)


def test_the_first_harmonics_are_a_constant_and_y_z_x() -> None:
    x, y, z = grid_points((6, 7))
    basis = sh.synthesize(torch.eye(4, dtype=torch.float64), (6, 7)).numpy()
    k = math.sqrt(3 / (4 * math.pi))
    np.testing.assert_allclose(basis, [0 * x + math.sqrt(1 / (4 * math.pi)), k * y, k * z, k * x], atol=1e-14)


def test_rows_of_gauss_and_legendre() -> None:
    nodes, _ = np.polynomial.legendre.leggauss(6)
    z = nodes[::-1, None]
    phi = (np.arange(9) + 0.5) * 2 * np.pi / 9
    points = np.stack([np.sqrt(1 - z**2) * np.cos(phi), np.sqrt(1 - z**2) * np.sin(phi), z + 0 * phi])
    np.testing.assert_allclose(
        sh.directions((6, 9), grid="gauss-legendre", dtype=torch.float64).numpy(), points, atol=1e-15
    )
    c = numbers(36)
    expected = np.tensordot(c.numpy(), scipys(5, points), axes=1)
    np.testing.assert_allclose(sh.synthesize(c, (6, 9), grid="gauss-legendre"), expected, atol=1e-13)


def test_legendre_functions_of_high_degree_stay_normalised() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(301)
    values = sh.legendre(300, torch.from_numpy(np.arccos(nodes)))
    assert not values[3, 4:].any()
    length = (values[300].square() @ torch.from_numpy(weights)) * 2 * math.pi  # by m
    torch.testing.assert_close(length, torch.ones_like(length), rtol=0, atol=1e-11)


def test_directions_are_pixel_centres() -> None:
    for size in [(4, 8), (5, 3), (1, 1)]:
        np.testing.assert_allclose(sh.directions(size).numpy(), grid_points(size), atol=1e-7)
    assert torch.equal(sh.directions(5), sh.directions((5, 10)))  # an int is H


@pytest.mark.parametrize("width", [29, 30])
def test_both_ways_agree_with_torch_harmonics(width: int) -> None:
    """Its coefficients are complex, by l and m ≥ 0, with (−1)^m; its first column is at φ = 0, half of one before."""
    torch_harmonics = pytest.importorskip("torch_harmonics")
    degree, rows = 12, 16
    shape = {"lmax": degree + 1, "mmax": degree + 1, "grid": "legendre-gauss"}
    c, theirs = numbers(3, (degree + 1) ** 2), torch.zeros(3, degree + 1, degree + 1, dtype=torch.complex128)
    for l in range(degree + 1):
        theirs[:, l, 0] = c[:, l * l + l]
        for m in range(1, l + 1):
            half_a_column = np.exp(1j * m * math.pi / width)
            value = torch.complex(c[:, l * l + l + m], -c[:, l * l + l - m])
            theirs[:, l, m] = (-1) ** m / math.sqrt(2) * value * half_a_column
    image = sh.synthesize(c, (rows, width), grid="gauss-legendre")
    expected = torch_harmonics.InverseRealSHT(rows, width, **shape).double()(theirs)
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-12)
    again = torch_harmonics.RealSHT(rows, width, **shape).double()(image)
    torch.testing.assert_close(again, theirs, rtol=0, atol=1e-12)


# --- analysis ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("grid", sh.GRIDS)
@pytest.mark.parametrize("size", [(130, 260), (131, 129), (64, 300), (7, 9), (6, 6), (2, 2), (1, 1)], ids=str)
def test_analysis_undoes_synthesis_up_to_the_highest_degree(
    size: tuple[int, int], grid: str, dtype: torch.dtype
) -> None:
    degree = sh.highest_degree(size, grid=grid)
    c = numbers(2, (degree + 1) ** 2).to(dtype)
    again = sh.analyze(sh.synthesize(c, size, grid=grid), degree, grid=grid)
    assert again.dtype == dtype
    assert (again - c).abs().max() < (1e-5 if dtype == torch.float32 else 1e-11)


def test_the_highest_degree_is_where_exactness_ends() -> None:
    assert sh.highest_degree((8, 16)) == 3
    assert sh.highest_degree((9, 18)) == 4
    assert sh.highest_degree((9, 6)) == 2
    assert sh.highest_degree((9, 18), grid="gauss-legendre") == 8
    with pytest.raises(ValueError, match=r"from 0 to 3 for a grid of 8 × 18; got 4"):
        sh.analyze(torch.zeros(8, 18), 4)


def test_coefficients_are_integrals_over_the_sphere() -> None:
    """Of a smooth function, by a quadrature of ours that knows nothing of theirs."""

    def f(points: np.ndarray) -> np.ndarray:
        return np.exp(0.7 * points[0] - 0.4 * points[1] + 0.2 * points[2])

    nodes, weights = np.polynomial.legendre.leggauss(40)
    phi = np.arange(81) * 2 * np.pi / 81
    ring = np.sqrt(1 - nodes[:, None] ** 2)
    points = np.stack([ring * np.cos(phi), ring * np.sin(phi), nodes[:, None] + 0 * phi])
    integrals = np.einsum("nij,ij,i->n", scipys(6, points), f(points), weights) * 2 * np.pi / 81
    image = torch.from_numpy(f(grid_points((60, 120))))
    np.testing.assert_allclose(sh.analyze(image, 6), integrals, atol=1e-13)


def test_harmonics_are_orthonormal() -> None:
    basis = sh.synthesize(torch.eye(121, dtype=torch.float64), (24, 48))
    gram = sh.analyze(basis, 10)
    torch.testing.assert_close(gram, torch.eye(121, dtype=torch.float64), rtol=0, atol=1e-13)
    # Parseval's equation, with areas of the pixels that are not the quadrature's weights
    c = numbers(9)
    theta = np.linspace(0, np.pi, 401)
    area = np.repeat((np.cos(theta[:-1]) - np.cos(theta[1:]))[:, None] * 2 * np.pi / 800, 800, axis=1)
    assert (sh.synthesize(c, (400, 800)).numpy() ** 2 * area).sum() == pytest.approx(
        c.square().sum().item(), rel=1e-4
    )


# --- rotation ---------------------------------------------------------------------------------------------

QUARTERS = {
    "none": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "half a turn about x": [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
    "half a turn about y": [[-1, 0, 0], [0, 1, 0], [0, 0, -1]],
    "x to y": [[0, -1, 0], [1, 0, 0], [0, 0, 1]],
    "z to x": [[0, 0, 1], [0, 1, 0], [-1, 0, 0]],
    "x to y to z": [[0, 0, 1], [1, 0, 0], [0, 1, 0]],
}


def some_rotations() -> list[torch.Tensor]:
    tiny = torch.linalg.matrix_exp(
        1e-9 * torch.tensor([[0, -1, 2], [1, 0, -3], [-2, 3, 0]], dtype=torch.float64)
    )
    fixed = [torch.tensor(r, dtype=torch.float64) for r in QUARTERS.values()]
    return [*fixed, tiny, fixed[1] @ tiny, *sh.random_rotations(4, seeded(1), dtype=torch.float64)]


@pytest.mark.parametrize("rotation", some_rotations())
def test_what_was_seen_at_n_is_seen_at_rn(rotation: torch.Tensor) -> None:
    c = numbers(2, 65**2)
    points = grid_points((5, 8))
    before = np.einsum("ji,jhw->ihw", rotation.numpy(), points)  # R⁻¹ n
    expected = np.tensordot(c.numpy(), scipys(64, before), axes=1)
    turned = sh.rotate(c, rotation)
    np.testing.assert_allclose(sh.synthesize(turned, (5, 8)).numpy(), expected, rtol=0, atol=1e-9)
    assert (sh.rotate(c.float(), rotation) - turned).abs().max() < 5e-6
    torch.testing.assert_close(sh.power(turned), sh.power(c), rtol=1e-12, atol=0)


def test_rotations_follow_one_another() -> None:
    first, second = sh.random_rotations(2, seeded(3), dtype=torch.float64)
    c = numbers(33**2)
    torch.testing.assert_close(
        sh.rotate(sh.rotate(c, first), second), sh.rotate(c, second @ first), rtol=0, atol=1e-11
    )


def test_addition_theorem() -> None:
    """Σ_m Y_l^m(a) Y_l^m(b) = (2l + 1)/4π · P_l(a·b), before and after a rotation of the basis."""
    points = torch.from_numpy(grid_points((4, 6))).flatten(1)
    angle = (points.mT @ points).clamp(-1, 1)
    rotation = sh.random_rotations(1, seeded(5), dtype=torch.float64)[0]
    basis = torch.eye(441, dtype=torch.float64)
    for functions in (basis, sh.rotate(basis, rotation)):
        values = sh.synthesize(functions, (4, 6)).flatten(1)
        for l in (0, 1, 7, 20):
            y = values[l * l : (l + 1) ** 2]
            expected = (2 * l + 1) / (4 * math.pi) * scipy.special.eval_legendre(l, angle.numpy())
            np.testing.assert_allclose((y.mT @ y).numpy(), expected, atol=1e-11)


def test_a_batch_of_rotations_is_one_after_the_other() -> None:
    c, rotations = numbers(3, 2, 25), sh.random_rotations(3, seeded(2), dtype=torch.float64)
    together = sh.rotate(c, rotations[:, None])
    for i in range(3):
        torch.testing.assert_close(together[i], sh.rotate(c[i], rotations[i]), rtol=0, atol=1e-13)
    one = sh.rotate(c[0, 0], rotations)  # one function, turned three ways
    torch.testing.assert_close(one[1], sh.rotate(c[0, 0], rotations[1]), rtol=0, atol=1e-13)


def test_random_rotations_are_uniform_on_so3() -> None:
    r = sh.random_rotations(20000, seeded(0), dtype=torch.float64)
    torch.testing.assert_close(r @ r.mT, torch.eye(3, dtype=torch.float64).expand_as(r), atol=1e-14, rtol=0)
    torch.testing.assert_close(torch.linalg.det(r), torch.ones(20000, dtype=torch.float64))
    # Haar: every entry has mean 0 and mean square 1/3; the angle has density (1 − cos ω)/π
    assert r.mean(dim=0).abs().max() < 0.02
    assert (r.square().mean(dim=0) - 1 / 3).abs().max() < 0.01
    angle = ((r.diagonal(dim1=1, dim2=2).sum(dim=1) - 1) / 2).clamp(-1, 1).acos().numpy()
    assert scipy.stats.kstest(angle, lambda w: (w - np.sin(w)) / np.pi).pvalue > 0.01


# --- degrees ----------------------------------------------------------------------------------------------


def test_degrees_and_power() -> None:
    assert sh.degrees(2).tolist() == [0, 1, 1, 1, 2, 2, 2, 2, 2]
    c = torch.tensor([[3.0, 1, 2, 2, 0, 0, 5, 0, 0]])
    assert sh.power(c).tolist() == [[9, 3, 5]]


# --- gradients --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 16), (9, 9), (3, 4)])
def test_gradients_are_finite_differences(size: tuple[int, int]) -> None:
    c = numbers(2, 16).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: sh.synthesize(c, size), c)
    image = numbers(2, *size).requires_grad_()
    assert torch.autograd.gradcheck(lambda f: sh.analyze(f, sh.highest_degree(size)), image)


def test_rotation_is_differentiable_in_coefficients_and_rotation() -> None:
    c, way = numbers(16).requires_grad_(), numbers(3).requires_grad_()

    def turned(c: torch.Tensor, way: torch.Tensor) -> torch.Tensor:
        x, y, z = way
        zero = torch.zeros_like(x)
        generator = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).view(3, 3)
        return sh.rotate(c, torch.linalg.matrix_exp(generator))

    assert torch.autograd.gradcheck(turned, (c, way))


def test_gradients_after_a_first_call_in_inference_mode() -> None:
    with torch.inference_mode():
        sh.rotate(sh.analyze(sh.synthesize(numbers(49), (14, 17)), 6), torch.eye(3))
    c = numbers(49).requires_grad_()
    sh.rotate(sh.analyze(sh.synthesize(c, (14, 17)), 6), torch.eye(3)).square().sum().backward()
    torch.testing.assert_close(c.grad, 2 * c.detach(), rtol=0, atol=1e-12)


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sh.synthesize(torch.zeros(3, 8), (4, 8)), r"\(…, \(L\+1\)²\); got \(3, 8\)"),
        (lambda: sh.synthesize(torch.zeros(0), (4, 8)), r"\(…, \(L\+1\)²\); got \(0,\)"),
        (lambda: sh.synthesize(torch.tensor(1.0), (4, 8)), r"\(…, \(L\+1\)²\); got \(\)"),
        (lambda: sh.synthesize(torch.zeros(4), (4, 0)), "size must be a positive int or"),
        (lambda: sh.synthesize(torch.zeros(4), (4, 8), grid="healpix"), "grid must be 'equirectangular' or"),
        (lambda: sh.analyze(torch.zeros(4, 8), 1, grid="healpix"), "grid must be 'equirectangular' or"),
        (lambda: sh.analyze(torch.zeros(8, 8), -1), "from 0 to 3 for a grid of 8 × 8; got -1"),
        (lambda: sh.analyze(torch.zeros(8, 8), 1.0), "from 0 to 3 for a grid of 8 × 8; got 1.0"),
        (lambda: sh.analyze(torch.zeros(8), 1), r"\(height, width\)"),
        (lambda: sh.rotate(torch.zeros(4), torch.zeros(3)), r"\(3, 3\) or \(…, 3, 3\); got \(3,\)"),
        (lambda: sh.rotate(torch.zeros(4), torch.diag(torch.tensor([1.0, 1, -1]))), "determinant 1"),
        (lambda: sh.rotate(torch.zeros(4), 2 * torch.eye(3)), "off by 3"),
        (lambda: sh.rotate(torch.zeros(4), torch.eye(3) * math.nan), "off by inf"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
