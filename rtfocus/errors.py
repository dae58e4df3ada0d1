"""Every error that rtfocus raises on purpose.

    RtfocusError              1  something went wrong
    ├── UsageError            2  an option, or a combination of options, makes no sense
    ├── InputError            3  the input is absent, unreadable or was lost
    │   └── InputCutShort     3  part of the input was processed, the rest cannot be
    ├── OutputError           1  the output cannot be written
    └── UnavailableError      4  a device, model or virtual camera is absent or unusable
        ├── DeviceError
        └── ModelError

The number is the exit code of the command line. A message says what was given, what is allowed and
what to do next; it is shown to the user as it stands, without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RtfocusError(Exception):
    """Base of all errors that rtfocus raises on purpose."""

    exit_code = 1


class UsageError(RtfocusError):
    """An option, or a combination of options, makes no sense."""

    exit_code = 2


class InputError(RtfocusError):
    """The input is absent, unreadable or was lost."""

    exit_code = 3


class InputCutShort(InputError):  # noqa: N818 - what was done until here stays valid
    """The input ended early: what came before was read, and what was made of it is kept."""


class OutputError(RtfocusError):
    """The output cannot be written."""


class UnavailableError(RtfocusError):
    """A device, model or virtual camera is absent or unusable."""

    exit_code = 4


class DeviceError(UnavailableError):
    """The device that was asked for is absent or unusable."""


class ModelError(UnavailableError):
    """A depth network cannot be loaded or does not do what its card says."""


def suggest(word: str, choices: Iterable[str]) -> str:
    """A question with the nearest choice, or nothing, to go on a message."""
    near = difflib.get_close_matches(word, list(choices), n=1)
    return f". Did you mean {near[0]!r}?" if near else ""
