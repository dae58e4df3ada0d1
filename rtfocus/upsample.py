"""From the network's grid to the picture's size, along the picture's edges."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from rtfocus.frame import Disparity, Image, Map
from rtfocus.kernels.bands import Bands
from rtfocus.kernels.upsample import find_sides, snap

_REACH = 2
"""Half width in cells of the window in which a soft edge has its two sides."""

_WINDOW = np.ones((2 * _REACH + 1, 2 * _REACH + 1), np.uint8)

_STEP = 0.06
"""Difference in normalised disparity that is an edge."""

_CONTRAST = 80.0
"""Difference in colour between the sides of an edge, in levels, from which it can be trusted."""


class Upsampler:
    """Edge-aware enlargement that does not invent depths between a subject and what is behind it.

    Where the map is smooth it is interpolated. Where it steps, every pixel takes the side whose
    colour it has: a ramp of in-between depths, which the renderer would show as a halo, becomes an
    edge on the picture's edge.
    """

    def __init__(self, threads: int = 1) -> None:
        self._bands = Bands(threads)

    def __call__(self, disparity: Disparity, image: Image) -> Disparity:
        """The disparity at the image's size; untouched if it has that size already.

        Args:
            disparity: (gh, gw).
            image: (h, w, 3) uint8.
        """
        values = disparity.values
        if values.shape == image.shape[:2]:
            return disparity
        height, width = values.shape
        if height * width > image.shape[0] * image.shape[1]:
            size = (image.shape[1], image.shape[0])
            reduced = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
            return replace(disparity, values=reduced.astype(np.float32, copy=False))
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        colour = np.ascontiguousarray(small.transpose(2, 0, 1), np.float32)
        values = np.ascontiguousarray(values)
        sides = np.empty((9, height, width), np.float32)
        cv2.erode(values, _WINDOW, sides[0])
        cv2.dilate(values, _WINDOW, sides[1])
        self._bands.run(height, find_sides, values, colour, sides, _REACH, np.float32(_STEP))
        out: Map = np.empty(image.shape[:2], np.float32)
        self._bands.run(len(out), snap, values, sides, image, np.float32(_CONTRAST), out)
        # Noise in the picture must not leave single pixels on the wrong side.
        clean = cv2.medianBlur(out, 3).astype(np.float32, copy=False)
        return replace(disparity, values=clean)

    def close(self) -> None:
        """End the threads; safe to call twice."""
        self._bands.close()
