"""Single images, and directories of images as sequences."""

from __future__ import annotations

import logging
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.errors import InputCutShort, InputError
from rtfocus.frame import Frame, Image, StreamInfo
from rtfocus.readers.alpha import over_black
from rtfocus.readers.base import Reader
from rtfocus.readers.orientation import Orientation
from rtfocus.readers.seeking import index_at
from rtfocus.readers.tiff import TiffLayout, decode_tiff

_log = logging.getLogger("rtfocus")

_SRGB = b"sRGB", "sRGB".encode("utf-16-be")
"""In the descriptions of such ICC profiles, by the versions of the format."""

Stored = NDArray[np.integer | np.floating]
"""Samples as OpenCV decodes them: grey, BGR or BGRA."""

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}
"""Files of a directory that belong to the sequence."""

DEFAULT_RATE = Fraction(25)
"""Frames per second of a directory of images."""

_PNG = b"\x89PNG\r\n\x1a\n"
_SIGNATURE = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|RIFF....WEBP|II\*\0|MM\0\*|II\+\0|MM\0\+|BM", re.DOTALL
)
HEAD_LENGTH = 1 << 20
"""Bytes from the start of a file that `is_image` needs; as many as FFmpeg probes."""


def is_image(head: bytes) -> bool:
    """Whether a file that starts with these bytes is a PNG, JPEG, WebP, TIFF or BMP image.

    An animated PNG is a video. So is animated WebP, but FFmpeg does not decode it.
    """
    return _SIGNATURE.match(head) is not None and not _is_animated_png(head)


def _is_animated_png(data: bytes) -> bool:
    """Whether there are more pictures than one: an acTL chunk before the first IDAT says so."""
    if not data.startswith(_PNG):
        return False
    start = len(_PNG)
    while start + 12 <= len(data):
        length, kind, pictures = struct.unpack_from(">I4sI", data, start)
        if kind in (b"acTL", b"IDAT"):
            return bool(kind == b"acTL" and pictures > 1)
        start += 12 + length
    return False


def _is_animated_webp(data: bytes) -> bool:
    """Whether the animation flag of its VP8X chunk is set."""
    return data[8:16] == b"WEBPVP8X" and len(data) > 20 and bool(data[20] & 2)


class ImageReader(Reader):
    """One still image: a stream of a single frame."""

    def __init__(self, source: str) -> None:
        """Decode the image; `InputError` where that fails."""
        self._image = read_image(Path(source))
        height, width, _ = self._image.shape
        self._info = StreamInfo(
            source, "image", width, height, time_base=DEFAULT_RATE**-1, rate=None, frames=1
        )

    @property
    def info(self) -> StreamInfo:
        """What is known before the frame."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """The one frame."""
        yield Frame(self._image, 0, 0, self._info.time_base)

    def close(self) -> None:
        """Nothing to release."""


class SequenceReader(Reader):
    """The images of a directory, in the natural order of their names: img2 before img10."""

    def __init__(self, source: str, rate: Fraction | None = None, start: float = 0.0) -> None:
        """List the directory and decode its first image.

        Args:
            source: the directory. Hidden files and what is not an image by its suffix are ignored.
            rate: frames per second, 25 if None.
            start: see `open_reader`.

        Raises:
            InputError: no images, or the first can't be read.
        """
        self._paths = list_images(Path(source))
        if not self._paths:
            raise InputError(
                f"{source!r} holds no images. Give a directory with files that end in one of "
                f"{', '.join(sorted(SUFFIXES))}."
            )
        self._first: Image | None = read_image(self._paths[0])
        height, width, _ = self._first.shape
        rate = rate or DEFAULT_RATE
        self._info = StreamInfo(
            source,
            "sequence",
            width,
            height,
            time_base=1 / rate,
            rate=rate,
            frames=len(self._paths),
            duration=float(len(self._paths) / rate),
        )
        self._numbers = range(index_at(start, rate, len(self._paths)), len(self._paths))

    @property
    def info(self) -> StreamInfo:
        """What is known before the first frame."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """One image after the other; `InputCutShort` at one that is damaged or of another size."""
        for index, number in enumerate(self._numbers):
            image = self._read(number)
            yield Frame(image, index, number, self._info.time_base, duration=1)

    def close(self) -> None:
        """Nothing to release."""

    def _read(self, number: int) -> Image:
        first, self._first = self._first, None
        if number == 0 and first is not None:
            return first
        path, count = self._paths[number], number - self._numbers.start
        done = f"The {count} of {len(self._paths)} images before it were read."
        try:
            image = read_image(path, quiet=True)  # the first has told
        except InputError as error:
            raise InputCutShort(f"{error} {done}") from error
        height, width, _ = image.shape
        if (width, height) != (self._info.width, self._info.height):
            raise InputCutShort(
                f"{str(path)!r} is {width}x{height}, but {str(self._paths[0])!r} is "
                f"{self._info.width}x{self._info.height}: all images of a sequence must be of one "
                f"size. Scale or move away the one that differs. {done}"
            )
        return image


def list_images(directory: Path) -> list[Path]:
    """The images in a directory in natural order, hidden ones left out."""
    try:
        paths = [path for path in directory.iterdir() if path.is_file()]
    except OSError as error:
        raise InputError(f"{str(directory)!r} cannot be listed ({error.strerror}).") from error
    images = [p for p in paths if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    return in_natural_order(images)


def in_natural_order(files: Iterable[Path]) -> list[Path]:
    """The files by name, where runs of digits count as numbers: `2.png` comes before `10.png`."""

    def key(file: Path) -> tuple[list[str | int], str]:
        parts = re.split(r"(\d+)", file.name.lower())
        return [int(part) if i % 2 else part for i, part in enumerate(parts)], file.name

    return sorted(files, key=key)


def read_image(path: Path, *, quiet: bool = False) -> Image:
    """Decode an image file: upright, 8 bits, alpha over black, colours as of sRGB.

    Args:
        path: the file.
        quiet: do not say what of it is lost.

    Raises:
        InputError: the file can't be read or decoded, or holds other than 8 or 16 bits a sample.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read ({error.strerror}).") from error
    decoded = _decode(data)
    if decoded is None:
        raise InputError(
            f"{str(path)!r} cannot be decoded as an image: it is damaged, cut short, or none of "
            "PNG, JPEG, WebP, TIFF and BMP. Copy or export it again."
        )
    stored = decoded.stored
    if stored.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{str(path)!r} holds {stored.dtype} samples, but only 8 and 16 bits are read. "
            "Export it with 8 or 16 bits per channel."
        )
    if not quiet:
        if _is_animated_png(data) or _is_animated_webp(data):
            _log.warning("%s is animated: only its first picture is used", path)
        for loss in _losses(decoded):
            _log.warning("%s: %s", path, loss)
    return Orientation.from_exif(decoded.exif).apply(_to_rgb(stored, straight=decoded.straight))


