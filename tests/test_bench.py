"""The benchmark's own machinery: what it reports is what was spent. The peers are not needed here."""

from __future__ import annotations

import copy
import sys
import time
from pathlib import Path

import pytest
import torch
from bench import cases, memory, peers, quality, steps
from bench.measure import Stamps, cost, floor, peak_of, quotient, ratio, rounds
from torch import nn

import dip_lessons as dip

CPU = torch.device("cpu")


def test_what_drifts_in_a_round_falls_on_all_alike():
    turn, order = 0, []

    def taking(name: str, seconds: float):
        def block() -> float:
            nonlocal turn
            turn += 1
            order.append(name)
            return seconds * (1 + 0.1 * turn)  # the machine becomes slower and slower

        return block

    found = rounds({"a": taking("a", 6.0), "b": taking("b", 3.0), "c": taking("c", 1.0)}, 4)
    assert order == list("abccba") * 5
    assert {name: len(times) for name, times in found.items()} == {"a": 4, "b": 4, "c": 4}, "warm-up counted"
    assert quotient(found["a"], found["b"]) == pytest.approx(2)
    assert quotient(found["b"], found["c"]) == pytest.approx(3)


def test_the_quotient_is_the_median_of_rounds():
    assert quotient([2, 20, 5], [1, 2, 5]) == 2
    with pytest.raises(ValueError, match="zip"):
        quotient([1, 2], [1])


def test_time_is_the_processors():
    def work() -> None:
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass

    assert cost(lambda: time.sleep(0.2), CPU) < cost(work, CPU)
    assert ratio(lambda: (work(), work()), work, CPU, turns=2) == pytest.approx(2, rel=0.2)


def test_stamps_leave_out_what_comes_before_the_first_step(monkeypatch):
    clock = iter([10.0, 10.5, 12.0])
    monkeypatch.setattr("bench.measure.now", lambda _device: next(clock))
    stamps = Stamps(CPU, steps=2)
    for _ in range(4):  # a loop that goes on for longer than it is timed
        stamps()
    assert stamps.spent == 0.5
    assert next(clock) == 12, "the clock is read at both ends only: on a GPU that means waiting for it"


