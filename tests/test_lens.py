"""The thin-lens formula and the aperture's shape."""

from __future__ import annotations

import numpy as np
import pytest

from rtfocus.aperture import Aperture
from rtfocus.errors import UsageError
from rtfocus.frame import Disparity
from rtfocus.lens import Lens


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
        {"focus_range": -0.1},
        {"max_radius": 0.0},
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
