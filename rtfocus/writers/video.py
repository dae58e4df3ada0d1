"""Video files."""

from __future__ import annotations

import logging
import math
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from rtfocus.errors import OutputError, UsageError
from rtfocus.frame import Frame, Image, StreamInfo
from rtfocus.kernels.to_yuv import rgb_to_i420
from rtfocus.planes import Planes
from rtfocus.readers.video import main_stream, open_container
from rtfocus.writers.atomic import AtomicOutput
from rtfocus.writers.base import Form
from rtfocus.writers.codec import BT601, BT709, FULL, Encoder, Encoding, choose_encoder
from rtfocus.writers.remux import StreamCopy, kept_tags

_log = logging.getLogger("rtfocus")

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts", ".m2ts")
"""Containers that keep the time of every frame, which AVI does not."""

_DEFAULT_RATE = Fraction(25)
_CODEC = {".webm": "libvpx-vp9"}
_CARRY_ASPECT = ("264", "265", "hevc", "mpeg")
"""In names of encoders whose streams themselves say that pixels are not square. Matroska and WebM
could, but PyAV cannot tell their writer (FFmpeg's `AVStream.sample_aspect_ratio`)."""

_OF_THE_CONTAINER = {"major_brand", "minor_version", "compatible_brands", "encoder", "timecode"}


class VideoWriter(AtomicOutput):
    """Encodes frames, and copies audio and subtitles of the original beside them.

    Times are those of the frames, in the input's time base; where the first is negative, all are
    moved up to nought. Colour is BT.709, limited range, and tagged so, wherever the codec can say
    that.
    """

    def __init__(
        self,
        target: Path,
        info: StreamInfo,
        *,
        codec: str | None = None,
        crf: float | None = None,
        preset: str | None = None,
        overwrite: bool = False,
        threads: int = 0,
        encoding: Encoding | None = None,
    ) -> None:
        """Open the encoder and the file.

        Args:
            target: where to.
            info: the input that frames come from.
            codec: see `rtfocus.writers.codec`; None: by the container.
            crf: constant quality of the encoder.
            preset: of the encoder.
            overwrite: replace what is there.
            threads: of the encoder; 0: its own choice.
            encoding: a device that the pictures are on, where they stay if it can encode them.

        Raises:
            UsageError: no such encoder, or it refuses its options or the picture; or the file is
                there.
            OutputError: the file cannot be written.
        """
        codec = codec or _CODEC.get(target.suffix.lower(), "h264")
        self._encoder = choose_encoder(codec, info, crf=crf, preset=preset, encoding=encoding)
        self._encoding = encoding
        self.takes: Form = "i420" if _is_i420(self._encoder) else "rgb"
        if encoding is not None and self._encoder.pixel_format == encoding.pixel_format:
            self.takes = "device"
        if info.sample_aspect_ratio != 1 and self._loses_aspect(target):
            _log.warning(
                "%s: %s does not keep that pixels are not square (%s): the picture will look "
                "stretched. Choose .mp4, or --codec h264 in .mkv",
                target,
                target.suffix,
                info.sample_aspect_ratio,
            )
        self._copy: StreamCopy | None = None
        self._container: OutputContainer | None = None
        super().__init__(target, overwrite=overwrite)
        self._nominal_duration = round(1 / ((info.rate or _DEFAULT_RATE) * info.time_base))
        self._offset: Fraction | None = None  # of all times, known with the first frame [s]
        self._end = 0.0
        try:
            with self._failures():
                self._container = av.open(
                    str(self._part.path), "w", container_options=_container_options(target, info)
                )
                self._stream = _add_video(self._container, self._encoder, info, threads)
                if info.media is not None:
                    self._copy_from(info.media, self._container)
        except BaseException:
            self.discard()
            raise

    def write(self, frame: Frame) -> None:
        """Add one frame; `OutputError` if that fails."""
        if self._container is None:
            raise OutputError(f"{str(self._target)!r} is finished; no more frames can be added")
        if self._offset is None:
            # MP4 would not show a frame before nought; sound moves along.
            self._offset = max(-frame.pts * frame.time_base, Fraction(0))
        with self._failures():
            picture = self._picture(frame.image)
            picture.pts = frame.pts + round(self._offset / frame.time_base)
            picture.time_base = frame.time_base
            picture.duration = frame.duration or self._nominal_duration
            self._container.mux(self._stream.encode(picture))
            self._end = frame.time + float(picture.duration * frame.time_base)
            if self._copy is not None:
                self._copy.copy_until(frame.time, self._offset)

    def _loses_aspect(self, target: Path) -> bool:
        carried = any(part in self._encoder.name for part in _CARRY_ASPECT)
        return target.suffix.lower() in (".mkv", ".webm") and not carried

    def _picture(self, image: Any) -> VideoFrame:
        if self._encoding is not None and self.takes == "device":
            return self._encoding.frame(image)
        if isinstance(image, Planes):
            return _from_planes(image)
        return to_video_frame(image, self._encoder)

    def _finish(self) -> bool:
        if self._container is None or self._offset is None:
            return False
        self._container.mux(self._stream.encode(None))
        if self._copy is not None:
            self._copy.copy_until(self._end if self._cut else math.inf, self._offset)
        container, self._container = self._container, None
        container.close()
        return True

    def _release(self) -> None:
        if self._copy is not None:
            self._copy.close()
        if self._container is not None:
            container, self._container = self._container, None
            _abandon(container)

    def _copy_from(self, media: str, container: OutputContainer) -> None:
        self._copy = StreamCopy(media, container)
        with open_container(media) as source:
            kept = {k: v for k, v in source.metadata.items() if k.lower() not in _OF_THE_CONTAINER}
            chapters, original = source.chapters(), main_stream(media, source)
            self._stream.disposition = original.disposition
            self._stream.metadata.update(kept_tags(original))
        container.metadata.update(kept)
        container.set_chapters(chapters)


