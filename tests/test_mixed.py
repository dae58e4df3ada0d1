"""Pixels that show two things, against the plain formula in float64."""

import cv2
import numpy as np
import pytest

from rtfocus.kernels.mixed import claim_mixed

Array = np.ndarray


def claim(linear: Array, radius: Array) -> Array:
    """(h, w, 3) and (h, w)."""
    planes = np.ascontiguousarray(linear.transpose(2, 0, 1), np.float32)
    radius = radius.astype(np.float32)
    claimed = np.full_like(radius, np.nan)
    nearest = cv2.dilate(radius, np.ones((3, 3), np.uint8)).reshape(radius.shape)
    claim_mixed(planes, radius, nearest, claimed, 0, len(radius))
    return claimed


def around(values: Array, y: int, x: int, reach: int) -> Array:
    return values[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]


def reference(linear: Array, radius: Array) -> Array:
    """The share of the nearer thing in the colour of every pixel; -1 where that is not known."""
    height, width = radius.shape
    at = np.stack(np.mgrid[:height, :width], axis=-1)
    nearest = np.array(
        [[around(radius, y, x, 1).max() for x in range(width)] for y in range(height)]
    )
    share = np.full(radius.shape, -1.0)
    for y, x in np.argwhere(nearest - radius > 1):
        between = (radius[y, x] + nearest[y, x]) / 2
        front = around(linear, y, x, 1)[around(radius, y, x, 1) > between].mean(axis=0)
        pure = around(nearest, y, x, 3) <= between
        if not pure.any():
            continue
        weight = 1.0 / ((around(at, y, x, 3)[pure] - (y, x)) ** 2).sum(axis=-1)
        colours = around(linear, y, x, 3)[pure]
        behind = np.average(colours, axis=0, weights=weight)
        variance = np.average(((colours - behind) ** 2).sum(axis=-1), weights=weight)
        way = front - behind
        alpha = (linear[y, x] - behind) @ way / max(way @ way, 1e-12)
        rest = linear[y, x] - behind - alpha * way
        if way @ way >= 1e-4 and max(variance, rest @ rest) <= 0.02 * (way @ way):
            share[y, x] = alpha
    return share


def outline(height: int = 40, width: int = 50) -> tuple[Array, Array, Array]:
    """Colour, radius and coverage of a disc in front of a wall; half a pixel decides the depth."""
    fine = (np.mgrid[: height * 8, : width * 8] + 0.5) / 8
    covered = np.hypot(fine[0] - height / 2, fine[1] - width / 2) < 12.3
    alpha = covered.reshape(height, 8, width, 8).mean(axis=(1, 3))
    linear = alpha[..., None] * (0.1, 0.05, 0.02) + (1 - alpha[..., None]) * (0.5, 0.6, 0.7)
    return linear, np.where(alpha >= 0.5, 0.0, -8.0), alpha


def test_pixels_of_an_outline_go_to_the_nearer_thing() -> None:
    linear, radius, alpha = outline()
    claimed = claim(linear, radius)
    moved = claimed != radius
    assert (claimed[moved] == 0).all()
    assert (moved == (alpha >= 0.25) & (alpha < 0.5))[(alpha < 0.15) | (alpha > 0.25)].all()
    assert moved.sum() > 15


@pytest.mark.parametrize("near", [0.0, 6.0])
def test_random_scenes_against_the_formula(near: float) -> None:
    random = np.random.default_rng(1)
    moved = 0
    for _ in range(40):
        height, width = random.integers(1, 30, 2)
        alpha = cv2.GaussianBlur((random.random((height, width)) < 0.1) * 2.0, (0, 0), 0.8)
        front, behind = random.random((2, 3)) * (0.3, 0.3, 0.3) + [[0], [0.5]]
        alpha = np.minimum(alpha, 1).reshape(height, width, 1)
        noise = random.normal(0, 0.01, (height, width, 3))
        linear = np.clip(alpha * front + (1 - alpha) * behind + noise, 0, 1).astype(np.float32)
        radius = np.where(alpha[..., 0] > 0.5, near, random.choice([-5.0, -4.5, near - 0.5]))
        share, claimed = reference(linear.astype(np.float64), radius), claim(linear, radius)
        sure = (np.abs(share - 0.2) > 1e-3) & (np.abs(share - 1.2) > 1e-3)
        wanted = (share >= 0.2) & (share < 1.2)
        np.testing.assert_array_equal((claimed != radius)[sure], wanted[sure])
        assert (claimed[claimed != radius] == near).all()
        moved += wanted.sum()
    assert moved > 20


def test_nothing_is_told_of_like_colours_and_of_busy_surroundings() -> None:
    linear, radius, alpha = outline()
    assert (claim(np.full_like(linear, 0.4), radius) == radius).all()
    stripes = np.where(np.arange(50) % 3 == 0, 0.0, 0.9)[None, :, None]
    busy = np.where(alpha[..., None] < 1, stripes, linear)
    assert (claim(busy, radius) == radius).all()


def test_a_slope_is_no_outline() -> None:
    linear, _, _ = outline()
    radius = np.linspace(-20, 20, 50)[None] * np.ones((40, 1))
    assert (claim(linear, radius) == radius.astype(np.float32)).all()
