"""An output with a slot and a thread of its own, so that it never holds the others."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, Protocol, Self, TypeVar

from rtfocus.errors import RtfocusError
from rtfocus.newest import Newest

_log = logging.getLogger("rtfocus")

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Sink(Protocol[T_contra]):
    """What an outlet needs of a `rtfocus.writers.base.Writer`."""

    @property
    def watched(self) -> bool:
        """Whether items are of use to anyone now."""

    def write(self, item: T_contra, /) -> None:
        """Take one item."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None: ...


class Outlet(Generic[T]):
    """Writes the newest frames with a writer that may be slow, or fail, on its own.

    A failure ends this outlet only: it is logged, reported and kept in `error`.
    """

    def __init__(
        self,
        name: str,
        open_writer: Callable[[], Sink[T]],
        *,
        capacity: int = 1,
    ) -> None:
        """Open the writer, in the thread that will use it, and wait until that is done.

        Args:
            name: of the output, for messages.
            open_writer: opens it.
            capacity: frames kept while the writer is busy; when there are more, the oldest is
                dropped. One for what is watched live; a recording takes many, so as not to drop.

        Raises:
            RtfocusError: of `open_writer`.
        """
        self.name = name
        self._open = open_writer
        self._slot: Newest[T] = Newest(capacity)
        self._written = 0
        self._reason: BaseException | None = None
        self._error: Exception | None = None
        self._opened: Future[Sink[T]] = Future()
        self._thread = threading.Thread(target=self._run, name=f"rtfocus-{name}", daemon=True)
        self._thread.start()
        self._opened.result()

    @property
    def drops(self) -> int:
        """Frames that were never written because newer ones came."""
        return self._slot.drops

    @property
    def written(self) -> int:
        """Frames written."""
        return self._written

    @property
    def wants(self) -> bool:
        """Whether it takes items that are of use to anyone; see `Writer.watched`."""
        return self._error is None and self._opened.result().watched

    @property
    def error(self) -> Exception | None:
        """What ended the outlet early."""
        return self._error

    def put(self, frame: T) -> None:
        """Leave a frame to be written; never waits, and does nothing after a failure."""
        self._slot.put(frame)

    def close(self, reason: BaseException | None = None, *, timeout: float = 30.0) -> None:
        """Write what is left, close the writer and wait for that; safe to call twice.

        Args:
            reason: why the run ends early; the writer keeps or discards what it has by it.
            timeout: seconds to wait; a writer that takes longer is left to itself.
        """
        self._reason = reason
        self._slot.close(reason)
        self._thread.join(timeout)
        if self._thread.is_alive():
            _log.warning("%s did not end within %g s", self.name, timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.close(error)

    def _run(self) -> None:
        try:
            writer = self._open()
        except BaseException as error:
            self._opened.set_exception(error)
            return
        self._opened.set_result(writer)
        try:
            with writer:
                for frame in self._slot:
                    writer.write(frame)
                    self._written += 1
        except BaseException as error:
            if error is not self._reason:
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._slot.close()
        self._error = error if isinstance(error, Exception) else RuntimeError(repr(error))
        kind = "" if isinstance(error, RtfocusError) else f"{type(error).__name__}: "
        _log.error("%s has stopped, the others go on: %s%s", self.name, kind, error)
