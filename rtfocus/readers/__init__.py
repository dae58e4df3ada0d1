"""Where frames come from: video files, images, directories of images and the built-in pattern."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from rtfocus.errors import InputError, UsageError
from rtfocus.readers.base import Reader
from rtfocus.readers.images import SIGNATURE_LENGTH, ImageReader, SequenceReader, is_image
from rtfocus.readers.pattern import PatternReader
from rtfocus.readers.video import Decoding, VideoReader

__all__ = ["Decoding", "Reader", "open_reader"]


def open_reader(
    source: str, rate: Fraction | None = None, decoding: Decoding | None = None
) -> Reader:
    """Open whatever the user named.

    Args:
        source: a video file, an image file, a directory of images, or
            `pattern[:WxH@RATE,DURATIONs]`. What a file is, is told by its content, not its name.
        rate: frames per second, for a directory of images only; 25 if None.
        decoding: a device that decodes video.

    Raises:
        UsageError: a pattern that is not of that form, or a rate for something else.
        InputError: absent, unreadable, or nothing that can be read.
    """
    if rate is not None and not Path(source).is_dir():
        raise UsageError(
            f"a rate ({rate}) was given for {source!r}, but only a directory of images takes one. "
            "Leave it out."
        )
    if source == "pattern" or source.startswith("pattern:"):
        return PatternReader(source)
    if source.startswith(("camera:", "/dev/video")) or "://" in source:
        raise InputError(
            f"{source!r}: cameras and streams are not supported yet. "
            "Record to a file and give that."
        )
    path = Path(source)
    if path.is_dir():
        return SequenceReader(source, rate)
    return ImageReader(source) if is_image(_head(path)) else VideoReader(source, decoding)


def _head(path: Path) -> bytes:
    """The first bytes of a file; `InputError` where there are none."""
    if not path.exists():
        raise InputError(
            f"{str(path)!r} does not exist. Give a video file, an image file, "
            "a directory of images, or 'pattern'."
        )
    if not path.is_file():
        raise InputError(f"{str(path)!r} is not a file. Give a video or image file.")
    try:
        with path.open("rb") as file:
            head = file.read(SIGNATURE_LENGTH)
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read ({error.strerror}).") from error
    if not head:
        raise InputError(f"{str(path)!r} is empty. Give a video or image file.")
    return head
