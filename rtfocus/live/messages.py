"""Reads what a client asks for: every message is checked before any of it counts.

    {"type": "set", "f_number": 2.0, "blades": 6, ...}      any of SETTABLE
    {"type": "focus", "mode": "point", "x": 0.4, "y": 0.5}  or follow, face
    {"type": "focus", "mode": "disparity", "value": 0.4}    or distance, in metres
    {"type": "nudge", "name": "focus", "steps": -2}         or f_number, in thirds of a stop
    {"type": "peek", "on": true}
    {"type": "seek", "time": 12.5}
    {"type": "keyframes", "keyframes": [{"time": 1.5, "focus": {...}, "f_number": 2.0,
        "easing": "linear"}, ...]}                           focus as above, point or disparity

Messages for presets are the business of `rtfocus.live.control`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from rtfocus.errors import UsageError, suggest
from rtfocus.focus.keyframes import Keyframe
from rtfocus.focus.plane import FocusDisparity, FocusPoint
from rtfocus.focus.rack import EASINGS, LONGEST, Easing
from rtfocus.limits import LIMITS
from rtfocus.state import LOOK, MODES, VIEWS, Focus, FocusMode, LiveState

F_NUMBERS = (
    *(1.2, 1.4, 1.6, 1.8, 2.0, 2.2, 2.5, 2.8, 3.2, 3.5, 4.0, 4.5),
    *(5.0, 5.6, 6.3, 7.1, 8.0, 9.0, 10.0, 11.0, 13.0, 14.0, 16.0),
)
"""Thirds of a stop as lenses are marked."""

FOCUS_STEP = 0.01
"""Normalised disparity that one step of a nudge moves the plane by."""

DISPARITY = (-0.5, 1.5)
"""Where a plane may be put: a scene spans about 0..1, and outliers lie outside."""

MAX_KEYFRAMES = 500

_LASTING = ("point", "disparity")
"""Modes that mean the same whenever a file is played."""

Check = Callable[[str, object], Any]


@dataclass(frozen=True, slots=True)
class _Number:
    """A finite number within bounds, rounded to what matters; optionally whole, optionally none."""

    low: float
    high: float
    digits: int = 4
    whole: bool = False
    optional: bool = False

    def __call__(self, name: str, value: object) -> float | int | None:
        if value is None and self.optional:
            return None
        allowed = (int,) if self.whole else (int, float)
        # A bool is an int to Python, but no number to a user.
        good = isinstance(value, allowed) and not isinstance(value, bool)
        if not good or not self.low <= cast(float, value) <= self.high:
            kind = "a whole number" if self.whole else "a number"
            raise UsageError(
                f"{name} {quoted(value)}: must be {kind} {self.low:g} to {self.high:g}"
            )
        return cast(int, value) if self.whole else round(float(cast(float, value)), self.digits)


@dataclass(frozen=True, slots=True)
class _Choice:
    choices: tuple[str, ...]

    def __call__(self, name: str, value: object) -> str:
        if not isinstance(value, str) or value not in self.choices:
            near = suggest(value[:40], self.choices) if isinstance(value, str) else ""
            raise UsageError(
                f"{name} {quoted(value)}: must be one of {', '.join(self.choices)}{near}"
            )
        return value


def _switch(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{name} {quoted(value)}: must be true or false")
    return value


def _blades(name: str, value: object) -> int:
    count = _Number(0, 16, whole=True)(name, value)
    if count in (1, 2):
        raise UsageError(f"{name} {count}: must be 0 (round) or 3 to 16")
    return cast(int, count)


_SHARE, _METRES, _TIME = _Number(0, 1), _Number(0.01, 1000), _Number(0, 1e6, digits=3)
_F_NUMBER = LIMITS["f_number"]
_STEPS = _Number(-50, 50)

SETTABLE: dict[str, Check] = {
    "f_number": _Number(*_F_NUMBER),
    "focus_range": _Number(*LIMITS["focus_range"]),
    "blades": _blades,
    "blade_rotation": _Number(*LIMITS["blade_rotation"]),
    "highlights": _Number(*LIMITS["highlights"]),
    "max_radius": _Number(*LIMITS["max_radius"], optional=True),
    "smooth": _Number(*LIMITS["smooth"], optional=True),
    "depth_every": _Number(*LIMITS["depth_every"], whole=True),
    "view": _Choice(VIEWS),
    "rack_time": _Number(0, LONGEST),
    "easing": _Choice(EASINGS),
    "playing": _switch,
}


def read_changes(
    message: Mapping[str, object], state: LiveState, plane: float | None, modes: Collection[str]
) -> dict[str, Any]:
    """The fields of the state that a message changes, with their new values.

    Args:
        message: from a client; anything may be in it.
        state: the present one.
        plane: where the plane of focus lies now, as normalised disparity; None where not known.
        modes: of focus that this run can do.

    Raises:
        UsageError: the message is not one of those above; it says what is wrong.
    """
    kind = message.get("type")
    readers: dict[str, Callable[[], dict[str, Any]]] = {
        "set": lambda: _read_set(message),
        "focus": lambda: _read_focus_change(message, state, modes),
        "nudge": lambda: _read_nudge(message, state, plane),
        "peek": lambda: _read_peek(message),
        "seek": lambda: _read_seek(message, state),
        "keyframes": lambda: _read_keyframes(message),
    }
    if not isinstance(kind, str) or kind not in readers:
        raise UsageError(f"message type {quoted(kind)}: must be one of {', '.join(readers)}")
    return readers[kind]()


def quoted(value: object) -> str:
    """A value as it may stand in a message: what a client sends can be of any length."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return "of very many digits"
    if isinstance(value, dict | list | tuple):
        return f"of type {type(value).__name__}"
    text = repr(value[:41] if isinstance(value, str) else value)
    return text if len(text) <= 42 else text[:40] + "…"


