"""The paper's own blur: six copies of the picture, chosen per pixel by distance in depth.

Nandeshwar et al., "Synthetic Refocusing of an Image using Monocular Depth Estimation", as its
public implementation grades it: six levels, kernels of 1 to 21 pixels, masks by the normalised
|d - d_focus|. Kept as a method of its own, to compare with; it knows nothing of occlusion or light.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.frame import Disparity, Image, Map
from rtfocus.lens import Lens

KERNELS = (1, 5, 9, 13, 17, 21)
"""Kernel size of each level in pixels, for a picture 720 pixels high at f/2.8."""

_HEIGHT = 720
_F_NUMBER = 2.8

Blur = Callable[[Image, int], NDArray[Any]]

METHODS: dict[str, Blur] = {
    "gaussian": lambda image, size: cv2.GaussianBlur(image, (size, size), 0),
    "average": lambda image, size: cv2.blur(image, (size, size)),
    "median": lambda image, size: cv2.medianBlur(image, min(size, 255)),
    "bilateral": lambda image, size: cv2.bilateralFilter(image, size, 75, 75),
}


class GradedRenderer:
    """Six levels of one of `METHODS`."""

    def __init__(self, method: str) -> None:
        self._blur = METHODS[method]

    def render(self, image: Image, disparity: Disparity, focus: float, lens: Lens) -> Image:
        """See `rtfocus.render.Renderer`; kernels scale with height and aperture as radii do."""
        level = grade(lens.radius(disparity, focus))
        scale = image.shape[0] / _HEIGHT * _F_NUMBER / lens.f_number
        out = image.copy()
        for i in range(1, len(KERNELS)):
            size = 2 * round((KERNELS[i] * scale - 1) / 2) + 1
            mask = (level == i).view(np.uint8)
            if size > 1 and mask.any():
                cv2.copyTo(self._blur(image, size), mask, out)
        return out

    def close(self) -> None:
        """Nothing to release."""


def grade(radius: Map) -> NDArray[np.uint8]:
    """Level i, 0..5, of every pixel with i / 6 <= |radius| / max < (i + 1) / 6; the last with max.

    Every pixel has exactly one level, so the masks sum to 1 everywhere.
    """
    distance = np.abs(radius)
    farthest = float(distance.max())
    if farthest == 0:
        return np.zeros(radius.shape, np.uint8)
    levels = len(KERNELS)
    return np.minimum(distance * (levels / farthest), levels - 1).astype(np.uint8)
