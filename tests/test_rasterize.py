"""The rasterizer against rays met with triangles one by one in float64, and against Embree."""

import math

import numpy as np
import pytest
import torch

from dip_lessons.mesh.mesh import Mesh, load_mesh, sphere, torus
from dip_lessons.mesh.raster import (
    Camera,
    coverage,
    dilate,
    rasterize,
    sample_texture,
    soft_coverage,
    texel_places,
)

SIDE = Camera((3.0, 4.0, 11.0))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def triangles(points: list, faces: list) -> Mesh:
    """A mesh whose texture coordinates are x and y."""
    vertices, index = torch.tensor(points, dtype=torch.float32), torch.tensor(faces)
    return Mesh(vertices, index, vertices[:, :2].clone(), index)


def rays(camera: Camera, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Eye (3,) and directions (H·W, 3) whose component along the viewing direction is 1, from the definition."""
    height, width = size
    eye, target, up = (np.array(p, float) for p in (camera.eye, camera.target, camera.up))
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    above = np.cross(right, forward)
    half = math.tan(math.radians(camera.fovy / 2))
    y, x = np.mgrid[:height, :width] + 0.5
    a, b = (2 * x / width - 1) * half * width / height, (1 - 2 * y / height) * half
    return eye, (forward + a[..., None] * right + b[..., None] * above).reshape(-1, 3)


def traced(mesh: Mesh, camera: Camera, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Faces (H, W), weights and depths by Möller and Trumbore's test of each ray with each triangle, in float64."""
    eye, directions = rays(camera, size)
    a, b, c = (mesh.vertices.numpy().astype(float)[mesh.faces.numpy()[:, i]] for i in range(3))
    faces, weights, depths = [], [], []
    for part in np.array_split(directions, max(1, len(directions) * len(a) // 2_000_000)):
        d = part[:, None]  # (rays, 1, 3)
        e1, e2, s = b - a, c - a, eye - a
        h = np.cross(d, e2)
        with np.errstate(divide="ignore", invalid="ignore"):
            f = 1 / (e1 * h).sum(-1)
            u = f * (s * h).sum(-1)
            q = np.cross(s, e1)
            v = f * (d * q).sum(-1)
            t = f * (e2 * q).sum(-1)
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t >= camera.near)
        t = np.where(hit, t, np.inf)
        best = t.astype(np.float32).argmin(axis=1)  # the first of equally near ones
        i = np.arange(len(part))
        seen = np.isfinite(t[i, best])
        faces.append(np.where(seen, best, -1))
        depths.append(t[i, best])
        w = np.stack([1 - u - v, u, v], axis=-1)[i, best]
        weights.append(np.where(seen[:, None], w, 0))
    return (
        np.concatenate(faces).reshape(size),
        np.concatenate(weights).reshape(*size, 3),
        np.concatenate(depths).reshape(size),
    )


def check(mesh: Mesh, camera: Camera, size: tuple[int, int]) -> None:
    raster = rasterize(mesh, camera, size)
    face, weights, depth = traced(mesh, camera, size)
    assert (face >= 0).any()
    mine = raster.face.numpy()
    assert np.array_equal(mine, face)

    seen = face >= 0
    np.testing.assert_allclose(raster.depth.numpy()[seen], depth[seen], rtol=1e-5)
    assert np.isinf(raster.depth.numpy()[mine < 0]).all()
    np.testing.assert_allclose(raster.barycentric.numpy(), weights, atol=1e-4)
    uv = np.einsum("hwk,hwkc->hwc", weights, mesh.uv.numpy()[mesh.uv_faces.numpy()[face]])
    np.testing.assert_allclose(raster.uv.numpy()[seen], uv[seen], atol=1e-4)
    normal = np.einsum("hwk,hwkc->hwc", weights, mesh.normals.numpy()[mesh.faces.numpy()[face]])
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True).clip(1e-30)
    np.testing.assert_allclose(raster.normal.numpy()[seen], normal[seen], atol=1e-4)
    for values in (raster.barycentric, raster.uv, raster.normal):
        assert (values[~raster.mask] == 0).all()


# --- faces, depths, places --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mesh", "camera", "size"),
    [
        (torus(12, 8), SIDE, (48, 48)),
        (torus(12, 8), Camera((0.1, 1.5, 2.5), fovy=50), (37, 61)),
        (sphere(6, 9), Camera((-2.0, -9.0, 7.0), up=(1.0, 0.5, 0.0)), (40, 33)),
        (
            sphere(12, 20),
            Camera((0.0, 0.02, 0.01), target=(1.0, 0.2, 0.3), fovy=110),
            (32, 48),
        ),  # from inside
    ],
)
def test_pixels_see_what_rays_meet(mesh: Mesh, camera: Camera, size: tuple[int, int]) -> None:
    check(mesh, camera, size)


