"""Networks: real photographs recognised, activations against plain hooks, and nothing left behind."""

import copy
import math
import socket
import sys
import threading
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from torch import Tensor, nn
from torchvision.models.convnext import CNBlockConfig

from dip_lessons import Network, assets, load_network, redirected_relu
from dip_lessons.networks import LOGITS, UnknownName
from dip_lessons.networks.embedded import PooledConv2d
from dip_lessons.networks.torchvision_models import fold_batch_norm


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(shape, generator=seeded(99), dtype=dtype)


def hooks_on(module: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules())


def by_plain_hooks(module: nn.Module, x: Tensor, names: list[str]) -> dict[str, Tensor]:
    """What the layers return in one full run, each copied at once."""
    module = copy.deepcopy(module).eval()
    kept: dict[str, Tensor] = {}
    for name in names:
        module.get_submodule(name).register_forward_hook(
            lambda _m, _i, out, name=name: kept.__setitem__(name, out.detach().clone())
        )
    with torch.no_grad():
        kept[LOGITS] = module(x)
    return kept


def as_if_trained(module: nn.Module, side: int = 64) -> nn.Module:
    """Batch norms with random weights and the statistics of noise: the output depends on the input."""
    generator = seeded(0)
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.weight.data.copy_(0.5 + torch.rand(norm.weight.shape, generator=generator))
        norm.bias.data.copy_(torch.rand(norm.bias.shape, generator=generator) - 0.5)
        norm.momentum = 1.0
    with torch.no_grad():
        module.train()(2 * torch.rand(8, 3, side, side, generator=generator) - 1)
    assert all(norm.running_mean.abs().max() > 0 for norm in norms)
    return module.eval()


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Every test ends with the grad mode and the function modes it began with; first weights are seeded."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
    assert torch.is_grad_enabled()
    assert torch._C._len_torch_function_stack() == 0


@pytest.fixture(scope="module")
def squeezenet() -> Network:
    return load_network("squeezenet1_1", "cpu")


@pytest.fixture(scope="module")
def inception() -> Network:
    return load_network("inception_v3", "cpu")


@pytest.fixture(scope="module")
def vgg() -> Network:
    return load_network("vgg16", "cpu")


@pytest.fixture
def tiny() -> Network:
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 10),
    )
    return Network(module, name="tiny")


# --- the embedded networks --------------------------------------------------------------------------------


def photograph(root: Path, name: str, side: int) -> Tensor:
    """The middle square of a photograph, or the whole of it where side is 0."""
    with Image.open(root / "data" / "pictures" / f"{name}.jpg") as opened:
        image = opened.convert("RGB")
    if side:
        least = min(image.size)
        left, top = (image.width - least) // 2, (image.height - least) // 2
        image = image.crop((left, top, left + least, top + least)).resize((side, side), Image.BILINEAR)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize(
    ("network", "name", "meaning", "probability"),
    [  # the probabilities that were found when the weights were converted
        ("squeezenet", "chelsea", "Egyptian cat", 0.54),
        ("squeezenet", "coffee", "espresso", 0.94),
        ("inception", "chelsea", "Egyptian cat", 0.79),
        ("inception", "coffee", "espresso", 0.97),
        ("inception", "rocket", "missile", 0.30),
    ],
)
def test_photographs_are_recognised(
    root: Path, request: pytest.FixtureRequest, network: str, name: str, meaning: str, probability: float
) -> None:
    net = request.getfixturevalue(network)
    own = {"squeezenet": 224, "inception": 299}[network]
    for side in (own, 260, 0) if name != "rocket" else (own, 224):
        with torch.no_grad():
            p = net(photograph(root, name, side))[LOGITS].softmax(dim=1)[0]
        top5 = [net.classes[i] for i in p.topk(5).indices]
        assert meaning in top5
        if side == own:
            assert p[net.classes.index(meaning)].item() == pytest.approx(probability, abs=0.1)
            assert top5[0] == meaning


def test_squeezenet_is_torchvisions_fed_with_bgr_bytes_less_their_means(
    root: Path, squeezenet: Network
) -> None:
    image = photograph(root, "chelsea", 160)
    module = torchvision.models.squeezenet1_1(weights=None).eval()
    stored = np.load(root / "data" / "weights" / "squeezenet1_1.fp16.npz")
    module.load_state_dict({name: torch.from_numpy(stored[name]).float() for name in stored.files})
    blue_green_red = (
        255 * image[0].double().numpy()[::-1] - np.array([103.939, 116.779, 123.68])[:, None, None]
    )
    x = torch.from_numpy(blue_green_red.copy()).float()[None]
    names = ["features.0", "features.1", "features.6.squeeze_activation", "features.9", "features.12"]
    expected = by_plain_hooks(module, x, names)
    got = squeezenet(image, [*names, LOGITS])
    assert list(got) == [*names, LOGITS]
    for name, activation in got.items():
        torch.testing.assert_close(activation, expected[name], rtol=1e-4, atol=1e-3)


