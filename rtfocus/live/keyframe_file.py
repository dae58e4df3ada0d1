"""Keeps the keyframes of a clip in their file while they are edited."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from rtfocus.errors import OutputError, UsageError
from rtfocus.focus.keyframes import Keyframe, Keyframes
from rtfocus.live.control import Control
from rtfocus.live.messages import read_changes
from rtfocus.state import MODES, LiveState, as_messages

_log = logging.getLogger("rtfocus")

_REST_S = 0.5
"""Seconds without a change after which they are written: one that is dragged changes all the time.
"""


def read_keyframes(path: str | Path) -> Keyframes:
    """The keyframes of a file that are to be edited.

    Raises:
        InputError: it is not there or cannot be read.
        UsageError: what it says makes no sense, or is more than can be edited.
    """
    kept = Keyframes.load(path)
    message = {"type": "keyframes", "keyframes": as_messages(kept.frames)}
    try:
        read_changes(message, LiveState(), None, MODES)
    except UsageError as error:
        raise UsageError(f"{str(path)!r}: {error}") from error
    return kept


class KeyframeFile:
    """The file of a clip's keyframes; what is changed on the page is written soon after."""

    def __init__(self, path: Path, control: Control) -> None:
        """Have the control start with what the file holds, if it is there.

        Raises:
            RtfocusError: it is there, but cannot be read.
        """
        self._path, self._control = path, control
        frames: tuple[Keyframe, ...] = ()
        if path.exists():
            kept = read_keyframes(path)
            control.apply({"type": "set", "rack_time": kept.rack})
            frames = kept.frames
        control.apply({"type": "keyframes", "keyframes": as_messages(frames)})
        self._kept = self._seen = self._now()
        self._changed_at = 0.0

    def update(self) -> None:
        """Write what has changed and been left so for a moment; call it now and then."""
        now, keyframes = time.monotonic(), self._now()
        if keyframes != self._seen:
            self._seen, self._changed_at = keyframes, now
        elif keyframes != self._kept and now - self._changed_at > _REST_S:
            self._write(keyframes)

    def close(self) -> None:
        """Write what is left to write."""
        if self._now() != self._kept:
            self._write(self._now())

    def _now(self) -> Keyframes:
        state = self._control.snapshot()
        return Keyframes(state.keyframes, state.rack_time)

    def _write(self, keyframes: Keyframes) -> None:
        before, self._kept = self._kept, keyframes
        if not keyframes.frames and not before.frames:
            return  # a rack time alone is no reason for a file
        try:
            keyframes.save(self._path)
        except OutputError as error:
            _log.error("%s", error)
