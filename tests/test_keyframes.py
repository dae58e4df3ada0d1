"""Focus keyframes: their file, and what is in focus when."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtfocus.errors import InputError, OutputError, UsageError
from rtfocus.focus.keyframes import Keyframe, Keyframes, beside
from rtfocus.focus.plane import FocusDisparity, FocusPoint
from rtfocus.focus.rack import EASINGS, ease
from rtfocus.limits import LIMITS

SHARES = st.floats(0, 1)
FRAMES = st.builds(
    Keyframe,
    st.floats(0, 1e6),
    st.builds(FocusPoint, SHARES, SHARES) | st.builds(FocusDisparity, st.floats(-1000, 1000)),
    st.none() | st.floats(*LIMITS["f_number"]),
    st.sampled_from(EASINGS),
)
TRACKS = st.builds(
    Keyframes,
    st.lists(FRAMES, max_size=8, unique_by=lambda frame: frame.time).map(tuple),
    st.floats(0, 60),
)


def at(time: float, value: float, **more: object) -> Keyframe:
    return Keyframe(time, FocusDisparity(value), **more)  # type: ignore[arg-type]


def plane(track: Keyframes, time: float) -> float:
    moment = track.at(time, 2.8)
    assert moment is not None
    return moment.plane(lambda target: target.value)  # type: ignore[union-attr]


@given(TRACKS)
def test_toml_and_back(track: Keyframes) -> None:
    assert Keyframes.from_toml(track.to_toml()) == track


def test_a_file_and_back(tmp_path: Path) -> None:
    track = Keyframes((at(2, 0.5), Keyframe(1, FocusPoint(0.25, 0.75), 4.0)), 1.5)
    path = beside(tmp_path / "clip.mp4")
    assert path.name == "clip.focus.toml"
    track.save(path)
    assert Keyframes.load(path) == track
    replace(track, frames=(*track.frames, at(3, 0.1))).save(path)
    assert len(Keyframes.load(path).frames) == 3
    assert os.listdir(tmp_path) == ["clip.focus.toml"]


def test_what_a_person_writes(tmp_path: Path) -> None:
    path = tmp_path / "clip.focus.toml"
    path.write_text(
        "[[keyframe]]\ntime = 4\ndisparity = 1\n[[keyframe]]\ntime = 0\npoint = [0, 1]\n",
        encoding="utf-8",
    )
    first, second = Keyframes.load(path).frames
    assert first == Keyframe(0.0, FocusPoint(0.0, 1.0))
    assert second == Keyframe(4.0, FocusDisparity(1.0), None, "ease-in-out")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[keyframe]\n", "not TOML.*line 1"),
        ("version = 2\n", "version 2"),
        ("racks = 1\n", "Did you mean 'rack'"),
        ("rack = -1\n", "0 .at once"),
        ("rack = 'long'\n", "must be a number"),
        ("keyframe = 3\n", "keyframe"),
        ("[[keyframe]]\ndisparity = 1\n", "keyframe 1: has no time"),
        ("[[keyframe]]\ntime = 1\n", "keyframe 1: needs one of"),
        ("[[keyframe]]\ntime = 1\npoint = [0, 0]\ndisparity = 1\n", "keyframe 1: needs one of"),
        ("[[keyframe]]\ntime = 1\npoint = [0, 2]\n", r"keyframe 1: .*0\.\.1"),
        ("[[keyframe]]\ntime = 1\npoint = 0.5\n", "keyframe 1: point 0.5"),
        ("[[keyframe]]\ntime = 1\npoint = [true, 0]\n", "keyframe 1: point True"),
        ("[[keyframe]]\ntime = -1\ndisparity = 1\n", "keyframe 1: time -1.0: must be 0"),
        ("[[keyframe]]\ntime = nan\ndisparity = 1\n", "keyframe 1: time nan"),
        ("[[keyframe]]\ntime = 1\ndisparity = inf\n", "keyframe 1: focus disparity inf"),
        ("[[keyframe]]\ntime = 1\ndisparity = 1e300\n", r"keyframe 1: .*-1000 to 1000"),
        (
            "[[keyframe]]\ntime = 1\ndisparity = 1\nf_number = 1e-300\n",
            r"keyframe 1: .*0\.01 to",
        ),
        ("[[keyframe]]\ntime = 1\ndisparity = 1\nf_number = 0\n", "keyframe 1: f_number 0.0"),
        ("[[keyframe]]\ntime = 1\ndisparity = 1\neasing = 'slow'\n", "easing 'slow' is not known"),
        ("[[keyframe]]\ntime = 1\ndisparity = 1\neasing = 3\n", "easing 3 is not known"),
        ("[[keyframe]]\ntime = 1\ndisparity = 1\nease = 'linear'\n", "Did you mean 'easing'"),
        ("[[keyframe]]\ntime = 1\ndisparity = 1\n" * 2, "two keyframes at 1 s"),
        (f"[[keyframe]]\ntime = 1{'0' * 400}\ndisparity = 1\n", "too large"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.focus.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as raised:
        Keyframes.load(path)
    assert str(raised.value).startswith(repr(str(path)))


@given(st.text() | st.binary().map(lambda b: b.decode("latin-1")))
def test_garbage_is_refused_or_read(text: str) -> None:
    with contextlib.suppress(UsageError):
        Keyframes.from_toml(text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        Keyframes.load(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xff\n")
    with pytest.raises(UsageError, match="not TOML"):
        Keyframes.load(tmp_path / "latin.toml")
    (tmp_path / "large.toml").write_bytes(b"#" * (5 << 20))
    with pytest.raises(UsageError, match="too large"):
        Keyframes.load(tmp_path / "large.toml")


def test_what_cannot_be_written_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        Keyframes().save(tmp_path / "no such folder" / "a.toml")
    with pytest.raises(OutputError, match="folder"):
        Keyframes().save(tmp_path)
    path = tmp_path / "a.toml"
    Keyframes((at(1, 0.5),)).save(path)

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="No space left"):
        Keyframes().save(path)
    assert Keyframes.load(path).frames == (at(1, 0.5),)
    assert os.listdir(tmp_path) == ["a.toml"]


def test_none_is_nothing() -> None:
    assert Keyframes().at(1.0, 2.8) is None


@pytest.mark.parametrize("easing", EASINGS)
def test_it_arrives_on_time(easing: str) -> None:
    track = Keyframes((at(1, 0.2), at(3, 0.8, easing=easing), at(3.4, 0.0)), rack=0.5)
    assert [plane(track, t) for t in (0, 1, 2, 2.5, 3, 3.4, 99)] == pytest.approx(
        [0.2, 0.2, 0.2, 0.2, 0.8, 0.0, 0.0]
    )
    assert plane(track, 2.75) == pytest.approx(0.2 + 0.6 * ease(easing, 0.5))  # type: ignore[arg-type]
    assert plane(track, 3.2) == pytest.approx(0.4)  # the neighbour is nearer than the rack


def test_without_time_it_jumps() -> None:
    track = Keyframes((at(1, 0.2), at(2, 0.8)), rack=0)
    assert [plane(track, t) for t in (1.999, 2.0)] == [0.2, 0.8]


@given(st.lists(st.tuples(st.floats(0, 5), SHARES), min_size=1, max_size=6))
def test_it_never_jumps(points: list[tuple[float, float]]) -> None:
    spaced = [at(i + 0.5 * t / 5, value) for i, (t, value) in enumerate(points)]
    planes = [plane(Keyframes(tuple(spaced), 0.5), i / 100) for i in range(700)]
    assert np.abs(np.diff(planes)).max() <= 1.5 / 0.5 / 100 + 1e-9


def test_the_aperture_travels_in_stops() -> None:
    track = Keyframes(
        (at(0, 0.0), at(1, 0.0, f_number=2.0), at(2, 0.0), at(3, 0.0, f_number=8.0)), rack=1.0
    )

    def number(time: float) -> float:
        moment = track.at(time, 4.0)
        assert moment is not None
        return moment.f_number

    assert number(0.5) == pytest.approx(np.sqrt(8))
    assert [number(t) for t in (0, 1, 1.5, 2)] == pytest.approx([4, 2, 2, 2])
    assert number(2.5) == pytest.approx(4.0)
    assert number(9) == pytest.approx(8.0)


def test_things_that_move_are_met() -> None:
    """During a rack both ends are measured in the frame at hand."""
    track = Keyframes(
        (Keyframe(0, FocusPoint(0.1, 0.5)), Keyframe(1, FocusPoint(0.9, 0.5), easing="linear"))
    )
    moment = track.at(0.75, 2.8)
    assert moment is not None
    seen = {0.1: 0.2, 0.9: 0.6}
    assert moment.plane(lambda target: seen[target.x]) == pytest.approx(0.4)  # type: ignore[union-attr]
    resting = track.at(0.2, 2.8)
    assert resting is not None
    asked = []
    resting.plane(lambda target: asked.append(target) or 0.0)  # type: ignore[func-returns-value]
    assert asked == [FocusPoint(0.1, 0.5)]
