"""Pixels and Fourier against sums of waves in float64, and what every parameterization promises."""

import numpy as np
import pytest
import torch
from torch.func import functional_call

from dip_lessons import Fourier, Pixels
from dip_lessons.parameterizations import Parameterization, color
from dip_lessons.parameterizations.fourier import frequencies, spectrum_scale

# The constants of Lucid, typed in again.
ROOT = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
COVARIANCE = np.array(
    [
        [0.07911157, 0.06922007, 0.0629285],
        [0.06922007, 0.07536791, 0.07108173],
        [0.0629285, 0.07108173, 0.08204902],
    ]
)
LARGEST_COLUMN = 0.4619524
SIZES = [(8, 8), (7, 7), (6, 9), (9, 6), (5, 8), (1, 6), (6, 1), (1, 1)]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def colours(z: np.ndarray, decorrelate: bool) -> np.ndarray:
    """σ(A z) in float64, pixel by pixel; alpha and grey have no colour to mix."""
    z = z.copy()
    if decorrelate and z.shape[1] >= 3:
        z[:, :3] = np.tensordot(ROOT / LARGEST_COLUMN, z[:, :3], axes=(1, 1)).transpose(1, 0, 2, 3)
    return 1 / (1 + np.exp(-z))


def sum_of_waves(theta: np.ndarray, size: tuple[int, int], decay: float) -> np.ndarray:
    """Σ s·Re(θ e^{2πi(ky·y/H + kx·x/W)}) / √(HW) / 4 over the whole plane of frequencies, without any FFT."""
    height, width = size
    c = theta[..., 0] + 1j * theta[..., 1]  # (B, C, H, W//2 + 1)
    ky, kx = np.arange(height), np.arange(width // 2 + 1)
    fy = np.where(ky > height / 2, ky - height, ky) / height
    scale = 1 / np.maximum(np.hypot(fy[:, None], kx / width), 1 / max(size)) ** decay
    twice = np.where((kx == 0) | (2 * kx == width), 1, 2)  # the other half of the plane is the conjugate
    wave_y = np.exp(2j * np.pi * np.outer(np.arange(height), ky) / height)
    wave_x = np.exp(2j * np.pi * np.outer(np.arange(width), kx) / width) * twice
    z = np.einsum("yk,bckl,xl->bcyx", wave_y, c * scale, wave_x).real
    return z / np.sqrt(height * width) / 4


# --- the picture ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("channels", "batch"), [(3, 1), (1, 2), (4, 3)])
@pytest.mark.parametrize("decorrelate", [True, False])
def test_fourier_is_the_sum_of_its_waves(
    size: tuple[int, int], channels: int, batch: int, decorrelate: bool
) -> None:
    for decay in (1.0, 0.0, 1.5):
        picture = Fourier(size, batch=batch, channels=channels, decay=decay, decorrelate=decorrelate, sd=0.5)
        theta = picture.coefficients.detach().double().numpy()
        expected = colours(sum_of_waves(theta, size, decay), decorrelate)
        got = picture()
        assert got.shape == (batch, channels, *size)
        assert got.dtype == torch.float32
        np.testing.assert_allclose(got.detach().numpy(), expected, rtol=0, atol=2e-6)


def test_fourier_is_the_formula_of_the_reference_with_numpys_fft() -> None:
    height, width = 30, 45
    picture = Fourier((height, width), sd=0.3)
    theta = picture.coefficients.detach().double().numpy()
    f = np.sqrt(np.fft.rfftfreq(width)[None] ** 2 + np.fft.fftfreq(height)[:, None] ** 2)
    scale = np.sqrt(height * width) / np.maximum(f, 1 / max(height, width))
    z = np.fft.irfft2((theta[..., 0] + 1j * theta[..., 1]) * scale, s=(height, width)) / 4
    np.testing.assert_allclose(picture().detach().numpy(), colours(z, True), rtol=0, atol=2e-6)


@pytest.mark.parametrize(("channels", "batch"), [(3, 1), (1, 2), (4, 3)])
@pytest.mark.parametrize("decorrelate", [True, False])
def test_pixels_are_the_sigmoid_of_their_colours(channels: int, batch: int, decorrelate: bool) -> None:
    picture = Pixels((5, 8), batch=batch, channels=channels, decorrelate=decorrelate, sd=2.0)
    got = picture()
    assert got.shape == (batch, channels, 5, 8)
    assert got.dtype == torch.float32
    expected = colours(picture.values.detach().double().numpy(), decorrelate)
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=0, atol=2e-7)


@pytest.mark.parametrize("kind", [Pixels, Fourier])
def test_the_first_picture_is_nearly_grey_and_an_int_is_a_square(kind: type[Parameterization]) -> None:
    got = kind(32)()
    assert got.shape == (1, 3, 32, 32)
    assert (got - 0.5).abs().max() < 0.1
    assert got.std() > 1e-4


