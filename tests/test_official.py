"""NVIDIA's checkpoints: read as data, hostile ones refused, and drawn as NVIDIA's own code drew them."""

from __future__ import annotations

import collections
import io
import json
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dip_lessons import Network, StyleGAN, project
from dip_lessons.stylegan import Generator, load_official, official, random_weights, untrained
from dip_lessons.stylegan.official import CheckpointError
from dip_lessons.stylegan.restricted_pickle import Machine, Numbers, Part, Refused

ORACLES = Path(__file__).parent / "oracles"
KINDS = ("stylegan2", "stylegan3_t", "stylegan3_r")
ATOL = {"stylegan2": 1e-5, "stylegan3_t": 1e-4, "stylegan3_r": 1e-4}
CPU: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


def oracle(kind: str) -> dict[str, Any]:
    with np.load(ORACLES / f"{kind}_official.npz") as file:
        return {
            name: json.loads(str(x)) if x.dtype.kind == "U" else torch.from_numpy(x)
            for name, x in file.items()
        }


def load(kind: str, network: str = "G_ema") -> Generator:
    return load_official(ORACLES / f"{kind}_snapshot.pkl", network=network, device="cpu")


def drawn(generator: Generator, ws: Tensor, noise: bool = True) -> Tensor:
    """Pictures in the network's own range, not clipped."""
    layers = generator.synthesis_network.noisy_layers(generator.size)
    return generator.synthesis_network(
        ws, generator.size, [layer.noise if noise else None for layer in layers]
    )


# --- what NVIDIA's code computed ------------------------------------------------------------------------


def test_styles_and_pictures_are_the_reference_s(kind: str) -> None:
    expected, generator = oracle(kind), load(kind)
    trained = load(kind, "G")  # it has the second clamp
    w = generator.mapping(expected["z"])
    torch.testing.assert_close(w, expected["ws"][:, 0], atol=1e-5, rtol=0)
    assert torch.equal(generator.mean_w, expected["state/mapping.w_avg"])
    assert (generator.z_size, generator.styles) == (32, expected["ws"].shape[1])
    assert generator.size == expected["settings"]["img_resolution"]
    for name, wanted in expected.items():
        if not name.startswith("picture") or name == "picture_transformed":
            continue
        words = name.split("_")[1:]
        ws = expected["_".join(["ws", *(word for word in words if word in ("psi", "cutoff", "mixed"))])]
        found = drawn(trained if "clamped" in words else generator, ws[: len(wanted)], "none" not in words)
        torch.testing.assert_close(found, wanted, atol=ATOL[kind], rtol=0, msg=lambda m, n=name: f"{n}: {m}")
    clipped = ((expected[next(n for n in expected if n.startswith("picture"))] + 1) / 2).clamp(0, 1)
    torch.testing.assert_close(generator.synthesis(w), clipped, atol=ATOL[kind], rtol=0)


