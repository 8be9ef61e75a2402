"""Meshes: made ones against closed forms, loaded ones against their files, exported ones against trimesh."""

import copy
import io
import math
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dip_lessons import assets
from dip_lessons.mesh.export import save_mesh
from dip_lessons.mesh.mesh import MESHES, Mesh, load_mesh, sphere, torus
from dip_lessons.mesh.raster import coverage, dilate

SQUARE = """# a square of two units, a triangle's worth of texture each
v 0 0 0
v 2 0 0
v 2 2 0
v 0 2 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
"""


def area(mesh: Mesh) -> float:
    a, b, c = mesh.vertices.double()[mesh.faces].unbind(dim=1)
    return float(torch.linalg.cross(b - a, c - a).norm(dim=1).sum() / 2)


def volume(mesh: Mesh) -> float:
    """By Gauss's theorem: positive if faces are counter-clockwise as seen from outside."""
    a, b, c = mesh.vertices.double()[mesh.faces].unbind(dim=1)
    return float((a * torch.linalg.cross(b, c)).sum() / 6)


def edges(mesh: Mesh) -> torch.Tensor:
    """How often each undirected edge occurs."""
    pairs = torch.cat([mesh.faces[:, [i, (i + 1) % 3]] for i in range(3)]).sort(dim=1).values
    return pairs.unique(dim=0, return_counts=True)[1]


# --- made -------------------------------------------------------------------------------------------------


def test_a_torus_has_the_area_volume_and_places_of_a_torus() -> None:
    mesh = torus(200, 100, radius=0.3)
    assert area(mesh) == pytest.approx(4 * math.pi**2 * 0.7 * 0.3, rel=2e-3)
    assert volume(mesh) == pytest.approx(2 * math.pi**2 * 0.7 * 0.3**2, rel=2e-3)
    assert mesh.vertices.abs().amax(dim=0).tolist() == pytest.approx([1, 0.3, 1])
    assert (edges(mesh) == 2).all()  # closed
    assert len(mesh.vertices) - len(edges(mesh)) + len(mesh.faces) == 0  # of genus 1
    at, uv = mesh.vertices[mesh.faces].double(), mesh.uv[mesh.uv_faces].double()
    phi, psi = 2 * math.pi * uv[..., 0], 2 * math.pi * uv[..., 1]
    rho = 0.7 + 0.3 * psi.cos()
    expected = torch.stack([rho * phi.sin(), 0.3 * psi.sin(), rho * phi.cos()], dim=-1)
    torch.testing.assert_close(at, expected, atol=1e-6, rtol=0)
    normal = torch.stack([psi.cos() * phi.sin(), psi.sin(), psi.cos() * phi.cos()], dim=-1)
    torch.testing.assert_close(mesh.normals[mesh.faces].double(), normal, atol=2e-3, rtol=0)


