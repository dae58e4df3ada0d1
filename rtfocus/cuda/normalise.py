"""Units of disparity that stay put, on the GPU: `rtfocus.normalise.Normaliser`."""

from __future__ import annotations

import numpy as np

from rtfocus.cuda.disparity import DeviceDisparity
from rtfocus.cuda.gpu import Array, Gpu
from rtfocus.frame import Scale

CELLS = 32 * 18
"""Of the coarse grid and of the thumbnail; as in align.cu."""

THREADS = (32, CELLS // 4)
"""Along x and y for all cells: 8 for each, as LANES in align.cu says."""


class CudaNormaliser:
    """Maps disparity to about 0..1 by a range that follows the scene slowly."""

    def __init__(self, gpu: Gpu, scale: Scale) -> None:
        self._gpu, self._scale = gpu, scale
        self._is_first = True
        self._range = gpu.zeros(2, np.float64)
        self._cells, self._ticket = gpu.empty(CELLS, np.float32), gpu.zeros(1, np.int32)
        self._no_units = gpu.upload(np.array([1, 0], np.float32))

    def update(
        self, maps: Array, own: int, other: int, shots: Array, cut: Array
    ) -> DeviceDisparity:
        """A map in normalised units, in memory of its own.

        Args:
            maps: (n, h, w) float32 in the units of the scale.
            own: number of the map.
            other: number of one that is taken instead if it is of the same shot.
            shots: number of the shot of each map, (n,) int32.
            cut: (1,) int32, 1 where the map begins a shot.
        """
        gpu, units = self._gpu, self._no_units
        _, height, width = maps.shape
        which = (maps, own, other, shots, cut)
        if self._scale != "normalised":
            units = gpu.empty(2, np.float32)
            gpu.launch(
                "align", "follow_range", THREADS, *which, self._is_first, height, width,
                self._cells, self._range, units, self._ticket,
            )  # fmt: skip
            self._is_first = False
        values, is_cut = gpu.empty((height, width), np.float32), gpu.empty(1, np.int32)
        gpu.launch(
            "align", "normalise", (width, height), *which, units, height, width, values, is_cut
        )
        return DeviceDisparity(values, units if self._scale == "metric" else None, is_cut)
