"""Video encoders by name, and what they are told."""

from __future__ import annotations

import difflib
import logging
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Protocol

import av
from av.codec import Codec, codecs_available
from av.codec.context import CodecContext
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from rtfocus.errors import UsageError, suggest
from rtfocus.frame import StreamInfo

_log = logging.getLogger("rtfocus")

FRIENDLY = {
    "h264": ("libx264",),
    "hevc": ("libx265",),
    "h265": ("libx265",),
    "av1": ("libsvtav1", "libaom-av1"),
    "vp8": ("libvpx",),
    "vp9": ("libvpx-vp9",),
    "prores": ("prores_ks",),
    "mpeg4": ("mpeg4",),
}
"""Names of codecs, and the encoders that stand for them, the first that is there."""

_DEFAULTS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "18", "rc-lookahead": "5"},
    "libx265": {"preset": "fast", "crf": "20", "x265-params": "log-level=none"},
    "libsvtav1": {"preset": "8", "crf": "28"},
    "libvpx-vp9": {"deadline": "good", "cpu-used": "4", "row-mt": "1", "crf": "28", "b": "0"},
}
"""What an encoder is told unless the user says otherwise: looks like the source, in little time."""

_NVENC = {"preset": "p4", "rc": "vbr", "b": "0", "cq": "19"}
_DEFAULTS |= dict.fromkeys(("h264_nvenc", "hevc_nvenc", "av1_nvenc"), _NVENC)

_X26X_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)
_PRESETS = {"libx264": _X26X_PRESETS, "libx265": _X26X_PRESETS}

_QUALITY = ("crf", "cq", "qp", "global_quality")
"""Options that set a constant quality, of whichever the encoder has the first counts."""

_LARGEST_CRF = {"libx264": 51, "libx265": 51}
"""Where the encoder itself would quietly take more."""

_FORMATS = ("yuv420p", "yuvj420p", "nv12", "yuv422p", "yuv422p10le", "yuv444p", "yuv444p10le")
"""Pixel formats from the most widely played on."""

_LOSSLESS = {
    "ffv1": "bgr0",
    "huffyuv": "rgb24",
    "utvideo": "gbrp",
    "qtrle": "rgb24",
    "png": "rgb24",
}

_ONLY_BT601 = {"libvpx", "mjpeg"}
"""Encoders whose bitstream knows no other colour matrix: VP8 and JPEG."""


class Encoding(Protocol):
    """A device that encodes video of pictures in its memory.

    Attributes:
        encoders: its encoders by names of codecs.
        pixel_format: what they are fed.
    """

    encoders: Mapping[str, str]
    pixel_format: str

    def frame(self, picture: Any) -> VideoFrame:
        """A picture of the form "device" for them."""

    def blank(self, height: int, width: int) -> VideoFrame:
        """A picture to try them with."""


RGB, BT709, BT601 = 0, 1, 5  # of colour matrices, as in ITU-T H.273
LIMITED, FULL = 1, 2  # FFmpeg's numbers of ranges


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder that was seen to open.

    Attributes:
        name: FFmpeg's name of it.
        pixel_format: what it is fed.
        options: what it is told.
    """

    name: str
    pixel_format: str
    options: dict[str, str]

    @property
    def matrix(self) -> int:
        """What turns RGB into the encoder's components."""
        if self.pixel_format in _LOSSLESS.values():
            return RGB
        return BT601 if self.name in _ONLY_BT601 else BT709

    @property
    def range(self) -> int:
        """Of the components."""
        full = self.matrix == RGB or self.pixel_format.startswith("yuvj")
        return FULL if full else LIMITED

    def configure(self, context: VideoCodecContext, info: StreamInfo, threads: int) -> None:
        """Set everything that has to be set before the encoder opens."""
        context.width, context.height = info.width, info.height
        context.pix_fmt = self.pixel_format
        context.time_base = info.time_base
        context.framerate = info.rate or Fraction(25)
        context.sample_aspect_ratio = info.sample_aspect_ratio
        context.color_primaries = BT709
        context.color_trc = BT709
        context.colorspace, context.color_range = self.matrix, self.range
        context.thread_count = threads
        context.options = dict(self.options)


