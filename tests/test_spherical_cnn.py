"""The spherical CNN against numpy in float64, closed forms, rotations of coefficients and finite differences."""

import math

import numpy as np
import pytest
import torch

from dip_lessons import SphericalHarmonics, channel, logit, optimize, redirected_relu
from dip_lessons.course import spherical_cnn as sc
from dip_lessons.sphere import harmonics as sh


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=seeded(seed))


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


def small(**options: object) -> sc.SphericalCNN:
    return sc.SphericalCNN((7, 5), (4, 6), generator=seeded(1), **options).eval()


# --- the grid ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("degree", "keep", "oversampling"), [(7, 7, 1.0), (6, 3, 1.5), (2, 5, 2.3), (0, 0, 1.0)]
)
def test_the_grid_is_that_of_synthesize_and_analyze(degree: int, keep: int, oversampling: float) -> None:
    grid = sc.SphereGrid(degree, keep, oversampling=oversampling)
    assert grid.size[0] == math.ceil(oversampling * (max(degree, keep) + 1))
    c = numbers((degree + 1) ** 2, 3, 2)
    values = grid.synthesize(c)  # (W, H, 3, 2)
    expected = sh.synthesize(c.permute(1, 2, 0), grid.size, grid="gauss-legendre")
    torch.testing.assert_close(values.permute(2, 3, 1, 0), expected, rtol=0, atol=1e-5)
    noise = numbers(*values.shape, seed=1)
    expected = sh.analyze(noise.permute(2, 3, 1, 0), keep, grid="gauss-legendre")
    torch.testing.assert_close(grid.analyze(noise).permute(1, 2, 0), expected, rtol=0, atol=1e-5)


def test_the_mean_is_an_integral_with_sines() -> None:
    """Of z² it is 1/3, of a constant the constant; the plain mean of the points is something else."""
    grid = sc.SphereGrid(2, 2)
    z = sh.directions(grid.size, grid="gauss-legendre")[2].T[..., None]  # (W, H, 1)
    assert float(grid.mean(z**2)) == pytest.approx(1 / 3, abs=1e-6)
    assert float(grid.mean(torch.ones_like(z))) == pytest.approx(1, abs=1e-6)
    assert abs(float((z**2).mean()) - 1 / 3) > 0.05


def test_an_oversampling_below_1_is_refused() -> None:
    for wrong in (0.9, math.nan):
        with pytest.raises(ValueError, match="1 or more"):
            sc.SphereGrid(3, 3, oversampling=wrong)


# --- zonal convolution ------------------------------------------------------------------------------------


def test_a_zonal_convolution_is_its_integral() -> None:
    """(f ∗ h)(n) = ∫ h(n·n′) f(n′) dn′, summed in float64 over a grid that integrates it exactly."""
    degree, size = 4, (12, 24)
    convolution = sc.ZonalConvolution(1, 1, degree, anchors=5, generator=seeded(3))
    f = numbers((degree + 1) ** 2)
    w = convolution.transfer()[:, 0, 0].detach().numpy().astype(float)

    nodes, weights = np.polynomial.legendre.leggauss(size[0])
    phi = 2 * np.pi * (np.arange(size[1]) + 0.5) / size[1]
    sine = np.sqrt(1 - nodes**2)[:, None]
    points = np.stack([sine * np.cos(phi), sine * np.sin(phi), nodes[:, None] + 0 * phi]).reshape(3, -1)
    area = np.repeat(weights * 2 * np.pi / size[1], size[1])
    # From south to north.
    values = sh.synthesize(f.double(), size, grid="gauss-legendre").flip(0).numpy().ravel()
    # h = Σ h_l Y_l^0 with Y_l^0 = √((2l+1)/4π) P_l, and h_l = √((2l+1)/4π) w_l.
    h = np.polynomial.legendre.legval(points.T @ points, w * (2 * np.arange(degree + 1) + 1) / (4 * np.pi))
    expected = h @ (area * values)

    found = convolution(f[:, None, None])[:, 0, 0].detach().double()
    found = sh.synthesize(found, size, grid="gauss-legendre").flip(0).numpy().ravel()
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_the_convolution_turns_with_its_input_to_float_precision() -> None:
    for degree in (8, 32):
        convolution = sc.ZonalConvolution(2, 3, degree, generator=seeded(0))
        c = numbers(2, (degree + 1) ** 2)
        R = sh.random_rotations(1, seeded(5))[0]
        first = convolution(sh.rotate(c, R).T[:, None])[:, 0].T
        then = sh.rotate(convolution(c.T[:, None])[:, 0].T, R)
        assert relative(first, then) < 1e-5
        assert relative(convolution(c.T[:, None])[:, 0].T, then) > 0.1


