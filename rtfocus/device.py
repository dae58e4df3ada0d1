"""Which processor does the work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from rtfocus.errors import DeviceError, UsageError


@dataclass(frozen=True, slots=True)
class Device:
    """A processor that was chosen.

    Attributes:
        kind: "cpu" or "cuda".
        providers: ONNX Runtime's execution providers to ask for, the wanted one first.
        reason: why this one, a line for the user.
        index: which of several GPUs.
    """

    kind: Literal["cpu", "cuda"]
    providers: tuple[str, ...]
    reason: str
    index: int = 0

    def __str__(self) -> str:
        return f"cuda:{self.index}" if self.kind == "cuda" else "cpu"


def resolve(device: str) -> Device:
    """Choose the device for a `--device` value.

    Args:
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        UsageError: another value.
        DeviceError: the device that was asked for cannot be used; there is no silent fallback.
    """
    if device == "cpu":
        return Device("cpu", ("CPUExecutionProvider",), "asked for")
    if device == "auto":
        return Device("cpu", ("CPUExecutionProvider",), "this version renders on the CPU only")
    if re.fullmatch(r"cuda(:\d+)?", device):
        raise DeviceError(
            f"device {device!r}: this version of rtfocus renders on the CPU only. "
            "Use --device cpu, or --device auto, which chooses it by itself."
        )
    raise UsageError(f"device {device!r} is not known; it must be auto, cpu, cuda or cuda:N.")
