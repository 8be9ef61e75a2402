"""Splats and strokes against sums in float64, closed forms, finite differences, and what a browser draws."""

from __future__ import annotations

import io
import math
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import dip_lessons as dip
from dip_lessons.parameterizations.color import BASIS
from dip_lessons.parameterizations.strokes import nearest
from dip_lessons.parameterizations.tiles import TILE, assembled, centres, grid, offsets, overlaps, stacks

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
Picture = dip.Splats | dip.Strokes


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stirred(picture: Picture, amount: float = 0.5, seed: int = 1) -> Picture:
    """As after some steps."""
    with torch.no_grad():
        for p in picture.parameters():
            p += amount * torch.randn(p.shape, generator=seeded(seed))
    return picture


def numbers(p: Tensor) -> np.ndarray:
    return p.detach().double().numpy()


def pixels(size: tuple[int, int]) -> np.ndarray:
    """The middle of every pixel, (H, W, 2), as x and y."""
    return np.stack(np.meshgrid(np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5), axis=-1)


def psnr(a: Tensor, b: Tensor) -> float:
    return -10 * (a - b).square().mean().log10().item()


# --- tiles ------------------------------------------------------------------------------------------------


def test_a_box_is_paired_with_the_tiles_that_it_touches() -> None:
    size = (20, 37)
    rows, columns = grid(size)
    low = 60 * torch.rand(2, 9, 2, generator=seeded(0)) - 15
    high = low + 20 * torch.rand(2, 9, 2, generator=seeded(1))
    found = set(zip(*(part.tolist() for part in overlaps(low, high, size)), strict=True))
    expected = set()
    for b in range(2):
        for n in range(9):
            (x0, y0), (x1, y1) = low[b, n].tolist(), high[b, n].tolist()
            for i in range(rows):
                for j in range(columns):
                    if x0 < (j + 1) * TILE and x1 >= j * TILE and y0 < (i + 1) * TILE and y1 >= i * TILE:
                        expected.add((b * 9 + n, (b * rows + i) * columns + j))
    assert found == expected != set()


def test_tiles_are_put_together_where_their_pixels_are() -> None:
    size = (11, 21)
    rows, columns = grid(size)
    tile = torch.arange(2 * rows * columns)
    at = centres(tile, size, torch.zeros(1))[:, :, None] + offsets(torch.zeros(1))
    for picture in assembled(at, 2, size).double().numpy():
        np.testing.assert_array_equal(picture, pixels(size).transpose(2, 0, 1))


def test_a_stack_has_the_last_pair_first() -> None:
    assert stacks(torch.tensor([1, 1, 1, 2]), 4).tolist() == [[4, 4, 4], [2, 1, 0], [3, 4, 4], [4, 4, 4]]
    assert stacks(torch.zeros(0, dtype=torch.int64), 2).tolist() == [[0], [0]]


# --- splats -----------------------------------------------------------------------------------------------


def summed(picture: dip.Splats, size: tuple[int, int]) -> np.ndarray:
    """The picture before the sigmoid as its definition says, splat by splat: (B, 3, H, W)."""
    z = np.zeros((picture.batch, *size, 3))
    scale = np.array([size[1] / picture.size[1], size[0] / picture.size[0]])
    for b in range(picture.batch):
        for position, (l1, l2, l3), color in zip(
            *(numbers(p[b]) for p in (picture.position, picture.cholesky, picture.color)), strict=True
        ):
            mean = (position * picture.unit + np.array(picture.size[::-1]) / 2) * scale
            factor = np.diag(scale) @ np.array([[l1, 0], [l2, l3]]) * picture.unit
            precision = np.linalg.inv(factor @ factor.T + 0.25 * np.eye(2))
            d = pixels(size) - mean
            z[b] += np.exp(-0.5 * np.einsum("hwi,ij,hwj->hw", d, precision, d))[..., None] * color
    return z.transpose(0, 3, 1, 2)


