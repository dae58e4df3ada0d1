"""The stages of one job, in the memory of the processor that runs them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from rtfocus.depth import open_depth
from rtfocus.depth.base import DepthSource
from rtfocus.depth.network import NetworkDepth
from rtfocus.device import Device
from rtfocus.focus import Focuser
from rtfocus.frame import Disparity, Frame, Image, Map, Scale, StreamInfo
from rtfocus.metrics import Metrics
from rtfocus.readers import Decoding
from rtfocus.reduced import ReducedUpsampler, resize_disparity
from rtfocus.render import make_renderer
from rtfocus.settings import Settings
from rtfocus.smooth import Smoother
from rtfocus.upsample import Upsampler
from rtfocus.views import draw_view
from rtfocus.writers import Encoding, Form


@dataclass(frozen=True, slots=True)
class Stages:
    """What happens to every frame after its depth was estimated; see the CPU's classes.

    What they hand to each other lies in the device's memory: NumPy arrays, `Disparity` and the
    plane of focus as a float on the CPU; CuPy arrays, the plane among them, and
    `rtfocus.cuda.disparity.DeviceDisparity` on a GPU.
    """

    smoother: Any
    upsampler: Any
    focuser: Any
    renderer: Any

    def close(self) -> None:
        """Release threads and memory; safe to call twice."""
        self.upsampler.close()
        self.renderer.close()


class Backend(Protocol):
    """Makes the stages of a job for one device, and carries pictures there and back."""

    @property
    def decoding(self) -> Decoding | None:
        """The device as a decoder, for readers."""

    @property
    def encoding(self) -> Encoding | None:
        """The device as an encoder, for writers."""

    def open_depth(self, settings: Settings, info: StreamInfo) -> DepthSource:
        """See `rtfocus.depth.open_depth`."""

    def make_stages(
        self, settings: Settings, *, scale: Scale, strength: float, ahead: int
    ) -> Stages:
        """The stages for depth of this scale, smoothed so strongly and looking ahead so far."""

    def make_metrics(self) -> Metrics:
        """A clock for stages that run one after the other."""

    def floors(self, picture: tuple[int, int], grid: tuple[int, int]) -> dict[str, float]:
        """The least ms per frame that stages could take here, where that can be told.

        Args:
            picture: height and width.
            grid: height and width of depth maps.
        """

    def upload(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames, with their pictures on the device."""

    def place(self, disparity: Any) -> Any:
        """A map on the device; the very same one for the very same one."""

    def fetch(self, disparity: Any) -> Disparity:
        """A disparity on the host."""

    def draw(self, settings: Settings, image: Any, result: Any, disparity: Any, plane: Any) -> Any:
        """The picture of the settings' view, see `rtfocus.views.draw_view`."""

    def send(self, frame: Frame, form: Form) -> Frame:
        """Start to bring a frame's picture into a writer's form, without waiting for it."""

    def receive(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames of `send`, with their pictures in that form, or else in RGB."""


def open_backend(device: Device) -> Backend:
    """The backend of a device.

    Raises:
        DeviceError: the device cannot be used.
    """
    if device.kind == "cuda":
        from rtfocus.cuda.backend import CudaBackend

        return CudaBackend(device)
    return CpuBackend(device)


class CpuBackend:
    """See `Backend`; everything is in the host's memory already."""

    decoding = encoding = None

    def __init__(self, device: Device) -> None:
        self._device = device

    def open_depth(self, settings: Settings, info: StreamInfo) -> DepthSource:
        """See `Backend`."""
        network = partial(NetworkDepth, device=self._device, threads=settings.cores())
        return open_depth(settings, info, network)

    def make_stages(
        self, settings: Settings, *, scale: Scale, strength: float, ahead: int
    ) -> Stages:
        """See `Backend`."""
        reduced = settings.method == "lens" and settings.quality == "live"
        return Stages(
            Smoother(scale, strength=strength, ahead=ahead),
            (ReducedUpsampler if reduced else Upsampler)(threads=settings.cores()),
            Focuser(settings.target()),
            make_renderer(
                settings.method,
                settings.quality,
                aperture=settings.aperture(),
                highlights=settings.highlights,
                threads=settings.cores(),
            ),
        )

    def make_metrics(self) -> Metrics:
        """See `Backend`; CPU time is that of the whole process, threads of the stages included."""
        return Metrics(cpu_clock=time.process_time)

    def floors(self, picture: tuple[int, int], grid: tuple[int, int]) -> dict[str, float]:  # noqa: ARG002
        """See `Backend`; caches make it no matter of bytes."""
        return {}

    def upload(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """See `Backend`."""
        return iter(frames)

    def place(self, disparity: Map) -> Map:
        """See `Backend`."""
        return disparity

    def fetch(self, disparity: Disparity) -> Disparity:
        """See `Backend`."""
        return disparity

    def draw(
        self, settings: Settings, image: Image, result: Image, disparity: Disparity, plane: float
    ) -> Image:
        """See `Backend`."""
        shown = resize_disparity(disparity, image.shape[:2])
        return draw_view(settings.view, image, result, shown, plane, settings.lens())

    def send(self, frame: Frame, form: Form) -> Frame:  # noqa: ARG002 - writers convert RGB
        """See `Backend`."""
        return frame

    def receive(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """See `Backend`."""
        return iter(frames)
