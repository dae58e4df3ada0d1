"""RGB to 4:2:0 against float64."""

from __future__ import annotations

import numpy as np
import pytest

from rtfocus.kernels.to_yuv import rgb_to_i420


def reference(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """BT.709 limited range; chroma filtered 1-2-1 on even columns and averaged over two rows."""
    red, green, blue = image.astype(np.float64).transpose(2, 0, 1)
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue

    def subsample(plane: np.ndarray) -> np.ndarray:
        plane = np.pad(plane, ((0, plane.shape[0] % 2), (1, 1)), mode="edge")
        rows = (plane[::2] + plane[1::2]) / 2
        return ((rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 4)[:, ::2]

    return (
        16 + 219 / 255 * luma,
        128 + 224 / 255 * subsample((blue - luma) / 1.8556),
        128 + 224 / 255 * subsample((red - luma) / 1.5748),
    )


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 5), (48, 64), (37, 53)])
def test_against_float64(size: tuple[int, int]) -> None:
    height, width = size
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    half = ((height + 1) // 2, (width + 1) // 2)
    planes = [np.zeros((r, c + 7), np.uint8) for r, c in (size, half, half)]  # padded rows
    rgb_to_i420(image, *planes, 0, half[0])
    for plane, truth in zip(planes, reference(image), strict=True):
        read = plane[: truth.shape[0], : truth.shape[1]]
        assert np.abs(read - truth).max() <= 0.51
        assert (plane[:, truth.shape[1] :] == 0).all()


def test_grey_stays_grey() -> None:
    image = np.arange(256, dtype=np.uint8)[None, :, None].repeat(2, 0).repeat(3, 2)
    luma, cb, cr = (np.zeros(s, np.uint8) for s in ((2, 256), (1, 128), (1, 128)))
    rgb_to_i420(image, luma, cb, cr, 0, 1)
    assert (luma[0, 0], luma[0, 255]) == (16, 235)
    assert (cb == 128).all()
    assert (cr == 128).all()
