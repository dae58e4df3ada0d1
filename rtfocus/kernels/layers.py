"""CPU kernels of the layered renderer: cut into layers, blur each, composite far to near, tile by tile.

All work on bands of rows, release the GIL and are free of shared state, so that the caller may run bands in
threads. Inner loops run over contiguous float32 rows, which is what makes LLVM vectorise them.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtfocus.layers import LOOKUP_STEP

TILE_HEIGHT = 64
TILE_WIDTH = 128
NOTHING = 255
"""Layer number of a pixel that has nothing known behind it."""

# No reassociation: a sum of nothing must stay exactly zero, or pixels in focus would change.
_jit = njit(nogil=True, cache=True, fastmath={"contract", "arcp", "nsz"})

_FILL_GAIN = np.float32(4)
_EPSILON = np.float32(1e-4)
_ENCODE_STEPS = 1 << 14


def srgb_tables() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Decoding table of 256 float32, and encoding table of linear 0..1 in steps of 1 / 16383 (IEC 61966-2-1)."""
    code = np.arange(256) / 255
    decode = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    linear = np.arange(_ENCODE_STEPS) / (_ENCODE_STEPS - 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return decode.astype(np.float32), np.round(255 * srgb).astype(np.uint8)


@_jit
def linearise(image, decode, linear, first, last):  # type: ignore[no-untyped-def]
    """Rows first..last of image (h, w, 3) uint8 to linear (3, h, w) float32."""
    for y in range(first, last):
        for c in range(3):
            row = linear[c, y]
            for x in range(row.size):
                row[x] = decode[image[y, x, c]]


@_jit
def classify(radius, lookup, limit, layer, first, last):  # type: ignore[no-untyped-def]
    """Layer number of every pixel of rows first..last, uint8."""
    scale = np.float32(1 / LOOKUP_STEP)
    bias = np.float32(limit / LOOKUP_STEP)
    top = np.float32(lookup.size - 1)
    for y in range(first, last):
        r = radius[y]
        out = layer[y]
        for x in range(r.size):
            out[x] = lookup[int(min(max(r[x] * scale + bias, np.float32(0)), top))]


@_jit
def collect(layer, mask, first, last):  # type: ignore[no-untyped-def]
    """The set of layers in every tile, uint64, for rows of tiles first..last."""
    height, width = layer.shape
    for ty in range(first, last):
        for tx in range(mask.shape[1]):
            bits = np.uint64(0)
            for y in range(ty * TILE_HEIGHT, min(height, (ty + 1) * TILE_HEIGHT)):
                for k in layer[y, tx * TILE_WIDTH : min(width, (tx + 1) * TILE_WIDTH)]:
                    bits |= np.uint64(1) << np.uint64(k) if k != NOTHING else np.uint64(0)
            mask[ty, tx] = bits


@_jit
def spread(mask, reach, out):  # type: ignore[no-untyped-def]
    """Per tile the set of layers that can be seen in it, given how far each spreads in pixels."""
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


@_jit
def _add_members(members, k, values, out):  # type: ignore[no-untyped-def]
    for x in range(out.size):
        out[x] += values[x] if members[x] == k else np.float32(0)


@_jit
def _add_coverage(members, k, out):  # type: ignore[no-untyped-def]
    for x in range(out.size):
        out[x] += np.float32(1) if members[x] == k else np.float32(0)


@_jit
def _halve(row, size):  # type: ignore[no-untyped-def]
    pairs = row[:size]
    for x in range(size // 2):
        row[x] = (pairs[2 * x] + pairs[2 * x + 1]) * np.float32(0.5)


@_jit
def _source(k, scale, y0, x0, rows, columns, front, back, back_seen, strip, source):  # type: ignore[no-untyped-def]
    """The layer's premultiplied colour and coverage, (4, rows, columns), reduced by `scale`.

    (y0, x0) is the picture's pixel at which the grid starts; outside the picture its border continues.
    """
    linear, layer = front
    behind, behind_layer = back
    height, width = layer.shape
    full = columns * scale
    left = max(0, -x0)
    right = min(full, width - x0)
    a, b = x0 + left, x0 + right
    for j in range(rows):
        for c in range(4):
            row = source[c, j] if scale == 1 else strip
            row[:full] = 0
            inside = row[left:right]
            for t in range(scale):
                y = min(max(y0 + j * scale + t, 0), height - 1)
                if c == 3:
                    _add_coverage(layer[y, a:b], k, inside)
                    if back_seen:
                        _add_coverage(behind_layer[y, a:b], k, inside)
                else:
                    _add_members(layer[y, a:b], k, linear[c, y, a:b], inside)
                    if back_seen:
                        _add_members(behind_layer[y, a:b], k, behind[c, y, a:b], inside)
            row[:left] = row[left]
            row[right:full] = row[right - 1]
            if scale > 1:
                size = full
                while size > columns:
                    _halve(strip, size)
                    size //= 2
                out = source[c, j]
                weight = np.float32(1) / np.float32(scale)
                for x in range(columns):
                    out[x] = strip[x] * weight


@_jit
def _running_sum(source, rows, columns, sums):  # type: ignore[no-untyped-def]
    """sums[c, j] = source[c, 0] + ... + source[c, j - 1]; tells whether the layer covers anything."""
    for c in range(4):
        sums[c, 0, :columns] = 0
        for j in range(rows):
            before = sums[c, j]
            after = sums[c, j + 1]
            row = source[c, j]
            for x in range(columns):
                after[x] = before[x] + row[x]
    total = np.float32(0)
    last = sums[3, rows]
    for x in range(columns):
        total = max(total, last[x])
    return total > 0


@_jit
def _blur(source, sums, kernel, start, stop, norm, reach, out, rows, columns):  # type: ignore[no-untyped-def]
    """Sum of the kernel's column spans around every pixel of out (4, rows, columns)."""
    across, top, top_part, bottom, bottom_part = kernel
    for c in range(4):
        for y in range(rows):
            row = out[c, y, :columns]
            row[:] = 0
            for i in range(start, stop):
                low = y + reach + bottom[i]
                high = y + reach + top[i]
                d = reach + across[i]
                sum_low = sums[c, low, d : d + columns]
                sum_high = sums[c, high, d : d + columns]
                part_low = source[c, low, d : d + columns]
                part_high = source[c, high, d : d + columns]
                add = bottom_part[i]
                drop = top_part[i]
                for x in range(columns):
                    row[x] += (
                        sum_low[x] - sum_high[x] + (add * part_low[x] - drop * part_high[x])
                    )
            for x in range(columns):
                row[x] *= norm


@_jit
def _double(small, rows, columns, large, line):  # type: ignore[no-untyped-def]
    """Bilinear enlargement by 2 of (4, rows, columns), whose outermost samples are a margin."""
    near, far = np.float32(0.75), np.float32(0.25)
    for c in range(4):
        for q in range(rows - 1):
            upper = small[c, q]
            lower = small[c, q + 1]
            for half in range(2):
                weight = near if half == 0 else far
                for x in range(columns):
                    line[x] = weight * upper[x] + (np.float32(1) - weight) * lower[x]
                row = large[c, 2 * q + half]
                for x in range(columns - 1):
                    row[2 * x] = near * line[x] + far * line[x + 1]
                    row[2 * x + 1] = far * line[x] + near * line[x + 1]


@_jit
def _over(top, margin, rows, columns, colour, cover, keep):  # type: ignore[no-untyped-def]
    """Composite a layer over what lies behind, whose holes are first filled from its own coverage."""
    one = np.float32(1)
    for y in range(rows):
        alpha = top[3, y + margin, margin : margin + columns]
        covered = cover[y, :columns]
        for x in range(columns):
            kept = min(covered[x] * _FILL_GAIN, one) * (one - alpha[x])
            keep[x] = kept / max(covered[x], _EPSILON)
            covered[x] = kept + alpha[x]
        for c in range(3):
            row = colour[c, y, :columns]
            add = top[c, y + margin, margin : margin + columns]
            for x in range(columns):
                row[x] = row[x] * keep[x] + add[x]


@_jit
def _encode(colour, cover, encode, out):  # type: ignore[no-untyped-def]
    """Linear premultiplied tile to sRGB uint8, out (rows, columns, 3)."""
    top = np.float32(_ENCODE_STEPS - 1)
    rows, columns, _ = out.shape
    for y in range(rows):
        for x in range(columns):
            scale = top / max(cover[y, x], _EPSILON)
            for c in range(3):
                value = min(max(colour[c, y, x] * scale, np.float32(0)), top)
                out[y, x, c] = encode[int(value + np.float32(0.5))]


@_jit
def render_tiles(image, front, back, seen, back_seen, sharp, steps, kernel, encode, out, first_row, last_row):  # type: ignore[no-untyped-def]
    """Render the rows of tiles first_row..last_row.

    Args:
        image: (h, w, 3) uint8, what is copied where everything is in focus.
        front: linear (3, h, w) float32 and layer number (h, w) uint8 of what the camera saw.
        back: the same of what lies behind it; layer `NOTHING` where nothing is known.
        seen, back_seen: uint64 per tile, layers of front or back, and of back, that reach the tile.
        sharp: number of the layer in focus.
        steps: per layer scale, reach, first column, 1 / area (see `rtfocus.layers.LayerPlan`).
        kernel: across, top, top_part, bottom, bottom_part of all columns.
        encode: from `srgb_tables`.
        out: (h, w, 3) uint8.
        first_row, last_row: rows of tiles.
    """
    scales, reaches, first, norms = steps
    height, width = front[1].shape
    halo = 0
    for k in range(scales.size):
        halo = max(halo, (reaches[k] + 2) * scales[k] + scales[k])
    tall, wide = TILE_HEIGHT + 2 * halo, TILE_WIDTH + 2 * halo
    source = np.empty((4, tall, wide), np.float32)
    sums = np.empty((4, tall + 1, wide), np.float32)
    ping = np.empty((4, TILE_HEIGHT + 2, TILE_WIDTH + 2), np.float32)
    pong = np.empty((4, TILE_HEIGHT + 2, TILE_WIDTH + 2), np.float32)
    strip = np.empty(wide, np.float32)
    colour = np.empty((3, TILE_HEIGHT, TILE_WIDTH), np.float32)
    cover = np.empty((TILE_HEIGHT, TILE_WIDTH), np.float32)

    for ty in range(first_row, last_row):
        y0 = ty * TILE_HEIGHT
        rows = min(TILE_HEIGHT, height - y0)
        for tx in range(seen.shape[1]):
            x0 = tx * TILE_WIDTH
            columns = min(TILE_WIDTH, width - x0)
            tile = out[y0 : y0 + rows, x0 : x0 + columns]
            if seen[ty, tx] == np.uint64(1) << np.uint64(sharp):
                tile[:] = image[y0 : y0 + rows, x0 : x0 + columns]
                continue
            colour[:] = 0
            cover[:] = 0
            for k in range(scales.size):
                bit = np.uint64(1) << np.uint64(k)
                if seen[ty, tx] & bit == 0:
                    continue
                behind = back_seen[ty, tx] & bit != 0
                if k == sharp:
                    _source(k, 1, y0, x0, rows, columns, front, back, behind, strip, source)
                    _over(source, 0, rows, columns, colour, cover, strip)
                    continue
                scale, reach = scales[k], reaches[k]
                margin = 0 if scale == 1 else 1
                small_rows = -(-rows // scale) + 2 * margin
                small_columns = -(-columns // scale) + 2 * margin
                tall = small_rows + 2 * reach + 1
                wide = small_columns + 2 * reach
                edge = (reach + margin) * scale
                _source(
                    k, scale, y0 - edge, x0 - edge, tall, wide, front, back, behind, strip, source
                )
                if not _running_sum(source, tall, wide, sums):
                    continue
                _blur(
                    source, sums, kernel, first[k], first[k + 1], norms[k], reach,
                    ping, small_rows, small_columns,
                )  # fmt: skip
                blurred, spare = ping, pong
                while scale > 1:
                    _double(blurred, small_rows, small_columns, spare, strip)
                    small_rows, small_columns = 2 * small_rows - 2, 2 * small_columns - 2
                    blurred, spare = spare, blurred
                    scale //= 2
                _over(blurred, margin, rows, columns, colour, cover, strip)
            _encode(colour, cover, encode, tile)
