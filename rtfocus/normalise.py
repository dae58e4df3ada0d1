"""Units of disparity that stay put: a robust running range becomes 0..1."""

from __future__ import annotations

import numpy as np

from rtfocus.align import coarse
from rtfocus.frame import Disparity, Map, Scale

_PERCENTILES = (2, 98)
_RATE = 0.005
"""Share by which the range follows each frame: seconds, so that blur does not pump."""


class Normaliser:
    """Maps disparity to about 0..1 by a range that follows the scene slowly."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self._range: tuple[float, float] | None = None

    def update(self, disparity: Map, *, cut: bool) -> Disparity:
        """The map in normalised units; a normalised one passes through."""
        if self._scale == "normalised":
            return Disparity(disparity, cut=cut)
        low, high = (float(v) for v in np.percentile(coarse(disparity), _PERCENTILES))
        if self._range is not None and not cut:
            low = self._range[0] + _RATE * (low - self._range[0])
            high = self._range[1] + _RATE * (high - self._range[1])
        self._range = (low, high)
        # A flat map (a black frame, a wall) has no range of its own; its noise must not become one.
        span = max(high - low, 1e-3 * max(abs(low), abs(high)), 1e-9)
        values = (disparity - np.float32(low)) / np.float32(span)
        return Disparity(values, (span, low) if self._scale == "metric" else None, cut)
