"""The thin-lens formula and the aperture's shape."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtfocus.errors import UsageError
from rtfocus.frame import Disparity
from rtfocus.lens import Lens
from rtfocus.render.aperture import Aperture


def test_relative_depth() -> None:
    disparity = Disparity(np.array([[0.0, 0.25, 1.0]] * 100, np.float32))
    radius = Lens(f_number=2.0).radius(disparity, 0.25)
    truth = 0.07 * 100 / 2.0 * (np.array([0.0, 0.25, 1.0]) - 0.25)
    np.testing.assert_allclose(radius[0], truth, rtol=1e-6)


@pytest.mark.parametrize("height", [90, 360, 1080])
def test_radius_scales_with_the_picture(height: int) -> None:
    disparity = Disparity(np.ones((height, 4), np.float32))
    assert Lens().radius(disparity, 0.0)[0, 0] / height == pytest.approx(0.07 / 2.8)


def test_metric_depth_is_the_thin_lens() -> None:
    z = np.array([[0.7, 1.2, 3.0, 1000.0]] * 3)
    scale, offset = 1.3, 0.05
    values = ((1 / z - offset) / scale).astype(np.float32)
    focus = (1 / 1.2 - offset) / scale
    lens = Lens(f_number=1.8, focal_length_mm=50, sensor_width_mm=36)
    radius = lens.radius(Disparity(values, metric=(scale, offset)), focus)
    diameter = (4 * 50 / 36) * (0.05 / 1.8) * (1 / z - 1 / 1.2)
    np.testing.assert_allclose(radius, diameter / 2, rtol=1e-4, atol=1e-7)


@settings(max_examples=60)
@given(
    depths=st.lists(st.floats(0.3, 500), min_size=1, max_size=6),
    plane=st.floats(0.3, 500),
    f_number=st.floats(0.7, 32),
    focal_length=st.floats(4, 200),
    sensor_width=st.floats(3, 60),
    scale=st.floats(0.05, 5),
    offset=st.floats(-0.5, 0.5),
)
def test_any_thin_lens(
    depths: list[float],
    plane: float,
    f_number: float,
    focal_length: float,
    sensor_width: float,
    scale: float,
    offset: float,
) -> None:
    z = np.array([depths])
    values = ((1 / z - offset) / scale).astype(np.float32)
    lens = Lens(f_number=f_number, focal_length_mm=focal_length, sensor_width_mm=sensor_width)
    radius = lens.radius(Disparity(values, metric=(scale, offset)), (1 / plane - offset) / scale)
    focal_px = z.size * focal_length / sensor_width
    aperture = focal_length / 1000 / f_number
    truth = focal_px * aperture * (1 / z - 1 / plane) / 2
    # float32 rounds the disparities before their difference is taken.
    rounding = 3e-7 * focal_px * aperture * (1 / z + 1 / plane + 2 * abs(offset))
    assert (np.abs(radius - truth) <= rounding + 1e-5 * np.abs(truth)).all()
    assert (np.sign(radius) == np.sign(truth))[np.abs(truth) > rounding].all()  # > 0 is nearer


def test_physical_radius_scales_with_the_picture() -> None:
    lens = Lens(focal_length_mm=50, sensor_width_mm=36)
    small, large = (
        lens.radius(Disparity(np.ones((h, w), np.float32), metric=(1.0, 0.0)), 0.25)[0, 0]
        for h, w in ((90, 160), (360, 640))
    )
    assert large == pytest.approx(4 * small, rel=1e-6)


@pytest.mark.parametrize("f_number", [1.4, 2.8, 11.0])
def test_radius_is_inverse_to_the_f_number(f_number: float) -> None:
    disparity = Disparity(np.linspace(-0.2, 1.2, 20, dtype=np.float32).reshape(4, 5))
    wide = Lens(f_number=1.0).radius(disparity, 0.4)
    stopped = Lens(f_number=f_number).radius(disparity, 0.4)
    np.testing.assert_allclose(stopped * f_number, wide, rtol=1e-5)


def test_the_disparity_is_left_as_it_was() -> None:
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    given = values.copy()
    Lens(f_number=0.5, focus_range=0.2, max_radius=1.0).radius(Disparity(values), 0.5)
    assert (values == given).all()


@settings(max_examples=40)
@given(focus=st.floats(-0.5, 1.5), band=st.floats(0, 1))
def test_focus_range_shifts_and_does_not_jump(focus: float, band: float) -> None:
    values = np.linspace(-0.5, 1.5, 801, dtype=np.float32)[None]
    radius = Lens(f_number=0.07, focus_range=band).radius(Disparity(values), focus)[0]
    away = np.maximum(np.abs(values[0].astype(np.float64) - focus) - band / 2, 0)
    np.testing.assert_allclose(np.abs(radius), away, atol=1e-5)
    assert (np.diff(radius) >= 0).all()


def test_a_physical_lens_needs_metric_depth() -> None:
    lens = Lens(focal_length_mm=50, sensor_width_mm=36)
    with pytest.raises(UsageError, match="metric"):
        lens.radius(Disparity(np.zeros((2, 2), np.float32)), 0.0)


def test_focus_range_and_cap() -> None:
    values = np.linspace(0, 1, 11, dtype=np.float32)[None].repeat(100, 0)
    radius = Lens(f_number=1.0, focus_range=0.4).radius(Disparity(values), 0.5)[0]
    assert (radius[4:7] == 0).all()
    assert radius[10] == pytest.approx(7 * 0.3, rel=1e-5)
    assert radius[0] == pytest.approx(-7 * 0.3, rel=1e-5)
    capped = Lens(f_number=1.0, max_radius=1.5).radius(Disparity(values), 0.5)
    assert np.abs(capped).max() == pytest.approx(1.5)


@pytest.mark.parametrize(
    "options",
    [
        {"f_number": 0.0},
        {"f_number": -1.0},
        {"f_number": float("nan")},
        {"f_number": float("inf")},
        {"f_number": float("-inf")},
        {"focus_range": -0.1},
        {"focus_range": float("nan")},
        {"focus_range": float("inf")},
        {"max_radius": 0.0},
        {"max_radius": -5.0},
        {"max_radius": float("nan")},
        {"focal_length_mm": -50.0, "sensor_width_mm": 36.0},
        {"focal_length_mm": 50.0, "sensor_width_mm": 0.0},
        {"focal_length_mm": 50.0},
        {"sensor_width_mm": 36.0},
    ],
)
def test_lenses_that_do_not_exist(options: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Lens(**options)


@pytest.mark.parametrize("radius", [0.4, 0.9, 2.3, 7.5, 20.0])
@pytest.mark.parametrize("blades", [0, 3, 5, 6, 9])
def test_area_and_centre_of_the_aperture(radius: float, blades: int) -> None:
    spans = Aperture(blades, 17).spans(radius)
    height = spans.bottom - spans.top
    columns = np.arange(-spans.reach, spans.reach + 1)
    assert spans.area == pytest.approx(np.pi * radius**2, rel=0.03)
    assert (height * columns).sum() / spans.area == pytest.approx(0, abs=0.03 * radius + 0.02)
    middle = (spans.top + spans.bottom) / 2
    assert (height * middle).sum() / spans.area == pytest.approx(0, abs=0.03 * radius + 0.02)


def test_a_round_aperture_is_a_disc() -> None:
    spans = Aperture().spans(8.0)
    columns = np.arange(-spans.reach, spans.reach + 1)
    inside = np.abs(columns) < 7
    chord = 2 * np.sqrt(64.0 - columns[inside] ** 2.0)
    np.testing.assert_allclose((spans.bottom - spans.top)[inside], chord, rtol=0.01)


def test_blades_turn() -> None:
    upright, turned = Aperture(4, 0).spans(10), Aperture(4, 45).spans(10)
    assert upright.reach > turned.reach  # a square on its tip is wider


@pytest.mark.parametrize("blades", [1, 2, 17, -3])
def test_apertures_that_do_not_exist(blades: int) -> None:
    with pytest.raises(UsageError, match="blades"):
        Aperture(blades)
