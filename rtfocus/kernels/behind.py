"""CPU kernels that guess what lies behind what is seen."""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.jit import F32, I64, U8, kernel, row_loop
from rtfocus.kernels.membership import NOTHING, layer_of

_SAME = np.float32(1)
_NEED = np.float32(0.2)

_SEARCH = np.float32(1.2)
"""How far from a pixel its surface is followed, over the radius of its blur."""

_SLOPE = np.float32(0.3)
"""Step in radius, over the radius, up to which a surface goes on; and 1 px at most."""


@kernel
def reduce_far(
    colour: F32, radius: F32, small_colour: F32, small_radius: F32, first: int, last: int
) -> None:
    """Halve a picture keeping of every 2 x 2 pixels the farthest ones, as rows first..last.

    Args:
        colour: (3, h, w).
        radius: (h, w), signed; smaller is farther.
        small_colour: the result, (3, (h + 1) // 2, (w + 1) // 2).
        small_radius: the result, ((h + 1) // 2, (w + 1) // 2).
        first: row of the result.
        last: row of the result.
    """
    height, width = radius.shape
    zero, one = np.float32(0), np.float32(1)
    for y in range(first, last):
        ya, yb = 2 * y, min(2 * y + 1, height - 1)
        for x in range(small_radius.shape[1]):
            xa, xb = 2 * x, min(2 * x + 1, width - 1)
            r0, r1, r2, r3 = radius[ya, xa], radius[ya, xb], radius[yb, xa], radius[yb, xb]
            farthest = min(min(r0, r1), min(r2, r3))
            far = farthest + _SAME
            w0, w1 = min(max(far - r0, zero), one), min(max(far - r1, zero), one)
            w2, w3 = min(max(far - r2, zero), one), min(max(far - r3, zero), one)
            scale = one / (w0 + w1 + w2 + w3)
            small_radius[y, x] = farthest
            for c in range(3):
                small_colour[c, y, x] = scale * (
                    w0 * colour[c, ya, xa]
                    + w1 * colour[c, ya, xb]
                    + w2 * colour[c, yb, xa]
                    + w3 * colour[c, yb, xb]
                )


@kernel
def look_behind(
    colour: F32,
    level: F32,
    scale: float,
    least: int,
    edge: F32,
    lookup: U8,
    limit: float,
    layer: U8,
    behind: F32,
    behind_layer: U8,
    first: int,
    last: int,
) -> None:
    """Show blurred foreground pixels of rows first..last what one level has well behind them.

    Pixels that have something behind them already keep it: levels are visited from fine to coarse.

    Behind is what lies in a farther layer.

    Args:
        colour: of the level, linear (3, h', w').
        level: radius of the level, (h', w').
        scale: size of the level over the picture's, a power of 1/2.
        least: the farthest layer that looks at this level.
        edge: radius at which every layer begins on its far side; beyond it is behind.
        lookup: from radius to layer, see `rtfocus.render.layers.LayerPlan`.
        limit: of the lookup.
        layer: of the picture, (h, w).
        behind: the colour found, linear (3, h, w).
        behind_layer: the layer found, (h, w); `NOTHING` where unknown.
        first: row of the picture.
        last: row of the picture.
    """
    height, width = level.shape
    half, zero, one = np.float32(0.5), np.float32(0), np.float32(1)
    farthest = np.empty(layer.shape[1], np.uint8)  # layer of the farthest of the four around
    seen = np.empty(layer.shape[1], np.uint8)
    row = -1  # of the level that `farthest` belongs to
    for y in range(first, last):
        fy = max((y + half) * scale - half, zero)
        ya = int(fy)
        yb = min(ya + 1, height - 1)
        ty = fy - ya
        if ya != row:
            row = ya
            _find_farthest(level[ya], level[yb], scale, lookup, limit, farthest)
        _mark_seen(layer[y], behind_layer[y], farthest, np.uint8(least), seen)
        for x in range(layer.shape[1]):
            if seen[x] == 0:
                continue
            fx = max((x + half) * scale - half, zero)
            xa = int(fx)
            xb = min(xa + 1, width - 1)
            tx = fx - xa
            r0, r1, r2, r3 = level[ya, xa], level[ya, xb], level[yb, xa], level[yb, xb]
            # Of several things behind, the nearest: the rest of a slanted surface, not the wall.
            bound = edge[layer[y, x]]
            nearest = -np.float32(np.inf)
            for r in (r0, r1, r2, r3):
                if nearest < r < bound:
                    nearest = r
            floor = nearest - _SAME
            w0 = (one - ty) * (one - tx) if floor <= r0 < bound else zero
            w1 = (one - ty) * tx if floor <= r1 < bound else zero
            w2 = ty * (one - tx) if floor <= r2 < bound else zero
            w3 = ty * tx if floor <= r3 < bound else zero
            weight = w0 + w1 + w2 + w3
            if weight <= _NEED:
                continue
            found = layer_of(float(nearest), lookup, limit)
            if found >= layer[y, x]:
                continue
            behind_layer[y, x] = found
            for c in range(3):
                behind[c, y, x] = (
                    w0 * colour[c, ya, xa]
                    + w1 * colour[c, ya, xb]
                    + w2 * colour[c, yb, xa]
                    + w3 * colour[c, yb, xb]
                ) / weight