def test_vgg16_is_torchvisions_as_far_as_relu4_3(root: Path, vgg: Network) -> None:
    image = photograph(root, "coffee", 64)
    module = torchvision.models.vgg16(weights=None, init_weights=False).features[:23].eval()
    stored = np.load(root / "data" / "weights" / "vgg16_relu4_3.fp16.npz")
    module.load_state_dict(
        {name.removeprefix("features."): torch.from_numpy(stored[name]).float() for name in stored.files}
    )
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    expected = by_plain_hooks(module, (image - mean) / std, ["8", "22"])
    got = vgg(image, ["features.8", "features.22"])
    torch.testing.assert_close(got["features.8"], expected["8"], rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(got["features.22"], expected["22"], rtol=1e-4, atol=1e-3)
    assert (got["features.22"] > 0).float().mean() > 0.02
    assert LOGITS not in vgg.layers
    with pytest.raises(UnknownName, match="vgg16 ends before its classifier"):
        vgg(image)


def test_inception_normalises_as_tensorflow_did_and_has_every_weight(inception: Network, root: Path) -> None:
    stored = np.load(root / "data" / "weights" / "inception_v3.uint8.npz")
    convolutions = {n for n, m in inception.module.named_modules() if isinstance(m, (nn.Conv2d, nn.Linear))}
    names = {key.rpartition(".")[0] for key in stored.files}
    assert {n.removesuffix(".conv") for n in convolutions} == names
    w = (
        stored["Conv2d_1a_3x3.weight_u8"].astype(np.float64) - stored["Conv2d_1a_3x3.scale_zero"][1]
    ) * stored["Conv2d_1a_3x3.scale_zero"][0]
    image = noise(1, 3, 75, 80)
    x = (255 * image.double() - 128) / 128
    bias = torch.from_numpy(stored["Conv2d_1a_3x3.bias"]).double()
    expected = F.conv2d(x, torch.from_numpy(w), bias, stride=2).relu()
    got = inception(image, ["Conv2d_1a_3x3"])["Conv2d_1a_3x3"]
    torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=1e-4)


def test_a_convolution_after_a_pool_counts_no_padding(inception: Network) -> None:
    part = inception.module.Mixed_5b.branch_pool
    assert isinstance(part, PooledConv2d)
    x = noise(2, 192, 6, 5)
    with torch.no_grad():
        got = part(F.avg_pool2d(x, 3, stride=1, padding=1))
        pooled = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        expected = F.conv2d(pooled, part.conv.weight, part.conv.bias).relu()
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
    pooled_ones = [n for n, m in inception.module.named_modules() if isinstance(m, PooledConv2d)]
    assert len(pooled_ones) == 9  # three InceptionA, four InceptionC, two InceptionE


# --- normalisation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bgr", [False, True])
def test_normalisation_by_hand(bgr: bool) -> None:
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 2.0)
    net = Network(nn.Sequential(nn.Identity()), mean=mean, std=std, bgr=bgr)
    image = noise(2, 3, 4, 5)
    got = net(image, ["0"])["0"].numpy()
    channels = [(image[:, c].numpy() - mean[c]) / std[c] for c in range(3)]
    np.testing.assert_allclose(got, np.stack(channels[::-1] if bgr else channels, axis=1), atol=1e-6)


def test_a_network_of_one_input_size_gets_that_size() -> None:
    net = Network(nn.Sequential(nn.Identity()), mean=(0, 0, 0), std=(1, 1, 1), input_size=32)
    image = noise(1, 3, 64, 96)
    got = net(image, ["0"])["0"]
    assert got.shape == (1, 3, 32, 32)
    assert got.mean().item() == pytest.approx(image.mean().item(), abs=0.01)
    same = noise(1, 3, 32, 32)
    assert torch.equal(net(same, ["0"])["0"], same)


# --- activations are those of plain hooks -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "side", "names"),
    [
        ("squeezenet", 96, ["features.2", "features.3.expand3x3", "features.4", "classifier.1"]),
        (
            "inception",
            128,
            ["Conv2d_2a_3x3.conv", "maxpool2", "Mixed_5b.branch5x5_1", "Mixed_5b.branch_pool", "Mixed_6a"],
        ),
        ("vgg", 48, ["features.0", "features.4", "features.21", "features.22"]),
    ],
)
def test_activations_are_those_of_plain_hooks(
    request: pytest.FixtureRequest, net: str, side: int, names: list[str]
) -> None:
    network = request.getfixturevalue(net)
    image = noise(2, 3, side, side + 8)
    expected = by_plain_hooks(network.module, network._normalise(image), names)
    for asked in (names, names[::-1], names[1:2]):
        got = network(image, asked)
        assert list(got) == asked
        for name in asked:
            torch.testing.assert_close(got[name], expected[name], rtol=0, atol=0)


def test_in_place_followers_spoil_no_activation() -> None:
    class InPlace(nn.Module):
        """As ResNets and Inception do: relu and + written into what a layer has returned."""

        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
            self.relu, self.last = nn.ReLU(inplace=True), nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            x = F.relu(self.conv1(x), inplace=True)
            y = self.conv2(x)
            y += x
            return self.last(self.relu(y))

    module = InPlace()
    image = noise(1, 3, 5, 5)
    net = Network(module, mean=(0, 0, 0), std=(1, 1, 1))
    expected = by_plain_hooks(module, image, ["conv1", "conv2", "relu"])
    assert (expected["conv1"] < 0).any()
    assert (expected["conv2"] < 0).any()
    for asked in (["conv1", "conv2", "relu", "last", LOGITS], ["conv1"], ["conv2"], ["conv1", "conv2"]):
        got = net(image, asked)
        for name in set(asked) & set(expected):
            torch.testing.assert_close(got[name], expected[name], rtol=0, atol=1e-6)
    assert module.relu.inplace  # the original stays as it is


