"""What a user may change while video runs: plain values, frozen, with a version."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Literal, get_args

from rtfocus.errors import UsageError
from rtfocus.focus.keyframes import Keyframe
from rtfocus.focus.plane import FocusDisparity
from rtfocus.focus.rack import Easing
from rtfocus.render.views import View
from rtfocus.settings import Settings

FocusMode = Literal["point", "follow", "face", "disparity", "distance"]
"""point: whatever is at a place; follow: the thing that was there when it was clicked; face: the
face nearest the place; disparity, distance: a plane, wherever things are."""

VIEWS: tuple[str, ...] = get_args(View)
MODES: tuple[str, ...] = get_args(FocusMode)

LOOK = ("f_number", "focus_range", "blades", "blade_rotation", "highlights", "max_radius", "smooth")
"""What makes the look, and so what a preset holds."""

_ALIKE = ("depth_every", "view", "easing")
"""What else has the same name in settings."""


@dataclass(frozen=True, slots=True)
class Focus:
    """What should be sharp.

    Attributes:
        mode: how the rest is read.
        x: of the place, 0..1 of the width from the left.
        y: of the place, 0..1 of the height from the top.
        value: the normalised disparity, or the distance in metres; None in the other modes.
    """

    mode: FocusMode = "point"
    x: float = 0.5
    y: float = 0.5
    value: float | None = None


@dataclass(frozen=True, slots=True)
class LiveState:
    """Everything at one moment; units are those of `rtfocus.settings.Settings`.

    Attributes:
        version: grows with every change.
        focus: what should be sharp.
        focus_version: version at which the focus was set last. A second click on the same place is
            a new wish with the same values; this tells it apart.
        peek: someone holds a key to compare with the original; what is shown to people should be
            the original meanwhile, what is recorded or sent should not change.
        rack_time: seconds that the plane takes to travel to a new target; 0 jumps.
        easing: how it travels.
        preset: name of the preset that the look is equal to, if one was chosen.
        presets: names of all of them.
        playing: of a file.
        seek: where a file was last asked to continue, in seconds.
        seek_version: version at which that was asked; 0 is never.
        keyframes: of a file, in order of time.
    """

    version: int = 0
    focus: Focus = Focus()
    focus_version: int = 0
    f_number: float = 2.8
    focus_range: float = 0.0
    blades: int = 0
    blade_rotation: float = 0.0
    highlights: float = 1.0
    max_radius: float | None = None
    smooth: float | None = None
    depth_every: int = 1
    view: View = "result"
    peek: bool = False
    rack_time: float = 0.5
    easing: Easing = "ease-in-out"
    preset: str | None = None
    presets: tuple[str, ...] = ()
    playing: bool = True
    seek: float = 0.0
    seek_version: int = 0
    keyframes: tuple[Keyframe, ...] = ()

    def as_message(self) -> dict[str, object]:
        """The state as JSON sees it."""
        return {"type": "state", **asdict(self), "keyframes": as_messages(self.keyframes)}


def as_messages(keyframes: Iterable[Keyframe]) -> list[dict[str, object]]:
    """Keyframes as JSON sees them."""
    return [_as_message(keyframe) for keyframe in keyframes]


def _as_message(keyframe: Keyframe) -> dict[str, object]:
    target = keyframe.target
    if isinstance(target, FocusDisparity):
        focus = Focus("disparity", value=target.value)
    else:
        focus = Focus("point", target.x, target.y)
    rest = {name: getattr(keyframe, name) for name in ("time", "f_number", "easing")}
    return {**rest, "focus": asdict(focus)}


def from_settings(settings: Settings) -> LiveState:
    """The state that a run with these settings starts in."""
    same = {name: getattr(settings, name) for name in (*LOOK, *_ALIKE)}
    return LiveState(focus=_focus_of(settings), rack_time=settings.rack, **same)


def to_settings(state: LiveState, base: Settings) -> Settings:
    """The settings of a run that does the same; what is not in the state is the base's.

    Raises:
        UsageError: the state makes no sense as settings.
    """
    focus = state.focus
    plane = focus.mode in ("disparity", "distance")
    if plane and focus.value is None:
        raise UsageError(f"focus mode {focus.mode!r} needs a value")
    place = (focus.x, focus.y)
    same = {name: getattr(state, name) for name in (*LOOK, *_ALIKE)}
    if base.depth is not None:  # where it is of no use
        same["depth_every"] = base.depth_every
    return replace(
        base,
        **same,
        rack=state.rack_time,
        follow=focus.mode == "follow",
        face_model=base.face_model if focus.mode == "face" else None,
        # The centre is the default: left out, it keeps a copied command short.
        focus=None if plane or place == (0.5, 0.5) else place,
        focus_disparity=focus.value if focus.mode == "disparity" else None,
        focus_distance=focus.value if focus.mode == "distance" else None,
    )


def _focus_of(settings: Settings) -> Focus:
    if settings.focus_distance is not None:
        return Focus("distance", value=settings.focus_distance)
    if settings.focus_disparity is not None:
        return Focus("disparity", value=settings.focus_disparity)
    mode: FocusMode = "face" if settings.face_model else "follow" if settings.follow else "point"
    return Focus(mode, *(settings.focus or (0.5, 0.5)))
