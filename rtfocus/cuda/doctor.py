"""What `rtfocus doctor` looks at where there is an NVIDIA driver."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from typing import cast

import av
import numpy as np

from rtfocus.checks import Check
from rtfocus.cuda.errors import import_cupy
from rtfocus.cuda.gpu import Gpu
from rtfocus.cuda.network import CudaNetworkDepth
from rtfocus.cuda.tensorrt import tensorrt_version
from rtfocus.cuda.video import GpuEncoding
from rtfocus.device import resolve
from rtfocus.errors import RtfocusError
from rtfocus.frame import Frame, StreamInfo
from rtfocus.models.registry import built_in
from rtfocus.writers.codec import try_on_device

ENCODERS = ("h264_nvenc", "hevc_nvenc", "av1_nvenc")
DECODERS = ("h264_cuvid", "hevc_cuvid", "vp9_cuvid", "av1_cuvid")

ENOUGH_MEMORY = 1500
"""Free GPU memory in MB that 1080p is meant to fit into. By their sizes arrays take about 727 MiB
of it where depth is of that size, too; what CUDA and ONNX Runtime take was not measured yet."""

_REMEDY = "See the message, or use --device cpu."


def gpu_checks() -> list[Check]:
    """Look at everything on the GPU; takes some seconds. Nothing is raised."""
    return [check() for check in _CHECKS]


def _driver() -> Check:
    program = shutil.which("nvidia-smi")
    if program is None:
        return Check("NVIDIA GPU", True, "driver without nvidia-smi")
    query = [program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        remedy = "Install the driver again (nvidia.com/drivers), or restart the machine."
        return Check("NVIDIA GPU", False, f"nvidia-smi fails: {error}", remedy)
    return Check("NVIDIA GPU", True, "; ".join(done.stdout.strip().splitlines()) or "none")


def _kernels() -> Check:
    """CuPy compiles a kernel and runs it."""
    try:
        cupy = import_cupy()
        gpu = Gpu()
        gpu.launch("prepare", "answer", (1, 1), *_tiny(gpu))
        gpu.compute.synchronize()
        cuda = cupy.cuda.runtime.runtimeGetVersion()
    except RtfocusError as error:
        return Check("CuPy", False, str(error), _REMEDY)
    except Exception as error:  # the compiler's, too, which are of many kinds
        line = " ".join(str(error).split())
        remedy = 'Install it again: pip install "rtfocus[cuda]", or "rtfocus[cuda12]" for CUDA 12.'
        return Check("CuPy", False, f"cannot run a kernel: {line}", remedy)
    version = f"{cuda // 1000}.{cuda % 1000 // 10}"
    return Check("CuPy", True, f"{cupy.__version__} for CUDA {version} runs a kernel")


def _tiny(gpu: Gpu) -> tuple[object, ...]:
    """Arguments of the kernel `answer` for one value."""
    values, search = gpu.zeros((1, 1), np.float32), gpu.zeros(1, np.int32)
    return values, 1, 1, 0, 0, search, values, gpu.empty((1, 1), np.float32), search


def _network() -> Check:
    name = "Depth network on the GPU"
    start = time.perf_counter()
    try:
        device = resolve("cuda")
        gpu = Gpu(device.index)
        source = CudaNetworkDepth(gpu, built_in(), device=device, picture=(192, 320))
        image = gpu.upload(np.zeros((192, 320, 3), np.uint8))
        gpu.download(source.estimate(Frame(image, 0, 0, Fraction(1, 25))))
        seconds = time.perf_counter() - start
        source.close()
    except RtfocusError as error:
        return Check(name, False, str(error), _REMEDY)
    return Check(name, True, f"{source.card.name}, first answer after {seconds:.2f} s")


def _memory() -> Check:
    name = "Free GPU memory"
    try:
        free, total = import_cupy().cuda.runtime.memGetInfo()
    except Exception as error:  # without CuPy or a GPU, which other checks tell
        return Check(name, False, " ".join(str(error).split()), _REMEDY)
    ok = free >> 20 >= ENOUGH_MEMORY
    remedy = "" if ok else f"1080p may take {ENOUGH_MEMORY} MB; close other programs."
    return Check(name, ok, f"{free >> 20} of {total >> 20} MB", remedy)


def _tensorrt() -> Check:
    return Check("TensorRT", True, tensorrt_version() or "not installed; CUDA and cuDNN are used")


def _decoders() -> Check:
    usable = [name for name in DECODERS if _can_decode(name)]
    return Check("NVDEC", True, ", ".join(usable) or "not usable; the CPU decodes")


def _can_decode(name: str) -> bool:
    """Whether a decoder opens; that it is listed proves nothing."""
    try:
        cast(av.VideoCodecContext, av.CodecContext.create(name, "r")).open()
    except (av.FFmpegError, av.codec.codec.UnknownCodecError):
        return False
    return True


def _encoders() -> Check:
    try:
        encoding = GpuEncoding(Gpu())
    except RtfocusError:  # which other checks tell
        usable = []
    else:
        usable = [name for name in ENCODERS if _can_encode(name, encoding)]
    return Check("NVENC", True, ", ".join(usable) or "not usable; the CPU encodes")


def _can_encode(name: str, encoding: GpuEncoding) -> bool:
    """Whether an encoder takes a picture that is on the GPU."""
    rate = Fraction(30)
    info = StreamInfo("doctor", "video", 640, 360, 1 / rate, rate, frames=None)
    try:
        try_on_device(name, info, encoding)
    except (av.FFmpegError, RtfocusError):
        return False
    return True


_CHECKS: tuple[Callable[[], Check], ...] = (
    _driver,
    _kernels,
    _network,
    _memory,
    _tensorrt,
    _decoders,
    _encoders,
)
