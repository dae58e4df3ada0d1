"""What the checks of `rtfocus doctor` have in common."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple, cast

import av


class Check(NamedTuple):
    """One line of the doctor's report.

    Attributes:
        name: what was looked at.
        ok: whether rtfocus can use it.
        detail: what was found.
        remedy: what to do about it; empty where nothing needs doing.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""


def can_encode(name: str) -> bool:
    """Whether an encoder opens; that it is listed proves nothing."""
    try:
        codec = cast(av.VideoCodecContext, av.CodecContext.create(name, "w"))
        codec.width, codec.height, codec.pix_fmt = 640, 360, "yuv420p"
        codec.framerate, codec.time_base = Fraction(30), Fraction(1, 30)
        if name == "libx265":  # it would tell its life story on stderr
            codec.options = {"x265-params": "log-level=none"}
        codec.open()
    except (av.FFmpegError, av.codec.codec.UnknownCodecError):
        return False
    return True
