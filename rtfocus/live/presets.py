"""Looks with a name, kept in memory or in a TOML file that --config and --preset read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from rtfocus.errors import UsageError
from rtfocus.live.messages import SETTABLE, quoted
from rtfocus.state import LOOK, LiveState
from rtfocus.writers.atomic import path_errors, write_text

MAX_PRESETS = 100
MAX_NAME = 40

_DEFAULTS = {field.name: field.default for field in fields(LiveState) if field.name in LOOK}


class Presets:
    """Presets by name; not safe for use from several threads at once.

    With a path, every change is written at once; the file belongs to the presets alone.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Args: path: of a TOML file, which need not exist yet.

        Raises:
            UsageError: the file is there, but is not one of presets.
        """
        self._path = path
        self._presets: dict[str, dict[str, Any]] = {}
        if path is not None:
            self._presets = _load(path)

    def names(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(sorted(self._presets, key=str.casefold))

    def look(self, name: object) -> dict[str, Any]:
        """The look of that name: a value for each field of `rtfocus.state.LOOK`.

        Raises:
            UsageError: there is none.
        """
        if not isinstance(name, str) or name not in self._presets:
            known = ", ".join(self.names()[:10]) or "none yet"
            raise UsageError(f"there is no preset {quoted(name)}; there are {known}")
        return {**_DEFAULTS, **self._presets[name]}

    def save(self, name: object, state: LiveState) -> str:
        """Keep the look of the state under a name, in place of one that had it before.

        Returns:
            The name as it was kept.

        Raises:
            UsageError: that is no name, a value is not one that a preset can hold, or there are
                too many presets.
            OutputError: the file cannot be written.
        """
        name = _check_name(name)
        if name not in self._presets and len(self._presets) >= MAX_PRESETS:
            raise UsageError(f"there are {MAX_PRESETS} presets already: delete one first")
        # What is left to rtfocus stays so: None is not written.
        look = {field: SETTABLE[field](field, getattr(state, field)) for field in LOOK}
        look = {field: value for field, value in look.items() if value is not None}
        self._keep({**self._presets, name: look})
        return name

    def delete(self, name: object) -> None:
        """Forget a preset.

        Raises:
            UsageError: there is none of that name.
            OutputError: the file cannot be written.
        """
        self.look(name)
        self._keep({other: look for other, look in self._presets.items() if other != name})

    def _keep(self, presets: dict[str, dict[str, Any]]) -> None:
        if self._path is not None:
            _write(self._path, presets)
        self._presets = presets


def _check_name(name: object) -> str:
    trimmed = name.strip() if isinstance(name, str) else ""
    if not (0 < len(trimmed) <= MAX_NAME and trimmed.isprintable()):
        raise UsageError(
            f"preset name {quoted(name)}: must be 1 to {MAX_NAME} printable characters"
        )
    return trimmed


def _load(path: Path) -> dict[str, dict[str, Any]]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise UsageError(f"presets {str(path)!r} cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"presets {str(path)!r} are not TOML: {error}") from error
    given = table.pop("preset", {})
    if table or not isinstance(given, dict):
        # It is written anew on every change, and what else it holds would be lost.
        raise UsageError(
            f"presets {str(path)!r} hold other settings too: give a file of [preset.NAME] tables"
        )
    return {_check_name(name): _read_look(look, name, path) for name, look in given.items()}


def _read_look(look: object, name: str, path: Path) -> dict[str, Any]:
    where = f"preset {name!r} in {str(path)!r}"
    if not isinstance(look, dict):
        raise UsageError(f"{where}: must be a table")
    values = {key.replace("-", "_"): value for key, value in look.items()}
    for key in values:
        if key not in LOOK:
            raise UsageError(f"{where}: {key!r} is no part of a look: {', '.join(LOOK)}")
    return {key: SETTABLE[key](f"{where}: {key}", value) for key, value in values.items()}


def _write(path: Path, presets: Mapping[str, Mapping[str, Any]]) -> None:
    lines = []
    for name, look in presets.items():
        # Printable text needs no other escapes in a basic string.
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(f'[preset."{quoted}"]')
        lines += [f"{field.replace('_', '-')} = {value!r}" for field, value in look.items()]
        lines.append("")
    with path_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "\n".join(lines))
