"""The contract of everything that says how far things are."""

from __future__ import annotations

from typing import Protocol

from rtfocus.frame import Frame, Map, Scale


class DepthSource(Protocol):
    """Gives one disparity map per frame: a network, a recording, or the scene itself.

    Attributes:
        scale: what the numbers mean, see `rtfocus.frame.Scale`.
        steady: True where maps need no smoothing unless the user asks (recorded or true depth).
        description: one line for the user, such as "rtfocus-small 192x320 on cpu".
    """

    scale: Scale
    steady: bool
    description: str

    def estimate(self, frame: Frame) -> Map:
        """Disparity, float32 (gh, gw) of any size with the picture's aspect, larger = nearer."""

    def close(self) -> None:
        """Release files and devices; safe to call twice."""
