"""Network streams as inputs: rtsp, http(s), udp, tcp, rtmp."""

from __future__ import annotations

import functools

import av
import av.container

from rtfocus.errors import InputError
from rtfocus.readers.address import check_address, shown
from rtfocus.readers.base import Reader
from rtfocus.readers.capture import Capture
from rtfocus.readers.clock import LiveClock
from rtfocus.readers.feed import LiveFeed
from rtfocus.readers.reopening import OnLoss, ReopeningReader
from rtfocus.readers.video import VideoReader

INPUT_SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "tcp", "rtmp", "rtmps")

_OPEN_S, _READ_S = 10.0, 5.0
"""Seconds without any data after which opening and reading are given up."""

_HOLD_S = 1.0
"""Seconds without a picture after which the last one is marked as lost."""

_ANALYSIS = {"analyzeduration": "1000000", "probesize": "1000000"}
"""Bounds of what is looked at before the first picture, in microseconds and bytes.

Less would find no picture size between key frames that lie a second apart. What was looked at is
not thrown away (fflags=nobuffer): it holds the first key frame, and decoding catches up at once.
"""

_OPTIONS = {
    "rtsp": {"rtsp_flags": "prefer_tcp"},
    "rtsps": {"rtsp_flags": "prefer_tcp"},
    "udp": {"overrun_nonfatal": "1"},
    "rtmp": {"rtmp_live": "live", "rtmp_buffer": "100"},
    "rtmps": {"rtmp_live": "live", "rtmp_buffer": "100"},
}


def open_stream(url: str, on_loss: OnLoss = "wait") -> Reader:
    """Open a stream.

    One that states how long it lasts, as a clip on a web server does, is read like a file, without
    dropping anything; any other is live.

    Args:
        url: as the user gave it.
        on_loss: what to do when it is lost, see `ReopeningReader`.

    Raises:
        UsageError: no URL of `INPUT_SCHEMES`.
        InputError: nobody there, or nothing that can be decoded, within about 10 s.
    """
    check_address(url, INPUT_SCHEMES)
    if _is_recording(url):
        return VideoReader(url)
    clock = LiveClock()
    connect = functools.partial(_connect, url, clock)
    return Capture(shown(url), lambda: ReopeningReader(shown(url), connect, on_loss), hold=_HOLD_S)


def _connect(url: str, clock: LiveClock) -> LiveFeed:
    return LiveFeed(shown(url), "stream", open_address(url), clock)


def open_address(url: str) -> av.container.InputContainer:
    """Connect to a stream; `InputError` if nobody answers in time."""
    scheme = url.partition("://")[0].lower()
    try:
        return av.open(
            url,
            options={**_ANALYSIS, **_OPTIONS.get(scheme, {})},
            metadata_errors="replace",
            timeout=(_OPEN_S, _READ_S),
        )
    except av.FFmpegError as error:
        raise InputError(
            f"{shown(url)!r} cannot be opened ({error.strerror}). Check that the sender is running "
            "and the address is right."
        ) from error


def _is_recording(url: str) -> bool:
    """Whether a web server offers a clip of known length."""
    if not url.lower().startswith("http"):
        return False
    with open_address(url) as container:
        return container.duration is not None and container.duration > 0
