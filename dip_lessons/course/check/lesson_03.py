"""Exercises of lesson 03."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ...parameterizations import CPPN, Parameterization, Pixels, Siren
from ...parameterizations.coordinates import composite, places, unbiased
from .verdict import Exercise, Experiment, Outcome

__all__ = ["cppn", "cppn_start", "first_step", "morph_loop", "siren_bounds"]

ROOT_3 = math.sqrt(3)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _cppn(
    features: Callable = composite, grid: Callable = lambda p: p, last: Callable = torch.sigmoid
) -> Callable:
    """The function of the exercise, or one with a slip."""

    def painted(weights: list[Tensor], biases: list[Tensor], size: int) -> Tensor:
        x = grid(places((size, size), ROOT_3))
        for k, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            x = weight @ (torch.cat(features(x)) if k else x) + bias
        return last(x).view(1, 3, size, size)

    return painted


def _without_biases(weights: list[Tensor], biases: list[Tensor], size: int) -> Tensor:
    return _cppn()(weights, [torch.zeros_like(b) for b in biases], size)


class _OfLists(Exercise):
    """Cases are tensors one after the other, so that their gradients are compared; the answer gets two lists."""

    def _evaluate(self, function: Callable, case: Callable[[], tuple]) -> Outcome:
        def with_lists(*given: Tensor | int) -> Tensor:
            n = len(given) // 2
            return function(list(given[:n]), list(given[n : 2 * n]), given[-1])

        return super()._evaluate(with_lists, case)


def _layers(size: int) -> Callable[[], tuple]:
    def case() -> tuple:
        shapes = [(6, 2), (6, 12), (3, 12)]
        weights = [torch.randn(shape, generator=_generator(size)) for shape in shapes]
        return *weights, *(0.3 * torch.randn(len(w), 1, generator=_generator(1)) for w in weights), size

    return case


cppn = _OfLists(
    "cppn",
    _cppn(),
    [_layers(12), _layers(9)],
    {
        "your features are not scaled: divide the first by .67 and the second by .6": (
            _cppn(lambda x: (x.atan(), x.atan().square()))
        ),
        "your second feature is the square of the scaled first one: it is atan(x)² / .6": (
            _cppn(lambda x: (x.atan() / 0.67, (x.atan() / 0.67).square()))
        ),
        "your second feature is (atan(x) / .6)²: the constant divides the square": (
            _cppn(lambda x: (x.atan() / 0.67, (x.atan() / 0.6).square()))
        ),
        "you squared before the atan: the second feature is atan(x)², not atan(x²)": (
            _cppn(lambda x: (x.atan() / 0.67, x.square().atan() / 0.6))
        ),
        "your parts are in the other order: the left half of each matrix belongs to atan(x) / .67": (
            _cppn(lambda x: composite(x)[::-1])
        ),
        "your features alternate: first all of one kind, then all of the other": (
            _cppn(lambda x: (torch.stack(composite(x), dim=1).flatten(0, 1),))
        ),
        "you subtracted the mean of the second feature: that is the activation unbiased, not composite": (
            _cppn(unbiased)
        ),
        "the biases are missing": _without_biases,
        "the last step is missing: colours are σ of the head's three sums": _cppn(last=lambda x: x),
        "you made features of the head's sums: σ comes right after the head": (
            _cppn(last=lambda x: (x.atan() / 0.67).sigmoid())
        ),
        "you exchanged x and y: x grows from column to column, as in the lesson's formula": (
            _cppn(grid=lambda p: p.flip(0))
        ),
        "your y grows upwards: the first row of a picture is its top, and y grows downwards": (
            _cppn(grid=lambda p: p * torch.tensor([[1.0], [-1.0]]))
        ),
        "your positions run from −1 to 1: from −√3 to √3 they have variance 1": _cppn(
            grid=lambda p: p / ROOT_3
        ),
        "your positions run from 0: the middle of the picture is (0, 0)": (
            _cppn(grid=lambda p: (p + ROOT_3) / (2 * ROOT_3))
        ),
        "your last pixel stops short of √3: between n pixels there are n − 1 distances": (
            _cppn(grid=lambda p: (p + ROOT_3) * (1 - p.shape[1] ** -0.5) - ROOT_3)
        ),
    },
    gradient=range(6),
)


def _start_measured(start: Callable) -> Tensor:
    """How many of the tensors have their shape, and if all do: whether the same generator gives the same start,
    and another one too; size of the first, the hidden and the last weights, and of the biases, where 1, 1, 0 and 0
    are right; and how near it comes to a picture, in dB.
    """
    starts = [start(_generator(seed)) for seed in (0, 0, 1, *range(2, 20))]
    shapes = [(24, 2), *[(24, 48)] * 7, (3, 48), *[(24, 1)] * 8, (3, 1)]
    given = [*starts[0][0], *starts[0][1]]
    fitting = sum(tuple(a.shape) == b for a, b in zip(given, shapes, strict=False))
    if fitting < len(shapes) or len(given) > len(shapes):
        return torch.tensor([float(fitting)])
    first = [weights[0] for weights, _ in starts[:3]]
    alike = [float(torch.equal(first[0], w)) for w in first[1:]]
    sizes = torch.stack([torch.stack([w.square().sum(dim=1).mean().sqrt() for w in ws]) for ws, _ in starts])
    size = sizes.mean(dim=0).tolist()  # of a column of weights, (9,)
    biases = max(float(b.abs().max()) for b in starts[0][1])
    return torch.tensor([fitting, *alike, size[0], sum(size[1:8]) / 7, size[8], biases, _learned(*starts[0])])


def _learned(weights: list[Tensor], biases: list[Tensor]) -> float:
    """How near a picture comes to a spot and a stripe in 60 steps of Adam, in dB."""
    parameters = [p.detach().clone().requires_grad_() for p in (*weights, *biases)]
    x, y = places((16, 16), ROOT_3).view(2, 16, 16)
    wanted = torch.stack([(-(x**2) - y**2).exp(), (x - y).sin() / 2 + 0.5, 0.5 + 0 * x])
    adam = torch.optim.Adam(parameters, lr=CPPN.lr)
    for _ in range(60):
        loss = (_cppn()(parameters[:9], parameters[9:], 16) - wanted).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    return -10 * math.log10(loss.item())


def _start_fault(measured: Tensor) -> str | None:
    if len(measured) == 1:
        return (
            f"{int(measured)} of 18 tensors have the right shape: (24, 2), seven of (24, 48), the head (3, 48); and a "
            "bias for each, (24, 1), the last one (3, 1)"
        )
    _, same, other, first, hidden, head, biases, nearness = measured.tolist()
    hints = {
        "one generator gave two different starts: hand it to each `torch.randn`": not same,
        "another generator gives the same start: draw from the one that you are given": other,
        "the head is not zero: only then every start is the same grey": head > 0,
        "the biases are not zero": biases > 0,
        "your weights have variance 1: divide them by the root of the number of inputs": hidden > 5,
        "you divided by the number of inputs: the variance is 1/inputs, so divide by its root": hidden < 0.25,
        "you divided by the root of 24, the units: a layer takes in 48 features, two a unit": abs(
            hidden - 2**0.5
        )
        < 0.1,
        "your weights are uniform: from U(−1, 1), their variance is a third of what it should be": (
            abs(hidden - 3**-0.5) < 0.05
        ),
        f"your weights are {first:.2f} and {hidden:.2f} times as large as they should be": (
            abs(first - 1) > 0.1 or abs(hidden - 1) > 0.1
        ),
        f"what begins there comes within {nearness:.1f} dB of a test picture in 60 steps, ours within 20": nearness
        < 15,
    }
    return next((hint for hint, slipped in hints.items() if slipped), None)


cppn_start = Experiment("cppn_start", _start_measured, _start_fault)


def _moved(picture: Parameterization, signs: list[Tensor], lr: float) -> Tensor:
    before = picture()
    for theta, sign in zip(picture.parameters(), signs, strict=True):
        theta.add_(lr * sign)
    return picture() - before


def _measured_step(answer: Callable, make: Callable[[], Parameterization], lr: float) -> Tensor:
    """What the answer says, and by how much the parameters differ afterwards."""
    picture = make()
    signs = [torch.randn(p.shape, generator=_generator(3)).sign() for p in picture.parameters()]
    before = [p.detach().clone() for p in picture.parameters()]
    said = torch.as_tensor(answer(picture, signs, lr), dtype=torch.float32, device="cpu").detach().mean()
    left = max(float((p.detach() - b).abs().max()) for p, b in zip(picture.parameters(), before, strict=True))
    return torch.stack([said, said.new_tensor(left)])


def _step_fault(measured: Tensor, make: Callable[[], Parameterization], lr: float) -> str | None:
    said, left = measured.tolist()
    picture = make()
    signs = [torch.randn(p.shape, generator=_generator(3)).sign() for p in picture.parameters()]
    with torch.no_grad():
        moved = _moved(picture, signs, lr)
    slips = {
        "right": moved.square().mean().sqrt(),
        "that is the mean of |change|: square first, then mean and root": moved.abs().mean(),
        "the root is missing: you returned the mean square": moved.square().mean(),
        "that is the norm, which grows with the number of pixels: take the mean of the squares": moved.norm(),
        "changes up and down cancel in a mean: square them first": moved.mean(),
        "that is the largest change: one pixel is not the picture": moved.abs().max(),
        "that is lr itself: it is how far a parameter moves; measure how far the picture does": moved.new_tensor(
            lr
        ),
    }
    hint = next(
        (words for words, value in slips.items() if abs(said - float(value)) < 1e-3 * abs(float(value))), None
    )
    if hint == "right":
        return (
            "the number is right, but the picture was left moved: put its parameters back"
            if left > 0
            else None
        )
    return hint or f"it should be {float(slips['right']):.4f}; yours is {said:.4f}"


first_step = Experiment(
    "first_step",
    _measured_step,
    _step_fault,
    [
        lambda: (lambda: CPPN(12), 0.005),
        lambda: (lambda: Siren(12), 0.001),
        lambda: (lambda: Pixels(12), 0.05),
    ],
)


def _morph(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    return a + (b - a) * t.to(a)[:, None]


def _there_and_back(frames: int) -> Tensor:
    return (1 - torch.cos(2 * math.pi * torch.arange(frames) / frames)) / 2


def _loop_case(n: int, frames: int) -> Callable[[], tuple]:
    def case() -> tuple:
        a, b = torch.randn(2, n, generator=torch.Generator().manual_seed(n)).unbind()
        return a, b, frames

    return case


morph_loop = Exercise(
    "morph_loop",
    lambda a, b, frames: _morph(a, b, _there_and_back(frames)),
    [_loop_case(7, 12), _loop_case(3, 5)],
    {
        "your last frame is the first one again, so the film would stop there for a moment: s runs over 0, "
        "1/frames, 2/frames …, and 1 is left out": (
            lambda a, b, n: _morph(a, b, (1 - torch.cos(2 * math.pi * torch.linspace(0, 1, n))) / 2)
        ),
        "your film jumps back at its end: t must fall to 0 again": (
            lambda a, b, n: _morph(a, b, torch.arange(n) / n)
        ),
        "your film goes there only: the cosine must make a whole turn": (
            lambda a, b, n: _morph(a, b, (1 - torch.cos(math.pi * torch.arange(n) / n)) / 2)
        ),
        "your film begins at b: t is 0 first": lambda a, b, n: _morph(b, a, _there_and_back(n)),
        "your t goes up to 2: halve it": lambda a, b, n: _morph(a, b, 2 * _there_and_back(n)),
        "your film turns round with a jerk: t bends softly, (1 − cos 2πs) / 2": (
            lambda a, b, n: _morph(a, b, 1 - (1 - 2 * torch.arange(n) / n).abs())
        ),
    },
    gradient=[0, 1],
)


def _bounds(inputs: list[int], omega: float) -> list[float]:
    return [1 / inputs[0], *(math.sqrt(6 / n) / omega for n in inputs[1:])]


siren_bounds = Exercise(
    "siren_bounds",
    lambda inputs, omega: torch.tensor(_bounds(inputs, omega)),
    [lambda: ([2, 64, 64, 64], 30.0), lambda: ([2, 256, 128], 10.0), lambda: ([4, 32], 7.0)],
    {
        "your first layer has the bound of the others: it is 1/n, so that ω₀ alone decides how fine it is": (
            lambda inputs, omega: torch.tensor([math.sqrt(6 / n) / omega for n in inputs])
        ),
        "you divided the first bound by ω₀: then the first layer could not turn fast": (
            lambda inputs, omega: torch.tensor(
                [1 / inputs[0] / omega, *(math.sqrt(6 / n) / omega for n in inputs[1:])]
            )
        ),
        "you forgot ω₀: each layer multiplies its sum by ω₀, so its weights are divided by it": (
            lambda inputs, omega: torch.tensor([1 / inputs[0], *(math.sqrt(6 / n) for n in inputs[1:])])
        ),
        "ω₀ stands inside your root: √(6/n) is divided by ω₀ itself": (
            lambda inputs, omega: torch.tensor(
                [1 / inputs[0], *(math.sqrt(6 / (n * omega)) for n in inputs[1:])]
            )
        ),
        "you multiplied by ω₀: each layer does that already, so its weights are divided by it": (
            lambda inputs, omega: torch.tensor(
                [1 / inputs[0], *(math.sqrt(6 / n) * omega for n in inputs[1:])]
            )
        ),
        "n stands outside your root: it is √(6/n), not √6/n": (
            lambda inputs, omega: torch.tensor(
                [1 / inputs[0], *(math.sqrt(6) / n / omega for n in inputs[1:])]
            )
        ),
        "your bounds are standard deviations: a number from U(−c, c) has sd c/√3": (
            lambda inputs, omega: torch.tensor(
                [1 / inputs[0], *(math.sqrt(2 / n) / omega for n in inputs[1:])]
            )
        ),
    },
)