def test_a_sphere_has_the_area_volume_and_places_of_a_sphere() -> None:
    mesh = sphere(60, 120)
    assert area(mesh) == pytest.approx(4 * math.pi, rel=2e-3)
    assert volume(mesh) == pytest.approx(4 * math.pi / 3, rel=3e-3)
    assert (edges(mesh) == 2).all()
    assert len(mesh.vertices) - len(edges(mesh)) + len(mesh.faces) == 2
    at, uv = mesh.vertices[mesh.faces].double(), mesh.uv[mesh.uv_faces].double()
    phi, theta = 2 * math.pi * uv[..., 0], math.pi * (1 - uv[..., 1])
    expected = torch.stack([theta.sin() * phi.sin(), theta.cos(), theta.sin() * phi.cos()], dim=-1)
    torch.testing.assert_close(at, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(mesh.normals, mesh.vertices, atol=0.01, rtol=0)
    # No triangle reaches around the texture: its u spans one segment.
    assert (uv[..., 0].amax(dim=1) - uv[..., 0].amin(dim=1)).max() <= 1 / 120 + 1e-6


@pytest.mark.parametrize(
    "make", [lambda: torus(2), lambda: torus(radius=0.5), lambda: sphere(1), lambda: sphere(4, 2)]
)
def test_shapes_that_make_no_sense_are_refused(make) -> None:
    with pytest.raises(ValueError, match="or more"):
        make()


# --- loaded -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "faces"), [("teapot", 3218), ("suzanne", 14842), ("bunny", 5648)])
def test_the_courses_meshes_fill_the_cube_and_their_texture(name: str, faces: int) -> None:
    mesh = load_mesh(name)
    assert mesh.name == name
    assert len(mesh.faces) == faces
    low, high = mesh.vertices.amin(dim=0), mesh.vertices.amax(dim=0)
    torch.testing.assert_close(low, -high, atol=1e-6, rtol=0)
    assert float(high.max()) == pytest.approx(1, abs=1e-6)
    assert 0 <= mesh.uv.min() <= mesh.uv.max() <= 1
    assert len(mesh.vertices.unique(dim=0)) == len(mesh.vertices)
    assert len(mesh.uv) > len(mesh.vertices)  # there are seams
    torch.testing.assert_close(mesh.normals.norm(dim=1), torch.ones(len(mesh.vertices)))
    # No chart lies on another: the faces' areas on the texture add up to what is covered.
    a, b, c = mesh.uv[mesh.uv_faces].unbind(dim=1)
    (x, y), (z, w) = (b - a).T, (c - a).T
    covered = coverage(mesh, 512).float().mean()
    assert float((x * w - y * z).abs().sum() / 2) == pytest.approx(float(covered), abs=0.01)


def test_seams_of_the_texture_do_not_tear_the_surface() -> None:
    """The file of Suzanne repeats vertices on seams, where they would have as many normals as charts."""
    stored = assets.arrays(MESHES["suzanne"])
    mesh = load_mesh("suzanne")
    assert len(mesh.vertices) == len(np.unique(stored["v"], axis=0)) < len(stored["v"])
    points, uv = stored["v"][stored["f"]], stored["uv"][stored["f"]]
    scale = np.ptp(points.reshape(-1, 3), axis=0).max() / 2
    centre = (points.reshape(-1, 3).min(axis=0) + points.reshape(-1, 3).max(axis=0)) / 2
    np.testing.assert_allclose(mesh.vertices[mesh.faces].numpy() * scale + centre, points, atol=1e-6)
    np.testing.assert_array_equal(mesh.uv[mesh.uv_faces], uv)


def obj(folder: Path, text: str) -> Path:
    file = folder / "mine.obj"
    file.write_text(text, "utf-8")
    return file


def test_polygons_become_fans_and_indices_may_count_backwards(tmp_path: Path) -> None:
    for faces in (
        "f 1/1 2/2 3/3 4/4",
        "f 1/1/9 2/2/9 3/3/9 4/4/9",
        "f -4/-4 -3/-3 -2/-2 -1/-1",
        "o thing\nusemtl x\ns 1\nf 1/1 2/2 \\\n  3/3 4/4  # a square\nl 1 2",
    ):
        mesh = load_mesh(obj(tmp_path, SQUARE + faces))
        corners = mesh.vertices[mesh.faces].tolist()
        assert corners == [[[-1, -1, 0], [1, -1, 0], [1, 1, 0]], [[-1, -1, 0], [1, 1, 0], [-1, 1, 0]]]
        assert mesh.uv[mesh.uv_faces].tolist() == [[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]]
        assert (mesh.name, mesh.repairs) == ("mine", ())
        assert mesh.normals.tolist() == [[0, 0, 1]] * 4


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("f 1 2 3", r"line 10: the corner '1' has no texture coordinate .* Smart UV Project"),
        ("f 1//1 2//1 3//1", r"line 10: the corner '1//1' has no texture coordinate"),
        ("\nf 1/1 2/2 5/3", r"line 11: the corner '5/3' asks for one of 4 vertices that is not there"),
        ("f 1/1 2/2 3/0", r"line 10: the corner '3/0' asks for one of 4 texture coordinates"),
        ("f 1/1 2/2 -5/3", r"line 10: the corner '-5/3' asks for one of 4 vertices"),
        ("f 1/1 2/2", r"line 10: a face needs 3 corners"),
        ("f 1/1 2/2 three/3", r"line 10: a corner is v/vt or v/vt/vn in whole numbers; got 'three/3'"),
        ("v 1 nan 2", r"line 10: expected finite numbers; got '1 nan 2'"),
        ("vt inf 0", r"line 10: expected finite numbers; got 'inf 0'"),
        ("v 1 x 2", r"line 10: expected numbers; got '1 x 2'"),
        ("v 1 2", r"line 10: v needs 3 numbers; got 'v 1 2'"),
        ("", r"holds no faces: expected an OBJ file"),
        ("f 1/1 1/1 2/2", r"no face has an area"),
        ("f 1/1 1/1 1/1", r"all vertices lie at one place"),
        ("vt 5000 0\nf 1/1 2/2 3/5", r"texture coordinates reach 5e\+03"),
    ],
)  # fmt: skip
def test_an_obj_that_cannot_be_used_says_in_which_line_and_what_to_do(
    tmp_path: Path, lines: str, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        load_mesh(obj(tmp_path, SQUARE + lines))


def test_faces_without_area_are_dropped_and_said(tmp_path: Path) -> None:
    """A corner twice, three corners on a line, two vertices at one place."""
    text = (
        SQUARE
        + "v 0 0 -0.0\nv 1 0 0\nv 99 0 0\nf 1/1 2/2 3/3\nf 1/1 1/1 2/2\nf 1/1 6/2 2/2\nf 1/1 5/2 3/3\nf 5/1 3/3 4/4"
    )
    mesh = load_mesh(obj(tmp_path, text))
    assert len(mesh.faces) == 2
    assert mesh.repairs == ("3 of 5 faces had no area and were dropped",)
    assert "3 of 5 faces had no area" in repr(mesh)
    # One place is one vertex; what no face needs is left out, and moves nothing.
    assert len(mesh.vertices) == 4
    assert mesh.vertices.abs().max() == 1


@pytest.mark.parametrize("factor", [1e-30, 1e30, 1e300])
@pytest.mark.parametrize("shift", [0.0, 500.0])
def test_coordinates_of_any_size_are_scaled(tmp_path: Path, factor: float, shift: float) -> None:
    lines = []
    for line in SQUARE.splitlines():
        key, *numbers = line.split()
        lines.append(
            " ".join(["v", *(repr((float(n) + shift) * factor) for n in numbers)]) if key == "v" else line
        )
    mesh = load_mesh(obj(tmp_path, "\n".join([*lines, "f 1/1 2/2 3/3 4/4"])))
    expected = load_mesh(obj(tmp_path, SQUARE + "f 1/1 2/2 3/3 4/4"))
    torch.testing.assert_close(
        mesh.vertices[mesh.faces], expected.vertices[expected.faces], atol=1e-6, rtol=0
    )


def test_ones_own_arrays_are_checked(tmp_path: Path) -> None:
    good = {"v": np.eye(3), "uv": np.eye(3)[:, :2], "f": np.array([[0, 1, 2]])}
    file = tmp_path / "mine.npz"

    def load(**changed) -> Mesh:
        np.savez(file, **{k: v for k, v in {**good, **changed}.items() if v is not None})
        return load_mesh(file)

    assert len(load().faces) == 1
    for changed, says in (
        ({"uv": None}, "lacks the arrays uv; unwrap it first"),
        ({"f": np.array([[0, 1, 3]])}, r"f\[0\] is \[0, 1, 3\], but there are vertices 0 to 2"),
        ({"f": np.array([[0, 1, -1]])}, r"but there are vertices 0 to 2"),
        ({"f": np.array([[0.0, 1.0, 2.0]])}, "expected v .* and whole numbers f"),
        ({"uv": np.eye(3)}, r"expected v \(V, 3\), uv \(V, 2\)"),
        ({"v": np.full((3, 3), np.nan)}, r"v\[0\] is \[nan, nan, nan\]; expected finite numbers"),
    ):
        with pytest.raises(ValueError, match=says):
            load(**changed)


FACE = "f 1/1 2/2 3/3 4/4"


def as_loaded(file: Path) -> tuple[list, list]:
    mesh = load_mesh(file)
    return mesh.vertices[mesh.faces].tolist(), mesh.uv[mesh.uv_faces].tolist()


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + (SQUARE.partition("\n")[2] + FACE).encode(),  # a byte-order mark before a vertex
        b"\xef\xbb\xbf" + (SQUARE + "f -4/-4 -3/-3 -2/-2 -1/-1").encode(),
        # Two files of others, one behind the other, each with its mark.
        ("\ufeff" + SQUARE + FACE).replace("\nvt 0 0", "\n\ufeffvt 0 0").encode(),
        (FACE + "\n" + SQUARE).encode(),  # faces first
        (SQUARE.partition("vt")[0] + FACE + "\nvt" + SQUARE.partition("vt")[2]).encode(),
        (SQUARE + FACE).replace("\n", "\r").encode(),
        (SQUARE + FACE).replace("\n", "\r\n").encode(),
        (SQUARE + FACE).replace(" ", " \t ").encode(),
        (SQUARE.replace(" 0\nv ", " 0 .1 .2 .3\nv ") + FACE).encode(),  # colours of vertices
        (SQUARE.replace("\nvt 1 1\n", "\nvt 1 1 0.5\n") + "vn 0 0 1\n" + FACE + "\n").encode(),
        "# Größe: 2 m\n".encode("latin-1") + (SQUARE + "o Würfel: 1\ng a b\ns off\nmtllib a b.mtl\n" + FACE).encode(),
        (SQUARE + "f 1/1 \\\n2/2 \\\r\n 3/3 4/4 \\").encode(),
        (SQUARE + "usemtl paint#1\n" + FACE + " # the only one").encode(),
    ],
)  # fmt: skip
def test_objs_of_other_programs_are_the_same_square(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "Mein Ordner é 名前" / "a b.obj"
    file.parent.mkdir()
    file.write_bytes(data)
    assert as_loaded(file) == as_loaded(obj(tmp_path, SQUARE + FACE))
    assert load_mesh(file).repairs == ()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_refused_by_name(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "mine.obj"
    file.write_bytes((SQUARE + FACE).encode(encoding))
    with pytest.raises(ValueError, match=r"mine\.obj is UTF-16 text, or no text: save it as UTF-8"):
        load_mesh(file)


def test_several_materials_become_one_texture_and_are_said(tmp_path: Path) -> None:
    one, two = "usemtl skin#1\nf 1/1 2/2 3/3\n", "usemtl skin#2\nf 1/1 3/3 4/4\n"
    mesh = load_mesh(obj(tmp_path, SQUARE + one + two + "usemtl unused\n"))
    assert len(mesh.faces) == 2
    assert mesh.repairs == ("faces of 2 materials (skin#1, skin#2) share one texture",)
    assert load_mesh(obj(tmp_path, SQUARE + one + two.replace("#2", "#1"))).repairs == ()


def test_faces_beyond_what_the_file_holds_are_refused_where_they_stand(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"line 1: the corner '4/5' asks for one of 4 texture coordinates that"
    ):
        load_mesh(obj(tmp_path, "f 1/1 2/2 4/5\n" + SQUARE))
    with pytest.raises(ValueError, match=r"line 1: the corner '-1/-1' asks for one of 0 vertices above it"):
        load_mesh(obj(tmp_path, "f -1/-1 -2/-2 -3/-3\n" + SQUARE))


def claiming(file: Path, header: str, data: bytes = b"") -> None:
    """An .npz whose v says in its header what it does not hold (numpy's format 1.0)."""
    text = header.encode().ljust(117) + b"\n"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("v.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data)
        for name, array in (("uv", np.eye(3)[:, :2]), ("f", np.array([[0, 1, 2]]))):
            with archive.open(f"{name}.npy", "w") as stream:
                np.lib.format.write_array(stream, array)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        (
            "{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000, 3)}",
            "240000000000 bytes: more than",
        ),
        (
            "{'descr': '<f8', 'fortran_order': False, 'shape': (4, 3)}",
            "expected to be an .npz of plain arrays",
        ),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1, 1)}", "allow_pickle"),
        ("{'descr': '<U3', 'fortran_order': False, 'shape': (1, 3)}", "expected v .* got .*<U3"),
        ("{'descr': '<c8', 'fortran_order': False, 'shape': (1, 3)}", "expected v .* got .*complex64"),
        ("__import__('os').getcwd()", "expected to be an .npz of plain arrays v, uv and f"),
    ],
)
def test_arrays_are_not_made_larger_than_the_file_holds(tmp_path: Path, header: str, says: str) -> None:
    file = tmp_path / "mine.npz"
    claiming(file, header, bytes(36))
    with pytest.raises(ValueError, match=rf"mine\.npz.*{says}"):
        load_mesh(file)


