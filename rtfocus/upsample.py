"""From the network's grid to the picture's size, along the picture's edges."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from rtfocus.frame import Disparity, Image, Map
from rtfocus.kernels.bands import Bands
from rtfocus.kernels.upsample import SIDES, find_sides, snap

_REACH = 3
"""Half width in cells of the window in which a soft edge has its two sides."""

_STEP = 0.06
"""Difference in normalised disparity across that window that is an edge."""

_SHARE = 0.7
"""Least share of it in what a window of twice the reach spans: of an edge nearly all, of a slope
half."""


class Upsampler:
    """Edge-aware enlargement that does not invent depths between a subject and what is behind it.

    Where the map is smooth it is interpolated. Where it steps, every pixel takes one of the two
    sides: that of most cells around it, unless its colour says the other. What lies between them
    would be shown blurred by neither's radius, as a halo, or sharp where neither is. A slope is
    not a step, however steep. A pixel beside the near side that may show some of it is counted to
    it: else a thin line of it would stay sharp on a background in focus.
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
        sides = np.empty((SIDES, height, width), np.float32)
        low, high = _extremes(values, _REACH)
        lowest, highest = _extremes(values, 2 * _REACH)
        steps = high - low > _STEP
        sudden = steps & (high - low > _SHARE * (highest - lowest))
        edges = steps & (cv2.dilate(sudden.astype(np.uint8), _window(_REACH)) > 0)
        sides[0], sides[1] = low, np.where(edges, high, low)
        self._bands.run(height, find_sides, values, colour, _REACH, sides)
        around = cv2.blur(values, _window(_REACH).shape, borderType=cv2.BORDER_REPLICATE)
        out: Map = np.empty(image.shape[:2], np.float32)
        mixed: Image = np.empty(image.shape[:2], np.uint8)
        self._bands.run(len(out), snap, values, around, sides, image, out, mixed)
        # Noise in the picture must not leave single pixels on the wrong side.
        clean = cv2.medianBlur(out, 3)
        grown = cv2.dilate(clean, _window(1))
        whole = cv2.copyTo(grown, mixed, clean).astype(np.float32, copy=False)
        return replace(disparity, values=whole)

    def close(self) -> None:
        """End the threads; safe to call twice."""
        self._bands.close()


def _extremes(values: Map, reach: int) -> tuple[Map, Map]:
    """The least and the largest value in the window about every cell."""
    return cv2.erode(values, _window(reach)), cv2.dilate(values, _window(reach))  # type: ignore[return-value]


def _window(reach: int) -> Image:
    return np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
