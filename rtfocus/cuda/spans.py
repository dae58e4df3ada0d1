"""Which pixels every cell of a grid is made of, along one axis, as OpenCV resizes pictures."""

from __future__ import annotations

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
        spans_of = _covered
    else:
        spans_of = _between_edges
    return halvings, spans_of(height, rows), spans_of(width, columns)


def _covered(size: int, cells: int) -> NDArray[np.void]:
    """Every pixel counts by its share of what the cell covers."""
    scale = size / cells
    start = np.arange(cells) * scale
    end = np.minimum(start + scale, size)
    # A cell that by a rounding error begins or ends beside a pixel's edge is meant to do so there.
    start, end = (np.where(abs(x - x.round()) < 1e-6, x.round(), x) for x in (start, end))
    spans = np.empty(cells, SPAN)
    spans["first"] = np.floor(start)
    spans["last"] = np.ceil(end) - 1
    spans["head"] = (np.minimum(spans["first"] + 1, end) - start) / scale
    spans["tail"] = (end - spans["last"]) / scale
    spans["body"] = 1 / scale
    return spans


def _between_centres(size: int, cells: int) -> NDArray[np.void]:
    """The two pixels whose centres lie around that of the cell."""
    at = np.clip((np.arange(cells) + 0.5) * size / cells - 0.5, 0, size - 1)
    return _between(at.astype(int), at % 1, size)


def _between_edges(size: int, cells: int) -> NDArray[np.void]:
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