def test_truncation_and_its_cutoff_are_the_reference_s(kind: str) -> None:
    expected, generator = oracle(kind), load(kind)
    z = expected["z"]
    for space in ("z", "w", "w+"):
        for name, cutoff in (("ws_psi", None), ("ws_cutoff", 4)):
            picture = StyleGAN(16, batch=3, space=space, truncation=0.7, cutoff=cutoff, network=generator)
            styles = picture.styles(picture.latent_of(z))
            styles = styles if styles.ndim == 3 else styles[:, None].expand(-1, generator.styles, -1)
            torch.testing.assert_close(styles, expected[name], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_stylegan3_moves_its_picture_as_the_reference_does(kind: str) -> None:
    expected, generator = oracle(kind), load(kind)
    network: Any = generator.synthesis_network
    for transform, wanted in zip(expected["transforms"], expected["picture_transformed"], strict=True):
        network.input.transform.copy_(transform)
        torch.testing.assert_close(drawn(generator, expected["ws"][:1])[0], wanted, atol=1e-4, rtol=0)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_stylegan3_s_layers_have_the_reference_s_magnitudes(kind: str) -> None:
    expected, network = oracle(kind), load(kind).synthesis_network
    found: list[Tensor] = []
    for part in (network.input, *(network.get_submodule(name) for name in network.layers)):  # type: ignore[attr-defined,union-attr]
        part.register_forward_hook(lambda *args: found.append(args[2].square().mean(dim=(1, 2, 3)).sqrt()))  # type: ignore[union-attr]
    network(expected["ws"], 64)
    torch.testing.assert_close(torch.stack(found, dim=1), expected["layer_rms"], atol=1e-5, rtol=1e-5)


def test_pictures_and_projection_are_those_of_any_generator(kind: str) -> None:
    generator = load(kind)
    picture = StyleGAN(generator.size, network=generator, noise="random", whitened=True)
    assert picture().shape == (1, 3, generator.size, generator.size)
    (gradient,) = torch.autograd.grad(picture().sum(), picture.latent)
    assert gradient.abs().min() > 0
    target = StyleGAN(16, network=generator, generator=torch.Generator().manual_seed(5))().detach()
    run = project(StyleGAN(16, network=generator), target, small_eye(), layers=["0"], steps=30).finish()
    assert run.history[-1] > 0.5 * run.history[0]  # both less than 0


def small_eye() -> Network:
    layer = nn.Conv2d(3, 4, 3, **CPU)
    for i, x in enumerate(layer.parameters()):
        x.data = torch.randn(x.shape, generator=torch.Generator().manual_seed(i), **CPU) / 5
    return Network(nn.Sequential(layer), has_logits=False)


def test_smaller_pictures_of_stylegan2_use_the_first_styles() -> None:
    generator = load("stylegan2")
    assert generator.sizes == (4, 8, 16, 32)
    w = torch.randn(2, 8, 32, generator=torch.Generator().manual_seed(0), **CPU).requires_grad_()
    for i, size in enumerate(generator.sizes):
        (gradient,) = torch.autograd.grad(generator.synthesis(w, size=size).sum(), w)
        assert (gradient.abs().amax(dim=(0, 2)) > 0).tolist() == [j < 2 * i + 2 for j in range(8)]


# --- settings -------------------------------------------------------------------------------------------


def parts(kind: str) -> Part:
    return official.read(ORACLES / f"{kind}_snapshot.pkl")["G_ema"]


def test_everything_in_a_snapshot_is_read(kind: str) -> None:
    state = {n.removeprefix("state/"): x for n, x in oracle(kind).items() if n.startswith("state/")}
    found = official.arrays(parts(kind))
    assert found.keys() == state.keys()
    assert all(np.array_equal(found[name], x.numpy()) for name, x in state.items())
    for name, attributes in oracle(kind)["attributes"].items():
        theirs = official.child(parts(kind), name).attributes
        for key, value in attributes.items():
            there = theirs[key]
            assert (there.values.tolist() if isinstance(there, Numbers) else there) == value


@pytest.mark.parametrize("rate", [1.0, 0.1])
def test_another_learning_rate_multiplier_is_another_scale(kind: str, rate: float) -> None:
    network, z = parts(kind), oracle(kind)["z"]
    weights = {name: torch.from_numpy(x.copy()).double() for name, x in official.arrays(network).items()}
    x = z.double() / z.double().square().mean(dim=1, keepdim=True).sqrt()
    for i in range(sum(name.startswith("mapping.fc") for name in weights) // 2):
        theirs = official.child(network, f"mapping.fc{i}").attributes
        theirs.update(weight_gain=rate / 32**0.5, bias_gain=rate)
        weight, bias = weights[f"mapping.fc{i}.weight"], weights[f"mapping.fc{i}.bias"]
        x = rate * (x @ weight.T / 32**0.5 + bias)
        x = 2**0.5 * torch.where(x > 0, x, 0.2 * x)
    torch.testing.assert_close(official.build(network).mapping(z), x.float(), atol=0, rtol=1e-4)


SETTINGS: list[tuple[str, str, dict[str, Any], str]] = [
    ("stylegan2", "mapping.fc0", {"activation": "relu"}, "mapping.fc0 has activation='relu'"),
    ("stylegan3_t", "mapping.fc1", {"activation": "swish"}, "mapping.fc1 has activation='swish'"),
    ("stylegan2", "mapping", {"c_dim": 10}, "of a class"),
    ("stylegan2", "synthesis.b8.conv0", {"activation": "linear"}, "b8.conv0 has activation='linear'"),
    ("stylegan2", "synthesis.b8.conv1", {"up": 2}, "b8.conv1 has up=2"),
    ("stylegan2", "synthesis.b8.conv1", {"padding": 0}, "b8.conv1 has padding=0"),
    ("stylegan2", "synthesis.b8", {"architecture": "resnet"}, "architecture='resnet'"),
    ("stylegan2", "synthesis", {"img_channels": 1}, "synthesis has img_channels=1"),
    ("stylegan2", "synthesis.b4.conv1", {"conv_clamp": "much"}, "conv_clamp of a SynthesisLayer is 'much'"),
    ("stylegan3_r", "synthesis.input", {"bandwidth": 9.0}, "bandwidth=9.0"),
    ("stylegan3_r", "synthesis.input", {"size": [10**9] * 2}, "size of a SynthesisInput is 1000000000"),
    ("stylegan3_r", "synthesis.L3_36_24", {"padding": [0, 0, 0, 0]}, "sizes do not fit"),
    ("stylegan3_r", "synthesis.L3_36_24", {"up_factor": 10**6}, "up_factor of a SynthesisLayer"),
    ("stylegan3_r", "synthesis.L3_36_24", {"is_torgb": True}, "is_torgb=True"),
    ("stylegan3_r", "synthesis", {"layer_names": None}, "layer_names are not there"),
    ("stylegan3_r", "synthesis", {"output_scale": float("nan")}, "output_scale"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "path", "changed", "says"), SETTINGS)
def test_settings_that_are_not_computed_are_refused_by_name(kind, path, changed, says) -> None:
    network = parts(kind)
    official.child(network, path).attributes.update(changed)
    with pytest.raises(CheckpointError, match=says):
        official.build(network)


@pytest.mark.parametrize(
    ("kind", "path", "group", "says"),
    [
        ("stylegan2", "synthesis.b8.torgb.weight", "_parameters", "synthesis.b8.torgb.weight is not there"),
        ("stylegan2", "mapping.w_avg", "_buffers", "mapping.w_avg is not there"),
        ("stylegan2", "synthesis.b8.conv1.noise_const", "_buffers", "noise of synthesis.b8.conv1 is not there"),
        ("stylegan3_t", "synthesis.L3_36_16.magnitude_ema", "_buffers", "magnitude_ema has the shape none"),
        ("stylegan3_t", "synthesis.L3_36_16.up_filter", "_buffers", "filters that do not fit"),
    ],
)  # fmt: skip
def test_parts_that_are_not_there_are_named(kind: str, path: str, group: str, says: str) -> None:
    network, (owner, name) = parts(kind), path.rsplit(".", 1)
    del official.child(network, owner).attributes[group][name]
    with pytest.raises(CheckpointError, match=says):
        official.build(network)


def test_other_filters_of_stylegan2_are_refused_and_of_stylegan3_drawn_with() -> None:
    network = parts("stylegan2")
    buffers = official.child(network, "synthesis.b8.conv0").attributes["_buffers"]
    buffers["resample_filter"] = Numbers(np.full((2, 2), 0.25, np.float32))
    with pytest.raises(CheckpointError, match="synthesis.b8.conv0.resample_filter is not the filter"):
        official.build(network)
    network = parts("stylegan3_t")  # a longer filter with zeros at its ends is the same one
    layer = official.child(network, "synthesis.L3_36_16").attributes
    layer["_buffers"]["up_filter"] = Numbers(np.pad(layer["_buffers"]["up_filter"].values, 1))
    with pytest.raises(CheckpointError, match="sizes do not fit"):
        official.build(network)
    layer["padding"] = [n + 1 for n in layer["padding"]]
    expected = oracle("stylegan3_t")
    found = drawn(official.build(network), expected["ws"])
    torch.testing.assert_close(found, expected["picture"], atol=1e-4, rtol=0)


def test_networks_that_are_not_there_are_named(tmp_path) -> None:
    with pytest.raises(CheckpointError, match="holds no network 'H'; it holds G, D, G_ema"):
        load("stylegan2", "H")
    with pytest.raises(
        CheckpointError, match="D of .*stylegan2_snapshot.pkl is no StyleGAN2|mapping is not there"
    ):
        load("stylegan2", "D")
    with pytest.raises(FileNotFoundError):
        load_official(tmp_path / "none.pkl")


# --- pickles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_arrays_and_numbers_are_read_as_they_were_written(protocol: int) -> None:
    rows = np.arange(12, dtype=np.int64).reshape(3, 4)
    given: dict[str, Any] = {
        "rows": rows, "columns": np.asfortranarray(rows.astype(np.float16)), "few": rows[::2, ::2],
        "empty": np.zeros((0, 3)), "one": np.array(2.5), "scalar": np.float64(0.1), "flag": np.bool_(True),
        "text": "ψ", "set": {"a", "b"}, "nested": [(1, -2.0, None), collections.OrderedDict(a=True)],
    }  # fmt: skip
    found = Machine(pickle.dumps(given, protocol)).load()
    for name, value in given.items():
        there = found[name].values if isinstance(found[name], Numbers) else found[name]
        np.testing.assert_equal(there, value)
        if isinstance(value, np.ndarray):
            assert there.dtype == value.dtype


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.int64, torch.uint8, torch.bool]
)
def test_tensors_are_read_as_they_were_written(dtype: torch.dtype) -> None:
    x = torch.arange(24, device="cpu").to(dtype).view(4, 6)
    given = {"all": x, "some": x[1:, ::2], "turned": x.T, "one": x[2, 3], "none": x[:0], "same": x.view(24)}
    for name, value in given.items():
        found = Machine(pickle.dumps(value, 4)).load().values
        assert found.dtype == value.numpy().dtype, name
        assert np.array_equal(found, value.numpy()), name
    weight = nn.Parameter(torch.ones(2, **CPU))
    assert Machine(pickle.dumps(weight, 4)).load().values.tolist() == [1, 1]