def test_what_unpacks_to_more_than_a_mesh_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.npz"
    np.savez_compressed(file, v=np.zeros((10**6, 3)), uv=np.zeros((10**6, 2)), f=np.zeros((1, 3), int))
    assert file.stat().st_size < 10**5
    monkeypatch.setattr("dip_lessons.mesh.mesh.LARGEST", 10**6)
    with pytest.raises(ValueError, match="its arrays have 40000.* bytes; a mesh has 1000000 at most"):
        load_mesh(file)


def test_files_that_are_no_archive(tmp_path: Path) -> None:
    whole = io.BytesIO()
    np.savez(whole, v=np.eye(3), uv=np.eye(3)[:, :2], f=np.array([[0, 1, 2]]))
    plain = io.BytesIO()
    np.save(plain, np.eye(3))
    for data in (
        b"",
        b"text",
        plain.getvalue(),
        whole.getvalue()[:-60],
        whole.getvalue().replace(b"NUMPY", b"NUMPX"),
    ):
        (tmp_path / "mine.npz").write_bytes(data)
        with pytest.raises(
            ValueError, match=r"mine\.npz was expected to be an \.npz of plain arrays v, uv and f"
        ):
            load_mesh(tmp_path / "mine.npz")


def test_a_copy_on_another_device_is_made_once() -> None:
    mesh = torus(4, 4)
    assert mesh.to(None) is mesh.to("cpu") is mesh.to(torch.device("cpu")) is mesh
    elsewhere = mesh.to("cpu:0")  # for torch another place than "cpu"
    assert elsewhere is not mesh
    assert elsewhere is mesh.to("cpu:0") is mesh.to(torch.device("cpu:0"))
    assert all(torch.equal(*parts) for parts in zip(mesh.parts(), elsewhere.parts(), strict=True))
    normals = mesh.normals
    for again in (copy.deepcopy(mesh), pickle.loads(pickle.dumps(mesh))):
        assert (again.name, again.repairs) == (mesh.name, mesh.repairs)
        for mine, theirs in zip((*mesh.parts(), normals), (*again.parts(), again.normals), strict=True):
            assert torch.equal(mine, theirs)


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(
        assets.UnknownAssetError, match=r"'teapott' is neither a mesh .* \(teapot, suzanne, bunny\)"
    ):
        load_mesh("teapott")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"vertices": torch.zeros(3, 2)}, r"vertices must have shape \(n, 3\)"),
        ({"faces": torch.tensor([[0, 1, 3]])}, r"faces must lie from 0 to 2; got 0 to 3"),
        ({"uv_faces": torch.tensor([[0, -1, 2]])}, r"uv_faces must lie from 0 to 2; got -1 to 2"),
        ({"uv": torch.full((3, 2), math.inf)}, "must be finite"),
        ({"uv_faces": torch.zeros(2, 3, dtype=torch.long)}, "1 faces but 2 faces of the texture"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changed: dict, says: str) -> None:
    index = torch.tensor([[0, 1, 2]])
    parts = {"vertices": torch.eye(3), "faces": index, "uv": torch.eye(3)[:, :2], "uv_faces": index}
    with pytest.raises(ValueError, match=says):
        Mesh(**{**parts, **changed})


