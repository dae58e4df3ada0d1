"""Network streams as inputs, from real senders."""

from __future__ import annotations

import base64
import functools
import http.server
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from live.peers import PATIENCE_S, SCENE, Server, encode_mpegts, free_port, running, wait_until
from live.rtsp_server import RtspServer
from rtfocus.errors import InputCutShort, InputError, UsageError
from rtfocus.frame import Frame
from rtfocus.pipeline import Job
from rtfocus.readers import Reader, open_reader, stream
from rtfocus.readers.address import check_address, shown
from rtfocus.readers.pace import paced
from rtfocus.run import open_job
from rtfocus.settings import Settings

SENDERS = {
    "udp": (["-f", "mpegts"], "udp://127.0.0.1:{port}", ""),
    "tcp": (["-f", "mpegts"], "tcp://127.0.0.1:{port}", "?listen=1"),
    "http": (["-f", "mpegts", "-listen", "1"], "http://127.0.0.1:{port}/a.ts", ""),
    "rtmp": (["-f", "flv", "-listen", "1"], "rtmp://127.0.0.1:{port}/live/secret", ""),
}


def open_when_there(url: str, **options: str) -> Reader:
    """Open a stream whose sender may need a while to start."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return open_reader(url, **options)  # type: ignore[arg-type]
        except InputError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def sender(kind: str) -> tuple[list[str], str]:
    """Arguments for ffmpeg, and where it is then to be found."""
    arguments, pattern, listen = SENDERS[kind]
    url = pattern.format(port=free_port())
    return [*SCENE, *arguments, url + listen], url


@pytest.mark.parametrize("kind", SENDERS)
def test_frames_arrive(kind: str) -> None:
    arguments, url = sender(kind)
    with running(*arguments), open_when_there(url) as reader:
        info = reader.info
        assert (info.kind, info.width, info.height, info.rate) == ("stream", 96, 64, 30)
        assert info.live
        assert info.frames is None
        assert "secret" not in info.source
        frames = list(islice(reader, 15))
    assert [f.index for f in frames] == list(range(15))
    times = [f.pts for f in frames]
    assert times == sorted(set(times))
    fresh = [f for f in frames if not f.lost]
    assert fresh
    for frame in fresh:
        assert frame.captured is not None
        assert frame.captured <= time.monotonic()
        assert frame.image.shape == (64, 96, 3)
        assert frame.image.std() > 30  # the test picture, not grey


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_a_sender_that_restarts(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_READ_S", 1.5)
    arguments, url = sender(kind)
    with running(*arguments) as first, open_when_there(url) as reader:
        frames = iter(reader)
        before = next(frames)
        first.kill()
        first.wait()
        held = next(frame for frame in frames if frame.lost)
        assert held.pts > before.pts
        assert held.captured is None
        with running(*arguments):
            fresh = next(frame for frame in frames if not frame.lost)
            assert fresh.pts > held.pts
            assert fresh.captured is not None


def test_a_server_that_is_back_is_seen_soon() -> None:
    with Server(encode_mpegts()) as server, open_reader(server.url) as reader:
        frames = iter(reader)
        next(frames)
        server.stop()
        held = next(frame for frame in frames if frame.lost)
        for _ in range(5):  # a second, in which pauses grow
            held = next(frames)
        server.start()
        back = time.monotonic()
        fresh = next(frame for frame in frames if not frame.lost)
        assert time.monotonic() - back < 8  # under 2 s, on a machine that has nothing else to do
        assert fresh.pts > held.pts


def test_a_peer_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_OPEN_S", 0.3)
    with Server() as server:
        begun = time.monotonic()
        with pytest.raises(InputError, match="cannot be opened"):
            open_reader(server.url)
        assert time.monotonic() - begun < PATIENCE_S


def test_a_sender_that_falls_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "_READ_S", 0.3)
    monkeypatch.setattr(stream, "_OPEN_S", 0.3)
    data = encode_mpegts()
    with Server(data) as server, open_reader(server.url, on_loss="stop") as reader:
        frames = iter(reader)
        next(frames)
        server.mute.set()
        with pytest.raises(InputCutShort, match="lost"):
            list(frames)


def test_closing_does_not_wait_for_a_silent_sender() -> None:
    with Server(encode_mpegts()) as server:
        reader = open_reader(server.url)
        taken: list[Frame] = []
        thread = threading.Thread(target=lambda: taken.extend(reader))
        thread.start()
        server.mute.set()
        begun = time.monotonic()
        reader.close()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        assert time.monotonic() - begun < stream._READ_S


def test_stop_instead_of_waiting() -> None:
    arguments, url = sender("tcp")
    with running(*arguments) as peer, open_when_there(url, on_loss="stop") as reader:
        frames = iter(reader)
        next(frames)
        peer.kill()
        with pytest.raises(InputCutShort, match="on-loss stop") as raised:
            list(frames)
    assert raised.value.exit_code == 3


def h264_units() -> tuple[list[list[bytes]], str]:
    """Access units of some H.264, and its parameter sets as SDP has them."""
    units = []
    with av.open(io.BytesIO(encode_mpegts())) as container:
        for packet in container.demux(video=0):
            nals = [n.rstrip(b"\0") for n in bytes(packet).split(b"\0\0\1")]
            units.append([n for n in nals if n and n[0] & 31 in (1, 5, 7, 8)])
    units = [unit for unit in units if unit]
    sets = [n for n in units[0] if n[0] & 31 in (7, 8)]
    return units, ",".join(base64.b64encode(n).decode() for n in sets)


def test_rtsp() -> None:
    units, sprop = h264_units()
    with RtspServer(units, sprop) as server, open_reader(server.url) as reader:
        assert (reader.info.width, reader.info.height) == (96, 64)
        frames = list(islice(reader, 10))
    assert "TCP" in server.transports[0]
    fresh = [f for f in frames if not f.lost]
    assert len(fresh) > 5
    assert np.mean(np.diff([f.time for f in fresh])) < 0.2
    assert fresh[-1].image.std() > 30


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """The address of a server of files."""
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_a_clip_on_a_web_server_is_a_file_with_its_sound(tmp_path: Path) -> None:
    clip, random = tmp_path / "clip.mp4", np.random.default_rng(0)
    index_first = {"movflags": "faststart"}
    with av.open(str(clip), "w", container_options=index_first) as container:
        out = container.add_stream("libx264", rate=30)
        out.width, out.height, out.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=48000)
        for _ in range(45):
            image = random.integers(0, 256, (48, 64, 3), np.uint8)
            container.mux(out.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        samples = av.AudioFrame.from_ndarray(np.zeros((1, 72000), np.float32), "fltp", "mono")
        samples.sample_rate = 48000
        for coded in (sound.encode(samples), out.encode(None), sound.encode(None)):
            container.mux(coded)
    made = tmp_path / "made.mp4"
    with web_server(tmp_path) as address:
        with open_reader(f"{address}/clip.mp4") as reader:
            assert not reader.info.live
            assert len(list(reader)) == 45
        job = open_job(f"{address}/clip.mp4", [str(made)], Settings(depth_size=(32, 64)))
        assert isinstance(job, Job)
        assert job.run().frames == 45
        with pytest.raises(InputError):
            open_job(f"{address}/nowhere.mp4", [str(tmp_path / "no.mp4")], Settings())
        (tmp_path / "cut.mp4").write_bytes(clip.read_bytes()[: clip.stat().st_size * 2 // 3])
        cut = tmp_path / "kept.mp4"
        private = address.replace("//", "//me:secret@")
        with pytest.raises(InputCutShort, match=r"of 45 frames") as raised:
            open_job(f"{private}/cut.mp4", [str(cut)], Settings(depth_size=(32, 64))).run()
        assert "secret" not in str(raised.value)
        assert cut.exists()
    with av.open(str(made)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 45
    with av.open(str(made)) as container:
        heard = sum(frame.samples for frame in container.decode(audio=0))
    assert heard == pytest.approx(72000, abs=2048)


def test_segments_are_shown_at_their_own_pace(tmp_path: Path) -> None:
    """Each of them is there as a whole at once."""
    playlist = tmp_path / "a.m3u8"
    hls = ("-f", "hls", "-hls_time", "1", "-hls_list_size", "4", playlist)
    with running(*SCENE, *hls), web_server(tmp_path) as address:
        wait_until(lambda: playlist.exists() and playlist.read_text().count(".ts") >= 3, "segments")
        with open_reader(f"{address}/a.m3u8") as reader:
            assert reader.info.live
            frames = list(islice(reader, 75))
    assert not any(frame.lost for frame in frames)
    given = np.array([frame.captured for frame in frames], float)
    times = np.array([frame.time for frame in frames])
    assert np.ptp(times) == pytest.approx(74 / 30, rel=0.2)  # next to nothing is dropped
    # In bursts of a second, three of the quarters of a second would be empty for one that is full.
    filled = np.histogram(given, np.arange(given[0], given[-1], 0.25))[0]
    assert filled.min() > 0
    np.testing.assert_allclose(given - given[0], times - times[0], atol=0.5)


def test_what_comes_late_moves_what_follows() -> None:
    @dataclass
    class Picture:
        time: float | None

    def pictures() -> Iterator[tuple[Any, float]]:
        for own in (5.0, 5.1, None, 90.0, 90.1, 90.0, 90.1):
            if own == 90.1:
                time.sleep(0.3)
            yield Picture(own), time.monotonic()

    begun = time.monotonic()
    given = [moment - begun for _, moment in paced(pictures(), threading.Event())]
    assert given == sorted(given)
    np.testing.assert_allclose(np.diff(given), [0.1, 0, 0, 0.3, 0, 0.3], atol=0.09)


def test_nobody_there() -> None:
    for url in (f"tcp://127.0.0.1:{free_port()}", f"rtmp://127.0.0.1:{free_port()}/live/secret"):
        with pytest.raises(InputError, match=r"refused.*sender") as raised:
            open_reader(url)
        assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("srt://host:9000", "relay"),
        ("gopher://host/x", "rtsp"),
        ("udp://127.0.0.1", "port"),
        ("tcp://host:99999", "address"),
        ("rtsp:///live", "host"),
    ],
)
def test_addresses_that_do_not_work(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_reader(url)


def test_secrets_are_not_shown() -> None:
    assert shown("rtsp://me:secret@cam/1?x=2") == "rtsp://me:***@cam/1?x=2"
    assert shown("rtmp://a.b:1935/app/key") == "rtmp://a.b:1935/app/***"
    assert shown("udp://@:5000") == "udp://@:5000"
    assert shown("me:you@home/clip.mp4") == "me:you@home/clip.mp4"
    assert check_address("RTSP://cam/1", ("rtsp",)) == "rtsp"