def test_weights_are_interpolated_between_anchors() -> None:
    convolution = sc.ZonalConvolution(1, 1, 10, anchors=3)
    with torch.no_grad():
        convolution.anchors[:] = torch.tensor([1.0, 3.0, 0.0])[:, None, None]
    expected = np.interp(np.arange(11), [0, 5, 10], [1, 3, 0])
    np.testing.assert_allclose(convolution.transfer()[:, 0, 0].detach(), expected, atol=1e-6)
    assert sc.ZonalConvolution(1, 1, 2, anchors=8).anchors.shape[0] == 3
    assert sc.ZonalConvolution(1, 1, 0).transfer().shape == (1, 1, 1)


# --- norm -------------------------------------------------------------------------------------------------


def test_the_norm_takes_mean_and_variance_over_the_sphere() -> None:
    norm, grid = sc.SphereNorm(3), sc.SphereGrid(4, 4)
    with torch.no_grad():
        norm.gain[:], norm.bias[:] = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, -1.0, 5.0])
    c = 2 * numbers(25, 6, 3) + 1
    values = grid.synthesize(norm(c))
    mean = grid.mean(values).mean(dim=0)
    variance = grid.mean((values - mean) ** 2).mean(dim=0)
    torch.testing.assert_close(mean, norm.bias, atol=1e-5, rtol=0)
    torch.testing.assert_close(variance.sqrt(), norm.gain, atol=1e-4, rtol=0)
    before = norm.mean.clone()
    norm.eval()(c)
    assert torch.equal(before, norm.mean)
    for _ in range(100):
        norm.train()(c)
    torch.testing.assert_close(norm.eval()(c), norm.train()(c), atol=1e-3, rtol=1e-3)


# --- the network ------------------------------------------------------------------------------------------


def trained_like(network: sc.SphericalCNN) -> sc.SphericalCNN:
    """With the means and variances of some input, as training would leave them."""
    c = numbers(8, (network.degree + 1) ** 2, seed=7)
    for _ in range(60):
        network.train()(c)
    return network.eval()


def test_the_whole_network_is_invariant_to_2_percent_at_degree_32_and_oversampling_is_the_cure() -> None:
    network = trained_like(sc.SphericalCNN((32, 16, 8), (4, 6, 8), generator=seeded(1)))
    l = sh.degrees(32).clamp(min=1)
    c = numbers(4, 33**2) / l**1.5  # falls with degree as pictures do
    turned = sh.rotate(c, sh.random_rotations(4, seeded(2)))
    errors = []
    for factor in (1.0, 2.0, 4.0):
        network.oversample(factor)
        maps = dict(network.steps(c)), dict(network.steps(turned))
        errors.append(relative(maps[1]["layer3.mean"], maps[0]["layer3.mean"]))
    assert errors[1] < 0.02
    assert errors[0] > 2 * errors[1] > 4 * errors[2]


def test_invariance_is_not_for_want_of_an_answer() -> None:
    network = trained_like(small(oversampling=3.0))
    c = numbers(6, 64)
    logits = network(c)
    assert (logits - logits.mean(dim=0)).norm() > 0.05 * logits.norm()
    turned = network(sh.rotate(c, sh.random_rotations(6, seeded(0))))
    assert (turned - logits).norm() < 0.1 * (logits - logits.mean(dim=0)).norm()


def test_gradients_are_those_of_finite_differences() -> None:
    network = small(oversampling=1.0).double()
    c = numbers(2, 64).double().requires_grad_()
    assert torch.autograd.gradcheck(network, c, nondet_tol=1e-12)


