"""Peers for live tests: the ffmpeg program as sender and receiver, and waiting without guessing."""

from __future__ import annotations

import contextlib
import io
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import av
import numpy as np
import pytest

PATIENCE_S = 30.0
"""How long to wait for what must happen; a busy machine may need it."""

SCENE = [
    *("-re", "-f", "lavfi", "-i", "testsrc=s=96x64:r=30", "-pix_fmt", "yuv420p"),
    *("-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10"),
]
"""Live video with a key frame every third of a second."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(*arguments: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """The ffmpeg program, ended with the block; skips where there is none."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("the ffmpeg program is not on this machine")
    process = subprocess.Popen(
        ["ffmpeg", "-v", "quiet", "-nostdin", "-y", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"waited {PATIENCE_S:g} s in vain for {what}")
        time.sleep(0.02)


def encode_mpegts(frames: int = 30, size: tuple[int, int] = (96, 64)) -> bytes:
    """MPEG-TS of some H.264, a key frame every tenth frame."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as container:
        options = {"g": "10", "tune": "zerolatency", "preset": "ultrafast"}
        stream = container.add_stream("libx264", rate=30, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        y, x = np.mgrid[: size[1], : size[0]]
        for i in range(frames):
            image = np.stack([x * 2 % 256, y * 3 % 256, (x + y + 5 * i) % 256], -1)
            picture = av.VideoFrame.from_ndarray(image.astype(np.uint8), "rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return buffer.getvalue()


class Server:
    """Sends a recording over TCP to whoever connects, a second of it in about a second, for ever.

    With no data, and while `mute`, it accepts connections and says nothing. It can be stopped and
    started again on the same port.
    """

    def __init__(self, data: bytes = b"") -> None:
        self._data = data
        self._socket: socket.socket | None = None
        self._port = free_port()
        self.url = f"tcp://127.0.0.1:{self._port}"
        self.mute = threading.Event()  # set: connected peers hear nothing more

    def start(self) -> None:
        self._stopped = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", self._port))
        self._thread = threading.Thread(target=self._accept, args=(self._socket,))
        self._thread.start()

    def stop(self) -> None:
        if self._socket is None:
            return
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # which ends accept
        self._socket.close()
        self._socket = None
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _accept(self, server: socket.socket) -> None:
        threads = []
        while not self._stopped.is_set():
            try:
                peer, _ = server.accept()
            except OSError:
                break
            threads.append(threading.Thread(target=self._serve, args=(peer,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _serve(self, peer: socket.socket) -> None:
        part = max(188, len(self._data) // 30 // 188 * 188)
        with peer:
            position = 0
            while not self._stopped.wait(1 / 30):
                if not self._data or self.mute.is_set():
                    continue
                try:
                    peer.sendall(self._data[position : position + part])
                except OSError:
                    return
                position = position + part if position + part < len(self._data) else 0
