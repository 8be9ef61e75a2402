"""What every parameterization of every room promises, tried with each of them; and every kind of views.

A new one is one line in ``MADE`` or ``VIEWS``; a test compares the lists with the registry.
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

import dip_lessons as dip
from dip_lessons import registry
from dip_lessons.parameterizations import describe, from_description
from dip_lessons.parameterizations.base import parameters_of

SIZES = [(48, 81), (16, 16), (9, 7), (33, 32), (5, 64)]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ring() -> dip.Mesh:
    return dip.mesh.torus(8, 6)


MADE: dict[str, Callable[..., dip.Parameterization]] = {
    "CPPN": lambda size, **o: dip.CPPN(size, units=6, layers=3, **o),
    "DeepImagePrior": lambda size, **o: dip.DeepImagePrior(size, inputs=4, **o),
    "Fourier": lambda size, **o: dip.Fourier(size, decay=0.8, **o),
    "PhaseOnly": lambda size, **o: dip.PhaseOnly(size, **o),
    "Pixels": lambda size, **o: dip.Pixels(size, decorrelate=True, sd=0.3, **o),
    "Pyramid": lambda size, **o: dip.Pyramid(size, levels=2, **o),
    "RGBA": lambda size, **o: dip.RGBA(size, **o),
    "Shared": lambda size, **o: dip.Shared(size, layers=[(1, 8), (1, (2, 4))], **o),
    "Siren": lambda size, **o: dip.Siren(size, units=8, layers=2, **o),
    "Solid": lambda size, **o: dip.Solid(size, ring(), cells=8, **o),
    "SphericalHarmonics": lambda size, **o: dip.SphericalHarmonics(size, **o),
    "Splats": lambda size, **o: dip.Splats(size, count=30, **o),
    "Strokes": lambda size, **o: dip.Strokes(size, count=7, **o),
    "Texture": lambda size, batch=1, **o: dip.Texture(dip.Fourier(size, batch=batch, **o), ring()),
}


@pytest.fixture(params=MADE)
def make(request: pytest.FixtureRequest) -> Callable[..., dip.Parameterization]:
    return MADE[request.param]


def fingerprint(image: Tensor) -> bytes:
    return image.detach().numpy().tobytes()


def test_the_lists_are_complete() -> None:
    for room in registry.ROOMS:
        registry.find("parameterization", "Fourier", room)
        __import__(f"dip_lessons.{room}")
    ours = {
        name
        for name in registry.names("parameterization")
        if registry.find("parameterization", name).__module__.startswith("dip_lessons.")
    }
    assert ours == set(MADE) | {"StyleGAN"}  # which draws squares only, and is tried in test_stylegan.py
    kinds = {name for name in registry.names("views") if name != "Sideways"}
    assert kinds == {type(views).__name__ for views, _ in VIEWS.values()}


@pytest.mark.parametrize("size", SIZES)
def test_the_picture(make: Callable[..., dip.Parameterization], size: tuple[int, int]) -> None:
    picture = make(size, batch=2, generator=seeded(1))
    image = picture()
    assert image.shape == (2, picture.channels, *size) == (picture.batch, picture.channels, *picture.size)
    assert image.dtype == torch.float32
    assert 0 <= image.min() <= image.max() <= 1
    gradients = torch.autograd.grad(
        (image * torch.rand(image.shape, generator=seeded(2))).sum(), list(picture.parameters())
    )
    assert all(g.isfinite().all() for g in gradients)
    assert any(g.any() for g in gradients)
    again = make(size, batch=2, generator=seeded(1))
    assert fingerprint(again()) == fingerprint(image)


def test_one_seed_is_one_start_and_the_global_generator_is_neither_used_nor_changed(make) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, other = make(16, generator=seeded(0)), make(16, generator=seeded(1))
    assert torch.equal(torch.rand(3), expected)
    starts = [torch.cat([p.detach().flatten() for p in picture.parameters()]) for picture in (first, other)]
    assert not torch.equal(*starts)
    assert fingerprint(make(16)()) == fingerprint(make(16, generator=seeded(0))())  # seed 0 is the default


def test_it_is_stored_by_name_and_made_again(make: Callable[..., dip.Parameterization]) -> None:
    picture = make((12, 20), batch=2)
    description = describe(picture)
    torch.load(saved(description), weights_only=True)  # numbers and names alone
    other = from_description(description)
    assert type(other) is type(picture)
    assert {n: p.shape for n, p in other.named_parameters()} == {
        n: p.shape for n, p in picture.named_parameters()
    }
    other.load_state_dict(picture.state_dict())
    assert fingerprint(other()) == fingerprint(picture())
    assert list(other.settings()) == list(picture.settings())
    assert set(picture.settings()) <= set(parameters_of(type(picture)))


def saved(thing: object) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return file


def test_copies_are_pictures_of_their_own(make: Callable[..., dip.Parameterization]) -> None:
    picture = make(16)
    other = copy.deepcopy(picture)
    assert fingerprint(other()) == fingerprint(picture())
    with torch.no_grad():
        for p in other.parameters():
            p.add_(0.5)
    assert fingerprint(other()) != fingerprint(picture())
    assert fingerprint(make(16)()) == fingerprint(picture())


def test_what_was_adjusted_is_part_of_the_state(make: Callable[..., dip.Parameterization]) -> None:
    picture, other = make(16), make(16)
    for name in picture.adjustable:
        setattr(picture, name, 0.4)
    other.load_state_dict(picture.state_dict())
    assert [getattr(other, name) for name in other.adjustable] == [0.4] * len(other.adjustable)
    old = {name: value for name, value in picture.state_dict().items() if name not in picture.adjustable}
    make(16).load_state_dict(old)  # a file of old has none


def test_a_plain_torch_loop_trains_it(make: Callable[..., dip.Parameterization]) -> None:
    """A parameterization alone, in somebody's own project: AdamW and a scheduler."""
    picture = make(16)
    target = torch.full_like(picture(), 0.7)
    optimizer = torch.optim.AdamW(picture.parameters(), lr=picture.lr, weight_decay=0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 5)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = (picture() - target).square().mean()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < losses[0]


