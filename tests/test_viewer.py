"""Viewers: what the page draws by itself is what look_around and render draw."""

from __future__ import annotations

import base64
import html
import io
import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from panel import in_a_notebook
from PIL import Image

import dip_lessons.notebook.viewer as viewer
from dip_lessons.mesh.mesh import load_mesh, torus
from dip_lessons.mesh.raster import Camera
from dip_lessons.mesh.views import render
from dip_lessons.sphere.panorama import look_around

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium. Where it is installed, CI must run these tests: there playwright may not be missing."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    if not os.environ.get("CI"):
        pytest.importorskip("playwright", reason="playwright is not installed: pip install playwright")
    from playwright import sync_api

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def shown(monkeypatch) -> list[dict[str, str]]:
    """What was displayed, as bundles of MIME types."""
    displayed = in_a_notebook(monkeypatch)
    monkeypatch.setattr(
        viewer, "say_caption", lambda text: displayed.append({"caption": text} if text else {})
    )
    return displayed


def picture(height: int, width: int) -> torch.Tensor:
    """A smooth picture that is the same nowhere, and goes on over the borders left and right."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.arange(width) / width, indexing="ij")
    waves = [(2 * torch.pi * (x * k + y * (3 - k))).sin() * (3.1 * y + k).cos() for k in (1, 2, 3)]
    return (0.5 + 0.4 * torch.stack(waves))[None]


def stored(uri: str) -> torch.Tensor:
    """The picture behind a data URI, as the page gets it."""
    image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None] / 255


class Seen:
    """The page inside the frame that a viewer displayed, opened in the browser."""

    def __init__(self, browser: Any, bundle: dict[str, str]) -> None:
        (source,) = re.findall(r'srcdoc="([^"]*)"', bundle["text/html"])
        self.source = html.unescape(source)
        width, height = map(int, re.findall(r"aspect-ratio:(\d+)/(\d+)", bundle["text/html"])[0])
        self.page = browser.new_page(viewport={"width": width, "height": height})
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.set_content(self.source)
        self.rested()

    def rested(self) -> None:
        """Wait until it is drawn with two by two samples a pixel."""
        self.page.wait_for_selector("canvas[data-state=rests]")

    def image(self) -> torch.Tensor:
        """(3, h, w): the samples averaged, as a screen shows them."""
        width, height, data = self.page.evaluate(
            "() => { const c = document.querySelector('canvas'); return [c.width, c.height, "
            "Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)] }"
        )
        pixels = torch.tensor(data, dtype=torch.float32).view(height, width, 4)[..., :3] / 255
        return torch.nn.functional.avg_pool2d(pixels.permute(2, 0, 1)[None], 2)[0]

    def drag(self, right: float, down: float) -> None:
        self.page.mouse.move(50, 40)
        self.page.mouse.down()
        self.page.mouse.move(50 + right, 40 + down, steps=4)
        self.page.mouse.up()
        self.rested()


def largest(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).abs().max())


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (180, 10), (-37, 84), (120, -90)])
def test_the_page_shows_what_look_around_shows(browser, shown, yaw, pitch):
    viewer.view_panorama(picture(64, 128), yaw=yaw, pitch=pitch, fov=75, size=(60, 90), quality=95)
    seen = Seen(browser, shown[0])
    (uri,) = re.findall(r'"picture": "([^"]+)"', seen.source)
    expected = look_around(stored(uri), yaw=yaw, pitch=pitch, fov=75, size=(120, 180))
    expected = torch.nn.functional.avg_pool2d(expected, 2)[0]
    assert largest(seen.image(), expected) < 1.6 / 255  # two roundings to bytes
    assert seen.errors == []


def test_dragging_turns_the_camera_against_the_drag_and_keys_turn_and_zoom(browser, shown):
    viewer.view_panorama(picture(64, 128), fov=90, size=(60, 90), quality=95)
    seen = Seen(browser, shown[0])
    (uri,) = re.findall(r'"picture": "([^"]+)"', seen.source)

    def expected(**angles):
        return torch.nn.functional.avg_pool2d(look_around(stored(uri), size=(120, 180), **angles), 2)[0]

    seen.drag(-30, 10)  # a third of 90° to the right, a ninth upwards
    assert largest(seen.image(), expected(yaw=30, pitch=10)) < 1.6 / 255
    seen.page.locator("canvas").focus()
    seen.page.keyboard.press("ArrowRight")
    seen.page.keyboard.press("+")
    seen.rested()
    assert largest(seen.image(), expected(yaw=37.5, pitch=10, fov=90 / 1.1)) < 1.6 / 255


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (200, 35), (90, -90)])
def test_the_page_shows_what_render_shows(browser, shown, yaw, pitch):
    body = torus(24, 12)
    viewer.view_mesh(picture(64, 64), body, yaw=yaw, pitch=pitch, shading=0, size=(90, 90), quality=95)
    seen = Seen(browser, shown[0])
    (uri,) = re.findall(r'"picture": "([^"]+)"', seen.source)
    phi, rise = np.radians([yaw, pitch])
    eye = 13 * np.array([np.cos(rise) * np.sin(phi), np.sin(rise), np.cos(rise) * np.cos(phi)])
    up = (
        (0.0, 1.0, 0.0)
        if abs(pitch) < 90
        else (-np.sin(rise) * np.sin(phi), 0.0, -np.sin(rise) * np.cos(phi))
    )
    expected = render(stored(uri), body, Camera(tuple(eye), up=up), size=90, supersample=2)[0]
    difference = (seen.image() - expected).abs().amax(dim=0)
    # Places in 16 bits: along the outline a sample may fall on the other side.
    assert (difference > 2.5 / 255).float().mean() < 0.01
    assert difference.median() < 1.6 / 255
    assert seen.errors == []


def test_a_mesh_is_lit_as_render_lights_it(browser, shown):
    body = load_mesh("teapot")
    viewer.view_mesh(torch.full((1, 3, 8, 8), 0.8), body, shading=0.6, yaw=20, pitch=20, size=(120, 160))
    seen = Seen(browser, shown[0]).image()
    still = np.array(Image.open(io.BytesIO(base64.b64decode(shown[0]["image/jpeg"]))).convert("RGB"))
    expected = torch.from_numpy(still).permute(2, 0, 1) / 255
    inside = (expected < 0.9).all(dim=0)
    assert inside.float().mean() > 0.1
    assert (seen - expected)[:, inside].abs().mean() < 0.015  # normals in 8 bits, a JPEG
    seen_dark, dark = (x[:, inside].quantile(0.05) for x in (seen, expected))
    assert abs(float(seen_dark - dark)) < 0.03


def test_a_bundle_has_a_picture_for_front_ends_without_frames_and_is_small(shown):
    viewer.view_mesh(picture(512, 512), "suzanne", caption="Suzanne")
    bundle, caption = shown
    assert caption == {"caption": "Suzanne"}
    assert bundle["text/plain"] == "<mesh to turn>"
    assert len(bundle["text/html"]) < 450_000  # 14,842 faces
    (uri,) = re.findall(r'<img src="([^"]+)" alt="Suzanne"', bundle["text/html"])
    assert uri.split(",")[1] == bundle["image/jpeg"]
    assert stored(uri).shape == (1, 3, 360, 480)
    assert "http" not in html.unescape(bundle["text/html"]), "the page must need no network"


def test_captions_cannot_break_out_of_the_page(shown):
    caption = 'a "quoted" </script><script>alert(1)</script> & more <!--<script>'
    viewer.view_panorama(picture(16, 32), caption=caption)
    frame = shown[0]["text/html"]
    assert "<script>" not in frame
    (source,) = re.findall(r'srcdoc="([^"]*)"', frame)
    assert html.unescape(source).count("</script>") == 1
    assert "<!--<script>" not in html.unescape(source)


def test_wide_panoramas_and_large_textures_are_reduced(shown):
    viewer.view_panorama(picture(300, 601), side=200)
    viewer.view_mesh(picture(300, 600), torus(8, 8), side=128)
    sizes = []
    for bundle in shown[::2]:
        (uri,) = re.findall(r"&quot;picture&quot;: &quot;([^&]+)&quot;", bundle["text/html"])
        sizes.append(tuple(stored(uri).shape[-2:]))
    assert sizes == [(100, 200), (64, 128)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: viewer.view_panorama(picture(16, 32).repeat(2, 1, 1, 1)), r"take image\[i:i\+1\]"),
        (lambda: viewer.view_panorama(torch.zeros(1, 4, 16, 32)), "one picture"),
        (lambda: viewer.view_panorama(picture(16, 32), fov=150), "between 30 and 120"),
        (lambda: viewer.view_mesh(picture(16, 16), torus(8, 8), fovy=90), "between 3 and 30"),
        (lambda: viewer.view_mesh(picture(16, 16), torus(8, 8), size=(0, 5)), "in pixels"),
        (lambda: viewer.view_mesh(torch.full((1, 3, 8, 8), torch.nan), torus(8, 8)), "NaN"),
    ],
)
def test_bad_input_is_refused_in_words(shown, call, message):
    with pytest.raises(ValueError, match=message):
        call()
    assert shown == []
