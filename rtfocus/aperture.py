"""The shape of the aperture, as the blur kernel of one layer.

Every convex shape is a set of column spans: column dx of the kernel covers dy from `top` to
    `bottom`. The
blur sums a column with two reads of a running sum along y, so a disc of radius r costs about 2r + 1
columns and not pi r^2 taps, and round and bladed apertures take the same path.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtfocus.errors import UsageError

_SUBCOLUMNS = 32


@dataclass(frozen=True, slots=True)
class Spans:
    """A blur kernel as column spans; all arrays have one entry per column, dx = -reach .. reach.

    Attributes:
        top: float64, upper end of the column relative to the pixel's centre, in pixels.
        bottom: float64, lower end; equal to `top` where the shape has nothing in this column.
        area: sum of bottom - top, in square pixels.
    """

    top: NDArray[np.float64]
    bottom: NDArray[np.float64]
    area: float

    @property
    def reach(self) -> int:
        """Columns on either side of the centre."""
        return (len(self.top) - 1) // 2


@dataclass(frozen=True, slots=True)
class Aperture:
    """Round, or a regular polygon of straight blades.

    Attributes:
        blades: 0 for a round aperture, else 3 to 16 blades.
        rotation: of the polygon, in degrees clockwise.
    """

    blades: int = 0
    rotation: float = 0.0

    def __post_init__(self) -> None:
        if self.blades != 0 and not 3 <= self.blades <= 16:
            raise UsageError(f"blades={self.blades!r}: use 0 (round) or 3 to 16 blades")
        if not math.isfinite(self.rotation):
            raise UsageError(f"blade rotation {self.rotation!r}: give a finite number of degrees")

    def spans(self, radius: float) -> Spans:
        """The kernel of a circle of confusion of this radius in pixels.

        A polygon has the area of the disc it stands for, so that closing the blades' corners
        changes the shape of the blur but not its amount.
        """
        edges = self._outline(radius)
        reach = max(0, math.ceil(np.abs(edges[:, 0]).max() - 0.5))
        columns = np.arange(-reach, reach + 1)
        offsets = (np.arange(_SUBCOLUMNS) + 0.5) / _SUBCOLUMNS - 0.5
        top, bottom = _chord(edges, columns[:, None] + offsets)
        # A column's span is centred on its mean chord: exact in area and in first moment.
        height = (bottom - top).mean(axis=1)
        weight = np.maximum((bottom - top).sum(axis=1), 1e-12)
        centre = ((bottom + top) / 2 * (bottom - top)).sum(axis=1) / weight
        return Spans(centre - height / 2, centre + height / 2, float(height.sum()))

    def _outline(self, radius: float) -> NDArray[np.float64]:
        """Corners of the shape, (n, 2) x and y in pixels, in order around the centre."""
        corners = self.blades or 256
        # Area of a regular n-gon of circumradius R: n/2 R^2 sin(2 pi / n).
        circumradius = radius * math.sqrt(2 * math.pi / (corners * math.sin(2 * math.pi / corners)))
        angles = 2 * math.pi * np.arange(corners) / corners + math.radians(self.rotation)
        return circumradius * np.stack([np.sin(angles), -np.cos(angles)], axis=1)


def _chord(
    corners: NDArray[np.float64], x: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest y of a convex polygon along vertical lines; both 0 outside it."""
    top = np.full(x.shape, np.inf)
    bottom = np.full(x.shape, -np.inf)
    for (xa, ya), (xb, yb) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if xa == xb:
            continue
        t = (x - xa) / (xb - xa)
        y = np.where((t >= 0) & (t <= 1), ya + t * (yb - ya), np.nan)
        top, bottom = np.fmin(top, y), np.fmax(bottom, y)
    missed = bottom < top
    return np.where(missed, 0.0, top), np.where(missed, 0.0, bottom)
