"""Phase-only pictures against numpy's spectra, and the deep image prior against what its authors found."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from dip_lessons import DeepImagePrior, Objective, PhaseOnly, assets, optimize
from dip_lessons.metrics import spectrum_slope
from dip_lessons.parameterizations.phase_only import natural_magnitude, natural_spectrum

DATA = Path(__file__).parents[1] / "data" / "pictures"


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def spectra() -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (256, 256) and the pictures' mean amplitudes (3, 256, 256) in decorrelated colours, in float64."""
    basis = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]]) / 0.4619524
    w = np.outer(*[0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)] * 2)
    w /= np.sqrt((w**2).mean())
    total = np.zeros((3, 256, 256))
    files = sorted(DATA.glob("*.jpg"))
    for file in files:
        image = ImageOps.fit(Image.open(file).convert("RGB"), (256, 256), Image.Resampling.LANCZOS)
        x = np.clip(np.asarray(image) / 255, 0.02, 0.98)
        z = np.log(x / (1 - x)) @ np.linalg.inv(basis).T  # (256, 256, 3)
        z = (z - z.mean(axis=(0, 1))) * w[..., None]
        total += np.abs(np.fft.fft2(z.transpose(2, 0, 1))) / 256 / len(files)
    f = np.fft.fftfreq(256)
    return np.hypot(f[:, None], f), total


def test_the_magnitude_is_that_of_the_pictures() -> None:
    f, amplitude = spectra()
    at, ours = natural_spectrum()
    edges = np.geomspace(1.5 / 256, np.sqrt(0.5) + 1e-6, 25)
    k = 0
    for low, high in zip(edges[:-1], edges[1:], strict=True):
        # torch's half plane has the column of Nyquist and that of 0 once, the others for two: so does this
        half = (f >= low) & (f < high)
        half[:, 129:] = False
        if half.any():
            assert at[k].item() == pytest.approx(f[half].mean(), rel=1e-4)
            np.testing.assert_allclose(ours[:, k].numpy(), amplitude[:, half].mean(axis=1), rtol=1e-3)
            k += 1
    assert k == len(at)


def test_natural_pictures_fall_about_as_one_over_f() -> None:
    at, ours = natural_spectrum()
    middle = (at > 0.02) & (at < 0.3)
    for channel in ours:
        slope = np.polyfit(at[middle].log().numpy(), channel[middle].log().numpy(), 1)[0]
        assert -1.4 < slope < -0.8


@pytest.mark.parametrize("size", [(64, 64), (33, 50), (400, 256), (2, 3), (1, 1)])
def test_the_magnitude_follows_the_rings_in_log_log_at_any_size(size: tuple[int, int]) -> None:
    height, width = size
    got = natural_magnitude(height, width).double().numpy()
    assert got.shape == (3, height, width // 2 + 1)
    assert np.isfinite(got).all()
    assert (got[:, 0, 0] == 0).all()
    f = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    at, amplitude = (x.double().numpy() for x in natural_spectrum())
    inside = (f >= at[0]) & (f <= at[-1])
    for c in range(3):
        expected = np.exp(np.interp(np.log(f[inside]), np.log(at), np.log(amplitude[c])))
        np.testing.assert_allclose(got[c][inside], expected, rtol=1e-4)
    below = (f > 0) & (f < at[0])
    assert (got[:, below] > amplitude[:, :1]).all()  # the fall goes on


def test_only_phases_change_and_every_picture_has_the_same_spectrum_and_contrast() -> None:
    picture = PhaseOnly((48, 60), batch=2, generator=seeded(0))
    assert [name for name, _ in picture.named_parameters()] == ["phase"]
    assert picture.phase.min() >= -math.pi
    assert picture.phase.max() < math.pi
    z = picture.raw().detach().double().numpy()
    magnitude = natural_magnitude(48, 60).double().numpy()
    spectrum = np.abs(np.fft.rfft2(z, norm="ortho"))
    free = slice(1, 30)  # the columns of 0 and Nyquist are their own mirror images
    np.testing.assert_allclose(spectrum[..., free], magnitude[None, ..., free].repeat(2, 0), rtol=1e-4)
    angle = np.angle(np.fft.rfft2(z))[..., free]
    turned = np.exp(1j * (angle - picture.phase.detach().double().numpy()[..., free]))
    np.testing.assert_allclose(turned, 1, atol=1e-3)
    assert abs(z.mean(axis=(2, 3))).max() < 1e-5
    contrast = z.std(axis=(2, 3))
    np.testing.assert_allclose(contrast[0], contrast[1], rtol=0.05)  # Parseval


def test_starting_from_a_picture_takes_its_phases() -> None:
    image = assets.picture("chelsea", (64, 64))
    picture = PhaseOnly(64).set_image(image)
    z = np.fft.rfft2(picture.raw().detach().double().numpy())
    from dip_lessons.parameterizations.color import from_image

    want = np.fft.rfft2(from_image(image).double().numpy())
    free = slice(1, 32)
    np.testing.assert_allclose(np.exp(1j * (np.angle(z) - np.angle(want)))[..., free], 1, atol=1e-3)
    a, b = picture().detach().flatten(), image.flatten()
    assert torch.corrcoef(torch.stack([a, b]))[0, 1] > 0.5  # phases carry what is to be seen
    assert -1.6 < spectrum_slope(picture().detach()).item() < -0.8


def test_phase_gradients_are_finite_differences() -> None:
    picture = PhaseOnly((5, 6)).double()
    value = picture.phase.detach().clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda v: torch.func.functional_call(picture, {"phase": v}, ()), value)


