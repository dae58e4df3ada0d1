"""Presentation times that only ever move forward."""

from __future__ import annotations


class Timeline:
    """Repairs missing, repeated and backward presentation times; sound ones pass unchanged.

    All numbers are in units of the stream's time base.
    """

    def __init__(self, step: int) -> None:
        """`step` is the usual distance of two frames, at least 1."""
        self._step = max(step, 1)
        self._last: int | None = None
        self._end = 0
        self._offset = 0

    @property
    def end(self) -> int:
        """Of the last frame placed."""
        return self._end

    def place(self, pts: int | None, duration: int) -> int:
        """Where a frame belongs that says `pts` and `duration`; None and 0 say nothing.

        A frame without a time follows the one before; one that repeats a time is nudged by a unit;
        a jump back by a step or more is a recording that starts over: the rest moves to the end.
        """
        placed = self._end if pts is None else pts + self._offset
        if self._last is not None and placed <= self._last - self._step:
            self._offset += self._end - placed
            placed = self._end
        elif self._last is not None and placed <= self._last:
            placed = self._last + 1
        self._last = placed
        self._end = placed + (duration or self._step)
        return placed
