"""Audio and subtitles of the original, copied untouched."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import av
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

log = logging.getLogger("rtfocus")

_KINDS = ("audio", "subtitle")


class StreamCopy:
    """Copies packets beside the video, as far as the video has come, so that none pile up."""

    def __init__(self, media: Path, target: OutputContainer) -> None:
        """Add the streams that the target can hold; say once which it cannot."""
        self._source = av.open(str(media))
        self._target = target
        self._streams: dict[int, Stream] = {}
        for stream in self._source.streams:
            if stream.type not in _KINDS:
                continue
            name = stream.codec_context.name if stream.codec_context else "unknown"
            canonical = stream.codec_context.codec.canonical_name if stream.codec_context else ""
            if {name, canonical} & target.supported_codecs:
                self._streams[stream.index] = target.add_stream_from_template(stream)
            else:
                log.warning(
                    "%s stream %d (%s) cannot be kept in %s and is left out; .mkv holds it",
                    stream.type, stream.index, name, target.format.name,
                )  # fmt: skip
        wanted = [self._source.streams[index] for index in self._streams]
        self._packets = self._source.demux(wanted) if wanted else iter(())
        self._next: Packet[Any] | None = next(self._packets, None)

    def copy_until(self, time: float) -> None:
        """Copy all packets that begin before this time, in seconds."""
        while self._next is not None and _time(self._next) < time:
            packet = self._next
            self._next = next(self._packets, None)
            if packet.dts is None:
                continue  # the empty packet that ends a stream
            packet.stream = self._streams[packet.stream.index]
            self._target.mux(packet)

    def close(self) -> None:
        """Close the original; safe to call twice."""
        self._next = None
        self._source.close()


def _time(packet: Packet[Any]) -> float:
    """When it is due; packets that say nothing are due at once."""
    if packet.dts is None or packet.time_base is None:
        return float("-inf")
    return float(packet.dts * packet.time_base)
