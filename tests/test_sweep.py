"""Sweeps: the pictures are those of a run by hand, bit for bit, whoever makes them and however often it is stopped."""

import base64
import contextlib
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import dip_lessons as dip
from dip_lessons.course.commands import main
from dip_lessons.sweeps import numbers

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SMALL = {"size": 32, "steps": 4}
NAMED = {"layer": "features.4", "channels": range(12), **SMALL}  # of SqueezeNet, which processes can load


@pytest.fixture(scope="module")
def network():
    """Ten channels behind a ReLU: number 3 is dead, number 5 gives NaN."""
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 10, 5, stride=2)
    with torch.no_grad():
        layer.weight[3] = 0
        layer.bias[3] = -1
        layer.bias[5] = torch.nan
    return dip.Network(nn.Sequential(layer, nn.ReLU()), name="ten")


@pytest.fixture(scope="module")
def finished(network, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "whole"
    page = dip.sweep(network, "1", out=folder, batch=4, **SMALL)
    assert page == folder / "index.html"
    return folder


def files(folder, pattern="*.png"):
    return {path.name: path.read_bytes() for path in sorted(folder.glob(pattern))}


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


# --- the pictures -----------------------------------------------------------------------------------------


def test_the_pictures_are_those_of_runs_by_hand(network, finished):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = dip.Fourier(32, batch=2, generator=torch.Generator().manual_seed(0))
    objective = dip.each(dip.channel("1", 8), dip.channel("1", 9))  # the last group
    run = dip.optimize(start, objective, network, views=dip.standard_views(), steps=4, seed=0).finish()
    torch.set_num_threads(threads)
    for number, image in zip((8, 9), run.image, strict=True):
        expected = (image * 255).round().byte().permute(1, 2, 0).numpy()
        assert np.array_equal(pixels(files(finished)[f"{number:04}.png"]), expected)
    about = json.loads((finished / "0008.json").read_text())
    views, generator = dip.standard_views(), torch.Generator().manual_seed(dip.metrics.HELD_OUT_SEED)
    seen = [network(views(run.image, generator), ["1"])["1"][0, 8].mean().item() for _ in range(16)]
    assert about["value"] == pytest.approx(np.mean(seen), rel=1e-5)


def test_dead_channels_and_failed_ones_are_said_so_and_spoil_no_other(network, finished):
    abouts = [json.loads((finished / f"{n:04}.json").read_text()) for n in range(10)]
    assert [n for n, about in enumerate(abouts) if about["dead"]] == [3]
    assert [n for n, about in enumerate(abouts) if about["failed"]] == [5]
    assert "NaN" in abouts[5]["failed"] or "nan" in abouts[5]["failed"]
    assert sorted(files(finished)) == [f"{n:04}.png" for n in range(10) if n != 5]
    assert abouts[3]["value"] == 0
    page = (finished / "index.html").read_text(encoding="utf-8")
    assert "Dead, nowhere above 0 on 16 held-out views: 3." in page
    assert "Failed: 5." in page


def test_threads_and_the_global_generator_stay_as_they_were(network, tmp_path):
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    threads = torch.get_num_threads()
    dip.sweep(network, "1", out=tmp_path / "a", channels=[0], **SMALL)
    assert torch.equal(torch.rand(2), expected)
    assert torch.get_num_threads() == threads


def test_another_seed_makes_other_pictures(network, finished, tmp_path):
    dip.sweep(network, "1", out=tmp_path, channels=[0], seed=1, **SMALL)
    assert files(tmp_path)["0000.png"] != files(finished)["0000.png"]


# --- going on ---------------------------------------------------------------------------------------------


def test_a_part_now_and_the_rest_later_are_the_same_as_all_at_once(network, finished, tmp_path, capsys):
    dip.sweep(network, "1", out=tmp_path, channels=np.array([9]), **SMALL)
    assert sorted(files(tmp_path)) == ["0008.png", "0009.png"]  # whole groups
    assert "2 of 10 channels." in (tmp_path / "index.html").read_text(encoding="utf-8")
    first = {p.name: p.stat().st_mtime_ns for p in tmp_path.glob("*.png")}
    capsys.readouterr()
    dip.sweep(network, "1", out=tmp_path, **SMALL)
    progress = capsys.readouterr().out
    assert "groups of 4 channels:  33%" in progress
    assert "3/3" in progress
    assert files(tmp_path) == files(finished)
    assert files(tmp_path, "index.html") == files(finished, "index.html")
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in first} == first


@pytest.mark.parametrize("lost", ["0001.png", "0001.json", "empty", "cut", "another"])
def test_what_is_missing_or_broken_is_made_again(network, finished, lost, tmp_path):
    shutil.copytree(finished, tmp_path / "copy")
    broken = {"empty": "", "cut": '{"value": 1.2', "another": "[1]"}
    if lost in broken:
        (tmp_path / "copy" / "0001.json").write_text(broken[lost])
    else:
        (tmp_path / "copy" / lost).unlink()
    (tmp_path / "copy" / ".0002.png.123.part").write_bytes(b"half of it")
    dip.sweep(network, "1", out=tmp_path / "copy", **SMALL)
    assert files(tmp_path / "copy", "*") == files(finished, "*")


