"""The other libraries: an environment with them in it, and a step of each, as its users get it.

``python -m tests.bench install`` makes ``.venv-peers``: an environment that sees everything in the one it was
made from (torch is installed once) and has the peers besides.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata, util
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from dip_lessons.parameterizations.phase_only import natural_magnitude

from .measure import ROOT, Stamps

ENVIRONMENT = ROOT / ".venv-peers"
# Without what they depend on: kornia ≤ .4.1, for which Lucent asks, would pull nothing, but torch-dreams asks for
# two builds of OpenCV and for MKL, which it never imports.
PACKAGES = (
    "torch-lucent==0.1.8",
    "kornia==0.4.1",
    "torch-dreams==4.0.0",
    "horama==0.3.0",
    "timm>=1.0",  # EfficientNet-Lite0
)
# What these import and the course's own environment lacks.
NEEDED = (
    "tqdm",
    "decorator",
    "scikit-learn",
    "joblib",
    "threadpoolctl",
    "narwhals",
    "einops",
    "opencv-python-headless",
)
PEERS = {"torch-lucent": "lucent", "torch-dreams": "torch_dreams", "horama": "horama", "timm": "timm"}


def install() -> Path:
    """Make the environment, or bring it up to date; returns its Python."""
    venv.create(ENVIRONMENT, with_pip=False, symlinks=os.name != "nt")
    python = python_of(ENVIRONMENT)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(
        subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
    )
    (site / "course.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps"]
    subprocess.run([*pip, *PACKAGES, *NEEDED], check=True)
    shutil.rmtree(site / "tests", ignore_errors=True)  # horama's; it would hide ours
    return python


def python_of(environment: Path) -> Path:
    """The interpreter of an environment, whether it exists or not."""
    return environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def versions() -> dict[str, str]:
    """The peers that can be imported here, with their versions."""
    return {name: metadata.version(name) for name, module in PEERS.items() if util.find_spec(module)}


def has(name: str) -> bool:
    """Whether a peer can be imported here."""
    return util.find_spec(PEERS[name]) is not None


# Lucent


class Lucent:
    """Lucent's ``render_vis`` with what it takes where nothing is said: Fourier picture, transforms, Adam at .05.

    Args:
        module: the network, in eval mode, as it came: Lucent freezes nothing.
        normalise: what the network expects of a picture in [0, 1].
        layer, index: the channel whose mean is maximised; ``"labels"`` are the network's outputs.
        size, batch: of the picture.
        same_input: whether the network sees pictures of ``size``, as it does with us. By itself Lucent shows it
            the padded picture, (size + 24)² scaled by .9 to 1.1, and at least 224 × 224.
    """

    def __init__(
        self,
        module: nn.Module,
        normalise: Callable[[Tensor], Tensor],
        layer: str,
        index: int,
        size: int,
        *,
        batch: int = 1,
        same_input: bool = False,
    ) -> None:
        from lucent.optvis import objectives, param, transform

        self.module, self.device = module, next(module.parameters()).device
        self.transforms = [*transform.standard_transforms, normalise]
        self.objective = objectives.channel(layer.replace(".", "_"), index)
        self.param = functools.partial(param.image, size, batch=batch)
        self.options = {
            "transforms": self.transforms,
            "preprocess": False,  # the network's own normalisation is the last of the transforms
            "progress": False,
            "show_image": False,
            "fixed_image_size": size if same_input else None,
        }

    def render(
        self, steps: int, each: Callable[[], object] = lambda: None, keep: tuple[int, ...] = (), seed: int = 0
    ) -> list[Tensor]:
        """The pictures (B, 3, H, W) after the steps in ``keep``, or after the last; ``each`` is called in each step."""
        from lucent.optvis import render

        def objective(features: Callable[[str], Tensor]) -> Tensor:
            each()
            return self.objective(features)

        np.random.seed(seed)  # noqa: NPY002  # Lucent draws from the global generators
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            pictures = render.render_vis(
                self.module, objective, self.param, thresholds=tuple(sorted({*keep, steps})), **self.options
            )
        self.forget()
        return [torch.from_numpy(p).permute(0, 3, 1, 2) for p in pictures]

    def forget(self) -> None:
        """Remove the hooks that a run leaves on every layer: with them, later runs would be slower."""
        for part in self.module.modules():
            part._forward_hooks.clear()

    def seconds(self, steps: int) -> float:
        """What so many steps cost, in Lucent's own loop, without what comes before the first."""
        stamps = Stamps(self.device, steps)
        self.render(steps + 1, stamps)
        return stamps.spent

    @staticmethod
    def sees(image: Tensor, generator: torch.Generator) -> Tensor:
        """A picture through Lucent's standard transforms: views for :func:`dip_lessons.optimize`."""
        from lucent.optvis import transform

        before = np.random.get_state()  # noqa: NPY002  # of Lucent's own run, if this one takes turns with it
        np.random.seed(int(torch.randint(2**32, (), generator=generator)))  # noqa: NPY002
        try:
            return transform.compose(transform.standard_transforms)(image)
        finally:
            np.random.set_state(before)  # noqa: NPY002


# torch-dreams


def dreams(module: nn.Module, layer: str, index: int, size: int) -> Callable[[int], float]:
    """Seconds for so many steps of torch-dreams' ``render`` with its defaults.

    Its network sees the picture scaled by .5 to 1.2, in x and y apart: on average .74 of the pixels.
    """
    from torch_dreams import Dreamer

    device = next(module.parameters()).device
    dreamer = Dreamer(module, quiet=True, device=str(device))

    def seconds(steps: int) -> float:
        stamps = Stamps(device, steps)

        def objective(outputs: list[Tensor]) -> Tensor:
            stamps()
            return -outputs[0][:, index].mean()

        random.seed(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            part = module.get_submodule(layer)
            dreamer.render([part], width=size, height=size, iters=steps + 1, custom_func=objective)
        return stamps.spent

    return seconds


# horama


@contextlib.contextmanager
def spectrum_for(size: int) -> Iterator[None]:
    """A folder with the file that horama would download: here the spectrum of the course's pictures."""
    old = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            np.save("spectrum_decorrelated.npy", natural_magnitude(size, size).numpy())
            yield
        finally:
            os.chdir(old)


def maco(
    module: nn.Module, index: int, size: int = 1280, crops: int = 6, input_size: int = 224
) -> Callable[[int], float]:
    """Seconds for so many steps of horama's ``maco`` with its defaults, towards one of the network's outputs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import horama

    device = next(module.parameters()).device

    def seconds(steps: int) -> float:
        stamps = Stamps(device, steps)

        def objective(images: Tensor) -> Tensor:
            stamps()
            return module(images)[:, index].mean()

        with spectrum_for(size), torch.random.fork_rng(devices=[]), open(os.devnull, "w") as nowhere:
            torch.manual_seed(0)
            with contextlib.redirect_stderr(nowhere):  # its progress bar
                horama.maco(
                    objective,
                    total_steps=steps + 1,
                    image_size=size,
                    model_input_size=input_size,
                    crops_per_iteration=crops,
                    device=str(device),
                )
        return stamps.spent

    return seconds
