"""A backend for pyvirtualcam that only remembers what it is sent."""

from __future__ import annotations

import time
from typing import Any


class Backend:
    """What pyvirtualcam asks of one."""

    made: list[Backend] = []  # noqa: RUF012

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.sent: list[Any] = []
        self.times: list[float] = []
        self.closed = False
        Backend.made.append(self)

    def send(self, frame: Any) -> None:
        self.times.append(time.monotonic())
        self.sent.append(frame.copy())

    def device(self) -> str:
        return self.options["device"] or "/dev/video42"

    def native_fourcc(self) -> None:
        return None

    def close(self) -> None:
        self.closed = True
