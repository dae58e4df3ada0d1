"""The context on a GPU that CuPy, ONNX Runtime and FFmpeg share."""

from __future__ import annotations

import ctypes
import sys
import threading
from typing import Any

_BLOCKING_SYNC = 4  # CU_CTX_SCHED_BLOCKING_SYNC
_RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED

_thread = threading.local()


def share_context(index: int) -> None:
    """Have threads sleep while they wait for a GPU; call it before anything is done there.

    FFmpeg decodes and encodes in no primary context that waits in another way (`cuda_context_init`
    in libavutil/hwcontext_cuda.c), and CUDA would spin. CuPy has no function for it. That whoever
    used the GPU before in this process chose otherwise shows when FFmpeg refuses, and that there
    is no driver, or no such GPU, with the next call to CuPy.
    """
    driver, device = _driver(), ctypes.c_int()
    if driver is None:
        return
    if driver.cuInit(0) == 0 and driver.cuDeviceGet(ctypes.byref(device), index) == 0:
        driver.cuDevicePrimaryCtxSetFlags_v2(device, _BLOCKING_SYNC)


def ignore_captures() -> None:
    """Let this thread use the GPU as it likes while another captures a graph; costs nothing twice.

    ONNX Runtime captures in CUDA's global mode, in which another thread that allocates memory, or
    asks whether an event has come, fails, and ends the capture. It does not where it has said that
    it is not concerned (`cuThreadExchangeStreamCaptureMode`), for which CuPy has no function.
    """
    if getattr(_thread, "ignores", False):
        return
    _thread.ignores = True
    driver = _driver()
    if driver is not None:
        driver.cuThreadExchangeStreamCaptureMode(ctypes.byref(ctypes.c_int(_RELAXED)))


def _driver() -> Any:
    """NVIDIA's library; None where there is none."""
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