def test_saved_settings_make_a_phase_only_picture_again() -> None:
    picture = PhaseOnly((9, 12), batch=2)
    again = PhaseOnly(**picture.settings())
    assert again.phase.shape == picture.phase.shape
    assert torch.equal(again.magnitude, picture.magnitude)


# --- deep image prior -------------------------------------------------------------------------------------


def small(size: int | tuple[int, int] = 32, **options) -> DeepImagePrior:
    return DeepImagePrior(size, widths=(8, 16), inputs=8, **options)


@pytest.mark.parametrize("size", [32, (33, 40), (47, 16)])
def test_a_prior_draws_any_size_and_each_picture_alone(size) -> None:
    picture = small(size, batch=2)
    both = picture()
    assert both.shape[:2] == (2, 3)
    with torch.no_grad():
        for p in picture.networks[1].parameters():
            p.zero_()
    assert torch.equal(picture()[0], both[0])
    assert not torch.equal(picture()[1], both[1])


def test_the_noise_is_drawn_for_each_step_from_the_runs_generator() -> None:
    picture = small(noise_sd=0.1)
    assert torch.equal(picture(), picture())
    a, b = picture.sample(seeded(1)), picture.sample(seeded(2))
    assert torch.equal(a, picture.sample(seeded(1)))
    assert not torch.equal(a, b)
    picture.noise_sd = 0
    assert torch.equal(picture.sample(seeded(1)), picture())
    for wrong in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="noise_sd is a standard deviation"):
            picture.noise_sd = wrong


def test_a_run_of_a_prior_replays_exactly() -> None:
    red = Objective(lambda a: a["picture"][:, 0].mean(dim=(1, 2)), ["picture"])
    run = optimize(small(), red, lambda image, layers: {}, steps=20).finish()
    last = run.image
    assert run.history[-1] > run.history[0] + 0.1
    assert torch.equal(run.rewind(7).advance(13).image, last)
    run.rewind(5).set(noise_sd=0.3)
    assert not torch.equal(run.advance(15).image, last)


def test_a_prior_learns_a_photograph_sooner_than_noise() -> None:
    """Figure 2 of its authors: reconstruction of a natural picture, and of the same with its pixels shuffled."""
    image = assets.picture("astronaut", (32, 32))
    order = torch.randperm(32 * 32, generator=seeded(0))
    shuffled = image.flatten(2)[..., order].view_as(image)
    errors = {}
    for name, target in {"photograph": image, "shuffled": shuffled}.items():
        fitted = small(noise_sd=0).fit(target, steps=80)
        errors[name] = ((fitted() - target).square().mean() / target.var()).item()
    assert errors["photograph"] < 0.5 * errors["shuffled"], errors


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: DeepImagePrior(32, widths=(4,) * 5), "5 scales need a picture of at least 64 pixels a side"),
        (lambda: DeepImagePrior((100, 7), widths=(4, 4)), "2 scales need a picture of at least 8 pixels"),
        (lambda: DeepImagePrior(32, widths=()), "at least one"),
        (lambda: small(noise_sd=-1), "noise_sd is a standard deviation"),
    ],
)
def test_wrong_options_are_refused(make, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
