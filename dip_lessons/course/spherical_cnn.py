"""A small CNN on the sphere that turns with what it sees, a planar rival, and digits on a hemisphere to train both.

Channels are functions on the sphere up to a degree L. Inside the network they are coefficients (K, B, C) with
K = (L+1)², in the order of ``spherical_harmonics``. A layer is a zonal convolution, which multiplies each degree by a
matrix of its own; a normalisation; and a nonlinearity at the points of a grid, after which only the degrees of the
next layer are kept.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from .. import assets
from ..networks import LOGITS
from ..networks.layers import UnknownName, no_such
from ..sphere.harmonics import analyze, degrees, directions, legendre, synthesize

AREA = 4 * math.pi  # of the unit sphere


def digits(split: str) -> tuple[Tensor, Tensor]:
    """Handwritten digits, the first of MNIST: pictures (n, 28, 28) in [0, 1] and labels (n,).

    Args:
        split: ``"train"``, 6,000 of them, or ``"test"``, 1,000.

    Raises ValueError for another split, AssetError where the file cannot be had.

    **Source:** LeCun, Bottou, Bengio and Haffner, *Gradient-based learning applied to document recognition* (1998).

    >>> from dip_lessons.course.spherical_cnn import digits
    >>> pictures, labels = digits("test")
    >>> pictures.shape, labels[:5]
    (torch.Size([1000, 28, 28]), tensor([7, 2, 1, 0, 4]))
    """
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test'; got {split!r}")
    stored = assets.arrays("digits/mnist.npz")
    pictures = torch.from_numpy(stored[f"{split}_images"]).float() / 255
    return pictures, torch.from_numpy(stored[f"{split}_labels"]).long()


def on_hemisphere(pictures: Tensor, degree: int) -> Tensor:
    """Pictures laid over the north pole, up to a degree.

    The point (x, y, z) shows the picture at (y, x) / (1 + z), counted from its middle in half sides to the right and
    down: the stereographic projection from the south pole. The equator touches the four sides of the picture; beyond
    them the sphere is 0.

    Args:
        pictures: (n, S, S).
        degree: L.

    Returns the coefficients (n, (L+1)²).

    **Source:** Cohen, Geiger, Köhler and Welling, *Spherical CNNs* (2018), §5.2.

    >>> from dip_lessons.course.spherical_cnn import digits, on_hemisphere
    >>> pictures, labels = digits("test")
    >>> on_hemisphere(pictures[:2], degree=15).shape
    torch.Size([2, 256])
    """
    return pictures.flatten(1) @ _of_each_pixel(*pictures.shape[-2:], degree).to(pictures)


@lru_cache(maxsize=4)
@torch.inference_mode(False)
def _of_each_pixel(height: int, width: int, degree: int) -> Tensor:
    """The coefficients of each pixel alone, (pixels, (L+1)²): all of it is linear."""
    x, y, z = directions((128, 256))  # finer than the pixels of a digit
    position = torch.stack([y, x], dim=-1) / (1 + z)[..., None]
    pixels = torch.eye(height * width, dtype=torch.float32, device="cpu").view(1, -1, height, width)
    return analyze(F.grid_sample(pixels, position[None], align_corners=False)[0], degree)


class SphereGrid(nn.Module):
    """A grid with the rows of Gauss and Legendre; the way to it from coefficients up to one degree, and back to others.

    It gives what ``synthesize`` and ``analyze`` give. For many functions of few degrees, one matrix product along
    parallels and one along meridians take a quarter of the time of their Fourier transforms.

    Args:
        degree: L of what comes to the grid.
        keep: the highest degree of what goes back.
        oversampling: H = ceil(oversampling · (L+1)) rows and 2H columns. 1 is enough to tell functions up to L apart,
            but a nonlinearity makes higher degrees of them.

    Raises ValueError for an oversampling below 1.

    >>> from dip_lessons.course.spherical_cnn import SphereGrid
    >>> grid, c = SphereGrid(3, 2), torch.arange(16.0)[:, None]
    >>> f = grid.synthesize(c)
    >>> grid.size, f.shape, grid.mean(f).shape  # columns first, channels last
    ((4, 8), torch.Size([8, 4, 1]), torch.Size([1]))
    >>> torch.allclose(grid.analyze(f), c[:9], atol=1e-4)  # up to degree 2
    True
    """

    place: Tensor
    meridians: Tensor
    waves: Tensor
    waves_back: Tensor
    meridians_back: Tensor
    back: Tensor
    weight: Tensor

    def __init__(self, degree: int, keep: int, *, oversampling: float = 1.0) -> None:
        super().__init__()
        if not oversampling >= 1:
            raise ValueError(
                f"oversampling must be 1 or more, or coefficients are lost; got {oversampling!r}"
            )
        height = math.ceil(oversampling * (max(degree, keep) + 1))
        self.degree, self.size = degree, (height, 2 * height)
        rows, weights = (torch.from_numpy(x).flip(0) for x in np.polynomial.legendre.leggauss(height))
        theta = rows.acos()
        phi = math.pi * (torch.arange(2 * height, dtype=torch.float64) + 0.5) / height
        weight = weights * math.pi / height  # what a point of each row counts in an integral: 4π in all

        def tables(degree: int) -> tuple[Tensor, Tensor]:
            """cos and sin mφ, (2L+1, W), and P̄_l^|m|, (2L+1, H, L+1)."""
            m = torch.arange(-degree, degree + 1)[:, None]
            waves = torch.where(m < 0, (m.abs() * phi).sin(), (m * phi).cos()) * math.sqrt(2)
            waves[degree] = 1
            return waves, legendre(degree, theta)[:, m[:, 0].abs()].permute(1, 2, 0)

        l, m = torch.arange(degree + 1), torch.arange(-degree, degree + 1)[:, None]
        # Of c_lm among the coefficients; one past the last where there is none.
        place = torch.where(m.abs() <= l, l * l + l + m, (degree + 1) ** 2)
        back = torch.cat([(torch.arange(-i, i + 1) + keep) * (keep + 1) + i for i in range(keep + 1)])
        (waves, meridians), (waves_back, meridians_back) = tables(degree), tables(keep)
        for name, table in {
            "place": place.flatten(),
            "meridians": meridians.float(),
            "waves": waves.T.float(),
            "waves_back": waves_back.float(),
            "meridians_back": (meridians_back * weight[:, None]).mT.float(),
            "back": back,
            "weight": weight.float(),
        }.items():
            self.register_buffer(name, table.contiguous(), persistent=False)

    def synthesize(self, c: Tensor) -> Tensor:
        """The values of functions: (K, …) to (W, H, …)."""
        padded = F.pad(c.flatten(1), (0, 0, 0, 1))
        c_ml = padded[self.place].unflatten(0, (-1, self.degree + 1))  # (M, L+1, N)
        values = self.waves @ (self.meridians @ c_ml).flatten(1)  # (W, H·N)
        return values.view(*reversed(self.size), *c.shape[1:])

    def analyze(self, values: Tensor) -> Tensor:
        """The coefficients of functions, up to ``keep``: (W, H, …) to (K, …)."""
        c_m = (self.waves_back @ values.flatten(1)).unflatten(1, (self.size[0], -1))  # (M, H, N)
        return (self.meridians_back @ c_m).flatten(0, 1)[self.back].unflatten(1, values.shape[2:])

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the sphere, 1/4π ∫ f dn: (W, H, …) to (…)."""
        return torch.einsum("wh...,h->...", values, self.weight) / AREA


