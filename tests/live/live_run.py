"""A live job in a thread of its own, as tests start, steer and end it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import av
import cv2
import numpy as np

from live.page import Page
from live.peers import PATIENCE_S, wait_until
from rtfocus.frame import Image, StreamInfo
from rtfocus.live.job import LiveJob
from rtfocus.pipeline import Summary
from rtfocus.run import open_job
from rtfocus.settings import Settings


class LiveRun:
    """Runs from entry on; is stopped on exit, where any error of it is raised."""

    def __init__(
        self,
        source: str,
        outputs: Sequence[str | Path] = (),
        *,
        overwrite: bool = False,
        **options: Any,
    ) -> None:
        self._urls: list[str] = []
        job = open_job(
            str(source),
            [str(output) for output in outputs],
            Settings(**options),
            overwrite=overwrite,
            announce=self._urls.append,
        )
        assert isinstance(job, LiveJob)
        self.job = job
        self.frames = 0
        self.moments: list[float] = []
        """When each was done, by `time.monotonic`."""
        self.outcome: Summary | BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.outcome = self.job.run(self._on_frame)
        except BaseException as error:  # it is whoever waits that it concerns
            self.outcome = error

    def _on_frame(self, frames: int, _: StreamInfo) -> None:
        self.frames = frames
        self.moments.append(time.monotonic())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        self.job.stop()
        self._join()
        # A test that has failed already says why by itself.
        if (
            kind is None
            and isinstance(self.outcome, BaseException)
            and not isinstance(self.outcome, KeyboardInterrupt)
        ):
            raise self.outcome

    def finish(self) -> Summary:
        """Wait for it to end by itself."""
        self._join()
        outcome, self.outcome = self.outcome, None
        if isinstance(outcome, BaseException):
            raise outcome
        assert outcome is not None
        return outcome

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def port(self) -> int:
        """Of the page, once it is there."""
        wait_until(lambda: self._urls or self.outcome is not None, "the page")
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return urlsplit(self._urls[0]).port or 0

    def page(self) -> Page:
        return Page(self.port)

    def let_pass(self, frames: int) -> None:
        """Wait until there have been so many more."""
        wanted = self.frames + frames
        wait_until(lambda: self.frames >= wanted or not self.running, f"{frames} more frames")
        assert self.frames >= wanted, f"ended with {self.outcome!r}"

    def _join(self) -> None:
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "the job does not end"


def has_ended() -> bool:
    """Whether no thread of a job is left; what hangs elsewhere may take a moment."""
    wait_until(lambda: not _threads(), "the threads to end")
    return True


def _threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("rtfocus-")]


def decode(path: str | Path) -> tuple[list[Image], list[float]]:
    """Pictures of a video as (h, w, 3) uint8 RGB, and their times in seconds."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    return [frame.to_ndarray(format="rgb24") for frame in frames], [float(f.time) for f in frames]


def distance(a: Image, b: Image) -> float:
    """Mean difference of two pictures, in levels of 255."""
    return float(np.abs(a.astype(int) - b).mean())


def detail(image: Image) -> float:
    """How much fine structure there is: the mean of the Laplacian's magnitude."""
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean())
