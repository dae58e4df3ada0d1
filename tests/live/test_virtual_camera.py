"""The virtual camera, with a backend that only remembers."""

from __future__ import annotations

import builtins
import sys
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import make_frames, make_info

from live.virtual import Backend
from rtfocus.errors import UnavailableError, UsageError
from rtfocus.frame import Frame
from rtfocus.writers import check_output, open_writer
from rtfocus.writers.virtual_camera import VirtualCameraWriter, pack_yuv420

INFO = make_info(65, 49, rate=Fraction(50))


def test_frames_arrive_in_size_and_colour(backend: type[Backend]) -> None:
    image = np.zeros((49, 65, 3), np.uint8)
    image[:, :32] = 200, 40, 40
    with open_writer("camera:/dev/video7", INFO) as writer:
        writer.write(Frame(image, 0, 0, INFO.time_base))
    (made,) = backend.made
    assert (made.options["width"], made.options["height"]) == (64, 48)
    assert made.options["fps"] == 50
    assert made.options["device"] == "/dev/video7"
    assert made.closed
    (data,) = made.sent
    assert data.shape == (64 * 48 * 3 // 2,)
    back = cv2.cvtColor(data.reshape(72, 64), cv2.COLOR_YUV2RGB_I420)  # of BT.601, so roughly
    assert np.abs(back[24, 16].astype(int) - (200, 40, 40)).max() < 40
    assert back[24, 50].max() <= 2


def test_both_formats_hold_the_same() -> None:
    image = make_frames(make_info(64, 48), 1)[0].image
    planar, pairs = (pack_yuv420(image, planar=p) for p in (True, False))
    area = 64 * 48
    assert (planar[:area] == pairs[:area]).all()
    assert (planar[area:].reshape(2, -1) == pairs[area:].reshape(-1, 2).T).all()


def test_frames_never_come_faster_than_the_rate(backend: type[Backend]) -> None:
    with VirtualCameraWriter(INFO) as writer:
        assert writer.device == "/dev/video42"
        for frame in make_frames(INFO, 6):
            writer.write(frame)
    times = backend.made[0].times
    assert times[-1] - times[0] >= 4 * 0.02 - 0.001  # one of six may come early


def test_no_device_gives_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    virtual = pytest.importorskip("pyvirtualcam", reason="the extra virtualcam is not installed")

    def refuse(**_: Any) -> None:
        raise RuntimeError("no v4l2loopback device found")

    monkeypatch.setattr(virtual.camera, "BACKENDS", {"v4l2loopback": refuse})
    monkeypatch.setattr(sys, "platform", "linux")
    remedy = "sudo modprobe v4l2loopback exclusive_caps=1 card_label=rtfocus"
    with pytest.raises(UnavailableError, match=remedy) as raised:
        open_writer("camera:", INFO)
    assert raised.value.exit_code == 4
    assert "no v4l2loopback device found" in str(raised.value)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "pyvirtualcam":
            raise ImportError("No module named 'pyvirtualcam'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UnavailableError, match=r"rtfocus\[virtualcam\]"):
        check_output("camera:", "in.mp4", overwrite=False)


def test_a_picture_that_is_too_small() -> None:
    with pytest.raises(UsageError, match="too small"):
        open_writer("camera:", make_info(1, 1))
