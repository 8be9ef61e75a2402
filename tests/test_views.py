"""Random views against numpy's padding, scipy's affine transform and blur, closed forms, and the ranges asked for."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch

import dip_lessons as dip
from dip_lessons import Views, random_views, standard_views
from dip_lessons.views.affine import gaussian_blur, resample
from dip_lessons.views.background import BACKGROUNDS, composite


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(shape, generator=seeded(99), dtype=dtype)


def pad(image: torch.Tensor, by: int) -> np.ndarray:
    """The picture (C, H, W) with its mirror image around it, the edge included."""
    return np.pad(image.numpy(), ((0, 0), (by, by), (by, by)), mode="symmetric")


def affine_by_scipy(image: torch.Tensor, matrix: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """One picture (C, H, W) at M q, with scipy: rows before columns, counted from the corner."""
    a, t = matrix[:, :2].double().numpy(), matrix[:, 2].double().numpy()
    a, t = a[::-1, ::-1], t[::-1]  # (x, y) to (row, column)
    to_centre, from_centre = (np.array(size) - 1) / 2, (np.array(image.shape[1:]) - 1) / 2
    return np.stack(
        [
            scipy.ndimage.affine_transform(
                channel, a, offset=from_centre + t - a @ to_centre, output_shape=size, order=1, mode="reflect"
            )
            for channel in image.double().numpy()
        ]
    )


# --- one ingredient at a time -----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(12, 17), (9, 9), (4, 5)])
def test_jitter_is_a_whole_shift_with_a_mirrored_border(size: tuple[int, int]) -> None:
    image, by = noise(2, 3, *size), 3
    views = random_views(jitter=by, count=20)(image, seeded(0))
    assert views.shape == (40, 3, *size)
    seen = set()
    for i, view in enumerate(views):
        padded = pad(image[i % 2], by)
        fits = [
            (y, x)
            for y in range(2 * by + 1)
            for x in range(2 * by + 1)
            if np.abs(padded[:, y : y + size[0], x : x + size[1]] - view.numpy()).max() < 1e-12
        ]
        assert len(fits) == 1
        seen.update(fits)
    assert len(seen) > 15


def test_jitter_reaches_every_shift_equally_often() -> None:
    matrix = random_views(jitter=3).draw(7000, (64, 48), seeded(0))
    assert torch.equal(matrix[:, :, :2], torch.eye(2).expand(7000, 2, 2))
    for axis in (0, 1):
        shifts, counts = matrix[:, axis, 2].unique(return_counts=True)
        assert shifts.tolist() == [-3, -2, -1, 0, 1, 2, 3]
        assert scipy.stats.chisquare(counts.numpy()).pvalue > 0.01
    assert abs(np.corrcoef(matrix[:, :, 2].T.numpy())[0, 1]) < 0.05


def test_jitter_is_exact_in_single_precision_to_a_thousandth_of_a_grey_level() -> None:
    image = noise(1, 3, 224, 224, dtype=torch.float32)
    views, by = random_views(jitter=12, count=3), 12
    for matrix, view in zip(views.draw(3, (224, 224), seeded(1)), views(image, seeded(1)), strict=True):
        x, y = (int(n) + by for n in matrix[:, 2])
        expected = pad(image[0], by)[:, y : y + 224, x : x + 224]
        assert np.abs(view.numpy() - expected).max() < 1e-3 / 25  # of white noise, the hardest picture


@pytest.mark.parametrize(
    ("size", "crop"), [((12, 17), (5, 8)), ((9, 8), 4), ((7, 7), (7, 3)), ((6, 5), (1, 1))]
)
def test_crop_is_a_slice(size: tuple[int, int], crop: int | tuple[int, int]) -> None:
    image = noise(2, 3, *size)
    height, width = (crop, crop) if isinstance(crop, int) else crop
    places = [(y, x) for y in range(size[0] - height + 1) for x in range(size[1] - width + 1)]
    views = random_views(crop=crop, count=8 * len(places))(image, seeded(0))
    assert views.shape == (16 * len(places), 3, height, width)
    slices = torch.stack([image[:, :, y : y + height, x : x + width] for y, x in places], dim=1)
    found = []
    for i, view in enumerate(views):
        fits = ((slices[i % 2] - view).abs().amax(dim=(1, 2, 3)) < 1e-12).nonzero()
        assert fits.numel() == 1
        found.append(int(fits))
    assert set(found) == set(range(len(places)))
    if len(places) > 1:  # and every place as often as every other
        assert scipy.stats.chisquare(np.bincount(found)).pvalue > 0.01


@pytest.mark.parametrize("side", [8, 9])
def test_a_quarter_turn_is_rot90(side: int) -> None:
    image = noise(1, 3, side, side)
    turn = torch.tensor([[[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]], dtype=torch.float64)
    got = resample(image, turn, (side, side))
    torch.testing.assert_close(got, torch.rot90(image, 1, dims=(2, 3)), rtol=0, atol=1e-12)


def test_rotation_turns_by_the_angles_asked_for() -> None:
    matrix = random_views(rotate=30).draw(4000, (10, 10), seeded(0)).double()
    a = matrix[:, :, :2]
    torch.testing.assert_close(a @ a.mT, torch.eye(2, dtype=torch.float64).expand_as(a), rtol=0, atol=1e-6)
    assert torch.all(torch.linalg.det(a) > 0)
    degrees = torch.rad2deg(torch.atan2(a[:, 1, 0], a[:, 0, 0]))
    assert scipy.stats.kstest(degrees, scipy.stats.uniform(-30, 60).cdf).pvalue > 0.01


# --- all at once ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "views"),
    [
        ((20, 31), random_views(jitter=4, scale=0.3, rotate=40)),
        ((31, 20), random_views(jitter=4, scale=(0.5, 2.0), rotate=180, crop=(9, 14))),
        ((16, 16), random_views(jitter=30, scale=(0.2, 0.3), rotate=90)),  # mirrored more than once
        ((7, 5), random_views(scale=(3.0, 4.0), rotate=20, crop=4)),
    ],
)
def test_views_are_scipys_affine_transforms(size: tuple[int, int], views: Views) -> None:
    image = noise(1, 2, *size)
    views = views.change(count=6)
    matrices = views.draw(6, size, seeded(5))
    for matrix, view in zip(matrices, views(image, seeded(5)), strict=True):
        expected = affine_by_scipy(image[0], matrix, views.crop or size)
        np.testing.assert_allclose(view.numpy(), expected, rtol=0, atol=1e-9)


def test_the_matrix_is_the_one_of_the_docstring() -> None:
    views = random_views(jitter=5, scale=0.2, rotate=25, crop=(6, 9))
    a = views.draw(500, (20, 30), seeded(0)).double()
    scale = torch.linalg.det(a[:, :, :2]).rsqrt()
    rotation = a[:, :, :2] * scale[:, None, None]
    torch.testing.assert_close(
        rotation @ rotation.mT, torch.eye(2, dtype=torch.float64).expand(500, 2, 2), rtol=0, atol=1e-6
    )
    # c leaves the crop inside: (30 − 9)/2 and (20 − 6)/2 from the centre at most; t adds up to 5.
    assert a[:, 0, 2].abs().max() <= 10.5 + 5
    assert a[:, 1, 2].abs().max() <= 7 + 5
    assert a[:, 0, 2].abs().max() > 10.5
    assert a[:, 1, 2].abs().max() > 7
    assert torch.all((a[:, 0, 2] - 0.5) % 1 == 0)  # an odd difference: the place lies between pixels
    assert torch.all(a[:, 1, 2] % 1 == 0)


# --- the distribution of scales ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "strength", "low", "high"),
    [
        (0.1, 1.0, 0.9, 1.1),
        ((0.5, 2.0), 1.0, 0.5, 2.0),
        ((1.2, 1.6), 1.0, 1.2, 1.6),
        ((0.5, 2.0), 0.5, 0.75, 1.5),
        (0.2, 2.0, 0.6, 1.4),
    ],
)
def test_scales_drawn_are_the_scales_asked_for(
    asked: float | tuple[float, float], strength: float, low: float, high: float
) -> None:
    views = random_views(scale=asked, rotate=30, jitter=4).change(strength=strength)
    matrix = views.draw(5000, (40, 50), seeded(0)).double()
    scales = torch.linalg.det(matrix[:, :, :2]).rsqrt()
    assert scipy.stats.kstest(scales, scipy.stats.uniform(low, high - low).cdf).pvalue > 0.01


def test_scales_measured_in_the_picture_are_the_scales_asked_for() -> None:
    """Two dots 40 px apart: their distance in a view, over 40, is its magnification."""
    y, x = torch.meshgrid(torch.arange(49.0) - 24, torch.arange(97.0) - 48, indexing="ij")
    dots = [torch.exp(-((x - at) ** 2 + y**2) / (2 * 2.5**2)) for at in (-20, 20)]
    image = torch.stack(dots)[None]  # one dot in each channel
    views = random_views(scale=(0.7, 1.4), count=500)
    seen = views(image, seeded(3))
    mass = seen.sum(dim=(2, 3))
    centres = torch.stack([(seen * x).sum(dim=(2, 3)) / mass, (seen * y).sum(dim=(2, 3)) / mass], dim=-1)
    measured = (centres[:, 0] - centres[:, 1]).norm(dim=-1) / 40
    drawn = torch.linalg.det(views.draw(500, (49, 97), seeded(3))[:, :, :2]).rsqrt()
    torch.testing.assert_close(measured, drawn, rtol=0, atol=2e-3)
    assert scipy.stats.kstest(measured, scipy.stats.uniform(0.7, 0.7).cdf).pvalue > 0.01


# --- blur -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(17, 23), (9, 8)])
def test_blur_is_scipys_gaussian_filter(size: tuple[int, int]) -> None:
    image, sigmas = noise(4, 3, *size), torch.tensor([0.0, 0.4, 1.0, 1.9], dtype=torch.float64)
    got = gaussian_blur(image, sigmas)
    assert torch.equal(got[0], image[0])
    for one, sigma, blurred in zip(image[1:], sigmas[1:].tolist(), got[1:], strict=True):
        for channel, result in zip(one.numpy(), blurred.numpy(), strict=True):
            same = scipy.ndimage.gaussian_filter(channel, sigma, mode="mirror", radius=math.ceil(3 * 1.9))
            np.testing.assert_allclose(result, same, rtol=0, atol=1e-12)
            whole = scipy.ndimage.gaussian_filter(channel, sigma, mode="mirror", truncate=8)
            np.testing.assert_allclose(result, whole, rtol=0, atol=5e-3)


def test_blur_of_a_picture_smaller_than_its_kernel() -> None:
    image = noise(1, 3, 3, 40)
    got = gaussian_blur(image, torch.tensor([4.0], dtype=torch.float64))
    same = scipy.ndimage.gaussian_filter(image.numpy(), 4.0, mode="mirror", radius=2, axes=(2, 3))
    np.testing.assert_allclose(got.numpy(), same, rtol=0, atol=1e-12)
    assert torch.equal(gaussian_blur(noise(1, 3, 1, 1), torch.tensor([2.0])), noise(1, 3, 1, 1))


@pytest.mark.parametrize(("blur", "strength"), [(1.5, 1.0), (0.8, 2.0)])
def test_blurs_measured_are_the_blurs_asked_for(blur: float, strength: float) -> None:
    dot = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    dot[0, 0, 10, 10] = 1
    views = random_views(blur=blur, count=400).change(strength=strength)
    seen = views(dot, seeded(1))[:, 0, 10]
    measured = (-0.5 / torch.log(seen[:, 11] / seen[:, 10])).sqrt()  # e^(−1/2σ²) from one pixel to the next
    assert scipy.stats.kstest(measured, scipy.stats.uniform(0, blur * strength).cdf).pvalue > 0.01


# --- noise ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("noise_sd", "strength"), [(0.08, 1.0), (0.2, 0.5)])
def test_noise_is_gaussian_independent_and_of_the_deviation_asked_for(
    noise_sd: float, strength: float
) -> None:
    image = torch.full((1, 3, 40, 50), 0.5, dtype=torch.float64)
    views = random_views(noise=noise_sd, count=2).change(strength=strength)
    added = (views(image, seeded(0)) - image).flatten()
    assert scipy.stats.kstest(added, scipy.stats.norm(0, noise_sd * strength).cdf).pvalue > 0.01
    assert abs(np.corrcoef(added[:6000], added[6000:])[0, 1]) < 0.05  # each view has its own


def test_noise_comes_last_and_after_the_same_draws_as_without() -> None:
    views, image = random_views(jitter=3, scale=0.2, rotate=15, blur=1.0, count=2), noise(1, 3, 12, 13)
    generator = seeded(4)
    expected = views(image, generator)
    expected = expected + 0.3 * torch.randn(expected.shape, generator=generator)
    torch.testing.assert_close(views.change(noise=0.3)(image, seeded(4)), expected, rtol=0, atol=1e-6)


# --- one way of seeing for all pictures of a batch --------------------------------------------------------

KINDS = [
    random_views(jitter=3),
    random_views(scale=0.2, rotate=20, crop=(9, 8)),
    random_views(blur=1.5),
    random_views(noise=0.2),
    random_views(jitter=3, scale=0.2, rotate=15, crop=(9, 8), blur=1.0, noise=0.1),
]


@pytest.mark.parametrize("views", KINDS)
@pytest.mark.parametrize("background", [None, "waves", "noise", "color", "static"])
def test_shared_views_are_those_of_one_picture_alone(views: Views, background: str | None) -> None:
    channels = 3 if background is None else 4
    images = noise(3, channels, 12, 13)
    views = views.change(shared=True, count=2, background=background)
    seen = views(images, seeded(0))
    for b in range(3):
        alone = views(images[b : b + 1], seeded(0))
        torch.testing.assert_close(seen[b::3], alone, rtol=0, atol=1e-12)
        same = views.change(shared=False)(
            images[b : b + 1], seeded(0)
        )  # of one picture there is nothing to share
        torch.testing.assert_close(alone, same, rtol=0, atol=1e-12)
    twins = images[:1].repeat(3, 1, 1, 1)
    assert torch.equal(views(twins, seeded(0))[0], views(twins, seeded(0))[2])
    assert not torch.equal(views(twins, seeded(0))[0], views(twins, seeded(0))[3])  # the next view differs
    apart = views.change(shared=False)(twins, seeded(0))
    assert not torch.equal(apart[0], apart[1])


# --- transparency -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [1.0, 2.2, 3.0])
def test_composite_is_the_mean_of_light(gamma: float) -> None:
    rgba, background = noise(2, 4, 5, 6), noise(4, 3, 5, 6)[2:]
    c, a, b = rgba.numpy()[:, :3], rgba.numpy()[:, 3:], background.numpy()
    expected = (a * c**gamma + (1 - a) * b**gamma) ** (1 / gamma)
    np.testing.assert_allclose(composite(rgba, background, gamma=gamma).numpy(), expected, rtol=1e-12)
    flat = np.float64(0.3) ** gamma  # a background may broadcast
    expected = (a * c**gamma + (1 - a) * flat) ** (1 / gamma)
    got = composite(rgba, torch.full((1, 3, 1, 1), 0.3, dtype=torch.float64), gamma=gamma)
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12)


def test_composite_of_opaque_and_of_clear() -> None:
    colours, background = noise(1, 3, 4, 4), noise(2, 3, 4, 4)[1:]
    for alpha, expected in ((1.0, colours), (0.0, background)):
        rgba = torch.cat([colours, torch.full((1, 1, 4, 4), alpha, dtype=torch.float64)], dim=1)
        torch.testing.assert_close(composite(rgba, background), expected, rtol=0, atol=1e-4)
    half = torch.tensor([1.0, 1.0, 1.0, 0.5]).view(1, 4, 1, 1)  # half the light of white: 2^(−1/2.2)
    assert composite(half, torch.zeros(1, 3, 1, 1))[0, 0].item() == pytest.approx(0.5 ** (1 / 2.2))


def test_dark_composites_are_off_by_less_than_a_fraction_of_a_grey_level() -> None:
    dark = torch.linspace(0, 0.001, 5001, dtype=torch.float64).view(1, 1, 1, -1)
    rgba = torch.cat([dark.expand(1, 3, 1, -1), torch.ones_like(dark)], dim=1)
    off = (composite(rgba, torch.ones(1, 3, 1, 1, dtype=torch.float64)) - dark).abs()
    assert off.max() < 1e-4
    assert off[0, 0, 0, 0] == 0
    assert off[..., dark.flatten() > 2.4e-4].max() < 1e-12


@pytest.mark.parametrize("gamma", [1.0, 2.2])
def test_gradients_of_composite(gamma: float) -> None:
    rgba, background = noise(1, 4, 3, 3).requires_grad_(), noise(3, 3, 3, 3)[2:].requires_grad_()
    assert torch.autograd.gradcheck(lambda x, b: composite(x, b, gamma=gamma), (rgba, background))
    for dtype in (torch.float32, torch.float64):  # every corner of the cube: zeros, ones, both
        corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=dtype)] * 3)
        c, a, b = corners.T.reshape(3, 1, 1, 1, 8)
        rgba = torch.cat([c.expand(1, 3, 1, 8), a], dim=1).requires_grad_()
        background = b.repeat(1, 3, 1, 1).requires_grad_()
        out = composite(rgba, background, gamma=gamma)
        assert set(out.detach().flatten().tolist()) == {0.0, 1.0}
        for gradient in torch.autograd.grad(out.sum(), (rgba, background)):
            assert gradient.isfinite().all()


def test_what_cannot_be_composited_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"\(N, 4, H, W\) over backgrounds \(N, 3, H, W\); got \(1, 3, 4, 4\)"
    ):
        composite(noise(1, 3, 4, 4), noise(1, 3, 4, 4))
    with pytest.raises(ValueError, match="gamma must be 1 or more; got 0.5"):
        composite(noise(1, 4, 4, 4), noise(1, 3, 4, 4), gamma=0.5)


def test_waves_are_random_pictures_of_the_fourier_parameterization() -> None:
    for size in ((12, 17), (9, 9)):
        picture = dip.Fourier(size, batch=2, sd=0.2, decay=1.5, generator=seeded(7))().detach()
        assert torch.equal(BACKGROUNDS["waves"](2, size, seeded(7)), picture)
    big = BACKGROUNDS["waves"](4, (64, 64), seeded(0))
    assert 0.1 < big.std() < 0.35  # neither grey nor saturated


def test_backgrounds_are_what_their_names_say() -> None:
    drawn = {kind: make(2, (9, 12), seeded(1)) for kind, make in BACKGROUNDS.items()}
    for kind, background in drawn.items():
        assert torch.broadcast_shapes(background.shape, (2, 3, 9, 12)) == (2, 3, 9, 12)
        assert 0 <= background.min() <= background.max() <= 1
        again = BACKGROUNDS[kind](2, (9, 12), seeded(2))
        assert torch.equal(again, background) == (kind in ("grey", "black", "white", "static"))
        assert not background.requires_grad
    assert [drawn[k].unique().tolist() for k in ("black", "grey", "white")] == [[0], [0.5], [1]]
    assert drawn["color"].flatten(2).std(dim=2, correction=0).max() == 0
    many = BACKGROUNDS["color"](2000, (4, 4), seeded(0)).double()
    for channel in many.expand(-1, -1, 4, 4)[:, :, 0, 0].T:
        assert scipy.stats.kstest(channel, scipy.stats.uniform(0, 1).cdf).pvalue > 0.01
    assert (
        scipy.stats.kstest(BACKGROUNDS["noise"](2, (40, 40), seeded(0)).double().flatten(), "uniform").pvalue
        > 0.01
    )


@pytest.mark.parametrize("views", [random_views(), random_views(scale=0.3, rotate=40, crop=(8, 9), count=3)])
@pytest.mark.parametrize("background", ["black", "white", "grey"])
def test_a_transparent_picture_is_composited_first_and_then_resampled(views: Views, background: str) -> None:
    image = noise(2, 4, 12, 13)
    level = {"black": 0.0, "white": 1.0, "grey": 0.5}[background]
    whole = torch.cat([composite(image, torch.full_like(image[:, :3], level)), image[:, 3:]], dim=1)
    matrices = views.draw(2 * views.count, (12, 13), seeded(5))
    seen = views.change(background=background)(image, seeded(5))
    assert seen.shape[:2] == (2 * views.count, 4)
    for i, (matrix, view) in enumerate(zip(matrices, seen, strict=True)):
        expected = affine_by_scipy(whole[i % 2], matrix, views.crop or (12, 13))
        np.testing.assert_allclose(view.numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("background", ["waves", "noise", "color"])
def test_each_view_has_a_background_of_its_own_where_the_picture_is_clear(background: str) -> None:
    image = noise(2, 4, 12, 13)
    image[:, 3] = 0
    views = random_views(background=background, count=3)
    seen = views(image, seeded(0))
    assert len({view.numpy().tobytes() for view in seen}) == 6
    assert torch.all(seen[:, 3] == 0)
    assert not torch.equal(views(image, seeded(1)), seen)
    static = views.change(background="static")
    assert torch.equal(static(image, seeded(0)), static(image, seeded(1)))
    image[:, 3] = 1  # an opaque picture hides them
    torch.testing.assert_close(views(image, seeded(0)), image.repeat(3, 1, 1, 1), rtol=0, atol=1e-4)


def test_backgrounds_differ_in_nothing_else() -> None:
    image, views = (
        noise(2, 4, 12, 13),
        random_views(jitter=3, scale=0.2, rotate=15, blur=1.0, noise=0.1, count=2),
    )
    alphas = {}
    for kind in BACKGROUNDS:
        generator = seeded(0)
        views.change(background=kind)(image, generator)
        alphas[kind] = views.change(background=kind)(image, generator)[:, 3]  # the second step of a run
    for alpha in alphas.values():
        assert torch.equal(alpha, alphas["waves"])


def test_noise_leaves_alpha_alone() -> None:
    image = noise(1, 4, 12, 13)
    seen = random_views(background="grey", noise=0.5)(image, seeded(0))
    torch.testing.assert_close(seen[:, 3:], image[:, 3:], rtol=0, atol=1e-12)
    assert (seen[:, :3] - image[:, :3]).std() > 0.4


def test_a_background_changes_nothing_for_a_picture_without_alpha() -> None:
    for channels in (1, 3):
        image, views = noise(2, channels, 12, 13), EVERYTHING
        assert torch.equal(views.change(background="waves")(image, seeded(0)), views(image, seeded(0)))


def test_transparency_without_a_background_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"background=….*'waves', 'noise', 'color', 'grey', 'black', 'white'"
    ):
        standard_views()(noise(1, 4, 8, 8), seeded(0))


# --- the new fields in a run ------------------------------------------------------------------------------


def eye(pictures: torch.Tensor, layers: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """A network whose logits are the means of the three colours."""
    return {"logits": pictures[:, :3].mean(dim=(2, 3))}


def test_runs_keep_noise_background_and_shared_when_saved(tmp_path: Path) -> None:
    views = random_views(jitter=2, noise=0.1, background="waves", shared=True, count=2)
    run = dip.optimize(dip.Fourier(8, batch=2, channels=4), dip.logit(0), eye, views=views, steps=4)
    run.advance(2).set(noise=np.float32(0.25), shared=False).advance(1)
    again = dip.Run.load(run.save(tmp_path / "run.pt"), network=eye)
    assert again.settings["views"] == views.change(noise=0.25, shared=False)
    assert torch.equal(again.finish().image, run.finish().image)
    assert torch.equal(again.rewind(0).finish().image, run.image)


def test_runs_saved_before_the_new_fields_load_and_go_on_as_they_did(tmp_path: Path) -> None:
    views = random_views(jitter=2, blur=1.0, count=2)
    run = dip.optimize(dip.Fourier(8), dip.logit(0), eye, views=views, steps=4).advance(2)
    content = torch.load(run.save(tmp_path / "run.pt"), weights_only=True)
    for field in ("noise", "background", "shared"):
        del content["log"][0]["views"][field]
    torch.save(content, tmp_path / "old.pt")
    old = dip.Run.load(tmp_path / "old.pt", network=eye)
    assert old.settings["views"] == views
    assert torch.equal(old.finish().image, run.finish().image)


# What these settings drew before there was noise, background or shared: the runs of the notebooks must repeat.
DRAWN = [
    ({"jitter": 3}, (0.16940935597903198, 422756)),
    ({"scale": 0.2, "rotate": 15, "blur": 1.0}, (0.16663282562931045, 135878)),
    ({"crop": (9, 8), "jitter": 2, "count": 3}, (0.053192489663077894, 157822)),
]


@pytest.mark.parametrize(("fields", "expected"), DRAWN)
def test_what_is_drawn_by_default_has_never_changed(fields: dict, expected: tuple[float, int]) -> None:
    image = torch.linspace(0, 1, 2 * 3 * 12 * 13, dtype=torch.float64).view(2, 3, 12, 13)
    generator = seeded(0)
    seen = random_views(**fields)(image, generator)
    weights = torch.linspace(-1, 1, seen.numel(), dtype=torch.float64).view(seen.shape)
    assert ((seen * weights).mean().item(), int(torch.randint(10**6, (), generator=generator))) == (
        pytest.approx(expected[0], rel=1e-6),
        expected[1],
    )


# --- what all of them keep to -----------------------------------------------------------------------------

EVERYTHING = random_views(jitter=3, scale=0.2, rotate=15, crop=(9, 8), blur=1.0, count=3)


def test_one_seed_gives_the_same_views_and_another_does_not() -> None:
    image = noise(2, 3, 12, 13)
    first = EVERYTHING(image, seeded(0))
    torch.manual_seed(123)
    assert torch.equal(EVERYTHING(image, seeded(0)), first)
    assert not torch.equal(EVERYTHING(image, seeded(1)), first)
    assert len({view.numpy().tobytes() for view in first}) == 6  # each view draws its own
    one = seeded(0)
    EVERYTHING(image, one)
    assert not torch.equal(EVERYTHING(image, one), first)  # the generator goes on


def test_global_random_numbers_and_the_picture_stay_as_they_were() -> None:
    image, before = noise(2, 3, 12, 13), torch.get_rng_state()
    kept = image.clone()
    EVERYTHING(image, seeded(0))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(image, kept)


def test_view_i_of_picture_b_lies_at_i_times_the_batch_plus_b() -> None:
    image = torch.tensor([0.1, 0.5, 0.9]).view(3, 1, 1, 1).expand(3, 2, 10, 10)
    views = random_views(jitter=2, scale=0.1, rotate=10, blur=1, count=4)(image, seeded(0))
    assert views.shape == (12, 2, 10, 10)
    expected = torch.tensor([0.1, 0.5, 0.9] * 4)
    torch.testing.assert_close(views.mean(dim=(1, 2, 3)), expected, rtol=0, atol=1e-5)


def test_strength_zero_shows_the_picture_itself() -> None:
    views = random_views(jitter=12, scale=0.3, rotate=20, blur=2, count=2).change(strength=0)
    image = noise(1, 3, 40, 31)
    torch.testing.assert_close(views(image, seeded(0)), image.repeat(2, 1, 1, 1), rtol=0, atol=1e-12)
    single = image.float()
    torch.testing.assert_close(views(single, seeded(0)), single.repeat(2, 1, 1, 1), rtol=0, atol=1e-5)


def test_strength_scales_every_range() -> None:
    views = random_views(jitter=8, rotate=20).change(strength=0.5)
    matrix = views.draw(3000, (40, 40), seeded(0))
    assert matrix[:, :, 2].abs().max() == 4
    degrees = torch.rad2deg(torch.atan2(matrix[:, 1, 0], matrix[:, 0, 0])).double()
    assert scipy.stats.kstest(degrees, scipy.stats.uniform(-10, 20).cdf).pvalue > 0.01


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("shared", [False, True])
def test_no_view_at_all_is_the_picture(count: int, shared: bool) -> None:
    image = noise(2, 3, 7, 9)
    seen = random_views(count=count, shared=shared)(image, seeded(0))
    torch.testing.assert_close(seen, image.repeat(count, 1, 1, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("channels", [2, 4])
def test_gradients_are_finite_differences(channels: int, shared: bool) -> None:
    image = noise(2, channels, 6, 5).requires_grad_(True)
    views = random_views(
        jitter=2,
        scale=0.2,
        rotate=20,
        crop=(4, 4),
        blur=0.7,
        noise=0.1,
        background="waves",
        shared=shared,
        count=2,
    )
    assert torch.autograd.gradcheck(lambda x: views(x, seeded(0)), image)


def test_the_standard_views_are_those_of_the_docstring() -> None:
    assert standard_views() == Views(jitter=12, scale=(0.9, 1.1), rotate=10, blur=1.2)


# --- changing and refusing --------------------------------------------------------------------------------


def test_change_makes_new_views_from_the_forms_that_random_views_takes() -> None:
    views = random_views(jitter=3, scale=0.1)
    assert views.change(scale=0.25) == random_views(jitter=3, scale=0.25)
    assert views.change(scale=(0.5, 2)) == random_views(jitter=3, scale=(0.5, 2.0))
    assert views.change(scale=np.float32(0.25)).scale == (0.75, 1.25)
    assert views.change(crop=4).crop == (4, 4)
    assert views.change(crop=4).change(crop=None) == views
    assert views.change(strength=0.5).strength == 0.5
    assert views == random_views(jitter=3, scale=0.1)
    assert views.change(crop=4)(noise(1, 3, 8, 8), seeded(0)).shape == (1, 3, 4, 4)


@pytest.mark.parametrize("make", [lambda **f: random_views(**f), lambda **f: standard_views().change(**f)])
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"jitter": -1}, "jitter must be a whole number"),
        ({"jitter": 1.5}, "jitter must be a whole number"),
        ({"jitter": math.nan}, "jitter must be a whole number"),
        ({"jitter": math.inf}, "jitter must be a whole number"),
        ({"scale": 1.0}, "scale must lie above 0"),
        ({"scale": -0.1}, "scale must lie above 0"),
        ({"scale": (0, 1)}, "scale must lie above 0"),
        ({"scale": (1.2, 0.8)}, "scale must lie above 0"),
        ({"scale": (0.8, 1.0, 1.2)}, "scale must lie above 0"),
        ({"scale": (0.8, math.inf)}, "scale must lie above 0"),
        ({"scale": math.nan}, "scale must lie above 0"),
        ({"rotate": -5}, "rotate must be degrees"),
        ({"rotate": 181}, "rotate must be degrees"),
        ({"rotate": math.nan}, "rotate must be degrees"),
        ({"crop": 0}, "crop must be a positive number"),
        ({"crop": (4, -1)}, "crop must be a positive number"),
        ({"crop": (4, 4, 4)}, "crop must be a positive number"),
        ({"crop": (4.0, 4)}, "crop must be a positive number"),
        ({"blur": -0.1}, "blur must be a standard deviation"),
        ({"blur": math.nan}, "blur must be a standard deviation"),
        ({"noise": -0.1}, "noise must be a standard deviation"),
        ({"noise": math.nan}, "noise must be a standard deviation"),
        ({"shared": 1}, "shared must be True or False"),
        ({"background": "plaid"}, "background must be None or one of 'waves', 'noise'"),
        ({"background": ["waves"]}, "background must be None or one of"),
        ({"count": 0}, "count must be a whole number"),
        ({"count": 2.0}, "count must be a whole number"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(make: Callable[..., Views], fields: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make(**fields)


@pytest.mark.parametrize("strength", [-0.1, 10.5, math.nan, math.inf])
def test_a_strength_that_turns_the_scale_negative_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match="strength must be 0 or more"):
        standard_views().change(strength=strength)


def test_a_crop_larger_than_the_picture_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a crop of \(9, 4\) does not fit in a picture of \(8, 8\)"):
        random_views(crop=(9, 4))(noise(1, 3, 8, 8), seeded(0))


def test_what_is_no_batch_of_pictures_is_refused() -> None:
    with pytest.raises(ValueError, match=r"pictures \(B, C, H, W\); got \(3, 8, 8\)"):
        standard_views()(noise(3, 8, 8), seeded(0))