def test_of_a_layer_that_runs_twice_the_first_activation_is_taken() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act, self.narrow, self.last = nn.ReLU(), nn.Conv2d(3, 2, 1), nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.act(self.narrow(self.act(x))))

    net = Network(Twice(), mean=(0, 0, 0), std=(1, 1, 1))
    image = noise(1, 3, 4, 4)
    alone, with_more = net(image, ["act"]), net(image, ["act", "last"])
    assert torch.equal(alone["act"], image)
    assert torch.equal(with_more["act"], image)
    assert net.layers["act"].shape == (3, 224, 224)


# --- only as deep as asked, nothing left behind -----------------------------------------------------------


class Loud(nn.Module):
    """Counts its runs, and fails if it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.runs, self.error = 0, None

    def forward(self, x: Tensor) -> Tensor:
        self.runs += 1
        if self.error is not None:
            raise self.error
        return x


def test_the_network_stops_at_the_deepest_layer_asked_for() -> None:
    net = Network(nn.Sequential(nn.Conv2d(3, 4, 1), Loud(), nn.ReLU(), Loud(), nn.Conv2d(4, 2, 1)))
    first, last = net.module[1], net.module[3]
    first.runs = last.runs = 0  # when it was made, it was tried
    image = noise(1, 3, 6, 6)
    net(image, ["0"])
    assert (first.runs, last.runs) == (0, 0)
    net(image, ["2", "0"])
    assert (first.runs, last.runs) == (1, 0)
    net(image, ["0", "4"])
    assert (first.runs, last.runs) == (2, 1)
    net(image)
    assert (first.runs, last.runs) == (3, 2)


def test_no_hook_is_left_after_success_or_error(tiny: Network) -> None:
    tiny.module.add_module("loud", Loud())
    image = noise(1, 3, 8, 8)
    for _ in range(3):
        tiny(image, ["1", "3"])
        tiny(image)
        assert len(tiny.layers) == 10
        tiny.layers["3"].receptive_field  # noqa: B018
    assert hooks_on(tiny.module) == 0
    tiny.module.loud.error = ArithmeticError("broken inside")
    with pytest.raises(ArithmeticError, match="broken inside"):
        tiny(image, ["1", LOGITS])
    assert hooks_on(tiny.module) == 0
    for wrong, error in ((torch.zeros(1, 4, 8, 8), ValueError), (image[:, :, :1, :1], RuntimeError)):
        with pytest.raises(error):
            tiny(wrong, ["7"])
        assert hooks_on(tiny.module) == 0
    tiny.module.add_module("more", nn.Identity())  # so that it is tried again
    with pytest.raises(ArithmeticError):
        tiny.layers  # noqa: B018
    assert hooks_on(tiny.module) == 0


def test_a_users_own_hooks_are_kept() -> None:
    module, seen = nn.Sequential(nn.Identity()), []
    module[0].register_forward_hook(lambda *_: seen.append(1))
    net = Network(module)
    seen.clear()  # when it was made, it was tried
    net(noise(1, 3, 4, 4), ["0"])
    assert seen == [1]
    assert hooks_on(net.module) == hooks_on(module) == 1


def test_weights_are_frozen_and_get_no_gradient(tiny: Network) -> None:
    assert not any(p.requires_grad for p in tiny.parameters())
    image = noise(1, 3, 8, 8).requires_grad_(True)
    got = tiny(image, ["3", LOGITS])
    (got["3"].sum() + got[LOGITS].sum()).backward()
    assert image.grad.abs().max() > 0
    assert all(p.grad is None for p in tiny.parameters())
    assert not tiny(image.detach(), ["3"])["3"].requires_grad


def test_the_original_module_stays_as_it_is() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout(0.5), nn.ReLU(inplace=True)).train()
    before = copy.deepcopy(module.state_dict())
    net = Network(module)
    image = noise(1, 3, 6, 6)
    assert torch.equal(net(image)[LOGITS], net(image)[LOGITS])  # no dropout
    assert module.training
    assert module[2].inplace
    assert all(p.requires_grad for p in module.parameters())
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
    module[0].weight.data.zero_()
    assert net.module[0].weight.abs().max() > 0


def test_a_network_can_be_copied(tiny: Network) -> None:
    image = noise(1, 3, 8, 8)
    twin = copy.deepcopy(tiny)
    assert torch.equal(twin(image)[LOGITS], tiny(image)[LOGITS])
    twin.module[7].bias.data.add_(1)
    assert not torch.equal(twin(image)[LOGITS], tiny(image)[LOGITS])
    inside = Network(nn.Sequential(nn.Identity(), twin.module))
    assert inside(image)[LOGITS].shape == (1, 10)


def test_two_threads_see_their_own_activations(tiny: Network) -> None:
    pictures = [noise(1, 3, 8, 8), 1 - noise(1, 3, 10, 10)]
    layers = [["1", "4"], ["3"]]
    expected = [tiny(x, names) for x, names in zip(pictures, layers, strict=True)]
    wrong: list[object] = []

    def work(k: int) -> None:
        try:
            for _ in range(150):
                got = tiny(pictures[k], layers[k])
                if list(got) != layers[k] or not all(torch.equal(got[n], expected[k][n]) for n in layers[k]):
                    wrong.append(got)
        except Exception as error:
            wrong.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(k % 2,)) for k in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert hooks_on(tiny.module) == 0


# --- what can be asked for --------------------------------------------------------------------------------


def test_layers_are_listed_with_shapes_in_the_order_they_run(tiny: Network) -> None:
    shapes = {name: layer.shape for name, layer in tiny.layers.items()}
    assert shapes == {
        "0": (4, 224, 224),
        "1": (4, 224, 224),
        "2": (4, 112, 112),
        "3": (6, 112, 112),
        "4": (6, 112, 112),
        "5": (6, 1, 1),
        "6": (6,),
        "7": (10,),
        LOGITS: (10,),
    }
    assert tiny.layers["3"].kind == "Conv2d"
    assert tiny.layers["3"].channels == 6
    assert "network" not in repr(tiny.layers["3"])
    assert "6 × 112 × 112" in repr(tiny.layers)
    got = tiny(noise(1, 3, 224, 224), list(shapes))
    assert {name: tuple(a.shape[1:]) for name, a in got.items()} == shapes


def test_every_listed_layer_can_be_asked_for_and_has_its_shape(squeezenet: Network) -> None:
    with torch.no_grad():
        got = squeezenet(noise(1, 3, 224, 224), squeezenet.layers)
    assert {name: tuple(a.shape[1:]) for name, a in got.items()} == {
        name: layer.shape for name, layer in squeezenet.layers.items()
    }
    assert squeezenet.layers["features.9"].shape == (384, 13, 13)
    assert squeezenet.layers[LOGITS].shape == (1000,) == (len(squeezenet.classes),)
    table = repr(squeezenet.layers)
    assert "features.9 " in table
    assert "features.9.squeeze" not in table  # inside a block


def receptive_field(*layers: tuple[int, int]) -> int:
    """Of a chain of (kernel, stride): each adds (kernel − 1) · the product of the strides before it."""
    field = jump = 1
    for kernel, stride in layers:
        field, jump = field + (kernel - 1) * jump, jump * stride
    return field


def test_receptive_fields_are_those_of_the_formula(squeezenet: Network, vgg: Network, tiny: Network) -> None:
    conv, pool = (3, 1), (2, 2)
    assert tiny.layers["3"].receptive_field == receptive_field(conv, pool, conv) == 8
    relu4_3 = receptive_field(*[conv] * 2, pool, *[conv] * 2, pool, *[conv] * 3, pool, *[conv] * 3)
    assert vgg.layers["features.22"].receptive_field == relu4_3 == 92
    down, fire = (3, 2), (3, 1)  # a fire's longest way is one 3 × 3
    fire5 = receptive_field(down, down, fire, fire, down, fire, fire, down, fire)
    assert squeezenet.layers["features.9"].receptive_field == fire5 == 111
    assert squeezenet.layers["features.9.expand1x1"].receptive_field == 111 - 2 * 16
    # Without padding, the first convolution's 111 windows end one column before the picture does.
    assert squeezenet.layers[LOGITS].receptive_field == 2 * 110 + 3 == 223


def test_receptive_fields_of_other_nonlinearities() -> None:
    for act in (nn.ReLU6(), nn.Hardswish(), nn.GELU(), nn.SiLU(), nn.LeakyReLU(), nn.ELU(), nn.Hardsigmoid()):
        net = Network(
            nn.Sequential(nn.Conv2d(3, 4, 3), act, nn.Conv2d(4, 4, 5, stride=2), act, nn.Conv2d(4, 2, 3))
        )
        assert net.layers["4"].receptive_field == receptive_field((3, 1), (5, 2), (3, 1)) == 11


class Scaled(nn.Module):
    """One convolution, and one ReLU that runs twice; the last step is the test's."""

    def __init__(self, last: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.relu, self.last = nn.Conv2d(3, 4, 3), nn.ReLU(), last

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.relu(self.conv(self.relu(x))))


