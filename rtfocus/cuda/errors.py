"""What goes wrong on a GPU, as rtfocus' own errors with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from rtfocus.cuda.context import ignore_captures
from rtfocus.errors import DeviceError

_REMEDIES = {
    2: "Close other programs that use the GPU, or choose a smaller --depth-size or network.",
    35: "The driver is too old for this CUDA: install a newer NVIDIA driver, or rtfocus[cuda12].",
    100: "Is there an NVIDIA GPU, and is its driver loaded? Or use --device cpu.",
    101: "`rtfocus doctor` lists the GPUs. Number them from 0: cuda:0.",
    209: "This CuPy does not support this GPU: install a newer CuPy.",
    719: "The GPU stopped in a kernel; this is a fault in rtfocus or in the driver.",
}
"""By status, which CUDA's runtime and driver number alike."""

_LOST = "The GPU was lost: start again; if it stays, restart the machine. Or use --device cpu."


def import_cupy() -> ModuleType:
    """CuPy, imported when first wanted.

    Raises:
        DeviceError: it is not installed, or cannot be loaded here.
    """
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            f"CuPy, which rtfocus uses on a GPU, cannot be imported ({_line(error)}). Install it: "
            'pip install "rtfocus[cuda]" for CUDA 13, "rtfocus[cuda12]" for CUDA 12.'
        ) from error
    module: ModuleType = cupy
    return module


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn what CuPy raises within into a DeviceError."""
    cupy: Any = import_cupy()
    cuda = cupy.cuda
    ignore_captures()
    try:
        yield
    except cuda.memory.OutOfMemoryError as error:
        raise DeviceError(f"The GPU's memory is full: {_line(error)}. {_REMEDIES[2]}") from error
    except (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError) as error:
        remedy = _REMEDIES.get(getattr(error, "status", 0), _LOST)
        raise DeviceError(f"CUDA fails: {_line(error)}. {remedy}") from error


@contextmanager
def compiler_errors() -> Iterator[None]:
    """Turn what CuPy raises where it cannot compile a kernel within into a DeviceError."""
    cuda: Any = import_cupy().cuda
    try:
        yield
    except (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError):
        raise  # it can, but not load it
    except (cuda.compiler.CompileException, RuntimeError) as error:  # RuntimeError: no headers
        raise DeviceError(
            f"CuPy cannot compile rtfocus' kernels: {_line(error)}. Install it again: pip install "
            '"rtfocus[cuda]", or "rtfocus[cuda12]" for CUDA 12.'
        ) from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
