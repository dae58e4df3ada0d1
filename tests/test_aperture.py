"""The shape of a point of light: its kernel, and what the renderer makes of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Array, convolve, disc, polygon, to_linear

from rtfocus.errors import UsageError
from rtfocus.render.aperture import Aperture, Spans
from rtfocus.render.layered import LensRenderer
from rtfocus.render.layers import TIERS, Tier, plan_layers

FULL = Tier(growth=0.18, half_from=1e9)
SIZE = 121
LIGHT = 9
"""Side of the square light; an odd number, so that it has a middle pixel."""


@pytest.fixture(params=["high", "fast"])
def tier(request: pytest.FixtureRequest) -> Iterator[Tier]:
    return TIERS[request.param]


def rasterise(spans: Spans) -> Array:
    """A kernel's weights on whole pixels, (n, n), sum 1."""
    far = int(np.ceil(np.abs([spans.top, spans.bottom]).max() + 0.5))
    far = max(far, spans.reach)
    rows = np.arange(-far, far + 1)[:, None]
    share = np.minimum(spans.bottom, rows + 0.5) - np.maximum(spans.top, rows - 0.5)
    weights = np.zeros((2 * far + 1, 2 * far + 1))
    weights[:, far - spans.reach : far + spans.reach + 1] = np.maximum(share, 0)
    return weights / weights.sum()


def padded(kernel: Array, side: int) -> Array:
    edge = (side - len(kernel)) // 2
    return np.pad(kernel, edge)


def difference(a: Array, b: Array) -> float:
    """Share of the light that lies elsewhere, 0 to 2."""
    side = max(len(a), len(b))
    return float(np.abs(padded(a, side) - padded(b, side)).sum())


# A kernel is exact along its columns and averages within each, so its rim of about 2 pi r pixels
# among pi r^2 differs.
@pytest.mark.parametrize("radius", [3.0, 8.0, 19.0])
def test_round_kernel_is_the_disc(radius: float) -> None:
    assert difference(rasterise(Aperture().spans(radius)), disc(radius)) < 0.35 / radius


@pytest.mark.parametrize("radius", [4.0, 12.0])
@pytest.mark.parametrize("rotation", [0.0, 20.0, 90.0])
@pytest.mark.parametrize("blades", [4, 6, 8])
def test_bladed_kernel_is_the_polygon(blades: int, rotation: float, radius: float) -> None:
    kernel = rasterise(Aperture(blades, rotation).spans(radius))
    assert difference(kernel, polygon(radius, blades, rotation)) < 0.35 / radius


@pytest.mark.parametrize("blades", [5, 6, 7, 9])
def test_a_turn_by_one_blade_is_no_turn(blades: int) -> None:
    one, other = (Aperture(blades, d).spans(9.0) for d in (11.0, 11.0 + 360 / blades))
    np.testing.assert_allclose(one.top, other.top, atol=1e-6)
    np.testing.assert_allclose(one.bottom, other.bottom, atol=1e-6)


@settings(max_examples=40)
@given(variance=st.floats(0.01, 100))
def test_kernel_of_a_variance(variance: float) -> None:
    kernel = rasterise(Aperture().spans_of_variance(variance))
    at = np.arange(len(kernel)) - len(kernel) // 2
    second = (kernel * (at[:, None] ** 2 + at[None, :] ** 2)).sum()
    assert second / 2 == pytest.approx(variance, rel=0.01, abs=0.01)


@pytest.mark.parametrize("rotation", [float("nan"), float("inf")])
def test_a_rotation_is_a_number(rotation: float) -> None:
    with pytest.raises(UsageError, match="rotation"):
        Aperture(6, rotation)


