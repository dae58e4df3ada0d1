"""What is said once, however often a file is opened: a player does so for every seek."""

from __future__ import annotations

import functools
import logging

_log = logging.getLogger("rtfocus")


@functools.cache
def warn_once(message: str) -> None:
    """Log a warning, unless the same was logged before."""
    _log.warning("%s", message)