class Calls:
    """Pickled, it says: call this function with these arguments, then set this state."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.made = (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.made


def saved(x: Any) -> bytes:
    """In torch's older format."""
    buffer = io.BytesIO()
    torch.save(x, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


LOAD: Any = torch.storage._load_from_bytes
FOUR = saved(torch.arange(4.0, **CPU)._typed_storage())


def rebuilt(storage: Any, offset: Any, shape: Any, strides: Any) -> Calls:
    return Calls(torch._utils._rebuild_tensor_v2, storage, offset, shape, strides, False, None)


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


# A tuple that holds itself twice, 200 levels deep: hashing it, or comparing or printing it whole, would never end.
DOUBLED = b")\x94" + b"".join((b"h" + bytes([i])) * 2 + b"\x86\x94" for i in range(200))
NAMED = text("collections") + text("OrderedDict") + b"\x93"
SHARED = Calls(LOAD, FOUR)
BYTES = bytes(9999)
FROM_BUFFER = np.zeros(1).__reduce_ex__(5)[0]  # numpy's own function, whose module's name has changed
LARGE = Calls(LOAD, saved(torch.zeros(1000, **CPU)._typed_storage()))


HOSTILE: dict[str, tuple[bytes, str]] = {
    "a call": (pickle.dumps(Calls(os.system, "true")), "asks for posix.system; only tensors"),
    "a call in a list": (pickle.dumps([1, (Calls(exec, "1"),)]), "asks for builtins.exec"),
    "a call in a storage": (pickle.dumps(Calls(LOAD, saved(Calls(os.getcwd)))), "asks for posix.getcwd"),
    "a storage in a storage": (pickle.dumps(Calls(LOAD, saved(Calls(LOAD, b"")))), "asks for torch.storage"),
    "a class": (pickle.dumps(collections.Counter("a")), "asks for collections.Counter"),
    "an old call": (b"cos\nsystem\n(S'true'\ntR.", "asks for os.system"),
    "an attribute": (text("collections") + text("OrderedDict.__init__") + b"\x93.", r"OrderedDict\.__init__"),
    "a name with a space": (b"ccollections OrderedDict\n__init__\n.", "asks for collections"),
    "TensorFlow": (b"cdnnlib.tflib.network\nNetwork\n.", "made with TensorFlow"),
    "a call of a tuple": (b"))R.", "a call of what has no name"),
    "a call of a number's type": (b"cnumpy\nndarray\n)R.", "a call of what is only a name"),
    "a call with keywords": (NAMED + b")}\x92.", "the opcode NEWOBJ_EX"),
    "an extension": (b"\x82\x01.", "the opcode EXT1"),
    "an old object": (b"(icollections\nOrderedDict\n.", "the opcode INST"),
    "another old object": (b"(" + NAMED + b"o.", "the opcode OBJ"),
    "a duplicate": (b"]2.", "the opcode DUP"),
    "a frozen set": (b"(\x91.", "the opcode FROZENSET"),
    "a buffer from outside": (b"\x97.", "the opcode NEXT_BUFFER"),
    "state of a function": (NAMED + b"}" + text("__code__") + b"Nsb.", "attributes set on a Name"),
    "state of a dict": (b"}}b.", "attributes set on a dict"),
    "state of a text": (text("a") + b"}b.", "attributes set on a str"),
    "state of a tensor": (pickle.dumps(Calls(LOAD, FOUR, state={"values": 1})), "attributes set on a Numbers"),
    "a name outside": (b"Pstorage\n.", "outside it, 'storage'"),
    "doubled tuples outside": (DOUBLED + b"Q.", "outside it"),
    "doubled tuples as a key": (DOUBLED + b"}h\xc8Ns.", "a key that is not text"),
    "doubled tuples as a set": (DOUBLED + b"\x8f(h\xc8\x90.", "a set of other things"),
    "a far memo": (b"Nr\xff\xff\xff\x7f.", "or too much"),
    "nothing in the memo": (b"h\x05.", "was not remembered"),
    "a memo of nothing": (b"\x94.", "what is remembered is not there"),
    "an empty stack": (b"\x85.", "more is taken"),
    "below a mark": (b"N(\x85.", "more is taken"),
    "no mark": (b"Nt.", "without a mark"),
    "an open mark": (b"N(.", "not one thing"),
    "two things": (b"NN.", "not one thing"),
    "half a pair": (b"}(" + text("a") + b"u.", "cannot be read"),
    "items of a text": (text("a") + b"Na.", "items put into a str"),
    "many opcodes": (b"N" * 1_000_001, "more than the 1,000,000 opcodes"),
    "a long number": (b"\x8a\x40" + b"\x11" * 64 + b".", "more than ten bytes"),
    "text that claims more": (b"\x8d" + struct.pack("<Q", 2**40) + b"a.", "cannot be read"),
    "bytes that claim more": (b"\x8e" + struct.pack("<Q", 2**63) + b"a.", "cannot be read"),
    "an array that claims more": (pickle.dumps(np.zeros(3), 4).replace(b"K\x03\x85", b"K\x09\x85"), r"\(9,\) in 24"),
    "numbers in another order": (pickle.dumps(np.zeros(3, ">f4"), 4), "in another order of bytes"),
    "an array of objects": (pickle.dumps(np.array([None]), 4), "numbers of type 'O8'"),
    "a storage that claims more": (pickle.dumps(Calls(LOAD, FOUR[:-4])), "a storage of 4 numbers"),
    "a tensor as a storage": (pickle.dumps(Calls(LOAD, saved(torch.ones(4, **CPU)))), "asks for torch._utils"),
    "one storage many times": (pickle.dumps([rebuilt(LARGE, 0, (1000,), (1,)) for _ in range(9)]), "more numbers than"),
    "bytes many times": (pickle.dumps([Calls(FROM_BUFFER, BYTES, np.dtype("u1"), (9999,), "C")
                                       for _ in range(9)], 4), "more numbers than"),
    "no end": (b"N", "cannot be read"),
    "nothing": (b"", "cannot be read"),
    "an archive": (b"PK\x03\x04", "This is an archive"),
    "no dict": (b"}.", "holds no network 'G_ema'; it holds none"),
    "a list": (b"].", "holds no network 'G_ema'; it holds none"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_and_broken_pickles_are_refused(name: str, tmp_path) -> None:
    data, says = HOSTILE[name]
    (tmp_path / "bad.pkl").write_bytes(data)
    with pytest.raises(CheckpointError, match=says):
        load_official(tmp_path / "bad.pkl")


def test_nothing_is_run_or_changed(tmp_path) -> None:
    touched = tmp_path / "touched"
    for bad in (Calls(Path.touch, touched), Calls(exec, f"open({str(touched)!r}, 'w')")):
        for data in (bad, {"G_ema": [bad]}, Calls(LOAD, saved(bad))):
            with pytest.raises(Refused, match="nothing is run"):
                Machine(pickle.dumps(data)).load()
    assert not touched.exists()


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (5,), (1,)), (2, (3,), (1,)), (-1, (2,), (1,)), (0, (3, 2), (2, 1)), (0, (10**12,), (0,)), (0, (-1,), (1,)),
     (0, (2.0,), (1,)), (10**20, (1,), (1,)), (0, (2, 2), (1, 10**20))],
)  # fmt: skip
def test_a_tensor_that_reaches_beyond_its_numbers_is_refused(offset, shape, strides) -> None:
    with pytest.raises(Refused, match="reaches beyond its 4 numbers"):
        Machine(pickle.dumps(rebuilt(SHARED, offset, shape, strides), 4)).load()


