"""The context on a GPU that CuPy, ONNX Runtime and FFmpeg share."""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_BLOCKING_SYNC = 4  # CU_CTX_SCHED_BLOCKING_SYNC
_UNTIL_ACTIVE = 708  # CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, of drivers that set it only before that


def share_context(index: int) -> bool:
    """Have threads sleep while they wait for a GPU; call it before anything is done there.

    FFmpeg decodes and encodes in no primary context that waits in another way (`cuda_context_init`
    in libavutil/hwcontext_cuda.c), and CUDA would spin. CuPy has no function for it.

    Returns:
        Whether it is so now. It is not if whoever used the GPU before in this process chose
        otherwise, or if there is no driver or no such GPU, which the next call to CuPy tells.
    """
    try:
        driver: Any = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    device, flags, active = ctypes.c_int(), ctypes.c_uint(), ctypes.c_int()
    return (
        driver.cuInit(0) == 0
        and driver.cuDeviceGet(ctypes.byref(device), index) == 0
        and driver.cuDevicePrimaryCtxSetFlags_v2(device, _BLOCKING_SYNC) in (0, _UNTIL_ACTIVE)
        and driver.cuDevicePrimaryCtxGetState(device, ctypes.byref(flags), ctypes.byref(active))
        == 0
        and flags.value == _BLOCKING_SYNC
    )
