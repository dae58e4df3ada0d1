"""The stages on a GPU, and what carries pictures there and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from rtfocus.backend.base import Floors, Stages
from rtfocus.cuda.disparity import DeviceDisparity
from rtfocus.cuda.floor import measure_floors, stage_needs
from rtfocus.cuda.focus import CudaFocuser
from rtfocus.cuda.gpu import Array, Gpu
from rtfocus.cuda.metrics import CudaMetrics
from rtfocus.cuda.network import CudaNetworkDepth
from rtfocus.cuda.render import CudaRenderer
from rtfocus.cuda.smooth import CudaSmoother
from rtfocus.cuda.transfer import Downloader, InFlight, Uploader
from rtfocus.cuda.upsample import CudaUpsampler
from rtfocus.cuda.video import GpuDecoding, GpuEncoding, GpuPicture
from rtfocus.cuda.yuv import YuvConverter, split_i420
from rtfocus.depth import open_depth
from rtfocus.depth.base import DepthSource
from rtfocus.device import Device
from rtfocus.frame import Disparity, Frame, Image, Map, Scale, StreamInfo
from rtfocus.lens import Lens
from rtfocus.metrics import Metrics
from rtfocus.render.graded import GradedRenderer
from rtfocus.render.layers import TIERS
from rtfocus.render.views import View, draw_view
from rtfocus.settings import Settings
from rtfocus.writers import Form


class CudaBackend:
    """See `rtfocus.backend.Backend`."""

    reduction = None
    asynchronous = True

    def __init__(self, device: Device) -> None:
        """Raises: DeviceError: the GPU cannot be used."""
        self._device = device
        self._gpu = Gpu(device.index)
        self._uploader, self._downloader = Uploader(self._gpu), Downloader(self._gpu)
        self._converter = YuvConverter(self._gpu)
        self.decoding, self.encoding = GpuDecoding(self._gpu), GpuEncoding(self._gpu)
        self._placed: tuple[Map, Array] | None = None
        self._no_cut = self._gpu.zeros(1, np.int32)

    def open_depth(self, settings: Settings, info: StreamInfo) -> DepthSource:
        """See `Backend`."""
        return open_depth(settings, info, partial(CudaNetworkDepth, self._gpu, device=self._device))

    def make_stages(
        self, settings: Settings, *, scale: Scale, strength: float, ahead: int
    ) -> Stages:
        """See `Backend`."""
        gpu = self._gpu
        return Stages(
            CudaSmoother(gpu, scale, strength=strength, ahead=ahead),
            CudaUpsampler(gpu),
            CudaFocuser(gpu, settings.target()),
            self.make_renderer(settings),
        )

    def make_renderer(self, settings: Settings) -> CudaRenderer | _OnHost:
        """See `Backend`."""
        if settings.method != "lens":
            return _OnHost(self, GradedRenderer(settings.method))
        tier, aperture = TIERS[settings.tier()], settings.aperture()
        return CudaRenderer(self._gpu, tier, aperture, highlights=settings.highlights)

    def make_metrics(self) -> Metrics:
        """See `Backend`."""
        return CudaMetrics(self._gpu)

    def floors(self, picture: tuple[int, int], depth: DepthSource, stages: Stages) -> Floors:
        """See `Backend`; at rates measured now."""
        needs = stage_needs(picture, getattr(depth, "grid", picture))
        if isinstance(depth, CudaNetworkDepth):
            needs["depth"] = depth.needs(picture)
        if isinstance(stages.renderer, CudaRenderer):
            needs["render"] = replace(needs["render"], single=stages.renderer.flops())
        return measure_floors(self._gpu, needs)

    def upload(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """See `Backend`."""
        return self._uploader.stream(frames)

    def place(self, disparity: Map | Array) -> Array:
        """See `Backend`."""
        if not isinstance(disparity, np.ndarray):
            return disparity
        if self._placed is None or self._placed[0] is not disparity:
            self._placed = disparity, self._gpu.upload(disparity)
        return self._placed[1]

    def fetch(self, disparity: DeviceDisparity) -> Disparity:
        """See `Backend`."""
        get, scale = self._gpu.download, None
        if disparity.metric is not None:
            factor, offset = get(disparity.metric)
            scale = float(factor), float(offset)
        return Disparity(get(disparity.values), scale, bool(get(disparity.cut)[0]))

    def carry(self, disparity: DeviceDisparity) -> DeviceDisparity:
        """See `Backend`."""
        return replace(disparity, cut=self._no_cut)

    def place_plane(self, plane: float) -> Array:
        """See `Backend`."""
        return self._gpu.upload(np.array([plane], np.float32))

    def draw(
        self, view: View, image: Array, result: Array, disparity: DeviceDisparity, plane: Array,
        lens: Lens,
    ) -> Image:  # fmt: skip
        """See `Backend`; drawn on the host."""
        picture = self._gpu.download(image)
        shown = picture if result is image else self.fetch_image(result)
        focus = float(self._gpu.download(plane)[0])
        return draw_view(view, picture, shown, self.fetch(disparity), focus, lens)

    def fetch_image(self, image: Array | Image) -> Image:
        """See `Backend`."""
        return image if isinstance(image, np.ndarray) else self._gpu.download(image)

    def send(self, frame: Frame, form: Form) -> Frame:
        """See `Backend`."""
        image: Any = frame.image
        if form == "device":
            source = self._gpu.upload(image) if isinstance(image, np.ndarray) else image
            image = GpuPicture(self._converter.to_nv12(source), self._gpu.record())
        elif form == "i420" and not isinstance(image, np.ndarray):
            unpack = partial(split_i420, size=image.shape[:2])
            image = self._downloader.start(self._converter.to_i420(image), unpack)
        elif not isinstance(image, np.ndarray):
            image = self._downloader.start(image)
        return frame.with_image(image)

    def receive(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """See `Backend`."""
        for frame in frames:
            image = frame.image
            if isinstance(image, InFlight):
                frame = frame.with_image(self._downloader.finish(image))
            yield frame


class _OnHost:
    """A renderer of the CPU for pictures on the GPU."""

    def __init__(self, backend: CudaBackend, renderer: GradedRenderer) -> None:
        self._backend, self._renderer = backend, renderer

    def render(self, image: Array, disparity: DeviceDisparity, plane: Array, lens: Lens) -> Image:
        backend = self._backend
        focus = float(backend.fetch_image(plane)[0])
        return self._renderer.render(
            backend.fetch_image(image), backend.fetch(disparity), focus, lens
        )

    def close(self) -> None:
        self._renderer.close()
