"""Devices that decode video, or at least convert what was decoded."""

from __future__ import annotations

from typing import Protocol

import av
import av.container

from rtfocus.planes import Planes


class Decoding(Protocol):
    """A device that decodes files where it can, and converts pictures to RGB itself."""

    def open(self, source: str) -> av.container.InputContainer | None:
        """Open a file to be decoded there; None where that cannot be, having said why."""

    def holds(self, frame: av.VideoFrame) -> bool:
        """Whether a decoded picture is in the device's memory, not the host's."""

    def planes(self, frame: av.VideoFrame) -> Planes | None:
        """A decoded picture's planes in the device's memory; None if they cannot be had."""
