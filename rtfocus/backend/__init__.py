"""Which processor runs the stages of a job, and how."""

from __future__ import annotations

from rtfocus.backend.base import Backend
from rtfocus.backend.cpu import CpuBackend
from rtfocus.device import Device

__all__ = ["Backend", "CpuBackend", "open_backend"]


def open_backend(device: Device) -> Backend:
    """The backend of a device.

    Raises:
        DeviceError: the device cannot be used.
    """
    if device.kind == "cuda":
        from rtfocus.cuda.backend import CudaBackend

        return CudaBackend(device)
    return CpuBackend(device)
