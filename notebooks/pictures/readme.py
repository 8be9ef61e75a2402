"""Makes the README's pictures again: ``python notebooks/pictures/readme.py``, about three minutes on two CPU cores.

``hero.webp`` is what the README begins with; ``research.jpg`` is what its first lines of Python paint, and those very
lines are executed. The small pictures of the lessons are made by ``make gallery``.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import tempfile
from pathlib import Path

import torch
from torch import Tensor

import dip_lessons as dip
from dip_lessons.notebook.display import write_film
from dip_lessons.pictures import to_pil

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
FRAMES, SIDE = 48, 264
CLOSED = [2 * math.pi * k / FRAMES for k in range(FRAMES)]  # the last frame goes on into the first


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def paintings() -> list[Tensor]:
    """Functions of the place (lesson 03) that turn into one another: four channels from one start, through weights."""
    network = dip.load_network("inception_v3")
    learned = []
    for layer, index in [("Mixed_6b", 600), ("Mixed_6a", 329), ("Mixed_6a", 300), ("Mixed_6a", 751)]:
        start = dip.CPPN(112, generator=seeded(), device=network.device)
        learned.append(
            dip.optimize(start, dip.channel(layer, index), network, steps=120).finish().parameterization
        )
    frames, each = [], FRAMES // len(learned)
    for k in range(FRAMES):
        here, there = learned[k // each], learned[(k // each + 1) % len(learned)]
        t = (1 - math.cos(math.pi * (k % each) / each)) / 2
        with torch.no_grad():
            frames.append(here.morph(there, t, size=SIDE))
    return frames


def teapot() -> list[Tensor]:
    """Waves in space, seen on a mesh through a camera (lesson 14): a channel that looks for eyes."""
    network = dip.load_network("inception_v3")
    mesh = dip.load_mesh("teapot").to(network.device)
    texture = dip.Texture(dip.Solid(384, mesh, generator=seeded(), device=network.device), mesh)
    views = dip.mesh_views(mesh, size=176)
    run = dip.optimize(texture, dip.channel("Mixed_6b", 75), network, views=views, steps=128).finish()
    cameras = dip.turntable(FRAMES, elevation=22, distance=12.5, fovy=9.2)
    return list(dip.render(run.image, mesh, cameras, size=SIDE, background=1.0, shading=0.35).split(1))


def panorama() -> list[Tensor]:
    """Spherical harmonics, painted and seen by cameras in the middle (lesson 12)."""
    network = dip.load_network("squeezenet1_1")
    sphere = dip.SphericalHarmonics((256, 512), degree=127, generator=seeded(), device=network.device)
    views = dip.tangent_views(160, fov=(60, 90), roll=10, blur=1.0, count=3)
    run = dip.optimize(
        sphere, dip.channel("features.9", 10), network, views=views, steps=112, lr=0.1
    ).finish()
    return [
        dip.look_around(run.image, yaw=math.degrees(a), pitch=25 * math.sin(a), fov=95, size=SIDE)
        for a in CLOSED
    ]


def hero() -> None:
    """Three parameterizations beside each other, in motion."""
    gap = torch.ones(1, 3, SIDE, 8)
    rows = zip(paintings(), teapot(), panorama(), strict=True)
    frames = [to_pil(torch.cat([a.cpu(), gap, b.cpu(), gap, c.cpu()], dim=3)[0]) for a, b, c in rows]
    write_film(HERE / "hero.webp", frames, fps=10, quality=60)


def program() -> str:
    """The README's first lines of Python."""
    found, _ = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), flags=re.DOTALL)
    return found


def research() -> None:
    """What the README's Python paints; the JPEG's comment says of which lines, so that a test sees when they change."""
    names: dict = {}
    with tempfile.TemporaryDirectory() as folder:  # the lines save a run
        back = Path.cwd()
        os.chdir(folder)
        exec(program(), names)
        os.chdir(back)
    comment = hashlib.sha256(program().encode()).hexdigest()
    to_pil(names["run"].image[0]).save(HERE / "research.jpg", quality=85, comment=comment)


if __name__ == "__main__":
    hero()
    research()
