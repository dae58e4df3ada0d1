"""Pixels along the outline of a thing that show some of it and some of what lies behind."""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.jit import F32, kernel

_STEP = np.float32(1)
"""Difference in radius, in pixels, from which a pixel beside a nearer thing is looked at."""

_LEAST = np.float32(0.2)
"""Share of the nearer thing in a pixel's colour from which it is counted to that."""

_MOST = np.float32(1.2)
_UNLIKE = np.float32(0.02)
"""How much of the two things' distance in colour, squared, the texture behind and what the mixture
leaves unexplained may have."""

_ALIKE = np.float32(1e-4)
"""Squared distance in colour below which two things cannot be told apart."""

_REACH = 3
"""Pixels around in which what lies behind is looked for."""


@kernel
def claim_mixed(
    linear: F32, radius: F32, nearest: F32, claimed: F32, first: int, last: int
) -> None:
    """Give pixels of rows first..last that are partly a nearer thing that thing's radius.

    A pixel has one depth, but on an outline its colour is alpha F + (1 - alpha) B, of the nearer
    thing F and of what lies behind, B (T. Porter, T. Duff, "Compositing Digital Images", 1984).
    Counted to what lies behind, as depth maps often have it, F would be spread over its blur as a
    halo, or stay as a sharp line around a blurred thing. So where F and B, from the pixels next to
    it, explain its colour with a fair share of F, it is counted to F.

    Args:
        linear: (3, h, w), colour.
        radius: (h, w), signed radius of the circle of confusion in pixels, larger is nearer.
        nearest: (h, w), largest radius among a pixel and its eight neighbours.
        claimed: (h, w), the result.
        first: row.
        last: row.
    """
    height, width = radius.shape
    for y in range(first, last):
        for x in range(width):
            own, near = radius[y, x], nearest[y, x]
            claimed[y, x] = own
            if near - own > _STEP and _is_mixed(linear, radius, nearest, y, x, height, width):
                claimed[y, x] = near


@kernel
def _is_mixed(
    linear: F32, radius: F32, nearest: F32, y: int, x: int, height: int, width: int
) -> bool:
    """Whether the colour of a pixel beside a nearer thing is explained by some of that."""
    zero, one = np.float32(0), np.float32(1)
    between = (radius[y, x] + nearest[y, x]) / 2
    n, f0, f1, f2 = zero, zero, zero, zero
    for j in range(max(0, y - 1), min(height, y + 2)):
        for i in range(max(0, x - 1), min(width, x + 2)):
            if radius[j, i] > between:
                n += one
                f0 += linear[0, j, i]
                f1 += linear[1, j, i]
                f2 += linear[2, j, i]
    # What lies behind: pixels that no pixel of the nearer thing touches, the closer the more.
    m, b0, b1, b2, square = zero, zero, zero, zero, zero
    for j in range(max(0, y - _REACH), min(height, y + _REACH + 1)):
        for i in range(max(0, x - _REACH), min(width, x + _REACH + 1)):
            if nearest[j, i] <= between:
                q = one / np.float32((j - y) ** 2 + (i - x) ** 2)
                c0, c1, c2 = linear[0, j, i], linear[1, j, i], linear[2, j, i]
                m += q
                b0 += q * c0
                b1 += q * c1
                b2 += q * c2
                square += q * (c0 * c0 + c1 * c1 + c2 * c2)
    if m == zero:
        return False
    f0, f1, f2, b0, b1, b2 = f0 / n, f1 / n, f2 / n, b0 / m, b1 / m, b2 / m
    variance = square / m - b0 * b0 - b1 * b1 - b2 * b2
    d0, d1, d2 = f0 - b0, f1 - b1, f2 - b2
    distance = d0 * d0 + d1 * d1 + d2 * d2
    if distance < _ALIKE or variance > _UNLIKE * distance:
        return False
    c0, c1, c2 = linear[0, y, x] - b0, linear[1, y, x] - b1, linear[2, y, x] - b2
    alpha = (c0 * d0 + c1 * d1 + c2 * d2) / distance
    r0, r1, r2 = c0 - alpha * d0, c1 - alpha * d1, c2 - alpha * d2
    rest = r0 * r0 + r1 * r1 + r2 * r2
    return bool(_LEAST <= alpha < _MOST and rest < _UNLIKE * distance)
