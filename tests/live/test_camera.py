"""Cameras: what they are asked for, and what is made of what they answer."""

from __future__ import annotations

import errno
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from rtfocus.errors import InputError, UsageError
from rtfocus.readers import camera, open_reader
from rtfocus.readers.camera import (
    CameraRequest,
    device_options,
    open_device,
    parse_camera,
)
from rtfocus.readers.cameras import Camera, list_cameras

HD30 = {"video_size": "1280x720", "framerate": "30"}


class FakeDevices:
    """Stands in for `av.open`: `answer` gives size and rate, or an error number, for options."""

    def __init__(self, answer: Callable[[dict[str, str]], tuple[int, int, int] | int]) -> None:
        self._answer = answer
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.open = 0

    def __call__(self, device: str, *, format: str, options: dict[str, str], **_: Any) -> Any:  # noqa: A002
        self.asked.append((device, format, options))
        answer = self._answer(options)
        if isinstance(answer, int):
            av.error.err_check(-answer, device)
        assert self.open == 0, "a camera can only be open once"
        self.open = 1
        width, height, rate = answer  # type: ignore[misc]
        video = SimpleNamespace(
            width=width, height=height, average_rate=Fraction(rate), guessed_rate=None
        )
        return SimpleNamespace(
            streams=SimpleNamespace(video=[video]), close=self._close, options=options
        )

    def _close(self) -> None:
        self.open = 0


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeDevices]:
    def install(answer: Callable[[dict[str, str]], tuple[int, int, int] | int]) -> FakeDevices:
        devices = FakeDevices(answer)
        monkeypatch.setattr(camera.av, "open", devices)
        return devices

    return install


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("camera:0", (0, None, None, None, None)),
        ("camera:12:640x480", (12, None, (640, 480), None, None)),
        ("camera:0@60", (0, None, None, Fraction(60), None)),
        ("camera:0:1920x1080@30000/1001,mjpeg", (
            0, None, (1920, 1080), Fraction(30000, 1001), "mjpeg",
        )),
        ("/dev/video3", (None, "/dev/video3", None, None, None)),
        ("/dev/video3:640x480,yuyv422", (None, "/dev/video3", (640, 480), None, "yuyv422")),
        ("/dev/v4l/by-id/usb-A:B_0-index0@15", (
            None, "/dev/v4l/by-id/usb-A:B_0-index0", None, Fraction(15), None,
        )),
    ],
)  # fmt: skip
def test_how_cameras_are_written(source: str, wanted: tuple[Any, ...]) -> None:
    assert parse_camera(source) == CameraRequest(source, *wanted)


@pytest.mark.parametrize(
    "source",
    ["camera:", "camera:one", "camera:0:640", "camera:0:0x480", "camera:0@0", "camera:0@1/0"],
)
def test_what_is_no_camera(source: str) -> None:
    with pytest.raises(UsageError, match="camera"):
        open_reader(source)


@pytest.mark.parametrize(
    ("system", "options"),
    [
        ("linux", {"input_format": "mjpeg"}),
        ("win32", {"vcodec": "mjpeg"}),
        ("darwin", {"pixel_format": "mjpeg"}),
    ],
)
def test_options_of_the_systems(system: str, options: dict[str, str]) -> None:
    request = parse_camera("camera:0:1280x720@30,mjpeg")
    assert device_options(request, system) == {**HD30, **options}
    nv12 = device_options(parse_camera("camera:0,nv12"), system)
    assert nv12 == {"input_format" if system == "linux" else "pixel_format": "nv12"}


def test_uncompressed_where_that_delivers(fake: Callable[..., FakeDevices]) -> None:
    devices = fake(lambda _: (1280, 720, 30))
    open_device(parse_camera("camera:1"), "linux")
    assert devices.asked == [("/dev/video1", "v4l2", HD30)]


