"""Kernels over bands of rows, in a bounded number of threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

_BANDS_PER_THREAD = 3


class Bands:
    """Splits a kernel's rows among threads.

    Kernels release the GIL and write only their own rows. A few bands per thread even out rows of
    unequal cost.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "rtfocus-band") if threads > 1 else None

    def run(self, rows: int, kernel: Callable[..., Any], *args: object) -> None:
        """Call kernel(*args, first, last) for bands that together are 0..rows, and wait for all."""
        if self._pool is None:
            kernel(*args, 0, rows)
            return
        bands = min(rows, _BANDS_PER_THREAD * self._threads)
        cuts = [rows * i // bands for i in range(bands + 1)]
        futures = [self._pool.submit(kernel, *args, first, last) for first, last in pairwise(cuts)]
        for future in futures:
            future.result()

    def close(self) -> None:
        """End the threads; safe to call twice."""
        if self._pool is not None:
            self._pool.shutdown()