@pytest.mark.parametrize(("name", "eye"), [("teapot", (5.0, 3.0, 10.5)), ("suzanne", (-4.0, 1.0, 11.0))])
def test_pixels_of_the_courses_meshes_see_what_rays_meet(name: str, eye: tuple) -> None:
    check(load_mesh(name), Camera(eye), (40, 40))


def test_faces_and_depths_are_embrees() -> None:
    trimesh = pytest.importorskip("trimesh")
    embree = pytest.importorskip("trimesh.ray.ray_pyembree")
    for mesh in (load_mesh("teapot"), load_mesh("suzanne"), torus(264, 132)):
        size = (256, 256)
        raster = rasterize(mesh, SIDE, size)
        scene = trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy(), process=False)
        eye, directions = rays(SIDE, size)
        found = embree.RayMeshIntersector(scene).intersects_first(
            np.tile(eye, (len(directions), 1)), directions
        )
        corner = scene.triangles[found, 0]
        normal = np.cross(scene.triangles[found, 1] - corner, scene.triangles[found, 2] - corner)
        depth = ((corner - eye) * normal).sum(1) / (directions * normal).sum(1)
        mine, found, depth = raster.face.numpy(), found.reshape(size), depth.reshape(size)
        assert np.array_equal(mine >= 0, found >= 0)
        np.testing.assert_allclose(raster.depth.numpy()[mine >= 0], depth[mine >= 0], rtol=0, atol=1e-4)
        # Embree computes in float32: within that, a pixel on an edge belongs to either face.
        other = mine != found
        assert other.sum() <= 4
        assert (raster.barycentric.numpy()[other].min(axis=-1) < 1e-3).all()


