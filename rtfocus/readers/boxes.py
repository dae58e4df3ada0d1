"""The boxes that MP4 and QuickTime files are made of (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

import os
from pathlib import Path

_MATTER = {b"moov", b"moof", b"mdat"}  # after the others, anything may have been appended


def ends_within_a_box(path: Path) -> bool:
    """Whether the last box says that there is more, as of a fragmented recording that broke off."""
    length, at, kind = os.path.getsize(path), 0, b""
    with path.open("rb") as file:
        while at + 8 <= length:
            file.seek(at)
            head = file.read(16)
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if size == 1:  # too large for four bytes
                size = int.from_bytes(head[8:], "big")
            if size < 8:  # 0: to the end of the file
                return False
            at += size
    return at > length and kind in _MATTER
