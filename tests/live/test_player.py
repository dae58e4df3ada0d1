"""A player that is steered: by a clock that only moves when it waits, or by other threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from conftest import make_frames, make_info

from rtfocus.errors import InputCutShort
from rtfocus.frame import Frame, StreamInfo
from rtfocus.readers import open_reader, player
from rtfocus.readers.base import Reader
from rtfocus.readers.player import Player, Wish
from rtfocus.readers.seeking import index_at


class Clock:
    """Time that passes when someone waits; things can be made to happen meanwhile."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._plan: list[tuple[float, Callable[[], object]]] = []

    def at(self, time: float, action: Callable[[], object]) -> None:
        """Do that so many seconds after the beginning."""
        self._plan.append((1000.0 + time, action))
        self._plan.sort(key=lambda entry: entry[0])

    def wait(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = self.now + seconds
        while self._plan and self._plan[0][0] <= end and not until():
            moment, action = self._plan.pop(0)
            self.now = max(self.now, moment)
            action()
        if not until():
            self.now = end


class Event:
    """As `threading.Event`, but by that clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._set = clock, False

    def set(self) -> None:
        self._set = True

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float) -> bool:
        self._clock.wait(timeout, lambda: self._set)
        return self._set


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(player, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(player, "threading", SimpleNamespace(Event=lambda: Event(clock)))
    return clock


class File:
    """Opens a film of a few frames a second, each of which has a number in its picture."""

    def __init__(self, count: int = 5, rate: int = 10) -> None:
        self.info = make_info(8, 8, rate=Fraction(rate), time_base=Fraction(1, 1000), frames=count)
        self.frames = make_frames(self.info, count, step=1000 // rate)
        for number, frame in enumerate(self.frames):
            frame.image[:] = number
        self.at_end: Callable[[], object] = lambda: None
        self.opened: list[float] = []
        self.readers: list[Opened] = []

    def open(self, time: float) -> Reader:
        self.opened.append(time)
        first = index_at(time, self.info.rate, len(self.frames)) if self.frames else 0
        self.readers.append(Opened(self, self.frames[first:]))
        return self.readers[-1]


def breaks_off() -> None:
    raise InputCutShort("it breaks off")


class Opened(Reader):
    def __init__(self, file: File, frames: list[Frame]) -> None:
        self._file, self._frames, self.closed = file, frames, False

    @property
    def info(self) -> StreamInfo:
        return self._file.info

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            if self.closed:
                return
            yield frame
        self._file.at_end()

    def close(self) -> None:
        self.closed = True


class Remote:
    """What steers a player, as `Control` and its observers do."""

    def __init__(self, playing: bool = True) -> None:
        self.wish, self.ends = Wish(playing), 0
        self.player: Player | None = None

    def set(self, playing: bool | None = None, seek: float | None = None) -> None:
        old = self.wish
        self.wish = Wish(
            old.playing if playing is None else playing,
            old.seek if seek is None else seek,
            old.seek_version + (seek is not None),
        )
        self.wake()

    def wake(self) -> None:
        if self.player is not None:
            self.player.wake()

    def end(self) -> None:
        self.ends += 1
        self.set(playing=False)

    def play(self, file: File, loop: bool = False) -> Player:
        self.player = Player(file.open, lambda: self.wish, loop=loop, on_end=self.end)
        return self.player


def shown(frames: Iterator[Frame], count: int) -> list[tuple[int, float]]:
    """Number of the picture and moment of the next frames."""
    given = []
    for frame in islice(frames, count):
        assert frame.captured is not None
        given.append((int(frame.image[0, 0, 0]), round(frame.captured - 1000, 3)))
    return given


class TestPace:
    @pytest.mark.usefixtures("clock")
    def test_frames_come_when_their_time_has_come(self) -> None:
        frames = iter(Remote().play(File()))
        assert shown(frames, 5) == [(0, 0), (1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)]

    def test_times_and_numbers(self, clock: Clock) -> None:
        clock.at(0.15, lambda: remote.set(seek=0.0))
        remote, file = Remote(), File()
        reader = remote.play(file)
        frames = list(islice(reader, 4))
        assert [f.pts for f in frames] == [0, 100, 0, 100]
        assert [f.index for f in frames] == [0, 1, 2, 3]
        assert reader.info.live
        assert reader.info.frames == file.info.frames
        assert reader.info.media is None

    def test_a_taker_who_is_late_is_caught_up_with(self, clock: Clock) -> None:
        frames = iter(Remote().play(File(9)))
        shown(frames, 1)
        clock.wait(0.35)
        assert shown(frames, 4) == [(1, 0.35), (2, 0.35), (3, 0.35), (4, 0.4)]

    def test_a_taker_who_is_too_late_is_not(self, clock: Clock) -> None:
        frames = iter(Remote().play(File(9)))
        shown(frames, 1)
        clock.wait(0.7)
        assert shown(frames, 3) == [(1, 0.7), (2, 0.8), (3, 0.9)]

    def test_a_frame_that_lasts(self, clock: Clock) -> None:
        remote = Remote()
        clock.at(0.6, remote.wake)
        frames = iter(remote.play(File(3, rate=1)))
        assert shown(frames, 6) == [(0, 0), (0, 0.25), (0, 0.5), (0, 0.6), (0, 0.85), (1, 1)]

    @pytest.mark.usefixtures("clock")
    def test_a_film_without_frames(self) -> None:
        assert list(Remote().play(File(0))) == []


class TestPause:
    def test_the_frame_is_given_again(self, clock: Clock) -> None:
        remote = Remote()
        clock.at(0.15, lambda: remote.set(playing=False))
        frames = iter(remote.play(File()))
        assert shown(frames, 4) == [(0, 0), (1, 0.1), (1, 0.4), (1, 0.65)]

    def test_at_once_when_woken(self, clock: Clock) -> None:
        remote = Remote(playing=False)
        for moment in (0.1, 0.11, 0.4):
            clock.at(moment, remote.wake)
        frames = iter(remote.play(File()))
        assert shown(frames, 5) == [(0, 0), (0, 0.1), (0, 0.11), (0, 0.36), (0, 0.4)]

    def test_when_woken_while_the_frame_is_worked_on(self, clock: Clock) -> None:
        remote = Remote(playing=False)
        frames = iter(remote.play(File()))
        shown(frames, 1)
        clock.wait(0.05)
        remote.wake()
        assert shown(frames, 2) == [(0, 0.05), (0, 0.3)]

    def test_going_on(self, clock: Clock) -> None:
        remote = Remote()
        clock.at(0.15, lambda: remote.set(playing=False))
        clock.at(7, lambda: remote.set(playing=True))
        frames = iter(remote.play(File()))
        given = [(n, t) for n, t in shown(frames, 40) if n > 1]
        assert given[:3] == [(2, 7.1), (3, 7.2), (4, 7.3)]


class TestSeek:
    def test_while_paused(self, clock: Clock) -> None:
        remote, file = Remote(playing=False), File()
        clock.at(0.1, lambda: remote.set(seek=0.3))
        clock.at(0.2, lambda: remote.set(seek=0.15))
        frames = iter(remote.play(file))
        assert shown(frames, 4) == [(0, 0), (3, 0.1), (1, 0.2), (1, 0.45)]
        assert [reader.closed for reader in file.readers] == [True, True, False]

    def test_to_the_same_place_again(self, clock: Clock) -> None:
        remote, file = Remote(), File()
        for moment in (0.1, 0.25):
            clock.at(moment, lambda: remote.set(seek=0.2))
        assert shown(iter(remote.play(file)), 5) == [
            (0, 0),
            (2, 0.1),
            (3, 0.2),
            (2, 0.25),
            (3, 0.35),
        ]

    def test_while_playing(self, clock: Clock) -> None:
        remote = Remote()
        clock.at(0.15, lambda: remote.set(seek=0.3))
        frames = iter(remote.play(File()))
        assert shown(frames, 4) == [(0, 0), (1, 0.1), (3, 0.15), (4, 0.25)]

    @pytest.mark.usefixtures("clock")
    def test_before_it_began(self) -> None:
        remote, file = Remote(), File()
        remote.set(seek=0.3)
        assert shown(iter(remote.play(file)), 2) == [(3, 0), (4, 0.1)]
        assert file.opened == [0.3]

    @pytest.mark.parametrize("playing", [True, False])
    def test_a_slider_that_is_dragged(self, clock: Clock, playing: bool) -> None:
        """A wish every 64th of a second, while each takes more than half a second."""
        remote, file = Remote(playing), File(60)

        def open_slowly(time: float) -> Reader:
            if time:
                clock.wait(0.5 + 1 / 256)
            return file.open(time)

        for i in range(96):
            clock.at(1 + i / 64, lambda time=1 + i / 32: remote.set(seek=time))  # type: ignore[misc]
        reader = remote.player = Player(open_slowly, lambda: remote.wish)
        given = [n for n, t in shown(iter(reader), 20) if t > 1]
        assert file.opened == [0.0, 1.0, 2.0, 3.0, 1 + 95 / 32]
        assert given[:5] == [10, 20, 30, 39, 40 if playing else 39]

    def test_what_cannot_be_read_there(
        self, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        remote, file = Remote(playing=False), File()
        file.at_end = breaks_off

        def open_file(time: float) -> Reader:
            reader = file.open(time)
            return Opened(file, []) if time >= 0.3 else reader

        clock.at(0.1, lambda: remote.set(seek=0.4))
        clock.at(0.2, lambda: remote.set(seek=0.2))
        reader = remote.player = Player(open_file, lambda: remote.wish)
        assert shown(iter(reader), 3) == [(0, 0), (0, 0.1), (2, 0.2)]
        assert "it breaks off" in caplog.text


class TestEnd:
    @pytest.mark.usefixtures("clock")
    def test_the_last_frame_stays(self) -> None:
        remote = Remote()
        frames = iter(remote.play(File(2)))
        assert shown(frames, 4) == [(0, 0), (1, 0.1), (1, 0.1), (1, 0.35)]
        assert remote.ends == 1
        assert not remote.wish.playing

    def test_playing_again_starts_at_the_beginning(self, clock: Clock) -> None:
        remote, file = Remote(), File(2)
        clock.at(0.5, lambda: remote.set(playing=True))
        given = shown(iter(remote.play(file)), 9)
        assert [n for n, t in given if t < 0.5] == [0, 1, 1, 1]
        assert [(n, t) for n, t in given if t > 0.5][:2] == [(0, 0.6), (1, 0.7)]
        assert file.opened == [0.0, 0.0]
        assert remote.ends == 2

    def test_playing_from_the_last_frame_starts_at_the_beginning(self, clock: Clock) -> None:
        remote, file = Remote(playing=False), File(4)
        clock.at(0.1, lambda: remote.set(seek=9.0))
        clock.at(0.2, lambda: remote.set(playing=True))
        assert shown(iter(remote.play(file)), 4) == [(0, 0), (3, 0.1), (0, 0.3), (1, 0.4)]

    def test_going_back_from_the_end(self, clock: Clock) -> None:
        remote = Remote()
        clock.at(0.3, lambda: remote.set(playing=True, seek=0.0))
        given = shown(iter(remote.play(File(2))), 6)
        assert given[-3:] == [(0, 0.3), (1, 0.4), (1, 0.4)]

    def test_it_is_said_once_to_who_does_not_listen(self, clock: Clock) -> None:
        ends: list[float] = []
        reader = Player(File(2).open, Wish, on_end=lambda: ends.append(clock.now))
        assert [n for n, _ in shown(iter(reader), 9)] == [0, *[1] * 8]
        assert len(ends) == 1

    @pytest.mark.usefixtures("clock")
    def test_who_listens_may_close(self) -> None:
        reader = Player(File(2).open, Wish, on_end=lambda: reader.close())
        assert [n for n, _ in shown(iter(reader), 9)] == [0, 1]

    @pytest.mark.usefixtures("clock")
    def test_a_wish_while_the_end_is_read_comes_first(self) -> None:
        remote, file = Remote(), File(2)

        def seek() -> None:
            file.at_end = lambda: None
            remote.set(seek=0.0)

        file.at_end = seek
        assert shown(iter(remote.play(file)), 4) == [(0, 0), (1, 0.1), (0, 0.1), (1, 0.2)]
        assert remote.ends == 0

    @pytest.mark.usefixtures("clock")
    def test_closing_is_no_end(self) -> None:
        remote, file = Remote(), File(2)
        reader = remote.play(file)
        file.at_end = reader.close
        assert [n for n, _ in shown(iter(reader), 9)] == [0, 1]
        assert remote.ends == 0

    @pytest.mark.usefixtures("clock")
    def test_a_loop(self) -> None:
        remote, file = Remote(), File(3)
        given = shown(iter(remote.play(file, loop=True)), 8)
        assert given == [(i % 3, round(i / 10, 3)) for i in range(8)]
        assert remote.ends == 0
        assert [reader.closed for reader in file.readers] == [True, True, False]

    def test_a_pause_where_a_loop_starts_over(self, clock: Clock) -> None:
        remote = Remote()
        clock.at(0.15, lambda: remote.set(playing=False))
        clock.at(0.2, lambda: remote.set(playing=True))
        given = shown(iter(remote.play(File(2), loop=True)), 4)
        assert given == [(0, 0), (1, 0.1), (0, 0.3), (1, 0.4)]

    def test_a_file_that_breaks_off(self, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
        remote, file = Remote(), File(2)
        file.at_end = breaks_off
        clock.at(0.3, lambda: remote.set(playing=True))
        assert [n for n, _ in shown(iter(remote.play(file)), 6)] == [0, 1, 1, 0, 1, 1]
        assert caplog.text.count("it breaks off") == 1

    def test_an_image_in_a_loop_is_read_once(self, tmp_path: Path) -> None:
        opened = []
        cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8, 3), 7, np.uint8))

        def open_image(time: float) -> Reader:
            opened.append(time)
            return open_reader(str(tmp_path / "a.png"), start=time)

        with Player(open_image, Wish, loop=True) as reader:
            assert all((f.image == 7).all() for f in islice(reader, 3))
        assert opened == [0.0]


class TestThreads:
    @pytest.fixture(autouse=True)
    def no_repeats(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(player, "_REPEAT_S", 1000.0)

    def test_waking(self) -> None:
        remote = Remote(playing=False)
        frames = iter(remote.play(File()))
        next(frames)
        threading.Timer(0.05, lambda: remote.set(seek=0.4)).start()
        assert next(frames).pts == 400
        threading.Timer(0.05, remote.wake).start()
        assert next(frames).pts == 400

    @pytest.mark.parametrize("playing", [True, False])
    def test_closing(self, playing: bool) -> None:
        reader = Remote(playing).play(file := File(rate=1))
        file.frames[1:] = []
        frames = iter(reader)
        next(frames)
        threading.Timer(0.05, reader.close).start()
        assert len(list(frames)) <= 1
        assert file.readers[0].closed

    def test_closing_while_it_seeks(self) -> None:
        remote, file = Remote(), File()

        def open_file(time: float) -> Reader:
            if time:
                reader.close()
            return file.open(time)

        reader = Player(open_file, lambda: remote.wish)
        frames = iter(reader)
        next(frames)
        remote.set(seek=0.3)
        assert list(frames) == []
        assert all(opened.closed for opened in file.readers)


def test_real_frames() -> None:
    source = "pattern:32x24@50,0.2s"
    with open_reader(source) as reader:
        wanted = [frame.image for frame in reader]
    remote = Remote(playing=False)
    with Player(lambda time: open_reader(source, start=time), lambda: remote.wish) as reader:
        remote.player = reader
        frames = iter(reader)
        for number in (0, 7, 3, 9):
            remote.set(seek=number / 50)
            frame = next(f for f in frames if f.pts == number)
            np.testing.assert_array_equal(frame.image, wanted[number])
