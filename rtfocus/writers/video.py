"""Video files."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from rtfocus.errors import OutputError, UsageError
from rtfocus.frame import Frame, Image, StreamInfo
from rtfocus.kernels.to_yuv import rgb_to_i420
from rtfocus.writers.atomic import AtomicOutput
from rtfocus.writers.codec import Encoder, choose_encoder
from rtfocus.writers.remux import StreamCopy

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".m2ts", ".flv")

_CODEC = {".webm": "libvpx-vp9"}
_OF_THE_CONTAINER = {"major_brand", "minor_version", "compatible_brands", "encoder"}


class VideoWriter(AtomicOutput):
    """Encodes frames, and copies audio and subtitles of the original beside them.

    Times are those of the frames, in the input's time base. Colour is BT.709, limited range, and
    tagged so.
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
    ) -> None:
        """Open the encoder and the file.

        Raises:
            UsageError: no such encoder, or it refuses its options or the picture; or the file is
                there.
            OutputError: the file cannot be written.
        """
        codec = codec or _CODEC.get(target.suffix.lower(), "h264")
        self._encoder = choose_encoder(codec, info, crf=crf, preset=preset)
        self._copy: StreamCopy | None = None
        self._container: OutputContainer | None = None
        super().__init__(target, overwrite=overwrite)
        self._info = info
        self._end = 0.0
        try:
            with self._failures():
                self._container = av.open(str(self._part.path), "w")
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
        picture = to_video_frame(frame.image, self._encoder.pixel_format)
        picture.pts, picture.time_base = frame.pts, frame.time_base
        if frame.duration:
            picture.duration = frame.duration
        with self._failures():
            self._container.mux(self._stream.encode(picture))
            self._end = frame.time + float(frame.duration * frame.time_base)
            if self._copy is not None:
                self._copy.copy_until(frame.time)

    def _finish(self) -> bool:
        if self._container is None:
            return False
        self._container.mux(self._stream.encode(None))
        if self._copy is not None:
            self._copy.copy_until(self._end if self._cut else math.inf)
        container, self._container = self._container, None
        container.close()
        return True

    def _release(self) -> None:
        if self._copy is not None:
            self._copy.close()
        if self._container is not None:
            container, self._container = self._container, None
            _abandon(container)

    def _copy_from(self, media: Path, container: OutputContainer) -> None:
        self._copy = StreamCopy(media, container)
        with av.open(str(media)) as source:
            kept = {k: v for k, v in source.metadata.items() if k not in _OF_THE_CONTAINER}
        container.metadata.update(kept)


def to_video_frame(image: Image, pixel_format: str) -> VideoFrame:
    """The picture as an encoder takes it: BT.709, limited range where it is YUV."""
    height, width, _ = image.shape
    if pixel_format == "yuv420p":
        frame = VideoFrame(width, height, "yuv420p")
        luma, cb, cr = (
            np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            for plane in frame.planes
        )
        rgb_to_i420(image, luma, cb, cr, 0, (height + 1) // 2)
        frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
        return frame
    rgb = VideoFrame.from_ndarray(image, "rgb24")
    jpeg = pixel_format.startswith("yuvj")  # full range BT.601, which is all that JPEG knows
    return rgb.reformat(
        format=pixel_format,
        dst_colorspace=Colorspace.ITU601 if jpeg else Colorspace.ITU709,
        dst_color_range=ColorRange.JPEG if jpeg else ColorRange.MPEG,
    )


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
    rate = (info.rate or Fraction(25)).limit_denominator(1 << 30)
    stream = cast(VideoStream, container.add_stream(encoder.name, rate=rate))
    encoder.configure(stream.codec_context, info, threads)
    stream.time_base = info.time_base
    return stream


def _abandon(container: OutputContainer) -> None:
    """Close a file whose end nobody wants; that it cannot be completed does not matter any more."""
    try:
        container.close()
    except (OSError, ValueError):
        return