@pytest.mark.parametrize("change", [{"seed": 1}, {"steps": 5}, {"size": 33}, {"batch": 2}, {"layer": "0"}])
def test_other_settings_do_not_get_among_the_pictures(network, finished, change, tmp_path):
    before = files(finished, "*")
    asked = {"layer": "1", **SMALL} | change
    ((name, value),) = change.items()
    old = {"seed": 0, "steps": 4, "size": 32, "batch": 4, "layer": "1"}[name]
    with pytest.raises(
        ValueError, match=f"holds a sweep with {name} {old}, not {value}; name another folder"
    ):
        dip.sweep(network, out=finished, **asked)
    assert files(finished, "*") == before


def test_another_network_of_the_same_name_does_not_either(network, finished):
    module = nn.Sequential(nn.Conv2d(3, 10, 5, stride=2), nn.ReLU())
    with pytest.raises(ValueError, match="holds a sweep with sha256"):
        dip.sweep(dip.Network(module, name="ten"), "1", out=finished, **SMALL)


KILLED = """
import sys
import dip_lessons as dip

if __name__ == "__main__":
    dip.sweep("squeezenet1_1", "features.4", out=sys.argv[1], channels=range(12), size=32, steps=4, device="cpu",
              processes=int(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kills by a signal")
@pytest.mark.parametrize("processes", [1, 2])
def test_a_sweep_that_was_killed_goes_on_and_comes_out_the_same(processes, tmp_path, root):
    script, folder = tmp_path / "script.py", tmp_path / "killed"
    script.write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen([sys.executable, str(script), str(folder), str(processes)], env=environment)
    deadline = time.monotonic() + 120
    while not list(folder.glob("*.json"))[1:] and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    there = {p.name: p.read_bytes() for p in folder.glob("????.png") if p.with_suffix(".json").exists()}
    assert 0 < len(there) < 12
    dip.sweep("squeezenet1_1", out=folder, device="cpu", **NAMED)
    dip.sweep("squeezenet1_1", out=tmp_path / "whole", device="cpu", **NAMED)
    assert files(folder, "*") == files(tmp_path / "whole", "*")
    assert files(folder).items() >= there.items()


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc, which Linux has")
def test_processes_of_a_sweep_that_was_killed_end(tmp_path, root):
    script, folder = tmp_path / "script.py", tmp_path / "killed"
    script.write_text(KILLED.replace("steps=4", "steps=10**6"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen([sys.executable, str(script), str(folder), "2"], env=environment)

    def workers():
        """Running processes that were spawned from this one, by what they inherited."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                state = (path / "stat").read_text().rpartition(")")[2].split()[0]
                ours = f"PYTHONPATH={environment['PYTHONPATH']}".encode() in (path / "environ").read_bytes()
                if ours and state != "Z" and b"spawn_main" in (path / "cmdline").read_bytes():
                    found.append(path.name)
        return found

    def wait(condition):
        deadline = time.monotonic() + 120
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.05)
        return condition()

    assert wait(lambda: len(workers()) == 2)
    process.kill()
    process.wait()
    assert wait(lambda: not workers())


# --- who makes them ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_many_processes_make_the_same_pictures_bit_for_bit(tmp_path):
    dip.sweep("squeezenet1_1", out=tmp_path / "one", device="cpu", **NAMED)
    dip.sweep("squeezenet1_1", out=tmp_path / "many", device="cpu", processes=2, **NAMED)
    with ThreadPoolExecutor(1) as executor:  # whatever has the interface of concurrent.futures
        dip.sweep("squeezenet1_1", out=tmp_path / "pool", device="cpu", executor=executor, **NAMED)
    one = files(tmp_path / "one", "*")
    assert len(one) == 2 * 12 + 2
    assert files(tmp_path / "many", "*") == one
    assert files(tmp_path / "pool", "*") == one


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Dask's own
def test_dask_makes_the_same_pictures(tmp_path, capsys):
    distributed = pytest.importorskip("distributed")
    dip.sweep("squeezenet1_1", out=tmp_path / "one", device="cpu", **NAMED)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster:
        words = ["sweep", "squeezenet1_1", "features.4", "--channels", "0-11", "--size", "32", "--steps", "4"]
        words += ["--device", "cpu", "--dask", cluster.scheduler_address, "--out", str(tmp_path / "dask")]
        assert main(words) == 0
    assert capsys.readouterr().out.endswith("index.html\n")
    assert files(tmp_path / "dask", "*") == files(tmp_path / "one", "*")


def test_a_process_that_ends_says_what_to_do_and_keeps_what_was_done(tmp_path):
    class Falling(ThreadPoolExecutor):
        def submit(self, render, settings, numbers):
            def work():
                if 4 in numbers:
                    raise BrokenExecutor("A process was terminated abruptly")
                return render(settings, numbers)

            return super().submit(work)

    with Falling(1) as executor, pytest.raises(RuntimeError, match="take fewer processes or a smaller batch"):
        dip.sweep("squeezenet1_1", out=tmp_path, device="cpu", executor=executor, **NAMED)
    assert sorted(files(tmp_path))[:4] == ["0000.png", "0001.png", "0002.png", "0003.png"]
    assert (tmp_path / "index.html").exists()


