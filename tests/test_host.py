"""Spheres, meshes and pictures are the same whatever the host has set: its dtype, device, grad mode, autocast."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import dip_lessons as dip
from dip_lessons.mesh import raster, soft_coverage, sphere, torus
from dip_lessons.mesh.solid import Solid
from dip_lessons.sphere import harmonics as sh
from dip_lessons.sphere.panorama import cameras
from dip_lessons.sphere.picture import degree_scale
from dip_lessons.stylegan import untrained

EXPLICIT: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


TEXTURE = torch.rand(1, 3, 16, 16, generator=seeded(1))
PANORAMA = torch.rand(1, 3, 16, 32, generator=seeded(2))
COEFFICIENTS = torch.randn(2, 16, generator=seeded(3))
CORNERS = torch.rand(3, 2, generator=seeded(4))
RING = torus(8, 6)

MAKERS: dict[str, Callable[[], Any]] = {
    "torus": lambda: (*torus(8, 6).parts(), torus(8, 6).normals),
    "sphere": lambda: sphere(6, 8).parts(),
    "an OBJ": lambda: dip.load_mesh("teapot").parts(),
    "an NPZ": lambda: dip.load_mesh("bunny").parts(),
    "SphericalHarmonics": lambda: dip.SphericalHarmonics(16)(),
    "SphericalHarmonics at another size": lambda: dip.SphericalHarmonics(8, sd=1.0)((16, 32)),
    "set_image": lambda: dip.SphericalHarmonics((16, 32)).set_image(PANORAMA.clamp(0.1, 0.9))(),
    "Solid": lambda: Solid(16, torus(8, 6), cells=8)(),
    "Texture": lambda: dip.Texture(16, torus(8, 6))(),
    "tangent_views": lambda: dip.tangent_views(16, count=2, roll=20, blur=2.0)(PANORAMA, seeded()),
    "look_around": lambda: dip.look_around(PANORAMA, yaw=20, size=16),
    "mesh_views": lambda: dip.mesh_views(RING, size=24, count=2, shading=0.5)(TEXTURE, seeded()),
    "mesh_views over waves": lambda: dip.mesh_views(RING, size=24, background="waves")(TEXTURE, seeded()),
    "render": lambda: dip.render(TEXTURE, RING, dip.turntable(3), size=24, shading=0.3),
    "rasterize": lambda: tuple(vars(dip.rasterize(RING, dip.Camera((1, 2, 12)), 24)).values()),
    "rasterize from above": lambda: tuple(vars(dip.rasterize(RING, dip.Camera((0, 12, 0)), 24)).values()),
    "coverage": lambda: raster.coverage(RING, 16),
    "texel_places": lambda: raster.texel_places(RING, 16),
    "dilate": lambda: raster.dilate(TEXTURE, TEXTURE[0, 0] > 0.8),
    "across_edges": lambda: raster.across_edges(RING),
    "soft_coverage": lambda: soft_coverage(CORNERS, TEXTURE[0, 0, :, :2], 0.1),
    "synthesize": lambda: sh.synthesize(COEFFICIENTS, (9, 20)),
    "synthesize, Gauss": lambda: sh.synthesize(COEFFICIENTS, (9, 20), grid="gauss-legendre"),
    "analyze": lambda: sh.analyze(PANORAMA, 5),
    "rotate": lambda: sh.rotate(COEFFICIENTS, sh.random_rotations(1, seeded())[0]),
    "degrees": lambda: sh.degrees(3),
    "power": lambda: sh.power(COEFFICIENTS),
    "directions": lambda: sh.directions((4, 8)),
    "legendre": lambda: sh.legendre(3, CORNERS[0]),
    "degree_scale": lambda: degree_scale(3, 8),
    "cameras": lambda: cameras(*(90 * CORNERS.flatten()[:3, None])),
    "an untrained StyleGAN3": lambda: tuple(untrained("stylegan3-r", 16).state_dict().values()),
    "its picture": lambda: dip.StyleGAN(16, network=untrained("stylegan2", 16))(),
    "a whitened one": lambda: dip.StyleGAN(16, network=untrained("stylegan2", 16), whitened=True)(),
    "a picture": lambda: dip.assets.picture("chelsea", (24, 32)),
    "a picture of a tensor": lambda: dip.assets.picture(TEXTURE, 8),
    "pole measures": lambda: (dip.metrics.pole_energy(PANORAMA), dip.metrics.pole_spread(PANORAMA)),
    "uv_seam_energy": lambda: dip.metrics.uv_seam_energy(TEXTURE, RING),
}


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


HOSTS: dict[str, Callable[[], contextlib.AbstractContextManager]] = {
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "another device": lambda: torch.device("meta"),  # where no tensor has numbers
    "inference_mode": torch.inference_mode,
    "no_grad": torch.no_grad,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


@pytest.fixture
def nothing_kept() -> None:
    """Tables that were made earlier, and are kept, would hide how the host's defaults change their making."""
    for kept in (sh._table, sh._places, sh._rows, sh._quarter_turns):
        kept.cache_clear()


def tensors(made: Any) -> list[Tensor]:
    return list(made) if isinstance(made, tuple) else [made]


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("name", MAKERS)
def test_what_is_made_is_the_same_in_every_host(name: str, host: str) -> None:
    with HOSTS[host]():
        inside = tensors(MAKERS[name]())
    outside = tensors(MAKERS[name]())  # with what was kept meanwhile
    for mine, theirs in zip(inside, outside, strict=True):
        assert (mine.dtype, mine.device) == (theirs.dtype, theirs.device)
        assert mine.device.type == "cpu"
        assert mine.dtype in (torch.float32, torch.int64, torch.bool) or name in ("across_edges", "legendre")
        assert torch.equal(mine, theirs)


@pytest.mark.usefixtures("nothing_kept")
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize(
    "make",
    [
        lambda: dip.SphericalHarmonics(16, degree=3),
        lambda: Solid(16, torus(8, 6), cells=8),
        lambda: dip.Texture(16, torus(8, 6), original=TEXTURE),
    ],
)
def test_what_is_made_inside_is_trained_outside(host: str, make: Callable) -> None:
    with HOSTS[host]():
        made = make()
        made()  # and whatever it keeps
        with contextlib.suppress(AttributeError):
            made.decay = 1.5
    same = make()
    with contextlib.suppress(AttributeError):
        same.decay = 1.5
    gradients = []
    for picture in (made, same):
        seen = (
            dip.tangent_views(16)
            if isinstance(picture, dip.SphericalHarmonics)
            else dip.mesh_views(RING, size=16)
        )
        (seen(picture(), seeded()) ** 2).sum().backward()
        gradients.append([p.grad for p in picture.parameters()])
        assert all(p.dtype == torch.float32 and p.grad.abs().max() > 0 for p in picture.parameters())
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))
