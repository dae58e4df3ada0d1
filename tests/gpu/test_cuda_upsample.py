"""Disparity brought to the picture's size on the GPU, against the CPU."""

import cv2
import numpy as np
import pytest

from rtfocus.cuda.disparity import DeviceDisparity
from rtfocus.cuda.gpu import Gpu
from rtfocus.cuda.upsample import CudaUpsampler
from rtfocus.frame import Disparity
from rtfocus.upsample import Upsampler


def place(gpu: Gpu, values: np.ndarray) -> DeviceDisparity:
    return DeviceDisparity(gpu.upload(values), None, gpu.zeros(1, np.int32))


def both(gpu: Gpu, values: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    result = CudaUpsampler(gpu)(place(gpu, values), gpu.upload(image))
    return gpu.download(result.values), Upsampler()(Disparity(values), image).values


def assert_alike(result: np.ndarray, wanted: np.ndarray) -> None:
    assert result.shape == wanted.shape
    # A pixel half way between two sides may take the other one.
    assert (np.abs(result - wanted) > 1e-4).mean() <= 0.001


def scene(height: int, width: int, grid: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Noisy discs before a textured wall, and their soft disparity on a grid."""
    y, x = np.mgrid[:height, :width]
    random = np.random.default_rng(0)
    image = random.normal((50, 80, 140), 8, (height, width, 3))
    truth = 0.1 + 0.2 * x / width
    for centre, radius, colour, near in (
        ((0.3, 0.3), 0.2, (200, 120, 60), 0.9),
        ((0.6, 0.7), 0.3, (70, 100, 130), 0.5),  # hard to tell from what is behind it
        ((0.9, 0.2), 0.15, (240, 240, 240), 0.7),
    ):
        inside = np.hypot(y - centre[0] * height, x - centre[1] * width) < radius * height
        image[inside] = colour + random.normal(0, 8, (inside.sum(), 3))
        truth[inside] = near
    image = cv2.GaussianBlur(image, (0, 0), 0.8)
    small = cv2.resize(truth.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), 0.8), np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((96, 150), (37, 56)),  # any factor
        ((97, 131), (28, 42)),
        ((90, 120), (60, 80)),  # pixels half way between two cells, but for rounding
        ((75, 100), (24, 32)),
        ((90, 120), (30, 40)),  # whole factors
        ((90, 120), (45, 60)),
        ((96, 120), (24, 60)),
        ((60, 80), (60, 79)),
    ],
)
def test_scene(gpu: Gpu, size: tuple[int, int], grid: tuple[int, int]) -> None:
    values, image = scene(*size, grid)
    result, wanted = both(gpu, values, image)
    plain = cv2.resize(values, size[::-1], interpolation=cv2.INTER_LINEAR)
    assert (np.abs(wanted - plain) > 0.05).mean() > 0.02  # there is something to compare
    assert_alike(result, wanted)


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (67, 1), (2, 3), (33, 31), (64, 65)])
@pytest.mark.parametrize("grid", [(1, 1), (1, 9), (8, 1), (2, 3), (9, 11)])
def test_odd_sizes(gpu: Gpu, size: tuple[int, int], grid: tuple[int, int]) -> None:
    random = np.random.default_rng(2)
    image = random.integers(0, 256, (*size, 3), np.uint8)
    values = random.uniform(0.2, 0.7, grid).astype(np.float32)
    result, wanted = both(gpu, values, image)
    if (grid[0] > size[0] or grid[1] > size[1]) and np.prod(grid) <= np.prod(size):
        # OpenCV enlarges one axis in its own fixed-point numbers, a level off here and there.
        np.testing.assert_allclose(result, wanted, atol=0.02)
    else:
        np.testing.assert_allclose(result, wanted, atol=1e-4)


@pytest.mark.parametrize("size", [(30, 40), (20, 20), (37, 25), (60, 7), (1, 1), (33, 80)])
def test_larger_grid_is_reduced(gpu: Gpu, size: tuple[int, int]) -> None:
    values = np.random.default_rng(3).random((60, 80), np.float32)
    image = np.zeros((*size, 3), np.uint8)
    result, wanted = both(gpu, values, image)
    np.testing.assert_allclose(result, wanted, atol=1e-6)


@pytest.mark.parametrize(("values", "level"), [(0.0, 0), (0.7, 128), (1.0, 255)])
def test_flat_map_stays_flat(gpu: Gpu, values: float, level: int) -> None:
    flat, image = np.full((7, 9), values, np.float32), np.full((40, 50, 3), level, np.uint8)
    result, _ = both(gpu, flat, image)
    np.testing.assert_array_equal(result, np.full((40, 50), values, np.float32))


def test_picture_in_one_colour(gpu: Gpu) -> None:
    values, _ = scene(60, 80, (20, 27))
    assert_alike(*both(gpu, values, np.full((60, 80, 3), 128, np.uint8)))


def test_own_size_is_left_untouched(gpu: Gpu) -> None:
    disparity = place(gpu, np.zeros((20, 30), np.float32))
    image = gpu.upload(np.zeros((20, 30, 3), np.uint8))
    assert CudaUpsampler(gpu)(disparity, image) is disparity


def test_units_and_cuts_are_kept(gpu: Gpu) -> None:
    metric, cut = gpu.upload(np.array([2, 0.1], np.float32)), gpu.upload(np.ones(1, np.int32))
    image = gpu.upload(np.zeros((20, 30, 3), np.uint8))
    given = DeviceDisparity(gpu.zeros((5, 7), np.float32), metric, cut)
    out = CudaUpsampler(gpu)(given, image)
    assert out.metric is metric
    assert out.cut is cut


def test_results_stay_when_sizes_change(gpu: Gpu) -> None:
    upsampler = CudaUpsampler(gpu)
    cases = [scene(48, 64, (12, 16)), scene(40, 56, (13, 15)), scene(48, 64, (12, 16))]
    cases.append((cases[0][0], cases[0][1][::-1].copy()))
    results = [upsampler(place(gpu, values), gpu.upload(image)) for values, image in cases]
    upsampler.close()
    upsampler.close()
    for (values, image), result in zip(cases, results, strict=True):
        assert_alike(gpu.download(result.values), Upsampler()(Disparity(values), image).values)
