"""Which layer every pixel is in, and which layers every tile can see."""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.jit import F32, I64, U8, U64, kernel
from rtfocus.layers import LOOKUP_STEP

TILE_HEIGHT = 64
TILE_WIDTH = 128

NOTHING = 255
"""Layer number of a pixel that has nothing known behind it."""


@kernel
def layer_of(radius: float, lookup: U8, limit: float) -> int:
    """Layer of a signed radius, from the table of a `rtfocus.layers.LayerPlan`."""
    slot = np.float32(radius + limit) * np.float32(1 / LOOKUP_STEP)
    return lookup[int(min(max(slot, np.float32(0)), np.float32(lookup.size - 1)))]  # type: ignore[no-any-return]


@kernel
def classify(radius: F32, lookup: U8, limit: float, layer: U8, first: int, last: int) -> None:
    """Layer number of every pixel of rows first..last."""
    for y in range(first, last):
        r = radius[y]
        out = layer[y]
        for x in range(r.size):
            out[x] = layer_of(r[x], lookup, limit)


@kernel
def collect(layer: U8, mask: U64, first: int, last: int) -> None:
    """The set of layers in every tile, one bit each, for rows of tiles first..last."""
    height, width = layer.shape
    for ty in range(first, last):
        for tx in range(mask.shape[1]):
            bits = np.uint64(0)
            for y in range(ty * TILE_HEIGHT, min(height, (ty + 1) * TILE_HEIGHT)):
                for k in layer[y, tx * TILE_WIDTH : min(width, (tx + 1) * TILE_WIDTH)]:
                    bits |= np.uint64(1) << np.uint64(k) if k != NOTHING else np.uint64(0)
            mask[ty, tx] = bits


@kernel
def spread(mask: U64, reach: I64, out: U64) -> None:
    """The set of layers that can be seen in every tile, given how many pixels each spreads."""
    rows, columns = mask.shape
    for ty in range(rows):
        for tx in range(columns):
            bits = np.uint64(0)
            for k in range(reach.size):
                bit = np.uint64(1) << np.uint64(k)
                dy = -(-reach[k] // TILE_HEIGHT)
                dx = -(-reach[k] // TILE_WIDTH)
                for j in range(max(0, ty - dy), min(rows, ty + dy + 1)):
                    for i in range(max(0, tx - dx), min(columns, tx + dx + 1)):
                        bits |= mask[j, i] & bit
            out[ty, tx] = bits
