"""The shape of the aperture, as the blur kernel of one layer.

Every convex shape is a set of column spans: column dx of the kernel covers dy from `top` to
`bottom`. The blur sums a column with two reads of a running sum along y, so a disc of radius r
costs about 2r + 1 columns and not pi r^2 taps, and round and bladed apertures take the same path.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rtfocus.errors import UsageError

Array = NDArray[np.float64]

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
    def variance(self) -> float:
        """Variance of the weights on whole pixels, mean of both axes, in square pixels."""
        across = np.arange(-self.reach, self.reach + 1)
        far = int(np.ceil(np.abs([self.top, self.bottom]).max() + 0.5))
        rows = np.arange(-far, far + 1)[:, None]
        share = np.minimum(self.bottom, rows + 0.5) - np.maximum(self.top, rows - 0.5)
        weight = np.maximum(share, 0) / self.area
        return float((weight * (rows**2 + across**2)).sum() / 2)

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

        A polygon has the area of the disc it stands for: blades change the shape of the blur, not
        its amount.
        """
        half = self._extent(radius)
        reach = max(0, math.ceil(half - 0.5))
        columns = np.arange(-reach, reach + 1)
        offsets = (np.arange(_SUBCOLUMNS) + 0.5) / _SUBCOLUMNS - 0.5
        top, bottom = self._chord(radius, columns[:, None] + offsets)
        # A column's span is centred on its mean chord: exact in area and in first moment.
        height = (bottom - top).mean(axis=1)
        weight = np.maximum((bottom - top).sum(axis=1), 1e-12)
        centre = ((bottom + top) / 2 * (bottom - top)).sum(axis=1) / weight
        return Spans(centre - height / 2, centre + height / 2, float(height.sum()))

    def spans_of_variance(self, variance: float) -> Spans:
        """The kernel whose disc, on whole pixels, has this variance along each axis.

        The scene is blurred before the sensor averages it over pixels, the picture after; only the
        variance tells that both are blurred alike. A disc has radius^2 / 4. Blades get that disc's
        area.
        """
        radii, variances = _disc_variances()
        if variance > variances[-1]:  # too large for whole pixels to matter
            return self.spans(2 * math.sqrt(variance - 1 / 12))
        return self.spans(float(np.interp(variance, variances, radii)))

    def inverted(self) -> Aperture:
        """The shape upside down, as rays that have crossed draw it: behind the plane of focus."""
        return replace(self, rotation=self.rotation + 180)

    def _extent(self, radius: float) -> float:
        return radius if self.blades == 0 else float(np.abs(self._corners(radius)[:, 0]).max())

    def _chord(self, radius: float, x: Array) -> tuple[Array, Array]:
        """Lowest and highest y of the shape along vertical lines; both 0 beside it."""
        if self.blades == 0:
            half = np.sqrt(np.maximum(radius**2 - x**2, 0))
            return -half, half
        corners = self._corners(radius)
        top, bottom = np.full(x.shape, np.inf), np.full(x.shape, -np.inf)
        for (xa, ya), (xb, yb) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if xa == xb:
                continue
            t = (x - xa) / (xb - xa)
            y = np.where((t >= 0) & (t <= 1), ya + t * (yb - ya), np.nan)
            top, bottom = np.fmin(top, y), np.fmax(bottom, y)
        missed = bottom < top
        return np.where(missed, 0.0, top), np.where(missed, 0.0, bottom)

    def _corners(self, radius: float) -> Array:
        """Corners of the polygon, (n, 2) x and y in pixels, in order around the centre."""
        n = self.blades
        # Area of a regular n-gon of circumradius R: n/2 R^2 sin(2 pi / n).
        circumradius = radius * math.sqrt(2 * math.pi / (n * math.sin(2 * math.pi / n)))
        angles = 2 * math.pi * np.arange(n) / n + math.radians(self.rotation)
        return circumradius * np.stack([np.sin(angles), -np.cos(angles)], axis=1)


@cache
def _disc_variances() -> tuple[Array, Array]:
    """Radii from that of a disc within a pixel on, and `Spans.variance` of their discs."""
    radii = np.geomspace(0.5, 32, 400)
    return radii, np.array([Aperture().spans(radius).variance for radius in radii])