@pytest.mark.parametrize(("size", "at"), [((24, 33), None), ((33, 9), None), ((24, 32), (40, 25))])
def test_splats_are_their_sum(size: tuple[int, int], at: tuple[int, int] | None) -> None:
    picture = stirred(dip.Splats(size, count=25, batch=2, generator=seeded(3)))
    z = picture.raw(at)
    expected = summed(picture, at or size)
    # beyond 3.5 standard deviations of a side a splat is left out: e^(-3.5²/2) of its colour at most
    left_out = math.exp(-(3.5**2) / 2) * picture.color.detach().abs().sum(1).max().item()
    assert np.abs(numbers(z) - expected).max() < left_out
    assert np.abs(numbers(z) - expected).mean() < 0.02 * left_out
    rgb = np.einsum("rc,bchw->brhw", numbers(BASIS), expected)
    np.testing.assert_allclose(numbers(picture(at)), 1 / (1 + np.exp(-rgb)), atol=left_out / 2)


def test_one_splat_is_exact_inside_its_window() -> None:
    picture = dip.Splats(16, count=1)
    with torch.no_grad():
        picture.position.zero_()
        picture.cholesky.copy_(torch.tensor([0.3, 0.2, 0.1]))
        picture.color.copy_(torch.tensor([1.0, -2.0, 0.5]))
    np.testing.assert_allclose(
        numbers(picture.raw())[..., 4:12, 4:12], summed(picture, (16, 16))[..., 4:12, 4:12], atol=1e-5
    )
    assert sum(p.numel() for p in picture.parameters()) == 8


def test_a_splat_is_never_singular_whatever_its_numbers_are() -> None:
    """No width, no end of width, a needle across, one far outside: finite, and so are the gradients."""
    picture = dip.Splats((20, 30), count=5)
    with torch.no_grad():
        picture.cholesky.copy_(
            torch.tensor([[0, 0, 0], [1e20, 1e20, 1e20], [1e4, 1e4, 0], [0, -99, 0], [1, 0, 1]])
        )
        picture.position[0, 4] = 1e6
    image = picture()
    assert image.isfinite().all()
    gradients = torch.autograd.grad(image.square().sum(), list(picture.parameters()))
    assert all(g.isfinite().all() for g in gradients)
    assert not gradients[0][0, 4].any()  # outside: nothing draws it back
    with torch.no_grad():
        picture.position.fill_(1e6)
    assert torch.equal(picture(), torch.full((1, 3, 20, 30), 0.5))


def test_densify_moves_the_weakest_to_the_error_and_nothing_else() -> None:
    picture = dip.Splats(32, count=50, batch=2, sd=1.0)
    target = picture().detach()
    target[:, :, 20:28, 4:12] = 0.9
    before = picture.position.detach().clone()
    lost = (picture() - target).square().sum().item()
    with torch.no_grad():
        picture.color[:, :5] = 0.0  # the weakest
    picture.densify(target, share=0.1)
    moved = (picture.position != before).any(-1)
    assert moved.sum(1).tolist() == [5, 5]
    assert moved[:, :5].all()
    x, y = (picture.gaussians()[0][moved]).unbind(-1)
    inside = (x > 4) & (x < 12) & (y > 20) & (y < 28)
    assert inside.float().mean() >= 0.8
    assert (picture.fit(target, steps=30)() - target).square().sum() < 0.5 * lost
    again = dip.Splats(32, count=50, batch=2, sd=1.0)
    with torch.no_grad():
        again.color[:, :5] = 0.0
    assert torch.equal(again.densify(target, share=0.1).fit(target, steps=30)(), picture())


def test_a_photograph_is_fitted_better_with_densification() -> None:
    photo = dip.assets.picture("coffee", (48, 64))
    with_it = dip.Splats((48, 64), count=150).set_image(photo)
    without = dip.Parameterization.fit(dip.Splats((48, 64), count=150), photo, steps=300)
    assert psnr(with_it(), photo) > psnr(without(), photo) > 20


# --- strokes ----------------------------------------------------------------------------------------------


def curve(points: np.ndarray, t: np.ndarray) -> np.ndarray:
    """A Bézier curve by de Casteljau's construction, (T, 2)."""
    level = [np.broadcast_to(p, (len(t), 2)) for p in points]
    while len(level) > 1:
        level = [a + t[:, None] * (b - a) for a, b in zip(level, level[1:], strict=False)]
    return level[0]