@pytest.mark.parametrize("kind", [np.int64, np.int16, torch.tensor])
def test_whole_numbers_of_others_are_whole_numbers(
    make: Callable[..., dip.Parameterization], kind: Callable
) -> None:
    picture = make((kind(12), kind(20)), batch=kind(2))
    assert fingerprint(picture()) == fingerprint(make((12, 20), batch=2)())
    torch.load(saved(describe(picture)), weights_only=True)


def test_true_is_not_a_number(make: Callable[..., dip.Parameterization]) -> None:
    with pytest.raises(ValueError, match="batch must be a whole number, 1 or more; got True"):
        make(16, batch=True)
    with pytest.raises(ValueError, match="size must be a positive int"):
        make(True)


def test_a_device_that_torch_does_not_know_is_refused(make: Callable[..., dip.Parameterization]) -> None:
    with pytest.raises(ValueError, match="device 'gpu' is unknown; use 'cpu', 'cuda'"):
        make(16, device="gpu")


@pytest.mark.parametrize("around", ["float64", "inference", "no grad", "autocast", "meta", "deterministic"])
def test_what_the_host_has_set_changes_nothing(
    make: Callable[..., dip.Parameterization], around: str
) -> None:
    plain = fingerprint(make(16, batch=2)())
    kinds = {
        "inference": torch.inference_mode,
        "no grad": torch.no_grad,
        "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        "meta": lambda: torch.device("meta"),
    }
    if around in kinds:
        with kinds[around]():
            picture = make(16, batch=2)
            assert fingerprint(picture()) == plain
    else:
        torch.set_default_dtype(torch.float64 if around == "float64" else torch.float32)
        torch.use_deterministic_algorithms(around == "deterministic")
        try:
            picture = make(16, batch=2)
            assert fingerprint(picture()) == plain
        finally:
            torch.set_default_dtype(torch.float32)
            torch.use_deterministic_algorithms(False)
    assert fingerprint(picture()) == plain
    torch.autograd.grad(picture().sum(), list(picture.parameters()), allow_unused=True)  # it can be trained


