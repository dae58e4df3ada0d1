"""Settings in TOML files, as --config reads and --print-config writes them."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from rtfocus.errors import UsageError, suggest
from rtfocus.settings import Settings, check_names


def load_config(path: str, preset: str | None = None) -> dict[str, Any]:
    """Settings from a TOML file: its top level, overlaid with [preset.NAME].

    Raises:
        UsageError: no such file or preset, no TOML, or a key that is no setting.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path!r} cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config {path!r} is not TOML: {error}") from error
    presets = table.pop("preset", {})
    chosen: dict[str, Any] = {}
    if preset is not None:
        if not isinstance(presets, dict) or not all(isinstance(p, dict) for p in presets.values()):
            raise UsageError(f"--config {path!r}: presets must be tables, such as [preset.NAME]")
        if preset not in presets:
            known = ", ".join(presets) or "none"
            raise UsageError(
                f"--preset {preset!r} is not in {path!r}; it has {known}{suggest(preset, presets)}"
            )
        chosen = presets[preset]
    values = {key.replace("-", "_"): value for key, value in {**table, **chosen}.items()}
    check_names(values, path)
    return values


def to_toml(settings: Settings) -> str:
    """The settings as TOML that `load_config` reads; what is not set stands as a comment."""
    lines = []
    for field in fields(settings):
        value = getattr(settings, field.name)
        key = field.name.replace("_", "-")
        if value is None:
            lines.append(f"# {key} =")
        elif isinstance(value, bool):
            lines.append(f"{key} = {str(value).lower()}")
        elif isinstance(value, tuple):
            lines.append(f"{key} = [{', '.join(map(repr, value))}]")
        elif isinstance(value, str):
            lines.append(f"{key} = {_quote(value)}")
        else:
            lines.append(f"{key} = {value!r}")
    return "\n".join(lines) + "\n"


def _quote(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " else f"\\u{ord(c):04x}" for c in escaped) + '"'
