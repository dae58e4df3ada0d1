"""The least time that stages could take: what they must read and write, at the speed of a copy."""

from __future__ import annotations

import math

import numpy as np

from rtfocus.cuda.errors import device_errors
from rtfocus.cuda.gpu import Gpu

_COPIED = 256 << 20
_RUNS = 10
_TO_DEVICE_FROM_DEVICE = 3  # a cudaMemcpyKind

_PICTURE, _VALUE = 3, 4
"""Bytes per pixel of a picture and of a map."""


def copy_bandwidth(gpu: Gpu) -> float:
    """Bytes a second that a copy within the GPU's memory reads and writes, median of some runs."""
    source, target = gpu.zeros(_COPIED, np.uint8), gpu.zeros(_COPIED, np.uint8)
    cuda = gpu.cupy.cuda
    seconds = []
    with device_errors(), gpu.device:
        for _ in range(_RUNS + 2):  # two to warm up
            first, last = cuda.Event(), cuda.Event()
            first.record(gpu.compute)
            cuda.runtime.memcpyAsync(
                target.data.ptr, source.data.ptr, _COPIED, _TO_DEVICE_FROM_DEVICE, gpu.compute.ptr
            )
            last.record(gpu.compute)
            gpu.compute.synchronize()
            seconds.append(cuda.get_elapsed_time(first, last) / 1000)
    return 2 * _COPIED / float(np.median(seconds[2:]))


def compulsory_bytes(picture: tuple[int, int], grid: tuple[int, int]) -> dict[str, int]:
    """Bytes that each stage reads and writes at least once per frame.

    Intermediate results are not counted: a stage that needed none would reach this. What a depth
    network reads and writes is its own affair.

    Args:
        picture: height and width.
        grid: height and width of depth maps.
    """
    pixels, cells = math.prod(picture), math.prod(grid)
    return {
        # The picture, and the map and its memory: mean, count and brightness, there and back.
        "smooth": pixels * _PICTURE + cells * _VALUE * 8,
        "upsample": 0 if grid == picture else pixels * (_PICTURE + _VALUE) + cells * _VALUE,
        "render": pixels * (_PICTURE + _VALUE + _PICTURE),
    }
