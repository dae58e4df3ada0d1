"""Live runs on a GPU: what is asked for changes from frame to frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from live.peers import Server, encode_mpegts

from rtfocus.backend import open_backend
from rtfocus.cuda.transfer import Uploader
from rtfocus.device import Device, resolve
from rtfocus.engine import Engine
from rtfocus.focus.steering import Steering
from rtfocus.frame import Frame, Image, StreamInfo
from rtfocus.live.job import LiveJob
from rtfocus.planes import CodedPicture
from rtfocus.readers import open_reader
from rtfocus.run import refocus
from rtfocus.settings import Settings
from rtfocus.state import Focus, LiveState

SOURCE = "pattern:64x36@10,1s"
WISHES = (
    LiveState(focus=Focus("point", 0.5, 0.55), rack_time=0.2),
    LiveState(focus=Focus("follow", 0.5, 0.55), focus_version=1, rack_time=0.2),
    LiveState(focus=Focus("point", 0.1, 0.1), focus_version=2, rack_time=0.2, f_number=1.4),
    LiveState(focus=Focus("disparity", value=0.3), focus_version=3, rack_time=0.0),
)
VIEWS = ("result", "coc", "split", "depth")


def take_pictures(device: Device) -> tuple[list[float], list[Image]]:
    """Planes and pictures of a run in which everything changes."""
    settings = Settings(smooth=0.5, f_number=1.0, quality="fast")
    backend = open_backend(device)
    planes, pictures = [], []
    with open_reader(SOURCE) as reader:
        depth = backend.open_depth(settings, reader.info)
        engine = Engine(settings, depth, backend, steering=Steering(WISHES[0]))
        for i, frame in enumerate(list(reader)[:8]):
            engine.steer(WISHES[i // 2])
            if i == 5:
                engine.adjust(replace(settings, blades=6, blade_rotation=15.0))
            measured, steady = engine.measure(frame)
            if i % 2:
                steady = backend.carry(steady)
            take = engine.take(measured, steady, now=i / 10)
            assert take.aim is not None
            planes.append(take.aim.plane)
            shown = list(engine.deliver([take.show("result"), take.show(VIEWS[i % 4])]))
            pictures += [np.array(each.image) for each in shown]
        engine.close()
    return planes, pictures


@pytest.mark.usefixtures("cuda")
def test_it_is_steered_as_on_the_cpu(gpu_device: Device) -> None:
    planes, pictures = take_pictures(gpu_device)
    expected_planes, expected = take_pictures(resolve("cpu"))
    np.testing.assert_allclose(planes, expected_planes, atol=2e-3)
    for picture, other in zip(pictures, expected, strict=True):
        off = np.abs(picture.astype(int) - other)
        assert (off <= 2).mean() > 0.99


@pytest.mark.usefixtures("gpu_device")
def test_a_file_in_real_time(tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    summary = refocus(SOURCE, str(output), device="cuda", realtime=True, f_number=1.0)
    with av.open(str(output)) as container:
        shown = [frame.pts for frame in container.decode(video=0)]
    assert len(shown) == summary.frames > 0
    assert shown == sorted(set(shown))


@pytest.mark.usefixtures("gpu_device")
def test_a_stream_crosses_as_it_was_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recordings are RGB all the same."""
    crossed: list[Frame] = []
    upload = Uploader._start
    monkeypatch.setattr(
        Uploader, "_start", lambda self, frame: crossed.append(frame) or upload(self, frame)
    )
    output, original = tmp_path / "out.mkv", tmp_path / "original.mkv"
    settings = Settings(
        device="cuda", focus_disparity=0.5, record_original=str(original), crf=0.0,
        encoder_preset="ultrafast",
    )  # fmt: skip
    with Server(encode_mpegts()) as server:
        job = LiveJob(server.url, [str(output)], settings)

        def on_frame(count: int, _: StreamInfo) -> None:
            if count == 3:
                job.stop()

        with pytest.raises(KeyboardInterrupt):
            job.run(on_frame)
    assert len(crossed) >= 3
    kept = {frame.image.to_rgb().tobytes() for frame in crossed}  # type: ignore[attr-defined]
    assert all(isinstance(frame.image, CodedPicture) for frame in crossed)
    with av.open(str(original)) as container:
        recorded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(recorded) >= 3
    sent = [np.frombuffer(each, np.uint8).reshape(64, 96, 3).astype(int) for each in kept]
    for picture in recorded:
        assert min(np.abs(picture - each).mean() for each in sent) < 2
    with av.open(str(output)) as container:
        assert sum(1 for _ in container.decode(video=0)) == len(recorded)
