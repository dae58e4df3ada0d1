"""A whole job: read, estimate depth, refocus and write, each in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, TypeVar

from rtfocus.backend import open_backend
from rtfocus.depth.save import open_depth_writer
from rtfocus.device import resolve
from rtfocus.engine import Engine
from rtfocus.errors import InputCutShort, UsageError
from rtfocus.focus.steering import Steering, open_steering
from rtfocus.frame import StreamInfo
from rtfocus.metrics import Metrics
from rtfocus.overlap import Ahead
from rtfocus.readers import open_reader
from rtfocus.settings import Settings
from rtfocus.writers import Encoding, Form, Writer, check_apart, check_output, open_writer

T = TypeVar("T")

log = logging.getLogger("rtfocus")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a job did.

    Attributes:
        frames: frames written.
        seconds: wall time from opening the input to the finished output.
        cpu_seconds: CPU time of the whole process in that time.
        device: where it was computed.
        depth: where depth came from.
        size: width and height.
        outputs: what was written.
        stages: per stage the median and 95th percentile of wall and CPU time in ms; CPU time
            without that of threads which a stage starts.
    """

    frames: int
    seconds: float
    cpu_seconds: float
    device: str
    depth: str
    size: tuple[int, int]
    outputs: tuple[str, ...]
    stages: dict[str, dict[str, float]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        fps = self.frames / self.seconds if self.seconds else 0.0
        return {**asdict(self), "fps": round(fps, 2)}


class Job:
    """One input to one or several outputs.

    Attributes:
        is_open: whether its input has answered.
    """

    def __init__(
        self,
        source: str,
        outputs: Sequence[str],
        settings: Settings,
        *,
        overwrite: bool = False,
        steering: Steering | None = None,
    ) -> None:
        """Check what can be checked before any work.

        Args:
            source: the input, as on the command line.
            outputs: likewise.
            settings: what to do.
            overwrite: replace outputs that exist.
            steering: finds the focus; None: as the settings say.

        Raises:
            RtfocusError: an output makes no sense.
        """
        if not outputs:
            raise UsageError("no output: name one with -o, such as -o out.mp4")
        for name in outputs:
            check_output(name, source, overwrite=overwrite)
        recording = () if settings.save_depth is None else (settings.save_depth,)
        check_apart((*outputs, *recording), (source, settings.depth, settings.keyframes))
        self._source = source
        self._outputs = tuple(outputs)
        self._settings = settings
        self._overwrite = overwrite
        self._steering = steering
        self._stopped, self.is_open = threading.Event(), False
        self._cut: InputCutShort | None = None

    def stop(self) -> None:
        """End as if the input had ended, from any thread; `run` then raises KeyboardInterrupt."""
        self._stopped.set()

    def run(self, on_frame: Callable[[int, StreamInfo], None] | None = None) -> Summary:
        """Do it.

        Args:
            on_frame: called after every frame written with their number so far and what is known of
                the input.

        Raises:
            KeyboardInterrupt: `stop` was called; what was written is finished.
            RtfocusError: see `refocus`.
        """
        start, start_cpu = time.perf_counter(), time.process_time()
        settings, metrics, frames = self._settings, Metrics(), 0
        device = resolve(settings.device)
        with ExitStack() as stack:
            rate = (
                None if settings.rate is None else Fraction(settings.rate).limit_denominator(1001)
            )
            backend = open_backend(device)
            reader = stack.enter_context(
                open_reader(self._source, rate, backend.decoding, on_loss=settings.on_loss)
            )
            self.is_open, info = True, reader.info
            depth = backend.open_depth(settings, info)
            stack.callback(depth.close)
            log.info("depth: %s; rendering on %s (%s)", depth.description, device, device.reason)
            sink = None
            if settings.save_depth is not None:
                sink = open_depth_writer(settings.save_depth, info, overwrite=self._overwrite)
                stack.enter_context(sink)
            # Pictures stay on the device only where one writer takes them all.
            encoding = backend.encoding if len(self._outputs) == 1 else None
            writers = [
                stack.enter_context(
                    open_output(name, info, settings, overwrite=self._overwrite, encoding=encoding)
                )
                for name in self._outputs
            ]
            engine = Engine(
                settings,
                depth,
                backend,
                look_ahead=0 if info.live or info.kind == "image" else settings.look_ahead,
                metrics=metrics,
                depth_sink=sink,
                form=_common_form(writers),
                steering=self._steering or open_steering(settings),
            )
            stack.callback(engine.close)

            decoded = stack.enter_context(
                Ahead(self._until_end(metrics.each("read", reader)), name="read")
            )
            estimated = stack.enter_context(
                Ahead(self._until_end(engine.estimate(decoded)), name="depth")
            )
            refocused = stack.enter_context(Ahead(engine.stream(estimated), name="render"))
            for frame in engine.deliver(refocused):
                with metrics.time("write"):
                    for writer in writers:
                        writer.write(frame)
                frames += 1
                if on_frame is not None:
                    on_frame(frames, info)
            # Raised while the writers are open, so that they end their sound here, too.
            if self._cut is not None:
                raise self._cut
            if self._stopped.is_set():
                raise KeyboardInterrupt
        stages = metrics.report()
        stages.pop("wait", None)
        return Summary(
            frames=frames,
            seconds=round(time.perf_counter() - start, 3),
            cpu_seconds=round(time.process_time() - start_cpu, 3),
            device=str(device),
            depth=depth.description,
            size=(info.width, info.height),
            outputs=self._outputs,
            stages=stages,
        )

    def _until_end(self, items: Iterable[T]) -> Iterator[T]:
        """The items until the input breaks off or the job is stopped."""
        try:
            for item in items:
                if self._stopped.is_set():
                    return
                yield item
        except InputCutShort as cut:
            self._cut = cut


def open_output(
    name: str,
    info: StreamInfo,
    settings: Settings,
    *,
    overwrite: bool,
    encoding: Encoding | None = None,
) -> Writer:
    """Open an output as the settings say; see `rtfocus.writers.open_writer`."""
    return open_writer(
        name,
        info,
        codec=settings.codec,
        crf=settings.crf,
        preset=settings.encoder_preset,
        overwrite=overwrite,
        threads=settings.cores(),
        encoding=encoding,
    )


def _common_form(writers: Sequence[Writer]) -> Form:
    """What all writers take."""
    forms = {writer.takes for writer in writers}
    return forms.pop() if len(forms) == 1 else "rgb"