def test_a_network_of_ones_own_stays_in_one_process(network, tmp_path):
    with pytest.raises(ValueError, match="ten was not loaded by name, so other processes cannot load it"):
        dip.sweep(network, "1", out=tmp_path, processes=2, **SMALL)


# --- the page ---------------------------------------------------------------------------------------------


def test_the_page_needs_nothing_else_and_shows_every_picture(finished):
    page = (finished / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'(?:src|href)="(?!data:|#)', page) == []
    assert "{{" not in page
    figures = re.findall(r'<figure id="c(\d+)".*?</figure>', page, re.DOTALL)
    assert figures == [str(n) for n in range(10)]
    shown = re.findall(r'src="data:image/jpeg;base64,([^"]+)" alt="what channel (\d+) wants"', page)
    assert [int(n) for _, n in shown] == [n for n in range(10) if n != 5]
    for data, number in shown:
        picture = pixels(base64.b64decode(data)).astype(float)
        assert np.abs(picture - pixels(files(finished)[f"{int(number):04}.png"])).mean() < 8  # a JPEG of it


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")
def test_the_page_filters_and_sorts(finished):
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        errors = []
        page.on("pageerror", lambda error: errors.append(error))
        page.goto((finished / "index.html").as_uri())

        def shown():
            return page.eval_on_selector_all(
                "figure", "all => all.filter(f => f.checkVisibility()).map(f => Number(f.dataset.channel))"
            )

        assert shown() == list(range(10))
        assert page.eval_on_selector_all("img", "all => all.every(i => i.naturalWidth === 32)")
        for words, expected in [
            ("2", [2]),
            ("0-2, 7", [0, 1, 2, 7]),
            ("dead", [3]),
            ("DEAD failed 9", [3, 5, 9]),
            ("what", []),
            ("", list(range(10))),
        ]:
            page.fill("#filter", words)
            assert shown() == expected
            assert page.text_content("#count") == f"{len(expected)} shown"
            assert page.eval_on_selector("#filter", "f => f.checkValidity()") == (words != "what")
        page.select_option("#order", "value")
        values = [json.loads((finished / f"{n:04}.json").read_text())["value"] for n in range(10)]
        assert shown() == sorted(range(10), key=lambda n: -values[n] if n != 5 else np.inf)
        page.select_option("#order", "channel")
        assert shown() == list(range(10))
        assert errors == []
        browser.close()


# --- the command ------------------------------------------------------------------------------------------


def test_the_command_writes_a_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["sweep", "squeezenet1_1", "features.3", "--channels", "5", "--size", "32", "--steps", "2"]
    assert main([*words, "--batch", "2", "--device", "cpu", "--processes", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "groups of 2 channels: 100%" in lines[-2]
    assert lines[-1] == os.path.join("sweep_squeezenet1_1_features.3", "index.html")
    assert sorted(files(tmp_path / "sweep_squeezenet1_1_features.3")) == ["0004.png", "0005.png"]


def test_numbers():
    assert numbers("0-3,7") == [0, 1, 2, 3, 7]
    assert numbers(" 12, 3 ") == [12, 3]
    for text in ("a", "1-", "-1", "1-2-3", "1.5"):
        with pytest.raises(ValueError, match="numbers and ranges, as in 0-31,40"):
            numbers(text)


def test_errors_say_what_to_do(network, tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "manifest.json").write_text("[]")
    for options, message in [
        ({"channels": [10]}, "1 has channels 0 to 9; got"),
        ({"channels": []}, "got none"),
        ({"channels": [True]}, "1 has channels 0 to 9; got [True]"),
        ({"steps": 0}, "steps must be a whole number, 1 or more; got 0"),
        ({"size": 2.5}, "size must be a whole number, 1 or more; got 2.5"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"processes": 0}, "processes must be a whole number, 1 or more"),
        ({"out": tmp_path / "mine"}, "holds other things than a sweep; name a folder that is new or empty"),
        ({"out": tmp_path / "odd"}, "manifest.json is no manifest of a sweep"),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            dip.sweep(network, "1", **{"out": tmp_path / "new", **options})
    assert not (tmp_path / "new").exists()
    with pytest.raises(KeyError, match="there is no layer '2'"):
        dip.sweep(network, "2", out=tmp_path / "new")
    for words, message in [
        (["squeezenet", "features.3"], "squeezenet"),
        (["squeezenet1_1", "features.33"], "there is no layer 'features.33'; the nearest names are"),
        (["squeezenet1_1", "features.3", "--channels", "all"], "as in 0-31,40; got 'all'"),
        (["squeezenet1_1", "features.3", "--device", "tpu"], "'tpu'"),
    ]:
        assert main(["sweep", *words, "--out", str(tmp_path / "new")]) == 1
        assert message in capsys.readouterr().err


def test_without_dask_the_command_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["sweep", "squeezenet1_1", "features.3", "--dask", "tcp://localhost:1"]) == 1
    assert "pip install distributed" in capsys.readouterr().err
