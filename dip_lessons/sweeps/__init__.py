"""What does every channel of a layer want? A picture for each of them, on a page to look through."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import functools
import hashlib
import html
import io
import json
import math
import multiprocessing
import os
import re
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ..arguments import is_whole, whole
from ..atomic import atomic_write
from ..metrics import robust_value
from ..networks import Network, load_network
from ..objectives import Activations, Objective, channel, each
from ..parameterizations import Fourier
from ..pictures import to_pil
from ..run import RunError, optimize
from ..views.affine import standard_views

MANIFEST = "manifest.json"
VIEWS = 16  # held-out ones, which a channel is judged by


@dataclass(frozen=True)
class Settings:
    """What decides the pictures of a sweep; stored beside them, so that none of other settings gets among them."""

    network: str
    weights: str | None
    sha256: str
    layer: str
    channels: int
    size: int
    steps: int
    seed: int
    batch: int
    device: str
    torch: str
    dip_lessons: str

    def group(self, number: int) -> range:
        """The channels that are optimized together: always the same ones, whichever are asked for."""
        return range(number * self.batch, min((number + 1) * self.batch, self.channels))


@dataclass(frozen=True)
class Tile:
    """What became of one channel: its picture as a PNG, its mean activation on held-out views, and whether it is
    dead: nowhere above 0 in any of them. Or why there is no picture.
    """

    channel: int
    png: bytes = b""
    value: float = math.nan
    dead: bool = False
    failed: str = ""


def sweep(
    network: str | Network,
    layer: str,
    *,
    out: str | os.PathLike | None = None,
    channels: Iterable[int] | None = None,
    size: int = 160,
    steps: int = 128,
    seed: int = 0,
    batch: int = 4,
    device: torch.device | str | None = None,
    processes: int = 1,
    executor: Executor | None = None,
) -> Path:
    """Maximise every channel of a layer, write a PNG of each and one page with all of them, and return its path.

    Each picture is a :class:`Fourier` of random views (:func:`standard_views`); all start from the same noise.
    A sweep that was stopped, or killed, goes on where it was when it is called again. On the CPU the pictures
    are the same bit for bit however many processes made them, for each computes with one thread: take as many
    as there are cores. (Other kinds of CPU, a GPU or another version of torch round otherwise.)

    Args:
        network: its name (see :func:`load_network`), or a network.
        layer: a layer's name.
        out: the folder to write to; None makes ``sweep_NETWORK_LAYER`` in the working directory.
        channels: numbers of channels; None takes all. Whole groups of ``batch`` are rendered.
        size: side of the pictures, in pixels.
        steps: of each optimization.
        seed: of the starts and of the views.
        batch: how many channels are optimized at once: more is faster on a GPU, but hardly on a CPU.
        device: where, for a network that is given by its name; None takes the best that is there.
        processes: how many work at a time; more than one need a network that :func:`load_network` knows, and a
            script that calls this under ``if __name__ == "__main__":``.
        executor: what to hand the work to instead, such as ``Client(address).get_executor()`` of Dask.

    Raises:
        UnknownName, KeyError: there is no such layer or network.
        ValueError: the folder holds a sweep with other settings, or an argument makes no sense.
        RuntimeError: a process has ended, such as for want of memory.

    >>> network = dip.load_network(device="cpu")
    >>> page = dip.sweep(network, "features.3", channels=[0, 1], size=32, steps=2, batch=2)
    groups of 2 channels: ...
    >>> sorted(path.name for path in page.parent.iterdir())
    ['0000.json', '0000.png', '0001.json', '0001.png', 'index.html', 'manifest.json']
    """
    if isinstance(network, str):
        network = load_network(network, device)
    settings = _settings(network, layer, size=size, steps=steps, seed=seed, batch=batch)
    wanted = list(range(settings.channels) if channels is None else channels)
    if not wanted or not all(is_whole(c) and 0 <= c < settings.channels for c in wanted):
        raise ValueError(f"{layer} has channels 0 to {settings.channels - 1}; got {wanted or 'none'}")
    processes, batch = whole(processes, "processes", 1), settings.batch
    if (processes > 1 or executor) and network.loaded_as is None:
        raise ValueError(
            f"{network.name} was not loaded by name, so other processes cannot load it: take processes=1"
        )
    if (processes > 1 or executor) and network.dtype != torch.float32:
        raise ValueError(
            f"other processes load networks in float32, this one is {network.dtype}: processes=1"
        )
    folder = Path(out or f"sweep_{network.name}_{layer}")
    _claim(folder, settings)
    groups = sorted({int(number) // batch for number in wanted})
    waiting = [g for g in groups if not all(_is_done(folder, c) for c in settings.group(g))]
    try:
        with _tiles(settings, waiting, network, processes, executor) as tiles:
            done = len(groups) - len(waiting)
            told = f"groups of {batch} channels"
            for group in tqdm(tiles, told, len(groups), initial=done, file=sys.stdout, unit="group"):
                for tile in group:
                    _keep(folder, tile)
    finally:
        page = _write(folder / "index.html", _page(folder, settings).encode("utf-8"))
    for part in folder.glob(".*.part"):  # of processes that were killed
        part.unlink(missing_ok=True)
    return page


def numbers(text: str) -> list[int]:
    """The numbers that a text such as ``0-31, 40`` names. Raises ValueError for any other text."""
    found: list[int] = []
    for part in text.replace(",", " ").split():
        named = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if named is None:
            raise ValueError(f"channels are numbers and ranges, as in 0-31,40; got {part!r}")
        found += range(int(named[1]), int(named[2] or named[1]) + 1)
    return found


# --- the pictures -----------------------------------------------------------------------------------------


def render(settings: Settings, numbers: Sequence[int], network: Network | None = None) -> list[Tile]:
    """Optimize channels together, in one thread; the network is loaded by name where none is given.

    A run that fails is tried again channel by channel, so that one channel's trouble is its own.

    Raises:
        ValueError: the network that this machine loads by that name is another one.
    """
    if network is None:
        network, found = _load(settings.network, settings.weights, settings.device)
        if found != settings.sha256:
            raise ValueError(f"{settings.network} has other weights here than where the sweep began")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more of them may sum in another order
    try:
        return _render(settings, numbers, network)
    finally:
        torch.set_num_threads(threads)


def _render(settings: Settings, numbers: Sequence[int], network: Network) -> list[Tile]:
    start = Fourier(
        settings.size,
        batch=len(numbers),
        generator=torch.Generator().manual_seed(settings.seed),
        device=network.device,
    )
    objective = each(*(channel(settings.layer, c) for c in numbers))
    views = standard_views()
    run = optimize(start, objective, network, views=views, steps=settings.steps, seed=settings.seed)
    try:
        image = run.finish().image
    except RunError as error:
        if len(numbers) == 1:
            return [Tile(numbers[0], failed=str(error))]
        return [tile for c in numbers for tile in _render(settings, [c], network)]
    values = robust_value(image, objective, network, count=VIEWS)
    peaks = robust_value(image, _peak(settings.layer, numbers), network, count=VIEWS)
    return [
        Tile(c, _png(picture), value, peak <= 0)
        for c, picture, value, peak in zip(numbers, image, values.tolist(), peaks.tolist(), strict=True)
    ]


def _peak(layer: str, numbers: Sequence[int]) -> Objective:
    """What each channel reaches where it is strongest, as far as that is above 0."""

    def strongest(activations: Activations) -> Tensor:
        own = [a[c] for a, c in zip(activations[layer], numbers, strict=True)]
        return torch.stack([a.max().clamp(min=0) for a in own])

    return Objective(strongest, [layer])


def _png(picture: Tensor) -> bytes:
    buffer = io.BytesIO()
    to_pil(picture).save(buffer, "PNG")
    return buffer.getvalue()


@functools.lru_cache(maxsize=1)
def _load(name: str, weights: str | None, device: str) -> tuple[Network, str]:
    network = load_network(name, device, weights=weights)
    return network, _sha256(network)


def _sha256(network: Network) -> str:
    digest = hashlib.sha256(repr(network).encode())
    for name, value in network.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


# --- who makes them ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def _tiles(
    settings: Settings, groups: Sequence[int], network: Network, processes: int, executor: Executor | None
) -> Iterator[Iterator[list[Tile]]]:
    """The tiles, group by group, as they are finished: made here, by processes, or by an executor."""
    if executor is None and min(processes, len(groups)) <= 1:
        yield (render(settings, settings.group(g), network) for g in groups)
        return
    owned = executor is None
    if executor is None:
        # Spawned, for torch's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        executor = ProcessPoolExecutor(min(processes, len(groups)), context, begin_work)
    futures = [executor.submit(render, settings, settings.group(g)) for g in groups]
    try:
        yield (future.result() for future in as_completed(futures))
    except BrokenExecutor as error:
        raise RuntimeError(
            "a process ended before its pictures were done, perhaps for want of memory: take fewer processes or a "
            "smaller batch. What was done is kept"
        ) from error
    finally:
        for future in futures:
            future.cancel()
        if owned:
            executor.shutdown()


def begin_work() -> None:
    """In each process that works for this one: be deaf to Ctrl+C, and end when this one has ended, however it did."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)


