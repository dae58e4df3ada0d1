"""CPU kernels that bring disparity to the picture's size along the picture's edges."""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.jit import F32, U8, kernel

SIDES = 7
"""What is known of the depth edge at a cell: disparity of the far and of the near side, equal where
there is no edge; and how far a pixel's colour speaks for the near one, which is a weighted sum of
its levels (three weights, then what is added), kept within plus and minus the last."""

_CONTRAST = 60.0
"""Difference in colour between the sides, in levels, from which it can be trusted."""

_TRUST = 0.7
"""How far a colour can move a pixel that is half way between the sides, of the way to both: no
colour takes a pixel away that the map says is all on one side."""


@kernel
def find_sides(disparity: F32, colour: F32, reach: int, sides: F32, first: int, last: int) -> None:
    """At every depth edge of rows first..last, what lies on its two sides.

    Args:
        disparity: (gh, gw).
        colour: (3, gh, gw), the picture at that size, in levels.
        reach: half width of the window, in cells of the grid.
        sides: (SIDES, gh, gw), given the first two; the result is all of it.
        first: row.
        last: row.
    """
    height, width = disparity.shape
    zero, half, one = np.float32(0), np.float32(0.5), np.float32(1)
    two, three = np.float32(2), np.float32(3)
    for y in range(first, last):
        ya, yb = max(0, y - reach), min(height, y + reach + 1)
        for x in range(width):
            low, high = sides[0, y, x], sides[1, y, x]
            if low == high:
                continue
            xa, xb = max(0, x - reach), min(width, x + reach + 1)
            far, near = np.float32(1e-6), np.float32(1e-6)
            far_r = far_g = far_b = near_r = near_g = near_b = zero
            for j in range(ya, yb):
                for i in range(xa, xb):
                    # Only the outer thirds: between them a soft map mixes both sides.
                    t = (disparity[j, i] - low) / (high - low)
                    a = max(one - three * t, zero)
                    b = max(three * t - two, zero)
                    far += a
                    near += b
                    far_r += a * colour[0, j, i]
                    far_g += a * colour[1, j, i]
                    far_b += a * colour[2, j, i]
                    near_r += b * colour[0, j, i]
                    near_g += b * colour[1, j, i]
                    near_b += b * colour[2, j, i]
            far_r, far_g, far_b = far_r / far, far_g / far, far_b / far
            near_r, near_g, near_b = near_r / near, near_g / near, near_b / near
            # Where the pixel's colour lies on the line from the one to the other, from the middle.
            r, g, b = near_r - far_r, near_g - far_g, near_b - far_b
            between = r * r + g * g + b * b
            trust = np.float32(_TRUST) * min(np.sqrt(between) / np.float32(_CONTRAST), one)
            scale = trust / max(between, one)
            sides[2, y, x], sides[3, y, x], sides[4, y, x] = scale * r, scale * g, scale * b
            middle = r * (near_r + far_r) + g * (near_g + far_g) + b * (near_b + far_b)
            sides[5, y, x] = -half * scale * middle
            sides[6, y, x] = half * trust


@kernel
def snap(disparity: F32, sides: F32, image: U8, out: F32, first: int, last: int) -> None:
    """Disparity at the picture's size: bilinear, but at edges that of one of their sides.

    Args:
        disparity: (gh, gw).
        sides: from `find_sides`.
        image: (h, w, 3).
        out: (h, w).
        first: row.
        last: row.
    """
    rows, columns = disparity.shape
    height, width = out.shape
    half, zero = np.float32(0.5), np.float32(0)
    step_y, step_x = np.float32(rows) / np.float32(height), np.float32(columns) / np.float32(width)
    cell = np.empty(width, np.int64)
    part = np.empty(width, np.float32)
    for x in range(width):
        fx = min(max((x + half) * step_x - half, zero), np.float32(columns - 1))
        cell[x] = min(int(fx), max(columns - 2, 0))
        part[x] = fx - cell[x]
    line = np.empty(columns, np.float32)
    for y in range(first, last):
        fy = min(max((y + half) * step_y - half, zero), np.float32(rows - 1))
        ya = min(int(fy), max(rows - 2, 0))
        yb = min(ya + 1, rows - 1)
        ty = fy - ya
        for i in range(columns):
            line[i] = disparity[ya, i] + ty * (disparity[yb, i] - disparity[ya, i])
        for x in range(width):
            xa, tx = cell[x], part[x]
            xb = min(xa + 1, columns - 1)
            value = line[xa] + tx * (line[xb] - line[xa])
            out[y, x] = value
            j = ya if ty < half else yb
            i = xa if tx < half else xb
            low, high = sides[0, j, i], sides[1, j, i]
            if low == high:
                continue
            seen = sides[5, j, i]
            for c in range(3):
                seen += sides[2 + c, j, i] * image[y, x, c]
            seen = min(max(seen, -sides[6, j, i]), sides[6, j, i])
            out[y, x] = high if value - low + seen * (high - low) >= half * (high - low) else low
