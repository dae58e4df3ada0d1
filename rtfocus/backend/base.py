"""The stages of one job, in the memory of the processor that runs them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from rtfocus.depth.base import DepthSource
from rtfocus.frame import Disparity, Frame, Image, Scale, StreamInfo
from rtfocus.lens import Lens
from rtfocus.metrics import Metrics
from rtfocus.readers import Decoding
from rtfocus.render.reduced import Reduction
from rtfocus.render.views import View
from rtfocus.settings import Settings
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


@dataclass(frozen=True, slots=True)
class Floors:
    """The least that stages could take on a device.

    Attributes:
        rates: what the device was measured to do in a second.
        stages: by stage the megabytes that it reads and writes and its arithmetic (`gflop`), both
            at least and for a frame of which depth is estimated, and the ms that they take at those
            rates (`floor_ms`).
    """

    rates: dict[str, float]
    stages: dict[str, dict[str, float]]


class Backend(Protocol):
    """Makes the stages of a job for one device, and carries pictures there and back."""

    @property
    def decoding(self) -> Decoding | None:
        """The device as a decoder, for readers."""

    @property
    def encoding(self) -> Encoding | None:
        """The device as an encoder, for writers."""

    @property
    def reduction(self) -> Reduction | None:
        """How far the tier "live" reduces the picture; None where it does not."""

    @property
    def asynchronous(self) -> bool:
        """Whether stages only begin their work, so that a slow network holds up nothing else."""

    def open_depth(self, settings: Settings, info: StreamInfo) -> DepthSource:
        """See `rtfocus.depth.open_depth`."""

    def make_stages(
        self, settings: Settings, *, scale: Scale, strength: float, ahead: int
    ) -> Stages:
        """The stages for depth of this scale, smoothed so strongly and looking ahead so far."""

    def make_renderer(self, settings: Settings) -> Any:
        """The renderer alone, for another aperture."""

    def make_metrics(self) -> Metrics:
        """A clock for stages that run one after the other."""

    def floors(self, picture: tuple[int, int], depth: DepthSource, stages: Stages) -> Floors:
        """The least that stages could take here, of those of which it can be told.

        Args:
            picture: height and width.
            depth: what `open_depth` gave.
            stages: after a frame, whose radii count.
        """

    def upload(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames, with their pictures on the device."""

    def place(self, disparity: Any) -> Any:
        """A map on the device; the very same one for the very same one."""

    def fetch(self, disparity: Any) -> Disparity:
        """A disparity on the host."""

    def carry(self, disparity: Any) -> Any:
        """The same disparity for a later frame, which is no cut again."""

    def fetch_image(self, image: Any) -> Image:
        """A picture on the host."""

    def place_plane(self, plane: float) -> Any:
        """The plane of focus as the renderer takes it."""

    def draw(
        self, view: View, image: Any, result: Any, disparity: Any, plane: Any, lens: Lens
    ) -> Any:
        """The picture of a view, see `rtfocus.render.views.draw_view`."""

    def send(self, frame: Frame, form: Form) -> Frame:
        """Start to bring a frame's picture into a writer's form, without waiting for it."""

    def receive(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames of `send`, with their pictures in that form, or else in RGB."""