class ZonalConvolution(nn.Module):
    """(f ∗ h)(n) = ∫ h(n·n′) f(n′) dn′ for filters that look the same from all sides: c_lm becomes w_l c_lm.

    w_l = √(4π/(2l+1)) h_l, with h_l the coefficient of Y_l^0 in the filter. Weights are learned at a few anchors
    and interpolated in between: smooth in degree is small on the sphere.

    Args:
        inputs, outputs: numbers of channels; each pair has a filter of its own.
        degree: L.
        anchors: the number of anchors, spread evenly over the degrees from 0 to L, at most L + 1.
        generator: the first weights are drawn from it.

    **Source:** Esteves, Allen-Blanchette, Makadia and Daniilidis, *Learning SO(3) Equivariant Representations with
    Spherical CNNs* (2018), §3.2 (the theorem of Driscoll and Healy) and §4.1 (localized filters).

    >>> from dip_lessons.course.spherical_cnn import ZonalConvolution
    >>> convolution = ZonalConvolution(2, 5, degree=3, generator=torch.Generator().manual_seed(0))
    >>> convolution(torch.ones(16, 1, 2)).shape, convolution.transfer().shape  # (K, B, channels)
    (torch.Size([16, 1, 5]), torch.Size([4, 2, 5]))
    """

    hats: Tensor
    l: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        degree: int,
        *,
        anchors: int = 8,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        anchors = min(anchors, degree + 1)
        start = torch.randn(anchors, inputs, outputs, generator=generator) * math.sqrt(2 / inputs)
        self.anchors = nn.Parameter(start)
        at = torch.arange(degree + 1) * (anchors - 1) / max(degree, 1)
        hats = (1 - (at[:, None] - torch.arange(anchors)).abs()).clamp(min=0)  # (L+1, anchors)
        self.register_buffer("hats", hats, persistent=False)
        self.register_buffer("l", degrees(degree), persistent=False)

    def transfer(self) -> Tensor:
        """w_l, (L+1, inputs, outputs)."""
        return torch.einsum("la,aio->lio", self.hats, self.anchors)

    def forward(self, c: Tensor) -> Tensor:
        """(K, B, inputs) to (K, B, outputs); degrees above L are dropped."""
        return c[: len(self.l)] @ self.transfer()[self.l]


