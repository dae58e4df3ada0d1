"""A stand-in for the part of CuPy that rtfocus uses, for machines without a GPU.

Kernels are compiled by g++ (`shim.h`) and run on the CPU. What a stream is given runs as late as
CUDA allows, when somebody waits for it, or on streams that are `eager` at once: a missing wait
between two streams shows as missing or overwritten data in one of the two. Memory starts as
garbage and goes back to a pool, that of the device while work on it may still wait, which cannot be
read by NumPy either, all as with CuPy. `pytest -m cuda` runs the same tests on CuPy itself.

More flags for g++ may be in the environment variable KERNEL_FLAGS.
"""

# ruff: noqa: ARG001, ARG002 - CuPy has these arguments

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

HERE = Path(__file__).parent
GARBAGE = 0xCD
_lock = threading.RLock()
_thread = threading.local()
_streams: weakref.WeakValueDictionary[int, Stream] = weakref.WeakValueDictionary()


class OutOfMemoryError(MemoryError):
    pass


class CUDARuntimeError(RuntimeError):
    def __init__(self, status: int, text: str = "cudaErrorUnknown: unknown error") -> None:
        super().__init__(text)
        self.status = status


class CUDADriverError(RuntimeError):
    """What launches raise, and loading kernels."""

    def __init__(self, status: int, text: str = "CUDA_ERROR_UNKNOWN: unknown error") -> None:
        super().__init__(text)
        self.status = status


class CompileException(Exception):  # noqa: N818 - CuPy's own name
    pass


class Machine:
    """What tests change: the pretended GPUs, memory, and what fails."""

    def __init__(self) -> None:
        self.devices = 1
        self.free = self.total = 8 << 30
        self.allocated = 0
        self.driver = self.runtime = 13000
        self.eager = False  # streams run what they are given at once
        self.pool: dict[tuple[Stream, int], list[np.ndarray]] = {}
        self.pinned: dict[int, list[bytearray]] = {}
        self.failure: Exception | None = None  # raised by the next launch
        self.launches: list[str] = []


machine = Machine()


