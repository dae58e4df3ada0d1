"""A clip, a still, and depth for them, as tests of depth that is not estimated share them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np

from rtfocus.backend import CpuBackend
from rtfocus.depth.base import DepthSource
from rtfocus.device import resolve
from rtfocus.frame import Frame, StreamInfo
from rtfocus.settings import Settings

WIDTH, HEIGHT = 96, 64
TICK = Fraction(1, 25)


def stream(
    frames: int | None = 10,
    kind: Literal["video", "image"] = "video",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    rate: Fraction | None = Fraction(25),
) -> StreamInfo:
    return StreamInfo("clip.mp4", kind, *size, TICK, None if kind == "image" else rate, frames)


STILL = stream(1, "image")


def frame(index: int, pts: int | None = None, tick: Fraction = TICK) -> Frame:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    return Frame(image, index, index if pts is None else pts, tick, 1)


def scene(seed: int = 0, height: int = 32, width: int = 48) -> np.ndarray:
    """A smooth map over about 0..1, float32."""
    y, x = np.mgrid[0:height, 0:width]
    return (0.5 + 0.5 * np.sin(x / 9 + seed) * np.cos(y / 7)).astype(np.float32)


def open_at(path: Path, kind: str | None = None, info: StreamInfo | None = None) -> DepthSource:
    settings = Settings(depth=str(path), depth_kind=kind)
    return CpuBackend(resolve("cpu")).open_depth(settings, info or stream())
