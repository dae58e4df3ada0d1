"""Which other program has a device file open, on Linux."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

_SEARCH_S = 0.5
"""Time between two searches through everything that all programs have open."""


class Openers:
    """Tells whether anyone else has a device file open.

    Only programs of the same user are seen, unless root asks.
    """

    def __init__(self, device: str) -> None:
        self._device = os.path.realpath(device)
        self._link: str | None = None  # the opener's, while there is one
        self._searched = -_SEARCH_S

    @classmethod
    def of(cls, device: str) -> Openers | None:
        """Those of a device file; None where that cannot be known."""
        return cls(device) if Path("/proc/self/fd").is_dir() and Path(device).exists() else None

    def any(self) -> bool:
        """Whether there is one; one that has come is seen after half a second at the latest."""
        if self._link is not None and _target(self._link) == self._device:
            return True
        self._link, now = None, time.monotonic()
        if now - self._searched >= _SEARCH_S:
            self._searched = now
            self._link = next((f for f in _open_files() if _target(f) == self._device), None)
        return self._link is not None


def _open_files() -> Iterator[str]:
    """The links in /proc of all files that other programs have open and that may be looked at."""
    own = str(os.getpid())
    for process in os.listdir("/proc"):
        if not process.isdigit() or process == own:
            continue
        folder = f"/proc/{process}/fd"
        try:
            numbers = os.listdir(folder)
        except OSError:  # another user's, or gone
            continue
        yield from (f"{folder}/{number}" for number in numbers)


def _target(link: str) -> str | None:
    try:
        return os.readlink(link)
    except OSError:
        return None
