"""A live run: whatever the newest frame is, it is focused and handed to every output at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from platformdirs import user_config_path

from rtfocus.backend import Backend, open_backend
from rtfocus.depth import check_depth
from rtfocus.device import resolve
from rtfocus.engine import Engine
from rtfocus.errors import InputCutShort, UsageError
from rtfocus.focus.keyframes import beside
from rtfocus.focus.steering import Steering, open_detector
from rtfocus.frame import StreamInfo
from rtfocus.live.control import Control
from rtfocus.live.depth import InTurn, LiveDepth, OwnThread
from rtfocus.live.governor import Governor
from rtfocus.live.keyframe_file import KeyframeFile, read_keyframes
from rtfocus.live.meter import Meter
from rtfocus.live.outputs import Outputs, check_outputs
from rtfocus.live.page import make_server, parse_address
from rtfocus.live.presets import Presets
from rtfocus.live.readout import Source
from rtfocus.live.showing import Showing, live_look
from rtfocus.live.window import WindowControl
from rtfocus.metrics import Metrics
from rtfocus.pipeline import Summary
from rtfocus.readers import Reader, open_reader
from rtfocus.readers.address import is_address, shown
from rtfocus.readers.camera import is_camera
from rtfocus.readers.capture import Capture
from rtfocus.readers.player import Player, Wish
from rtfocus.readers.stream import open_stream
from rtfocus.server.feed import Feed
from rtfocus.server.server import Server
from rtfocus.settings import Settings
from rtfocus.state import FocusMode
from rtfocus.writers import is_live_output
from rtfocus.writers.window import WindowWriter

log = logging.getLogger("rtfocus")


def is_watched(outputs: Sequence[str], settings: Settings) -> bool:
    """Whether a run is watched or sent as it goes, so that the newest frame wins."""
    asked = settings.serve is not None or settings.realtime or settings.loop
    return asked or any(map(is_live_output, outputs))


def is_live_source(source: str) -> bool:
    """Whether an input brings frames at their own pace; an http(s) address may also be a clip's."""
    return is_camera(source) or is_address(source)


