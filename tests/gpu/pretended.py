"""ONNX Runtime's CUDA provider, pretended by its CPU provider on the fake CuPy's memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rtfocus.depth.session import open_session
from rtfocus.device import Device

from . import fake_cupy

DEVICE = Device("cuda", ("CPUExecutionProvider",), "pretended")
"""Its memory is the host's, as that of the fake CuPy."""


class PretendedSession:
    """ONNX Runtime's session on a CPU, which does its work when its stream comes to it."""

    def __init__(self, session: Any, stream: fake_cupy.Stream) -> None:
        self._session, self._stream = session, stream
        self.runs = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        self.runs += 1
        self._stream.give(lambda: self._session.run_with_iobinding(binding, options))
        if self.runs == 1:  # what a network cannot do it says here
            self._stream.synchronize()


def open_pretended(path: Path, device: Device, *, options: Any) -> PretendedSession:
    """As `open_session`, on the stream that the options name."""
    stream = fake_cupy.Stream.at(int(options["CUDAExecutionProvider"]["user_compute_stream"]))
    return PretendedSession(open_session(path, device, options=options), stream)