def one_at_a_time(a: Tensor) -> Tensor:
    if len(a) != 1:
        raise ValueError("the batch must be 1")
    return a.mean(dim=(2, 3))


def test_a_network_that_takes_one_picture_at_a_time() -> None:
    net = Network(Scaled(one_at_a_time), mean=(0, 0, 0), std=(1, 1, 1))
    runs: list[int] = []
    net.module.register_forward_pre_hook(lambda _module, inputs: runs.append(len(inputs[0])))
    image = noise(1, 3, 8, 8)
    for _ in range(2):
        got = net(image, ["relu", "relu:2", LOGITS])
    assert runs == [1, 1]  # it is not tried again
    torch.testing.assert_close(got["relu"], image)
    torch.testing.assert_close(got["relu:2"].mean(dim=(2, 3)), got[LOGITS])
    assert {name: layer.shape for name, layer in net.layers.items()} == {
        "relu": (3, 224, 224),
        "conv": (4, 222, 222),
        "relu:2": (4, 222, 222),
        LOGITS: (4,),
    }
    with pytest.raises(UnknownName, match="'relu' runs 2 times, from 1"):
        net(image, ["relu:3"])
    with pytest.raises(RuntimeError, match=r"takes one picture at a time.*batch=1, and views with count=1"):
        net(noise(2, 3, 8, 8))


def test_layers_are_those_of_the_module_as_it_is() -> None:
    net = Network(nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU()))
    assert list(net.layers) == ["0", "1", LOGITS]
    net.module.append(nn.Conv2d(4, 5, 1))
    assert list(net.layers) == ["0", "1", "2", LOGITS]
    assert net.layers[LOGITS].shape == (5, 224, 224)
    net.module[0] = nn.Conv2d(3, 7, 1)
    net.module[2] = nn.Conv2d(7, 6, 1)
    assert net.layers["1"].shape == (7, 224, 224)
    assert net(noise(1, 3, 8, 8), ["2"])["2"].shape == (1, 6, 8, 8)