# --- the folder -------------------------------------------------------------------------------------------


def _settings(network: Network, layer: str, **asked: int) -> Settings:
    asked = {name: whole(value, name, int(name != "seed")) for name, value in asked.items()}
    from .. import __version__  # here, for the package imports this module before it is whole

    known = network.loaded_as or {"name": network.name, "weights": None}
    return Settings(
        network=str(known["name"]),
        weights=known["weights"],
        sha256=_sha256(network),
        layer=layer,
        channels=network.layers[layer].channels,
        device=network.device.type,
        torch=torch.__version__,
        dip_lessons=__version__,
        **asked,
    )


def _claim(folder: Path, settings: Settings) -> None:
    """Make the folder this sweep's own, or see that it is."""
    path = folder / MANIFEST
    asked = {"format": "dip_lessons sweep 1", **asdict(settings)}
    if path.exists():
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            other = {name: found.get(name) for name in asked if found.get(name) != asked[name]}
        except (ValueError, AttributeError) as error:
            raise ValueError(f"{path} is no manifest of a sweep; name another folder") from error
        if other:
            what = ", ".join(f"{name} {value}, not {asked[name]}" for name, value in other.items())
            raise ValueError(f"{folder} holds a sweep with {what}; name another folder for this one")
        return
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise ValueError(f"{folder} holds other things than a sweep; name a folder that is new or empty")
    _write(path, (json.dumps(asked, indent=1) + "\n").encode("utf-8"))


