"""rtfocus refocuses video: depth from a network, blur from a thin lens.

    rtfocus.refocus("clip.mp4", "out.mp4", model="depth.onnx", focus=(0.4, 0.5), f_number=1.8)

does a whole job, `rtfocus.Refocus` works picture by picture. Options are those of the command line.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtfocus.api import Refocus
    from rtfocus.errors import RtfocusError
    from rtfocus.pipeline import Summary
    from rtfocus.run import refocus
    from rtfocus.settings import Settings

    __version__: str

__all__ = ["Refocus", "RtfocusError", "Settings", "Summary", "refocus"]

_HOMES = {
    "Refocus": "rtfocus.api",
    "RtfocusError": "rtfocus.errors",
    "Settings": "rtfocus.settings",
    "Summary": "rtfocus.pipeline",
    "refocus": "rtfocus.run",
}


def __getattr__(name: str) -> object:
    """Import what is used, so that `import rtfocus` alone costs nothing."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name == "__version__":
        return import_module("importlib.metadata").version("rtfocus")
    raise AttributeError(f"module 'rtfocus' has no attribute {name!r}")
