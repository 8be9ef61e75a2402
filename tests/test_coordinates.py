"""CPPN and SIREN against the layers written out in float64, at any resolution."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from dip_lessons import CPPN, Siren
from dip_lessons.parameterizations.coordinates import ACTIVATIONS, Coordinates, places


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stirred(picture: Coordinates, seed: int = 1) -> Coordinates:
    """With no parameter 0, as after some steps."""
    with torch.no_grad():
        for p in picture.parameters():
            p += 0.3 * torch.randn(p.shape, generator=seeded(seed))
    return picture


def numbers(picture: Coordinates, b: int) -> list[tuple[np.ndarray, np.ndarray]]:
    pairs = zip(picture.weights, picture.biases, strict=True)
    return [(w[b].detach().double().numpy(), c[b, :, 0].detach().double().numpy()) for w, c in pairs]


FEATURES = {  # typed in again from Lucid's notebook; each takes and returns (units, P)
    "composite": lambda x: np.concatenate([np.arctan(x) / 0.67, np.arctan(x) ** 2 / 0.6]),
    "unbiased": lambda x: np.concatenate([np.arctan(x) / 0.67, (np.arctan(x) ** 2 - 0.45) / 0.396]),
    "relu": lambda x: (np.maximum(x, 0) - 0.40) / 0.58,
}


@pytest.mark.parametrize("activation", FEATURES)
@pytest.mark.parametrize("size", [(9, 9), (5, 8), (8, 5), (1, 1)])
def test_a_cppn_is_its_layers_one_after_the_other(activation: str, size: tuple[int, int]) -> None:
    picture = stirred(CPPN(size, batch=2, layers=3, units=5, activation=activation, generator=seeded(2)))
    height, width = size
    longest = max(height, width) - 1 or 1
    for b in range(2):
        for i, j in [(0, 0), (height - 1, 0), (height // 2, width // 2), (height - 1, width - 1)]:
            h = np.array([[(2 * j - (width - 1)) / longest], [(2 * i - (height - 1)) / longest]]) * math.sqrt(
                3
            )
            layers = numbers(picture, b)
            for w, c in layers[:-1]:
                h = FEATURES[activation](w @ h + c[:, None])
            w, c = layers[-1]
            expected = 1 / (1 + np.exp(-(w @ h + c[:, None])))
            np.testing.assert_allclose(picture()[b, :, i, j].detach().numpy(), expected[:, 0], atol=3e-6)


def test_a_cppn_is_a_stack_of_1x1_convolutions() -> None:
    picture = stirred(CPPN((30, 41), generator=seeded(4)))
    h = places((30, 41), math.sqrt(3)).view(1, 2, 30, 41)
    for k, (w, c) in enumerate(zip(picture.weights, picture.biases, strict=True)):
        h = F.conv2d(h, w[0, :, :, None, None], c[0, :, 0])
        if k < 8:
            h = torch.cat([h.atan() / 0.67, h.atan().square() / 0.6], dim=1)
    torch.testing.assert_close(picture(), torch.sigmoid(h), atol=2e-5, rtol=0)


def test_the_articles_cppn_has_8451_parameters_and_starts_grey() -> None:
    picture = CPPN(16)
    assert sum(p.numel() for p in picture.parameters()) == 8451
    assert torch.equal(picture(), torch.full((1, 3, 16, 16), 0.5))
    for w, n in zip(picture.weights[:-1], [2] + [48] * 7, strict=True):
        assert w.shape == (1, 24, n)
        assert w.std().item() == pytest.approx(1 / math.sqrt(n), rel=0.4 if n == 2 else 0.06)
    assert all(not b.any() for b in picture.biases)
    assert picture.lr == 0.005


def test_features_of_a_standard_normal_number_have_mean_square_or_variance_one() -> None:
    x = torch.randn(1_000_000, generator=seeded(0), dtype=torch.float64)
    for name, activation in ACTIVATIONS.items():
        for part in activation(x):
            moments = part.square().mean().item(), part.var().item()
            assert min(abs(m - 1) for m in moments) < 0.03, (name, moments)


def test_coordinates_have_variance_one_and_the_longer_side_the_whole_extent() -> None:
    x, y = places((301, 301), math.sqrt(3))
    assert x.var().item() == pytest.approx(1, abs=0.01)
    x, y = places((5, 9), 2.0)
    assert (x.min(), x.max(), y.min(), y.max()) == (-2, 2, -1, 1)
    assert torch.equal(x.view(5, 9)[0], torch.linspace(-2, 2, 9))  # x runs along a row
    assert x.diff()[0] == y.view(5, 9)[:, 0].diff()[0]  # pixels are squares


@pytest.mark.parametrize("kind", [CPPN, Siren])
def test_the_same_parameters_draw_any_size(kind: type[Coordinates]) -> None:
    picture = stirred(CPPN(11)) if kind is CPPN else kind(11)
    large = picture(31)  # its every third pixel lies where a pixel of the small one lies
    torch.testing.assert_close(large[..., ::3, ::3], picture(), atol=1e-4, rtol=0)
    assert picture((6, 40)).shape == (1, 3, 6, 40)
    with pytest.raises(ValueError, match="size must be a positive int"):
        picture(0)


@pytest.mark.parametrize("kind", [CPPN, Siren])
def test_a_tiling_picture_goes_on_at_its_borders(kind: type[Coordinates]) -> None:
    picture = stirred(kind(16, tile=True)).double()
    assert picture.weights[0].shape[2] == 4
    z = picture.raw()
    for axis in (-1, -2):  # a smooth periodic picture: jumps over the border are like those inside
        jumps = (z - z.roll(1, axis)).abs().amax(dim=tuple(d for d in range(4) if d != axis % 4))
        assert jumps[0] < 1.5 * jumps[1:].max()
    x = places((8, 12), 1.0, tile=True)
    torch.testing.assert_close(x.square().mean(dim=1), torch.ones(4))


def test_siren_starts_as_its_authors_say_and_is_its_sines() -> None:
    picture = Siren((6, 7), batch=2, layers=3, units=64, generator=seeded(3))
    bounds = [1 / 2] + [math.sqrt(6 / 64) / 30] * 3
    for w, bound in zip(picture.weights, bounds, strict=True):
        assert w.abs().max() <= bound
        assert w.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)  # uniform
    h = places((6, 7), 1.0).double().numpy()
    layers = numbers(picture, 1)
    for w, c in layers[:-1]:
        h = np.sin(30 * (w @ h + c[:, None]))
    w, c = layers[-1]
    expected = 1 / (1 + np.exp(-(w @ h + c[:, None])))
    np.testing.assert_allclose(picture()[1].detach().flatten(1).numpy(), expected, atol=2e-5)


def test_a_siren_has_its_authors_distributions_inside() -> None:
    """Theorem 1.8 there, which leaves biases out: a sum before a sine is about N(0, 1)."""
    picture = Siren(64, layers=3, units=256, generator=seeded(0))
    sums: list[torch.Tensor] = []
    inner = picture.features
    picture.features = lambda x, layer: (sums.append(30 * (x - picture.biases[layer])), inner(x, layer))[1]  # type: ignore[method-assign]
    picture()
    for s in sums[1:]:
        assert s.std().item() == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize(
    "picture",
    [CPPN((3, 4), batch=2, layers=2, units=3), CPPN(3, layers=2, units=3, tile=True), Siren(3, units=3)],
)
def test_gradients_are_finite_differences(picture: Coordinates) -> None:
    stirred(picture.double())
    for name, start in list(picture.named_parameters()):
        value = start.detach().clone().requires_grad_(True)
        assert torch.autograd.gradcheck(lambda v, n=name: functional_call(picture, {n: v}, ()), value)
    picture.float()


def test_pictures_of_a_batch_are_the_single_pictures() -> None:
    batch = stirred(CPPN(8, batch=3))
    for b in range(3):
        alone = CPPN(8)
        with torch.no_grad():
            for p, q in zip(alone.parameters(), batch.parameters(), strict=True):
                p.copy_(q[b : b + 1])
        torch.testing.assert_close(alone()[0], batch()[b], atol=1e-6, rtol=0)


def test_a_photograph_is_approached() -> None:
    y, x = torch.meshgrid(torch.linspace(0, 1, 24), torch.linspace(0, 1, 24), indexing="ij")
    image = torch.stack([x, y, (x - y).abs()])
    for picture in (CPPN(24), Siren(24)):
        before = (picture() - image).square().mean().item()
        assert picture.set_image(image) is picture
        assert (picture() - image).square().mean().item() < 0.02 * before
        assert all(p.grad is None for p in picture.parameters())


def test_halfway_between_two_is_the_picture_of_the_mean_parameters() -> None:
    a, b = stirred(CPPN(9), 1), stirred(CPPN(9), 2)
    mean = CPPN(9)
    with torch.no_grad():
        for m, p, q in zip(mean.parameters(), a.parameters(), b.parameters(), strict=True):
            m.copy_((p + q) / 2)
    torch.testing.assert_close(a.morph(b, 0.5), mean(), atol=1e-5, rtol=0)
    torch.testing.assert_close(a.morph(b, 0.5, size=5), mean(5), atol=1e-5, rtol=0)
    assert torch.equal(a.morph(b, 0.0), a())
    torch.testing.assert_close(a.morph(b, 1.0), b(), atol=1e-5, rtol=0)
    for other in (CPPN(9, layers=4), Siren(9)):
        with pytest.raises(ValueError, match="made with the same settings"):
            a.morph(other, 0.5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CPPN(8, activation="swish"), "activation must be one of composite, unbiased.*got 'swish'"),
        (lambda: CPPN(8, layers=0), "layers must be a whole number, 1 or more; got 0"),
        (lambda: CPPN(8, units=2.5), "units must be a whole number, 1 or more; got 2.5"),
        (lambda: Siren(8, omega=0), "omega is a frequency"),
        (lambda: Siren(8, omega=float("nan")), "omega is a frequency"),
        (lambda: Siren(8, layers=True), "layers must be a whole number"),
    ],
)
def test_wrong_options_are_refused(make, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()