# --- exported ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["teapot", "suzanne"])
def test_trimesh_reads_an_exported_mesh_back_with_its_texture(tmp_path: Path, name: str) -> None:
    trimesh = pytest.importorskip("trimesh")
    mesh = load_mesh(name)
    texture = torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    file = save_mesh(texture, mesh, tmp_path / "my pot.obj")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["my_pot.mtl", "my_pot.obj", "my_pot.png"]
    read = trimesh.load(file, process=False, force="mesh")
    assert len(read.faces) == len(mesh.faces)
    np.testing.assert_allclose(read.triangles, mesh.vertices[mesh.faces], atol=1e-6)
    np.testing.assert_allclose(read.visual.uv[read.faces], mesh.uv[mesh.uv_faces], atol=1e-6)
    lines = [line.split() for line in file.read_text("utf-8").splitlines()]  # trimesh makes its own normals
    normals = np.array([line[1:] for line in lines if line[0] == "vn"], float)
    np.testing.assert_allclose(normals, mesh.normals, atol=1e-6)
    assert all(c.split("/")[2] == c.split("/")[0] for line in lines if line[0] == "f" for c in line[1:])
    picture = np.asarray(read.visual.material.image.convert("RGB"))
    covered = coverage(mesh, (64, 48)).numpy()
    expected = (texture[0].permute(1, 2, 0).numpy() * 255).round()
    np.testing.assert_array_equal(picture[covered], expected[covered])
    filled = dilate(texture, coverage(mesh, (64, 48)))[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(picture, (filled * 255).round())
    assert 0.3 < covered.mean() < 0.95


def test_an_exported_mesh_is_loaded_again(tmp_path: Path) -> None:
    mesh = torus(8, 8)
    again = load_mesh(save_mesh(torch.full((3, 8, 8), 0.5), mesh, tmp_path / "ring.obj"))
    torch.testing.assert_close(again.vertices[again.faces], mesh.vertices[mesh.faces], atol=1e-6, rtol=0)
    assert torch.equal(again.uv[again.uv_faces], mesh.uv[mesh.uv_faces])
    assert Image.open(tmp_path / "ring.png").getpixel((0, 0)) == (128, 128, 128)


def test_what_is_no_texture_is_not_exported(tmp_path: Path) -> None:
    for texture in (torch.zeros(1, 4, 8, 8), torch.zeros(2, 3, 8, 8), torch.full((3, 4, 4), math.nan)):
        with pytest.raises(ValueError, match="a texture is finite and has shape"):
            save_mesh(texture, torus(3, 3), tmp_path / "x.obj")
    assert not list(tmp_path.iterdir())


def exported(name: str, folder: Path, grey: float = 0.5) -> Path:
    return save_mesh(torch.full((3, 8, 8), grey), torus(4, 4), folder / name)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("ring_0.05", "ring_0.05.obj"),
        ("ring_0.5", "ring_0.5.obj"),
        ("v1.2.obj", "v1.2.obj"),
        ("v1.2", "v1.2.obj"),
        ("ring.OBJ", "ring.obj"),
        ("my ring\t2.final", "my_ring_2.final.obj"),
        ("größe", "größe.obj"),
        ("ring.obj.obj", "ring.obj.obj"),
        (".obj", ".obj.obj"),
        ("lr=1e-3.step 100", "lr=1e-3.step_100.obj"),
    ],
)
def test_dots_are_part_of_a_name(tmp_path: Path, name: str, written: str) -> None:
    file = exported(name, tmp_path)
    assert file == tmp_path / written
    stem = written.removesuffix(".obj")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        stem + end for end in (".mtl", ".obj", ".png")
    )
    assert file.read_text("utf-8").splitlines()[0] == f"mtllib {stem}.mtl"
    assert f"map_Kd {stem}.png" in (tmp_path / f"{stem}.mtl").read_text("utf-8").splitlines()
    assert load_mesh(file).name == stem


