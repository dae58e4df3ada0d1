"""CPU kernel from planar YUV to RGB."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtfocus.kernels.jit import F32, kernel

Samples = NDArray[np.uint8] | NDArray[np.uint16]


@kernel
def yuv_to_rgb(
    luma: Samples,
    cb: Samples,
    cr: Samples,
    shift_x: int,
    shift_y: int,
    taps: F32,
    matrix: F32,
    out: Samples,
    first: int,
    last: int,
) -> None:
    """Convert rows first..last of a planar picture, interpolating chroma linearly.

    Vertically, subsampled chroma lies midway between its two rows of luma.

    Args:
        luma: (h, at least w) uint8 or uint16, rows may be padded.
        cb: (rows, at least columns), same type.
        cr: like `cb`.
        shift_x: 1 where chroma has half the columns (rounded up), else 0.
        shift_y: 1 where chroma has half the rows (rounded up), else 0.
        taps: weights of chroma i and i - 1 at luma column 2 i, and of chroma i and i + 1 at column
            2 i + 1.
        matrix: factor and offset of luma, red per cr, green per cb and cr, blue per cb, the code
            value of chroma zero, the largest output value; in output units, 0.5 for rounding
            included in the offset.
        out: (h, 3 w) uint8 or uint16, interleaved.
        first: first row.
        last: one past the last row.
    """
    rows = (luma.shape[0] + shift_y) >> shift_y
    width = out.shape[1] // 3
    columns = (width + shift_x) >> shift_x
    mixed = np.empty((2, columns + 2), np.float32)
    doubled = np.empty((2, 2 * columns), np.float32)
    even_own, even_left, odd_own, odd_right = taps[0], taps[1], taps[2], taps[3]
    gain, offset, zero, top = matrix[0], matrix[1], matrix[6], matrix[7] + np.float32(0.5)
    red_cr, green_cb, green_cr, blue_cb = matrix[2], matrix[3], matrix[4], matrix[5]
    quarter, bottom = np.float32(0.25), np.float32(0.5)
    for y in range(first, last):
        own = y >> shift_y
        other = min(max(own + shift_y * (2 * (y & 1) - 1), 0), rows - 1)
        for c in range(2):
            plane = cb if c == 0 else cr
            near, far, line = plane[own], plane[other], mixed[c, 1:]
            for x in range(columns):
                value = np.float32(near[x])
                line[x] = value - zero + quarter * (np.float32(far[x]) - value)
            mixed[c, 0] = mixed[c, 1]
            mixed[c, columns + 1] = mixed[c, columns]
        u, v = mixed[0, 1:], mixed[1, 1:]
        if shift_x:
            for c in range(2):
                left, centre, right, wide = mixed[c], mixed[c, 1:], mixed[c, 2:], doubled[c]
                for x in range(columns):
                    wide[2 * x] = even_own * centre[x] + even_left * left[x]
                    wide[2 * x + 1] = odd_own * centre[x] + odd_right * right[x]
            u, v = doubled[0], doubled[1]
        grey, row = luma[y], out[y]
        for x in range(width):
            value = np.float32(grey[x]) * gain + offset
            red = value + red_cr * v[x]
            green = value + green_cb * u[x] + green_cr * v[x]
            blue = value + blue_cb * u[x]
            row[3 * x] = np.int32(min(max(red, bottom), top))
            row[3 * x + 1] = np.int32(min(max(green, bottom), top))
            row[3 * x + 2] = np.int32(min(max(blue, bottom), top))
