"""An output under a temporary name until it is complete."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from rtfocus.errors import OutputError


class Part:
    """A file or folder that is written beside its target and renamed when complete.

    Attributes:
        path: where to write; the caller makes it, as a file or a folder.
    """

    def __init__(self, target: Path, *, overwrite: bool) -> None:
        """Choose the temporary name.

        Raises:
            OutputError: the target is there and may not be overwritten, or its folder is not there.
        """
        if target.exists() and not overwrite and not _is_empty_folder(target):
            raise OutputError(
                f"{str(target)!r} is there already. Use -y to overwrite it, or another name."
            )
        try:
            self._folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
        except OSError as error:
            raise OutputError(
                f"{str(target)!r} cannot be written: {error.strerror}. Check the folder and its "
                "permissions."
            ) from error
        self._target = target
        self.path = self._folder / target.name

    def commit(self) -> None:
        """Give it its final name; `OSError` where that fails."""
        if self._target.is_dir():
            shutil.rmtree(self._target)
        os.replace(self.path, self._target)

    def discard(self) -> None:
        """Remove what lies under the temporary name; safe to call twice and after `commit`."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())
