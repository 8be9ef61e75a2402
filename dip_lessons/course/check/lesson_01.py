"""Exercises of lesson 01."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .verdict import Exercise, Outcome

__all__ = ["ascend", "climb", "grid_share", "high_frequency_share"]


def _rms(g: Tensor) -> Tensor:
    return g.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()


def _norm(g: Tensor) -> Tensor:
    return g.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()


def _step(x: Tensor, objective: Callable, lr: float, size: Callable = _rms, keep: float = 1.0) -> Tensor:
    x = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(objective(x).sum(), x)
    return (keep * x + lr * g / size(g)).detach()


def _peaks(x: Tensor) -> Tensor:
    """Different in slope from picture to picture, so that a size common to all of them shows."""
    weight = torch.linspace(-1, 2, x[0].numel()).view_as(x[0])
    steepness = 10.0 ** torch.arange(len(x))
    return steepness * (weight * x - x**2 / 2).sum(dim=(1, 2, 3))


def _drawn(seed: int, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


ascend = Exercise(
    "ascend",
    _step,
    [lambda: (_drawn(0, 1, 3, 16, 16), _peaks, 0.1), lambda: (_drawn(1, 2, 3, 9, 12), _peaks, 0.05)],
    {
        "that goes downhill: the gradient points to where the objective grows": lambda x, f, lr: _step(
            x, f, -lr
        ),
        "the gradient is not normalised: divide it by its root mean square": lambda x, f, lr: _step(
            x, f, lr, size=torch.ones_like
        ),
        "you divided by the norm, the root of the *sum* of squares: a larger picture moves less then": (
            lambda x, f, lr: _step(x, f, lr, size=_norm)
        ),
        "you divided by the mean square: its root is missing": lambda x, f, lr: _step(
            x, f, lr, size=lambda g: _rms(g).square()
        ),
        "you divided by the largest entry: one outlier would shorten everybody's step": lambda x, f, lr: (
            _step(x, f, lr, size=lambda g: g.abs().amax(dim=(1, 2, 3), keepdim=True))
        ),
        "you divided by the mean size: square first, then take the mean and the root": lambda x, f, lr: _step(
            x, f, lr, size=lambda g: g.abs().mean(dim=(1, 2, 3), keepdim=True)
        ),
        "you divided each number by its own size: the rms is one number for each picture": (
            lambda x, f, lr: _step(x, f, lr, size=torch.abs)
        ),
        "right for one picture; in a batch each picture has an rms of its own": lambda x, f, lr: _step(
            x, f, lr, size=lambda g: g.square().mean().sqrt()
        ),
        "you returned the step alone: it starts at x": lambda x, f, lr: _step(x, f, lr, keep=0.0),
    },
)


def _climb(
    theta: Tensor,
    value: Callable,
    steps: int,
    lr: float,
    step: Callable = lambda g, seen: g,
    late: bool = False,
) -> tuple[Tensor, list[float]]:
    """Gradient ascent; `step` makes its step of the gradient and of all that came before it."""
    history: list[float] = []
    seen: list[Tensor] = []
    for _ in range(steps):
        theta = theta.detach().clone().requires_grad_()
        now = value(theta)
        (g,) = torch.autograd.grad(now, theta)
        theta = theta.detach() + lr * step(g, seen)
        seen.append(g)
        history.append(float(value(theta)) if late else now.item())
    return theta, history


def _once_more(theta: Tensor, value: Callable, steps: int, lr: float) -> tuple[Tensor, list[float]]:
    end, history = _climb(theta, value, steps, lr)
    return end, [*history, float(value(end))]


class _Loop(Exercise):
    """The answer gives θ and a list; they are compared as one row of numbers."""

    def _evaluate(self, function: Callable, case: Callable[[], tuple]) -> Outcome:
        def row(*given: object) -> Tensor:
            end, history = function(*given)
            return torch.cat([end.detach().flatten(), torch.tensor([float(v) for v in history])])

        return super()._evaluate(row, case)


def _response(theta: Tensor) -> Tensor:
    """What a layer of five random filters says of the picture σ(θ): the mean square of what they let through."""
    filters = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    return torch.nn.functional.conv2d(theta.sigmoid(), filters).relu().square().mean()


def _hill(theta: Tensor) -> Tensor:
    return -(torch.linspace(1, 3, theta.numel()).view_as(theta) * (theta - 2) ** 2).sum()


climb = _Loop(
    "climb",
    _climb,
    [lambda: (torch.zeros(4), _hill, 5, 0.1), lambda: (_drawn(4, 1, 3, 12, 12), _response, 20, 3.0)],
    {
        "that goes downhill: add the gradient": lambda t, f, n, lr: _climb(t, f, n, -lr),
        "your gradients add up from step to step: `backward()` adds to `.grad`, so empty it after each step, or "
        "take `torch.autograd.grad`": lambda t, f, n, lr: _climb(t, f, n, lr, lambda g, seen: g + sum(seen)),
        "you took the gradient once: it has to be asked for again where you are": (
            lambda t, f, n, lr: _climb(t, f, n, lr, lambda g, seen: seen[0] if seen else g)
        ),
        "your history begins after the first step: record the value where the gradient is taken": (
            lambda t, f, n, lr: _climb(t, f, n, lr, late=True)
        ),
        "your history has one value too many: one for each step, taken before it": _once_more,
        "you took one step only: the loop has to go on from where it is": (
            lambda t, f, n, lr: (_climb(t, f, 1, lr)[0], [float(f(t))] * n)
        ),
        "you took one step too few": lambda t, f, n, lr: (_climb(t, f, n - 1, lr)[0], _climb(t, f, n, lr)[1]),
        "lr is missing": lambda t, f, n, lr: _climb(t, f, n, 1.0),
        "you took the sign of the gradient: the plain step is lr times the gradient itself": (
            lambda t, f, n, lr: _climb(t, f, n, lr, lambda g, seen: g.sign())
        ),
        "you gave the gradient length 1: the plain step is lr times the gradient itself": (
            lambda t, f, n, lr: _climb(t, f, n, lr, lambda g, seen: g / g.norm())
        ),
    },
    rtol=1e-3,
)


def _share(
    image: Tensor, cutoff: float, *, centre: bool = True, power: float = 2, radius: Callable = torch.hypot
) -> Tensor:
    height, width = image.shape[-2:]
    components = torch.fft.fft2(image - image.mean(dim=(1, 2), keepdim=True) if centre else image)
    size = (components.abs() ** power).sum(dim=0)
    high = radius(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)) > cutoff
    return size[high].sum() / size.sum()


def _power_above(image: Tensor, cutoff: float) -> Tensor:
    height, width = image.shape[-2:]
    power = torch.fft.fft2(image - image.mean(dim=(1, 2), keepdim=True)).abs().square().sum(dim=0)
    return power[torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.fftfreq(width)) > cutoff].sum()


def _half_plane(image: Tensor, cutoff: float) -> Tensor:
    height, width = image.shape[-2:]
    power = torch.fft.rfft2(image - image.mean(dim=(1, 2), keepdim=True)).abs().square().sum(dim=0)
    high = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)) > cutoff
    return power[high].sum() / power.sum()


def _unfolded(image: Tensor, cutoff: float) -> Tensor:
    """Frequencies counted from 0 to almost 1, as if those above one half were no mirror images."""
    height, width = image.shape[-2:]
    power = torch.fft.fft2(image - image.mean(dim=(1, 2), keepdim=True)).abs().square().sum(dim=0)
    high = torch.hypot(torch.arange(height)[:, None] / height, torch.arange(width) / width) > cutoff
    return power[high].sum() / power.sum()


def _one_mean(image: Tensor, cutoff: float) -> Tensor:
    return _share(image - image.mean(), cutoff, centre=False)


def _smooth(seed: int, height: int, width: int) -> Tensor:
    """A picture (3, H, W) with a mean and more power in low frequencies than in high ones."""
    x = _drawn(seed, 3, height, width)
    return 0.3 * x + 0.5 * torch.cumsum(x, dim=2) / width + 0.2


high_frequency_share = Exercise(
    "high_frequency_share",
    _share,
    [lambda: (_smooth(0, 24, 24), 0.25), lambda: (_smooth(1, 20, 33), 0.12)],
    {
        "you counted the mean as a frequency: take it away from each channel first": lambda x, c: _share(
            x, c, centre=False
        ),
        "each channel has a mean of its own: you took one from all": _one_mean,
        "you added up amplitudes: power is their square": lambda x, c: _share(x, c, power=1),
        "that is the share of the low frequencies: high ones lie above the cutoff": lambda x, c: (
            1 - _share(x, c)
        ),
        "your cutoff is a square, |fx| or |fy|: take the length of the frequency vector": lambda x, c: _share(
            x, c, radius=lambda a, b: torch.maximum(a.abs(), b.abs())
        ),
        "you added |fx| and |fy|: take the length of the frequency vector": lambda x, c: _share(
            x, c, radius=lambda a, b: a.abs() + b.abs()
        ),
        "rfft2 keeps half of the components, and most of these stand for two: use fft2": (_half_plane),
        "frequencies above ½ are mirror images, −½ to 0: fftfreq knows": _unfolded,
        "your frequencies are periods per picture; divide by its size, as fftfreq does": lambda x, c: _share(
            x, c, radius=lambda a, b: torch.hypot(a * x.shape[-2], b * x.shape[-1])
        ),
        "that is the power, not its share: divide by the total": _power_above,
    },
    gradient=[0],
)


def _on_grid(size: Tensor, period: int, *, centre: bool = True, exponent: float = 2) -> tuple[Tensor, Tensor]:
    """The power at all frequencies, and at those of the grid."""
    power = torch.fft.fft2(size - size.mean() if centre else size).abs() ** exponent
    return power, power[:: size.shape[0] // period, :: size.shape[1] // period]


def _grid_share(size: Tensor, period: int, *, centre: bool = True, exponent: float = 2) -> Tensor:
    power, grid = _on_grid(size, period, centre=centre, exponent=exponent)
    return grid.sum() / power.sum()


def _every_period(size: Tensor, period: int) -> Tensor:
    power = torch.fft.fft2(size - size.mean()).abs().square()
    return power[::period, ::period].sum() / power.sum()


def _one_step(size: Tensor, period: int) -> Tensor:
    power = torch.fft.fft2(size - size.mean()).abs().square()
    step = size.shape[0] // period
    return power[::step, ::step].sum() / power.sum()


def _axes_only(size: Tensor, period: int) -> Tensor:
    power, grid = _on_grid(size, period)
    return (grid[0].sum() + grid[1:, 0].sum()) / power.sum()


def _lines(size: Tensor, period: int) -> Tensor:
    power = torch.fft.fft2(size - size.mean()).abs().square()
    rows, columns = (torch.arange(n) % (n // period) == 0 for n in size.shape)
    return power[rows[:, None] | columns].sum() / power.sum()


def _one_frequency(size: Tensor, period: int) -> Tensor:
    power, grid = _on_grid(size, period)
    return grid[1, 1] / power.sum()


def _map(seed: int, height: int, width: int, period: int) -> Tensor:
    """A positive map (H, W) with a grid in it."""
    y, x = torch.arange(height)[:, None], torch.arange(width)
    grid = ((y % period == 0) * 0.6 + (x % period == 1) * 0.4) * (1 + 0.5 * (x % period == y % period))
    return _drawn(seed, height, width) + grid


grid_share = Exercise(
    "grid_share",
    _grid_share,
    [lambda: (_map(0, 32, 32, 8), 8), lambda: (_map(1, 24, 40, 4), 4)],
    {
        "frequency (0, 0) is in your sum: take the mean away first": lambda s, p: _grid_share(
            s, p, centre=False
        ),
        "row k of fft2 has k/H cycles per pixel: the grid is H/period apart, not period": _every_period,
        "your columns go by the step of the rows: theirs is W/period": _one_step,
        "you added up amplitudes: power is their square": lambda s, p: _grid_share(s, p, exponent=1),
        "you took the two axes only: a grid also has frequencies off the axes": _axes_only,
        "you took whole lines of frequencies: fx *and* fy must be multiples of 1/period": _lines,
        "you took one frequency only: a grid has all multiples of 1/period": _one_frequency,
        "that is the power, not its share: divide by the total": lambda s, p: _on_grid(s, p)[1].sum(),
        "that is what remains beside the grid: the share is one minus that": lambda s, p: (
            1 - _grid_share(s, p)
        ),
        "the mean over those frequencies is not their share: add them up": lambda s, p: (
            _grid_share(s, p) * math.prod(s.shape) / p**2
        ),
    },
)