@pytest.mark.parametrize("name", ["ring.ply", "ring.STL", "ring.gltf", "ring.png", "v0.5.fbx", "ring.npz"])
def test_other_formats_are_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"as \.obj, .* or as \.glb; got '{re.escape(name)}'"):
        exported(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ["glb", "ply", "stl"])
def test_a_file_of_another_format_is_refused_by_its_name(ending: str, tmp_path: Path) -> None:
    trimesh = pytest.importorskip("trimesh")
    trimesh.creation.box().export(tmp_path / f"box.{ending}")
    with pytest.raises(ValueError, match=rf"read from .obj, or .npz; write this .{ending} as .obj first"):
        load_mesh(tmp_path / f"box.{ending}")


@pytest.mark.parametrize("theirs", [["photo.png"], ["photo.mtl"], ["photo.obj", "photo.mtl", "photo.png"]])
def test_pictures_and_materials_of_others_stay(tmp_path: Path, theirs: list[str]) -> None:
    for name in theirs:
        (tmp_path / name).write_text("theirs")
    with pytest.raises(
        FileExistsError, match=r"photo\.(png|mtl) is there already and is not of an earlier export"
    ):
        exported("photo.obj", tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(theirs)
    assert all((tmp_path / name).read_text() == "theirs" for name in theirs)


def test_an_earlier_export_is_written_anew(tmp_path: Path) -> None:
    for grey in (0.2, 0.6):
        exported("ring", tmp_path, grey)
        assert Image.open(tmp_path / "ring.png").getpixel((3, 3)) == (round(grey * 255),) * 3
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("name", ["teapot", "torus"])
def test_trimesh_reads_an_exported_glb_back_with_its_texture(tmp_path: Path, name: str) -> None:
    trimesh = pytest.importorskip("trimesh")
    mesh = torus(12, 8) if name == "torus" else load_mesh(name)
    texture = torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    file = save_mesh(texture, mesh, tmp_path / "my pot_0.5.glb")
    assert [p.name for p in tmp_path.iterdir()] == ["my_pot_0.5.glb"]
    assert file.read_bytes()[:4] == b"glTF"
    (read,) = trimesh.load(file, process=False).geometry.values()
    np.testing.assert_allclose(read.triangles, mesh.vertices[mesh.faces], atol=1e-6)
    np.testing.assert_allclose(read.visual.uv[read.faces], mesh.uv[mesh.uv_faces], atol=1e-6)
    np.testing.assert_allclose(read.vertex_normals[read.faces], mesh.normals[mesh.faces], atol=1e-5)
    expected = dilate(texture, coverage(mesh, (64, 48)))[0].permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(
        read.visual.material.baseColorTexture.convert("RGB"), (expected * 255).round()
    )


def test_without_trimesh_a_glb_is_refused_and_an_obj_is_written(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['trimesh'] = None\n"
        "import torch; from dip_lessons.mesh import save_mesh, torus\n"
        "for name in ('ring.obj', 'ring.glb'): save_mesh(torch.zeros(3, 8, 8), torus(4, 4), name)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "ImportError: a .glb is written by the package trimesh: run pip install trimesh" in ran.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ring.mtl", "ring.obj", "ring.png"]
