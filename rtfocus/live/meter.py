"""How a live run is doing: rate, latency, time of the stages."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from rtfocus.live.readout import Status
from rtfocus.metrics import Metrics

_WINDOW_S = 3.0
"""Seconds that figures are taken over."""

_EVERY_S = 1.0
"""Seconds between two reports."""


class Meter:
    """Counts the pictures that were shown and how old each was."""

    def __init__(self, metrics: Metrics, device: str) -> None:
        """Args: metrics: of the stages; emptied with every report."""
        self._metrics, self._device = metrics, device
        self._shown: deque[tuple[float, float]] = deque()  # when, and age [s]
        self._reported = time.monotonic()
        self.frames = 0
        self.status = Status(device=device)
        """The last report."""

    def count(self, captured: float) -> None:
        """One more picture is out that was captured at this `time.monotonic()`."""
        now = time.monotonic()
        self.frames += 1
        self._shown.append((now, now - captured))
        while self._shown[0][0] < now - _WINDOW_S:
            self._shown.popleft()

    def report(self, drops: int, message: str) -> Status:
        """How it is doing: a new report every second, or where there is another message.

        Args:
            drops: pictures that were captured and never shown.
            message: what a user should know now.
        """
        now = time.monotonic()
        if now - self._reported < _EVERY_S and message == self.status.message:
            return self.status
        self._reported = now
        stages = {name: row["wall_ms_p50"] for name, row in self._metrics.report().items()}
        self._metrics.reset()
        self.status = Status(self._fps(), self._latency(), drops, stages, self._device, message)
        return self.status

    def _fps(self) -> float:
        if len(self._shown) < 2:
            return 0.0
        return (len(self._shown) - 1) / max(self._shown[-1][0] - self._shown[0][0], 1e-3)

    def _latency(self) -> tuple[float, float]:
        if not self._shown:
            return 0.0, 0.0
        low, high = np.percentile([age for _, age in self._shown], (50, 95))
        return 1000 * float(low), 1000 * float(high)
