"""From a frame to its refocused picture: the heart of the program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Protocol

from rtfocus.backend import Backend
from rtfocus.depth.base import DepthSource
from rtfocus.frame import Disparity, Frame
from rtfocus.metrics import Metrics
from rtfocus.settings import Settings
from rtfocus.writers import Form

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
        backend: Backend,
        *,
        look_ahead: int = 0,
        metrics: Metrics | None = None,
        depth_sink: DepthSink | None = None,
        form: Form = "rgb",
    ) -> None:
        """Make the stages.

        Args:
            settings: what to do.
            depth: where depth comes from.
            backend: where it is done.
            look_ahead: frames that `stream` may look ahead; `refocus` never does.
            metrics: where the time of stages is counted.
            depth_sink: keeps the depth.
            form: what the writer takes.
        """
        strength = settings.smooth
        if strength is None:
            strength = 0.0 if depth.steady else NETWORK_SMOOTHING
        ahead = look_ahead if strength > 0 else 0  # what is not blended gains nothing from waiting
        self.depth = depth
        self.stages = backend.make_stages(
            settings, scale=depth.scale, strength=strength, ahead=ahead
        )
        self.lens = settings.lens()
        self._settings, self._backend = settings, backend
        self._metrics = metrics or Metrics()
        self._depth_sink, self._form = depth_sink, form

    def refocus(self, frame: Frame) -> Frame:
        """The frame refocused, from itself and those before it."""
        ((frame, disparity),) = self.estimate([frame])
        with self._metrics.time("smooth"):
            steady = self.stages.smoother.update(disparity, frame)
        (result,) = self.deliver([self._finish(frame, steady)])
        return result

    def estimate(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Any]]:
        """Frames on the device with their raw disparity.

        This is what comes before `stream`, and may run in a thread of its own.
        """
        for frame in self._backend.upload(frames):
            with self._metrics.time("depth"):
                disparity = self._backend.place(self.depth.estimate(frame))
            yield replace(frame, disparity=None), disparity  # frames wait; what they carry adds up

    def stream(self, pairs: Iterable[tuple[Frame, Any]]) -> Iterator[Frame]:
        """Refocused frames, on their way to `deliver`, from those with raw disparity."""
        waited = self._metrics.each("wait", pairs)
        for frame, steady in self._metrics.each("smooth", self.stages.smoother.stream(waited)):
            yield self._finish(frame, steady)

    def deliver(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames of `stream` with their pictures as the writer takes them."""
        return self._backend.receive(frames)

    def close(self) -> None:
        """Release threads, files and devices; safe to call twice."""
        self.stages.close()
        self.depth.close()

    def _finish(self, frame: Frame, steady: Any) -> Frame:
        stages, view = self.stages, self._settings.view
        if self._depth_sink is not None:
            with self._metrics.time("save depth"):
                self._depth_sink.write(frame, self._backend.fetch(steady))
        with self._metrics.time("upsample"):
            disparity = stages.upsampler(steady, frame.image)
        with self._metrics.time("focus"):
            plane = stages.focuser.update(disparity, frame)
        image = frame.image
        if view in ("result", "split"):
            with self._metrics.time("render"):
                image = stages.renderer.render(frame.image, disparity, plane, self.lens)
        if view != "result":
            image = self._backend.draw(self._settings, frame.image, image, disparity, plane)
        return self._backend.send(frame.with_image(image), self._form)
