"""The state that everyone shares: what is taken, what is refused, and who hears of it."""

from __future__ import annotations

import json
import math
import shlex
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtfocus.cli import app
from rtfocus.config import load_config
from rtfocus.errors import RtfocusError, UsageError
from rtfocus.focus.rack import EASINGS
from rtfocus.limits import LIMITS
from rtfocus.live.control import Control
from rtfocus.live.messages import DISPARITY, F_NUMBERS, SETTABLE
from rtfocus.live.presets import Presets
from rtfocus.settings import Settings
from rtfocus.state import LOOK, MODES, VIEWS, Focus, LiveState

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from([10**400, -(10**400), *VIEWS, *MODES, *EASINGS]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
names = st.sampled_from(
    [
        *("type", "mode", "x", "y", "value", "name", "steps", "on", "time", "keyframes", "action"),
        *SETTABLE,
    ]
)
kinds = st.sampled_from(["set", "focus", "nudge", "peek", "seek", "keyframes", "preset", "ack"])
messages = st.builds(
    lambda kind, rest: {"type": kind, **rest}, kinds, st.dictionaries(names, anything, max_size=4)
) | st.dictionaries(names | st.text(max_size=8), anything, max_size=5)

share = st.floats(0, 1)
good = st.one_of(
    st.builds(lambda v: {"type": "set", "f_number": v}, st.floats(*LIMITS["f_number"])),
    st.builds(lambda v: {"type": "set", "focus_range": v}, st.floats(0, 1000)),
    st.builds(lambda v: {"type": "set", "blades": v}, st.sampled_from([0, 3, 5, 9, 16])),
    st.builds(
        lambda v: {"type": "set", "max_radius": v}, st.none() | st.floats(*LIMITS["max_radius"])
    ),
    st.builds(lambda v: {"type": "set", "smooth": v}, st.none() | share),
    st.builds(lambda v: {"type": "set", "view": v}, st.sampled_from(VIEWS)),
    st.builds(
        lambda m, x, y: {"type": "focus", "mode": m, "x": x, "y": y},
        st.sampled_from(["point", "follow", "face"]),
        share,
        share,
    ),
    st.builds(lambda v: {"type": "focus", "mode": "disparity", "value": v}, st.floats(*DISPARITY)),
    st.builds(
        lambda n, s: {"type": "nudge", "name": n, "steps": s},
        st.sampled_from(["focus", "f_number"]),
        st.floats(-50, 50),
    ),
    st.builds(lambda v: {"type": "seek", "time": v}, st.floats(0, 1e6)),
    st.builds(lambda v: {"type": "peek", "on": v}, st.booleans()),
)


def check(state: LiveState) -> None:
    """What holds in every state that can be reached."""
    json.dumps(state.as_message(), allow_nan=False)
    assert 0 <= state.focus.x <= 1
    assert 0 <= state.focus.y <= 1
    assert (state.focus.value is not None) == (state.focus.mode in ("disparity", "distance"))
    assert all(math.isfinite(getattr(state, n)) for n in LOOK if getattr(state, n) is not None)
    assert list(state.keyframes) == sorted(state.keyframes, key=lambda k: k.time)
    assert state.focus_version <= state.version
    assert state.seek_version <= state.version


@given(st.lists(messages, max_size=8))
def test_whatever_is_sent_the_state_stays_sound(sent: list[dict[str, Any]]) -> None:
    control = Control(modes=MODES)
    for message in sent:
        before = control.snapshot()
        with suppress(RtfocusError):
            assert control.apply(message).version in (before.version, before.version + 1)
        assert control.snapshot().version in (before.version, before.version + 1)
        check(control.snapshot())
        control.settings()


@given(st.lists(good, max_size=12))
def test_what_makes_sense_is_done_and_its_command_does_the_same(sent: list[dict[str, Any]]) -> None:
    control = Control(modes=MODES)
    for message in sent:
        after = control.apply(message)
        if message["type"] == "set":
            (name,) = set(message) - {"type"}
            value = message[name]
            assert getattr(after, name) == (
                pytest.approx(value, abs=1e-4) if isinstance(value, float) else value
            )
        check(after)
    words = shlex.split(control.command())
    assert words[:3] == ["rtfocus", "run", "INPUT"]
    _, bound, _ = app.parse_args(words[1:], print_error=False, exit_on_error=False)
    parsed = bound.arguments.get("settings") or Settings()
    expected = control.settings()
    for field in ("f_number", "focus_range", "blades", "max_radius", "smooth", "view", "focus"):
        value = getattr(expected, field)
        if isinstance(value, float | tuple):
            value = pytest.approx(value, rel=1e-4)
        assert getattr(parsed, field) == value, field


@given(st.lists(good, min_size=1, max_size=12))
def test_observers_hear_every_change_in_order(sent: list[dict[str, Any]]) -> None:
    control, heard = Control(modes=MODES), []
    forget = control.observe(heard.append)
    for message in sent:
        control.apply(message)
    assert [state.version for state in heard] == list(range(2, len(heard) + 2))
    assert (heard[-1:] or [control.snapshot()]) == [control.snapshot()]
    forget()
    control.apply({"type": "seek", "time": 1.0})
    assert control.snapshot() not in heard


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({}, "message type None: must be one of set, focus"),
        ({"type": "sett"}, "'sett'"),
        ({"type": "set", "f_numbr": 2}, "Did you mean 'f_number'"),
        ({"type": "set", "f_number": math.nan}, r"f_number nan: must be a number 0.01 to 1000"),
        ({"type": "set", "f_number": math.inf}, "f_number inf"),
        ({"type": "set", "f_number": 10**400}, "very many digits"),
        ({"type": "set", "f_number": True}, "f_number True"),
        ({"type": "set", "f_number": "2"}, "f_number '2'"),
        ({"type": "set", "blades": 2}, "3 to 16"),
        ({"type": "set", "blades": 5.0}, "whole number"),
        ({"type": "set", "view": "depht"}, "Did you mean 'depth'"),
        ({"type": "set", "view": "x" * 5000}, "view 'xxx"),
        ({"type": "set", "playing": 1}, "true or false"),
        ({"type": "focus", "mode": "point", "x": 0.5}, "y None"),
        ({"type": "focus", "mode": "point", "x": 1.5, "y": 0}, "x 1.5"),
        ({"type": "focus", "mode": "point", "x": 0, "y": 0, "z": 1}, "no 'z'"),
        ({"type": "focus", "mode": "disparity", "x": 0, "y": 0}, "no 'x'"),
        ({"type": "focus", "mode": "face", "x": 0, "y": 0}, "not possible here"),
        ({"type": "nudge", "name": "blades", "steps": 1}, "focus, f_number"),
        ({"type": "nudge", "name": "focus", "steps": 1000}, "-50 to 50"),
        ({"type": "seek", "time": -1}, "0 to 1e"),
        ({"type": "keyframes", "keyframes": [{"time": 1}]}, "a time and a focus"),
        ({"type": "keyframes", "keyframes": [{}] * 501}, "at most 500"),
        (
            {"type": "keyframes", "keyframes": [{"time": 1, "focus": {"mode": "follow"}}]},
            "'follow' is not possible here",
        ),
        ({"type": "preset", "action": "apply", "name": "no"}, "no preset 'no'"),
        ({"type": "preset", "action": "explode"}, "apply, save or delete"),
        ({"type": "preset", "action": "save", "name": "a\nb"}, "printable"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(message: dict[str, Any], error: str) -> None:
    control = Control()
    with pytest.raises(UsageError, match=error):
        control.apply(message)
    assert control.snapshot().version == 1


def test_one_bad_value_and_nothing_is_changed() -> None:
    control = Control()
    with pytest.raises(UsageError):
        control.apply({"type": "set", "f_number": 2.0, "blades": 2})
    assert control.snapshot().f_number == 2.8


def test_it_begins_with_the_settings_of_the_run() -> None:
    settings = Settings(focus_disparity=0.25, f_number=1.4, model="my net.onnx", flip=True)
    control = Control(settings, command=("rtfocus", "run", "my clip.mp4"))
    assert control.snapshot().focus == Focus("disparity", value=0.25)
    assert control.settings() == settings
    assert control.command() == (
        "rtfocus run 'my clip.mp4' --model 'my net.onnx' --flip --focus-disparity 0.25 "
        "--f-number 1.4"
    )


def test_another_source_has_a_command_of_its_own() -> None:
    settings = Settings(depth="a.mkv", focus_distance=2.0, focal_length=50.0, sensor_width=36.0)
    control, told = Control(settings, command=("rtfocus", "run", "a.mp4"), modes=MODES), []
    control.observe(lambda _: told.append(control.command()))
    control.adapt(Settings(flip=True), command=("rtfocus", "run", "b.mp4"), modes=("point",))
    control.adapt(Settings(flip=True), command=("rtfocus", "run", "c.mp4"), modes=("point",))
    assert told == ["rtfocus run b.mp4 --flip", "rtfocus run c.mp4 --flip"]


def test_depth_from_files_comes_with_every_frame() -> None:
    control = Control(Settings(depth="a.mkv"))
    control.apply({"type": "set", "depth_every": 3})
    assert control.command() == "rtfocus run INPUT --depth a.mkv"


def test_a_value_that_looks_like_an_option_is_tied_to_its_own() -> None:
    control = Control()
    control.apply({"type": "focus", "mode": "disparity", "value": -0.1})
    assert control.command().endswith("--focus-disparity=-0.1")


def test_a_second_click_on_the_same_place_is_a_new_wish() -> None:
    control = Control()
    first = control.apply({"type": "focus", "mode": "point", "x": 0.2, "y": 0.3})
    second = control.apply({"type": "focus", "mode": "point", "x": 0.2, "y": 0.3})
    assert second.focus == first.focus
    assert second.focus_version > first.focus_version
    third = control.apply({"type": "set", "blades": 6})
    assert third.focus_version == second.focus_version


def test_nudges_start_where_the_plane_is() -> None:
    control = Control()
    control.report_plane(0.4)
    state = control.apply({"type": "nudge", "name": "focus", "steps": 2})
    assert state.focus.mode == "disparity"
    assert state.focus.value == pytest.approx(0.42)
    for _ in range(10):
        state = control.apply({"type": "nudge", "name": "focus", "steps": 50})
    assert state.focus.value == DISPARITY[1]


def test_the_aperture_goes_by_thirds_of_a_stop() -> None:
    control, open_one = Control(), {"type": "nudge", "name": "f_number", "steps": -1}
    seen = [control.apply(open_one).f_number for _ in F_NUMBERS]
    assert seen[:3] == [2.5, 2.2, 2.0]
    assert seen[-1] == F_NUMBERS[0]


def test_keyframes_are_kept_in_order_as_the_state_gives_them() -> None:
    control = Control()
    control.report_plane(0.3)
    control.apply({"type": "nudge", "name": "focus", "steps": 1})
    focus = control.snapshot().as_message()["focus"]  # a plane with a place
    place = {"mode": "point", "x": 0.1, "y": 0.9}
    keyframes = [
        {"time": 4, "focus": focus, "f_number": 2.0, "easing": "linear"},
        {"time": 1, "focus": place},
    ]
    state = control.apply({"type": "keyframes", "keyframes": keyframes})
    assert [k.time for k in state.keyframes] == [1, 4]
    again = control.apply({"type": "keyframes", "keyframes": state.as_message()["keyframes"]})
    assert again.version == state.version


def test_presets_hold_the_look_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "presets.toml"
    control = Control(presets=Presets(path))
    control.apply({"type": "set", "f_number": 1.4, "blades": 7, "smooth": 0.25, "view": "depth"})
    control.apply({"type": "preset", "action": "save", "name": ' soft "night" '})
    control.apply({"type": "set", "f_number": 8.0, "view": "result", "max_radius": 3.0})
    assert control.snapshot().preset is None
    state = control.apply({"type": "preset", "action": "apply", "name": 'soft "night"'})
    assert (state.f_number, state.blades, state.max_radius) == (1.4, 7, None)
    assert (state.view, state.preset) == ("result", 'soft "night"')
    assert Control(presets=Presets(path)).snapshot().presets == ('soft "night"',)
    assert load_config(str(path), 'soft "night"')["f_number"] == 1.4  # --config and --preset
    state = control.apply({"type": "preset", "action": "delete", "name": 'soft "night"'})
    assert (state.presets, state.preset) == ((), None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f-number = 2", "hold other settings"),
        ("[preset.a]\nmodel = 'x'", "no part of a look"),
        ("[preset.a]\nf-number = -1", "preset 'a'"),
        ("[preset", "not TOML"),
    ],
)
def test_a_file_that_is_not_of_presets_is_left_alone(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "presets.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        Presets(path)
    assert path.read_text() == text


@pytest.mark.parametrize("end", [0, 1])
def test_whatever_a_run_may_begin_with_makes_a_preset(end: int, tmp_path: Path) -> None:
    path = tmp_path / "presets.toml"
    looks = {name: limits[end] for name, limits in LIMITS.items()}
    control = Control(Settings(**looks), presets=Presets(path))  # type: ignore[arg-type]
    control.apply({"type": "preset", "action": "save", "name": "a"})
    again = Control(presets=Presets(path)).apply({"type": "preset", "action": "apply", "name": "a"})
    assert [getattr(again, name) for name in LOOK if name in looks] == [
        looks[name] for name in LOOK if name in looks
    ]


def test_many_threads_lose_no_change() -> None:
    control = Control()

    def click() -> None:
        for i in range(200):
            control.apply({"type": "focus", "mode": "point", "x": i / 200, "y": 0.5})

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert control.snapshot().version == 1 + 4 * 200
