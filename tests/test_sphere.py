"""The sphere as a parameterization, and panoramas: views from inside against closed forms, files read back."""

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
from PIL import Image

import dip_lessons as dip
from dip_lessons import assets, metrics
from dip_lessons.notebook.player.replay import code
from dip_lessons.parameterizations import Fourier, color
from dip_lessons.parameterizations.base import describe, from_description
from dip_lessons.sphere import harmonics as sh
from dip_lessons.sphere.panorama import (
    TangentViews,
    around,
    gnomonic,
    look_around,
    save_panorama,
    tangent_views,
)
from dip_lessons.sphere.picture import SphericalHarmonics, degree_scale


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def venice() -> torch.Tensor:
    """A panorama of data/, its light mapped to [0, 1]: (1, 3, 256, 512)."""
    light = torch.from_numpy(assets.arrays("panoramas/venice_sunset.npz")["map"].astype("float32"))
    return ((light / (1 + light)) ** (1 / 2.2)).permute(2, 0, 1)[None]


# --- the parameterization ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "height_width"), [(16, (16, 32)), ((9, 14), (9, 14)), ((12, 12), (12, 12))])
@pytest.mark.parametrize(("channels", "decorrelate"), [(3, True), (3, False), (1, True), (4, True)])
def test_the_picture_is_colours_of_a_sum_of_harmonics(
    size: int, height_width: tuple[int, int], channels: int, decorrelate: bool
) -> None:
    picture = SphericalHarmonics(
        size, batch=2, channels=channels, degree=3, decorrelate=decorrelate, sd=1.0, generator=seeded(1)
    )
    l = torch.tensor([0] + 3 * [1] + 5 * [2] + 7 * [3]).double().clamp(min=1)
    scale = math.pi / torch.sqrt(2 * l * (l + 1))
    z = sh.synthesize(picture.coefficients.detach().double() * scale, height_width)
    found = picture()
    assert found.shape == (2, channels, *height_width)
    assert found.dtype == torch.float32
    assert (found.detach() - color.to_image(z, decorrelate)).abs().max() < 1e-5


@pytest.mark.parametrize("size", [(16, 32), (17, 33), (16, 9), (1, 1)])
def test_set_image_is_exact_for_what_has_no_higher_degree(size: tuple[int, int]) -> None:
    start = SphericalHarmonics(size, batch=2, sd=0.5, generator=seeded(3))
    image = start().detach()
    again = SphericalHarmonics(size, batch=2, decay=0.5).set_image(image)
    torch.testing.assert_close(again(), image, rtol=0, atol=1e-5)
    larger = (size[0] + 7, size[1] + 4)  # and it is the same function elsewhere
    torch.testing.assert_close(again(larger), start(larger), rtol=0, atol=1e-4)


def test_set_image_keeps_the_low_degrees_of_any_other_picture() -> None:
    image = venice()
    z = color.from_image(image)
    picture = SphericalHarmonics((256, 512), degree=16).set_image(image)
    low = sh.analyze(z.double(), 16)
    torch.testing.assert_close(picture.raw().double(), sh.synthesize(low, (256, 512)), rtol=0, atol=1e-4)


def test_it_renders_at_any_size() -> None:
    picture = SphericalHarmonics(16, sd=0.5, generator=seeded(0))
    small, large = picture(), picture(48)
    assert large.shape == (1, 3, 48, 96)
    torch.testing.assert_close(large[..., 1::3, 1::3], small, rtol=0, atol=1e-5)  # shared pixel centres
    assert picture((5, 7)).shape == (1, 3, 5, 7)


def test_the_highest_degree_is_the_default() -> None:
    assert SphericalHarmonics(32).degree == 15
    assert SphericalHarmonics((32, 20)).degree == 9
    assert SphericalHarmonics(32, degree=4).coefficients.shape == (1, 3, 25)


