"""From decoded video frames of any format to 8-bit RGB."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from typing import Any, Self, cast

import av
import numpy as np
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Interpolation,
    VideoReformatter,
)
from numpy.typing import NDArray

from rtfocus.errors import InputError
from rtfocus.frame import Image
from rtfocus.kernels.from_yuv import Samples, yuv_to_rgb
from rtfocus.kernels.jit import F32
from rtfocus.planes import CodedPicture, Planes
from rtfocus.readers.alpha import over_black
from rtfocus.readers.decoding import Decoding
from rtfocus.readers.orientation import Orientation
from rtfocus.readers.tone import HDR_TRANSFERS, ToneMapper, find_mapper

_log = logging.getLogger("rtfocus")

# Matrix coefficients as ITU-T H.273 numbers them.
_BT709, _UNSPECIFIED, _BT601, _BT2020 = 1, 2, 5, 9
_KR_KB = {
    _BT709: (0.2126, 0.0722),
    4: (0.30, 0.11),  # FCC
    _BT601: (0.299, 0.114),
    6: (0.299, 0.114),  # BT.601 with the primaries of NTSC
    7: (0.212, 0.087),  # SMPTE 240M
    _BT2020: (0.2627, 0.0593),
}
"""Weights of red and blue in luma."""

_CENTRED_CHROMA = {"mjpeg", "mpeg1video"}
"""Codecs whose chroma lies midway between two columns of luma; the others have it on even ones."""

_TAPS_CENTRED = np.array([0.75, 0.25, 0.75, 0.25], np.float32)
_TAPS_LEFT = np.array([1, 0, 0.5, 0.5], np.float32)

_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True, slots=True)
class ColourTags:
    """What a frame's numbers mean, in the numbers of ITU-T H.273.

    Attributes:
        matrix: matrix coefficients.
        full_range: whether all codes are used, rather than 16..235 of 255.
        transfer: transfer characteristics.
        primaries: colour primaries.
    """

    matrix: int
    full_range: bool
    transfer: int
    primaries: int

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Self:
        """A frame's tags; the matrix defaults to BT.709 from 720 lines or 1280 columns."""
        matrix, primaries = frame.colorspace, frame.color_primaries
        wide = ColorPrimaries.BT2020 in (primaries, matrix) or frame.color_trc in HDR_TRANSFERS
        if matrix == _UNSPECIFIED:
            large = frame.height >= 720 or frame.width >= 1280
            matrix = _BT2020 if wide else _BT709 if large else _BT601
        if primaries == ColorPrimaries.UNSPECIFIED and wide:
            primaries = ColorPrimaries.BT2020
        full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
        return cls(matrix, full, frame.color_trc, primaries)


