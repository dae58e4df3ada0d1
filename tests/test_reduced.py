"""The live tier against references at full size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from reference import compose, convolve, disc, psnr, to_code, to_linear

from rtfocus import Refocus
from rtfocus.errors import UsageError
from rtfocus.frame import Disparity, Image, Map
from rtfocus.lens import Lens
from rtfocus.readers import open_reader
from rtfocus.render import make_renderer
from rtfocus.render.aperture import Aperture
from rtfocus.render.reduced import ReducedUpsampler, Reduction, reduce_picture, resize_disparity

HEIGHT, WIDTH = 240, 384
Y, X = np.mgrid[:HEIGHT, :WIDTH]
HALF = HEIGHT // 2, WIDTH // 2
UNIT = Lens(f_number=0.07 * HEIGHT)
"""One pixel of radius per unit of disparity."""


def render(
    image: Image,
    radius: np.ndarray,
    quality: str = "live",
    *,
    lens: Lens = UNIT,
    highlights: float = 0.0,
    threads: int = 1,
) -> Image:
    """What becomes of a picture by its radius in full-size pixels, or disparity of another lens."""
    made = make_renderer(
        "lens", quality, aperture=Aperture(), highlights=highlights, threads=threads
    )
    out = made.render(image, Disparity(radius.astype(np.float32)), 0.0, lens)
    made.close()
    return out


def noise(height: int = HEIGHT, width: int = WIDTH, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(20, 236, (height, width, 3), dtype=np.uint8)


def waves(phase: float = 0.0) -> Image:
    channels = np.sin(X / 9 + Y / 15 + phase), np.cos(Y / 11 + phase), np.sin((X + Y) / 13 + phase)
    return np.round(128 + 85 * np.stack(channels, axis=-1)).astype(np.uint8)


def flat(*colour: int) -> Image:
    return np.full((HEIGHT, WIDTH, 3), colour, np.uint8)


def grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return cv2.dilate(mask.astype(np.uint8), kernel) > 0


@pytest.mark.parametrize(
    ("height", "width", "factor"),
    [(1, 1, 2), (240, 426, 2), (360, 640, 2), (720, 1280, 2), (1280, 720, 2), (1080, 1920, 3),
     (2160, 3840, 6)],
)  # fmt: skip
def test_by_how_much(height: int, width: int, factor: int) -> None:
    reduction = Reduction()
    assert reduction.factor(height, width) == factor
    assert reduction.size(height, width) == (max(1, height // factor), max(1, width // factor))


class TestReducing:
    """A picture and its disparity made smaller."""

    def test_light_is_averaged(self) -> None:
        image = noise()
        cells = to_linear(image).reshape(HEIGHT // 2, 2, WIDTH // 2, 2, 3).mean(axis=(1, 3))
        assert np.abs(reduce_picture(image, HALF).astype(int) - to_code(cells)).max() <= 1

    def test_every_code_value_survives(self) -> None:
        image = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2).repeat(2, axis=1)
        assert (reduce_picture(image.repeat(2, axis=0), (256, 1))[:, 0, 0] == np.arange(256)).all()

    def test_no_depth_is_invented(self) -> None:
        disparity = Disparity(np.where(X < 101, 0.2, 0.9).astype(np.float32), cut=True)
        small = ReducedUpsampler(Reduction())(disparity, noise())
        assert small.values.shape == (HEIGHT // 2, WIDTH // 2)
        assert set(np.unique(small.values)) == set(np.unique(disparity.values))
        assert small.cut

    def test_a_grid_is_enlarged_along_the_pictures_edges(self) -> None:
        near = np.hypot(Y - 120, X - 190) < 60
        image = np.where(near[..., None], (200, 120, 60), (50, 80, 140)).astype(np.uint8)
        truth = near.astype(np.float32)
        grid = cv2.GaussianBlur(
            cv2.resize(truth, (64, 40), interpolation=cv2.INTER_AREA), (0, 0), 1
        )
        small = ReducedUpsampler(Reduction())(Disparity(grid), image).values
        wanted = cv2.resize(truth, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
        plain = cv2.resize(grid, (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_LINEAR)
        assert np.abs(small - wanted).mean() < 0.4 * np.abs(plain - wanted).mean()

    def test_its_own_size_is_left_untouched(self) -> None:
        disparity = Disparity(np.zeros((HEIGHT // 2, WIDTH // 2), np.float32))
        assert ReducedUpsampler(Reduction())(disparity, noise()) is disparity


class TestDetail:
    """What is in focus, and what is not."""

    @pytest.mark.parametrize("size", [(1, 1), (37, 53), (240, 384), (1080, 601), (1090, 1090)])
    def test_in_focus_all_over(self, size: tuple[int, int]) -> None:
        image = noise(*size)
        below = np.random.default_rng(1).uniform(-0.49, 0.49, size)
        unit = Lens(f_number=0.07 * size[0])
        assert (render(image, below, lens=unit) == image).all()

    def test_bytes_of_a_subject(self) -> None:
        image = noise()
        subject = np.hypot(Y - 120, X - 190) < 70
        out = render(image, np.where(subject, 0.4, -9))
        inside = ~grown(~subject, 3)
        assert (out[inside] == image[inside]).all()
        assert np.abs(out.astype(int) - image)[~grown(subject, 3)].mean() > 30

    def test_bytes_beyond_the_reach_of_a_blurred_foreground(self) -> None:
        image = noise()
        out = render(image, np.where(X < 100, 12.0, 0.0))
        assert (out[:, 100 + 18 :] == image[:, 100 + 18 :]).all()
        assert (out[:, :100] != image[:, :100]).any()

    def test_a_blurred_foreground_covers_detail_in_its_measure(self) -> None:
        back = noise()
        mask = (X < 150).astype(float)
        image = np.where(mask[..., None] > 0, flat(120, 120, 120), back).astype(np.uint8)
        planes = [(to_linear(back), np.ones_like(mask), 0.0)]
        truth = to_code(compose([*planes, (to_linear(flat(120, 120, 120)), mask, 16.0)]))
        out = render(image, 16 * mask)
        for left in range(152, 170, 3):
            contrast, wanted = (a[:, left : left + 3].astype(float).std() for a in (out, truth))
            assert contrast == pytest.approx(wanted, rel=0.15)
        assert psnr(out, truth, (mask == 0)) > 36

    @pytest.mark.parametrize("radius", [0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 8.0, 20.0])
    @pytest.mark.parametrize("sign", [1, -1])
    def test_a_uniform_blur_is_a_disc(self, radius: float, sign: int) -> None:
        image = cv2.GaussianBlur(noise(), (0, 0), 1.2)
        truth = to_code(convolve(to_linear(image), disc(radius)))
        out = render(image, np.full((HEIGHT, WIDTH), sign * radius))
        assert psnr(out, truth) > 36
        assert psnr(out, truth) > psnr(image, truth) + 2

    def test_more_blur_leaves_less_detail(self) -> None:
        image = noise()
        radii = [0.4, 0.7, 1.0, 1.3, 1.6, 2.2, 3.0, 4.5, 7.0]
        left = [render(image, np.full(image.shape[:2], r)).astype(float).std() for r in radii]
        assert (np.diff(left) < 0).all()


class TestSilhouettes:
    """Where a subject in focus meets what is blurred."""

    subject = np.hypot(Y - 120, X - 190) < 70
    radius = np.where(subject, 0.0, -12.0)

    def test_against_the_exact_picture(self) -> None:
        back, front = waves(), noise(seed=1)
        image = np.where(self.subject[..., None], front, back).astype(np.uint8)
        planes = [(back, np.ones(image.shape[:2]), -12.0), (front, self.subject.astype(float), 0.0)]
        truth = to_code(compose([(to_linear(a), mask, r) for a, mask, r in planes]))
        out = render(image, self.radius)
        assert psnr(out, truth) > 33
        assert psnr(out, truth, ~grown(self.subject, 2)) > 36
        # The subject's rim is mixed with what is behind it, but by less than two pixels.
        rim = self.subject & grown(~self.subject, 2)
        assert psnr(out, truth, rim) > psnr(
            to_code(convolve(to_linear(image), disc(2))), truth, rim
        )

    @pytest.mark.parametrize("front", [(235, 40, 30), (10, 10, 10), (240, 240, 240)])
    def test_halo(self, front: tuple[int, int, int]) -> None:
        # Where outlines cross reduced pixels, some of the subject's light is in the background.
        image = np.where(self.subject[..., None], flat(*front), flat(60, 90, 160)).astype(np.uint8)
        plain = to_code(convolve(to_linear(image), disc(12)))
        halo, wide = (
            np.abs(a.astype(int) - image).max(axis=-1) for a in (render(image, self.radius), plain)
        )
        beside = grown(self.subject, 14) & ~grown(self.subject, 2)
        assert halo[beside].mean() < 0.12 * wide[beside].mean()
        assert halo[~grown(~self.subject, 2)].max() == 0

    def test_nothing_rings(self) -> None:
        # A mix of the two sides never leaves their range.
        image = np.where(self.subject[..., None], flat(200, 200, 200), flat(60, 60, 60))
        out = render(image.astype(np.uint8), self.radius)
        assert out.min() >= 59
        assert out.max() <= 201


class TestLight:
    """Where it goes."""

    @pytest.mark.parametrize("radius", [3.0, 12.0, -3.0, -12.0])
    @pytest.mark.parametrize("shift", [0, 1])
    def test_a_point_keeps_its_light_and_place(self, radius: float, shift: int) -> None:
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        image[118 + shift : 123 + shift, 188 + shift : 193 + shift] = 235
        light, before = (to_linear(a)[..., 1] for a in (render(image, 0 * X + radius), image))
        # Code values are interpolated, not light, which takes some from the edge of a disc.
        lost = 0.15 if abs(radius) < 5 else 0.06
        assert light.sum() == pytest.approx(before.sum(), rel=lost)
        assert (light * X).sum() / light.sum() == pytest.approx(190 + shift, abs=0.6)
        assert (light * Y).sum() / light.sum() == pytest.approx(120 + shift, abs=0.6)

    @pytest.mark.parametrize("colour", [(200, 90, 30), (255, 255, 255), (3, 3, 3)])
    def test_a_constant_stays(self, colour: tuple[int, int, int]) -> None:
        image = flat(*colour)
        random = np.random.default_rng(1).uniform(-12, 12, (24, 32))
        blocks = random.repeat(10, 0).repeat(12, 1)
        assert np.abs(render(image, blocks, highlights=1.0).astype(int) - image).max() <= 2

    @pytest.mark.parametrize("size", [2.5, 4.0, 8.0])
    def test_a_lamp_shines_as_at_full_size(self, size: float) -> None:
        image = flat(20, 24, 30).copy()
        image[np.hypot(Y - 120.3, X - 190.6) < size] = 255
        out, full, dim = (
            to_linear(render(image, 0 * X - 14.0, quality, highlights=gain)).sum()
            for quality, gain in (("live", 1.0), ("fast", 1.0), ("live", 0.0))
        )
        ambient = to_linear(flat(20, 24, 30)).sum()
        assert out - ambient == pytest.approx(full - ambient, rel=0.2)
        assert out - ambient > 4 * (dim - ambient)

    def test_a_colour_that_is_not_clipped_tells_how_bright_it_is(self) -> None:
        image = flat(20, 24, 30).copy()
        image[np.hypot(Y - 120.3, X - 190.6) < 5] = (255, 150, 60)
        lit, plain = (render(image, 0 * X - 14.0, highlights=gain) for gain in (1.0, 0.0))
        assert np.abs(lit.astype(int) - plain).max() <= 8

    def test_a_lamp_in_focus_keeps_its_bytes(self) -> None:
        image = flat(20, 24, 30).copy()
        image[np.hypot(Y - 120.3, X - 190.6) < 5] = 255
        out = render(image, np.where(X < 220, 0.0, -9.0), highlights=1.0)
        assert (out[:, :216] == image[:, :216]).all()

    def test_white_paper_stays_as_it_is(self) -> None:
        image = flat(60, 60, 60).copy()
        image[60:180, 90:290] = 255
        soft = to_code(convolve(to_linear(image), disc(1.2)))
        lit, plain = (render(soft, 0 * X - 14.0, highlights=gain) for gain in (1.0, 0.0))
        assert (lit == plain).all()


@pytest.fixture(scope="module")
def pattern() -> tuple[Image, Map]:
    """A frame of the built-in scene and its disparity in 1/m."""
    with open_reader("pattern:1280x720@30,0.1s") as reader:
        frame = next(iter(reader))
    assert frame.disparity is not None
    return frame.image, frame.disparity


class TestAgainstFast:
    """The built-in scene, as `fast` renders it at full size."""

    ROBOT = 1 / 2.4

    def both(
        self, pattern: tuple[Image, Map], lens: Lens, highlights: float
    ) -> tuple[Image, Image, np.ndarray]:
        image, metres = pattern
        # The reduced depth, enlarged: a difference of outlines is no matter of rendering.
        small = resize_disparity(Disparity(metres, metric=(1.0, 0.0)), (360, 640))
        wide = resize_disparity(small, (720, 1280))
        whole = Disparity(np.ascontiguousarray(wide.values), wide.metric)
        results = []
        for quality, disparity in (("live", small), ("fast", whole)):
            made = make_renderer("lens", quality, aperture=Aperture(), highlights=highlights)
            results.append(made.render(image, disparity, self.ROBOT, lens))
        return results[0], results[1], lens.radius(whole, self.ROBOT)

    @pytest.mark.parametrize(
        "lens",
        [
            Lens(f_number=2.8),
            Lens(f_number=1.4, max_radius=1.2),
            Lens(f_number=1.4, focal_length_mm=85.0, sensor_width_mm=36.0),
        ],
        ids=["relative", "capped", "physical"],
    )
    def test_they_agree(self, pattern: tuple[Image, Map], lens: Lens) -> None:
        live, fast, radius = self.both(pattern, lens, 0.0)
        assert np.abs(radius).max() > 8
        assert psnr(live, fast) > 36
        assert abs(live.mean() - fast.mean()) < 0.5
        sharp = ~grown(np.abs(radius) >= 0.5, 3)
        assert sharp.mean() > 0.01
        assert (live[sharp] == pattern[0][sharp]).all()

    def test_lights(self, pattern: tuple[Image, Map]) -> None:
        live, fast, _ = self.both(pattern, Lens(f_number=2.8), 1.0)
        dim, _, _ = self.both(pattern, Lens(f_number=2.8), 0.0)
        assert psnr(live, fast) > 31
        assert psnr(live, fast) > psnr(dim, fast) + 4
        assert abs(live.mean() - fast.mean()) < 0.5


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 9), (9, 1), (2, 2), (3, 200), (65, 129), (641, 363), (1081, 607)]
)
@pytest.mark.parametrize("grid", [None, (3, 5)])
def test_any_size(size: tuple[int, int], grid: tuple[int, int] | None) -> None:
    image = noise(*size)
    values = np.random.default_rng(2).uniform(0, 1, grid or size).astype(np.float32)
    made = make_renderer("lens", "live", aperture=Aperture(5), threads=2)
    upsampler = ReducedUpsampler(Reduction(), threads=2)
    for disparity in (Disparity(values), upsampler(Disparity(values), image)):
        out = made.render(image, disparity, 0.3, Lens(f_number=1.0))
        assert out.shape == image.shape
        assert out.dtype == np.uint8
        assert image.min() - 1 <= out.min() <= out.max() <= image.max() + 1
    made.close()
    upsampler.close()
    made.close()  # twice is as good as once
    upsampler.close()


def test_threads_make_no_difference() -> None:
    radius = np.random.default_rng(0).uniform(-9, 9, (24, 32)).repeat(10, 0).repeat(12, 1)
    one, three = (render(noise(), radius, highlights=1.0, threads=n) for n in (1, 3))
    assert (one == three).all()


def test_a_physical_lens_needs_metric_depth() -> None:
    with pytest.raises(UsageError, match="metric depth"):
        render(noise(), 0.0 * X, lens=Lens(focal_length_mm=50.0, sensor_width_mm=36.0))


class TestWhole:
    """Through the stages of a job."""

    def refocus(self, **options: object) -> Image:
        disparity = (X / WIDTH).astype(np.float32)
        with Refocus(focus_disparity=0.5, f_number=1.0, **options) as refocus:
            return refocus(noise(), disparity[::3, ::3])

    @pytest.mark.parametrize("view", ["original", "depth", "coc", "split"])
    def test_views_are_at_full_size(self, view: str) -> None:
        live = self.refocus(quality="live", view=view)
        wanted = self.refocus(quality="fast", view=view)
        assert live.shape == wanted.shape
        assert psnr(live, wanted) > 25

    def test_other_methods_are_what_they_were(self) -> None:
        live = self.refocus(quality="live", method="gaussian")
        assert (live == self.refocus(quality="high", method="gaussian")).all()

    def test_command_line(self, cli: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
        def run(name: str, *options: str) -> Image:
            code, _, err = cli("run", "pattern:640x360@30,0.1s", "-o", f"{tmp_path}/{name}/",
                               "--focus", "0.5,0.55", *options)  # fmt: skip
            assert code == 0, err
            picture = cv2.imread(str(sorted((tmp_path / name).iterdir())[0]))
            return np.asarray(picture, np.uint8)

        live, fast, original = (
            run("live", "--quality", "live"),
            run("fast", "--quality", "fast"),
            run("original", "--view", "original"),
        )
        assert (live != fast).any()
        assert psnr(live, fast) > 27
        assert psnr(live, fast) > psnr(original, fast) + 5
        plate = slice(255, 270), slice(300, 340)  # of the robot
        assert (live[plate] == original[plate]).all()
