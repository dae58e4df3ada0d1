"""From a frame to its refocused picture: the heart of the program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Protocol

from rtfocus.backend import Backend
from rtfocus.depth.base import DepthSource
from rtfocus.focus.steering import Aim, Steering
from rtfocus.frame import Disparity, Frame
from rtfocus.lens import Lens
from rtfocus.metrics import Metrics
from rtfocus.render.views import View
from rtfocus.settings import Settings
from rtfocus.state import LiveState
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
        steering: Steering | None = None,
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
            steering: finds the focus; None: the target of the settings, without leaving the device.
        """
        self.depth, self.backend = depth, backend
        strength = self._strength(settings)
        ahead = look_ahead if strength > 0 else 0  # what is not blended gains nothing from waiting
        self.stages = backend.make_stages(
            settings, scale=depth.scale, strength=strength, ahead=ahead
        )
        self.metrics = metrics or Metrics()
        self._settings, self._lens = settings, settings.lens()
        self._steering = steering
        self._depth_sink, self._form = depth_sink, form

    def adjust(self, settings: Settings) -> None:
        """Use another lens, aperture, share of highlights or smoothing from the next frame on."""
        before, self._settings = self._settings, settings
        self._lens = settings.lens()
        self.stages.smoother.set_strength(self._strength(settings))
        if (settings.aperture(), settings.highlights) != (before.aperture(), before.highlights):
            self.stages.renderer.close()
            self.stages = replace(self.stages, renderer=self.backend.make_renderer(settings))

    def steer(self, state: LiveState) -> None:
        """Have the steering find what this state asks for, from the next frame on."""
        assert self._steering is not None
        self._steering.state = state

    def refocus(self, frame: Frame) -> Frame:
        """The frame refocused, from itself and those before it."""
        (result,) = self.deliver([self._show(*self.measure(frame))])
        return result

    def measure(self, frame: Frame) -> tuple[Frame, Any]:
        """The frame on the device with its steady disparity, from itself and those before it."""
        ((frame, disparity),) = self.estimate([frame])
        with self.metrics.time("smooth"):
            return frame, self.stages.smoother.update(disparity, frame)

    def estimate(self, frames: Iterable[Frame]) -> Iterator[tuple[Frame, Any]]:
        """Frames on the device with their raw disparity.

        This is what comes before `stream`, and may run in a thread of its own.
        """
        for frame in self.backend.upload(frames):
            with self.metrics.time("depth"):
                disparity = self.backend.place(self.depth.estimate(frame))
            yield replace(frame, disparity=None), disparity  # frames wait; what they carry adds up

    def stream(self, pairs: Iterable[tuple[Frame, Any]]) -> Iterator[Frame]:
        """Refocused frames, on their way to `deliver`, from those with raw disparity."""
        waited = self.metrics.each("wait", pairs)
        for frame, steady in self.metrics.each("smooth", self.stages.smoother.stream(waited)):
            yield self._show(frame, steady)

    def deliver(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The frames of `stream` with their pictures as the writer takes them."""
        return self.backend.receive(frames)

    def take(self, frame: Frame, steady: Any, now: float | None = None) -> Take:
        """Focus on a frame; nothing is drawn yet.

        Args:
            frame: on the device.
            steady: its disparity, or that of a frame shortly before.
            now: seconds by the clock that focus moves by; None: the frame's time.
        """
        metrics, stages = self.metrics, self.stages
        with metrics.time("upsample"):
            disparity = stages.upsampler(steady, frame.image)
        with metrics.time("focus"):
            if self._steering is None:
                plane = stages.focuser.update(disparity, frame)
                return Take(self, frame, disparity, plane, self._lens)
            aim = self._steering.update(
                self.backend.fetch(steady),
                frame.time,
                frame.time if now is None else now,
                lambda: self.backend.fetch_image(frame.image),
            )
            lens = replace(self._lens, f_number=aim.f_number)
            return Take(self, frame, disparity, self.backend.place_plane(aim.plane), lens, aim)

    def close(self) -> None:
        """Release threads, files and devices; safe to call twice."""
        self.stages.close()
        self.depth.close()

    def _strength(self, settings: Settings) -> float:
        """Of smoothing."""
        if settings.smooth is not None:
            return settings.smooth
        return 0.0 if self.depth.steady else NETWORK_SMOOTHING

    def _show(self, frame: Frame, steady: Any) -> Frame:
        if self._depth_sink is not None:
            with self.metrics.time("save depth"):
                self._depth_sink.write(frame, self.backend.fetch(steady))
        return self.take(frame, steady).show(self._settings.view, self._form)


class Take:
    """A frame in focus, of which any view can be shown.

    Attributes:
        frame: on the device.
        aim: where the lens is set, where a `Steering` has found that.
    """

    def __init__(
        self,
        engine: Engine,
        frame: Frame,
        disparity: Any,
        plane: Any,
        lens: Lens,
        aim: Aim | None = None,
    ) -> None:
        self.frame, self.aim = frame, aim
        self._engine, self._disparity = engine, disparity
        self._plane, self._lens = plane, lens
        self._result: Any = None

    def show(self, view: View, form: Form = "rgb") -> Frame:
        """The frame with the picture of a view, on its way to `Engine.deliver`."""
        backend, image = self._engine.backend, self.frame.image
        result = self._render() if view in ("result", "split") else image
        if view != "result":
            result = backend.draw(view, image, result, self._disparity, self._plane, self._lens)
        return backend.send(self.frame.with_image(result), form)

    def _render(self) -> Any:
        if self._result is None:
            engine = self._engine
            with engine.metrics.time("render"):
                self._result = engine.stages.renderer.render(
                    self.frame.image, self._disparity, self._plane, self._lens
                )
        return self._result
