"""From a frame to its refocused picture: the heart of the program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from rtfocus.depth.base import DepthSource
from rtfocus.focus import Focuser
from rtfocus.frame import Disparity, Frame, Map
from rtfocus.metrics import Metrics
from rtfocus.render import make_renderer
from rtfocus.settings import Settings
from rtfocus.smooth import Smoother
from rtfocus.upsample import Upsampler
from rtfocus.views import draw_view

NETWORK_SMOOTHING = 0.5
"""Strength for depth that flickers, unless the user says otherwise."""


class DepthSink(Protocol):
    """Keeps the depth that was used."""

    def write(self, frame: Frame, disparity: Disparity) -> None:
        """Add the smoothed depth of one frame."""


class Engine:
    """Everything between a reader and a writer, for one stream of frames."""

    def __init__(
        self,
        settings: Settings,
        depth: DepthSource,
        *,
        look_ahead: int = 0,
        metrics: Metrics | None = None,
        depth_sink: DepthSink | None = None,
    ) -> None:
        """Args: look_ahead: frames that `stream` may look ahead; `refocus` never does."""
        threads = settings.cores()
        strength = settings.smooth
        if strength is None:
            strength = 0.0 if depth.steady else NETWORK_SMOOTHING
        self.depth = depth
        ahead = look_ahead if strength > 0 else 0  # what is not blended gains nothing from waiting
        self.smoother = Smoother(depth.scale, strength=strength, ahead=ahead)
        self.upsampler = Upsampler(threads=threads)
        self.focuser = Focuser(settings.target())
        self.lens = settings.lens()
        self.renderer = make_renderer(
            settings.method,
            settings.quality,
            aperture=settings.aperture(),
            highlights=settings.highlights,
            threads=threads,
        )
        self._view = settings.view
        self._metrics = metrics or Metrics()
        self._depth_sink = depth_sink

    def refocus(self, frame: Frame) -> Frame:
        """The frame refocused, from itself and those before it."""
        with self._metrics.time("depth"):
            disparity = self.depth.estimate(frame)
        with self._metrics.time("smooth"):
            steady = self.smoother.update(disparity, frame)
        return self._finish(frame, steady)

    def estimate(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Map]]:
        """Frames with their raw disparity; the first half of `stream`, for a thread of its own."""
        for frame in frames:
            with self._metrics.time("depth"):
                disparity = self.depth.estimate(frame)
            yield replace(frame, disparity=None), disparity  # frames wait; what they carry adds up

    def stream(self, pairs: Iterable[tuple[Frame, Map]]) -> Iterator[Frame]:
        """Refocused frames from those with raw disparity, looking ahead."""
        waited = self._metrics.each("wait", pairs)
        for frame, steady in self._metrics.each("smooth", self.smoother.stream(waited)):
            yield self._finish(frame, steady)

    def close(self) -> None:
        """Release threads, files and devices; safe to call twice."""
        self.upsampler.close()
        self.renderer.close()
        self.depth.close()

    def _finish(self, frame: Frame, steady: Disparity) -> Frame:
        if self._depth_sink is not None:
            with self._metrics.time("save depth"):
                self._depth_sink.write(frame, steady)
        with self._metrics.time("upsample"):
            disparity = self.upsampler(steady, frame.image)
        with self._metrics.time("focus"):
            focus = self.focuser.update(disparity, frame)
        image = frame.image
        if self._view in ("result", "split"):
            with self._metrics.time("render"):
                image = self.renderer.render(frame.image, disparity, focus, self.lens)
        if self._view != "result":
            image = draw_view(self._view, frame.image, image, disparity, focus, self.lens)
        return frame.with_image(image)