def small() -> nn.Module:
    """Two convolutions with batch norm that does something, and a layer behind them that nobody needs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Conv2d(4, 4, 1)
        )
        module[1].running_mean.normal_()
        module[1].running_var.uniform_(0.5, 2)
    return module.double().eval()


def test_the_floor_is_the_gradient_and_nothing_behind_the_layer_runs():
    module, later = small(), []
    module[4].register_forward_hook(lambda *_: later.append(1))
    image = torch.rand(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = image.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(module[:4](x)[:, 1].mean(), x)
    least = floor(module, "3", 1, image)
    assert torch.allclose(least(), wanted, atol=1e-14)
    assert torch.equal(least(), least()), "the picture changed"
    assert not later
    assert not any(p.requires_grad for p in module.parameters())
    assert memory.hooks(module) == 1, "only the hook of this test is left"
    whole = floor(module, "", 1, image)
    (wanted,) = torch.autograd.grad(module(x)[:, 1].mean(), x)
    assert torch.allclose(whole(), wanted, atol=1e-14)


def test_our_gradient_is_the_floors():
    p = cases.parts("squeezenet1_1")
    network, folded = copy.deepcopy(p.network).to(CPU).double(), cases.as_it_came(p.module).to(CPU).double()
    normalise = cases.Normalise(network)
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    least = floor(folded, "features.5", 3, normalise(image))()
    x = image.requires_grad_()
    (ours,) = torch.autograd.grad(dip.channel("features.5", 3)(network(x, ["features.5"])).sum(), x)
    expected = (least.flip(1) if p.network.bgr else least) / normalise.std
    assert (ours - expected).abs().max() < 1e-9 * expected.abs().max()


def test_a_case_is_one_network_for_everybody():
    case = cases.Case("resnet18", "layer2", 64)
    p = cases.parts(case.name)
    assert cases.agree(case) < 1e-4
    norms = [
        [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)] for module in (p.module, p.folded)
    ]
    assert len(norms[0]) == 20
    assert not norms[1]
    assert all(q.requires_grad for q in p.module.parameters()), "the peers' network must be as it came"
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert 0.1 < p.module(p.normalise(image)).std() < 10, "activations of random weights are out of hand"
    with torch.no_grad():
        p.module.layer1[0].conv1.weight.mul_(1.5)
    assert cases.agree(case) > 1e-2, "another network would go unnoticed"
    cases.parts.cache_clear()


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is read from /proc")
def test_the_peak_counts_what_was_held_and_freed():
    def hold(megabytes: int) -> None:
        torch.ones(megabytes * 2**18)

    assert peak_of(lambda: hold(256)) == pytest.approx(256 * 2**20, rel=0.1)
    assert peak_of(lambda: hold(64)) == pytest.approx(64 * 2**20, rel=0.2), "the peak before is still there"


def test_leftovers_are_seen():
    module = small()
    assert memory.hooks(module) == memory.gradients(module) == 0
    module[0].register_forward_hook(lambda *_: None)
    module[2].register_full_backward_hook(lambda *_: None)
    module(torch.rand(1, 3, 16, 16).double()).sum().backward()
    assert memory.hooks(module) == 2
    assert memory.gradients(module) == 8


def test_a_race_is_won_where_all_values_are_reached():
    pictures = [torch.full((1, 3, 8, 8), v) for v in (0.2, 0.4, 0.6, 0.8)]
    judges = {"mean": lambda x: float(x.mean()), "darkness": lambda x: 1 - float(x.mean())}
    looks = [quality.Look(16 * (i + 1), i + 1.0, picture) for i, picture in enumerate(pictures)]

    def race(theirs: torch.Tensor, looks: list[quality.Look]) -> quality.Race:
        return quality.Race(judges, theirs, 8.0, {"ours": looks})

    won = race(pictures[1], looks)
    assert won.goals == pytest.approx({"mean": 0.4, "darkness": 0.6})
    assert won.reached("ours", ["mean"]) is looks[1]
    assert won.reached("ours", ["darkness"]) is looks[0]
    assert won.reached("ours", ["darkness", "mean"]) is looks[1]
    assert race(pictures[3], looks[:3]).reached("ours", ["mean"]) is None
    near = torch.full((1, 3, 8, 8), 0.6 / 0.985)  # 98.5 % of it is enough
    assert race(near, looks).reached("ours", ["mean"]) is looks[2]
    assert quality.report("", won, ["mean"]) == {"ours": 2 / 8}
    assert quality.report("", race(pictures[3], looks[:3]), ["mean"]) == {"ours": float("inf")}


def test_pairs_are_of_two_pictures_and_need_all_four_values():
    def end(**values: float) -> dict[str, float]:
        return {**dict.fromkeys(quality.ALL_FOUR, 10.0), "glare": 0.0, **values}

    theirs = [end(), end(second=-1.0), end(clean=20.0)]
    assert quality.enough(-1.0) == pytest.approx(-1.02)
    assert quality.reach([end(blurred=9.81), end(second=-1.01)], theirs) == (3, 6)
    assert quality.reach(theirs, theirs) == (3, 6), "a picture is no match for itself"


def test_bounds_are_said_to_hold_or_not():
    assert "holds" in steps.holds(2.9, 2.8, least=True)
    assert "MISSED" in steps.holds(2.7, 2.8, least=True)
    assert "holds" in steps.holds(1.1, 1.15, least=False)
    assert "MISSED" in steps.holds(1.2, 1.15, least=False)


def test_without_the_peers_the_tables_say_so(monkeypatch, capsys):
    monkeypatch.setattr(peers.util, "find_spec", lambda _name: None)
    assert peers.versions() == {}
    quality.classes(quick=True)
    quality.channels(quick=True)
    assert capsys.readouterr().out.count("torch-lucent is not installed") == 2


def test_the_readme_names_every_table():
    from bench import __main__ as program

    text = (Path(program.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in program.TABLES)


@pytest.mark.filterwarnings("ignore")  # Lucent is of another time
def test_lucent_is_left_as_it_was():
    lucent = pytest.importorskip("lucent", reason="the peers are not installed here")
    assert lucent
    module = small().float()
    shared = torch.get_rng_state()
    theirs = peers.Lucent(module, nn.Identity(), "3", 1, 32, same_input=True)
    first, second = (theirs.render(3)[0] for _ in range(2))
    assert torch.equal(first, second), "a seed does not repeat its run"
    assert memory.hooks(module) == 0
    assert torch.equal(torch.get_rng_state(), shared)
    assert theirs.seconds(2) > 0
