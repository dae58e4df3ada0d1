"""Which processor does the work."""

from __future__ import annotations

import contextlib
import ctypes
import io
import re
import sys
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Literal

from rtfocus.errors import DeviceError, UsageError

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"

_INSTALL = (
    'pip install "rtfocus[cuda]", or "rtfocus[cuda12]" where the driver knows CUDA 12 at most'
)


@dataclass(frozen=True, slots=True)
class Device:
    """A processor that was chosen.

    Attributes:
        kind: "cpu" or "cuda".
        providers: ONNX Runtime's execution providers to ask for, the wanted one first.
        reason: why this one, a line for the user.
        index: which of several GPUs.
        memory: where the stages keep their arrays, as ONNX Runtime calls it.
    """

    kind: Literal["cpu", "cuda"]
    providers: tuple[str, ...]
    reason: str
    index: int = 0
    memory: str = "cpu"

    def __str__(self) -> str:
        return f"cuda:{self.index}" if self.kind == "cuda" else "cpu"


class NoGpuError(Exception):
    """Why there is no GPU to use.

    Attributes:
        reason: without a full stop.
        remedy: a sentence.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason, self.remedy = reason, remedy


def resolve(device: str) -> Device:
    """Choose the device for a `--device` value.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        UsageError: another value.
        DeviceError: the device that was asked for cannot be used; there is no silent fallback.
    """
    if device == "cpu":
        return Device("cpu", (_CPU,), "asked for")
    if device == "auto":
        try:
            return find_gpu(0)
        except NoGpuError as error:
            return Device("cpu", (_CPU,), error.reason)
    if re.fullmatch(r"cuda(:\d+)?", device):
        index = int(device.partition(":")[2] or 0)
        try:
            return replace(find_gpu(index), reason="asked for")
        except NoGpuError as error:
            raise DeviceError(
                f"device {device!r}: {error.reason}. {error.remedy} Or use --device cpu."
            ) from error
    raise UsageError(f"device {device!r} is not known; it must be auto, cpu, cuda or cuda:N.")


def has_driver() -> bool:
    """Whether an NVIDIA driver is installed; tells at once, and starts nothing."""
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def find_gpu(index: int) -> Device:
    """A GPU that everything is there for.

    Raises:
        NoGpuError: something is not.
    """
    if not has_driver():
        raise NoGpuError("no NVIDIA driver", "Install the driver of your GPU (nvidia.com/drivers).")
    cupy = _import("cupy", "CuPy")
    name = _name_of(index, cupy)
    ort = _import("onnxruntime", "ONNX Runtime")
    _load_libraries(ort)
    offered = ort.get_available_providers()
    if _CUDA not in offered:
        raise NoGpuError(
            f"ONNX Runtime {ort.__version__} was built without CUDA (it has {', '.join(offered)})",
            f"Its builds share one folder: pip uninstall onnxruntime onnxruntime-gpu, then "
            f"{_INSTALL}.",
        )
    built = getattr(ort, "cuda_version", None)  # such as "13.0"; older ones do not say
    own = cupy.cuda.runtime.runtimeGetVersion() // 1000
    if built and int(built.split(".")[0]) != own:
        raise NoGpuError(
            f"CuPy is for CUDA {own}, and ONNX Runtime {ort.__version__} for CUDA {built}",
            f"Both must be for the same: {_INSTALL}.",
        )
    return Device("cuda", (_CUDA, _CPU), f"found {name}", index, "cuda")


def _import(module: str, title: str) -> Any:
    try:
        return __import__(module)
    except ImportError as error:
        absent = isinstance(error, ModuleNotFoundError) and error.name == module
        why = "is not installed" if absent else f"cannot be imported ({_line(error)})"
        raise NoGpuError(f"{title} {why}", f"{_INSTALL}.") from error


def _name_of(index: int, cupy: ModuleType) -> str:
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
        names = [str(runtime.getDeviceProperties(i)["name"], "utf-8") for i in range(count)]
    except runtime.CUDARuntimeError as error:
        status = getattr(error, "status", 0)
        if status == 35:
            driver, wanted = runtime.driverGetVersion(), runtime.runtimeGetVersion()
            raise NoGpuError(
                f"the NVIDIA driver knows CUDA {_version(driver)} at most, and CuPy is for CUDA "
                f"{_version(wanted)}",
                f"Install a newer driver (nvidia.com/drivers), or {_INSTALL}.",
            ) from error
        if status == 100:
            names = []
        else:
            raise NoGpuError(
                f"CUDA fails: {_line(error)}", "See whether nvidia-smi works; restart the machine."
            ) from error
    if not names:
        raise NoGpuError("no NVIDIA GPU", "The driver is there, but shows no GPU to this program.")
    if index >= len(names):
        there = ", ".join(f"cuda:{i} ({name})" for i, name in enumerate(names))
        raise NoGpuError(f"no such GPU; there is {there}", "Choose one of these.")
    name: str = names[index]
    return name


def _load_libraries(ort: ModuleType) -> None:
    """Let ONNX Runtime find the CUDA libraries that came as Python packages."""
    if hasattr(ort, "preload_dlls"):  # since 1.21
        with contextlib.redirect_stdout(io.StringIO()):  # it prints; what matters shows later
            ort.preload_dlls(directory="")


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
