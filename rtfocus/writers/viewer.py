"""The program behind the preview window; `WindowWriter` starts it and talks to it by pipes.

It is a process of its own for three reasons. The libraries that come with PyAV and with OpenCV do
not agree about X11, so that a window hangs where PyAV was loaded first. Qt ends the whole process
when a display that is named does not answer. And macOS allows windows in the main thread only. So
this file imports nothing of rtfocus, and nothing but OpenCV and NumPy besides.

Standard input: pictures, each as width and height (little-endian uint32) and BGR bytes; the window
closes at the end. Standard output: events as JSON lines: {"ready": true}, {"click": [x, y]},
{"wheel": steps}, {"key": name}, {"closed": true}.
"""

import json
import os
import signal
import struct
import sys
import threading
from typing import Any

import cv2
import numpy as np

WHEEL_ZOOMS = cv2.currentUIFramework().startswith("QT")
"""Whether OpenCV itself zooms in by the wheel, which can be neither switched off nor undone."""

_POLL_MS = 4

_NAMED = {8: "Backspace", 9: "Tab", 10: "Enter", 13: "Enter", 27: "Escape", 32: "Space"}
_ARROWS = {0x51: "ArrowLeft", 0x52: "ArrowUp", 0x53: "ArrowRight", 0x54: "ArrowDown"}


class Viewer:
    """One window, and a thread that reads pictures for it."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._newest: Any = None
        self._ended = False
        self._size: tuple[int, int] | None = None
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        cv2.setMouseCallback(title, self._on_mouse)
        threading.Thread(target=self._read, daemon=True).start()

    def run(self) -> None:
        """Show pictures until the input ends or the user closes the window."""
        tell(ready=True)
        while not self._ended:
            picture, self._newest = self._newest, None
            if picture is not None:
                self._show(picture)
            code = cv2.waitKeyEx(_POLL_MS)
            name = key_name(code) if code >= 0 else None
            if name is not None:
                tell(key=name)
            if self._size and not is_visible(self._title):
                tell(closed=True)
                return

    def _show(self, picture: Any) -> None:
        height, width, _ = picture.shape
        if self._size is None:
            cv2.resizeWindow(self._title, width, height)
        self._size = width, height
        cv2.imshow(self._title, picture)

    def _read(self) -> None:
        stream = sys.stdin.buffer
        while len(head := stream.read(8)) == 8:
            width, height = struct.unpack("<II", head)
            data = stream.read(3 * width * height)
            if len(data) < 3 * width * height:
                break
            self._newest = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        self._ended = True

    def _on_mouse(self, event: int, x: int, y: int, flags: int, _: object) -> None:
        if self._size is None:
            return
        width, height = self._size
        if event == cv2.EVENT_LBUTTONDOWN and 0 <= x < width and 0 <= y < height:
            tell(click=[(x + 0.5) / width, (y + 0.5) / height])
        elif event == cv2.EVENT_MOUSEWHEEL and not WHEEL_ZOOMS:
            tell(wheel=1 if flags > 0 else -1)


def is_visible(title: str) -> bool:
    """Whether the user has not closed the window."""
    try:
        return cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:  # with its last window, OpenCV's Qt is gone
        return False


def key_name(code: int) -> str | None:
    """The name of what `cv2.waitKeyEx` gave; None for a key that has none here."""
    low = code & 0xFF
    if code & 0xFF00 == 0xFF00 and low in _ARROWS:  # X11's keysyms
        return _ARROWS[low]
    return _NAMED.get(low) or (chr(low) if 33 <= low < 127 else None)


def tell(**event: object) -> None:
    """Write one event."""
    print(json.dumps(event), flush=True)


if __name__ == "__main__":
    # Ctrl-C goes to all processes of a terminal; this one ends with its input.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Viewer(sys.argv[1]).run()
    os._exit(0)  # the thread that reads may be in the middle of it, which Python would not stand
