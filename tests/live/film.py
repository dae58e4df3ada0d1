"""A moving picture to publish, and a server that shows it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from rtfocus.live.control import Control
from rtfocus.live.readout import FrameInfo, Source, Status
from rtfocus.server.feed import Feed
from rtfocus.server.server import Server

BINS = tuple(float(abs(32 - i)) for i in range(64))


def picture(index: int, width: int = 320, height: int = 180) -> np.ndarray:
    """A bar that moves over a gradient."""
    image = np.empty((height, width, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, width)
    image[..., 1] = np.linspace(0, 255, height)[:, None]
    image[..., 2] = 64
    at = index * 8 % (width - 16)
    image[:, at : at + 16] = 255
    return image


class Film:
    """Publishes 30 pictures a second until it is stopped; depth is a ramp from left to right."""

    def __init__(
        self, control: Control, feed: Feed, images: Sequence[np.ndarray] | None = None
    ) -> None:
        self.control, self.feed = control, feed
        self.images = images or [picture(i) for i in range(12)]
        self.count = 0
        self.longest = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Film:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(1 / 30):
            focus = self.control.snapshot().focus
            plane = focus.x if focus.value is None else focus.value
            self.control.report_plane(plane)
            began = time.perf_counter()
            self.feed.publish(
                self.images[self.count % len(self.images)],
                FrameInfo(
                    time=self.count / 30,
                    captured=time.monotonic(),
                    plane=plane,
                    histogram=BINS if self.count == 0 else None,
                    status=Status(30.0, (20.0, 30.0), 2, {"depth": 12.5, "render": 8.0}, "CPU"),
                ),
            )
            self.longest = max(self.longest, time.perf_counter() - began)
            self.count += 1


@contextmanager
def serving(
    control: Control | None = None,
    source: Source | None = None,
    images: Sequence[np.ndarray] | None = None,
    **options: Any,
) -> Iterator[tuple[Server, Film]]:
    """A server on a free port that shows the film."""
    control = control or Control()
    feed = Feed(source)
    with Server(control, feed, port=0, **options) as server, Film(control, feed, images) as film:
        yield server, film
