"""What a GPU does in a second, measured: bytes that it copies, and arithmetic."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rtfocus.cuda.errors import device_errors
from rtfocus.cuda.gpu import Gpu

_COPIED = 256 << 20
_RUNS = 10
_TO_DEVICE_FROM_DEVICE = 3  # a cudaMemcpyKind

_THREADS = 2048
"""Of a multiprocessor, as many as it may have."""

_CHAINS = 8
"""As in rates.cu."""

_ROUNDS = 1 << 16
"""Of multiply-adds: some milliseconds."""

_SIDE = 8192
"""Of the matrices that are multiplied."""


def copy_rate(gpu: Gpu) -> float:
    """Bytes a second that a copy within the GPU's memory reads and writes."""
    source, target = gpu.zeros(_COPIED, np.uint8), gpu.zeros(_COPIED, np.uint8)
    copy = gpu.cupy.cuda.runtime.memcpyAsync
    arguments = target.data.ptr, source.data.ptr, _COPIED, _TO_DEVICE_FROM_DEVICE, gpu.compute.ptr
    return 2 * _COPIED / _seconds(gpu, lambda: copy(*arguments))


def single_rate(gpu: Gpu) -> float:
    """Multiplications and additions a second of float32, fused, in registers."""
    threads = gpu.multiprocessors * _THREADS
    out = gpu.empty(threads, np.float32)
    arguments = "rates", "multiply_add", (threads,), _ROUNDS, 0.5, 1.0, out
    seconds = _seconds(gpu, lambda: gpu.launch(*arguments, block=(256,)))
    return 2 * threads * _CHAINS * _ROUNDS / seconds


def half_rate(gpu: Gpu) -> float:
    """Multiplications and additions a second of float16, added up in float32 by cuBLAS.

    They are noughts, which heat nothing, so that the GPU need not slow down.
    """
    left, right, product = (gpu.zeros((_SIDE, _SIDE), np.float16) for _ in range(3))

    def multiply() -> None:
        with gpu.compute:
            gpu.cupy.matmul(left, right, out=product)

    return 2 * _SIDE**3 / _seconds(gpu, multiply)


def _seconds(gpu: Gpu, work: Callable[[], None]) -> float:
    """What some work on `compute` takes there, the median of some runs."""
    cuda = gpu.cupy.cuda
    seconds = []
    with device_errors(), gpu.device:
        for _ in range(_RUNS + 2):  # two to warm up
            first, last = cuda.Event(), cuda.Event()
            first.record(gpu.compute)
            work()
            last.record(gpu.compute)
            gpu.compute.synchronize()
            seconds.append(cuda.get_elapsed_time(first, last) / 1000)
    return float(np.median(seconds[2:]))