def test_a_network_that_runs_at_no_usual_size_learns_from_the_picture() -> None:
    """Until then, a layer's second time may be asked for."""

    def at_100(a: Tensor) -> Tensor:
        if a.shape[2:] != (98, 98):
            raise ValueError("the picture must be 100 px")
        return a

    net = Network(Scaled(at_100), mean=(0, 0, 0), std=(1, 1, 1))
    assert list(net.require(["relu:2", "relu:3"])) == ["relu:2", "relu:3"]
    assert net(noise(2, 3, 100, 100), ["relu:2"])["relu:2"].shape == (2, 4, 98, 98)
    with pytest.raises(UnknownName, match="'relu' runs 2 times, from 1"):
        net.require(["relu:3"])
    with pytest.raises(RuntimeError, match=r"failed on a picture of 64 × 64 px .*input_size=100"):
        net(noise(1, 3, 64, 64))


def test_axes_that_are_not_certain_are_declared_or_refused() -> None:
    """Six channels last, of a map of 6 × 6: nothing tells which is which."""
    module = nn.Sequential(nn.Conv2d(3, 6, 2, 2), nn.AdaptiveAvgPool2d(6), Turned(), nn.Identity())
    image = noise(2, 3, 24, 24)
    with pytest.raises(ValueError, match=r"3 returns \(2, 6, 6, 6\) .* say so: Network"):
        Network(module)(image, ["3"])
    map_ = Network(module)(image, ["1"])["1"]
    for layout in ("NHWC", {"3": "NHWC"}, {"?": "NHWC"}):
        assert torch.equal(Network(module, layout=layout)(image, ["3"])["3"], map_)
    assert torch.equal(Network(module, layout="NCHW")(image, ["3"])["3"], last_to_first(last_to_first(map_)))


class Turned(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1)


# --- wrong input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "error", "words"),
    [
        (torch.zeros(1, 4, 8, 8), ValueError, r"\(N, 3, H, W\) in \[0, 1\]; got \(1, 4, 8, 8\). An RGBA"),
        (torch.zeros(1, 2, 8, 8), ValueError, r"got \(1, 2, 8, 8\)"),
        (torch.zeros(3, 8, 8), ValueError, r"a single picture needs image\[None\]"),
        (torch.zeros(1, 3, 0, 8), ValueError, r"got \(1, 3, 0, 8\)"),
        (torch.zeros(0, 3, 8, 8), ValueError, r"got \(0, 3, 8, 8\)"),
        (np.zeros((1, 3, 8, 8)), ValueError, "got ndarray"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), TypeError, "divide by 255"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.float64), TypeError, "takes pictures of torch.float32"),
        (torch.zeros(1, 3, 8, 8, device="meta"), ValueError, "the picture is on meta, tiny on cpu"),
    ],
)
def test_what_is_no_picture_is_refused(tiny: Network, image: object, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        tiny(image, ["1"])


def test_a_wrong_layer_gives_the_nearest_names(squeezenet: Network, tiny: Network) -> None:
    image = noise(1, 3, 8, 8)
    for ask in (
        lambda: squeezenet(image, ["feature.9"]),
        lambda: squeezenet(image, "feature.9"),
        lambda: squeezenet.layers["feature.9"],
        lambda: squeezenet.require(["features.8", "feature.9"]),
    ):
        with pytest.raises(KeyError, match=r"no layer 'feature.9'; the nearest names are .*'features.9'"):
            ask()
    with pytest.raises(UnknownName, match="nearest names are"):
        tiny(image, [""])
    with pytest.raises(UnknownName, match="no layer 3; the nearest names are '3'"):
        tiny(image, [3])


def test_one_layer_may_be_asked_for_by_its_bare_name(squeezenet: Network) -> None:
    image = noise(1, 3, 32, 32)
    (got,) = squeezenet(image, "features.1").values()
    assert torch.equal(got, squeezenet(image, ["features.1"])["features.1"])


def test_a_layer_that_never_runs_is_named() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Identity(), nn.Identity()

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x)

    net = Network(Idle(), name="idle one")
    with pytest.raises(UnknownName, match="idle one never runs idle in eval mode"):
        net(noise(1, 3, 4, 4), ["used", "idle"])
    assert hooks_on(net.module) == 0
    assert "idle" not in net.layers


def test_a_network_that_returns_a_tuple_says_so_and_gives_its_inner_layers() -> None:
    class Pair(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 2, 1)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
            return self.conv(x), x

    image = noise(1, 3, 4, 4)
    for net, name in ((Network(Pair()), LOGITS), (Network(nn.Sequential(Pair())), "0")):
        with pytest.raises(
            TypeError, match=f"{name} of .* returns a tuple, not a tensor; ask for a layer inside"
        ):
            net(image, [name])
        inner = "conv" if name == LOGITS else "0.conv"
        assert net(image, [inner])[inner].shape == (1, 2, 4, 4)
        assert set(net.layers) == {inner}
        assert hooks_on(net.module) == 0


