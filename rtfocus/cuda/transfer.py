"""Pictures to the GPU and back, while it works on others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from rtfocus.cuda.errors import device_errors
from rtfocus.cuda.gpu import Array, Gpu
from rtfocus.frame import Frame, Image

_SLOTS = 3
"""Host buffers of pictures on their way to the GPU."""


class Uploader:
    """Copies pictures to the GPU through page-locked memory, one frame ahead of its use."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._slots: list[_Slot] = []
        self._turn = 0

    def stream(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames with device pictures, (h, w, 3) uint8.

        All work given to the GPU from then on may use them.
        """
        before: tuple[Frame, Any] | None = None
        for frame in frames:
            started = self._start(frame)
            if before is not None:
                yield self._ready(*before)
            before = started
        if before is not None:
            yield self._ready(*before)

    def _start(self, frame: Frame) -> tuple[Frame, Any]:
        gpu = self._gpu
        slot = self._next_slot(frame.image.shape)
        np.copyto(slot.host, frame.image)
        image = gpu.empty(frame.image.shape, np.uint8)
        with device_errors(), gpu.device:
            # The memory may have been another picture's, which work given so far still reads.
            gpu.up.wait_event(gpu.compute.record())
            image.set(slot.host, stream=gpu.up)
            slot.done = gpu.up.record()
        return frame.with_image(image), slot.done

    def _ready(self, frame: Frame, copied: Any) -> Frame:
        with device_errors(), self._gpu.device:
            self._gpu.compute.wait_event(copied)
        return frame

    def _next_slot(self, shape: tuple[int, ...]) -> _Slot:
        """A buffer whose last copy is done."""
        if not self._slots or self._slots[0].host.shape != shape:
            self._slots = [_Slot(self._gpu.empty_pinned(shape)) for _ in range(_SLOTS)]
        self._turn = (self._turn + 1) % _SLOTS
        slot = self._slots[self._turn]
        if slot.done is not None:
            with device_errors():
                slot.done.synchronize()
        return slot


@dataclass(slots=True)
class _Slot:
    host: Image
    done: Any = None


@dataclass(frozen=True, slots=True)
class InFlight:
    """A picture on its way to the host."""

    source: Array  # kept until it has been read
    host: Image
    done: Any


class Downloader:
    """Copies pictures from the GPU; `start` does not wait, `finish` does."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._free: deque[Image] = deque()

    def start(self, image: Array) -> InFlight:
        """Copy a picture as soon as all work given to the GPU so far is done."""
        gpu = self._gpu
        host = self._free.popleft() if self._free else gpu.empty_pinned(image.shape)
        with device_errors(), gpu.device:
            gpu.down.wait_event(gpu.compute.record())
            image.get(stream=gpu.down, out=host, blocking=False)
            return InFlight(image, host, gpu.down.record())

    def finish(self, picture: InFlight) -> Image:
        """The picture in memory of its own."""
        with device_errors():
            picture.done.synchronize()
        image = np.array(picture.host)
        self._free.append(picture.host)
        return image
