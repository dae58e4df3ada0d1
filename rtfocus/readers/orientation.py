"""Which way up a stored picture is to be shown."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self, cast

import cv2
import numpy as np
from numpy.typing import NDArray

_EXIF_ORIENTATION = 0x0112
_EXIF_PREFIX = b"Exif\0\0"


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways to turn and mirror a picture: first transpose, then flip.

    Attributes:
        transpose: swap rows and columns.
        flip_x: then mirror left and right.
        flip_y: then mirror top and bottom.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def from_display_matrix(cls, matrix: bytes) -> Self:
        """From the nine 16.16 numbers of a video's display matrix (ISO/IEC 14496-12, 6.2.2).

        Angles between the right ones are rounded to the nearest.
        """
        a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    @classmethod
    def from_rotation(cls, degrees: float) -> Self:
        """From an angle, counterclockwise, of which the nearest right one counts."""
        quarters = round(degrees / 90) % 4
        return cls(quarters % 2 == 1, quarters in (2, 3), quarters in (1, 2))

    @classmethod
    def from_exif(cls, exif: bytes) -> Self:
        """From an EXIF block (CIPA DC-008, tag 0x0112); upright where that says nothing valid."""
        tiff = exif.removeprefix(_EXIF_PREFIX)
        order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
        if order is None or len(tiff) < 8:
            return cls()
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        if directory + 2 > len(tiff):
            return cls()
        (entries,) = struct.unpack_from(order + "H", tiff, directory)
        end = min(directory + 2 + 12 * entries, len(tiff) - 11)
        for start in range(directory + 2, end, 12):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, start)
            if tag == _EXIF_ORIENTATION:
                return cls(*_EXIF_ORIENTATIONS.get(value, (False, False, False)))
        return cls()

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The upright picture, C-contiguous, of an (h, w, channels) uint8 one."""
        if self.transpose:
            image = _pixels(cv2.transpose(image))
        if self.flip_x or self.flip_y:
            image = _pixels(cv2.flip(image, _FLIP_CODE[self.flip_x, self.flip_y]))
        return image


def _pixels(image: object) -> NDArray[np.uint8]:
    return cast(NDArray[np.uint8], image)


_FLIP_CODE = {(False, True): 0, (True, False): 1, (True, True): -1}

_EXIF_ORIENTATIONS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
