"""The context on a GPU that CuPy, ONNX Runtime and FFmpeg share."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_BLOCKING_SYNC = 4  # CU_CTX_SCHED_BLOCKING_SYNC


def share_context(index: int) -> None:
    """Have threads sleep while they wait for a GPU; call it before anything is done there.

    FFmpeg decodes and encodes in no primary context that waits in another way (`cuda_context_init`
    in libavutil/hwcontext_cuda.c), and CUDA would spin. CuPy has no function for it. That whoever
    used the GPU before in this process chose otherwise shows when FFmpeg refuses, and that there
    is no driver, or no such GPU, with the next call to CuPy.
    """
    try:
        driver: Any = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return
    device = ctypes.c_int()
    if driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(device), index) == 0:
        driver.cuDevicePrimaryCtxSetFlags_v2(device, _BLOCKING_SYNC)
