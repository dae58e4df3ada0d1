"""Recordings of depth with their times, as `--save-depth` writes them and `--depth` reads them.

A file is Matroska with one FFV1 gray16le video: 16 bits a value, lossless, and any player shows it.
A folder holds one 16-bit PNG per frame and an index in TOML. Both hold the codes of
`rtfocus.depth.coding`, at the size of the network's grid.

Matroska counts in milliseconds, so a file also says the time base and the first pts of the frames
it belongs to; times read from it are exact where a tick is 2 ms or more, else to half a
millisecond.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast, get_args

import av
from av.container import InputContainer

from rtfocus.depth.coding import Coding, decoder
from rtfocus.depth.mapfile import read_codes
from rtfocus.errors import InputCutShort, InputError
from rtfocus.frame import Map

RECORDING_SUFFIX = ".mkv"
INDEX_NAME = "depth.toml"
VERSION = 1
PIXELS = "gray16le"

TAG_VERSION = "RTFOCUS_DEPTH"
TAG_SCALE = "RTFOCUS_SCALE"
TAG_PICTURE = "RTFOCUS_PICTURE"
TAG_TIME_BASE = "RTFOCUS_TIME_BASE"
TAG_START = "RTFOCUS_START"


@dataclass(frozen=True, slots=True)
class TimedMap:
    """One recorded map.

    Attributes:
        time: presentation time of its frame in seconds.
        disparity: (h, w) float32 in the recording's scale.
    """

    time: float
    disparity: Map


@dataclass(frozen=True, slots=True)
class Tape:
    """A recording being read.

    Attributes:
        scale: what its disparity means.
        picture: width and height of the frames it was made for.
        maps: the maps in order of time; raises `InputCutShort` where the recording is damaged.
        close: releases the files; safe to call twice.
    """

    scale: Coding
    picture: tuple[int, int]
    maps: Iterator[TimedMap]
    close: Callable[[], None]


def open_file(path: Path) -> Tape:
    """Open a recording in one file.

    Raises:
        InputError: it cannot be read, or is not a recording of depth.
    """
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise InputError(
            f"the recording {str(path)!r} cannot be read: {error.strerror}. Record the depth again."
        ) from error
    tags = {key.upper(): value for key, value in container.metadata.items()}
    try:
        scale = _scale(tags[TAG_VERSION] == str(VERSION), tags[TAG_SCALE])
        width, height = map(int, tags[TAG_PICTURE].split("x"))
        time_base, start = Fraction(tags[TAG_TIME_BASE]), int(tags[TAG_START])
        container.streams.video[0]
    except (LookupError, ValueError, ZeroDivisionError) as error:
        container.close()
        raise _foreign(path) from error
    maps = _decode(container, path, scale, time_base, start)
    return Tape(scale, (width, height), maps, container.close)


def open_folder(path: Path) -> Tape:
    """Open a recording in a folder.

    Raises:
        InputError: its index cannot be read, or does not fit the PNGs.
    """
    index = path / INDEX_NAME
    try:
        entries: dict[str, Any] = tomllib.loads(index.read_text(encoding="utf-8"))
        scale = _scale(entries["rtfocus_depth"] == VERSION, entries["scale"])
        width, height = map(int, entries["picture"])
        time_base, pts = Fraction(entries["time_base"]), list(map(int, entries["pts"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OSError) as error:
        raise _foreign(index) from error
    files = [path / folder_name(number) for number in range(len(pts))]
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        raise InputError(
            f"the recording {str(path)!r} lacks {len(absent)} of {len(files)} maps, the first "
            f"{absent[0]!r}. Record the depth again."
        )
    table = decoder(scale)
    times = (float(each * time_base) for each in pts)
    maps = (
        TimedMap(time, table[read_codes(file)]) for time, file in zip(times, files, strict=True)
    )
    return Tape(scale, (width, height), maps, maps.close)


def folder_name(number: int) -> str:
    """Name of a map in a recording that is a folder."""
    return f"{number:06d}.png"


def _decode(
    container: InputContainer, path: Path, scale: Coding, time_base: Fraction, start: int
) -> Iterator[TimedMap]:
    table = decoder(scale)
    count = 0
    try:
        for frame in container.decode(video=0):
            ticks = start + round(_seconds(frame) / time_base)
            yield TimedMap(float(ticks * time_base), table[frame.to_ndarray(format=PIXELS)])
            count += 1
    except av.FFmpegError as error:
        raise InputCutShort(
            f"the recording {str(path)!r} is damaged after {count} maps: {error.strerror}. "
            "Record the depth again."
        ) from error


def _seconds(frame: av.VideoFrame) -> Fraction:
    if frame.pts is None or frame.time_base is None:
        raise InputCutShort("a map of the recording has no time. Record the depth again.")
    return frame.pts * frame.time_base


def _scale(known_version: bool, scale: str) -> Coding:
    if not known_version or scale not in get_args(Coding):
        raise ValueError(scale)
    return cast(Coding, scale)


def _foreign(path: Path) -> InputError:
    return InputError(
        f"{str(path)!r} is not a depth recording that this version of rtfocus reads. "
        "Give one made with --save-depth, or map files."
    )
