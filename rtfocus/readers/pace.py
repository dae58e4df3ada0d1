"""Pictures that come in bursts, at their own pace."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator

import av

_LONGEST_S = 10.0
"""Between two pictures; a source whose times leave out more has started over."""


def paced(
    pictures: Iterator[tuple[av.VideoFrame, float]], closed: threading.Event
) -> Iterator[tuple[av.VideoFrame, float]]:
    """Give each picture when its own time has come; what comes late moves all that follow.

    HLS and DASH bring a whole segment at once, which is then decoded within a moment. What is not
    asked for yet stays on the server.

    Args:
        pictures: with the moments at which they were decoded, by `time.monotonic` [s].
        closed: ends a wait, and with it the pictures.

    Yields:
        Pictures with the moments at which they are given.
    """
    due, last = 0.0, None
    for picture, _ in pictures:
        now, own = time.monotonic(), picture.time
        step = math.nan if own is None or last is None else own - last
        due = max(due + step, now) if 0 < step < _LONGEST_S else now
        last = own
        if closed.wait(due - now):
            return
        yield picture, time.monotonic()