def _is_done(folder: Path, number: int) -> bool:
    return _about(folder, number) is not None and (folder / f"{number:04}.png").exists()


def _about(folder: Path, number: int) -> dict | None:
    """What is stored beside a channel's picture; None where nothing is, or half of it."""
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
        about = json.loads((folder / f"{number:04}.json").read_text(encoding="utf-8"))
        return asdict(Tile(number, **about))
    return None


def _keep(folder: Path, tile: Tile) -> None:
    """Write a channel's files; the one that says it is done comes last."""
    if tile.png:
        _write(folder / f"{tile.channel:04}.png", tile.png)
    about = {"value": tile.value, "dead": tile.dead, "failed": tile.failed}
    _write(folder / f"{tile.channel:04}.json", json.dumps(about).encode("utf-8"))


def _write(path: Path, content: bytes) -> Path:
    with atomic_write(path) as part:
        part.write_bytes(content)
    return path


def _read(folder: Path, settings: Settings) -> Iterator[Tile]:
    """The tiles that are there, without holding more than one picture."""
    for number in range(settings.channels):
        if (about := _about(folder, number)) is not None:
            picture = folder / f"{number:04}.png"
            yield Tile(**{**about, "png": picture.read_bytes() if picture.exists() else b""})


# --- the page ---------------------------------------------------------------------------------------------


def _page(folder: Path, settings: Settings) -> str:
    """The page with all pictures that there are: HTML that needs nothing else."""
    figures, dead, failed = [], [], []
    for tile in _read(folder, settings):
        if tile.failed or not tile.png:
            failed.append(tile.channel)
        elif tile.dead:
            dead.append(tile.channel)
        figures.append(
            _figure(dataclasses.replace(tile, failed=tile.failed or "no picture" * (not tile.png)))
        )
    title = f"{settings.network}, {settings.layer}: what each channel wants"
    about = [f"{len(figures)} of {settings.channels} channels."]
    if dead:
        about.append(f"Dead, nowhere above 0 on {VIEWS} held-out views: {', '.join(map(str, dead))}.")
    if failed:
        about.append(f"Failed: {', '.join(map(str, failed))}.")
    about.append(
        f"Fourier, {settings.size} px, {settings.steps} steps, seed {settings.seed}. The number beside a channel's "
        f"is its mean activation on {VIEWS} held-out views."
    )
    page = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
    words = {
        "TITLE": html.escape(title),
        "ABOUT": html.escape(" ".join(about)),
        "FIGURES": "\n".join(figures),
    }
    for name, text in words.items():
        page = page.replace(f"{{{{{name}}}}}", text)
    return page


def _figure(tile: Tile) -> str:
    state = "failed" if tile.failed else "dead" if tile.dead else ""
    what = html.escape(tile.failed) if tile.failed else "dead" if tile.dead else f"{tile.value:.3g}"
    image = ""
    if tile.png:
        buffer = io.BytesIO()
        Image.open(io.BytesIO(tile.png)).convert("RGB").save(buffer, "JPEG", quality=88)
        source = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
        image = f'<img src="{source}" alt="what channel {tile.channel} wants">'
    value = "" if tile.failed else f'data-value="{tile.value:.9g}"'
    return (
        f'<figure id="c{tile.channel}" data-channel="{tile.channel}" data-state="{state}" {value}>{image}'
        f'<figcaption><a href="#c{tile.channel}">{tile.channel}</a> <span>{what}</span></figcaption></figure>'
    )
