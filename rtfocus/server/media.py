"""The one folder that a page may open files from, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rtfocus.errors import InputError, UsageError
from rtfocus.live.messages import quoted

SUFFIXES = (
    *(".avi", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts", ".webm"),
    *(".avif", ".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"),
)

MAX_NAMES = 1000


class Media:
    """Files directly within a folder; nothing else on the machine has a name here."""

    def __init__(self, folder: Path, open_file: Callable[[Path], None]) -> None:
        """Args: see below.

        Args:
            folder: with the files.
            open_file: shows a file instead of what is shown; it may raise RtfocusError.

        Raises:
            UsageError: there is no such folder.
        """
        if not folder.is_dir():
            raise UsageError(f"--media {str(folder)!r} is no folder")
        self._folder = folder.resolve()
        self._open = open_file

    def names(self) -> list[str]:
        """Names of the files that can be opened, in order.

        Raises:
            InputError: the folder is gone, or cannot be read.
        """
        try:
            names = [path.name for path in self._folder.iterdir() if self._is_ours(path)]
        except OSError as error:
            raise InputError(
                f"--media {str(self._folder)!r} cannot be read ({error.strerror}): put it back, or "
                "start again with another folder"
            ) from error
        return sorted(names, key=str.casefold)[:MAX_NAMES]

    def open(self, name: object) -> None:
        """Show the file of that name.

        Raises:
            UsageError: there is no such file in the folder.
            RtfocusError: it cannot be shown.
        """
        self._open(self.find(name))

    def find(self, name: object) -> Path:
        """Where the file of that name is, whole and with links resolved.

        Raises:
            UsageError: there is no such file in the folder, whatever there may be elsewhere.
        """
        if isinstance(name, str) and name == Path(name).name and "\0" not in name:
            path = self._folder / name
            if self._is_ours(path):
                return path.resolve()
        raise UsageError(f"there is no file {quoted(name)} among the media")

    def _is_ours(self, path: Path) -> bool:
        if path.name.startswith(".") or path.suffix.lower() not in SUFFIXES:
            return False
        try:
            # A link may lead out of the folder; what it leads to is not ours to show.
            return path.is_file() and path.resolve().parent == self._folder
        except OSError:
            return False  # a name that is too long, or a link to itself
