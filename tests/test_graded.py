"""The paper's graded blur: six levels by the normalised distance from the plane of focus."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rtfocus.frame import Disparity, Image
from rtfocus.lens import Lens
from rtfocus.render import make_renderer
from rtfocus.render.aperture import Aperture
from rtfocus.render.graded import KERNELS, METHODS, grade


def texture(height: int, width: int) -> Image:
    random = np.random.default_rng(0)
    small = random.integers(30, 226, (-(-height // 3), -(-width // 3), 3), dtype=np.uint8)
    return np.ascontiguousarray(small.repeat(3, 0).repeat(3, 1)[:height, :width])


def ramp(height: int, width: int) -> Disparity:
    return Disparity(np.linspace(0, 1, width, dtype=np.float32) * np.ones((height, 1), np.float32))


def masks(distance: np.ndarray) -> list[np.ndarray]:
    """The six levels, from |d - d_focus| in units of its largest."""
    inner = [(i / 6 <= distance) & (distance < (i + 1) / 6) for i in range(5)]
    return [*inner, distance >= 5 / 6]


@pytest.mark.parametrize("method", METHODS)
def test_focus_is_sharp_and_the_extremes_are_not_black(method: str) -> None:
    image = texture(90, 160)
    made = make_renderer(method, "high", aperture=Aperture())
    out = made.render(image, ramp(90, 160), 0.0, Lens(f_number=0.4))
    assert (out[:, :20] == image[:, :20]).all()
    assert out.min() >= image.min()
    assert out[:, 140:].std() < image[:, 140:].std()


@pytest.mark.parametrize("focus", [0.0, 0.3, 1.0])
def test_every_pixel_has_one_level(focus: float) -> None:
    radius = np.linspace(-6, 3, 1000, dtype=np.float32).reshape(10, 100) - np.float32(9 * focus)
    level = grade(radius)
    distance = np.abs(radius.astype(np.float64)) / np.abs(radius).max()
    expected = masks(distance)
    assert (sum(m.astype(int) for m in expected) == 1).all()
    agree = np.mean([(level == i) == m for i, m in enumerate(expected)])
    assert agree > 0.999  # float32 rounding at the borders
    assert set(np.unique(level)) <= set(range(len(KERNELS)))
    assert level.flat[np.abs(radius).argmax()] == 5  # the farthest pixel belongs to a level too


# The reference of the levels: at 720 lines and f/2.8 the kernels are those that the paper names.
BLURS = {
    "gaussian": lambda image, size: cv2.GaussianBlur(image, (size, size), 0),
    "average": lambda image, size: cv2.blur(image, (size, size)),
    "median": lambda image, size: cv2.medianBlur(image, size),
}


@pytest.mark.parametrize("method", BLURS)
def test_levels_at_720_lines(method: str) -> None:
    image, disparity = texture(720, 60), ramp(720, 60)
    made = make_renderer(method, "high", aperture=Aperture())
    out = made.render(image, disparity, 0.0, Lens(f_number=2.8))
    right = np.zeros(image.shape[:2], bool)
    for size, mask in zip((1, 5, 9, 13, 17, 21), masks(disparity.values), strict=True):
        blurred = image if size == 1 else BLURS[method](image, size)
        right |= mask & (np.abs(out.astype(int) - blurred).max(axis=-1) <= 1)
    assert right.mean() > 0.98  # float32 rounding at the borders of levels


@pytest.mark.parametrize("method", METHODS)
def test_constant_in_is_constant_out(method: str) -> None:
    image = np.full((60, 90, 3), (200, 90, 30), np.uint8)
    made = make_renderer(method, "high", aperture=Aperture())
    out = made.render(image, ramp(60, 90), 0.4, Lens(f_number=0.5))
    assert np.abs(out.astype(int) - image).max() <= 1


@pytest.mark.parametrize("method", METHODS)
def test_flat_depth_is_left_alone(method: str) -> None:
    image = texture(20, 30)
    made = make_renderer(method, "high", aperture=Aperture())
    level = Disparity(np.full((20, 30), 0.5, np.float32))
    assert (made.render(image, level, 0.5, Lens()) == image).all()