def test_a_run_of_it_is_kept_and_goes_on(make: Callable[..., dip.Parameterization], tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = dip.Network(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), mean=(0.5,) * 3, std=(0.5,) * 3)
    picture = make(16, batch=2)
    views = dip.random_views(jitter=2, background="noise" if picture.channels == 4 else None)
    run = dip.optimize(picture, dip.channel("1", 2), network, views=views, steps=6).advance(4)
    loaded = dip.Run.load(run.save(tmp_path / "run.pt"), network=network)
    assert fingerprint(loaded.image) == fingerprint(run.image)
    assert fingerprint(loaded.finish().image) == fingerprint(run.finish().image)
    assert fingerprint(loaded.rewind(1).finish().image) == fingerprint(run.image)


def test_a_file_names_its_room_and_files_of_old_that_do_not_are_read() -> None:
    assert describe(dip.SphericalHarmonics(16))["room"] == "sphere"
    assert "room" not in describe(dip.Fourier(16))
    old = {name: value for name, value in describe(dip.Solid(16, ring(), cells=8)).items() if name != "room"}
    assert isinstance(from_description(old), dip.Solid)
    with pytest.raises(ValueError, match="there is no parameterization 'Wavelet'"):
        from_description({"kind": "Wavelet", "settings": {}, "room": "os"})


