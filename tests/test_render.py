"""The thin-lens renderer against float64 references and physics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import (
    const,
    convolve,
    disc,
    psnr,
    scatter,
    texture,
    to_code,
    to_linear,
    two_planes,
)

from rtfocus.frame import Disparity
from rtfocus.lens import Lens
from rtfocus.render import make_renderer
from rtfocus.render.aperture import Aperture
from rtfocus.render.layered import LensRenderer
from rtfocus.render.layers import TIERS, Tier, plan_layers

FULL = Tier(growth=0.18, half_from=1e9)
LAYERED = {name: TIERS[name] for name in ("high", "fast")}


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
    image = texture(96, 160, cell=4)
    out = LensRenderer(FULL, Aperture(), highlights=0).blur(image, const(96, 160, sign * radius))
    truth = to_code(convolve(to_linear(image), disc(radius)))
    assert psnr(out, truth) > 38
    assert np.abs(out.mean() - truth.mean()) < 0.5


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
    # Steps, so that layers hold one radius each, in the part as in the whole.
    radius = (4 * np.round(2 * np.sin(x / 40) + np.cos(y / 25))).astype(np.float32)
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


def test_a_radius_map_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="does not go with"):
        LensRenderer(FULL, Aperture()).blur(texture(20, 20), const(5, 5, 1.0))


def test_a_radius_that_is_no_number_is_refused(renderer: LensRenderer) -> None:
    with pytest.raises(ValueError, match="not finite"):
        renderer.blur(texture(8, 8), const(8, 8, np.nan))


@settings(max_examples=12)
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


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("shape", ["far", "through focus", "waves"])
def test_smooth_depth_against_scatter(plain: LensRenderer, shape: str, seed: int) -> None:
    image = texture(64, 96, seed, cell=4)
    y, x = np.mgrid[:64, :96]
    radius = {
        "far": -7 * x / 96,
        "through focus": 14 * (x / 96 - 0.5),
        "waves": 5 * np.sin(x / 18) + 2 * np.cos(y / 13),
    }[shape]
    truth = to_code(scatter(to_linear(image), radius))
    out = plain.blur(image, radius.astype(np.float32))
    assert psnr(out, truth) > 33
    assert psnr(out, truth) > psnr(image, truth) + 15


@pytest.mark.parametrize("shape", ["slanted", "round"])
@pytest.mark.parametrize(
    ("least", "most", "wall", "decibels"),
    [(-1, -3, -14, 41), (-0.3, -9, -14, 23.5), (3, -5, -14, 32), (9, 2, 0, 38)],
)
def test_nothing_shines_through_a_surface(
    plain: LensRenderer, least: float, most: float, wall: float, decibels: float, shape: str
) -> None:
    """A dark thing whose blur changes, before a bright wall."""
    height, width = 100, 110
    y, x = np.mgrid[:height, :width]
    away = np.hypot(y - 50, x - 55) / 40
    there = away < 1
    t = away if shape == "round" else (x - 15) / 80
    radius = np.where(there, least + (most - least) * t, wall)
    image = np.where(there[..., None], texture(height, width) // 3, 230).astype(np.uint8)
    truth = to_code(scatter(to_linear(image), radius))
    out = plain.blur(image, radius.astype(np.float32))
    assert psnr(out, truth, away < 0.8) > decibels


@pytest.mark.parametrize("radius", [3.0, 6.0, 11.0, 22.0, -6.0, -22.0])
@pytest.mark.parametrize("tier", LAYERED.values(), ids=LAYERED)
def test_uniform_radius_up_to_the_border(tier: Tier, radius: float) -> None:
    image = texture(80, 120, 7, cell=4)
    scale = plan_layers(abs(radius), tier, Aperture()).scale[-1]
    truth = to_code(convolve(to_linear(image), disc(abs(radius))))  # border repeated
    out = LensRenderer(tier, Aperture(), highlights=0).blur(image, const(80, 120, radius))
    error = np.abs(out.astype(int) - truth)
    assert error.max() <= (3 if scale == 1 and abs(radius) > 4 else 14)
    assert psnr(out, truth) > 40


@pytest.mark.parametrize("radius", [3.0, 9.0, 25.0])
def test_reach_of_a_foreground(renderer: LensRenderer, radius: float) -> None:
    image = np.random.default_rng(3).integers(0, 251, (90, 200, 3), dtype=np.uint8)
    signed = const(90, 200, 0.0)
    signed[:, :60] = radius
    out = renderer.blur(image, signed)
    beyond = 61 + int(1.5 * radius)
    assert (out[:, beyond:] == image[:, beyond:]).all()
    assert (out[:, 60:62] != image[:, 60:62]).any()


@pytest.mark.parametrize("radius", [-3, -9, -25])
def test_noise_in_focus_keeps_its_bytes(renderer: LensRenderer, radius: float) -> None:
    image = np.random.default_rng(4).integers(0, 256, (130, 200, 3), dtype=np.uint8)
    y, x = np.mgrid[:130, :200]
    subject = np.hypot(y - 65, x - 100) < 40
    signed = np.where(subject, 0.4, radius).astype(np.float32)
    assert (renderer.blur(image, signed)[subject] == image[subject]).all()


@pytest.mark.parametrize("turn", [np.fliplr, np.flipud, lambda a: np.swapaxes(a, 0, 1)])
@pytest.mark.parametrize("radius", [5.0, -20.0])
def test_a_uniform_blur_has_no_direction(
    renderer: LensRenderer, radius: float, turn: Callable[[np.ndarray], np.ndarray]
) -> None:
    image = texture(141, 243, 4)
    turned = renderer.blur(np.ascontiguousarray(turn(image)), turn(const(141, 243, radius)).copy())
    straight = renderer.blur(image, const(141, 243, radius))
    # No reduced grid divides this size: its cells lie elsewhere in the turned picture.
    assert np.abs(turn(turned).astype(int) - straight).max() <= 10
    assert psnr(np.ascontiguousarray(turn(turned)), straight) > 44


@pytest.mark.parametrize("turn", [np.fliplr, np.flipud, lambda a: np.swapaxes(a, 0, 1)])
def test_a_scene_has_no_direction(
    renderer: LensRenderer, turn: Callable[[np.ndarray], np.ndarray]
) -> None:
    # What is guessed behind a foreground comes from a reduced grid, which lies otherwise in the
    # turned picture; the guess is seen through soft edges only.
    image = texture(141, 243, 4)
    y, x = np.mgrid[:141, :243]
    radius = np.where(np.hypot(y - 50, x - 90) < 30, 7, -4).astype(np.float32)
    turned = renderer.blur(np.ascontiguousarray(turn(image)), np.ascontiguousarray(turn(radius)))
    assert psnr(np.ascontiguousarray(turn(turned)), renderer.blur(image, radius)) > 45


def test_a_shift_by_whole_tiles_changes_nothing(plain: LensRenderer) -> None:
    image = texture(200, 400, 5)
    y, x = np.mgrid[:200, :400]
    # Steps, so that layers hold one radius each, in the part as in the whole.
    radius = (4 * np.round(2 * np.sin(x / 40) + np.cos(y / 25))).astype(np.float32)
    whole = plain.blur(image, radius)[64:, 128:]
    part = plain.blur(
        np.ascontiguousarray(image[64:, 128:]), np.ascontiguousarray(radius[64:, 128:])
    )
    assert (part[50:, 50:] == whole[50:, 50:]).all()


@pytest.mark.parametrize("size", [(37, 1), (129, 65), (200, 200)])
@pytest.mark.parametrize("blades", [0, 5])
def test_absurd_radii(size: tuple[int, int], blades: int) -> None:
    random = np.random.default_rng(2)
    image = random.integers(0, 251, (*size, 3), dtype=np.uint8)
    for tier in LAYERED.values():
        made = LensRenderer(tier, Aperture(blades), highlights=0)
        for reach in (300, 1e4):
            radius = random.uniform(-reach, reach, size).astype(np.float32)
            out = made.blur(image, radius)
            assert out.dtype == np.uint8
            assert out.shape == image.shape
            assert out.max() <= image.max() + 1


@settings(max_examples=12)
@given(
    seed=st.integers(0, 99),
    reach=st.floats(0.6, 20),
    colour=st.tuples(*[st.integers(0, 240)] * 3),
)
def test_constant_under_noisy_depth(seed: int, reach: float, colour: tuple[int, int, int]) -> None:
    image = np.full((66, 131, 3), colour, np.uint8)
    radius = np.random.default_rng(seed).uniform(-reach, reach, (66, 131)).astype(np.float32)
    for tier in LAYERED.values():
        out = LensRenderer(tier, Aperture(), highlights=0).blur(image, radius)
        assert np.abs(out.astype(int) - image).max() <= 1


@pytest.mark.parametrize("tier", LAYERED.values(), ids=LAYERED)
def test_constant_under_patches_of_many_depths(tier: Tier) -> None:
    image = np.full((129, 259, 3), 200, np.uint8)
    made = LensRenderer(tier, Aperture(), highlights=0)
    for seed in range(20):
        patches = np.random.default_rng(seed).uniform(-15, 15, (13, 26))
        radius = np.kron(patches, np.ones((10, 10)))[:129, :259].astype(np.float32)
        assert np.abs(made.blur(image, radius).astype(int) - image).max() <= 1


@pytest.mark.parametrize("colour", [(255, 255, 255), (252, 252, 252), (255, 0, 0)])
def test_a_picture_that_is_clipped_all_over(colour: tuple[int, int, int]) -> None:
    image = np.full((40, 60, 3), colour, np.uint8)
    assert (LensRenderer(FULL, Aperture()).blur(image, const(40, 60, 5)) == image).all()


@pytest.mark.parametrize("quality", LAYERED)
def test_render_asks_the_lens(quality: str) -> None:
    image = texture(72, 128, 8)
    disparity = Disparity(np.linspace(0, 1, 128, dtype=np.float32) * np.ones((72, 1), np.float32))
    lens = Lens(f_number=0.5, focus_range=0.1)
    made = make_renderer("lens", quality, aperture=Aperture())
    direct = LensRenderer(TIERS[quality], Aperture()).blur(image, lens.radius(disparity, 0.3))
    assert (made.render(image, disparity, 0.3, lens) == direct).all()
    made.close()
    made.close()  # twice is as good as once


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

    def test_a_lamp_in_focus_keeps_its_bytes(self) -> None:
        image = self.lamp()
        radius = const(120, 120, -8.0)
        radius[:, :60] = 0
        out = LensRenderer(FULL, Aperture()).blur(image, radius)
        assert (out[:, :60] == image[:, :60]).all()

    def test_without_gain_a_lamp_is_paint(self) -> None:
        image = self.lamp()
        truth = to_code(convolve(to_linear(image), disc(15)))
        assert np.abs(self.spread(image, 0.0).astype(int) - truth).max() <= 2

    def test_nothing_clipped_nothing_changed(self) -> None:
        image = texture(60, 60)
        assert (self.spread(image, 1.0) == self.spread(image, 0.0)).all()
