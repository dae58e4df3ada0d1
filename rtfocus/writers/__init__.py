"""Where frames go: files, sequences of images, streams, a virtual camera and a window."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rtfocus.errors import OutputError, UsageError
from rtfocus.frame import StreamInfo
from rtfocus.readers.address import check_address, is_address
from rtfocus.writers import images, video
from rtfocus.writers.atomic import path_errors
from rtfocus.writers.base import Form, Writer
from rtfocus.writers.codec import Encoding
from rtfocus.writers.images import ImageWriter, SequenceWriter
from rtfocus.writers.stream import OUTPUT_SCHEMES, StreamWriter
from rtfocus.writers.video import VideoWriter
from rtfocus.writers.virtual_camera import VirtualCameraWriter, load_pyvirtualcam
from rtfocus.writers.window import WindowWriter, check_display

__all__ = [
    "WINDOW",
    "Encoding",
    "Form",
    "Writer",
    "can_write",
    "check_apart",
    "check_output",
    "is_live_output",
    "open_writer",
]

WINDOW, _CAMERA = "window", "camera:"


def is_live_output(output: str) -> bool:
    """Whether an output is watched as it comes (a stream, `camera:`, `window`), and no file."""
    return is_address(output) or output.startswith(_CAMERA) or output == WINDOW


def can_write(path: Path) -> bool:
    """Whether a file of this suffix can be an output."""
    return path.suffix.lower() in (*images.SUFFIXES, *video.SUFFIXES)


def check_output(output: str, source: str, *, overwrite: bool) -> None:
    """Check what can be known of an output before any work starts.

    Args:
        output: the name as the user gave it.
        source: the input, which is never overwritten.
        overwrite: whether other things may be.

    Raises:
        UsageError: no known format, there already, or the input itself.
        OutputError: the folder is not there, or the name cannot be used.
        UnavailableError: a window without a display, or a virtual camera without pyvirtualcam.
    """
    if is_live_output(output):
        _check_live(output)
        return
    target = Path(output)
    with path_errors(target):
        if _is_sequence(output):
            images.check_directory(target)
            taken = target.is_dir() and any(target.iterdir())
        else:
            if target.suffix.lower() not in images.SUFFIXES:
                video.check_suffix(target)
            taken = target.exists()
        if taken and _would_lose(target, Path(source)):
            raise UsageError(
                f"{output!r} is the input, or part of it; it is never overwritten. Choose another "
                "name."
            )
        if taken and not overwrite:
            raise UsageError(
                f"{output!r} is there already. Use -y to overwrite it, or another name."
            )
        if not target.parent.is_dir():
            raise OutputError(
                f"{output!r}: there is no folder {str(target.parent)!r}. Make it first."
            )


def check_apart(written: Iterable[str], read: Iterable[str | None]) -> None:
    """Check that nothing that a run writes replaces what it reads, or something else of it.

    Args:
        written: names of all outputs, recordings of depth included; peers and windows pass.
        read: names of all that is read; None is none.

    Raises:
        UsageError: something would.
    """
    inputs = [Path(name) for name in read if name is not None]
    places: set[Path] = set()
    for name in written:
        if is_live_output(name):
            continue
        target = Path(name)
        with path_errors(target):
            if target.exists() and any(_would_lose(target, path) for path in inputs):
                raise UsageError(
                    f"{name!r} is read by this run, or part of what is; it is never overwritten. "
                    "Choose another name."
                )
            place = target.resolve()
        if place in places:
            raise UsageError(f"{name!r} is to be written twice. Choose another name for one.")
        places.add(place)


def open_writer(
    output: str,
    info: StreamInfo,
    *,
    codec: str | None = None,
    crf: float | None = None,
    preset: str | None = None,
    overwrite: bool = False,
    threads: int = 0,
    encoding: Encoding | None = None,
) -> Writer:
    """Open whatever the user named.

    Args:
        output: a video or image file, told by its suffix, a directory (it ends in a slash, or is
            one), `window`, `camera:` (or camera:DEVICE) for a virtual camera, or the URL of a peer.
        info: the input that frames come from.
        codec: of a video, see `rtfocus.writers.codec`; None: by the container.
        crf: constant quality of the encoder.
        preset: of the encoder.
        overwrite: replace what is there.
        threads: of the encoder; 0: its own choice.
        encoding: a device that the pictures are on.

    Raises:
        UsageError: no known format or encoder, options that do not fit, or it is there already.
        OutputError: it cannot be written.
        UnavailableError: a window without a display, or no virtual camera.
    """
    if is_live_output(output):
        if (codec, crf, preset) != (None, None, None):
            raise UsageError(
                f"{output!r} is no file: leave out --codec, --crf and --encoder-preset."
            )
        return _open_live(output, info, threads)
    target = Path(output)
    is_image = target.suffix.lower() in images.SUFFIXES
    with path_errors(target):
        is_sequence = _is_sequence(output)
    if (is_image or is_sequence) and (codec, crf, preset) != (None, None, None):
        raise UsageError(f"{output!r} is no video: leave out --codec, --crf and --encoder-preset.")
    if is_sequence:
        return SequenceWriter(target, overwrite=overwrite)
    if is_image:
        return ImageWriter(target, overwrite=overwrite)
    video.check_suffix(target)
    return VideoWriter(
        target,
        info,
        codec=codec,
        crf=crf,
        preset=preset,
        overwrite=overwrite,
        threads=threads,
        encoding=encoding,
    )


def _check_live(output: str) -> None:
    if output == WINDOW:
        check_display()
    elif is_address(output):
        check_address(output, OUTPUT_SCHEMES)
    else:
        load_pyvirtualcam()


def _open_live(output: str, info: StreamInfo, threads: int) -> Writer:
    if output == WINDOW:
        return WindowWriter()
    if is_address(output):
        return StreamWriter(output, info, threads=threads)
    return VirtualCameraWriter(info, device=output.removeprefix(_CAMERA) or None)


def _would_lose(target: Path, source: Path) -> bool:
    """Whether replacing the target would take the input, or one of its images, away."""
    if not source.exists():
        return False
    return (
        target.samefile(source)
        or (source.is_dir() and target.parent.samefile(source))
        or (target.is_dir() and source.resolve().parent.samefile(target))
    )


def _is_sequence(output: str) -> bool:
    return output.endswith("/") or Path(output).is_dir()
