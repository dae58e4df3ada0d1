"""Whole runs of the command line: CPU per frame, resident memory, time to the first frame.

    python tools/benchmarks/job.py --clip CLIP --model NETWORK.onnx      CPU per frame of a clip
    python tools/benchmarks/job.py --memory 1920x1080 --frames 300 3000  of the built-in scene
    python tools/benchmarks/job.py --start                               from start to first frame

Every figure is of a process of its own, as the operating system accounts it.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip")
    parser.add_argument("--model")
    parser.add_argument("--quality", default="fast")
    parser.add_argument("--memory", metavar="WxH")
    parser.add_argument("--frames", type=int, nargs="+", default=[300, 3000])
    parser.add_argument("--start", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.clip:
            clip_cpu(args.clip, args.model, args.quality, Path(folder))
        if args.memory:
            for count in args.frames:
                memory(args.memory, count, args.quality, args.model, Path(folder))
        if args.start:
            start(Path(folder))


def run(*arguments: object) -> tuple[float, float, int]:
    """Wall and CPU seconds and largest resident memory in kB of one run; its output is shown."""
    command = [sys.executable, "-m", "rtfocus", "run", *map(str, arguments), "-y", "-q"]
    begin = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def clip_cpu(clip: str, model: str, quality: str, folder: Path) -> None:
    """CPU per frame of a whole job, start-up included, after a run that fills the kernel cache."""
    more = ("--model", model, "--quality", quality)
    run(clip, "-o", folder / "out.mp4", *more)
    report = subprocess.run(
        [sys.executable, "-m", "rtfocus", "info", clip, "--json"], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    match = re.search(r'"frames": (\d+)', report.stdout)
    frames = int(match[1]) if match else 1
    for _ in range(3):
        wall, cpu, memory_kb = run(clip, "-o", folder / "out.mp4", *more)
        print(
            f"{quality}: {cpu / frames * 1000:.1f} ms of CPU and {wall / frames * 1000:.1f} ms of "
            f"time per frame, {cpu / wall:.2f} cores busy, {memory_kb / 1024:.0f} MB"
        )


def memory(size: str, count: int, quality: str, model: str | None, folder: Path) -> None:
    """Largest resident memory over a number of frames."""
    more = ("--model", model) if model else ()
    source = f"pattern:{size}@30,{count / 30:.4f}s"
    _, _, kilobytes = run(source, "-o", folder / "out.mp4", "--quality", quality, *more)
    print(f"{size}, {count} frames: {kilobytes / 1024:.0f} MB")


def start(folder: Path) -> None:
    """From the start of the process to the first frame written, kernels cached."""
    for _ in range(4):
        source, output = "pattern:1280x720@30,2s", str(folder / "out.mp4")
        command = [sys.executable, "-m", "rtfocus", "run", source, "-o", output, "-y"]
        command += ["--quality", "fast", "--look-ahead", "0"]
        begin = time.perf_counter()
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            line = process.stderr.readline()
            seconds = time.perf_counter() - begin
            process.kill()
        print(f"{seconds:.2f} s ({line.strip()})")


if __name__ == "__main__":
    main()
