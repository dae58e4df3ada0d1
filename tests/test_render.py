"""The thin-lens renderer against float64 references and physics."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import convolve, disc, psnr, to_code, to_linear, two_planes

from rtfocus.aperture import Aperture
from rtfocus.frame import Disparity
from rtfocus.layers import Tier
from rtfocus.lens import Lens
from rtfocus.render import TIERS, LensRenderer, make_renderer

FULL = Tier(growth=0.18, half_from=1e9)


@pytest.fixture(params=["high", "fast"])
def renderer(request: pytest.FixtureRequest) -> Iterator[LensRenderer]:
    made = LensRenderer(TIERS[request.param], Aperture(), threads=2)
    yield made
    made.close()


def texture(height: int, width: int, seed: int = 0, cell: int = 3) -> np.ndarray:
    random = np.random.default_rng(seed)
    small = random.integers(30, 226, (-(-height // cell), -(-width // cell), 3), dtype=np.uint8)
    return np.ascontiguousarray(small.repeat(cell, 0).repeat(cell, 1)[:height, :width])


def const(height: int, width: int, radius: float) -> np.ndarray:
    return np.full((height, width), radius, np.float32)


@pytest.mark.parametrize("radius", [0.7, 1.5, 4.0, 9.0, 25.0, -0.7, -4.0, -25.0])
def test_constant_in_is_constant_out(renderer: LensRenderer, radius: float) -> None:
    image = np.full((70, 150, 3), (200, 90, 30), np.uint8)
    assert (renderer.blur(image, const(70, 150, radius)) == image).all()


def test_constant_stays_constant_under_any_depth(renderer: LensRenderer) -> None:
    random = np.random.default_rng(1)
    image = np.full((90, 140, 3), (37, 128, 250), np.uint8)
    blocks = random.uniform(-12, 12, (9, 14)).astype(np.float32).repeat(10, 0).repeat(10, 1)
    ramp = np.linspace(-12, 12, 140, dtype=np.float32) * np.ones((90, 1), np.float32)
    for radius in (blocks, ramp):
        assert np.abs(renderer.blur(image, radius).astype(int) - image).max() <= 1


def test_below_half_a_pixel_nothing_changes(renderer: LensRenderer) -> None:
    image = np.random.default_rng(0).integers(0, 256, (80, 170, 3), dtype=np.uint8)
    radius = np.random.default_rng(1).uniform(-0.499, 0.499, (80, 170)).astype(np.float32)
    assert (renderer.blur(image, radius) == image).all()


def test_subject_in_focus_keeps_its_bytes_up_to_its_silhouette(renderer: LensRenderer) -> None:
    image = texture(120, 200)
    y, x = np.mgrid[:120, :200]
    subject = np.hypot(y - 60, x - 100) < 35
    radius = np.where(subject, 0, -9).astype(np.float32)
    out = renderer.blur(image, radius)
    assert (out[subject] == image[subject]).all()
    assert (out[~subject] != image[~subject]).mean() > 0.5


def test_beyond_the_reach_of_a_blurred_foreground_nothing_changes(renderer: LensRenderer) -> None:
    image = texture(100, 260)
    radius = const(100, 260, 0.0)
    radius[:, :40] = 8.0
    out = renderer.blur(image, radius)
    assert (out[:, 40 + 14 :] == image[:, 40 + 14 :]).all()
    assert (out[:, :40] != image[:, :40]).any()


@pytest.mark.parametrize("radius", [0.75, 1.25, 2.25])
@pytest.mark.parametrize("sign", [1, -1])
def test_small_radius_against_a_finer_scene(radius: float, sign: int) -> None:
    # What a sensor sees: the scene, blurred by the lens, averaged over each pixel.
    fine = to_linear(texture(60 * 4, 80 * 4, cell=20))
    image = to_code(average(fine, 4))
    radius = nearest_layer(FULL, radius)
    truth = to_code(average(convolve(fine, disc(4 * radius, samples=4)), 4))
    out = LensRenderer(FULL, Aperture(), highlights=0).blur(image, const(60, 80, sign * radius))
    inside = slice(4, -4), slice(4, -4)
    assert psnr(out[inside], truth[inside]) > 30
    assert psnr(out[inside], truth[inside]) > psnr(image[inside], truth[inside]) + 4


def average(picture: np.ndarray, n: int) -> np.ndarray:
    height, width, channels = picture.shape
    return picture.reshape(height // n, n, width // n, n, channels).mean(axis=(1, 3))


@pytest.mark.parametrize("radius", [3.5, 5.5, 11.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_uniform_radius_is_a_disc_in_linear_light(radius: float, sign: int) -> None:
    # A radius that stands for its layer, so that only the blur itself is compared.
    image = texture(96, 160, cell=4)
    radius = nearest_layer(FULL, radius)
    out = LensRenderer(FULL, Aperture(), highlights=0).blur(image, const(96, 160, sign * radius))
    truth = to_code(convolve(to_linear(image), disc(radius)))
    assert psnr(out, truth) > 38
    assert np.abs(out.mean() - truth.mean()) < 0.5


def nearest_layer(tier: Tier, radius: float) -> float:
    from rtfocus.layers import plan_layers

    radii = plan_layers(40.0, tier, Aperture()).radius
    return float(radii[np.abs(radii - radius).argmin()])


@pytest.mark.parametrize("radius", [4.0, 9.0, 18.0])
def test_reduced_resolution_stays_near_the_disc(renderer: LensRenderer, radius: float) -> None:
    image = texture(160, 240, cell=5)
    out = renderer.blur(image, const(160, 240, -radius))
    truth = to_code(convolve(to_linear(image), disc(radius)))
    assert psnr(out, truth) > 33


@pytest.mark.parametrize("radius", [2.0, 6.0, 15.0, -2.0, -6.0, -15.0])
def test_a_point_of_light_keeps_its_energy_place_and_size(
    renderer: LensRenderer, radius: float
) -> None:
    size = 101
    image = np.zeros((size, size, 3), np.uint8)
    image[48:53, 48:53] = 235
    out = to_linear(renderer.blur(image, const(size, size, radius)))[..., 1]
    light = to_linear(image)[..., 1]
    y, x = np.mgrid[:size, :size] - 50.0
    total = out.sum()
    assert total == pytest.approx(light.sum(), rel=0.04)
    # On a reduced grid the light's cell, not the light itself, is the centre.
    assert abs((out * x).sum() / total) < 0.05 + 0.03 * abs(radius)
    assert abs((out * y).sum() / total) < 0.05 + 0.03 * abs(radius)
    # Second moment of a disc about its centre: r^2 / 2; that of the 5 x 5 square: 2 * 2.
    moment = (out * (x**2 + y**2)).sum() / total
    assert np.sqrt(2 * max(moment - 4, 0)) == pytest.approx(abs(radius), rel=0.2)


def test_background_takes_no_colour_of_a_subject_in_focus(renderer: LensRenderer) -> None:
    back = np.full((120, 200, 3), (30, 60, 200), np.uint8)
    front = np.full((120, 200, 3), (230, 40, 30), np.uint8)
    mask = np.zeros((120, 200))
    mask[:, 80:120] = 1
    image = np.where(mask[..., None] > 0, front, back).astype(np.uint8)
    radius = np.where(mask > 0, 0, -10).astype(np.float32)
    assert np.abs(renderer.blur(image, radius).astype(int) - image).max() <= 1


def test_blurred_foreground_spills_softly_over_what_is_sharp(renderer: LensRenderer) -> None:
    back, front = texture(140, 240, 1), np.full((140, 240, 3), (220, 120, 40), np.uint8)
    mask = np.zeros((140, 240))
    mask[:, :110] = 1
    image = np.where(mask[..., None] > 0, front, back).astype(np.uint8)
    radius = np.where(mask > 0, 9, 0).astype(np.float32)
    out = renderer.blur(image, radius)
    truth = to_code(two_planes(to_linear(front), mask, to_linear(back), 9, 0))
    assert psnr(out[:, 110:], truth[:, 110:]) > 33  # the part whose background is seen
    band = np.zeros(mask.shape, bool)
    band[:, 95:130] = True
    assert psnr(out, truth, band) > psnr(image, truth, band) + 5


def test_thin_wires_leave_no_sharp_ghost(renderer: LensRenderer) -> None:
    back = texture(160, 240, 2, cell=12)
    mask = np.zeros((160, 240))
    for x in range(20, 240, 40):
        mask[:, x : x + 3] = 1
    front = np.full((160, 240, 3), 12, np.uint8)
    image = np.where(mask[..., None] > 0, front, back).astype(np.uint8)
    out = renderer.blur(image, np.where(mask > 0, 12, 0).astype(np.float32))
    truth = to_code(two_planes(to_linear(front), mask, to_linear(back), 12, 0))
    wires = mask > 0
    # Without a guess of what lies behind, the wire's own colour stays there.
    assert psnr(out, truth, wires) > psnr(image, truth, wires) + 12


@pytest.mark.parametrize("flip", [np.fliplr, np.flipud])
def test_mirrored_in_is_mirrored_out(renderer: LensRenderer, flip: object) -> None:
    mirror = np.fliplr if flip is np.fliplr else np.flipud
    image = texture(128, 256, 4)
    y, x = np.mgrid[:128, :256]
    radius = np.where(np.hypot(y - 50, x - 90) < 30, 7, -4).astype(np.float32)
    straight = renderer.blur(image, radius)
    turned = renderer.blur(
        np.ascontiguousarray(mirror(image)), np.ascontiguousarray(mirror(radius))
    )
    assert psnr(np.ascontiguousarray(mirror(turned)), straight) > 45


def test_tiles_leave_no_seams(renderer: LensRenderer) -> None:
    image = texture(200, 400, 5)
    y, x = np.mgrid[:200, :400]
    radius = (8 * np.sin(x / 40) + 4 * np.cos(y / 25)).astype(np.float32)
    whole = renderer.blur(image, radius)
    # Shifted by multiples of every reduced grid, other pixels lie on the borders of tiles.
    part = renderer.blur(
        np.ascontiguousarray(image[32:, 48:]), np.ascontiguousarray(radius[32:, 48:])
    )
    inside = slice(40, -40), slice(40, -40)
    difference = np.abs(part[inside].astype(int) - whole[32:, 48:][inside])
    assert np.percentile(difference, 99.5) <= 2


def test_threads_make_no_difference() -> None:
    image = texture(150, 300, 6)
    radius = np.random.default_rng(0).uniform(-9, 9, (15, 30)).astype(np.float32)
    radius = radius.repeat(10, 0).repeat(10, 1)
    one, two = (LensRenderer(TIERS["fast"], Aperture(), threads=n) for n in (1, 3))
    assert (one.blur(image, radius) == two.blur(image, radius)).all()
    two.close()


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 37), (3, 200), (65, 129), (64, 128)])
def test_any_size_and_radius(renderer: LensRenderer, size: tuple[int, int]) -> None:
    image = texture(*size)
    for radius in (0.0, 0.6, 5.0, -40.0, 300.0, 1e4):
        out = renderer.blur(image, const(*size, radius))
        assert out.shape == image.shape
        assert image.min() - 1 <= out.min() <= out.max() <= image.max() + 1


def test_sizes_may_change_from_picture_to_picture(renderer: LensRenderer) -> None:
    first = renderer.blur(texture(50, 70), const(50, 70, 3))
    renderer.blur(texture(80, 40), const(80, 40, -5))
    assert (renderer.blur(texture(50, 70), const(50, 70, 3)) == first).all()


def test_a_radius_that_is_no_number_is_refused(renderer: LensRenderer) -> None:
    with pytest.raises(ValueError, match="not finite"):
        renderer.blur(texture(8, 8), const(8, 8, np.nan))


@settings(max_examples=12, deadline=None)
@given(
    height=st.integers(3, 90),
    width=st.integers(3, 180),
    seed=st.integers(0, 99),
    reach=st.floats(0.6, 30),
)
def test_never_darker_or_brighter_than_the_picture(
    height: int, width: int, seed: int, reach: float
) -> None:
    image = texture(height, width, seed)
    radius = np.random.default_rng(seed).uniform(-reach, reach, (height, width))
    plain = LensRenderer(TIERS["fast"], Aperture(), highlights=0)
    out = plain.blur(image, radius.astype(np.float32))
    for c in range(3):
        assert image[..., c].min() - 1 <= out[..., c].min()
        assert out[..., c].max() <= image[..., c].max() + 1


class TestHighlights:
    """Clipped light before it is spread."""

    @staticmethod
    def lamp() -> np.ndarray:
        image = np.full((120, 120, 3), 20, np.uint8)
        y, x = np.mgrid[:120, :120]
        image[np.hypot(y - 60, x - 60) < 3] = 255
        return image

    @staticmethod
    def spread(image: np.ndarray, gain: float) -> np.ndarray:
        made = LensRenderer(FULL, Aperture(), highlights=gain)
        return made.blur(image, const(*image.shape[:2], -15))

    def test_a_lamp_shines_brighter_than_white_paint(self) -> None:
        plain, restored = (self.spread(self.lamp(), g)[60, 60, 0] for g in (0.0, 1.0))
        assert restored > plain + 30

    def test_its_gain_can_be_set(self) -> None:
        levels = [int(self.spread(self.lamp(), g)[60, 60, 0]) for g in (0.0, 0.5, 1.0)]
        assert levels[0] < levels[1] < levels[2]

    def test_white_paper_stays_as_it_is(self) -> None:
        image = np.full((120, 120, 3), 60, np.uint8)
        image[40:80, 40:80] = 255
        soft = to_code(convolve(to_linear(image), disc(1.2)))
        assert (self.spread(soft, 1.0) == self.spread(soft, 0.0)).all()

    def test_a_colour_keeps_its_hue(self) -> None:
        # Only red is clipped: green tells that the pixel is no brighter than it seems.
        image = np.full((120, 120, 3), 20, np.uint8)
        y, x = np.mgrid[:120, :120]
        image[np.hypot(y - 60, x - 60) < 5] = (255, 150, 60)
        plain, restored = (self.spread(image, g).astype(int) for g in (0.0, 1.0))
        assert np.abs(restored - plain).max() <= 8

    def test_nothing_clipped_nothing_changed(self) -> None:
        image = texture(60, 60)
        assert (self.spread(image, 1.0) == self.spread(image, 0.0)).all()


class TestGraded:
    """The paper's own blur."""

    @pytest.mark.parametrize("method", ["gaussian", "average", "median", "bilateral"])
    def test_focus_is_sharp_and_the_extremes_are_not_black(self, method: str) -> None:
        image = texture(90, 160)
        ramp = np.linspace(0, 1, 160, dtype=np.float32) * np.ones((90, 1), np.float32)
        made = make_renderer(method, "high", aperture=Aperture())
        out = made.render(image, Disparity(ramp), 0.0, Lens(f_number=0.4))
        assert (out[:, :20] == image[:, :20]).all()
        assert out.min() >= image.min()
        assert out[:, 140:].std() < image[:, 140:].std()

    def test_masks_sum_to_one(self) -> None:
        from rtfocus.graded import KERNELS, grade

        radius = np.linspace(-6, 3, 1000, dtype=np.float32).reshape(10, 100)
        level = grade(radius)
        n = np.abs(radius.astype(np.float64)) / 6
        masks = [(i / 6 <= n) & (n < (i + 1) / 6) for i in range(5)] + [n >= 5 / 6]
        assert (sum(m.astype(int) for m in masks) == 1).all()
        agree = [(level == i) == m for i, m in enumerate(masks)]
        assert np.mean(agree) > 0.999  # float32 rounding at the borders
        assert len(KERNELS) == 6

    def test_flat_depth_is_left_alone(self) -> None:
        image = texture(20, 30)
        made = make_renderer("gaussian", "high", aperture=Aperture())
        assert (made.render(image, Disparity(const(20, 30, 0.5)), 0.5, Lens()) == image).all()
