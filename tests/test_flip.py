"""Depth from the picture and its mirror image."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from make_onnx import write_card, write_network

from rtfocus.depth.flip import blend_mirrored
from rtfocus.depth.network import NetworkDepth
from rtfocus.device import resolve
from rtfocus.frame import Frame


@pytest.mark.parametrize("width", [1, 2, 17, 320])
def test_weights_are_those_of_monodepth(width: int) -> None:
    plain = np.zeros((2, width), np.float32)
    mirrored = np.ones((2, width), np.float32)
    x = np.linspace(0, 1, width)
    left = 1 - np.clip(20 * (x - 0.05), 0, 1)
    right = left[::-1]
    wanted = left * 1 + right * 0 + (1 - left - right) * 0.5
    np.testing.assert_allclose(blend_mirrored(plain, mirrored)[1], wanted, atol=1e-6)


def test_the_mirrored_answer_is_mirrored_back(tmp_path: Path) -> None:
    """The mean of the channels does not mind mirrors, so that both answers must agree."""
    path = write_network(tmp_path / "n.onnx")
    write_card(path)
    image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    maps = [
        NetworkDepth(path, device=resolve("cpu"), picture=(32, 48), flip=flip).estimate(
            Frame(image, 0, 0, Fraction(1, 25))
        )
        for flip in (False, True)
    ]
    np.testing.assert_allclose(maps[1], maps[0], rtol=1e-5)
    assert maps[0].std() > 1
