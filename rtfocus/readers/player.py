"""A file as a video player shows it: at its own pace, and steered while it runs."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from rtfocus.errors import InputCutShort
from rtfocus.frame import Frame, StreamInfo
from rtfocus.readers.base import Reader

_log = logging.getLogger("rtfocus")

_DEFAULT_RATE = Fraction(25)

_LATEST_S = 0.5
"""A player that falls behind by more goes on from there instead of hurrying after."""

_REPEAT_S = 0.25
"""How often a frame that stays is given again, so that all that hangs on the frames goes on."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a player is asked to do.

    Attributes:
        playing: go on, rather than stay where it is.
        seek: where to go, in seconds, see `open_reader`.
        seek_version: differs from the one before where that is asked anew.
    """

    playing: bool = True
    seek: float = 0.0
    seek_version: int = 0


@dataclass(frozen=True, slots=True)
class _Following:
    """A frame, and how many seconds after the one before it is due."""

    frame: Frame
    after: float


class Player(Reader):
    """Gives every frame when its time has come, as a live source would.

    A frame that stays, as the player was paused or is at the end, is given again and again; so is
    one that lasts long. Times are those of the file: they jump with a seek, go back in a loop, and
    are the same where a frame is given again. Numbers go on, and `captured` is the moment at which
    a frame is given. A file that breaks off ends there, with a warning.
    """

    def __init__(
        self,
        open_source: Callable[[float], Reader],
        wish: Callable[[], Wish],
        *,
        loop: bool = False,
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """Open the file where the wish says.

        Args:
            open_source: opens it so that it begins at a time, see `open_reader`.
            wish: what is asked for now; called often, in the thread that iterates.
            loop: start over at the end.
            on_end: called in that thread when the end was reached without a loop. The last frame
                stays; playing once more, after a pause, starts at the beginning.

        Raises:
            RtfocusError: of `open_source`.
        """
        self._open, self._wish, self._on_end = open_source, wish, on_end
        self._woken, self._closed = threading.Event(), False
        self.cut: InputCutShort | None = None
        """Why the file has ended too early, if it has."""
        first = wish()
        self._version = first.seek_version
        self._reader = open_source(first.seek)
        self._frames = iter(self._reader)
        info = self._reader.info
        self._loop = loop and info.kind != "image"
        self._info = replace(info, live=True, rate=info.rate or _DEFAULT_RATE, media=None)

    @property
    def info(self) -> StreamInfo:
        """Of the file, but live and without sound."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Frames until `close`; raises what opening the file anew for a seek or a loop does."""
        for index, frame in enumerate(self._shown()):
            if self._closed:
                return
            yield replace(frame, index=index, captured=time.monotonic())

    def wake(self) -> None:
        """Look at the wish, and give a frame that stays again, at once; from any thread."""
        self._woken.set()

    def close(self) -> None:
        """End an iteration that is under way, and close the file."""
        self._closed = True
        self._woken.set()
        self._reader.close()

    def _shown(self) -> Iterator[Frame]:
        """The frames, each when it is due, and those that stay again."""
        current, following = self._next(), None
        if current is None:
            return
        moment = time.monotonic()  # at which the current frame was due
        yield current
        paused = ended = False
        while not self._closed:
            wish = self._wish()
            if wish.seek_version != self._version:
                self._version = wish.seek_version
                self._go_to(wish.seek)
                current, following, ended = self._next() or current, None, False
                moment = time.monotonic()
                yield current
                continue
            wait = math.inf
            if not wish.playing:
                paused, ended = True, False
            elif not ended:
                if paused:
                    moment = time.monotonic()
                following = following or self._following(current, self._loop or paused)
                paused = False
                if following is None:
                    if self._wish() == wish and not self._closed:
                        ended = True
                        self._on_end()
                    continue
                wait = moment + following.after - time.monotonic()
            woken = self._sleep(min(wait, _REPEAT_S))
            if following is not None and wait <= _REPEAT_S:
                if woken:
                    continue  # the frame that is due soon will show what changed
                late = wait < -_LATEST_S
                moment = time.monotonic() if late else moment + following.after
                current, following = following.frame, None
            elif self._wish() != wish:
                continue
            yield current

    def _following(self, current: Frame, rewind: bool) -> _Following | None:
        """What comes after a frame; at the end the first, if it is to `rewind`."""
        frame = self._next()
        if frame is not None:
            return _Following(frame, frame.time - current.time)
        if not rewind or self._closed:
            return None
        self._go_to(0.0)
        frame = self._next()
        lasts = current.duration * current.time_base or 1 / (self._info.rate or _DEFAULT_RATE)
        return None if frame is None else _Following(frame, float(lasts))

    def _go_to(self, time: float) -> None:
        self._reader.close()
        self._reader = self._open(time)
        self._frames = iter(self._reader)
        if self._closed:  # before there was this reader
            self._reader.close()

    def _next(self) -> Frame | None:
        """The file's next frame; None at its end, even if that comes too early."""
        try:
            return next(self._frames, None)
        except InputCutShort as error:
            if self.cut is None:
                _log.warning("%s", error)
            self.cut = error
            return None

    def _sleep(self, seconds: float) -> bool:
        """Wait so long; whether `wake` or `close` ended that."""
        woken = self._woken.wait(max(0.0, seconds))
        self._woken.clear()
        return woken