def test_a_plane_that_leans_away_is_seen_in_perspective() -> None:
    """u on the plane z = −x from (0, 0, 2): the ray (a, b, −1)·t meets it where 2 − t = −a·t."""
    mesh = triangles([[-1, -1, 1], [1, -1, -1], [1, 1, -1], [-1, 1, 1]], [[0, 1, 2], [0, 2, 3]])
    raster = rasterize(mesh, Camera((0.0, 0.0, 2.0), fovy=20), 65)
    a = ((torch.arange(65) + 0.5) * 2 / 65 - 1) * math.tan(math.radians(10))
    depth = 2 / (1 - a)
    assert raster.mask.all()
    torch.testing.assert_close(raster.depth, depth.expand(65, 65), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(raster.uv[..., 0], (a * depth).expand(65, 65), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(raster.normal, torch.tensor([1, 0, 1]).div(2**0.5).expand(65, 65, 3))


def test_what_is_nearer_hides_what_is_farther() -> None:
    """Two squares through each other: left the one is nearer, right the other."""
    mesh = triangles(
        [[-1, -1, 1], [1, -1, -1], [1, 1, -1], [-1, 1, 1], [-1, -1, -1], [1, -1, 1], [1, 1, 1], [-1, 1, -1]],
        [[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]],
    )
    face = rasterize(mesh, Camera((0.0, 0.0, 4.0), fovy=10), 64).face
    assert (face[:, :32] < 2).all()
    assert (face[:, 32:] >= 2).all()


def test_edges_through_centres_of_pixels_have_no_holes_and_the_lower_face_wins() -> None:
    """A square cut along its diagonal, and a fan whose centre is the picture's: edges meet centres exactly."""
    square = triangles([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], [[0, 1, 2], [0, 2, 3]])
    camera = Camera((0.0, 0.0, 8.0), fovy=math.degrees(2 * math.atan(1 / 8)))
    face = rasterize(square, camera, 33).face.flip(0)  # row 0 below
    assert torch.equal(face, torch.ones(33, 33).triu(1).eq(0).logical_and(~torch.eye(33).bool()).long())
    fan = triangles(
        [[0, 0, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0], [-1, -1, 0]],
        [[0, 4, 1], [0, 1, 2], [0, 2, 3], [0, 3, 4]],
    )
    face = rasterize(fan, camera, 33).face
    assert (face >= 0).all()
    assert face[16, 16] == 0
    twice = Mesh(fan.vertices, fan.faces.repeat(2, 1), fan.uv, fan.uv_faces.repeat(2, 1))
    assert torch.equal(rasterize(twice, camera, 33).face, face)


def test_closed_meshes_have_no_holes() -> None:
    """Seen so near that they fill the picture, every pixel of torus and sphere sees a face."""
    for mesh, camera in (
        (sphere(160, 320), Camera((0.5, 0.2, 2.0), fovy=12)),
        (torus(300, 100), Camera((0.0, 0.0, 2.0), target=(0.0, 0.0, 1.0), fovy=10)),
    ):
        assert rasterize(mesh, camera, 200).mask.all()


def test_triangles_may_reach_behind_the_camera() -> None:
    """A floor below that goes on behind the eye: depth from the closed form 1/(−b), and nothing above the horizon."""
    floor = triangles([[-9, -1, 30], [9, -1, 30], [9, -1, -30], [-9, -1, -30]], [[0, 1, 2], [0, 2, 3]])
    raster = rasterize(floor, Camera((0.0, 0.0, 0.0), target=(0.0, 0.0, -1.0), fovy=60, near=1.8), (40, 8))
    b = (1 - 2 * (torch.arange(40) + 0.5) / 40) * math.tan(math.radians(30))
    depth = torch.where((b < 0) & (-1 / b <= 30) & (-1 / b >= 1.8), -1 / b, math.inf)
    assert depth.isfinite().sum() == 18
    torch.testing.assert_close(raster.depth, depth[:, None].expand(40, 8), atol=1e-5, rtol=1e-6)
    behind = Camera((0.0, 0.0, -40.0), target=(0.0, 0.0, -41.0))
    assert not rasterize(floor, behind, 16).mask.any()


def test_the_result_does_not_depend_on_the_chunks() -> None:
    mesh = load_mesh("bunny")
    whole = rasterize(mesh, SIDE, 64)
    for chunk in (1, 500, 10_000):
        part = (
            rasterize(mesh, SIDE, 64, chunk=chunk) if chunk > 1 else rasterize(torus(8, 6), SIDE, 16, chunk=1)
        )
        other = whole if chunk > 1 else rasterize(torus(8, 6), SIDE, 16)
        for name in ("face", "barycentric", "depth", "uv", "normal"):
            assert torch.equal(getattr(part, name), getattr(other, name)), name


def test_a_sphere_is_seen_where_it_is_and_as_a_globe() -> None:
    """Depth, normal and texture coordinates of the unit sphere, from the formula of rays and spheres."""
    camera = Camera((0.0, 0.0, 12.0))
    raster = rasterize(sphere(256, 512), camera, 64)
    eye, d = rays(camera, (64, 64))
    half = d @ eye / (d * d).sum(1)
    root = half**2 - (144 - 1) / (d * d).sum(1)
    t = (-half - np.sqrt(root.clip(0))).reshape(64, 64)
    seen = (root > 0.002).reshape(64, 64)
    point = eye + t[..., None] * d.reshape(64, 64, 3)
    assert raster.mask.numpy()[seen].all()
    assert not raster.mask.numpy()[(root < 0).reshape(64, 64)].any()
    np.testing.assert_allclose(raster.depth.numpy()[seen], t[seen], atol=1e-3)
    np.testing.assert_allclose(raster.normal.numpy()[seen], point[seen], atol=0.01)
    x, y, z = np.moveaxis(point[seen], -1, 0)
    u, v = raster.uv.numpy()[seen].T
    turned = (u - np.arctan2(x, z) / (2 * np.pi) + 0.5) % 1 - 0.5
    assert np.abs(turned[np.abs(y) < 0.9]).max() < 2e-3
    np.testing.assert_allclose(v, 1 - np.arccos(y.clip(-1, 1)) / np.pi, atol=5e-3)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_cuda_sees_what_the_cpu_sees() -> None:
    mesh = load_mesh("suzanne")
    here, there = rasterize(mesh, SIDE, 256), rasterize(mesh.to("cuda"), SIDE, 256)
    assert (here.face != there.face.cpu()).sum() <= 2
    same = here.face == there.face.cpu()
    torch.testing.assert_close(here.uv[same], there.uv.cpu()[same], atol=1e-5, rtol=1e-5)


# --- cameras ----------------------------------------------------------------------------------------------


def test_a_camera_straight_above_is_a_camera() -> None:
    for eye in ((0.0, 5.0, 0.0), (0.0, -5.0, 0.0)):
        rotation = Camera(eye).rotation()
        torch.testing.assert_close(rotation @ rotation.T, torch.eye(3).double())
        assert torch.linalg.det(rotation) == pytest.approx(1)
    assert rasterize(torus(), Camera((0.0, 5.0, 0.0), fovy=30), 32).mask.any()
    assert Camera((0.0, 0.0, 5.0), up=(0.0, 0.0, 1.0)).rotation()[1].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"eye": (0.0, 0.0, 0.0)},
        {"eye": (math.nan, 0.0, 1.0)},
        {"eye": (0.0, 1.0)},
        {"fovy": 0.0},
        {"fovy": 180.0},
        {"near": 0.0},
        {"up": (0.0, 0.0, 0.0)},
    ],
)
def test_cameras_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=r"; got Camera\("):
        Camera(**{"eye": (0.0, 0.0, 5.0), **wrong})