@pytest.mark.parametrize(
    ("mean", "std", "words"),
    [
        ((0.5, 0.5), (0.5, 0.5), "three numbers each, for red, green and blue, or one number each"),
        ((0.5, 0.5, 0.5, 0.5), (0.5,) * 4, "three numbers each"),
        ((0.5,) * 3, (0.5, 0.5), "three numbers each"),
        (torch.full((3,), 0.5), 0.0, "std above 0"),
        ((float("nan"),) * 3, (0.5,) * 3, "mean must be finite"),
        ((123.675, 116.28, 103.53), (58.4, 57.1, 57.4), "divide both by 255"),
        (torch.tensor(33.0), 78.0, "divide both by 255"),
    ],
)
def test_a_normalisation_that_makes_no_sense_is_refused(mean: object, std: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Network(nn.Identity(), mean=mean, std=std)


def test_a_network_in_double_precision_takes_such_pictures(tiny: Network) -> None:
    image = noise(1, 3, 8, 8, dtype=torch.float64)
    got = copy.deepcopy(tiny).double()(image)[LOGITS]
    torch.testing.assert_close(got.float(), tiny(image.float())[LOGITS], rtol=1e-4, atol=1e-5)


# --- by name ----------------------------------------------------------------------------------------------


def test_a_wrong_network_or_weights_gives_names() -> None:
    with pytest.raises(
        KeyError, match=r"no network 'resnet81'; the nearest names are .*'resnet18'.*list_models"
    ):
        load_network("resnet81", "cpu")
    with pytest.raises(
        KeyError, match="resnet18 has no weights 'IMAGENET'; there are IMAGENET1K_V1, DEFAULT"
    ):
        load_network("resnet18", "cpu", weights="IMAGENET")


@pytest.mark.parametrize("error", [urllib.error.URLError("no route"), RuntimeError('invalid hash value "1"')])
def test_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", fail)
    entry = torchvision.models.ShuffleNet_V2_X0_5_Weights.DEFAULT
    with pytest.raises(OSError, match="the weights of shufflenet_v2_x0_5 could not be downloaded") as caught:
        load_network("shufflenet_v2_x0_5", "cpu")
    assert entry.url in str(caught.value)
    assert "weights=None gives random weights" in str(caught.value)
    assert caught.value.__cause__ is error


def test_weights_are_read_without_executing_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict] = []
    state = as_if_trained(torchvision.models.shufflenet_v2_x0_5(weights=None)).state_dict()
    monkeypatch.setattr(
        torchvision.models.WeightsEnum, "get_state_dict", lambda _, **options: asked.append(options) or state
    )
    net = load_network("shufflenet_v2_x0_5", "cpu", weights="IMAGENET1K_V1")
    assert asked == [{"progress": False, "check_hash": True, "weights_only": True}]
    plain = torchvision.models.shufflenet_v2_x0_5(weights=None).eval()
    plain.load_state_dict(state)
    image = noise(2, 3, 64, 64)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.no_grad():
        expected = plain((image - mean) / std)
    assert (net(image)[LOGITS] - expected).norm() < 1e-4 * expected.norm()
    assert net.loaded_as == {"name": "shufflenet_v2_x0_5", "weights": "IMAGENET1K_V1"}


