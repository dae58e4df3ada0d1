"""CPU time per frame of the upsampling and rendering of `live` beside `fast`, on the same frames.

    python tools/benchmarks/tiers.py [--size 1280x720 640x360] [--frames 30] [--f-number 2.8]

The built-in scene, its disparity as soft as a network's, on a grid of 192x320. The tiers alternate
from frame to frame, so that a noisy machine slows both alike.
"""

from __future__ import annotations

import argparse
import statistics
import time

import cv2

from rtfocus.backend import CpuBackend
from rtfocus.device import resolve
from rtfocus.frame import Disparity, Image
from rtfocus.readers import open_reader
from rtfocus.settings import Settings

TIERS = ("fast", "live")
ROBOT = 1 / 2.4
"""Disparity of the scene's subject in 1/m."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", nargs="+", default=["1280x720", "640x360"])
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--f-number", type=float, default=2.8)
    args = parser.parse_args()
    for size in args.size:
        figures = measure(size, args.frames, args.f_number)
        for tier, (upsample, render) in figures.items():
            print(f"{size:>10s} {tier}: {upsample:5.1f} + {render:5.1f} ms of CPU per frame")


def measure(size: str, count: int, f_number: float) -> dict[str, tuple[float, float]]:
    """Median ms of upsampling and of rendering, by tier."""
    frames = soft_frames(size, count)
    stages = {}
    for tier in TIERS:
        settings = Settings(quality=tier, f_number=f_number)
        backend = CpuBackend(resolve("cpu"))
        stages[tier] = backend.make_stages(settings, scale="normalised", strength=0, ahead=0)
    times: dict[str, list[tuple[float, float]]] = {tier: [] for tier in TIERS}
    for image, disparity, plane in frames[:1] + frames:
        for tier, made in stages.items():
            start = time.process_time()
            enlarged = made.upsampler(disparity, image)
            between = time.process_time()
            made.renderer.render(image, enlarged, plane, settings.lens())
            times[tier].append((between - start, time.process_time() - between))
    for made in stages.values():
        made.close()
    return {
        tier: (1000 * statistics.median(a), 1000 * statistics.median(b))
        for tier, (a, b) in ((t, zip(*rows[1:], strict=True)) for t, rows in times.items())
    }


def soft_frames(size: str, count: int) -> list[tuple[Image, Disparity, float]]:
    """Pictures, their disparity as a network gives it, and the plane of focus on the subject."""
    frames = []
    with open_reader(f"pattern:{size}@{count},1s") as reader:
        for frame in reader:
            assert frame.disparity is not None
            low, span = frame.disparity.min(), float(frame.disparity.max() - frame.disparity.min())
            grid = cv2.resize(frame.disparity, (320, 192), interpolation=cv2.INTER_AREA)
            soft = cv2.GaussianBlur((grid - low) / span, (0, 0), 1.0)
            frames.append((frame.image, Disparity(soft), (ROBOT - float(low)) / span))
    return frames


if __name__ == "__main__":
    main()