# --- textures ---------------------------------------------------------------------------------------------


def test_a_lookup_is_bilinear_and_repeats() -> None:
    texture = torch.rand(1, 2, 5, 7, generator=seeded(0), dtype=torch.float64)
    uv = 6 * torch.rand(3, 4, 6, 2, generator=seeded(1), dtype=torch.float64) - 3
    found = sample_texture(texture, uv).numpy()
    image = texture[0].numpy()
    x, y = uv[..., 0].numpy() * 7 - 0.5, (1 - uv[..., 1].numpy()) * 5 - 0.5
    i, j = np.floor(y).astype(int), np.floor(x).astype(int)
    a, b = y - i, x - j
    expected = sum(
        wy * wx * image[:, (i + dy) % 5, (j + dx) % 7]
        for dy, wy in ((0, 1 - a), (1, a))
        for dx, wx in ((0, 1 - b), (1, b))
    )
    np.testing.assert_allclose(found, expected.transpose(1, 0, 2, 3), atol=1e-12)


def test_v_runs_upwards() -> None:
    texture = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    uv = torch.tensor([[[[0.25, 0.75], [0.75, 0.75]], [[0.25, 0.25], [0.75, 0.25]]]])
    torch.testing.assert_close(sample_texture(texture, uv), texture)


def test_lookups_are_differentiable_in_texture_and_place() -> None:
    texture = torch.rand(1, 2, 4, 5, generator=seeded(0), dtype=torch.float64, requires_grad=True)
    uv = torch.rand(2, 3, 2, 2, generator=seeded(1), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(sample_texture, (texture, uv))


def test_lookups_of_other_shapes_are_refused() -> None:
    for texture, uv in (
        ((2, 3, 4, 4), (1, 2, 2, 2)),
        ((1, 3, 4, 4), (2, 2, 2)),
        ((1, 3, 4, 4), (1, 2, 2, 3)),
    ):
        with pytest.raises(ValueError, match=r"a texture is \(1, C, H, W\)"):
            sample_texture(torch.zeros(texture), torch.zeros(uv))


# --- charts -----------------------------------------------------------------------------------------------


def flat(uv: list) -> Mesh:
    n = len(uv)
    points = torch.tensor([[math.cos(i), math.sin(i), i / n] for i in range(n)])
    return Mesh(points, torch.arange(n).view(-1, 3), torch.tensor(uv), torch.arange(n).view(-1, 3))


def test_coverage_is_the_texels_whose_centres_lie_in_charts() -> None:
    y, x = torch.meshgrid((torch.arange(10) + 0.5) / 10, (torch.arange(20) + 0.5) / 20, indexing="ij")
    u, v = x, 1 - y
    assert torch.equal(
        coverage(flat([(0.0, 0.01), (0.99, 0.01), (0.0, 0.9)]), (10, 20)), u / 0.99 + (v - 0.01) / 0.89 <= 1
    )
    # The same chart a texture and a half to the right, and below: it comes in again at the other side.
    moved = coverage(flat([(1.5, -2.99), (2.49, -2.99), (1.5, -2.1)]), (10, 20))
    assert torch.equal(moved, (((u - 0.5) % 1) / 0.99 + (v - 0.01) / 0.89 <= 1))
    assert coverage(flat([(0.0, 0.0), (40.0, 0.0), (0.0, 40.0)]), 8).all()
    assert coverage(torus(), 33).all()


def test_texels_lie_where_their_mesh_is_wrapped() -> None:
    """The torus by its formula, whatever the tile its chart lies in; Suzanne by what cameras see of her."""
    mesh = torus(96, 64)
    u, v = (torch.arange(40) + 0.5) / 40, 1 - (torch.arange(24) + 0.5)[:, None] / 24
    phi, psi = 2 * math.pi * u, 2 * math.pi * v
    rho = 0.65 + 0.35 * psi.cos()
    expected = torch.stack(
        torch.broadcast_tensors(rho * phi.sin(), 0.35 * psi.sin(), rho * phi.cos()), dim=-1
    )
    torch.testing.assert_close(texel_places(mesh, (24, 40)), expected, atol=0.004, rtol=0)
    moved = Mesh(mesh.vertices, mesh.faces, mesh.uv + torch.tensor([0.5, -2.25]), mesh.uv_faces)
    torch.testing.assert_close(
        texel_places(moved, (24, 40)), expected.roll((6, 20), (0, 1)), atol=0.004, rtol=0
    )
    far = Mesh(mesh.vertices, mesh.faces, mesh.uv * 2000, mesh.uv_faces)
    with pytest.raises(ValueError, match="reaches over"):
        texel_places(far, 8)
    suzanne = load_mesh("suzanne")
    raster = rasterize(suzanne, SIDE, 64)
    corners = suzanne.vertices[suzanne.faces[raster.face[raster.mask]]]
    seen = torch.einsum("nc,ncd->nd", raster.barycentric[raster.mask], corners)
    size = 1024
    column, row = (raster.uv[raster.mask] * torch.tensor([1, -1]) % 1 * size).long().clamp(max=size - 1).T
    off = (texel_places(suzanne, size)[row, column] - seen).norm(dim=1)
    assert off.median() < 0.003
    assert off.quantile(0.99) < 0.01


def test_texels_outside_get_the_colour_of_the_nearest_one() -> None:
    from scipy.ndimage import distance_transform_edt

    covered = torch.rand(40, 56, generator=seeded(0)) > 0.99
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(56.0), indexing="ij")
    filled = dilate(torch.stack([y, x])[None], covered)[0].numpy()
    dy, dx = np.abs(filled[0] - y.numpy()), np.abs(filled[1] - x.numpy())
    mine = np.hypot(np.minimum(dy, 40 - dy), np.minimum(dx, 56 - dx))  # the texture repeats
    best = distance_transform_edt(~np.tile(covered.numpy(), (3, 3)))[40:80, 56:112]
    assert covered.numpy()[filled[0].astype(int), filled[1].astype(int)].all()
    assert (mine - best).max() < 1
    assert (mine > best + 1e-6).mean() < 0.01
    alone = torch.zeros(40, 56, dtype=torch.bool)
    alone[3, 50] = True
    assert (dilate(torch.stack([y, x])[None], alone) == torch.tensor([3.0, 50.0])[:, None, None]).all()
    nothing = torch.rand(1, 3, 6, 5, generator=seeded(1))
    assert torch.equal(dilate(nothing, torch.zeros(6, 5, dtype=torch.bool)), nothing)
    assert torch.equal(dilate(nothing, torch.ones(6, 5, dtype=torch.bool)), nothing)


