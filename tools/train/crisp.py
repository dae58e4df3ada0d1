"""Steps of depth out of a network's soft ramps."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_ROUNDS = 2
_REACH, _AROUND = 11, 31  # pixels across: as wide as a soft edge, and what is about it
_STEP = 0.6  # a ramp that holds this share of the range about it is an edge and no slope
_LEAST = 0.03  # of the label's range


def crisp(label: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A label (h, w) whose edges are steps, at the middle of the ramps that they were.

    Every pixel on such a ramp becomes the nearer of what lies on its two sides (a toggle mapping,
    Kramer and Bruckner, Pattern Recognition 1975). Slopes, which go on beyond, stay as they are.
    """
    x = label.astype(np.int16)
    least = _LEAST * float(np.ptp(x))
    for _ in range(_ROUNDS):
        low, high = _extremes(x, _REACH)
        lowest, highest = _extremes(x, _AROUND)
        edge = (high - low > _STEP * (highest - lowest)) & (high - low > least)
        x = np.where(edge, np.where(high - x < x - low, high, low), x)
    return x.astype(np.uint8)


def _extremes(x: NDArray[np.int16], size: int) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.erode(x, disc), cv2.dilate(x, disc)  # type: ignore[return-value]
