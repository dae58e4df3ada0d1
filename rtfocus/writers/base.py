"""The contract of all writers."""

from __future__ import annotations

from typing import Literal, Protocol, Self

from rtfocus.frame import Frame

Form = Literal["rgb", "i420", "device"]
"""What pictures are: RGB on the host, or in YUV 4:2:0, BT.709, limited range, as `Planes` on the
host, or in whatever form an encoder on the device takes."""


class Writer(Protocol):
    """A sink of frames. Nothing appears under the output's final name before `close`.

    As a context manager it closes on a clean exit, and on an exception calls `discard`.
    `InputCutShort` and `KeyboardInterrupt` count as a clean exit: what was written so far is
    finalised and plays.

    Attributes:
        takes: the form of pictures that costs it the least; it takes RGB, too.
    """

    takes: Form

    @property
    def watched(self) -> bool:
        """Whether frames are of use to anyone now; True where that is not known."""

    def write(self, frame: Frame) -> None:
        """Add one frame; `OutputError` if that fails."""

    def close(self) -> None:
        """Finish the output and give it its final name; safe to call twice."""

    def discard(self) -> None:
        """Remove what was written so far; safe to call twice and after `close`."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None: ...
