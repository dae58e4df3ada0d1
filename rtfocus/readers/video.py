"""Video files."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import cast

import av
import av.container
from av.buffer import Buffer
from av.codec.context import ThreadType
from av.stream import Disposition
from av.video.stream import VideoStream

from rtfocus.errors import InputCutShort, InputError
from rtfocus.frame import Frame, StreamInfo
from rtfocus.readers.address import for_ffmpeg, is_address, shown
from rtfocus.readers.base import Reader
from rtfocus.readers.boxes import ends_within_a_box
from rtfocus.readers.colour import ColourConverter
from rtfocus.readers.decoding import Decoding
from rtfocus.readers.orientation import Orientation
from rtfocus.readers.seeking import pts_at, shown_from
from rtfocus.readers.timeline import Timeline

_log = logging.getLogger("rtfocus")

_MAX_THREADS = 2
"""Of the decoder; each holds a picture, so an 8K clip on a many-core machine stays affordable."""

_DEFAULT_RATE = Fraction(25)
"""For streams that do not say, as FFmpeg assumes."""

_MARKS_PARTIAL = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv"}
"""Containers in which a packet marked corrupt is one that the end of the file cuts through."""

_IN_BOXES = {"mov,mp4,m4a,3gp,3g2,mj2"}

_STATES_END = {"matroska,webm", "flv"}
"""Containers whose header says at what time they end, while their index is sparse."""

_DURATION_SLACK = 0.5
"""Seconds by which a healthy file may fall short of that."""

_TIMEOUT_S = 10.0
"""Of a web server that stops sending."""

_CHECK = "Check that the file plays; if it is still being written or copied, wait for that to end."


class VideoReader(Reader):
    """The main video stream of a file: upright RGB pictures with the stream's own times.

    A damaged packet is skipped with a warning. A file that ends before what its index or header
    promises, or whose picture size changes, raises `InputCutShort` after its last good frame.
    """

    def __init__(
        self, source: str, decoding: Decoding | None = None, *, start: float = 0.0
    ) -> None:
        """Open the file and decode its first picture; `InputError` where there is none.

        Args:
            source: the file.
            decoding: a device; frames then have a `CodedPicture` for their image wherever possible.
            start: see `open_reader`. What lies before is skipped when iterating, so that `close`
                can end that.
        """
        self._source, self._name, self._start = source, shown(source), start
        self._lock = threading.Lock()
        self._closed = False
        self._warned = False
        self._damage = ""  # why what was read since the last good picture gave none
        self._reached = 0.0  # latest time of any stream so far [s]
        self._decoding = decoding
        on_device = self._open_on_device()
        self._container = on_device or open_container(source)
        try:
            self._begin()
            first = self._first_picture()
            self._size = first.width, first.height
            self._orientation = orientation(first)
            self._colour = ColourConverter(self._name, self._stream.codec_context.name)
            if decoding is not None and on_device is not None:
                first = self._stay_or_leave(decoding, first)
            self._info = self._describe(first)
            if first.interlaced_frame:
                _log.warning(
                    "%s: interlaced; its fields stay woven, and moving things keep their combs. "
                    "Deinterlace it first, as in: ffmpeg -i IN -vf bwdif OUT.mp4",
                    self._name,
                )
        except BaseException:
            self._container.close()
            raise

    @property
    def info(self) -> StreamInfo:
        """What is known before the first frame; `media` is the file itself, if it is one."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Decode to the end; `InputCutShort` where the file breaks off or changes its size."""
        time_base = self._info.time_base
        pictures = self._place(self._pictures)
        if self._start > max(self._info.start, 0):
            wanted, second = pts_at(self._start, time_base), round(1 / time_base)
            pictures = shown_from(wanted, second, self._restart)
        begun, index = None, 0
        for pts, picture in pictures:
            begun = pts if begun is None else begun
            if (picture.width, picture.height) != self._size:
                raise self._size_change(picture, self._size, index, (pts - begun) * time_base)
            image = self._colour.upright(picture, self._orientation, self._decoding)
            yield Frame(image, index, pts, time_base, picture.duration)
            index += 1
        if not self._closed:
            self._check_complete(index, (self._timeline.end - (begun or 0)) * time_base)

    def close(self) -> None:
        """Close the file; an iteration that is under way ends after its current frame."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._container.close()

    def _open_on_device(self) -> av.container.InputContainer | None:
        """The file, to be decoded there; not what is on the web, which may never answer."""
        if self._decoding is None or is_address(self._source):
            return None
        return self._decoding.open(self._source)

    def _begin(self) -> None:
        """Decode the container, which was just opened; `InputError` if it has no video."""
        self._stream = main_stream(self._source, self._container)
        self._stream.thread_type = ThreadType.AUTO
        self._stream.thread_count = min(os.cpu_count() or 1, _MAX_THREADS)
        self._packets = self._container.demux()
        self._pictures: Iterator[av.VideoFrame] = self._decode()
        self._await_key = False

    def _restart(self, pts: int | None) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decode once more, from near before a time or from the beginning, see `shown_from`."""
        with self._lock:
            if self._closed:
                return iter(())
            if pts is None or not self._seek(pts):
                self._container.close()
                self._container = self._open_on_device() or open_container(self._source)
                self._begin()
        return self._place(self._pictures)

    def _seek(self, pts: int) -> bool:
        """Go on from near before a time, where the container can do that."""
        try:
            self._container.seek(pts, stream=self._stream)
        except av.FFmpegError:
            return False
        self._packets = self._container.demux()
        self._pictures = self._decode()
        self._await_key = True
        return True

    def _place(self, pictures: Iterable[av.VideoFrame]) -> Iterator[tuple[int, av.VideoFrame]]:
        """Pictures with their times, which are repaired where need be."""
        rate = self._info.rate or _DEFAULT_RATE
        self._timeline = timeline = Timeline(round(1 / (rate * self._info.time_base)))
        for picture in pictures:
            yield timeline.place(self._time_of(picture), picture.duration), picture

    def _time_of(self, picture: av.VideoFrame) -> int | None:
        """When a picture is to be shown, as far as the file says.

        AVI says only when to decode; as presentation times, those of B-frames are out of order.
        """
        return picture.dts if self._container.format.name == "avi" else picture.pts

    def _first_picture(self) -> av.VideoFrame:
        """What decoding begins with; it is still to come."""
        first = next(self._pictures, None)
        if first is None:
            reason = f" ({self._damage})" if self._damage else ""
            raise InputError(
                f"{self._name!r} holds no picture that can be decoded{reason}. {_CHECK}"
            )
        self._pictures = chain(iter([first]), self._pictures)
        return first

    def _stay_or_leave(self, decoding: Decoding, first: av.VideoFrame) -> av.VideoFrame:
        """The first picture, from the CPU if the device cannot convert what it decodes."""
        context = self._stream.codec_context
        if not decoding.holds(first):
            form = first.format.name
            _log.info("decoding on the CPU: the GPU does not take %s (%s)", context.name, form)
            return first
        planes = decoding.planes(first)
        if planes is None:
            reason = f"convert this {context.name}'s pixels"
        elif self._colour.coded(first, self._orientation, planes) is None:
            reason = f"convert the colours of this {context.name}"
        elif self._size != (context.width, context.height):
            reason = f"keep the odd size of this {context.name}"
        else:
            return first
        _log.info("decoding on the CPU: the GPU does not %s", reason)
        self._container.close()
        self._decoding = None
        self._container, self._reached = open_container(self._source), 0.0
        self._begin()
        first = self._first_picture()
        self._size = first.width, first.height
        return first

    def _decode(self) -> Iterator[av.VideoFrame]:
        while (pictures := self._step()) is not None:
            yield from pictures

    def _step(self) -> list[av.VideoFrame] | None:
        """Read one packet and decode it; None at the end, or once closed.

        All streams are read, because where the others end tells a short video from a cut file.
        """
        with self._lock:
            if self._closed:
                return None
            try:
                packet = next(self._packets, None)
            except av.FFmpegError as error:
                self._damage = str(error.strerror)
                return None
            if packet is None:
                return None
            if packet.pts is not None and packet.time_base is not None:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                self._reached = max(self._reached, float(end))
            if packet.is_corrupt and self._container.format.name in _MARKS_PARTIAL:
                self._damage = "its last packet is incomplete"
                return []
            if packet.stream.index != self._stream.index:  # stream_index is 0 in the last ones
                return []
            if self._await_key and not packet.is_keyframe:
                return []  # from which some decoders would make grey pictures
            self._await_key = False
            return self._decode_packet(cast("av.Packet[VideoStream]", packet))

    def _decode_packet(self, packet: av.Packet[VideoStream]) -> list[av.VideoFrame]:
        try:
            pictures = packet.decode()
        except av.FFmpegError as error:
            self._damage = str(error.strerror)
            if not self._warned:
                self._warned = True
                _log.warning("%s: damaged data is skipped (%s)", self._name, error.strerror)
            return []
        if pictures:
            self._damage = ""
        return pictures

    def _describe(self, first: av.VideoFrame) -> StreamInfo:
        stream = self._stream
        rate = stream.average_rate or stream.guessed_rate or _DEFAULT_RATE
        frames = count_frames(stream)
        start = float((self._time_of(first) or 0) * cast(Fraction, first.time_base))
        seconds = stated_duration(stream, self._container, start)
        if frames is None and seconds is not None:
            frames = round(seconds * rate)
        width, height = first.width, first.height
        aspect = stream.sample_aspect_ratio or Fraction(1)
        if self._orientation.transpose:
            width, height, aspect = height, width, 1 / aspect
        return StreamInfo(
            source=self._name,
            kind="video",
            width=width,
            height=height,
            time_base=cast(Fraction, first.time_base),
            rate=rate,
            frames=frames,
            start=start,
            duration=seconds,
            sample_aspect_ratio=aspect,
            media=self._source,
            has_sound=bool(self._container.streams.audio),
        )

    def _check_complete(self, frames: int, time: Fraction) -> None:
        """Raise `InputCutShort` unless the file held what it promised."""
        if not (self._damage or self._ends_early()):
            return
        seconds = float(time)
        read = f"{frames} frames ({seconds:.2f} s)"
        expected, rate = self._info.frames, self._info.rate
        if not self._start and expected and rate and expected > frames:
            read = (
                f"{frames} of {expected} frames ({seconds:.2f} of {float(expected / rate):.2f} s)"
            )
        reason = f" ({self._damage})" if self._damage else ""
        raise InputCutShort(
            f"{self._name!r} is cut short{reason}: {read} could be read. What was made of them "
            "is kept; for the rest, copy or download the file again."
        )

    def _ends_early(self) -> bool:
        """Whether index, box or header of the file promise more than there is."""
        index = self._stream.index_entries
        local = not is_address(self._source)
        size = self._container.size  # below 0 where a server does not say
        if len(index) and 0 < size < index[-1].pos + index[-1].size:
            return True
        if local and self._container.format.name in _IN_BOXES:
            return ends_within_a_box(Path(self._source))
        duration = self._container.duration
        if self._container.format.name not in _STATES_END or duration is None:
            return False
        return self._reached < duration / av.time_base - _DURATION_SLACK

    def _size_change(
        self, picture: av.VideoFrame, size: tuple[int, int], frames: int, time: Fraction
    ) -> InputCutShort:
        old, new = "{}x{}".format(*size), f"{picture.width}x{picture.height}"
        return InputCutShort(
            f"{self._name!r} changes its picture size from {old} to {new} after {frames} frames, "
            f"at {float(time):.2f} s. What was made of those is kept; bring the clip to one size "
            f"first, as in: ffmpeg -i IN -vf scale={size[0]}:{size[1]} OUT.mp4"
        )


