"""Objectives against closed forms in numpy, their algebra, their recipes, and what they refuse."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dip_lessons import objectives
from dip_lessons.networks import OUTPUT as LOGITS
from dip_lessons.notebook.player import replay
from dip_lessons.objectives import (
    PICTURE,
    VIEW,
    Objective,
    activation_grid,
    alignment,
    caricature,
    channel,
    direction,
    diversity,
    each,
    from_specification,
    high_frequency,
    interpolate,
    l1,
    layer,
    logit,
    look,
    neuron,
    opacity,
    perceptual_distance,
    squared_error,
    total_variation,
)

MAP, FLAT = "block.2", "fc"


@pytest.fixture
def activations() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        MAP: torch.randn(3, 5, 4, 7, generator=generator, dtype=torch.float64),
        FLAT: torch.randn(3, 6, generator=generator, dtype=torch.float64),
        LOGITS: torch.randn(3, 10, generator=generator, dtype=torch.float64),
        PICTURE: torch.rand(3, 4, 5, 6, generator=generator, dtype=torch.float64),
        VIEW: torch.rand(3, 4, 3, 2, generator=generator, dtype=torch.float64),
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


def variation(x: np.ndarray) -> np.ndarray:
    """Of (B, C, H, W), difference by difference."""
    total = np.zeros(len(x))
    _, channels, height, width = x.shape
    for c in range(channels):
        for i in range(height):
            for j in range(width):
                if j + 1 < width:
                    total += abs(x[:, c, i, j + 1] - x[:, c, i, j])
                if i + 1 < height:
                    total += abs(x[:, c, i + 1, j] - x[:, c, i, j])
    return total / (height * width)


def blurred(x: np.ndarray) -> np.ndarray:
    """Of (B, C, H, W), pixel by pixel: neighbours that exist count once, the pixel itself twice."""
    result = np.empty_like(x)
    for i, j in np.ndindex(x.shape[2:]):
        around = x[:, :, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
        weight = around.shape[2] * around.shape[3] + 1
        result[:, :, i, j] = (around.sum(axis=(2, 3)) + x[:, :, i, j]) / weight
    return result


def aligned(a: np.ndarray, decay: float, reach: int) -> np.ndarray:
    """Half of each pair's penalty for both of it, picture by picture."""
    result = np.zeros(len(a))
    for i in range(len(a)):
        for j in range(len(a)):
            if 0 < abs(i - j) <= reach:
                result[i] -= np.mean((a[i] - a[j]) ** 2) / decay ** abs(i - j) / 2
    return result


