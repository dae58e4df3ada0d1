"""Bring relative depth maps of one shot to the same scale and shift."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.frame import Map

_COARSE = (32, 18)
_ROUNDS = 6
_TUKEY = 4.0
"""Residuals beyond this many robust standard deviations do not count: moving things, mostly."""


def coarse(disparity: Map) -> NDArray[np.float64]:
    """The map on a coarse grid, where per-pixel noise has averaged out."""
    width, height = (min(a, b) for a, b in zip(_COARSE, disparity.shape[::-1], strict=True))
    small = cv2.resize(disparity, (width, height), interpolation=cv2.INTER_AREA)
    return small.astype(np.float64)


def align(new: Map, running: Map) -> tuple[float, float, float]:
    """Scale, shift and misfit of the robust fit scale * new + shift = running.

    Line of organic correlation (reduced major axis), reweighted by Tukey's biweight. Ordinary least
    squares would shrink the scale a little with every noisy frame, and over a clip these add up;
    this fit treats both maps alike.

    Args:
        new: (h, w) float32.
        running: (h, w) float32.

    Returns:
        scale: above 0; 1 where one of the maps is flat.
        shift: in the units of `running`.
        misfit: median of |scale * new + shift - running| over the spread of `running`; 0 is a
            perfect fit.
    """
    x, y = coarse(new).ravel(), coarse(running).ravel()
    # Start from robust moments: a subject that moved must not decide the first weights.
    scale = _ratio(_deviation(y), _deviation(x))
    shift = float(np.median(y) - scale * np.median(x))
    for _ in range(_ROUNDS):
        residual = np.abs(scale * x + shift - y)
        sigma = 1.4826 * float(np.median(residual)) + 1e-9 * float(np.abs(y).max()) + 1e-30
        weight = np.maximum(1 - (residual / (_TUKEY * sigma)) ** 2, 0) ** 2
        total = weight.sum()
        mean_x, mean_y = (weight @ x) / total, (weight @ y) / total
        scale = _ratio(
            float(np.sqrt(weight @ (y - mean_y) ** 2)), float(np.sqrt(weight @ (x - mean_x) ** 2))
        )
        shift = float(mean_y - scale * mean_x)
    spread = np.subtract(*np.percentile(y, (95, 5)))
    misfit = float(np.median(np.abs(scale * x + shift - y)))
    return scale, shift, misfit / spread if spread > 0 else 0.0


def _deviation(values: NDArray[np.float64]) -> float:
    return float(np.median(np.abs(values - np.median(values))))


def _ratio(a: float, b: float) -> float:
    return a / b if a > 1e-12 and b > 1e-12 else 1.0