class Stream:
    def __init__(self, null: bool = False, non_blocking: bool = False) -> None:
        assert not null
        assert non_blocking, "a blocking stream waits for the default one"
        self.ptr = id(self)
        _streams[self.ptr] = self
        self._waiting: list[Callable[[], None]] = []
        self._given = self._done = 0
        self._captured: list[Callable[[], None]] | None = None
        self.eager = machine.eager

    @staticmethod
    def at(ptr: int) -> Stream:
        return _streams[ptr]

    def __enter__(self) -> Stream:
        _stack().append(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _stack().pop()

    def give(self, work: Callable[[], None]) -> None:
        with _lock:
            if self._captured is not None:
                self._captured.append(work)
                return
            self._waiting.append(work)
            self._given += 1
            if self.eager:
                self.run(self._given)

    def run(self, position: int) -> None:
        with _lock:
            assert self._captured is None, "a stream that is being captured cannot be waited for"
            while self._done < position:
                work = self._waiting.pop(0)
                self._done += 1
                work()

    @property
    def done(self) -> bool:
        return self._done == self._given

    def synchronize(self) -> None:
        self.run(self._given)

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        stream, position = event.at
        if stream is not None and stream is not self:
            self.give(lambda: stream.run(position))

    def begin_capture(self) -> None:
        self._captured = []

    def end_capture(self) -> Graph:
        assert self._captured is not None
        graph, self._captured = Graph(self._captured), None
        return graph

    def is_capturing(self) -> bool:
        return self._captured is not None


Stream.null = Stream(non_blocking=True)  # type: ignore[attr-defined]
Stream.null.eager = True  # FFmpeg works on it, here on the host and so at once


class Graph:
    def __init__(self, work: list[Callable[[], None]]) -> None:
        self._work = work

    def launch(self, stream: Stream | None = None) -> None:
        stream = stream or get_current_stream()
        for work in self._work:
            stream.give(work)


class Event:
    def __init__(self, block: bool = False, disable_timing: bool = False) -> None:
        self.at: tuple[Stream | None, int] = (None, 0)

    def record(self, stream: Stream | None = None) -> None:
        stream = stream or get_current_stream()
        self.at = (stream, stream._given)

    @property
    def done(self) -> bool:
        stream, position = self.at
        return stream is None or stream._done >= position

    def synchronize(self) -> None:
        stream, position = self.at
        if stream is not None:
            stream.run(position)


def get_elapsed_time(start: Event, end: Event) -> float:
    assert end.done, "time is read before the event came"
    return 1.0


def _stack() -> list[Stream]:
    if not hasattr(_thread, "streams"):
        _thread.streams = []
    return _thread.streams


def get_current_stream() -> Stream:
    if not _stack():
        raise AssertionError("this would run on the default stream")
    return _stack()[-1]


class _Memory:
    """Given back when the last array in it goes, for others that the stream's later work uses."""

    def __init__(self, size: int, stream: Stream) -> None:
        self._size, self._machine = 0, machine
        if size > machine.free:
            raise OutOfMemoryError(f"Out of memory allocating {size:,} bytes")
        machine.free -= size
        self._size = size
        self._returned = machine.pool.setdefault((stream, size), [])
        if self._returned:
            self.bytes = memory = self._returned.pop()
            stream.give(lambda: memory.fill(GARBAGE))
        else:
            self.bytes = np.full(size, GARBAGE, np.uint8)

    def __del__(self) -> None:
        if self._size:
            self._machine.free += self._size
            self._returned.append(self.bytes)


class ndarray:  # noqa: N801
    __array_priority__ = 100

    def __init__(self, host: np.ndarray, memory: Any, base: ndarray | None = None) -> None:
        self.host, self._memory, self.base = host, memory, base

    shape = property(lambda self: self.host.shape)
    dtype = property(lambda self: self.host.dtype)
    ndim = property(lambda self: self.host.ndim)
    size = property(lambda self: self.host.size)
    nbytes = property(lambda self: self.host.nbytes)
    itemsize = property(lambda self: self.host.itemsize)
    strides = property(lambda self: self.host.strides)
    flags = property(lambda self: SimpleNamespace(c_contiguous=self.host.flags.c_contiguous))
    data = property(lambda self: SimpleNamespace(ptr=self.host.ctypes.data))

    def __len__(self) -> int:
        return len(self.host)

    def __array__(self, *args: object, **kwargs: object) -> np.ndarray:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct "
            "a NumPy array explicitly."
        )

    def __getitem__(self, key: Any) -> ndarray:
        part = self.host[key]
        assert isinstance(part, np.ndarray), "an element of device memory is read"
        assert np.shares_memory(part, self.host) or part.size == 0
        return ndarray(part, self._memory, self.base or self)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.host.__dlpack_device__()

    def __dlpack__(self, stream: int | None = None) -> Any:
        assert stream == -1, "this makes another stream wait for the one in use now"
        return _Owned(self.host, self).__dlpack__()

    def reshape(self, *shape: Any) -> ndarray:
        part = self.host.reshape(*shape)
        assert np.shares_memory(part, self.host) or part.size == 0, "this would copy"
        return ndarray(part, self._memory, self.base or self)

    def view(self, dtype: Any) -> ndarray:
        return ndarray(self.host.view(dtype), self._memory, self.base or self)

    def fill(self, value: float) -> None:
        host = self.host  # and not the array: work does not keep memory from the pool
        get_current_stream().give(lambda: host.fill(value))

    def set(self, values: np.ndarray, stream: Stream | None = None) -> None:
        assert values.shape == self.shape, (values.shape, self.shape)
        assert values.dtype == self.dtype, (values.dtype, self.dtype)
        assert values.flags.c_contiguous
        host = self.host
        assert host.flags.c_contiguous, "CuPy cannot set this"
        # From pinned memory the copy is made later; from other memory it is staged at once.
        source = values if _is_pinned(values) else values.copy()
        (stream or get_current_stream()).give(lambda: np.copyto(host, source))

    def get(
        self,
        stream: Stream | None = None,
        order: str = "C",
        out: np.ndarray | None = None,
        blocking: bool = True,
    ) -> np.ndarray:
        stream = stream or get_current_stream()
        target = np.empty(self.shape, self.dtype) if out is None else out
        assert target.shape == self.shape
        assert target.dtype == self.dtype
        host = self.host
        assert host.flags.c_contiguous, "CuPy would first copy this on the default stream"
        stream.give(lambda: np.copyto(target, host))
        if blocking:
            stream.synchronize()
        return target


class _Owned(np.ndarray):
    """A host array that keeps what its memory belongs to."""

    owner: ndarray

    def __new__(cls, host: np.ndarray, owner: ndarray) -> _Owned:
        view = host.view(cls)
        view.owner = owner
        return view


def from_dlpack(exported: Any) -> ndarray:
    get_current_stream()
    host = np.from_dlpack(exported)
    return ndarray(host, exported)


