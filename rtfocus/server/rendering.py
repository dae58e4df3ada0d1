"""Runs one rendering of a file at a time, and says how far it is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from rtfocus.errors import RtfocusError, UsageError
from rtfocus.live.messages import quoted
from rtfocus.state import LiveState

log = logging.getLogger(__name__)


class RenderTask:
    """What the code that renders is given."""

    def __init__(self, state: LiveState, on_progress: Callable[[float], None]) -> None:
        self.state = state
        """As it was when rendering was asked for: look, focus and keyframes."""
        self._on_progress = on_progress
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether to stop and return; ask once per frame."""
        return self._cancelled.is_set()

    def report(self, share: float) -> None:
        """Say how far it is, 0..1."""
        self._on_progress(min(max(share, 0.0), 1.0))

    def cancel(self) -> None:
        """Ask it to stop."""
        self._cancelled.set()


Render = Callable[[RenderTask], str]
"""Renders in the thread it is called in, and returns what came of it in words, such as the name of
the file, or "" if it was cancelled before that; raises RtfocusError where it cannot."""


class Rendering:
    """The rendering that is under way, if one is."""

    def __init__(self, render: Render, tell: Callable[[dict[str, object]], None]) -> None:
        """Args: tell: takes progress as a message, from any thread."""
        self._render, self._tell = render, tell
        self._task: RenderTask | None = None
        self._thread: threading.Thread | None = None

    def apply(self, message: Mapping[str, object], state: LiveState) -> None:
        """Do what {"type": "render", "action": "start" or "cancel"} asks for.

        Raises:
            UsageError: it makes no sense, now or at all.
        """
        action = message.get("action")
        if action == "start":
            self._start(state)
        elif action == "cancel":
            if self._task is not None:
                self._task.cancel()
        else:
            raise UsageError(f"render action {quoted(action)}: must be start or cancel")

    def close(self) -> None:
        """Cancel and wait."""
        if self._task is not None:
            self._task.cancel()
        if self._thread is not None:
            self._thread.join()

    def _start(self, state: LiveState) -> None:
        if self._task is not None:
            raise UsageError("a rendering is under way: cancel it, or wait until it is done")
        self._task = RenderTask(state, lambda share: self._say("running", share=round(share, 3)))
        self._say("running", share=0.0)
        self._thread = threading.Thread(
            target=self._run, args=[self._task], name="rtfocus-render", daemon=True
        )
        self._thread.start()

    def _run(self, task: RenderTask) -> None:
        try:
            text = self._render(task)
            phase = "done" if text else "cancelled"
        except RtfocusError as error:
            phase, text = "failed", str(error)
        except Exception as error:
            # A thread of its own: nobody else would ever hear of it.
            log.exception("rendering failed")
            phase, text = "failed", f"unexpected error: {type(error).__name__}: {error}"
        self._task = None  # whoever hears that it has ended may start the next
        self._say(phase, text=text)

    def _say(self, phase: str, share: float = 0.0, text: str = "") -> None:
        self._tell({"type": "render", "phase": phase, "share": share, "text": text})
