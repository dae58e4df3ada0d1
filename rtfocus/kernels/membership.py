"""Which layer every pixel is in, and which layers every cell of the picture holds."""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.jit import F32, F64, U8, U64, kernel

CELL = 16
"""Side in pixels of the cells whose layers are kept as sets."""

LOOKUP_STEP = 1 / 32
"""Resolution of the table from radius to layer, in pixels."""

NOTHING = 255
"""Layer number of a pixel that has nothing known behind it."""


@kernel
def layer_of(radius: float, lookup: U8, limit: float) -> int:
    """Layer of a signed radius, from the table of a `rtfocus.render.layers.LayerPlan`."""
    slot = np.float32(radius + limit) * np.float32(1 / LOOKUP_STEP)
    return lookup[int(min(max(slot, np.float32(0)), np.float32(lookup.size - 1)))]  # type: ignore[no-any-return]


@kernel
def classify(
    radius: F32, lookup: U8, limit: float, layer: U8, members: F64, first: int, last: int
) -> None:
    """Layer number of every pixel of rows first..last.

    Args:
        radius: (h, w), signed.
        lookup: see `layer_of`.
        limit: see `layer_of`.
        layer: (h, w), the result.
        members: (h, layers, 2), sum of the radii in each layer in every row, without their sign,
            and their number.
        first: row.
        last: row.
    """
    for y in range(first, last):
        r, out, sums = radius[y], layer[y], members[y]
        sums[:] = 0
        for x in range(r.size):
            k = layer_of(r[x], lookup, limit)
            out[x] = k
            sums[k, 0] += min(abs(r[x]), limit)
            sums[k, 1] += 1


@kernel
def collect(layer: U8, cells: U64, first: int, last: int) -> None:
    """The set of layers in every cell, one bit each, for rows of cells first..last."""
    height, width = layer.shape
    for j in range(first, last):
        for i in range(cells.shape[1]):
            bits = np.uint64(0)
            for y in range(j * CELL, min(height, (j + 1) * CELL)):
                for k in layer[y, i * CELL : min(width, (i + 1) * CELL)]:
                    bits |= np.uint64(1) << np.uint64(k) if k != NOTHING else np.uint64(0)
            cells[j, i] = bits


@kernel
def find_members(
    cells: U64, k: int, top: int, bottom: int, left: int, right: int
) -> tuple[int, int, int, int]:
    """The box around the cells in a region that hold a layer, in pixels.

    Args:
        cells: from `collect`.
        k: the layer.
        top: of the region, in pixels; it may extend beyond the picture.
        bottom: of the region, exclusive.
        left: of the region.
        right: of the region, exclusive.

    Returns:
        Top, bottom, left, right; bottom is not below top where there is none.
    """
    rows, columns = cells.shape
    bit = np.uint64(1) << np.uint64(k)
    j0, j1, i0, i1 = rows, 0, columns, 0
    for j in range(max(0, top // CELL), min(rows, -(-bottom // CELL))):
        for i in range(max(0, left // CELL), min(columns, -(-right // CELL))):
            if cells[j, i] & bit:
                j0, j1 = min(j0, j), max(j1, j + 1)
                i0, i1 = min(i0, i), max(i1, i + 1)
    return j0 * CELL, j1 * CELL, i0 * CELL, i1 * CELL
