"""The plane of focus on the GPU: `rtfocus.focus.plane.Focuser`, without waiting for it."""

from __future__ import annotations

import numpy as np

from rtfocus.cuda.disparity import DeviceDisparity
from rtfocus.cuda.gpu import Array, Gpu
from rtfocus.errors import UsageError
from rtfocus.focus.plane import (
    FOLLOW,
    NOT_METRIC,
    WINDOW,
    FocusDisparity,
    FocusDistance,
    FocusPoint,
    FocusTarget,
)
from rtfocus.frame import Frame

_BLOCK = (32, 16)


class CudaFocuser:
    """Keeps the plane on its target."""

    def __init__(self, gpu: Gpu, target: FocusTarget) -> None:
        self._gpu, self._target = gpu, target
        self._time: float | None = None
        self._state = gpu.zeros(2, np.float64)  # as in focus.cu
        if isinstance(target, FocusDisparity):
            self._fixed = gpu.upload(np.array([target.value], np.float32))

    def update(self, disparity: DeviceDisparity, frame: Frame) -> Array:
        """Normalised disparity of the plane of focus, (1,) float32 on the GPU.

        Raises:
            UsageError: a distance was asked for, but depth is not metric.
        """
        target = self._target
        if isinstance(target, FocusDisparity):
            return self._fixed
        plane = self._gpu.empty(1, np.float32)
        if isinstance(target, FocusDistance):
            self._find_distance(target, disparity.metric, plane)
        else:
            self._follow(target, disparity, frame.time, plane)
        return plane

    def _find_distance(self, target: FocusDistance, metric: Array | None, plane: Array) -> None:
        if metric is None:
            raise UsageError(NOT_METRIC)
        self._gpu.launch(
            "focus", "at_distance", (1,), metric, 1 / target.metres, plane, block=(32,)
        )

    def _follow(
        self, point: FocusPoint, disparity: DeviceDisparity, time: float, plane: Array
    ) -> None:
        height, width = disparity.values.shape
        x, y = min(int(point.x * width), width - 1), min(int(point.y * height), height - 1)
        is_first = self._time is None
        elapsed = max(time - (self._time or 0.0), 0.0)
        self._time = time
        self._gpu.launch(
            "focus", "follow_point", _BLOCK, disparity.values, height, width, x, y,
            max(4, round(WINDOW * height)), disparity.cut, is_first,
            1 - (1 - FOLLOW) ** (30 * elapsed), self._state, plane, block=_BLOCK,
        )  # fmt: skip
