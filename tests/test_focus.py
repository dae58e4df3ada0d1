"""Where the plane of focus goes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from rtfocus.errors import UsageError
from rtfocus.focus.plane import FocusDisparity, FocusDistance, Focuser, FocusPoint
from rtfocus.frame import Disparity, Frame

IMAGE = np.zeros((90, 160, 3), np.uint8)


def frame(i: int, rate: int = 30) -> Frame:
    return Frame(IMAGE, i, i, Fraction(1, rate))


def halves(left: float, right: float, split: int = 80) -> np.ndarray:
    values = np.full((90, 160), left, np.float32)
    values[:, split:] = right
    return values


@pytest.mark.parametrize(("x", "value"), [(0.1, 0.2), (0.9, 0.8), (0.0, 0.2), (1.0, 0.8)])
def test_a_point_gets_what_is_there(x: float, value: float) -> None:
    plane = Focuser(FocusPoint(x, 0.5)).update(Disparity(halves(0.2, 0.8)), frame(0))
    assert plane == pytest.approx(value)


@pytest.mark.parametrize("x", [79, 80])
def test_beside_an_edge_it_lands_on_one_thing(x: int) -> None:
    plane = Focuser(FocusPoint((x + 0.5) / 160, 0.5)).update(Disparity(halves(0.2, 0.8)), frame(0))
    assert plane == pytest.approx(0.2 if x < 80 else 0.8)


def test_noise_does_not_move_the_plane() -> None:
    random = np.random.default_rng(0)
    focuser = Focuser(FocusPoint(0.5, 0.5))
    planes = []
    for i in range(60):
        noisy = halves(0.5, 0.5) + random.normal(0, 0.02, (90, 160)).astype(np.float32)
        planes.append(focuser.update(Disparity(noisy), frame(i)))
    assert len(set(planes)) == 1


@pytest.mark.parametrize("rate", [10, 30, 60])
def test_a_real_change_is_followed_smoothly_in_half_a_second(rate: int) -> None:
    focuser = Focuser(FocusPoint(0.5, 0.5))
    focuser.update(Disparity(halves(0.2, 0.2)), frame(0, rate))
    planes = [
        focuser.update(Disparity(halves(0.7, 0.7)), frame(i, rate)) for i in range(1, rate // 2 + 2)
    ]
    assert planes == sorted(planes)
    assert planes[-1] == pytest.approx(0.7, abs=0.01)
    assert planes[0] < 0.7 - 0.05


def test_at_a_cut_it_jumps() -> None:
    focuser = Focuser(FocusPoint(0.5, 0.5))
    focuser.update(Disparity(halves(0.2, 0.2)), frame(0))
    assert focuser.update(Disparity(halves(0.9, 0.9), cut=True), frame(1)) == pytest.approx(0.9)


def test_a_distance_in_metres() -> None:
    disparity = Disparity(halves(0.1, 0.9), metric=(1.6, 0.02))
    plane = Focuser(FocusDistance(2.0)).update(disparity, frame(0))
    assert plane * 1.6 + 0.02 == pytest.approx(0.5)
    with pytest.raises(UsageError, match="metric"):
        Focuser(FocusDistance(2.0)).update(Disparity(halves(0, 1)), frame(0))


def test_a_disparity_is_taken_as_it_is() -> None:
    assert Focuser(FocusDisparity(0.37)).update(Disparity(halves(0, 1)), frame(0)) == 0.37


@pytest.mark.parametrize("bad", [(-0.1, 0.5), (0.5, 1.2), (float("nan"), 0.5)])
def test_points_outside_are_refused(bad: tuple[float, float]) -> None:
    with pytest.raises(UsageError, match=r"0\.\.1"):
        FocusPoint(*bad)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_distances_that_do_not_exist_are_refused(bad: float) -> None:
    with pytest.raises(UsageError, match="metres"):
        FocusDistance(bad)


def test_a_single_pixel_has_a_plane() -> None:
    plane = Focuser(FocusPoint(0.5, 0.5)).update(Disparity(np.ones((1, 1), np.float32)), frame(0))
    assert plane == 1.0


@pytest.mark.parametrize("values", [[[0.0, 1.0], [0.2, 0.7]], [[0.0, 1.0]], [[0.0], [0.5]]])
def test_a_handful_of_pixels_that_differ(values: list[list[float]]) -> None:
    disparity = np.array(values, np.float32)
    plane = Focuser(FocusPoint(0.5, 0.5)).update(Disparity(disparity), frame(0))
    assert plane in disparity
