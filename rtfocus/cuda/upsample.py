"""From the network's grid to the picture's size, along the picture's edges, on the GPU."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from rtfocus.cuda.disparity import DeviceDisparity
from rtfocus.cuda.gpu import Array, Gpu
from rtfocus.cuda.spans import between_edges, covered, whole

_TILE = 32
_BLOCK = (32, 8)


class CudaUpsampler:
    """See `rtfocus.upsample.Upsampler`, whose results these are."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._sizes: tuple[int, ...] = ()

    def __call__(self, disparity: DeviceDisparity, image: Array) -> DeviceDisparity:
        """The disparity at the image's size; untouched if it has that size already.

        Args:
            disparity: (gh, gw).
            image: (h, w, 3) uint8.
        """
        grid, size = disparity.values.shape, image.shape[:2]
        if grid == size:
            return disparity
        out = self._gpu.empty(size, np.float32)
        reduces = math.prod(grid) > math.prod(size)
        if self._sizes != (*grid, *size):
            self._sizes = (*grid, *size)
            self._work = _Work(self._gpu, *((grid, size) if reduces else (size, grid)))
        if reduces:
            self._reduce(disparity.values, out)
        else:
            self._enlarge(disparity.values, image, out)
        return replace(disparity, values=out)

    def close(self) -> None:
        """Give the working memory back; safe to call twice."""
        self._sizes = ()
        self.__dict__.pop("_work", None)

    def _reduce(self, values: Array, out: Array) -> None:
        work, (height, width) = self._work, out.shape
        self._gpu.launch(
            "upsample", "reduce_map", (width, height), values, values.shape[1], work.down,
            work.across, work.norm, height, width, out,
        )  # fmt: skip

    def _enlarge(self, values: Array, image: Array, out: Array) -> None:
        work, launch = self._work, partial(self._gpu.launch, "upsample")
        (rows, columns), (height, width) = values.shape, out.shape
        launch(
            "reduce_picture", (columns, rows), image, width, work.down, work.across, work.norm,
            work.added, rows, columns, work.small,
        )  # fmt: skip
        launch("find_steps", (columns, rows), values, rows, columns, work.sudden, work.around)
        launch(
            "find_sides", (columns, rows), values, work.sudden, work.small, rows, columns,
            work.sides,
        )  # fmt: skip
        steps = np.array([rows, columns], np.float32) / np.array([height, width], np.float32)
        launch(
            "snap", (width, -(-height // _TILE) * _BLOCK[1]), values, work.around, work.sides,
            image, rows, columns, float(steps[0]), float(steps[1]), height, width, out,
            block=_BLOCK,
        )  # fmt: skip


class _Work:
    """Tables and working memory for pictures or maps of one size to be brought to another.

    Attributes:
        down, across: what every row and every column of the smaller one covers.
        norm: what sums are multiplied with.
        added: to levels before they are rounded.
        small: the picture on the grid, the fourth channel unused.
        sudden: cells where the map steps.
        around: the map's mean about every cell.
        sides: of the depth edge at every cell, see upsample.cu.
    """

    def __init__(self, gpu: Gpu, size: tuple[int, int], small: tuple[int, int]) -> None:
        height, width = size
        rows, columns = small
        self.norm, self.added = 1.0, 0.0
        if rows > height or columns > width:
            spans = between_edges(height, rows), between_edges(width, columns)
        elif height % rows or width % columns:
            spans = covered(height, rows), covered(width, columns)
        else:
            # As OpenCV does it: exact sums, and halves are rounded up where four pixels are one.
            spans = whole(height, rows), whole(width, columns)
            self.norm = rows * columns / (height * width)
            self.added = 0.125 if (height, width) == (2 * rows, 2 * columns) else 0.0
        self.down, self.across = (gpu.upload(table.view(np.uint8)) for table in spans)
        self.small = gpu.empty((rows, columns, 4), np.uint8)
        self.sudden = gpu.empty((rows, columns), np.uint8)
        self.around = gpu.empty((rows, columns), np.float32)
        self.sides = gpu.empty((rows, columns, 8), np.float32)
