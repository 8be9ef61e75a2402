"""The loop: hand-made updates, exact replay, and failures that lose nothing."""

import errno
import hashlib
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dip_lessons import (
    Fourier,
    Network,
    Objective,
    Parameterization,
    Pixels,
    Run,
    RunError,
    channel,
    direction,
    layer,
    load_network,
    logit,
    optimize,
    random_views,
)
from dip_lessons.run import store

room = sys.modules["dip_lessons.run.loop"]  # as an attribute of the package, the name is the function
OutOfMemory = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)  # its name before torch 2.5
VIEWS = random_views(jitter=2, scale=0.1, rotate=10, blur=0.5)


def small_network() -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
        )
    return Network(module, name="small")


def small_run(**options: object) -> Run:
    settings = {"views": VIEWS, "steps": 40, "lr": 0.1, "seed": 3, **options}
    picture = settings.pop("picture", None) or Fourier((14, 17), batch=2)
    network = settings.pop("network", None) or small_network()
    objective = settings.pop("objective", None) or channel("2", 1) - 0.1 * layer("1")
    return optimize(picture, objective, network, **settings)


def identity(image: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
    """The plainest network: the picture is its own activation."""
    return dict.fromkeys(layers, image)


def fingerprint(run: Run) -> str:
    return hashlib.sha256(run.image.numpy().tobytes()).hexdigest()


def trajectory(run: Run, steps: int) -> list[str]:
    """The fingerprints of the pictures after 0, 1, … steps."""
    return [fingerprint(run), *[fingerprint(run.advance()) for _ in range(steps)]]


@pytest.fixture(autouse=True)
def the_process_stays_as_it_was() -> Iterator[None]:
    before = torch.get_rng_state(), signal.getsignal(signal.SIGINT), torch.get_num_threads()
    yield
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (signal.getsignal(signal.SIGINT), torch.get_num_threads()) == before[1:]
    assert torch.is_grad_enabled()
    assert torch._C._len_torch_function_stack() == 0
    lock = small_run(steps=0).lock
    assert lock.acquire(blocking=False)
    lock.release()


# --- what a step does -------------------------------------------------------------------------------------


def linear(weights: np.ndarray) -> Objective:
    w = torch.from_numpy(weights)
    return Objective(lambda a: (a["seen"] * w.to(a["seen"])).sum(dim=(1, 2, 3)), ["seen"])


def test_gradient_ascent_is_the_update_made_by_hand() -> None:
    """For p = σ(θ) and the objective w·p: θ + lr · w p (1 − p), in float64."""
    picture = Pixels((4, 5), batch=2, sd=0.5)
    w = np.random.default_rng(0).normal(size=(3, 4, 5))
    theta = picture.values.detach().double().numpy().copy()
    run = optimize(picture, linear(w), identity, lr=0.3, optimizer="sgd", steps=6)
    for step in run:
        p = 1 / (1 + np.exp(-theta))
        np.testing.assert_allclose(step.values.numpy(), (w * p).sum(axis=(1, 2, 3)), rtol=1e-5, atol=1e-5)
        assert step.value == pytest.approx(step.values.mean().item())
        assert run.history[-1] == step.value
        theta += 0.3 * w * p * (1 - p)
        np.testing.assert_allclose(picture.values.detach().numpy(), theta, rtol=0, atol=2e-6)
        np.testing.assert_allclose(step.image.numpy(), 1 / (1 + np.exp(-theta)), rtol=0, atol=2e-6)


class Strided(torch.autograd.Function):
    """The picture itself; its gradient lies in memory pixel by pixel, as a network in channels_last leaves it."""

    @staticmethod
    def forward(ctx: object, image: torch.Tensor) -> torch.Tensor:
        return image.clone()

    @staticmethod
    def backward(ctx: object, grad: torch.Tensor) -> torch.Tensor:
        return grad.contiguous(memory_format=torch.channels_last)


class Turned(Pixels):
    """Pixels whose own gradient comes in channels_last."""

    def raw(self) -> torch.Tensor:
        return Strided.apply(super().raw())


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.95), (0.0, 0.0)])
@pytest.mark.parametrize("kind", [Pixels, Turned])
def test_adam_is_the_update_made_by_hand(kind: type[Pixels], betas: tuple[float, float]) -> None:
    picture = kind((4, 5), sd=0.5)
    w = np.random.default_rng(0).normal(size=(3, 4, 5))
    theta = picture.values.detach().double().numpy().copy()
    m, v = np.zeros_like(theta), np.zeros_like(theta)
    run = optimize(picture, linear(w), identity, lr=0.05, steps=10, betas=betas).advance(10)
    first, second = betas
    for t in range(1, 11):
        p = 1 / (1 + np.exp(-theta))
        g = -w * p * (1 - p)
        m, v = first * m + (1 - first) * g, second * v + (1 - second) * g * g
        theta -= 0.05 * (m / (1 - first**t)) / (np.sqrt(v / (1 - second**t)) + 1e-8)
    np.testing.assert_allclose(picture.values.detach().numpy(), theta, rtol=0, atol=1e-5)
    assert len(run.history) == 10


@pytest.mark.parametrize("size", [(8, 10), (7, 9)])
@pytest.mark.parametrize("decay", [0.0, 1.0, 1.5])
def test_a_fourier_step_is_a_preconditioned_pixel_step(size: tuple[int, int], decay: float) -> None:
    """Δz = lr J Jᵀ g: the gradient in pixels, filtered by s², twice where a wave stands for two."""
    picture = Fourier(size, decay=decay, sd=0.3, decorrelate=False)
    z = picture.raw().detach().double().numpy()
    w = np.random.default_rng(1).normal(size=(3, *size))
    optimize(picture, linear(w), identity, lr=0.7, optimizer="sgd").advance()
    p = 1 / (1 + np.exp(-z))
    gradient = w * p * (1 - p)
    fy, fx = np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None]
    scale = 1 / np.maximum(np.hypot(fy, fx), 1 / max(size)) ** decay
    twice = np.where((fx == 0) | (fx == 0.5), 1, 2)
    spectrum = np.fft.rfft2(gradient) * twice * scale**2 / 16
    expected = z + 0.7 * np.fft.irfft2(spectrum, s=size)
    moved = np.abs(expected - z).max()
    assert moved > 0.01
    np.testing.assert_allclose(
        picture.raw().detach().numpy(), expected, rtol=0, atol=1e-6 * max(1, moved * 4)
    )


