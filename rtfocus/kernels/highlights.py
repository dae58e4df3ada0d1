"""CPU kernels that look at the borders of clipped highlights."""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.jit import F32, I32, I64, U8, kernel


@kernel
def find_rings(labels: I32, edge: I64, rings: I64) -> int:
    """Pixels around every clipped region: ring 1 touches it, 2 is next to that, 3 the one beyond.

    A pixel of rings 1 and 2 belongs to one region and to no other's ring 3.

    Args:
        labels: (h, w), number of the clipped region, 0 where nothing is clipped.
        edge: flat positions of the clipped pixels that have a neighbour that is not.
        rings: (37 * len(edge), 3), filled with flat position, region and ring.

    Returns:
        The number of rows filled.
    """
    height, width = labels.shape
    owner = np.zeros((height, width), np.int32)  # region, or minus the last that took it as ring 3
    found = 0
    for ring in range(1, 4):
        for position in edge:
            y, x = position // width, position % width
            region = labels[y, x]
            for j in range(max(0, y - ring), min(height, y + ring + 1)):
                for i in range(max(0, x - ring), min(width, x + ring + 1)):
                    away = (j - y) ** 2 + (i - x) ** 2
                    if labels[j, i] != 0 or away > ring * ring + 1:
                        continue
                    taken = owner[j, i]
                    if taken == 0 or (ring == 3 and taken < 0 and taken != -region):
                        owner[j, i] = -region if ring == 3 else region
                        rings[found, 0] = j * width + i
                        rings[found, 1] = region
                        rings[found, 2] = ring
                        found += 1
    return found


@kernel
def brighten(
    linear: F32,
    labels: I32,
    clipped: U8,
    inner: U8,
    level: F32,
    tint: F32,
    layer: U8,
    sharp: int,
) -> None:
    """Raise the clipped channels of every region to its level.

    A channel that is not clipped tells how bright the pixel really is: its hue must not change.

    Args:
        linear: (3, h, w), changed in place.
        labels: (h, w), number of the region, 0 where nothing is clipped.
        clipped: (h, w, 3), 1 where a channel is clipped.
        inner: (h, w), not 0 where all neighbours are clipped too. The others are covered by the
            light to a share that is uniform in 0..1, so they get half.
        level: (regions,), linear light of the brightest channel.
        tint: (regions, 3), the channels relative to that.
        layer: (h, w), layer of every pixel.
        sharp: number of the layer in focus, whose pixels stay as they are.
    """
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            region = labels[y, x]
            if region == 0 or layer[y, x] == sharp:
                continue
            light = level[region] * (np.float32(1) if inner[y, x] else np.float32(0.5))
            for c in range(3):
                if not clipped[y, x, c]:
                    light = min(light, linear[c, y, x] / max(tint[region, c], np.float32(1e-3)))
            for c in range(3):
                if clipped[y, x, c]:
                    linear[c, y, x] = max(linear[c, y, x], light * tint[region, c])
