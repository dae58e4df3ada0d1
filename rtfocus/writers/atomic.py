"""Outputs under a temporary name until they are complete."""

from __future__ import annotations

import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import av

from rtfocus.errors import InputCutShort, OutputError, UsageError

_PREFIX = 40
"""Letters of the target's name in the temporary one, which must not be too long where that fits."""


class Part:
    """A file or folder that is written beside its target and renamed when complete.

    Attributes:
        path: where to write; the caller makes it, as a file or a folder. It has the target's name,
            in a folder of its own.
    """

    def __init__(self, target: Path, *, overwrite: bool) -> None:
        """Choose the temporary name.

        Raises:
            UsageError: the target is there and may not be overwritten.
            OutputError: its folder is not there or cannot be written.
        """
        with path_errors(target):
            if target.exists() and not overwrite and not _is_empty_folder(target):
                raise UsageError(
                    f"{str(target)!r} is there already. Use -y to overwrite it, or another name."
                )
            self._target = Path(os.path.realpath(target))  # what a link leads to is replaced
            prefix = f".{self._target.name[:_PREFIX]}."
            self._folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self._target.parent))
        self.path = self._folder / (target.name or self._target.name)

    def commit(self) -> None:
        """Give it its final name; `OSError` where that fails."""
        if self._target.is_dir():
            shutil.rmtree(self._target)
        os.replace(self.path, self._target)

    def discard(self) -> None:
        """Remove what lies under the temporary name; safe to call twice and after `commit`."""
        shutil.rmtree(self._folder, ignore_errors=True)


class AtomicOutput(ABC):
    """What all writers have in common: a temporary name until the end, and how a run may end.

    A writer implements `_finish`, and `_release` where it holds something open.
    """

    watched = True  # what is kept may be of use to anyone

    def __init__(self, target: Path, *, overwrite: bool) -> None:
        self._target = target
        self._part = Part(target, overwrite=overwrite)
        self._cut = False  # whether the input ended early

    def close(self) -> None:
        """Finish the output and give it its final name; safe to call twice."""
        try:
            with self._failures():
                if self._finish():
                    self._part.commit()
        finally:
            self.discard()

    def discard(self) -> None:
        """Remove what was written so far; safe to call twice and after `close`."""
        self._release()
        self._part.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        self._cut = kind is not None and issubclass(kind, InputCutShort | KeyboardInterrupt)
        if kind is None or self._cut:
            self.close()
        else:
            self.discard()

    @abstractmethod
    def _finish(self) -> bool:
        """Complete what lies under the temporary name; whether there is anything new."""

    def _release(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of whatever is open; safe to call twice."""

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn failures of the file system, and FFmpeg's, into OutputError."""
        try:
            yield
        except (OSError, av.FFmpegError) as error:
            raise OutputError(
                f"{str(self._target)!r} cannot be written: {error.strerror}. "
                "Check the space left there, or choose another place."
            ) from error


def write_text(target: Path, text: str) -> None:
    """Write a text file whole or not at all; one that is there is replaced.

    Raises:
        OutputError: it cannot be written.
    """
    with path_errors(target):
        if target.is_dir():
            raise OutputError(f"{str(target)!r} is a folder: give the name of a file")
    part = Part(target, overwrite=True)
    try:
        with path_errors(target):
            part.path.write_text(text, encoding="utf-8")
            part.commit()
    finally:
        part.discard()


@contextmanager
def path_errors(target: Path) -> Iterator[None]:
    """Turn what a name that cannot be used brings about (too long, say) into OutputError."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"{str(target)!r} cannot be written: {reason}. Check the name, the folder and its "
            "permissions."
        ) from error


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
