"""CPU kernels that bring disparity to the picture's size along the picture's edges."""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.jit import F32, U8, kernel

SIDES = 6
"""What is known of the depth edge at a cell: disparity of the far and of the near side, equal where
there is no edge; and how much nearer than the cells around it a pixel's colour is, as a weighted
sum of its levels (three weights, then what is added)."""

_NOISE = 25.0
"""Variance in levels squared: what colours differ by less says nothing."""

_TRUST = 0.3
"""How far a colour can move a pixel, of the way from one side to the other: none takes a pixel away
where the cells around it are all on one side."""

_MIXED = 0.2
"""From here on, of that way, a pixel shows some of the near side, too."""


@kernel
def find_sides(disparity: F32, colour: F32, reach: int, sides: F32, first: int, last: int) -> None:
    """At every depth edge of rows first..last, how disparity goes with colour.

    It is their linear regression over the window, as in a guided filter (He, Sun and Tang, PAMI
    2013).

    Args:
        disparity: (gh, gw).
        colour: (3, gh, gw), the picture at that size, in levels.
        reach: half width of the window, in cells of the grid.
        sides: (SIDES, gh, gw), given the first two; the result is all of it.
        first: row.
        last: row.
    """
    height, width = disparity.shape
    zero, one, noise = np.float32(0), np.float32(1), np.float32(_NOISE)
    for y in range(first, last):
        ya, yb = max(0, y - reach), min(height, y + reach + 1)
        for x in range(width):
            if sides[0, y, x] == sides[1, y, x]:
                continue
            xa, xb = max(0, x - reach), min(width, x + reach + 1)
            # Means, from the cell's own values, so that the sums stay small.
            share = one / np.float32((yb - ya) * (xb - xa))
            own, own_r = disparity[y, x], colour[0, y, x]
            own_g, own_b = colour[1, y, x], colour[2, y, x]
            d = r = g = b = dr = dg = db = zero
            rr = rg = rb = gg = gb = bb = zero
            for j in range(ya, yb):
                for i in range(xa, xb):
                    v = disparity[j, i] - own
                    p = colour[0, j, i] - own_r
                    q = colour[1, j, i] - own_g
                    s = colour[2, j, i] - own_b
                    d, r, g, b = d + v, r + p, g + q, b + s
                    dr, dg, db = dr + v * p, dg + v * q, db + v * s
                    rr, rg, rb = rr + p * p, rg + p * q, rb + p * s
                    gg, gb, bb = gg + q * q, gb + q * s, bb + s * s
            d, r, g, b = d * share, r * share, g * share, b * share
            dr, dg, db = dr * share - d * r, dg * share - d * g, db * share - d * b
            rr, rg, rb = rr * share - r * r + noise, rg * share - r * g, rb * share - r * b
            gg, gb, bb = gg * share - g * g + noise, gb * share - g * b, bb * share - b * b + noise
            # The colours' covariance is L D L'; the weights are its inverse times (dr, dg, db).
            l_rg, l_rb = rg / rr, rb / rr
            gg, gb = gg - l_rg * rg, gb - l_rg * rb
            l_gb = gb / gg
            bb -= l_rb * rb + l_gb * gb
            dg -= l_rg * dr
            db -= l_rb * dr + l_gb * dg
            of_b = db / bb
            of_g = dg / gg - l_gb * of_b
            of_r = dr / rr - l_rg * of_g - l_rb * of_b
            sides[2, y, x], sides[3, y, x], sides[4, y, x] = of_r, of_g, of_b
            sides[5, y, x] = -(of_r * (own_r + r) + of_g * (own_g + g) + of_b * (own_b + b))


@kernel
def snap(
    disparity: F32, around: F32, sides: F32, image: U8, out: F32, mixed: U8, first: int, last: int
) -> None:
    """Disparity at the picture's size: bilinear, but at edges that of one of their sides.

    Args:
        disparity: (gh, gw).
        around: (gh, gw), its mean over the window about every cell.
        sides: from `find_sides`.
        image: (h, w, 3).
        out: (h, w).
        mixed: (h, w), 1 where a pixel at an edge may show some of the near side.
        first: row.
        last: row.
    """
    rows, columns = disparity.shape
    height, width = out.shape
    half, zero = np.float32(0.5), np.float32(0)
    least, trust = np.float32(_MIXED), np.float32(_TRUST)
    step_y, step_x = np.float32(rows) / np.float32(height), np.float32(columns) / np.float32(width)
    cell = np.empty(width, np.int64)
    part = np.empty(width, np.float32)
    begins = np.full(columns + 1, width)  # the first pixel that is nearest to a cell
    for x in range(width - 1, -1, -1):
        fx = min(max((x + half) * step_x - half, zero), np.float32(columns - 1))
        cell[x] = min(int(fx), max(columns - 2, 0))
        part[x] = fx - cell[x]
        begins[cell[x] if part[x] < half else min(cell[x] + 1, columns - 1)] = x
    for i in range(columns - 1, -1, -1):
        begins[i] = min(begins[i], begins[i + 1])
    line, line_around = np.empty(columns, np.float32), np.empty(columns, np.float32)
    for y in range(first, last):
        fy = min(max((y + half) * step_y - half, zero), np.float32(rows - 1))
        ya = min(int(fy), max(rows - 2, 0))
        yb = min(ya + 1, rows - 1)
        ty = fy - ya
        for i in range(columns):
            line[i] = disparity[ya, i] + ty * (disparity[yb, i] - disparity[ya, i])
            line_around[i] = around[ya, i] + ty * (around[yb, i] - around[ya, i])
        for x in range(width):
            xa, tx = cell[x], part[x]
            xb = min(xa + 1, columns - 1)
            out[y, x] = line[xa] + tx * (line[xb] - line[xa])
            mixed[y, x] = 0
        j = ya if ty < half else yb
        for i in range(columns):
            low, high = sides[0, j, i], sides[1, j, i]
            if low == high:
                continue
            step = high - low
            r, g, b, added = sides[2, j, i], sides[3, j, i], sides[4, j, i], sides[5, j, i]
            for x in range(begins[i], begins[i + 1]):
                nearer = r * image[y, x, 0] + g * image[y, x, 1] + b * image[y, x, 2] + added
                nearer = min(max(nearer, -trust * step), trust * step)
                xa, tx = cell[x], part[x]
                xb = min(xa + 1, columns - 1)
                value = line_around[xa] + tx * (line_around[xb] - line_around[xa]) - low + nearer
                out[y, x] = high if value >= half * step else low
                mixed[y, x] = value >= least * step
