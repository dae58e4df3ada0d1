"""Where frames come from: files, images, cameras, streams and the built-in pattern."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from rtfocus.errors import InputError, UsageError
from rtfocus.readers.address import is_address, shown
from rtfocus.readers.base import Reader
from rtfocus.readers.camera import is_camera, open_camera
from rtfocus.readers.decoding import Decoding
from rtfocus.readers.images import HEAD_LENGTH, ImageReader, SequenceReader, is_image
from rtfocus.readers.pattern import PatternReader
from rtfocus.readers.stream import open_stream
from rtfocus.readers.video import VideoReader
from rtfocus.settings import OnLoss

__all__ = ["Decoding", "Reader", "open_reader"]


def open_reader(
    source: str,
    rate: Fraction | None = None,
    decoding: Decoding | None = None,
    *,
    on_loss: OnLoss = "wait",
    start: float = 0.0,
) -> Reader:
    """Open whatever the user named.

    Args:
        source: a video file, an image file, a directory of images,
            `pattern[:WxH@RATE,DURATIONs]`, `camera:N[:WxH][@RATE][,FORMAT]` or /dev/videoN, or the
            URL of a stream. What a file is, is told by its content, not its name.
        rate: frames per second, for a directory of images only; 25 if None.
        decoding: a device that decodes files and converts pictures; the image of a frame may then
            be a `rtfocus.planes.CodedPicture`.
        on_loss: of a camera or stream: wait for it to come back, or stop with `InputCutShort`.
        start: time in seconds; frames begin with the one that is shown then, which is the last
            after the end, with the times they have in the file and numbers from 0. At 0 they begin
            with the first, whatever its time. Cameras and live streams always begin now.

    Raises:
        UsageError: a pattern, camera or URL that is not of that form, or a rate for something else.
        InputError: absent, unreadable, or nothing that can be read.
    """
    if rate is not None and not Path(source).is_dir():
        raise UsageError(
            f"a rate ({rate}) was given for {shown(source)!r}, but only a directory of images "
            "takes one. Leave it out."
        )
    if source == "pattern" or source.startswith("pattern:"):
        return PatternReader(source, start)
    if is_camera(source):
        return open_camera(source, on_loss, decoding)
    if is_address(source):
        return open_stream(source, on_loss, start, decoding)
    path = Path(source)
    if path.is_dir():
        return SequenceReader(source, rate, start)
    if is_image(_head(path)):
        return ImageReader(source)
    return VideoReader(source, decoding, start=start)


def _head(path: Path) -> bytes:
    """The first bytes of a file; `InputError` where there are none."""
    if not path.exists():
        raise InputError(
            f"{str(path)!r} does not exist. Give a video file, an image file, "
            "a directory of images, 'pattern', 'camera:0' or a URL."
        )
    if not path.is_file():
        raise InputError(f"{str(path)!r} is not a file. Give a video or image file.")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_LENGTH)
    except OSError as error:
        raise InputError(f"{str(path)!r} cannot be read ({error.strerror}).") from error
    if not head:
        raise InputError(f"{str(path)!r} is empty. Give a video or image file.")
    return head
