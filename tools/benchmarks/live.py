"""The live path end to end: a job in a process of its own, and clients that time what they see.

    python tools/benchmarks/live.py [--clip CLIP] [--only browser slow] [-- options of rtfocus run]

    browser    headless Chromium: pictures drawn per second, how old they are once decoded and once
               shown, CPU of both sides
    endurance  memory, age and drops of every one of --minutes, and whether they grow
    slow       what a client sees alone, beside one that acknowledges a picture a second, and beside
               one that does not read
    loss       from a sender's return until its picture is seen
    start      from the start of the process to the first picture seen, kernels cached
    idle       CPU while someone watches, and after they have left

Pictures are timed by the header they come with, on the clock of the machine that both sides share:
their age ends when the client has decoded them. What watches takes its share of the processor too;
percentages are of one core.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from live_peers import PATIENCE_S, Browser, Job, Meter, UnmeasuredError, Viewer, stalled, throttled
from websockets.exceptions import WebSocketException

_SCENE = "pattern:1280x720@30,3600s"  # it must not end before the last measurement
_MINUTE_S = 60.0
_SAMPLE_S = 5.0  # between two looks at the memory
_AWAY_S = (1.0, 3.0, 10.0)
_OTHER = 40.0  # mean difference in levels; a picture and its negative differ by far more
_FLAT_MEMORY, _FLAT_AGE = 0.01, 0.1  # growth over the whole run, of the mean


Row = dict[str, str | float]


class Table(NamedTuple):
    """What a part has found, and how busy others kept the machine before, in percent of it."""

    rows: list[Row]
    note: str = ""
    busy_before: float = 0.0


class Bench:
    """The parts, each for the same command."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._words: list[str] = shlex.split(args.command)
        self._options: list[str] = ["--model", args.model, *args.options]
        self._input: str = args.input
        self._clip: str | None = args.clip
        self._seconds: float = args.seconds
        self._minutes: int = args.minutes

    def warm_up(self) -> None:
        """Fill the kernel cache, which takes long and is done once on a machine."""
        with self._job(self._input) as job, Viewer(job.url) as viewer:
            viewer.settle()

    def browser(self) -> Table:
        """What Chromium draws."""
        sources: list[tuple[str, str, tuple[str, ...]]] = [
            (name, name, ()) for name in (_SCENE, "pattern:640x360@30,3600s")
        ]
        if self._clip is not None:
            sources.append((Path(self._clip).name, self._clip, ("--realtime", "--loop")))
        rows: list[Row] = []
        for name, source, options in sources:
            with Browser() as browser, self._job(source, *options) as job:
                browser.settle(job.url)
                server, client = Meter(job.pid), Meter(browser.pid)
                seen = np.array(browser.look(self._seconds)).reshape(-1, 4)
                captured, decoded, frame, shown = seen.T
                rows.append({
                    "input": name,
                    "drawn/s": len(seen) / self._seconds,
                    "shown/s": len(set(frame)) / self._seconds,
                    **_ages(decoded - captured, "decoded"),
                    **_ages(shown - captured, "shown"),
                    "server %": server.percent(),
                    "chromium %": client.percent(),
                    "server's threads %": server.threads(),
                })  # fmt: skip
        return Table(rows)

    def endurance(self) -> Table:
        """Minute by minute, and the line of least squares through the minutes after the first."""
        rows: list[Row] = []
        with self._job(self._input) as job, Viewer(job.url) as viewer:
            viewer.settle()
            for minute in range(self._minutes):
                drops, ages, memory = viewer.drops, list[float](), list[float]()
                for _ in range(round(_MINUTE_S / _SAMPLE_S)):
                    ages += viewer.look(_SAMPLE_S)
                    memory.append(job.memory_mib)
                rows.append({
                    "minute": minute + 1,
                    "MiB": float(np.median(memory)),
                    "seen/s": len(ages) / _MINUTE_S,
                    **_ages(ages),
                    "drops": viewer.drops - drops,
                })  # fmt: skip
        if len(rows) < 4:
            return Table(rows, "too few minutes for a verdict")
        found = [
            _verdict("memory", "MiB", [float(row["MiB"]) for row in rows[1:]], _FLAT_MEMORY),
            _verdict("age", "ms", [float(row["p50 ms"]) for row in rows[1:]], _FLAT_AGE),
        ]
        return Table(rows, "; ".join(found))

    def slow(self) -> Table:
        """What one client sees beside others."""
        rows: list[Row] = []
        with self._job(self._input) as job, Viewer(job.url) as viewer:
            viewer.settle()
            for name, other in (
                ("nobody", nullcontext()),
                ("one acknowledgement a second", throttled(job.url)),
                ("one that does not read", stalled(job.url)),
                ("nobody again", nullcontext()),
            ):
                with other:
                    ages = list(viewer.look(self._seconds))
                rows.append({"beside": name, "seen/s": len(ages) / self._seconds, **_ages(ages)})
        return Table(rows)

    def loss(self) -> Table:
        """Senders that go away and come back, with the negative of what they sent before."""
        if shutil.which("ffmpeg") is None:
            raise UnmeasuredError("the ffmpeg program is not on this machine")
        rows: list[Row] = []
        with tempfile.TemporaryDirectory() as folder:
            clips = [_clip(Path(folder) / f"{name}.ts", name) for name in ("null", "negate")]
            for scheme, extra in (("udp", "?pkt_size=1316"), ("tcp", "?listen=1")):
                for away, back in zip(_AWAY_S, self._returns(scheme, extra, clips), strict=True):
                    rows.append({"stream": scheme, "away s": away, "picture after s": back})
        return Table(rows)

    def start(self) -> Table:
        """Three starts."""
        rows: list[Row] = []
        for _ in range(3):
            with self._job(self._input) as job:
                page = time.monotonic() - job.began
                with Viewer(job.url) as viewer:
                    viewer.wait()
                    picture = time.monotonic() - job.began
            rows.append({"page after s": page, "picture after s": picture})
        return Table(rows)

    def idle(self) -> Table:
        """CPU with and without someone who watches."""
        with self._job(self._input) as job:
            with Viewer(job.url) as viewer:
                viewer.settle()
                meter = Meter(job.pid)
                deque(viewer.look(self._seconds), maxlen=0)
                rows = [_cpu("one", meter)]
            time.sleep(3)
            meter = Meter(job.pid)
            time.sleep(self._seconds)
            rows.append(_cpu("nobody", meter))
        return Table(rows)

    def _job(self, source: str, *options: str) -> Job:
        return Job(self._words, source, [*options, *self._options])

    def _returns(self, scheme: str, extra: str, clips: Sequence[Path]) -> list[str | float]:
        """Seconds after every return."""
        address = f"{scheme}://127.0.0.1:{_free_port()}"
        sender = _send(clips[0], address + extra)
        waits: list[str | float] = []
        try:
            with self._job(address) as job, Viewer(job.url) as viewer:
                for i, away in enumerate(_AWAY_S):
                    viewer.settle()
                    before = viewer.picture
                    assert before is not None
                    sender.kill()
                    sender.wait()
                    deque(viewer.look(away), maxlen=0)
                    sender, returned = _send(clips[(i + 1) % 2], address + extra), time.monotonic()
                    waits.append("never")
                    for _ in viewer.look(PATIENCE_S):
                        assert viewer.picture is not None
                        if np.abs(viewer.picture.astype(np.int16) - before).mean() > _OTHER:
                            waits[-1] = time.monotonic() - returned
                            break
        finally:
            sender.kill()
            sender.wait()
        return waits


