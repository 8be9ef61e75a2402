"""Memories of runs: running means in closed form, kept with the run's checkpoints, nobody else's."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dip_lessons import Fourier, Objective, Run, each, optimize, random_views
from dip_lessons.metrics import value
from dip_lessons.objectives import Memory, look, style
from dip_lessons.objectives.style import gram


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=seeded(seed))


def eyes(image: torch.Tensor, layers: tuple) -> dict:
    """The plainest network: it sees the picture."""
    return dict.fromkeys(layers, image)


VIEWS = random_views(jitter=3, crop=8, count=2)
MANNER = eyes(noise(1, 3, 9, 9, seed=9), ("all",))


def painted(memory: float = 0.9, steps: int = 40, objective: Objective | None = None, **options) -> Run:
    wanted = objective or -1 * style(MANNER, memory=memory)
    return optimize(Fourier(12, batch=2), wanted, eyes, views=VIEWS, steps=steps, **options)


def test_a_mean_weighs_what_lies_back_by_powers_of_the_decay() -> None:
    memory, values = Memory(), noise(6, 2, 3)
    for n, x in enumerate(values):
        found = memory.mean("x", x.clone().requires_grad_(), 0.8)
        assert not found.requires_grad
        memory.keep()
        weights = 0.8 ** np.arange(n, -1, -1)
        expected = np.average(values[: n + 1].numpy(), axis=0, weights=weights)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert torch.equal(memory.mean("another", values[0], 0.8), values[0])
    with pytest.raises(ValueError, match=r"x was \(2, 3\) before, and is \(3,\) now"):
        memory.mean("x", values[0, 0], 0.8)


def test_asking_twice_at_one_look_is_asking_once() -> None:
    memory = Memory()
    for x in noise(3, 4):
        assert torch.equal(memory.mean("x", x, 0.5), memory.mean("x", x, 0.5))
        memory.keep()
    assert memory.means["x"][1] == pytest.approx(1.75)


def test_a_style_with_memory_compares_the_mean_of_all_views() -> None:
    """Step by step against numpy, views in turn; with memory 0, each view by itself."""
    target = gram(MANNER["all"])[0].numpy()
    seen: list[torch.Tensor] = []

    def network(image: torch.Tensor, layers: tuple) -> dict:
        seen.append(image.detach())
        return eyes(image, layers)

    for memory in (0.0, 0.7):
        run = optimize(Fourier(12, sd=0.5), style(MANNER, memory=memory), network, views=VIEWS, steps=4)
        seen.clear()
        run.finish()
        grams = [gram(one[None])[0].numpy() for looked in seen for one in looked]
        values = []
        for n in range(len(grams)):
            mean = np.average(grams[: n + 1], axis=0, weights=memory ** np.arange(n, -1.0, -1))
            values.append(np.abs(mean - target).sum() / np.abs(target).sum())
        np.testing.assert_allclose(run.history, np.reshape(values, (4, 2)).mean(axis=1), rtol=1e-5)


def test_the_gradient_is_that_of_the_present_view_at_the_value_of_the_mean() -> None:
    past, now = noise(1, 3, 5, 5, seed=1), noise(1, 3, 5, 5, seed=2)
    objective, memory = style(MANNER, memory=0.75, squared=True), Memory()
    objective(look(eyes, objective.layers, past, memory=memory))
    memory.keep()
    x = now.clone().requires_grad_()
    (found,) = torch.autograd.grad(objective(look(eyes, objective.layers, x, memory=memory)).sum(), x)
    mean = (gram(now) + 0.75 * gram(past)) / 1.75
    target = gram(MANNER["all"])
    slope = 2 * (mean - target) / target.square().sum()  # dL/dG at the mean
    flat = now.flatten(2)
    expected = ((slope + slope.transpose(1, 2)) @ flat / flat.shape[2]).view_as(now)  # G = a aᵀ / places
    torch.testing.assert_close(found, expected)


def test_going_back_and_on_repeats_bit_for_bit(tmp_path: Path) -> None:
    run = painted().finish()
    wanted, history = run.image, run.history
    assert torch.equal(run.rewind(21).finish().image, wanted)
    assert run.history == history
    run.rewind(19)
    again = Run.load(run.save(tmp_path / "run"), network=eyes, objective=run.settings["objective"])
    assert torch.equal(again.finish().image, wanted)
    assert again.history == history
    assert torch.equal(again.rewind(0).advance(3).image, painted().advance(3).image)


def test_runs_that_share_an_objective_share_no_memory() -> None:
    objective = -1 * style(MANNER, memory=0.9)
    one, other = (painted(steps=6, objective=objective, seed=seed) for seed in (0, 1))
    for _ in range(6):  # in turns
        one.advance(1)
        other.advance(1)
    assert torch.equal(one.image, painted(steps=6).finish().image)
    assert torch.equal(other.image, painted(steps=6, seed=1).finish().image)
    # And what is measured outside of the runs leaves nothing behind.
    before = value(one.image, objective, eyes)
    assert torch.equal(before, value(one.image, -1 * style(MANNER), eyes))
    assert torch.equal(value(one.image, objective, eyes), before)


def test_a_step_that_fails_is_not_remembered() -> None:
    broken = [False]

    def network(image: torch.Tensor, layers: tuple) -> dict:
        return {name: image * (float("nan") if broken[0] else 1) for name in layers}

    def run_of(network) -> Run:
        return optimize(Fourier(12), -1 * style(MANNER, memory=0.9), network, views=VIEWS, steps=6)

    run = run_of(network).advance(3)
    broken[0] = True
    with pytest.raises(RuntimeError, match="step 4"):
        run.advance(1)
    broken[0] = False
    assert torch.equal(run.finish().image, run_of(eyes).finish().image)


def test_each_picture_remembers_for_itself() -> None:
    """Two pictures with two styles in one run: the values of two runs, one with each."""
    others = eyes(noise(1, 3, 9, 9, seed=4), ("all",))
    wanted = [style(MANNER, memory=0.9), style(others, memory=0.9)]
    shared = random_views(jitter=3, crop=8, shared=True)
    both = Fourier(12, batch=2)
    run = optimize(both, each(*wanted), eyes, views=shared, steps=5)
    alone = []
    for b in range(2):
        picture = Fourier(12)
        with torch.no_grad():
            picture.coefficients.copy_(both.coefficients[b : b + 1])
        alone.append(optimize(picture, wanted[b], eyes, views=shared, steps=5).finish())
    run.finish()
    for b in range(2):
        torch.testing.assert_close(run.image[b : b + 1], alone[b].image)


@pytest.mark.parametrize("memory", [-0.1, 1.0, "long"])
def test_a_memory_that_makes_no_sense_is_refused(memory: object) -> None:
    with pytest.raises(ValueError, match="memory is a number from 0 on, below 1"):
        style(MANNER, memory=memory)