def test_the_value_is_the_mean_over_the_views_of_each_picture() -> None:
    network, objective = small_network(), channel("2", 1)
    views = VIEWS.change(count=3)
    run = small_run(network=network, objective=objective, views=views, seed=11)
    image = run.image
    step = next(iter(run))
    with torch.no_grad():
        seen = views(image, torch.Generator().manual_seed(11))  # view i of picture b at i · 2 + b
        values = network(seen, ["2"])["2"][:, 1].mean(dim=(1, 2)).view(3, 2)
    torch.testing.assert_close(step.values, values.mean(dim=0), rtol=1e-5, atol=1e-6)
    assert step.index == run.step == 1


def test_it_climbs_a_real_network() -> None:
    network = load_network("squeezenet1_1", "cpu")
    run = optimize(Fourier(64), channel("features.4", 5), network, views=random_views(jitter=4), steps=12)
    run.finish()
    assert run.history[-1] > 1.2 * run.history[0] > 0


def test_iterating_goes_to_the_planned_step_and_advance_beyond_it() -> None:
    run = small_run(steps=3)
    assert [step.index for step in run] == [1, 2, 3]
    assert list(run) == []
    assert run.advance(2) is run
    assert run.step == run.recorded == 5 == len(run.history)
    assert run.finish().step == 5
    assert small_run(steps=4).finish().step == 4
    assert all(isinstance(value, float) for value in run.history)
    assert "step 5 of 3" in repr(run)


