"""The plane of focus on the GPU against that of the CPU."""

from fractions import Fraction

import numpy as np
import pytest

from rtfocus.cuda.disparity import DeviceDisparity
from rtfocus.cuda.focus import CudaFocuser
from rtfocus.cuda.gpu import Gpu
from rtfocus.errors import UsageError
from rtfocus.focus.plane import FocusDisparity, FocusDistance, Focuser, FocusPoint, FocusTarget
from rtfocus.frame import Disparity, Frame

PIXEL = np.zeros((1, 1, 3), np.uint8)


def on_gpu(gpu: Gpu, disparity: Disparity) -> DeviceDisparity:
    metric = None
    if disparity.metric is not None:
        metric = gpu.upload(np.array(disparity.metric, np.float32))
    cut = gpu.upload(np.array([disparity.cut], np.int32))
    return DeviceDisparity(gpu.upload(disparity.values), metric, cut)


def assert_like_cpu(
    gpu: Gpu, target: FocusTarget, disparities: list[Disparity], rate: int = 30
) -> list[float]:
    cpu, cuda = Focuser(target), CudaFocuser(gpu, target)
    frames = [Frame(PIXEL, i, i + 5, Fraction(1, rate)) for i in range(len(disparities))]
    wanted = [cpu.update(d, f) for d, f in zip(disparities, frames, strict=True)]
    planes = [cuda.update(on_gpu(gpu, d), f) for d, f in zip(disparities, frames, strict=True)]
    assert all(plane.shape == (1,) and plane.dtype == np.float32 for plane in planes)
    result = [float(gpu.download(plane)[0]) for plane in planes]
    np.testing.assert_allclose(result, wanted, rtol=1e-6, atol=1e-7)
    return result


def things(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Patches of a few disparities, with noise."""
    rng = np.random.default_rng(seed)
    cells = rng.uniform(-0.1, 1.1, (-(-height // 7), -(-width // 9)))
    values = cells.repeat(7, 0).repeat(9, 1)[:height, :width]
    return (values + rng.normal(0, 0.02, (height, width))).astype(np.float32)


@pytest.mark.parametrize("point", [(0.5, 0.5), (0, 0), (1, 1), (0.03, 0.97), (0.7, 0.0), (0.31, 1)])
@pytest.mark.parametrize("size", [(90, 160), (57, 33), (1, 20), (20, 1)])
def test_points(gpu: Gpu, size: tuple[int, int], point: tuple[float, float]) -> None:
    assert_like_cpu(gpu, FocusPoint(*point), [Disparity(things(*size))])


@pytest.mark.parametrize("seed", range(6))
def test_a_handful_of_pixels(gpu: Gpu, seed: int) -> None:
    """Odd and even numbers of them, some alike."""
    rng = np.random.default_rng(seed)
    for shape in [(1, 1), (1, 2), (2, 2), (2, 3), (3, 3)]:
        values = np.round(rng.uniform(0, 0.2, shape), 2).astype(np.float32)
        assert_like_cpu(gpu, FocusPoint(0.5, 0.5), [Disparity(values)])


def test_window_of_a_large_picture(gpu: Gpu) -> None:
    rng = np.random.default_rng(1)
    values = rng.uniform(0.3, 0.5, (2160, 90)).astype(np.float32)
    assert_like_cpu(gpu, FocusPoint(0.5, 0.4), [Disparity(values)])


def test_negative_nought_and_flat(gpu: Gpu) -> None:
    rng = np.random.default_rng(2)
    maps = [np.zeros((9, 9)), np.full((9, 9), -0.3), rng.uniform(-0.03, 0.03, (9, 9))]
    maps.append(np.where(rng.random((9, 9)) < 0.5, 0.0, -0.0))
    for values in maps:
        assert_like_cpu(gpu, FocusPoint(0.5, 0.5), [Disparity(values.astype(np.float32))])


@pytest.mark.parametrize("rate", [10, 30, 60])
def test_following(gpu: Gpu, rate: int) -> None:
    """Noise, a step, a drift, and a cut."""
    rng = np.random.default_rng(rate)
    levels = [0.2] * 5 + [0.6] * 12 + list(np.linspace(0.6, 0.63, 12)) + [0.1] * 3
    disparities = [
        Disparity((level + rng.normal(0, 0.01, (20, 24))).astype(np.float32), cut=i == 29)
        for i, level in enumerate(levels)
    ]
    planes = assert_like_cpu(gpu, FocusPoint(0.4, 0.6), disparities, rate)
    assert planes[0] == planes[4]
    assert planes[5] != planes[4]


def test_time_that_does_not_go_on(gpu: Gpu) -> None:
    target = FocusPoint(0.5, 0.5)
    cpu, cuda = Focuser(target), CudaFocuser(gpu, target)
    for pts, level in [(5, 0.2), (5, 0.8), (3, 0.8), (4, 0.8)]:
        disparity = Disparity(np.full((8, 8), level, np.float32))
        frame = Frame(PIXEL, 0, pts, Fraction(1, 30))
        plane = gpu.download(cuda.update(on_gpu(gpu, disparity), frame))
        assert plane[0] == pytest.approx(cpu.update(disparity, frame), rel=1e-6)


def test_a_distance_in_small_maps(gpu: Gpu) -> None:
    disparities = [Disparity(things(8, 8), (1.6, 0.02)), Disparity(things(8, 8), (0.9, -0.1))]
    assert_like_cpu(gpu, FocusDistance(2.0), disparities)


def test_a_distance_needs_metric_depth(gpu: Gpu) -> None:
    disparity = Disparity(things(8, 8))
    frame = Frame(PIXEL, 0, 0, Fraction(1))
    with pytest.raises(UsageError, match="metric") as wanted:
        Focuser(FocusDistance(2.0)).update(disparity, frame)
    with pytest.raises(UsageError) as raised:
        CudaFocuser(gpu, FocusDistance(2.0)).update(on_gpu(gpu, disparity), frame)
    assert str(raised.value) == str(wanted.value)


def test_a_disparity(gpu: Gpu) -> None:
    assert_like_cpu(gpu, FocusDisparity(0.37), [Disparity(things(8, 8))] * 2)