class LiveJob:
    """One live input, or a file at its own pace, to outputs and a page that steer it.

    Attributes:
        is_open: whether its input has answered.
    """

    # What a run opens, in the order in which it needs it.
    _backend: Backend
    _meter: Meter
    _sinks: Outputs
    _depth: str

    def __init__(
        self,
        source: str,
        outputs: Sequence[str],
        settings: Settings,
        *,
        overwrite: bool = False,
        announce: Callable[[str], None] = print,
        first: InputContainer | None = None,
    ) -> None:
        """Check what can be checked before any work.

        Args:
            source: what to show; a page may open other files later.
            outputs: as on the command line; none where there is a page.
            settings: what to do at first.
            overwrite: replace files that are there.
            announce: told the address of the page.
            first: the source, if it is a stream that is open already (`open_address`).

        Raises:
            RtfocusError: an output or the page's address makes no sense, or a file that the
                settings name cannot be read.
        """
        if not outputs and settings.serve is None:
            raise UsageError(
                "no output: name one with -o, such as -o window or -o out.mp4, or --serve 8080"
            )
        check_outputs(outputs, source, settings, overwrite=overwrite)
        check_depth(settings)
        if settings.serve is not None:
            parse_address(settings.serve)
        if settings.keyframes is not None:
            read_keyframes(settings.keyframes)
        self._source, self._outputs, self._first = source, tuple(outputs), first
        self._settings = settings
        self._overwrite, self._announce = overwrite, announce
        self._detector = open_detector(settings)
        self._control = Control(
            settings,
            command=_command(source, outputs),
            modes=_modes(settings),
            presets=None if settings.serve is None else _open_presets(),
        )
        self._wake: Callable[[], None] = lambda: None
        self._control.observe(lambda _: self._wake())
        self._feed, self._metrics = Feed(), Metrics()
        self._ended = threading.Event()
        self._interrupted = self.is_open = False
        self._cut: InputCutShort | None = None
        self._playing = source
        self._next: str | None = None

    def stop(self) -> None:
        """End with the next frame, from any thread; `run` then raises KeyboardInterrupt."""
        self._interrupted = True
        self._end()

    def run(self, on_frame: Callable[[int, StreamInfo], None] | None = None) -> Summary:
        """Do it until the source ends or `stop` is called.

        Args:
            on_frame: called after every frame with their number so far and what is known of the
                input.

        Raises:
            KeyboardInterrupt: `stop` was called; what was written is finished.
            RtfocusError: see `rtfocus.errors`.
        """
        start, start_cpu = time.perf_counter(), time.process_time()
        settings = self._settings
        device = resolve(settings.device)
        self._backend = open_backend(device)
        self._meter = Meter(self._metrics, str(device))
        with ExitStack() as stack:
            server = None if settings.serve is None else self._make_server()
            if server is not None:
                stack.callback(server.stop)
                server.bind()  # or fail before anything takes time
            reader = stack.enter_context(self._open(self._source))
            self.is_open, info = True, reader.info
            self._feed.source = _describe(self._source, info)
            self._sinks = stack.enter_context(self._open_outputs(info))
            if server is not None:
                stack.enter_context(server)
                self._announce(server.url)
            self._play(self._source, reader, on_frame)
            while self._next is not None:
                source, self._next = self._next, None
                self._control.apply({"type": "seek", "time": 0.0})
                self._control.apply({"type": "set", "playing": True})
                with self._open(source) as reader:
                    self._feed.source = _describe(source, reader.info)
                    self._play(source, reader, on_frame)
        if self._cut is not None:
            raise self._cut
        if self._sinks.errors:  # of their ends, too
            raise self._sinks.errors[0]
        if self._interrupted:
            raise KeyboardInterrupt
        return Summary(
            frames=self._meter.frames,
            seconds=round(time.perf_counter() - start, 3),
            cpu_seconds=round(time.process_time() - start_cpu, 3),
            device=str(device),
            depth=self._depth,
            size=(info.width, info.height),
            outputs=self._outputs,
            stages=self._metrics.report(),
        )

    def _play(
        self,
        source: str,
        reader: Reader,
        on_frame: Callable[[int, StreamInfo], None] | None,
    ) -> None:
        """Show one source until it ends, or another is asked for."""
        control, info, self._playing = self._control, reader.info, source
        with ExitStack() as stack:
            if (path := self._keyframe_path(source)) is not None:
                timeline = KeyframeFile(path, control)
                stack.callback(timeline.close)
            # Which frames are measured is decided here, and may change.
            settings = replace(live_look(self._settings_of(source)), depth_every=1)
            depth = self._backend.open_depth(settings, info)
            stack.callback(depth.close)
            log.info("depth: %s; rendering on %s", depth.description, self._meter.status.device)
            self._depth = depth.description
            modes = _modes(self._settings, metric=depth.scale == "metric")
            if self._meter.frames:
                command = _command(source, self._outputs)
                control.adapt(self._settings_of(source), command=command, modes=modes)
            else:  # what the run was started with must be possible
                control.modes = modes
            steering = Steering(control.snapshot(), self._detector)
            engine = Engine(
                live_look(control.settings()),
                depth,
                self._backend,
                metrics=self._metrics,
                steering=steering,
            )
            stack.callback(engine.close)
            governor = self._make_governor(info)
            live_depth = _live_depth(engine, governor)
            stack.callback(live_depth.close)
            showing = Showing(
                engine, live_depth, control, self._sinks, self._feed, self._meter,
                self._settings.view, governor,
            )  # fmt: skip
            missed: int | None = None  # what came while everything was still being opened
            for frame in reader:
                if self._ended.is_set() or self._next is not None or self._is_blind:
                    return
                if path is not None:
                    timeline.update()
                if not showing.is_wanted and missed is not None:
                    continue
                drops = reader.drops if isinstance(reader, Capture) else 0
                missed = drops if missed is None else missed
                showing.show(frame, drops - missed)
                if on_frame is not None:
                    on_frame(self._meter.frames, info)

    @property
    def _is_blind(self) -> bool:
        """Whether nobody can see anything of it any more."""
        return self._settings.serve is None and self._sinks.is_dead

    def _open(self, source: str) -> Reader:
        """What is live as it comes, a file as its player is steered; the newest frame wins."""
        settings = self._settings_of(source)
        rate = None if settings.rate is None else Fraction(settings.rate).limit_denominator(1001)

        def open_at(start: float) -> Reader:
            return open_reader(
                source, rate, self._backend.decoding, on_loss=settings.on_loss, start=start
            )

        if is_live_source(source):
            if self._first is None:
                reader = open_at(0.0)
            else:
                decoding = self._backend.decoding
                reader = open_stream(source, settings.on_loss, decoding=decoding, first=self._first)
                self._first = None
            if reader.info.live:
                return reader
            reader.close()

        def on_end() -> None:
            """With a page the last frame stays, as does a photo that is watched; else it ends."""
            if settings.serve is not None:
                self._control.apply({"type": "set", "playing": False})
            elif player.info.kind != "image" or not any(map(is_live_output, self._outputs)):
                self._cut = player.cut
                player.close()

        player = Player(open_at, self._wish, loop=settings.loop, on_end=on_end)
        self._wake = player.wake
        return Capture(source, lambda: player)

    def _end(self) -> None:
        """The user has had enough."""
        self._ended.set()
        self._wake()

    def _wish(self) -> Wish:
        state = self._control.snapshot()
        return Wish(state.playing, state.seek, state.seek_version)

    def _make_governor(self, info: StreamInfo) -> Governor | None:
        """What keeps the frame rate where the tier has something to give."""
        reduction = self._backend.reduction
        if self._settings.quality is not None or reduction is None:
            return None
        return Governor(reduction, info.rate)

    def _open_outputs(self, info: StreamInfo) -> Outputs:
        window = WindowControl(self._control, lambda: self._feed.latest, self._end)
        return Outputs(
            self._outputs,
            info,
            self._settings,
            overwrite=self._overwrite,
            open_window=lambda: WindowWriter(window.on_event, overlay=window.overlay),
        )

    def _make_server(self) -> Server:
        def playing() -> tuple[str, Settings]:
            return self._playing, self._settings_of(self._playing)

        return make_server(self._control, self._feed, self._settings, self._show_next, playing)

    def _show_next(self, path: Path) -> None:
        """Show another file instead of what is shown; what is wrong with it is raised here."""
        source = str(path)
        open_reader(source).close()
        keyframes = self._keyframe_path(source)
        if keyframes is not None and keyframes.exists():
            read_keyframes(keyframes)
        self._next = source

    def _settings_of(self, source: str) -> Settings:
        """Those of the run, for a source; some are only about the one that it began with."""
        if self._is_first(source):
            return self._settings
        return replace(self._settings, depth=None, depth_kind=None, keyframes=None, rate=None)

    def _is_first(self, source: str) -> bool:
        """Whether the run began with this source, however it is named."""
        return source == self._source or Path(source).resolve() == Path(self._source).resolve()

    def _keyframe_path(self, source: str) -> Path | None:
        """Where the keyframes of a source are kept; None where they are not."""
        if self._settings.keyframes is not None and self._is_first(source):
            return Path(self._settings.keyframes)
        is_file = Path(source).is_file()
        return beside(source) if is_file and self._settings.serve is not None else None


