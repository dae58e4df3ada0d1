"""From the network's grid to the picture's size."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rtfocus.frame import Disparity
from rtfocus.upsample import Upsampler


def scene(height: int = 270, width: int = 480) -> tuple[np.ndarray, np.ndarray]:
    """A textured disc before a textured wall, and its disparity."""
    y, x = np.mgrid[:height, :width]
    near = np.hypot(y - height / 2, x - width / 2) < height / 4
    random = np.random.default_rng(0)
    image = np.where(near[..., None], (200, 120, 60), (50, 80, 140)) + random.normal(
        0, 8, (height, width, 3)
    )
    return np.clip(image, 0, 255).astype(np.uint8), np.where(near, 0.9, 0.15).astype(np.float32)


def soft(truth: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """What a network gives: small, and soft at edges."""
    small = cv2.resize(truth, shape[::-1], interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), 1.0)


def test_edges_snap_to_the_picture() -> None:
    image, truth = scene()
    grid = soft(truth, (72, 128))
    sharp = Upsampler()(Disparity(grid), image).values
    plain = cv2.resize(grid, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    edge = cv2.dilate(truth, np.ones((9, 9))) != cv2.erode(truth, np.ones((9, 9)))
    assert np.abs(sharp - truth)[edge].mean() < 0.35 * np.abs(plain - truth)[edge].mean()


@pytest.mark.parametrize("contrast", [0.0, 0.3, 1.0])
def test_nothing_lies_between_two_sides(contrast: float) -> None:
    image, truth = scene()
    image = (128 + contrast * (image - 128.0)).astype(np.uint8)
    sharp = Upsampler()(Disparity(soft(truth, (72, 128))), image).values
    edge = cv2.dilate(truth, np.ones((9, 9))) != cv2.erode(truth, np.ones((9, 9)))
    assert ((sharp > 0.3) & (sharp < 0.75))[edge].mean() < 0.005


@pytest.mark.parametrize("slope", [0.01, 0.03, 0.08])
@pytest.mark.parametrize("angle", [0.0, 0.4, 0.8, 1.6])
def test_a_slope_is_not_a_step(slope: float, angle: float) -> None:
    y, x = np.mgrid[:45, :80].astype(np.float32)
    plane = slope * (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle)))
    image = np.random.default_rng(1).integers(0, 256, (180, 320, 3), dtype=np.uint8)
    out = Upsampler()(Disparity(plane), image).values
    plain = cv2.resize(plane, (320, 180), interpolation=cv2.INTER_LINEAR)
    assert np.abs(out - plain).mean() < 0.01 * slope


def test_a_colour_takes_nothing_off_a_side() -> None:
    """A patch of the wall's colour on the disc, more than an edge's softness inside it."""
    image, truth = scene()
    inside = cv2.erode(truth, np.ones((15, 15))) > 0.5
    patch = inside & (np.random.default_rng(3).random(truth.shape) < 0.3)
    image[patch] = 50, 80, 140
    out = Upsampler()(Disparity(soft(truth, (72, 128))), image).values
    assert out[inside].min() > 0.8


def test_a_map_that_is_off_is_put_right() -> None:
    """The map's edge lies two cells beside the picture's, on whichever side."""
    image, truth = scene()
    for shift in (-8, 8):
        grid = soft(np.roll(truth, shift, axis=1), (72, 128))
        out = Upsampler()(Disparity(grid), image).values
        plain = cv2.resize(grid, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        wrong, wrong_plain = ((np.abs(x - truth) > 0.3).mean() for x in (out, plain))
        assert wrong < 0.22 * wrong_plain


@pytest.mark.parametrize("softness", [0.7, 1.2])
def test_what_shows_some_of_the_near_side_is_counted_to_it(softness: float) -> None:
    """Else a line of its colour would stay sharp on a background in focus."""
    image, truth = scene()
    image = cv2.GaussianBlur(image, (0, 0), softness)
    share = cv2.GaussianBlur((truth > 0.5).astype(np.float32), (0, 0), softness)
    out = Upsampler()(Disparity(soft(truth, (72, 128))), image).values
    assert (out > 0.8)[share > 0.35].mean() > 0.99
    assert (out < 0.2)[share < 0.02].mean() > 0.995


def test_colours_that_vary_more_along_than_across() -> None:
    """Both sides go from dark to light; what tells them apart is the little that is left."""
    y, _ = np.mgrid[:270, :480]
    _, truth = scene()
    light = (60 + 120 * (np.sin(y / 3) * 0.5 + 0.5))[..., None]
    tint = np.where((truth > 0.5)[..., None], (10, 0, -10), (-10, 0, 10))
    noise = np.random.default_rng(4).normal(0, 2, (*truth.shape, 3))
    image = np.clip(light + tint + noise, 0, 255).astype(np.uint8)
    grid = soft(np.roll(truth, 5, axis=1), (72, 128))
    out = Upsampler()(Disparity(grid), image).values
    plain = cv2.resize(grid, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    wrong, wrong_plain = ((np.abs(x - truth) > 0.3).mean() for x in (out, plain))
    assert wrong < 0.5 * wrong_plain


def test_texture_is_not_copied_into_depth() -> None:
    random = np.random.default_rng(1)
    image = random.integers(0, 256, (180, 320, 3), dtype=np.uint8)
    ramp = np.linspace(0, 1, 80, dtype=np.float32) * np.ones((45, 1), np.float32)
    out = Upsampler()(Disparity(ramp), image).values
    plain = cv2.resize(ramp, (320, 180), interpolation=cv2.INTER_LINEAR)
    assert np.abs(out - plain).max() < 0.02


def test_colours_alike_fall_back_to_the_maps_own_edge() -> None:
    _, truth = scene()
    grey = np.full((*truth.shape, 3), 128, np.uint8)
    out = Upsampler()(Disparity(soft(truth, (72, 128))), grey).values
    assert np.abs(out - truth).mean() < 0.05


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (37, 53), (45, 80)])
@pytest.mark.parametrize("grid", [(1, 1), (2, 3), (12, 20)])
def test_any_size_stays_within_the_map(size: tuple[int, int], grid: tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    image = random.integers(0, 256, (*size, 3), dtype=np.uint8)
    values = random.uniform(0.2, 0.7, grid).astype(np.float32)
    out = Upsampler(threads=2)(Disparity(values), image).values
    assert out.shape == size
    assert values.min() - 1e-5 <= out.min() <= out.max() <= values.max() + 1e-5


def test_the_pictures_own_size_is_left_untouched() -> None:
    image, truth = scene()
    disparity = Disparity(truth)
    assert Upsampler()(disparity, image) is disparity


def test_units_and_cuts_are_kept() -> None:
    image, truth = scene()
    given = Disparity(soft(truth, (72, 128)), metric=(2.0, 0.1), cut=True)
    out = Upsampler()(given, image)
    assert (out.metric, out.cut) == ((2.0, 0.1), True)


def test_bands_join_without_seams() -> None:
    image, truth = scene()
    grid = Disparity(soft(truth, (72, 128)))
    assert (Upsampler(1)(grid, image).values == Upsampler(3)(grid, image).values).all()
