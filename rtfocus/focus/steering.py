"""Where the focus belongs in every frame, while what is asked for may change at any time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from rtfocus.focus.faces import Face, FaceChooser, FaceDetector, YuNet
from rtfocus.focus.follow import Follower, reduce
from rtfocus.focus.keyframes import Keyframe, Keyframes
from rtfocus.focus.plane import (
    FocusDisparity,
    FocusPoint,
    SteadyPlane,
    disparity_at,
    disparity_of_distance,
    distance_of,
)
from rtfocus.focus.rack import Rack
from rtfocus.frame import Disparity, Image
from rtfocus.settings import Settings
from rtfocus.state import Focus, LiveState, from_settings

_JUMP_S = 2.0
"""Seconds between two frames beyond which they are not of one scene, as after a seek."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is to be in focus, as it was found in one frame.

    Attributes:
        disparity: of the thing, normalised.
        tracking: whether the thing that is followed is in sight; "" where nothing is followed.
        place: where it is now, 0..1 of width and height; None: where it was asked for.
        faces: all that are known.
        face: the one in focus, if it is seen.
        new: it is another thing than in the frame before, without anyone having asked for it.
    """

    disparity: float
    tracking: Literal["", "locked", "lost"] = ""
    place: tuple[float, float] | None = None
    faces: tuple[Face, ...] = ()
    face: Face | None = None
    new: bool = False


@dataclass(frozen=True, slots=True)
class Aim:
    """Where the lens is set in one frame.

    Attributes:
        plane: normalised disparity of the plane of focus, on its way to what is to be in focus.
        f_number: of the aperture.
        sight: what is to be in focus.
        metres: distance of the plane, where depth is metric.
    """

    plane: float
    f_number: float
    sight: Sight
    metres: float | None = None


@dataclass(frozen=True, slots=True)
class _FrameView:
    """One frame: its depth, a clock in seconds, whether it is a cut, and how to get its picture."""

    disparity: Disparity
    now: float
    cut: bool
    picture: Callable[[], Image]


class _Aimer(Protocol):
    def see(self, view: _FrameView) -> Sight:
        """What is to be in focus in one more frame."""


class Steering:
    """Takes what is asked for from `state` and finds it in every frame.

    A change of focus racks the plane over (`rtfocus.focus.rack`). Keyframes rule until a focus or
    an aperture is set by hand, which then holds until the next keyframe, a jump in time, or a
    change of the keyframes.
    """

    def __init__(self, state: LiveState, detector: FaceDetector | None = None) -> None:
        """Args: see below.

        Args:
            state: what is asked for at first.
            detector: finds faces; without one, faces cannot be asked for.
        """
        self.state = state
        """May be replaced at any time, by the thread that calls `update`."""
        self._detector = detector
        self._known = state
        self._aimer = self._start(state.focus)
        self._rack = Rack(state.rack_time, state.easing)
        self._plane: float | None = None
        self._timeline = _Timeline(state.keyframes, state.rack_time)
        self._by_hand = False
        self._time = 0.0

    def update(
        self, disparity: Disparity, time: float, now: float, picture: Callable[[], Image]
    ) -> Aim:
        """Where the lens is to be set for one more frame.

        Args:
            disparity: of the frame, (h, w) of any size.
            time: of the frame within its clip, in seconds.
            now: seconds by the clock that focus moves by; a picture that stands still has one too.
            picture: gives the frame's picture, (h, w, 3) uint8 RGB; asked only where it matters.

        Raises:
            UsageError: a distance was asked for, but depth is not metric.
        """
        jumped = not 0 <= time - self._time < _JUMP_S
        self._time = time
        view = _FrameView(disparity, now, disparity.cut or jumped, picture)
        ruled = self._is_ruled
        asked = self._take_changes(jumped)
        if self._is_ruled:
            sight, f_number = self._timeline.see(view, time, self.state.f_number)
        else:
            sight, f_number = self._aimer.see(view), self.state.f_number
        new = asked or sight.new or ruled != self._is_ruled
        if new and self._plane is not None:
            self._take_rack(self._plane, now)
        cut = view.cut and not asked
        self._plane = self._rack.update(sight.disparity, now, new=new, cut=cut)
        return Aim(self._plane, f_number, sight, distance_of(self._plane, disparity))

    @property
    def _is_ruled(self) -> bool:
        """Whether keyframes rule."""
        return bool(self._timeline.keyframes.frames) and not self._by_hand

    def _take_changes(self, jumped: bool) -> bool:
        """Look at what has changed; returns whether another focus is asked for."""
        state, known = self.state, self._known
        self._known = state
        if state.keyframes is not known.keyframes or state.rack_time != known.rack_time:
            self._timeline = _Timeline(state.keyframes, state.rack_time)
            self._by_hand = False
        if jumped or self._timeline.passes(self._time):
            self._by_hand = False
        asked = (state.focus_version, state.focus) != (known.focus_version, known.focus)
        if asked:
            self._aimer = self._start(state.focus)
        if asked or state.f_number != known.f_number:
            self._by_hand = True
        return asked

    def _take_rack(self, plane: float, now: float) -> None:
        """Rack as is asked for now, from where the plane is."""
        wanted = Rack(self.state.rack_time, self.state.easing)
        if not self._rack.is_like(wanted):
            wanted.update(plane, now)
            self._rack = wanted

    def _start(self, focus: Focus) -> _Aimer:
        if focus.mode in ("disparity", "distance"):
            return _Fixed(focus)
        point = FocusPoint(focus.x, focus.y)
        if focus.mode == "follow":
            return _Thing(point)
        if focus.mode == "face" and self._detector is not None:
            return _Faces(self._detector, point)
        return _Point(point)


def open_steering(settings: Settings) -> Steering | None:
    """The steering of a run that nobody watches; None where its target stays as it is.

    Raises:
        RtfocusError: keyframes cannot be read, or faces cannot be found.
    """
    if not (settings.follow or settings.face_model or settings.keyframes):
        return None
    state = from_settings(settings)
    if settings.keyframes is not None:
        keyframes = Keyframes.load(settings.keyframes)
        state = replace(state, keyframes=keyframes.frames, rack_time=keyframes.rack)
    return Steering(state, open_detector(settings))


def open_detector(settings: Settings) -> FaceDetector | None:
    """What finds faces, if anything does.

    Raises:
        UnavailableError: the model is absent or cannot be used.
    """
    return None if settings.face_model is None else YuNet(settings.face_model)


class _Point:
    """Whatever is at a place."""

    def __init__(self, point: FocusPoint) -> None:
        self._point, self._steady = point, SteadyPlane()

    def see(self, view: _FrameView) -> Sight:
        seen = disparity_at(self._point, view.disparity.values)
        return Sight(self._steady.update(seen, view.now, cut=view.cut))


class _Fixed:
    """A plane that is given, as disparity or in metres."""

    def __init__(self, focus: Focus) -> None:
        self._value, self._metric = focus.value or 0.0, focus.mode == "distance"

    def see(self, view: _FrameView) -> Sight:
        if self._metric:
            return Sight(disparity_of_distance(self._value, view.disparity))
        return Sight(self._value)


class _Thing:
    """The thing that was at a place when it was asked for."""

    def __init__(self, point: FocusPoint) -> None:
        self._follower, self._steady = Follower(point), SteadyPlane()

    def see(self, view: _FrameView) -> Sight:
        thumbnail = reduce(view.picture())
        track = self._follower.update(thumbnail, view.disparity.values, view.now, cut=view.cut)
        plane = self._steady.update(track.disparity, view.now, cut=view.cut)
        return Sight(plane, "lost" if track.lost else "locked", (track.x, track.y))


class _Faces:
    """The face nearest to a place."""

    def __init__(self, detector: FaceDetector, point: FocusPoint) -> None:
        self._chooser, self._steady = FaceChooser(detector, point), SteadyPlane()

    def see(self, view: _FrameView) -> Sight:
        found = self._chooser.update(view.picture(), view.now, cut=view.cut)
        if found.changed:
            self._steady = SteadyPlane()
        seen = disparity_at(found.point, view.disparity.values)
        plane = self._steady.update(seen, view.now, cut=view.cut)
        tracking: Literal["locked", "lost"] = "lost" if found.chosen is None else "locked"
        place = (found.point.x, found.point.y)
        return Sight(plane, tracking, place, found.faces, found.chosen, found.changed)


class _Timeline:
    """What keyframes say."""

    def __init__(self, frames: tuple[Keyframe, ...], rack: float) -> None:
        self.keyframes = Keyframes(frames, rack)
        self._steady: dict[FocusPoint, SteadyPlane] = {}
        self._last: int | None = None

    def passes(self, time: float) -> bool:
        """Whether another keyframe holds at this time than at the time of the last call."""
        before, self._last = self._last, sum(f.time <= time for f in self.keyframes.frames)
        return before is not None and before != self._last

    def see(self, view: _FrameView, time: float, f_number: float) -> tuple[Sight, float]:
        """What is to be in focus at a time, and the f-number then."""
        moment = self.keyframes.at(time, f_number)
        assert moment is not None  # only asked where there are keyframes

        def disparity_of(target: FocusPoint | FocusDisparity) -> float:
            if isinstance(target, FocusDisparity):
                return target.value
            steady = self._steady.setdefault(target, SteadyPlane())
            seen = disparity_at(target, view.disparity.values)
            return steady.update(seen, view.now, cut=view.cut)

        target = moment.target
        place = (target.x, target.y) if isinstance(target, FocusPoint) else None
        return Sight(moment.plane(disparity_of), place=place), moment.f_number