def diverse(a: np.ndarray) -> np.ndarray:
    """Minus the cosines of each picture's Gram matrix with the others'."""
    grams = [sum(np.outer(v, v) for v in one.reshape(one.shape[0], -1).T) for one in a]
    cosine = [[np.sum(g * h) / np.sqrt(np.sum(g * g) * np.sum(h * h)) for h in grams] for g in grams]
    return -np.array([sum(row) - row[i] for i, row in enumerate(cosine)])


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
    (total_variation(), lambda a: variation(a[PICTURE][:, :3])),
    (l1(), lambda a: abs(a[PICTURE][:, :3] - 0.5).sum(axis=(1, 2, 3)) / 30),
    (l1(centre=0.25), lambda a: abs(a[PICTURE][:, :3] - 0.25).sum(axis=(1, 2, 3)) / 30),
    (
        high_frequency(),
        lambda a: ((a[PICTURE] - blurred(a[PICTURE]))[:, :3] ** 2).sum(axis=(1, 2, 3)) / 60,
    ),
    (opacity(), lambda a: a[PICTURE][:, 3].mean(axis=(1, 2))),
    (opacity(of="view"), lambda a: a[VIEW][:, 3].mean(axis=(1, 2))),
    (
        channel(MAP, 1) * (1 - opacity()) - 2 * l1(0),
        lambda a: (
            a[MAP][:, 1].mean(axis=(1, 2)) * (1 - a[PICTURE][:, 3].mean(axis=(1, 2)))
            - a[PICTURE][:, :3].sum(axis=(1, 2, 3)) / 15
        ),
    ),
    (alignment(MAP), lambda a: aligned(a[MAP], 5, 4)),
    (alignment(MAP, 2, reach=1), lambda a: aligned(a[MAP], 2, 1)),
    (alignment(FLAT, decay=0.5, reach=2), lambda a: aligned(a[FLAT], 0.5, 2)),
    (diversity(MAP), lambda a: diverse(a[MAP])),
    (diversity(FLAT), lambda a: diverse(a[FLAT])),
    (
        interpolate(channel(MAP, 1), logit(2) + 1),
        lambda a: np.array(
            [
                a[MAP][0, 1].mean(),
                (a[MAP][1, 1].mean() + a[LOGITS][1, 2] + 1) / 2,
                a[LOGITS][2, 2] + 1,
            ]
        ),
    ),
    (
        each(logit(7), direction(MAP, VECTOR), logit(1) - l1()),
        lambda a: np.array(
            [
                a[LOGITS][0, 7],
                np.einsum("chw,c->", a[MAP][1], VECTOR) / 28,
                a[LOGITS][2, 1] - abs(a[PICTURE][2, :3] - 0.5).sum() / 30,
            ]
        ),
    ),
    (
        each(logit(0), logit(1), logit(2)) + 0.5 * alignment(MAP),
        lambda a: np.diag(a[LOGITS][:, :3]) + aligned(a[MAP], 5, 4) / 2,
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
    stored = json.loads(json.dumps(objective.specification))  # nested lists of names, numbers and strings
    again = from_specification(stored)
    assert torch.equal(again(activations), objective(activations))
    assert again.layers == objective.layers
    assert again.code == objective.code
    assert json.loads(json.dumps(again.specification)) == stored


@pytest.mark.parametrize(  # high_frequency holds its blur constant: it has a test of its own
    "objective", [o for o, _ in CLOSED_FORMS if "high_frequency" not in o.code], ids=lambda o: o.code
)
def test_gradients_are_finite_differences(activations: dict[str, Tensor], objective: Objective) -> None:
    inputs = tuple(activations[name].requires_grad_(True) for name in objective.layers)

    def value(*inputs: Tensor) -> Tensor:
        return objective(dict(zip(objective.layers, inputs, strict=True)))

    assert torch.autograd.gradcheck(value, inputs)


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


@pytest.mark.parametrize(
    "objective", [o for o, _ in CLOSED_FORMS if "direction" not in o.code], ids=lambda o: o.code
)
def test_the_code_of_a_run_writes_the_objective_again(
    activations: dict[str, Tensor], objective: Objective
) -> None:
    again = eval(replay._objective(objective.specification), {"dip": objectives})
    assert torch.equal(again(activations), objective(activations))


# --- what Lucid adds up -----------------------------------------------------------------------------------


def test_the_sums_over_a_batch_are_lucids_totals() -> None:
    a = torch.randn(7, 3, 2, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    pairs = [(d, i) for d in (1, 2, 3, 4) for i in range(7 - d)]
    total = -sum(float(((a[i] - a[i + d]) ** 2).mean()) / 5**d for d, i in pairs)
    assert float(alignment(MAP)({MAP: a}).sum()) == pytest.approx(total, rel=1e-12)
    grams = torch.einsum("bchw,bdhw->bcd", a, a)
    grams = grams / grams.square().sum(dim=(1, 2), keepdim=True).sqrt()
    total = sum(float((grams[i] * grams[j]).sum()) for i in range(7) for j in range(7) if i != j) / 7
    assert float(diversity(MAP)({MAP: a}).mean()) == pytest.approx(-total, rel=1e-12)
    weights = [n / 6 for n in range(7)]
    total = sum(float((1 - w) * one[0].mean() + w * one[2].mean()) for w, one in zip(weights, a, strict=True))
    got = interpolate(channel(MAP, 0), channel(MAP, 2))({MAP: a}).sum()
    assert float(got) == pytest.approx(total, rel=1e-12)
    sums = {total_variation(): variation(a.numpy()) * 8, l1(0): a.abs().sum(dim=(1, 2, 3)).numpy()}
    for objective, expected in sums.items():
        np.testing.assert_allclose(8 * objective({PICTURE: a}), expected, rtol=1e-12)


def test_a_step_against_high_frequency_is_a_blur() -> None:
    x = torch.rand(2, 3, 5, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    x.requires_grad_(True)
    (gradient,) = torch.autograd.grad(high_frequency()({PICTURE: x}).sum(), x)
    x = x.detach()
    expected = 0.7 * x.numpy() + 0.3 * blurred(x.numpy())
    np.testing.assert_allclose(x - 0.3 * 5 * 4 * gradient, expected, rtol=0, atol=1e-12)


def test_regularisers_of_pictures_that_are_known() -> None:
    stripes = torch.zeros(1, 3, 4, 6)
    stripes[..., ::2] = 1
    assert float(total_variation()({PICTURE: stripes})) == pytest.approx(3 * 4 * 5 / 24)
    flat = torch.full((1, 3, 4, 6), 0.3)
    for objective, expected in ((total_variation(), 0), (high_frequency(), 0), (l1(), 0.6), (l1(0.3), 0)):
        assert float(objective({PICTURE: flat})) == pytest.approx(expected, abs=1e-6)


def test_diversity_of_textures_that_are_known() -> None:
    same = torch.rand(1, 4, 3, 3).repeat(3, 1, 1, 1)
    shuffled = same.flatten(2)[:, :, torch.randperm(9, generator=torch.Generator().manual_seed(0))]
    both = torch.cat([same[:2], shuffled.view_as(same)[:1]])  # a texture has no places
    torch.testing.assert_close(diversity(MAP)({MAP: both}), torch.full((3,), -2.0))
    apart = torch.zeros(3, 4, 2, 2)
    apart[[0, 1, 2], [0, 1, 2]] = 1
    torch.testing.assert_close(diversity(MAP)({MAP: apart}), torch.zeros(3))
    dead = torch.zeros(2, 4, 2, 2, requires_grad=True)
    diversity(MAP)({MAP: dead}).sum().backward()
    assert dead.grad.isfinite().all()


# --- caricatures and grids --------------------------------------------------------------------------------


@pytest.mark.parametrize("power", [0, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("several", [False, True])
def test_caricatures_in_numpy(activations: dict[str, Tensor], power: float, several: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    targets = {
        name: activations[name][: 3 if several else 1]
        + torch.randn(3 if several else 1, *activations[name].shape[1:], generator=generator)
        for name in (MAP, FLAT)
    }
    targets[MAP][-1] *= -1  # one angle is large: the bound .1 acts
    objective = caricature(targets, power)
    expected = np.zeros(3)
    for name, target in targets.items():
        for b in range(3):
            a, t = activations[name][b].numpy().ravel(), target[b if several else 0].numpy().ravel()
            along = a @ t / np.linalg.norm(t)
            expected[b] += along * max(0.1, along / np.linalg.norm(a)) ** power
    np.testing.assert_allclose(objective(activations), expected, rtol=1e-12)
    inputs = tuple(activations[name].requires_grad_(True) for name in (MAP, FLAT))
    assert torch.autograd.gradcheck(lambda m, f: objective({MAP: m, FLAT: f}), inputs)
    for target in targets.values():
        target.zero_()  # it keeps its own
    np.testing.assert_allclose(objective(activations).detach(), expected, rtol=1e-12)
    assert objective.layers == (MAP, FLAT)
    assert repr(objective) == "caricature({'block.2': …, 'fc': …})"
    assert objective.specification is None
    assert (objective - l1()).specification is None
    assert each(objective, l1()).specification is None
    assert interpolate(logit(1), objective).specification is None


@pytest.mark.parametrize("several", [False, True])
def test_distances_in_numpy(activations: dict[str, Tensor], several: bool) -> None:
    n = 3 if several else 1
    targets = {name: activations[name][:n].flip(1).clone() for name in (MAP, LOGITS)}
    objective = perceptual_distance(targets)
    expected = np.zeros(3)
    for name, target in targets.items():
        for b in range(3):
            a, t = (x.numpy().reshape(x.shape[0], -1) for x in (activations[name][b], target[b % n]))
            a, t = a / np.linalg.norm(a, axis=0), t / np.linalg.norm(t, axis=0)
            expected[b] += ((a - t) ** 2).sum(axis=0).mean()
    np.testing.assert_allclose(objective(activations), expected, rtol=1e-12)
    same = perceptual_distance({MAP: activations[MAP]})(activations)
    np.testing.assert_allclose(same, 0, atol=1e-12)
    picture = activations[PICTURE][:n].flip(2)
    error = squared_error(picture)
    np.testing.assert_allclose(
        error(activations), ((activations[PICTURE] - picture) ** 2).numpy().mean(axis=(1, 2, 3)), rtol=1e-12
    )
    inputs = tuple(activations[name].requires_grad_(True) for name in (MAP, LOGITS, PICTURE))
    both = objective + error
    assert torch.autograd.gradcheck(lambda m, f, p: both({MAP: m, LOGITS: f, PICTURE: p}), inputs)
    assert objective.specification is None
    assert error.specification is None


def test_distances_from_what_does_not_fit_are_refused(activations: dict[str, Tensor]) -> None:
    for wrong in (activations[MAP][:1, :, 1:], activations[MAP][:2]):
        with pytest.raises(ValueError, match="block.2 is .* but was to be compared with"):
            perceptual_distance({MAP: wrong})(activations)
    with pytest.raises(TypeError, match="a perceptual distance is made of"):
        perceptual_distance(activations[MAP])
    for wrong in (activations[PICTURE][:2], activations[PICTURE][:, :3]):
        with pytest.raises(ValueError, match="cannot be compared with .* resize one"):
            squared_error(wrong)(activations)


def test_nothing_active_has_a_finite_gradient_in_a_distance() -> None:
    a = torch.zeros(2, 3, 2, 2, requires_grad=True)
    perceptual_distance({MAP: torch.ones(1, 3, 2, 2)})({MAP: a}).sum().backward()
    assert a.grad.abs().max() < 1e4


def test_nothing_active_has_a_finite_gradient_in_a_caricature() -> None:
    a = torch.zeros(2, 3, 2, 2, requires_grad=True)
    caricature({MAP: torch.ones(1, 3, 2, 2)}, power=2)({MAP: a}).sum().backward()
    assert a.grad.isfinite().all()


def test_an_activation_grid_looks_for_each_cells_mean() -> None:
    generator = torch.Generator().manual_seed(4)
    photo = torch.randn(1, 5, 4, 6, generator=generator, dtype=torch.float64)
    objective = activation_grid(photo, MAP, 2, 3, power=1)
    a = torch.randn(6, 5, 4, 7, generator=generator, dtype=torch.float64)
    got = objective({MAP: a}).numpy()
    for i in range(6):
        row, column = divmod(i, 3)
        cell = photo[0, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean(dim=(1, 2))
        expected = cosine_power(a[i : i + 1].numpy(), cell.numpy(), 1)
        np.testing.assert_allclose(got[i], expected[0], rtol=1e-6)  # directions are kept in single precision
    again = from_specification(json.loads(json.dumps(objective.specification)))
    assert torch.equal(again({MAP: a}), objective({MAP: a}))
    assert repr(again) == "each(direction('block.2', …), …, direction('block.2', …))"


# --- the picture and the view as layers -------------------------------------------------------------------


def test_look_gives_picture_view_and_activations_in_the_order_asked() -> None:
    shown = []

    def network(view: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        shown.append((view, layers))
        return {name: view.mean(dim=1) for name in reversed(layers)}

    picture, view = torch.rand(2, 4, 6, 6), torch.rand(2, 4, 3, 3)
    seen = look(network, ("b", VIEW, "a", PICTURE), view, picture)
    assert list(seen) == ["b", VIEW, "a", PICTURE]
    assert seen[PICTURE] is picture
    assert seen[VIEW] is view
    assert len(shown) == 1
    assert shown[0][1] == ("b", "a")
    assert torch.equal(shown[0][0], view[:, :3])  # a network sees colours
    assert look(network, (PICTURE, VIEW), view) == {PICTURE: view, VIEW: view}
    assert look(network, (), view) == {}
    assert len(shown) == 1  # without layers of its own it does not run
    colours = torch.rand(2, 3, 3, 3)
    look(network, ["a"], colours)
    assert shown[1][0] is colours


def test_objectives_of_what_look_gives(activations: dict[str, Tensor]) -> None:
    objective = channel(MAP, 2) - 0.5 * total_variation() + opacity("view")
    assert objective.layers == (MAP, PICTURE, VIEW)
    inside = {MAP: activations[MAP]}
    seen = look(lambda view, layers: inside, objective.layers, activations[VIEW], activations[PICTURE])
    assert torch.equal(objective(seen), objective(activations))


# --- algebra ----------------------------------------------------------------------------------------------


def test_algebra_makes_new_objectives_and_changes_none(activations: dict[str, Tensor]) -> None:
    a, b = channel(MAP, 1), logit(2)
    before = [(o, id(o), o.layers, o.code, o.specification, o.function, o(activations)) for o in (a, b)]
    results = [a + b, a - b, a * b, 2 * a, a / 2, -a, 3 - a, a + 1, sum([a, b])]
    a += b  # makes a new one too
    assert len({id(o) for o in (*results, a, *(row[0] for row in before))}) == len(results) + 3
    for objective, identity, layers, code, recipe, function, value in before:
        assert id(objective) == identity
        assert (objective.layers, objective.code, objective.specification) == (layers, code, recipe)
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
    assert eval(repr(made), names).specification == made.specification
    assert repr(direction(MAP, VECTOR)) == "direction('block.2', …)"


def test_one_of_your_own(activations: dict[str, Tensor]) -> None:
    own = Objective(lambda a: a[MAP][:, :2].mean(dim=(1, 2, 3)), layers=[MAP, MAP])
    assert own.layers == (MAP,)
    assert own.specification is None
    both = own - 2 * logit(1)
    assert both.specification is None  # what cannot be stored stays so
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
@pytest.mark.parametrize("index", [-1, True, False, 1.0, "3", None, torch.tensor(2.0), slice(2)])
def test_an_index_that_is_none_is_refused(make: Callable[[object], Objective], index: object) -> None:
    with pytest.raises(ValueError, match="the index of a channel must be a whole number, 0 or more; got"):
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


@pytest.mark.parametrize(
    "objective",
    [alignment(MAP), diversity(MAP), interpolate(channel(MAP, 0), channel(MAP, 1)), each(alignment(MAP))],
)
def test_what_compares_pictures_needs_two(activations: dict[str, Tensor], objective: Objective) -> None:
    one = {name: a[:1] for name, a in activations.items()}
    with pytest.raises(
        ValueError, match="compares the pictures of a batch, and here there is one: .*batch=2"
    ):
        objective(one)


def test_each_wants_as_many_pictures_as_objectives(activations: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"each\(…\) has 2 objectives for 3 pictures: .* batch=2"):
        each(logit(1), logit(2))(activations)
    with pytest.raises(ValueError, match="one for each picture of the batch; got none"):
        each()
    with pytest.raises(TypeError, match=r"got list. A list of them is handed over as each\(\*objectives\)"):
        each([logit(1), logit(2)])
    with pytest.raises(TypeError, match=r"interpolate takes objectives.* got str"):
        interpolate(logit(1), "logit")


@pytest.mark.parametrize(("decay", "reach"), [(0, 4), (-1, 4), (np.nan, 4), (5, 0), (5, 1.5), (5, True)])
def test_a_wrong_alignment_is_refused(decay: float, reach: int) -> None:
    with pytest.raises(
        ValueError, match="the (decay must be a number above 0|reach must be a whole number, 1 or more); got"
    ):
        alignment(MAP, decay, reach)


def test_opacity_where_there_is_no_alpha_is_refused() -> None:
    with pytest.raises(ValueError, match=r"RGBA picture, \(B, 4, H, W\); got \(2, 3, 4, 5\): .*dip.RGBA"):
        opacity()({PICTURE: torch.rand(2, 3, 4, 5)})
    with pytest.raises(ValueError, match="that of the 'picture' or of the 'view'; got 'image'"):
        opacity("image")


def test_a_wrong_caricature_is_refused(activations: dict[str, Tensor]) -> None:
    a = activations[MAP]
    for wrong in (a[:1, :, 1:], a[:2], a[:1, :4]):
        with pytest.raises(ValueError, match=r"block.2 is \(3, 5, 4, 7\) here, .* pictures of the same size"):
            caricature({MAP: wrong})(activations)
    for wrong in (a * 0, a * torch.tensor([1.0, 0, 1])[:, None, None, None], a * torch.nan, a / 0):
        with pytest.raises(ValueError, match="of block.2, activations are all 0 or not finite"):
            caricature({MAP: wrong})
    for wrong, got in ((a, "Tensor"), ({}, r"\{\}"), ("block.2", "str")):
        with pytest.raises(TypeError, match=f"as network\\(image, layers\\) returns it; got {got}"):
            caricature(wrong)


def test_a_wrong_activation_grid_is_refused(activations: dict[str, Tensor]) -> None:
    with pytest.raises(ValueError, match=r"one photo's map, \(1, C, h, w\); got \(3, 5, 4, 7\)"):
        activation_grid(activations[MAP], MAP, 2, 2)
    with pytest.raises(ValueError, match=r"one photo's map.* got \(1, 6\)"):
        activation_grid(activations[FLAT][:1], FLAT, 1, 1)
    for rows, columns in ((5, 2), (2, 8), (0, 2), (2, 0)):
        with pytest.raises(ValueError, match=rf"a map of \(4, 7\) here, .* {rows} × {columns} cells"):
            activation_grid(activations[MAP][:1], MAP, rows, columns)
    dead = activations[MAP][:1].clone()
    dead[..., 2:, :4] = 0
    with pytest.raises(ValueError, match="nothing is active in the cell of row 1 and column 0"):
        activation_grid(dead, MAP, 2, 2)


def test_unknown_recipes_are_refused_and_nothing_is_executed() -> None:
    for recipe in (
        ("eval", "1"),
        ("", 1),
        ("+-", ("logit", 1), ("logit", 2)),
        ("from_specification", 1),
        ("each", ("eval", "1")),
    ):
        with pytest.raises(ValueError, match="there is no objective"):
            from_specification(recipe)


def test_not_a_number_is_passed_on_not_hidden(activations: dict[str, Tensor]) -> None:
    activations[MAP][1, 2, 0, 0] = torch.nan
    assert channel(MAP, 2)(activations).isnan().tolist() == [False, True, False]
    assert channel(MAP, 3)(activations).isnan().tolist() == [False, False, False]
    assert direction(MAP, VECTOR, power=2)(activations).isnan().tolist() == [False, True, False]
