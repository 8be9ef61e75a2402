"""Exercises of lesson 05."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ... import assets, metrics
from ...networks import load_network
from ...objectives import channel
from ...parameterizations import Fourier
from ...run.plan import optimize
from ...views.affine import Views, random_views
from .verdict import Exercise, Experiment

__all__ = ["affine_matrix", "fair_best", "jitter", "my_views", "robust_value"]


def _with_views(views: Callable[[Tensor, torch.Generator], Tensor], side: int) -> Tensor:
    """Height, width, least and largest value of a view; what a second call with the same seed and one with another seed
    change; the largest slope; the share of its value that a picture keeps under shifts of up to 12 pixels."""

    def look(seed: int) -> Tensor:
        return views(image, torch.Generator().manual_seed(seed))

    image = assets.picture("chelsea", (side, side)).requires_grad_()
    view = look(0)
    if view.shape != image.shape:
        return torch.tensor([*view.shape[-2:], *[0.0] * 6])
    slope = torch.zeros(())
    if view.requires_grad:
        slope = torch.autograd.grad(view.square().sum(), image)[0].abs().max()
    view = view.detach().clone()
    chance = [(look(0) - view).abs().max(), max((look(seed) - view).abs().max() for seed in (1, 2, 3))]
    share = _kept(views, side) if slope else slope
    return torch.stack(
        [torch.tensor(side), torch.tensor(side), view.min(), view.max(), *chance, slope, share]
    )


def _kept(views: Callable[[Tensor, torch.Generator], Tensor], side: int) -> Tensor:
    """The share of its value that a picture optimized with these views keeps under shifts of up to 12 pixels."""
    network, objective = load_network("squeezenet1_1", device="cpu"), channel("features.9", 100)
    start = Fourier(side, generator=torch.Generator().manual_seed(0), device="cpu")
    picture = optimize(start, objective, network, views=views, steps=48).finish().image
    robust = metrics.robust_value(picture, objective, network, views=random_views(jitter=12), count=12)
    return (robust / metrics.value(picture, objective, network)).squeeze()


def _not_robust(numbers: Tensor, side: int) -> str | None:
    height, width, least, largest, twice, other, slope, share = numbers.tolist()
    if (height, width) != (side, side):
        return f"a view of {side} × {side} pixels should have as many; yours has {height:g} × {width:g}"
    if least < -1e-5 or largest > 1 + 1e-5:
        return f"your view has values from {least:.2f} to {largest:.2f}: keep them in [0, 1]"
    if twice > 0:
        return (
            "one seed gives two different views: draw from the generator that you are given, and nothing else"
        )
    if other == 0:
        return "every seed gives the same view: it should be drawn at random"
    if slope == 0:
        return "no gradient reaches the picture: was it detached, or made anew on the way?"
    if share < 0.7:
        return (
            f"optimized with your views, a picture keeps {share:.0%} of its value under shifts of up to 12 pixels: "
            "let your views shift as far, both ways"
        )
    return None


my_views = Experiment("my_views", _with_views, _not_robust, [lambda: (80,)])


def _by_others(values: Tensor) -> Tensor:
    others = values.sum(dim=2, keepdim=True) - values
    return values.gather(1, others.argmax(dim=1, keepdim=True))[:, 0]


def _by_all(values: Tensor) -> Tensor:
    return values.gather(
        1, values.sum(dim=2, keepdim=True).argmax(dim=1, keepdim=True).expand(-1, 1, values.shape[2])
    )[:, 0]


def _one_rate(values: Tensor) -> Tensor:
    others = (values.sum(dim=2, keepdim=True) - values).sum(dim=0)  # (rates, starts)
    return values.gather(1, others.argmax(dim=0).expand(len(values), 1, -1))[:, 0]


fair_best = Exercise(
    "fair_best",
    _by_others,
    [
        lambda: (torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(0)),),
        lambda: (torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(1)),),
    ],
    {
        "this is the table's rule: the start that is scored has a say in its own η": _by_all,
        "each start chose its own best η: let the others choose": lambda values: values.amax(dim=1),
        "you took one η for all arms: each arm has its own": _one_rate,
        "you took the worst η for the others: argmax, not argmin": lambda values: values.gather(
            1, (values.sum(dim=2, keepdim=True) - values).argmin(dim=1, keepdim=True)
        )[:, 0],
        "you returned what the others reached: score the start itself": lambda values: (
            (values.sum(dim=2, keepdim=True) - values).amax(dim=1) / (values.shape[2] - 1)
        ),
    },
)


def _rotation(angle: Tensor) -> Tensor:
    phi = torch.deg2rad(angle)
    cos, sin = torch.cos(phi), torch.sin(phi)
    return torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)  # (N, 2, 2)


def _affine_matrix(scale: Tensor, angle: Tensor, shift: Tensor) -> Tensor:
    return torch.cat([_rotation(angle) / scale[:, None, None], shift[:, :, None]], dim=2)


def _shift_first(scale: Tensor, angle: Tensor, shift: Tensor) -> Tensor:
    linear = _rotation(angle) / scale[:, None, None]
    return torch.cat([linear, linear @ shift[:, :, None]], dim=2)


def _affine_case(n: int) -> Callable[[], tuple]:
    def case() -> tuple:
        generator = torch.Generator().manual_seed(n)
        scale = 0.5 + 1.5 * torch.rand(n, generator=generator)
        angle = 90 * torch.rand(n, generator=generator) - 45
        return scale, angle, 10 * torch.randn(n, 2, generator=generator)

    return case


affine_matrix = Exercise(
    "affine_matrix",
    _affine_matrix,
    [_affine_case(1), _affine_case(5)],
    {
        "your view shrinks what it should magnify: at scale 2 a pixel q of the view looks at the point q / 2": (
            lambda s, a, t: _affine_matrix(1 / s, a, t)
        ),
        "your view turns the other way: the first row of R is (cos φ, −sin φ)": (
            lambda s, a, t: _affine_matrix(s, -a, t)
        ),
        "cos and sin want radians, the angle is given in degrees": (
            lambda s, a, t: _affine_matrix(s, torch.rad2deg(a), t)
        ),
        "your shift is turned and scaled along: t is added last, so it stands in the third column as it is": (
            _shift_first
        ),
        "your shift is divided by the scale: t is added last, so it stands in the third column as it is": (
            lambda s, a, t: _affine_matrix(s, a, t / s[:, None])
        ),
        "your shift has its two numbers exchanged: rows and shift are in the order (x, y)": (
            lambda s, a, t: _affine_matrix(s, a, t.flip(-1))
        ),
    },
    gradient=[0, 1, 2],
)


def _mirrored(index: Tensor, n: int) -> Tensor:
    index = index % (2 * n)
    return torch.where(index < n, index, 2 * n - 1 - index)


def _jitter(image: Tensor, dx: int, dy: int) -> Tensor:
    height, width = image.shape[-2:]
    rows = _mirrored(torch.arange(height) + dy, height)
    columns = _mirrored(torch.arange(width) + dx, width)
    return image[..., rows, :][..., columns]


def _mirrored_on_the_last(index: Tensor, n: int) -> Tensor:
    index = index % (2 * n - 2)
    return torch.minimum(index, 2 * n - 2 - index)


def _jitter_on_the_last(image: Tensor, dx: int, dy: int) -> Tensor:
    height, width = image.shape[-2:]
    rows = _mirrored_on_the_last(torch.arange(height) + dy, height)
    return image[..., rows, :][..., _mirrored_on_the_last(torch.arange(width) + dx, width)]


def _padded(image: Tensor, dx: int, dy: int, mode: str) -> Tensor:
    height, width = image.shape[-2:]
    m = max(abs(dx), abs(dy))
    wide = F.pad(image, (m, m, m, m), mode=mode)
    return wide[..., m + dy : m + dy + height, m + dx : m + dx + width]


def _jitter_case(shape: tuple[int, ...], dx: int, dy: int) -> Callable[[], tuple]:
    return lambda: (torch.rand(shape, generator=torch.Generator().manual_seed(dx)), dx, dy)


jitter = Exercise(
    "jitter",
    _jitter,
    [
        _jitter_case((1, 3, 16, 24), 5, -3),
        _jitter_case((2, 3, 12, 9), 4, 2),
        _jitter_case((1, 1, 8, 8), 0, 6),
        _jitter_case((1, 1, 6, 5), 5, -6),  # as far as it goes
    ],
    {
        "your picture comes in again at the opposite side: mirror it at the border instead of rolling it": (
            lambda x, dx, dy: torch.roll(x, (-dy, -dx), (-2, -1))
        ),
        "your border is black: what lies outside is the mirror image": (
            lambda x, dx, dy: _padded(x, dx, dy, "constant")
        ),
        "your border repeats the last pixel all the way: what lies outside is the mirror image": (
            lambda x, dx, dy: _padded(x, dx, dy, "replicate")
        ),
        "your mirror stands on the last pixel: it stands behind it, so that the last pixel is seen twice": (
            _jitter_on_the_last
        ),
        "your view moves the other way: pixel (y, x) of the view shows the picture at (y + dy, x + dx)": (
            lambda x, dx, dy: _jitter(x, -dx, -dy)
        ),
        "you exchanged dx and dy: rows move by dy, columns by dx": lambda x, dx, dy: _jitter(x, dy, dx),
    },
    gradient=[0],
)


def _values(image: Tensor, f: Callable, views: Views, count: int, generator: torch.Generator) -> Tensor:
    return torch.stack([f(views(image, generator)) for _ in range(count)])  # (count, B)


def _of_the_mean_view(
    image: Tensor, f: Callable, views: Views, count: int, generator: torch.Generator
) -> Tensor:
    return f(torch.stack([views(image, generator) for _ in range(count)]).mean(dim=0))


def _corner(view: Tensor) -> Tensor:
    return view[..., :4, :4].mean(dim=(1, 2, 3)) ** 4


def _robust_case(count: int) -> Callable[[], tuple]:
    def case() -> tuple:
        image = torch.rand(2, 3, 10, 10, generator=torch.Generator().manual_seed(count))
        views = random_views(jitter=4, scale=0.2)
        return image, _corner, views, count, torch.Generator().manual_seed(7)

    return case


robust_value = Exercise(
    "robust_value",
    lambda *arguments: _values(*arguments).mean(dim=0),
    [_robust_case(16), _robust_case(5)],
    {
        "you took the value of the mean view: the mean of blurred-together views is no view; average the values": (
            _of_the_mean_view
        ),
        "you added the values up: divide by their number": lambda *a: _values(*a).sum(dim=0),
        "you looked once only: draw count views": lambda x, f, views, count, g: f(views(x, g)),
        "you looked at the picture itself: call views(image, generator) and look at what it returns": (
            lambda x, f, views, count, g: f(x)
        ),
        "you kept the best view: a robust value is the mean of all": lambda *a: _values(*a).amax(dim=0),
        "you made a generator of your own: draw from the one that you are given": (
            lambda x, f, views, count, g: _values(x, f, views, count, torch.Generator()).mean(dim=0)
        ),
    },
)
