"""A preview window, with OpenCV."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2

from rtfocus.errors import OutputError, UnavailableError
from rtfocus.frame import Frame
from rtfocus.writers.caption import draw_lines
from rtfocus.writers.live import LiveWriter

_PROGRAM = Path(__file__).with_name("viewer.py")

_START_S, _END_S = 20.0, 3.0

_REMEDY = (
    "Check that the display can be reached and that opencv-python (not opencv-python-headless) is "
    "installed; or write a file instead of -o window."
)


@dataclass(frozen=True, slots=True)
class Click:
    """The left button was pressed on the picture.

    Attributes:
        x: 0..1 from the left.
        y: 0..1 from the top.
    """

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Wheel:
    """The wheel was turned.

    Attributes:
        steps: notches, away from the user is positive.
    """

    steps: int


@dataclass(frozen=True, slots=True)
class Key:
    """A key was pressed.

    Attributes:
        name: as browsers have it in KeyboardEvent.key ("1", "o", "Escape"), but "Space".
    """

    name: str


@dataclass(frozen=True, slots=True)
class WindowClosed:
    """The user closed the window; nothing is shown from now on."""


WindowEvent = Click | Wheel | Key | WindowClosed


class WindowWriter(LiveWriter):
    """Shows frames in a window, which is a process of its own, see `rtfocus.writers.viewer`."""

    def __init__(
        self,
        on_event: Callable[[WindowEvent], None] = lambda _: None,
        *,
        overlay: Callable[[], Sequence[str]] = tuple,
        title: str = "rtfocus",
    ) -> None:
        """Open the window.

        Args:
            on_event: told of mouse and keys, in a thread of the window's own.
            overlay: gives lines of ASCII text that are drawn on the picture; none: no overlay.
            title: of the window.

        Raises:
            UnavailableError: no display, or OpenCV has no windows.
        """
        check_display()
        self._on_event, self._overlay = on_event, overlay
        self._shown = True  # until the user closes it
        self._ready = threading.Event()
        self._process = subprocess.Popen(
            # -P: or Python would look for modules beside the program, where names are rtfocus's.
            [sys.executable, "-P", str(_PROGRAM), title],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=False,
        )
        self._complaints: list[str] = []
        self._threads = [
            threading.Thread(target=target, name="rtfocus-window", daemon=True)
            for target in (self._listen, self._collect)
        ]
        for thread in self._threads:
            thread.start()
        if not self._ready.wait(_START_S) or not self._shown:
            self.close()
            raise UnavailableError(f"a window cannot be opened ({self._reason()}). {_REMEDY}")

    def write(self, frame: Frame) -> None:
        """Show one frame; nothing happens once the user has closed the window.

        Raises:
            OutputError: the window is gone for another reason.
        """
        if not self._shown or self._process.stdin is None:
            return
        lines = self._overlay()
        picture = draw_lines(frame.image, lines) if lines else frame.image
        height, width, _ = picture.shape
        try:
            self._process.stdin.write(struct.pack("<II", width, height))
            self._process.stdin.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR).data)
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            self._process.wait(_END_S)
            self._threads[0].join(_END_S)  # which learns whether the user closed it
            if self._shown:
                raise OutputError(f"the window has ended ({self._reason()})") from error

    def close(self) -> None:
        """Close the window; safe to call twice."""
        process = self._process
        with suppress(OSError):  # what was not sent any more
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _listen(self) -> None:
        """Pass events on until the window ends."""
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                event = json.loads(line)
                if "ready" in event:
                    self._ready.set()
                elif "click" in event:
                    self._on_event(Click(*event["click"]))
                elif "wheel" in event:
                    self._on_event(Wheel(event["wheel"]))
                elif "key" in event:
                    self._on_event(Key(event["key"]))
                elif "closed" in event:
                    self._shown = False
                    self._on_event(WindowClosed())
        if not self._ready.is_set():
            self._shown = False
            self._ready.set()

    def _collect(self) -> None:
        """Keep what the window complains of."""
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self._complaints.append(line.decode(errors="replace").strip())
                del self._complaints[:-20]

    def _reason(self) -> str:
        said = [line for line in self._complaints if line and "font" not in line.lower()]
        return said[0] if said else f"exit code {self._process.poll()}"


def check_display(system: str = sys.platform, environment: Mapping[str, str] = os.environ) -> None:
    """Raise `UnavailableError` where no window can open for want of a display."""
    if system in ("win32", "darwin"):
        return
    if not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        raise UnavailableError(
            "-o window needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set. Write a "
            "file instead, such as -o out.mp4."
        )
