"""What a page does on its socket, for tests without a browser."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Self

import cv2
import numpy as np
from websockets.sync.client import connect

from live.peers import PATIENCE_S
from rtfocus.frame import Image


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

    def wait(self, kind: str, /, seconds: float = PATIENCE_S, **values: object) -> dict[str, Any]:
        """The next message of a type in which these values stand."""
        return self.until(kind, lambda message: values.items() <= message.items(), seconds)

    def until(
        self, kind: str, /, is_it: Callable[[dict[str, Any]], object], seconds: float = PATIENCE_S
    ) -> dict[str, Any]:
        """The next message of a type of which that is true."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = self.read(max(end - time.monotonic(), 0.01))
            if message is not None and message["type"] == kind and is_it(message):
                return message
        raise AssertionError(f"no such {kind} within {seconds} s")

    def watch(self, count: int, seconds: float = PATIENCE_S) -> list[int]:
        """The numbers of so many more pictures."""
        end, had = time.monotonic() + seconds, len(self.pictures)
        while len(self.pictures) < had + count and time.monotonic() < end:
            self.read(max(end - time.monotonic(), 0.01))
        return [number for _, number, _ in self.pictures[had:]]

    def see(self, is_it: Callable[[Image], object], seconds: float = PATIENCE_S) -> Image:
        """The last picture or a later one, of which that is true, as (h, w, 3) uint8 RGB."""
        end = time.monotonic() + seconds
        while not (self.pictures and is_it(self.image)):
            if time.monotonic() > end:
                raise AssertionError(f"no such picture within {seconds} s")
            self.watch(1, max(end - time.monotonic(), 0.01))
        return self.image

    @property
    def image(self) -> Image:
        """The last picture that came."""
        bgr = cv2.imdecode(np.frombuffer(self.pictures[-1][2], np.uint8), cv2.IMREAD_COLOR)
        return bgr[..., ::-1]
