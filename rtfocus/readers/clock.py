"""Times of live pictures: even as their source counts them, and true to the clock on the wall."""

from __future__ import annotations

import math
from fractions import Fraction

LIVE_TIME_BASE = Fraction(1, 90000)
"""Of all live inputs, whatever their source counts in; the unit of MPEG-TS."""

_LARGEST_DRIFT_S = 1.0


class LiveClock:
    """Places live pictures on one timeline that goes on when their source starts over.

    Within one run of the source its own times count, because arrival jitters. They are anchored to
    arrival at the first picture, and again when they do not go on, as in a file that is paused or
    starts over, or drift apart from it: after a loss, a jump of the source's clock, or a burst.
    """

    def __init__(self) -> None:
        self._start: float | None = None  # arrival of the first picture
        self._anchor = 0.0  # arrival minus the source's time [s]
        self._time = -math.inf  # of the source, at the last picture that had one [s]
        self._last = -1

    def place(self, time: float | None, arrival: float) -> int:
        """The pts of a picture in units of `LIVE_TIME_BASE`, larger than the last.

        Args:
            time: of the source [s]; None if it does not say.
            arrival: of the picture, by `time.monotonic` [s].
        """
        if self._start is None:
            self._start = arrival
            self._anchor = arrival - (time or 0.0)
        placed = arrival
        if time is not None:
            placed = time + self._anchor
            if time <= self._time or abs(placed - arrival) > _LARGEST_DRIFT_S:
                self._anchor += arrival - placed
                placed = arrival
            self._time = time
        self._last = max(round((placed - self._start) / LIVE_TIME_BASE), self._last + 1)
        return self._last
