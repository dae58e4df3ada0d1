"""Depth over time: steady where nothing moves, immediate where something does."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from rtfocus.align import align
from rtfocus.frame import Disparity, Frame, Map, Scale
from rtfocus.normalise import Normaliser
from rtfocus.shots import Shots

_LONGEST = 127
"""Frames that a still pixel remembers at strength 1."""

_STILL, _MOVING = 12.0, 2.0
"""Residual over noise from which depth counts as changed, where the picture stands or moves."""

_OWN = 0.7
"""Weight of a single pixel's residual, against that of a window."""

_NEIGHBOURS = np.ones((3, 3), np.uint8)
_CUT_DEPTH = 0.12
"""Misfit of the depth maps that makes a cut of what may be one by the picture."""


@dataclass(slots=True)
class _Measured:
    """One frame after the causal filter, as look-ahead needs it."""

    frame: Frame
    grey: Map  # mean brightness over the memory
    aligned: Map | None  # None: no new measurement
    value: Map
    count: Map
    measured_at: int  # frame number
    cut: bool = False


class Smoother:
    """A recursive mean per pixel whose memory is cut where depth really changes.

    A pixel keeps the mean of its last measurements and how many they are. Each new map is first
    brought to the running one's scale and shift. Where it then differs from the mean by more than
    noise explains, over a small neighbourhood, the memory shrinks, down to nothing but the new
    value; where the picture itself stands still, it takes more evidence. So noise averages out on
    walls, and edges that move do not trail.

    With look-ahead, frames are given out later, and the mean of those that follow joins in where it
    agrees.
    """

    def __init__(self, scale: Scale, *, strength: float, ahead: int = 0) -> None:
        """Args: strength: 0..1, length of the memory. ahead: frames that `stream` holds back."""
        self._scale = scale
        self.set_strength(strength)
        self._ahead = ahead
        self._normaliser = Normaliser(scale)
        self._last: _Measured | None = None
        self._raw: Map | None = None
        self._shots = Shots()

    def set_strength(self, strength: float) -> None:
        """Use another length of the memory from the next map on; any thread may."""
        self._longest = np.float32(1 + strength * (_LONGEST - 1))

    def update(self, disparity: Map, frame: Frame) -> Disparity:
        """The smoothed, normalised disparity of the newest frame.

        Args:
            disparity: (gh, gw) float32 in the units of `scale`. The very same array as for the
                frame before means that there is no new measurement.
            frame: what it belongs to.
        """
        measured = self._measure(disparity, frame)
        return self._normaliser.update(measured.value, cut=measured.cut)

    def stream(self, pairs: Iterable[tuple[Frame, Map]]) -> Iterator[tuple[Frame, Disparity]]:
        """Frames with their smoothed disparity, each given out when `ahead` more have come in."""
        waiting: deque[_Measured] = deque()
        for frame, disparity in pairs:
            measured = self._measure(disparity, frame)
            if measured.cut:
                while waiting:
                    yield self._release(waiting)
            waiting.append(measured)
            if len(waiting) > self._ahead:
                yield self._release(waiting)
        while waiting:
            yield self._release(waiting)

    def _measure(self, disparity: Map, frame: Frame) -> _Measured:
        """Take one frame into the running mean."""
        previous, raw = self._last, self._raw
        self._raw = disparity
        if previous is not None and disparity is raw:
            self._last = replace(previous, frame=frame, aligned=None, cut=False)
            return self._last
        grey = _grey(frame, disparity)
        may_be_cut = self._shots.may_begin(grey)
        if previous is None or previous.value.shape != disparity.shape:
            return self._start(disparity, frame, grey)
        aligned, misfit = disparity, 0.0
        if self._scale == "relative":
            scale, shift, misfit = align(disparity, previous.value)
            aligned = disparity * np.float32(scale) + np.float32(shift)
        else:
            spread = float(np.ptp(previous.value)) or 1.0
            misfit = float(np.median(np.abs(disparity - previous.value))) / spread
        if may_be_cut and misfit > _CUT_DEPTH:
            return self._start(disparity, frame, grey)
        change = _change(aligned - previous.value, _motion(previous.grey, grey))
        count = np.minimum(previous.count * (1 - change) + 1, self._longest)
        value = previous.value + (aligned - previous.value) / count
        memory = previous.grey + (grey - previous.grey) / count
        self._last = _Measured(frame, memory, aligned, value, count, frame.index)
        return self._last

    def _start(self, disparity: Map, frame: Frame, grey: Map) -> _Measured:
        """Forget everything before this frame."""
        cut = self._last is not None
        once = np.ones_like(disparity)
        self._last = _Measured(frame, grey, disparity, disparity, once, frame.index, cut)
        return self._last

    def _release(self, waiting: deque[_Measured]) -> tuple[Frame, Disparity]:
        """The oldest frame that waits, with what those after it say."""
        first = waiting.popleft()
        value = first.value
        later = [m for m in waiting if m.aligned is not None]
        if later and first.aligned is None:
            gap = later[0].measured_at - first.frame.index
            if gap < first.frame.index - first.measured_at:
                value = later[0].value
        elif later and self._longest > 1:
            maps = [m.aligned for m in later if m.aligned is not None]
            future: Map = np.mean(maps, axis=0, dtype=np.float32)
            change = _change(future - value, _motion(first.grey, later[-1].grey))
            count: Map = np.float32(len(maps)) * (1 - change)
            value = value + (future - value) * (count / (first.count + count))
        return first.frame, self._normaliser.update(value, cut=first.cut)


def _change(residual: Map, motion: Map) -> Map:
    """How surely depth changed, 0..1 per pixel, from its residual and the motion in the picture.

    Both the residual's mean over a small window is looked at, in which noise averages out, and the
    residual itself, because the two sides of something thin that moved cancel in the mean.
    """
    window = cv2.blur(residual, (3, 3)).astype(np.float32, copy=False)
    evidence = np.maximum(_over_noise(window), _OWN * _over_noise(residual))
    change = np.clip(evidence / (_STILL + (_MOVING - _STILL) * motion) - 1, 0, 1)
    return cv2.dilate(change, _NEIGHBOURS).astype(np.float32, copy=False)


def _over_noise(residual: Map) -> Map:
    """The residual's magnitude over its typical one, which is that of noise."""
    size: Map = np.abs(residual)
    size /= np.float32(1.4826 * float(np.median(size)) + 1e-9)
    return size


def _motion(before: Map, after: Map) -> Map:
    """How surely the picture moved, 0..1 per pixel, against its own noise."""
    difference = cv2.blur(np.abs(after - before), (3, 3)).astype(np.float32, copy=False)
    noise = 1.4826 * float(np.median(difference)) + 0.5
    return np.asarray(np.clip(difference / np.float32(3 * noise) - 1, 0, 1), np.float32)


def _grey(frame: Frame, disparity: Map) -> Map:
    """The picture's brightness, in levels, at the size of the disparity."""
    height, width = disparity.shape
    small = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
