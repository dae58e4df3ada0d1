"""The slot between threads."""

from __future__ import annotations

import threading

import pytest

from rtfocus.newest import Closed, Newest


def test_the_newest_wins_and_drops_are_counted() -> None:
    slot: Newest[int] = Newest()
    for i in range(5):
        slot.put(i)
    assert slot.get() == 4
    assert slot.drops == 4
    with pytest.raises(TimeoutError):
        slot.get(timeout=0.01)


def test_room_for_more_keeps_the_order() -> None:
    slot: Newest[int] = Newest(capacity=3)
    for i in range(5):
        slot.put(i)
    slot.close()
    assert list(slot) == [2, 3, 4]
    assert slot.drops == 2


def test_what_is_left_comes_before_the_end() -> None:
    slot: Newest[int] = Newest()
    slot.put(1)
    slot.close(ValueError("broken"))
    slot.put(2)
    assert slot.get() == 1
    for _ in range(2):
        with pytest.raises(ValueError, match="broken"):
            slot.get()


def test_the_first_close_counts() -> None:
    slot: Newest[int] = Newest()
    slot.close()
    slot.close(ValueError("late"))
    with pytest.raises(Closed):
        slot.get()


def test_closing_wakes_whoever_waits() -> None:
    slot: Newest[int] = Newest()
    ended = threading.Event()

    def take() -> None:
        assert list(slot) == []
        ended.set()

    thread = threading.Thread(target=take)
    thread.start()
    slot.close()
    assert ended.wait(10)
    thread.join()


def test_between_threads_nothing_is_lost_or_out_of_order() -> None:
    slot: Newest[int] = Newest()
    taken: list[int] = []
    thread = threading.Thread(target=lambda: taken.extend(slot))
    thread.start()
    for i in range(1000):
        slot.put(i)
    slot.close()
    thread.join(10)
    assert taken == sorted(set(taken))
    assert taken[-1] == 999
    assert len(taken) + slot.drops == 1000
