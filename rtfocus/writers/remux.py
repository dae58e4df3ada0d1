"""Audio and subtitles of the original, copied untouched."""

from __future__ import annotations

import io
import logging
import math
from fractions import Fraction
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from rtfocus.readers.video import open_container

_log = logging.getLogger("rtfocus")

_KINDS = ("audio", "subtitle")
_KEPT_TAGS = ("language", "title")

_RESTART = Fraction(1, 2)
"""Seconds that a stream's times go back where another recording begins, not merely damage."""

_TRANSPORT_STREAM = {"aac", "ac3", "dts", "eac3", "mp2", "mp3", "opus", "dvb_subtitle"}
"""What MPEG-TS has a number for; FFmpeg itself answers only with its defaults."""


class StreamCopy:
    """Copies packets beside the video, as far as the video has come, so that none pile up."""

    def __init__(self, media: str, target: OutputContainer) -> None:
        """Add the streams that the target can hold; say once which it cannot.

        Raises:
            InputError: the file or address cannot be read.
        """
        self._media = media
        self._source = open_container(media)
        self._target = target
        self._streams: dict[int, Stream] = {}
        self._warned = False
        left_out = []
        for stream in self._source.streams:
            if stream.type not in _KINDS:
                continue
            if _holds(target, stream):
                self._streams[stream.index] = _add(target, stream)
            else:
                left_out.append(f"{stream.type} stream {stream.index} ({_codec(stream)})")
        if left_out:
            _log.warning(
                "%s: %s cannot be kept in %s, so the output goes without",
                media, ", ".join(left_out), target.format.name,
            )  # fmt: skip
        self._begun: dict[int, Fraction] = {}  # when the last packet of each begins [s]
        self._end = self._moved = Fraction(0)  # [s]
        self._wanted = [self._source.streams[index] for index in self._streams]
        self._packets = self._source.demux(self._wanted) if self._wanted else iter(())
        self._next: Packet[Any] | None = self._read()

    def copy_until(self, time: float, offset: Fraction = Fraction(0)) -> None:
        """Copy all packets that begin before a time.

        Args:
            time: in seconds of the original; infinite: all that are left.
            offset: added to their times [s].
        """
        while self._next is not None and _time(self._next) < time:
            packet, self._next = self._next, self._read()
            if packet.dts is not None:  # else the empty packet that ends a stream
                self._copy(packet, offset)

    def close(self) -> None:
        """Close the original; safe to call twice."""
        self._next = None
        self._source.close()

    def _read(self) -> Packet[Any] | None:
        while True:
            try:
                packet = next(self._packets, None)
                if packet is not None and packet.dts is not None:
                    self._go_on(packet, packet.dts * packet.time_base)
                return packet
            except IndexError:
                # PyAV fails at a stream that appears midway, as in damaged MPEG-TS: read on.
                self._packets = self._source.demux(self._wanted)
            except av.FFmpegError as error:
                self._warn(error)
                return None

    def _go_on(self, packet: Packet[Any], begin: Fraction) -> None:
        """Where recordings were joined, move what follows to the end, as `Timeline` does."""
        stream = packet.stream
        begin += self._moved
        if begin < self._begun.get(stream.index, begin) - _RESTART:
            self._moved += self._end - begin
            begin = self._end
        self._begun[stream.index] = begin
        lasts = (packet.duration or 0) * packet.time_base if stream.type == "audio" else 0
        self._end = max(self._end, begin + lasts)
        _move(packet, self._moved)

    def _copy(self, packet: Packet[Any], offset: Fraction) -> None:
        _move(packet, offset)
        packet.stream = self._streams[packet.stream.index]
        try:
            self._target.mux(packet)
        except OSError:  # of the output
            raise
        except av.FFmpegError as error:
            self._warn(error)

    def _warn(self, error: av.FFmpegError) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(
                "%s: damaged sound or subtitles are left out (%s)", self._media, error.strerror
            )


def _codec(stream: Stream) -> str:
    """FFmpeg's name of the codec; "unknown" where it has none."""
    return stream.codec_context.codec.canonical_name if stream.codec_context else "unknown"


def _holds(target: OutputContainer, stream: Stream) -> bool:
    """Whether a container can hold a stream: its tables say so, and so does an attempt."""
    name = target.format.name
    known = _TRANSPORT_STREAM if name == "mpegts" else target.supported_codecs
    if stream.codec_context is None or not {_codec(stream), stream.codec_context.name} & known:
        return False
    attempt = av.open(io.BytesIO(), "w", format=name)
    try:
        attempt.add_stream_from_template(stream)
        attempt.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    finally:
        attempt.close()
    return True


def _add(target: OutputContainer, stream: Stream) -> Stream:
    copy: Stream = target.add_stream_from_template(stream)
    copy.disposition = stream.disposition
    copy.metadata.update(kept_tags(stream))
    return copy


def kept_tags(stream: Stream) -> dict[str, str]:
    """What a stream says of itself and goes on to say in a copy."""
    return {name: stream.metadata[name] for name in _KEPT_TAGS if name in stream.metadata}


def _move(packet: Packet[Any], seconds: Fraction) -> None:
    """Have a packet that says when it is to be decoded be later."""
    if seconds and packet.dts is not None:
        shift = math.ceil(seconds / packet.time_base)
        packet.dts += shift
        packet.pts = None if packet.pts is None else packet.pts + shift


def _time(packet: Packet[Any]) -> float:
    """When it is due; packets that say nothing are due at once."""
    if packet.dts is None:
        return float("-inf")
    return float(packet.dts * packet.time_base)