class _Pinned(np.ndarray):
    pass


def _is_pinned(values: np.ndarray | None) -> bool:
    while isinstance(values, np.ndarray):
        if isinstance(values, _Pinned):
            return True
        values = values.base  # type: ignore[assignment]
    return False


def empty_pinned(shape: Any, dtype: Any = float) -> np.ndarray:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    returned = machine.pinned.setdefault(size, [])
    memory = returned.pop() if returned else bytearray(size)
    memory[:] = bytes([GARBAGE]) * size
    array = np.ndarray(shape, dtype, buffer=memory)
    weakref.finalize(array, returned.append, memory)  # views keep it
    return array.view(_Pinned)


def empty(shape: Any, dtype: Any = float) -> ndarray:
    stream = get_current_stream()  # whose memory it is from now on
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    memory = _Memory(max(size, 1), stream)
    return ndarray(memory.bytes[:size].view(dtype).reshape(shape), memory)


def zeros(shape: Any, dtype: Any = float) -> ndarray:
    array = empty(shape, dtype)
    array.fill(0)
    return array


def asarray(values: np.ndarray, dtype: Any = None) -> ndarray:
    values = np.ascontiguousarray(values, dtype)
    array = empty(values.shape, values.dtype)
    array.set(values)
    return array


def matmul(left: ndarray, right: ndarray, out: ndarray) -> ndarray:
    hosts = left.host, right.host, out.host
    get_current_stream().give(lambda: np.matmul(hosts[0], hosts[1], out=hosts[2]))
    return out


class _Function:
    def __init__(self, name: str, kinds: str, run: Any) -> None:
        self.name, self._kinds, self._run = name, kinds, run
        self.max_dynamic_shared_size_bytes = 48 << 10

    def __call__(
        self,
        grid: Sequence[int],
        block: Sequence[int],
        args: Sequence[Any],
        *,
        shared_mem: int = 0,
        stream: Stream | None = None,
    ) -> None:
        if machine.failure is not None:
            failure, machine.failure = machine.failure, None
            raise failure
        grid, block = (*grid, 1, 1)[:3], (*block, 1, 1)[:3]
        assert 0 < np.prod(block) <= 1024, block
        assert min(grid) > 0, grid
        assert max(grid[1:]) < 65536, grid
        assert shared_mem <= self.max_dynamic_shared_size_bytes
        kinds = "".join(map(_kind, args))
        assert kinds == self._kinds, f"{self.name} is given {kinds}, but has {self._kinds}"
        machine.launches.append(self.name)
        sizes = (ctypes.c_uint * 7)(*grid, *block, shared_mem)
        hosts = [a.host if isinstance(a, ndarray) else a for a in args]
        (stream or get_current_stream()).give(lambda: self._work(sizes, hosts))

    def _work(self, sizes: Any, hosts: list[Any]) -> None:
        held = [
            ctypes.c_void_p(a.ctypes.data)
            if isinstance(a, np.ndarray)
            else np.ctypeslib.as_ctypes(np.asarray(a))
            for a in hosts
        ]
        pointers = [ctypes.cast(ctypes.byref(h), ctypes.c_void_p) for h in held]
        fault = self._run(sizes, (ctypes.c_void_p * len(held))(*pointers))
        if fault is not None:
            raise CUDADriverError(719, f"{self.name}: {fault.decode()}")


def _kind(value: Any) -> str:
    """As `shim::kind` of the parameter that takes it."""
    if isinstance(value, ndarray):
        return "p"
    assert isinstance(value, np.generic), f"{value!r}: give a kernel arrays and NumPy scalars only"
    return {"i4": "i", "u4": "i", "f4": "f", "i8": "l", "u8": "l", "f8": "d"}[value.dtype.str[1:]]


_BOUND = r"__launch_bounds__\s*\(((?:[^(),]|\([^()]*\))*)(?:,[^()]*)?\)"
KERNEL = re.compile(rf"__global__\s+(?:{_BOUND}\s*)?void\s+(?:{_BOUND}\s*)?(\w+)\s*\(")


