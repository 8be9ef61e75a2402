"""A network to look into: frozen, normalising inside, run only as deep as it is asked."""

from __future__ import annotations

import contextlib
import functools
import itertools
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import set_checkpoint_early_stop

from ..arguments import whole
from .frozen import eager, frozen
from .layers import Layer, Layers, UnknownName
from .layouts import Layouts, Refused, as_map
from .learning import learn, unchanged, wrong_size
from .names import call_of, named, names_of
from .normalise import Statistic, check_picture, normalised, statistics
from .trials import Call, Size, attempt, only_tensor

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OUTPUT = "<logits>"  # a network's own output, under a name that no layer has
LOGITS = "logits"  # the same, where no layer is called so


class _Deepest(BaseException):  # no Exception: a module that catches those must not catch it
    """Raised by the last layer that was asked for: what lies behind it need not run."""


class NoGradient(RuntimeError):
    """A gradient was wanted of a layer that lets none through."""


class NotATensor(TypeError):
    """A layer's output that is no tensor."""


@contextlib.contextmanager
def exact(device: torch.device) -> Iterator[None]:
    """Inside the block, the host's autocast is off: a network computes in its own type."""
    if torch.amp.is_autocast_available(device.type):
        with torch.autocast(device.type, enabled=False):
            yield
    else:
        yield


