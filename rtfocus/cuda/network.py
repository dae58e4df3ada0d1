"""Depth from an ONNX network under ONNX Runtime, without leaving the GPU."""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from rtfocus.cuda.errors import device_errors
from rtfocus.cuda.floor import PICTURE, VALUE, Needs
from rtfocus.cuda.gpu import Array, Gpu
from rtfocus.cuda.spans import resize_spans
from rtfocus.cuda.tensorrt import tensorrt_version
from rtfocus.depth.flip import blend_weights
from rtfocus.depth.flops import network_flops
from rtfocus.depth.onnx_depth import TYPES, OnnxDepth
from rtfocus.depth.session import import_runtime, open_session, reason, runtime_errors
from rtfocus.device import Device
from rtfocus.errors import DeviceError, ModelError
from rtfocus.frame import Frame

_log = logging.getLogger("rtfocus")

_TENSORRT = "TensorrtExecutionProvider"

_OF_THE_GPU = re.compile(
    r"(CUDA|CUDNN|CUBLAS) (failure|error)|out of memory|failed to allocate", re.IGNORECASE
)
"""Messages of ONNX Runtime that say nothing against the network."""

_MIRROR, _HALF, _BLEND = 1, 2, 4
"""Flags of the kernels."""

_KINDS = {"inverse_depth": 0, "metric_depth": 1, "depth": 2}
"""As the kernels number them."""

_SHIFTS = (21, 10, 0)
"""Bits below each digit of the search for the median."""

_PER_BLOCK = 4096
_SEARCH = 3 + 2048
"""Length of the kernels' struct Search in numbers of 32 bits."""


