"""Give clipped highlights an estimate of the light they lost, before it is spread over a disc."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.frame import Image
from rtfocus.kernels.highlights import (
    BACKGROUND,
    CLIPPED,
    COLOUR,
    COLUMNS,
    COUNT,
    EXCESS,
    LENGTH,
    brighten,
    measure_rings,
)

_MARGIN = 1.5
_SLOPE = 2.5
_FLOOR = 0.08


def restore_highlights(image: Image, linear: NDArray[np.float32], gain: float) -> None:
    """Raise the clipped pixels of a linear picture to what they probably were.

    The border of a light tells how bright it is. Along a sharp edge a pixel is covered by the light
    to a share that is uniform in 0..1; where the light is L times as bright as white, only pixels
    covered by less than 1 / L stay unclipped. So the light found in the unclipped pixels along the
    border, over the border's length, is about 1 / (2 L): white paper has a soft border a pixel
    wide, a lamp next to none. Real lenses, sharpening and compression soften or harden borders,
    hence a margin below which nothing is restored (paper, sky and shirts stay as they are) and a
    cap. The colour comes from the same border pixels, which are not clipped.

    Args:
        image: (h, w, 3) uint8.
        linear: (3, h, w) float32, the same picture in linear light, changed in place.
        gain: share of the estimated excess that is given back; 0 leaves the picture alone.
    """
    if gain == 0:
        return
    clipped = (cv2.inRange(image, (0, 0, 0), (CLIPPED - 1,) * 3) == 0).view(np.uint8)
    if not clipped.any():
        return
    count, labels = cv2.connectedComponents(clipped, connectivity=8, ltype=cv2.CV_32S)
    rings = measure_rings(labels, linear, count)
    length, excess, colour = rings[:, LENGTH], rings[:, EXCESS], rings[:, COLOUR:COLUMNS]
    dark = np.maximum(1 - rings[:, BACKGROUND], 1e-3)
    sharpness = length / (2 * excess / dark + _FLOOR * length + 1e-6)
    level = 1 + gain * _SLOPE * dark * np.maximum(sharpness - _MARGIN, 0)
    level[(length == 0) | (rings[:, COUNT] == 0)] = 1
    strongest = colour.max(axis=1, keepdims=True)
    tint = np.where(strongest > 1e-3, colour / np.maximum(strongest, 1e-6), 1)
    brighten(image, labels, (level[:, None] * tint).astype(np.float32), linear)
