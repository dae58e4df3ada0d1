"""A preview window, with OpenCV."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2

from rtfocus.errors import OutputError, UnavailableError
from rtfocus.frame import Frame
from rtfocus.live.caption import draw_lines
from rtfocus.writers.live import LiveWriter

_DEFAULT_TITLE = "rtfocus"


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
    """Shows frames in a window, and reports mouse and keys as events.

    Everything, opening included, must happen in one thread, and `tend` be called between frames
    when they are rare; an `Outlet` sees to both.
    """

    def __init__(
        self,
        on_event: Callable[[WindowEvent], None] = lambda _: None,
        *,
        overlay: Callable[[], Sequence[str]] | None = None,
        title: str = _DEFAULT_TITLE,
    ) -> None:
        """Open the window.

        Args:
            on_event: told of mouse and keys, in the thread that writes; it must not wait.
            overlay: gives lines of ASCII text that are drawn on the picture while there are any.
            title: of the window.

        Raises:
            UnavailableError: no display, or OpenCV has no windows.
        """
        check_display()
        self._on_event, self._overlay, self._title = on_event, overlay, title
        self._size: tuple[int, int] | None = None  # of the picture shown
        self._open = True
        try:
            cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
            cv2.setMouseCallback(title, self._on_mouse)
        except cv2.error as error:
            raise UnavailableError(
                f"a window cannot be opened ({error.err or error}). Install opencv-python (not "
                "opencv-python-headless), or leave out -o window."
            ) from error

    def write(self, frame: Frame) -> None:
        """Show one frame; nothing happens once the user has closed the window."""
        if not self._open:
            return
        height, width, _ = frame.image.shape
        try:
            if self._size is None:
                cv2.resizeWindow(self._title, width, height)
            self._size = width, height
            picture: Any = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
            lines = self._overlay() if self._overlay is not None else ()
            cv2.imshow(self._title, draw_lines(picture, lines) if lines else picture)
        except cv2.error as error:
            raise OutputError(f"the window failed: {error.err or error}") from error
        self.tend()

    def tend(self) -> None:
        """Let mouse and keys do their work."""
        if not self._open:
            return
        code = cv2.waitKeyEx(1)
        if code >= 0:
            name = key_name(code)
            if name is not None:
                self._on_event(Key(name))
        if self._size is not None and not _is_visible(self._title):
            self.close()
            self._on_event(WindowClosed())

    def close(self) -> None:
        """Close the window; safe to call twice."""
        if self._open:
            self._open = False
            try:
                cv2.destroyWindow(self._title)
                cv2.waitKey(1)
            except cv2.error:  # the user was faster
                return

    def _on_mouse(self, event: int, x: int, y: int, flags: int, _: object) -> None:
        if self._size is None:
            return
        if event == cv2.EVENT_LBUTTONDOWN:
            width, height = self._size
            if 0 <= x < width and 0 <= y < height:
                self._on_event(Click((x + 0.5) / width, (y + 0.5) / height))
        elif event == cv2.EVENT_MOUSEWHEEL:
            self._on_event(Wheel(1 if flags > 0 else -1))


def check_display(system: str = sys.platform, environment: Mapping[str, str] = os.environ) -> None:
    """Raise `UnavailableError` where no window can open; OpenCV would end the whole process."""
    if system in ("win32", "darwin"):
        return
    if not (environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")):
        raise UnavailableError(
            "-o window needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set. Leave it "
            "out and use --serve to watch in a browser."
        )


def key_name(code: int) -> str | None:
    """The name of what `cv2.waitKeyEx` gave; None for a key that has none here."""
    low = code & 0xFF
    if code & 0xFF00 == 0xFF00:  # X11's keysyms of keys that write nothing
        return {0x51: "ArrowLeft", 0x52: "ArrowUp", 0x53: "ArrowRight", 0x54: "ArrowDown"}.get(low)
    if low in _NAMED:
        return _NAMED[low]
    return chr(low) if 33 <= low < 127 else None


_NAMED = {8: "Backspace", 9: "Tab", 10: "Enter", 13: "Enter", 27: "Escape", 32: "Space"}


def _is_visible(title: str) -> bool:
    try:
        return cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:
        return False
