"""Depth over time on the GPU against that of the CPU."""

from fractions import Fraction

import cv2
import numpy as np
import pytest

from rtfocus import align as cpu_align
from rtfocus.cuda.disparity import DeviceDisparity
from rtfocus.cuda.gpu import Gpu
from rtfocus.cuda.normalise import CELLS, THREADS
from rtfocus.cuda.smooth import CudaSmoother
from rtfocus.frame import Disparity, Frame
from rtfocus.smooth import Smoother

from . import fake_cupy

SIZE = (27, 40)


def frame(image: np.ndarray, i: int) -> Frame:
    return Frame(image, i, i, Fraction(1, 30))


def clip(
    count: int, size: tuple[int, int] = SIZE, picture: tuple[int, int] = (61, 90), *,
    shot: int = 0, noise: float = 0.02, seed: int = 0,
) -> list[tuple[Frame, np.ndarray]]:  # fmt: skip
    """A square that moves over a wall, disturbed in scale and shift; shots look different."""
    rng = np.random.default_rng(100 * shot + seed)
    height, width = size
    ramp = (
        np.linspace(0.1, 0.4, width)[None]
        if shot % 2 == 0
        else np.linspace(1, 0.2, height)[:, None]
    )
    grain = rng.integers(0, 40, (*picture, 3))
    pairs = []
    for i in range(count):
        depth = np.broadcast_to(ramp, size).copy()
        depth[height // 4 : height // 2, 2 + i : 2 + i + width // 5] = 0.9
        small = cv2.resize(depth, picture[::-1], interpolation=cv2.INTER_LINEAR)
        image = (30 + 150 * (1 - small if shot % 2 else small)[..., None] + grain).clip(0, 255)
        noisy = depth + rng.normal(0, noise, size)
        disparity = rng.uniform(0.9, 1.1) * noisy + rng.uniform(-0.05, 0.05)
        pairs.append((frame(image.astype(np.uint8), i), disparity.astype(np.float32)))
    return pairs


def joined(*shots: list[tuple[Frame, np.ndarray]]) -> list[tuple[Frame, np.ndarray]]:
    pairs = [pair for shot in shots for pair in shot]
    return [(frame(f.image, i), d) for i, (f, d) in enumerate(pairs)]


def on_gpu(gpu: Gpu, pairs: list[tuple[Frame, np.ndarray]]) -> list[tuple[Frame, object]]:
    """The same map as before stays the same."""
    placed: dict[int, object] = {id(d): gpu.upload(d) for _, d in pairs}
    return [(f.with_image(gpu.upload(f.image)), placed[id(d)]) for f, d in pairs]


def assert_alike(
    gpu: Gpu, wanted: list[Disparity], result: list[DeviceDisparity], tolerance: float = 2e-5
) -> None:
    assert len(wanted) == len(result)
    for want, got in zip(wanted, result, strict=True):
        assert gpu.download(got.cut).tolist() == [want.cut]
        assert (got.metric is None) == (want.metric is None)
        if want.metric is not None:
            np.testing.assert_allclose(gpu.download(got.metric), want.metric, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(gpu.download(got.values), want.values, rtol=0, atol=tolerance)


def assert_like_cpu(
    gpu: Gpu, pairs: list[tuple[Frame, np.ndarray]], scale: str = "relative", strength: float = 0.5,
    ahead: int = 0,
) -> list[Disparity]:  # fmt: skip
    cpu = Smoother(scale, strength=strength, ahead=ahead)  # type: ignore[arg-type]
    cuda = CudaSmoother(gpu, scale, strength=strength, ahead=ahead)  # type: ignore[arg-type]
    wanted, result = list(cpu.stream(pairs)), list(cuda.stream(on_gpu(gpu, pairs)))
    assert [f.index for f, _ in result] == [f.index for f, _ in wanted]
    assert_alike(gpu, [d for _, d in wanted], [d for _, d in result])
    return [d for _, d in wanted]


@pytest.mark.parametrize("ahead", [0, 2])
@pytest.mark.parametrize("scale", ["relative", "metric", "normalised"])
@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_moving_square(gpu: Gpu, scale: str, strength: float, ahead: int) -> None:
    assert_like_cpu(gpu, clip(3), scale, strength, ahead)


@pytest.mark.parametrize("size", [(34, 67), (18, 32), (20, 9), (5, 50), (1, 30), (40, 1), (2, 2)])
def test_odd_sizes(gpu: Gpu, size: tuple[int, int]) -> None:
    assert_like_cpu(gpu, clip(3, size), "metric", ahead=1)


@pytest.mark.parametrize("size", [(73, 101), (36, 64)])
def test_larger_maps(gpu: Gpu, size: tuple[int, int]) -> None:
    """Medians of an odd and an even number of values, several blocks."""
    assert_like_cpu(gpu, clip(3, size, (80, 128)))


@pytest.mark.parametrize("scale", ["relative", "metric", "normalised"])
@pytest.mark.parametrize("ahead", [0, 2])
def test_cuts(gpu: Gpu, scale: str, ahead: int) -> None:
    pairs = joined(clip(2), clip(1, shot=1), clip(1))
    wanted = assert_like_cpu(gpu, pairs, scale, ahead=ahead)
    assert [i for i, d in enumerate(wanted) if d.cut] == [2, 3]


def test_a_flash_is_no_cut(gpu: Gpu) -> None:
    pairs = clip(3)
    bright = np.clip(pairs[2][0].image.astype(int) + 120, 0, 255).astype(np.uint8)
    pairs[2] = (frame(bright, 2), pairs[2][1])
    assert not any(d.cut for d in assert_like_cpu(gpu, pairs))


@pytest.mark.parametrize("ahead", [1, 4])
@pytest.mark.parametrize("every", [2, 3])
def test_maps_for_some_frames_only(gpu: Gpu, ahead: int, every: int) -> None:
    """Nearer maps that follow are taken, but not those of the next shot."""
    pairs = joined(clip(5), clip(3, shot=1))
    pairs = [(f, pairs[i - i % every][1]) for i, (f, _) in enumerate(pairs)]
    assert_like_cpu(gpu, pairs, ahead=ahead)


@pytest.mark.parametrize("ahead", [0, 2])
def test_another_size_starts_anew(gpu: Gpu, ahead: int) -> None:
    wanted = assert_like_cpu(gpu, joined(clip(2), clip(1, (21, 30)), clip(1)), ahead=ahead)
    assert [i for i, d in enumerate(wanted) if d.cut] == [2, 3]


def test_frame_by_frame(gpu: Gpu) -> None:
    pairs = joined(clip(2), clip(1, shot=1))
    cpu, cuda = Smoother("relative", strength=0.3), CudaSmoother(gpu, "relative", strength=0.3)
    wanted = [cpu.update(d, f) for f, d in pairs]
    assert_alike(gpu, wanted, [cuda.update(d, f) for f, d in on_gpu(gpu, pairs)])


@pytest.mark.parametrize("scale", ["relative", "metric", "normalised"])
@pytest.mark.parametrize("value", [0.0, 0.25, -3.0])
def test_flat_maps_of_a_black_picture(gpu: Gpu, scale: str, value: float) -> None:
    black = np.zeros((4, 4, 3), np.uint8)
    maps = [np.full((6, 8), value, np.float32) for _ in range(3)]
    assert_like_cpu(gpu, [(frame(black, i), m) for i, m in enumerate(maps)], scale, ahead=2)


def test_wide_range_and_outliers(gpu: Gpu) -> None:
    """Values whose bits share no digits."""
    rng = np.random.default_rng(0)
    pairs = [
        (f, (d * np.exp(rng.normal(0, 1, SIZE)) * 1000).astype(np.float32)) for f, d in clip(3)
    ]
    assert_like_cpu(gpu, pairs, ahead=1)


@pytest.mark.parametrize(
    ("picture", "size"),
    [((61, 90), SIZE), ((54, 80), SIZE), ((81, 120), SIZE), ((27, 40), SIZE), ((20, 30), SIZE),
     ((40, 20), SIZE), ((1, 1), (3, 5)), ((120, 7), (9, 6)), ((31, 41), (30, 40))],
)  # fmt: skip
def test_brightness(gpu: Gpu, picture: tuple[int, int], size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*picture, 3), np.uint8)
    small = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
    wanted = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).reshape(size)
    grey = gpu.empty(size, np.float32)
    gpu.launch("align", "brightness", size[::-1], gpu.upload(image), *picture, grey, *size)
    off = np.abs(gpu.download(grey) - wanted)
    assert off.max() <= 1
    enlarged = picture[0] < size[0] or picture[1] < size[1]  # in fixed point
    assert enlarged or (off > 0).mean() < 0.02