class ColourConverter:
    """Converts the frames of one video, and says once if that loses bits or light."""

    def __init__(self, source: str, codec: str) -> None:
        """Convert what `codec` decoded; `source` is named in messages."""
        self._source = source
        self._taps = _TAPS_CENTRED if codec in _CENTRED_CHROMA else _TAPS_LEFT
        self._reformatter = VideoReformatter()
        self._announced = False

    def upright(
        self, frame: av.VideoFrame, orientation: Orientation, decoding: Decoding | None
    ) -> Any:
        """The upright picture, RGB; where a device can convert it, a `CodedPicture`.

        `InputError` where its format can't be converted.
        """
        if decoding is not None:
            coded = self.coded(frame, orientation, decoding.planes(frame))
            if coded is not None:
                return coded
        return orientation.apply(self.convert(frame))

    def convert(self, frame: av.VideoFrame) -> Image:
        """The picture as it is stored, (h, w, 3); `InputError` where its format can't be converted.

        Transparent pictures are laid over black.
        """
        tags = ColourTags.of(frame)
        mapper = find_mapper(tags.transfer, tags.primaries)
        self._announce(max(component.bits for component in frame.format.components), mapper)
        convert = self._planar if _is_planar(frame, tags) else self._other
        coded = convert(frame, tags, 8 if mapper is None else 16)
        return cast(Image, coded) if mapper is None else mapper.map(cast(NDArray[np.uint16], coded))

    def coded(
        self, frame: av.VideoFrame, orientation: Orientation, on_device: Planes | None = None
    ) -> CodedPicture | None:
        """The picture as it is stored, for whoever converts it; None where only `convert` can.

        Args:
            frame: the picture.
            orientation: which way up it is to be shown.
            on_device: its planes, NV12 or P010, where they are not in the host's memory.
        """
        tags = ColourTags.of(frame)
        if find_mapper(tags.transfer, tags.primaries) is not None:
            return None
        if on_device is not None and tags.matrix in _KR_KB:
            planes, shift_x, shift_y = on_device, 1, 1
            bits = 8 * planes.luma.itemsize  # P010 has its ten at the top
            self._announce(min(bits, 10), None)
        elif _is_planar(frame, tags):
            bits = frame.format.components[0].bits
            self._announce(bits, None)
            widths = (plane.width for plane in frame.planes)
            luma, cb, cr = (
                plane[:, :width] for plane, width in zip(_planes(frame), widths, strict=True)
            )
            planes, (shift_x, shift_y) = Planes(luma, (cb, cr)), _shifts(frame)
        else:
            return None
        matrix = yuv_matrix(tags.matrix, tags.full_range, bits, 255)
        return CodedPicture(planes, shift_x, shift_y, self._taps, matrix, orientation, frame)

    def _planar(self, frame: av.VideoFrame, tags: ColourTags, bits: int) -> Samples:
        """Planar YUV to RGB of 8 or 16 bits by a kernel that knows where chroma lies.

        It takes a sixth of the time of swscale's exact path, which takes all chroma for centred.
        """
        luma, cb, cr = _planes(frame)
        shift_x, shift_y = _shifts(frame)
        depth = frame.format.components[0].bits
        matrix = yuv_matrix(tags.matrix, tags.full_range, depth, 2**bits - 1)
        out = np.empty((frame.height, 3 * frame.width), np.uint8 if bits == 8 else np.uint16)
        yuv_to_rgb(luma, cb, cr, shift_x, shift_y, self._taps, matrix, out, 0, frame.height)
        return out.reshape(frame.height, frame.width, 3)

    def _other(self, frame: av.VideoFrame, tags: ColourTags, bits: int) -> Samples:
        """Packed, grey, palette and RGB formats, and those with alpha, to RGB by swscale."""
        alpha = any(component.is_alpha for component in frame.format.components)
        form = {
            (8, False): "rgb24",
            (8, True): "rgba",
            (16, False): "rgb48le",
            (16, True): "rgba64le",
        }[bits, alpha]
        try:
            converted = self._reformatter.reformat(
                frame,
                format=form,
                src_colorspace=tags.matrix if tags.matrix in _KR_KB else None,
                src_color_range=ColorRange.JPEG if tags.full_range else ColorRange.MPEG,
                dst_color_range=ColorRange.JPEG,
                interpolation=_EXACT,
                threads=1,
            )
        except av.FFmpegError as error:
            raise InputError(
                f"{self._source!r} holds pictures in the format {frame.format.name!r}, which "
                f"cannot be converted to RGB ({error.strerror}). Convert the clip first, as in: "
                "ffmpeg -i IN -pix_fmt yuv420p OUT.mp4"
            ) from error
        # of uint8 or uint16; rows may be padded
        pixels = cast(NDArray[np.uint8], np.ascontiguousarray(converted.to_ndarray()))
        return over_black(pixels) if alpha else pixels

    def _announce(self, bits: int, mapper: ToneMapper | None) -> None:
        if self._announced:
            return
        self._announced = True
        if mapper is not None:
            _log.warning("%s: %s video becomes 8-bit SDR (BT.709)", self._source, mapper.name)
        elif bits > 8:
            _log.warning("%s: %d-bit video becomes 8-bit", self._source, bits)


@functools.cache
def yuv_matrix(matrix: int, full_range: bool, bits: int, top: int) -> F32:
    """The `matrix` argument of `yuv_to_rgb` for H.273 matrix coefficients (its section 8.3).

    Args:
        matrix: H.273 number.
        full_range: whether all codes are used.
        bits: of luma and chroma.
        top: largest output value.
    """
    kr, kb = _KR_KB[matrix]
    kg = 1 - kr - kb
    step, zero = 2.0 ** (bits - 8), 2.0 ** (bits - 1)
    black, luma_span, chroma_span = (
        (0.0, 2.0**bits - 1, 2.0**bits - 1) if full_range else (16 * step, 219 * step, 224 * step)
    )
    gain, chroma = top / luma_span, top / chroma_span
    return np.array(
        [
            gain,
            0.5 - gain * black,
            chroma * 2 * (1 - kr),
            chroma * -2 * (1 - kb) * kb / kg,
            chroma * -2 * (1 - kr) * kr / kg,
            chroma * 2 * (1 - kb),
            zero,
            top,
        ],
        np.float32,
    )


def _is_planar(frame: av.VideoFrame, tags: ColourTags) -> bool:
    """Whether the frame is planar YUV of 8 to 16 bits, chroma at full or half resolution."""
    name = frame.format.name
    return (
        name.startswith(("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"))
        and not name.endswith("be")
        and tags.matrix in _KR_KB
        and all(plane.line_size > 0 for plane in frame.planes)
    )


def _shifts(frame: av.VideoFrame) -> tuple[int, int]:
    """1 where chroma has half the columns, and half the rows, else 0."""
    return 2 - frame.format.chroma_width(2), 2 - frame.format.chroma_height(2)


def _planes(frame: av.VideoFrame) -> list[Samples]:
    """Views on the planes, rows padded as the decoder left them."""
    depth = np.dtype(np.uint8 if frame.format.components[0].bits == 8 else np.uint16)
    return [
        np.frombuffer(memoryview(plane), depth).reshape(plane.height, -1) for plane in frame.planes
    ]
