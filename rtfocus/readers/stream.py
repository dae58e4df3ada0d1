"""Network streams as inputs: rtsp, http(s), udp, tcp, rtmp."""

from __future__ import annotations

import av
import av.container

from rtfocus.errors import InputError
from rtfocus.readers.address import check_address, shown
from rtfocus.readers.base import Reader
from rtfocus.readers.capture import Capture
from rtfocus.readers.clock import LiveClock
from rtfocus.readers.decoding import Decoding
from rtfocus.readers.feed import LiveFeed
from rtfocus.readers.reopening import ReopeningReader
from rtfocus.readers.video import VideoReader
from rtfocus.settings import OnLoss

INPUT_SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "tcp", "rtmp", "rtmps")

_OPEN_S, _READ_S, _SEGMENT_S = 10.0, 5.0, 15.0
"""Seconds without any data after which opening and reading are given up; the last of http(s), where
a segment may take that long to be there."""

_HOLD_S = 1.0
"""Seconds without a picture after which the last one is marked as lost."""

_ANALYSIS = {"analyzeduration": "1000000", "probesize": "1000000", "fpsprobesize": "2"}
"""Bounds of what is looked at before the first picture: microseconds, bytes, pictures.

Counting more pictures for the rate would take two thirds of a second.
What was looked at is not thrown away (fflags=nobuffer): it holds the first key frame, without which
the picture would only come with the next, and decoding catches up with it at once.
"""

_OPTIONS = {
    "rtsp": {"rtsp_flags": "prefer_tcp"},
    "rtsps": {"rtsp_flags": "prefer_tcp"},
    "udp": {"overrun_nonfatal": "1"},
    "rtmp": {"rtmp_live": "live", "rtmp_buffer": "100"},
    "rtmps": {"rtmp_live": "live", "rtmp_buffer": "100"},
}


def open_stream(
    url: str,
    on_loss: OnLoss = "wait",
    start: float = 0.0,
    decoding: Decoding | None = None,
    first: av.container.InputContainer | None = None,
) -> Reader:
    """Open a stream.

    One that states how long it lasts, as a clip on a web server does, is read like a file, without
    dropping anything; any other is live.

    Args:
        url: as the user gave it.
        on_loss: what to do when it is lost, see `ReopeningReader`.
        start: of what is read like a file, see `open_reader`.
        decoding: see `LiveFeed`.
        first: a connection that is there already, of `open_address`.

    Raises:
        UsageError: no URL of `INPUT_SCHEMES`.
        InputError: nobody there, or nothing that can be decoded, within about 10 s.
    """
    if first is None and is_web(url):
        first = open_address(url)
    if first is not None and is_clip(first):
        first.close()
        return VideoReader(url, decoding, start=start)
    connect = _Connections(url, first, decoding)
    return Capture(shown(url), lambda: ReopeningReader(shown(url), connect, on_loss), hold=_HOLD_S)


def is_web(source: str) -> bool:
    """Whether an input is at an http(s) address: a clip or something live, which opening tells."""
    return source.lower().startswith(("http://", "https://"))


def is_clip(container: av.container.InputContainer) -> bool:
    """Whether what was opened states how long it lasts."""
    return bool(container.duration)


class _Connections:
    """Connects again and again, the first time with what is open already, if anything is."""

    def __init__(
        self, url: str, first: av.container.InputContainer | None, decoding: Decoding | None
    ) -> None:
        self._url, self._first, self._decoding = url, first, decoding
        self._clock = LiveClock()

    def __call__(self) -> LiveFeed:
        container, self._first = self._first or open_address(self._url), None
        return LiveFeed(shown(self._url), "stream", container, self._clock, self._decoding)


def open_address(url: str) -> av.container.InputContainer:
    """Connect to a stream.

    Raises:
        UsageError: no URL of `INPUT_SCHEMES`.
        InputError: nobody answers in time.
    """
    scheme = check_address(url, INPUT_SCHEMES)
    try:
        return av.open(
            url,
            options={**_ANALYSIS, **_OPTIONS.get(scheme, {})},
            metadata_errors="replace",
            timeout=(_OPEN_S, _SEGMENT_S if is_web(url) else _READ_S),
        )
    except av.FFmpegError as error:
        late = isinstance(error, av.ExitError)  # PyAV's own timeout
        reason = f"no answer within {_OPEN_S:g} s" if late else error.strerror
        raise InputError(
            f"{shown(url)!r} cannot be opened ({reason}). Check that the sender is running "
            "and the address is right."
        ) from error
