"""Recorded depth instead of a network: map files of any origin, and what `--save-depth` wrote.

one map file                  one map for every frame: a still, or a camera that does not move
a folder of map files         one per frame, in the natural order of their names (2 before 10)
a recording, file or folder   matched to the frames by time (`rtfocus.depth.tape`)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from rtfocus.depth.base import DepthSource
from rtfocus.depth.grid import is_grid_of
from rtfocus.depth.kinds import Kind
from rtfocus.depth.mapfile import SUFFIXES, read_map
from rtfocus.depth.tape import INDEX_NAME, RECORDING_SUFFIX, Tape, TimedMap, open_file, open_folder
from rtfocus.errors import InputCutShort, InputError, UsageError
from rtfocus.frame import Frame, Map, Scale, StreamInfo
from rtfocus.readers.images import in_natural_order


def open_recording(path: Path, kind: Kind | None, info: StreamInfo) -> DepthSource:
    """Open recorded depth for the frames of an input.

    Args:
        path: a map file, a folder of them, or a recording.
        kind: what map files hold; None: see `rtfocus.depth.mapfile`. Recordings know it themselves.
        info: the input that the depth belongs to.

    Raises:
        InputError: absent, unreadable, of another shape than the picture, or its values make no
            sense.
        UsageError: the kind contradicts the file, or files of this type hold no depth.
    """
    if not path.exists():
        raise InputError(f"there is no depth file or folder {str(path)!r}. Check --depth.")
    is_tape = (
        (path / INDEX_NAME).is_file() if path.is_dir() else path.suffix.lower() == RECORDING_SUFFIX
    )
    if is_tape:
        if kind is not None:
            raise UsageError(
                f"--depth-kind {kind}: the recording {str(path)!r} knows what it holds; leave the "
                "kind out."
            )
        return TapeDepth(path, open_folder if path.is_dir() else open_file, info)
    if path.is_dir():
        return FolderDepth(path, kind, info)
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"--depth {str(path)!r}: depth comes from {', '.join(SUFFIXES)}, a folder of those, "
            f"or a recording made with --save-depth ({RECORDING_SUFFIX} or a folder)."
        )
    return StillDepth(path, kind, info)


class StillDepth:
    """One map, used for every frame."""

    scale: Scale
    steady = True

    def __init__(self, path: Path, kind: Kind | None, info: StreamInfo) -> None:
        """Read the map; errors as `open_recording`."""
        self._map, self.scale = read_map(path, kind)
        _check_shape(self._map, path, info)
        self.description = f"{path.name} {self._map.shape[0]}x{self._map.shape[1]}"

    def estimate(self, frame: Frame) -> Map:  # noqa: ARG002 - the same for all
        """The map."""
        return self._map

    def close(self) -> None:
        """Nothing to release."""


class FolderDepth:
    """A folder of map files, one per frame in the natural order of their names."""

    scale: Scale
    steady = True

    def __init__(self, path: Path, kind: Kind | None, info: StreamInfo) -> None:
        """List the files and read the first; errors as `open_recording`."""
        self._path, self._kind, self._info = path, kind, info
        self._files = _list_maps(path)
        first, self.scale = read_map(self._files[0], kind)
        _check_shape(first, self._files[0], info)
        self.description = (
            f"{path.name} ({len(self._files)} maps {first.shape[0]}x{first.shape[1]})"
        )

    def estimate(self, frame: Frame) -> Map:
        """The map with the frame's number.

        Raises:
            InputCutShort: there are fewer maps than frames.
            InputError: this map is unusable.
        """
        number = self._number_of(frame)
        if number >= len(self._files):
            raise _ended(self._path, len(self._files), frame, self._info)
        file = self._files[number]
        disparity, _ = read_map(file, self._kind)
        _check_shape(disparity, file, self._info)
        return disparity

    def _number_of(self, frame: Frame) -> int:
        """Of a frame in its file; live, frames are numbered as they are shown."""
        info = self._info
        if not info.live or info.rate is None:
            return frame.index
        return max(0, round((frame.time - info.start) * info.rate))

    def close(self) -> None:
        """Nothing to release."""


class TapeDepth:
    """A recording made with `--save-depth`: for every frame the map that is nearest in time.

    Nearest within half a frame, so a recording serves any cut of its clip, at a variable rate too.
    Where time goes back, as in a clip that is sought or played again, it is read from its start.
    """

    scale: Scale
    steady = True

    def __init__(self, path: Path, open_tape: Callable[[Path], Tape], info: StreamInfo) -> None:
        """Start reading; errors as `open_recording`."""
        self._path, self._open, self._info = path, open_tape, info
        self._start()
        _check_picture(self._tape.picture, path, info)
        # A still has one map, whatever its time. The millisecond is what a recording file rounds
        # to.
        self._tolerance = math.inf if info.rate is None else 0.5 / float(info.rate) + 0.001
        self.scale = self._tape.scale
        height, width = self._current.disparity.shape
        self.description = f"{path.name} {height}x{width}"

    def _start(self) -> None:
        """Open the recording at its first map."""
        self._tape = self._open(self._path)
        first = next(self._tape.maps, None)
        if first is None:
            self._tape.close()
            raise InputError(
                f"the recording {str(self._path)!r} holds no maps. Record the depth again."
            )
        self._current: TimedMap = first
        self._next = next(self._tape.maps, None)
        self._passed = 1

    def estimate(self, frame: Frame) -> Map:
        """The map nearest to the frame's time.

        Raises:
            InputCutShort: the recording ends before this frame.
            InputError: it has a gap here, or starts later.
        """
        time = frame.time
        if self._passed > 1 and time < self._current.time - self._tolerance:
            self._tape.close()
            self._start()
        while self._next is not None and self._next.time - time <= abs(self._current.time - time):
            self._current, self._next = self._next, next(self._tape.maps, None)
            self._passed += 1
        nearest = self._current.time
        if abs(nearest - time) <= self._tolerance:
            return self._current.disparity
        if self._next is None and nearest < time:
            raise _ended(self._path, self._passed, frame, self._info)
        raise InputError(
            f"the recording {str(self._path)!r} has no depth for frame {frame.index} at {time:.3f} "
            f"s; the nearest is at {nearest:.3f} s. Is it of another clip? Record the depth again."
        )

    def close(self) -> None:
        """Close the recording."""
        self._tape.close()


def _list_maps(folder: Path) -> list[Path]:
    files = [
        file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and file.is_file()
    ]
    if not files:
        raise InputError(
            f"the folder {str(folder)!r} holds no depth maps ({', '.join(SUFFIXES)}). Check "
            "--depth."
        )
    suffixes = sorted({file.suffix.lower() for file in files})
    if len(suffixes) > 1:
        raise InputError(
            f"the folder {str(folder)!r} holds maps of several types ({', '.join(suffixes)}), so "
            "their order is not clear. Keep one type."
        )
    return in_natural_order(files)


def _check_shape(disparity: Map, path: Path, info: StreamInfo) -> None:
    height, width = disparity.shape
    if not is_grid_of((height, width), (info.height, info.width)):
        raise InputError(
            f"depth {str(path)!r} is {width}x{height}, but the picture of {info.source!r} is "
            f"{info.width}x{info.height}: the shapes differ. Give depth of the same aspect and "
            "orientation."
        )


def _check_picture(recorded: tuple[int, int], path: Path, info: StreamInfo) -> None:
    """Refuse a recording of a picture with another aspect; a smaller copy may round its sides."""
    width, height = recorded
    if abs(width * info.height - height * info.width) > max(width, height, info.width, info.height):
        raise InputError(
            f"the recording {str(path)!r} was made for a picture of {width}x{height}, but "
            f"{info.source!r} is {info.width}x{info.height}: the shapes differ. Record the depth "
            "again."
        )


def _ended(path: Path, maps: int, frame: Frame, info: StreamInfo) -> InputCutShort:
    count = "more frames" if info.frames is None else f"{info.frames} frames"
    return InputCutShort(
        f"the depth in {str(path)!r} ends after {maps} maps, but {info.source!r} has {count}: "
        f"it got as far as frame {frame.index}, {frame.time:.3f} s. Give depth for the whole clip."
    )
