"""Rack focus: the plane of focus travels from one thing to another in a given time."""

from __future__ import annotations

import math
from typing import Literal, get_args

from rtfocus.errors import UsageError, suggest

Easing = Literal["linear", "ease-in-out", "ease-out"]
"""How the plane gets under way and comes to rest.

linear: at one speed. ease-in-out: starts and stops gently, as a focus puller turns the ring.
ease-out: starts at once and stops gently.
"""

EASINGS: tuple[Easing, ...] = get_args(Easing)

LONGEST = 60.0
"""Seconds that a rack may take."""


def ease(easing: Easing, share: float) -> float:
    """Share of the way that lies behind at a share of the time, both 0..1.

    ease-in-out is smoothstep, 3 s^2 - 2 s^3; ease-out is 1 - (1 - s)^3 (R. Penner, "Motion,
    Tweening, and Easing", 2002).
    """
    share = min(max(share, 0.0), 1.0)
    if easing == "linear":
        return share
    if easing == "ease-out":
        return 1 - (1 - share) ** 3
    return share * share * (3 - 2 * share)


def check_rack(seconds: float, easing: str) -> None:
    """Raise UsageError for a rack that makes no sense."""
    if not (math.isfinite(seconds) and 0 <= seconds <= LONGEST):
        raise UsageError(f"rack time {seconds!r}: must be 0 (at once) to {LONGEST:g} seconds")
    if easing not in EASINGS:
        raise UsageError(
            f"easing {easing!r} is not known; it must be {', '.join(EASINGS)}"
            f"{suggest(str(easing), EASINGS)}"
        )


class Rack:
    """Moves the plane to its target, which may itself move.

    Only the distance to the target is eased, down to nothing; so the plane meets a target that
    moves, and afterwards stays on it exactly. Everything is a function of time, never of the number
    of frames.

    A rack that is interrupted sets out from where the plane is. With ease-in-out it also keeps the
    speed the plane has: the distance is then the cubic Hermite curve with that position and slope
    at its start and none at its end, which is smoothstep where the plane was at rest. Like a ring
    that is turned back, it may swing a little past before it returns.
    """

    def __init__(self, seconds: float, easing: Easing = "ease-in-out") -> None:
        """Args: seconds: from one thing to the next; 0 jumps.

        Raises:
            UsageError: the time or the easing makes no sense.
        """
        check_rack(seconds, easing)
        self._seconds, self._easing = seconds, easing
        self._target: float | None = None
        self._begun = -math.inf
        self._distance = 0.0  # from the target to the plane when the rack began
        self._slope = 0.0  # its change then, per rack time

    def update(self, target: float, time: float, *, new: bool = False, cut: bool = False) -> float:
        """Normalised disparity of the plane of focus at a time.

        Args:
            target: where the plane should be now, as normalised disparity.
            time: of the frame, in seconds. Where it jumps back (a clip starts again), a rack that
                is under way is dropped.
            new: the target is another thing than in the last frame: a rack begins.
            cut: this frame begins another scene: the plane jumps.
        """
        if self._target is None or cut or time < self._begun:
            self._begun = -math.inf
        elif new:
            distance, slope = self._remaining(time)
            self._distance = self._target + distance - target
            self._slope = slope if self._easing == "ease-in-out" else 0.0
            self._begun = time
        self._target = target
        return target + self._remaining(time)[0]

    def is_like(self, other: Rack) -> bool:
        """Whether the other takes the same time in the same way."""
        return (self._seconds, self._easing) == (other._seconds, other._easing)

    def under_way(self, time: float) -> bool:
        """Whether the plane has not arrived yet."""
        return time - self._begun < self._seconds

    def _remaining(self, time: float) -> tuple[float, float]:
        """Distance from the target to the plane, and its change per rack time."""
        if not self.under_way(time):
            return 0.0, 0.0
        s = (time - self._begun) / self._seconds
        distance = self._distance * (1 - ease(self._easing, s)) + self._slope * s * (1 - s) ** 2
        slope = -6 * s * (1 - s) * self._distance + (1 - s) * (1 - 3 * s) * self._slope
        return distance, slope
