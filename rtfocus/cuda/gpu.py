"""One NVIDIA GPU: its streams, its memory, and the package's kernels compiled for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from rtfocus.cuda.context import share_context
from rtfocus.cuda.errors import compiler_errors, device_errors, import_cupy

Array = Any
"""A cupy.ndarray; CuPy says nothing to mypy."""

OPTIONS = ("--std=c++17",)
"""For NVRTC."""


class Gpu:
    """A GPU as all stages of one job share it.

    Frames are worked on in order on one stream, `compute`, which ONNX Runtime uses too. Pictures
    come and go on two others, so that copies overlap with the work.

    Attributes:
        index: number of the GPU.
        cupy: the module.
        device: the GPU.
        compute: stream of the network and of every kernel.
        up: stream of copies to the GPU.
        down: stream of copies from it.
        shared_memory: bytes that a block of threads may have.
        multiprocessors: how many.
    """

    def __init__(self, index: int = 0) -> None:
        """Raises: DeviceError: there is no such GPU, or it cannot be used."""
        self.index, self.cupy = index, import_cupy()
        share_context(index)
        with device_errors():
            self.device = self.cupy.cuda.Device(index)
            with self.device:
                properties = self.cupy.cuda.runtime.getDeviceProperties(index)
                streams = [self.cupy.cuda.Stream(non_blocking=True) for _ in range(3)]
        self.compute, self.up, self.down = streams
        self.shared_memory = int(properties["sharedMemPerBlockOptin"]) - 1024  # some is static
        self.multiprocessors = int(properties["multiProcessorCount"])
        self._capturing = threading.Lock()
        self._target = threading.local()  # stream of this thread's launches, if not `compute`
        self._modules: dict[str, Any] = {}
        self._functions: dict[tuple[str, str], Any] = {}

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Array:
        """Memory whose content is not defined, for use on `compute`."""
        with device_errors(), self.device, self.compute:
            return self.cupy.empty(shape, dtype)

    def zeros(self, shape: int | tuple[int, ...], dtype: DTypeLike) -> Array:
        """Memory set to zero, for use on `compute`."""
        array = self.empty(shape, dtype)
        self.fill(array, 0)
        return array

    def empty_pinned(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Page-locked host memory for pictures, which copies do not wait for."""
        import cupyx

        with device_errors(), self.device:
            pinned: NDArray[np.uint8] = cupyx.empty_pinned(shape, np.uint8)
        return pinned

    def fill(self, array: Array, value: float) -> None:
        """Set every element, on `compute`."""
        with device_errors(), self.device, self._stream:
            array.fill(value)

    def upload(self, values: NDArray[Any]) -> Array:
        """A copy of a small host array, for use on `compute`."""
        array = self.empty(values.shape, values.dtype)
        with device_errors(), self.device:
            array.set(np.ascontiguousarray(values), stream=self.compute)
        return array

    def download(self, array: Array) -> NDArray[Any]:
        """What all work given to `compute` so far makes of an array; waits for it."""
        with device_errors(), self.device:
            result: NDArray[Any] = array.get(stream=self.compute)
        return result

    def record(self, stream: Any = None) -> Any:
        """An event that comes when all work given to a stream so far is done; None: `compute`.

        Whoever waits for it sleeps.
        """
        with device_errors(), self.device:
            event = self.cupy.cuda.Event(block=True, disable_timing=True)
            return (stream or self.compute).record(event)

    def launch(
        self,
        file: str,
        kernel: str,
        threads: tuple[int, ...],
        *args: Array,
        block: tuple[int, ...] = (32, 8),
        shared: int = 0,
    ) -> None:
        """Run a kernel on `compute`.

        Args:
            file: of this package, without its suffix.
            kernel: name of the function in it.
            threads: how many along x, y and z; rounded up to whole blocks.
            *args: arrays, int (32 bits) and float (single precision).
            block: threads of a block along x, y and z.
            shared: bytes of dynamic shared memory.
        """
        sides = (*block, 1, 1)[: len(threads)]
        grid = tuple(-(-n // side) for n, side in zip(threads, sides, strict=True))
        values = tuple(map(_scalar, args))
        with device_errors(), self.device:
            function = self._function(file, kernel)
            if shared > function.max_dynamic_shared_size_bytes:
                function.max_dynamic_shared_size_bytes = shared
            function(grid, block, values, shared_mem=shared, stream=self._stream)

    def capture(self, work: Callable[[], None]) -> Any:
        """A CUDA graph of the launches and fills in `work`, which are not done yet."""
        with self._capturing, device_errors(), self.device:
            stream = self.cupy.cuda.Stream(non_blocking=True)
            self._target.stream = stream  # on `compute` other threads' work would be captured too
            try:
                stream.begin_capture()
                work()
                return stream.end_capture()
            finally:
                del self._target.stream

    def replay(self, graph: Any) -> None:
        """Run a graph on `compute`."""
        with device_errors(), self.device:
            graph.launch(stream=self.compute)

    @property
    def _stream(self) -> Any:
        return getattr(self._target, "stream", self.compute)

    def _function(self, file: str, kernel: str) -> Any:
        with compiler_errors():
            if file not in self._modules:
                self._modules[file] = self.cupy.RawModule(code=source(file), options=OPTIONS)
            if (file, kernel) not in self._functions:
                self._functions[file, kernel] = self._modules[file].get_function(kernel)
        return self._functions[file, kernel]


def source(file: str) -> str:
    """The text of a kernel file, common parts included."""
    folder = files("rtfocus.cuda")
    names = "common.cuh", "block.cuh", "scene.cuh", "spans.cuh", f"{file}.cu"
    return "".join((folder / name).read_text() for name in names)


def _scalar(value: Array) -> Array:
    if isinstance(value, bool | int):
        return np.int32(value)
    return np.float32(value) if isinstance(value, float) else value
