"""The stages on a CPU."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from rtfocus.backend.base import Floors, Stages
from rtfocus.depth import open_depth
from rtfocus.depth.base import DepthSource
from rtfocus.depth.network import NetworkDepth
from rtfocus.device import Device
from rtfocus.focus.plane import Focuser
from rtfocus.frame import Disparity, Frame, Image, Map, Scale, StreamInfo
from rtfocus.lens import Lens
from rtfocus.metrics import Metrics
from rtfocus.render import make_renderer
from rtfocus.render.base import Renderer
from rtfocus.render.reduced import ReducedUpsampler, Reduction, resize_disparity
from rtfocus.render.views import View, draw_view
from rtfocus.settings import Settings
from rtfocus.smooth import Smoother
from rtfocus.upsample import Upsampler
from rtfocus.writers import Form


class CpuBackend:
    """See `rtfocus.backend.Backend`; everything is in the host's memory already."""

    decoding = encoding = None
    asynchronous = False

    def __init__(self, device: Device) -> None:
        self._device = device
        self.reduction = Reduction()

    def open_depth(self, settings: Settings, info: StreamInfo) -> DepthSource:
        """See `Backend`."""
        network = partial(NetworkDepth, device=self._device, threads=settings.cores())
        return open_depth(settings, info, network)

    def make_stages(
        self, settings: Settings, *, scale: Scale, strength: float, ahead: int
    ) -> Stages:
        """See `Backend`."""
        threads = settings.cores()
        reduces = settings.method == "lens" and settings.tier() == "live"
        return Stages(
            Smoother(scale, strength=strength, ahead=ahead),
            ReducedUpsampler(self.reduction, threads) if reduces else Upsampler(threads),
            Focuser(settings.target()),
            self.make_renderer(settings),
        )

    def make_renderer(self, settings: Settings) -> Renderer:
        """See `Backend`."""
        return make_renderer(
            settings.method,
            settings.tier(),
            aperture=settings.aperture(),
            highlights=settings.highlights,
            threads=settings.cores(),
            reduction=self.reduction,
        )

    def make_metrics(self) -> Metrics:
        """See `Backend`; CPU time is that of the whole process, threads of the stages included."""
        return Metrics(cpu_clock=time.process_time)

    def floors(self, picture: tuple[int, int], depth: DepthSource, stages: Stages) -> Floors:  # noqa: ARG002
        """See `Backend`; caches make it no matter of bytes."""
        return Floors({}, {})

    def upload(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """See `Backend`."""
        return iter(frames)

    def place(self, disparity: Map) -> Map:
        """See `Backend`."""
        return disparity

    def fetch(self, disparity: Disparity) -> Disparity:
        """See `Backend`."""
        return disparity

    def carry(self, disparity: Disparity) -> Disparity:
        """See `Backend`."""
        return replace(disparity, cut=False) if disparity.cut else disparity

    def fetch_image(self, image: Image) -> Image:
        """See `Backend`."""
        return image

    def place_plane(self, plane: float) -> float:
        """See `Backend`."""
        return plane

    def draw(
        self, view: View, image: Image, result: Image, disparity: Disparity, plane: float,
        lens: Lens,
    ) -> Image:  # fmt: skip
        """See `Backend`."""
        shown = resize_disparity(disparity, image.shape[:2])
        return draw_view(view, image, result, shown, plane, lens)

    def send(self, frame: Frame, form: Form) -> Frame:  # noqa: ARG002 - writers convert RGB
        """See `Backend`."""
        return frame

    def receive(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """See `Backend`."""
        return iter(frames)
