"""What `rtfocus info` says."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from rtfocus import __version__
from rtfocus.readers import open_reader
from rtfocus.readers.cameras import list_cameras

_PACKAGES = ("av", "numpy", "numba", "opencv-python", "onnxruntime", "onnxruntime-gpu")


def describe_input(source: str) -> dict[str, Any]:
    """What is known of an input before its first frame, JSON-ready."""
    with open_reader(source) as reader:
        info = reader.info
    rows: dict[str, Any] = {
        "input": info.source,
        "kind": info.kind,
        "width": info.width,
        "height": info.height,
        "frames": info.frames,
        "rate": None if info.rate is None else round(float(info.rate), 3),
        "time_base": str(info.time_base),
        "sample_aspect_ratio": str(info.sample_aspect_ratio),
        "own_depth": info.has_depth,
        "live": info.live,
    }
    if info.duration is not None:
        rows["seconds"] = round(info.duration, 3)
    return rows


def describe_installation() -> dict[str, Any]:
    """Versions and cameras, JSON-ready."""
    rows = {"rtfocus": __version__, "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            rows[package] = version(package)
        except PackageNotFoundError:
            continue
    rows["platform"] = platform.platform()
    rows["cameras"] = ", ".join(map(str, list_cameras())) or "none found"
    return rows
