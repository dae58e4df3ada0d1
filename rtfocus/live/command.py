"""The command line that does what is on the screen."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import fields

from rtfocus.settings import Settings

_SEPARATORS = {"focus": ",", "depth_size": "x"}


def as_command(words: Sequence[str], settings: Settings) -> str:
    """A line to paste into a shell: the words, then every option that is not at its default."""
    default = Settings()
    line = list(words)
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value == getattr(default, field.name):
            continue
        option = f"--{field.name.replace('_', '-')}"
        if isinstance(value, bool):
            line.append(option)
            continue
        text = _text(field.name, value)
        # A negative number after a blank would be taken for an option.
        line += [f"{option}={text}"] if text.startswith("-") else [option, text]
    return shlex.join(line)


def _text(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return _SEPARATORS[name].join(f"{part:g}" for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
