"""Sizes of depth maps beside those of their pictures; all are height, width."""

from __future__ import annotations

import math

WIDEST = 16.0
"""Pictures more elongated than this are squeezed, so that the grid keeps near its size."""


def grid_like(picture: tuple[int, int], size: tuple[int, int], multiple: int) -> tuple[int, int]:
    """Height and width with `picture`'s aspect and about `size`'s area, in multiples of `multiple`.

    Equal area rather than an equal short side keeps the cost of a run the same for every aspect.
    """
    aspect = min(max(picture[1] / picture[0], 1 / WIDEST), WIDEST)
    height = math.sqrt(size[0] * size[1] / aspect)
    sides = (max(1, round(side / multiple)) * multiple for side in (height, height * aspect))
    return next(sides), next(sides)


def is_grid_of(grid: tuple[int, int], picture: tuple[int, int]) -> bool:
    """Whether a map may be a smaller or larger grid over a picture.

    Networks round both sides to a multiple of 32 or less, which shows in the map's own sides: its
    aspect may differ from the picture's by what that rounding, and a pixel, explains.
    """
    multiple = max(each for each in range(1, 33) if grid[0] % each == grid[1] % each == 0)
    slack = multiple / 2 + 1
    lowest = max((side - slack) / whole for side, whole in zip(grid, picture, strict=True))
    highest = min((side + slack) / whole for side, whole in zip(grid, picture, strict=True))
    return lowest <= highest
