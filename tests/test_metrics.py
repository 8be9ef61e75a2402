"""Measures against closed forms and float64 numpy."""

import numpy as np
import pytest
import torch

import dip_lessons as dip
from dip_lessons import metrics


def noise_with_slope(exponent, size=256, seed=0):
    """A picture whose amplitude spectrum is exactly f^exponent, with random phases."""
    rng = np.random.default_rng(seed)
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    f[0, 0] = 1
    spectrum = np.fft.fft2(rng.standard_normal((3, size, size)))
    x = np.fft.ifft2(spectrum / np.abs(spectrum) * f**exponent).real
    return torch.from_numpy(0.5 + 0.1 * x / x.std())[None].float()


@pytest.mark.parametrize("exponent", [0.0, -1.0, -2.0])
def test_spectrum_slope_finds_the_exponent(exponent):
    assert metrics.spectrum_slope(noise_with_slope(exponent)).item() == pytest.approx(exponent, abs=0.06)


def test_photographs_fall_about_as_one_over_f():
    slopes = [
        metrics.spectrum_slope(dip.assets.picture(n)).item() for n in ("astronaut", "coffee", "chelsea")
    ]
    assert all(-2.2 < s < -0.8 for s in slopes), slopes


def test_high_frequency_share_of_white_noise_is_the_share_of_frequencies():
    size = 512
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.fftfreq(size))
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    assert metrics.high_frequency_share(image).item() == pytest.approx((f > 0.25).mean(), abs=0.01)


@pytest.mark.parametrize(("waves", "share"), [(10, 0.0), (40, 1.0)])
def test_high_frequency_share_of_one_wave(waves, share):
    x = torch.arange(128) * 2 * torch.pi * waves / 128
    image = (0.5 + 0.4 * torch.sin(x)).expand(1, 3, 128, 128)
    assert metrics.high_frequency_share(image).item() == pytest.approx(share, abs=1e-6)


def test_power_spectrum_is_numpys():
    image = torch.rand(2, 3, 24, 31, generator=torch.Generator().manual_seed(1))
    x = image.double().numpy()
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(24) / 24))[:, None] * (
        0.5 - 0.5 * np.cos(2 * np.pi * np.arange(31) / 31)
    )
    expected = (np.abs(np.fft.fft2((x - x.mean((-2, -1), keepdims=True)) * window)) ** 2).sum(1)
    frequency, power = metrics.power_spectrum(image)
    np.testing.assert_allclose(power.numpy(), expected, rtol=1e-9)
    assert frequency[3, 5].item() == pytest.approx(np.hypot(3 / 24, 5 / 31))


def test_saturated_share_counts():
    image = torch.tensor([0.0, 0.01, 0.5, 1.0]).view(1, 1, 2, 2)
    assert metrics.saturated_share(image).item() == 0.75


def test_steps_to():
    assert metrics.steps_to([0, 1, 5, 3], 4) == 2
    assert metrics.steps_to([0, 1], 4) is None


