"""The benchmark of lesson 15: its measures against closed forms, its stored file against a part made again."""

import math

import numpy as np
import pytest
import torch

from dip_lessons.course import benchmark


@pytest.fixture(scope="module")
def stored():
    return benchmark.load()


def test_psnr_of_a_constant_error():
    x = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    assert benchmark.psnr(x + 0.1, x) == pytest.approx(20, abs=1e-3)
    assert benchmark.psnr(x, x) == pytest.approx(120)


def test_memory_of_pixels_is_known():
    """Values, gradient, two moments of Adam, and the picture, which the sigmoid keeps: five times its bytes."""
    assert benchmark.kept_bytes("Pixels") == 5 * 4 * 3 * benchmark.SIZE**2
    assert benchmark.numbers("Pixels") == 3 * benchmark.SIZE**2
    assert benchmark.numbers("CPPN") == 8451  # the article's
    # Two frames have parts of their own, and share the maps of Shared's layers.
    waves, common = benchmark.numbers("Fourier"), 3 * (64**2 + 32**2 + 3 * 16**2 + 3 * 8**2)
    assert benchmark.numbers("Shared") == (2 * waves + common) // 2


def test_a_trial_begins_as_the_stored_one_and_a_shorter_one_is_its_beginning(stored):
    """Adam's first steps are signs of gradients, and rounding decides those of small ones: only what is measured
    before the first step is the same on every machine, to the rounding of a network of some thirty layers."""
    task, name = "eyes", "Fourier"
    at = stored["tasks"].tolist().index(task), stored["names"].tolist().index(name), 1
    done = benchmark.trial(name, task, 1, steps=4)
    scale = np.abs(stored["history"][at]).max()
    np.testing.assert_allclose(done.history[0], stored["history"][at][0], rtol=1e-3, atol=1e-4 * scale)
    np.testing.assert_array_equal(benchmark.trial(name, task, 1, steps=2).history, done.history[:2])


def test_a_trial_leaves_threads_and_the_global_generator_alone():
    threads = torch.get_num_threads()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    benchmark.trial("Pixels", "eyes", 0, steps=1)
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == threads


def test_rates_are_those_within_a_tenth_of_the_best_that_change_least(stored):
    for name in benchmark.TUNED:
        seeds = stored["rates"][
            stored["names"].tolist().index(name)
        ]  # (rates, seeds), NaN where nothing was tried
        reached = {
            r: np.nanmean(x) for r, x in zip(benchmark.RATES, seeds, strict=True) if not np.isnan(x).all()
        }
        best = max(reached, key=reached.get)
        assert min(reached) < best < max(reached), f"{name}: the best rate is an end of those tried"
        good = [r for r, v in reached.items() if v >= 0.9 * reached[best]]
        assert benchmark.CANDIDATES[name].rate == min(good, key=lambda r: abs(math.log(r))), name


def test_the_file_holds_what_the_sweep_measures(stored):
    names, tasks = stored["names"].tolist(), stored["tasks"].tolist()
    assert names == list(benchmark.CANDIDATES)
    assert tasks == list(benchmark.TASKS)
    measured = np.zeros(stored["slope"].shape, bool)
    for unit in benchmark._units():
        if unit[0] == "trial":
            measured[tasks.index(unit[1]), names.index(unit[2]), int(unit[3])] = True
    np.testing.assert_array_equal(~np.isnan(stored["slope"]), measured)
    several = measured & (measured.sum(axis=2, keepdims=True) > 1)
    np.testing.assert_array_equal(~np.isnan(stored["diversity"]), several)
    for at, steps in zip(range(len(tasks)), stored["task_steps"], strict=True):
        reached = stored["checkpoints"] <= steps
        assert not np.isnan(stored["robust"][at][measured[at]][:, reached]).any()
    evaluated = [i for i, task in enumerate(benchmark.TASKS.values()) if task.second]
    assert np.isnan(stored["rank"]).any(axis=(1, 2)).sum() == len(tasks)
    assert not np.isnan(stored["rank"][evaluated][measured[evaluated]]).any()
    assert measured.sum(axis=2).max() >= 5
    assert measured.sum(axis=2)[measured.any(axis=2)].min() >= 3


def test_the_stored_numbers_are_of_this_package(stored):
    for name in set(benchmark.CANDIDATES) - {"StyleGAN"}:  # whose network may be missing
        i = stored["names"].tolist().index(name)
        assert stored["numbers"][i] == benchmark.numbers(name), name
        assert stored["bytes"][i] == pytest.approx(benchmark.kept_bytes(name), rel=0.05), name


def test_stored_pictures(stored):
    x = benchmark.picture(stored, "eyes", "Fourier", 0)
    assert x.shape == (1, 3, benchmark.SIZE, benchmark.SIZE)
    assert 0.1 < x.std() < 0.4
    assert benchmark.picture(stored, "eyes", "RGBA", 0).shape[1] == 4
    with pytest.raises(KeyError, match="eyes/Fourier/0"):
        benchmark.picture(stored, "eyes", "Fourrier", 0)


def test_a_sweep_that_was_stopped_goes_on(tmp_path, monkeypatch):
    asked = []
    todo = [("fit", "Pixels", "chelsea"), ("fit", "Pixels", "coffee"), ("fit", "Pixels", "astronaut")]

    def measured(unit):
        asked.append(unit[-1])
        if len(asked) == 2:
            raise KeyboardInterrupt
        return {"psnr": np.float32(len(asked))}

    monkeypatch.setattr(benchmark, "_units", lambda: todo)
    monkeypatch.setattr(benchmark, "_measured", measured)
    monkeypatch.setattr(
        benchmark, "_assembled", lambda parts: {"files": np.array(len(list(parts.iterdir())))}
    )
    out = tmp_path / "x.npz"
    with pytest.raises(KeyboardInterrupt):
        benchmark.sweep(out)
    assert not out.exists()
    benchmark.sweep(out)
    assert asked == ["chelsea", "coffee", "coffee", "astronaut"]
    assert np.load(out)["files"] == 3
    assert math.isclose(float(np.load(tmp_path / "x.parts" / "fit Pixels coffee.npz")["psnr"]), 3)


def test_diversity_of_equal_pictures_is_nothing():
    x = np.asarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)), np.uint8)
    flat = np.full_like(x, 90)
    alike, other = benchmark._diversity([x, x])[0], benchmark._diversity([x, flat])[0]
    assert alike == pytest.approx(0, abs=1e-4)
    assert other > 0.1