def choose_encoder(
    codec: str,
    info: StreamInfo,
    *,
    crf: float | None = None,
    preset: str | None = None,
    encoding: Encoding | None = None,
) -> Encoder:
    """Find an encoder, and try that it opens for this picture: the device's, else another.

    A picture of odd width or height keeps its size: it goes to encoders that have no such 4:2:0
    (x264, x265) as 4:2:2 or 4:4:4.

    Args:
        codec: FFmpeg's name of an encoder, or one of `FRIENDLY`.
        info: the video to encode.
        crf: constant quality, in the encoder's own units; None: the encoder's or our default.
        preset: of the encoder.
        encoding: a device.

    Raises:
        UsageError: no such encoder or preset, or it refuses what it is told.
    """
    name = None if encoding is None else encoding.encoders.get(codec.lower())
    if encoding is not None and name is not None:
        try:
            encoder = try_on_device(name, info, encoding, crf=crf, preset=preset)
        except (UsageError, FFmpegError) as error:
            _log.info("encoding on the CPU: %s", error)
        else:
            _log.info("encoding on the GPU with %s", name)
            return encoder
    return _choose(codec, info, crf, preset)


def try_on_device(
    name: str,
    info: StreamInfo,
    encoding: Encoding,
    *,
    crf: float | None = None,
    preset: str | None = None,
) -> Encoder:
    """An encoder of a device, which has encoded a picture there.

    Raises:
        UsageError: there is no such encoder, or it refuses what it is told.
        FFmpegError: it does not take pictures that are in the device's memory.
    """
    if info.width % 2 or info.height % 2:
        raise UsageError(f"{name} takes no picture of {info.width}x{info.height}")
    encoder = replace(_choose(name, info, crf, preset), pixel_format=encoding.pixel_format)
    _probe(encoder, info, encoding.blank(info.height, info.width))
    return encoder


def _choose(codec: str, info: StreamInfo, crf: float | None, preset: str | None) -> Encoder:
    os.environ.setdefault("SVT_LOG", "0")  # else SVT-AV1 writes its settings to stderr
    name = _find(codec)
    found = Codec(name, "w")
    options = dict(_DEFAULTS.get(name, {}))
    private = {option.name for option in CodecContext.create(name, "w").supported_options.private}
    if preset is not None:
        _check_preset(name, preset, private)
        options.pop("rc-lookahead", None)  # which the preset sets
        options["preset"] = preset
    if crf is not None:
        options.update(_quality(name, crf, private))
    known = {f.name for f in found.video_formats or ()}
    wanted = [_LOSSLESS[name]] if name in _LOSSLESS else [f for f in _FORMATS if f in known]
    reason = "it takes no pixel format that rtfocus can make"
    for pixel_format in wanted or sorted(known):
        encoder = Encoder(name, pixel_format, options)
        try:
            _probe(encoder, info)
        except (FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            continue
        return encoder
    raise UsageError(
        f"encoder {name!r} does not take {info.width}x{info.height} with options {options}: "
        f"{reason}. Choose another --codec, --crf or --encoder-preset."
    )


def _find(codec: str) -> str:
    for name in FRIENDLY.get(codec.lower(), (codec,)):
        try:
            found = Codec(name, "w")
        except (av.codec.codec.UnknownCodecError, ValueError):
            continue
        if found.type == "video":
            return found.name
    known = {*FRIENDLY, *(n for n in codecs_available if n.startswith("lib"))}
    near = difflib.get_close_matches(codec, known, n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else f" Known are {', '.join(FRIENDLY)}."
    raise UsageError(f"--codec {codec!r}: there is no such video encoder.{hint}")


def _check_preset(name: str, preset: str, private: set[str]) -> None:
    if "preset" not in private:
        raise UsageError(f"encoder {name!r} has no presets; leave out --encoder-preset {preset!r}.")
    known = _PRESETS.get(name)
    if known is not None and preset not in known:
        raise UsageError(
            f"--encoder-preset {preset!r}: {name} knows {', '.join(known)}{suggest(preset, known)}"
        )


def _quality(name: str, crf: float, private: set[str]) -> dict[str, str]:
    largest = _LARGEST_CRF.get(name, math.inf)
    if not 0 <= crf <= largest:
        allowed = "0 or more" if math.isinf(largest) else f"0 to {largest}, smaller is better"
        raise UsageError(f"--crf {crf:g}: {name} takes {allowed}.")
    for option in _QUALITY:
        if option in private:
            return {option: f"{crf:g}"}
    raise UsageError(f"encoder {name!r} has no constant quality; leave out --crf {crf:g}.")


def _probe(encoder: Encoder, info: StreamInfo, picture: VideoFrame | None = None) -> None:
    """Open the encoder once, or have it encode; `FFmpegError` or ValueError if it refuses."""
    context: Any = CodecContext.create(encoder.name, "w")
    encoder.configure(context, info, 1)
    if picture is None:
        context.open()
    else:  # which opens it for where the picture is
        context.encode(picture)
