"""The contract of all readers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, Self

from rtfocus.frame import Frame, StreamInfo


class Reader(Protocol):
    """A source of frames: iterate once, then close. Also a context manager that closes.

    Opening reads enough to fill `info`, and raises `InputError` for what can't be read. Iterating
    yields frames with strictly increasing `pts` (a `Player` aside), all of `info`'s size. A stream
    that breaks off raises `InputCutShort` after its last good frame, with a message that says how
    far it got.
    """

    @property
    def info(self) -> StreamInfo:
        """What is known before the first frame."""

    def __iter__(self) -> Iterator[Frame]:
        """The frames in order of time."""

    def close(self) -> None:
        """Release files and devices; safe to call twice, and from another thread than iterates."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