class Mean(torch.nn.Module):
    """One activation: the mean brightness of the middle half."""

    def forward(self, x):
        h, w = x.shape[-2:]
        return x[:, :1, h // 4 : -h // 4, w // 4 : -w // 4].mean(dim=(2, 3))


@pytest.fixture
def network():
    return dip.Network(Mean(), mean=(0, 0, 0), std=(1, 1, 1))


def test_value_and_robust_value_agree_on_a_picture_that_no_view_changes(network):
    image = torch.full((2, 3, 32, 32), 0.25)
    image[1] = 0.75
    for value in (
        metrics.value(image, dip.logit(0), network),
        metrics.robust_value(image, dip.logit(0), network, count=4),
    ):
        torch.testing.assert_close(value, torch.tensor([0.25, 0.75]))


def test_robust_value_is_the_mean_over_the_views_it_says(network):
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    views = dip.random_views(jitter=6)
    generator = torch.Generator().manual_seed(5)
    expected = torch.stack([network(views(image, generator))["logits"][:, 0] for _ in range(7)]).mean(dim=0)
    got = metrics.robust_value(image, dip.logit(0), network, views=views, count=7, seed=5)
    torch.testing.assert_close(got, expected)


def see(pictures, layers):
    """A network that sees what it is shown: one layer, the colours themselves."""
    assert pictures.shape[1] == 3
    return dict.fromkeys(layers, pictures)


def transparent(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(3))


def test_value_of_transparency_is_that_over_grey_and_alpha_can_be_asked_for():
    image = transparent(2, 4, 8, 9)
    c, a = image.double().numpy()[:, 0], image.double().numpy()[:, 3]
    expected = ((a * c**2.2 + (1 - a) * 0.5**2.2) ** (1 / 2.2)).mean(axis=(1, 2))
    np.testing.assert_allclose(metrics.value(image, dip.channel("eye", 0), see), expected, rtol=1e-5)
    alpha = dip.Objective(lambda seen: seen["view"][:, 3].mean(dim=(1, 2)), layers=["view"])
    np.testing.assert_allclose(metrics.value(image, alpha, see), a.mean(axis=(1, 2)), rtol=1e-5)
    whole = dip.Objective(lambda seen: seen["picture"][:, 0].mean(dim=(1, 2)), layers=["picture"])
    np.testing.assert_allclose(metrics.value(image, whole, see), c.mean(axis=(1, 2)), rtol=1e-5)


def test_robust_value_of_transparency_is_the_mean_over_backgrounds():
    clear = torch.zeros(1, 4, 16, 16)
    objective = dip.channel("eye", 0)
    by_default = metrics.robust_value(clear, objective, see, count=200)
    assert by_default.item() == pytest.approx(0.5, abs=0.02)  # the mean of waves
    views = dip.random_views(background="white")
    assert metrics.robust_value(clear, objective, see, views=views, count=2).item() == pytest.approx(1)
    with pytest.raises(ValueError, match="background"):
        metrics.robust_value(clear, objective, see, views=dip.random_views())


@pytest.mark.parametrize("shape", [(5, 3, 7, 9), (4, 10), (2, 6, 3, 3)])
def test_frame_distance_is_numpys(shape):
    frames = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    f = frames.numpy().reshape(len(frames), -1)
    expected = [np.sqrt(np.mean((f[i + 1] - f[i]) ** 2)) for i in range(len(f) - 1)]
    np.testing.assert_allclose(metrics.frame_distance(frames).numpy(), expected, rtol=1e-5)


def test_frame_distance_of_one_frame_is_refused():
    with pytest.raises(ValueError, match="two frames; got 1"):
        metrics.frame_distance(torch.zeros(1, 3, 4, 4))


def test_diversity_of_equal_and_of_disjoint_textures():
    red, green = torch.zeros(3, 6, 6), torch.zeros(3, 6, 6)
    red[0], green[1] = transparent(6, 6), transparent(6, 6)
    assert metrics.diversity(torch.stack([red, red * 0.3]), see, "eye").item() == pytest.approx(0, abs=1e-6)
    assert metrics.diversity(torch.stack([red, green]), see, "eye").item() == pytest.approx(1)
    three = torch.stack([red, green, red])  # two of three pairs share nothing
    assert metrics.diversity(three, see, "eye").item() == pytest.approx(2 / 3)


def test_diversity_is_the_mean_over_pairs():
    images = torch.rand(4, 3, 5, 6, generator=torch.Generator().manual_seed(1))
    grams = [f @ f.T for f in images.double().numpy().reshape(4, 3, 30)]
    pairs = [
        1 - (grams[i] * grams[j]).sum() / np.linalg.norm(grams[i]) / np.linalg.norm(grams[j])
        for i in range(4)
        for j in range(i)
    ]
    assert metrics.diversity(images, see, "eye").item() == pytest.approx(np.mean(pairs), abs=1e-6)
    with pytest.raises(ValueError, match="picture"):
        metrics.diversity(images[:1], see, "eye")


@pytest.mark.parametrize("axis", ["x", "y"])
def test_seam_energy_of_waves_and_ramps(axis):
    angle = 2 * torch.pi * 3 * torch.arange(20) / 20
    wave = torch.stack([torch.cos(angle), torch.sin(angle)])  # whole waves, with equal steps all around
    ramp = torch.linspace(0, 1, 20).expand(2, 20)
    rows = torch.stack([wave, ramp])[:, :, None, :].expand(2, 2, 7, 20)
    image, other = (rows, "y") if axis == "x" else (rows.mT, "x")
    got = metrics.seam_energy(image, axis)
    assert got.tolist() == pytest.approx([1, 19**2], rel=1e-4)  # the ramp jumps back by 19 steps at once
    assert metrics.seam_energy(image, other).tolist() == pytest.approx([1, 1])  # flat along the other axis


def test_seam_energy_knows_two_axes():
    with pytest.raises(ValueError, match='axis must be "x"'):
        metrics.seam_energy(torch.zeros(1, 3, 4, 4), "z")


def test_class_probability_and_rank():
    class Fixed(torch.nn.Module):
        def forward(self, x):
            return torch.tensor([[1.0, 3.0, 2.0]]).expand(len(x), 3)

    network = dip.Network(Fixed())
    image = torch.full((2, 3, 8, 8), 0.5)
    e = np.exp([1.0, 3.0, 2.0])
    assert metrics.class_probability(image, 2, network).tolist() == pytest.approx([e[2] / e.sum()] * 2)
    assert metrics.class_rank(image, 2, network).tolist() == [1, 1]
    assert metrics.class_rank(torch.full((2, 4, 8, 8), 0.5), 2, network).tolist() == [1, 1]