class CudaNetworkDepth(OnnxDepth):
    """See `rtfocus.depth.network.NetworkDepth`, whose results these are, in the GPU's memory.

    ONNX Runtime works on `gpu.compute`, on memory at fixed addresses, so that it can capture the
    network as a CUDA graph. It keeps a graph per thread, and so has one thread for itself.

    Values that are no numbers are counted on the GPU, and the count is read when it has come: the
    error is raised some frames late, at the latest by `close`.
    """

    def __init__(
        self,
        gpu: Gpu,
        path: Path,
        *,
        device: Device,
        picture: tuple[int, int],
        size: tuple[int, int] | None = None,
        fine: bool = False,
        every: int = 1,
        flip: bool = False,
    ) -> None:
        """Load a network, and run it on a grey picture so that nothing has to be loaded later.

        Args:
            gpu: where the pictures are.
            path: the .onnx file, with its card beside it or inside (`rtfocus.depth.card`).
            device: where it runs, the same GPU.
            picture: height and width of the frames to come.
            size: height and width to run at, exactly; None: about as many pixels as the card says,
                in the picture's aspect.
            fine: at the card's `fine_size`, where it has one, rather than at its `size`.
            every: run on every Nth frame; those in between get the very same array again.
            flip: run on the mirrored picture too (`rtfocus.depth.flip`), at twice the cost.

        Raises:
            ModelError: the file or its card is absent or unusable, or they contradict each other,
                or the network does not run.
            DeviceError: the network would not run on `device`.
            UnavailableError: ONNX Runtime is not installed.
            UsageError: `size` does not suit the network, or `every` is below 1.
        """
        self._gpu, self._path, self._device, self._flip = gpu, path, device, flip
        self._size: tuple[int, int] | None = None
        self._waiting: deque[_Count] = deque()
        self._free: list[NDArray[np.int32]] = []
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="network")
        settings = {"picture": picture, "size": size, "fine": fine, "every": every}
        try:
            self._by_tensorrt = self._open_tensorrt(path, device, settings)
            if not self._by_tensorrt:
                try:
                    self._open(path, device, settings, graph=True)
                except (DeviceError, ModelError) as error:  # not every network can be captured
                    self._open(path, device, settings, graph=False)
                    self.description += " without a CUDA graph"
                    _log.info("the depth network is not captured as a CUDA graph: %s", error)
        except BaseException:
            self._worker.shutdown()
            raise

    def close(self) -> None:
        """Release the network and its memory; safe to call twice.

        Raises:
            ModelError: the network's last answers were no depth maps.
        """
        super().close()
        if self._session is None:
            return
        self._wait()
        self._worker.shutdown()
        self._session = self._binding = None
        self._check_counts()

    def needs(self, picture: tuple[int, int]) -> Needs:
        """What a run cannot do without, from another one as `network_flops` makes it.

        Weights are counted as the file has them. TensorRT may do all on tensor cores.

        Args:
            picture: height and width of frames.
        """
        size = math.prod(picture) * PICTURE + math.prod(self._map) * VALUE
        tensor = np.zeros((1, 3, *self.grid), self._type)
        options = provider_options(self._gpu, self._device, self._path, graph=False)
        flops = network_flops(self._path, self._device, self.card.input, tensor, options=options)
        single = 0 if self._by_tensorrt else flops["float"]
        runs = 2 if self._flip else 1
        return Needs(
            size + self._path.stat().st_size, runs * single, runs * (flops.total() - single)
        )

    def _open_tensorrt(self, path: Path, device: Device, settings: dict[str, Any]) -> bool:
        """Whether TensorRT, where it is installed, runs the network."""
        version = tensorrt_version()
        if version is None or _TENSORRT not in import_runtime().get_available_providers():
            return False
        providers = (_TENSORRT, *device.providers)
        try:
            self._open(path, replace(device, providers=providers), settings, graph=True)
        except (DeviceError, ModelError) as error:
            _log.info("CUDA runs the depth network, since TensorRT %s does not: %s", version, error)
            return False
        self.description += f" by TensorRT {version}"
        return True

    def _open(self, path: Path, device: Device, settings: dict[str, Any], *, graph: bool) -> None:
        gpu = self._gpu
        options = provider_options(gpu, device, path, graph=graph)
        session = open_session(path, device, options=options)
        super().__init__(path, session, device=device, **settings)
        (answer,) = (each for each in session.get_outputs() if each.name == self.card.output)
        if answer.type not in TYPES:
            raise ModelError(
                f"output {answer.name!r} of {str(path)!r} is {answer.type}; it must be "
                "tensor(float) or tensor(float16). Export the network with float32 output."
            )
        self._kind, self._input_half = _KINDS[self.card.kind], _half(self._type)
        answer_type = TYPES[answer.type]
        self._answer_half = _half(answer_type)
        self._scales = gpu.upload(self._gain), gpu.upload(self._bias)
        self._tensor = gpu.empty((1, 3, *self.grid), self._type)
        self._binding = binding = session.io_binding()
        place = device.memory, device.index
        binding.bind_input(
            self.card.input, *place, self._type, self._tensor.shape, self._tensor.data.ptr
        )
        grey = gpu.upload(np.full((*settings["picture"], 3), 128, np.uint8))
        frame = Frame(grey, 0, 0, Fraction(1))
        # The shape of the answer is not known before there is one; no graph is captured of it.
        binding.bind_output(self.card.output, *place)
        self._prepare(grey, mirror=False)
        self._run(0, _run_options(graph=False))
        self._wait()
        shape = tuple(binding.get_outputs()[0].shape())
        self._map = self._map_size(shape)
        self._answer = gpu.empty(shape, answer_type)
        binding.clear_binding_outputs()
        binding.bind_output(self.card.output, *place, answer_type, shape, self._answer.data.ptr)
        self._bad = gpu.zeros(1, np.int32)
        self._searches = gpu.zeros((2, _SEARCH), np.int32)
        self._weights = gpu.upload(blend_weights(self._map[1]))
        self._run_options = _run_options(graph=True)
        self._infer(frame)
        self._wait()
        self._waiting.clear()  # what it says of grey does not matter

    def _infer(self, frame: Frame) -> Array:
        self._check_counts()
        disparity = self._gpu.empty(self._map, np.float32)
        self._gpu.fill(self._bad, 0)
        for mirror in (False, True) if self._flip else (False,):
            self._prepare(frame.image, mirror=mirror)
            self._run(frame.index, self._run_options)
            self._convert(disparity, mirror=mirror)
        self._read_count(frame.index)
        return disparity

    def _prepare(self, image: Array, *, mirror: bool) -> None:
        gpu, (rows, columns) = self._gpu, self.grid
        size = image.shape[:2]
        if self._size != size:
            self._size = size
            halvings, *spans = resize_spans(size, self.grid)
            self._spans = (halvings, *(gpu.upload(table.view(np.uint8)) for table in spans))
        flags = self._input_half | (_MIRROR if mirror else 0)
        gpu.launch(
            "prepare", "prepare", (columns, rows), image, size[1], *self._spans, *self._scales,
            rows, columns, flags, self._tensor,
        )  # fmt: skip

    def _run(self, index: int, options: Any) -> None:
        """Run the network on the tensor, which was made of this frame."""
        run = self._worker.submit(self._session.run_with_iobinding, self._binding, options)
        try:
            run.result()
        except runtime_errors() as error:
            if _OF_THE_GPU.search(reason(error)) is None:
                raise self._failure(index, error) from error
            raise DeviceError(
                f"the depth network cannot run on {self._device}: {reason(error)}. Close other "
                "programs that use the GPU, and see what `rtfocus doctor` says."
            ) from error

    def _convert(self, disparity: Array, *, mirror: bool) -> None:
        launch, (rows, columns) = partial(self._gpu.launch, "prepare"), self._map
        if self._kind == _KINDS["depth"]:
            count = rows * columns
            threads = (-(-count // _PER_BLOCK) * 32, 2 * 8)
            for shift in _SHIFTS:
                launch(
                    "find_middle", threads, self._answer, count, self._answer_half, shift,
                    self._searches,
                )  # fmt: skip
        flags = self._answer_half | (_MIRROR | _BLEND if mirror else 0)
        launch(
            "answer", (columns, rows), self._answer, rows, columns, flags, self._kind,
            self._searches, self._weights, disparity, self._bad,
        )  # fmt: skip

    def _wait(self) -> None:
        with device_errors():
            self._gpu.compute.synchronize()

    def _read_count(self, index: int) -> None:
        gpu = self._gpu
        host = self._free.pop() if self._free else gpu.empty_pinned((4,)).view(np.int32)
        with device_errors(), gpu.device:
            self._bad.get(stream=gpu.compute, out=host, blocking=False)
        self._waiting.append(_Count(index, host, gpu.record()))

    def _check_counts(self) -> None:
        """Look at the counts that have come."""
        while self._waiting and self._waiting[0].done.done:
            count = self._waiting.popleft()
            self._free.append(count.host)
            bad = int(count.host[0])
            if bad:
                self._waiting.clear()  # one is enough
            values = self._map[0] * self._map[1] * (2 if self._flip else 1)
            self._check_finite(bad, values, count.index)


@dataclass(frozen=True, slots=True)
class _Count:
    """How many values of a frame are no numbers, on its way to the host."""

    index: int
    host: NDArray[np.int32]
    done: Any


def _run_options(*, graph: bool) -> Any:
    """For one run, which ends when its work is given to the GPU; `graph` allows one."""
    options = import_runtime().RunOptions()
    options.add_run_config_entry("disable_synchronize_execution_providers", "1")
    options.add_run_config_entry("gpu_graph_id", "0" if graph else "-1")
    return options


def provider_options(
    gpu: Gpu, device: Device, path: Path, *, graph: bool
) -> Mapping[str, dict[str, str]]:
    """What ONNX Runtime's providers are told, by their names.

    Args:
        gpu: whose stream they use.
        device: which GPU that is.
        path: of the network.
        graph: capture the network as a CUDA graph.
    """
    common = {"device_id": str(device.index), "user_compute_stream": str(gpu.compute.ptr)}
    captured = "1" if graph else "0"
    options = {
        "CUDAExecutionProvider": {
            **common,
            "enable_cuda_graph": captured,
            # Its search by trial would choose one way today and another tomorrow, and takes long.
            "cudnn_conv_algo_search": "HEURISTIC",
            "use_tf32": "0",  # numbers like those of the CPU
            "arena_extend_strategy": "kSameAsRequested",
        }
    }
    if _TENSORRT in device.providers and path.is_file():
        folder = _engines(gpu, device, path)
        folder.mkdir(parents=True, exist_ok=True)
        # Both capturing on one stream would be one capture within the other.
        options["CUDAExecutionProvider"]["enable_cuda_graph"] = "0"
        options[_TENSORRT] = {
            **common,
            "trt_cuda_graph_enable": captured,
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(folder),
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": str(folder.parent),
        }
    return options


def _engines(gpu: Gpu, device: Device, path: Path) -> Path:
    with device_errors():
        runtime = gpu.cupy.cuda.runtime
        properties, driver = runtime.getDeviceProperties(device.index), runtime.driverGetVersion()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return engine_cache_folder(
        digest,
        runtime=import_runtime().__version__,
        tensorrt=tensorrt_version() or "none",
        gpu=properties["name"].decode(),
        driver=driver,
    )


def engine_cache_folder(digest: str, *, runtime: str, tensorrt: str, gpu: str, driver: int) -> Path:
    """Where TensorRT's engines of a network are kept; they suit nothing else than what is given.

    Args:
        digest: of the network's file.
        runtime: version of ONNX Runtime.
        tensorrt: version of TensorRT.
        gpu: the GPU's name.
        driver: version of CUDA that the driver has.
    """
    key = hashlib.sha256("\0".join([digest, runtime, tensorrt, gpu, str(driver)]).encode())
    return user_cache_path("rtfocus") / "tensorrt" / key.hexdigest()[:32]


def _half(dtype: type[np.floating[Any]]) -> int:
    return _HALF if dtype is np.float16 else 0