def test_googlenets_weights_get_the_input_that_torchvision_gives_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They were trained on another normalisation, which torchvision's module applies when it loads them."""
    build = torchvision.models.googlenet
    state = as_if_trained(build(weights=None, init_weights=False, aux_logits=True)).state_dict()
    monkeypatch.setattr(torchvision.models.WeightsEnum, "get_state_dict", lambda *_, **__: state)
    plain = build(weights=torchvision.models.GoogLeNet_Weights.IMAGENET1K_V1).eval()
    image = noise(1, 3, 64, 64)
    with torch.no_grad():
        expected = plain(
            torchvision.transforms.functional.normalize(image, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        )
        untouched = plain(image)
    got = load_network("googlenet", "cpu")(image)[LOGITS]
    assert (untouched - expected).norm() > 0.05 * expected.norm()  # the input matters
    assert (got - expected).norm() < 1e-4 * expected.norm()


def test_random_weights_are_the_same_each_time_and_the_global_generator_is_untouched() -> None:
    before = torch.get_rng_state()
    one = load_network("shufflenet_v2_x0_5", "cpu", weights=None)
    torch.manual_seed(5)
    two = load_network("shufflenet_v2_x0_5", "cpu", weights=None)
    torch.set_rng_state(before)
    for name in ("squeezenet1_1", "vgg16", "inception_v3"):
        load_network(name, "cpu")
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert torch.equal(one(noise(1, 3, 32, 32))[LOGITS], two(noise(1, 3, 32, 32))[LOGITS])


def test_loading_the_embedded_networks_asks_for_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    for name in ("squeezenet1_1", "vgg16", "inception_v3"):
        net = load_network(name, "cpu")
        assert net.name == name
        assert net.loaded_as == {"name": name, "weights": "embedded"}


# --- batch norm folded ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "norms"), [("resnet18", 20), ("googlenet", 57)])
def test_folded_batch_norm_computes_the_same(name: str, norms: int) -> None:
    options = {"init_weights": False, "aux_logits": False} if name == "googlenet" else {}
    module = as_if_trained(torchvision.models.get_model(name, weights=None, **options))
    folded = copy.deepcopy(module)
    assert fold_batch_norm(folded) == norms
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    assert {n for n, _ in folded.named_modules()} == {n for n, _ in module.named_modules()}
    image = noise(2, 3, 64, 80)
    inner = {"resnet18": ["bn1", "layer1.1.bn2", "layer3"], "googlenet": ["conv1.bn", "inception4a"]}[name]
    plain, fast = by_plain_hooks(module, image, inner), by_plain_hooks(folded, image, inner)
    for layer, expected in plain.items():
        error = (fast[layer] - expected).norm() / expected.norm()
        assert expected.norm() > 0
        assert error < 1e-4, layer


def test_only_a_norm_that_a_convolution_alone_feeds_is_folded() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.conv1, self.conv2 = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
            self.bn1, self.bn2 = nn.BatchNorm2d(4), nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv1(self.before(x))
            return self.bn2(self.conv2(self.bn1(y).relu())) + y  # y has two users

    module = as_if_trained(Mixed())
    folded = copy.deepcopy(module)
    assert fold_batch_norm(folded) == 1
    assert isinstance(folded.bn1, nn.BatchNorm2d)
    assert isinstance(folded.before, nn.BatchNorm2d)
    image = noise(1, 3, 5, 5)
    torch.testing.assert_close(folded(image), module(image), rtol=1e-4, atol=1e-5)


def test_a_convolution_with_two_norms_is_left_alone() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn1, self.bn2 = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.bn2(self.conv(self.bn1(self.conv(x))))

    module = as_if_trained(Shared())
    folded = copy.deepcopy(module)
    assert fold_batch_norm(folded) == 0
    assert torch.equal(folded(noise(1, 3, 4, 4)), module(noise(1, 3, 4, 4)))


# --- transformers and networks that carry channels last ---------------------------------------------------


def test_tokens_are_maps_without_the_class_token() -> None:
    module = torchvision.models.VisionTransformer(
        image_size=48, patch_size=8, num_layers=2, num_heads=2, hidden_dim=12, mlp_dim=24, num_classes=7
    )
    net = Network(module, input_size=48, mean=(0, 0, 0), std=(1, 1, 1))
    image = noise(2, 3, 48, 48)
    name = "encoder.layers.encoder_layer_1"
    raw = by_plain_hooks(module, image, [name, "conv_proj"])
    got = net(image, ["conv_proj", name, LOGITS])
    assert raw[name].shape == (2, 1 + 36, 12)
    assert got[name].shape == (2, 12, 6, 6)
    for y, x in ((0, 0), (0, 5), (3, 2), (5, 5)):
        torch.testing.assert_close(got[name][:, :, y, x], raw[name][:, 1 + 6 * y + x], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(got["conv_proj"], raw["conv_proj"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(got[LOGITS], raw[LOGITS], rtol=1e-5, atol=1e-6)
    assert net.layers[name].shape == (12, 6, 6)
    assert net.layers[name].receptive_field == 48
    assert net(noise(1, 3, 100, 60), [name])[name].shape == (1, 12, 6, 6)  # resized to the size it takes


def last_to_first(activation: Tensor) -> Tensor:
    return activation.permute(0, 3, 1, 2)


def test_swin_is_turned_to_channels_first_where_it_carries_them_last() -> None:
    module = torchvision.models.SwinTransformer(
        patch_size=[4, 4], embed_dim=8, depths=[2, 1], num_heads=[2, 2], window_size=[2, 2], num_classes=7
    )
    net = Network(module, mean=(0, 0, 0), std=(1, 1, 1))
    image = noise(2, 3, 32, 40)
    last = [
        "features.0",
        "features.0.1",
        "features.1.0",
        "features.1.1.mlp.0",
        "features.2",
        "features.3",
        "norm",
    ]
    first = ["features.0.0", "permute", "avgpool"]
    raw, got = by_plain_hooks(module, image, last + first), net(image, [*last, *first, LOGITS])
    for name in last:
        torch.testing.assert_close(got[name], last_to_first(raw[name]), rtol=1e-4, atol=1e-6)
    for name in [*first, LOGITS]:
        torch.testing.assert_close(got[name], raw[name], rtol=1e-4, atol=1e-6)
    assert got["features.1.0"].shape == (2, 8, 8, 10)
    assert got["features.0.0"].shape == (2, 8, 8, 10)
    assert net.layers["avgpool"].shape == (16, 1, 1)


def test_convnext_is_turned_to_channels_first_inside_its_blocks() -> None:
    settings = [CNBlockConfig(8, 12, 1), CNBlockConfig(12, None, 1)]
    module = torchvision.models.ConvNeXt(settings, num_classes=7)
    net = Network(module, mean=(0, 0, 0), std=(1, 1, 1))
    image = noise(2, 3, 32, 40)
    block = "features.1.0.block"
    last, first = [f"{block}.{i}" for i in range(1, 6)], [f"{block}.0", f"{block}.6", block, "features.3"]
    raw, got = by_plain_hooks(module, image, last + first), net(image, [*last, *first, LOGITS])
    for name in last:
        torch.testing.assert_close(got[name], last_to_first(raw[name]), rtol=1e-4, atol=1e-5)
    for name in [*first, LOGITS]:
        torch.testing.assert_close(got[name], raw[name], rtol=1e-4, atol=1e-5)
    assert got[f"{block}.3"].shape == (2, 32, 8, 10)
    assert net.layers["features.1.0"].receptive_field == receptive_field((4, 4), (7, 1)) == 28


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("convnext_tiny", "features.3.0", (192, 8, 8)),
        ("swin_t", "features.3.0", (192, 8, 8)),
        ("vit_b_32", "encoder.layers.encoder_layer_0", (768, 7, 7)),
    ],
)
def test_networks_of_torchvision_run_by_name(name: str, layer: str, shape: tuple[int, ...]) -> None:
    net = load_network(name, "cpu", weights=None)
    image = noise(1, 3, 64, 64).requires_grad_(True)
    got = net(image, [layer])[layer]
    assert got.shape == (1, *shape)
    assert got.isfinite().all()
    (gradient,) = torch.autograd.grad(got.square().mean(), image)
    assert gradient.abs().max() > 0
    assert len(net.classes) == 1000


# --- dead ReLUs -------------------------------------------------------------------------------------------


def gradient_of(values: Tensor, x: Tensor) -> Tensor:
    """Of what is minimised: −objective."""
    return torch.autograd.grad(-values.sum(), x)[0]


@pytest.mark.parametrize(
    "relu", [F.relu, torch.relu, Tensor.relu, nn.ReLU(), lambda x: F.relu(x, inplace=True)]
)
def test_a_dead_unit_gets_a_gradient_inside_the_block_only(relu: object) -> None:
    x = -noise(2, 3, 4, 4) - 0.1
    leaf = x.clone().requires_grad_(True)

    def through() -> Tensor:
        return relu(leaf * 1)  # * 1, for a leaf may not be changed in place

    assert gradient_of(through(), leaf).abs().max() == 0
    with redirected_relu():
        inside = through()
    assert torch.equal(inside, torch.zeros_like(x))  # what it computes is the same
    assert torch.equal(gradient_of(inside, leaf), torch.full_like(x, -1))  # descent raises x
    with redirected_relu(active=False):
        assert gradient_of(through(), leaf).abs().max() == 0
    assert gradient_of(through(), leaf).abs().max() == 0


def test_live_pictures_get_the_plain_gradient_each_for_itself() -> None:
    x = noise(3, 2, 5, 5) - 0.5
    x[1] = -x[1].abs() - 0.1  # the second picture is dead
    x = x.requires_grad_(True)
    weights = noise(3, 2, 5, 5) - 0.3
    plain = gradient_of(F.relu(x) * weights, x)
    with redirected_relu():
        got = gradient_of(F.relu(x) * weights, x)
    assert torch.equal(got[0], plain[0])
    assert torch.equal(got[2], plain[2])
    assert plain[1].abs().max() == 0
    # Where descent would push a negative unit further down, nothing passes.
    assert torch.equal(got[1], -weights[1].clamp(min=0))


def test_a_live_picture_whose_gradient_lies_on_its_dead_units_only_is_redirected() -> None:
    x = torch.tensor([[-1.0, 2.0, -3.0]], requires_grad=True)
    with redirected_relu():
        got = gradient_of(F.relu(x) * torch.tensor([1.0, 0.0, -1.0]), x)
    assert got.tolist() == [[-1.0, 0.0, 0.0]]


def test_infinite_gradients_of_dead_units_do_not_become_nan() -> None:
    x = torch.tensor([[-1.0, 2.0]], requires_grad=True)
    for active in (False, True):
        with redirected_relu(active):
            got = gradient_of(F.relu(x) * torch.tensor([math.inf, 1.0]), x)
        assert got.tolist() == [[0.0, -1.0]]


def test_the_redirection_ends_after_an_error_and_holds_on_this_thread_only() -> None:
    x = torch.tensor([[-1.0]], requires_grad=True)
    elsewhere: list[Tensor] = []

    def fail() -> None:
        thread = threading.Thread(target=lambda: elsewhere.append(gradient_of(F.relu(x), x)))
        thread.start()
        thread.join()
        raise ArithmeticError

    with pytest.raises(ArithmeticError), redirected_relu():
        fail()
    assert elsewhere[0].item() == 0
    assert gradient_of(F.relu(x), x).item() == 0
    flat = torch.tensor([-1.0, 2.0], requires_grad=True)
    with redirected_relu():  # a tensor of one axis: each entry is a picture
        assert gradient_of(F.relu(flat), flat).tolist() == [-1.0, -1.0]


def test_a_dead_channel_of_a_network_comes_to_life(tiny: Network) -> None:
    tiny.module[0].bias.data[2] = -100
    image = noise(2, 3, 8, 8).requires_grad_(True)
    before = copy.deepcopy(tiny.state_dict())

    def gradient() -> Tensor:
        return gradient_of(tiny(image, ["1"])["1"][:, 2].mean(dim=(1, 2)), image)

    assert gradient().abs().max() == 0
    with redirected_relu():
        live = gradient()
    assert live.abs().amax(dim=(1, 2, 3)).min() > 0
    assert gradient().abs().max() == 0
    assert all(torch.equal(v, before[k]) for k, v in tiny.state_dict().items())


def test_bfloat16_computes_what_float32_does_with_three_digits() -> None:
    """Pictures, activations and gradients stay float32; what it was loaded as loads it again."""
    exact, coarse = load_network("squeezenet1_1"), load_network("squeezenet1_1", precision="bfloat16")
    assert (exact.dtype, coarse.dtype) == (torch.float32, torch.bfloat16)
    image = assets.picture("chelsea", 96).requires_grad_()
    pairs = []
    for network in (exact, coarse):
        a = network(image, ["features.9"])["features.9"]
        (gradient,) = torch.autograd.grad(a.mean(), image)
        assert a.dtype == gradient.dtype == torch.float32
        pairs.append((a.detach(), gradient))
    for one, other, bound in zip(*pairs, (0.05, 0.3), strict=True):  # ReLUs' ties decide about gradients
        assert 1e-4 < (one - other).norm() / one.norm() < bound  # near, but no float32 in disguise
    assert load_network(**coarse.loaded_as).dtype == torch.bfloat16
    with pytest.raises(ValueError, match="precision must be 'float32' or 'bfloat16'; got 'int8'"):
        load_network("squeezenet1_1", precision="int8")
