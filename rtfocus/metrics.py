"""How long every stage takes."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

T = TypeVar("T")
Clock = Callable[[], float]

_KEPT = 1 << 15
"""Samples of a stage that are kept, a quarter of an hour of video; at most twice as many."""


class Metrics:
    """Wall and CPU time of named stages, per frame; what is long ago is forgotten.

    Stages nest: the time of an inner stage is not counted in the outer one. Each thread has its own
    nesting.
    """

    def __init__(self, cpu_clock: Clock = time.thread_time) -> None:
        """Args: cpu_clock: `time.thread_time` where stages overlap in threads.

        `time.process_time` where they run one after the other, to include the threads that stages
        start.
        """
        self._cpu_clock = cpu_clock
        self._samples: dict[str, tuple[array[float], array[float]]] = {}
        self._local = threading.local()

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Count the time spent within as one sample of the stage."""
        stack: list[list[float]] = self._local.__dict__.setdefault("stack", [])
        inner = [0.0, 0.0]
        stack.append(inner)
        wall, cpu = time.perf_counter(), self._cpu_clock()
        try:
            yield
        finally:
            wall, cpu = time.perf_counter() - wall, self._cpu_clock() - cpu
            stack.pop()
            if stack:
                stack[-1][0] += wall
                stack[-1][1] += cpu
            walls, cpus = self._samples.setdefault(stage, (array("d"), array("d")))
            for samples, value in ((walls, wall - inner[0]), (cpus, cpu - inner[1])):
                samples.append(value)
                if len(samples) > 2 * _KEPT:
                    del samples[:_KEPT]

    def each(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        """The items, the time to get each counted as a sample of the stage."""
        iterator = iter(items)
        done = object()
        while True:
            with self.time(stage):
                item = next(iterator, done)
            if item is done:
                return
            yield item  # type: ignore[misc]

    def reset(self) -> None:
        """Forget all samples."""
        self._samples.clear()

    def report(self) -> dict[str, dict[str, float]]:
        """Per stage the median and 95th percentile, in milliseconds; stages may go on meanwhile."""
        return {
            stage: {
                # A copy: an array cannot grow while NumPy looks into it.
                f"{kind}_ms_p{q}": round(float(np.percentile(samples[:], q)) * 1000, 3)
                for kind, samples in zip(("wall", "cpu"), pair, strict=True)
                for q in (50, 95)
            }
            for stage, pair in list(self._samples.items())
            if all(pair)  # another thread may be about to add the first
        }
