"""Between RGB and what decoders give and encoders take, on the GPU."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rtfocus.cuda.gpu import Array, Gpu
from rtfocus.planes import CodedPicture, Planes
from rtfocus.readers.orientation import Orientation

_ALIGNMENT = 256
"""Bytes between rows that NVENC reads are a multiple of this."""


class YuvConverter:
    """Converts pictures from and to YUV."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._codings = lru_cache(8)(self._upload_coding)

    def to_rgb(self, coded: CodedPicture, planes: Planes) -> Array:
        """The upright picture, (h, w, 3) uint8.

        Args:
            coded: what the planes are.
            planes: the same in the GPU's memory.
        """
        luma, chroma = planes.luma, planes.chroma
        rows, columns, _ = coded.shape
        image = self._gpu.empty((rows, columns, 3), np.uint8)
        self._gpu.launch(
            "yuv", "from_yuv", (columns, rows), luma, chroma[0], chroma[-1], _pitch(luma),
            _pitch(chroma[0]), 3 - len(chroma), luma.itemsize - 1, *luma.shape, coded.shift_x,
            coded.shift_y, self._codings(coded.taps.tobytes() + coded.matrix.tobytes()),
            _flags(coded.orientation), image,
        )  # fmt: skip
        return image

    def to_i420(self, image: Array) -> Array:
        """Luma, Cb and Cr of a picture (h, w, 3) one after the other, see `split_i420`."""
        height, width, _ = image.shape
        yuv = self._gpu.empty(
            _half(height) * _half(width) * 2 + height * 2 * _half(width), np.uint8
        )
        self._convert(image, 2 * _half(width), yuv, interleaved=False)
        return yuv

    def to_nv12(self, image: Array) -> Planes:
        """A picture of even sides, (h, w, 3), as NV12."""
        height, width, _ = image.shape
        pitch = -(-width // _ALIGNMENT) * _ALIGNMENT
        rows = self._gpu.empty((height + height // 2, pitch), np.uint8)
        self._convert(image, pitch, rows, interleaved=True)
        return Planes(rows[:height, :width], (rows[height:, :width],))

    def _convert(self, image: Array, pitch: int, yuv: Array, *, interleaved: bool) -> None:
        height, width, _ = image.shape
        threads = _half(width), _half(height)
        self._gpu.launch("yuv", "to_yuv", threads, image, height, width, pitch, interleaved, yuv)

    def _upload_coding(self, coding: bytes) -> Array:
        return self._gpu.upload(np.frombuffer(coding, np.float32))


def split_i420(yuv: NDArray[np.uint8], size: tuple[int, int]) -> Planes:
    """The planes of what `YuvConverter.to_i420` makes, of a picture of this size."""
    height, width = size
    rows, columns = _half(height), _half(width)
    luma, cb, cr = np.split(yuv, np.cumsum([height * 2 * columns, rows * columns]))
    chroma = cb.reshape(rows, columns), cr.reshape(rows, columns)
    return Planes(luma.reshape(height, 2 * columns)[:, :width], chroma)


def _half(side: int) -> int:
    return (side + 1) // 2


def _pitch(plane: Array) -> int:
    """Samples from row to row."""
    pitch: int = plane.strides[0] // plane.itemsize
    return pitch


def _flags(orientation: Orientation) -> int:
    """As the kernel has them."""
    return orientation.transpose | orientation.flip_x << 1 | orientation.flip_y << 2
