"""Depth over time, on scenes whose truth is known."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import cv2
import numpy as np
import pytest

from rtfocus.align import align
from rtfocus.backend import open_backend
from rtfocus.depth.base import DepthSource
from rtfocus.device import resolve
from rtfocus.engine import Engine
from rtfocus.frame import Frame
from rtfocus.normalise import Normaliser
from rtfocus.settings import Settings
from rtfocus.smooth import Smoother

SIZE = (72, 128)
NOISE = 0.02


def picture(depth: np.ndarray, seed: int = 0) -> np.ndarray:
    """A textured picture in which near things are brighter."""
    grain = np.random.default_rng(seed).integers(0, 40, (*SIZE, 3))
    return (60 + 120 * depth[..., None] + grain).astype(np.uint8)


def scene(count: int) -> list[np.ndarray]:
    """A square that moves over a slanted wall."""
    wall = np.linspace(0.1, 0.4, SIZE[1], dtype=np.float32) * np.ones((SIZE[0], 1), np.float32)
    maps = []
    for i in range(count):
        depth = wall.copy()
        depth[20:52, 10 + i : 34 + i] = 0.9
        maps.append(depth)
    return maps


def frames_of(maps: list[np.ndarray]) -> list[Frame]:
    grain = [picture(m) for m in maps]
    return [Frame(image, i, i, Fraction(1, 30)) for i, image in enumerate(grain)]


def disturbed(maps: list[np.ndarray], seed: int = 1) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [
        (random.uniform(0.9, 1.1) * (m + random.normal(0, NOISE, m.shape))
         + random.uniform(-0.05, 0.05)).astype(np.float32)
        for m in maps
    ]  # fmt: skip


def fitted(maps: list[np.ndarray], truth: list[np.ndarray]) -> np.ndarray:
    x, y = np.stack(maps).astype(float), np.stack(truth).astype(float)
    scale, shift = np.polyfit(x[20:].ravel(), y[20:].ravel(), 1)
    return scale * x + shift - y


def smoothed(
    maps: list[np.ndarray], frames: list[Frame], strength: float, ahead: int = 0
) -> list[np.ndarray]:
    smoother = Smoother("relative", strength=strength, ahead=ahead)
    return [d.values for _, d in smoother.stream(zip(frames, maps, strict=True))]


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


@pytest.mark.parametrize("ahead", [0, 6])
def test_still_walls_are_still_and_moving_edges_do_not_trail(ahead: int) -> None:
    truth = scene(70)
    frames = frames_of(truth)
    noisy = disturbed(truth)
    before = fitted(noisy, truth)
    after = fitted(smoothed(noisy, frames, 0.5, ahead), truth)
    static = np.ptp(truth, axis=0) == 0
    assert rms(before[25:, static]) > 5 * rms(after[25:, static])
    moved = np.stack([np.abs(b - a) > 0.1 for a, b in pairwise(truth)])
    wide = np.stack([cv2.dilate(m.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0 for m in moved])
    assert rms(after[1:][wide][2000:]) < 1.2 * NOISE


def test_looking_ahead_helps() -> None:
    truth = scene(60)
    frames, noisy = frames_of(truth), disturbed(truth)
    static = np.ptp(truth, axis=0) == 0
    errors = [
        rms(fitted(smoothed(noisy, frames, 0.5, ahead), truth)[:, static]) for ahead in (0, 8)
    ]
    assert errors[1] < errors[0]


def test_looking_ahead_gives_every_frame_once_and_in_order() -> None:
    truth = scene(9)
    frames = frames_of(truth)
    smoother = Smoother("relative", strength=0.5, ahead=4)
    given = [f for f, _ in smoother.stream(zip(frames, truth, strict=True))]
    assert [f.index for f in given] == list(range(9))


def test_without_strength_maps_are_only_aligned() -> None:
    truth = scene(30)
    frames = frames_of(truth)
    scaled = [m * np.float32(1 + 0.01 * (i % 5)) + np.float32(0.02 * (i % 3))
              for i, m in enumerate(truth)]  # fmt: skip
    after = fitted(smoothed(scaled, frames, 0.0), truth)
    assert np.abs(after).max() < 0.02


def test_a_cut_starts_anew() -> None:
    first = scene(12)
    down = np.linspace(1.0, 0.2, SIZE[0], dtype=np.float32)[:, None].repeat(SIZE[1], 1)
    second = [down.copy() for _ in first]
    smoother = Smoother("relative", strength=1.0)
    cuts = []
    for i, depth in enumerate(first + second):
        frame = Frame(picture(depth, seed=i // 12), i, i, Fraction(1, 30))
        result = smoother.update(depth, frame)
        cuts.append(result.cut)
    assert cuts.index(True) == 12
    assert sum(cuts) == 1


def test_a_flash_is_no_cut() -> None:
    maps = scene(20)
    smoother = Smoother("relative", strength=0.5)
    for i, depth in enumerate(maps):
        image = picture(depth)
        if i == 10:
            image = np.clip(image.astype(int) + 120, 0, 255).astype(np.uint8)
        assert not smoother.update(depth, Frame(image, i, i, Fraction(1, 30))).cut


def test_the_same_array_again_is_no_new_measurement() -> None:
    depth = disturbed(scene(1))[0]
    frames = frames_of(scene(5))
    smoother = Smoother("relative", strength=0.5)
    first = smoother.update(depth, frames[0]).values
    for frame in frames[1:]:
        np.testing.assert_allclose(smoother.update(depth, frame).values, first, atol=2e-2)


@pytest.mark.parametrize("scale", ["relative", "metric", "normalised"])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (40, 60)])
def test_flat_and_tiny_maps_do_not_blow_up(scale: str, shape: tuple[int, int]) -> None:
    smoother = Smoother(scale, strength=0.5, ahead=2)  # type: ignore[arg-type]
    image = np.zeros((4, 4, 3), np.uint8)
    pairs = [
        (Frame(image, i, i, Fraction(1, 30)), np.full(shape, 0.3, np.float32)) for i in range(5)
    ]
    for _, disparity in smoother.stream(pairs):
        assert np.isfinite(disparity.values).all()
        assert np.abs(disparity.values).max() < 10


def test_metric_units_are_kept_exactly() -> None:
    random = np.random.default_rng(0)
    normaliser = Normaliser("metric")
    for i in range(5):
        inverse = random.uniform(0.001, 1.4, (30, 40)).astype(np.float32) * (1 + i)
        result = normaliser.update(inverse, cut=False)
        assert result.metric is not None
        scale, offset = result.metric
        np.testing.assert_allclose(result.values * scale + offset, inverse, rtol=1e-4, atol=1e-6)


def test_normalised_depth_passes_through() -> None:
    values = np.random.default_rng(0).uniform(-0.2, 1.2, (20, 30)).astype(np.float32)
    assert (Normaliser("normalised").update(values, cut=False).values == values).all()


def test_relative_depth_spans_about_nought_to_one() -> None:
    values = np.random.default_rng(0).uniform(300, 900, (90, 160)).astype(np.float32)
    smooth = cv2.GaussianBlur(values, (0, 0), 9)
    result = Normaliser("relative").update(smooth, cut=False).values
    assert ((result > 0) & (result < 1)).mean() > 0.9
    assert np.ptp(result) > 1


def test_alignment_against_the_known_answer() -> None:
    random = np.random.default_rng(2)
    base = cv2.GaussianBlur(random.normal(0, 1, (90, 160)).astype(np.float32), (0, 0), 8)
    moved = base.copy()
    moved[30:60, 40:80] += 2  # a subject that came closer must not decide
    scale, shift, misfit = align((base - 0.7) / 1.9, moved)
    assert scale == pytest.approx(1.9, rel=0.02)
    assert shift == pytest.approx(0.7, abs=0.02)
    assert misfit < 0.05


def test_noise_does_not_shrink_the_scale_over_a_long_clip() -> None:
    truth = scene(1)[0]
    random = np.random.default_rng(0)
    image = picture(truth)
    smoother = Smoother("relative", strength=0.3)
    spans = []
    for i in range(150):
        noisy = (truth + random.normal(0, 0.05, truth.shape)).astype(np.float32)
        smoother.update(noisy, Frame(image, i, i, Fraction(1, 30)))
        assert smoother._last is not None
        spans.append(
            float(smoother._last.value[:, 110:].mean() - smoother._last.value[:, :8].mean())
        )
    assert spans[-1] == pytest.approx(spans[10], rel=0.03)


class Flickering(DepthSource):
    """Noise on a wall, as from a network."""

    scale, steady, description = "normalised", False, "noise"

    def __init__(self) -> None:
        self._random = np.random.default_rng(3)

    def estimate(self, frame: Frame) -> np.ndarray:
        del frame
        return self._random.normal(0.5, NOISE, SIZE).astype(np.float32)

    def close(self) -> None: ...


def test_smoothing_can_be_changed_while_it_runs() -> None:
    settings = Settings(smooth=0.5)
    engine = Engine(settings, Flickering(), open_backend(resolve("cpu")))
    still = frames_of([scene(1)[0]])[0]

    def noise() -> float:
        """Of the last of twenty maps."""
        for i in range(20):
            _, steady = engine.measure(replace(still, index=i, pts=i))
        return float(steady.values.std())

    smooth = noise()
    engine.adjust(replace(settings, smooth=0.0))
    plain = noise()
    engine.adjust(replace(settings, smooth=None))  # a network's: half
    assert smooth < 0.35 * plain
    assert noise() < 0.35 * plain
    engine.close()
