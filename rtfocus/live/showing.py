"""One frame after the other, to everyone who looks."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from rtfocus.engine import Engine, Take
from rtfocus.focus.steering import Aim
from rtfocus.frame import Disparity, Frame, Image
from rtfocus.live.control import Control
from rtfocus.live.depth import LiveDepth
from rtfocus.live.governor import Governor
from rtfocus.live.meter import Meter
from rtfocus.live.outputs import Outputs
from rtfocus.live.readout import Face, FrameInfo
from rtfocus.render.views import View
from rtfocus.server.feed import Feed
from rtfocus.settings import Settings
from rtfocus.state import LiveState
from rtfocus.writers.caption import mark_lost

_BINS = 64
_HISTOGRAM_EVERY_S = 0.5


class Showing:
    """Makes of every frame what is sent, recorded and looked at.

    What is sent and recorded keeps the view that the run was started with; the view that is chosen
    while it runs, and the comparison with the original, are for those who look.
    """

    def __init__(
        self,
        engine: Engine,
        depth: LiveDepth,
        control: Control,
        outputs: Outputs,
        feed: Feed,
        meter: Meter,
        sent_view: View,
        governor: Governor | None = None,
    ) -> None:
        self._engine, self._depth = engine, depth
        self._control, self._outputs, self._feed = control, outputs, feed
        self._meter, self._sent_view, self._governor = meter, sent_view, governor
        self._version = control.snapshot().version
        self._histogram_at = 0.0

    @property
    def is_wanted(self) -> bool:
        """Whether anyone looks or anything is kept; else the network may rest."""
        outputs = self._outputs
        return outputs.is_shown or outputs.is_sent or outputs.is_recorded or self._feed.watching

    def show(self, frame: Frame, drops: int) -> None:
        """Hand a frame to all outputs; returns once they have it, not when they are done.

        The very first one is drawn though nobody may look yet: then kernels are compiled, and
        whoever comes sees it at once.

        Args:
            frame: the newest there is.
            drops: frames so far that were captured and never shown.

        Raises:
            RtfocusError: its depth or focus cannot be had.
        """
        state = self._control.snapshot()
        self._take_changes(state)
        captured = frame.captured or time.monotonic()
        on_device, steady = self._depth.update(frame, state.depth_every)
        begun = time.monotonic()
        take = self._engine.take(on_device, steady, time.monotonic())
        aim = take.aim
        assert aim is not None  # a live run always steers
        self._control.report_plane(aim.plane)
        drawn: dict[View, Image] = {}
        stamped = self._outputs.stamp(frame, captured)
        if self._outputs.is_sent:
            self._outputs.send(stamped.with_image(self._draw(take, self._sent_view, drawn)))
        if self._outputs.is_recorded:
            backend, original = self._engine.backend, stamped
            if not isinstance(frame.image, np.ndarray):  # as it was decoded
                original = stamped.with_image(backend.fetch_image(on_device.image))
            self._outputs.record(original, backend.fetch(steady))
        if self._outputs.is_shown or self._feed.watching or not self._meter.frames:
            view: View = "original" if state.peek else state.view
            image = self._draw(take, view, drawn)
            self._outputs.show(stamped.with_image(image))
            lost = ("no signal, waiting for it to come back",) if frame.lost else ()
            info = FrameInfo(
                time=frame.time,
                captured=captured,
                plane=aim.plane,
                metres=aim.metres,
                tracking=aim.sight.tracking,
                place=aim.sight.place,
                faces=_faces(aim),
                histogram=self._histogram(steady),
                status=self._meter.report(drops, "; ".join((*lost, *self._outputs.failures))),
            )
            self._feed.publish(image, info)
        self._meter.count(captured)
        if self._governor is not None:
            self._governor.update(time.monotonic() - begun)

    def _take_changes(self, state: LiveState) -> None:
        self._engine.steer(state)
        if state.version != self._version:
            self._version = state.version
            self._engine.adjust(live_look(self._control.settings()))

    def _draw(self, take: Take, view: View, drawn: dict[View, Image]) -> Image:
        """The picture of a view on the host, drawn once."""
        if view not in drawn:
            (frame,) = self._engine.deliver([take.show(view)])
            drawn[view] = mark_lost(frame.image) if frame.lost else frame.image
        return drawn[view]

    def _histogram(self, steady: object) -> tuple[float, ...] | None:
        """Of disparity, now and then."""
        now = time.monotonic()
        if now - self._histogram_at < _HISTOGRAM_EVERY_S or not self._feed.watching:
            return None
        self._histogram_at = now
        return histogram(self._engine.backend.fetch(steady))


def live_look(settings: Settings) -> Settings:
    """The settings with what suits live video where the user does not say otherwise.

    That is the lightest tier, and half of the cores for it as for the network: neither waits for
    the other, and who encodes and watches needs some, too.
    """
    return replace(
        settings,
        quality=settings.quality or "live",
        threads=settings.threads or max(1, settings.cores() // 2),
    )


def histogram(disparity: Disparity) -> tuple[float, ...]:
    """Counts of normalised disparity in `_BINS` equal bins over 0..1, far first."""
    values = disparity.values[::2, ::2]
    counts, _ = np.histogram(np.clip(values, 0, 1), _BINS, (0, 1))
    return tuple(map(float, counts))


def _faces(aim: Aim) -> tuple[Face, ...]:
    sight = aim.sight
    return tuple(
        Face(face.x, face.y, face.width, face.height, focused=face is sight.face)
        for face in sight.faces
    )
