"""Textures on meshes: the parameterization, its views against rays and plain sums, and the seams' energy."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dip_lessons import CPPN, Fourier, Objective, Pixels, Run, channel, load_network, optimize
from dip_lessons.mesh.measures import uv_seam_energy
from dip_lessons.mesh.mesh import Mesh, as_mesh, load_mesh, sphere, torus
from dip_lessons.mesh.raster import Camera, rasterize, sample_texture, texel_places
from dip_lessons.mesh.solid import Solid
from dip_lessons.mesh.texture import Texture
from dip_lessons.mesh.views import MeshViews, mesh_views, render, turntable
from dip_lessons.notebook.player.replay import code
from dip_lessons.parameterizations.base import describe, from_description
from dip_lessons.views.background import BACKGROUNDS


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=seeded(seed))


BRIGHT = Objective(lambda a: a["all"].mean(dim=(1, 2, 3)), ["all"])


def eyes(image: torch.Tensor, layers: tuple) -> dict:
    """The plainest network: it sees the picture."""
    return {"all": image}


# --- the parameterization ---------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: 24, lambda: (16, 20), lambda: CPPN(12), lambda: Pixels(8, batch=2)])
def test_a_texture_is_the_picture_it_is_made_of(make) -> None:
    of = make()
    picture = Texture(of, "teapot")
    image = picture()
    assert torch.equal(image, (of if isinstance(of, torch.nn.Module) else Fourier(of))())
    assert image.shape == (picture.batch, 3, *picture.size)
    target = noise(1, 3, *picture.size) * 0.8 + 0.1
    if not isinstance(of, CPPN):
        assert (picture.set_image(target)() - target).abs().max() < 1e-4


def test_a_texture_is_described_with_its_mesh() -> None:
    for mesh in ("teapot", torus(5, 4)):
        picture = Texture(CPPN(8), mesh)
        again = from_description(describe(picture))
        assert isinstance(again, Texture)
        assert isinstance(again.of, CPPN)
        for mine, other in zip(again.mesh.parts(), picture.mesh.parts(), strict=True):
            assert torch.equal(mine, other)
    assert describe(Texture(16, "suzanne"))["settings"]["mesh"] == "suzanne"


def test_a_run_of_a_texture_is_saved_and_goes_on(tmp_path: Path) -> None:
    views = mesh_views(torus(8, 6), size=16)
    run = optimize(Texture(16, torus(8, 6)), BRIGHT, eyes, views=views, steps=4).advance(3)
    again = Run.load(run.save(tmp_path / "run"), objective=BRIGHT, network=eyes)  # the views are in the file
    assert torch.equal(again.image, run.image)
    assert torch.equal(again.advance(1).image, run.advance(1).image)
    # Cameras are drawn from the run's generator.
    assert torch.equal(run.rewind(2).advance(2).image, again.image)


def test_an_original_comes_last_and_never_changes(tmp_path: Path) -> None:
    """Seen by the same camera, it is what the others can be held against."""
    mesh, original = torus(8, 6), noise(1, 3, 12, 16)
    picture = Texture(Fourier((12, 16)), mesh, original=original)
    assert picture.batch == 2
    assert torch.equal(picture(), torch.cat([picture.of(), original]))
    nearer = Objective(
        lambda a: -(a["all"] - a["all"].flip(0)).square().mean(dim=(1, 2, 3)) * torch.ones(2), ["all"]
    )
    views = mesh_views(mesh, size=16, shared=True)
    run = optimize(picture, nearer, eyes, views=views, steps=30, lr=0.3).finish()
    assert torch.equal(run.image[1:], original)
    assert run.history[-1] > 0.3 * run.history[0]
    again = Run.load(run.save(tmp_path / "run"), objective=nearer, network=eyes)
    assert torch.equal(again.image, run.image)
    assert torch.equal(again.rewind(5).advance(2).image, run.rewind(7).image)
    assert torch.equal(Texture(8, mesh)(), Texture(8, mesh).of())
    with pytest.raises(
        ValueError, match=r"the original must have shape \(1, 3, H, W\), of the size \(8, 8\)"
    ):
        Texture(8, mesh, original=original)


@pytest.mark.parametrize("mesh", ["teapot", torus(5, 4)])
def test_what_a_run_on_a_mesh_can_be_copied_from(mesh: Mesh | str) -> None:
    network = load_network("squeezenet1_1")
    picture = Texture(Solid(12, mesh, cells=8, device=network.device), mesh)
    views = mesh_views(mesh, size=32, shading=0.25)
    run = optimize(picture, channel("features.3", 1), network, views=views, steps=3).advance(2)
    run.set(shading=0.5, lr=0.1).advance(1)
    written = code(run)
    assert ("mesh = ...  # yours" in written) == (mesh != "teapot")
    *lines, last = written.replace("mesh = ...  # yours", "").splitlines()
    names: dict = {"mesh": as_mesh(mesh)}
    exec("\n".join([*lines, f"image = {last}"]), names)
    assert torch.equal(names["image"], run.image)


def test_a_mesh_is_stored_by_its_name_or_its_parts() -> None:
    own = torus(5, 4)
    assert as_mesh(own) is own
    assert as_mesh("teapot").reference == "teapot"
    for mine, other in zip(as_mesh(own.reference).parts(), own.parts(), strict=True):
        assert torch.equal(mine, other)


# --- solids -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [32, (20, 28)])
def test_a_solid_is_looked_up_where_texels_lie(size: int | tuple[int, int]) -> None:
    from scipy.ndimage import map_coordinates

    mesh, cells = torus(24, 16), 8
    solid = Solid(size, mesh, cells=cells, batch=2, sd=1.0, generator=seeded(3))
    theta = solid.coefficients.detach().double().numpy()
    fy, fx = np.fft.fftfreq(cells), np.fft.rfftfreq(cells)
    f = np.sqrt(fy[:, None, None] ** 2 + fy[:, None] ** 2 + fx**2).clip(1 / cells)
    spectrum = (theta[..., 0] + 1j * theta[..., 1]) / f**1.5
    volume = np.fft.irfftn(spectrum, s=(cells,) * 3, axes=(2, 3, 4), norm="ortho") / 4
    p = texel_places(mesh, size).double().numpy()
    at = [(0.9 * p[..., i] + 1) * cells / 2 - 0.5 for i in (2, 1, 0)]
    inside = np.all([(a > 0) & (a < cells - 1) for a in at], axis=0)
    assert inside.mean() > 0.6
    raw = solid.raw().detach().numpy()
    for b in range(2):
        for k in range(3):
            expected = map_coordinates(volume[b, k], at, order=1)
            np.testing.assert_allclose(raw[b, k][inside], expected[inside], atol=2e-5)


def test_a_plane_through_a_solid_has_the_spectrum_of_a_picture() -> None:
    """Waves of amplitude f^−p in space: on a plane their power is ∫ (f² + z²)^−p dz ∝ f^(1 − 2p)."""
    square = torch.tensor([[-1.0, -1, 0.1], [1, -1, 0.1], [1, 1, 0.1], [-1, 1, 0.1]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    mesh = Mesh(square, faces, square[:, :2] / 2 + 0.5, faces)

    def slope(decay: float) -> float:
        solid = Solid(72, mesh, cells=80, batch=4, decay=decay, sd=1.0)  # cells as large as texels
        z = solid.raw().detach()
        z = z - z.mean(dim=(2, 3), keepdim=True)
        power = torch.fft.fft2(z).abs().square().mean(dim=(0, 1))
        f = torch.fft.fftfreq(72)
        f = (f[:, None] ** 2 + f**2).sqrt()
        x, y = [], []
        for low in 2.0 ** torch.arange(-5.5, -2.6, 0.5):
            ring = (f >= low) & (f < low * 2**0.5)
            x.append(float(f[ring].log().mean()))
            y.append(float(power[ring].mean().log()) / 2)
        return float(np.polyfit(x, y, 1)[0])

    assert slope(1.5) == pytest.approx(-1, abs=0.15)
    assert slope(2.0) == pytest.approx(-1.5, abs=0.2)
    assert float(Solid(64, mesh).raw().detach().std()) == pytest.approx(
        float(Fourier(64).raw().detach().std()), rel=0.5
    )


def test_a_solid_has_no_seams_and_waves_on_the_texture_have() -> None:
    for name in ("teapot", "suzanne"):
        mesh = load_mesh(name)
        solid, waves = Solid(256, mesh, cells=48, sd=1.0)(), Fourier(256, sd=0.5)()
        assert float(uv_seam_energy(solid.detach(), mesh)) == pytest.approx(0, abs=0.05)
        assert float(uv_seam_energy(waves.detach(), mesh)) > 0.5


def test_a_solid_is_made_again_and_refuses_what_makes_no_sense() -> None:
    solid = Solid((10, 12), torus(6, 5), cells=6, batch=2, decay=1.0)
    again = from_description(describe(Texture(solid, torus(6, 5))))
    assert torch.equal(again(), solid())
    target = torch.full((1, 3, 10, 12), 0.7)
    assert (solid.fit(target, steps=60, lr=0.05)() - 0.7).abs().max() < 0.05
    for cells in (1, 2.5, True):
        with pytest.raises(ValueError, match="cells must be a whole number, 2 or more"):
            Solid(8, "teapot", cells=cells)


def test_a_texture_is_exported(tmp_path: Path) -> None:
    picture = Texture(Pixels(16, batch=2, sd=3.0), torus(8, 6))
    with torch.no_grad():
        wanted = (picture()[1].permute(1, 2, 0) * 255).round().numpy()
    from PIL import Image

    file = picture.save(tmp_path / "ring.obj", index=1)
    assert np.array_equal(np.asarray(Image.open(file.with_suffix(".png"))), wanted)


def test_only_colours_are_a_texture() -> None:
    with pytest.raises(ValueError, match="a texture has 3 channels"):
        Texture(Pixels(8, channels=4), "teapot")


# --- views ------------------------------------------------------------------------------------------------


def test_a_view_is_the_mean_of_lookups_where_rays_meet_the_mesh() -> None:
    mesh, texture, camera = torus(16, 12), noise(1, 3, 20, 30), Camera((3.0, 4.0, 11.0))
    seen = render(texture, mesh, camera, size=(24, 18), background=0.25)
    raster = rasterize(mesh, camera, (48, 36))
    fine = sample_texture(texture, raster.uv[None])[0]
    fine = torch.where(raster.mask, fine, 0.25).numpy()
    np.testing.assert_allclose(seen[0], fine.reshape(3, 24, 2, 18, 2).mean(axis=(2, 4)), atol=1e-6)


def test_shading_is_the_cosine_of_normal_and_light() -> None:
    """On a white sphere, the normal is the place, which is what a ray from far away meets."""
    camera = Camera((0.0, 0.0, 200.0), fovy=2 * math.degrees(math.atan(1 / 200)))
    white = torch.ones(1, 1, 4, 4)
    seen = render(white, sphere(128, 256), camera, size=65, background=0.0, shading=0.6, supersample=1)[0, 0]
    x = (torch.arange(65) + 0.5) * 2 / 65 - 1
    y = -x[:, None]
    z = (1 - x * x - y * y).clamp(min=0).sqrt()
    light = (-0.4 * x + 0.6 * y + 0.7 * z) / math.sqrt(0.4**2 + 0.6**2 + 0.7**2)
    inside = z > 0.3
    torch.testing.assert_close(seen[inside], (0.4 + 0.6 * light.clamp(min=0))[inside], atol=0.01, rtol=0)


def test_cameras_look_from_everywhere_equally_often() -> None:
    """Archimedes: of directions that are uniform on the sphere, every coordinate is uniform in [−1, 1]."""
    from scipy.stats import kstest

    places = torch.tensor([c.eye for c in mesh_views(torus()).cameras(2000, seeded(0))])
    distance = places.norm(dim=1)
    for i in range(3):
        assert kstest(places[:, i] / distance, "uniform", args=(-1, 2)).pvalue > 0.01
    assert kstest(distance, "uniform", args=(11, 2)).pvalue > 0.01
    above = mesh_views(torus(), elevation=(10, 30), distance=(5, 5)).cameras(500, seeded(0))
    angle = torch.tensor([math.degrees(math.asin(c.eye[1] / 5)) for c in above])
    assert 10 <= angle.min() < 11
    assert 29 < angle.max() <= 30


@pytest.mark.parametrize("shared", [False, True])
def test_views_come_in_the_order_of_views_and_then_textures(shared: bool) -> None:
    mesh, textures = torus(8, 6), noise(2, 3, 8, 8)
    views = mesh_views(mesh, size=16, count=3, shared=shared, background="grey")
    seen = views(textures, seeded(4))
    cameras = views.cameras(3 if shared else 6, seeded(4))
    assert seen.shape == (6, 3, 16, 16)
    for i in range(3):
        for b in range(2):
            camera = cameras[i] if shared else cameras[2 * i + b]
            expected = render(textures[b : b + 1], mesh, camera, size=16, background=0.5)[0]
            torch.testing.assert_close(seen[2 * i + b], expected)


@pytest.mark.parametrize("background", list(BACKGROUNDS))
def test_beside_the_mesh_there_is_a_background(background: str) -> None:
    views = mesh_views(torus(8, 6), size=(16, 20), count=2, background=background)
    texture = torch.full((1, 3, 4, 4), 0.3)
    seen, again = views(texture, seeded(0)), views(texture, seeded(0))
    assert torch.equal(seen, again)
    generator = seeded(0)
    alpha = render(
        torch.ones(1, 1, 4, 4), views.mesh, views.cameras(2, generator), size=(16, 20), background=0.0
    )
    own = torch.Generator().manual_seed(int(torch.randint(2**32, (), generator=generator)))
    assert alpha.min() == 0
    assert alpha.max() == pytest.approx(1)
    expected = alpha * 0.3 + (1 - alpha) * BACKGROUNDS[background](2, (16, 20), own)
    torch.testing.assert_close(seen, expected)
    assert views(texture[:, :1], seeded(0)).shape == (2, 1, 16, 20)
    if background in ("waves", "noise", "color"):
        assert not torch.equal(seen[0, :, 0, 0], seen[1, :, 0, 0])


def test_the_gradient_reaches_what_is_seen_and_nothing_else() -> None:
    mesh = torus(24, 16)
    texture = noise(1, 1, 12, 16).double().requires_grad_()

    def seen(t: torch.Tensor) -> torch.Tensor:
        return render(t, mesh, Camera((0.0, 1.0, 12.0)), size=10, shading=0.5)

    assert torch.autograd.gradcheck(seen, (texture,), atol=1e-6)
    (gradient,) = torch.autograd.grad(seen(texture).sum(), texture)
    front, back = gradient[0, 0, :, [0, 15]], gradient[0, 0, :, [7, 8]]  # φ near 0 and near π
    assert (front.sum(dim=0) > 0).all()
    assert gradient.min() >= 0
    assert back[2:5].abs().sum() == 0  # ψ near 0 at the far side is behind the ring


@pytest.mark.parametrize(
    "wrong",
    [
        {"fovy": 0},
        {"distance": (0, 3)},
        {"distance": (5, 3)},
        {"elevation": (-100, 0)},
        {"count": 0},
        {"background": "blue"},
        {"shading": 2},
        {"supersample": 0},
        {"shared": 1},
        {"size": 0},
    ],
)
def test_views_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must"):
        mesh_views(torus(4, 4), **wrong)


def test_what_is_no_texture_is_refused() -> None:
    views = mesh_views(torus(4, 4), size=8)
    assert views.change(size=12, count=2).size == (12, 12)
    with pytest.raises(ValueError, match="shading must"):
        views.change(shading=2)
    for image in (torch.zeros(1, 4, 8, 8), torch.zeros(3, 8, 8)):
        with pytest.raises(ValueError, match="a mesh is seen with a texture"):
            views(image, seeded(0))
    with pytest.raises(ValueError, match="render shows one texture"):
        render(torch.zeros(2, 3, 8, 8), torus(4, 4), turntable(1))


def test_a_turntable_goes_around_once() -> None:
    cameras = turntable(8, elevation=30, distance=4)
    at = torch.tensor([c.eye for c in cameras])
    torch.testing.assert_close(at.norm(dim=1), torch.full((8,), 4.0))
    torch.testing.assert_close(at[:, 1], torch.full((8,), 2.0))
    assert at[0].tolist() == pytest.approx([0, 2, math.sqrt(12)])
    assert at[2].tolist() == pytest.approx([math.sqrt(12), 2, 0])
    torch.testing.assert_close(at[:4], -at[4:] + torch.tensor([0, 4.0, 0]))


# --- seams ------------------------------------------------------------------------------------------------


def wave(mesh: Mesh, side: int) -> torch.Tensor:
    """A texture without seams on a torus: a wave in u, once around, and one in v."""
    x = 2 * math.pi * (torch.arange(side) + 0.5) / side
    return (0.5 + 0.2 * x.sin() + 0.2 * x[:, None].cos()).expand(1, 3, side, side)


def test_a_texture_that_goes_on_across_its_cuts_has_no_seams() -> None:
    mesh = torus(48, 24)
    jump = (torch.arange(256) < 128).float().expand(1, 3, 256, 256)  # black meets white at u = 0, and at ½
    energies = uv_seam_energy(torch.cat([jump, wave(mesh, 256)]), mesh)
    assert float(energies[1]) == pytest.approx(0, abs=0.02)
    # Where u is cut the step is 1, where v is cut 0; they count by how much of them is seen. Strangers differ by ½.
    assert 0.2 < float(energies[0]) < 2
    random = uv_seam_energy(noise(1, 3, 24, 24), load_mesh("bunny"))
    assert float(random) == pytest.approx(1, abs=0.25)
    assert uv_seam_energy(torch.full((1, 3, 8, 8), 0.4), mesh).tolist() == pytest.approx([0], abs=1e-3)


def test_the_seam_energy_of_a_ramp_is_that_of_its_formula() -> None:
    """Two squares side by side in space, apart on the texture; colour = u. Across the cut between them, u jumps."""
    points = torch.tensor(
        [[0, 0, 0], [1, 0, 0], [2, 0, 0], [0, 1, 0], [1, 1, 0], [2, 1, 0]], dtype=torch.float32
    )
    faces = torch.tensor([[0, 1, 4], [0, 4, 3], [1, 2, 5], [1, 5, 4]])
    uv = torch.tensor(
        [[0.1, 0.2], [0.3, 0.2], [0.3, 0.4], [0.1, 0.4], [0.6, 0.2], [0.8, 0.2], [0.8, 0.4], [0.6, 0.4]]
    )
    texels = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    mesh = Mesh(points, faces, uv, texels)
    ramp = ((torch.arange(512) + 0.5) / 512).expand(1, 3, 512, 512)
    step, side = 0.01, Camera((1.0, 0.5, 20.0), target=(1.0, 0.5, 0.0))
    # Places on both sides of the cut, then of the diagonals, whose normal is (1, −1)/√2; they are √2 long.
    at = (np.arange(8) + 0.5) / 8
    shift = step / 2 / math.sqrt(2)
    colours = np.stack(
        [
            np.stack([np.full(8, 0.3 - 0.2 * step / 2), np.full(8, 0.6 + 0.2 * step / 2)]),
            *(np.stack([left + 0.2 * (at - shift), left + 0.2 * (at + shift)]) for left in (0.1, 0.6)),
        ]
    )  # (edge, side, place)
    weight = np.array([1, math.sqrt(2), math.sqrt(2)])[:, None, None] * np.ones((1, 2, 8))
    mean = np.average(colours, weights=weight)
    strangers = 2 * np.average((colours - mean) ** 2, weights=weight)
    squared = (colours[:, 0] - colours[:, 1]) ** 2
    expected = (squared[0].mean() - squared[1].mean()) / (strangers - squared[1].mean())
    found = uv_seam_energy(ramp, mesh, step=step, cameras=[side])
    assert float(found) == pytest.approx(expected, rel=1e-3)


def test_seams_that_nobody_sees_do_not_count() -> None:
    """The ball is cut at u = 0, which is in front, where black meets white."""
    ball = sphere(24, 48)
    jump = (torch.arange(256) < 128).float().expand(1, 3, 256, 256)
    assert float(uv_seam_energy(jump, ball, cameras=[Camera((0.0, 0.0, 12.0))])) > 1
    with pytest.raises(ValueError, match="cameras see none of them"):
        uv_seam_energy(jump, ball, cameras=[Camera((0.0, 0.0, -12.0))])


def test_colours_that_depend_on_the_place_in_space_have_no_seams() -> None:
    """However the charts lie on the texture: each texel gets the colour of the nearest of many places on the mesh."""
    from scipy.interpolate import NearestNDInterpolator

    mesh = load_mesh("bunny")
    weights = np.array([(i, j, 8 - i - j) for i in range(9) for j in range(9 - i)]) / 8
    at = np.einsum("kc,fcd->fkd", weights, mesh.uv[mesh.uv_faces].numpy()).reshape(-1, 2)
    points = np.einsum("kc,fcd->fkd", weights, mesh.vertices[mesh.faces].numpy()).reshape(-1, 3)
    x = (np.arange(384) + 0.5) / 384
    colours = NearestNDInterpolator(at, 0.5 + 0.5 * np.sin(6 * points))(*np.meshgrid(x, 1 - x))
    image = torch.from_numpy(colours).float().permute(2, 0, 1)[None]
    assert float(uv_seam_energy(image, mesh)) == pytest.approx(0, abs=0.03)
    turned = image.rot90(1, (2, 3))  # the same colours elsewhere
    assert float(uv_seam_energy(turned, mesh)) > 0.5


def test_a_mesh_without_cuts_has_no_seam_energy() -> None:
    mesh = torus(8, 6)
    once = replace(mesh, uv=torch.rand(len(mesh.vertices), 2, generator=seeded(0)), uv_faces=mesh.faces)
    with pytest.raises(ValueError, match="144 edges 0 cut the texture, and cameras see none"):
        uv_seam_energy(torch.zeros(1, 3, 4, 4), once)


def test_views_are_what_run_takes() -> None:
    assert isinstance(mesh_views("teapot", size=8), MeshViews)
    run = optimize(Texture(8, "teapot"), BRIGHT, eyes, views=mesh_views("teapot", size=8, count=2), steps=2)
    run.set(lr=0.1).finish()
    assert len(run.history) == 2
