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


def test_class_probability_and_rank():
    class Fixed(torch.nn.Module):
        def forward(self, x):
            return torch.tensor([[1.0, 3.0, 2.0]]).expand(len(x), 3)

    network = dip.Network(Fixed())
    image = torch.full((2, 3, 8, 8), 0.5)
    e = np.exp([1.0, 3.0, 2.0])
    assert metrics.class_probability(image, 2, network).tolist() == pytest.approx([e[2] / e.sum()] * 2)
    assert metrics.class_rank(image, 2, network).tolist() == [1, 1]
