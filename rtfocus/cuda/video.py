"""Video that is decoded and encoded on the GPU, whose pictures never leave it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.video.frame import CudaContext, VideoFrame

from rtfocus.cuda.errors import device_errors
from rtfocus.cuda.gpu import Array, Gpu
from rtfocus.planes import Planes
from rtfocus.readers.address import for_ffmpeg

_log = logging.getLogger("rtfocus")

_IMPORTED = ("nv12", "p010le", "p016le")
"""What PyAV hands on of pictures in the GPU's memory."""


@dataclass(frozen=True, slots=True)
class GpuPicture:
    """A picture in the GPU's memory for an encoder there.

    Attributes:
        planes: NV12.
        ready: event of the work that makes them.
    """

    planes: Planes
    ready: Any


class GpuDecoding:
    """Decodes with NVDEC where that takes the video; see `rtfocus.readers.decoding.Decoding`."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu

    def open(self, source: str) -> InputContainer | None:
        """The file, to be decoded on the GPU; None where that cannot be, which is said."""
        # That codecs which NVDEC lacks come from the CPU after all must be allowed for cover art.
        accelerator = HWAccel(
            "cuda", str(self._gpu.index), allow_software_fallback=True, is_hw_owned=True
        )
        try:
            return av.open(for_ffmpeg(source), metadata_errors="replace", hwaccel=accelerator)
        except av.InvalidDataError:  # the file's own fault, which opening it on the CPU tells
            return None
        except av.FFmpegError as error:  # no driver, or a GPU without a decoder
            _log.info("decoding on the CPU: NVDEC cannot be used (%s)", error)
            return None

    def holds(self, frame: VideoFrame) -> bool:
        """Whether a decoded picture is in the GPU's memory."""
        return frame.format.name == "cuda"

    def planes(self, frame: VideoFrame) -> Planes | None:
        """NV12 or P010 in the GPU's memory; None for all else, such as HEVC in 4:4:4."""
        if frame.sw_format is None or frame.sw_format.name not in _IMPORTED:
            return None
        luma, chroma = (self._import(plane) for plane in frame.planes)
        return Planes(luma, (chroma.reshape(chroma.shape[0], -1),))

    def _import(self, plane: Any) -> Array:
        with device_errors(), self._gpu.device, self._gpu.compute:
            return self._gpu.cupy.from_dlpack(_Exported(plane))


class _Exported:
    """PyAV's plane for CuPy: the one refuses to wait for streams, the other insists on naming one.

    The decoder works on the default stream, which `Uploader` waits for.
    """

    def __init__(self, plane: Any) -> None:
        self._plane = plane

    def __dlpack_device__(self) -> tuple[int, int]:
        device: tuple[int, int] = self._plane.__dlpack_device__()
        return device

    def __dlpack__(self, **_: object) -> Any:
        return self._plane.__dlpack__()


class GpuEncoding:
    """Encodes with NVENC; see `rtfocus.writers.codec.Encoding`."""

    encoders: Mapping[str, str] = MappingProxyType(
        {
            "h264": "h264_nvenc",
            "hevc": "hevc_nvenc",
            "h265": "hevc_nvenc",
            "av1": "av1_nvenc",
            "h264_nvenc": "h264_nvenc",
            "hevc_nvenc": "hevc_nvenc",
            "av1_nvenc": "av1_nvenc",
        }
    )
    pixel_format = "cuda"

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._context = CudaContext(device_id=gpu.index, primary_ctx=True)

    def blank(self, height: int, width: int) -> VideoFrame:
        """A picture of even sides to try an encoder with."""
        luma, chroma = (self._gpu.zeros((rows, width), np.uint8) for rows in (height, height // 2))
        return self.frame(GpuPicture(Planes(luma, (chroma,)), self._gpu.record()))

    def frame(self, picture: GpuPicture) -> VideoFrame:
        """The picture as an encoder takes it, which keeps its memory until it is encoded."""
        with device_errors(), self._gpu.device:
            self._gpu.cupy.cuda.Stream.null.wait_event(picture.ready)  # where NVENC reads
        planes = picture.planes.arrays
        return VideoFrame.from_dlpack(
            planes, format="nv12", stream=-1, cuda_context=self._context  # -1: no more waiting
        )  # fmt: skip