def to_video_frame(image: Image, encoder: Encoder) -> VideoFrame:
    """The picture as an encoder takes it."""
    if _is_i420(encoder):
        frame, (luma, cb, cr) = _new_i420(*image.shape[:2])
        rgb_to_i420(image, luma, cb, cr, 0, (image.shape[0] + 1) // 2)
        return frame
    return VideoFrame.from_ndarray(image, "rgb24").reformat(
        format=encoder.pixel_format,
        dst_colorspace=Colorspace.ITU601 if encoder.matrix == BT601 else Colorspace.ITU709,
        dst_color_range=ColorRange.JPEG if encoder.range == FULL else ColorRange.MPEG,
    )


def _is_i420(encoder: Encoder) -> bool:
    return encoder.pixel_format == "yuv420p" and encoder.matrix == BT709


def _from_planes(planes: Planes) -> VideoFrame:
    frame, rows = _new_i420(*planes.luma.shape)
    for to, plane in zip(rows, planes.arrays, strict=True):
        to[:, : plane.shape[1]] = plane
    return frame


def _new_i420(height: int, width: int) -> tuple[VideoFrame, list[NDArray[np.uint8]]]:
    """A frame to be filled, and its planes, whose rows are padded."""
    frame = VideoFrame(width, height, "yuv420p")
    frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
    return frame, [
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        for plane in frame.planes
    ]


def check_suffix(target: Path) -> None:
    """Raise UsageError for a name that says no known container."""
    if target.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{str(target)!r}: {target.suffix or 'a name without a dot'} is no known format. Use "
            f"{', '.join(SUFFIXES)} for a video, .png, .jpg, .webp or .tif for an image, or a "
            "directory ending in / for a sequence of images."
        )


def _add_video(
    container: OutputContainer, encoder: Encoder, info: StreamInfo, threads: int
) -> VideoStream:
    rate = (info.rate or _DEFAULT_RATE).limit_denominator(1 << 30)
    try:
        stream = cast(VideoStream, container.add_stream(encoder.name, rate=rate))
    except ValueError as error:
        raise UsageError(
            f"--codec: {container.format.name} does not hold what {encoder.name!r} makes. Choose "
            "another codec or container, such as .mkv for h264, hevc, av1, vp9, prores or ffv1."
        ) from error
    encoder.configure(stream.codec_context, info, threads)
    stream.time_base = info.time_base
    return stream


def _container_options(target: Path, info: StreamInfo) -> dict[str, str]:
    """MP4 and MOV state where a stream starts in units of their own, else 1 ms."""
    if target.suffix.lower() not in (".mp4", ".m4v", ".mov"):
        return {}
    units = info.time_base.denominator
    return {"movie_timescale": str(units * -(-1000 // units))}


def _abandon(container: OutputContainer) -> None:
    """Close a file whose end nobody wants; that it cannot be completed does not matter any more."""
    try:
        container.close()
    except (av.FFmpegError, ValueError):
        return