def painted(picture: dip.Strokes, size: tuple[int, int]) -> np.ndarray:
    """The strokes one over the other in float64, each pixel's distance from 2,000 points of the curve."""
    parts = [numbers(part) for part in picture.strokes(size)]
    image = np.full((picture.batch, *size, 3), picture.paper)
    for b in range(picture.batch):
        for points, r, color, opacity in zip(*(part[b] for part in parts), strict=True):
            d = pixels(size)[:, :, None] - curve(points, np.linspace(0, 1, 2000))
            distance = np.sqrt((d**2).sum(-1).min(-1))
            alpha = opacity / (1 + np.exp((distance - r) / picture.softness))
            image[b] += alpha[..., None] * (color - image[b])
    return image.transpose(0, 3, 1, 2)


@pytest.mark.parametrize(("size", "at"), [((24, 33), None), ((33, 9), None), ((24, 32), (36, 26))])
def test_strokes_are_painted_one_over_the_other(size: tuple[int, int], at: tuple[int, int] | None) -> None:
    picture = stirred(dip.Strokes(size, count=6, batch=2, length=2.0, generator=seeded(4)), 0.2)
    off = np.abs(numbers(picture(at)) - painted(picture, at or size))
    assert off.max() < 0.05  # where the two nearest points of a bend are as far
    assert off.mean() < 1e-4


def test_a_straight_stroke_is_covered_as_the_distance_from_a_segment_says() -> None:
    size, start, end = (24, 40), np.array([8.0, 6.0]), np.array([30.0, 17.0])
    picture = dip.Strokes(size, count=1, softness=0.4, paper=1.0)
    at = np.linspace(0, 1, 4)[:, None]
    with torch.no_grad():
        points = torch.tensor(start + at * (end - start) - np.array([20, 12]), dtype=torch.float32)
        picture.points.copy_(points / picture.unit)
    _, r, color, opacity = (numbers(part)[0, 0] for part in picture.strokes())
    d = pixels(size) - start
    along = np.clip(d @ (end - start) / ((end - start) ** 2).sum(), 0, 1)
    distance = np.linalg.norm(d - along[..., None] * (end - start), axis=-1)
    alpha = opacity / (1 + np.exp((distance - r) / 0.4))[..., None]
    expected = alpha * color + (1 - alpha) * 1.0
    np.testing.assert_allclose(numbers(picture())[0].transpose(1, 2, 0), expected, atol=2e-3)


def test_the_nearest_point_of_a_curve() -> None:
    points = 30 * torch.rand(20, 4, 2, generator=seeded(2))
    at = 30 * torch.rand(2, 64, generator=seeded(3))
    t = numbers(nearest(points, at))
    for k in range(20):
        ours = np.linalg.norm(curve(numbers(points[k]), t[k]) - numbers(at).T, axis=-1)
        every = curve(numbers(points[k]), np.linspace(0, 1, 4000))
        best = np.linalg.norm(every[:, None] - numbers(at).T, axis=-1).min(0)
        assert (ours > best - 0.01).all()
        assert np.median(ours - best) < 0.01
        assert (ours - best).max() < 1.0


def test_the_last_stroke_is_uppermost() -> None:
    picture = dip.Strokes(16, count=2, decorrelate=False)
    with torch.no_grad():
        picture.points.zero_()  # both are a dot in the middle
        picture.width.fill_(3.0)
        picture.opacity.fill_(20.0)
        picture.color.copy_(torch.tensor([[[9.0, -9, -9], [-9.0, -9, 9]]]))
    torch.testing.assert_close(picture()[0, :, 8, 8], torch.tensor([0.0, 0.0, 1.0]), atol=2e-3, rtol=0)


def test_strokes_without_length_or_width_and_far_outside_stay_finite() -> None:
    picture = dip.Strokes((20, 30), count=4)
    with torch.no_grad():
        picture.points[0, 0] = 0.5 / picture.unit  # no length, at the middle of a pixel
        picture.width.copy_(torch.tensor([-200.0, 500.0, 0.0, 0.0]))
        picture.opacity.copy_(torch.tensor([200.0, 200.0, -200.0, 0.0]))
        picture.points[0, 3] = 1e6
        picture.softness = 0.0
    image = picture()
    assert image.isfinite().all()
    gradients = torch.autograd.grad(image.square().sum(), list(picture.parameters()))
    assert all(g.isfinite().all() for g in gradients)
    assert picture.strokes()[1].min() == 0.5
    with torch.no_grad():
        picture.points.fill_(1e6)
    assert torch.equal(picture(), torch.ones(1, 3, 20, 30))  # paper


