"""What outputs have in common that are watched as they come."""

from __future__ import annotations

from typing import Self

from rtfocus.writers.base import Form, Writer


class LiveWriter(Writer):
    """What was shown or sent cannot be taken back, so it closes alike however the run ends."""

    takes: Form = "rgb"

    @property
    def watched(self) -> bool:
        """Whether frames are of use to anyone now; True where that is not known."""
        return True

    def discard(self) -> None:
        """The same as `close`."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self.close()