def _read_set(message: Mapping[str, object]) -> dict[str, Any]:
    values = {name: value for name, value in message.items() if name != "type"}
    for name in values:
        if name not in SETTABLE:
            near = suggest(name[:40], SETTABLE)
            raise UsageError(f"there is no control {quoted(name)}{near}")
    changes = {name: SETTABLE[name](name, value) for name, value in values.items()}
    return _without_preset(changes)


def _read_focus_change(
    message: Mapping[str, object], state: LiveState, modes: Collection[str]
) -> dict[str, Any]:
    wish = {name: value for name, value in message.items() if name != "type"}
    focus = _read_focus(wish, modes)
    return {"focus": focus, "focus_version": state.version + 1}


def _read_focus(wish: Mapping[str, object], modes: Collection[str]) -> Focus:
    mode = cast(FocusMode, _Choice(MODES)("mode", wish.get("mode")))
    if mode not in modes:
        raise UsageError(f"focus mode {mode!r} is not possible here: {', '.join(modes)} are")
    if mode in ("disparity", "distance"):
        _only(wish, "mode", "value")
        check = _Number(*DISPARITY) if mode == "disparity" else _METRES
        return Focus(mode, value=check("value", wish.get("value")))
    _only(wish, "mode", "x", "y")
    x, y = _SHARE("x", wish.get("x")), _SHARE("y", wish.get("y"))
    return Focus(mode, cast(float, x), cast(float, y))


def _read_nudge(
    message: Mapping[str, object], state: LiveState, plane: float | None
) -> dict[str, Any]:
    _only(message, "name", "steps")
    name = _Choice(("focus", "f_number"))("name", message.get("name"))
    steps = cast(float, _STEPS("steps", message.get("steps")))
    if name == "f_number":
        return _without_preset({"f_number": _step_f_number(state.f_number, round(steps))})
    focus = state.focus
    start = focus.value if focus.mode == "disparity" else plane
    value = (0.5 if start is None or not math.isfinite(start) else start) + steps * FOCUS_STEP
    value = round(min(max(value, DISPARITY[0]), DISPARITY[1]), 4)
    # The place stays: the reticle does not leave the picture when the plane is moved by hand.
    moved = Focus("disparity", focus.x, focus.y, value)
    return {"focus": moved, "focus_version": state.version + 1}


def _step_f_number(f_number: float, steps: int) -> float:
    nearest = min(range(len(F_NUMBERS)), key=lambda i: abs(math.log(F_NUMBERS[i] / f_number)))
    return F_NUMBERS[min(max(nearest + steps, 0), len(F_NUMBERS) - 1)]


def _read_peek(message: Mapping[str, object]) -> dict[str, Any]:
    _only(message, "on")
    return {"peek": _switch("on", message.get("on"))}


def _read_seek(message: Mapping[str, object], state: LiveState) -> dict[str, Any]:
    _only(message, "time")
    return {"seek": _TIME("time", message.get("time")), "seek_version": state.version + 1}


def _read_keyframes(message: Mapping[str, object]) -> dict[str, Any]:
    _only(message, "keyframes")
    given = message.get("keyframes")
    if not isinstance(given, list | tuple) or len(given) > MAX_KEYFRAMES:
        raise UsageError(f"keyframes: must be a list of at most {MAX_KEYFRAMES}")
    read = (_read_keyframe(item) for item in given)
    by_time = {keyframe.time: keyframe for keyframe in read}  # of two at one moment, the later wins
    return {"keyframes": tuple(by_time[time] for time in sorted(by_time))}


def _read_keyframe(item: object) -> Keyframe:
    if not isinstance(item, dict) or not isinstance(item.get("focus"), dict):
        raise UsageError("keyframe: must have a time and a focus")
    _only(item, "time", "focus", "f_number", "easing")
    focus = {name: value for name, value in item["focus"].items() if value is not None}
    if focus.get("mode") == "disparity":
        # As the state gives it: a plane that was moved by hand remembers its place.
        focus = {name: focus[name] for name in focus if name not in ("x", "y")}
    wish = _read_focus(focus, _LASTING)
    is_plane = wish.mode == "disparity"
    return Keyframe(
        cast(float, _TIME("time", item.get("time"))),
        FocusDisparity(cast(float, wish.value)) if is_plane else FocusPoint(wish.x, wish.y),
        _Number(*_F_NUMBER, optional=True)("f_number", item.get("f_number")),
        cast(Easing, SETTABLE["easing"]("easing", item.get("easing", "ease-in-out"))),
    )


def _without_preset(changes: dict[str, Any]) -> dict[str, Any]:
    """A look that is changed is no longer the preset's."""
    return {**changes, "preset": None} if any(name in LOOK for name in changes) else changes


def _only(message: Mapping[str, object], *names: str) -> None:
    for name in message:
        if name not in (*names, "type"):
            raise UsageError(f"there is no {quoted(name)} in such a message: {', '.join(names)}")
