"""Where one shot may end and another begin, by the picture alone."""

from __future__ import annotations

import cv2
import numpy as np

from rtfocus.frame import Image, Map

_THUMBNAIL = (32, 18)
_ANOTHER = 24.0
"""Mean difference of thumbnails in levels, beyond which a cut is possible (a pan stays below)."""


class Shots:
    """Compares every picture with the one before.

    It sees every cut between pictures that are not alike, and a flash, too, which only depth tells
    from a cut.
    """

    def __init__(self) -> None:
        self._before: Map | None = None

    def may_begin(self, picture: Map | Image) -> bool:
        """Whether this picture is so unlike the last one that another shot may begin with it.

        Args:
            picture: (h, w) float32, brightness in levels, or (h, w, 3) uint8 RGB, of any size.
        """
        small = cv2.resize(picture, _THUMBNAIL, interpolation=cv2.INTER_AREA)
        if small.ndim == 3:
            small = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        before, self._before = self._before, small.astype(np.float32)
        return before is not None and float(np.abs(self._before - before).mean()) > _ANOTHER
