"""Frame by frame from Python."""

from __future__ import annotations

import math
from fractions import Fraction
from numbers import Real
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray

from rtfocus.backend import open_backend
from rtfocus.depth.grid import is_grid_of
from rtfocus.device import resolve
from rtfocus.engine import Engine
from rtfocus.errors import InputError, UsageError, suggest
from rtfocus.focus.steering import open_steering
from rtfocus.frame import Frame, Image, Map, Scale, StreamInfo
from rtfocus.settings import Settings

_TIME_BASE = Fraction(1, 1_000_000)


class Refocus:
    """Refocuses pictures one after the other, as a camera or a program of your own delivers them.

        with rtfocus.Refocus(focus=(0.5, 0.4), f_number=1.8, model="depth.onnx") as refocus:
            for image in camera:
                show(refocus(image))

    Depth comes with each picture, or from the network that `model` names. Consecutive pictures are
    taken for a video: depth is kept steady, the plane of focus follows its point, and how bright
    lights are is remembered. Not safe for use from several threads at once.
    """

    def __init__(self, settings: Settings | None = None, **options: Any) -> None:
        """Args: settings: or its fields as keywords, see `rtfocus.Settings`."""
        if settings is not None and options:
            raise UsageError("give settings, or options by keyword, but not both")
        self._settings = settings or Settings.create(**options)
        self._backend = open_backend(resolve(self._settings.device))
        self._engine: Engine | None = None
        self._given = _GivenDepth()
        self._size: tuple[int, int] | None = None
        self._is_given = False
        self._closed = False
        self._index = 0

    def __call__(
        self,
        image: Image,
        disparity: Map | None = None,
        *,
        scale: Scale = "relative",
        time: float | None = None,
    ) -> Image:
        """The picture refocused, (h, w, 3) uint8 RGB, in memory of its own.

        Args:
            image: (h, w, 3) uint8 RGB; every picture of the same size.
            disparity: float32 (gh, gw) of any size with the picture's aspect, larger is nearer;
                None: from the network.
            scale: what the disparity's numbers mean, see `rtfocus.frame.Scale`; the same for all
                pictures.
            time: presentation time in seconds; default: 30 pictures a second.

        Raises:
            UsageError: the picture or what comes with it is not of that form, or this is closed.
            InputError: some pictures come with disparity, some without.
            ModelError: no disparity was given, and the network is absent or unusable.
        """
        if self._closed:
            raise UsageError("this Refocus is closed: use a new one")
        _check(image, disparity, scale, time)
        if self._engine is None:
            self._engine = self._open(image, disparity, scale)
            self._size, self._is_given = image.shape[:2], disparity is not None
        self._check_alike(image, disparity, scale)
        self._given.disparity = disparity
        pts = round((self._index / 30 if time is None else time) / _TIME_BASE)
        frame = Frame(np.ascontiguousarray(image), self._index, pts, _TIME_BASE)
        self._index += 1
        out = np.require(self._engine.refocus(frame).image, requirements="O")
        return out.copy() if np.may_share_memory(out, image) else out

    def close(self) -> None:
        """Release threads and devices; safe to call twice."""
        self._closed = True
        if self._engine is not None:
            self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _check_alike(self, image: Image, disparity: Map | None, scale: Scale) -> None:
        """Refuse what is not as it was with the first picture."""
        if image.shape[:2] != self._size:
            raise UsageError(
                f"a picture of {image.shape[:2]} after one of {self._size}: use a new Refocus"
            )
        if (disparity is not None) != self._is_given:
            now, before = ("without", "with") if self._is_given else ("with", "without")
            raise InputError(
                f"picture {self._index} came {now} disparity, those before it {before}"
            )
        if disparity is not None and scale != self._given.scale:
            raise UsageError(f"scale {scale!r} after {self._given.scale!r}: use a new Refocus")

    def _open(self, image: Image, disparity: Map | None, scale: Scale) -> Engine:
        if disparity is not None:
            self._given.scale = scale
            return Engine(
                self._settings, self._given, self._backend, steering=open_steering(self._settings)
            )
        height, width = image.shape[:2]
        info = StreamInfo("pictures", "sequence", width, height, _TIME_BASE, Fraction(30), None)
        depth = self._backend.open_depth(self._settings, info)
        steering = open_steering(self._settings)
        return Engine(self._settings, depth, self._backend, steering=steering)


class _GivenDepth:
    """The disparity that came with the picture."""

    scale: Scale = "relative"
    steady = True
    description = "given with each picture"
    disparity: Map | None = None

    def estimate(self, _: Frame) -> Map:
        assert self.disparity is not None
        # A copy: the caller may use the array again, and another array is another measurement.
        return np.array(self.disparity, np.float32)

    def close(self) -> None:
        """Nothing to release."""


def _check(
    image: NDArray[Any], disparity: NDArray[Any] | None, scale: Scale, time: float | None
) -> None:
    if not (
        isinstance(image, np.ndarray)
        and image.ndim == 3
        and image.shape[2] == 3
        and image.dtype == np.uint8
        and image.size
    ):
        raise UsageError(f"a picture must be (height, width, 3) uint8 RGB, not {_form(image)}")
    if scale not in get_args(Scale):
        raise UsageError(
            f"scale {scale!r} is not known; it must be {', '.join(get_args(Scale))}"
            f"{suggest(str(scale), get_args(Scale))}"
        )
    if time is not None and not (isinstance(time, Real) and math.isfinite(time)):
        raise UsageError(f"time {time!r}: must be a number of seconds")
    if disparity is not None:
        _check_disparity(disparity, image.shape[:2])


def _check_disparity(disparity: NDArray[Any], picture: tuple[int, int]) -> None:
    if not (
        isinstance(disparity, np.ndarray)
        and disparity.ndim == 2
        and np.issubdtype(disparity.dtype, np.floating)
        and disparity.size
    ):
        raise UsageError(f"disparity must be (height, width) float32, not {_form(disparity)}")
    if not np.abs(disparity).max() <= np.finfo(np.float32).max:  # nor is NaN
        raise UsageError("disparity holds values that are NaN, infinite, or beyond float32")
    if not is_grid_of(disparity.shape, picture):
        raise UsageError(
            f"disparity of {disparity.shape} for a picture of {picture}: the shapes differ. Give "
            "disparity of the same aspect and orientation"
        )


def _form(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    return f"of type {type(value).__name__}"