def open_container(source: str) -> av.container.InputContainer:
    """Open a media file for reading; `InputError` where it is none."""
    try:
        timeout = _TIMEOUT_S if is_address(source) else None
        return av.open(for_ffmpeg(source), metadata_errors="replace", timeout=timeout)
    except av.FFmpegError as error:
        raise InputError(
            f"{shown(source)!r} cannot be read as a video or an image ({error.strerror}). {_CHECK}"
        ) from error


def main_stream(source: str, container: av.container.InputContainer) -> VideoStream:
    """The video stream with the largest picture, cover art aside; `InputError` if there is none."""
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        held = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise InputError(
            f"{shown(source)!r} holds no video, only {held}. Give a file with a video stream."
        )
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise InputError(
            f"{shown(source)!r} holds video that this FFmpeg cannot decode. Convert it first, as "
            "in: ffmpeg -i IN OUT.mp4"
        )
    return max(known, key=lambda stream: stream.width * stream.height)


def orientation(picture: av.VideoFrame) -> Orientation:
    """How a decoded picture is to be turned."""
    try:
        matrix = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV refuses all side data where it does not know one, such as EXIF
        return Orientation.from_rotation(picture.rotation)
    return (
        Orientation()
        if matrix is None
        else Orientation.from_display_matrix(bytes(cast(Buffer, matrix)))
    )


def count_frames(stream: VideoStream) -> int | None:
    """Number of frames that will be shown, by the container's index; None where it has none."""
    index = stream.index_entries
    if stream.frames and len(index) == stream.frames:
        return sum(not entry.is_discard for entry in index)
    return stream.frames or None


def stated_duration(
    stream: VideoStream, container: av.container.InputContainer, start: float
) -> float | None:
    """Seconds that the stream lasts from `start` on, by its own account or else the container's."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    seconds = None if container.duration is None else container.duration / av.time_base
    for key, value in stream.metadata.items():  # Matroska: "00:00:02.003000000"
        if key.startswith("DURATION") and value.count(":") == 2:
            hours, minutes, rest = value.split(":")
            seconds = 3600 * int(hours) + 60 * int(minutes) + float(rest)
    if seconds is None or container.format.name not in _STATES_END or seconds <= start:
        return seconds
    return seconds - start