def spread(
    tier: Tier, radius: float, aperture: Aperture | None = None, shift: tuple[int, int] = (0, 0)
) -> tuple[Array, Array]:
    """A square light on black, before and after: linear, (SIZE, SIZE)."""
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    top, left = ((SIZE - LIGHT) // 2 + s for s in shift)
    image[top : top + LIGHT, left : left + LIGHT] = 235
    renderer = LensRenderer(tier, aperture or Aperture(), highlights=0)
    out = renderer.blur(image, np.full((SIZE, SIZE), radius, np.float32))
    return to_linear(image)[..., 1], to_linear(out)[..., 1]


def centre(light: Array) -> Array:
    """Centroid in pixels from the middle of the picture, (y, x)."""
    at = np.arange(SIZE) - SIZE // 2
    return np.array([light.sum(axis=1) @ at, light.sum(axis=0) @ at]) / light.sum()


def effective_radius(light: Array) -> float:
    """Of the disc that has the blur's second moment, r^2 / 2, without that of the light itself."""
    y, x = np.mgrid[:SIZE, :SIZE] - float(SIZE // 2)
    moment = (light * (x**2 + y**2)).sum() / light.sum() - (LIGHT**2 - 1) / 6
    return float(np.sqrt(2 * max(moment, 0)))


def scale(tier: Tier, radius: float) -> int:
    """Reduction of the layer of a picture's one radius."""
    return int(plan_layers(abs(radius), tier, Aperture()).scale[-1])


RADII = [0.7, 1.2, 2.2, 3.1, 5.0, 7.0, 11.0, 16.5, 25.0]


@pytest.mark.parametrize("radius", [*RADII, -3.1, -11.0, -25.0])
def test_light_is_kept_and_stays_round(tier: Tier, radius: float) -> None:
    before, after = spread(tier, radius)
    assert after.sum() == pytest.approx(before.sum(), rel=0.01)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    # Of the second moment, so half as much of the radius; a reduced kernel is a few cells wide.
    limit = 0.03 if scale(tier, radius) == 1 else 0.06
    assert (after * x**2).sum() == pytest.approx((after * y**2).sum(), rel=limit)


@pytest.mark.parametrize("radius", [*RADII, -3.1, -11.0, -25.0])
def test_radius_is_true(tier: Tier, radius: float) -> None:
    assert effective_radius(spread(tier, radius)[1]) == pytest.approx(abs(radius), rel=0.03)


def test_a_blur_that_grows_does_not_jump(tier: Tier) -> None:
    # From one layer to the next and from one reduced grid to the next, as a rack of focus goes.
    radii = np.geomspace(2, 24, 40)
    found = np.array([effective_radius(spread(tier, float(radius))[1]) for radius in radii])
    np.testing.assert_allclose(found[1:] / found[:-1], radii[1:] / radii[:-1], rtol=0.03)


@pytest.mark.parametrize("radius", [*RADII, -3.1, -11.0, -25.0])
def test_no_light_beyond_the_disc(tier: Tier, radius: float) -> None:
    _, after = spread(tier, radius)
    y, x = np.mgrid[:SIZE, :SIZE] - SIZE // 2
    outside = np.hypot(y, x) > abs(radius) + LIGHT / np.sqrt(2) + scale(tier, radius)
    assert after[outside].sum() < 1e-3 * after.sum()


@pytest.mark.parametrize("shift", [(0, 0), (0, 1), (3, 2), (5, 7)])
@pytest.mark.parametrize("radius", [r for r in RADII if r < 16])
def test_light_stays_in_place(radius: float, shift: tuple[int, int]) -> None:
    _, after = spread(TIERS["high"], radius, shift=shift)
    np.testing.assert_allclose(centre(after), shift, atol=0.05)


@pytest.mark.xfail(
    strict=True,
    raises=AssertionError,
    reason="reduced grids place a light at the middle of its cell: up to (scale - 1) / 2 px off, "
    "so the disc of a light that moves stands still and then jumps",
)
@pytest.mark.parametrize(("name", "radius"), [("high", 20.0), ("fast", 7.0), ("fast", 25.0)])
def test_light_stays_in_place_on_reduced_grids(name: str, radius: float) -> None:
    for shift in range(8):
        _, after = spread(TIERS[name], radius, shift=(0, shift))
        np.testing.assert_allclose(centre(after), (0, shift), atol=0.05)


def psf(tier: Tier, radius: float, blades: int, rotation: float) -> tuple[Array, Array]:
    """The light itself, and spread by blades."""
    before, after = spread(tier, radius, Aperture(blades, rotation))
    return before, after / before.sum()


def expected(before: Array, radius: float, blades: int, rotation: float) -> Array:
    return convolve(before / before.sum(), polygon(radius, blades, rotation))


@pytest.mark.parametrize(
    ("name", "radius", "limit"), [("high", 6.0, 0.02), ("high", 12.0, 0.02), ("fast", 9.0, 0.05)]
)
@pytest.mark.parametrize("rotation", [0.0, 17.0, -40.0])
def test_blades_show(rotation: float, name: str, radius: float, limit: float) -> None:
    before, after = psf(TIERS[name], radius, 6, rotation)
    error = np.abs(after - expected(before, radius, 6, rotation)).sum()
    turned = np.abs(after - expected(before, radius, 6, rotation + 30)).sum()
    assert error < limit
    assert turned > error


@pytest.mark.parametrize("blades", [3, 5, 6, 9])
def test_blades_change_the_shape_and_not_the_amount(blades: int) -> None:
    # The middle of a kernel that is larger than the light is as bright as its area is small.
    _, after = psf(FULL, 20.0, blades, 0.0)
    area = 1 / after[SIZE // 2, SIZE // 2]
    assert area == pytest.approx(np.pi * 20.0**2, rel=0.03)


def test_odd_blades_are_inverted_across_the_plane_of_focus() -> None:
    _, near = psf(FULL, 10.0, 5, 0.0)
    _, far = psf(FULL, -10.0, 5, 0.0)
    assert np.abs(near - far[::-1, ::-1]).sum() < 0.02
