"""Blur layers and composite them far to near, tile by tile.

A tile's working set stays in the processor's cache. Inner loops run over contiguous float32 rows,
which is what makes LLVM vectorise them.
"""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.colour import ENCODE_STEPS
from rtfocus.kernels.jit import F32, I64, U8, U64, kernel
from rtfocus.kernels.membership import find_members
from rtfocus.render.layers import MAX_SCALE

Plane = tuple[F32, U8]
"""Linear colour (3, h, w) and layer number (h, w)."""

Steps = tuple[I64, I64, I64, F32]
"""Per layer: scale, reach, first column, 1 / area (see `rtfocus.render.layers.LayerPlan`)."""

Columns = tuple[I64, I64, F32, I64, F32]
"""Per column of a kernel: across, top, top_part, bottom, bottom_part."""

TILE_HEIGHT = MAX_SCALE
TILE_WIDTH = 2 * MAX_SCALE

_FILL_GAIN = np.float32(4)
_EPSILON = np.float32(1e-12)
_UNCOVERED = np.float32(1e-4)
"""Coverage below which a pixel is not known; it stays as it is."""


@kernel
def _set_members(members: U8, k: int, values: F32, out: F32) -> None:
    for x in range(out.size):
        out[x] = values[x] if members[x] == k else np.float32(0)


@kernel
def _set_coverage(members: U8, k: int, out: F32) -> None:
    for x in range(out.size):
        out[x] = np.float32(1) if members[x] == k else np.float32(0)


@kernel
def _add_members(members: U8, k: int, values: F32, out: F32) -> None:
    for x in range(out.size):
        out[x] += values[x] if members[x] == k else np.float32(0)


@kernel
def _add_coverage(members: U8, k: int, out: F32) -> None:
    for x in range(out.size):
        out[x] += np.float32(1) if members[x] == k else np.float32(0)


