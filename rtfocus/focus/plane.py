"""Where the plane of focus lies, from frame to frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rtfocus.errors import UsageError
from rtfocus.frame import Disparity, Frame, Map

WINDOW = 0.02
"""Half width of the window around a point, as a share of the picture's height."""

_SAME_THING = 0.08
"""Difference in normalised disparity within one thing."""

_HOLD = 0.015
"""A change of the thing's disparity that does not move the plane: noise."""

_FARTHEST = 1000.0
"""Where a plane may be put on either side of 0: a scene spans about 0..1."""

FOLLOW = 0.35
"""Share of a larger change that the plane follows in every thirtieth of a second."""

NOT_METRIC = (
    "a focus distance in metres needs metric depth; this depth is relative. "
    "Focus on a point (--focus X,Y) or a disparity (--focus-disparity D)"
)


@dataclass(frozen=True, slots=True)
class FocusPoint:
    """The thing at a point, 0..1 of width and height from the top left."""

    x: float
    y: float

    def __post_init__(self) -> None:
        if not (0 <= self.x <= 1 and 0 <= self.y <= 1):
            raise UsageError(
                f"focus {self.x:g},{self.y:g}: both must lie in 0..1, from the top left corner"
            )


@dataclass(frozen=True, slots=True)
class FocusDistance:
    """A distance in metres; needs metric depth."""

    metres: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.metres) and self.metres > 0):
            raise UsageError(f"focus distance {self.metres!r}: must be a number of metres above 0")


@dataclass(frozen=True, slots=True)
class FocusDisparity:
    """A normalised disparity."""

    value: float

    def __post_init__(self) -> None:
        if not abs(self.value) <= _FARTHEST:
            raise UsageError(
                f"focus disparity {self.value!r}: must be {-_FARTHEST:g} to {_FARTHEST:g}"
            )


FocusTarget = FocusPoint | FocusDistance | FocusDisparity


class SteadyPlane:
    """Keeps a plane of focus on a thing whose disparity is measured, with noise, in every frame.

    The plane rests until the thing has moved by more than noise, then follows it at a rate that
    does not depend on the frame rate, until it is there. At a cut it jumps.
    """

    def __init__(self) -> None:
        self._plane: float | None = None
        self._time = 0.0
        self._following = False

    def update(self, seen: float, time: float, *, cut: bool) -> float:
        """Normalised disparity of the plane, from that of the thing in a frame."""
        elapsed, self._time = max(time - self._time, 0.0), time
        if self._plane is None or cut:
            self._plane, self._following = seen, False
            return seen
        away = seen - self._plane
        if abs(away) > _HOLD:
            self._following = True
        elif abs(away) < _HOLD / 4:
            self._following = False
        if self._following:
            self._plane += away * (1 - (1 - FOLLOW) ** (30 * elapsed))
        return self._plane


class Focuser:
    """Keeps the plane on its target; what is at a point is followed in depth (`SteadyPlane`)."""

    def __init__(self, target: FocusTarget) -> None:
        self._target = target
        self._plane = SteadyPlane()

    def update(self, disparity: Disparity, frame: Frame) -> float:
        """Normalised disparity of the plane of focus.

        Raises:
            UsageError: a distance was asked for, but depth is not metric.
        """
        if isinstance(self._target, FocusDisparity):
            return self._target.value
        if isinstance(self._target, FocusDistance):
            return disparity_of_distance(self._target.metres, disparity)
        seen = disparity_at(self._target, disparity.values)
        return self._plane.update(seen, frame.time, cut=disparity.cut)


def disparity_of_distance(metres: float, disparity: Disparity) -> float:
    """Normalised disparity of what is so many metres away.

    Raises:
        UsageError: depth is not metric.
    """
    if disparity.metric is None:
        raise UsageError(NOT_METRIC)
    scale, offset = disparity.metric
    return (1 / metres - offset) / scale


def distance_of(value: float, disparity: Disparity) -> float | None:
    """Metres to what has a normalised disparity; None where depth is not metric, or infinite."""
    if disparity.metric is None:
        return None
    scale, offset = disparity.metric
    inverse = scale * value + offset
    return 1 / inverse if inverse > 0 else None


def disparity_at(point: FocusPoint, values: Map) -> float:
    """Disparity of the thing under the point: the median of what is about as near as the point.

    A plain median or mean of the window would lie between two things where the point is close to an
    edge.
    """
    height, width = values.shape
    x, y = min(int(point.x * width), width - 1), min(int(point.y * height), height - 1)

    def around(reach: int) -> Map:
        return values[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]

    window = around(max(4, round(WINDOW * height)))
    # A value that is there, which a median of two things need not be.
    close = np.sort(around(1), axis=None)
    own = close[(len(close) - 1) // 2]
    return float(np.median(window[np.abs(window - own) <= _SAME_THING]))