def test_the_scale_is_one_over_f_seen_from_near() -> None:
    """C_l of the first picture is the power of a Fourier picture per (cycle per radian)², at the same sd."""
    height, sd = 64, 0.3
    for decay in (0.5, 1.0, 2.0):
        c_l = (sd * degree_scale(31, height, decay).double()) ** 2
        # The orthonormal transform of H × 2H pixels: mean square of one wave over 4², both parts of a
        # complex number, per (cycle per pixel)²; a pixel is π/H radians.
        for l in (1, 5, 31):
            f = math.sqrt(l * (l + 1)) / (2 * math.pi) * math.pi / height
            power = 2 * (sd / 4 / f**decay) ** 2 * (math.pi / height) ** 2
            assert c_l[l * l : (l + 1) ** 2].tolist() == pytest.approx([power] * (2 * l + 1), rel=1e-5)
    assert degree_scale(0, 64).item() == degree_scale(1, 64)[1].item()
    torch.testing.assert_close(degree_scale(5, 64), degree_scale(5, 512))  # decay 1 knows no resolution


def test_contrast_at_the_start_is_that_of_fourier() -> None:
    ours = SphericalHarmonics(64, batch=8, sd=1.0, generator=seeded(0)).raw().std()
    theirs = Fourier((64, 128), batch=8, sd=1.0, generator=seeded(0)).raw().std()
    # The plane has its corners besides, and waves of 4 to 2 pixels.
    assert 0.75 < (ours / theirs).item() < 1.05


@pytest.mark.parametrize("name", ["autoshop_01", "brown_photostudio_02", "burnt_warehouse", "venice_sunset"])
def test_panoramas_fall_about_as_the_prior_does(name: str) -> None:
    light = torch.from_numpy(assets.arrays(f"panoramas/{name}.npz")["map"].astype("float64"))
    image = ((light / (1 + light)) ** (1 / 2.2)).permute(2, 0, 1)
    power = sh.power(sh.analyze(image, 99)).mean(dim=0)
    l = np.arange(3.0, 100)
    slope = scipy.stats.linregress(np.log(l * (l + 1)), power.log()[3:]).slope
    assert 0.9 < -slope < 1.4  # of C_l against l(l+1), which the prior has at `decay`


def test_decay_changes_the_picture_and_refuses_what_is_no_number() -> None:
    picture = SphericalHarmonics(16, sd=1.0)
    before, theta = picture(), picture.coefficients.clone()
    picture.decay = 2.0
    assert torch.equal(picture.coefficients, theta)
    torch.testing.assert_close(picture.scale, degree_scale(7, 16, 2.0))
    assert not torch.allclose(picture(), before)
    with pytest.raises(ValueError, match="decay must be a finite number"):
        picture.decay = math.nan


