"""Pictures to the GPU and back, while it works on others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtfocus.cuda.errors import device_errors
from rtfocus.cuda.gpu import Array, Gpu
from rtfocus.cuda.yuv import YuvConverter
from rtfocus.frame import Frame
from rtfocus.planes import CodedPicture, Planes

_SLOTS = 3
"""Host buffers of pictures on their way to the GPU."""


class Uploader:
    """Copies pictures to the GPU through page-locked memory, one frame ahead of its use.

    What a decoder gives is carried as it is, half the bytes of RGB, and converted on the GPU; what
    the GPU has decoded itself is not carried at all.
    """

    def __init__(self, gpu: Gpu) -> None:
        self._gpu, self._converter = gpu, YuvConverter(gpu)
        self._slots: list[_Slot] = []
        self._turn = 0

    def stream(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames with device pictures, (h, w, 3) uint8.

        All work given to the GPU from then on may use them.
        """
        before: _Started | None = None
        for frame in frames:
            started = self._start(frame)
            if before is not None:
                yield self._ready(before)
            before = started
        if before is not None:
            yield self._ready(before)

    def _start(self, frame: Frame) -> _Started:
        gpu, picture = self._gpu, frame.image
        if not isinstance(picture, CodedPicture):
            image = gpu.empty(picture.shape, np.uint8)
            slot = self._copy((picture,), image.reshape(-1))
            return _Started(frame, slot, lambda: image)
        planes = picture.planes
        if isinstance(planes.luma, np.ndarray):
            sizes = [plane.nbytes for plane in planes.arrays]
            memory = gpu.empty(sum(sizes), np.uint8)
            slot = self._copy(planes.arrays, memory)
            parts = pairwise(np.cumsum([0, *sizes]).tolist())
            luma, *chroma = (
                memory[first:last].view(plane.dtype).reshape(plane.shape)
                for plane, (first, last) in zip(planes.arrays, parts, strict=True)
            )
            planes = Planes(luma, tuple(chroma))
        else:
            slot = self._next_slot(0)
            slot.done = gpu.record(gpu.cupy.cuda.Stream.null)  # where the decoder works
        return _Started(frame, slot, lambda: self._converter.to_rgb(picture, planes))

    def _copy(self, parts: tuple[NDArray[Any], ...], memory: Array) -> _Slot:
        """Start to copy arrays, one after the other, to device memory (n,) uint8."""
        gpu, slot = self._gpu, self._next_slot(memory.nbytes)
        at = 0
        for part in parts:
            room = slot.host[at : at + part.nbytes]
            np.copyto(room.view(part.dtype).reshape(part.shape), part)
            at += part.nbytes
        with device_errors(), gpu.device:
            # The memory may have been another picture's, which work given so far still reads.
            gpu.up.wait_event(gpu.record())
            memory.set(slot.host, stream=gpu.up)
        slot.done = gpu.record(gpu.up)
        return slot

    def _ready(self, started: _Started) -> Frame:
        gpu, slot = self._gpu, started.slot
        with device_errors(), gpu.device:
            gpu.compute.wait_event(slot.done)
        image = started.finish()
        slot.owner = started.frame  # kept until it has been read
        slot.done = gpu.record()
        return started.frame.with_image(image)

    def _next_slot(self, size: int) -> _Slot:
        """A buffer that nothing reads any more."""
        if not self._slots or self._slots[0].host.nbytes != size:
            for slot in self._slots:
                slot.wait()
            self._slots = [_Slot(self._gpu.empty_pinned((size,))) for _ in range(_SLOTS)]
        self._turn = (self._turn + 1) % _SLOTS
        slot = self._slots[self._turn]
        slot.wait()
        return slot


@dataclass(slots=True)
class _Slot:
    """A host buffer, and whose picture was last read from it or with it."""

    host: NDArray[np.uint8]
    done: Any = None
    owner: Frame | None = None

    def wait(self) -> None:
        if self.done is not None:
            with device_errors():
                self.done.synchronize()
        self.owner = None


@dataclass(frozen=True, slots=True)
class _Started:
    """A frame on its way, and what makes its picture once it has come."""

    frame: Frame
    slot: _Slot
    finish: Callable[[], Array]


@dataclass(frozen=True, slots=True)
class InFlight:
    """A picture on its way to the host.

    Attributes:
        source: in the GPU's memory, kept until it has been read.
        host: where it comes to.
        done: event of the copy.
        unpack: makes of the bytes what the writer takes.
    """

    source: Array
    host: NDArray[np.uint8]
    done: Any
    unpack: Callable[[NDArray[np.uint8]], Any]


class Downloader:
    """Copies pictures from the GPU; `start` does not wait, `finish` does.

    They stay in the page-locked memory that they come to. It is CuPy's, which gives it out again
    when nobody has the picture any more.
    """

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu

    def start(
        self, picture: Array, unpack: Callable[[NDArray[np.uint8]], Any] = lambda x: x
    ) -> InFlight:
        """Copy a uint8 array as soon as all work given to the GPU so far is done."""
        gpu = self._gpu
        host = gpu.empty_pinned(picture.shape)
        with device_errors(), gpu.device:
            gpu.down.wait_event(gpu.record())
            picture.get(stream=gpu.down, out=host, blocking=False)
        return InFlight(picture, host, gpu.record(gpu.down), unpack)

    def finish(self, picture: InFlight) -> Any:
        """The picture, in memory that is used for no other while it is."""
        with device_errors():
            picture.done.synchronize()
        return picture.unpack(picture.host)