class _Decoded(NamedTuple):
    """An image as it is stored.

    Attributes:
        stored: its samples.
        exif: the EXIF block, maybe empty.
        profile: the ICC profile, maybe empty.
        straight: whether its colours still have to be multiplied with alpha.
    """

    stored: Stored
    exif: bytes
    profile: bytes
    straight: bool


def _decode(data: bytes) -> _Decoded | None:
    """An image from a whole file; None where that is none, or damaged."""
    # libpng reports damage straight to stderr, so it is not let near any.
    if not data or (data.startswith(_PNG) and not _png_is_sound(data)):
        return None
    layout = TiffLayout.of(data)
    if layout is not None and layout.beyond_opencv:
        samples = decode_tiff(data)
        # A TIFF file is as an EXIF block is, which is one without a picture.
        return None if samples is None else _Decoded(samples, data, b"", layout.straight)
    # OpenCV would log what is reported here as an error.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        stored, kinds, blocks = cv2.imdecodeWithMetadata(
            np.frombuffer(data, np.uint8), flags=cv2.IMREAD_UNCHANGED
        )
    except cv2.error:  # beyond OpenCV's limits of size
        return None
    if stored is None:
        return None
    found = {kind: bytes(block) for kind, block in zip(kinds, blocks, strict=True)}
    exif = found.get(cv2.IMAGE_METADATA_EXIF, b"")
    profile = found.get(cv2.IMAGE_METADATA_ICCP, b"")
    straight = layout is None or (layout.straight and not layout.multiplied_by_opencv)
    return _Decoded(cast(Stored, stored), exif, profile, straight)


def _losses(image: _Decoded) -> Iterator[str]:
    """What of an image is not kept, in words."""
    stored = image.stored
    if stored.dtype == np.uint16:
        yield "16 bits a sample become 8"
    opaque = 65535 if stored.dtype == np.uint16 else 255
    if stored.ndim == 3 and stored.shape[2] == 4 and int(stored[..., 3].min()) < opaque:
        yield "its transparent parts become black"
    if image.profile and not any(name in image.profile for name in _SRGB):
        yield "its colour profile is ignored, and its colours are taken for those of sRGB"


def _png_is_sound(data: bytes) -> bool:
    """Whether all chunks up to the last are there and match their checksums (RFC 2083, 3.2)."""
    start = len(_PNG)
    while start + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 8 + length
        if end + 4 > len(data) or zlib.crc32(data[start + 4 : end]) != int.from_bytes(
            data[end : end + 4]
        ):
            return False
        if kind == b"IEND":
            return True
        start = end + 4
    return False


def _to_rgb(stored: Stored, *, straight: bool) -> Image:
    """From grey, BGR or BGRA of 8 or 16 bits to 8-bit RGB over black, by straight alpha or none."""
    if stored.dtype == np.uint16:
        stored = ((stored.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    channels = 1 if stored.ndim == 2 else stored.shape[2]
    if channels == 4 and straight:
        return over_black(cast(NDArray[np.uint8], cv2.cvtColor(stored, cv2.COLOR_BGRA2RGBA)))
    code = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}[channels]
    return cast(Image, cv2.cvtColor(stored, code))
