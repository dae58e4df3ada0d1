"""The mirrored picture as a second opinion."""

from __future__ import annotations

import numpy as np

from rtfocus.frame import Map

_EDGE = 0.05  # of the width


def blend_mirrored(plain: Map, mirrored: Map) -> Map:
    """Post-process of Godard, Mac Aodha and Brostow, "monodepth" (CVPR 2017).

    The mean of both, but for the left 5 % of the width, which are the mirrored map's, and the right
    5 %, which are the plain one's, with ramps as wide between: each map is at its worst at the edge
    where the other has seen more.

    Args:
        plain: (h, w), of the picture.
        mirrored: (h, w), of the mirrored picture, mirrored back.
    """
    x = np.linspace(0, 1, plain.shape[1], dtype=np.float32)
    left = 1 - np.clip((x - _EDGE) / _EDGE, 0, 1)
    right = left[::-1]
    weight = 0.5 * (1 + right - left)  # 1/2 in the middle, where neither edge has a say
    blended: Map = weight * plain + (1 - weight) * mirrored
    return blended
