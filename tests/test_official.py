"""Checkpoints in the official layout: read without running anything, and drawn as the paper's formulas say."""

from __future__ import annotations

import io
import math
import pickle
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dip_lessons.stylegan import load_official, official
from dip_lessons.stylegan.official import CheckpointError
from dip_lessons.stylegan.stylegan2 import SynthesisNetwork, leaky, modulated_convolution, smooth

CHANNELS, STYLE = (6, 5, 4), 8  # at 4, 8, 16 pixels
ROW = np.array([1, 3, 3, 1]) / 8


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# --- a checkpoint as NVIDIA's code writes it ------------------------------------------------------------


@pytest.fixture
def theirs(monkeypatch):
    """Their modules' names, under which a pickle refers to what is in it."""
    persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("their code was run")

    _reconstruct_persistent_obj.__module__ = persistence.__name__
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj
    util.EasyDict = type("EasyDict", (dict,), {"__module__": "dnnlib.util", "__qualname__": "EasyDict"})
    for module in (types.ModuleType("torch_utils"), types.ModuleType("dnnlib"), persistence, util):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return types.SimpleNamespace(reconstruct=_reconstruct_persistent_obj, EasyDict=util.EasyDict)


def module(theirs, kind: str, tensors: dict[str, Tensor], **settings):
    """A module of theirs, from the names of its tensors; its parts are modules in turn."""
    names = list(dict.fromkeys(name.split(".")[0] for name in tensors if "." in name))
    own = {name: value for name, value in tensors.items() if "." not in name}
    inner = OrderedDict()
    for name in names:
        below = {key.split(".", 1)[1]: v for key, v in tensors.items() if key.startswith(f"{name}.")}
        inner[name] = module(theirs, name, below, **settings)
    buffers = {name: v for name, v in own.items() if not name.startswith(("weight", "bias", "const"))}
    meta = {
        "type": "class",
        "version": 6,
        "module_src": "raise AssertionError('their code was run')",
        "class_name": kind,
        "state": {
            "training": False,
            "_parameters": OrderedDict((n, nn.Parameter(v)) for n, v in own.items() if n not in buffers),
            "_buffers": OrderedDict(buffers),
            "_modules": inner,
            "_init_kwargs": theirs.EasyDict(w_dim=STYLE),
            "init_dtype": torch.float32,
            **settings,
        },
    }

    class Theirs:
        def __reduce__(self):
            return theirs.reconstruct, (meta,), None

    return Theirs()


def weights() -> dict[str, Tensor]:
    """Random weights under the official names."""
    tensors, seed = {}, 0

    def add(name: str, *shape: int) -> None:
        nonlocal seed
        seed += 1
        tensors[name] = noise(*shape, seed=seed)

    for i in range(2):
        add(f"mapping.fc{i}.weight", STYLE, STYLE if i else 7)
        tensors[f"mapping.fc{i}.weight"] *= 100  # they are stored divided by the learning rate's factor, .01
        add(f"mapping.fc{i}.bias", STYLE)
    add("mapping.w_avg", STYLE)
    for i, channels in enumerate(CHANNELS):
        size = 4 * 2**i
        block = f"synthesis.b{size}"
        layers = {"conv1": channels, "torgb": channels}
        if i:
            layers = {"conv0": CHANNELS[i - 1], **layers}
            tensors[f"{block}.resample_filter"] = torch.from_numpy(np.outer(ROW, ROW)).float()
        else:
            add(f"{block}.const", channels, 4, 4)
        for layer, inputs in layers.items():
            outputs, kernel = (3, 1) if layer == "torgb" else (channels, 3)
            add(f"{block}.{layer}.weight", outputs, inputs, kernel, kernel)
            add(f"{block}.{layer}.bias", outputs)
            add(f"{block}.{layer}.affine.weight", inputs, STYLE)
            add(f"{block}.{layer}.affine.bias", inputs)
            if layer != "torgb":
                add(f"{block}.{layer}.noise_const", size, size)
                add(f"{block}.{layer}.noise_strength")
                tensors[f"{block}.{layer}.resample_filter"] = torch.from_numpy(np.outer(ROW, ROW)).float()
    tensors["synthesis.b16.torgb.weight"] *= 0.1
    return tensors


