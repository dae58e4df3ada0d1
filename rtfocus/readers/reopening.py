"""A live input that outlives the loss of its source."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from rtfocus.backoff import Backoff
from rtfocus.errors import InputCutShort, InputError
from rtfocus.frame import Frame, StreamInfo
from rtfocus.planes import CodedPicture
from rtfocus.readers.base import Reader
from rtfocus.settings import OnLoss

_log = logging.getLogger("rtfocus")


class ReopeningReader(Reader):
    """Opens its source again, with growing pauses, whenever it is lost.

    Pictures keep the size of the first connection: those of another are fitted into it.
    """

    def __init__(
        self, source: str, open_source: Callable[[], Reader], on_loss: OnLoss = "wait"
    ) -> None:
        """Open the source for the first time.

        Args:
            source: as messages name it.
            open_source: opens one connection; frames of a later one have later times.
            on_loss: what to do when a connection ends: wait for the source to come back, or stop.

        Raises:
            InputError: by `open_source`; a source that was never there is not waited for.
        """
        self._source, self._open, self._on_loss = source, open_source, on_loss
        self._closed = threading.Event()
        self._reader = open_source()
        self._info = self._reader.info

    @property
    def info(self) -> StreamInfo:
        """Of the first connection."""
        return self._info

    def __iter__(self) -> Iterator[Frame]:
        """Frames of all connections; `InputCutShort` after the first if `on_loss` is "stop"."""
        backoff = Backoff()
        size = (self._info.width, self._info.height)
        while not self._closed.is_set():
            try:
                for frame in self._reader:
                    backoff.reset()
                    yield replace(frame, image=fit(frame.image, size))
                reason = f"{self._source!r} has ended"
            except InputError as error:
                reason = str(error)
            finally:
                self._reader.close()
            if self._closed.is_set():
                return
            if self._on_loss == "stop":
                raise InputCutShort(
                    f"{reason}. What was made of it is kept; leave out --on-loss stop to wait for "
                    "it to come back."
                )
            _log.warning("%s; waiting for it to come back", reason)
            self._reopen(backoff)

    def close(self) -> None:
        """End an iteration or a pause that is under way; does not wait for it."""
        self._closed.set()
        self._reader.close()

    def _reopen(self, backoff: Backoff) -> None:
        while not self._closed.wait(backoff.next()):
            try:
                self._reader = self._open()
            except InputError as error:
                _log.debug("still lost: %s", error)
                continue
            _log.warning("%s is back", self._source)
            return


def fit(image: Any, size: tuple[int, int]) -> Any:
    """The picture at another (width, height), its proportions kept, black around it.

    A `CodedPicture` stays one where its size is right.
    """
    height, width, _ = image.shape
    if (width, height) == size:
        return image
    if isinstance(image, CodedPicture):
        image = image.to_rgb()
    scale = min(size[0] / width, size[1] / height)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    out = np.zeros((size[1], size[0], 3), np.uint8)
    x, y = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    out[y : y + inner[1], x : x + inner[0]] = cv2.resize(image, inner, interpolation=way)
    return out
