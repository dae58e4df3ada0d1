"""The network that comes with rtfocus."""

from fractions import Fraction

import numpy as np
import pytest

from rtfocus.depth.network import NetworkDepth
from rtfocus.device import resolve
from rtfocus.frame import Frame, Image, Map
from rtfocus.models.registry import built_in
from rtfocus.readers import open_reader


def estimate(image: Image, size: tuple[int, int] | None = None) -> Map:
    picture = (image.shape[0], image.shape[1])
    source = NetworkDepth(built_in(), device=resolve("cpu"), picture=picture, size=size)
    return source.estimate(Frame(image, 0, 0, Fraction(1, 25)))


def test_it_is_small() -> None:
    assert built_in().stat().st_size <= 8_000_000


@pytest.mark.parametrize("size", [(32, 32), (192, 320), (256, 448), (320, 192), (96, 512)])
def test_it_runs_at_any_multiple_of_32(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    disparity = estimate(image, size)
    assert disparity.shape == size
    assert np.isfinite(disparity).all()


@pytest.mark.parametrize("level", [0, 255])
def test_a_flat_picture_gives_finite_depth(level: int) -> None:
    assert np.isfinite(estimate(np.full((180, 320, 3), level, np.uint8))).all()


def test_it_sees_the_depth_of_the_built_in_scene() -> None:
    """A scene that it was never shown, and that makes no sense upside down.

    How good the network is, models/README.md says; this is about what it is fed and asked.
    """
    with open_reader("pattern:640x360@30,0.1s") as reader:
        frame = next(iter(reader))
    assert frame.disparity is not None

    def likeness(image: Image, truth: Map) -> float:
        disparity = estimate(image)
        rows = np.linspace(0, 359, disparity.shape[0]).astype(int)
        columns = np.linspace(0, 639, disparity.shape[1]).astype(int)
        truth = truth[np.ix_(rows, columns)]
        return float(np.corrcoef(disparity.ravel(), truth.ravel())[0, 1])

    assert likeness(frame.image, frame.disparity) > 0.3
    upside_down = np.ascontiguousarray(frame.image[::-1])
    assert likeness(upside_down, frame.disparity[::-1]) < 0
