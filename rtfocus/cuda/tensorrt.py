"""Which TensorRT is installed."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.metadata


def tensorrt_version() -> str | None:
    """The version of TensorRT, such as "10.13.3" from a package or "101303" from the system."""
    for package in ("tensorrt", "tensorrt-cu13", "tensorrt-cu12"):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pass
    library = ctypes.util.find_library("nvinfer")
    if library is None:
        return None
    try:
        return str(ctypes.CDLL(library).getInferLibVersion())
    except (OSError, AttributeError):
        return None