def test_layers_by_name() -> None:
    network = small()
    image = torch.rand(2, 1, 20, 40, generator=seeded(0))
    found = network.activations(image, ["logits", "layer1", "layer2.mean"])
    assert {k: tuple(v.shape) for k, v in found.items()} == {
        "logits": (2, 10),
        "layer1": (2, 4, 12, 24),
        "layer2.mean": (2, 6),
    }
    torch.testing.assert_close(found["logits"], network(sh.analyze(image[:, 0], 7)))
    assert network.layers == ["layer1", "layer1.mean", "layer2", "layer2.mean", "logits"]
    with pytest.raises(KeyError, match=r"layer2\.mean"):
        network.activations(image, ["layer2.maen"])
    for wrong in (torch.rand(1, 3, 20, 40), torch.rand(1, 1, 14, 40), torch.rand(20, 40)):
        with pytest.raises(ValueError, match="more than 14 rows"):
            network.activations(wrong, ["logits"])


def test_degrees_that_grow_are_refused() -> None:
    with pytest.raises(ValueError, match="not growing"):
        sc.SphericalCNN((4, 5), (2, 2))
    with pytest.raises(ValueError, match="one number a layer"):
        sc.SphericalCNN((4, 4), (2, 2, 2))


def test_it_serves_as_the_network_of_a_run() -> None:
    network = trained_like(small()).requires_grad_(False)
    for objective in (logit(3), channel("layer2.mean", 1)):
        sphere = SphericalHarmonics(20, channels=1, degree=7, sd=2.0)
        run = optimize(sphere, objective, network.activations, steps=5).finish()
        assert run.history[-1] > run.history[0]
        assert all(p.grad is None for p in network.parameters())


def test_a_turned_start_is_led_to_the_turned_picture() -> None:
    """By steps along the gradient; the first sixteen too, in which ReLUs would be redirected."""
    network = trained_like(small(oversampling=4.0)).requires_grad_(False)
    R, ends = sh.random_rotations(1, seeded(3))[0], []
    for turn in (False, True):
        sphere = SphericalHarmonics(32, channels=1, degree=7, sd=1.0, generator=seeded(1))
        start = sphere.coefficients.detach().clone()
        if turn:
            sphere.coefficients.data = sh.rotate(start, R)
        wanted = channel("layer2.mean", 1)
        run = optimize(sphere, wanted, network.activations, steps=20, lr=100.0, optimizer="sgd").finish()
        ends.append(sphere.coefficients.detach())
    assert run.history[-1] > run.history[0] + 0.003
    assert relative(ends[1], sh.rotate(ends[0], R)) < 0.1 * relative(ends[0], start)


def test_silent_meridians_are_no_dead_pictures() -> None:
    """Redirection would take the first axis for pictures; here it runs along longitudes."""
    network, gradients = trained_like(small()), []
    with torch.no_grad():
        network.blocks[0].norm.bias[:] = -2.5  # few points are left above 0
    for active in (False, True):
        c = numbers(1, 64).requires_grad_()
        with redirected_relu(active):
            gradients += torch.autograd.grad(network(c)[0, 1], c)
    assert gradients[0].any()
    assert torch.equal(*gradients)


def test_the_planar_network_closes_at_the_border_and_nowhere_else() -> None:
    """A turn about the axis by whole columns shifts its first layer; a tilt does not."""
    network = sc.PlanarCNN((16, 32), (4,), degree=7, generator=seeded(0)).eval()
    c = numbers(1, 64)
    angle = 2 * math.pi * 5 / 32
    spin = torch.tensor(
        [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1.0]]
    )
    tilt = spin[[2, 0, 1]][:, [2, 0, 1]]
    before, spun, tilted = (
        dict(network.steps(x))["layer1"] for x in (c, sh.rotate(c, spin), sh.rotate(c, tilt))
    )
    torch.testing.assert_close(spun, before.roll(5, dims=-1), atol=1e-5, rtol=0)
    split = sc.PlanarCNN((16, 32), (4,), closed=False, degree=7, generator=seeded(0)).eval()
    before_split, after_split = (dict(split.steps(x))["layer1"] for x in (c, sh.rotate(c, spin)))
    assert torch.equal(
        before_split[..., 1:-1], before[..., 1:-1]
    )  # the same weights, and the same map inside
    assert relative(after_split, before_split.roll(5, dims=-1)) > 0.05
    degree = sh.highest_degree((16, 32))
    assert relative(sh.analyze(tilted, degree), sh.rotate(sh.analyze(before, degree), tilt)) > 0.3


# --- digits -----------------------------------------------------------------------------------------------


