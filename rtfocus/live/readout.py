"""What is told of a live run beside its pictures, to the window and to pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Face:
    """A face in the picture; all in 0..1 of its width and height."""

    x: float
    y: float
    width: float
    height: float
    focused: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """How the run is doing.

    Attributes:
        fps: pictures shown per second.
        latency_ms: from capture until it is shown, median and 95th percentile.
        drops: pictures that were captured and never shown.
        stages: milliseconds of every stage, by name.
        device: that computes, in words.
        message: what a user should know now, such as "camera lost, waiting"; "" for nothing.
    """

    fps: float = 0.0
    latency_ms: tuple[float, float] = (0.0, 0.0)
    drops: int = 0
    stages: Mapping[str, float] = field(default_factory=dict)
    device: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """What belongs to one picture.

    Attributes:
        time: presentation time in seconds; the position in a file.
        captured: `time.monotonic()` when it was captured or decoded.
        plane: normalised disparity of the plane of focus; None where not known.
        metres: distance of that plane, where depth is metric.
        tracking: whether the thing that is followed is in sight; "" where nothing is followed.
        place: where it is now, 0..1 of width and height; None: where it was clicked.
        faces: that were found.
        histogram: of normalised disparity over 0..1, any number of equal bins (64 look good), far
            first; only the shape counts. None: as before, so that it need not be made every time.
        status: None: as before.
    """

    time: float
    captured: float
    plane: float | None = None
    metres: float | None = None
    tracking: Literal["", "locked", "lost"] = ""
    place: tuple[float, float] | None = None
    faces: tuple[Face, ...] = ()
    histogram: tuple[float, ...] | None = None
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """What is being shown.

    Attributes:
        name: of the input, for people.
        kind: a file can be paused and sought, and has a timeline.
        duration: of a file in seconds; 0 where not known.
        start: time of a file's first frame in seconds.
    """

    name: str = ""
    kind: Literal["live", "file"] = "live"
    duration: float = 0.0
    start: float = 0.0
