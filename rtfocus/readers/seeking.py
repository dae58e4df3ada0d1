"""Finding the frame that is shown at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import TypeVar

T = TypeVar("T")

_ROUNDING_S = 6e-4
"""A frame is found by its own time also after that was rounded to milliseconds, as clients do."""


def index_at(time: float, rate: Fraction, count: int) -> int:
    """Number of the frame that is shown at a time, of so many at an even rate from 0 s on."""
    return min(pts_at(time, 1 / rate), count - 1)


def pts_at(time: float, time_base: Fraction) -> int:
    """The latest `pts` of a frame that has begun at a time in seconds."""
    return int((time + _ROUNDING_S) / time_base)


def shown_from(
    pts: int, step: int, restart: Callable[[int | None], Iterator[tuple[int, T]]]
) -> Iterator[tuple[int, T]]:
    """Pictures from the one on that is shown at a time; after the end the last, before the first.

    A container may know its key frames only roughly or not at all, and decoders give nothing of
    what lies between a key frame and the one before that it needs, too: where decoding would begin
    too late, it is begun again, each time twice as far before.

    Args:
        pts: the time, in units that are the caller's.
        step: how far to go back at first.
        restart: begins to decode near before a time, or from the very beginning where that is None
            or nothing else can be done; gives pictures with their times in ascending order.
    """
    back = 0
    while True:
        near = pts - back if back < pts else None
        pictures = restart(near)
        shown = next(pictures, None)
        if near is None or (shown is not None and shown[0] <= pts):
            break
        back = 2 * back or step
    following = next(pictures, None)
    while following is not None and following[0] <= pts:
        shown, following = following, next(pictures, None)
    while shown is not None:
        yield shown
        shown, following = following, next(pictures, None)