class SphereNorm(nn.Module):
    """Batch normalisation whose mean and variance are integrals over the sphere: turning changes neither.

    The mean of f is c_00/√4π, and by Parseval the mean of f² is Σ c_lm²/4π.

    Args:
        channels: how many.

    **Source:** Ioffe and Szegedy, *Batch Normalization* (2015).

    >>> from dip_lessons.course.spherical_cnn import SphereNorm
    >>> c = torch.arange(8.0).view(4, 2, 1)  # two functions of one channel, up to degree 1
    >>> normal = SphereNorm(1)(c)
    >>> mean, square = normal[0].mean() / (4 * torch.pi) ** 0.5, normal.square().sum(dim=0).mean() / (4 * torch.pi)
    >>> abs(round(mean.item(), 3)), round(square.item(), 3)
    (0.0, 1.0)
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, c: Tensor) -> Tensor:
        mean, variance = self.mean, self.variance
        if self.training:
            mean = c[0].mean(dim=0) / math.sqrt(AREA)
            variance = c.square().sum(dim=0).mean(dim=0) / AREA - mean**2
            self.mean = self.mean.lerp(mean.detach(), 0.1)
            self.variance = self.variance.lerp(variance.detach(), 0.1)
        scale = self.gain / (variance + 1e-5).sqrt()
        shift = (self.bias - scale * mean) * math.sqrt(AREA)  # a constant is degree 0
        return torch.cat([c[:1] * scale + shift, c[1:] * scale])


class _Classifier(nn.Module):
    """What both networks share: coefficients (B, K) in, logits (B, 10) out, and their insides by name."""

    degree: int
    depth: int

    def steps(self, c: Tensor) -> Iterator[tuple[str, Tensor]]:
        """The names of what can be asked for and their values, in the order in which they run.

        >>> from dip_lessons.course.spherical_cnn import PlanarCNN
        >>> network = PlanarCNN(channels=[8]).eval()
        >>> network.layers
        ['layer1', 'layer1.mean', 'logits']
        >>> [tuple(value.shape) for name, value in network.steps(torch.zeros(2, 256))]
        [(2, 8, 32, 64), (2, 8), (2, 10)]
        """
        raise NotImplementedError

    def forward(self, c: Tensor) -> Tensor:
        """Logits (B, classes) of functions given by their coefficients (B, (L+1)²)."""
        *_, (_, logits) = self.steps(c)
        return logits

    @property
    def layers(self) -> list[str]:
        """The names that ``activations`` takes."""
        numbered = range(1, self.depth + 1)
        return [*itertools.chain(*((f"layer{i}", f"layer{i}.mean") for i in numbered)), LOGITS]

    def activations(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """What an objective asks of a network, ``(image, layers) -> {layer: activation}``: hand it to ``optimize``.

        Args:
            image: equirectangular pictures (N, 1, H, W) in [0, 1], more than 2L rows and columns.
            layers: ``"layer1"``, … (N, C, h, w), after the nonlinearity; ``"layer1.mean"``, …, their means (N, C), over
                the sphere, or of a planar network over its map; ``"logits"`` (N, classes).

        Raises KeyError for another layer, ValueError for pictures of another shape.

        >>> from dip_lessons.course.spherical_cnn import load_trained
        >>> picture = dip.SphericalHarmonics(32, channels=1)
        >>> run = dip.optimize(picture, dip.logit(3), load_trained().activations, steps=4)  # towards a three
        >>> run.finish().history[-1] > run.history[0]
        True
        """
        wanted = list(layers)
        for name in wanted:
            if name not in self.layers:
                raise UnknownName(no_such("layer", name, self.layers, "network.layers"))
        if image.ndim != 4 or image.shape[1] != 1 or min(image.shape[-2:]) <= 2 * self.degree:
            raise ValueError(
                f"grey pictures (N, 1, H, W) with more than {2 * self.degree} rows and columns were expected; got "
                f"{tuple(image.shape)}. dip.SphericalHarmonics(…, channels=1) makes them"
            )
        found: dict[str, Tensor] = {}
        for name, value in self.steps(analyze(image[:, 0], self.degree)):
            if name in wanted:
                found[name] = value
            if len(found) == len(set(wanted)):
                break
        return {name: found[name] for name in wanted}


class SphericalBlock(nn.Module):
    """Zonal convolution, norm, ReLU on a grid; spectral pooling: only degrees up to ``keep`` go on.

    Args:
        inputs, outputs: numbers of channels.
        degree: L of what comes in.
        keep: of what goes on.
        anchors: see :class:`ZonalConvolution`.
        oversampling: see :class:`SphereGrid`.
        generator: the first weights are drawn from it.

    >>> from dip_lessons.course.spherical_cnn import SphericalBlock
    >>> block = SphericalBlock(
    ...     1, 4, 3, 2, anchors=4, oversampling=1.0, generator=torch.Generator().manual_seed(0)
    ... )
    >>> values, mean, c = block(torch.ones(16, 5, 1))
    >>> values.shape, mean.shape, c.shape
    (torch.Size([8, 4, 5, 4]), torch.Size([5, 4]), torch.Size([9, 5, 4]))
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        degree: int,
        keep: int,
        *,
        anchors: int,
        oversampling: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.convolution = ZonalConvolution(inputs, outputs, degree, anchors=anchors, generator=generator)
        self.norm = SphereNorm(outputs)
        self.grid = SphereGrid(degree, keep, oversampling=oversampling)

    def forward(self, c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(K, B, inputs) to the values on the grid (W, H, B, outputs), their means (B, outputs), coefficients."""
        values = self.grid.synthesize(self.norm(self.convolution(c)))
        f = values.clamp(min=0)  # not F.relu: `redirected_relu` takes the first axis for pictures
        return f, self.grid.mean(f), self.grid.analyze(f)


class SphericalCNN(_Classifier):
    """Blocks of zonal convolution, norm and ReLU, with fewer and fewer degrees; the mean over the sphere; a linear map.

    All but the ReLU commutes with rotations exactly. The ReLU makes degrees that its grid cannot tell from lower ones;
    ``oversampling`` makes the grid finer.

    Args:
        degrees: L of each layer, none above the one before.
        channels: of each layer.
        classes: the number of logits.
        anchors: of each filter, see :class:`ZonalConvolution`.
        oversampling: of each layer's grid, see :class:`SphereGrid`; :meth:`oversample` sets it later.
        generator: the first weights are drawn from it; None stands for a fresh one with seed 0.

    >>> from dip_lessons.course.spherical_cnn import digits, load_trained, on_hemisphere
    >>> network, (pictures, labels) = load_trained("spherical"), digits("test")
    >>> seven = on_hemisphere(pictures[:1], degree=15)
    >>> turn = dip.spherical_harmonics.random_rotations(1, torch.Generator().manual_seed(0))[0]
    >>> turned = dip.spherical_harmonics.rotate(seven, turn)
    >>> labels[0].item(), network(seven).argmax().item(), network(turned).argmax().item()
    (7, 7, 7)
    """

    def __init__(
        self,
        degrees: Sequence[int] = (15, 12, 9, 6),
        channels: Sequence[int] = (16, 24, 32, 48),
        *,
        classes: int = 10,
        anchors: int = 8,
        oversampling: float = 1.5,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if len(degrees) != len(channels) or sorted(degrees, reverse=True) != list(degrees):
            raise ValueError(
                f"degrees and channels need one number a layer, degrees not growing; got {degrees} and {channels}"
            )
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        self.degrees, self.degree, self.depth = tuple(degrees), degrees[0], len(degrees)
        sizes = zip((1, *channels), channels, degrees, (*degrees[1:], 0), strict=False)
        self.blocks = nn.ModuleList(
            SphericalBlock(i, o, l, keep, anchors=anchors, oversampling=oversampling, generator=generator)
            for i, o, l, keep in sizes
        )
        self.head = skip_init(nn.Linear, channels[-1], classes)
        with torch.no_grad():
            self.head.weight.normal_(0, channels[-1] ** -0.5, generator=generator)
            self.head.bias.zero_()

    def oversample(self, factor: float) -> SphericalCNN:
        """Compute every ReLU on a finer or coarser grid from now on. Raises ValueError below 1.

        >>> from dip_lessons.course.spherical_cnn import SphericalCNN
        >>> network = SphericalCNN(degrees=(7, 5), channels=(4, 8))
        >>> network.blocks[0].grid.size, network.oversample(3).blocks[0].grid.size
        ((12, 24), (24, 48))
        """
        for block, l, keep in zip(self.blocks, self.degrees, (*self.degrees[1:], 0), strict=True):
            block.grid = SphereGrid(l, keep, oversampling=factor).to(self.head.weight.device)
        return self

    def steps(self, c: Tensor) -> Iterator[tuple[str, Tensor]]:
        x = c.T[:, :, None]  # (K, B, 1)
        for i, block in enumerate(self.blocks, 1):
            f, mean, x = block(x)
            yield f"layer{i}", f.permute(2, 3, 1, 0)
            yield f"layer{i}.mean", mean
        yield LOGITS, self.head(mean)


class PlanarCNN(_Classifier):
    """An ordinary CNN on the equirectangular picture: 3 × 3 convolutions, batch norm, ReLU, pooling by 2, a linear map.

    Beyond the poles lie zeros.

    Args:
        size: (H, W) of the picture that it is shown.
        channels: of each layer.
        closed: whether the picture closes at ±180°, longitudes padded around; if not, zeros lie there, too.
        degree: of what it is given; see :class:`SphericalCNN`.
        classes, generator: see :class:`SphericalCNN`.

    >>> from dip_lessons.course.spherical_cnn import PlanarCNN
    >>> network = PlanarCNN().eval()
    >>> network(torch.zeros(2, 256)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        size: tuple[int, int] = (32, 64),
        channels: Sequence[int] = (16, 24, 32),
        *,
        closed: bool = True,
        degree: int = 15,
        classes: int = 10,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0) if generator is None else generator
        self.size, self.degree, self.depth = size, degree, len(channels)
        self.beyond = "circular" if closed else "constant"
        pairs = zip((1, *channels), channels, strict=False)
        # skip_init: the weights that these draw for themselves come from the global generator.
        self.convolutions = nn.ModuleList(skip_init(nn.Conv2d, i, o, 3, bias=False) for i, o in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(n) for n in channels)
        height, width = (n // 2**self.depth for n in size)
        self.head = skip_init(nn.Linear, channels[-1] * height * width, classes)
        with torch.no_grad():
            for part in (*self.convolutions, self.head):
                part.weight.normal_(0, (2 / part.weight[0].numel()) ** 0.5, generator=generator)
            self.head.bias.zero_()

    def steps(self, c: Tensor) -> Iterator[tuple[str, Tensor]]:
        x = synthesize(c, self.size)[:, None]  # (B, 1, H, W)
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True), 1):
            around = F.pad(F.pad(x, (1, 1, 0, 0), mode=self.beyond), (0, 0, 1, 1))
            x = F.relu(norm(convolution(around)))
            yield f"layer{i}", x
            yield f"layer{i}.mean", x.mean(dim=(2, 3))
            x = F.max_pool2d(x, 2)
        yield LOGITS, self.head(x.flatten(1))


