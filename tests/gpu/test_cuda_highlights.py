"""Restored highlights on the GPU, against the CPU."""

import cv2
import numpy as np
import pytest

from rtfocus.cuda.gpu import Gpu
from rtfocus.cuda.highlights import CudaHighlights
from rtfocus.render.highlights import CLIPPED, Highlights

SHARP = 3


def to_linear(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray((image / np.float32(255)).transpose(2, 0, 1) ** 2.2, np.float32)


def on_cpu(image: np.ndarray, gain: float = 1.0, layer: np.ndarray | None = None) -> np.ndarray:
    layer = np.zeros(image.shape[:2], np.uint8) if layer is None else layer
    linear = to_linear(image)
    Highlights(gain).restore(image, linear, layer, SHARP, begins=False)
    return linear


def both(
    gpu: Gpu, image: np.ndarray, gain: float = 1.0, layer: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    layer = np.zeros(image.shape[:2], np.uint8) if layer is None else layer
    linear = gpu.upload(to_linear(image))
    begins = gpu.zeros(1, np.int32)
    CudaHighlights(gpu, gain)(gpu.upload(image), linear, gpu.upload(layer), SHARP, begins)
    return gpu.download(linear), on_cpu(image, gain, layer)


def assert_alike(result: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(result, wanted, rtol=1e-4)


def dark(height: int, width: int, *colour: int) -> np.ndarray:
    """A textured picture in which nothing is clipped."""
    noise = np.random.default_rng(0).normal(0, 6, (height, width, 3))
    return np.clip(noise + (colour or (60, 40, 50)), 0, CLIPPED - 1).astype(np.uint8)


def lights(height: int = 70, width: int = 100) -> np.ndarray:
    """Hard and soft, white and coloured, some across the borders of tiles."""
    y, x = np.mgrid[:height, :width]
    image = dark(height, width).astype(float)
    random = np.random.default_rng(1)
    for _ in range(25):
        centre, radius = random.uniform(0, (height, width)), random.uniform(0.5, 9)
        colour = random.uniform(80, 1200, 3)
        soft = np.clip(radius - np.hypot(y - centre[0], x - centre[1]) + 0.5, 0, 1)[..., None]
        image += soft * (colour - image)
    return np.clip(image, 0, 255).astype(np.uint8)


def test_lights(gpu: Gpu) -> None:
    result, wanted = both(gpu, lights())
    assert wanted.max() > 2
    assert len(np.unique(wanted[wanted > 1])) > 20
    assert_alike(result, wanted)


def test_lights_with_blurred_borders(gpu: Gpu) -> None:
    assert_alike(*both(gpu, cv2.GaussianBlur(lights(), (0, 0), 0.8)))


def test_gain(gpu: Gpu) -> None:
    for gain in (0.0, 0.4, 2.0):
        assert_alike(*both(gpu, lights(50, 60), gain))


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 90), (70, 1), (2, 2), (3, 33), (31, 32), (33, 65), (65, 97)]
)
@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
def test_noise_of_any_size(gpu: Gpu, size: tuple[int, int], share: float) -> None:
    """Regions of every shape, next to each other."""
    random = np.random.default_rng(4)
    image = random.integers(0, CLIPPED, (*size, 3), np.uint8)
    image[random.random((*size, 3)) < share / 2] = CLIPPED + 1
    image[random.random(size) < share / 2] = 255
    assert_alike(*both(gpu, image))


def snake(height: int, width: int) -> np.ndarray:
    """One region that winds through the picture."""
    image = dark(height, width)
    image[::8] = 255
    for row in range(0, height - 8, 8):
        image[row : row + 8, -1 if row % 16 == 0 else 0] = 255
    return image


def comb(height: int, width: int) -> np.ndarray:
    """Lines that only meet at the bottom, where the picture begins last."""
    image = dark(height, width)
    image[:, ::7] = 255
    image[-1] = 255
    return image


def diagonals(height: int, width: int) -> np.ndarray:
    """Lines that hang together at corners only."""
    y, x = np.mgrid[:height, :width]
    image = dark(height, width)
    image[((x + y) % 16 == 0) | ((x - y) % 16 == 5)] = 255
    return image


@pytest.mark.parametrize("shape", [snake, comb, diagonals])
@pytest.mark.parametrize("turned", [False, True])
def test_regions_that_hang_together_far_away(gpu: Gpu, shape, turned: bool) -> None:  # type: ignore[no-untyped-def]
    image = shape(70, 100)
    # Around one end it is darker: what is learned there counts everywhere.
    image[:, 60:][(image[:, 60:] < CLIPPED).all(-1)] //= 4
    if turned:
        image = np.ascontiguousarray(image[::-1, ::-1])
    result, wanted = both(gpu, image)
    assert wanted.max() > 1.5
    assert_alike(result, wanted)


