"""How long to wait before trying again."""

from __future__ import annotations

_FIRST_S = 0.25
_LONGEST_S = 0.5
"""So that what comes back is seen again within two seconds, the time to open it included."""


class Backoff:
    """Waiting times that double with every failure."""

    def __init__(self) -> None:
        self._next = _FIRST_S

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        wait, self._next = self._next, min(2 * self._next, _LONGEST_S)
        return wait

    def reset(self) -> None:
        """It worked: the next failure is a first one again."""
        self._next = _FIRST_S