def train(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    epochs: int = 8,
    batch: int = 50,
    lr: float = 0.02,
    seed: int = 0,
) -> list[float]:
    """Teach a network to classify; it is left in eval mode with frozen weights.

    Args:
        inputs: coefficients (n, K).
        labels: (n,).
        epochs: how often each input is seen.
        batch: inputs in one step.
        lr: the highest learning rate of Adam; it rises over the first third of the steps and falls to 0.
        seed: of the order of the inputs.

    Returns the mean cross-entropy of each epoch.

    **Source:** Smith and Topin, *Super-Convergence* (2018), for the schedule.

    >>> from dip_lessons.course.spherical_cnn import PlanarCNN, digits, on_hemisphere, train
    >>> pictures, labels = digits("train")
    >>> c = on_hemisphere(pictures[:100], degree=15)
    >>> history = train(PlanarCNN(channels=(8, 8, 8)), c, labels[:100], epochs=3)
    >>> history[-1] < history[0]
    True
    """
    generator = torch.Generator().manual_seed(seed)
    network.train().requires_grad_(True)
    optimizer = torch.optim.Adam(network.parameters(), lr=lr)
    steps = math.ceil(len(inputs) / batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=epochs * steps)
    history = []
    with torch.enable_grad():
        for _ in range(epochs):
            total = 0.0
            for some in torch.randperm(len(inputs), generator=generator).split(batch):
                loss = F.cross_entropy(network(inputs[some]), labels[some])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                total += loss.item() * len(some)
            history.append(total / len(inputs))
    network.eval().requires_grad_(False)
    return history


