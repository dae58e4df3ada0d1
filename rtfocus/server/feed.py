"""Where the video meets the server: pictures go in from its thread, JPEGs come out as needed."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2

from rtfocus.frame import Image
from rtfocus.live.readout import FrameInfo, Source

JPEG_QUALITY = 80

_HEADER = struct.Struct("<dI")
"""Little-endian: capture time as float64 milliseconds since 1970 by the server's clock, then the
picture's number as uint32. The JPEG follows."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One encoded picture, shared by everyone who is shown it.

    Attributes:
        number: of the picture, grows from 1.
        jpeg: the file.
        message: header and JPEG, as the WebSocket sends them.
    """

    number: int
    jpeg: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class _Picture:
    number: int
    image: Image
    captured: float


class Feed:
    """One slot for the newest picture; whoever is slow misses those between.

    The video's thread calls `publish` for every picture and asks `watching` whether anyone looks:
    where nobody does, neither the network nor the encoder need run.
    """

    def __init__(self, source: Source | None = None) -> None:
        self.source = source or Source()
        """May be replaced at any time; every page is told."""
        self.latest = FrameInfo(0.0, 0.0)
        """Of the newest picture, with the last histogram and status there were."""
        self._changed = threading.Condition()
        self._picture: _Picture | None = None
        self._encoded = 0
        self._watchers = 0
        self._wanted = False
        self._deliver: Callable[[Packet], None] | None = None
        self._encoder: threading.Thread | None = None

    @property
    def watching(self) -> bool:
        """Whether anyone looks at the pictures."""
        return self._watchers > 0

    def publish(self, image: Image, info: FrameInfo) -> None:
        """Show a picture. Returns at once, whatever the readers do.

        Args:
            image: (h, w, 3) uint8 RGB; it must not be written to afterwards.
            info: what belongs to it.
        """
        histogram = self.latest.histogram if info.histogram is None else info.histogram
        status = self.latest.status if info.status is None else info.status
        with self._changed:
            number = self._picture.number + 1 if self._picture else 1
            self._picture = _Picture(number, image, info.captured)
            self.latest = replace(info, histogram=histogram, status=status)
            self._changed.notify_all()

    # What follows is the server's side.

    @property
    def newest(self) -> int:
        """Number of the newest picture; 0 is none."""
        return self._picture.number if self._picture else 0

    def attach(self, deliver: Callable[[Packet], None]) -> None:
        """Start to encode, in a thread of its own that calls `deliver` with every packet."""
        self._deliver = deliver
        self._encoder = threading.Thread(target=self._encode, name="rtfocus-jpeg", daemon=True)
        self._encoder.start()

    def detach(self) -> None:
        """Stop to encode; safe to call twice."""
        with self._changed:
            self._deliver, self._watchers, self._wanted = None, 0, False
            self._changed.notify_all()
        if self._encoder is not None:
            self._encoder.join()
            self._encoder = None

    def want(self, watchers: int, *, ready: bool) -> None:
        """Say how many look, and whether one of them could take a new picture now."""
        with self._changed:
            if (watchers, ready) != (self._watchers, self._wanted):
                self._watchers, self._wanted = watchers, ready
                self._changed.notify_all()

    def _encode(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(self._has_work)
                deliver, picture = self._deliver, self._picture
                if deliver is None or picture is None:
                    return
                self._encoded = picture.number
            deliver(_make_packet(picture))

    def _has_work(self) -> bool:
        return self._deliver is None or (self._wanted and self.newest > self._encoded)


def _make_packet(picture: _Picture) -> Packet:
    bgr = cv2.cvtColor(picture.image, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    jpeg = data.tobytes()
    age = time.monotonic() - picture.captured
    header = _HEADER.pack((time.time() - age) * 1000, picture.number & 0xFFFFFFFF)
    return Packet(picture.number, jpeg, header + jpeg)
