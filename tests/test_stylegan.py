"""A latent as a parameterization, with a small generator of random weights; projection finds what it drew."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from dip_lessons import Network, Objective, Run, StyleGAN, optimize, project
from dip_lessons.parameterizations.base import describe
from dip_lessons.stylegan.generator import Generator
from dip_lessons.stylegan.mobilestylegan import MappingNetwork, SynthesisNetwork
from dip_lessons.stylegan.picture import principal_axes, spread


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def filled(module: nn.Module, seed: int) -> nn.Module:
    generator = seeded(seed)
    for x in [*module.parameters(), *(b for n, b in module.named_buffers() if not n.endswith("kernel"))]:
        fan = math.sqrt(x[0].numel()) if x.ndim > 1 else 1
        x.data.copy_(torch.randn(x.shape, generator=generator) / fan)
    return module


@pytest.fixture(scope="module")
def tiny() -> Generator:
    """Pictures of 16 and 32 pixels from a w of 6 numbers, with random weights."""
    mapping, synthesis = filled(MappingNetwork(6, 2), 0), filled(SynthesisNetwork((16, 8, 4), 6), 1)
    synthesis.rgb_weight.data *= 0.1
    synthesis.rgb_bias.data *= 0.1
    z = torch.randn(4000, 6, generator=seeded(2))
    return Generator(mapping, synthesis, mapping(z).mean(dim=0), z_size=6, name="tiny")


@pytest.fixture(scope="module")
def eye() -> Network:
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2))
    return Network(filled(layers, 3), has_logits=False)


def test_the_picture_is_the_generators(tiny: Generator) -> None:
    z = torch.randn(2, 6, generator=seeded(5))
    w = tiny.mapping(z)
    for space, latent in (("z", z), ("w", w), ("w+", w[:, None].expand(-1, tiny.styles, -1))):
        picture = StyleGAN(32, batch=2, space=space, network=tiny, generator=seeded(5))
        assert torch.equal(picture.latent, latent)
        torch.testing.assert_close(picture(), tiny.synthesis(w), atol=1e-6, rtol=0)
        assert [name for name, _ in picture.named_parameters()] == ["latent"]
        assert picture.state_dict().keys() == {"latent", *picture.adjustable}  # no weights of the generator


def test_truncation_goes_from_the_mean_to_the_style(tiny: Generator) -> None:
    for space in ("z", "w", "w+"):
        picture = StyleGAN(32, space=space, network=tiny, generator=seeded(1))
        w = tiny.mapping(torch.randn(1, 6, generator=seeded(1)))
        for psi in (0, 0.5, 1, 1.5):
            picture.truncation = psi
            expected = tiny.synthesis(tiny.mean_w + psi * (w - tiny.mean_w))
            torch.testing.assert_close(picture(), expected, atol=1e-5, rtol=0)
    with pytest.raises(ValueError, match="truncation must be a finite number"):
        picture.truncation = float("nan")


def test_smaller_pictures_are_made_from_the_next_larger_size(tiny: Generator) -> None:
    w = tiny.mapping(torch.randn(1, 6, generator=seeded(0)))
    preview, full = tiny.synthesis(w, size=16), tiny.synthesis(w)
    torch.testing.assert_close(StyleGAN(16, network=tiny)(), preview)
    torch.testing.assert_close(StyleGAN(8, network=tiny)(), F.avg_pool2d(preview, 2))
    torch.testing.assert_close(StyleGAN(20, network=tiny)(), F.interpolate(full, (20, 20), mode="area"))
    for size in (33, (16, 32)):
        with pytest.raises(ValueError, match="tiny draws squares of up to 32 pixels"):
            StyleGAN(size, network=tiny)


def test_noise_inputs_are_fixed_random_or_left_out(tiny: Generator) -> None:
    pictures = {noise: StyleGAN(32, noise=noise, network=tiny) for noise in ("fixed", "random", "none")}
    w = tiny.mapping(torch.randn(1, 6, generator=seeded(0)))
    torch.testing.assert_close(pictures["none"](), tiny.synthesis(w, noise=None))
    torch.testing.assert_close(pictures["random"](), tiny.synthesis(w))  # at rest, what is stored
    drawn = pictures["random"].sample(seeded(4))
    torch.testing.assert_close(drawn, tiny.synthesis(w, noise=seeded(4)))
    assert not torch.equal(drawn, pictures["random"].sample(seeded(5)))
    for noise in ("fixed", "none"):
        assert torch.equal(pictures[noise].sample(seeded(4)), pictures[noise]())


def test_noise_on_the_latent_has_the_spread_of_styles_as_its_unit(tiny: Generator) -> None:
    z = torch.randn(4096, 6, generator=seeded(0))
    distances = (tiny.mapping(z) - tiny.mean_w).double().numpy()
    assert spread(tiny) == pytest.approx(((distances**2).mean()) ** 0.5, rel=1e-5)
    picture = StyleGAN(16, batch=2000, space="w", network=tiny, noise_sd=0.5)
    seen: list[Tensor] = []
    inner = picture.forward
    picture.forward = lambda latent=None, generator=None: (seen.append(latent), inner(latent[:1]))[1]  # type: ignore[method-assign]
    picture.sample(seeded(0))
    assert (seen[0] - picture.latent).std().item() == pytest.approx(0.5 * spread(tiny), rel=0.03)


@pytest.mark.parametrize("space", ["z", "w", "w+"])
def test_gradients_are_finite_differences(tiny: Generator, space: str) -> None:
    double = Generator(
        tiny.mapping_network, tiny.synthesis_network, tiny.mean_w, z_size=6, name="tiny"
    ).double()
    try:
        picture = StyleGAN(16, space=space, network=double, truncation=0.7, generator=seeded(2)).double()
        value = picture.latent.detach().clone().requires_grad_(True)
        assert torch.autograd.gradcheck(
            lambda v: functional_call(picture, {"latent": v}, ()), value, fast_mode=True
        )
    finally:
        double.float()  # it shares its weights with the fixture


def test_a_run_replays_and_is_kept_and_the_generator_stays_as_it_was(tiny: Generator, tmp_path) -> None:
    red = Objective(lambda a: a["picture"][:, 0].mean(dim=(1, 2)), ["picture"])
    before = [p.clone() for p in tiny.state_dict().values()]
    picture = StyleGAN(16, network=tiny, noise="random", noise_sd=0.1, batch=2)
    run = optimize(picture, red, lambda image, layers: {}, steps=8).finish()
    last = run.image
    assert run.history[-1] > run.history[0]
    assert torch.equal(run.rewind(3).advance(5).image, last)
    assert describe(picture) is None  # the generator is not one of the package's
    again = StyleGAN(**picture.settings())
    path = run.save(tmp_path / "run.pt")
    loaded = Run.load(path, parameterization=again, objective=red, network=lambda image, layers: {})
    assert torch.equal(loaded.image, last)
    assert all(map(torch.equal, tiny.state_dict().values(), before))


def test_projection_finds_the_picture_that_the_generator_drew(tiny: Generator, eye: Network) -> None:
    target = StyleGAN(32, network=tiny, generator=seeded(9))().detach()
    picture = StyleGAN(32, network=tiny)
    run = project(picture, target, eye, layers=("1", "2"), steps=120)
    start = (tiny.synthesis(tiny.mean_w[None]) - target).square().mean().item()
    torch.testing.assert_close(picture(), tiny.synthesis(tiny.mean_w[None]))  # from the mean on
    settings = []
    for _ in run:
        settings.append((run.settings["lr"], run.settings["noise_sd"]))
    assert (run.image - target).square().mean().item() < 0.05 * start
    rates, noises = zip(*settings, strict=True)
    assert max(rates) == pytest.approx(0.1)
    assert rates[0] < 0.05
    assert rates[-1] < 0.01
    assert noises[0] > noises[30] > noises[60] > 0
    assert noises[-20:] == (0,) * 20
    with pytest.raises(ValueError, match="the picture must have shape"):
        project(picture, target[..., 1:], eye)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"space": "x"}, "space must be one of 'z', 'w', 'w\\+'"),
        ({"noise": "loud"}, "noise must be one of 'fixed', 'random', 'none'"),
        ({"noise_sd": -1}, "noise_sd is a standard deviation"),
        ({"batch": 0}, "batch must be a whole number, 1 or more; got 0"),
    ],
)
def test_wrong_options_are_refused(tiny: Generator, options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        StyleGAN(16, network=tiny, **options)


@pytest.mark.parametrize("space", ["w", "w+"])
def test_whitened_coordinates_draw_the_same_pictures_and_are_white(tiny: Generator, space: str) -> None:
    plain = StyleGAN(16, batch=3, space=space, network=tiny, truncation=0.8, generator=seeded(3))
    white = StyleGAN(
        16, batch=3, space=space, network=tiny, truncation=0.8, whitened=True, generator=seeded(3)
    )
    torch.testing.assert_close(white.styles(), plain.styles(), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(white(), plain(), atol=1e-4, rtol=0)
    torch.testing.assert_close(white.set_mean()(), plain.set_mean()(), atol=1e-6, rtol=0)
    many = StyleGAN(16, batch=20_000, whitened=True, network=tiny, generator=seeded(8)).latent.double()
    covariance = (many.T @ many / len(many)).detach().numpy()  # about w̄, which is u = 0
    assert abs(covariance - np.eye(6)).max() < 0.06
    assert white.settings()["whitened"]


def test_noise_on_whitened_latents_has_the_covariance_of_the_styles(tiny: Generator) -> None:
    picture = StyleGAN(16, batch=20_000, network=tiny, whitened=True, noise_sd=0.5)
    seen: list[Tensor] = []
    picture.forward = lambda latent=None, generator=None: seen.append(latent)  # type: ignore[method-assign]
    picture.sample(seeded(0))
    moved = (picture.styles(seen[0]) - picture.styles()).detach().double().numpy()
    z = torch.randn(8192, 6, generator=seeded(0))
    w = (tiny.mapping(z) - tiny.mean_w).detach().double().numpy()
    expected = 0.25 * w.T @ w / len(w)
    assert abs(moved.T @ moved / len(moved) - expected).max() < 0.05 * expected.max()


def test_z_is_white_already(tiny: Generator) -> None:
    with pytest.raises(ValueError, match="z is white already"):
        StyleGAN(16, network=tiny, space="z", whitened=True)


def test_projection_starts_from_the_best_candidate(tiny: Generator, eye: Network) -> None:
    generator = seeded(4)  # the candidates that project draws with this seed
    z = torch.cat([torch.randn(1, 6, generator=generator) for _ in range(12)])
    for space, whitened in (("w", False), ("w", True), ("w+", False), ("z", False)):
        picture = StyleGAN(16, batch=2, space=space, whitened=whitened, network=tiny)
        drawn = StyleGAN(16, space=space, whitened=whitened, network=tiny)
        mean = drawn.set_mean().latent.detach().clone()
        latents = torch.lerp(mean.expand(12, *mean.shape[1:]), drawn.latent_of(z), 0.7)
        targets = drawn(latents[[7, 2]]).detach()  # two of them are what is looked for
        project(picture, targets, eye, layers=("1",), steps=5, candidates=12, seed=4)
        # Whitened latents solve A u = w − w̄: what float32 rounds in w grows by at most the condition number of A.
        grows = float(torch.linalg.cond(principal_axes(tiny).double())) if whitened else 1.0
        atol = 8 * torch.finfo(torch.float32).eps * grows * float(latents.abs().max())
        torch.testing.assert_close(picture.latent.detach(), latents[[7, 2]], atol=atol, rtol=0)
