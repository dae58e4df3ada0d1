"""Which cameras there are."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import av
import av.device

_SYSFS = Path("/sys/class/video4linux")


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera of this machine.

    Attributes:
        name: as rtfocus takes it, such as camera:0.
        device: as FFmpeg takes it.
        description: for people.
    """

    name: str
    device: str
    description: str

    def __str__(self) -> str:
        return f"{self.name} ({self.description})"


def list_cameras(system: str = sys.platform, sysfs: Path = _SYSFS) -> list[Camera]:
    """The cameras, in order of their numbers; empty where none can be found.

    Args:
        system: as `sys.platform` has it.
        sysfs: where Linux lists its video devices.
    """
    if system not in ("win32", "darwin"):
        return _linux(sysfs)
    try:
        found = av.device.enumerate_input_devices("dshow" if system == "win32" else "avfoundation")
    except (av.FFmpegError, ValueError):
        return []
    cameras = [device for device in found if "video" in device.media_types]
    return [Camera(f"camera:{i}", c.name, c.description) for i, c in enumerate(cameras)]


def _linux(sysfs: Path) -> list[Camera]:
    """By the kernel's list, which needs no permission and opens nothing."""
    cameras = []
    for folder in sysfs.glob("video*"):
        number = folder.name.removeprefix("video")
        # A camera's further nodes give metadata, not pictures.
        if not number.isdigit() or _line(folder / "index") not in ("", "0"):
            continue
        description = _line(folder / "name") or "unnamed"
        cameras.append(
            (int(number), Camera(f"camera:{number}", f"/dev/{folder.name}", description))
        )
    return [camera for _, camera in sorted(cameras, key=lambda pair: pair[0])]


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
