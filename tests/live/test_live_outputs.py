"""What a live job sends and records, and what it does when a source or an output fails."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from live.live_run import LiveRun, decode, detail, distance, has_ended
from live.page import Page
from live.peers import PATIENCE_S, free_port, running, wait_until
from live.virtual import Backend
from rtfocus import pipeline
from rtfocus.depth.scene import SceneDepth
from rtfocus.errors import DeviceError, InputCutShort, OutputError
from rtfocus.frame import Frame, Image, Map, StreamInfo
from rtfocus.readers import stream
from rtfocus.readers.scene import Scene
from rtfocus.run import refocus
from rtfocus.writers import Writer, open_writer

pytestmark = pytest.mark.usefixtures("compiled", "home")

ORIGINAL, _ = Scene(128, 192).draw(0.0)
STILL = "pattern:192x128@10,0.1s"
"""Shows just that."""

SKYLINE, ROBOT = np.s_[45:62, 130:186], np.s_[50:105, 83:109]
SMALL: dict[str, Any] = {"depth_size": (64, 96)}
"""For sources without depth of their own: the network at a size at which it is quick."""


def view_of(image: Image) -> str:
    """Which view of that scene a picture is, with the robot in focus."""
    if distance(image, ORIGINAL) > 40:
        return "depth"
    return "original" if detail(image[SKYLINE]) > 0.9 * detail(ORIGINAL[SKYLINE]) else "result"


class TestViews:
    @pytest.mark.parametrize("view", ["result", "original", "depth"])
    def test_recordings_keep_theirs(self, view: str, tmp_path: Path) -> None:
        output = tmp_path / "a.mp4"
        run = LiveRun(STILL, [output], serve="0", view=view, f_number=1.2)
        with run, run.page() as page:
            look_around(page)
        assert {view_of(image) for image in decode(output)[0]} == {view}

    def test_streams_keep_theirs(self, tmp_path: Path) -> None:
        url, got = f"udp://127.0.0.1:{free_port()}", tmp_path / "got.ts"
        with running("-i", url, "-frames:v", "12", "-c", "copy", got) as receiver:
            run = LiveRun(STILL, [url], serve="0", f_number=1.2)
            with run, run.page() as page:
                while receiver.poll() is None:
                    look_around(page)
        images, _ = decode(got)
        assert len(images) >= 8
        assert {view_of(image) for image in images} == {"result"}

    def test_virtual_cameras_keep_theirs(self, backend: type[Backend]) -> None:
        run = LiveRun(STILL, ["camera:"], serve="0", f_number=1.2)
        with run, run.page() as page:
            look_around(page)
        (camera,) = backend.made
        assert camera.closed
        assert len(camera.sent) > 3
        for data in camera.sent:
            image = cv2.cvtColor(data.reshape(192, 192), cv2.COLOR_YUV2RGB_I420)
            assert view_of(image) == "result"


def look_around(page: Page) -> None:
    """See all views on the page, and compare with the original."""
    for view in ("original", "depth", "result"):
        page.ask(type="set", view=view)
        page.see(lambda image, v=view: view_of(image) == v)  # type: ignore[misc]
    page.ask(type="peek", on=True)
    page.see(lambda image: view_of(image) == "original")
    page.ask(type="peek", on=False)
    page.see(lambda image: view_of(image) == "result")


class TestTimes:
    def test_of_a_loop(self, tmp_path: Path) -> None:
        output = tmp_path / "a.mp4"
        with LiveRun("pattern:96x64@20,0.4s", [output], loop=True) as run:
            run.let_pass(40)
        self.check(run, output)

    def test_of_a_file_that_is_sought(self, tmp_path: Path) -> None:
        output = tmp_path / "a.mp4"
        run = LiveRun("pattern:96x64@20,60s", [output], serve="0")
        with run, run.page() as page:
            for time in (40.0, 40.0, 40.0, 40.0, 3.0, 59.0):
                page.ask(type="seek", time=time)
                page.until("readout", lambda r, t=time: t <= r["time"] < t + 5)  # type: ignore[misc]
                run.let_pass(5)
            page.ask(type="set", playing=False)
            run.let_pass(5)
            page.ask(type="seek", time=0.0)
            page.wait("readout", time=0.0)
            run.let_pass(3)
        self.check(run, output)

    def check(self, run: LiveRun, output: Path) -> None:
        _, times = decode(output)
        steps = np.diff(times)
        assert min(steps) > 0
        assert np.mean(steps > 0.02) > 0.7  # none is held up by a source that has gone back
        passed = run.moments[-1] - run.moments[0]
        assert times[-1] - times[0] == pytest.approx(passed, abs=1.2)


@contextmanager
def sender(url: str) -> Iterator[subprocess.Popen[bytes]]:
    """Sends plain colour."""
    colour = ["-re", "-f", "lavfi", "-i", "color=c=0x4070C0:s=96x64:r=30", "-pix_fmt", "yuv420p"]
    coder = ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10"]
    with running(*colour, *coder, "-f", "mpegts", url) as process:
        yield process


def is_plain(image: Image) -> bool:
    return bool(np.abs(image.astype(int) - (0x40, 0x70, 0xC0)).max() < 12)


class TestLoss:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(stream, "_READ_S", 1.5)

    def test_the_job_waits_and_says_so(self, tmp_path: Path) -> None:
        url, output = f"udp://127.0.0.1:{free_port()}", tmp_path / "a.mp4"
        run = LiveRun(url, [output], serve="0", **SMALL)
        with sender(url) as first, run, run.page() as page:
            page.see(is_plain)
            first.kill()
            assert page.until("status", lambda status: status["message"])["message"].isprintable()
            marked = page.see(lambda image: not is_plain(image))
            assert marked.max() > 200  # words in white
            assert is_plain(marked[-16:])
            run.let_pass(5)
            held = run.moments[-1]
            with sender(url):
                page.see(is_plain)
                page.wait("status", message="")
                run.let_pass(5)
        _, times = decode(output)
        assert min(np.diff(times)) > 0
        lost = np.searchsorted(times, held - run.moments[0])
        assert 5 < lost < len(times) - 5
        assert max(np.diff(times[: lost + 1])) < 1.4  # no gap where the stream was lost

    def test_the_job_stops(self, tmp_path: Path) -> None:
        url, output = f"udp://127.0.0.1:{free_port()}", tmp_path / "a.mp4"
        with sender(url) as first, LiveRun(url, [output], on_loss="stop", **SMALL) as run:
            run.let_pass(5)
            first.kill()
            with pytest.raises(InputCutShort):
                run.finish()
        images, _ = decode(output)
        assert len(images) >= 5
        assert is_plain(images[-1])
        assert has_ended()


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disks are full after three frames, but for that of good.mp4."""

    def open_full(output: str, info: StreamInfo, **options: Any) -> Writer:
        writer = open_writer(output, info, **options)
        if not output.endswith("good.mp4"):
            write, count = writer.write, iter(range(3))

            def fail(frame: Frame) -> None:
                if next(count, None) is None:
                    raise OutputError("the disk is full")
                write(frame)

            monkeypatch.setattr(writer, "write", fail)
        return writer

    monkeypatch.setattr(pipeline, "open_writer", open_full)