def test_regions_that_share_what_is_around_them(gpu: Gpu) -> None:
    """Each pixel between two lights counts for the one that comes first, or for both."""
    for gap in range(1, 8):
        image = dark(36, 62)
        image[5:9, 8:12] = image[5:7, 12 + gap : 16 + gap] = 255
        image[9 + gap : 12 + gap, 6:14] = 255
        image[20:22, 28:60:gap] = image[30:34:2, 28:60] = 255
        assert_alike(*both(gpu, image))


def test_a_pixel_counts_again_for_a_region_after_another(gpu: Gpu) -> None:
    """Seen from one pixel the regions come in the order A, B, A."""
    image = dark(64, 64, 20, 20, 20)
    image[20:27, 17] = image[20, 17:25] = 255  # A, around
    image[22, 25:40] = 255  # B, to the right
    image[26, 17:25] = 255  # A, below
    image[23, 20] = (250, 120, 0)
    assert_alike(*both(gpu, image))


def test_large_light(gpu: Gpu) -> None:
    image = dark(100, 120)
    image[10:70, 20:110] = 255
    image[40, 60] = 0
    result, wanted = both(gpu, image)
    assert wanted.max() > 1.2
    assert_alike(result, wanted)


def test_flat_surroundings(gpu: Gpu) -> None:
    """Their variance is nothing but rounding."""
    for level in (1, 30, 128, 251):
        image = np.full((60, 60, 3), level, np.uint8)
        image[20:30, 20:50] = 255
        image[20:30, 19] = image[20:30, 50] = min(level + 40, 251)
        assert_alike(*both(gpu, image))


def test_colours_that_are_clipped_in_part(gpu: Gpu) -> None:
    image = dark(64, 64)
    image[10:14, 10:14] = (255, 120, 30)
    image[9, 9:15] = image[14, 9:15] = (160, 60, 10)
    image[30:50, 30:50] = (255, 255, 252)
    image[30:50, 40] = (251, 255, 251)
    result, wanted = both(gpu, image)
    assert wanted.max() > 1
    assert_alike(result, wanted)


def test_pixels_in_focus_stay_as_they_are(gpu: Gpu) -> None:
    image = lights()
    layer = np.random.default_rng(5).integers(SHARP - 1, SHARP + 2, image.shape[:2], np.uint8)
    assert_alike(*both(gpu, image, layer=layer))


@pytest.mark.parametrize("level", [0, CLIPPED - 1, CLIPPED, 255])
def test_all_alike(gpu: Gpu, level: int) -> None:
    image = np.full((40, 50, 3), level, np.uint8)
    result, wanted = both(gpu, image)
    np.testing.assert_array_equal(result, wanted)
    np.testing.assert_array_equal(result, to_linear(image))


def moved(image: np.ndarray, by: int) -> np.ndarray:
    """With another texture, as noise in the sensor makes it."""
    noise = np.random.default_rng(by).integers(-9, 10, image.shape)
    lit = image >= CLIPPED
    return np.roll(np.where(lit, image, np.clip(image + noise, 0, CLIPPED - 1)), by, 1).astype("u1")


def test_lights_are_remembered_as_on_the_cpu(gpu: Gpu) -> None:
    pictures = [moved(lights(), by) for by in (0, 1, 2, 2, 7)]
    pictures += [dark(70, 100), lights(), moved(lights(), 3), snake(70, 100), lights()]
    pictures += [np.full((70, 100, 3), 255, np.uint8), moved(lights(), 1)]
    begins = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    on_gpu, cpu = CudaHighlights(gpu, 1.0), Highlights(1.0)
    layer, flags = gpu.zeros((70, 100), np.uint8), [gpu.zeros(1, np.int32) for _ in begins]
    linear = [gpu.upload(to_linear(image)) for image in pictures]
    for flag, begin in zip(flags, begins, strict=True):
        gpu.fill(flag, begin)
    for image, values, flag in zip(pictures, linear, flags, strict=True):
        on_gpu(gpu.upload(image), values, layer, SHARP, flag)
    remembered = 0
    for image, values, begin in zip(pictures, linear, begins, strict=True):
        wanted = to_linear(image)
        cpu.restore(image, wanted, np.zeros((70, 100), np.uint8), SHARP, begins=bool(begin))
        assert_alike(gpu.download(values), wanted)
        remembered += not np.allclose(wanted, on_cpu(image), rtol=1e-3)
    assert remembered >= 4


def test_sizes_may_change(gpu: Gpu) -> None:
    restore, begins = CudaHighlights(gpu, 1.0), gpu.zeros(1, np.int32)
    for size in ((50, 60), (33, 40), (50, 60)):
        image = lights(*size)
        linear = gpu.upload(to_linear(image))
        restore(gpu.upload(image), linear, gpu.zeros(size, np.uint8), SHARP, begins)
        assert_alike(gpu.download(linear), on_cpu(image))
