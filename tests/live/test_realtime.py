"""Readers in a thread of their own, and files that are played in one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from conftest import make_frames, make_info

from rtfocus.errors import InputCutShort, InputError
from rtfocus.frame import Frame, StreamInfo
from rtfocus.readers import open_reader
from rtfocus.readers.base import Reader
from rtfocus.readers.capture import Capture
from rtfocus.readers.clock import LIVE_TIME_BASE, LiveClock
from rtfocus.readers.player import Player, Wish
from rtfocus.readers.reopening import ReopeningReader, fit


class Scripted(Reader):
    """Gives some frames, then does something."""

    def __init__(
        self,
        count: int = 3,
        then: Callable[[], None] = lambda: None,
        info: StreamInfo | None = None,
    ) -> None:
        self._info = info or make_info()
        self._frames = make_frames(self._info, count)
        self._then = then
        self.closed = threading.Event()

    @property
    def info(self) -> StreamInfo:
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        yield from self._frames
        self._then()

    def close(self) -> None:
        self.closed.set()


def fail(error: BaseException) -> Callable[[], None]:
    def then() -> None:
        raise error

    return then


class TestCapture:
    def test_the_newest_frame_wins(self) -> None:
        done = threading.Event()
        with Capture("x", lambda: Scripted(20, then=done.set)) as capture:
            assert done.wait(10)
            frames = list(capture)
        assert len(frames) == 1
        assert frames[0].pts == 19 * 512
        assert frames[0].index == 0
        assert capture.drops == 19

    def test_an_error_reaches_whoever_iterates(self) -> None:
        for error in (InputCutShort("short"), ZeroDivisionError("odd")):
            with Capture("x", lambda e=error: Scripted(1, then=fail(e))) as capture:  # type: ignore[misc]
                taken = []
                with pytest.raises(type(error)):
                    for frame in capture:
                        taken.append(frame)  # noqa: PERF402
                assert len(taken) == 1

    def test_an_error_of_opening(self) -> None:
        def refuse() -> Reader:
            raise InputError("nobody there")

        with pytest.raises(InputError, match="nobody there"):
            Capture("x", refuse)

    def test_a_source_that_never_opens(self) -> None:
        release, source = threading.Event(), Scripted()

        def hang() -> Reader:
            release.wait(60)
            return source

        with pytest.raises(InputError, match="'x' gave no picture within"):
            Capture("x", hang, start_timeout=0.05)
        release.set()
        assert source.closed.wait(10)  # and what opened too late is closed

    def test_the_last_picture_stays_while_the_source_is_lost(self) -> None:
        release = threading.Event()
        with Capture("x", lambda: Scripted(1, then=lambda: release.wait(60)), hold=0.05) as capture:  # type: ignore[arg-type,return-value]
            frames = list(islice(capture, 3))
            assert [f.lost for f in frames] == [False, True, True]
            assert capture.lost
            assert frames[2].image is frames[0].image
            assert frames[2].captured is None
            assert frames[0].pts < frames[1].pts < frames[2].pts
            release.set()

    def test_closing_does_not_wait_for_a_source_that_hangs(self) -> None:
        release = threading.Event()
        capture = Capture("x", lambda: Scripted(1, then=lambda: release.wait(60)))  # type: ignore[arg-type,return-value]
        begun = time.monotonic()
        threading.Timer(0.1, capture.close).start()
        assert len(list(capture)) == 1
        capture.close()
        assert time.monotonic() - begun < 30
        release.set()


class TestReopening:
    def test_it_comes_back_with_the_size_it_had(self) -> None:
        other = make_info(96, 96)
        answers: list[Reader | InputError] = [
            Scripted(2, then=fail(InputError("lost"))),
            InputError("still away"),
            Scripted(2, info=other, then=fail(InputError("lost again"))),
        ]

        def open_next() -> Reader:
            answer = answers.pop(0) if answers else InputError("for ever")
            if isinstance(answer, InputError):
                raise answer
            return answer

        reader = ReopeningReader("x", open_next)
        frames = list(islice(reader, 4))
        reader.close()
        assert {f.image.shape for f in frames} == {(48, 64, 3)}
        assert (frames[3].image[:, :8] == 0).all()  # black beside the square picture

    def test_stop(self) -> None:
        source = Scripted(2, then=fail(InputError("pulled out")))
        with pytest.raises(InputCutShort, match=r"pulled out.*on-loss"):
            list(ReopeningReader("x", lambda: source, "stop"))
        assert source.closed.is_set()

    def test_closing_ends_the_pause(self) -> None:
        reader = ReopeningReader("x", lambda: Scripted(1, then=fail(InputError("lost"))))
        frames = iter(reader)
        next(frames)
        threading.Timer(0.05, reader.close).start()
        while next(frames, None) is not None:
            pass


def test_pictures_are_fitted_without_distortion() -> None:
    image = np.full((10, 20, 3), 200, np.uint8)
    fitted = fit(image, (20, 20))
    assert (fitted[5:15] == 200).all()
    assert (fitted[:5] == 0).all()
    assert fit(image, (20, 10)) is image


class TestClock:
    def test_times_of_the_source_count(self) -> None:
        clock = LiveClock()
        jitter = (0.0, 0.03, -0.01, 0.02)
        placed = [clock.place(5 + 0.04 * i, 100 + 0.04 * i + jitter[i]) for i in range(4)]
        np.testing.assert_allclose(np.diff(placed), 0.04 / float(LIVE_TIME_BASE), atol=1)

    def test_a_source_that_starts_over(self) -> None:
        clock = LiveClock()
        placed = [clock.place(t, a) for t, a in ((70, 10), (70.1, 10.1), (0, 13), (0.1, 13.1))]
        np.testing.assert_allclose(placed, [0, 9000, 270000, 279000], atol=1)

    def test_a_source_that_goes_back_a_little_or_stays(self) -> None:
        clock = LiveClock()
        times = (0.0, 0.1, 0.2, 0.0, 0.1, 0.1, 0.1, 0.2)
        placed = [clock.place(time, 10 + 0.1 * i) for i, time in enumerate(times)]
        np.testing.assert_allclose(placed, 9000 * np.arange(8), atol=1)

    def test_times_only_move_forward(self) -> None:
        clock = LiveClock()
        placed = [clock.place(t, 10.0) for t in (1.0, 0.5, None, 0.2)]
        assert placed == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["pattern:64x48@50,0.1s", "a.mp4"])
def test_a_file_that_is_played(name: str, tmp_path: Path, ffmpeg: Callable[..., bytes]) -> None:
    if name == "a.mp4":
        name = str(tmp_path / name)
        ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x48:r=50:d=0.1", "-pix_fmt", "yuv420p", name)

    def open_at(start: float) -> Reader:
        return open_reader(name, start=start)

    player = Player(open_at, Wish, on_end=lambda: player.close())
    with Capture(name, lambda: player) as reader:
        assert reader.info.live
        once = [f.time for f in reader]
    assert once[-1] == pytest.approx(0.08)
    with Capture(name, lambda: Player(open_at, Wish, loop=True)) as reader:
        frames = list(islice(reader, 12))
    assert all(0 <= f.time < 0.1 for f in frames)
    assert (np.diff([f.time for f in frames]) < 0).any()
