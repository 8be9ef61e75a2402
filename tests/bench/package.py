"""What the package itself costs: its import, pictures, parameterizations, harmonics, meshes, the player, sliders."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

import dip_lessons as dip
from dip_lessons.mesh.mesh import torus
from dip_lessons.mesh.raster import sample_texture
from dip_lessons.parameterizations.coordinates import places
from dip_lessons.sphere import harmonics as sh

from ..panel import Panel, on_each_drawing
from .measure import cost, ratio, wait

SIZE = 224
LAYERS = {"squeezenet1_1": "features.9", "inception_v3": "Mixed_6b"}


def make(name: str, layer: str, steps: int = 160, kind: type[dip.Parameterization] = dip.Fourier) -> dip.Run:
    """The run that everything here measures."""
    network = dip.load_network(name)
    picture = kind(SIZE, device=network.device)
    views = dip.standard_views()
    return dip.optimize(picture, dip.channel(layer, 10), network, views=views, steps=steps)


def pictures() -> None:
    """Seconds for a picture, as a learner waits for it."""
    print(f"\n{SIZE} px, 160 steps                clock      CPU    steps/s")
    for name, layer in LAYERS.items():
        run = make(name, layer)
        clock, cpu = time.perf_counter(), time.process_time()
        run.finish()
        wait(run.network.device)
        clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
        print(f"{name:<14} {layer:<12} {clock:9.1f} s {cpu:6.1f} s {160 / clock:9.1f}")


def imports() -> None:
    """CPU time of the package's import where torch and torchvision are there already: median of five processes."""
    core = "dip.Fourier, dip.random_views, dip.channel, dip.load_network, dip.optimize, dip.metrics"
    then = {"": "", " with the core": core, " with all names": "[getattr(dip, name) for name in dip.__all__]"}
    print("\nbeyond torch and torchvision            CPU")
    for what, used in then.items():
        timed = f"start = time.process_time(); import dip_lessons as dip; {used}\nprint(time.process_time() - start)"
        command = [sys.executable, "-c", f"import time, torch, torchvision; {timed}"]
        spent = [float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(5)]
        bound = " (bound .15 s)" if used == core else ""
        print(f"{'import dip_lessons' + what:<36} {statistics.median(spent):8.3f} s{bound}")


def parameterizations() -> None:
    """Forward and backward of the picture alone, as a share of the whole step that it is part of."""
    print("\na picture / the step it is part of      SqueezeNet  InceptionV3")
    kinds = (dip.Pixels, dip.Fourier, dip.Pyramid, dip.PhaseOnly, dip.CPPN, dip.Siren, dip.DeepImagePrior)
    towards = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    for kind in kinds:
        found = []
        for name, layer in LAYERS.items():
            run = make(name, layer, kind=kind)
            device = run.network.device
            picture, parameters, wanted = run.parameterization, run.parameters, towards.to(device)
            found.append(
                ratio(
                    lambda: [torch.autograd.grad(picture(), parameters, wanted) for _ in range(3)],  # noqa: B023
                    lambda: run.advance(3),  # noqa: B023
                    device,
                    turns=7,
                )
            )
        print(f"{kind.__name__:<36} {found[0]:12.3f} {found[1]:12.3f}")
    cppn = dip.CPPN(SIZE)
    with torch.no_grad():
        cppn.weights[-1].normal_(generator=torch.Generator().manual_seed(0))
    parameters = list(cppn.parameters())

    def convolutions() -> Tensor:
        """The same CPPN as the article has it: 1×1 convolutions, features put together."""
        x = places((SIZE, SIZE), cppn.extent).view(1, 2, SIZE, SIZE)
        *hidden, (weight, bias) = zip(cppn.weights, cppn.biases, strict=True)
        for w, b in hidden:
            a = F.conv2d(x, w[0, :, :, None, None], b[0, :, 0]).atan()
            x = torch.cat([a / 0.67, a.square() / 0.6], dim=1)
        return F.conv2d(x, weight[0, :, :, None, None], bias[0, :, 0]).sigmoid()

    assert torch.allclose(convolutions(), cppn(), atol=1e-4)
    found = [
        ratio(
            lambda: torch.autograd.grad(convolutions(), parameters, towards),
            lambda: torch.autograd.grad(cppn(), parameters, towards),
            torch.device("cpu"),
        )
    ]
    print(f"\nCPPN as 1×1 convolutions / as it is {found[0]:14.2f}")


