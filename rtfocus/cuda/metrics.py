"""How long every stage takes on the GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from rtfocus.cuda.errors import device_errors
from rtfocus.cuda.gpu import Gpu
from rtfocus.metrics import Metrics

_PAUSE_NS = 5_000_000
"""More than the host takes to give a stage's work to the GPU."""


class CudaMetrics(Metrics):
    """Adds the time between a stage's first and last work on the GPU, from CUDA events.

    The GPU pauses before each stage, so that all of it is waiting when it begins: an idle GPU would
    begin with what comes first, and wait for the host between that and the rest.
    """

    def __init__(self, gpu: Gpu) -> None:
        super().__init__()
        self._gpu = gpu
        self._events: dict[str, list[tuple[Any, Any]]] = {}

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Count the time spent within as one sample of the stage."""
        self._gpu.launch("rates", "idle", (1,), _PAUSE_NS, block=(1,))
        with super().time(stage):
            first = self._record()
            yield
            self._events.setdefault(stage, []).append((first, self._record()))

    def reset(self) -> None:
        """Forget all samples."""
        super().reset()
        self._events.clear()

    def report(self) -> dict[str, dict[str, float]]:
        """As `Metrics.report`, with gpu_ms_p50 and gpu_ms_p95; waits for the GPU."""
        stages = super().report()
        self._gpu.compute.synchronize()
        elapsed = self._gpu.cupy.cuda.get_elapsed_time
        for stage, pairs in self._events.items():
            samples = [elapsed(first, last) for first, last in pairs]
            for q in (50, 95):
                stages[stage][f"gpu_ms_p{q}"] = round(float(np.percentile(samples, q)), 4)
        return stages

    def _record(self) -> Any:
        with device_errors(), self._gpu.device:
            event = self._gpu.cupy.cuda.Event()
            event.record(self._gpu.compute)
            return event
