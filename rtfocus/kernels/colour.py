"""Between sRGB bytes and linear light."""

from __future__ import annotations

from functools import cache

import numpy as np

from rtfocus.kernels.jit import F32, F64, U8, kernel

ENCODE_STEPS = 1 << 14
"""Entries of the encoding table: fine enough that every byte survives decoding and encoding."""


@cache
def srgb_tables() -> tuple[F32, U8]:
    """From code value to linear light, and from linear 0..1 in ENCODE_STEPS to code value."""
    decode = srgb_to_linear(np.arange(256) / 255)
    encode = linear_to_srgb(np.arange(ENCODE_STEPS) / (ENCODE_STEPS - 1))
    return decode.astype(np.float32), np.round(255 * encode).astype(np.uint8)


def srgb_to_linear(signal: F64) -> F64:
    """IEC 61966-2-1: 0..1 to linear 0..1."""
    return np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: F64) -> F64:
    """Inverse of `srgb_to_linear`."""
    root = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.clip(np.where(linear <= 0.0031308, 12.92 * linear, root), 0, 1)


@kernel
def linearise(image: U8, decode: F32, linear: F32, first: int, last: int) -> None:
    """Rows first..last of image (h, w, 3) to linear (3, h, w)."""
    for y in range(first, last):
        for c in range(3):
            row = linear[c, y]
            for x in range(row.size):
                row[x] = decode[image[y, x, c]]