def sphere(degree: int = 64, size: tuple[int, int] = (512, 1024)) -> None:
    """Forward and backward of three channels on a grid, and the share of it that torch-harmonics takes."""
    generator, count = torch.Generator().manual_seed(0), (degree + 1) ** 2
    c, towards_c = (torch.randn(3, count, generator=generator, requires_grad=k) for k in (True, False))
    x, towards_x = (torch.randn(3, *size, generator=generator, requires_grad=k) for k in (True, False))
    ours = {
        "synthesis": lambda: torch.autograd.grad(sh.synthesize(c, size), c, towards_x),
        "analysis": lambda: torch.autograd.grad(sh.analyze(x, degree), x, towards_c),
    }
    print(f"\nharmonics, degree {degree}, {size[0]} × {size[1]}, 3 channels")
    try:
        import torch_harmonics
    except ImportError:
        for name, function in ours.items():
            function()  # the first call makes tables
            seconds = statistics.median(cost(function, torch.device("cpu")) for _ in range(12))
            print(f"{name:<36} {1000 * seconds:9.1f} ms; torch-harmonics is not installed")
        return
    shape = {"lmax": degree + 1, "mmax": degree + 1, "grid": "equiangular"}
    inverse, forward = (
        kind(*size, **shape) for kind in (torch_harmonics.InverseRealSHT, torch_harmonics.RealSHT)
    )
    z = torch.randn(3, degree + 1, degree + 1, dtype=torch.complex64, generator=generator, requires_grad=True)
    towards_z = torch.randn_like(z).detach()
    theirs = {
        "synthesis": lambda: torch.autograd.grad(inverse(z), z, towards_x),
        "analysis": lambda: torch.autograd.grad(forward(x), x, towards_z),
    }
    for name, function in ours.items():
        found = ratio(function, theirs[name], torch.device("cpu"), turns=25)
        print(f"{name + ' / that of torch-harmonics ' + torch_harmonics.__version__:<50} {found:9.2f}")


def meshes() -> None:
    """A view of a large mesh, and the gradient that goes from a view back to its texture."""
    mesh, camera = torus(264, 132), dip.Camera((3.0, 4.0, 11.0))
    cpu = torch.device("cpu")

    def middle(function: Callable[[], object]) -> tuple[float, float]:
        """Medians of 9: seconds by the clock, and of CPU time."""
        function()
        spent = []
        for _ in range(9):
            start = time.perf_counter()
            used = cost(function, cpu)
            spent.append((time.perf_counter() - start, used))
        return tuple(map(statistics.median, zip(*spent, strict=True)))

    clock, used = middle(lambda: dip.rasterize(mesh, camera, 512))
    print(
        f"\n{len(mesh.faces)} triangles, 512 × 512{clock:29.2f} s {used:6.2f} s CPU (bound .5 s on two cores)"
    )
    uv = dip.rasterize(mesh, camera, 512).uv[None]
    texture = torch.rand(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(0)).requires_grad_()
    towards = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(1))
    clock, used = middle(lambda: torch.autograd.grad(sample_texture(texture, uv), texture, towards))
    print(
        f"texture of 1024 × 1024, there and back{1000 * clock:17.0f} ms {1000 * used:5.0f} ms CPU (bound 60 ms)"
    )


def overhead(bare: dip.Run, panel: dip.Player, turns: int = 16) -> float:
    """A step of the player's loop / one of the bare loop."""
    played = panel.run

    def play() -> None:
        goal = played.step + 24
        panel.play(24)
        while played.step < goal:
            time.sleep(0.002)
        panel.pause()

    return ratio(play, lambda: bare.advance(24), bare.network.device, turns)


def player() -> None:
    """The player's loop, with its pictures and curves, against the bare one; and how long Pause takes.

    Without a page; the same with one: ``pytest -s tests/test_browser.py -k pause_is_prompt``.
    """
    bare, played = make("squeezenet1_1", "features.9", 10**6), make("squeezenet1_1", "features.9", 10**6)
    panel = dip.play(played, controls=["lr", "strength"], name="bench")
    found = overhead(bare, panel)
    waits, drawn = [], []
    on_each_drawing(panel, lambda draw: (draw(), drawn.append(time.perf_counter())))
    for _ in range(10):
        panel.play()
        drawn.clear()
        time.sleep(1.5)
        pictures = len(drawn) / 1.5
        start = time.perf_counter()
        panel.pause()
        waits.append((1000 * (time.perf_counter() - start), pictures))
    panel.close()
    times, rates = map(sorted, zip(*waits, strict=True))
    print(f"\nplayer / bare loop {found:20.3f}")
    print(
        f"Pause acts within  {statistics.median(times):17.0f} ms (median of 10), {times[-1]:.0f} ms at most"
    )
    print(f"pictures a second  {statistics.median(rates):17.1f} (median of 10), {rates[0]:.1f} at least")


def sliders() -> None:
    """From a slider's move to its first picture, of 128 px, drawn by the StyleGAN of lesson 11."""
    try:
        network = dip.load_generator()
    except dip.assets.AssetError as error:
        print(f"\nsliders: {error}")
        return
    w = network.mapping(torch.randn(2, 512, generator=torch.Generator().manual_seed(0)).to(network.device))
    panel = dip.explore(
        lambda size, share=0.0: network.synthesis(torch.lerp(w[:1], w[1:], share), size=size),
        dip.slider("share", 0.0, 1.0),
        name="bench",
    )
    waits = []
    for i in range(1, 11):
        clock, cpu = time.perf_counter(), time.process_time()
        Panel(panel).move(0, i / 10)
        waits.append((1000 * (time.perf_counter() - clock), 1000 * (time.process_time() - cpu)))
    panel.close()
    clock, cpu = map(statistics.median, zip(*waits, strict=True))
    print(f"\nslider to first picture {clock:12.0f} ms, {cpu:.0f} ms of CPU (median of 10)")
