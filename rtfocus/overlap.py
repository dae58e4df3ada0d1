"""Stages that run ahead of each other, each in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Generic, Self, TypeVar

T = TypeVar("T")

_POLL_S = 0.1


class _End:
    """What a thread leaves in the queue last: the error that ended it, if any."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Ahead(Generic[T]):
    """Iterates over items in a thread, up to `depth` items ahead of whoever takes them.

    An error in the thread is raised to the taker, after the items before it. Closing ends the
    thread, also while it waits for room.
    """

    def __init__(self, items: Iterable[T], depth: int = 1, name: str = "ahead") -> None:
        self._items = items
        self._queue: queue.Queue[T | _End] = queue.Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"rtfocus-{name}", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        while True:
            item = self._queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item

    def close(self) -> None:
        """End the thread and wait for it; safe to call twice."""
        self._closed.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=_POLL_S)
            except queue.Empty:
                continue

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _run(self) -> None:
        end = _End()
        try:
            for item in self._items:
                if self._closed.is_set():
                    break
                self._queue.put(item)
        except BaseException as error:
            end = _End(error)
        self._queue.put(end)
