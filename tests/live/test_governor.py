"""How a slow machine keeps its frame rate."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest

from rtfocus.live.governor import Governor
from rtfocus.render.reduced import SIDES, Reduction


def run(governor: Governor, reduction: Reduction, cost: dict[int, float], frames: int) -> list[int]:
    """The sides over some frames, each of which takes as long as its side costs."""
    sides = []
    for _ in range(frames):
        governor.update(cost[reduction.side])
        sides.append(reduction.side)
    return sides


def test_a_fast_machine_keeps_the_best() -> None:
    reduction = Reduction()
    governor = Governor(reduction, Fraction(30))
    assert set(run(governor, reduction, dict.fromkeys(SIDES, 0.02), 1000)) == {SIDES[0]}
    assert governor.rest == 0


def test_a_slow_one_comes_down_within_two_seconds_of_frames_and_its_network_rests() -> None:
    reduction = Reduction()
    governor = Governor(reduction, Fraction(30))
    sides = run(governor, reduction, {360: 0.08, 240: 0.05, 180: 0.025}, 120)
    assert sides[-1] == 180
    assert sides.index(240) < 60
    assert governor.rest == 2


def test_what_is_slow_for_sixty_frames_a_second_need_not_be() -> None:
    """Thirty are enough, and a camera of fifteen leaves twice the time."""
    for rate, side in ((Fraction(60), 360), (None, 360), (Fraction(15), 360)):
        reduction = Reduction()
        run(Governor(reduction, rate), reduction, dict.fromkeys(SIDES, 0.024), 300)
        assert reduction.side == side
    reduction = Reduction()
    run(Governor(reduction, Fraction(15)), reduction, dict.fromkeys(SIDES, 0.045), 300)
    assert reduction.side == 360


@pytest.mark.parametrize(("before", "slow"), [(100, 0.2), (0, 20.0)], ids=["once", "compiling"])
def test_a_single_slow_frame_is_no_reason(before: int, slow: float) -> None:
    reduction = Reduction()
    governor = Governor(reduction, Fraction(30))
    run(governor, reduction, dict.fromkeys(SIDES, 0.01), before)
    governor.update(slow)
    run(governor, reduction, dict.fromkeys(SIDES, 0.01), 200)
    assert reduction.side == SIDES[0]


def test_it_recovers_when_the_machine_is_free_again() -> None:
    reduction = Reduction()
    governor = Governor(reduction, Fraction(30))
    run(governor, reduction, dict.fromkeys(SIDES, 0.05), 200)
    assert reduction.side == SIDES[-1]
    run(governor, reduction, dict.fromkeys(SIDES, 0.005), 1500)
    assert reduction.side == SIDES[0]


def test_a_machine_on_the_brink_comes_to_rest() -> None:
    reduction = Reduction()
    governor = Governor(reduction, Fraction(30))
    sides = run(governor, reduction, {360: 0.05, 240: 0.011, 180: 0.006}, 20_000)
    changes = [a != b for a, b in itertools.pairwise(sides)]
    assert sum(changes[:2000]) > sum(changes[-10_000:])


@pytest.mark.parametrize("side", SIDES)
def test_the_sides_reduce_by_more_and_more(side: int) -> None:
    reduction = Reduction()
    reduction.side = side
    assert reduction.size(720, 1280) == (side, round(side * 16 / 9))