class Haar(dip.Parameterization):
    """One of somebody's own: one class."""

    def __init__(self, size: int, *, gain: float = 1.0, **shared: object) -> None:
        super().__init__(size, **shared)
        self.gain = gain
        self.coarse = self.trainable(
            self.noise(self.batch, self.channels, self.size[0] // 2, self.size[1] // 2)
        )

    def raw(self) -> Tensor:
        return self.gain * self.coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def test_one_of_ones_own_is_one_class_and_one_line(tmp_path: Path) -> None:
    run = dip.optimize(Haar(8), dip.l1() * -1, lambda x, layers: {}, steps=2).finish()
    with pytest.raises(
        ValueError, match=r"this run used Haar, not the package's: Run.load\(path, parameterization=…\)"
    ):
        dip.Run.load(run.save(tmp_path / "run.pt"), network=lambda x, layers: {})
    try:
        registry.enter("parameterization")(Haar)
        picture = Haar(8, gain=0.5, batch=3)
        assert picture.settings() == {"size": (8, 8), "gain": 0.5, "batch": 3, "channels": 3}
        assert from_description(describe(picture))().shape == (3, 3, 8, 8)
        run = dip.optimize(picture, dip.l1() * -1, lambda x, layers: {}, steps=2).finish()
        loaded = dip.Run.load(run.save(tmp_path / "run.pt"), network=lambda x, layers: {})
        assert torch.equal(loaded.image, run.image)
        other = type("Haar", (Haar,), {"__module__": "elsewhere"})
        with pytest.raises(ValueError, match="has a parameterization Haar already"):
            registry.enter("parameterization")(other)
    finally:
        registry._entered["parameterization"].pop("Haar", None)


# --- views ------------------------------------------------------------------------------------------------

VIEWS = {
    "flat": (
        dip.random_views(jitter=3, scale=0.1, rotate=9, blur=0.5, noise=0.1, count=2),
        lambda: dip.Fourier(24, batch=2),
    ),
    "panorama": (dip.tangent_views(16, count=2), lambda: dip.SphericalHarmonics(16, batch=2)),
    "mesh": (dip.mesh_views(ring(), size=16, count=2), lambda: dip.Texture(dip.Fourier(16, batch=2), ring())),
}


@pytest.fixture(params=VIEWS)
def views(request: pytest.FixtureRequest) -> tuple[dip.views.RandomViews, Callable]:
    return VIEWS[request.param]


def tint(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Colour jitter: one random factor a picture and channel."""
    factors = 0.5 + torch.rand(len(pictures), pictures.shape[1], 1, 1, generator=generator)
    return pictures * factors.to(pictures)


def test_views_are_drawn_from_the_generator_alone(views) -> None:
    see, picture = views
    image = picture()().detach()
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    seen = see(image, seeded(3))
    assert torch.equal(torch.rand(2), expected)
    assert len(seen) == see.count * len(image)
    assert seen.dtype == torch.float32
    assert torch.equal(see(image, seeded(3)), seen)
    assert not torch.equal(see(image, seeded(4)), seen)
    assert see.change(count=np.int64(1))(image, seeded(3)).shape == (len(image), *seen.shape[1:])


def test_a_step_of_ones_own_keeps_knobs_storage_and_replay(views, tmp_path: Path) -> None:
    see, picture = views
    image = picture()().detach()
    generator = seeded(3)
    by_hand = tint(see(image, generator), generator)
    assert torch.equal(see.then(tint)(image, seeded(3)), by_hand)
    generator = seeded(3)
    before = see(tint(image, generator), generator)
    assert torch.equal(see.then(tint, first=True)(image, seeded(3)), before)
    objective = dip.Objective(lambda a: a["view"].mean(dim=(1, 2, 3)), ["view"])
    parts = {"objective": objective, "network": lambda x, layers: {}}
    run = dip.optimize(picture(), **parts, views=see.then(tint), steps=4).advance(2)
    run.set(count=1).advance(2)  # a knob: a field of the views
    assert run.settings["views"].after == (tint,)
    there = run.image
    assert torch.equal(run.rewind(1).advance(3).image, there)
    path = run.save(tmp_path / "run.pt")
    with pytest.raises(ValueError, match=r"these views have steps of yours \(tint\): hand them in"):
        dip.Run.load(path, **parts)
    loaded = dip.Run.load(path, **parts, views=see.then(tint))
    assert torch.equal(loaded.rewind(0).advance(4).image, there)
    assert loaded.settings["views"].count == 1
    try:
        registry.enter("transform")(tint)
        known = dip.Run.load(run.save(path), **parts)  # by its name
        assert torch.equal(known.rewind(0).advance(4).image, there)
    finally:
        registry._entered["transform"].pop("tint", None)


def test_a_step_of_pictures_alone_is_seeded(views) -> None:
    """torchvision's transforms draw from torch's own generator: one seed, one picture, and it stays as it was."""
    see, picture = views
    image = picture()().detach()
    jittered = see.then(v2.ColorJitter(0.4, 0.4))
    torch.manual_seed(5)
    first, after = jittered(image, seeded(3)), torch.rand(2)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(2))
    assert torch.equal(first, jittered(image, seeded(3)))
    assert not torch.equal(first, see(image, seeded(3)))
    assert not torch.equal(first, jittered(image, seeded(4)))
    assert torch.equal(see.then(lambda pictures: pictures)(image, seeded(3)), see(image, seeded(3)))

    def shifted(pictures, generator=None):
        return pictures + torch.rand((), generator=generator)

    assert torch.equal(see.then(shifted)(image, seeded(3)), see.then(shifted)(image, seeded(3)))


def test_a_step_of_other_arguments_is_refused(views) -> None:
    see, _ = views
    for wrong in (lambda: 1, lambda a, b, c: a, lambda *, pictures: pictures, 3):
        with pytest.raises(TypeError, match="a step of views"):
            see.then(wrong)
