"""Blur layers and composite them far to near, tile by tile.

A tile's working set stays in the processor's cache. Inner loops run over contiguous float32 rows,
which is what makes LLVM vectorise them.
"""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.colour import ENCODE_STEPS
from rtfocus.kernels.jit import F32, I64, U8, U16, U64, kernel, row_loop
from rtfocus.kernels.membership import find_members

Plane = tuple[F32, U8]
"""Linear colour (3, h, w) and layer number (h, w)."""

Steps = tuple[I64, I64, I64, I64, F32]
"""Per layer: scale, reach, columns from start to stop, 1 / area (see `rtfocus.render.layers`)."""

Columns = tuple[I64, I64, F32, I64, F32]
"""Per column of a kernel: across, top, top_part, bottom, bottom_part."""

Box = tuple[int, int, int, int]
"""Top, left, bottom and right in the picture."""

TILE_HEIGHT = 64
TILE_WIDTH = 2 * TILE_HEIGHT

_FILL_GAIN = np.float32(4)
_EPSILON = np.float32(1e-12)
_UNCOVERED = np.float32(1e-4)
"""Coverage below which a pixel is not known; it stays as it is."""


@row_loop
def _mark(members: U8, k: np.uint8, marks: F32) -> None:
    """1 where a layer is, else 0."""
    for x in range(members.size):
        marks[x] = np.float32(1) if members[x] == k else np.float32(0)


@row_loop
def _add_marked(values: F32, marks: F32, out: F32) -> None:
    for x in range(values.size):
        out[x] += marks[x] * values[x]


@kernel
def _running_sum(
    k: int,
    scale: int,
    y0: int,
    x0: int,
    rows: int,
    columns: int,
    front: Plane,
    back: Plane,
    back_seen: bool,
    marks: F32,
    strip: F32,
    sums: F32,
) -> bool:
    """Sum a layer's premultiplied colour and coverage, reduced by `scale`, along its columns.

    sums[c, j] is the sum of the j rows before row j, (4, rows + 1, columns). (y0, x0) is the
    picture's pixel at which the grid starts; outside the picture its border continues.

    Returns:
        False if the layer covers nothing.
    """
    linear, layer = front
    behind, behind_layer = back
    height, width = layer.shape
    own = np.uint8(k)
    full = columns * scale
    left, right = max(0, -x0), min(full, width - x0)
    a, b = x0 + left, x0 + right
    weight = np.float32(1) / np.float32(scale * scale)
    for c in range(4):
        for x in range(columns):
            sums[c, 0, x] = 0
    for j in range(rows):
        for c in range(4):
            for x in range(full):
                strip[c, x] = 0
        for t in range(scale):
            y = min(max(y0 + j * scale + t, 0), height - 1)
            for hidden in range(1 + back_seen):
                members = behind_layer[y, a:b] if hidden else layer[y, a:b]
                values = behind if hidden else linear
                _mark(members, own, marks)
                for c in range(3):
                    _add_marked(values[c, y, a:b], marks, strip[c, left:right])
                for x in range(right - left):
                    strip[3, left + x] += marks[x]
        for c in range(4):
            row, before, after = strip[c], sums[c, j], sums[c, j + 1]
            row[:left] = row[left]
            row[right:full] = row[right - 1]
            size = full
            while size > columns:
                size //= 2
                for x in range(size):
                    row[x] = row[2 * x] + row[2 * x + 1]
            for x in range(columns):
                after[x] = before[x] + weight * row[x]
    total, last = np.float32(0), sums[3, rows]
    for x in range(columns):
        total = max(total, last[x])
    return bool(total > 0)