def test_gradients_are_finite_differences() -> None:
    picture = SphericalHarmonics((5, 6), degree=2, sd=0.5).double()
    start = picture.coefficients.detach().clone().requires_grad_()

    def image(c: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(picture, {"coefficients": c}, ())

    assert torch.autograd.gradcheck(image, start)


def test_it_is_described_and_made_again() -> None:
    picture = SphericalHarmonics((12, 30), batch=2, degree=3, decay=1.5, sd=0.1)
    again = from_description(describe(picture))
    assert describe(again) == describe(picture)
    assert again.coefficients.shape == picture.coefficients.shape
    a, b = SphericalHarmonics(12, generator=seeded(4)), SphericalHarmonics(12, generator=seeded(4))
    assert torch.equal(a(), b())
    assert not torch.equal(a(), SphericalHarmonics(12, generator=seeded(5))())


@pytest.mark.parametrize("degree", [8, -1, 2.0, True])
def test_a_degree_that_does_not_fit_is_refused(degree: object) -> None:
    with pytest.raises(ValueError, match=r"from 0 to 7, below half the rows.*\(16, 32\); got"):
        SphericalHarmonics(16, degree=degree)


# --- views from inside ------------------------------------------------------------------------------------


def xyz(size: tuple[int, int], dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """The picture whose colours are the direction itself: (1, 3, H, W)."""
    return sh.directions(size, dtype=dtype)[None]


def rays(camera: np.ndarray, fov: float, size: tuple[int, int]) -> np.ndarray:
    """The unit vectors a pinhole camera sees, (3, h, w), typed in again pixel by pixel."""
    h, w = size
    out = np.zeros((3, h, w))
    focal = w / 2 / math.tan(math.radians(fov) / 2)  # in pixels
    for i in range(h):
        for j in range(w):
            d = camera @ np.array([j + 0.5 - w / 2, i + 0.5 - h / 2, focal])
            out[:, i, j] = d / np.linalg.norm(d)
    return out


@pytest.mark.parametrize("size", [(64, 128), (65, 131), (64, 127)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_views_of_the_directions_are_the_cameras_rays(size: tuple[int, int], dtype: torch.dtype) -> None:
    views = tangent_views((11, 14), fov=(40, 110), roll=180, count=40)
    seen = views(xyz(size, dtype), seeded(0))
    camera, fov = views.draw(40, seeded(0))
    assert seen.shape == (40, 3, 11, 14)
    assert seen.dtype == dtype
    bound = 1.1 * (math.pi / size[0]) ** 2 / 4  # of linear interpolation: h²/8 in each direction
    for k in range(40):
        expected = rays(camera[k].numpy(), fov[k].item(), (11, 14))
        assert np.abs(seen[k].double().numpy() - expected).max() < bound


@pytest.mark.parametrize(
    ("yaw", "pitch", "where"),
    [
        (180, 0, "the seam"),
        (-180, 30, "the seam"),
        (0, 90, "the zenith"),
        (123, -90, "the nadir"),
        (180, 80, "both"),
    ],
)
@pytest.mark.parametrize("size", [(64, 128), (63, 125)])
def test_nothing_is_seen_of_the_seam_or_the_poles(yaw: float, pitch: float, where: str, size: tuple) -> None:
    """A smooth picture stays smooth: without the neighbours around the border the error is 100 times larger."""
    seen = look_around(xyz(size), yaw=yaw, pitch=pitch, fov=30, size=41)[0]
    a, b = math.radians(yaw + 180), math.radians(pitch)
    forward = np.array([math.cos(b) * math.cos(a), math.cos(b) * math.sin(a), math.sin(b)])
    right = np.array([-math.sin(a), math.cos(a), 0])
    down = np.array([math.sin(b) * math.cos(a), math.sin(b) * math.sin(a), -math.cos(b)])
    expected = rays(np.stack([right, down, forward], axis=1), 30, (41, 41))
    error = np.abs(seen.numpy() - expected).max()
    assert error < 1.1 * (math.pi / size[0]) ** 2 / 4


def test_error_falls_with_the_square_of_the_resolution_everywhere() -> None:
    views = tangent_views(9, roll=180, count=30)
    camera, fov = views.draw(30, seeded(2))
    exact = torch.stack(
        [torch.from_numpy(rays(c.numpy(), f.item(), (9, 9))) for c, f in zip(camera, fov, strict=True)]
    )
    errors = [(views(xyz((n, 2 * n)), seeded(2)) - exact).square().mean().sqrt() for n in (32, 64, 128)]
    assert 3.5 < (errors[0] / errors[1]).item() < 4.5
    assert 3.5 < (errors[1] / errors[2]).item() < 4.5


def test_straight_lines_stay_straight() -> None:
    """A plane through the eye, a·n = 0, is a line in the view: a·n over forward·n is linear in the pixel."""
    a = torch.tensor([0.3, -0.5, 0.8], dtype=torch.float64)
    seen = tangent_views((30, 40), fov=100, roll=180, count=5)(xyz((512, 1024)), seeded(1))
    camera, _ = tangent_views((30, 40), fov=100, roll=180, count=5).draw(5, seeded(1))
    depth = torch.einsum("kchw,kc->khw", seen, camera[:, :, 2])
    plane = torch.einsum("kchw,c->khw", seen, a) / depth
    for k in range(5):
        i, j = np.mgrid[:30, :40]
        design = np.stack([i, j, np.ones_like(i)], axis=-1).reshape(-1, 3)
        line, residual, *_ = np.linalg.lstsq(design, plane[k].numpy().ravel(), rcond=None)
        assert math.sqrt(residual.item() / 1200) < 2e-5
        assert np.abs(line[:2]).max() > 1e-3


def test_right_and_up_are_not_confused() -> None:
    image = torch.zeros(1, 1, 90, 180)
    image[..., 90:] = 1  # white to the right of the middle
    view = look_around(image, fov=60, size=20)[0, 0]
    assert view[:, :9].max() < 0.01 < 0.99 < view[:, 11:].min()
    image = torch.zeros(1, 1, 90, 180)
    image[..., :45, :] = 1  # white above the horizon
    view = look_around(image, fov=60, size=20)[0, 0]
    assert view[11:].max() < 0.01 < 0.99 < view[:9].min()
    rolled = look_around(image, fov=60, size=20, roll=90)[0, 0]  # the camera clockwise, the sky to the left
    assert rolled[:, 11:].max() < 0.01 < 0.99 < rolled[:, :9].min()
    spot = torch.zeros(1, 1, 90, 180)
    spot[0, 0, 45 - 15, 90 + 20] = 1  # 30° up, 40° to the right
    view = look_around(spot, yaw=41, pitch=29, fov=30, size=31)[0, 0]
    assert divmod(view.argmax().item(), 31) == (15, 15)


def test_directions_are_uniform_and_so_is_the_orientation() -> None:
    camera, fov = tangent_views(fov=(50, 80), roll=180).draw(20000, seeded(0))
    for column in range(3):  # right, down and forward alike: the Haar measure
        v = camera[:, :, column]
        assert v.mean(dim=0).abs().max() < 0.02
        second = v.mT @ v / 20000
        assert (second - torch.eye(3) / 3).abs().max() < 0.01
        for axis in v.T:
            assert scipy.stats.kstest(axis.numpy(), scipy.stats.uniform(-1, 2).cdf).pvalue > 0.001
    assert scipy.stats.kstest(fov.numpy(), scipy.stats.uniform(50, 30).cdf).pvalue > 0.01
    torch.testing.assert_close(torch.linalg.det(camera), -torch.ones(20000, dtype=torch.float64))


def test_upright_cameras_keep_the_horizon_level() -> None:
    camera, _ = tangent_views(pitch=30).draw(5000, seeded(0))
    assert camera[:, 2, 0].abs().max() < 1e-12  # right has no height
    assert camera[:, 2, 1].max() < 0  # down points down
    height = camera[:, 2, 2].numpy()
    assert scipy.stats.kstest(height, scipy.stats.uniform(-0.5, 1).cdf).pvalue > 0.01
    tilted, _ = tangent_views(pitch=0, roll=20).draw(5000, seeded(0))
    tilt = torch.rad2deg(torch.atan2(-tilted[:, 2, 0], -tilted[:, 2, 1])).numpy()
    assert scipy.stats.kstest(tilt, scipy.stats.uniform(-20, 40).cdf).pvalue > 0.01
    assert tilted[:, 2, 2].abs().max() < 1e-12


def test_strength_scales_every_range_but_the_heading() -> None:
    views = tangent_views(fov=(40, 80), pitch=30, roll=20, blur=2).change(strength=0)
    camera, fov = views.draw(100, seeded(0))
    assert camera[:, 2, [0, 2]].abs().max() < 1e-12
    assert (fov == 60).all()
    assert camera[:, 0, 2].std() > 0.5
    _, half = views.change(strength=0.5).draw(2000, seeded(0))
    assert 50 <= half.min() < 50.5 < 69.5 < half.max() <= 70


def test_the_order_is_that_of_other_views_and_every_view_draws_its_own() -> None:
    image = torch.tensor([0.1, 0.5, 0.9]).view(3, 1, 1, 1).expand(3, 3, 16, 32)
    seen = tangent_views(8, count=4)(image, seeded(0))
    torch.testing.assert_close(seen.mean(dim=(1, 2, 3)), torch.tensor([0.1, 0.5, 0.9] * 4))
    both = torch.cat([xyz((32, 64)), xyz((32, 64)).flip(3)])
    views = tangent_views(8, count=2, blur=1.0)
    seen, (camera, fov) = views.change(blur=0)(both, seeded(3)), views.draw(4, seeded(3))
    for k in range(4):
        alone = gnomonic(both[k % 2, None], camera[k, None], fov[k, None], (8, 8))
        torch.testing.assert_close(seen[k], alone[0])
    assert len({view.numpy().tobytes() for view in seen}) == 4


def test_one_seed_gives_the_same_views_and_nothing_else_changes() -> None:
    image, views, before = (
        xyz((16, 32), torch.float32),
        tangent_views(8, roll=20, blur=1.0, count=2),
        torch.get_rng_state(),
    )
    kept, one = image.clone(), seeded(0)
    first = views(image, one)
    assert torch.equal(views(image, seeded(0)), first)
    assert not torch.equal(views(image, one), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(image, kept)


def test_blur_is_drawn_and_blurs() -> None:
    image = torch.rand(1, 3, 64, 128, generator=seeded(0))
    sharp = tangent_views(32, fov=60)(image, seeded(1))
    soft = tangent_views(32, fov=60, blur=3.0)(image, seeded(1))
    assert soft.diff().square().mean() < 0.5 * sharp.diff().square().mean()


@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
def test_gradients_of_views_are_finite_differences(size: tuple[int, int]) -> None:
    image = torch.rand(2, 1, *size, generator=seeded(0), dtype=torch.float64).requires_grad_()
    views = tangent_views((4, 5), fov=(60, 120), roll=180, blur=0.7, count=3)
    assert torch.autograd.gradcheck(lambda x: views(x, seeded(0)), image)


def test_every_pixel_of_a_panorama_is_seen_equally_often_per_area() -> None:
    image = torch.zeros(1, 1, 12, 24, requires_grad=True)
    tangent_views(8, fov=70, roll=180, count=20000)(image, seeded(0)).sum().backward()
    theta = np.linspace(0, np.pi, 10001)
    row = (theta * 12 / np.pi - 0.5).clip(0, 11)  # beyond a pole there is the same row
    share = np.clip(1 - np.abs(row - np.arange(12)[:, None]), 0, None) @ np.sin(theta)
    seen = image.grad[0, 0].sum(dim=1).numpy()
    assert np.abs(seen / seen.sum() / (share / share.sum()) - 1).max() < 0.06


def test_around_joins_the_borders() -> None:
    image = torch.arange(8.0).view(1, 1, 2, 4)
    expected = [[1, 2, 3, 0, 1, 2], [3, 0, 1, 2, 3, 0], [7, 4, 5, 6, 7, 4], [5, 6, 7, 4, 5, 6]]
    assert around(image)[0, 0].tolist() == expected
    odd = around(torch.tensor([[[[0.0, 3, 9]]]]))[0, 0]  # half a turn away lies between two columns
    assert odd.tolist() == [[1.5, 6, 4.5, 1.5, 6], [9, 0, 3, 9, 0], [1.5, 6, 4.5, 1.5, 6]]


# --- in a run ---------------------------------------------------------------------------------------------


def eye(pictures: torch.Tensor, layers: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """A network whose logits are the means of the three colours, more for what is seen above the middle."""
    weight = torch.linspace(1, 0, pictures.shape[2]).to(pictures)[:, None]
    return {"logits": (weight * pictures).mean(dim=(2, 3))}


def test_a_run_on_the_sphere_is_saved_changed_and_written_as_code(tmp_path: Path) -> None:
    picture = SphericalHarmonics(16, generator=seeded(7))
    views = tangent_views(12, pitch=40, roll=10, count=2)
    run = dip.optimize(picture, dip.logit(0), eye, views=views, steps=6).advance(2)
    run.set(roll=30, fov=(50, 100), decay=1.5).advance(1)
    again = dip.Run.load(run.save(tmp_path / "run.pt"), network=eye)
    assert again.settings["views"] == views.change(roll=30, fov=(50, 100))
    assert torch.equal(again.finish().image, run.finish().image)
    assert torch.equal(again.rewind(0).finish().image, run.image)
    assert run.history[-1] > run.history[0]
    written = code(run)
    assert "dip.SphericalHarmonics(16, generator=" in written
    assert "dip.tangent_views(size=(12, 12), pitch=40, roll=10, count=2)" in written
    assert re.search(r"\.set\(.*fov=\(50, 100\)", written)


def test_code_of_a_square_picture_says_both_sides() -> None:
    run = dip.optimize(SphericalHarmonics((12, 12)), dip.logit(0), eye, views=tangent_views(8), steps=2)
    assert "dip.SphericalHarmonics((12, 12)" in code(run)


# --- seam and poles in numbers ----------------------------------------------------------------------------


def test_seam_and_pole_energy_tell_harmonics_from_waves() -> None:
    ball = SphericalHarmonics(64, batch=8, sd=0.3, generator=seeded(0))()
    plane = Fourier((64, 128), batch=8, sd=0.3, generator=seeded(0))()
    assert 0.5 < metrics.pole_energy(ball).mean() < 1.5
    assert 0.5 < metrics.seam_energy(ball).mean() < 1.5
    assert metrics.pole_energy(plane).mean() > 3
    assert 0.5 < metrics.seam_energy(plane).mean() < 1.5  # waves are periodic: no seam, but poles


def test_pole_energy_of_closed_forms() -> None:
    # z is the same all along a row: no step across a pole
    theta = (torch.arange(32, dtype=torch.float64) + 0.5) * math.pi / 32
    z = theta.cos().view(1, 1, 32, 1).expand(1, 1, 32, 64)
    assert metrics.pole_energy(z).item() < 1e-6
    # x steps by 2 sin(π/2H) |cos φ| across, about as it does inside in the mean
    x = xyz((32, 64))[:, :1]
    inside = (theta.sin().diff() ** 2).mean()
    assert metrics.pole_energy(x).item() == pytest.approx(float((2 * theta[0].sin()) ** 2 / inside), rel=1e-4)
    assert metrics.pole_energy(torch.full((2, 3, 8, 16), 0.5)).tolist() == [1, 1]


def test_pole_spread_of_closed_forms() -> None:
    x, y, z = xyz((64, 128))[0].unbind()
    circle = math.radians(2)
    # On the circle x is sin ρ cos φ; over all pixels the mean of sin² θ cos² φ is ¼. z is cos ρ all around.
    for coordinate, expected in (
        (x, math.sqrt(2) * math.sin(circle)),
        (y, math.sqrt(2) * math.sin(circle)),
        (z, 0),
    ):
        found = metrics.pole_spread(coordinate.expand(2, 3, -1, -1), radius=2)
        assert found.tolist() == pytest.approx([expected] * 2, rel=5e-3, abs=1e-5)
    one_pole = torch.where(z > 0, x, 0)  # the mean over both
    share = metrics.pole_spread(one_pole[None, None]) / metrics.pole_spread(x[None, None])
    assert share.item() == pytest.approx(math.sqrt(0.5), rel=1e-3)
    assert metrics.pole_spread(torch.full((2, 3, 8, 16), 0.5)).max() < 1e-3


def test_pole_spread_sees_poles_among_dots() -> None:
    """Where neighbours are strangers in any case, energies of steps tell nothing apart."""
    ball = SphericalHarmonics(64, batch=4, decay=0, sd=0.1, degree=31, generator=seeded(0))()
    plane = Fourier((64, 128), batch=4, decay=0, sd=0.1, generator=seeded(0))()
    assert metrics.pole_energy(plane).min() < metrics.pole_energy(ball).max()
    assert metrics.pole_spread(plane).min() > 1.5 * metrics.pole_spread(ball).max()
    for radius in (0, 90, math.nan):
        with pytest.raises(ValueError, match="above 0 and below 90"):
            metrics.pole_spread(ball, radius=radius)


# --- the file ---------------------------------------------------------------------------------------------


def test_a_saved_panorama_says_that_it_is_one(tmp_path: Path) -> None:
    image = SphericalHarmonics(32, sd=1.0)()
    path = save_panorama(image, tmp_path / "pano.jpg")
    with Image.open(path) as file:
        assert file.size == (64, 32)
        pixels = torch.from_numpy(np.array(file)).permute(2, 0, 1) / 255
    fields = dict(re.findall(rb'GPano:(\w+)="([^"]*)"', path.read_bytes()))
    assert (pixels - image[0]).abs().mean() < 0.02
    assert fields == {
        b"ProjectionType": b"equirectangular",
        b"UsePanoramaViewer": b"True",
        b"FullPanoWidthPixels": b"64",
        b"FullPanoHeightPixels": b"32",
        b"CroppedAreaImageWidthPixels": b"64",
        b"CroppedAreaImageHeightPixels": b"32",
        b"CroppedAreaLeftPixels": b"0",
        b"CroppedAreaTopPixels": b"0",
    }


def test_its_metadata_is_well_formed(tmp_path: Path) -> None:
    import xml.etree.ElementTree as ET

    save_panorama(torch.rand(3, 8, 16, generator=seeded(0)), tmp_path / "a.JPEG")
    data = (tmp_path / "a.JPEG").read_bytes()
    start = data.index(b"http://ns.adobe.com/xap/1.0/\0")
    length = int.from_bytes(data[start - 2 : start], "big")
    assert data[start - 4 : start - 2] == b"\xff\xe1"
    assert data[2:4] == b"\xff\xe0"  # JFIF wants to be the first segment
    packet = data[start + 29 : start - 2 + length].decode()
    root = ET.fromstring(re.sub(r"<\?xpacket.*?\?>", "", packet))
    (description,) = root.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    pano = "{http://ns.google.com/photos/1.0/panorama/}"
    assert description.get(pano + "ProjectionType") == "equirectangular"
    assert data[start - 2 + length] == 0xFF  # the next segment follows


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda **f: tangent_views(**f), lambda **f: tangent_views().change(**f)])
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"size": 0}, "size must be a positive int or"),
        ({"size": (4, 5, 6)}, "size must be a positive int or"),
        ({"size": 4.0}, "size must be a positive int or"),
        ({"fov": 180}, "fov must be degrees between 0 and 180"),
        ({"fov": 0}, "fov must be degrees between 0 and 180"),
        ({"fov": (90, 60)}, "fov must be degrees between 0 and 180"),
        ({"fov": (60, 70, 80)}, "fov must be degrees between 0 and 180"),
        ({"fov": "wide"}, "must be finite numbers"),
        ({"pitch": 91}, "pitch must be degrees between 0 and 90"),
        ({"pitch": math.nan}, "must be finite numbers"),
        ({"roll": -1}, "roll must be degrees between 0 and 180"),
        ({"blur": -0.1}, "blur must be a standard deviation"),
        ({"count": 0}, "count must be a whole number"),
        ({"count": 1.5}, "count must be a whole number"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(make: Callable, fields: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make(**fields)


@pytest.mark.parametrize("strength", [-1, 9.1, math.inf])
def test_a_strength_that_leaves_no_field_of_view_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="strength must be|must be finite"):
        tangent_views(fov=(60, 90)).change(strength=strength)
    assert isinstance(tangent_views(fov=(60, 90)).change(strength=4.9), TangentViews)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: tangent_views()(torch.zeros(3, 8, 16), seeded(0)), r"panoramas \(B, C, H, W\)"),
        (lambda: tangent_views()(torch.zeros(1, 4, 8, 16), seeded(0)), r"opaque panoramas.*\(1, 4, 8, 16\)"),
        (lambda: look_around(torch.zeros(1, 3, 8, 16), fov=200), "fov must be degrees"),
        (lambda: look_around(torch.zeros(1, 3, 8, 16), yaw=math.nan), "angles in degrees"),
        (lambda: look_around(torch.zeros(3, 8, 16)), r"panoramas \(B, C, H, W\)"),
        (lambda: save_panorama(torch.zeros(3, 8, 15), "x.jpg"), r"\(3, H, 2H\).*got \(3, 8, 15\)"),
        (lambda: save_panorama(torch.zeros(2, 3, 8, 16), "x.jpg"), r"one panorama \(3, H, 2H\)"),
        (lambda: save_panorama(torch.zeros(3, 8, 16), "x.png"), "written as JPEG.*got 'x.png'"),
    ],
)
def test_what_is_no_panorama_is_refused(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
