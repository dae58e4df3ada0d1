"""Keeping the depth that was used (`--save-depth`), so that focus and aperture can change later.

FILE.npy, .npz, .png, .pfm  one map, for a still (`rtfocus.depth.mapfile`)
FILE.mkv                    a recording in one file (`rtfocus.depth.tape`)
FOLDER/                     a recording as one PNG per frame with an index
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol, Self

import av
import cv2

from rtfocus.depth import tape
from rtfocus.depth.coding import Coding, coding_of, encode
from rtfocus.depth.grid import is_grid_of
from rtfocus.depth.mapfile import SUFFIXES, png_bytes, write_map
from rtfocus.errors import OutputError, UsageError
from rtfocus.frame import Disparity, Frame, Map, StreamInfo
from rtfocus.writers.atomic import AtomicOutput

_FFV1: dict[str, object] = {"level": "3", "coder": "1", "context": "1", "g": "60", "slicecrc": "1"}
"""Version 3, range coder, the larger context model; a checksum and a key frame now and then, so
that damage does not spread. Measured: 400 to 550 MB for 18,000 maps of 192x320."""


class DepthWriter(Protocol):
    """A sink of depth maps; as `rtfocus.writers.base.Writer`, with a map for every frame."""

    def write(self, frame: Frame, disparity: Disparity) -> None:
        """Add the depth of one frame, smoothed, any size; `OutputError` if that fails."""

    def close(self) -> None:
        """Finish the output and give it its final name; safe to call twice."""

    def discard(self) -> None:
        """Remove what was written so far; safe to call twice and after `close`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None: ...


def open_depth_writer(path: str, info: StreamInfo, *, overwrite: bool = False) -> DepthWriter:
    """Open what `--save-depth` names.

    Args:
        path: a map file, a recording's file, or a folder (it ends in a slash, or is one).
        info: the input that the depth belongs to.
        overwrite: replace what is there.

    Raises:
        UsageError: the name says no known format, or a format for stills is to hold a video.
        OutputError: it is there already, or cannot be written.
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if path.endswith(("/", "\\")) or target.is_dir():
        return FolderWriter(target, info, overwrite=overwrite)
    if suffix == tape.RECORDING_SUFFIX:
        return FileWriter(target, info, overwrite=overwrite)
    if suffix not in SUFFIXES:
        raise UsageError(
            f"--save-depth {path!r}: depth is kept as {tape.RECORDING_SUFFIX} or a folder (ending "
            f"in a slash), or for a still as {', '.join(SUFFIXES)}."
        )
    if info.kind != "image":
        raise UsageError(
            f"--save-depth {path!r} holds one map, but {info.source!r} has many frames. "
            f"Use a recording, such as {str(target.with_suffix(tape.RECORDING_SUFFIX))!r}, or a "
            "folder."
        )
    return MapWriter(target, info, overwrite=overwrite)


class MapWriter(AtomicOutput):
    """One map in a file, for a still."""

    def __init__(self, target: Path, info: StreamInfo, *, overwrite: bool) -> None:
        """Prepare; errors as `open_depth_writer`."""
        super().__init__(target, overwrite=overwrite)
        self._info = info
        self._written = False

    def write(self, frame: Frame, disparity: Disparity) -> None:  # noqa: ARG002 - a still has no time
        """Write the map; in the picture's own size where its grid has another aspect."""
        size = self._info.width, self._info.height
        if not is_grid_of(disparity.values.shape, size[::-1]):
            values: Map = cv2.resize(disparity.values, size)  # type: ignore[assignment]
            disparity = replace(disparity, values=values)
        with self._failures():
            write_map(self._part.path, self._target.suffix.lower(), disparity)
        self._written = True

    def _finish(self) -> bool:
        written, self._written = self._written, False
        return written