def test_soft_coverage_is_a_sigmoid_of_the_distance_to_the_nearest_edge() -> None:
    """The lines through the edges by scipy's Qhull."""
    from scipy.spatial import ConvexHull

    corners = torch.tensor([[2.0, 3.0], [20.0, 5.0], [9.0, 19.0]], dtype=torch.float64, requires_grad=True)
    points = 25 * torch.rand(200, 2, generator=seeded(0), dtype=torch.float64)
    planes = torch.from_numpy(ConvexHull(corners.detach().numpy()).equations)  # normals outwards, offsets
    distance = -(points @ planes[:, :2].T + planes[:, 2]).amax(dim=1)
    for turned in (corners, corners.flip(0)):
        for softness in (0.3, 2.0):
            found = soft_coverage(turned, points, softness)
            torch.testing.assert_close(found, torch.sigmoid(distance / softness), rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(lambda c: soft_coverage(c, points, 2.0), corners)


def test_the_grad_mode_and_the_inputs_stay_as_they_are() -> None:
    mesh = torus(8, 6)
    mesh.vertices.requires_grad_()
    before = mesh.vertices.detach().clone()
    rasterize(mesh, SIDE, 8)
    assert torch.is_grad_enabled()
    assert torch.equal(mesh.vertices.detach(), before)
