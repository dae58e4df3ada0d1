"""CPU kernel from RGB to planar YUV 4:2:0, BT.709, limited range."""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.jit import U8, kernel

# Rec. ITU-R BT.709-6, items 3.2 to 3.5.
_RED, _GREEN, _BLUE = (np.float32(k) for k in (0.2126, 0.7152, 0.0722))
_LUMA = np.float32(219 / 255)
# Of the sum of eight pixels: two rows, weights 1 2 1.
_CB = np.float32(224 / 255 / 1.8556 / 8)
_CR = np.float32(224 / 255 / 1.5748 / 8)


@kernel
def rgb_to_i420(image: U8, luma: U8, cb: U8, cr: U8, first: int, last: int) -> None:
    """Convert the pairs of rows first..last.

    Chroma is sited as MPEG-2 and H.264 have it: on the even columns, midway between two rows.

    Args:
        image: (h, w, 3).
        luma: (h, at least w), rows may be padded.
        cb: ((h + 1) // 2, at least (w + 1) // 2).
        cr: like `cb`.
        first: pair of rows.
        last: pair of rows.
    """
    height, width, _ = image.shape
    half = (width + 1) // 2
    black, zero = np.float32(16.5), np.float32(128.5)  # 0.5 to round
    red, green, blue = np.empty((3, width), np.float32)
    grey = np.empty(width, np.float32)
    # Sums of two rows of B - Y and R - Y, with a margin of one pixel on either side.
    difference = np.empty((2, width + 2), np.float32)
    for j in range(first, last):
        difference[:] = 0
        to_blue, to_red = difference[0, 1:], difference[1, 1:]
        for k in range(2):
            y = min(2 * j + k, height - 1)
            for x in range(width):
                red[x] = image[y, x, 0]
                green[x] = image[y, x, 1]
                blue[x] = image[y, x, 2]
            row = luma[y]
            for x in range(width):
                grey[x] = _RED * red[x] + _GREEN * green[x] + _BLUE * blue[x]
                row[x] = np.int32(_LUMA * grey[x] + black)
            for x in range(width):
                to_blue[x] += blue[x] - grey[x]
                to_red[x] += red[x] - grey[x]
        for c in range(2):
            total = difference[c]
            total[0] = total[1]
            total[width + 1] = total[width]
            row = cb[j] if c == 0 else cr[j]
            scale = _CB if c == 0 else _CR
            for i in range(half):
                weighted = total[2 * i] + total[2 * i + 1] + total[2 * i + 1] + total[2 * i + 2]
                row[i] = np.int32(scale * weighted + zero)
