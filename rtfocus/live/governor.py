"""Keeps the frame rate on a slow machine: pictures are reduced further, and the network rests."""

from __future__ import annotations

from fractions import Fraction

from rtfocus.render.reduced import SIDES, Reduction

_AIM = 30.0
"""Frames a second that are worth a coarser blur, at most."""

_SMOOTH = 15
"""Frames over which the time that one takes is averaged."""

_WARM_UP = 15
"""Frames after a change that do not count: kernels are compiled, memory is touched first."""

_TOO_SLOW, _EASY = 0.8, 0.35
"""Time of a frame over the time there is, above which pictures are reduced further, and below which
they may be reduced less: encoders and viewers need their share, and the next finer side takes up to
twice as long."""

_PATIENCE = 300
"""Frames for which it must have been easy before pictures are reduced less; each time twice as
many, so that a machine on the brink comes to rest."""


class Governor:
    """Watches how long frames take, and sets the reduction accordingly."""

    def __init__(self, reduction: Reduction, rate: Fraction | None) -> None:
        """Args: reduction: to be set. rate: of the source, in frames a second."""
        self._reduction = reduction
        self._budget = 1 / min(float(rate or _AIM), _AIM)
        self._mean = 0.0
        self._frames = 0  # since the last change
        self._easy = 0  # frames in a row
        self._patience = _PATIENCE

    @property
    def rest(self) -> float:
        """How long the network should rest, as a multiple of the time that it works."""
        return float(self._level)

    @property
    def _level(self) -> int:
        return SIDES.index(self._reduction.side)

    def update(self, seconds: float) -> None:
        """One more frame has taken so long."""
        self._frames += 1
        if self._frames <= _WARM_UP:
            self._mean = seconds
            return
        self._mean += (seconds - self._mean) / _SMOOTH
        load = self._mean / self._budget
        self._easy = self._easy + 1 if load < _EASY else 0
        if load > _TOO_SLOW and self._frames > 2 * _WARM_UP and self._level + 1 < len(SIDES):
            self._set(self._level + 1)
        elif self._easy > self._patience and self._level > 0:
            self._patience *= 2
            self._set(self._level - 1)

    def _set(self, level: int) -> None:
        self._reduction.side = SIDES[level]
        self._frames = self._easy = 0
