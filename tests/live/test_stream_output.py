"""Network streams as outputs, to real receivers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import make_frames, make_info

from live.peers import PATIENCE_S, Server, free_port, running, wait_until
from rtfocus.errors import OutputError, UsageError
from rtfocus.frame import Frame
from rtfocus.readers import open_reader
from rtfocus.writers import check_output, is_live_output, open_writer, stream
from rtfocus.writers.stream import StreamWriter

INFO = make_info(97, 64, time_base=Fraction(1, 1000), rate=Fraction(30))
"""Of odd width, which such a stream cannot have."""

RECEIVERS = {
    "udp": ([], "udp://127.0.0.1:{port}", ""),
    "tcp": ([], "tcp://127.0.0.1:{port}", "?listen=1"),
    "rtmp": (["-listen", "1"], "rtmp://127.0.0.1:{port}/live/secret", ""),
    "rtsp": (["-rtsp_flags", "listen"], "rtsp://127.0.0.1:{port}/live", ""),
}


class Feed:
    """Writes live frames until something has happened."""

    def __init__(self, writer: StreamWriter) -> None:
        self._writer = writer
        self._image = make_frames(INFO, 1)[0].image
        self._begun = time.monotonic()
        self._index = 0

    def until(self, condition: Callable[[], object], what: str) -> None:
        def step() -> object:
            now = time.monotonic()
            image = np.roll(self._image, self._index, 1)
            pts = round((now - self._begun) * 1000)
            self._writer.write(Frame(image, self._index, pts, INFO.time_base))
            self._index += 1
            return condition()

        wait_until(step, what)


@pytest.mark.parametrize("kind", RECEIVERS)
def test_a_peer_gets_the_picture(kind: str, tmp_path: Path) -> None:
    before, pattern, listen = RECEIVERS[kind]
    url = pattern.format(port=free_port())
    got = tmp_path / "got.ts"
    receiver = [
        *("-analyzeduration", "500000", *before, "-i", url + listen),
        *("-frames:v", "20", "-c", "copy", "-f", "mpegts", got),
    ]
    with open_writer(url, INFO) as writer, running(*receiver) as peer:
        assert isinstance(writer, StreamWriter)
        Feed(writer).until(lambda: peer.poll() is not None, "the receiver to have its frames")
        assert peer.returncode == 0
    with av.open(str(got)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) >= 15
    assert (frames[0].width, frames[0].height) == (96, 64)
    times = [f.time for f in frames]
    assert 0 < times[-1] - times[0] < PATIENCE_S  # real time, not frame numbers


def test_rtfocus_to_rtfocus() -> None:
    url = f"udp://127.0.0.1:{free_port()}"
    opened = threading.Event()
    shapes: list[tuple[int, ...]] = []

    def receive() -> None:
        with open_reader(url) as reader:
            shapes.append(next(iter(reader)).image.shape)
        opened.set()

    thread = threading.Thread(target=receive)
    thread.start()
    with StreamWriter(url, INFO) as writer:
        Feed(writer).until(opened.is_set, "a picture at the other end")
    thread.join()
    assert shapes == [(64, 96, 3)]


def test_a_peer_that_comes_late_and_goes_and_comes_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"tcp://127.0.0.1:{free_port()}"
    with StreamWriter(url, INFO) as writer:
        feed = Feed(writer)
        feed.until(lambda: writer.lost >= 5, "frames that nobody takes")
        for name in ("a.ts", "b.ts"):
            receiver = (
                "-analyzeduration",
                "500000",
                "-i",
                f"{url}?listen=1",
                "-c",
                "copy",
                "-flush_packets",
                "1",
            )
            with running(*receiver, tmp_path / name):
                got = tmp_path / name
                feed.until(lambda p=got: p.exists() and p.stat().st_size, name)  # type: ignore[misc]
            lost = writer.lost
            feed.until(lambda n=lost: writer.lost > n, "the loss")  # type: ignore[misc]
    assert "takes no video" in caplog.text
    assert caplog.text.count("takes no video") <= 3  # said once a loss, not once a try


def test_a_peer_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_TIMEOUT_US", 300_000)
    info = make_info(320, 240)
    with Server() as server, StreamWriter(server.url, info, bit_rate=10**9) as writer:
        noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
        frames = iter(range(1_000_000))

        def step() -> bool:
            i = next(frames)
            writer.write(Frame(np.roll(noise, i, 0), i, 512 * i, info.time_base))
            return writer.lost > 0

        wait_until(step, "the writer to give up")
        begun = time.monotonic()
        writer.close()
        assert time.monotonic() - begun < PATIENCE_S


@pytest.mark.parametrize(
    "url", ["rtmp://127.0.0.1:{port}/live/secret", "tcp://127.0.0.1:{port}", "udp://no.invalid:9"]
)
def test_nobody_there_fails_only_in_the_end(url: str) -> None:
    writer = StreamWriter(url.format(port=free_port()), INFO)
    Feed(writer).until(lambda: writer.lost >= 3, "frames that nobody takes")
    with pytest.raises(OutputError, match="took no video at all") as raised:
        writer.close()
    assert "secret" not in str(raised.value)
    writer.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("srt://127.0.0.1:9000", "not built in"),
        ("http://127.0.0.1/x", "rtmp"),
        ("udp://127.0.0.1", "port"),
    ],
)
def test_addresses_that_do_not_work(url: str, message: str) -> None:
    for call in (
        lambda: check_output(url, "in.mp4", overwrite=False),
        lambda: open_writer(url, INFO),
    ):
        with pytest.raises(UsageError, match=message):
            call()


def test_options_of_files_are_refused() -> None:
    with pytest.raises(UsageError, match="--crf"):
        open_writer("udp://127.0.0.1:5000", INFO, crf=20.0)


def test_which_outputs_are_live() -> None:
    assert all(map(is_live_output, ("window", "camera:", "camera:/dev/video9", "rtmp://h/a/b")))
    assert not any(map(is_live_output, ("out.mp4", "out/", "window.mp4")))