class RawModule:
    """CUDA C++ compiled as C++."""

    flags = ("-O2", "-ffp-contract=off", "-Wall", "-Werror", "-Wno-unused", "-Wno-unknown-pragmas")

    def __init__(self, *, code: str, options: Sequence[str] = ()) -> None:
        # In a namespace without a name all is the file's own, as shared memory must be here.
        text = f'#include "shim.h"\nnamespace {{\n#line 1 "kernels"\n{code}\n}}\n'
        for before, after, name in KERNEL.findall(code):
            text += f"SHIM_EXPORT({name}, ({before or after or 1024}))\n"
        flags = [*self.flags, *os.environ.get("KERNEL_FLAGS", "").split()]
        flags += [option for option in options if option.startswith("-D")]
        shim = (HERE / "shim.h").read_text()
        key = hashlib.sha256("\0".join([text, shim, *flags]).encode()).hexdigest()
        folder = Path(tempfile.gettempdir()) / f"rtfocus-kernels-{os.getuid()}"
        folder.mkdir(exist_ok=True)
        library = folder / f"{key[:24]}.so"
        if not library.exists():
            source, part = library.with_suffix(".cpp"), library.with_suffix(f".{os.getpid()}")
            source.write_text(text)
            command = ["g++", "-std=c++17", "-shared", "-fPIC", f"-I{HERE}", *flags]
            done = subprocess.run(
                [*command, str(source), "-o", str(part)],
                env={k: v for k, v in os.environ.items() if k != "LD_PRELOAD"},
                capture_output=True,
                text=True,
            )
            if done.returncode:
                raise RuntimeError(done.stderr)
            part.replace(library)
        self._library = ctypes.CDLL(str(library))

    def get_function(self, name: str) -> _Function:
        run = getattr(self._library, f"shim_{name}")
        kinds = getattr(self._library, f"shim_signature_{name}")
        run.restype = kinds.restype = ctypes.c_char_p
        return _Function(name, kinds().decode(), run)


class Device:
    def __init__(self, index: int = 0) -> None:
        if not 0 <= index < _count():
            raise CUDARuntimeError(101, "cudaErrorInvalidDevice: invalid device ordinal")
        self.id = index
        self.compute_capability = "90"
        self.mem_info = (machine.free, machine.total)

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def use(self) -> None:
        pass

    def synchronize(self) -> None:
        raise AssertionError("waiting for the whole device holds every frame up")


def _count() -> int:
    if machine.devices == 0:
        raise CUDARuntimeError(100, "cudaErrorNoDevice: no CUDA-capable device is detected")
    return machine.devices


def _properties(index: int) -> dict[str, Any]:
    return {
        "name": b"Pretended GPU",
        "totalGlobalMem": machine.total,
        "multiProcessorCount": 132,
        "major": 9,
        "minor": 0,
        "sharedMemPerBlockOptin": 232448,
    }


def _copy(target: int, source: int, size: int, kind: int, stream: int) -> None:
    assert kind == 3, "only from device to device"
    Stream.at(stream).give(lambda: ctypes.memmove(target, source, size))


def modules() -> dict[str, ModuleType]:
    """What to put into sys.modules."""
    cupy, cuda, cupyx = ModuleType("cupy"), ModuleType("cupy.cuda"), ModuleType("cupyx")
    runtime, memory = ModuleType("cupy.cuda.runtime"), ModuleType("cupy.cuda.memory")
    driver, compiler = ModuleType("cupy.cuda.driver"), ModuleType("cupy.cuda.compiler")
    here = sys.modules[__name__]
    for name in ("ndarray", "empty", "zeros", "asarray", "from_dlpack", "matmul", "RawModule"):
        setattr(cupy, name, getattr(here, name))
    for name in ("Stream", "Event", "Device", "get_current_stream", "get_elapsed_time", "Graph"):
        setattr(cuda, name, getattr(here, name))
    for function, name in (
        (_count, "getDeviceCount"),
        (_properties, "getDeviceProperties"),
        (lambda: machine.driver, "driverGetVersion"),
        (lambda: machine.runtime, "runtimeGetVersion"),
        (lambda: (machine.free, machine.total), "memGetInfo"),
        (_copy, "memcpyAsync"),
        (CUDARuntimeError, "CUDARuntimeError"),
    ):
        setattr(runtime, name, function)
    memory.OutOfMemoryError = OutOfMemoryError
    driver.CUDADriverError, compiler.CompileException = CUDADriverError, CompileException
    cuda.runtime, cuda.memory, cuda.driver, cuda.compiler = runtime, memory, driver, compiler
    cupy.cuda, cupy.__version__ = cuda, "14.0.0"
    cupyx.empty_pinned = empty_pinned
    return {
        "cupy": cupy,
        "cupy.cuda": cuda,
        "cupy.cuda.runtime": runtime,
        "cupy.cuda.memory": memory,
        "cupyx": cupyx,
    }