@torch.no_grad()
def accuracy(network: nn.Module, inputs: Tensor, labels: Tensor) -> float:
    """The share of inputs (n, K) whose largest logit is that of their label (n,).

    Args:
        network: coefficients to logits (n, classes).
        inputs: coefficients (n, K).
        labels: whole numbers (n,).

    >>> from dip_lessons.course.spherical_cnn import accuracy, digits, load_trained, on_hemisphere
    >>> pictures, labels = digits("test")
    >>> accuracy(load_trained(), on_hemisphere(pictures[:50], degree=15), labels[:50]) > 0.8
    True
    """
    guesses = torch.cat([network(some).argmax(dim=1) for some in inputs.split(100)])
    return (guesses == labels).float().mean().item()


def load_trained(kind: str = "spherical") -> SphericalCNN | PlanarCNN:
    """A network that was trained on upright digits by :func:`train` with its defaults, frozen.

    ``data/build.py weights/spherical_cnn.npz`` trains both again.

    Args:
        kind: ``"spherical"`` or ``"planar"``: ``SphericalCNN()`` or ``PlanarCNN()``.

    Raises ValueError for another kind.

    >>> from dip_lessons.course.spherical_cnn import load_trained
    >>> network = load_trained("spherical")
    >>> network.degrees, network.layers[:2]
    ((15, 12, 9, 6), ['layer1', 'layer1.mean'])
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    network, stored = KINDS[kind](), assets.arrays("weights/spherical_cnn.npz")
    own = {name: torch.from_numpy(stored[f"{kind}.{name}"]) for name in network.state_dict()}
    network.load_state_dict(own)
    return network.eval().requires_grad_(False)


KINDS: dict[str, type[SphericalCNN] | type[PlanarCNN]] = {"spherical": SphericalCNN, "planar": PlanarCNN}
