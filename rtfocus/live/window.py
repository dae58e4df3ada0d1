"""The preview window's mouse, keys and overlay."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from rtfocus.errors import RtfocusError
from rtfocus.live.control import Control
from rtfocus.live.readout import FrameInfo
from rtfocus.state import VIEWS
from rtfocus.writers.window import Click, Key, Wheel, WindowClosed, WindowEvent

_log = logging.getLogger("rtfocus")

_NUDGES: dict[str, tuple[str, int]] = {
    "[": ("focus", -2),
    "]": ("focus", 2),
    "-": ("f_number", -1),
    "+": ("f_number", 1),
    "=": ("f_number", 1),
}


class WindowControl:
    """Does in the window what the page does: click, wheel, keys.

    Keys are the page's. What is held there is switched here, since a window is only told of keys
    that go down: Space compares with the original. O shows the overlay, F follows the thing that
    was clicked last, Q and Escape end.
    """

    def __init__(
        self, control: Control, latest: Callable[[], FrameInfo], on_end: Callable[[], None]
    ) -> None:
        """Args: latest: what belongs to the newest picture. on_end: the user has had enough."""
        self._control, self._latest, self._on_end = control, latest, on_end
        self._overlay = False

    def on_event(self, event: WindowEvent) -> None:
        """Do what the user wants, in whatever thread that is told."""
        try:
            if isinstance(event, Click):
                self._focus("point", event.x, event.y)
            elif isinstance(event, Wheel):
                self._nudge("f_number", -event.steps)  # away from the user opens it
            elif isinstance(event, Key):
                self._press(event.name)
            elif isinstance(event, WindowClosed):
                self._on_end()
        except RtfocusError as error:
            _log.warning("%s", error)

    def overlay(self) -> Sequence[str]:
        """The lines to draw: none unless they were asked for."""
        if not self._overlay:
            return ()
        info, state = self._latest(), self._control.snapshot()
        status = info.status
        lines = []
        if status is not None:
            low, high = status.latency_ms
            lines.append(f"{status.fps:.1f} fps, {low:.0f} ms (95 %: {high:.0f} ms)")
            lines.append(f"{status.drops} dropped, {status.device}")
        metres = "" if info.metres is None else f", {info.metres:.2f} m"
        plane = "" if info.plane is None else f" at {round(info.plane, 2) + 0.0:.2f}{metres}"
        lines.append(f"f/{state.f_number:g}, focus: {state.focus.mode}{plane} {info.tracking}")
        if status is not None and status.message:
            lines.append(status.message)
        return lines

    def _press(self, name: str) -> None:
        state = self._control.snapshot()
        key = name.lower()
        if key in _NUDGES:
            self._nudge(*_NUDGES[key])
        elif key.isdecimal() and 1 <= int(key) <= len(VIEWS):
            self._control.apply({"type": "set", "view": VIEWS[int(key) - 1]})
        elif key == "space":
            self._control.apply({"type": "peek", "on": not state.peek})
        elif key == "p":
            self._control.apply({"type": "set", "playing": not state.playing})
        elif key == "f":
            self._focus("follow", state.focus.x, state.focus.y)
        elif key == "o":
            self._overlay = not self._overlay
        elif key in ("q", "escape"):
            self._on_end()

    def _focus(self, mode: str, x: float, y: float) -> None:
        self._control.apply({"type": "focus", "mode": mode, "x": x, "y": y})

    def _nudge(self, name: str, steps: int) -> None:
        self._control.apply({"type": "nudge", "name": name, "steps": steps})
