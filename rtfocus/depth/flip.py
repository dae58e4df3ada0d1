"""The mirrored picture as a second opinion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rtfocus.frame import Map

_EDGE = 0.05  # of the width


def blend_weights(width: int) -> NDArray[np.float32]:
    """What the plain map counts for in every column, (width,); the mirrored one has the rest."""
    x = np.linspace(0, 1, width, dtype=np.float32)
    left = 1 - np.clip((x - _EDGE) / _EDGE, 0, 1)
    right = left[::-1]
    weights: NDArray[np.float32] = 0.5 * (1 + right - left)  # 1/2 where neither edge has a say
    return weights


def blend_mirrored(plain: Map, mirrored: Map) -> Map:
    """Post-process of Godard, Mac Aodha and Brostow, "monodepth" (CVPR 2017).

    The mean of both, but for the left 5 % of the width, which are the mirrored map's, and the right
    5 %, which are the plain one's, with ramps as wide between: each map is at its worst at the edge
    where the other has seen more.

    Args:
        plain: (h, w), of the picture.
        mirrored: (h, w), of the mirrored picture, mirrored back.
    """
    weight = blend_weights(plain.shape[1])
    blended: Map = weight * plain + (1 - weight) * mirrored
    return blended
