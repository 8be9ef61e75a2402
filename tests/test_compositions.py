"""Pictures made of layers and of other pictures: Pyramid, Shared, RGBA."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from dip_lessons import (
    CPPN,
    RGBA,
    DeepImagePrior,
    Fourier,
    Objective,
    Parameterization,
    Pixels,
    Pyramid,
    Run,
    Shared,
    optimize,
)
from dip_lessons.parameterizations import color
from dip_lessons.parameterizations.base import describe, from_description


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tent(n_in: int, n_out: int) -> np.ndarray:
    """The matrix (n_out, n_in) of linear interpolation between pixel centres, constant beyond the outer ones."""
    at = (np.arange(n_out) + 0.5) * n_in / n_out - 0.5
    at = at.clip(0, n_in - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(n_in)[None]))


def colours(z: np.ndarray) -> np.ndarray:
    basis = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]]) / 0.4619524
    return 1 / (1 + np.exp(-np.einsum("rc,bchw->brhw", basis, z)))


# --- pyramid ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(16, 16), (13, 22), (9, 7)])
def test_a_pyramid_is_the_sum_of_its_levels_each_enlarged_in_steps(size: tuple[int, int]) -> None:
    picture = Pyramid(size, batch=2, levels=3, sd=1.0)
    levels = [p.detach().double().numpy() for p in picture.levels]
    assert [p.shape[-2:] for p in levels] == [(size[0] >> k, size[1] >> k) for k in range(3)]
    z = levels[2]
    for level in (levels[1], levels[0]):
        up, across = (tent(z.shape[d], level.shape[d]) for d in (2, 3))
        z = np.einsum("yi,bcij,xj->bcyx", up, z, across) + level
    np.testing.assert_allclose(picture().detach().numpy(), colours(z), atol=3e-6)


def test_the_levels_of_a_pyramid_that_was_set_are_the_laplacian_pyramid() -> None:
    image = torch.rand(1, 3, 16, 24, generator=seeded(0)) * 0.8 + 0.1
    picture = Pyramid((16, 24), levels=3).set_image(image)
    assert (picture() - image).abs().max() < 1e-5
    z = color.from_image(image)[0].double().numpy()
    half = z.reshape(3, 8, 2, 12, 2).mean(axis=(2, 4))
    quarter = half.reshape(3, 4, 2, 6, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(picture.levels[2][0].detach().numpy(), quarter, atol=1e-4)
    enlarged = np.einsum("yi,cij,xj->cyx", tent(4, 8), quarter, tent(6, 12))
    np.testing.assert_allclose(picture.levels[1][0].detach().numpy(), half - enlarged, atol=1e-4)


def test_too_many_levels_are_refused() -> None:
    assert Pyramid(8, levels=4).levels[-1].shape == (1, 3, 1, 1)
    for levels in (0, 5, 2.0):
        with pytest.raises(
            ValueError, match=r"levels of a picture of \(8, 8\) must be a whole number, from 1 to 4"
        ):
            Pyramid(8, levels=levels)


# --- shared -----------------------------------------------------------------------------------------------


def test_frames_are_their_own_part_plus_the_enlarged_shared_layers() -> None:
    picture = Shared((12, 10), batch=5, layers=[(1, 3), (2, (4, 2)), (5, 2)], sd=0.7, generator=seeded(1))
    z = picture.unique.raw().detach().double().numpy()
    for layer in picture.layers:
        part = layer[0].detach().double().numpy()  # (C, n, h, w)
        over = [tent(n, m) for n, m in zip(part.shape[1:], (5, 12, 10), strict=True)]
        z = z + np.einsum("bn,yi,xj,cnij->bcyx", *over, part)
    np.testing.assert_allclose(picture().detach().numpy(), colours(z), atol=3e-6)


def test_with_one_shared_map_and_nothing_else_all_frames_are_the_same_and_with_two_they_are_not() -> None:
    same = Shared(16, batch=4, layers=[(1, 8)], only_shared=True, sd=1.0)()
    # Three factors of each interpolation are rounded: a few units in the last place of values up to 1.
    torch.testing.assert_close(same, same[:1].expand_as(same), rtol=0, atol=8 * torch.finfo(same.dtype).eps)
    two = Shared(16, batch=4, layers=[(2, 8)], only_shared=True, sd=1.0)()
    steps = (two[1:] - two[:-1]).square().mean(dim=(1, 2, 3))
    assert (steps > 1e-4).all()


def test_only_the_shared_layers_learn_where_there_is_nothing_else() -> None:
    picture = Shared(16, batch=4, layers=[(1, 8)], only_shared=True)
    learning = [name for name, p in picture.named_parameters() if p.requires_grad]
    assert learning == ["layers.0"]


def test_the_articles_shared_layers_are_the_default() -> None:
    assert [tuple(layer.shape[2:]) for layer in Shared(128).layers] == [
        (1, 64, 64), (1, 32, 32), (1, 16, 16), (2, 16, 16), (1, 8, 8), (2, 8, 8)
    ]  # fmt: skip
    assert Shared(128).batch == 6


def test_frames_start_from_pictures() -> None:
    image = torch.rand(3, 3, 16, 16, generator=seeded(0)) * 0.8 + 0.1
    for unique in (16, Pixels(16, batch=3, decorrelate=True), Pyramid(16, batch=3)):
        picture = Shared(unique, batch=3, layers=[(1, 4), (2, 2)], sd=0.5).set_image(image)
        assert (picture() - image).abs().max() < 1e-4


@pytest.mark.parametrize("layers", [[(0, 8)], [(5, 8)], [(1, 0)]])
def test_shared_layers_that_make_no_sense_are_refused(layers: list) -> None:
    with pytest.raises(ValueError, match="a shared layer is .n, side. with 1 to 4 maps for 4 frames"):
        Shared(16, batch=4, layers=layers)


# --- transparency -----------------------------------------------------------------------------------------


def test_rgba_is_colours_and_alpha() -> None:
    colours_, alpha = CPPN(12), Fourier(12, channels=1, sd=0.5)
    picture = RGBA(colours_, alpha)
    assert torch.equal(picture(), torch.cat([colours_(), alpha()], dim=1))
    assert RGBA((8, 6), batch=3)().shape == (3, 4, 8, 6)
    image = torch.rand(1, 4, 8, 6, generator=seeded(0)) * 0.8 + 0.1
    assert (RGBA((8, 6)).set_image(image)() - image).abs().max() < 1e-4


def test_colour_and_alpha_start_from_different_draws() -> None:
    picture = RGBA(8, generator=seeded(5))
    assert not torch.equal(picture.color.coefficients[:, :1], picture.alpha.coefficients)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RGBA(Fourier(8, channels=1)),
        lambda: RGBA(Fourier(8), Fourier(8)),
        lambda: RGBA(Fourier(8), Fourier(9, channels=1)),
        lambda: RGBA(Fourier(8, batch=2), Fourier(8, channels=1)),
    ],
)
def test_parts_that_do_not_fit_are_refused(make) -> None:
    with pytest.raises(ValueError, match="colours need 3 channels and alpha 1, with equal batch and size"):
        make()


# --- what they are made of, kept --------------------------------------------------------------------------


MADE = [
    lambda g: Pyramid((10, 12), levels=2, generator=g),
    lambda g: Shared((10, 12), batch=3, layers=((1, 4), (2, 2)), generator=g),
    lambda g: Shared(Pixels((10, 12), batch=3, generator=g), layers=((1, 4),)),
    lambda g: Shared((10, 12), batch=3, layers=((2, 4),), only_shared=True, generator=g),
    lambda g: RGBA((10, 12), generator=g),
    lambda g: RGBA(CPPN((10, 12), layers=2, generator=g), Pixels((10, 12), channels=1, generator=g)),
    lambda g: DeepImagePrior((10, 12), widths=(3, 4), skip=2, inputs=3, generator=g),
]


def brightness() -> Objective:
    return Objective(lambda a: a["view"].mean(dim=(1, 2, 3)), ["view"])


@pytest.mark.parametrize("make", MADE)
def test_gradients_are_finite_differences(make) -> None:
    picture = make(seeded(0)).double()
    parameters = {name: p for name, p in picture.named_parameters() if p.requires_grad}
    if isinstance(picture, DeepImagePrior):  # a million numbers: check the gradient along one direction
        names = list(parameters)
        steps = [
            torch.randn(p.shape, generator=seeded(i), dtype=p.dtype)
            for i, p in enumerate(parameters.values())
        ]

        def along(t: torch.Tensor) -> torch.Tensor:
            moved = {n: parameters[n].detach() + t * d for n, d in zip(names, steps, strict=True)}
            return functional_call(picture, moved, ())

        assert torch.autograd.gradcheck(along, torch.zeros((), dtype=torch.float64, requires_grad=True))
        return
    for name, start in parameters.items():
        value = start.detach().clone().requires_grad_(True)
        assert torch.autograd.gradcheck(
            lambda v, n=name: functional_call(picture, {n: v}, ()), value, fast_mode=True
        )


@pytest.mark.parametrize("make", MADE)
def test_a_description_is_plain_and_makes_it_again(make) -> None:
    picture = make(seeded(0))
    description = describe(picture)
    again = from_description(description)
    assert describe(again) == description
    assert type(again) is type(picture)
    assert {n: p.shape for n, p in again.state_dict().items()} == {
        n: p.shape for n, p in picture.state_dict().items()
    }
    again.load_state_dict(picture.state_dict())
    assert torch.equal(again(), picture())


@pytest.mark.parametrize("make", MADE)
def test_a_saved_run_of_it_goes_on_as_it_would_have(make, tmp_path) -> None:
    from dip_lessons import random_views

    def network(image, layers):
        raise AssertionError("the objective asks for no layer of the network")

    views = random_views(jitter=1, background="waves")
    run = optimize(make(seeded(3)), brightness(), network, views=views, steps=6)
    run.advance(3).save(tmp_path / "run.pt")
    loaded = Run.load(tmp_path / "run.pt", network=network, objective=brightness())
    assert torch.equal(loaded.image, run.image)
    run.advance(2), loaded.advance(2)
    assert torch.equal(loaded.image, run.image)
    assert loaded.history == run.history
    assert torch.equal(loaded.rewind(1).image, run.rewind(1).image)


def test_what_is_made_of_a_picture_of_ones_own_has_no_description() -> None:
    class Mine(Pixels):
        pass

    assert describe(Mine(8)) is None
    assert describe(RGBA(Mine(8))) is None
    for wrong in (
        {"kind": "Parameterization", "settings": {}},
        {"kind": "os", "settings": {}},
        {"kind": "Pixels", "settings": None},
    ):
        with pytest.raises(ValueError, match="there is no parameterization"):
            from_description(wrong)


@pytest.mark.parametrize("make", MADE)
def test_the_global_generator_stays_and_one_seed_gives_one_start(make) -> None:
    before = torch.get_rng_state()
    first, again, other = make(seeded(1))(), make(seeded(1))(), make(seeded(2))()
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_code_of_a_composed_picture_makes_it_again() -> None:
    import dip_lessons as dip
    from dip_lessons.notebook.player.replay import code

    for make in MADE:
        for seed in (0, 7):
            run = optimize(make(seeded(seed)), brightness(), lambda image, layers: {}, steps=3)
            (line,) = [row for row in code(run).splitlines() if row.startswith("picture = ")]
            scope = {"dip": dip, "torch": torch, "network": Parameterization(2)}
            scope["network"].device = "cpu"
            exec(line, scope)
            same = torch.equal(scope["picture"](), make(seeded(seed))())
            assert same or "it started from other values" in line, line
            assert same or "alpha" in repr(make) or isinstance(run.parameterization, RGBA), line


def test_interpolation_of_a_layer_is_torchs_trilinear() -> None:
    """The oracle above agrees with an independent statement of the same: mean of neighbours at the middle."""
    assert np.allclose(tent(2, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    z = torch.rand(1, 1, 2, 3, 3, generator=seeded(0))
    middle = F.interpolate(z, (3, 3, 3), mode="trilinear", align_corners=False)[0, 0, 1]
    torch.testing.assert_close(middle, z[0, 0].mean(dim=0))
