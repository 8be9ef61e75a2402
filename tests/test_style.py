"""Gram matrices, style and content against numpy in float64, what they ignore, and what they refuse."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dip_lessons.objectives import MEMORY, Memory, Objective, content, gram, style

EARLY, LATE, FLAT = "block.1", "block.2", "fc"


def activations(batch: int, side: tuple[int, int], seed: int, size: float = 1.0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    height, width = side
    return {
        EARLY: size * torch.randn(batch, 4, 2 * height, 2 * width, generator=generator, dtype=torch.float64),
        LATE: 100 * size * torch.randn(batch, 6, height, width, generator=generator, dtype=torch.float64),
        FLAT: torch.randn(batch, 5, generator=generator, dtype=torch.float64),
    }


def gram_in_numpy(a: Tensor) -> np.ndarray:
    """Place by place: the mean of the outer product of each vector of channels with itself."""
    places = a.numpy().reshape(len(a), a.shape[1], -1)
    result = np.zeros((len(a), a.shape[1], a.shape[1]))
    for b, one in enumerate(places):
        for vector in one.T:
            result[b] += np.outer(vector, vector) / one.shape[1]
    return result


def relative(x: np.ndarray, target: np.ndarray, power: int = 1) -> float:
    return (np.abs(x - target) ** power).sum() / (np.abs(target) ** power).sum()


@pytest.mark.parametrize("name", [EARLY, LATE, FLAT])
def test_a_gram_matrix_in_numpy(name: str) -> None:
    a = activations(3, (3, 5), seed=0)[name]
    np.testing.assert_allclose(gram(a), gram_in_numpy(a), rtol=1e-12, atol=1e-12)
    assert torch.autograd.gradcheck(gram, a.requires_grad_(True))


def test_a_gram_matrix_forgets_where_and_how_often() -> None:
    a = activations(1, (4, 6), seed=1)[LATE]
    shuffled = a.flatten(2)[..., torch.randperm(24, generator=torch.Generator().manual_seed(0))].view_as(a)
    torch.testing.assert_close(gram(shuffled), gram(a))
    torch.testing.assert_close(gram(torch.cat([a, a, a], dim=3)), gram(a))
    assert not torch.allclose(gram(a.flip(1)), gram(a))


def test_a_centred_gram_matrix_is_numpys_covariance() -> None:
    seen, target = activations(2, (3, 5), seed=16), activations(1, (2, 4), seed=17)
    own, theirs = ([np.cov(one.flatten(1), bias=True) for one in a[LATE]] for a in (seen, target))
    np.testing.assert_allclose(gram(seen[LATE] + 7, centred=True), own, rtol=1e-10)
    got = style({LATE: target[LATE]}, centred=True)({LATE: seen[LATE] - 3})
    np.testing.assert_allclose(got, [relative(one, theirs[0]) for one in own], rtol=1e-10)
    assert torch.autograd.gradcheck(lambda a: gram(a, centred=True), seen[LATE].requires_grad_(True))


def test_what_is_no_activation_has_no_gram_matrix() -> None:
    with pytest.raises(ValueError, match=r"made of activations \(B, C, h, w\) or \(B, C\); got \(3,\)"):
        gram(torch.zeros(3))


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("squared", [False, True])
def test_style_in_numpy(several: bool, squared: bool) -> None:
    """The style pictures have another size than the pictures; one for all, or one for each."""
    seen, n = activations(3, (3, 5), seed=2), 3 if several else 1
    targets = activations(n, (4, 2), seed=3)
    weights = {EARLY: 1.0, LATE: 3.0, FLAT: 0.5}
    got = style(targets, weights=weights, squared=squared)(seen)
    expected = np.zeros(3)
    for name, w in weights.items():
        mine, theirs = gram_in_numpy(seen[name]), gram_in_numpy(targets[name])
        for b in range(3):
            expected[b] += w * relative(mine[b], theirs[b % n], 2 if squared else 1) / 4.5
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_the_same_style_is_0_and_no_activation_is_1() -> None:
    a = activations(2, (3, 3), seed=4)
    moved = {name: x.roll(1, dims=-1) if x.ndim == 4 else x for name, x in a.items()}
    nothing = {name: torch.zeros_like(x) for name, x in a.items()}
    for squared in (False, True):
        np.testing.assert_allclose(style(a, squared=squared)(moved), 0, atol=1e-12)
        np.testing.assert_allclose(style(a, squared=squared)(nothing), 1, rtol=1e-12)
    np.testing.assert_allclose(content(a)(a), 0, atol=1e-12)
    np.testing.assert_allclose(content(a)(nothing), 1, rtol=1e-12)
    assert (content(a)(moved) > 0.5).all()


def test_weights_mean_the_same_in_networks_whose_activations_have_another_size() -> None:
    seen, target = activations(2, (3, 3), seed=5), activations(1, (3, 3), seed=6)
    louder = [{name: 255 * x for name, x in a.items()} for a in (seen, target)]
    for objective in (style, content):
        torch.testing.assert_close(objective(louder[1])(louder[0]), objective(target)(seen))
    quiet = {**target, EARLY: 1e-3 * target[EARLY]}  # one layer alone
    for objective in (style, content):
        torch.testing.assert_close(
            objective(quiet)({**seen, EARLY: 1e-3 * seen[EARLY]}), objective(target)(seen)
        )


def test_a_mixed_style_is_the_mean_of_gram_matrices() -> None:
    one, other = activations(1, (3, 5), seed=7), activations(1, (2, 2), seed=8)
    seen = activations(2, (4, 4), seed=9)
    got = style(one, other, shares=[1, 3])(seen)
    expected = np.zeros(2)
    for name in seen:
        target = 0.25 * gram_in_numpy(one[name]) + 0.75 * gram_in_numpy(other[name])
        for b, mine in enumerate(gram_in_numpy(seen[name])):
            expected[b] += relative(mine, target[0]) / 3
    np.testing.assert_allclose(got, expected, rtol=1e-12)
    torch.testing.assert_close(style(one, other)(seen), style(one, other, shares=[2, 2])(seen))
    torch.testing.assert_close(style(one, other, shares=[1, 0])(seen), style(one)(seen))


def test_gram_matrices_and_covariances_are_remembered_apart() -> None:
    first, second, target = (activations(1, (2, 2), seed=seed) for seed in (18, 19, 20))
    a, b, t = ({LATE: x[LATE]} for x in (first, second, target))
    kinds = [style(t, memory=0.5), style(t, memory=0.5, centred=True)]

    def looks(*objectives: Objective) -> Tensor:
        memory = Memory()
        for seen in (a, b):
            values = sum(objective({**seen, MEMORY: memory}) for objective in objectives)
            memory.keep()
        return values

    torch.testing.assert_close(looks(*kinds), looks(kinds[0]) + looks(kinds[1]))


def test_content_in_numpy() -> None:
    seen, target = activations(3, (3, 5), seed=10), activations(1, (3, 5), seed=11)
    expected = [
        np.mean([relative(seen[name][b].numpy(), target[name][0].numpy()) for name in seen]) for b in range(3)
    ]
    np.testing.assert_allclose(content(target)(seen), expected, rtol=1e-12)


def test_gradients_by_finite_differences() -> None:
    seen, target = activations(2, (2, 2), seed=12), activations(1, (2, 2), seed=13)
    objective = style(target) + style(target, squared=True) + content(target)
    inputs = tuple(x.requires_grad_(True) for x in seen.values())
    assert torch.autograd.gradcheck(lambda *a: objective(dict(zip(seen, a, strict=True))), inputs)
    assert objective.specification is None


def test_the_targets_are_copies_without_gradient() -> None:
    target = {LATE: torch.ones(1, 3, 2, 2, requires_grad=True)}
    objectives = style(target), content(target)
    with torch.no_grad():
        target[LATE].zero_()
    seen = {LATE: torch.full((1, 3, 2, 2), 2.0, requires_grad=True)}
    values = [objective(seen) for objective in objectives]
    torch.testing.assert_close(torch.cat(values).detach(), torch.tensor([3.0, 1.0]))
    sum(values).sum().backward()
    assert target[LATE].grad is None


def test_styles_and_contents_that_make_no_sense_are_refused() -> None:
    a = activations(1, (2, 2), seed=14)
    for objective, word in ((style, "style"), (content, "content")):
        with pytest.raises(TypeError, match=f"a {word} is made of"):
            objective(a[EARLY])
        for wrong in (torch.zeros_like(a[LATE]), a[LATE] / 0):
            with pytest.raises(ValueError, match=r"activations of block.2 are all 0 or not finite"):
                objective({**a, LATE: wrong})
    for arguments in ((), (a, {LATE: a[LATE]})):
        with pytest.raises(ValueError, match="made of activations of the same layers"):
            style(*arguments)
    for weights in ({EARLY: 1.0}, {EARLY: 0, LATE: 0, FLAT: 0}, {EARLY: -1, LATE: 1, FLAT: 1}):
        with pytest.raises(ValueError, match="weights are numbers from 0 on, not all 0, one for each of"):
            style(a, weights=weights)
    for shares in ([1], [0, 0], [float("nan"), 1]):
        with pytest.raises(ValueError, match="shares are numbers from 0 on, not all 0, one for each of 2"):
            style(a, a, shares=shares)


def test_pictures_that_do_not_fit_are_refused() -> None:
    a = activations(3, (2, 2), seed=15)
    for wrong in (a[LATE][:, :5], a[LATE][:2]):
        with pytest.raises(ValueError, match=r"block.2 has 6 channels for 3 pictures here, and .* style"):
            style({LATE: wrong})(a)
    with pytest.raises(ValueError, match=r"block.2 is .* but was to be compared with"):
        content({LATE: a[LATE][..., :1]})(a)
