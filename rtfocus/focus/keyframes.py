"""Focus keyframes: what is in focus at which time of a clip, kept as TOML beside it."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from rtfocus.errors import InputError, UsageError, suggest
from rtfocus.focus.plane import FocusDisparity, FocusPoint
from rtfocus.focus.rack import Easing, check_rack, ease
from rtfocus.limits import check_limits
from rtfocus.writers.atomic import write_text

_SUFFIX = ".focus.toml"
_VERSION = 1
_LARGEST_FILE = 4 << 20
"""Bytes; tens of thousands of keyframes."""


@dataclass(frozen=True, slots=True)
class Keyframe:
    """What is in focus from a time on.

    Attributes:
        time: of the frame, in seconds, as the clip itself counts.
        target: the thing at a point, or a normalised disparity.
        f_number: aperture from then on; None: as before.
        easing: of the rack that leads here.
    """

    time: float
    target: FocusPoint | FocusDisparity
    f_number: float | None = None
    easing: Easing = "ease-in-out"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.time) and self.time >= 0):
            raise UsageError(f"time {self.time!r}: must be 0 or more seconds")
        if self.f_number is not None:
            check_limits("f_number", self.f_number)
        check_rack(0.0, self.easing)


@dataclass(frozen=True, slots=True)
class Moment:
    """Where the focus is at some time: at `target`, or on its way there.

    Attributes:
        target: what is in focus, or about to be.
        before: what it comes from; the same thing where no rack is under way.
        share: of the way that lies behind, 0..1.
        f_number: the aperture at that time.
    """

    target: FocusPoint | FocusDisparity
    before: FocusPoint | FocusDisparity
    share: float
    f_number: float

    def plane(self, disparity_of: Callable[[FocusPoint | FocusDisparity], float]) -> float:
        """Normalised disparity of the plane of focus.

        Args:
            disparity_of: what finds the normalised disparity of a target in this frame; asked for
                `before` only during a rack.
        """
        there = disparity_of(self.target)
        if self.share >= 1:
            return there
        return there + (1 - self.share) * (disparity_of(self.before) - there)


@dataclass(frozen=True, slots=True)
class Keyframes:
    """The keyframes of a clip, in order of time; not two at the same time.

    Attributes:
        frames: sorted here, whatever order they come in.
        rack: seconds before each keyframe at which the focus sets out, to arrive on time; less
            where the one before is nearer. 0 jumps.
    """

    frames: tuple[Keyframe, ...] = ()
    rack: float = 0.5

    def __post_init__(self) -> None:
        check_rack(self.rack, "linear")
        ordered = tuple(sorted(self.frames, key=lambda frame: frame.time))
        for first, second in pairwise(ordered):
            if first.time == second.time:
                raise UsageError(f"two keyframes at {first.time:g} s: leave one of them out")
        object.__setattr__(self, "frames", ordered)

    def at(self, time: float, f_number: float) -> Moment | None:
        """Where the focus is at a time in seconds; None without keyframes.

        The first keyframe also holds before its time, the last one after it. The f-number travels
        with the focus, in equal steps of exposure (that is, by its logarithm).

        Args:
            time: of the frame.
            f_number: where no keyframe has set one yet.
        """
        if not self.frames:
            return None
        apertures = []
        for frame in self.frames:
            f_number = frame.f_number or f_number
            apertures.append(f_number)
        following = next((i for i, f in enumerate(self.frames) if f.time > time), len(self.frames))
        if following in (0, len(self.frames)):
            n = min(following, len(self.frames) - 1)
            return _resting(self.frames[n], apertures[n])
        n = following
        before, after = self.frames[n - 1], self.frames[n]
        span = min(self.rack, after.time - before.time)
        if after.time - time >= span:
            return _resting(before, apertures[n - 1])
        share = ease(after.easing, 1 - (after.time - time) / span)
        aperture = apertures[n - 1] * (apertures[n] / apertures[n - 1]) ** share
        return Moment(after.target, before.target, share, aperture)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file.

        Raises:
            InputError: it is not there or cannot be read.
            UsageError: what it says makes no sense; with the number of the keyframe.
        """
        try:
            with Path(path).open("rb") as file:
                data = file.read(_LARGEST_FILE + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"keyframes {str(path)!r} cannot be read ({reason})") from error
        if len(data) > _LARGEST_FILE:
            raise UsageError(f"{str(path)!r} is too large for a file of keyframes")
        try:
            return cls.from_toml(data.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise UsageError(f"{str(path)!r} is not TOML: {error}") from error
        except UsageError as error:
            raise UsageError(f"{str(path)!r}: {error}") from error

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Read what `to_toml` writes.

        Raises:
            UsageError: as `load`.
        """
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:  # it says line and column
            raise UsageError(f"not TOML: {error}") from error
        _check_keys(table, ("version", "rack", "keyframe"), "the file")
        version = table.get("version", _VERSION)
        if version != _VERSION:
            raise UsageError(f"version {version!r} is not known; this rtfocus reads {_VERSION}")
        entries = table.get("keyframe", [])
        if not (isinstance(entries, list) and all(isinstance(e, dict) for e in entries)):
            raise UsageError("keyframes are written as tables, each under a line [[keyframe]]")
        frames = []
        for number, entry in enumerate(entries, 1):
            try:
                frames.append(_read_keyframe(entry))
            except UsageError as error:
                raise UsageError(f"keyframe {number}: {error}") from error
        rack = _number("rack", table["rack"]) if "rack" in table else cls().rack
        return cls(tuple(frames), rack)

    def to_toml(self) -> str:
        """As TOML, a table for each keyframe."""
        parts = [f"version = {_VERSION}\nrack = {float(self.rack)!r}\n"]
        for frame in self.frames:
            if isinstance(frame.target, FocusPoint):
                target = f"point = [{float(frame.target.x)!r}, {float(frame.target.y)!r}]"
            else:
                target = f"disparity = {float(frame.target.value)!r}"
            lines = ["[[keyframe]]", f"time = {float(frame.time)!r}", target]
            if frame.f_number is not None:
                lines.append(f"f_number = {float(frame.f_number)!r}")
            lines.append(f'easing = "{frame.easing}"')
            parts.append("\n".join(lines) + "\n")
        return "\n".join(parts)

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all; one that is there is replaced.

        Raises:
            OutputError: it cannot be written.
        """
        write_text(Path(path), self.to_toml())


def beside(clip: str | Path) -> Path:
    """Where the keyframes of a clip are kept: clip.mp4 has clip.focus.toml."""
    return Path(clip).with_suffix(_SUFFIX)


def _resting(frame: Keyframe, f_number: float) -> Moment:
    return Moment(frame.target, frame.target, 1.0, f_number)


def _read_keyframe(entry: dict[str, Any]) -> Keyframe:
    _check_keys(entry, ("time", "point", "disparity", "f_number", "easing"), "a keyframe")
    if "time" not in entry:
        raise UsageError("has no time; write time = SECONDS")
    if ("point" in entry) == ("disparity" in entry):
        raise UsageError("needs one of point = [X, Y] and disparity = D")
    return Keyframe(
        _number("time", entry["time"]),
        _read_target(entry),
        _number("f_number", entry["f_number"]) if "f_number" in entry else None,
        entry.get("easing", "ease-in-out"),  # checked by Keyframe
    )


def _read_target(entry: dict[str, Any]) -> FocusPoint | FocusDisparity:
    if "disparity" in entry:
        return FocusDisparity(_number("disparity", entry["disparity"]))
    point = entry["point"]
    if not (isinstance(point, list) and len(point) == 2):
        raise UsageError(f"point {point!r}: must be two numbers, [X, Y], each 0..1")
    return FocusPoint(_number("point", point[0]), _number("point", point[1]))


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UsageError(f"{name} {value!r}: must be a number")
    try:
        return float(value)
    except OverflowError as error:
        raise UsageError(f"{name}: the number is too large") from error


def _check_keys(table: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise UsageError(
                f"{key!r} means nothing in {where}; it has {', '.join(known)}{suggest(key, known)}"
            )