@kernel
def _blur(
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
                low0, low1 = sums[c, low, d : d + columns], sums[c, low + 1, d : d + columns]
                high0, high1 = sums[c, high, d : d + columns], sums[c, high + 1, d : d + columns]
                add = bottom_part[i]
                drop = top_part[i]
                for x in range(columns):
                    until = low0[x] + add * (low1[x] - low0[x])
                    row[x] += until - (high0[x] + drop * (high1[x] - high0[x]))
            for x in range(columns):
                row[x] *= norm


@row_loop
def _set_marked(values: F32, marks: F32, out: F32) -> None:
    """Rounds, which does not matter: what is in focus keeps its bytes."""
    for x in range(values.size):
        out[x] += marks[x] * (values[x] - out[x])


@kernel
def _cover_sharp(
    k: int,
    tile: Box,
    part: Box,
    front: Plane,
    back: Plane,
    light: F32,
    own: F32,
) -> None:
    """Composite the layer in focus, whose pixels cover what lies behind, or do not."""
    linear, layer = front
    behind, behind_layer = back
    top, left, _, _ = tile
    y0, x0, y1, x1 = part
    sharp = np.uint8(k)
    for y in range(y0, y1):
        j, a, b = y - top, x0 - left, x1 - left
        share = own[j, a:b]
        for seen in range(2):
            members = layer[y, x0:x1] if seen else behind_layer[y, x0:x1]
            values = linear if seen else behind
            _mark(members, sharp, share)
            for c in range(3):
                _set_marked(values[c, y, x0:x1], share, light[c, j, a:b])
            cover = light[3, j, a:b]
            for x in range(b - a):
                cover[x] = max(cover[x], share[x])


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
def _over(layer: F32, margin: int, tile: Box, part: Box, light: F32, own: F32, keep: F32) -> None:
    """Composite a layer over what lies behind, whose partial coverage is filled up first.

    It takes its part from the shares of own light.
    """
    top, left, _, _ = tile
    y0, x0, y1, x1 = part
    zero, one = np.float32(0), np.float32(1)
    columns = x1 - x0
    for y in range(y1 - y0):
        j, a, b = y0 - top + y, x0 - left, x1 - left
        alpha = layer[3, y + margin, margin : margin + columns]
        cover, share = light[3, j, a:b], own[j, a:b]
        for x in range(columns):
            filled = min(cover[x] * _FILL_GAIN, one) if alpha[x] > zero else cover[x]
            keep[x] = filled * (one - alpha[x]) / max(cover[x], _EPSILON)
        for x in range(columns):
            share[x] *= keep[x]
        for c in range(4):
            row, add = light[c, j, a:b], layer[c, y + margin, margin : margin + columns]
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


@row_loop
def _find_codes(values: F32, cover: F32, codes: U16) -> None:
    """Where premultiplied linear light is found in the table that encodes it."""
    top = np.float32(ENCODE_STEPS - 1)
    for x in range(values.size):
        value = values[x] * (top / max(cover[x], _UNCOVERED))
        codes[x] = np.uint16(min(max(value, np.float32(0)), top) + np.float32(0.5))


@kernel
def _encode(light: F32, own: F32, encode: U8, codes: U16, image: U8, out: U8) -> None:
    """Linear premultiplied tile to sRGB, (rows, columns, 3).

    Pixels that nothing covers, or that are all their own, keep their bytes.
    """
    rows, columns, _ = out.shape
    for y in range(rows):
        cover, share = light[3, y], own[y]
        for c in range(3):
            _find_codes(light[c, y, :columns], cover, codes[c])
        for x in range(columns):
            if cover[x] < _UNCOVERED or share[x] == 1:
                for c in range(3):
                    out[y, x, c] = image[y, x, c]
            else:
                for c in range(3):
                    out[y, x, c] = encode[codes[c, x]]


@kernel
def _encode_shares(own: F32, out: U8) -> None:
    """Shares 0..1 to 0..255; what is in focus is covered fully, so nothing is divided by that."""
    rows, columns = out.shape
    for y in range(rows):
        share, codes = own[y, :columns], out[y]
        for x in range(columns):
            codes[x] = np.uint8(np.float32(255) * share[x] + np.float32(0.5))


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
    scales, reaches, starts, stops, norms = steps
    height, width = front[1].shape
    cells = front_cells | back_cells
    tall, wide, full = 0, 0, 0
    for k in range(scales.size):
        margin = 2 * reaches[k] + 4
        tall = max(tall, -(-TILE_HEIGHT // scales[k]) + margin)
        wide = max(wide, -(-TILE_WIDTH // scales[k]) + margin)
        full = max(full, (-(-TILE_WIDTH // scales[k]) + margin) * scales[k])
    sums = np.empty((4, tall + 1, wide), np.float32)
    ping = np.empty((4, TILE_HEIGHT + 2, TILE_WIDTH + 2), np.float32)
    pong = np.empty((4, TILE_HEIGHT + 2, TILE_WIDTH + 2), np.float32)
    strip = np.empty((4, full), np.float32)
    marks = np.empty(full, np.float32)
    light = np.empty((4, TILE_HEIGHT, TILE_WIDTH), np.float32)
    own = np.empty((TILE_HEIGHT, TILE_WIDTH), np.float32)
    codes = np.empty((3, TILE_WIDTH), np.uint16)

    for ty in range(first_row, last_row):
        for tx in range(-(-width // TILE_WIDTH)):
            top, left = ty * TILE_HEIGHT, tx * TILE_WIDTH
            bottom, right = min(top + TILE_HEIGHT, height), min(left + TILE_WIDTH, width)
            light[:] = 0
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
                box, part = (top, left, bottom, right), (y0, x0, y1, x1)
                if k == sharp:
                    _cover_sharp(k, box, part, front, back, light, own)
                    continue
                small_rows = -(-(y1 - y0) // scale) + 2 * margin
                small_columns = -(-(x1 - x0) // scale) + 2 * margin
                tall, wide = small_rows + 2 * reach + 1, small_columns + 2 * reach
                y, x = y0 - (reach + margin) * scale, x0 - (reach + margin) * scale
                if not _running_sum(
                    k, scale, y, x, tall, wide, front, back, hidden, marks, strip, sums
                ):
                    continue
                blurred = True
                start, stop, norm = starts[k], stops[k], norms[k]
                _blur(sums, spans, start, stop, norm, reach, ping, small_rows, small_columns)
                layer, spare = ping, pong
                while scale > 1:
                    _double(layer, small_rows, small_columns, spare, marks)
                    small_rows, small_columns = 2 * small_rows - 2, 2 * small_columns - 2
                    layer, spare = spare, layer
                    scale //= 2
                _over(layer, margin, box, part, light, own, marks)
            tile, result = image[top:bottom, left:right], out[top:bottom, left:right]
            shares = share[top:bottom, left:right]
            if not blurred:
                _copy(tile, result)
                shares[:] = 255
                continue
            _encode(light, own, encode, codes, tile, result)
            _encode_shares(own, shares)
