"""CPU kernels that keep apart what a picture takes from its original, and put it together again.

A share of 255 takes all. Inner loops run over bytes of a row in 16-bit arithmetic, which is what
makes LLVM vectorise them.
"""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.jit import F32, U8, kernel

_HALF, _EIGHT = np.uint16(128), np.uint16(8)


@kernel
def _part(share: int, value: int) -> np.uint16:
    """That share of a code value; all of it at 255."""
    weight = np.uint16(share) + (np.uint16(share) >> np.uint16(7))
    product = np.uint16(np.uint16(value) * np.uint16(weight) + _HALF)
    return np.uint16(product >> _EIGHT)


@kernel
def divide(
    small: U8,
    blurred: U8,
    own: U8,
    radius: F32,
    sharp: float,
    soft: float,
    share: U8,
    rest: U8,
    first: int,
    last: int,
) -> None:
    """Divide rows first..last of a blurred picture into what it has of `small`, and the rest.

    Args:
        small: (h, w, 3), before it was blurred.
        blurred: (h, w, 3), so that blurred = share / 255 * small + rest.
        own: (h, w), how much of blurred is the pixel's own light, 255 where all is.
        radius: (h, w), in pixels, of either sign.
        sharp: radius up to which all of the own light is shared.
        soft: radius from which none is.
        share: the result, (h, w).
        rest: the result, (h, w, 3).
        first: row.
        last: row.
    """
    width = radius.shape[1]
    zero, one, half = np.float32(0), np.float32(1), np.float32(0.5)
    none, scale = np.float32(soft), np.float32(1 / (soft - sharp))
    for y in range(first, last):
        r, mine, part = radius[y], own[y], share[y]
        for x in range(width):
            kept = min(max((none - abs(r[x])) * scale, zero), one)
            part[x] = np.int32(kept * mine[x] + half)
        before, after = small[y].reshape(3 * width), blurred[y].reshape(3 * width)
        left = rest[y].reshape(3 * width)
        for x in range(width):
            for c in range(3):
                taken = _part(part[x], before[3 * x + c])
                left[3 * x + c] = max(np.uint16(after[3 * x + c]), taken) - taken


@kernel
def combine(image: U8, share: U8, rest: U8, out: U8, first: int, last: int) -> None:
    """Rows first..last of share / 255 * image + rest.

    Args:
        image: (h, w, 3).
        share: (h, w).
        rest: (h, w, 3).
        out: the result, (h, w, 3).
        first: row.
        last: row.
    """
    width = share.shape[1]
    wide = np.empty(3 * width, np.uint8)
    for y in range(first, last):
        for x in range(width):
            wide[3 * x] = wide[3 * x + 1] = wide[3 * x + 2] = share[y, x]
        source, more = image[y].reshape(3 * width), rest[y].reshape(3 * width)
        row = out[y].reshape(3 * width)
        for i in range(3 * width):
            row[i] = min(np.uint16(_part(wide[i], source[i]) + more[i]), np.uint16(255))
