"""What is to be in focus while wishes, time and the scene change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtfocus.errors import UnavailableError, UsageError
from rtfocus.focus.faces import Face
from rtfocus.focus.keyframes import Keyframe, Keyframes
from rtfocus.focus.plane import FocusDisparity, FocusPoint
from rtfocus.focus.steering import Aim, Steering, open_steering
from rtfocus.frame import Disparity, Image
from rtfocus.settings import Settings
from rtfocus.state import Focus, LiveState

LEFT, RIGHT = FocusPoint(0.25, 0.5), FocusPoint(0.75, 0.5)
NEAR, FAR = 0.9, 0.1
"""Disparity of the left half of the scene, and of the right."""

PICTURE: Image = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)


def scene(*, cut: bool = False, metric: tuple[float, float] | None = None) -> Disparity:
    values = np.full((90, 160), FAR, np.float32)
    values[:, :80] = NEAR
    return Disparity(values, metric, cut)


def look(
    steering: Steering, time: float, now: float | None = None, seen: Disparity | None = None
) -> Aim:
    return steering.update(seen or scene(), time, time if now is None else now, lambda: PICTURE)


def at(point: FocusPoint, **changes: object) -> LiveState:
    return LiveState(focus=Focus("point", point.x, point.y), **changes)  # type: ignore[arg-type]


def clicked(state: LiveState, point: FocusPoint) -> LiveState:
    version = state.version + 1
    focus = Focus("point", point.x, point.y)
    return replace(state, version=version, focus=focus, focus_version=version)


def test_a_click_racks_over_in_the_time_that_was_asked_for() -> None:
    steering = Steering(at(LEFT, rack_time=1.0, easing="linear"))
    assert look(steering, 0.0).plane == pytest.approx(NEAR)
    steering.state = clicked(steering.state, RIGHT)
    planes = [look(steering, 1 + t / 4).plane for t in range(6)]
    np.testing.assert_allclose(planes, [0.9, 0.7, 0.5, 0.3, 0.1, 0.1], atol=1e-6)


def test_focus_moves_by_the_clock_while_the_picture_stands_still() -> None:
    steering = Steering(at(LEFT, rack_time=1.0, easing="linear"))
    look(steering, 5.0, now=100.0)
    steering.state = clicked(steering.state, RIGHT)
    look(steering, 5.0, now=101.0)
    assert look(steering, 5.0, now=101.5).plane == pytest.approx(0.5)


def test_a_rack_time_that_is_changed_holds_for_the_next_rack() -> None:
    steering = Steering(at(LEFT, rack_time=2.0, easing="linear"))
    look(steering, 0.0)
    steering.state = replace(steering.state, version=1, rack_time=0.0)
    steering.state = clicked(steering.state, RIGHT)
    assert look(steering, 0.1).plane == pytest.approx(FAR)


def test_a_cut_jumps_and_a_click_does_not() -> None:
    steering = Steering(at(LEFT, rack_time=1.0))
    look(steering, 0.0)
    swapped = Disparity(np.ascontiguousarray(scene().values[:, ::-1]), None, cut=True)
    assert look(steering, 0.04, seen=swapped).plane == pytest.approx(FAR)
    assert look(steering, 60.0).plane == pytest.approx(NEAR)  # as after a seek
    steering.state = clicked(steering.state, RIGHT)
    assert look(steering, 60.04).plane == pytest.approx(NEAR)


def test_a_distance_needs_metric_depth() -> None:
    steering = Steering(LiveState(focus=Focus("distance", value=2.0)))
    aim = look(steering, 0.0, seen=scene(metric=(1.0, 0.0)))
    assert aim.plane == pytest.approx(0.5)
    assert aim.metres == pytest.approx(2.0)
    with pytest.raises(UsageError, match="metric depth"):
        look(steering, 0.04)


KEYFRAMES = (
    Keyframe(0.0, LEFT, 2.0),
    Keyframe(4.0, RIGHT, 8.0, "linear"),
    Keyframe(6.0, FocusDisparity(0.5)),
)


def test_keyframes_rule_focus_and_aperture() -> None:
    steering = Steering(at(RIGHT, keyframes=KEYFRAMES, rack_time=1.0))
    aims = [look(steering, t / 2) for t in range(16)]
    assert aims[0].plane == pytest.approx(NEAR)
    assert aims[0].f_number == pytest.approx(2.0)
    assert aims[7].plane == pytest.approx(0.5)  # half way, half a second before the second
    assert aims[7].f_number == pytest.approx(4.0)
    assert aims[9].plane == pytest.approx(FAR)
    assert aims[14].plane == pytest.approx(0.5)
    assert aims[14].f_number == pytest.approx(8.0)


def test_what_is_set_by_hand_holds_until_the_next_keyframe_or_a_seek() -> None:
    steering = Steering(at(LEFT, keyframes=KEYFRAMES, rack_time=0.0))
    assert look(steering, 1.0).plane == pytest.approx(NEAR)
    steering.state = clicked(steering.state, RIGHT)
    assert look(steering, 1.5).plane == pytest.approx(FAR)
    steering.state = replace(steering.state, version=9, f_number=5.6)
    assert look(steering, 2.0).f_number == pytest.approx(5.6)
    assert look(steering, 4.0).f_number == pytest.approx(8.0)  # the keyframe's
    steering.state = clicked(steering.state, LEFT)
    assert look(steering, 4.1).plane == pytest.approx(NEAR)
    assert look(steering, 0.5).plane == pytest.approx(NEAR)
    assert look(steering, 0.5).f_number == pytest.approx(2.0)  # after the seek keyframes rule
    steering.state = clicked(steering.state, RIGHT)
    assert look(steering, 0.6).plane == pytest.approx(FAR)
    steering.state = replace(steering.state, version=20, keyframes=KEYFRAMES[:1])
    assert look(steering, 0.7).plane == pytest.approx(NEAR)  # keyframes were changed


class Shown:
    """A detector that finds what it is told."""

    def __init__(self, *faces: Face) -> None:
        self.faces: Sequence[Face] = faces

    def detect(self, image: Image) -> Sequence[Face]:
        assert image is PICTURE
        return self.faces


def test_a_face_is_kept_in_focus_and_its_loss_told() -> None:
    left, right = Face(0.15, 0.4, 0.2, 0.2), Face(0.65, 0.4, 0.2, 0.2)
    detector = Shown(left, right)
    steering = Steering(LiveState(focus=Focus("face", 0.8, 0.5), rack_time=0.0), detector)
    aim = look(steering, 0.0)
    assert (aim.sight.face, aim.sight.tracking) == (right, "locked")
    assert aim.sight.faces == (left, right)
    assert aim.plane == pytest.approx(FAR)
    detector.faces = (left,)
    aims = [look(steering, t / 10) for t in range(1, 10)]
    assert aims[0].sight.tracking == "lost"
    assert aims[0].plane == pytest.approx(FAR)  # no hunting
    assert aims[-1].sight.face == left
    assert aims[-1].plane == pytest.approx(NEAR)


def test_a_thing_is_followed_where_it_goes() -> None:
    steering = Steering(LiveState(focus=Focus("follow", 0.3, 0.5), rack_time=0.0))
    pictures = []
    for step in range(12):
        values = np.full((90, 160), FAR, np.float32)
        picture = np.full((90, 160, 3), 90, np.uint8)
        picture[::7] = 120
        x = 36 + 4 * step
        values[30:60, x : x + 24] = NEAR
        picture[30:60, x : x + 24] = (200, 60, 40)
        picture[38:46, x + 6 : x + 16] = (20, 30, 180)
        pictures.append((picture, Disparity(values)))
    for step, (picture, seen) in enumerate(pictures):
        aim = steering.update(seen, step / 25, step / 25, lambda picture=picture: picture)
    assert aim.sight.tracking == "locked"
    assert aim.sight.place is not None
    assert aim.sight.place[0] == pytest.approx(0.3 + 4 * 11 / 160, abs=0.03)
    assert aim.plane == pytest.approx(NEAR, abs=0.02)


def test_plain_targets_need_no_steering(tmp_path: Path) -> None:
    assert open_steering(Settings(focus=(0.2, 0.3))) is None
    assert open_steering(Settings(follow=True)) is not None
    path = tmp_path / "clip.focus.toml"
    Keyframes(KEYFRAMES, 0.25).save(path)
    steering = open_steering(Settings(keyframes=str(path)))
    assert steering is not None
    assert (steering.state.keyframes, steering.state.rack_time) == (KEYFRAMES, 0.25)
    with pytest.raises(UnavailableError, match="face-model"):
        open_steering(Settings(face_model=str(tmp_path / "absent.onnx")))


@pytest.mark.parametrize(
    "settings",
    [
        {"follow": True, "focus_disparity": 0.5},
        {"face_model": "x.onnx", "focus_distance": 2.0},
        {"follow": True, "face_model": "x.onnx"},
    ],
)
def test_wishes_that_contradict_each_other(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Settings.create(**settings)