@kernel
def _halve(row: F32, size: int) -> None:
    pairs = row[:size]
    for x in range(size // 2):
        row[x] = (pairs[2 * x] + pairs[2 * x + 1]) * np.float32(0.5)


@kernel
def _source(
    k: int,
    scale: int,
    y0: int,
    x0: int,
    rows: int,
    columns: int,
    front: Plane,
    back: Plane,
    back_seen: bool,
    strip: F32,
    source: F32,
) -> None:
    """The layer's premultiplied colour and coverage, (4, rows, columns), reduced by `scale`.

    (y0, x0) is the picture's pixel at which the grid starts; outside the picture its border
    continues.
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
            inside = row[left:right]
            for t in range(scale):
                y = min(max(y0 + j * scale + t, 0), height - 1)
                if c == 3:
                    if t == 0:
                        _set_coverage(layer[y, a:b], k, inside)
                    else:
                        _add_coverage(layer[y, a:b], k, inside)
                    if back_seen:
                        _add_coverage(behind_layer[y, a:b], k, inside)
                else:
                    if t == 0:
                        _set_members(layer[y, a:b], k, linear[c, y, a:b], inside)
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


@kernel
def _running_sum(source: F32, rows: int, columns: int, sums: F32) -> bool:
    """sums[c, j] = source[c, 0] + ... + source[c, j - 1]; False if the layer covers nothing."""
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
    return bool(total > 0)


@kernel
def _blur(
    source: F32,
    sums: F32,
    spans: Columns,
    start: int,
    stop: int,
    norm: float,
    reach: int,
    out: F32,
    rows: int,
    columns: int,
) -> None:
    """Sum of the kernel's column spans around every pixel of out (4, rows, columns)."""
    across, top, top_part, bottom, bottom_part = spans
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
                    row[x] += sum_low[x] - sum_high[x] + (add * part_low[x] - drop * part_high[x])
            for x in range(columns):
                row[x] *= norm


@kernel
def _double(small: F32, rows: int, columns: int, large: F32, line: F32) -> None:
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


@kernel
def _over(
    top: F32,
    margin: int,
    rows: int,
    columns: int,
    colour: F32,
    cover: F32,
    own: F32,
    keep: F32,
) -> None:
    """Composite a layer over what lies behind, whose partial coverage is filled up first.

    It takes its part from the shares of own light.
    """
    zero, one = np.float32(0), np.float32(1)
    for y in range(rows):
        alpha = top[3, y + margin, margin : margin + columns]
        covered = cover[y, :columns]
        for x in range(columns):
            filled = min(covered[x] * _FILL_GAIN, one) if alpha[x] > zero else covered[x]
            kept = filled * (one - alpha[x])
            keep[x] = kept / max(covered[x], _EPSILON)
            covered[x] = kept + alpha[x]
        share = own[y, :columns]
        for x in range(columns):
            share[x] *= keep[x]
        for c in range(3):
            row = colour[c, y, :columns]
            add = top[c, y + margin, margin : margin + columns]
            for x in range(columns):
                row[x] = row[x] * keep[x] + add[x]


@kernel
def _copy(image: U8, out: U8) -> None:
    """A loop, since an assignment brings Numba's text of its error with it: seconds to compile."""
    rows, columns, _ = out.shape
    for y in range(rows):
        for x in range(columns):
            for c in range(3):
                out[y, x, c] = image[y, x, c]


@kernel
def _encode(colour: F32, cover: F32, encode: U8, image: U8, out: U8) -> None:
    """Linear premultiplied tile to sRGB, (rows, columns, 3); the image where nothing covers."""
    top = np.float32(ENCODE_STEPS - 1)
    rows, columns, _ = out.shape
    for y in range(rows):
        for x in range(columns):
            if cover[y, x] < _UNCOVERED:
                for c in range(3):
                    out[y, x, c] = image[y, x, c]
                continue
            scale = top / cover[y, x]
            for c in range(3):
                value = min(max(colour[c, y, x] * scale, np.float32(0)), top)
                out[y, x, c] = encode[int(value + np.float32(0.5))]


@kernel
def _encode_shares(own: F32, out: U8) -> None:
    """Shares 0..1 to 0..255; what is in focus is covered fully, so nothing is divided by that."""
    rows, columns = out.shape
    for y in range(rows):
        for x in range(columns):
            out[y, x] = np.int32(np.float32(255) * own[y, x] + np.float32(0.5))


@kernel
def render_tiles(
    image: U8,
    front: Plane,
    back: Plane,
    front_cells: U64,
    back_cells: U64,
    sharp: int,
    steps: Steps,
    spans: Columns,
    encode: U8,
    out: U8,
    share: U8,
    first_row: int,
    last_row: int,
) -> None:
    """Render the rows of tiles first_row..last_row.

    Args:
        image: (h, w, 3), copied where everything is in focus.
        front: what the camera saw.
        back: what lies behind it; layer `NOTHING` where that is unknown.
        front_cells: the layers in every cell of front.
        back_cells: the layers in every cell of back.
        sharp: number of the layer in focus.
        steps: the layers.
        spans: the columns of all kernels.
        encode: from linear light to sRGB.
        out: (h, w, 3), the result.
        share: (h, w), how much of it is the pixel's own light, 255 where all is.
        first_row: of tiles.
        last_row: of tiles.
    """
    scales, reaches, first, norms = steps
    height, width = front[1].shape
    cells = front_cells | back_cells
    tall, wide, full = 0, 0, 0
    for k in range(scales.size):
        margin = 2 * reaches[k] + 4
        tall = max(tall, -(-TILE_HEIGHT // scales[k]) + margin)
        wide = max(wide, -(-TILE_WIDTH // scales[k]) + margin)
        full = max(full, (-(-TILE_WIDTH // scales[k]) + margin) * scales[k])
    source = np.empty((4, tall, wide), np.float32)
    sums = np.empty((4, tall + 1, wide), np.float32)
    ping = np.empty((4, TILE_HEIGHT + 2, TILE_WIDTH + 2), np.float32)
    pong = np.empty((4, TILE_HEIGHT + 2, TILE_WIDTH + 2), np.float32)
    strip = np.empty(full, np.float32)
    colour = np.empty((3, TILE_HEIGHT, TILE_WIDTH), np.float32)
    cover = np.empty((TILE_HEIGHT, TILE_WIDTH), np.float32)
    own = np.empty((TILE_HEIGHT, TILE_WIDTH), np.float32)

    for ty in range(first_row, last_row):
        for tx in range(-(-width // TILE_WIDTH)):
            top, left = ty * TILE_HEIGHT, tx * TILE_WIDTH
            bottom, right = min(top + TILE_HEIGHT, height), min(left + TILE_WIDTH, width)
            colour[:] = 0
            cover[:] = 0
            own[:] = 0
            blurred = False
            for k in range(scales.size):
                scale, reach = scales[k], reaches[k]
                margin = 0 if scale == 1 else 1  # for the interpolation back to full size
                edge = (reach + 2 * margin) * scale
                y0, y1, x0, x1 = find_members(
                    cells, k, top - edge, bottom + edge, left - edge, right + edge
                )
                # What the layer can cover of the tile, on the tile's own reduced grid.
                y0 = max(top, top + (y0 - edge - top) // scale * scale)
                x0 = max(left, left + (x0 - edge - left) // scale * scale)
                y1, x1 = min(bottom, y1 + edge), min(right, x1 + edge)
                if y0 >= y1 or x0 >= x1:
                    continue
                h0, h1, _, _ = find_members(
                    back_cells, k, y0 - edge, y1 + edge, x0 - edge, x1 + edge
                )
                hidden = h1 > h0
                rows, columns = y1 - y0, x1 - x0
                part = colour[:, y0 - top : y1 - top, x0 - left : x1 - left]
                covered = cover[y0 - top : y1 - top, x0 - left : x1 - left]
                kept = own[y0 - top : y1 - top, x0 - left : x1 - left]
                if k == sharp:
                    _source(k, scale, y0, x0, rows, columns, front, back, hidden, strip, source)
                    _over(source, margin, rows, columns, part, covered, kept, strip)
                    for y in range(top, bottom):
                        _set_coverage(front[1][y, left:right], k, own[y - top, : right - left])
                    continue
                small_rows = -(-rows // scale) + 2 * margin
                small_columns = -(-columns // scale) + 2 * margin
                tall, wide = small_rows + 2 * reach + 1, small_columns + 2 * reach
                y, x = y0 - (reach + margin) * scale, x0 - (reach + margin) * scale
                _source(k, scale, y, x, tall, wide, front, back, hidden, strip, source)
                if not _running_sum(source, tall, wide, sums):
                    continue
                blurred = True
                start, stop, norm = first[k], first[k + 1], norms[k]
                _blur(
                    source, sums, spans, start, stop, norm, reach, ping, small_rows, small_columns
                )
                layer, spare = ping, pong
                while scale > 1:
                    _double(layer, small_rows, small_columns, spare, strip)
                    small_rows, small_columns = 2 * small_rows - 2, 2 * small_columns - 2
                    layer, spare = spare, layer
                    scale //= 2
                _over(layer, margin, rows, columns, part, covered, kept, strip)
            tile, result = image[top:bottom, left:right], out[top:bottom, left:right]
            shares = share[top:bottom, left:right]
            if not blurred:
                _copy(tile, result)
                shares[:] = 255
                continue
            _encode(colour, cover, encode, tile, result)
            _encode_shares(own, shares)
