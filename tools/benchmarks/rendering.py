"""CPU time per frame of both full-size render tiers beside FFmpeg's varblur on the same frames.

    python tools/benchmarks/rendering.py [--size 1280x720] [--frames 24] [--max-radius 10.67]

All run on one thread and alternate, so that a noisy machine slows all alike. FFmpeg's figure is the
CPU time (user + sys) of a run with the filter minus that of the same run without it; its box is the
one whose half width 4 * max_r + 1 comes nearest to the largest radius.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from rtfocus.frame import Image, Map
from rtfocus.readers import open_reader
from rtfocus.render.aperture import Aperture
from rtfocus.render.layered import LensRenderer
from rtfocus.render.layers import TIERS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--max-radius", type=float, default=10.67, help="pixels")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    frames = pattern_frames(args.size, args.frames, args.max_radius)
    renderers = {q: LensRenderer(TIERS[q], Aperture(), threads=1) for q in ("high", "fast")}
    for renderer in renderers.values():
        renderer.blur(*frames[0])
    figures: dict[str, list[float]] = {name: [] for name in [*renderers, "ffmpeg varblur"]}
    with tempfile.TemporaryDirectory() as folder:
        files = write_raw(frames, Path(folder))
        for _ in range(args.rounds):
            for name, renderer in renderers.items():
                figures[name].append(cpu_ms(renderer, frames))
            figures["ffmpeg varblur"].append(
                varblur_ms(files, args.size, len(frames), args.max_radius)
            )
    reference = statistics.median(figures["ffmpeg varblur"])
    result = {
        name: {"cpu_ms": statistics.median(values), "ratio": statistics.median(values) / reference}
        for name, values in figures.items()
    }
    if args.json:
        print(json.dumps(result))
        return
    for name, row in result.items():
        print(f"{name:16s} {row['cpu_ms']:7.1f} ms of CPU per frame, {row['ratio']:5.2f} x varblur")


def pattern_frames(size: str, count: int, max_radius: float) -> list[tuple[Image, Map]]:
    """Pictures of the built-in scene, focused on its middle, and their signed radii in pixels."""
    frames = []
    with open_reader(f"pattern:{size}@{count},1s") as reader:
        for frame in reader:
            assert frame.disparity is not None
            offset = frame.disparity - np.median(frame.disparity)
            frames.append((frame.image, (offset * (max_radius / np.abs(offset).max()))))
    return frames


def cpu_ms(renderer: LensRenderer, frames: list[tuple[Image, Map]]) -> float:
    """CPU time per frame, in milliseconds."""
    start = time.process_time()
    for image, radius in frames:
        renderer.blur(image, radius)
    return (time.process_time() - start) / len(frames) * 1000


def write_raw(frames: list[tuple[Image, Map]], folder: Path) -> tuple[Path, Path]:
    """The frames, and their absolute radii scaled to 0..255, as raw planar GBR."""
    pictures, radii = folder / "pictures.raw", folder / "radii.raw"
    largest = max(float(np.abs(radius).max()) for _, radius in frames)
    with pictures.open("wb") as a, radii.open("wb") as b:
        for image, radius in frames:
            for channel in (1, 2, 0):
                a.write(image[..., channel].tobytes())
                b.write((np.abs(radius) * (255 / largest)).astype(np.uint8).tobytes())
    return pictures, radii


def varblur_ms(files: tuple[Path, Path], size: str, frames: int, max_radius: float) -> float:
    """CPU time per frame of FFmpeg's varblur alone, in milliseconds."""
    inputs: list[str] = []
    for file in files:
        inputs += ["-f", "rawvideo", "-pix_fmt", "gbrp", "-s", size, "-i", str(file)]
    level = max(1, int((max_radius - 1) / 4))
    blur = f"[0][1]varblur=min_r=0:max_r={level}"
    copy = "[1]nullsink;[0]null"
    with_filter, without = (
        child_cpu_s(["ffmpeg", "-v", "error", "-threads", "1", "-filter_threads", "1",
                     "-filter_complex_threads", "1", *inputs, "-lavfi", graph, "-f", "null", "-"])
        for graph in (blur, copy)
    )  # fmt: skip
    return (with_filter - without) / frames * 1000


def child_cpu_s(command: list[str]) -> float:
    """User and system time of a program, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
