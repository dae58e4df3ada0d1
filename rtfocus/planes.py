"""Pictures in YUV: as a decoder gives them, before they are RGB, and as an encoder takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rtfocus.frame import Image
from rtfocus.kernels.from_yuv import yuv_to_rgb
from rtfocus.kernels.jit import F32

if TYPE_CHECKING:
    from rtfocus.readers.orientation import Orientation


@dataclass(frozen=True, slots=True)
class Planes:
    """Luma and chroma in memory of their own, of NumPy or of CuPy; rows may be padded.

    Attributes:
        luma: (h, w) uint8 or uint16.
        chroma: Cb and Cr, (rows, columns) each, or both in one, (rows, 2 columns), by turns.
    """

    luma: Any
    chroma: tuple[Any, ...]

    @property
    def arrays(self) -> tuple[Any, ...]:
        """All of them."""
        return self.luma, *self.chroma


@dataclass(frozen=True, slots=True)
class CodedPicture:
    """A decoded picture with all that is needed to make it upright RGB; see `yuv_to_rgb`.

    Attributes:
        planes: as they are stored.
        shift_x: 1 where chroma has half the columns, else 0.
        shift_y: 1 where chroma has half the rows, else 0.
        taps: (4,) float32, where chroma lies.
        matrix: (8,) float32, what the numbers mean.
        orientation: which way up it is to be shown.
        owner: what the planes' memory belongs to.
    """

    planes: Planes
    shift_x: int
    shift_y: int
    taps: F32
    matrix: F32
    orientation: Orientation
    owner: Any

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the upright picture."""
        height, width = self.planes.luma.shape
        return (width, height, 3) if self.orientation.transpose else (height, width, 3)

    def to_rgb(self) -> Image:
        """The upright picture, converted on the host, where all three planes must be."""
        luma, cb, cr = map(np.ascontiguousarray, self.planes.arrays)
        height, width = luma.shape
        out = np.empty((height, 3 * width), np.uint8)
        yuv_to_rgb(luma, cb, cr, self.shift_x, self.shift_y, self.taps, self.matrix, out, 0, height)
        return self.orientation.apply(out.reshape(height, width, 3))
