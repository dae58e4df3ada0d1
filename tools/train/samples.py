"""What one example of the training holds."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Map = NDArray[np.float32]


@dataclass(slots=True)
class Sample:
    """A picture and what is known about its depth.

    Attributes:
        picture: (h, w, 3) uint8 RGB.
        inverse_depth: (h, w), larger = nearer.
        confidence: (h, w), 0..1: how far to believe that.
        edges: (h, w): weight of full-size gradients, 0 at the edges of a teacher's label.
        absolute: whether the numbers are in the teacher's units, to be met in scale and shift too.
        static: (h, w), 0 where something moves between this frame and the next.
    """

    picture: Picture
    inverse_depth: Map
    confidence: Map
    edges: Map
    absolute: bool
    static: Map

    @property
    def maps(self) -> tuple[Map, ...]:
        """Everything but the picture."""
        return self.inverse_depth, self.confidence, self.edges, self.static


def near_edges(inverse_depth: Map, step: float) -> NDArray[np.bool_]:
    """Within a pixel or two of a jump by more than `step`."""
    kernel = np.ones((3, 3), np.uint8)
    high, low = cv2.dilate(inverse_depth, kernel), cv2.erode(inverse_depth, kernel)
    jump = (high - low > step).astype(np.uint8)
    return cv2.dilate(jump, kernel).astype(bool)
