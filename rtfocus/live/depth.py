"""Steady depth for every frame at once, however long the network takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from rtfocus.engine import Engine
from rtfocus.frame import Frame
from rtfocus.newest import Closed, Newest


class LiveDepth(Protocol):
    """Gives every frame a disparity: its own, or the last one there was."""

    def update(self, frame: Frame, every: int) -> tuple[Frame, Any]:
        """The frame on the device, and its steady disparity as `Engine.take` wants it.

        Args:
            frame: the newest one; one that is shown again as `lost` is not measured.
            every: measure every Nth frame at most.

        Raises:
            RtfocusError: depth cannot be had.
        """

    def close(self) -> None:
        """End; safe to call twice."""


class InTurn:
    """Measures in the caller's thread: for depth that is there at once, and for GPUs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pace = _Pace()
        self._steady: Any = None

    def update(self, frame: Frame, every: int) -> tuple[Frame, Any]:
        """See `LiveDepth`."""
        if self._pace.is_due(frame, every):
            frame, steady = self._engine.measure(frame)
            self._steady = self._engine.backend.carry(steady)
            return frame, steady
        (frame,) = self._engine.backend.upload([frame])
        return frame, self._steady

    def close(self) -> None:
        """Nothing to end."""


class OwnThread:
    """Measures in a thread of its own, on the host; the last map is carried forward meanwhile.

    The newest frame is measured next, so a slow network lowers the rate of maps, not of pictures.
    """

    def __init__(self, engine: Engine, rest: Callable[[], float] = lambda: 0.0) -> None:
        """Args: rest: how long to rest after a map, as a multiple of the time that it took."""
        self._engine, self._rest = engine, rest
        self._pace = _Pace()
        self._frames: Newest[Frame] = Newest()
        self._changed = threading.Condition()
        self._steady: Any = None
        self._error: BaseException | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rtfocus-depth", daemon=True)
        self._thread.start()

    def update(self, frame: Frame, every: int) -> tuple[Frame, Any]:
        """See `LiveDepth`; waits for the first map, and never again."""
        if self._pace.is_due(frame, every):
            self._frames.put(frame)
        with self._changed:
            self._changed.wait_for(lambda: self._steady is not None or self._error is not None)
            if self._error is not None:
                raise self._error
            steady = self._steady
            self._steady = self._engine.backend.carry(steady)
        return frame, steady

    def close(self) -> None:
        """End the thread and wait for it."""
        self._closed.set()
        self._frames.close()
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                frame = self._frames.get()
                begun = time.monotonic()
                _, steady = self._engine.measure(frame)
                with self._changed:
                    if self._steady is not None and self._steady.cut:
                        steady = replace(steady, cut=True)  # that of a map that nobody took
                    self._steady = steady
                    self._changed.notify_all()
                self._closed.wait(self._rest() * (time.monotonic() - begun))
        except Closed:
            return
        except BaseException as error:
            with self._changed:
                self._error = error
                self._changed.notify_all()


class _Pace:
    """Which frames are measured."""

    def __init__(self) -> None:
        self._left = 0
        self._image: object = None

    def is_due(self, frame: Frame, every: int) -> bool:
        """Whether the depth of this frame is to be measured; not that of a picture shown again."""
        if frame.lost or frame.image is self._image:
            return False
        self._image = frame.image
        self._left = min(self._left, every) - 1
        if self._left > 0:
            return False
        self._left = every
        return True
