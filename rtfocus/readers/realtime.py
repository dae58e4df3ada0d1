"""Recorded frames at the pace at which they were recorded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

from rtfocus.frame import Frame, StreamInfo
from rtfocus.readers.base import Reader

_DEFAULT_RATE = Fraction(25)

_LATEST_S = 0.5
"""A reader that falls behind by more goes on from there instead of hurrying after."""


class RealtimeReader(Reader):
    """Gives every frame when its time has come, as a live source would.

    Frames get `captured`, the moment they are given. With `loop` the source is opened again at its
    end, and times go on.
    """

    def __init__(self, open_source: Callable[[], Reader], *, loop: bool = False) -> None:
        """Open the source.

        Args:
            open_source: opens it at its beginning.
            loop: play it again and again.

        Raises:
            RtfocusError: of `open_source`.
        """
        self._open, self._loop = open_source, loop
        self._closed = threading.Event()
        self._reader = open_source()
        info = self._reader.info
        self._info = replace(
            info,
            live=True,
            rate=info.rate or _DEFAULT_RATE,
            frames=None if loop else info.frames,
            media=None if loop else info.media,
        )

    @property
    def info(self) -> StreamInfo:
        """Of the source, but live; in a loop without a number of frames, and without sound."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Frames in real time, until the end, which a loop has not, or `close`."""
        time_base = self._info.time_base
        step = max(1, round(1 / ((self._info.rate or _DEFAULT_RATE) * time_base)))
        start: float | None = None  # by time.monotonic, of time nought
        offset = index = 0
        while True:
            first = end = None
            for frame in self._reader:
                first = frame.pts if first is None else first
                end = frame.pts + (frame.duration or step)
                pts = frame.pts + offset
                now = time.monotonic()
                if start is None or now - (start + float(pts * time_base)) > _LATEST_S:
                    start = now - float(pts * time_base)
                if self._closed.wait(max(0.0, start + float(pts * time_base) - now)):
                    return
                yield replace(frame, index=index, pts=pts, captured=time.monotonic())
                index += 1
            self._reader.close()
            if not self._loop or first is None or end is None or self._closed.is_set():
                return
            offset += end - first
            self._reader = self._open()

    def close(self) -> None:
        """End an iteration that is under way, and close the source."""
        self._closed.set()
        self._reader.close()
