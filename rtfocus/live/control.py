"""The one truth about a running video: what it is asked to do, and who wants to know."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rtfocus.errors import UsageError
from rtfocus.live.command import as_command
from rtfocus.live.messages import quoted, read_changes
from rtfocus.live.presets import Presets
from rtfocus.settings import Settings
from rtfocus.state import LiveState, from_settings, to_settings

Observer = Callable[[LiveState], None]


class Control:
    """Safe for use from any thread; the window, the browser and the command line all end here."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        command: Sequence[str] = ("rtfocus", "run", "INPUT"),
        modes: Collection[str] = ("point", "follow", "disparity"),
        presets: Presets | None = None,
    ) -> None:
        """Args: see below.

        Args:
            settings: what the run starts with; default: the defaults.
            command: words that an equivalent command line begins with.
            modes: of focus that this run can do, of `rtfocus.state.MODES`.
            presets: looks with a name; default: an empty list, in memory.
        """
        self.modes = tuple(modes)
        self._base = settings or Settings()
        self._words = tuple(command)
        self._presets = presets or Presets()
        self._lock = threading.Lock()
        self._observers: tuple[Observer, ...] = ()
        self._plane: float | None = None
        names = self._presets.names()
        self._state = replace(from_settings(self._base), version=1, presets=names)

    def adapt(self, settings: Settings, *, command: Sequence[str], modes: Collection[str]) -> None:
        """Go on with another source; see `__init__` for what goes with it.

        Without "distance" nothing is in metres: focus is at the place, and the lens has no
        millimetres.
        """
        if "distance" not in modes:
            settings = replace(settings, focal_length=None, sensor_width=None)
        with self._lock:
            self.modes, self._words, self._base = tuple(modes), tuple(command), settings
            before, changes = self._state, {}
            focus = before.focus
            if focus.mode not in modes:
                wish = {"type": "focus", "mode": "point", "x": focus.x, "y": focus.y}
                changes = read_changes(wish, before, None, modes)
            # Told in any case: the command is another one.
            self._state = state = replace(before, version=before.version + 1, **changes)
            observers = self._observers
        for observer in observers:
            observer(state)

    def snapshot(self) -> LiveState:
        """The state now: one attribute read, cheap enough for every frame."""
        return self._state

    def settings(self) -> Settings:
        """The settings of a run that does what the state says."""
        return to_settings(self._state, self._base)

    def command(self) -> str:
        """A shell's command line that does what the state says."""
        return as_command(self._words, self.settings())

    def report_plane(self, disparity: float) -> None:
        """Say where the plane of focus lies, for nudges to start from; call it once per frame."""
        self._plane = disparity

    def apply(self, message: Mapping[str, object]) -> LiveState:
        """Do what a client asks for, all of it or, with an error, nothing.

        Args:
            message: see `rtfocus.live.messages`; and {"type": "preset", "action": "apply", "save"
                or "delete", "name": ...}.

        Returns:
            The state after it; with the version of before where nothing changed.

        Raises:
            UsageError: the message makes no sense; it says why.
            OutputError: presets cannot be written.
        """
        with self._lock:
            before = self._state
            if message.get("type") == "preset":
                changes = self._change_presets(message, before)
            else:
                changes = read_changes(message, before, self._plane, self.modes)
            if all(getattr(before, name) == value for name, value in changes.items()):
                return before
            state = replace(before, version=before.version + 1, **changes)
            to_settings(state, self._base)  # refuses what no run could do
            self._state = state
            observers = self._observers
        for observer in observers:
            observer(state)
        return state

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Have every change told, in the thread that made it; returns what ends that.

        The observer must return at once and must not raise. Changes from several threads may
        arrive out of order: the higher version is the later.
        """
        with self._lock:
            self._observers = (*self._observers, observer)

        def forget() -> None:
            with self._lock:
                self._observers = tuple(o for o in self._observers if o is not observer)

        return forget

    def _change_presets(self, message: Mapping[str, object], state: LiveState) -> dict[str, Any]:
        if not set(message) <= {"type", "action", "name"}:
            raise UsageError("a preset message has an action and a name, and nothing else")
        action, name = message.get("action"), message.get("name")
        if action == "apply":
            return {**self._presets.look(name), "preset": name}
        if action == "save":
            kept = self._presets.save(name, state)
            return {"preset": kept, "presets": self._presets.names()}
        if action == "delete":
            self._presets.delete(name)
            chosen = None if state.preset == name else state.preset
            return {"preset": chosen, "presets": self._presets.names()}
        raise UsageError(f"preset action {quoted(action)}: must be apply, save or delete")
