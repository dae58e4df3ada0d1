"""Messages and progress on standard error."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from rtfocus.frame import StreamInfo

OnFrame = Callable[[int, StreamInfo], None]


class _Once(logging.Filter):
    """Lets every message through once."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        new = message not in self._seen
        self._seen.add(message)
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
def show_progress(*, quiet: bool) -> Iterator[OnFrame]:
    """A bar on a terminal, one line a second elsewhere."""
    if quiet:
        yield lambda _, __: None
    elif sys.stderr.isatty():
        with _bar() as on_frame:
            yield on_frame
    else:
        yield _lines()


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
        start = time.monotonic()

        def on_frame(done: int, info: StreamInfo) -> None:
            fps = done / max(time.monotonic() - start, 1e-3)
            progress.update(task, completed=done, total=info.frames, fps=fps)

        yield on_frame


def _lines() -> OnFrame:
    start = last = time.monotonic()

    def on_frame(done: int, info: StreamInfo) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < 1:
            return
        last = now
        fps = done / (now - start)
        line = f"frame {done}" + (f" of {info.frames}" if info.frames else "") + f", {fps:.1f} fps"
        if info.frames and info.frames > done:
            line += f", {(info.frames - done) / fps:.0f} s left"
        print(line, file=sys.stderr, flush=True)

    return on_frame
