"""The built-in scene."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from rtfocus.errors import UsageError
from rtfocus.readers import open_reader
from rtfocus.readers.scene import BALLOON_M, LEAVES_M, ROBOT_M, SKY_M, Scene


@pytest.mark.parametrize(
    ("source", "width", "height", "rate", "frames"),
    [
        ("pattern", 1280, 720, Fraction(30), 300),
        ("pattern:640x360", 640, 360, Fraction(30), 300),
        ("pattern:@60", 1280, 720, Fraction(60), 600),
        ("pattern:,3s", 1280, 720, Fraction(30), 90),
        ("pattern:37x21@29.97,1s", 37, 21, Fraction(2997, 100), 30),
        ("pattern:8x8@30000/1001,1s", 8, 8, Fraction(30000, 1001), 30),
    ],
)
def test_syntax(source: str, width: int, height: int, rate: Fraction, frames: int) -> None:
    with open_reader(source) as reader:
        info = reader.info
    assert (info.width, info.height, info.frames) == (width, height, frames)
    assert info.rate is not None
    assert abs(info.rate - rate) < Fraction(1, 1000)
    assert info.time_base == 1 / info.rate
    assert info.has_depth


@pytest.mark.parametrize(
    "source", ["pattern:", "pattern:0x5", "pattern:axb", "pattern:64x64@0", "pattern:99999x9",
               "pattern:64x64@1/0", "pattern:64x64@5,0s"]
)  # fmt: skip
def test_bad_syntax(source: str) -> None:
    if source == "pattern:":
        with open_reader(source) as reader:
            assert reader.info.width == 1280
        return
    with pytest.raises(UsageError):
        open_reader(source)


def test_it_is_the_same_every_time_and_moves() -> None:
    first, second = (Scene(90, 160).draw(0.5) for _ in range(2))
    later = Scene(90, 160).draw(0.9)
    assert all((a == b).all() for a, b in zip(first, second, strict=True))
    assert (first[0] != later[0]).any()
    assert (first[1] != later[1]).any()
    assert (first[1] == later[1]).mean() > 0.5


def test_depth_is_that_of_the_things_drawn() -> None:
    image, disparity = Scene(360, 640).draw(0.0)
    assert disparity.dtype == np.float32
    assert disparity.min() == pytest.approx(1 / SKY_M)
    assert disparity.max() == pytest.approx(1 / LEAVES_M)
    robot = np.isclose(disparity, 1 / ROBOT_M)
    balloon = np.isclose(disparity, 1 / BALLOON_M)
    assert robot.mean() > 0.03
    assert balloon.mean() > 0.01
    # The balloon is red, whatever it hangs before.
    assert image[balloon][:, 0].mean() > 2 * image[balloon][:, 1].mean()
    assert (image.max(axis=2) == 255).mean() > 0.0005  # lights that are clipped


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (21, 37), (200, 36)])
def test_any_size(size: tuple[int, int]) -> None:
    image, disparity = Scene(*size).draw(1.0)
    assert image.shape == (*size, 3)
    assert disparity.shape == size


def test_it_looks_the_same_at_every_size() -> None:
    large, small = Scene(360, 640).draw(0.0)[0], Scene(180, 320).draw(0.0)[0]
    reduced = cv2.resize(large, (320, 180), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(int) - small).mean() < 6
