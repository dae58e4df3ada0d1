"""What a page does on its socket, for tests without a browser."""

from __future__ import annotations

import json
import struct
import time
from contextlib import ExitStack
from typing import Any, Self

from websockets.sync.client import connect


class Page:
    """A client that reads, acknowledges and asks."""

    def __init__(self, port: int, **options: Any) -> None:
        # Old and new versions of websockets alike open the connection on entry.
        self._opened = ExitStack()
        self.socket = self._opened.enter_context(connect(f"ws://127.0.0.1:{port}/ws", **options))
        self.pictures: list[tuple[float, int, bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._opened.close()

    def ask(self, **message: object) -> None:
        self.socket.send(json.dumps(message))

    def read(self, timeout: float = 5.0, *, ack: bool = True) -> dict[str, Any] | None:
        """The next message; None after a picture, which is kept."""
        item = self.socket.recv(timeout=timeout)
        if isinstance(item, str):
            return json.loads(item)
        captured, number = struct.unpack_from("<dI", item)
        self.pictures.append((captured, number, item[12:]))
        if ack:
            self.ask(type="ack")
        return None

    def wait(self, kind: str, /, seconds: float = 5.0, **values: object) -> dict[str, Any]:
        """The next message of a type in which these values stand."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self.read(max(end - time.monotonic(), 0.01))
            if (
                message is not None
                and message["type"] == kind
                and values.items() <= message.items()
            ):
                return message
        raise AssertionError(f"no {kind} with {values} within {seconds} s")

    def watch(self, count: int, seconds: float = 10.0) -> list[int]:
        """The numbers of so many more pictures."""
        end, had = time.monotonic() + seconds, len(self.pictures)
        while len(self.pictures) < had + count and time.monotonic() < end:
            self.read(max(end - time.monotonic(), 0.01))
        return [number for _, number, _ in self.pictures[had:]]
