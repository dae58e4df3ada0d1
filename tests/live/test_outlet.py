"""Outputs in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from conftest import make_frames, make_info

from live.peers import PATIENCE_S, wait_until
from rtfocus.errors import InputCutShort, OutputError, UnavailableError
from rtfocus.frame import Frame
from rtfocus.live.outlet import Outlet
from rtfocus.writers import open_writer
from rtfocus.writers.base import Writer
from rtfocus.writers.caption import draw_lines, mark_lost
from rtfocus.writers.live import LiveWriter

INFO = make_info()


class Noting(LiveWriter):
    """Remembers what it was given; `on_write` may wait or fail."""

    def __init__(self, on_write: Callable[[Frame], object] = lambda _: None) -> None:
        self.frames: list[Frame] = []
        self.threads = {threading.get_ident()}
        self.closed = threading.Event()
        self._on_write = on_write

    def write(self, frame: Frame) -> None:
        self._on_write(frame)
        self.frames.append(frame)
        self.threads.add(threading.get_ident())

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed.set()


def test_a_slow_output_does_not_hold_another() -> None:
    release = threading.Event()
    slow, fast = Noting(lambda _: release.wait(PATIENCE_S)), Noting()
    with Outlet("slow", lambda: slow) as held, Outlet("fast", lambda: fast) as free:
        for i, frame in enumerate(make_frames(INFO, 10)):
            held.put(frame)
            free.put(frame)
            wait_until(lambda i=i: free.written == i + 1, "the fast output")  # type: ignore[misc]
        assert free.drops == 0
        assert held.written == 0
        assert held.drops >= 8
        release.set()
    assert len(fast.frames) == 10
    assert slow.frames[-1].index == 9  # the newest, not the oldest, was kept
    assert held.written + held.drops == 10


def test_a_failure_stays_where_it_is(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Frame) -> None:
        raise OutputError("the cable is out")

    bad, good = Noting(fail), Noting()
    frames = make_frames(INFO, 3)
    with (
        Outlet("bad", lambda: bad) as ill,
        Outlet("good", lambda: good) as well,
    ):
        for i, frame in enumerate(frames):
            ill.put(frame)
            well.put(frame)
            wait_until(lambda i=i: well.written == i + 1, "the good output")  # type: ignore[misc]
        wait_until(lambda: ill.error, "the failure")
    assert "bad has stopped, the others go on: the cable is out" in caplog.text
    assert isinstance(ill.error, OutputError)
    assert well.error is None
    assert bad.closed.is_set()


def test_a_writer_lives_in_one_thread() -> None:
    writer = Noting()
    with Outlet("x", lambda: writer) as outlet:
        outlet.put(make_frames(INFO, 1)[0])
    assert len(writer.threads) == 2  # the one that made it here, and the outlet's
    assert outlet.written == 1


def test_an_output_that_cannot_open() -> None:
    def refuse() -> Writer:
        raise UnavailableError("no such thing")

    with pytest.raises(UnavailableError, match="no such thing"):
        Outlet("x", refuse)


def test_a_writer_that_hangs_is_left_to_itself(caplog: pytest.LogCaptureFixture) -> None:
    entered, release = threading.Event(), threading.Event()

    def hang(_: Frame) -> None:
        entered.set()
        release.wait(PATIENCE_S)

    outlet = Outlet("stuck", lambda: Noting(hang))
    outlet.put(make_frames(INFO, 1)[0])
    assert entered.wait(PATIENCE_S)
    outlet.close(timeout=0.05)
    assert "stuck did not end" in caplog.text
    release.set()
    outlet.close()


@pytest.mark.parametrize("reason", [None, InputCutShort("x"), KeyboardInterrupt()])
def test_a_recording_keeps_every_frame(reason: BaseException | None, tmp_path: Path) -> None:
    path = tmp_path / "o.mkv"
    info = make_info(time_base=Fraction(1, 1000))
    outlet = Outlet("recording", lambda: open_writer(str(path), info), capacity=50)
    for frame in make_frames(info, 40, step=40):
        outlet.put(frame)
    outlet.close(reason)
    assert (outlet.written, outlet.drops, outlet.error) == (40, 0, None)
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 40


def test_a_recording_of_a_failed_run_is_discarded(tmp_path: Path) -> None:
    outlet = Outlet("recording", lambda: open_writer(str(tmp_path / "o.mkv"), INFO), capacity=9)
    outlet.put(make_frames(INFO, 1)[0])
    outlet.close(ZeroDivisionError())
    assert list(tmp_path.iterdir()) == []


def test_captions_change_a_copy() -> None:
    (frame,) = make_frames(make_info(320, 240), 1)
    before = frame.image.copy()
    marked = mark_lost(frame.image)
    assert (frame.image == before).all()
    assert (marked != before).any()
    assert (draw_lines(frame.image, []) == before).all()
