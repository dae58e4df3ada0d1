"""The lens on the GPU against that of the CPU."""

import cv2
import numpy as np
import pytest

from rtfocus.cuda.disparity import DeviceDisparity
from rtfocus.cuda.gpu import Gpu
from rtfocus.cuda.render import CudaRenderer
from rtfocus.errors import UsageError
from rtfocus.frame import Disparity
from rtfocus.lens import Lens
from rtfocus.readers import open_reader
from rtfocus.render.aperture import Aperture
from rtfocus.render.layered import LensRenderer
from rtfocus.render.layers import SHARP, TIERS, Tier

ROUND = Aperture()


def scene(size: str) -> tuple[np.ndarray, np.ndarray]:
    """Picture and disparity 0..1 of the built-in scene."""
    with open_reader(f"pattern:{size}@30,0.1s") as reader:
        frame = next(iter(reader))
    depth = frame.disparity
    assert depth is not None
    return frame.image, (depth - depth.min()) / np.ptp(depth)


def patches(height: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Noise, its disparity constant in random rectangles."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 250, (height, width, 3), np.uint8)
    disparity = np.full((height, width), 0.2, np.float32)
    for _ in range(12):
        y, x = rng.integers(height), rng.integers(width)
        disparity[y : y + rng.integers(1, 40), x : x + rng.integers(1, 40)] = rng.random()
    return image, disparity


def render(
    gpu: Gpu, image: np.ndarray, disparity: np.ndarray, focus: float, lens: Lens,
    tier: Tier = TIERS["high"], aperture: Aperture = ROUND, *, highlights: float = 0.0,
    metric: tuple[float, float] | None = None,
) -> np.ndarray:  # fmt: skip
    device = DeviceDisparity(
        gpu.upload(disparity),
        None if metric is None else gpu.upload(np.array(metric, np.float32)),
        gpu.zeros(1, np.int32),
    )
    plane = gpu.upload(np.array([focus], np.float32))
    renderer = CudaRenderer(gpu, tier, aperture, highlights=highlights)
    return gpu.download(renderer.render(gpu.upload(image), device, plane, lens))


def assert_like_cpu(
    gpu: Gpu, image: np.ndarray, disparity: np.ndarray, focus: float, lens: Lens,
    tier: Tier = TIERS["high"], aperture: Aperture = ROUND, *, highlights: float = 0.0,
    metric: tuple[float, float] | None = None,
) -> None:  # fmt: skip
    """Within one level on 99.9 % of values."""
    cpu = LensRenderer(tier, aperture, highlights=highlights)
    wanted = cpu.render(image, Disparity(disparity, metric), focus, lens)
    result = render(
        gpu, image, disparity, focus, lens, tier, aperture, highlights=highlights, metric=metric
    )
    off = np.abs(result.astype(int) - wanted)
    assert (off > 1).mean() <= 0.001
    assert off.mean() < 0.02


def test_a_round_thing_before_a_wall(gpu: Gpu) -> None:
    y, x = np.mgrid[:90, :120]
    away = np.hypot(y - 45, x - 60) / 36
    disparity = np.where(away < 1, 0.9 - 0.4 * away, 0.1).astype(np.float32)
    image = np.random.default_rng(1).integers(0, 256, (90, 120, 3), np.uint8)
    image[away >= 1] = 230
    assert_like_cpu(gpu, image, disparity, 0.8, Lens(f_number=0.5), highlights=1.0)


@pytest.mark.parametrize("tier", [TIERS["high"], TIERS["fast"]], ids=["high", "fast"])
@pytest.mark.parametrize(("f_number", "focus"), [(4.0, 0.5), (1.0, 0.1), (0.5, 0.9)])
def test_scene(gpu: Gpu, tier: Tier, f_number: float, focus: float) -> None:
    assert_like_cpu(gpu, *scene("160x96"), focus, Lens(f_number=f_number), tier)


@pytest.mark.parametrize("size", [(97, 131), (33, 31), (64, 64), (1, 1), (1, 70), (50, 1), (2, 3)])
def test_odd_sizes(gpu: Gpu, size: tuple[int, int]) -> None:
    assert_like_cpu(gpu, *patches(*size), 0.4, Lens(f_number=0.7), TIERS["fast"])


@pytest.mark.parametrize("size", [(48, 64), (37, 45), (9, 70), (3, 5)])
@pytest.mark.parametrize("focus", [0.2, 0.8])
def test_mixed_pixels_on_edges(gpu: Gpu, size: tuple[int, int], focus: float) -> None:
    """Outlines that are smooth in the picture and hard in depth."""
    height, width = size
    spots = np.random.default_rng(7).random((height, width)) < 0.08
    alpha = cv2.GaussianBlur(cv2.dilate(spots.astype(np.float32), np.ones((3, 3))), (0, 0), 0.7)
    image = (40 + 160 * alpha)[..., None] * np.float32([1, 0.8, 0.6]) + np.arange(width)[
        :, None
    ] / 9
    disparity = np.where(alpha > 0.5, 0.8, 0.2).astype(np.float32)
    assert_like_cpu(gpu, image.astype(np.uint8), disparity, focus, Lens(f_number=0.7))


@pytest.mark.parametrize("aperture", [Aperture(3, 10), Aperture(6, 20)])
def test_blades(gpu: Gpu, aperture: Aperture) -> None:
    assert_like_cpu(gpu, *scene("128x96"), 0.3, Lens(f_number=0.6), aperture=aperture)


def test_large_blur_on_coarse_grids(gpu: Gpu) -> None:
    assert_like_cpu(gpu, *patches(120, 90), 0.5, Lens(f_number=0.12), TIERS["fast"])


def test_focus_range_and_largest_radius(gpu: Gpu) -> None:
    lens = Lens(f_number=0.5, focus_range=0.3, max_radius=4)
    assert_like_cpu(gpu, *scene("128x80"), 0.6, lens)


def test_highlights(gpu: Gpu) -> None:
    image, disparity = scene("128x96")
    image[10:14, 20:25] = 255
    image[60:61, 90:92] = (255, 255, 180)
    assert_like_cpu(gpu, image, disparity, 0.9, Lens(f_number=0.8), highlights=1.0)


def test_physical_lens(gpu: Gpu) -> None:
    lens = Lens(f_number=1.4, focal_length_mm=50, sensor_width_mm=36)
    assert_like_cpu(gpu, *scene("128x96"), 0.2, lens, metric=(0.5, 0.1))


def test_physical_lens_needs_metric_depth(gpu: Gpu) -> None:
    lens = Lens(focal_length_mm=50, sensor_width_mm=36)
    with pytest.raises(UsageError, match="metric"):
        render(gpu, *patches(8, 8), 0.5, lens)


def test_what_is_in_focus_keeps_its_bytes(gpu: Gpu) -> None:
    """All colours in the plane of focus, with blurred things behind."""
    codes = np.arange(256, dtype=np.uint8)
    image = np.stack(
        [np.broadcast_to(codes, (40, 256)), *[np.full((40, 256), 90, np.uint8)] * 2], -1
    )
    disparity = np.full((40, 256), 0.7, np.float32)
    disparity[30:] = 0.1
    result = render(gpu, np.ascontiguousarray(image), disparity, 0.7, Lens(f_number=0.5))
    np.testing.assert_array_equal(result[:30], image[:30])
    assert (result[30:] != image[30:]).any()


def test_barely_blurred_is_in_focus(gpu: Gpu) -> None:
    image, _ = patches(40, 40)
    lens = Lens(f_number=1.0)
    share = SHARP / lens.gain(40, 40)
    for factor, same in ((0.98, True), (1.02, False)):
        disparity = np.full((40, 40), 0.5 - factor * share, np.float32)
        assert np.array_equal(render(gpu, image, disparity, 0.5, lens), image) == same


def test_constant_picture_stays_constant(gpu: Gpu) -> None:
    _, disparity = patches(70, 90)
    image = np.full((70, 90, 3), (12, 130, 251), np.uint8)
    result = render(gpu, image, disparity, 0.5, Lens(f_number=0.4))
    assert np.abs(result.astype(int) - image).max() <= 1


def test_nothing_is_waited_for(gpu: Gpu, cuda: str) -> None:
    if cuda != "late":
        pytest.skip("only here what is given to a stream waits until it is asked for")
    image, disparity = patches(40, 50)
    renderer = CudaRenderer(gpu, TIERS["high"], ROUND)
    device = DeviceDisparity(gpu.upload(disparity), None, gpu.zeros(1, np.int32))
    gpu.compute.synchronize()
    for _ in range(2):
        renderer.render(gpu.upload(image), device, gpu.upload(np.zeros(1, np.float32)), Lens())
        assert not gpu.compute.done


def test_small_shared_memory_changes_little(gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute capability 7.5 has 64 KiB for a block: layers go to a reduced grid earlier."""
    image, disparity = scene("160x96")
    lens = Lens(f_number=0.35)
    plain = render(gpu, image, disparity, 0.2, lens).astype(int)
    monkeypatch.setattr(gpu, "shared_memory", 40_000)
    off = np.abs(render(gpu, image, disparity, 0.2, lens) - plain)
    assert 0 < off.mean() < 1


def test_pictures_one_after_the_other(gpu: Gpu) -> None:
    """From the second on, kernels are replayed as a graph; pictures and lens change meanwhile."""
    renderer = CudaRenderer(gpu, TIERS["fast"], ROUND, highlights=0.0)
    cpu = LensRenderer(TIERS["fast"], ROUND, highlights=0.0)
    values, pixels = gpu.empty((50, 60), np.float32), gpu.empty((50, 60, 3), np.uint8)
    planes = [gpu.upload(np.array([focus], np.float32)) for focus in (0.3, 0.8)]
    results, wanted = [], []
    for i in range(12):
        image, disparity = patches(50, 60, seed=i)
        lens, focus = Lens(f_number=(0.5, 1.0)[i // 6]), (0.3, 0.8)[i % 2]
        values.set(disparity, stream=gpu.compute)
        pixels.set(image, stream=gpu.compute)
        device = DeviceDisparity(values, None, gpu.zeros(1, np.int32))
        results.append(gpu.download(renderer.render(pixels, device, planes[i % 2], lens)))
        wanted.append(cpu.render(image, Disparity(disparity), focus, lens))
    off = np.abs(np.array(results).astype(int) - np.array(wanted))
    assert (off > 1).mean(axis=(1, 2, 3)).max() <= 0.001