@pytest.mark.usefixtures("full")
class TestFailingOutputs:
    def test_the_others_go_on(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        names = [tmp_path / name for name in ("bad.mp4", "good.mp4")]
        run = LiveRun("pattern:96x64@20,60s", names, realtime=True)
        with pytest.raises(OutputError, match="the disk is full"), run:
            wait_until(lambda: "the disk is full" in caplog.text, "the warning")
            run.let_pass(10)
        assert len(decode(tmp_path / "good.mp4")[0]) >= 10

    def test_a_page_says_so(self, tmp_path: Path) -> None:
        run = LiveRun("pattern:96x64@20,60s", [tmp_path / "bad.mp4"], serve="0")
        with pytest.raises(OutputError), run, run.page() as page:
            page.until("status", lambda status: "the disk is full" in status["message"])
            page.watch(10)

    def test_when_none_is_left_that_is_the_end(self, tmp_path: Path) -> None:
        names = [tmp_path / name for name in ("bad.mp4", "worse.mp4")]
        run = LiveRun("pattern:96x64@20,60s", names, realtime=True)
        with run, pytest.raises(OutputError, match="the disk is full"):
            run.finish()
        assert has_ended()


def test_a_file_that_breaks_off_is_told_and_what_was_read_is_kept(tmp_path: Path) -> None:
    whole, cut, output = (tmp_path / name for name in ("whole.mkv", "cut.mkv", "out.mp4"))
    refocus("pattern:96x64@10,2s", str(whole), view="original", crf=1)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    depth = tmp_path / "depth.npy"
    np.save(depth, np.linspace(0, 1, 96, dtype=np.float32) * np.ones((64, 1), np.float32))
    run = LiveRun(str(cut), [output], realtime=True, depth=str(depth))
    with run, pytest.raises(InputCutShort):
        run.finish()
    assert 0 < len(decode(output)[0]) < 20
    assert has_ended()


class TestRecordOriginal:
    def test_it_can_be_refocused(self, tmp_path: Path) -> None:
        output, original, again = (tmp_path / f"{n}.mp4" for n in ("a", "orig", "again"))
        run = LiveRun(
            "pattern:192x128@10,1s",
            [output],
            realtime=True,
            record_original=str(original),
            f_number=1.2,
        )
        with run:
            run.finish()
        kept, times = decode(original)
        assert min(np.diff(times)) > 0
        scene = Scene(128, 192)
        drawn = [scene.draw(number / 10)[0] for number in range(10)]
        shown = [min(range(10), key=lambda n: distance(image, drawn[n])) for image in kept]
        assert shown == sorted(set(shown))
        assert all(distance(image, drawn[n]) < 7 for image, n in zip(kept, shown, strict=True))
        assert detail(decode(output)[0][-1][SKYLINE]) < 0.5 * detail(drawn[-1][SKYLINE])
        depth = str(tmp_path / "orig.depth.mkv")
        refocus(str(original), str(again), depth=depth, focus=(0.65, 0.45), f_number=1.2)
        images, _ = decode(again)
        assert len(images) == len(kept)
        for image, before in zip(images, kept, strict=True):
            assert detail(image[SKYLINE]) > 0.9 * detail(before[SKYLINE])
            assert detail(image[ROBOT]) < 0.5 * detail(before[ROBOT])

    def test_it_is_kept_while_nobody_looks(self, tmp_path: Path) -> None:
        original = tmp_path / "orig.mp4"
        with LiveRun("pattern:96x64@20,60s", serve="0", record_original=str(original)) as run:
            run.let_pass(5)
        assert len(decode(original)[0]) >= 5


def test_what_was_recorded_outlives_any_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimate = SceneDepth.estimate

    def fail(depth: SceneDepth, frame: Frame) -> Map:
        if frame.index > 8:
            raise DeviceError("the device is gone")
        return estimate(depth, frame)

    monkeypatch.setattr(SceneDepth, "estimate", fail)
    names = [tmp_path / name for name in ("a.mp4", "orig.mp4")]
    run = LiveRun("pattern:96x64@20", names[:1], realtime=True, record_original=str(names[1]))
    with pytest.raises(DeviceError), run:
        run.finish()
    assert all(len(decode(name)[0]) == len(run.moments) > 3 for name in names)


UDP_PORTS = Path("/proc/net/udp")


@pytest.mark.skipif(not UDP_PORTS.exists(), reason="only Linux tells who listens")
def test_ctrl_c_while_nobody_sends(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    command = [sys.executable, "-m", "rtfocus", "run", f"udp://127.0.0.1:{port}"]
    process = subprocess.Popen([*command, "-o", str(tmp_path / "rec.mp4")])
    try:
        wait_until(lambda: f":{port:04X} " in UDP_PORTS.read_text(), "it to listen")
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        assert process.wait(PATIENCE_S) == 130
        assert time.monotonic() - begun < stream._OPEN_S / 2
    finally:
        process.kill()
        process.wait()
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c(tmp_path: Path, home: Path) -> None:
    url, output = f"udp://127.0.0.1:{free_port()}", tmp_path / "rec.mp4"
    command = [sys.executable, "-m", "rtfocus", "run", url, "-o", str(output), "--serve", "0"]
    process = subprocess.Popen(
        [*command, "--depth-size", "64x96"],
        env={**os.environ, "XDG_CONFIG_HOME": str(home), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        with sender(url):
            line = next(line for line in process.stdout if "http://127.0.0.1:" in line)
            with Page(int(line.split("http://127.0.0.1:")[1].split("/")[0])) as page:
                page.see(is_plain)
                page.watch(5)
                process.send_signal(signal.SIGINT)
                said, _ = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130
        assert "Traceback" not in said
    finally:
        process.kill()
        process.communicate()
    assert len(decode(output)[0]) >= 5