def _open_presets() -> Presets:
    """The user's presets; a file that is broken is left as it is, and stops no run."""
    try:
        return Presets(user_config_path("rtfocus") / "presets.toml")
    except UsageError as error:
        log.warning("%s; until it is mended or removed, presets last as long as the run", error)
        return Presets()


def _live_depth(engine: Engine, governor: Governor | None) -> LiveDepth:
    """A thread of its own for a network on the CPU; what is there at once needs none."""
    if engine.backend.asynchronous or engine.depth.steady:
        return InTurn(engine)
    return OwnThread(engine) if governor is None else OwnThread(engine, lambda: governor.rest)


def _describe(source: str, info: StreamInfo) -> Source:
    if info.kind in ("camera", "stream"):
        return Source(info.source)
    return Source(Path(shown(source)).name, "file", info.duration or 0.0, info.start)


def _modes(settings: Settings, *, metric: bool = False) -> tuple[FocusMode, ...]:
    """The modes of focus that a run can do."""
    modes: list[FocusMode] = ["point", "follow", "disparity"]
    if settings.face_model is not None:
        modes.insert(2, "face")
    if metric:
        modes.append("distance")
    return tuple(modes)


def _command(source: str, outputs: Sequence[str]) -> list[str]:
    """The words that a command line for the source begins with; without secrets."""
    options = [word for name in outputs for word in ("-o", shown(name))]
    return ["rtfocus", "run", shown(source), *options]
