"""Messages and progress on standard error."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from rtfocus.frame import StreamInfo
from rtfocus.kernels.jit import has_compiled

OnFrame = Callable[[int, StreamInfo], None]

_PATIENCE_S = 3.0

_FORGET_S = 60.0
"""Seconds after which a message that has not come again is news."""


class _Once(logging.Filter):
    """Lets a message through once for as long as it keeps coming, as with every round of a loop."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, float] = {}  # when it came last [s]

    def filter(self, record: logging.LogRecord) -> bool:
        message, now = record.getMessage(), record.created
        seen = list(self._seen.items())  # at once: other threads have messages, too
        self._seen = {text: time for text, time in seen if now - time < _FORGET_S}
        new = message not in self._seen
        self._seen[message] = now
        return new


class _JsonLines(logging.Formatter):
    """One JSON object per message."""

    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "time": round(record.created, 3),
                "level": record.levelname.lower(),
                "message": record.getMessage(),
            }
        )


def configure_logging(*, quiet: bool, verbose: bool, as_json: bool) -> None:
    """Show rtfocus's messages on standard error: warnings, or all with `verbose`, or none."""
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("rtfocus: %(levelname)s: %(message)s")
    handler.setFormatter(_JsonLines() if as_json else text)
    handler.addFilter(_Once())
    logging.addLevelName(logging.WARNING, "warning")
    logging.addLevelName(logging.INFO, "info")
    logger = logging.getLogger("rtfocus")
    logger.handlers = [handler]
    logger.propagate = False
    level = logging.INFO if verbose or as_json else logging.WARNING
    logger.setLevel(logging.CRITICAL if quiet else level)


@contextmanager
def show_progress(*, quiet: bool, counts: bool = True) -> Iterator[OnFrame]:
    """A bar on a terminal, one line a second elsewhere; or, not `counts`, why nothing happens."""
    if quiet:
        yield lambda _, __: None
        return
    begun = threading.Event()
    threading.Thread(target=_explain, args=[begun], daemon=True).start()
    try:
        with _shown(counts=counts) as show:

            def on_frame(done: int, info: StreamInfo) -> None:
                begun.set()
                show(done, info)

            yield on_frame
    finally:
        begun.set()


@contextmanager
def show_download(name: str, *, quiet: bool) -> Iterator[Callable[[int, int | None], None]]:
    """A bar of bytes on a terminal, nothing elsewhere."""
    columns = (
        TextColumn(name),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    shown = console.is_terminal and not quiet
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task("pull", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _explain(begun: threading.Event) -> None:
    """Say why nothing happens, if that is the reason: kernels are compiled, and not just loaded."""
    while not begun.wait(_PATIENCE_S):
        if has_compiled():
            print(
                "rtfocus: the first run on a machine compiles kernels: a quarter of a minute, once",
                file=sys.stderr,
                flush=True,
            )
            return


class _Pace:
    """Frames per second since the first frame, which may have waited for kernels and networks."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._first = 0

    def update(self, done: int) -> float:
        now = time.monotonic()
        if self._start is None:
            self._start, self._first = now, done
        return (done - self._first) / max(now - self._start, 1e-3)


def _shown(*, counts: bool) -> AbstractContextManager[OnFrame]:
    if not counts:
        return nullcontext(lambda _, __: None)
    return _bar() if sys.stderr.isatty() else _lines()


@contextmanager
def _bar() -> Iterator[OnFrame]:
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("frames"),
        TextColumn("{task.fields[fps]:.1f} fps"),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("refocus", total=None, fps=0.0)
        pace = _Pace()

        def on_frame(done: int, info: StreamInfo) -> None:
            progress.update(task, completed=done, total=info.frames, fps=pace.update(done))

        yield on_frame


@contextmanager
def _lines() -> Iterator[OnFrame]:
    pace, last = _Pace(), time.monotonic()

    def on_frame(done: int, info: StreamInfo) -> None:
        nonlocal last
        fps = pace.update(done)
        if time.monotonic() - last < 1:
            return
        last = time.monotonic()
        line = f"frame {done}" + (f" of {info.frames}" if info.frames else "")
        if fps > 0:
            line += f", {fps:.1f} fps"
            if info.frames and info.frames > done:
                line += f", {(info.frames - done) / fps:.0f} s left"
        print(line, file=sys.stderr, flush=True)

    yield on_frame
