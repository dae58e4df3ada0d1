"""Between sRGB bytes and linear light."""

from __future__ import annotations

from functools import cache

import numpy as np

from rtfocus.kernels.jit import F32, U8, kernel

ENCODE_STEPS = 1 << 14
"""Entries of the encoding table: fine enough that every byte survives decoding and encoding."""


@cache
def srgb_tables() -> tuple[F32, U8]:
    """From code value to linear light, and from linear 0..1 in ENCODE_STEPS to code value.

    The transfer function is that of IEC 61966-2-1.
    """
    code = np.arange(256) / 255
    decode = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    linear = np.arange(ENCODE_STEPS) / (ENCODE_STEPS - 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return decode.astype(np.float32), np.round(255 * srgb).astype(np.uint8)


@kernel
def linearise(image: U8, decode: F32, linear: F32, first: int, last: int) -> None:
    """Rows first..last of image (h, w, 3) to linear (3, h, w)."""
    for y in range(first, last):
        for c in range(3):
            row = linear[c, y]
            for x in range(row.size):
                row[x] = decode[image[y, x, c]]