# --- both -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [dip.Splats, dip.Strokes])
def test_gradients_are_finite_differences(kind: type[Picture]) -> None:
    """Along a random direction of each parameter, in float64; strokes bend gently, for at a centre of curvature the
    distance has a kink.
    """
    options = {"softness": 1.0} if kind is dip.Strokes else {"sd": 1.0}
    picture = kind((17, 22), count=6, generator=seeded(5), **options).double()
    weight = torch.rand(1, 3, 17, 22, generator=seeded(6), dtype=torch.float64)
    if isinstance(picture, dip.Strokes):
        with torch.no_grad():
            ahead = torch.arange(4, dtype=torch.float64)[:, None] * picture.points[:, :, :1]
            picture.points.copy_(0.3 * ahead - 0.4 * picture.points[:, :, :1] + 0.05 * picture.points)

    def value() -> Tensor:
        return (picture() * weight).sum()

    for name, p in picture.named_parameters():
        (gradient,) = torch.autograd.grad(value(), [p])
        direction = torch.randn(p.shape, generator=seeded(7), dtype=torch.float64)
        h = 1e-4
        with torch.no_grad():
            p += h * direction
            above = value()
            p -= 2 * h * direction
            below = value()
            p += h * direction
        expected = ((above - below) / (2 * h)).item()
        found = (gradient * direction).sum().item()
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-3), name
        assert abs(expected) > 0.1, name


@pytest.mark.parametrize("kind", [dip.Splats, dip.Strokes])
def test_what_makes_no_sense_is_refused(kind: type[Picture]) -> None:
    for count in (0, -3, 2.5, True):
        with pytest.raises(ValueError, match="count must be a whole number, 1 or more"):
            kind(16, count=count)
    for width in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="width .*must be a number above 0"):
            kind(16, width=width)
    with pytest.raises(ValueError, match="size must be a positive int"):
        kind(0)
    with pytest.raises(ValueError, match="size must be a positive int"):
        kind(16, count=3)(0)


def test_what_makes_no_sense_for_one_of_them_is_refused() -> None:
    with pytest.raises(ValueError, match=r"share must be above 0, and 1 at most; got 1.5"):
        dip.Splats(16, count=3).densify(torch.zeros(1, 3, 16, 16), share=1.5)
    for option in ("length", "softness"):
        with pytest.raises(ValueError, match=f"{option} must be a number above 0; got 0"):
            dip.Strokes(16, **{option: 0})
    with pytest.raises(ValueError, match="paper is a grey from 0"):
        dip.Strokes(16, paper=255)


@pytest.mark.parametrize("kind", [dip.Splats, dip.Strokes])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 8), (3, 40)])
def test_the_smallest_pictures(kind: type[Picture], size: tuple[int, int]) -> None:
    picture = kind(size, count=3)
    gradients = torch.autograd.grad(picture().sum(), list(picture.parameters()))
    assert picture().shape == (1, 3, *size)
    assert all(g.isfinite().all() for g in gradients)


# --- in a browser -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.mark.parametrize(
    "picture",
    [
        lambda: dip.Strokes(224),
        lambda: stirred(dip.Strokes(224, paper=0.2, channels=1)),
        lambda: dip.Splats((224, 160), count=500, sd=1.0),
        lambda: stirred(dip.Splats(224, count=300, sd=0.5, channels=1, batch=2)),
    ],
)
def test_a_browser_draws_the_svg_as_the_picture(browser, picture) -> None:
    picture = picture()
    index = picture.batch - 1
    height, width = picture.size
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_content(f"<body style='margin:0'>{picture.svg(index)}</body>")
    seen = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    page.close()
    seen = torch.tensor(np.array(seen)).permute(2, 0, 1) / 255
    ours = picture()[index].detach().expand(3, -1, -1)
    assert ours.std() > 0.05
    assert psnr(seen, ours) > 30