class FileWriter(AtomicOutput):
    """A recording in one Matroska file, see `rtfocus.depth.tape`."""

    def __init__(self, target: Path, info: StreamInfo, *, overwrite: bool) -> None:
        """Prepare; the first map says size and coding. Errors as `open_depth_writer`."""
        super().__init__(target, overwrite=overwrite)
        self._info = info
        self._video: _Video | None = None

    def write(self, frame: Frame, disparity: Disparity) -> None:
        """Add the map of one frame."""
        with self._failures():
            if self._video is None:
                self._video = _Video(self._part.path, self._info, frame, disparity)
            self._video.add(frame, disparity)

    def _finish(self) -> bool:
        if self._video is None:
            return False
        self._video.flush()
        self._video.close()
        self._video = None
        return True

    def _release(self) -> None:
        video, self._video = self._video, None
        if video is not None:
            with suppress(OSError, av.FFmpegError):  # a full disk, say; the file goes anyway
                video.close()


class _Video:
    """A Matroska file being written; its first map says size and coding."""

    def __init__(self, path: Path, info: StreamInfo, first: Frame, disparity: Disparity) -> None:
        self._coding = coding_of(disparity)
        self._start, self._time_base = first.pts, first.time_base
        self._container = av.open(str(path), "w", format="matroska")
        self._container.metadata.update(
            {
                tape.TAG_VERSION: str(tape.VERSION),
                tape.TAG_SCALE: self._coding,
                tape.TAG_PICTURE: f"{info.width}x{info.height}",
                tape.TAG_TIME_BASE: str(first.time_base),
                tape.TAG_START: str(first.pts),
            }
        )
        self._stream = self._container.add_stream("ffv1", rate=info.rate or 1)
        self._stream.height, self._stream.width = disparity.values.shape
        self._stream.pix_fmt = tape.PIXELS
        self._stream.options = _FFV1
        self._stream.codec_context.time_base = first.time_base
        self._stream.codec_context.thread_count = 1  # a map takes 2 ms; more threads gain nothing

    def add(self, frame: Frame, disparity: Disparity) -> None:
        picture = av.VideoFrame.from_ndarray(encode(disparity, self._coding), format=tape.PIXELS)
        picture.pts, picture.time_base = frame.pts - self._start, self._time_base
        picture.duration = frame.duration
        self._container.mux(self._stream.encode(picture))

    def flush(self) -> None:
        self._container.mux(self._stream.encode())

    def close(self) -> None:
        self._container.close()


class FolderWriter(AtomicOutput):
    """A recording as a folder of PNGs with an index, see `rtfocus.depth.tape`."""

    def __init__(self, target: Path, info: StreamInfo, *, overwrite: bool) -> None:
        """Make the folder, under its temporary name. Errors as `open_depth_writer`."""
        if _holds_other_things(target):
            raise OutputError(
                f"the folder {str(target)!r} holds things that are no depth recording. "
                "Name another folder; rtfocus makes it."
            )
        super().__init__(target, overwrite=overwrite)
        self._info = info
        self._pts: list[int] = []
        self._coding: Coding = "normalised"
        self._time_base = info.time_base
        with self._failures():
            self._part.path.mkdir()

    def write(self, frame: Frame, disparity: Disparity) -> None:
        """Add the map of one frame."""
        if not self._pts:
            self._coding, self._time_base = coding_of(disparity), frame.time_base
        png = png_bytes(encode(disparity, self._coding))
        with self._failures():
            (self._part.path / tape.folder_name(len(self._pts))).write_bytes(png)
        self._pts.append(frame.pts)

    def _finish(self) -> bool:
        if not self._pts:
            return False
        index = (
            "# Depth kept by rtfocus: one 16-bit PNG per frame. Use it with --depth and this "
            "folder.\n"
            f"rtfocus_depth = {tape.VERSION}\n"
            f'scale = "{self._coding}"\n'
            f"picture = [{self._info.width}, {self._info.height}]  # width, height of the frames\n"
            f'time_base = "{self._time_base}"  # seconds per unit of pts\n'
            f"pts = {self._pts}\n"
        )
        (self._part.path / tape.INDEX_NAME).write_text(index, encoding="utf-8")
        self._pts = []
        return True


def _holds_other_things(folder: Path) -> bool:
    """Whether replacing this folder would lose more than an earlier recording."""
    if not folder.is_dir():
        return False
    names = {each.name for each in folder.iterdir()}
    maps = {tape.folder_name(number) for number in range(len(names) - 1)}
    return bool(names) and names != maps | {tape.INDEX_NAME}
