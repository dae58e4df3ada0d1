"""The preview window: without a display, and under Xvfb with xdotool for hands."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from conftest import make_frames, make_info

from live.peers import PATIENCE_S, wait_until
from rtfocus.errors import OutputError, UnavailableError
from rtfocus.live.outlet import Outlet
from rtfocus.writers import check_output, open_writer, window
from rtfocus.writers.viewer import key_name
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


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A screen that nobody sees."""
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on this machine")
    read, write = os.pipe()
    # -noreset: or the server would start over whenever its last client leaves.
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "640x480x24", "-noreset"]
    server = subprocess.Popen(
        command, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(write)
    try:
        with os.fdopen(read) as number:
            yield f":{number.readline().strip()}"
    finally:
        server.terminate()
        server.wait(PATIENCE_S)


@pytest.fixture
def hands(display: str, monkeypatch: pytest.MonkeyPatch) -> Hands:
    monkeypatch.setenv("DISPLAY", display)
    return Hands()


class Hands:
    """Mouse and keyboard."""

    def __call__(self, *arguments: object) -> str:
        command = ["xdotool", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        return done.stdout.strip()

    def find(self, title: str) -> str:
        found: list[str] = []

        def search() -> list[str]:
            found.extend(self("search", "--onlyvisible", "--name", title).split())
            return found

        wait_until(search, "the window")
        return found[0]


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
        for button, steps in ((4, 1), (5, -1)):
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
    events: list[WindowEvent] = []
    frames = make_frames(INFO, 2)
    with WindowWriter(events.append, title="three") as writer:
        writer.write(frames[0])
        shown = hands.find("three")
        close_politely(os.environ["DISPLAY"], int(shown))
        wait_until(lambda: WindowClosed() in events, "the window to be gone")
        writer.write(frames[1])  # into the void, which is no failure


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


def close_politely(display: str, shown: int) -> None:
    """What a window manager does when its cross is clicked: a WM_DELETE_WINDOW message."""
    x11 = ctypes.CDLL("libX11.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    x11.XInternAtom.restype = ctypes.c_ulong
    connection = ctypes.c_void_p(x11.XOpenDisplay(display.encode()))

    class ClientMessage(ctypes.Structure):
        _fields_ = (
            ("type", ctypes.c_int),
            ("serial", ctypes.c_ulong),
            ("send_event", ctypes.c_int),
            ("display", ctypes.c_void_p),
            ("window", ctypes.c_ulong),
            ("message_type", ctypes.c_ulong),
            ("format", ctypes.c_int),
            ("data", ctypes.c_long * 5),
            ("padding", ctypes.c_long * 24),
        )

    protocols, delete = (
        x11.XInternAtom(connection, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW")
    )
    message = ClientMessage(type=33, window=shown, message_type=protocols, format=32)
    message.data[0] = delete
    x11.XSendEvent(connection, ctypes.c_ulong(shown), 0, 0, ctypes.byref(message))
    x11.XCloseDisplay(connection)


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
