"""The preview window: without a display, and under Xvfb with xdotool for hands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import pytest
from conftest import make_frames, make_info

from live.peers import PATIENCE_S, wait_until
from live.screen import Hands, close_politely
from rtfocus.errors import OutputError, UnavailableError
from rtfocus.live.outlet import Outlet
from rtfocus.writers import check_output, open_writer, window
from rtfocus.writers.viewer import WHEEL_ZOOMS, key_name
from rtfocus.writers.window import (
    Click,
    Key,
    Wheel,
    WindowClosed,
    WindowEvent,
    WindowWriter,
    check_display,
)

INFO = make_info(320, 240)


def test_clicks_wheel_and_keys(hands: Hands) -> None:
    events: list[WindowEvent] = []
    with Outlet("window", lambda: WindowWriter(events.append, title="one")) as outlet:
        outlet.put(make_frames(INFO, 1)[0])
        shown = hands.find("one")

        def click() -> bool:  # again, in case the first came before the picture
            hands("mousemove", "--window", shown, 80, 180, "click", 1)
            return any(isinstance(e, Click) for e in events)

        wait_until(click, "the click")
        spot = next(e for e in events if isinstance(e, Click))
        assert spot.x == pytest.approx(0.25, abs=0.02)
        assert spot.y == pytest.approx(0.75, abs=0.02)
        for button, steps in () if WHEEL_ZOOMS else ((4, 1), (5, -1)):
            hands("click", button)
            wait_until(lambda s=steps: Wheel(s) in events, "the wheel")  # type: ignore[misc]
        hands("windowfocus", shown)
        for key, name in (("1", "1"), ("o", "o"), ("space", "Space"), ("Up", "ArrowUp")):
            hands("key", key)
            wait_until(lambda n=name: Key(n) in events, name)  # type: ignore[misc]
    assert outlet.error is None
    assert outlet.written == 1


def test_the_picture_and_the_overlay_are_seen(hands: Hands, tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("the ffmpeg program, which takes the screenshot, is not on this machine")
    (frame,) = make_frames(INFO, 1)
    frame.image[:] = 30, 60, 200
    lines: list[str] = []
    path = tmp_path / "shot.png"
    grab = ["ffmpeg", "-v", "quiet", "-y", "-f", "x11grab", "-draw_mouse", "0"]
    grab += ["-video_size", "320x240", "-i", os.environ["DISPLAY"], "-frames:v", "1", str(path)]

    def share(of: tuple[int, int, int]) -> float:
        """Of the pixels that have a colour."""
        writer.write(frame)
        if subprocess.run(grab, timeout=PATIENCE_S).returncode != 0:
            pytest.skip("this ffmpeg takes no screenshots")
        image = cv2.imread(str(path))[..., ::-1].astype(int)
        return float((abs(image - of).max(-1) < 8).mean())

    # Where there is no window manager, on a busy machine, Qt never paints some of its windows.
    for _ in range(10):
        lines.clear()
        with WindowWriter(overlay=lambda: lines, title="two") as writer:
            hands.find("two")
            if max(share((30, 60, 200)) for _ in range(3)) < 0.99:
                continue
            lines.append("30 fps")
            wait_until(lambda: share((10, 20, 66)) > 0.01, "the dark behind the overlay")
            return
    pytest.fail("no window of ten was painted")


def test_the_user_closes_the_window(hands: Hands) -> None:
    frames, closed = make_frames(INFO, 2), threading.Event()

    def on_event(event: WindowEvent) -> None:
        if event == WindowClosed():
            closed.set()

    for _ in range(10):  # as above: some windows do not hear either
        with WindowWriter(on_event, title="three") as writer:
            writer.write(frames[0])
            close_politely(os.environ["DISPLAY"], int(hands.find("three")))
            if closed.wait(PATIENCE_S / 10):
                writer.write(frames[1])  # into the void, which is no failure
                return
    pytest.fail("no window of ten was closed")


def test_a_window_that_is_killed(hands: Hands) -> None:
    (frame,) = make_frames(INFO, 1)
    with WindowWriter(title="four") as writer:
        writer.write(frame)
        hands("windowkill", hands.find("four"))

        def fails() -> bool:
            try:
                writer.write(frame)
            except OutputError:
                return True
            return False

        wait_until(fails, "the error")


def test_without_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform in ("win32", "darwin"):
        pytest.skip("windows need no display to be named here")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    for call in (
        lambda: check_output("window", "in.mp4", overwrite=False),
        lambda: open_writer("window", INFO),
    ):
        with pytest.raises(UnavailableError, match="Write a file instead") as raised:
            call()
        assert raised.value.exit_code == 4


def test_a_display_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform in ("win32", "darwin"):
        pytest.skip("windows need no display to be named here")
    monkeypatch.setenv("DISPLAY", ":4711")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(UnavailableError, match="window cannot be opened"):
        WindowWriter()


def test_a_window_that_hangs_at_its_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "sleeps.py"
    program.write_text("import sys; sys.stdin.read()")
    monkeypatch.setenv("DISPLAY", ":4711")
    monkeypatch.setattr(window, "_PROGRAM", program)
    monkeypatch.setattr(window, "_START_S", 0.1)
    with pytest.raises(UnavailableError):
        WindowWriter()


def test_which_systems_need_a_display() -> None:
    check_display("win32", {})
    check_display("darwin", {})
    check_display("linux", {"WAYLAND_DISPLAY": "wayland-0"})


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (49, "1"),
        (32, "Space"),
        (27, "Escape"),
        (0xFF52, "ArrowUp"),
        (1048603, "Escape"),  # with caps lock, as X11 adds it
        (0xFFE1, None),  # shift alone
        (43, "+"),
    ],
)
def test_names_of_keys(code: int, name: str | None) -> None:
    assert key_name(code) == name
