"""CPU kernel that brings disparity to the picture's size along the picture's edges."""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.jit import F32, U8, kernel


@kernel
def find_sides(
    disparity: F32, colour: F32, sides: F32, reach: int, step: float, first: int, last: int
) -> None:
    """At every depth edge of rows first..last, what lies on its two sides.

    Args:
        disparity: (gh, gw).
        colour: (3, gh, gw), the picture at that size.
        sides: (9, gh, gw), given the least and the largest disparity in every window, which are
            those of the far and of the near side; the result is the colour of the far side, of the
            near side, and 1 where there is an edge, else 0.
        reach: half width of the window, in cells of the grid.
        step: difference in disparity that makes an edge.
        first: row.
        last: row.
    """
    height, width = disparity.shape
    zero, one, two, three = np.float32(0), np.float32(1), np.float32(2), np.float32(3)
    for y in range(first, last):
        ya, yb = max(0, y - reach), min(height, y + reach + 1)
        for x in range(width):
            xa, xb = max(0, x - reach), min(width, x + reach + 1)
            low, high = sides[0, y, x], sides[1, y, x]
            sides[8, y, x] = 0
            if high - low < step:
                continue
            sides[8, y, x] = 1
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
            sides[2, y, x], sides[3, y, x], sides[4, y, x] = far_r / far, far_g / far, far_b / far
            sides[5, y, x], sides[6, y, x] = near_r / near, near_g / near
            sides[7, y, x] = near_b / near


@kernel
def snap(
    disparity: F32, sides: F32, image: U8, contrast: float, out: F32, first: int, last: int
) -> None:
    """Disparity at the picture's size: bilinear, but at edges that of the side of like colour.

    Args:
        disparity: (gh, gw).
        sides: from `find_sides`.
        image: (h, w, 3).
        contrast: difference in colour between the sides, in levels, from which it can be trusted.
        out: (h, w).
        first: row.
        last: row.
    """
    rows, columns = disparity.shape
    height, width = out.shape
    half, zero, one = np.float32(0.5), np.float32(0), np.float32(1)
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
            if sides[8, j, i] == 0:
                continue
            to_far, to_near, between = zero, zero, zero
            for c in range(3):
                far, near = sides[2 + c, j, i], sides[5 + c, j, i]
                to_far += (image[y, x, c] - far) ** 2
                to_near += (image[y, x, c] - near) ** 2
                between += (near - far) ** 2
            # Position along the line from the far to the near colour, steepened; where the two
            # colours are too alike to tell, the map's own edge, steepened as well.
            low, high = sides[0, j, i], sides[1, j, i]
            own = (value - low) / (high - low)
            seen = half + half * (to_far - to_near) / max(between, one)
            trust = min(np.sqrt(between) / np.float32(contrast), one)
            t = own + trust * (min(max(seen, zero), one) - own)
            t = min(max((t - half) * np.float32(3) + half, zero), one)
            out[y, x] = low + t * (high - low)
