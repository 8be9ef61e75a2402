"""Objectives against closed forms in numpy, their algebra, their recipes, and what they refuse."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dip_lessons import Objective, channel, direction, layer, logit, neuron
from dip_lessons.networks import LOGITS
from dip_lessons.objectives import from_recipe

MAP, FLAT = "block.2", "fc"


@pytest.fixture
def activations() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        MAP: torch.randn(3, 5, 4, 7, generator=generator, dtype=torch.float64),
        FLAT: torch.randn(3, 6, generator=generator, dtype=torch.float64),
        LOGITS: torch.randn(3, 10, generator=generator, dtype=torch.float64),
    }


def cosine_power(a: np.ndarray, v: np.ndarray, power: float) -> np.ndarray:
    """Mean over places of a·v · max(.1, cos)^power, place by place."""
    result = np.zeros(len(a))
    for b, one in enumerate(a.reshape(*a.shape[:2], -1)):
        values = []
        for vector in one.T:
            cos = vector @ v / (np.linalg.norm(vector) * np.linalg.norm(v))
            values.append(vector @ v * max(0.1, cos) ** power)
        result[b] = np.mean(values)
    return result


VECTOR = np.array([0.5, -1.0, 2.0, 0.25, -0.125])  # exact in single precision

CLOSED_FORMS: list[tuple[Objective, Callable[[dict[str, np.ndarray]], np.ndarray]]] = [
    (channel(MAP, 3), lambda a: a[MAP][:, 3].mean(axis=(1, 2))),
    (channel(FLAT, 3), lambda a: a[FLAT][:, 3]),
    (neuron(MAP, 1), lambda a: a[MAP][:, 1, 2, 3]),
    (neuron(MAP, 1, y=0), lambda a: a[MAP][:, 1, 0, 3]),
    (neuron(MAP, 1, x=6), lambda a: a[MAP][:, 1, 2, 6]),
    (neuron(MAP, 4, y=3, x=0), lambda a: a[MAP][:, 4, 3, 0]),
    (neuron(FLAT, 2), lambda a: a[FLAT][:, 2]),
    (logit(9), lambda a: a[LOGITS][:, 9]),
    (direction(MAP, VECTOR), lambda a: np.einsum("bchw,c->b", a[MAP], VECTOR) / 28),
    (direction(MAP, VECTOR.tolist(), power=1), lambda a: cosine_power(a[MAP], VECTOR, 1)),
    (direction(MAP, torch.tensor(VECTOR), power=2), lambda a: cosine_power(a[MAP], VECTOR, 2)),
    (direction(MAP, VECTOR, 0.5), lambda a: cosine_power(a[MAP], VECTOR, 0.5)),
    (
        direction(FLAT, [1, 0, 0, 0, 0, -2], power=2),
        lambda a: cosine_power(a[FLAT], np.array([1, 0, 0, 0, 0, -2]), 2),
    ),
    (layer(MAP), lambda a: (a[MAP] ** 2).mean(axis=(1, 2, 3))),
    (layer(FLAT), lambda a: (a[FLAT] ** 2).mean(axis=1)),
    (channel(MAP, 0) + 2, lambda a: a[MAP][:, 0].mean(axis=(1, 2)) + 2),
    (2 + channel(MAP, 0), lambda a: a[MAP][:, 0].mean(axis=(1, 2)) + 2),
    (channel(MAP, 0) - logit(4), lambda a: a[MAP][:, 0].mean(axis=(1, 2)) - a[LOGITS][:, 4]),
    (1.5 - logit(4), lambda a: 1.5 - a[LOGITS][:, 4]),
    (-logit(4), lambda a: -a[LOGITS][:, 4]),
    (0.3 * logit(4) * 2, lambda a: 0.6 * a[LOGITS][:, 4]),
    (logit(4) / 7, lambda a: a[LOGITS][:, 4] / 7),
    (logit(4) * logit(5), lambda a: a[LOGITS][:, 4] * a[LOGITS][:, 5]),
    (np.float32(0.5) * logit(4), lambda a: 0.5 * a[LOGITS][:, 4]),
    (np.float64(2) - logit(4), lambda a: 2 - a[LOGITS][:, 4]),
    (
        sum([channel(MAP, 1), 2 * logit(0), layer(FLAT)]) / 3,
        lambda a: (a[MAP][:, 1].mean(axis=(1, 2)) + 2 * a[LOGITS][:, 0] + (a[FLAT] ** 2).mean(axis=1)) / 3,
    ),
    (
        logit(1) - 0.5 * (neuron(MAP, 1) - 3) * logit(2),
        lambda a: a[LOGITS][:, 1] - 0.5 * (a[MAP][:, 1, 2, 3] - 3) * a[LOGITS][:, 2],
    ),
]


@pytest.mark.parametrize(("objective", "closed"), CLOSED_FORMS, ids=lambda o: getattr(o, "code", ""))
def test_closed_forms_in_numpy(
    activations: dict[str, Tensor], objective: Objective, closed: Callable
) -> None:
    got = objective(activations)
    assert got.shape == (3,)
    expected = closed({name: a.numpy() for name, a in activations.items()})
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("objective", "closed"), CLOSED_FORMS, ids=lambda o: getattr(o, "code", ""))
def test_recipes_make_the_same_objective_again(
    activations: dict[str, Tensor], objective: Objective, closed: Callable
) -> None:
    stored = json.loads(json.dumps(objective.recipe))  # nested lists of names, numbers and strings
    again = from_recipe(stored)
    assert torch.equal(again(activations), objective(activations))
    assert again.layers == objective.layers
    assert again.code == objective.code
    assert json.loads(json.dumps(again.recipe)) == stored


def test_gradients_are_finite_differences(activations: dict[str, Tensor]) -> None:
    a = activations[MAP].requires_grad_(True)
    for objective in (direction(MAP, VECTOR, power=2), layer(MAP), neuron(MAP, 2) * channel(MAP, 1)):
        assert torch.autograd.gradcheck(lambda x, o=objective: o({MAP: x}), a)


def test_a_place_where_nothing_is_active_has_a_finite_gradient() -> None:
    a = torch.zeros(1, 5, 2, 2, requires_grad=True)
    direction(MAP, VECTOR, power=2)({MAP: a}).sum().backward()
    assert a.grad.isfinite().all()


def test_pictures_of_a_batch_do_not_mix(activations: dict[str, Tensor]) -> None:
    objective = channel(MAP, 1) + layer(FLAT) * logit(2) + direction(MAP, VECTOR, power=1)
    whole = objective(activations)
    for b in range(3):
        one = {name: a[b : b + 1] for name, a in activations.items()}
        torch.testing.assert_close(objective(one), whole[b : b + 1], rtol=0, atol=1e-12)


# --- algebra ----------------------------------------------------------------------------------------------


def test_algebra_makes_new_objectives_and_changes_none(activations: dict[str, Tensor]) -> None:
    a, b = channel(MAP, 1), logit(2)
    before = [(o, id(o), o.layers, o.code, o.recipe, o.function, o(activations)) for o in (a, b)]
    results = [a + b, a - b, a * b, 2 * a, a / 2, -a, 3 - a, a + 1, sum([a, b])]
    a += b  # makes a new one too
    assert len({id(o) for o in (*results, a, *(row[0] for row in before))}) == len(results) + 3
    for objective, identity, layers, code, recipe, function, value in before:
        assert id(objective) == identity
        assert (objective.layers, objective.code, objective.recipe) == (layers, code, recipe)
        assert objective.function is function
        assert torch.equal(objective(activations), value)
    assert results[0].layers == (MAP, LOGITS)
    assert (results[0] + channel(MAP, 4)).layers == (MAP, LOGITS)


def test_an_objective_is_written_as_it_is_made() -> None:
    assert repr(channel(MAP, 3)) == "channel('block.2', 3)"
    assert repr(neuron(MAP, 3)) == "neuron('block.2', 3)"
    assert repr(neuron(MAP, 3, x=1)) == "neuron('block.2', 3, None, 1)"
    assert repr(logit(281)) == "logit(281)"
    made = 2 * channel(MAP, 3) - logit(1) / 4
    names = {"channel": channel, "logit": logit}
    assert eval(repr(made), names).recipe == made.recipe
    assert repr(direction(MAP, VECTOR)) == "direction('block.2', …)"


def test_one_of_your_own(activations: dict[str, Tensor]) -> None:
    own = Objective(lambda a: a[MAP][:, :2].mean(dim=(1, 2, 3)), layers=[MAP, MAP])
    assert own.layers == (MAP,)
    assert own.recipe is None
    both = own - 2 * logit(1)
    assert both.recipe is None  # what cannot be stored stays so
    assert both.layers == (MAP, LOGITS)
    expected = activations[MAP][:, :2].mean(dim=(1, 2, 3)) - 2 * activations[LOGITS][:, 1]
    torch.testing.assert_close(both(activations), expected)
    assert Objective(lambda a: a[MAP].mean(dim=(1, 2, 3)), layers=MAP).layers == (MAP,)  # not its letters

    def brightness(a: dict[str, Tensor]) -> Tensor:
        return a[MAP].mean(dim=(1, 2, 3))

    assert repr(Objective(brightness, [MAP])) == "brightness"


def test_a_direction_keeps_its_own_numbers(activations: dict[str, Tensor]) -> None:
    vector = torch.tensor(VECTOR, dtype=torch.float32, requires_grad=True)
    objective = direction(MAP, vector)
    before = objective(activations)
    with torch.no_grad():
        vector.zero_()
    assert torch.equal(objective(activations), before)
    assert not before.requires_grad


# --- what is refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda i: channel(MAP, i), lambda i: neuron(MAP, i), logit])
@pytest.mark.parametrize("index", [-1, True, False, 1.0, "3", None, torch.tensor(2), slice(2)])
def test_an_index_that_is_none_is_refused(make: Callable[[object], Objective], index: object) -> None:
    with pytest.raises(ValueError, match="the index of a channel is an int from 0 on; got"):
        make(index)


def test_a_channel_that_does_not_exist_is_refused(activations: dict[str, Tensor]) -> None:
    for objective, words in (
        (channel(MAP, 5), "channel 5 does not exist: block.2 has 5, counted from 0"),
        (neuron(MAP, 99), "neuron 99 does not exist: block.2 has 5"),
        (logit(10), "logit 10 does not exist: logits has 10"),
        (2 * logit(10) + 1, "logit 10 does not exist"),
    ):
        with pytest.raises(IndexError, match=words):
            objective(activations)


@pytest.mark.parametrize(("y", "x"), [(4, 0), (-1, 0), (0, 7), (0, -1), (None, 7)])
def test_a_place_outside_the_map_is_refused(
    activations: dict[str, Tensor], y: int | None, x: int | None
) -> None:
    with pytest.raises(IndexError, match=r"block.2 has a map of \(4, 7\) here; .* lies outside it"):
        neuron(MAP, 0, y, x)(activations)


@pytest.mark.parametrize(
    ("vector", "error", "words"),
    [
        ([1.0, 2.0], None, "the direction has 2 numbers, but block.2 has 5 channels"),
        ([0.0] * 5, "now", "finite numbers that are not all 0"),
        ([1.0, np.nan, 0, 0, 0], "now", "finite numbers that are not all 0"),
        ([1.0, np.inf, 0, 0, 0], "now", "finite numbers that are not all 0"),
        ([], "now", "finite numbers that are not all 0"),
    ],
)
def test_a_wrong_direction_is_refused(
    activations: dict[str, Tensor], vector: list[float], error: str | None, words: str
) -> None:
    if error == "now":
        with pytest.raises(ValueError, match=words):
            direction(MAP, vector)
    else:
        with pytest.raises(ValueError, match=words):
            direction(MAP, vector)(activations)


@pytest.mark.parametrize(
    ("function", "got"),
    [
        (lambda a: a[MAP].mean(), r"returned \(\)"),
        (lambda a: a[MAP].mean(dim=(2, 3)), r"returned \(3, 5\)"),
        (lambda a: a[MAP][:2, 0, 0, 0], r"returned \(2,\)"),
        (lambda a: 1.0, "returned float"),
        (lambda a: None, "returned NoneType"),
    ],
)
def test_a_function_that_does_not_return_one_number_for_each_picture(
    activations: dict[str, Tensor], function: Callable, got: str
) -> None:
    with pytest.raises(ValueError, match=rf"a tensor of shape \(3,\); .* {got}: average over"):
        Objective(function, [MAP])(activations)


def test_an_objective_without_layers_or_function_says_so() -> None:
    with pytest.raises(ValueError, match=r"names no layer: Objective\(function, layers=\[…\]\)"):
        Objective(lambda a: torch.zeros(1), [])({})
    with pytest.raises(TypeError, match="made of a function of activations; got str"):
        Objective("features.9", ["features.9"])


def test_what_cannot_be_added_raises_type_error() -> None:
    objective = channel(MAP, 1)
    for wrong in ("1", None, [1], torch.ones(3), 1j):
        for combine in (lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / b):
            with pytest.raises(TypeError):
                combine(objective, wrong)
    with pytest.raises(TypeError):
        objective / logit(1)
    with pytest.raises(ZeroDivisionError):
        objective / 0


def test_unknown_recipes_are_refused_and_nothing_is_executed() -> None:
    for recipe in (("eval", "1"), ("", 1), ("+-", ("logit", 1), ("logit", 2)), ("from_recipe", 1)):
        with pytest.raises(ValueError, match="there is no objective"):
            from_recipe(recipe)


def test_not_a_number_is_passed_on_not_hidden(activations: dict[str, Tensor]) -> None:
    activations[MAP][1, 2, 0, 0] = torch.nan
    assert channel(MAP, 2)(activations).isnan().tolist() == [False, True, False]
    assert channel(MAP, 3)(activations).isnan().tolist() == [False, False, False]
    assert direction(MAP, VECTOR, power=2)(activations).isnan().tolist() == [False, True, False]
