"""Views: what a user sees of the depth and of the blur."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rtfocus.frame import Disparity, Image
from rtfocus.lens import Lens
from rtfocus.render.views import draw_depth, draw_split, draw_view

HEIGHT, WIDTH = 90, 161
LENS = Lens(f_number=0.5)


@pytest.fixture
def image() -> Image:
    return np.random.default_rng(0).integers(20, 236, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def result(image: Image) -> Image:
    return 255 - image


@pytest.fixture
def disparity() -> Disparity:
    ramp = np.linspace(0, 1, WIDTH, dtype=np.float32) * np.ones((HEIGHT, 1), np.float32)
    return Disparity(ramp)


@pytest.mark.parametrize("view", ["result", "original", "depth", "coc", "split"])
def test_every_view_is_a_picture_of_its_own(
    view: str, image: Image, result: Image, disparity: Disparity
) -> None:
    given = image.copy(), result.copy(), disparity.values.copy()
    out = draw_view(view, image, result, disparity, 0.5, LENS)  # type: ignore[arg-type]
    assert out.shape == image.shape
    assert out.dtype == np.uint8
    assert (image == given[0]).all()
    assert (result == given[1]).all()
    assert (disparity.values == given[2]).all()


def test_result_and_original(image: Image, result: Image, disparity: Disparity) -> None:
    assert (draw_view("result", image, result, disparity, 0.5, LENS) == result).all()
    assert (draw_view("original", image, result, disparity, 0.5, LENS) == image).all()


def test_split_shows_both(image: Image, result: Image) -> None:
    out = draw_split(image, result)
    left, right = slice(0, WIDTH // 2 - 4), slice(WIDTH // 2 + 4, None)
    assert (out[:, left] == image[:, left]).all()
    assert (out[:, right] == result[:, right]).all()


def test_depth_is_magma_and_near_is_bright(disparity: Disparity) -> None:
    out = draw_depth(disparity)
    brightness = out[HEIGHT // 2].astype(float) @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(brightness) >= -1).all()
    assert brightness[-1] > brightness[0] + 150
    codes = np.arange(256, dtype=np.uint8)[:, None]
    magma = cv2.applyColorMap(codes, cv2.COLORMAP_MAGMA)[:, 0, ::-1].astype(int)
    away = np.abs(out[HEIGHT // 2][:, None].astype(int) - magma).max(axis=-1).min(axis=1)
    assert away.max() <= 3


@pytest.mark.parametrize("values", [np.zeros((4, 5)), np.array([[-3.0, 0.5, 9.0]] * 2)])
def test_depth_beyond_its_range(values: np.ndarray) -> None:
    out = draw_depth(Disparity(values.astype(np.float32)))
    assert out.shape == (*values.shape, 3)
    if np.ptp(values) > 0:
        assert out[0, 0].sum() < out[0, 2].sum()  # clipped, not wrapped around


def test_circle_of_confusion_is_told_by_colour(image: Image, disparity: Disparity) -> None:
    out = draw_view("coc", image, image, disparity, 0.5, LENS).astype(int)
    in_focus = np.abs(LENS.radius(disparity, 0.5)) < 0.5
    assert in_focus.any()
    assert (out[in_focus] == image[in_focus]).all()
    far, near = out[:, :20].mean(axis=(0, 1)), out[:, -20:].mean(axis=(0, 1))
    assert near[0] > near[2] + 20  # orange
    assert far[2] > far[0] + 20  # blue
