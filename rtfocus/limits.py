"""What a number may be, alike on the command line, in files and on the page."""

from __future__ import annotations

from rtfocus.errors import UsageError

LIMITS: dict[str, tuple[float, float]] = {
    "f_number": (0.01, 1000),
    "focus_range": (0, 1000),
    "max_radius": (0.01, 1000),
    "blade_rotation": (-360, 360),
    "highlights": (0, 10),
    "smooth": (0, 1),
    "depth_every": (1, 100_000),
}
"""The least and the largest value of a setting; units are those of `rtfocus.settings.Settings`."""


def check_limits(name: str, value: float) -> None:
    """Raise UsageError for a value that a setting may not have."""
    low, high = LIMITS[name]
    if not low <= value <= high:  # nor is NaN
        raise UsageError(f"{name} {value!r}: must be {low:g} to {high:g}")