def compared(
    gpu: Gpu, new: np.ndarray, running: np.ndarray, grey: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit, coarse maps, and thumbnail."""
    cells, fit = gpu.empty((5, CELLS), np.float32), gpu.empty(5, np.float32)
    thumbnail, ticket = gpu.zeros(CELLS, np.float32), gpu.zeros(1, np.int32)
    gpu.launch(
        "align", "compare", (*THREADS, 3), gpu.upload(grey), gpu.upload(new), gpu.upload(running),
        *new.shape, True, cells, thumbnail, fit, ticket, block=(32, 8, 1),
    )  # fmt: skip
    return gpu.download(fit), gpu.download(cells), gpu.download(thumbnail)


@pytest.mark.parametrize("shape", [(90, 160), (37, 53), (18, 32), (10, 70), (70, 10), (1, 1)])
@pytest.mark.parametrize("offset", [0.0, -40.0])
def test_alignment(gpu: Gpu, shape: tuple[int, int], offset: float) -> None:
    rng = np.random.default_rng(2)
    base = cv2.GaussianBlur(rng.normal(0, 1, shape).astype(np.float32), (0, 0), 8).reshape(shape)
    running = base + np.float32(offset)
    running[shape[0] // 3 : shape[0] // 2] += 2
    new = ((base - 0.7) / 1.9 + rng.normal(0, 0.01, shape)).astype(np.float32)
    grey = rng.integers(0, 256, shape).astype(np.float32)
    fit, cells, thumbnail = compared(gpu, new, running, grey)
    wanted = cpu_align.align(new, running)
    np.testing.assert_allclose(fit[:3], wanted, rtol=2e-5, atol=2e-5)
    for row, values in zip(cells[1:3], (new, running), strict=True):
        coarse = cpu_align.coarse(values).ravel()
        np.testing.assert_allclose(row[: coarse.size], coarse, rtol=1e-5, atol=1e-6)
    small = cv2.resize(grey, (32, 18), interpolation=cv2.INTER_AREA).ravel()
    np.testing.assert_allclose(thumbnail, small, rtol=1e-5, atol=1e-4)
    assert fit[4] == pytest.approx(small.mean(), rel=1e-5)


@pytest.mark.parametrize("shape", [(3, 4), (2, 3), (18, 32)])
def test_misfit_is_a_share_of_the_spread(gpu: Gpu, shape: tuple[int, int]) -> None:
    """Percentiles between two values, of few and of many."""
    running, new = np.random.default_rng(3).normal(0, 1, (2, *shape)).astype(np.float32)
    fit, _, _ = compared(gpu, new, running, np.zeros(shape, np.float32))
    assert fit[2] == pytest.approx(cpu_align.align(new, running)[2], rel=1e-5)


@pytest.mark.parametrize("size", [(24, 32), (25, 33), (90, 64)])
@pytest.mark.parametrize("step", [0, 1e-6, 0.25])
def test_medians(gpu: Gpu, size: tuple[int, int], step: float) -> None:
    """Of an odd and an even number of values, one block and more; many alike, or nearly."""
    rng = np.random.default_rng(0)
    image = gpu.upload(np.full((*size, 3), 90, np.uint8))
    smoother = CudaSmoother(gpu, "normalised", strength=0.5)
    for i in range(4):
        values = rng.random(size) if step == 0 else 1 + step * rng.integers(0, 4, size)
        smoother.update(gpu.upload(values.astype(np.float32)), frame(image, i))
    ring = smoother._ring
    found = gpu.download(ring.searches).view(np.float32)[:, 4]
    sizes = gpu.download(ring.sizes).reshape(3, -1)
    np.testing.assert_array_equal(found, np.median(sizes, axis=1))


def test_memory_of_what_was_given_out_stays(gpu: Gpu) -> None:
    pairs = on_gpu(gpu, clip(2))
    smoother = CudaSmoother(gpu, "relative", strength=0.5)
    first = smoother.update(pairs[0][1], pairs[0][0])
    before = gpu.download(first.values)
    for f, d in pairs[1:]:
        smoother.update(d, f)
    np.testing.assert_array_equal(gpu.download(first.values), before)
    assert gpu.download(first.cut) == 0


def test_nothing_is_waited_for_and_launches_are_few(gpu: Gpu, cuda: str) -> None:
    if cuda != "late":
        pytest.skip("only here what is given to a stream waits until it is asked for")
    pairs = on_gpu(gpu, clip(6, (6, 8)))
    for ahead, most in ((0, 8), (2, 12)):
        smoother = CudaSmoother(gpu, "metric", strength=0.5, ahead=ahead)
        gpu.compute.synchronize()
        counts = []
        for _ in smoother.stream(pairs):
            counts.append(len(fake_cupy.machine.launches))
            assert not gpu.compute.done
        assert max(np.diff(counts)) == most
