"""Network streams as outputs: rtmp, rtsp, udp and tcp."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace
from fractions import Fraction

import av
from av.codec.context import Flags
from av.container import OutputContainer
from av.video.stream import VideoStream

from rtfocus.backoff import Backoff
from rtfocus.errors import OutputError
from rtfocus.frame import Frame, StreamInfo
from rtfocus.readers.address import check_address, shown
from rtfocus.writers.codec import Encoder
from rtfocus.writers.even import crop_to_even, even_size
from rtfocus.writers.live import LiveWriter
from rtfocus.writers.video import to_video_frame

_log = logging.getLogger("rtfocus")

OUTPUT_SCHEMES = ("rtmp", "rtmps", "rtsp", "udp", "tcp")

_FORMATS = {"rtmp": "flv", "rtmps": "flv", "rtsp": "rtsp", "udp": "mpegts", "tcp": "mpegts"}

_TIMEOUT_US = 5_000_000
"""Microseconds after which a peer that takes no data counts as lost."""

_TIME_BASE = Fraction(1, 90000)

_DEFAULT_RATE = Fraction(30)

_KEY_FRAME_S = 1
"""Seconds between key frames, from which a viewer can begin."""

_STEADY_S, _STEADY_FRAMES = 1.0, 10
"""A connection that lasts so long is one; being refused only shows after the first frames."""

_REFUSED_S = 0.3
"""After which a peer that refuses has most often done so: what goes on has reached someone."""

_BITS_PER_PIXEL = 0.1
"""2.8 Mbit/s for 720p30, 6.2 for 1080p30, which is what streaming sites recommend."""


class StreamWriter(LiveWriter):
    """Encodes frames for a network peer, without delay: x264 zerolatency, a key frame a second.

    A peer that is not there, or is lost, is tried again with growing pauses; frames go nowhere
    meanwhile. FFmpeg's fifo muxer sends in a thread of its own and gives up on a peer that takes
    nothing for 5 s.
    """

    def __init__(
        self, url: str, info: StreamInfo, *, bit_rate: int | None = None, threads: int = 0
    ) -> None:
        """Check the address; the peer is looked for with the first frame.

        Args:
            url: of one of `OUTPUT_SCHEMES`.
            info: the input that frames come from.
            bit_rate: bits per second; None: by size and rate.
            threads: of the encoder; 0: its own choice.

        Raises:
            UsageError: no such address.
        """
        self._scheme = check_address(url, OUTPUT_SCHEMES)
        self._url, self._threads = url, threads
        width, height = even_size(info.width, info.height, shown(url))
        self._rate = info.rate or _DEFAULT_RATE
        self._info = replace(
            info, width=width, height=height, rate=self._rate, time_base=_TIME_BASE
        )
        self._bit_rate = bit_rate or round(_BITS_PER_PIXEL * width * height * self._rate)
        self._encoder = Encoder("libx264", "yuv420p", _encoder_options(self._rate, self._bit_rate))
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._first = Fraction(0)  # time of the first frame of a connection [s]
        self._last = -1
        self._backoff = Backoff()
        self._next_try = -math.inf
        self._since = math.inf  # when the connection was made
        self._sent = 0  # frames over this connection
        self._steady = False
        self._announced = False  # that it is lost
        self._reached = False  # whether anyone ever took anything
        self._lost = 0

    @property
    def lost(self) -> int:
        """Frames that went nowhere because nobody took them."""
        return self._lost

    def write(self, frame: Frame) -> None:
        """Send one frame, or lose it where there is no peer; never raises for that."""
        try:
            if self._container is None and not self._connect(frame):
                self._lost += 1
                return
            self._send(frame)
        except (av.FFmpegError, OSError) as error:
            self._lost += 1
            self._give_up(error)
            return
        self._sent += 1
        since = time.monotonic() - self._since
        self._reached |= since > _REFUSED_S
        steady = self._sent > _STEADY_FRAMES and since > _STEADY_S
        if steady and not self._steady:
            self._steady, self._announced = True, False
            self._backoff.reset()
            _log.info("%s: connected", shown(self._url))

    def close(self) -> None:
        """Send what is left and hang up; safe to call twice.

        Raises:
            OutputError: nobody took anything of it, as far as can be known.
        """
        if self._container is not None and self._stream is not None:
            flushed = False
            try:
                self._container.mux(self._stream.encode(None))
                flushed = True
            except (av.FFmpegError, OSError) as error:
                _log.warning("%s: the end was not sent (%s)", shown(self._url), error.strerror)
            finally:
                self._reached |= self._hang_up() and flushed
        lost, self._lost = self._lost, 0
        if lost and not self._reached:
            raise OutputError(
                f"{shown(self._url)!r} took no video at all. Check that somebody listens there."
            )

    def _connect(self, frame: Frame) -> bool:
        """Try to reach the peer, unless the pause after the last try is not over."""
        if time.monotonic() < self._next_try:
            return False
        self._container = av.open(
            self._url, "w", format="fifo", container_options=_fifo_options(self._scheme)
        )
        self._stream = self._container.add_stream("libx264", rate=self._rate)
        context = self._stream.codec_context
        self._encoder.configure(context, self._info, self._threads)
        self._stream.time_base = _TIME_BASE
        context.bit_rate = self._bit_rate
        if self._scheme not in ("udp", "tcp"):
            # FLV and RTSP want the parameter sets in the header; the fifo muxer does not say so.
            context.flags |= Flags.global_header
        self._first, self._last = frame.pts * frame.time_base, -1
        self._since, self._sent, self._steady = time.monotonic(), 0, False
        return True

    def _send(self, frame: Frame) -> None:
        assert self._container is not None
        assert self._stream is not None
        picture = to_video_frame(crop_to_even(frame.image), self._encoder)
        seconds = frame.pts * frame.time_base - self._first
        picture.pts = self._last = max(round(seconds / _TIME_BASE), self._last + 1)
        picture.time_base = _TIME_BASE
        self._container.mux(self._stream.encode(picture))

    def _give_up(self, error: av.FFmpegError | OSError) -> None:
        self._hang_up()
        self._next_try = time.monotonic() + self._backoff.next()
        if not self._announced:
            self._announced = True
            _log.warning(
                "%s takes no video (%s); trying again until it does",
                shown(self._url),
                error.strerror,
            )

    def _hang_up(self) -> bool:
        """Whether all went well, for which the fifo muxer waits."""
        container, self._container, self._stream = self._container, None, None
        if container is None:
            return False
        try:
            container.close()
        except (av.FFmpegError, OSError) as error:  # told when it was lost, or nobody cares
            _log.debug("%s: %s", shown(self._url), error)
            return False
        return True


def _encoder_options(rate: Fraction, bit_rate: int) -> dict[str, str]:
    return {
        "preset": "veryfast",
        "tune": "zerolatency",
        "g": str(max(1, round(_KEY_FRAME_S * rate))),
        "maxrate": str(bit_rate),
        "bufsize": str(bit_rate),
    }


def _fifo_options(scheme: str) -> dict[str, str]:
    inner = {"rw_timeout": str(_TIMEOUT_US)}
    if scheme == "rtsp":
        inner = {"rtsp_transport": "tcp"}
    elif scheme == "udp":
        inner = {"pkt_size": "1316"}  # seven packets of MPEG-TS, which fit an Ethernet frame
    return {
        "fifo_format": _FORMATS[scheme],
        "format_opts": ":".join(f"{key}={value}" for key, value in inner.items()),
    }