def test_the_digits_are_those_of_mnist() -> None:
    """Its first training digits are 5, 0, 4, 1, 9, its first test digits 7, 2, 1, 0, 4."""
    (train, of_train), (test, of_test) = sc.digits("train"), sc.digits("test")
    assert train.shape == (6000, 28, 28)
    assert test.shape == (1000, 28, 28)
    assert of_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert of_test[:5].tolist() == [7, 2, 1, 0, 4]
    assert float(train.mean()) == pytest.approx(0.1307, abs=0.003)  # of the whole set
    assert (torch.bincount(of_train) > 500).all()
    with pytest.raises(ValueError, match="'train' or 'test'"):
        sc.digits("validation")


def test_a_pixel_lands_where_stereographic_projection_puts_it() -> None:
    """The pixel at (row, column) is at r = tan(θ/2) from the middle; +y is to the right of it, +x below."""
    for row, column in [(20, 14), (14, 22), (9, 11)]:
        picture = torch.zeros(1, 28, 28)
        picture[0, row, column] = 1
        c = sc.on_hemisphere(picture, 30)[0]
        down, right = ((i + 0.5 - 14) / 14 for i in (row, column))
        r = math.hypot(down, right)
        theta = 2 * math.atan(r)
        expected = torch.tensor([math.sin(theta) * down / r, math.sin(theta) * right / r, math.cos(theta)])
        mean = c[[3, 1, 2]]  # the integrals of f times x, y and z
        assert torch.dot(mean / mean.norm(), expected) > math.cos(math.radians(1))
        # Its area shrinks by the square of the projection's scale, 2/(1 + r²) half sides to the radian.
        area = (2 / (1 + r * r)) ** 2 / 14**2
        assert float(c[0]) * math.sqrt(4 * math.pi) == pytest.approx(area, rel=0.05)


def test_training_learns_is_repeatable_and_leaves_the_global_generator_alone() -> None:
    pictures, labels = sc.digits("train")
    two = labels[:400] < 2
    c, labels = sc.on_hemisphere(pictures[:400][two], 7), labels[:400][two]
    state = torch.get_rng_state()
    histories = []
    for make in (small, small, lambda: sc.PlanarCNN((16, 32), (4, 6), degree=7)):
        network = make()
        histories.append(sc.train(network, c, labels, epochs=4, batch=10, seed=1))
        assert sc.accuracy(network, c, labels) > 0.9
        assert not network.training
        assert not any(p.requires_grad for p in network.parameters())
    assert histories[0] == histories[1]
    assert histories[0][-1] < 0.5 * histories[0][0]
    assert torch.equal(state, torch.get_rng_state())


def test_of_the_stored_networks_the_spherical_one_knows_digits_from_any_side() -> None:
    pictures, labels = (x[:500] for x in sc.digits("test"))
    found = {}
    for kind in sc.KINDS:
        network = sc.load_trained(kind)
        c = sc.on_hemisphere(pictures, network.degree)
        turned = sh.rotate(c, sh.random_rotations(500, seeded(0)))
        mirrored = sc.on_hemisphere(pictures.flip(-1), network.degree)
        found[kind] = [sc.accuracy(network, x, labels) for x in (c, turned, mirrored)]
    upright, turned, mirrored = found["spherical"]
    assert upright > 0.88
    assert abs(upright - turned) < 0.03
    assert abs(upright - mirrored) < 0.03  # a zonal filter is its own mirror image
    upright, turned, mirrored = found["planar"]
    assert upright > 0.94
    assert turned < 0.25
    assert mirrored < 0.6
    with pytest.raises(ValueError, match="spherical, planar"):
        sc.load_trained("toroidal")


def test_both_networks_are_equally_large_and_made_from_their_generator() -> None:
    state = torch.get_rng_state()
    size = {kind: sum(p.numel() for p in make().parameters()) for kind, make in sc.KINDS.items()}
    assert size["planar"] == pytest.approx(size["spherical"], rel=0.01)
    for make in sc.KINDS.values():
        one, same, other = (make(generator=seeded(seed)).state_dict() for seed in (3, 3, 4))
        assert all(torch.equal(one[name], same[name]) for name in one)
        assert not torch.equal(one["head.weight"], other["head.weight"])
    assert torch.equal(state, torch.get_rng_state())
