"""Pictures from an open camera or stream, as they come."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Literal

import av
import av.container
from av.codec.context import ThreadType
from av.video.stream import VideoStream

from rtfocus.errors import InputError
from rtfocus.frame import Frame, StreamInfo
from rtfocus.readers.base import Reader
from rtfocus.readers.clock import LIVE_TIME_BASE, LiveClock
from rtfocus.readers.colour import ColourConverter
from rtfocus.readers.decoding import Decoding
from rtfocus.readers.pace import paced
from rtfocus.readers.video import main_stream, orientation

_log = logging.getLogger("rtfocus")

_MAX_THREADS = 2

_DEFAULT_RATE = Fraction(30)
_SENSIBLE_RATES = (1, 240)
"""Frames per second; streams that do not know theirs tend to claim 90000."""

_FIRST_PICTURE_S = 10.0

_SEGMENTED = ("hls", "dash")


class LiveFeed(Reader):
    """The main video of one connection, until it ends or breaks.

    Whatever ends it, other than `close`, is an `InputError`: a live source is not expected to end.
    `close` never waits for a read that is under way; the thread that iterates then closes the
    container after it, at the latest when its read timeout is over.
    """

    def __init__(
        self,
        source: str,
        kind: Literal["camera", "stream"],
        container: av.container.InputContainer,
        clock: LiveClock,
        decoding: Decoding | None = None,
    ) -> None:
        """Take over an open container and wait for its first picture.

        Args:
            source: as messages and `info` name it.
            kind: for `info`.
            container: with timeouts; closed with this reader, also when an error is raised here.
            clock: that places the pictures in time.
            decoding: a device that converts what is decoded here; the image of a frame is then a
                `CodedPicture` wherever possible.

        Raises:
            InputError: no video, or no picture that can be decoded within 10 s.
        """
        self._source, self._container, self._clock = source, container, clock
        self._decoding = decoding
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._warned = False
        try:
            self._stream = main_stream(source, container)
            # Threads by frames would hold back as many pictures.
            self._stream.thread_type = ThreadType.SLICE
            self._stream.thread_count = min(os.cpu_count() or 1, _MAX_THREADS)
            self._packets = container.demux(self._stream)
            self._pictures = self._decode()
            if container.format.name in _SEGMENTED:
                self._pictures = paced(self._pictures, self._closed)
            self._first = self._wait_for_first()
        except BaseException:
            container.close()
            raise
        picture, _ = self._first
        self._orientation = orientation(picture)
        self._size = (picture.width, picture.height)
        self._info = self._describe(kind)
        self._colour = ColourConverter(source, self._stream.codec_context.name)

    @property
    def info(self) -> StreamInfo:
        """What is known before the first frame; frames are in units of `LIVE_TIME_BASE`."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Frames as they arrive; `InputError` when no more come or their size changes."""
        picture, arrival = self._first
        index = 0
        while not self._closed.is_set():
            if (picture.width, picture.height) != self._size:
                raise InputError(
                    f"{self._source!r} changes its picture size from "
                    f"{self._size[0]}x{self._size[1]} to {picture.width}x{picture.height}"
                )
            pts = self._clock.place(picture.time, arrival)
            image = self._colour.upright(picture, self._orientation, self._decoding)
            yield Frame(image, index, pts, LIVE_TIME_BASE, captured=arrival)
            index += 1
            following = next(self._pictures, None)
            if following is None:
                return
            picture, arrival = following

    def close(self) -> None:
        """Let go of the source, see the class."""
        self._closed.set()
        if self._lock.acquire(blocking=False):
            self._container.close()
            self._lock.release()

    def _wait_for_first(self) -> tuple[av.VideoFrame, float]:
        first = next(self._pictures, None)
        if first is None:
            raise InputError(f"{self._source!r} was closed before its first picture")
        return first

    def _decode(self) -> Iterator[tuple[av.VideoFrame, float]]:
        """Pictures and when they arrived, until `close`."""
        deadline = time.monotonic() + _FIRST_PICTURE_S
        decoded = False
        while (step := self._step()) is not None:
            pictures, arrival = step
            decoded = decoded or bool(pictures)
            for picture in pictures:
                yield picture, arrival
            if not decoded and arrival > deadline:
                raise InputError(
                    f"{self._source!r} sends data, but no picture that can be decoded within "
                    f"{_FIRST_PICTURE_S:g} s. Let the sender make key frames more often, as in: "
                    "ffmpeg ... -g 60"
                )

    def _step(self) -> tuple[list[av.VideoFrame], float] | None:
        """Read one packet and decode it; None once closed."""
        with self._lock:
            try:
                if self._closed.is_set():
                    return None
                packet = next(self._packets, None)
                arrival = time.monotonic()
                if packet is None or packet.size == 0:  # which would flush the decoder
                    raise InputError(f"{self._source!r} has ended")
                return self._decode_packet(packet), arrival
            except av.FFmpegError as error:
                late = isinstance(error, av.ExitError)  # PyAV's own timeout
                reason = "no data" if late else error.strerror
                raise InputError(f"{self._source!r} was lost ({reason})") from error
            finally:
                if self._closed.is_set():
                    self._container.close()

    def _decode_packet(self, packet: av.Packet[VideoStream]) -> list[av.VideoFrame]:
        try:
            return packet.decode()
        except av.FFmpegError as error:
            if not self._warned:
                self._warned = True
                _log.warning("%s: damaged data is skipped (%s)", self._source, error.strerror)
            return []

    def _describe(self, kind: Literal["camera", "stream"]) -> StreamInfo:
        stream = self._stream
        lowest, highest = _SENSIBLE_RATES
        coded = stream.codec_context.framerate  # by the encoder; a guess may count fields
        stated = (stream.average_rate, coded, stream.guessed_rate)
        rate = next((r for r in stated if r and lowest <= r <= highest), _DEFAULT_RATE)
        (width, height), aspect = self._size, stream.sample_aspect_ratio or Fraction(1)
        if self._orientation.transpose:
            width, height, aspect = height, width, 1 / aspect
        return StreamInfo(
            source=self._source,
            kind=kind,
            width=width,
            height=height,
            time_base=LIVE_TIME_BASE,
            rate=rate,
            frames=None,
            sample_aspect_ratio=aspect,
            live=True,
            has_sound=bool(self._container.streams.audio),
        )
