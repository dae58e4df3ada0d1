"""Depth over time on the GPU: `rtfocus.smooth.Smoother` with the same arithmetic.

What the CPU finds out from maps and pictures (scale and shift, noise, cuts), only the GPU knows
here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from rtfocus.cuda.disparity import DeviceDisparity
from rtfocus.cuda.gpu import Array, Gpu
from rtfocus.cuda.normalise import CELLS, THREADS, CudaNormaliser
from rtfocus.frame import Frame, Scale

_LONGEST = 127
"""Frames that a still pixel remembers at strength 1; as in `rtfocus.smooth`."""

_TILE = 32
"""Side of the square that a block of threads of `differ` works on; as in smooth.cu."""

_PER_BLOCK = 4096
"""Values that a block of threads of `search` looks at; as in smooth.cu."""

_BINS = 2048
_SEARCH, _FIT = 5, 5
"""Words of the structures in smooth.cu."""

_RUNNING, _FIRST, _AGAIN = range(3)
"""How a measurement continues: the mean goes on, is the first of all, or starts anew."""


@dataclass(slots=True)
class _Measured:
    """One frame after the causal filter, as look-ahead needs it.

    Attributes:
        number: of the last measurement; it lies in the ring at this number modulo its length.
        is_new: whether the frame brought it.
        measured_at: number of the frame that did.
    """

    frame: Frame
    number: int
    is_new: bool
    measured_at: int


class CudaSmoother:
    """A recursive mean per pixel, with look-ahead, without waiting for the GPU.

    The CPU gives out the frames that wait at a cut. Here nobody knows of it in time: `ahead` frames
    always wait, and of those that follow only the ones of the same shot join in.
    """

    def __init__(self, gpu: Gpu, scale: Scale, *, strength: float, ahead: int = 0) -> None:
        """Args: as of `rtfocus.smooth.Smoother`."""
        self._gpu, self._scale = gpu, scale
        self.set_strength(strength)
        self._ahead = ahead
        self._normaliser = CudaNormaliser(gpu, scale)
        self._last: _Measured | None = None
        self._raw: Array = None
        self._ring: _Ring
        self._no_fit = gpu.upload(np.array([1, 0, 0, 0, 0], np.float32))
        self._none = gpu.zeros(1, np.int32)

    def set_strength(self, strength: float) -> None:
        """See `rtfocus.smooth.Smoother.set_strength`."""
        self._longest = float(np.float32(1 + strength * (_LONGEST - 1)))

    def update(self, disparity: Array, frame: Frame) -> DeviceDisparity:
        """The smoothed, normalised disparity of the newest frame.

        Args:
            disparity: (gh, gw) float32 in the units of the scale. The very same array as for the
                frame before means that there is no new measurement.
            frame: what it belongs to; its picture (h, w, 3) uint8 on the GPU.
        """
        return self._give(self._measure(disparity, frame))

    def stream(
        self, pairs: Iterable[tuple[Frame, Array]]
    ) -> Iterator[tuple[Frame, DeviceDisparity]]:
        """Frames with their smoothed disparity, each given out when `ahead` more have come in."""
        waiting: deque[_Measured] = deque()
        for frame, disparity in pairs:
            if self._last is not None and self._ring.shape != disparity.shape:
                while waiting:
                    yield self._release(waiting)
            waiting.append(self._measure(disparity, frame))
            if len(waiting) > self._ahead:
                yield self._release(waiting)
        while waiting:
            yield self._release(waiting)

    def _measure(self, disparity: Array, frame: Frame) -> _Measured:
        """Take one frame into the running mean."""
        last, raw = self._last, self._raw
        self._raw = disparity
        if last is not None and disparity is raw:
            self._last = replace(last, frame=frame, is_new=False)
            return self._last
        start, number = _RUNNING, 0
        if last is None or self._ring.shape != disparity.shape:
            start = _FIRST if last is None else _AGAIN
            self._ring = _Ring(self._gpu, disparity.shape, self._ahead + 1)
        else:
            number = last.number + 1
        self._take(disparity, frame.image, start, number)
        self._last = _Measured(frame, number, is_new=True, measured_at=frame.index)
        return self._last

    def _take(self, disparity: Array, image: Array, start: int, number: int) -> None:
        """Put the measurement of this number into the ring."""
        ring, launch = self._ring, self._gpu.launch
        before, after = max(number - 1, 0) % ring.slots, number % ring.slots
        height, width = ring.shape
        relative = self._scale == "relative"
        launch(
            "align", "brightness", (width, height), image, *image.shape[:2], ring.grey, height,
            width,
        )  # fmt: skip
        running = ring.values[before] if start == _RUNNING else disparity
        launch(
            "align", "compare", (*THREADS, 3), ring.grey, disparity, running, height, width,
            relative, ring.cells, ring.thumbnail, ring.fit, ring.ticket, block=(32, 8, 1),
        )  # fmt: skip
        if start == _RUNNING:
            one = (0, 1, 1, self._none, 0)
            self._differ(
                disparity, one, ring.fit, before, ring.grey, before, out=ring.aligned[after]
            )
        launch(
            "smooth", "remember", (width, height), disparity, ring.grey, ring.fit, ring.sizes,
            ring.searches, relative, start, self._longest, height, width, before, after, ring.shots,
            ring.cuts, ring.aligned, ring.values, ring.counts, ring.greys,
        )  # fmt: skip

    def _differ(
        self, maps: Array, which: tuple[Array, ...], fit: Array, value: int, after: Array,
        before: int, *, out: Array,
    ) -> None:  # fmt: skip
        """Compare the mean of some maps with a value in the ring, and find what noise makes out.

        Args:
            maps: of which `which` tells the first, how many, of how many in all, the number of the
                shot of each, and the one whose shot counts.
            fit: their scale and shift.
            value: where in the ring the value is.
            after: brightness with each map.
            before: where in the ring the brightness is that it is compared with.
            out: (h, w) float32, the mean.
        """
        ring, launch = self._ring, self._gpu.launch
        height, width = ring.shape
        launch(
            "smooth", "differ", (width, -(-height // _TILE) * 8), maps, *which, fit,
            ring.values[value], ring.greys[before], after, height, width, out, ring.sizes,
            ring.searches, ring.bins,
        )  # fmt: skip
        blocks = -(-height * width // _PER_BLOCK)
        for shift in (10, 0):
            launch(
                "smooth", "search", (32 * blocks, 8 * 3), ring.sizes, height * width, shift,
                ring.searches, ring.bins,
            )  # fmt: skip

    def _release(self, waiting: deque[_Measured]) -> tuple[Frame, DeviceDisparity]:
        """The oldest frame that waits, with what those after it of its shot say."""
        first = waiting.popleft()
        later = [m for m in waiting if m.is_new]
        if later and not first.is_new:
            gap = later[0].measured_at - first.frame.index
            nearer = gap < first.frame.index - first.measured_at
            return first.frame, self._give(first, later[0].number if nearer else None)
        if not later or self._longest <= 1:
            return first.frame, self._give(first)
        ring = self._ring
        own = first.number % ring.slots
        which = (later[0].number % ring.slots, len(later), ring.slots)
        self._differ(
            ring.aligned, (*which, ring.shots, own), self._no_fit, own, ring.greys, own,
            out=ring.joined,
        )  # fmt: skip
        height, width = ring.shape
        self._gpu.launch(
            "smooth", "join", (width, height), ring.joined, ring.values[own], ring.counts[own],
            ring.sizes, ring.searches, ring.shots, own, *which, height, width,
        )  # fmt: skip
        cut = ring.cuts[own : own + 1]
        return first.frame, self._normaliser.update(ring.joined[None], 0, 0, self._none, cut)

    def _give(self, measured: _Measured, other: int | None = None) -> DeviceDisparity:
        """A measurement as it is, or the other one if that is of the same shot."""
        ring = self._ring
        own = measured.number % ring.slots
        taken = own if other is None else other % ring.slots
        cut = ring.cuts[own : own + 1] if measured.is_new else self._none
        return self._normaliser.update(ring.values, own, taken, ring.shots, cut)


class _Ring:
    """The last measurements of one size, and working memory.

    Attributes:
        shape: rows and columns of a map.
        slots: how many measurements are kept.
        aligned: in the units of the running mean, (slots, h, w) float32.
        values: running mean.
        counts: how many measurements it is the mean of.
        greys: mean brightness over the same memory.
        shots: number of the shot, (slots,) int32.
        cuts: 1 where the measurement begins a shot.
    """

    def __init__(self, gpu: Gpu, shape: tuple[int, int], slots: int) -> None:
        self.shape, self.slots = shape, slots
        self.aligned, self.values, self.counts, self.greys = (
            gpu.empty((slots, *shape), np.float32) for _ in range(4)
        )
        self.shots, self.cuts = (gpu.zeros(slots, np.int32) for _ in range(2))
        self.grey, self.joined = (gpu.empty(shape, np.float32) for _ in range(2))
        self.thumbnail, self.cells = gpu.zeros(CELLS, np.float32), gpu.empty(5 * CELLS, np.float32)
        self.fit = gpu.empty(_FIT, np.float32)
        self.ticket = gpu.zeros(1, np.int32)
        self.sizes = gpu.empty((3, *shape), np.float32)
        self.searches = gpu.zeros((3, _SEARCH), np.uint32)
        self.bins = gpu.zeros(3 * _BINS, np.int32)
