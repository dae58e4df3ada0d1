"""Which pixels every cell of a grid is made of, along one axis, as OpenCV resizes pictures."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

SPAN = np.dtype(
    [("first", "i4"), ("last", "i4"), ("head", "f4"), ("body", "f4"), ("tail", "f4")]
)  # fmt: skip
"""Pixels first..last; the first counts head, the last tail, those between body each. Where both are
the same one, it counts head."""


def resize_spans(
    size: tuple[int, int], grid: tuple[int, int]
) -> tuple[int, NDArray[np.void], NDArray[np.void]]:
    """How `rtfocus.depth.network.prepare` resizes a picture, which is not the same as one average.

    It is halved while that leaves it no smaller than the grid. Then areas are averaged where the
    grid has fewer cells than the picture has pixels, else values are interpolated between pixels.

    Args:
        size: height and width of the picture.
        grid: height and width of what it becomes.

    Returns:
        How often it is halved, and the rows and columns of the halved picture that those of the
        grid are made of.
    """
    (height, width), (rows, columns) = size, grid
    halvings = 0
    while height >= 2 * rows and width >= 2 * columns and height % 2 == width % 2 == 0:
        height, width, halvings = height // 2, width // 2, halvings + 1
    if height * width <= rows * columns:
        spans_of = _between_centres
    elif height >= rows and width >= columns:
        spans_of = covered
    else:
        spans_of = between_edges
    return halvings, spans_of(height, rows), spans_of(width, columns)


def whole(size: int, cells: int) -> NDArray[np.void]:
    """Cells of a whole number of pixels, each of which counts as 1."""
    spans = np.ones(cells, SPAN)
    spans["first"] = np.arange(cells) * (size // cells)
    spans["last"] = spans["first"] + size // cells - 1
    return spans


def covered(size: int, cells: int) -> NDArray[np.void]:
    """Pixels that each cell covers, with their shares of it; less than 1/1000 pixel is left out."""
    spans = np.empty(cells, SPAN)
    scale = size / cells
    for i in range(cells):
        start, end = i * scale, (i + 1) * scale
        within = min(scale, size - start)
        last = min(math.floor(end), size - 1)
        first = min(math.ceil(start), last)
        parts = [(j, 1.0) for j in range(first, last)]
        if first - start > 1e-3:
            parts.insert(0, (first - 1, first - start))
        if end - last > 1e-3:
            parts.append((last, min(end - last, 1.0, within)))
        (first, head), (last, tail) = parts[0], parts[-1]
        spans[i] = first, last, head / within, 1 / within, tail / within
    return spans


def _between_centres(size: int, cells: int) -> NDArray[np.void]:
    """The two pixels whose centres lie around that of the cell."""
    at = np.clip((np.arange(cells) + 0.5) * size / cells - 0.5, 0, size - 1)
    return _between(at.astype(int), at % 1, size)


def between_edges(size: int, cells: int) -> NDArray[np.void]:
    """OpenCV's choice for areas where one axis is enlarged."""
    at = np.arange(cells)
    before = at * size // cells
    part = np.maximum(at + 1 - (before + 1) * cells / size, 0) % 1
    return _between(before, part, size)


def _between(before: NDArray[np.int_], part: NDArray[np.float64], size: int) -> NDArray[np.void]:
    spans = np.zeros(len(before), SPAN)
    spans["first"], spans["last"] = before, np.minimum(before + 1, size - 1)
    spans["head"], spans["tail"] = np.where(spans["first"] < spans["last"], 1 - part, 1), part
    return spans
