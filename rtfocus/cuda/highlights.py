"""Give clipped highlights an estimate of the light they lost, on the GPU."""

from __future__ import annotations

from functools import partial

import numpy as np

from rtfocus.cuda.gpu import Array, Gpu
from rtfocus.kernels.highlights import TOLD

_TILE = 32
_BLOCK = (32, 8)
_SUMS = 18
"""What is summed up of every region, see highlights.cu."""


class CudaHighlights:
    """See `rtfocus.render.highlights.Highlights`, whose results these are.

    Only the GPU learns how many regions there are, and whether there are any: where nothing is
    clipped, blocks of threads end as soon as they begin.
    """

    def __init__(self, gpu: Gpu, gain: float) -> None:
        """Args: gain: share of the estimated excess that is given back; 0 leaves pictures alone."""
        self._gpu, self._gain = gpu, float(gain)
        self._size: tuple[int, int] | None = None

    def __call__(
        self, image: Array, linear: Array, layer: Array, sharp: int, begins: Array
    ) -> None:
        """Raise the clipped pixels of the next linear picture to what they probably were.

        Args:
            image: (h, w, 3) uint8.
            linear: (3, h, w) float32 up to 1, the same picture in linear light, changed in place.
            layer: (h, w) uint8, layer of every pixel.
            sharp: number of the layer in focus, whose pixels stay as they are.
            begins: (1,) int32, not 0 where the picture begins a new shot.
        """
        if self._gain == 0:
            return
        height, width, _ = image.shape
        if self._size != (height, width):
            self._size = (height, width)
            self._work = _Work(self._gpu, height, width)
        work = self._work
        threads = (width, -(-height // _TILE) * _BLOCK[1])
        launch = partial(self._gpu.launch, "highlights", block=_BLOCK)
        found = work.mask, work.tiles, work.labels
        launch("find_clipped", threads, image, height, width, *found)
        launch("join_runs", threads, *found, height, width)
        launch("number_regions", threads, *found, height, width, work.sums)
        for kernel in ("sum_outside", "sum_borders"):
            launch(kernel, threads, *found, linear, height, width, work.sums)
        launch(
            "recall", threads, *found, height, width, begins, work.mask_before, work.told, work.sums
        )
        launch("estimate", threads, *found, height, width, self._gain, work.sums)
        launch(
            "brighten", threads, image, work.mask, work.labels, work.sums, layer, sharp, height,
            width, linear, work.mask_before, work.told,
        )  # fmt: skip


class _Work:
    """Working memory for pictures of one size.

    Attributes:
        mask: which pixels are clipped, one bit each, words of 32 pixels of a row.
        tiles: which tiles have any.
        labels: flat position of the first pixel of every clipped pixel's region.
        mask_before: `mask` of the last picture.
        told: what the borders of its regions told.
        sums: what is found around the regions, of which a block of 2 x 2 pixels touches one.
    """

    def __init__(self, gpu: Gpu, height: int, width: int) -> None:
        across, down = -(-width // _TILE), -(-height // _TILE)
        self.mask = gpu.empty((height, across), np.uint32)
        self.tiles = gpu.empty((down, across), np.uint8)
        self.labels = gpu.empty((height, width), np.int32)
        blocks = (height + 1) // 2, (width + 1) // 2
        self.sums = gpu.empty((*blocks, _SUMS), np.uint64)
        self.mask_before = gpu.zeros(self.mask.shape, np.uint32)
        self.told = gpu.empty((*blocks, TOLD), np.float32)