def test_what_occurs_twice_or_in_itself_is_refused() -> None:
    network = parts("stylegan2")
    network.attributes["_modules"]["synthesis"].attributes["_modules"]["again"] = network
    with pytest.raises(CheckpointError, match="occurs twice"):
        official.arrays(network)
    network = parts("stylegan2")  # as a small file would claim a large network
    modules = network.attributes["_modules"]["mapping"].attributes["_modules"]
    modules["fc1"].attributes["_parameters"] = modules["fc0"].attributes["_parameters"]
    with pytest.raises(CheckpointError, match="fc1.weight occurs twice"):
        official.build(network)


# --- random weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_architecture_of_untrained_networks_is_the_reference_s(kind: str) -> None:
    expected, ours = oracle(kind), random_weights.stylegan3_synthesis(64, 8, 32, radial=kind.endswith("r"))
    theirs = expected["attributes"]
    assert (ours.input.size, ours.input.sampling_rate, ours.input.bandwidth) == (36, 16, 2)
    for ours_, name in zip(ours.layers, theirs["synthesis"]["layer_names"], strict=True):
        layer: Any = ours.get_submodule(ours_)
        wanted = theirs[f"synthesis.{name}"]
        assert list(layer.padding) == wanted["padding"]
        assert [layer.size] * 2 == wanted["out_size"]
        assert (layer.up, layer.down) == (wanted["up_factor"], wanted["down_factor"])
        for way in ("up_filter", "down_filter"):
            filter, there = getattr(layer, way), expected.get(f"state/synthesis.{name}.{way}")
            assert (filter is None) == (there is None)
            if filter is not None:
                torch.testing.assert_close(filter, there, atol=1e-7, rtol=0)