@kernel
def _find_farthest(
    upper: F32, lower: F32, scale: float, lookup: U8, limit: float, farthest: U8
) -> None:
    """Per pixel of a row of the picture, the layer of the farthest of the four cells around it."""
    cell = round(1 / scale)
    start = 0
    for xa in range(upper.size):
        xb = min(xa + 1, upper.size - 1)
        far = min(min(upper[xa], upper[xb]), min(lower[xa], lower[xb]))
        found = layer_of(far, lookup, limit)
        stop = min(cell // 2 + (xa + 1) * cell, farthest.size)
        for x in range(start, stop):
            farthest[x] = found
        start = stop


@row_loop
def _mark_seen(layer: U8, behind_layer: U8, farthest: U8, least: np.uint8, seen: U8) -> None:
    """1 where something may be found: for LLVM to vectorise, it spares most pixels the search."""
    for x in range(layer.size):
        seen[x] = (
            np.uint8(layer[x] >= least)
            & np.uint8(layer[x] > farthest[x])
            & np.uint8(behind_layer[x] == NOTHING)
        )


@kernel
def continue_surfaces(
    linear: F32,
    radius: F32,
    edge: F32,
    layer: U8,
    behind: F32,
    behind_layer: U8,
    first: int,
    last: int,
) -> None:
    """Let surfaces go on under the pixels of rows first..last.

    Where a surface passes from one layer to the next both are blurred, and together they cover less
    than all of it: what is behind it would shine through in lines. So behind a pixel near such a
    place lies its surface once more, as it is beyond: farther, but by no step, and as bright as
    white at most, since a highlight is not shown twice. What is thinner than its blur has no inside
    to shine through.

    Args:
        linear: the picture, linear (3, h, w).
        radius: (h, w), signed.
        edge: radius at which every layer begins on its far side.
        layer: (h, w).
        behind: the colour found, linear (3, h, w).
        behind_layer: the layer found, (h, w); untouched where there is none.
        first: row.
        last: row.
    """
    height, width = layer.shape
    one = np.float32(1)
    reach = np.empty(edge.size, np.int64)
    step = np.empty(edge.size, np.float32)
    reach[0] = 0  # behind the farthest layer is nothing
    for k in range(1, edge.size):
        blur = max(abs(edge[k]), one)
        reach[k], step[k] = int(_SEARCH * blur) + 1, min(_SLOPE * blur, one)
    near, within = np.empty(width, np.uint8), np.empty(width, np.uint8)
    for y in range(first, last):
        _find_farther(layer, y, reach, within, near)
        for x in range(width):
            if near[x] == 0:
                continue
            own = layer[y, x]
            by = 1
            while by <= reach[own] and behind_layer[y, x] == NOTHING:
                for dy, dx in ((0, -1), (0, 1), (-1, 0), (1, 0)):
                    j = min(max(y + dy * by, 0), height - 1)
                    i = min(max(x + dx * by, 0), width - 1)
                    if layer[j, i] >= own or radius[y, x] - radius[j, i] > step[own]:
                        continue
                    opposite = min(max(y - dy * reach[own], 0), height - 1)
                    other = min(max(x - dx * reach[own], 0), width - 1)
                    if layer[opposite, other] < own:
                        continue
                    behind_layer[y, x] = layer[j, i]
                    for c in range(3):
                        behind[c, y, x] = min(linear[c, j, i], one)
                    break
                by *= 2


@kernel
def _find_farther(layer: U8, y: int, reach: I64, within: U8, near: U8) -> None:
    """1 where a farther layer lies up, down, left or right of a pixel of a row, within its reach.

    Loops over whole rows, for LLVM to vectorise: they spare most pixels the search proper. At the
    picture's sides a few more are 1. `within` is working memory.
    """
    height, width = layer.shape
    row = layer[y]
    most = 0
    for x in range(width):
        near[x] = 0
        within[x] = min(reach[row[x]], 255)
        most = max(most, reach[row[x]])
    by = 1
    while by <= most:
        least = np.uint8(min(by, 255))
        up, down = layer[max(y - by, 0)], layer[min(y + by, height - 1)]
        _mark_farther(up, row, within, least, near)
        _mark_farther(down, row, within, least, near)
        if by < width:
            _mark_farther(row[by:], row[:-by], within[:-by], least, near[:-by])
            _mark_farther(row[:-by], row[by:], within[by:], least, near[by:])
        for x in range(min(by, width)):
            if row[0] < row[x] or row[width - 1] < row[width - 1 - x]:
                near[x] = near[width - 1 - x] = 1
        by *= 2


@row_loop
def _mark_farther(beside: U8, row: U8, within: U8, least: np.uint8, near: U8) -> None:
    for x in range(row.size):
        near[x] |= np.uint8(beside[x] < row[x]) & np.uint8(within[x] >= least)