def test_the_redirection_of_dead_relus_lasts_for_the_first_steps_and_each_replay_of_them() -> None:
    seen: list[bool] = []

    def watched(image: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
        seen.append(torch._C._len_torch_function_stack() > 0)
        return identity(image, layers)

    run = optimize(Pixels(4), layer("seen"), watched, redirect_relu=3).advance(5)
    assert seen == [True] * 3 + [False] * 2
    run.rewind(0).advance(4)
    assert seen[5:] == [True] * 3 + [False]


@pytest.mark.parametrize(("redirect", "alive"), [(16, True), (0, False)])
def test_a_dead_channel_moves_only_with_the_redirection(redirect: int, alive: bool) -> None:
    network = small_network()
    network.module[0].bias.data[4] = -5
    run = small_run(network=network, objective=channel("1", 4), views=None, redirect_relu=redirect)
    before = run.image
    run.advance(3)
    assert (not torch.equal(run.image, before)) is alive


# --- one seed, one picture --------------------------------------------------------------------------------

SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
from test_optimize import *
print(fingerprint(small_run().advance(12)), fingerprint(real_run().advance(3)))
"""


def real_run() -> Run:
    network = load_network("squeezenet1_1", "cpu")
    return optimize(Fourier(48), channel("features.6", 5), network, views=VIEWS, steps=6, seed=1)


def test_the_same_seed_gives_the_same_bits_twice_and_in_another_process() -> None:
    one, two = fingerprint(small_run().advance(12)), fingerprint(real_run().advance(3))
    torch_state = torch.get_rng_state()
    torch.manual_seed(1)  # nothing may depend on it
    assert fingerprint(small_run().advance(12)) == one
    assert fingerprint(real_run().advance(3)) == two
    torch.set_rng_state(torch_state)
    assert fingerprint(small_run(seed=4).advance(12)) != one
    script = SCRIPT.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [one, two], done.stderr


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_grad_mode_does_not_matter(mode: Callable) -> None:
    expected = fingerprint(small_run().advance(4))
    run = small_run()
    with mode():
        run.advance(3)
        assert run.image.shape == (2, 3, 14, 17)
    assert fingerprint(run.advance()) == expected
    assert not run.image.requires_grad


def test_nothing_is_left_on_the_parameters() -> None:
    run = small_run().advance(2)
    assert all(p.grad is None and p.requires_grad for p in run.parameterization.parameters())


def test_the_picture_handed_out_is_not_changed_by_later_steps() -> None:
    class Bare(Parameterization):
        """Its parameters are the picture: no copy is made on the way."""

        def __init__(self, size: int) -> None:
            super().__init__(size)
            self.values = nn.Parameter(torch.full((1, 3, *self.size), 0.5))

        def forward(self) -> Tensor:
            return self.values

    run = optimize(Bare(4), layer("seen"), identity)
    first = run.image
    run.advance(2)
    assert torch.equal(first, torch.full((1, 3, 4, 4), 0.5))
    assert not first.requires_grad
    assert run.image.min() > 0.5


# --- back and forth ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["adam", "nadam", "sgd"])
def test_rewinding_to_any_step_and_going_on_is_exact(optimizer: str) -> None:
    run = small_run(optimizer=optimizer)
    pictures = trajectory(run, 37)
    history = run.history
    for step in (0, 37, 5, 16, 15, 17, 32, 31, 1, 37, 36):
        assert run.rewind(step) is run
        assert (run.step, run.recorded) == (step, 37)
        assert run.history == history[:step]
        assert fingerprint(run) == pictures[step]
    run.rewind(13)
    assert trajectory(run, 24) == pictures[13:]
    assert run.history == history
    assert fingerprint(run.advance(3)) == trajectory(small_run(optimizer=optimizer), 40)[-1]


@pytest.mark.parametrize(("here", "there", "repeated"), [(20, 30, 10), (30, 20, 4), (20, 20, 0), (5, 35, 3)])
def test_rewinding_starts_from_what_is_nearest(here: int, there: int, repeated: int) -> None:
    """From here, or from the checkpoint at 0, 16 or 32."""
    calls: list[None] = []
    counted = Objective(lambda a: (calls.append(None), a["1"].mean(dim=(1, 2, 3)))[1], ["1"])
    run = small_run(objective=counted).advance(40).rewind(here)
    calls.clear()
    run.rewind(there)
    assert len(calls) == repeated
    assert torch.equal(run.image, small_run(objective=counted).advance(there).image)


def test_rewinding_elsewhere_is_refused() -> None:
    run = small_run().advance(3)
    before = fingerprint(run)
    for step in (-1, 4):
        with pytest.raises(ValueError, match=f"this run has steps 0 to 3; got {step}"):
            run.rewind(step)
    for step in (1.0, "1", None):
        with pytest.raises(TypeError):
            run.rewind(step)
    assert (run.step, fingerprint(run)) == (3, before)
    assert run.rewind(np.argmin([2, 1, 3])).step == 1


def with_knobs(run: Run) -> list[str]:
    """A run with every kind of knob turned on the way; the pictures of its steps."""
    pictures = trajectory(run, 5)
    run.set(lr=0.03)
    pictures += trajectory(run, 5)[1:]
    run.set(strength=0.5, jitter=1, scale=0.2)
    pictures += trajectory(run, 7)[1:]
    run.set(decay=1.4)
    pictures[-1] = fingerprint(run)  # the picture of this step is now that of the new decay
    pictures += trajectory(run, 3)[1:]
    run.set(objective=channel("2", 3))
    pictures += trajectory(run, 5)[1:]
    run.set(views=None)
    return pictures + trajectory(run, 5)[1:]


def test_the_knobs_are_logged_and_replayed_exactly() -> None:
    run = small_run()
    pictures, history = with_knobs(run), run.history
    assert len(pictures) == 31
    assert sorted(run.log) == [0, 5, 10, 17, 20, 25]
    assert with_knobs(small_run()) == pictures
    assert pictures[6] != trajectory(small_run(), 6)[6]
    for step in (0, 30, 17, 16, 18, 5, 25, 10, 29):
        run.rewind(step)
        assert fingerprint(run) == pictures[step]
    run.rewind(0)
    assert run.parameterization.decay == 1
    assert run.settings["lr"] == 0.1
    assert trajectory(run, 30) == pictures
    assert run.history == history
    assert run.settings["lr"] == 0.03
    assert run.parameterization.decay == 1.4


def test_a_change_after_a_rewind_drops_what_lay_ahead() -> None:
    run = small_run()
    pictures = with_knobs(run)
    run.rewind(12).set(lr=0.2)
    assert (run.step, run.recorded) == (12, 12)
    assert sorted(run.log) == [0, 5, 10, 12]
    assert max(run._checkpoints.states) <= 12
    with pytest.raises(ValueError, match="steps 0 to 12"):
        run.rewind(13)
    other = trajectory(run, 10)
    assert other[0] == pictures[12]
    assert other[1] != pictures[13]
    assert trajectory(run.rewind(12), 10) == other
    twin = small_run()
    twin.advance(5).set(lr=0.03).advance(5).set(strength=0.5, jitter=1, scale=0.2).advance(2).set(lr=0.2)
    assert fingerprint(twin.advance(10)) == other[-1]


def test_setting_what_is_already_set_changes_nothing() -> None:
    run = small_run().advance(6)
    run.rewind(2).set(lr=float("0.1"), jitter=2, decay=1.0, views=VIEWS.change(count=1), scale=0.1)
    assert run.recorded == 6
    assert sorted(run.log) == [0]


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        (
            {"learning_rate": 1},
            ValueError,
            "there is no setting 'learning_rate' here; there are .*lr, .*objective",
        ),
        ({"lr": 0}, ValueError, "lr must be a number above 0; got 0"),
        ({"lr": float("nan")}, ValueError, "lr must be a number above 0"),
        ({"lr": "fast"}, ValueError, "lr must be a number above 0; got 'fast'"),
        ({"jitter": -1}, ValueError, "jitter must be a whole number"),
        ({"lr": 0.5, "scale": 3.0}, ValueError, "scale must lie above 0"),
        ({"decay": float("nan")}, ValueError, "decay must be a finite number"),
        ({"decay": "steep"}, TypeError, "real number"),
        ({"objective": "2"}, TypeError, "the objective must be an Objective.*got str"),
        ({"objective": channel("22", 1)}, KeyError, "no layer '22'; the nearest names are '2'"),
        ({"views": "jitter"}, TypeError, "views are made by dip.random_views"),
    ],
)
def test_a_setting_that_makes_no_sense_changes_nothing(changes: dict, error: type, words: str) -> None:
    run = small_run().advance(4).rewind(2)
    picture, settings, log = fingerprint(run), run.settings, {k: dict(v) for k, v in run.log.items()}
    with pytest.raises(error, match=words):
        run.set(**changes)
    assert (run.settings, run.log, run.recorded, fingerprint(run)) == (settings, log, 4, picture)
    assert fingerprint(run.advance()) == trajectory(small_run(), 3)[3]


def test_fields_of_views_are_settings_only_where_there_are_views() -> None:
    with pytest.raises(ValueError, match="no setting 'jitter' here; there are decay, lr, objective, views"):
        small_run(views=None).set(jitter=3)


def test_thinned_checkpoints_keep_every_step_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "CHECKPOINT_BYTES", 0)  # four checkpoints at most
    picture = Pixels((5, 6))
    run = optimize(picture, layer("0") * 1, small_network(), views=random_views(jitter=1), lr=0.1)
    pictures = trajectory(run, 150)
    assert run._checkpoints.every == 64
    assert sorted(run._checkpoints.states) == [0, 64, 128]
    for step in (149, 100, 64, 63, 65, 0, 150, 17):
        assert fingerprint(run.rewind(step)) == pictures[step]
    run.rewind(70).set(lr=0.05)
    later = trajectory(run, 70)
    assert trajectory(run.rewind(70), 70) == later
    assert 0 in run._checkpoints.states


# --- failures ---------------------------------------------------------------------------------------------


class Fragile:
    """A network that fails, or interrupts, when its next run is told to."""

    def __init__(self) -> None:
        self.network, self.failure = small_network(), None

    def __call__(self, image: Tensor, layers: tuple[str, ...]) -> Mapping[str, Tensor]:
        activations = self.network(image, layers)
        if self.failure is not None:
            failure, self.failure = self.failure, None
            return failure(activations)
        return activations


def raising(error: BaseException) -> Callable:
    def fail(_: object) -> None:
        raise error

    return fail


def not_a_number(activations: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: a * torch.nan for name, a in activations.items()}


def root_of_zero(activations: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: (a - a.detach()).sqrt() for name, a in activations.items()}  # 0, with an infinite slope


FAILURES = [
    (raising(KeyError("lost")), "KeyError: 'lost'"),
    (raising(OutOfMemory("CUDA out of memory")), "Out of memory: take a smaller picture or crop"),
    (raising(RuntimeError("MPS backend out of memory")), "Out of memory"),
    (raising(RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes")), "Out of memory"),
    (raising(MemoryError()), "Out of memory"),
    (
        not_a_number,
        r"The objective's value is \[nan, nan\]: rewind and lower lr, or look for a division by 0",
    ),
    (root_of_zero, "The objective's gradient holds NaN or infinite numbers: rewind and lower lr"),
    (lambda a: {n: v.detach() for n, v in a.items()}, "the objective does not depend on the picture"),
    (
        lambda a: {n: v.new_ones(v.shape, requires_grad=True) for n, v in a.items()},
        "does not depend on the picture",
    ),
    (lambda a: {}, "the network returned no activation for 2"),
]


def test_scheduled_settings_are_those_that_were_set_by_hand(tmp_path: Path) -> None:
    other = channel("2", 0)
    by_hand = small_run().advance(3).set(lr=0.02, decay=0.5).advance(4).set(objective=other).advance(3)
    run = small_run().schedule({3: {"lr": 0.02, "decay": 0.5}, 7: {"objective": other}}).advance(10)
    assert fingerprint(run) == fingerprint(by_hand)
    assert run.history == by_hand.history
    assert fingerprint(run.rewind(5).advance(5)) == fingerprint(by_hand)
    run = small_run().schedule({3: {"lr": 0.02, "decay": 0.5}, 7: {"objective": other}}).advance(2)
    loaded = Run.load(run.save(tmp_path / "run.pt"), network=small_network()).advance(8)
    assert fingerprint(loaded) == fingerprint(by_hand)
    for step, name in ((2, "lr"), (0, "lr"), (5, "jitter")):
        with pytest.raises(ValueError, match="can be scheduled, for steps after 2"):
            run.schedule({step: {name: 1.0}})
    for values, error in (
        ({"lr": -1}, ValueError),
        ({"views": "jitter"}, TypeError),
        ({"objective": 2}, TypeError),
    ):
        with pytest.raises(error):
            run.schedule({8: {"lr": 0.5}, 9: values})
        assert 8 not in run.log
    assert max(run.set(lr=0.3).log) == 2  # a change by hand ends the schedule


@pytest.mark.parametrize(("failure", "words"), FAILURES)
@pytest.mark.parametrize("step", [0, 18])
def test_a_failed_step_leaves_all_as_it_was(failure: Callable, words: str, step: int) -> None:
    pictures = trajectory(small_run(), step + 5)
    fragile = Fragile()
    run = small_run(network=fragile).advance(step)
    history = run.history
    fragile.failure = failure
    message = (
        rf"step {step + 1} of the run failed; the picture of step {step} is kept in run.image\. .*{words}"
    )
    with pytest.raises(RunError, match=message) as caught:
        run.advance(3)
    assert caught.value.__cause__ is not None
    assert (run.step, run.recorded, run.history) == (step, step, history)
    assert fingerprint(run) == pictures[step]
    assert trajectory(run, 5) == pictures[step:]  # the same views are drawn again


@pytest.mark.parametrize("step", [0, 18])
def test_an_optimizer_that_fails_half_way_is_undone(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    pictures = trajectory(small_run(), step + 3)
    run = small_run().advance(step)
    plain = run.optimizer.step

    def half() -> None:
        monkeypatch.setattr(run.optimizer, "step", plain)
        plain()
        raise OutOfMemory

    monkeypatch.setattr(run.optimizer, "step", half)
    with pytest.raises(RunError, match=f"step {step + 1} of the run failed.*Out of memory"):
        run.advance()
    assert fingerprint(run) == pictures[step]
    assert all(p.grad is None for p in run.parameters)
    assert trajectory(run, 3) == pictures[step:]


def test_a_step_that_overshoots_to_infinity_is_undone() -> None:
    run = optimize(Pixels(4), 1e4 * layer("seen"), identity, lr=1e38, optimizer="sgd")
    before = run.image
    with pytest.raises(RunError, match="The step made parameters NaN or infinite: rewind and lower lr"):
        run.advance()
    assert torch.equal(run.image, before)
    run.set(lr=0.1).advance(2)
    assert run.image.isfinite().all()
    assert run.history[1] > run.history[0]


def test_a_picture_that_does_not_fit_the_network_says_so_in_the_first_step() -> None:
    run = small_run(picture=Fourier(16, channels=4))
    with pytest.raises(
        RunError, match=r"step 1 of the run failed.*ValueError: a picture with transparency is seen over"
    ):
        run.advance()
    run = small_run(objective=channel("2", 99))
    with pytest.raises(RunError, match="IndexError: channel 99 does not exist: 2 has 8"):
        run.advance()
    assert fingerprint(run.set(objective=channel("2", 1)).advance()) != ""


def test_views_that_are_no_multiple_of_the_pictures_are_refused() -> None:
    run = small_run(views=lambda image, _: image[:1])
    with pytest.raises(RunError, match="of 2 pictures there must be equally many views; got 1 in all"):
        run.advance()


# --- interrupts -------------------------------------------------------------------------------------------


def interrupting(activations: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(1000):  # the interpreter calls its handlers between instructions
        pass
    return activations


def test_an_interrupt_lets_the_step_finish() -> None:
    pictures = trajectory(small_run(), 8)
    fragile = Fragile()
    run = small_run(network=fragile).advance(2)
    fragile.failure = interrupting
    with pytest.raises(KeyboardInterrupt):
        run.advance(5)
    assert (run.step, len(run.history)) == (3, 3)
    assert fingerprint(run) == pictures[3]
    assert trajectory(run, 5) == pictures[3:]


def test_an_interrupt_during_a_rewind_leaves_a_whole_step() -> None:
    pictures = trajectory(small_run(), 12)
    fragile = Fragile()
    run = small_run(network=fragile).advance(12)
    fragile.failure = interrupting
    with pytest.raises(KeyboardInterrupt):
        run.rewind(9)
    assert fingerprint(run) == pictures[run.step]
    assert run.recorded == 12
    assert fingerprint(run.rewind(11)) == pictures[11]


@pytest.mark.parametrize("how", ["ignored", "handled"])
def test_an_interrupt_goes_to_whoever_handles_it(how: str) -> None:
    calls: list[int] = []
    old = signal.signal(
        signal.SIGINT, signal.SIG_IGN if how == "ignored" else lambda number, _: calls.append(number)
    )
    try:
        fragile = Fragile()
        run = small_run(network=fragile)
        fragile.failure = interrupting
        run.advance(2)
    finally:
        signal.signal(signal.SIGINT, old)
    assert run.step == 2
    assert calls == ([] if how == "ignored" else [signal.SIGINT])


def test_an_interrupt_of_a_step_that_fails_is_told_as_the_failure() -> None:
    fragile = Fragile()
    run = small_run(network=fragile)
    fragile.failure = lambda a: not_a_number(interrupting(a))
    with pytest.raises(RunError):
        run.advance()
    assert run.step == 0


# --- threads ----------------------------------------------------------------------------------------------


def test_another_thread_sees_whole_steps_only() -> None:
    pictures = trajectory(small_run(), 40)
    run = small_run()
    seen: set[str] = set()
    thread = threading.Thread(target=run.finish)
    thread.start()
    while thread.is_alive():
        seen.add(fingerprint(run))
    thread.join()
    assert seen <= set(pictures)
    assert fingerprint(run) == pictures[40]


def test_the_picture_is_not_looked_at_in_the_middle_of_a_step() -> None:
    run, seen = small_run(), []
    asks = [lambda: run.image, lambda: run.set(lr=0.2), lambda: run.advance(), lambda: run.rewind(0)]
    threads = [threading.Thread(target=lambda ask=ask: seen.append(ask())) for ask in asks]
    with run.lock:  # as a step holds it
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=0.05)
        assert seen == []
    for thread in threads:
        thread.join()
    assert len(seen) == len(asks)


# --- keeping ----------------------------------------------------------------------------------------------


def test_a_saved_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    run = small_run()
    pictures = with_knobs(run)
    run.rewind(18)
    path = run.save(tmp_path / "run.pt")
    assert path == tmp_path / "run.pt"
    assert os.listdir(tmp_path) == ["run.pt"]
    again = Run.load(path, network=small_network())
    assert (again.step, again.recorded, again.steps, again.seed) == (18, 30, 40, 3)
    assert again.history == run.history
    assert trajectory(again, 12) == pictures[18:]  # with the knobs that lie ahead
    for step in (0, 7, 17, 30):
        assert fingerprint(again.rewind(step)) == pictures[step]
    assert again.settings["views"] is None
    assert again.settings["objective"].specification == run.rewind(30).settings["objective"].specification
    assert fingerprint(again.advance(2)) == fingerprint(run.advance(2))


@pytest.mark.parametrize(
    "options", [{"optimizer": "nadam"}, {"optimizer": "sgd"}, {"betas": (np.float64(0.5), 0)}]
)
def test_every_optimizer_is_stored(tmp_path: Path, options: dict) -> None:
    run = small_run(picture=Pixels((9, 8), decorrelate=True), **options).advance(5)
    again = Run.load(run.save(tmp_path / "run.pt"), network=small_network())
    assert fingerprint(again.advance(5)) == fingerprint(run.advance(5))


def test_files_from_before_there_were_betas_go_on_as_they_did(tmp_path: Path) -> None:
    path = small_run().advance(3).save(tmp_path / "run.pt")
    content = torch.load(path, weights_only=True)
    del content["betas"]
    torch.save(content, path)
    assert fingerprint(Run.load(path, network=small_network()).advance(2)) == fingerprint(
        small_run().advance(5)
    )


def test_a_run_of_the_packages_own_parts_needs_nothing_handed_in(tmp_path: Path) -> None:
    run = real_run().advance(2)
    again = Run.load(run.save(tmp_path / "run.pt"), device="cpu")
    assert again.network.loaded_as == {"name": "squeezenet1_1", "weights": "embedded"}
    assert fingerprint(again.finish()) == fingerprint(run.finish())


def test_a_run_may_be_saved_over_and_over_and_at_the_start(tmp_path: Path) -> None:
    run = small_run()
    path = run.save(tmp_path / "run.pt")
    assert fingerprint(Run.load(path, network=small_network())) == fingerprint(run)
    run.advance(3).save(str(path))
    assert Run.load(path, network=small_network()).step == 3


def test_numbers_of_numpy_are_stored_as_plain_ones(tmp_path: Path) -> None:
    weights = np.linspace(-1, 1, 8)
    run = optimize(
        Fourier(12, decay=np.float64(1.2), sd=np.float32(0.01)),
        np.float32(0.5) * direction("2", weights, power=np.float64(1)),
        small_network(),
        views=random_views(jitter=np.int64(2), scale=np.float64(0.1)),
        lr=np.float64(0.1),
        seed=int(np.int64(4)),
    ).advance(2)
    run.set(decay=np.float64(0.9), lr=np.float32(0.25), strength=np.float64(0.5)).advance(2)
    again = Run.load(run.save(tmp_path / "run.pt"), network=small_network())
    assert again.settings["lr"] == 0.25
    assert fingerprint(again.advance(2)) == fingerprint(run.advance(2))


class Fourier2(Fourier):
    """A parameterization of a learner's own."""


def test_parts_that_are_not_the_packages_must_be_handed_in(tmp_path: Path) -> None:
    own = Objective(lambda a: a["2"].mean(dim=(1, 2, 3)), ["2"])

    def turned(image: Tensor, _: torch.Generator) -> Tensor:
        return image.flip(3)

    class Pixels(Fourier):  # which has the name of one of the package's
        pass

    Pixels.__qualname__ = "Pixels"
    for picture, name in ((Fourier2((14, 17), batch=2), "Fourier2"), (Pixels((14, 17), batch=2), "Pixels")):
        run = small_run(picture=picture, objective=own, views=turned).advance(3)
        path = run.save(tmp_path / "run.pt")
        parts = {
            "network": (small_network(), "this run used a network of its own"),
            "parameterization": (
                type(picture)((14, 17), batch=2),
                f"this run used {name}, not the package's",
            ),
            "objective": (own, "this run used an objective of its own"),
            "views": (turned, "this run used views of its own"),
        }
        for missing, (_, words) in parts.items():
            with pytest.raises(ValueError, match=rf"{words}.*Run.load\(path, {missing}=…\)"):
                Run.load(path, **{key: part for key, (part, _) in parts.items() if key != missing})
        again = Run.load(path, **{key: part for key, (part, _) in parts.items()})
        assert fingerprint(again) == fingerprint(run)
        assert fingerprint(again.advance(2)) == fingerprint(run.advance(2))


@pytest.mark.parametrize(
    "error", [RuntimeError("broken"), OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]
)
def test_a_failing_save_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    run = small_run().advance(2)
    path = run.save(tmp_path / "run.pt")
    old = path.read_bytes()
    run.advance(2)

    def half_way(_: object, file: object) -> None:
        file.write(old[: len(old) // 2])
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", half_way)
        with pytest.raises(type(error)) as caught:
            run.save(path)
    assert caught.value is error or str(error.args[1]) in str(caught.value)  # with the file's name
    assert os.listdir(tmp_path) == ["run.pt"]
    assert path.read_bytes() == old
    assert Run.load(path, network=small_network()).step == 2
    assert run.step == 4
    run.save(path)
    assert Run.load(path, network=small_network()).step == 4


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    run = small_run()
    with pytest.raises(OSError, match="nowhere"):
        run.save(tmp_path / "nowhere" / "run.pt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        run.save(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["folder"]


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def test_a_file_that_would_execute_code_is_refused(tmp_path: Path) -> None:
    good = small_run().advance(2).save(tmp_path / "good.pt")
    content = torch.load(good, weights_only=True)
    trap = tmp_path / "trap"
    torch.save({**content, "seed": Malicious(trap)}, tmp_path / "torch.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Malicious(trap)))
    for name in ("torch.pt", "plain.pt"):
        with pytest.raises(ValueError, match=f"{name} is not a complete file of Run.save"):
            Run.load(tmp_path / name, network=small_network())
    assert not trap.exists()
    (tmp_path / "other").mkdir()
    for kind in ("base", "Parameterization.forward", "annotations", "__name__"):
        changed = {**content, "parameterization": {**content["parameterization"], "kind": kind}}
        torch.save(changed, tmp_path / "kind.pt")
        with pytest.raises(ValueError, match=f"this run used {kind}"):
            Run.load(tmp_path / "kind.pt", network=small_network())
    for recipe in (("system", "true"), ("__import__", "os")):
        changed = {**content, "log": {0: {**content["log"][0], "objective": recipe}}}
        torch.save(changed, tmp_path / "recipe.pt")
        with pytest.raises(ValueError, match="there is no objective"):
            Run.load(tmp_path / "recipe.pt", network=small_network())


def test_a_file_that_is_incomplete_or_something_else_is_refused(tmp_path: Path) -> None:
    good = small_run().advance(2).save(tmp_path / "good.pt").read_bytes()
    broken = tmp_path / "broken.pt"
    for content in (b"", b"hello", good[:50], good[: len(good) // 2], good[:-100], good[:300] + good[400:]):
        broken.write_bytes(content)
        with pytest.raises(ValueError, match=r"broken.pt is not a complete file of Run.save \("):
            Run.load(broken, network=small_network())
    for other in ({"format": "another"}, {"a": 1}, torch.zeros(3), [1, 2]):
        torch.save(other, broken)
        with pytest.raises(ValueError, match="is not a complete file of Run.save"):
            Run.load(broken, network=small_network())
    with pytest.raises(FileNotFoundError):
        Run.load(tmp_path / "missing.pt")
    with pytest.raises(OSError, match="Is a directory|Permission"):
        Run.load(tmp_path)


# --- parts that do not fit --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"picture": nn.Identity()}, TypeError, "must be a parameterization, such as .*; got Identity"),
        ({"objective": "2"}, TypeError, "the objective must be an Objective.*got str"),
        ({"objective": lambda a: 1}, TypeError, "becomes one by dip.Objective"),
        ({"network": nn.ReLU()}, TypeError, r"wrap your network first.*dip.Network\(relu, mean=…, std=…\)"),
        ({"network": "squeezenet1_1"}, TypeError, "the third argument is a network"),
        ({"objective": logit(3) + channel("two", 1)}, KeyError, "no layer 'two'; the nearest names are"),
        ({"views": 3}, TypeError, r"views are made by dip.random_views.*; got int"),
        ({"steps": -1}, ValueError, "steps must be a whole number"),
        ({"steps": 2.5}, ValueError, "steps must be a whole number"),
        ({"lr": 0}, ValueError, "lr must be a number above 0"),
        ({"lr": -1.0}, ValueError, "lr must be a number above 0"),
        ({"lr": float("inf")}, ValueError, "lr must be a number above 0"),
        ({"lr": "0.05"}, ValueError, "lr must be a number above 0"),
        ({"optimizer": "lbfgs"}, ValueError, "optimizer must be one of adam, nadam, sgd, .* got 'lbfgs'"),
        ({"betas": 0.9}, ValueError, "betas must be two numbers, 0 or more and below 1.*; got 0.9"),
        ({"betas": (0.9, 1.0)}, ValueError, r"betas must be two numbers.*; got \(0.9, 1.0\)"),
        ({"betas": (0.9, float("nan"))}, ValueError, "betas must be two numbers"),
        ({"betas": (-0.1, 0.9), "optimizer": "sgd"}, ValueError, "betas must be two numbers"),
        ({"picture": Fourier(8).requires_grad_(False)}, ValueError, "no parameters that can be changed"),
        ({"picture": Fourier(8, device="meta")}, ValueError, "the picture is on meta, the network on cpu"),
    ],
)
def test_parts_that_do_not_fit_are_refused_at_once(arguments: dict, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        small_run(**arguments)


# --- what changes from outside ----------------------------------------------------------------------------


def test_a_scheduler_of_torchs_works_is_logged_and_is_replayed_bit_for_bit(tmp_path: Path) -> None:
    run = small_run(steps=30)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(run.optimizer, T_max=30, eta_min=0.0)
    seen = []
    for _ in run:
        scheduler.step()
        seen.append(run.settings["lr"])
    wanted = [0.05 * (1 + math.cos(math.pi * t / 30)) for t in range(1, 31)]  # its closed form, from .1 to 0
    np.testing.assert_allclose(seen, wanted, atol=1e-12)
    assert run.settings["lr"] == pytest.approx(0.0, abs=1e-12)
    there, history = fingerprint(run), run.history
    assert fingerprint(run.rewind(3).finish()) == there  # nobody steps the scheduler now: the log does
    assert run.history == history
    loaded = Run.load(run.save(tmp_path / "run.pt"), network=run.network)
    assert fingerprint(loaded.rewind(0).finish()) == there
    by_hand = small_run(steps=30).schedule({t: {"lr": lr} for t, lr in enumerate(seen[:-1], 1)})
    np.testing.assert_allclose(by_hand.finish().history, history, rtol=1e-6)


def test_a_scheduler_that_warms_up_changes_the_first_step_and_a_cycle_changes_betas() -> None:
    run = small_run(steps=8)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(run.optimizer, max_lr=0.1, total_steps=9)
    assert run.settings["lr"] == pytest.approx(0.1 / 25)  # its initial rate
    betas = []
    for _ in run:
        betas.append(run.optimizer.param_groups[0]["betas"][0])
        scheduler.step()
    assert len(set(betas)) > 3  # it cycles momentum as well
    there = fingerprint(run)
    assert fingerprint(run.rewind(0).finish()) == there


def test_an_attribute_changed_from_outside_takes_effect_and_is_logged() -> None:
    run = small_run(steps=6).advance(3)
    run.parameterization.decay = 1.7
    assert run.settings["decay"] == 1.7
    run.advance(2)
    assert (run.parameterization.decay, run.log[3]["decay"]) == (1.7, 1.7)
    other = small_run(steps=6).advance(3).set(decay=1.7).advance(2)
    assert fingerprint(run) == fingerprint(other)
    there = fingerprint(run)
    assert fingerprint(run.rewind(2).advance(3)) == there
    run.rewind(1)
    run.parameterization.decay = 0.5  # after a rewind it drops what lay ahead, as set does
    assert run.advance().recorded == 2


def test_what_a_scheduler_asks_for_and_no_run_can_do_is_refused() -> None:
    run = small_run(steps=2)
    run.optimizer.param_groups[0]["lr"] = -1.0
    with pytest.raises(ValueError, match="lr must be a number above 0; got -1.0"):
        run.advance()


# --- an optimizer of one's own ----------------------------------------------------------------------------


def rmsprop(parameters: list, lr: float) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(parameters, lr=lr, alpha=0.9)


def test_any_optimizer_of_torchs_serves(tmp_path: Path) -> None:
    """RMSprop's update by hand in float64: v ← .9 v + .1 g², θ ← θ + lr g / (√v + 1e-8)."""
    picture = Pixels((4, 5), sd=0.5)
    w = np.random.default_rng(0).normal(size=(3, 4, 5))
    theta, v = picture.values.detach().double().numpy().copy(), 0.0
    run = optimize(
        picture, linear(w), identity, lr=0.03, optimizer=rmsprop, steps=5, redirect_relu=0
    ).finish()
    for _ in range(5):
        p = 1 / (1 + np.exp(-theta))
        g = w * p * (1 - p)
        v = 0.9 * v + 0.1 * g**2
        theta = theta + 0.03 * g / (np.sqrt(v) + 1e-8)
    np.testing.assert_allclose(picture.values.detach().numpy(), theta, rtol=0, atol=1e-5)
    there, path = fingerprint(run), run.save(tmp_path / "own.pt")
    assert fingerprint(run.rewind(2).finish()) == there
    parts = {"network": identity, "objective": linear(w)}
    with pytest.raises(ValueError, match=r"an optimizer of its own: Run.load\(path, optimizer=…\)"):
        Run.load(path, **parts)
    loaded = Run.load(path, **parts, optimizer=rmsprop)
    assert fingerprint(loaded.rewind(1).finish()) == there


def test_groups_keep_their_own_rates() -> None:
    def make(parameters: list, lr: float) -> torch.optim.Optimizer:
        own = [{"params": [p], "lr": lr / (i + 1)} for i, p in enumerate(parameters)]
        return torch.optim.SGD(own, lr=lr)

    class Two(Parameterization):
        def __init__(self, size: int) -> None:
            super().__init__(size)
            self.a, self.b = self.trainable(torch.zeros(1, 3, 1, 1)), self.trainable(torch.zeros(1, 3, 1, 1))

        def raw(self) -> Tensor:
            return (self.a + self.b).expand(1, 3, *self.size)

    picture = Two(4)
    run = optimize(picture, linear(np.ones((3, 4, 4))), identity, lr=0.1, optimizer=make, steps=3)
    assert run.settings["lr"] == (0.1, 0.05)
    run.finish()
    torch.testing.assert_close(picture.a, 2 * picture.b)
    run.set(lr=(0.01, 0.02))
    assert [group["lr"] for group in run.advance().optimizer.param_groups] == [0.01, 0.02]
    with pytest.raises(ValueError, match="lr must be a number above 0, or 2, one for each group"):
        run.set(lr=(0.1,))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda parameters, lr: lr, TypeError, "must return a torch.optim.Optimizer; got float"),
        (
            lambda parameters, lr: torch.optim.LBFGS(parameters, lr=lr),
            ValueError,
            "LBFGS calls the objective itself",
        ),
        (3, ValueError, "or a function .parameters, lr."),
    ],
)
def test_an_optimizer_that_cannot_serve_is_refused(make: object, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        small_run(optimizer=make)


# --- every picture's values, and the contract -------------------------------------------------------------


def test_values_are_every_pictures(tmp_path: Path) -> None:
    run = small_run(steps=4)
    values = [step.values for step in run]
    assert torch.equal(run.values, torch.stack(values))
    np.testing.assert_allclose(run.values.mean(dim=1), run.history, rtol=1e-6)
    assert run.rewind(2).values.shape == (2, 2)
    assert torch.equal(
        Run.load(run.save(tmp_path / "run.pt"), network=run.network).values, torch.stack(values[:2])
    )


class Wrong(Parameterization):
    """A picture that is not what it says."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__(8)
        self.picture, self.factor = picture, self.trainable(torch.ones(()))

    def forward(self) -> Tensor:
        return self.picture * self.factor


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (
            torch.zeros(1, 3, 8, 9),
            r"Wrong says that its pictures are \(1, 3, 8, 8\), .* and returns \(1, 3, 8, 9\)",
        ),
        (torch.zeros(3, 8, 8), r"returns \(3, 8, 8\)"),
        (torch.full((1, 3, 8, 8), 1.5), r"Wrong must return pictures in \[0, 1\], .* got 1.5 to 1.5"),
        (torch.full((1, 3, 8, 8), torch.nan), "got nan to nan"),
        (
            torch.zeros(1, 3, 8, 8, dtype=torch.float64),
            "Wrong must return float32 pictures; got torch.float64",
        ),
    ],
)
def test_a_parameterization_that_breaks_its_promise_is_named_at_the_first_step(
    picture: Tensor, words: str
) -> None:
    with pytest.raises(RunError, match=words):
        optimize(Wrong(picture), linear(np.ones((3, 8, 8))), identity).advance()


def test_a_picture_in_double_precision_is_what_its_user_asked_for() -> None:
    picture = Fourier((12, 14)).double()
    run = optimize(picture, linear(np.ones((3, 12, 14))), identity, steps=2).finish()
    assert run.image.dtype == torch.float64


def test_an_objective_that_reads_another_layer_than_it_asks_for_says_so() -> None:
    objective = Objective(lambda a: a["3"].mean(dim=(1, 2, 3)), ["1"])
    with pytest.raises(RunError, match=r"reads '3', which it does not ask for: .*layers=\[…, '3'\]"):
        small_run(objective=objective).advance()


def test_any_function_serves_as_views() -> None:
    alone = small_run(views=lambda picture: picture.flip(3), steps=2).finish()
    assert (
        alone.history == small_run(views=lambda picture, generator: picture.flip(3), steps=2).finish().history
    )
    run = small_run(views=lambda picture, generator: picture.flip(3), steps=2).finish()
    mirrored = small_run(views=lambda picture, generator: torch.cat([picture.flip(3)] * 2), steps=2).finish()
    np.testing.assert_allclose(run.history, mirrored.history, rtol=1e-5)
    with pytest.raises(RunError, match=r"views must be a tensor \(N, C, h, w\); got \(2, 3, 14\)"):
        small_run(views=lambda picture, generator: picture[..., 0]).advance()


# --- what surrounds a run changes nothing -----------------------------------------------------------------


@pytest.mark.parametrize("around", ["inference", "no grad", "autocast", "float64", "meta"])
def test_what_the_host_has_set_changes_nothing(around: str) -> None:
    def made() -> str:
        return fingerprint(small_run(steps=3, network=network).finish())

    network = small_network()
    plain = made()
    if around == "float64":
        torch.set_default_dtype(torch.float64)
        try:
            assert made() == plain
        finally:
            torch.set_default_dtype(torch.float32)
        return
    kinds = {
        "inference": torch.inference_mode,
        "no grad": torch.no_grad,
        "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        "meta": lambda: torch.device("meta"),
    }
    with kinds[around]():
        assert made() == plain
