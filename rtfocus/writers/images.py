"""Image files and sequences of them."""

from __future__ import annotations

import re
from pathlib import Path

import cv2

from rtfocus.errors import OutputError, UsageError
from rtfocus.frame import Frame, Image
from rtfocus.writers.atomic import AtomicOutput, path_errors
from rtfocus.writers.base import Form

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp")

_PARAMETERS = {
    ".jpg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".jpeg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    ".webp": (cv2.IMWRITE_WEBP_QUALITY, 95),
    ".png": (cv2.IMWRITE_PNG_COMPRESSION, 3),
}


class ImageWriter(AtomicOutput):
    """One image file, of one frame."""

    takes: Form = "rgb"

    def __init__(self, target: Path, *, overwrite: bool = False) -> None:
        """Raises UsageError or OutputError where the file may not or cannot be written."""
        super().__init__(target, overwrite=overwrite)
        self._written = False

    def write(self, frame: Frame) -> None:
        """Write the frame; UsageError for a second one."""
        if self._written:
            raise UsageError(
                f"{str(self._target)!r} holds one image, but there are several frames. Use a "
                f"directory, '{self._target.with_suffix('')}/', or a video such as .mp4."
            )
        with self._failures():
            self._part.path.write_bytes(encode_image(frame.image, self._target.suffix.lower()))
        self._written = True

    def _finish(self) -> bool:
        return self._written and self._part.path.exists()


class SequenceWriter(AtomicOutput):
    """A directory of PNG files, named by the number of the frame."""

    takes: Form = "rgb"

    def __init__(self, target: Path, *, overwrite: bool = False) -> None:
        """Raises UsageError or OutputError where the directory may not or cannot be written."""
        check_directory(target)
        super().__init__(target, overwrite=overwrite)
        self._written = False
        with self._failures():
            self._part.path.mkdir()

    def write(self, frame: Frame) -> None:
        """Add one file."""
        path = self._part.path / f"{frame.index:06d}.png"
        with self._failures():
            path.write_bytes(encode_image(frame.image, ".png"))
        self._written = True

    def _finish(self) -> bool:
        written, self._written = self._written, False
        return written


def check_directory(target: Path) -> None:
    """Raise UsageError for a directory with other things than a sequence: it is never replaced."""
    with path_errors(target):
        if not target.is_dir():
            return
        strange = [p.name for p in target.iterdir() if not re.fullmatch(r"\d{6,}\.png", p.name)]
    if strange:
        raise UsageError(
            f"{str(target)!r} holds things that are no sequence of images, such as {strange[0]!r}; "
            "it will not be replaced. Choose another directory."
        )


def encode_image(image: Image, suffix: str) -> bytes:
    """The file's content; `OutputError` where the format cannot hold the picture."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    try:
        done, data = cv2.imencode(suffix, bgr, list(_PARAMETERS.get(suffix, ())))
    except cv2.error as error:
        raise OutputError(
            f"a picture of {image.shape[1]}x{image.shape[0]} is no {suffix}: {error}"
        ) from error
    if not done:
        raise OutputError(
            f"a picture of {image.shape[1]}x{image.shape[0]} cannot be written as {suffix}"
        )
    return data.tobytes()
