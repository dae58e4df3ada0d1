"""A CPU kernel for the built-in scene, which is to be drawn in real time beside everything else."""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.jit import F32, U8, kernel


@kernel
def composite(image: U8, disparity: F32, sprite: F32, value: float) -> None:
    """Put a sprite over what is there.

    Args:
        image: (h, w, 3), changed in place.
        disparity: (h, w), changed in place where the sprite covers half of a pixel or more.
        sprite: (h, w, 4), premultiplied colour in levels and coverage 0..1.
        value: disparity of the sprite.
    """
    height, width = disparity.shape
    one, half = np.float32(1), np.float32(0.5)
    for y in range(height):
        for x in range(width):
            cover = sprite[y, x, 3]
            if cover == 0:
                continue
            for c in range(3):
                under = np.float32(image[y, x, c]) * (one - cover)
                image[y, x, c] = np.uint8(under + sprite[y, x, c] + half)
            if cover >= half:
                disparity[y, x] = value
