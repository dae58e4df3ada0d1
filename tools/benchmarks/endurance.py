"""Minutes of live video: whether latency and memory stay what they are.

    python tools/benchmarks/endurance.py [--size 1920x1080] [--seconds 120] [--device cuda]

The built-in scene at 30 pictures a second, depth from a network, each result encoded to a file. Per
10 s: frames, those dropped because the one before took too long, latency from the picture to its
encoded result, memory of the process at the end, and what is in use of the GPU's. The last line
says how much it grew, the first 10 s apart, in which all warms up.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rtfocus.backend import open_backend
from rtfocus.device import resolve
from rtfocus.engine import Engine
from rtfocus.readers import Reader, open_reader
from rtfocus.readers.capture import Capture
from rtfocus.readers.player import Player, Wish
from rtfocus.settings import Settings
from rtfocus.writers import open_writer

_WINDOW_S = 10


@dataclass(frozen=True, slots=True)
class Window:
    """What was measured in `_WINDOW_S` seconds.

    Attributes:
        end: in seconds from the start.
        dropped: frames.
        latencies: of every frame, in ms.
        memory: resident, in MB.
        gpu_memory: of the GPU, in MB.
    """

    end: float
    dropped: int
    latencies: list[float]
    memory: float
    gpu_memory: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="1920x1080", metavar="WxH")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--model", default="rtfocus-small")
    args = parser.parse_args()
    settings = Settings.create(device=args.device, model=args.model)
    print("    s  frames dropped   ms p50   ms p95   ms max      MB  GPU MB")
    windows = []
    for window in measure(args.size, args.seconds, settings):
        late = sorted(window.latencies)
        print(
            f"{window.end:5.0f} {len(late):7d} {window.dropped:7d} {statistics.median(late):8.2f} "
            f"{late[int(0.95 * len(late))]:8.2f} {late[-1]:8.2f} {window.memory:7.0f} "
            f"{window.gpu_memory:7.0f}",
            flush=True,
        )
        windows.append(window)
    if len(windows) > 2:
        print(growth(windows[1], windows[-1]))


def measure(size: str, seconds: float, settings: Settings) -> Iterator[Window]:
    """One window after the other; what is left in the end makes none."""
    device = resolve(settings.device)
    backend = open_backend(device)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_live(f"pattern:{size}@30,{seconds:g}s") as reader,
    ):
        depth = backend.open_depth(settings, reader.info)
        output, encoding = str(Path(folder) / "out.mp4"), backend.encoding
        with open_writer(
            output, reader.info, threads=settings.cores(), encoding=encoding
        ) as writer:
            engine = Engine(settings, depth, backend, form=writer.takes)
            latencies: list[float] = []
            start, dropped, windows = time.monotonic(), 0, 1
            for frame in reader:
                writer.write(engine.refocus(frame))
                now = time.monotonic()
                latencies.append(1000 * (now - (frame.captured or now)))
                if now - start >= windows * _WINDOW_S:
                    gpu = gpu_memory() if device.kind == "cuda" else 0.0
                    drops = reader.drops - dropped
                    yield Window(now - start, drops, latencies, resident(), gpu)
                    latencies, dropped, windows = [], reader.drops, windows + 1
            engine.close()


def open_live(source: str) -> Capture:
    """A source at its own pace, of which the newest frame is taken."""

    def open_at(start: float) -> Reader:
        return open_reader(source, start=start)

    player = Player(open_at, Wish, on_end=lambda: player.close())
    return Capture(source, lambda: player)


def growth(first: Window, last: Window) -> str:
    """What became more from one window to another."""
    slower = statistics.median(last.latencies) - statistics.median(first.latencies)
    own, gpu = last.memory - first.memory, last.gpu_memory - first.gpu_memory
    return (
        f"from {first.end:.0f} to {last.end:.0f} s: latency {slower:+.2f} ms, "
        f"memory {own:+.0f} MB, the GPU's {gpu:+.0f} MB"
    )


def resident() -> float:
    """Memory of this process in MB, as Linux accounts it."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def gpu_memory() -> float:
    """What is in use of the GPU's memory, in MB."""
    import cupy

    free, total = cupy.cuda.runtime.memGetInfo()
    return float(total - free) / 1e6


if __name__ == "__main__":
    main()