def checkpoint(theirs, folder: Path, tensors: dict[str, Tensor], **settings) -> Path:
    file = folder / "network-snapshot.pkl"
    generator = module(theirs, "Generator", tensors, **settings)
    parts = {"G": None, "D": None, "G_ema": generator, "training_set_kwargs": theirs.EasyDict(resolution=16)}
    file.write_bytes(pickle.dumps(parts))
    return file


# --- the formulas, in float64, as the papers give them --------------------------------------------------


def upfir(x: Tensor, pad: tuple[int, int]) -> Tensor:
    """Zeros between the pixels, ``pad`` zeros around, then the filter with gain 4, pixel by pixel."""
    b, c, h, w = x.shape
    up = torch.zeros(b, c, 2 * h, 2 * w, dtype=x.dtype)
    up[:, :, ::2, ::2] = x
    up = F.pad(up, pad * 2)
    f = 4 * np.outer(ROW, ROW)
    n, m = up.shape[2] - 3, up.shape[3] - 3
    return sum(f[i, j] * up[:, :, i : i + n, j : j + m] for i in range(4) for j in range(4))


def convolved(x: Tensor, weight: Tensor, style: Tensor, up: bool, demodulate: bool = True) -> Tensor:
    """Each picture with its own modulated, demodulated weights."""
    out = []
    for i in range(len(x)):
        own = weight * style[i, :, None, None]
        if demodulate:
            own = own / own.square().sum(dim=(1, 2, 3), keepdim=True).add(1e-8).sqrt()
        one = x[i : i + 1]
        # Their layers that double the resolution convolve, the others correlate.
        one = (
            F.conv2d(upfir(one, (3, 2)), own.flip(2, 3))
            if up
            else F.conv2d(one, own, padding=own.shape[2] // 2)
        )
        out.append(one)
    return torch.cat(out)


def drawn(t: dict[str, Tensor], z: Tensor, clamp: float | None = None) -> tuple[Tensor, Tensor]:
    """w and the picture of 16 pixels in about [−1, 1]."""
    t = {name: value.double() for name, value in t.items()}

    def limited(x: Tensor, gain: float) -> Tensor:
        return x if clamp is None else x.clamp(-clamp * gain, clamp * gain)

    def act(x: Tensor) -> Tensor:
        return math.sqrt(2) * torch.where(x > 0, x, 0.2 * x)

    x = z.double() / z.double().square().mean(dim=1, keepdim=True).add(1e-8).sqrt()
    for i in range(2):
        weight, bias = t[f"mapping.fc{i}.weight"], t[f"mapping.fc{i}.bias"]
        x = act(x @ (weight * 0.01 / math.sqrt(weight.shape[1])).T + bias * 0.01)
    w = x

    def style(name: str) -> Tensor:
        return w @ t[f"{name}.affine.weight"].T / math.sqrt(STYLE) + t[f"{name}.affine.bias"]

    image, x = None, t["synthesis.b4.const"][None].expand(len(w), -1, -1, -1)
    for size in (4, 8, 16):
        for conv in ("conv0", "conv1") if size > 4 else ("conv1",):
            name = f"synthesis.b{size}.{conv}"
            x = convolved(x, t[f"{name}.weight"], style(name), up=conv == "conv0")
            x = x + t[f"{name}.noise_const"] * t[f"{name}.noise_strength"] + t[f"{name}.bias"][:, None, None]
            x = limited(act(x), math.sqrt(2))
        name = f"synthesis.b{size}.torgb"
        scaled = style(name) / math.sqrt(x.shape[1])
        rgb = convolved(x, t[f"{name}.weight"], scaled, up=False, demodulate=False)
        rgb = limited(rgb + t[f"{name}.bias"][:, None, None], 1)
        image = rgb if image is None else upfir(image, (2, 1)) + rgb
    return w, image


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_modulated_convolution_is_one_with_explicit_weights(up: bool, demodulate: bool) -> None:
    x, weight, style = (
        noise(3, 4, 5, 6).double(),
        noise(2, 4, 3, 3, seed=1).double(),
        noise(3, 4, seed=2).double(),
    )
    found = modulated_convolution(x, weight, style, up=up, demodulate=demodulate)
    torch.testing.assert_close(found, convolved(x, weight, style, up, demodulate))


def test_smoothing_doubles_the_resolution_as_the_filter_says() -> None:
    x = noise(2, 3, 5, 6).double()
    torch.testing.assert_close(smooth(x, up=2, gain=2), upfir(x, (2, 1)))
    flat = smooth(torch.ones(1, 1, 6, 6).double(), up=2, gain=2)
    torch.testing.assert_close(flat[:, :, 2:-2, 2:-2], torch.ones(1, 1, 8, 8).double())


def test_leaky_keeps_within_the_clamp() -> None:
    x = torch.tensor([-100.0, -1, 2, 100])
    torch.testing.assert_close(leaky(x), math.sqrt(2) * torch.tensor([-20.0, -0.2, 2, 100]))
    torch.testing.assert_close(leaky(x, 10), math.sqrt(2) * torch.tensor([-10.0, -0.2, 2, 10]))


@pytest.mark.parametrize("clamp", [None, 1.0])
def test_an_official_checkpoint_draws_what_the_formulas_say(theirs, tmp_path, clamp) -> None:
    tensors, z = weights(), noise(3, 7)
    generator = load_official(checkpoint(theirs, tmp_path, tensors, conv_clamp=clamp), device="cpu")
    assert (generator.name, generator.z_size, generator.w_size) == ("network-snapshot", 7, STYLE)
    assert (generator.styles, generator.sizes) == (6, (4, 8, 16))
    assert torch.equal(generator.mean_w, tensors["mapping.w_avg"])
    w, image = drawn(tensors, z, clamp)
    torch.testing.assert_close(generator.mapping(z), w.float(), atol=1e-5, rtol=1e-4)
    expected = ((image + 1) / 2).clamp(0, 1).float()
    assert 0.2 < ((expected > 0) & (expected < 1)).float().mean()
    torch.testing.assert_close(generator.synthesis(w.float()), expected, atol=1e-4, rtol=1e-4)
    assert all(not p.requires_grad for p in generator.parameters())


def test_its_sizes_noise_and_gradients(theirs, tmp_path) -> None:
    tensors = weights()
    generator = load_official(checkpoint(theirs, tmp_path, tensors), device="cpu")
    w = noise(2, 6, STYLE).requires_grad_()
    for size, used in ((4, 2), (8, 4), (16, 6)):
        image = generator.synthesis(w, size=size)
        assert image.shape == (2, 3, size, size)
        (gradient,) = torch.autograd.grad(image.sum(), w)
        reached = gradient.abs().amax(dim=(0, 2)) > 0
        assert reached.tolist() == [True] * used + [False] * (6 - used)
    fresh = generator.synthesis(w, noise=torch.Generator().manual_seed(0))
    assert not torch.equal(fresh, generator.synthesis(w))
    for layer in generator.synthesis_network.noisy_layers(16):
        name = next(n for n, m in generator.synthesis_network.named_modules() if m is layer)
        stored = tensors[f"synthesis.{name}.noise_const"] * tensors[f"synthesis.{name}.noise_strength"]
        torch.testing.assert_close(layer.noise[0, 0], stored)


def test_styles_are_counted_as_in_the_paper() -> None:
    with torch.device("meta"):
        network = SynthesisNetwork((1,) * 9, 1)
    assert (network.styles, network.sizes[-1]) == (18, 1024)


# --- what is refused ------------------------------------------------------------------------------------


class Malicious:
    """Pickled, it says: call this function with these arguments."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("depth", ["outside", "inside a module", "inside a storage"])
def test_a_malicious_pickle_is_refused_and_runs_nothing(theirs, tmp_path, depth: str) -> None:
    touched = tmp_path / "touched"
    bad = Malicious(Path.touch, touched)
    if depth == "inside a module":
        bad = module(
            theirs,
            "Generator",
            {"weight": torch.zeros(1)},
            trap=Malicious(exec, f"open({str(touched)!r}, 'w')"),
        )
    if depth == "inside a storage":
        buffer = io.BytesIO()
        torch.save(bad, buffer, _use_new_zipfile_serialization=False)
        bad = Malicious(torch.storage._load_from_bytes, buffer.getvalue())
    file = tmp_path / "bad.pkl"
    file.write_bytes(pickle.dumps({"G_ema": bad}))
    with pytest.raises(CheckpointError, match=r"nothing is run|cannot be read"):
        load_official(file)
    assert not touched.exists()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "asks for os.system; only tensors"),
        (b"cbuiltins\neval\n(S'1'\ntR.", "asks for builtins.eval"),
        (b"\x80\x04\x8c\x0btorch_utils\x8c\x01x\x93.", "asks for torch_utils.x"),
        (
            b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.",
            "asks for collections.OrderedDict.__init__",
        ),
        (b"cdnnlib.tflib.network\nNetwork\n.", "made with TensorFlow"),
        (b"Pstorage\n.", "outside it, 'storage'"),
        (b"}.", "holds no network 'G_ema'; it holds none"),
        (b"\x80\x04", "cannot be read"),
        (b"", "cannot be read"),
    ],
)
def test_other_pickles_are_refused(tmp_path, data: bytes, says: str) -> None:
    file = tmp_path / "bad.pkl"
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match=says):
        load_official(file)


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (5,), (1,)),
        (2, (3,), (1,)),
        (-1, (2,), (1,)),
        (0, (3, 2), (2, 1)),
        (0, (10**12,), (0,)),
        (0, (-1,), (1,)),
    ],
)
def test_a_tensor_that_reaches_beyond_its_numbers_is_refused(offset, shape, strides) -> None:
    with pytest.raises(pickle.UnpicklingError, match="reaches beyond its 4 numbers"):
        official.tensor(torch.arange(4.0), offset, shape, strides)


def test_tensors_are_laid_out_as_stored() -> None:
    numbers = torch.arange(6.0)
    assert official.tensor(numbers, 0, (2, 3), (3, 1)).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert official.tensor(numbers, 1, (2, 2), (1, 2)).tolist() == [[1, 3], [2, 4]]
    assert official.tensor(numbers, 3, (), ()) == 3
    assert official.tensor(numbers, 0, (0, 3), (3, 1)).shape == (0, 3)


def test_other_networks_are_named(theirs, tmp_path) -> None:
    good = weights()
    cases = [
        ({**good, "synthesis.input.transform": torch.eye(3)}, "this is a StyleGAN3"),
        ({**good, "mapping.embed.weight": torch.zeros(8, 3)}, "of a class"),
        ({k: v for k, v in good.items() if "b8.torgb" not in k}, "synthesis.b8.torgb.weight is not there"),
        ({k: v for k, v in good.items() if "w_avg" not in k}, "mapping.w_avg is not there"),
        ({k: v for k, v in good.items() if "b16.conv0" not in k}, "no StyleGAN2 that this course knows"),
        ({**good, "synthesis.b8.resample_filter": torch.ones(4, 4) / 16}, "not the filter"),
        ({"mapping.fc0.weight": torch.zeros(2, 2)}, "is not there"),
    ]
    for tensors, says in cases:
        with pytest.raises(CheckpointError, match=says):
            load_official(checkpoint(theirs, tmp_path, tensors))
    with pytest.raises(CheckpointError, match="holds no network 'D'; it holds G_ema"):
        load_official(checkpoint(theirs, tmp_path, good), network="D")
    with pytest.raises(FileNotFoundError):
        load_official(tmp_path / "none.pkl")