def test_mjpeg_where_uncompressed_is_too_slow(fake: Callable[..., FakeDevices]) -> None:
    devices = fake(lambda o: (1280, 720, 30 if o.get("input_format") == "mjpeg" else 10))
    container: Any = open_device(parse_camera("camera:0"), "linux")
    assert container.options == {**HD30, "input_format": "mjpeg"}
    assert len(devices.asked) == 2


def test_the_best_of_what_there_is(
    fake: Callable[..., FakeDevices], caplog: pytest.LogCaptureFixture
) -> None:
    devices = fake(lambda o: (1920, 1080, 24 if "input_format" in o else 5))
    container: Any = open_device(parse_camera("camera:0:1920x1080@60"), "linux")
    assert container.options["input_format"] == "mjpeg"
    assert "40%" in caplog.text
    assert devices.open == 1


def test_a_camera_without_the_usual_size(fake: Callable[..., FakeDevices]) -> None:
    fake(lambda o: errno.EIO if "video_size" in o else (640, 480, 15))
    container: Any = open_device(parse_camera("camera:0"), "darwin")
    assert container.options == {}


def test_a_format_that_was_asked_for_is_the_only_one(fake: Callable[..., FakeDevices]) -> None:
    devices = fake(lambda _: (640, 480, 5))
    open_device(parse_camera("camera:0:640x480@30,yuyv422"), "linux")
    assert {o["input_format"] for _, _, o in devices.asked} == {"yuyv422"}


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "usermod"),
        (errno.EBUSY, "another program"),
        (errno.ENOENT, "not there"),
        (errno.EINVAL, "Try another size"),
    ],
)
def test_errors_have_a_remedy(
    number: int, message: str, fake: Callable[..., FakeDevices], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera, "list_cameras", list)
    devices = fake(lambda _: number)
    with pytest.raises(InputError, match=message) as raised:
        open_device(parse_camera("camera:0"), "linux")
    assert raised.value.exit_code == 3
    if number != errno.EINVAL:
        assert len(devices.asked) == 1  # another format would not help


def test_no_such_camera() -> None:
    with pytest.raises(InputError, match="not there"):
        open_reader("/dev/video87")


def test_windows_names_cameras(
    fake: Callable[..., FakeDevices], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [Camera("camera:0", "Integrated Camera", "Integrated Camera")]
    monkeypatch.setattr(camera, "list_cameras", lambda *_: there)
    devices = fake(lambda _: (1280, 720, 30))
    open_device(parse_camera("camera:0"), "win32")
    assert devices.asked[0][:2] == ("video=Integrated Camera", "dshow")
    with pytest.raises(InputError, match="Integrated Camera"):
        open_device(parse_camera("camera:1"), "win32")


def test_cameras_are_listed(tmp_path: Path) -> None:
    for name, index, words in (
        ("video10", "0", "Loopback"),
        ("video2", "0", "Webcam HD"),
        ("video3", "1", "Webcam HD"),  # its metadata
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index").write_text(f"{index}\n")
        (tmp_path / name / "name").write_text(f"{words}\n")
    assert [str(c) for c in list_cameras("linux", tmp_path)] == [
        "camera:2 (Webcam HD)",
        "camera:10 (Loopback)",
    ]
    assert list_cameras("linux", tmp_path / "absent") == []


def test_frames_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg's lavfi device stands in for a camera; it never waits, and repeats nothing."""
    real = av.open

    def open_lavfi(_: str, **options: Any) -> Any:
        options.update(format="lavfi", options={})
        return real("testsrc=s=1280x720:r=30", **options)

    monkeypatch.setattr(camera.av, "open", open_lavfi)
    with open_reader("camera:0") as reader:
        assert (reader.info.kind, reader.info.rate, reader.info.live) == ("camera", 30, True)
        frames = list(islice(reader, 3))
    assert all(f.image.shape == (720, 1280, 3) and f.captured is not None for f in frames)
    assert [f.pts for f in frames] == sorted({f.pts for f in frames})
