"""Pictures in YUV to the GPU and from it, against the CPU's kernels and swscale."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import av
import numpy as np
import pytest

from rtfocus.cuda.gpu import Gpu
from rtfocus.cuda.transfer import Downloader, Uploader
from rtfocus.cuda.yuv import YuvConverter, split_i420
from rtfocus.frame import Frame
from rtfocus.kernels.to_yuv import rgb_to_i420
from rtfocus.planes import CodedPicture, Planes
from rtfocus.readers.colour import ColourConverter
from rtfocus.readers.orientation import Orientation

SIZES = [(48, 64), (33, 31), (1, 1), (2, 3), (65, 130), (7, 2)]
FORMATS = {
    "yuv420p": np.uint8, "yuv422p": np.uint8, "yuv444p": np.uint8, "yuvj420p": np.uint8,
    "yuv420p10le": np.uint16, "yuv422p12le": np.uint16, "yuv444p16le": np.uint16,
}  # fmt: skip
WAYS = [Orientation(*flags) for flags in product((False, True), repeat=3)]


def decoded(form: str, height: int, width: int) -> av.VideoFrame:
    """A frame of noise as a decoder gives it, rows padded with what means nothing."""
    frame = av.VideoFrame(width, height, form)
    bits = frame.format.components[0].bits
    rng = np.random.default_rng(height * width)
    for plane in frame.planes:
        rows = np.frombuffer(memoryview(plane), FORMATS[form]).reshape(plane.height, -1)
        rows[:] = rng.integers(0, 2**bits, rows.shape)
    return frame


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)


def on_gpu(gpu: Gpu, picture: object, count: int = 1) -> list[np.ndarray]:
    frames = [Frame(picture, i, i, Fraction(1)) for i in range(count)]  # type: ignore[arg-type]
    uploaded = Uploader(gpu).stream(frames)
    return [gpu.download(frame.image) for frame in uploaded]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("codec", ["h264", "mjpeg"])
def test_decoded_picture_of_odd_size(
    gpu: Gpu, form: str, size: tuple[int, int], codec: str
) -> None:
    converter = ColourConverter("test", codec)
    frame = decoded(form, *size)
    coded = converter.coded(frame, Orientation())
    assert coded is not None
    (result,) = on_gpu(gpu, coded)
    wanted = converter.convert(frame)
    assert result.shape == wanted.shape == coded.shape
    off = np.abs(result.astype(int) - wanted)
    assert off.max() <= 1
    assert (off > 0).mean() <= 0.01  # the CPU's kernel may fuse products and sums


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_pictures_are_turned_at_odd_sizes(gpu: Gpu, way: Orientation) -> None:
    converter = ColourConverter("test", "h264")
    frame = decoded("yuv420p", 33, 50)
    coded = converter.coded(frame, way)
    assert coded is not None
    (result,) = on_gpu(gpu, coded)
    wanted = way.apply(converter.convert(frame))
    assert result.shape == wanted.shape == coded.shape
    assert np.abs(result.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize(("form", "shift"), [("yuv420p", 0), ("yuv420p10le", 6)])
def test_picture_that_the_gpu_decoded_at_the_edge_too(gpu: Gpu, form: str, shift: int) -> None:
    """NV12, and P010, whose ten bits are at the top, with padded rows."""
    converter = ColourConverter("test", "h264")
    frame = decoded(form, 34, 46)
    luma, cb, cr = (
        np.frombuffer(memoryview(p), FORMATS[form]).reshape(p.height, -1)[:, : p.width] << shift
        for p in frame.planes
    )
    pairs = np.stack((cb, cr), -1).reshape(17, 46)
    memory = gpu.upload(np.pad(np.concatenate((luma, pairs)), ((0, 0), (0, 18))))
    planes = Planes(memory[:34, :46], (memory[34:, :46],))
    coded = converter.coded(frame, Orientation(), planes)
    assert coded is not None
    first, second = on_gpu(gpu, coded, 2)
    np.testing.assert_array_equal(first, second)
    assert np.abs(first.astype(int) - converter.convert(frame)).max() <= 1


def test_many_pictures_on_their_way(gpu: Gpu) -> None:
    """More than there are buffers, of changing forms, looked at in the end."""
    converter = ColourConverter("test", "h264")
    pictures: list[CodedPicture | np.ndarray] = []
    wanted = []
    for i in range(9):
        if i % 4 == 3:
            pictures.append(noise(16 + i, 20))
            wanted.append(pictures[-1])
        else:
            frame = decoded("yuv420p", 16 + i // 4, 20 + 2 * i)
            coded = converter.coded(frame, Orientation())
            assert coded is not None
            pictures.append(coded)
            wanted.append(converter.convert(frame))
    frames = [Frame(p, i, i, Fraction(1)) for i, p in enumerate(pictures)]  # type: ignore[arg-type]
    sent = list(Uploader(gpu).stream(frames))
    for frame, picture in zip(sent, wanted, strict=True):
        assert np.abs(gpu.download(frame.image).astype(int) - picture).max() <= 1


def test_hdr_is_left_to_the_cpu() -> None:
    frame = decoded("yuv420p10le", 16, 16)
    frame.color_trc = 16  # PQ
    assert ColourConverter("test", "hevc").coded(frame, Orientation()) is None


def i420(image: np.ndarray) -> list[np.ndarray]:
    height, width, _ = image.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    planes = [np.zeros(s, np.uint8) for s in ((height, width), (rows, columns), (rows, columns))]
    rgb_to_i420(image, *planes, 0, rows)
    return planes


def assert_close(planes: Planes, wanted: list[np.ndarray]) -> None:
    for plane, right in zip(planes.arrays, wanted, strict=True):
        off = np.abs(plane.astype(int) - right)
        assert plane.shape == right.shape
        assert off.max() <= 1
        assert (off > 0).mean() <= 0.01


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_i420_of_odd_size(gpu: Gpu, size: tuple[int, int]) -> None:
    image = noise(*size)
    down = Downloader(gpu)
    yuv = YuvConverter(gpu).to_i420(gpu.upload(image))
    planes = down.finish(down.start(yuv, lambda x: split_i420(x, size)))
    assert_close(planes, i420(image))


@pytest.mark.parametrize("size", [(2, 2), (34, 46), (16, 256), (18, 258)], ids=str)
def test_nv12_of_any_even_size(gpu: Gpu, size: tuple[int, int]) -> None:
    image = noise(*size)
    nv12 = YuvConverter(gpu).to_nv12(gpu.upload(image))
    luma, wanted = nv12.luma, i420(image)
    assert luma.strides[0] % 256 == 0
    height, width = size
    rows = gpu.download(luma.base)[:, :width]  # with what pads them
    chroma = rows[height:]
    assert_close(Planes(rows[:height], (chroma[:, ::2], chroma[:, 1::2])), wanted)
