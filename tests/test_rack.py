"""Rack focus: how the plane travels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtfocus.errors import UsageError
from rtfocus.focus.rack import EASINGS, Easing, Rack, ease

PLANES = st.floats(-0.2, 1.2)
TIMES = st.floats(0.1, 3.0)
EASED = st.sampled_from(EASINGS)


def travel(rack: Rack, targets: list[tuple[float, float]], end: float, rate: int) -> np.ndarray:
    """Planes at `rate` frames a second; the target changes at the times of (time, target)."""
    planes, last = [], None
    for i in range(round(end * rate) + 1):
        time = i / rate
        target = [value for begun, value in targets if begun <= time][-1]
        planes.append(rack.update(target, time, new=target != last))
        last = target
    return np.array(planes)


@given(EASED, st.floats(0, 1), st.floats(0, 1))
def test_an_easing_rises_from_0_to_1(easing: Easing, a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert ease(easing, 0) == 0
    assert ease(easing, 1) == 1
    assert 0 <= ease(easing, low) <= ease(easing, high) <= 1


@given(EASED, TIMES, PLANES, PLANES)
def test_it_leaves_in_time_and_arrives_in_time(
    easing: Easing, seconds: float, start: float, end: float
) -> None:
    rack = Rack(seconds, easing)
    assert rack.update(start, 0.0) == start
    assert rack.update(end, 1.0, new=True) == pytest.approx(start)
    half = rack.update(end, 1 + seconds / 2)
    assert half == pytest.approx(start + ease(easing, 0.5) * (end - start))
    assert rack.under_way(1 + seconds * 0.99)
    assert rack.update(end, 1 + seconds * 1.0001) == end
    assert not rack.under_way(1 + seconds * 1.0001)


@given(EASED, TIMES, PLANES, PLANES, PLANES, st.sampled_from([10, 15, 25, 30, 60]))
def test_it_does_not_depend_on_the_frame_rate(
    easing: Easing, seconds: float, a: float, b: float, c: float, rate: int
) -> None:
    # Whole seconds are frames at every rate.
    changes = [(0.0, a), (1.0, b), (2.0, c)]
    coarse = travel(Rack(seconds, easing), changes, 4, 5)
    fine = travel(Rack(seconds, easing), changes, 4, 5 * rate)
    np.testing.assert_allclose(fine[::rate], coarse, atol=1e-9)


@given(EASED, TIMES, PLANES, PLANES, PLANES, st.floats(0.05, 2.9))
def test_interrupted_anywhere_it_does_not_jump(
    easing: Easing, seconds: float, a: float, b: float, c: float, after: float
) -> None:
    rate = 600
    planes = travel(Rack(seconds, easing), [(0, a), (0.1, b), (0.1 + after, c)], 4, rate)
    # No easing is faster than three times the mean speed; an interruption adds the speed it had.
    fastest = 3 * (abs(b - a) + abs(c - b) + 1.5 * abs(b - a)) / seconds / rate
    assert np.abs(np.diff(planes)).max() <= fastest + 1e-9


@given(TIMES, PLANES, PLANES, PLANES, st.floats(0.05, 2.9))
def test_ease_in_out_keeps_its_speed_when_interrupted(
    seconds: float, a: float, b: float, c: float, after: float
) -> None:
    rate = 1000
    planes = travel(Rack(seconds), [(0, a), (0.1, b), (0.1 + after, c)], 4, rate)
    speeds = np.diff(planes) * rate
    # The curve's second derivative is at most 6 distance + 4 slope, per rack time squared.
    slope = 1.5 * abs(b - a)
    hardest = (6 * (abs(b - a) + abs(c - b) + slope) + 4 * slope) / seconds**2
    assert np.abs(np.diff(speeds)).max() <= hardest / rate + 1e-6


@given(EASED, TIMES, PLANES, st.floats(-0.5, 0.5))
def test_it_meets_a_target_that_moves(
    easing: Easing, seconds: float, start: float, drift: float
) -> None:
    rack = Rack(seconds, easing)
    rack.update(start, 0.0)
    planes = [rack.update(0.5 + drift * i / 50, i / 50, new=i == 1) for i in range(1, 201)]
    steps = np.abs(np.diff(planes))
    assert steps.max() <= 3 * abs(start - 0.5 - drift / 50) / seconds / 50 + abs(drift) / 50 + 1e-9
    assert planes[-1] == pytest.approx(0.5 + drift * 4)


def test_a_cut_jumps_and_ends_the_rack() -> None:
    rack = Rack(1.0)
    rack.update(0.2, 0.0)
    rack.update(0.8, 0.1, new=True)
    assert rack.update(0.6, 0.2, cut=True) == 0.6
    assert rack.update(0.6, 0.3) == 0.6


def test_without_time_it_jumps() -> None:
    rack = Rack(0.0)
    rack.update(0.2, 0.0)
    assert rack.update(0.8, 0.1, new=True) == 0.8


def test_a_clip_that_starts_again_drops_the_rack() -> None:
    rack = Rack(1.0)
    rack.update(0.2, 9.0)
    rack.update(0.8, 9.5, new=True)
    assert rack.update(0.8, 0.0) == 0.8


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf"), 1e9])
def test_times_that_make_no_sense_are_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match=r"0 \(at once\) to 60 seconds"):
        Rack(seconds)


def test_an_unknown_easing_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'ease-in-out'"):
        Rack(1.0, "ease-inout")  # type: ignore[arg-type]
