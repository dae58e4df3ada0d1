"""A slot between two threads in which the newest item wins."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):  # noqa: N818 - an end, not an error
    """The slot is closed and everything in it was taken."""


class Newest(Generic[T]):
    """Holds the newest items that one thread puts, until another gets them.

    Putting never waits: where the slot is full, the oldest item is dropped and counted. So a slow
    getter sees fewer items, never older ones, and latency cannot build up.
    """

    def __init__(self, capacity: int = 1) -> None:
        """Args: capacity: items kept; more than one evens out a getter that is slow at times."""
        self._items: deque[T] = deque(maxlen=capacity)
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self._drops = 0

    @property
    def drops(self) -> int:
        """Items that were never got."""
        return self._drops

    def put(self, item: T) -> None:
        """Leave an item; after `close` it is ignored. Never waits."""
        with self._changed:
            if self._closed:
                return
            if len(self._items) == self._items.maxlen:
                self._drops += 1  # the deque itself lets go of its oldest
            self._items.append(item)
            self._changed.notify()

    def get(self, timeout: float | None = None) -> T:
        """Take the oldest item that is kept.

        Args:
            timeout: seconds to wait for one; None: as long as it takes.

        Raises:
            TimeoutError: none came in that time.
            Closed: closed without an error, and empty.
            BaseException: the error the slot was closed with, once it is empty.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._closed, timeout):
                raise TimeoutError
            if self._items:
                return self._items.popleft()
            if self._error is not None:
                raise self._error
            raise Closed

    def close(self, error: BaseException | None = None) -> None:
        """No more items will come; wakes the getter. Only the first call counts.

        Args:
            error: raised to the getter after the items that are left.
        """
        with self._changed:
            if not self._closed:
                self._closed, self._error = True, error
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """The items until the slot is closed; raises the error it was closed with."""
        while True:
            try:
                item = self.get()
            except Closed:
                return
            yield item