def _cpu(watched_by: str, meter: Meter) -> Row:
    return {"watched by": watched_by, "server %": meter.percent(), "threads %": meter.threads()}


def _ages(ages: Sequence[float], of: str = "") -> dict[str, float]:
    if not len(ages):
        raise UnmeasuredError("no more pictures came")
    p50, p95 = np.percentile(ages, (50, 95))
    return {f"{of} p50 ms".strip(): float(p50), f"{of} p95 ms".strip(): float(p95)}


def _verdict(name: str, unit: str, values: list[float], share: float) -> str:
    (slope, _), covariance = np.polyfit(np.arange(len(values)), values, 1, cov=True)
    error = float(np.sqrt(covariance[0, 0]))
    growth = slope * (len(values) - 1) / float(np.mean(values))
    word = "GROWS" if growth > share and slope > 2 * error else "flat"
    return f"{name} {word} ({slope:+.3f} ± {error:.3f} {unit} a minute, {growth:+.1%} over the run)"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _clip(path: Path, effect: str) -> Path:
    """Ten seconds at 720p with a key frame every second."""
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s=1280x720:r=30,{effect}"]
    command += ["-t", "10", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast"]
    subprocess.run([*command, "-g", "30", "-bf", "0", str(path)], check=True)
    return path


def _send(clip: Path, url: str) -> subprocess.Popen[bytes]:
    """Send a clip over and over, in real time."""
    command = ["ffmpeg", "-v", "quiet", "-nostdin", "-re", "-stream_loop", "-1", "-i", str(clip)]
    return subprocess.Popen([*command, "-c", "copy", "-f", "mpegts", url])


def _print(name: str, table: Table) -> None:
    print(f"\n{name} (machine {table.busy_before:.0f} % busy before)")
    if table.rows:
        cells = [list(table.rows[0])]
        cells += [[_text(value) for value in row.values()] for row in table.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            print("  " + "  ".join(map(str.ljust, line, widths)).rstrip())
    if table.note:
        print(f"  {table.note}")


def _text(value: str | float) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ("browser", "endurance", "slow", "loss", "start", "idle")
    command = shlex.join([sys.executable, "-m", "rtfocus", "run"])
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--input", default=_SCENE, help="of all parts but browser and loss")
    parser.add_argument("--clip", help="a file that browser shows too")
    parser.add_argument("--model", default="rtfocus-small")
    parser.add_argument("--seconds", type=float, default=30.0, help="of every measurement")
    parser.add_argument("--minutes", type=int, default=10, help="of endurance")
    parser.add_argument("--command", default=command, help="that INPUT --serve PORT is added to")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("options", nargs="*", help="after --: for the command")
    args = parser.parse_args()
    bench = Bench(args)
    try:
        bench.warm_up()
    except UnmeasuredError as error:
        raise SystemExit(str(error)) from error
    found: dict[str, Table] = {}
    for part in args.only:
        busy = psutil.cpu_percent(interval=2)
        print(f"measuring {part}; the machine is {busy:.0f} % busy already", file=sys.stderr)
        measure: Callable[[], Table] = getattr(bench, part)
        try:
            table = measure()
        except (UnmeasuredError, WebSocketException) as error:
            table = Table([], f"not measured: {error}")
        found[part] = table._replace(busy_before=busy)
    if args.json:
        print(json.dumps({part: table._asdict() for part, table in found.items()}))
        return
    for part, table in found.items():
        _print(part, table)


if __name__ == "__main__":
    main()
