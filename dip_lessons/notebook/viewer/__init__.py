"""Panoramas and meshes to turn by hand, in the notebook: a picture, and over it, where scripts run, a small page.

The page needs no network, no server and no kernel, and draws by itself what ``look_around`` and ``render`` draw. It
lives in an <iframe>: JupyterLab, Notebook, Colab and exported HTML show it; where frames are forbidden (GitHub, a
notebook that is not trusted) the picture below it stays.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from ...mesh.mesh import Mesh, as_mesh
from ...mesh.raster import Camera
from ...mesh.views import LIGHT, render
from ...pictures import to_pil
from ...sphere.panorama import look_around
from ..display import present, say_caption

DISTANCE = 13.0  # of the camera from a mesh: where it holds the cube from −1 to 1 at 10°


def view_panorama(
    image: Tensor,
    *,
    caption: str = "",
    yaw: float = 0.0,
    pitch: float = 0.0,
    fov: float = 90.0,
    size: tuple[int, int] = (320, 480),
    side: int = 1024,
    quality: int = 80,
) -> None:
    """Display a panorama to look around in: drag it, or turn with the arrow keys; zoom with the wheel, + and −.

    Args:
        image: equirectangular, (C, H, W) or (1, C, H, W) in [0, 1], C = 3 or 1.
        caption: what was varied, with seed and number of steps.
        yaw, pitch: where the first look goes, in degrees; see :func:`look_around`.
        fov: the horizontal field of view, in degrees, from 30 to 120.
        size: (height, width) of the view on the page, in pixels.
        side: wider panoramas are reduced to this width: it is stored in the notebook.
        quality: of the JPEG, 1 to 95.

    Raises ValueError for what is no panorama, and for a field of view out of range.

    >>> dip.view_panorama(dip.SphericalHarmonics(32)(), size=(48, 64))  # in a notebook: drag it
    A panorama to turn, shown in a notebook.
    """
    image = _one(image, "a panorama")
    if not 30 <= fov <= 120:
        raise ValueError(f"fov must lie between 30 and 120 degrees; got {fov!r}")
    still = look_around(image, yaw=yaw, pitch=pitch, fov=fov, size=size)[0]
    picture = to_pil(image[0]).convert("RGB")
    width = 2 * (min(picture.width, side) // 2)  # an even number, for what lies half a turn away
    if width != picture.width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    scene = {
        "start": {"yaw": yaw, "pitch": pitch, "fov": fov},
        "fov": [30, 120],
        "label": caption or "a panorama: turn with the arrow keys, zoom with + and −",
        "picture": _data_uri(picture, quality),
    }
    _display("panorama", scene, still, quality, caption)


def view_mesh(
    image: Tensor,
    mesh: Mesh | str,
    *,
    caption: str = "",
    yaw: float = 20.0,
    pitch: float = 20.0,
    fovy: float = 10.0,
    shading: float = 0.4,
    size: tuple[int, int] = (360, 480),
    side: int = 512,
    quality: int = 85,
) -> None:
    """Display a textured mesh to turn by hand: drag it, or use the arrow keys; zoom with the wheel, + and −.

    Args:
        image: the texture, (3, H, W) or (1, 3, H, W) in [0, 1].
        mesh: what it is painted on, or the name of one of the course's; its geometry is stored in the notebook,
            about 10 bytes for each face.
        caption: what was varied, with seed and number of steps.
        yaw, pitch: of the first camera, in degrees: around the y axis, and above the horizon.
        fovy: the camera's vertical angle, in degrees, from 3 to 30.
        shading: 0 shows the texture's colours, 1 those of a matt surface; see :func:`mesh_views`.
        size: (height, width) of the view on the page, in pixels.
        side: larger textures are reduced to this side: they are stored in the notebook.
        quality: of the JPEG, 1 to 95.

    Raises ValueError for what is no texture, and for numbers out of range.

    >>> from dip_lessons.mesh.mesh import torus
    >>> dip.view_mesh(torch.full((3, 16, 16), 0.5), torus(8, 8), size=(48, 64))  # in a notebook: turn it
    A mesh to turn, shown in a notebook.
    """
    image = _one(image, "a texture")
    if not 3 <= fovy <= 30:
        raise ValueError(f"fovy must lie between 3 and 30 degrees; got {fovy!r}")
    mesh = as_mesh(mesh)
    phi, rise = math.radians(yaw), math.radians(pitch)
    eye = (math.cos(rise) * math.sin(phi), math.sin(rise), math.cos(rise) * math.cos(phi))
    camera = Camera((DISTANCE * eye[0], DISTANCE * eye[1], DISTANCE * eye[2]), fovy=fovy)
    still = render(image, mesh, camera, size=size, shading=shading)[0]
    picture = to_pil(image[0]).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    scene = {
        "start": {"yaw": yaw, "pitch": pitch, "fov": fovy},
        "fov": [3, 30],
        "label": caption or "a mesh: turn with the arrow keys, zoom with + and −",
        "picture": _data_uri(picture, quality),
        "distance": DISTANCE,
        "shading": shading,
        "light": F.normalize(torch.tensor(LIGHT, dtype=torch.float64), dim=0).tolist(),
        **_geometry(mesh),
    }
    _display("mesh", scene, still, quality, caption)


def _geometry(mesh: Mesh) -> dict[str, object]:
    """Vertices, one for each pair of place and texture coordinate that occurs, and faces, in 16 bits and deflated."""
    pairs = torch.stack([mesh.faces, mesh.uv_faces], dim=-1).reshape(-1, 2).cpu().numpy()
    found, first, corner = np.unique(pairs, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # by first use, so that the corners of a face are near each other in the list
    rank = np.argsort(order)
    corners = rank[corner.reshape(-1)].astype("<i4")
    vertex, texel = found[order].T
    places, spread = _in_16_bits(mesh.vertices.cpu().numpy()[vertex])
    uv, uv_spread = _in_16_bits(mesh.uv.cpu().numpy()[texel])
    normals = (mesh.normals.cpu().numpy()[vertex] * 127).round().astype("i1")
    steps = np.diff(corners, prepend=np.int32(0)).astype("<i4")
    data = b"".join(part.tobytes() for part in (places, normals, uv, steps))
    return {
        "vertices": len(vertex),
        "faces": len(mesh.faces),
        "range": spread,
        "uvRange": uv_spread,
        "geometry": base64.b64encode(zlib.compress(data, 9)).decode(),
    }


def _in_16_bits(values: np.ndarray) -> tuple[np.ndarray, list[float]]:
    low, high = float(values.min()), float(values.max())
    return ((values - low) / max(high - low, 1e-30) * 65535).round().astype("<u2"), [low, high]


def _one(image: Tensor, what: str) -> Tensor:
    """The picture as (1, C, H, W), detached."""
    if isinstance(image, Tensor) and image.ndim == 3:
        image = image[None]
    if not isinstance(image, Tensor) or image.ndim != 4 or len(image) != 1 or image.shape[1] not in (1, 3):
        got = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
        raise ValueError(
            f"{what} to turn is one picture, (3, H, W) or (1, 3, H, W); got {got}: take image[i:i+1]"
        )
    return image.detach().float()


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _data_uri(picture: Image.Image, quality: int) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(_jpeg(picture, quality)).decode()


@cache
def _file(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def page(kind: str, scene: Mapping[str, object]) -> str:
    """The page that draws a scene: HTML that needs nothing else."""
    call = f"{kind}({json.dumps(scene)});".replace("<", "\\u003c")  # no text may end, or open, a script
    return _file("page.html").replace("SCRIPTS", "\n".join([_file("turn.js"), _file(f"{kind}.js"), call]))


def _display(kind: str, scene: Mapping[str, object], still: Tensor, quality: int, caption: str) -> None:
    jpeg = _jpeg(to_pil(still).convert("RGB"), quality)
    height, width = still.shape[-2:]
    label = html.escape(str(scene["label"]))
    picture = base64.b64encode(jpeg).decode()
    frame = (
        f'<div style="position:relative;width:{width}px;max-width:100%;aspect-ratio:{width}/{height}">'
        f'<img src="data:image/jpeg;base64,{picture}" alt="{label}" style="width:100%">'
        f'<iframe title="{label}" sandbox="allow-scripts" srcdoc="{html.escape(page(kind, scene))}" '
        'style="position:absolute;left:0;top:0;width:100%;height:100%;border:0"></iframe></div>'
    )
    bundle = {"text/html": frame, "image/jpeg": picture, "text/plain": f"<{kind} to turn>"}
    present(bundle, f"A {kind} to turn, shown in a notebook.", raw=True)
    say_caption(caption)
