"""A network to look into: frozen, normalising inside, run only as deep as it is asked."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import set_checkpoint_early_stop

from ..arguments import whole
from .frozen import compiled, differ, eager, frozen, inner, laid_out, tried, unchanged
from .layers import Layer, Layers, UnknownName, no_such
from .layouts import Layouts, Refused, as_map
from .normalise import Statistic, normalised, statistics
from .trials import Call, Size, Trial, attempt, calls_by_name, only_tensor, runs_of

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OUTPUT = "<logits>"  # a network's own output, under a name that no layer has
LOGITS = "logits"  # the same, where no layer is called so
TWO_SIZES = ((64, 128), (128, 192))  # height and width change, in ways that tell them apart
# The usual sides first.
ONE_SIZE = (224, 32, 28, 64, 128, 256, 299, 384, 48, 96, 160, 192, 240, 336, 448, 512, 518)


class _Deepest(BaseException):  # no Exception: a module that catches those must not catch it
    """Raised by the last layer that was asked for: what lies behind it need not run."""


class NoGradient(RuntimeError):
    """A gradient was wanted of a layer that lets none through."""


def exact(device: torch.device) -> contextlib.AbstractContextManager:
    """Inside the block, the host's autocast is off: a network computes in its own type."""
    known = torch.amp.is_autocast_available(device.type)
    return torch.autocast(device.type, enabled=False) if known else contextlib.nullcontext()


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
    >>> network.dtype, network.channels, list(network.layers)
    (torch.float32, 3, ['0', '1', 'logits'])
    """

    mean: Tensor
    std: Tensor
    _own: nn.Module | None
    _listed: Layers | None

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
        self._parts: dict[str, nn.Module] = {}
        with exact(self.device):
            self._know()

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
        self._own = None
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
        self._check(image)
        with self._lock, exact(self.device):
            side = self.input_size
            size = (side, side) if side else (image.shape[2], image.shape[3])
            self._know(size)
            names = [self._output] if layers is None else [layers] if isinstance(layers, str) else layers
            calls = self.require(names)
            x = self._normalise(image)
            try:
                kept = self._run(x, calls, torch.is_grad_enabled() and image.requires_grad)
            except Exception as error:
                self._explain(error, size, len(x))
                raise
        return {name: kept[name].to(image.dtype) for name in calls}

    def _run(self, x: Tensor, calls: Mapping[str, Call], ascends: bool) -> dict[str, Tensor]:
        """The activations of these calls, by name; the module runs no further than the last of them."""
        size = (x.shape[2], x.shape[3])
        kept: dict[str, Tensor] = {}
        wanted: dict[Call, list[str]] = {}
        for name, call in calls.items():
            wanted.setdefault(call, []).append(name)
        waiting = set(wanted)
        telling = {name: self._layouts.grid(name, call) for name, call in calls.items()}
        grids: dict[Call | None, Size] = {}
        numbers: Counter[nn.Module] = Counter()

        def keep(part: nn.Module, _inputs: object, output: Any) -> None:
            numbers[part] += 1
            call = Call(part, numbers[part])
            if call in telling.values():
                grids[call] = (output.shape[2], output.shape[3])
            if call not in waiting:
                return
            waiting.discard(call)
            for name in wanted[call]:
                if ascends and not torch.is_grad_enabled():
                    raise NoGradient(
                        f"{name} of {self.name} runs without gradients, under torch.no_grad or in a reentrant "
                        "checkpoint: take use_reentrant=False, or switch checkpoints off"
                    )
                a = self._tensor(name, output)
                a = a.clone() if waiting else a  # what follows may work in place
                layout = self._layouts.of(name, call, a.shape)
                kept[name] = as_map(
                    f"{name} of {self.name}", a, layout, len(x), size, grids.get(telling[name])
                )
            if not waiting:
                raise _Deepest

        hooks = []
        try:
            for part in {call.part for call in [*wanted, *telling.values()] if call} - {self.module}:
                hooks.append(part.register_forward_hook(keep))
            # A checkpoint that counts what it recomputes would miss what the deepest layer has left out.
            with set_checkpoint_early_stop(False):
                output = self.module(x)
            keep(self.module, None, output)  # TorchScript would run no hook
        except _Deepest:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        if waiting:
            raise UnknownName(self._silent(name for call in waiting for name in wanted[call]))
        quantized = any(".quantized" in type(part).__module__ for part in self.module.modules())
        if ascends and quantized and not any(a.requires_grad for a in kept.values()):
            raise NoGradient(
                f"{self.name} is quantized, and lets no gradient through: wrap the float network"
            )
        return kept

    @property
    def layers(self) -> Layers:
        """What can be asked for, in the order in which it runs, with kind, shape and receptive field."""
        side = self.input_size or 224
        with self._lock, exact(self.device):
            self._know()
            if self._listed is None:
                self._listed = Layers(self._list(side), side)
        return self._listed

    def _list(self, side: int) -> list[Layer]:
        picture = torch.full((1, self.channels, side, side), 0.5, dtype=self.mean.dtype, device=self.device)
        trial, _, error = attempt(self.module, self._normalise(picture))
        if error is not None:
            self._explain(error, (side, side), 1)
            raise error
        names: dict[Call, list[str]] = {}
        for name, call in self._calls.items():
            names.setdefault(call, []).append(name)
        found = []
        for call, shape in trial.shapes.items():
            kind = "output" if call.part is self.module else type(call.part).__name__
            for name in names.get(call, ()):
                with contextlib.suppress(Refused):
                    layout = self._layouts.of(name, call, shape)
                    grid = trial.maps.get(layout.grid) if layout.grid else None
                    a = as_map(name, torch.empty(shape, device="meta"), layout, 1, (side, side), grid)
                    if len(a) == 1 and a.ndim > 1:
                        found.append(Layer(name, kind, tuple(a.shape[1:]), self, tuple(picture.shape)))
        return found

    def extra_repr(self) -> str:
        return f"{self.name}, input normalised and weights frozen inside"

    def has(self, name: str) -> bool:
        """Whether it has a layer of this name.

        >>> dip.load_network(device="cpu").has("picture")
        False
        """
        return name in self._named()

    def require(self, layers: Iterable[str]) -> dict[str, Call]:
        """Which run of which module each name means; raises UnknownName, a KeyError, for one that does not exist.

        >>> {name: call.number for name, call in dip.load_network(device="cpu").require(["features.3"]).items()}
        {'features.3': 1}
        """
        return {name: self._call(name) for name in layers}

    def _call(self, name: str) -> Call:
        if not self.has_logits and name in (OUTPUT, self._output):
            raise UnknownName(f"{self.name} ends before its classifier: it has layers, but no logits")
        asked = self._output if name == OUTPUT else name
        if asked in self._calls:
            return self._calls[asked]
        if name in self._parts:
            part = self._parts[name]
            names = " and ".join(repr(other) for other, same in self._parts.items() if same is part)
            runs = runs_of(part, self._layouts.trials)
            some = ", ".join(f"'{name}:{k}'" for k in range(1, min(runs, 3) + 1))
            raise UnknownName(f"{names} are one module, which runs {runs} times: ask for {some}")
        base, _, number = str(name).rpartition(":")
        if base not in self._parts or not number.isdecimal():
            raise UnknownName(no_such("layer", name, list(self._calls), "network.layers"))
        runs = runs_of(self._parts[base], self._layouts.trials)
        if int(number) == 0 or (int(number) > runs and self._ran):
            raise UnknownName(
                f"there is no layer {name!r}: {base!r} runs {runs} time{'s'[: runs != 1]}, from 1"
            )
        return Call(self._parts[base], int(number))

    def _normalise(self, image: Tensor) -> Tensor:
        return self._shown(image, self.input_size)

    def _shown(self, image: Tensor, side: int | None = None) -> Tensor:
        x = normalised(image, self.mean, self.std, self.bgr, side)
        return x.to(self.dtype, memory_format=self._format)

    def _check(self, image: Tensor) -> None:
        """Raise ValueError or TypeError for what is no picture that the network takes."""
        channels = self.channels
        shaped = isinstance(image, Tensor) and image.ndim == 4 and image.numel() > 0
        if shaped and channels == 1 and image.shape[1] == 3:
            raise ValueError(
                f"{self.name} takes pictures of one channel, (N, 1, H, W); got {tuple(image.shape)}: make the picture "
                "with channels=1, as in dip.Fourier(28, channels=1), or average its channels, "
                "image.mean(dim=1, keepdim=True)"
            )
        if not shaped or image.shape[1] not in (1, channels):
            got = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
            raise ValueError(
                f"{self.name} takes pictures (N, {channels}, H, W) in [0, 1]; got {got}. An RGBA picture needs a "
                "background first; a single picture needs image[None]"
            )
        if not image.is_floating_point():
            raise TypeError(
                f"{self.name} takes floating-point pictures in [0, 1]; got {image.dtype}: divide by 255"
            )
        if image.dtype != self.mean.dtype:
            raise TypeError(
                f"{self.name} takes pictures of {self.mean.dtype}; got {image.dtype}: convert one of them with .to(...)"
            )
        if image.device != self.device:
            raise ValueError(
                f"the picture is on {image.device}, {self.name} on {self.device}; move one of them with .to(...)"
            )

    def _tensor(self, name: str, output: object) -> Tensor:
        tensor = only_tensor(output)
        if tensor is None:
            raise TypeError(
                f"{name} of {self.name} returns a {type(output).__name__}, not a tensor; ask for a layer "
                "inside it, or wrap the network in one that returns a tensor"
            )
        return tensor.dequantize() if tensor.is_quantized else tensor

    # --- what the network is found to do -------------------------------------------------------------------

    def _named(self) -> dict[str, nn.Module]:
        """Every name that ``print(module)`` shows, with its module; a module that stands in two places has two."""
        return {name: part for name, part in self.module.named_modules(remove_duplicate=False) if name}

    def _know(self, size: Size | None = None) -> None:
        """Try the module; again when its parts are others, and at a new size as long as it ran at none."""
        with torch.inference_mode(False):
            if (parts := self._named()) != self._parts or not self._layouts.trials:
                self._parts = parts
                self._learn(self._try_usual_sizes())
            if size and not self._ran and size not in [trial.size for trial in self._layouts.trials]:
                if self._own is not None and not unchanged(self._own, self.module):
                    self._own = None
                self._learn([self._try(size), *self._layouts.trials])

    def _learn(self, trials: Sequence[Trial]) -> None:
        self._layouts.learn(trials)
        self._ran = any(trial.ran for trial in trials)
        self._output = OUTPUT if LOGITS in self._parts else LOGITS
        self._calls = calls_by_name(self._parts, trials)
        if self.has_logits:
            self._calls[self._output] = Call(self.module, 1)
        self._listed = None

    def _try_usual_sizes(self) -> list[Trial]:
        known = [(self.input_size, self.input_size)] if self.input_size else []
        trials = [self._try(size) for size in (*known, *TWO_SIZES)]
        for side in ONE_SIZE:
            if any(trial.ran for trial in trials):
                return trials
            trials.append(self._try((side, side)))
        if not trials[-1].ran:
            self._try_other_channels([trial.size for trial in trials])
        return trials

    def _try(self, size: Size) -> Trial:
        """A run on two random pictures, or on one where the module takes one at a time; its first is compared."""
        image = self._random(size, self.channels)
        trial, output, error = self._attempt(image)
        if error is not None:
            image = image[:1]
            one, output, error = self._attempt(image)
            if error is None:
                one.tokens = trial.tokens
                trial = one
        if error is None and self._own is not None:
            self._compare(image, output, self._own)
            self._own = None
        return trial

    def _random(self, size: Size, channels: int) -> Tensor:
        generator = torch.Generator("cpu").manual_seed(0)
        image = torch.rand((2, channels, *size), generator=generator, dtype=torch.float32, device="cpu")
        return image.to(self.device, self.mean.dtype).requires_grad_()  # as in a run, which takes other paths

    def _attempt(self, image: Tensor) -> tuple[Trial, Any, Exception | None]:
        with torch.enable_grad():
            found = attempt(self.module, self._shown(image))
            if (
                "view" in str(found[2]) and self._format == torch.channels_last
            ):  # x.view(…) wants a plain format
                self._lay_out(torch.contiguous_format)
                found = attempt(self.module, self._shown(image))
                if found[2] is not None:
                    self._lay_out(torch.channels_last)
        return found

    def _lay_out(self, memory_format: torch.memory_format) -> None:
        self._format = memory_format
        laid_out(self.module, memory_format)

    def _compare(self, image: Tensor, output: Any, own: nn.Module) -> None:
        """Raise ValueError if the copy returns something else than the module that was wrapped, in either format."""
        own = inner(own) or own
        if compiled(own) or self.device.type == "meta":
            return
        with torch.enable_grad():
            x = self._shown(image).contiguous()
            expected, error = tried(own, x)
            if error is None and differ(expected, output) and self._format == torch.channels_last:
                self._lay_out(torch.contiguous_format)
                output, _ = tried(self.module, x)
        if error is None and (gap := differ(expected, output)) is not None:
            raise ValueError(
                f"a copy of {self.name} computes something else than the module itself: on a random picture "
                f"their outputs differ by {gap:.1g} of the largest number. What a module keeps outside its "
                "parameters and buffers (a counter, a function that holds another module, a random draw that is "
                "not torch's) may not be copied: keep it in the module"
            )

    def _try_other_channels(self, sizes: Iterable[Size]) -> None:
        channels = 4 - self.channels  # 1 or 3
        for size in sizes:
            _, error = tried(self.module, (self._random(size, channels) * 1).to(self.dtype))
            if error is None:
                wants = "one number each" if channels == 1 else "three numbers each, for red, green and blue"
                raise ValueError(
                    f"{self.name} takes pictures of {channels} channel{'s'[: channels > 1]}: give mean and std as "
                    f"{wants}"
                )

    def _explain(self, error: Exception, size: Size, pictures: int) -> None:
        """Raise a better error for a picture of a size, or pictures of a number, that was not seen to be taken."""
        ran = [trial for trial in self._layouts.trials if trial.ran]
        ours = isinstance(error, (NoGradient, Refused)) or "memory" in str(error)
        if ours or not isinstance(error, (RuntimeError, AssertionError, ValueError)):
            return
        what = f"({type(error).__name__}: {str(error)[:200]})"
        if pictures > 1 and ran and all(trial.pictures == 1 for trial in ran):
            raise RuntimeError(
                f"{self.name} takes one picture at a time, and failed on {pictures} {what}: take batch=1, and views "
                "with count=1"
            ) from error
        if any(trial.size == size or trial.size[0] != trial.size[1] for trial in ran):
            return
        side = min((trial.size[0] for trial in ran), default=None)
        only = f"It takes pictures of {side} × {side} px" if side else "If it takes pictures of one size only"
        raise RuntimeError(
            f"{self.name} failed on a picture of {size[0]} × {size[1]} px {what}. {only}: say so, "
            f"Network(…, input_size={side or '…'}), and pictures of all sizes are resized to it"
        ) from error

    def _silent(self, names: Iterable[str]) -> str:
        listed = ", ".join(sorted(names))
        if any(isinstance(part, torch.jit.ScriptModule) for part in self.module.modules()):
            return f"{self.name} is TorchScript, which shows no layers inside ({listed}): wrap what it was made of"
        return f"{self.name} never runs {listed} in eval mode; ask for another layer"