def test_the_first_numbers_have_the_standard_deviation_asked_for() -> None:
    assert Pixels(64, sd=0.2).values.std().item() == pytest.approx(0.2, rel=0.03)
    assert Fourier(64, sd=0.2).coefficients.std().item() == pytest.approx(0.2, rel=0.03)


@pytest.mark.parametrize("size", [(4, 4), (5, 6), (3, 5)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_gradients_are_finite_differences(size: tuple[int, int], channels: int) -> None:
    for picture in (
        Fourier(size, channels=channels, batch=2, sd=0.5).double(),
        Pixels(size, channels=channels, decorrelate=True, sd=0.5).double(),
    ):
        ((name, start),) = picture.named_parameters()
        value = start.detach().clone().requires_grad_(True)
        assert torch.autograd.gradcheck(lambda v, p=picture, n=name: functional_call(p, {n: v}, ()), value)


def test_frequencies_count_cycles_per_pixel_and_the_mean_has_a_finite_scale() -> None:
    f = frequencies(4, 6)
    assert f.shape == (4, 4)
    assert f[0, 3] == 0.5  # one pixel on, one off
    assert f[2, 0] == 0.5
    assert f[1, 1].item() == pytest.approx(np.hypot(1 / 4, 1 / 6))
    scale = spectrum_scale(4, 6)
    assert scale[0, 0].item() == pytest.approx(6)  # 1 / (1 / max(H, W))
    assert scale[0, 3].item() == pytest.approx(2)


# --- colour -----------------------------------------------------------------------------------------------


def test_the_colour_matrix_is_the_references_and_a_root_of_the_covariance() -> None:
    np.testing.assert_allclose(color.ROOT.numpy(), ROOT, atol=1e-7)
    np.testing.assert_allclose(color.COVARIANCE.numpy(), COVARIANCE, atol=1e-7)
    assert np.linalg.norm(ROOT, axis=0).max() == pytest.approx(LARGEST_COLUMN, abs=1e-6)
    np.testing.assert_allclose(color.BASIS.numpy(), ROOT / LARGEST_COLUMN, atol=1e-6)
    # Its entries are rounded to two digits: the product is right to 4 % of a variance.
    root = color.ROOT.double().numpy()
    np.testing.assert_allclose(root @ root.T, COVARIANCE, rtol=0, atol=0.04 * COVARIANCE.max())


@pytest.mark.parametrize("decorrelate", [True, False])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_from_image_inverts_to_image(channels: int, decorrelate: bool) -> None:
    z = torch.randn(2, channels, 6, 7, generator=seeded(0), dtype=torch.float64)
    back = color.from_image(color.to_image(z, decorrelate), decorrelate)
    torch.testing.assert_close(back, z, rtol=0, atol=1e-9)


def test_alpha_is_not_mixed_into_the_colours() -> None:
    z = torch.randn(1, 4, 3, 3, generator=seeded(0))
    other = z.clone()
    other[:, 3] += 1
    assert torch.equal(color.to_image(z)[:, :3], color.to_image(other)[:, :3])
    assert torch.equal(color.to_image(z)[:, 3], torch.sigmoid(z[:, 3]))


# --- starting from a picture ------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (12, 5), (64, 48)])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("decorrelate", [True, False])
def test_set_image_inverts_the_picture(size: tuple[int, int], channels: int, decorrelate: bool) -> None:
    image = torch.rand(2, channels, *size, generator=seeded(1))
    image[0, :, 0, 0], image[1, :, -1, -1] = 0, 1  # black and white are kept 1e-4 away from the ends
    for picture in (
        Pixels(size, batch=2, channels=channels, decorrelate=decorrelate),
        Fourier(size, batch=2, channels=channels, decorrelate=decorrelate),
        Fourier(size, batch=2, channels=channels, decorrelate=decorrelate, decay=0),
        Fourier(size, batch=2, channels=channels, decorrelate=decorrelate, decay=1.5),
    ):
        assert picture.set_image(image) is picture
        assert (picture() - image).abs().max() < 1.1e-4
        inner = (image > 0.01) & (image < 0.99)
        assert (picture() - image).abs()[inner].max() < 1e-5
        assert all(p.requires_grad for p in picture.parameters())


@pytest.mark.parametrize("kind", [Pixels, Fourier])
def test_set_image_takes_one_picture_for_all(kind: type[Parameterization]) -> None:
    image = torch.rand(3, 6, 5, generator=seeded(1))
    for given in (image, image[None], image.numpy(), image.double()):
        picture = kind((6, 5), batch=3).set_image(given)
        for one in picture():
            assert (one - image).abs().max() < 1e-3


@pytest.mark.parametrize("kind", [Pixels, Fourier])
@pytest.mark.parametrize(
    ("image", "words"),
    [
        (torch.full((1, 3, 8, 8), torch.nan), "floating-point numbers in"),
        (torch.full((1, 3, 8, 8), torch.inf), "floating-point numbers in"),
        (torch.full((1, 3, 8, 8), -0.01), "floating-point numbers in"),
        (torch.full((1, 3, 8, 8), 1.01), "floating-point numbers in"),
        (torch.full((1, 3, 8, 8), 200, dtype=torch.uint8), "divide bytes by 255"),
        (torch.zeros(1, 3, 8, 9), r"shape \(2, 3, 8, 8\); got \(1, 3, 8, 9\)"),
        (torch.zeros(1, 4, 8, 8), r"got \(1, 4, 8, 8\)"),
        (torch.zeros(3, 3, 8, 8), r"got \(3, 3, 8, 8\)"),
        (torch.zeros(8, 8), r"got \(8, 8\)"),
    ],
)
def test_set_image_refuses_what_is_no_such_picture(
    kind: type[Parameterization], image: torch.Tensor, words: str
) -> None:
    picture = kind(8, batch=2)
    before = picture().detach().clone()
    with pytest.raises(ValueError, match=words):
        picture.set_image(image)
    assert torch.equal(picture(), before)


# --- decay while it is being optimized --------------------------------------------------------------------


def test_a_changed_decay_gives_the_picture_of_that_decay() -> None:
    picture = Fourier((7, 10), sd=0.5)
    theta, first = picture.coefficients.detach().clone(), picture().detach().clone()
    picture.decay = 1.5
    assert picture.decay == 1.5
    assert torch.equal(picture.coefficients, theta)
    expected = colours(sum_of_waves(theta.double().numpy(), (7, 10), 1.5), True)
    np.testing.assert_allclose(picture().detach().numpy(), expected, rtol=0, atol=2e-6)
    assert (picture() - first).abs().max() > 0.01
    picture.decay = 1
    assert torch.equal(picture(), first)
    assert list(picture.state_dict()) == ["coefficients", "decay"]


@pytest.mark.parametrize("decay", [float("nan"), float("inf")])
def test_a_decay_that_is_no_number_is_refused(decay: float) -> None:
    picture = Fourier(8)
    with pytest.raises(ValueError, match="decay must be a finite number"):
        picture.decay = decay
    with pytest.raises(ValueError, match="decay must be a finite number"):
        Fourier(8, decay=decay)
    assert picture.decay == 1


# --- where the first values come from ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Pixels, Fourier])
def test_one_seed_gives_one_start_bit_for_bit(kind: type[Parameterization]) -> None:
    def start(generator: torch.Generator | None) -> torch.Tensor:
        return kind((9, 6), generator=generator)().detach()

    assert torch.equal(start(seeded(3)), start(seeded(3)))
    assert not torch.equal(start(seeded(3)), start(seeded(4)))
    assert torch.equal(start(None), start(seeded(0)))
    torch.manual_seed(7)  # which nothing here may depend on
    assert torch.equal(start(None), start(None))
    one = seeded(5)
    assert not torch.equal(start(one), start(one))  # a generator goes on


@pytest.mark.parametrize("kind", [Pixels, Fourier])
def test_the_global_generator_and_the_grad_mode_stay_as_they_were(kind: type[Parameterization]) -> None:
    before = torch.get_rng_state()
    picture = kind(8)
    picture().sum().backward()
    picture.set_image(torch.rand(3, 8, 8, generator=seeded(0)))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in picture.parameters())


# --- what it was made with --------------------------------------------------------------------------------


def test_settings_make_it_again() -> None:
    fourier = Fourier((6, 9), batch=2, channels=4, decorrelate=False, sd=0.2)
    fourier.decay = 0.5
    pixels = Pixels(7, channels=1, decorrelate=True, sd=0.3)
    for picture in (fourier, pixels):
        again = type(picture)(**picture.settings())
        assert again.settings() == picture.settings()
        again.load_state_dict(picture.state_dict())
        assert torch.equal(again(), picture())
    assert "decay=0.5" in repr(fourier)


@pytest.mark.parametrize("kind", [Pixels, Fourier])
@pytest.mark.parametrize(
    "size", [0, -3, (0, 5), (5, -1), (5,), (5, 5, 5), 4.0, (4.0, 4), "22", None, True, [2.5, 3]]
)
def test_a_size_that_is_none_is_refused(kind: type[Parameterization], size: object) -> None:
    with pytest.raises(ValueError, match=r"size must be a positive int or \(height, width\)"):
        kind(size)


@pytest.mark.parametrize("kind", [Pixels, Fourier])
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"channels": 2}, "channels must be 3"),
        ({"channels": 0}, "channels must be 3"),
        ({"channels": "RGB"}, "channels must be 3"),
        ({"batch": 0}, "batch must be a whole number, 1 or more; got 0"),
        ({"batch": 1.5}, "batch must be a whole number, 1 or more; got 1.5"),
    ],
)
def test_wrong_options_are_refused(kind: type[Parameterization], options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kind(8, **options)
