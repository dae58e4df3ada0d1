"""How tests load a depth network, and what they show it."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np

from rtfocus.depth.network import NetworkDepth
from rtfocus.device import resolve
from rtfocus.frame import Frame, Image, StreamInfo

CPU = resolve("cpu")
SHARED = Path(os.environ.get("RTFOCUS_SHARED", Path(__file__).parents[2] / "shared"))


def frame(image: Image, index: int = 0) -> Frame:
    return Frame(image, index, index, Fraction(1, 25))


def noise(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def load(
    path: Path,
    picture: tuple[int, int] = (32, 48),
    size: tuple[int, int] | None = None,
    every: int = 1,
) -> NetworkDepth:
    return NetworkDepth(path, device=CPU, picture=picture, size=size, threads=1, every=every)


def stream(has_depth: bool = False) -> StreamInfo:
    return StreamInfo(
        "clip.mp4", "video", 48, 32, Fraction(1, 25), Fraction(25), 10, has_depth=has_depth
    )