class Network(nn.Module):
    """``network(image, layers) -> {layer: activation}`` for pictures (N, 3, H, W) in [0, 1] of any size.

    It computes what the module computes, to the precision of its numbers, or refuses.

    Args:
        module: a torch network that takes normalised pictures. It is copied; the copy is frozen and in eval
            mode, so the original stays as it is.
        mean, std: what the network expects: each channel minus mean, divided by std, on the scale [0, 1]. One
            number each for a network of grey pictures, (N, 1, H, W).
        bgr: whether it expects the channels in the order blue, green, red; mean and std are given in the
            order red, green, blue all the same.
        name: what it is called in messages and captions.
        classes: the names of its logits, if it has any.
        input_size: the one size that it can take, if it has one: pictures of other sizes are resized to it.
        has_logits: whether its output can be asked for as ``"logits"``.
        layout: the axes of layers for which trials do not tell them for certain: ``"NCHW"``, ``"NHWC"``, or for
            tokens ``"NTC"``, ``"NCT"``, ``"TNC"``; or {name or pattern of names: one of these}.
        prefix: how many tokens (class, registers) stand before those of the picture's patches, if not even the
            trials can tell.

    Raises TypeError for what is no module or cannot be copied, ValueError for arguments that make no sense and
    for a copy that computes something else than the module.

    >>> module = torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten())  # whatever torch can run
    >>> network = dip.Network(module, mean=(0, 0, 0), std=(1, 1, 1))
    >>> network(torch.ones(1, 3, 16, 16), ["0"])["0"].shape, network.device
    (torch.Size([1, 3, 2, 2]), device(type='cpu'))
    >>> any(p.requires_grad for p in network.parameters())  # it is frozen; only pictures get gradients
    False
    >>> network.dtype, network.channels
    (torch.float32, 3)
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        module: nn.Module,
        *,
        mean: Statistic = IMAGENET_MEAN,
        std: Statistic = IMAGENET_STD,
        bgr: bool = False,
        name: str | None = None,
        classes: Sequence[str] = (),
        input_size: int | None = None,
        has_logits: bool = True,
        layout: str | Mapping[str, str] | None = None,
        prefix: int | None = None,
    ) -> None:
        super().__init__()
        self.name, self.classes = name or type(module).__name__, list(classes)
        self.bgr, self.has_logits = bgr, has_logits
        self.input_size = None if input_size is None else whole(input_size, "input_size", 1)
        self.module = frozen(module)
        first = next((part for part in self.module.modules() if isinstance(part, nn.Conv2d)), None)
        tensors = itertools.chain(self.module.parameters(), self.module.buffers())
        where = next((tensor.device for tensor in tensors), torch.device("cpu"))
        statistic = statistics(mean, std, 3 if first is not None and first.in_channels == 3 else 1)
        for buffer, value in zip(("mean", "std"), statistic, strict=True):
            self.register_buffer(buffer, value.to(where))
        self.loaded_as: dict[str, str | None] | None = None  # what load_network was called with
        self._lock = threading.RLock()  # two threads must not see each other's activations
        self._layouts = Layouts(layout, prefix)
        self._format = torch.channels_last
        self.__dict__["_own"] = module  # until it was compared; no part of this network
        self._parts = -1  # how many the module had when it was last tried
        self._learn()

    @property
    def channels(self) -> int:
        """Of the pictures that it takes: 3, or 1 for grey ones; a grey picture fits both.

        >>> dip.Network(torch.nn.Conv2d(1, 4, 3), mean=0.13, std=0.31).channels
        1
        """
        return self.mean.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the network's weights are."""
        return self.mean.device

    @property
    def dtype(self) -> torch.dtype:
        """What the network computes in; pictures and activations are float32 all the same."""
        return next((p.dtype for p in self.module.parameters() if p.is_floating_point()), self.mean.dtype)

    def __getstate__(self) -> dict:
        # No lock can be copied, and the module that was wrapped is no part of this one.
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_own")}

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        self._lock = threading.RLock()
        eager(self.module)

    def forward(self, image: Tensor, layers: Iterable[str] | str | None = None) -> dict[str, Tensor]:
        """Activations by layer name: (N, C, h, w), or (N, C) for layers without position.

        ``"logits"`` is the output, unless a layer is called so; ``"<logits>"`` is it always, and None asks for it. The
        network runs only as far as the deepest layer asked for. Tokens are laid out as a map, without those that are
        no patches of the picture. Of a layer that runs several times, ``"relu"`` is the first time, ``"relu:2"`` the
        second; of one that has several names and runs as often, each name is one time.

        Raises UnknownName, a KeyError, for a layer that does not exist; ValueError or TypeError for what is no picture
        or no tensor, and for layers whose channels are not certain; RuntimeError for pictures of a size that the
        network cannot take.
        """
        if layers is None:
            layers = OUTPUT if self.has(LOGITS) else LOGITS
        names = [layers] if isinstance(layers, str) else list(dict.fromkeys(layers))
        check_picture(self, image)
        with self._lock, exact(self.device):
            if self._parts != sum(1 for _ in self.module.modules()):
                self._learn(size=(image.shape[2], image.shape[3]))
            calls = self._calls(names)
            x = self._normalise(image)
            try:
                kept = self._run(x, names, calls, torch.is_grad_enabled() and image.requires_grad)
            except (NoGradient, Refused):
                raise
            except (RuntimeError, AssertionError, ValueError) as error:
                self._explain(error, (x.shape[2], x.shape[3]))
                raise
        return {name: kept[name].to(image.dtype) for name in names}

    def _run(self, x: Tensor, names: list[str], calls: dict[str, Call], ascends: bool) -> dict[str, Tensor]:
        kept: dict[str, Tensor] = {}
        waiting, grids = set(names), {}
        numbers: Counter[nn.Module] = Counter()
        size = (x.shape[2], x.shape[3])
        wanted: dict[Call, list[str]] = {}
        for name, call in calls.items():
            wanted.setdefault(call, []).append(name)
        telling = {name: self._layouts.grid(name, call) for name, call in calls.items()}

        def keep(part: nn.Module, _inputs: object, output: Any) -> None:
            numbers[part] += 1
            call = Call(part, numbers[part])
            if call in telling.values():
                grids[call] = tuple(output.shape[-2:])
            for name in wanted.get(call, ()):
                if ascends and not torch.is_grad_enabled():
                    raise NoGradient(
                        f"{name} of {self.name} runs without gradients, under torch.no_grad or in a reentrant "
                        "checkpoint: take use_reentrant=False, or switch checkpoints off"
                    )
                waiting.discard(name)
                a = self._tensor(name, output)
                a = a.clone() if waiting else a  # what follows may work in place
                layout = self._layouts.of(name, call, a.shape)
                grid = grids.get(there) if (there := telling[name]) else None
                kept[name] = as_map(f"{name} of {self.name}", a, layout, len(x), size, grid)
            if not waiting:
                raise _Deepest

        parts = {call.part for call in wanted} | {call.part for call in telling.values() if call}
        hooks = []
        try:
            hooks = [part.register_forward_hook(keep) for part in parts]
            # A checkpoint that counts what it recomputes would miss what the deepest layer has left out.
            with set_checkpoint_early_stop(False):
                output = self.module(x)
            for name in waiting - set(calls):
                kept[name] = self._logits(name, output, len(x))
            waiting &= set(calls)
        except _Deepest:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        if waiting:
            raise UnknownName(self._silent(waiting))
        quantized = any(".quantized" in type(part).__module__ for part in self.module.modules())
        if ascends and quantized and not any(a.requires_grad for a in kept.values()):
            raise NoGradient(
                f"{self.name} is quantized, and lets no gradient through: wrap the float network"
            )
        return kept

    @functools.cached_property
    def layers(self) -> Layers:
        """What can be asked for, in the order in which it runs, with kind, shape and receptive field."""
        side = self.input_size or 224
        picture = torch.full((1, self.channels, side, side), 0.5, dtype=self.mean.dtype, device=self.device)
        with self._lock, exact(self.device):
            trial, output, error = attempt(self.module, self._normalise(picture))
        if error is not None:
            self._explain(error, (side, side))
            raise error
        found = []
        names = named(self.module)
        for call, shape in trial.shapes.items():
            with contextlib.suppress(Refused):
                for name in names_of(call, names, trial.calls[call.part]):
                    layout = self._layouts.of(name, call, shape)
                    a = torch.empty(shape, device="meta")
                    grid = trial.maps.get(layout.grid) if layout.grid else None
                    seen = as_map(name, a, layout, 1, (side, side), grid)
                    if len(seen) == 1 and seen.ndim > 1:
                        found.append(Layer(name, type(call.part).__name__, tuple(seen.shape[1:]), self))
        with contextlib.suppress(Refused, TypeError):
            if self.has_logits:
                name = OUTPUT if self.has(LOGITS) else LOGITS
                shape = tuple(self._logits(name, output, 1).shape[1:])
                found.append(Layer(name, "output", shape, self))
        return Layers(found, side)

    def extra_repr(self) -> str:
        return f"{self.name}, input normalised and weights frozen inside"

    def has(self, name: str) -> bool:
        """Whether it has a layer of this name.

        >>> dip.load_network(device="cpu").has("picture")
        False
        """
        return name in named(self.module)

    def require(self, layers: Iterable[str]) -> dict[str, nn.Module]:
        """The modules of these layers, the logits left out; raises KeyError for one that does not exist.

        >>> list(dip.load_network(device="cpu").require(["features.3", "logits"]))
        ['features.3']
        """
        return {name: call.part for name, call in self._calls(layers).items()}

    def _calls(self, layers: Iterable[str]) -> dict[str, Call]:
        """Which run of which module each layer's name means; the network's output is left out."""
        names, calls = named(self.module), {}
        for name in layers:
            if name == OUTPUT or (name == LOGITS and name not in names):
                if not self.has_logits:
                    raise UnknownName(f"{self.name} ends before its classifier: it has layers, but no logits")
            else:
                calls[name] = call_of(name, names, self._layouts.runs, [LOGITS] if self.has_logits else [])
        return calls

    def _normalise(self, image: Tensor) -> Tensor:
        x = normalised(image, self.mean, self.std, self.bgr, self.input_size)
        return x.to(self.dtype, memory_format=self._format)

    def _tensor(self, name: str, output: object) -> Tensor:
        tensor = only_tensor(output, LOGITS)
        if tensor is None:
            raise NotATensor(
                f"{name} of {self.name} returns a {type(output).__name__}, not a tensor; ask for a layer "
                "inside it, or wrap the network in one that returns a tensor"
            )
        return tensor.dequantize() if tensor.is_quantized else tensor

    def _logits(self, name: str, output: object, pictures: int) -> Tensor:
        a = self._tensor(name, output)
        layout = self._layouts.of(name, Call(self.module, 1), a.shape)
        return as_map(f"{name} of {self.name}", a, layout, pictures, (0, 0), None)

    def _learn(self, size: Size | None = None) -> None:
        """Try the module, and compare it with the one that was wrapped, when that runs for the first time."""
        self._parts = sum(1 for _ in self.module.modules())
        own = self.__dict__.get("_own")
        if size and own is not None and not unchanged(own, self.module):
            own = None
        with torch.inference_mode(False), exact(self.device):
            trials = learn(self, own, size)
        self._layouts.learn(trials if size is None else [*trials, *self._layouts.trials])
        if size or any(trial.ran for trial in trials):
            self.__dict__["_own"] = None
        else:
            self._parts = -1  # once more, when it is shown a picture

    def _explain(self, error: Exception, size: Size) -> None:
        if words := wrong_size(self, self._layouts.trials, error, size):
            raise RuntimeError(words) from error

    def _silent(self, names: Iterable[str]) -> str:
        listed = ", ".join(sorted(names))
        if any(isinstance(part, torch.jit.ScriptModule) for part in self.module.modules()):
            return f"{self.name} is TorchScript, which shows no layers inside ({listed}): wrap what it was made of"
        return f"{self.name} never runs {listed} in eval mode; ask for another layer"