@pytest.mark.parametrize("kind", random_weights.KINDS)
def test_untrained_networks_draw_textures(kind: str) -> None:
    generator = untrained(kind, 32, seed=3)
    z = torch.randn(8, 32, generator=torch.Generator().manual_seed(1), **CPU)
    pictures = generator.synthesis(generator.mapping(z))
    assert pictures.shape == (8, 3, 32, 32)
    assert 0.4 < pictures.mean() < 0.6
    assert 0.04 < pictures.std() < 0.4
    again = untrained(kind, 32, seed=3)
    assert all(map(torch.equal, generator.state_dict().values(), again.state_dict().values()))
    for wrong in ({"kind": "stylegan4"}, {"size": 48}, {"channels": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
            untrained(**wrong)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_stylegan3_commutes_with_shifts_and_the_radial_one_with_turns(kind: str) -> None:
    generator = untrained(kind.replace("_", "-"), 64)
    network: Any = generator.synthesis_network
    ws = generator.mean_w.expand(1, generator.styles, -1)
    still = drawn(generator, ws)
    network.input.transform[:2, 2] = torch.tensor([-5 / 64, -3 / 64], **CPU)  # the inverse of how it moves
    moved = drawn(generator, ws)
    assert psnr(moved[..., 5:, 5:], still[..., 2:-3, :-5]) > 45
    network.input.transform.copy_(torch.tensor([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]], **CPU))
    turned = max(psnr(drawn(generator, ws), still.rot90(way, (2, 3))) for way in (1, -1))
    assert (turned > 40) is kind.endswith("r")


def psnr(x: Tensor, y: Tensor) -> float:
    return float(10 * torch.log10(4 / (x - y).square().mean()))
