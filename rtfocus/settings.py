"""Every option of a run, once, for the command line, TOML files and Python alike."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from cyclopts import Group, Parameter

from rtfocus.errors import UsageError, suggest
from rtfocus.focus.plane import FocusDisparity, FocusDistance, FocusPoint, FocusTarget
from rtfocus.focus.rack import Easing, check_rack
from rtfocus.lens import Lens
from rtfocus.limits import LIMITS, check_limits
from rtfocus.render.aperture import Aperture
from rtfocus.render.views import View

DepthKind = Literal["inverse_depth", "depth", "metric_depth"]
OnLoss = Literal["wait", "stop"]
Method = Literal["lens", "gaussian", "average", "median", "bilateral"]
Quality = Literal["high", "fast", "live"]

_LOWEST_RATE, _HIGHEST_RATE = 0.01, 1000.0
"""Of a directory of images; what lies between is exact enough in fractions of a thousandth."""

INPUT = Group("Input", sort_key=1)
DEPTH = Group("Depth", sort_key=2)
FOCUS = Group("Focus", sort_key=3)
LENS = Group("Lens", sort_key=4)
OUTPUT = Group("Output", sort_key=5)
PAGE = Group("Browser page", sort_key=6)
MACHINE = Group("Machine", sort_key=7)


def _pair(kind: type[float] | type[int], separator: str) -> Any:
    def convert(_: object, tokens: Iterable[Any]) -> tuple[float, ...]:
        text = next(iter(tokens)).value
        parts = text.replace("x", ",").split(",")  # a list of TOML comes with commas
        if len(parts) != 2:
            raise ValueError(f"two numbers with {separator!r} between them")
        return tuple(kind(part) for part in parts)

    return convert


def _whole(_: object, tokens: Iterable[Any]) -> int:
    try:
        return int(next(iter(tokens)).value)  # where Cyclopts would round
    except ValueError as error:
        raise ValueError("a whole number") from error


Whole = Annotated[int, Parameter(converter=_whole, n_tokens=1)]
"""A number of things on the command line."""


def _option(group: Group, help: str, **keywords: Any) -> Parameter:  # noqa: A002
    return Parameter(group=group, help=help, negative=(), **keywords)


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What to do; units and meanings are those of the command line (`rtfocus run --help`).

    Raises:
        UsageError: a value, or a combination of values, makes no sense.
    """

    realtime: Annotated[
        bool,
        _option(INPUT, "Play a file at its own pace, as if it were live; live outputs imply it."),
    ] = False
    loop: Annotated[bool, _option(INPUT, "Play a file again and again, in real time.")] = False
    on_loss: Annotated[
        OnLoss,
        _option(INPUT, "When a camera or stream is lost: wait for it to come back, or stop."),
    ] = "wait"
    rate: Annotated[
        float | None, _option(INPUT, "Frames per second of a directory of images; default: 25.")
    ] = None

    model: Annotated[
        str | None,
        _option(
            DEPTH,
            "Depth network: a name of `rtfocus models list`, or FILE.onnx with its card; default: "
            "the built-in one.",
        ),
    ] = None
    depth: Annotated[
        str | None,
        _option(
            DEPTH,
            "Depth from files instead: .npz, .npy, 16-bit .png, .pfm, a directory of them, or a "
            "recording of --save-depth.",
        ),
    ] = None
    depth_kind: Annotated[DepthKind | None, _option(DEPTH, "What those files hold.")] = None
    depth_size: Annotated[
        tuple[int, int] | None,
        _option(
            DEPTH,
            "Height and width that the network runs at; default: what its card says.",
            converter=_pair(int, "x"),
            n_tokens=1,
            metavar="HxW",
        ),
    ] = None
    depth_every: Annotated[
        Whole,
        _option(
            DEPTH,
            "Run the network on every Nth frame, and at cuts (but for live video and GPUs); those "
            "between keep its depth.",
        ),
    ] = 1
    flip: Annotated[
        bool, _option(DEPTH, "Run the network on the mirrored frame too: steadier, twice the cost.")
    ] = False
    save_depth: Annotated[
        str | None,
        _option(
            DEPTH,
            "Keep the depth that was used, for --depth: .mkv or DIR/ for a video; .npz, .npy, .png "
            "or .pfm for an image.",
        ),
    ] = None
    smooth: Annotated[
        float | None,
        _option(
            DEPTH,
            "Smoothing of depth over time, 0..1; default: 0.5 with a network, 0 with depth from "
            "files.",
        ),
    ] = None
    look_ahead: Annotated[
        Whole, _option(DEPTH, "Frames that smoothing may look ahead; none where the input is live.")
    ] = 10

    focus: Annotated[
        tuple[float, float] | None,
        _option(
            FOCUS,
            "Focus on the thing at this point, 0..1 of width and height from the top left; "
            "default: 0.5,0.5.",
            converter=_pair(float, ","),
            n_tokens=1,
            metavar="X,Y",
        ),
    ] = None
    focus_distance: Annotated[
        float | None, _option(FOCUS, "Focus at a distance in metres; needs metric depth.")
    ] = None
    focus_disparity: Annotated[
        float | None, _option(FOCUS, "Focus at a normalised disparity, 0 far .. 1 near.")
    ] = None
    focus_range: Annotated[
        float, _option(FOCUS, "Width of the band of normalised disparity that stays sharp.")
    ] = 0.0
    follow: Annotated[
        bool, _option(FOCUS, "Follow the thing at the point as it moves through the picture.")
    ] = False
    face_model: Annotated[
        str | None,
        _option(
            FOCUS,
            "Focus on the face nearest to the point, found by OpenCV's YuNet in this file.",
            metavar="FILE",
        ),
    ] = None
    keyframes: Annotated[
        str | None,
        _option(
            FOCUS,
            "Focus and aperture from a file of keyframes, as the page saves them beside a clip.",
            metavar="FILE",
        ),
    ] = None
    rack: Annotated[
        float, _option(FOCUS, "Seconds that the focus takes to another thing; 0 jumps.")
    ] = 0.5
    easing: Annotated[Easing, _option(FOCUS, "How it sets out and arrives.")] = "ease-in-out"

    f_number: Annotated[float, _option(LENS, "Aperture; smaller is more blur.")] = 2.8
    focal_length: Annotated[
        float | None, _option(LENS, "Focal length in mm, for a physical lens with metric depth.")
    ] = None
    sensor_width: Annotated[
        float | None, _option(LENS, "Sensor width in mm, with --focal-length.")
    ] = None
    max_radius: Annotated[
        float | None, _option(LENS, "Largest blur radius, in percent of the picture's height.")
    ] = None
    method: Annotated[Method, _option(LENS, "How to blur.")] = "lens"
    blades: Annotated[Whole, _option(LENS, "Aperture blades, 3..16; 0 is round.")] = 0
    blade_rotation: Annotated[float, _option(LENS, "Rotation of the blades, in degrees.")] = 0.0
    highlights: Annotated[
        float, _option(LENS, "Share of the light that clipped highlights get back; 0 is none.")
    ] = 1.0
    quality: Annotated[
        Quality | None,
        _option(
            LENS,
            "What counts more, the picture or speed: high also runs the depth network at the finer "
            "size of its card; live blurs a reduced picture and puts back the detail of what is "
            "in focus (on a GPU it is fast); default: high, for live video live.",
        ),
    ] = None

    view: Annotated[View, _option(OUTPUT, "What to write; depth is in MAGMA colours.")] = "result"
    codec: Annotated[
        str | None,
        _option(OUTPUT, "Video encoder, such as h264, hevc, av1, prores; default: by the file."),
    ] = None
    crf: Annotated[float | None, _option(OUTPUT, "Quality of the encoder, smaller is better.")] = (
        None
    )
    encoder_preset: Annotated[
        str | None, _option(OUTPUT, "Speed of the encoder, such as veryfast or medium.")
    ] = None
    record_original: Annotated[
        str | None,
        _option(
            OUTPUT,
            "Also keep what the camera saw, as FILE, and its depth beside it, so that it can be "
            "refocused later.",
            metavar="FILE",
        ),
    ] = None

    serve: Annotated[
        str | None,
        _option(
            PAGE,
            "Show the video on a page and steer it there; any address but this machine's own "
            "needs the token that is printed.",
            metavar="[HOST:]PORT",
        ),
    ] = None
    media: Annotated[
        str | None, _option(PAGE, "Folder with files that the page may open.", metavar="DIR")
    ] = None

    device: Annotated[str, _option(MACHINE, "auto, cpu, cuda or cuda:N.")] = "auto"
    threads: Annotated[
        Whole,
        _option(
            MACHINE, "Processor cores that a stage may use; 0 is all, in live video half of them."
        ),
    ] = 0

    def __post_init__(self) -> None:
        self._check_types()
        self._check_choices()
        for name in LIMITS:
            if (value := getattr(self, name)) is not None:
                check_limits(name, value)
        _require(0 <= self.look_ahead <= 60, "look ahead", self.look_ahead, "0 to 60 frames")
        _require(self.threads >= 0, "threads", self.threads, "0 (all cores) or more")
        rate = _LOWEST_RATE if self.rate is None else self.rate
        allowed = f"{_LOWEST_RATE:g} to {_HIGHEST_RATE:g} frames per second"
        _require(_LOWEST_RATE <= rate <= _HIGHEST_RATE, "rate", self.rate, allowed)
        if self.depth_size is not None:
            _require(min(self.depth_size) >= 1, "depth size", self.depth_size, "1 or more each")
        check_rack(self.rack, self.easing)
        self._check_focus()
        if self.media is not None and self.serve is None:
            raise UsageError("--media is what a page may open: give --serve, too")
        self.lens()
        self.aperture()
        self.target()

    @classmethod
    def create(cls, **options: Any) -> Self:
        """Settings from keywords; a name that does not exist is a UsageError, not a TypeError."""
        check_names(options, "rtfocus")
        return cls(**options)

    def lens(self) -> Lens:
        """The lens that these settings describe."""
        return Lens(
            f_number=self.f_number,
            focus_range=self.focus_range,
            max_radius=self.max_radius,
            focal_length_mm=self.focal_length,
            sensor_width_mm=self.sensor_width,
        )

    def aperture(self) -> Aperture:
        """The shape of its aperture."""
        return Aperture(self.blades, self.blade_rotation)

    def target(self) -> FocusTarget:
        """What to focus on."""
        given = {
            "--focus": self.focus,
            "--focus-distance": self.focus_distance,
            "--focus-disparity": self.focus_disparity,
        }
        named = [name for name, value in given.items() if value is not None]
        if len(named) > 1:
            raise UsageError(f"{' and '.join(named)} contradict each other: give one of them")
        if self.focus_distance is not None:
            return FocusDistance(self.focus_distance)
        if self.focus_disparity is not None:
            return FocusDisparity(self.focus_disparity)
        return FocusPoint(*(self.focus or (0.5, 0.5)))

    def tier(self) -> Quality:
        """The quality that counts; live video sets its own before it asks."""
        return self.quality or "high"

    def cores(self) -> int:
        """How many threads a stage may use."""
        if self.threads:
            return self.threads
        return len(os.sched_getaffinity(0)) if _HAS_AFFINITY else os.cpu_count() or 1

    def _check_focus(self) -> None:
        plane = self.focus_distance is not None or self.focus_disparity is not None
        for name, value in (("--follow", self.follow), ("--face-model", self.face_model)):
            if value and plane:
                raise UsageError(
                    f"{name} finds the plane of focus itself: leave out --focus-distance and "
                    "--focus-disparity"
                )
        if self.follow and self.face_model:
            raise UsageError("--follow and --face-model contradict each other: give one of them")

    def _check_types(self) -> None:
        for name, hint in _HINTS.items():
            value = getattr(self, name)
            if isinstance(value, os.PathLike):
                object.__setattr__(self, name, value := os.fspath(value))
            elif isinstance(value, list):
                object.__setattr__(self, name, value := tuple(value))
            _require(_is(value, hint), name.replace("_", " "), value, _in_words(hint))

    def _check_choices(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value is not None and value not in choices:
                raise UsageError(
                    f"{name.replace('_', ' ')} {value!r} is not known; it must be "
                    f"{', '.join(choices)}{suggest(str(value), choices)}"
                )


_HINTS = get_type_hints(Settings)
_HAS_AFFINITY = hasattr(os, "sched_getaffinity")
_CHOICES: dict[str, tuple[str, ...]] = {
    "depth_kind": get_args(DepthKind),
    "easing": get_args(Easing),
    "on_loss": get_args(OnLoss),
    "method": get_args(Method),
    "quality": get_args(Quality),
    "view": get_args(View),
}


def check_names(values: Mapping[str, object], where: str) -> None:
    """Raise UsageError for a name that is no setting."""
    for name in values:
        if name not in _HINTS:
            raise UsageError(f"{where}: there is no setting {name!r}{suggest(name, _HINTS)}")


def _is(value: object, hint: Any) -> bool:
    """Whether a value is what a field may hold; a whole number is a number, and a bool is none."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_is(value, part) for part in parts)
    if origin is tuple:
        return isinstance(value, tuple) and len(value) == len(parts) and all(map(_is, value, parts))
    if hint in (int, float):
        kind = Integral if hint is int else Real
        return isinstance(value, kind) and not isinstance(value, bool)
    return isinstance(value, str if origin is Literal else hint)


def _in_words(hint: Any) -> str:
    parts = [part for part in get_args(hint) if part is not NoneType]
    if get_origin(hint) in (Union, UnionType):
        return _in_words(parts[0])
    if get_origin(hint) is tuple:
        return f"two {_in_words(parts[0]).removeprefix('a ')}s"
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(hint, "text")


def _require(condition: bool, name: str, value: object, allowed: str) -> None:
    if not condition:
        raise UsageError(f"{name} {value!r}: must be {allowed}")
