"""All outputs of a live run, each with a slot and a thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from rtfocus.depth.save import open_depth_writer
from rtfocus.frame import Disparity, Frame, StreamInfo
from rtfocus.live.outlet import Outlet
from rtfocus.pipeline import open_output
from rtfocus.readers.address import is_address
from rtfocus.readers.clock import LIVE_TIME_BASE, LiveClock
from rtfocus.readers.reopening import fit
from rtfocus.settings import Settings
from rtfocus.writers import WINDOW, Writer, check_apart, check_output, is_live_output

_log = logging.getLogger("rtfocus")

_RECORDED_AHEAD = 32
"""Frames that a recording may be behind before one is lost."""


class Outputs:
    """Files, streams, virtual cameras and windows; one that fails ends alone."""

    def __init__(
        self,
        names: Sequence[str],
        info: StreamInfo,
        settings: Settings,
        *,
        overwrite: bool,
        open_window: Callable[[], Writer],
    ) -> None:
        """Open them all.

        Args:
            names: as the user gave them.
            info: of the input; later ones are fitted into its size.
            settings: for codecs, and for what else is recorded.
            overwrite: replace files that are there.
            open_window: opens the preview window.

        Raises:
            RtfocusError: one cannot be opened.
        """
        info = replace(info, time_base=LIVE_TIME_BASE, media=None)
        if info.has_sound and any(not is_live_output(name) or is_address(name) for name in names):
            _log.warning("%s: its sound is left out, as always in live video", info.source)
        self._size, self._clock = (info.width, info.height), LiveClock()
        self._stack = ExitStack()
        self._shown: list[Outlet[Frame]] = []  # to people at this machine
        self._sent: list[Outlet[Frame]] = []
        self._originals: list[Outlet[Frame]] = []
        self._depths: list[Outlet[tuple[Frame, Disparity]]] = []

        with self._stack:
            for name in names:
                if name == WINDOW:
                    self._open(self._shown, name, open_window, 1)
                    continue
                kept = 1 if is_live_output(name) else _RECORDED_AHEAD
                opener = partial(_open_file, name, names, info, settings, overwrite)
                self._open(self._sent, name, opener, kept)
            if (original := settings.record_original) is not None:
                opener = partial(_open_file, original, names, info, settings, overwrite)
                self._open(self._originals, original, opener, _RECORDED_AHEAD)
            for name in depth_recordings(settings):
                keep = partial(_DepthSink, name, info, overwrite)
                self._open(self._depths, name, keep, _RECORDED_AHEAD)
            self._stack = self._stack.pop_all()

    @property
    def is_shown(self) -> bool:
        """Whether pictures are shown in a window."""
        return any(outlet.wants for outlet in self._shown)

    @property
    def is_sent(self) -> bool:
        """Whether pictures are recorded, or sent to where someone may watch them."""
        return any(outlet.wants for outlet in self._sent)

    @property
    def is_recorded(self) -> bool:
        """Whether the original or depth is recorded."""
        recordings: list[Outlet[Any]] = [*self._originals, *self._depths]
        return any(outlet.wants for outlet in recordings)

    @property
    def errors(self) -> tuple[Exception, ...]:
        """Why those have ended that have."""
        return tuple(outlet.error for outlet in self._all() if outlet.error is not None)

    @property
    def is_dead(self) -> bool:
        """Whether all have ended, if there were any."""
        return 0 < len(self._all()) == len(self.errors)

    @property
    def failures(self) -> tuple[str, ...]:
        """What a user should know of those that have ended."""
        return tuple(f"{o.name} has stopped: {o.error}" for o in self._all() if o.error)

    def stamp(self, frame: Frame, captured: float) -> Frame:
        """The frame with a time that only goes on, whatever its source does; once per frame."""
        pts = self._clock.place(frame.time, captured)
        return replace(frame, pts=pts, time_base=LIVE_TIME_BASE, duration=0)

    def show(self, frame: Frame) -> None:
        """Show a stamped picture in the window."""
        self._put(self._shown, frame)

    def send(self, frame: Frame) -> None:
        """Send and record a stamped, refocused picture."""
        self._put(self._sent, frame)

    def record(self, original: Frame, disparity: Disparity) -> None:
        """Record what the camera saw, stamped, and how far it was."""
        self._put(self._originals, original)
        for outlet in self._depths:
            outlet.put((original, disparity))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # What was live cannot be had again: it is kept, whatever has ended the run.
        self._stack.close()
        for outlet in self._all():
            if outlet.drops and not is_live_output(outlet.name):
                _log.warning("%s was too slow for %d frames", outlet.name, outlet.drops)

    def _open(self, outlets: list[Any], name: str, opener: Callable[[], Any], kept: int) -> None:
        outlets.append(self._stack.enter_context(Outlet(name, opener, capacity=kept)))

    def _put(self, outlets: list[Outlet[Frame]], frame: Frame) -> None:
        for outlet in outlets:
            outlet.put(frame.with_image(fit(frame.image, self._size)))

    def _all(self) -> list[Outlet[Any]]:
        return [*self._shown, *self._sent, *self._originals, *self._depths]


def check_outputs(
    names: Sequence[str], source: str, settings: Settings, *, overwrite: bool
) -> None:
    """Check what can be known of the outputs before any work starts; errors as `check_output`."""
    original = () if settings.record_original is None else (settings.record_original,)
    for name in (*names, *original):
        check_output(name, source, overwrite=overwrite)
    written = (*names, *original, *depth_recordings(settings))
    check_apart(written, (source, settings.depth, settings.keyframes))


def depth_recordings(settings: Settings) -> tuple[str, ...]:
    """Where depth is recorded: what was asked for, and beside an original."""
    names = [] if settings.save_depth is None else [settings.save_depth]
    if settings.record_original is not None:
        names.append(str(Path(settings.record_original).with_suffix(".depth.mkv")))
    return tuple(dict.fromkeys(names))


def _open_file(
    name: str, names: Sequence[str], info: StreamInfo, settings: Settings, overwrite: bool
) -> Writer:
    """An output that is no window; a file's options are not meant for a stream beside it."""
    has_file = settings.record_original is not None or not all(map(is_live_output, names))
    if is_live_output(name) and has_file:
        settings = replace(settings, codec=None, crf=None, encoder_preset=None)
    return open_output(name, info, settings, overwrite=overwrite)


class _DepthSink:
    """A depth writer that takes a frame and its disparity in one."""

    def __init__(self, name: str, info: StreamInfo, overwrite: bool) -> None:
        self._writer = open_depth_writer(name, info, overwrite=overwrite)
        self.watched = True

    def write(self, item: tuple[Frame, Disparity]) -> None:
        self._writer.write(*item)

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self._writer.__exit__(kind, *exc)
