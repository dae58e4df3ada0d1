"""TIFF files where OpenCV does not say enough of them, or reads them wrong."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Self, cast

import av
import numpy as np
from numpy.typing import NDArray

_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""Whole numbers by their field type (TIFF 6.0, section 2; LONG8 is BigTIFF's)."""

_BITS, _PHOTOMETRIC, _SAMPLES, _PLANAR, _EXTRA = 258, 262, 277, 284, 338
_GREY, _RGB = (0, 1), 2
_SEPARATE = 2
_STRAIGHT = 2


@dataclass(frozen=True, slots=True)
class TiffLayout:
    """How the samples of the first picture are stored.

    Attributes:
        bits: of a sample.
        photometric: what the samples mean.
        samples: of a pixel.
        planar: 2 where every channel lies by itself.
        extra: what a sample beyond the colours is: 0 anything, 1 alpha that the colours have been
            multiplied with, 2 alpha that they have not; None where the file does not say.
    """

    bits: int
    photometric: int | None
    samples: int
    planar: int
    extra: int | None

    @classmethod
    def of(cls, data: bytes) -> Self | None:
        """Of a whole file; None where it is no TIFF."""
        order = {b"II": "<", b"MM": ">"}.get(data[:2])
        try:
            if order is None or struct.unpack_from(order + "H", data, 2)[0] not in (42, 43):
                return None
            tags = _first_values(data, order)
        except struct.error:
            return None
        return cls(
            tags.get(_BITS, 1),
            tags.get(_PHOTOMETRIC),
            tags.get(_SAMPLES, 1),
            tags.get(_PLANAR, 1),
            tags.get(_EXTRA),
        )

    @property
    def straight(self) -> bool:
        """Whether the colours still have to be multiplied with alpha.

        Where a file does not say, they have: so it is with those that OpenCV writes.
        """
        return self.extra in (None, _STRAIGHT)

    @property
    def multiplied_by_opencv(self) -> bool:
        """Whether OpenCV has done that: by libtiff, which gives it 8 bits."""
        return self.bits <= 8 and self.extra == _STRAIGHT

    @property
    def beyond_opencv(self) -> bool:
        """Whether OpenCV leaves out the alpha of grey, or mixes up planes of 16 bits."""
        if self.planar == _SEPARATE:
            return self.bits > 8 and self.photometric == _RGB
        return self.samples == 2 and self.photometric in _GREY and self.straight


def decode_tiff(data: bytes) -> NDArray[np.uint8 | np.uint16] | None:
    """BGRA samples as they are stored, by FFmpeg; None where it can't."""
    try:
        with av.open(io.BytesIO(data), "r", format="tiff_pipe") as container:
            picture = next(container.decode(video=0))
    except (av.FFmpegError, StopIteration):
        return None
    deep = picture.format.components[0].bits > 8
    rgba = picture.to_ndarray(format="rgba64le" if deep else "rgba")
    return cast(NDArray[np.uint8 | np.uint16], rgba[..., [2, 1, 0, 3]])


def _first_values(data: bytes, order: str) -> dict[int, int]:
    """The first value of every tag of the first directory that holds whole numbers."""
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    word, head, room = ("Q", "HHQ", 8) if big else ("I", "HHI", 4)
    (directory,) = struct.unpack_from(order + word, data, 8 if big else 4)
    counter = order + ("Q" if big else "H")
    (entries,) = struct.unpack_from(counter, data, directory)
    start, values = directory + struct.calcsize(counter), {}
    size = struct.calcsize(order + head) + room
    for entry in range(start, start + entries * size, size):
        tag, kind, count = struct.unpack_from(order + head, data, entry)
        if kind not in _TYPES:
            continue
        place = entry + size - room
        if count * struct.calcsize(order + _TYPES[kind]) > room:
            (place,) = struct.unpack_from(order + word, data, place)
        (values[tag],) = struct.unpack_from(order + _TYPES[kind], data, place)
    return values
