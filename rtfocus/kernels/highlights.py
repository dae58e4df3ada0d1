"""CPU kernels that look at the borders of clipped highlights."""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.jit import F32, F64, I32, U8, kernel

CLIPPED = 252
"""Code value from which a channel counts as clipped; compression moves 255 a little."""


LENGTH, COUNT, BACKGROUND, SPREAD, EXCESS, COLOUR, COLUMNS = 0, 1, 2, 3, 4, 5, 8
"""Columns of `measure_rings`: see there."""


@kernel
def _is_border(labels: I32, y: int, x: int) -> bool:
    """Whether a clipped pixel touches one that is not."""
    height, width = labels.shape
    return bool(
        (y > 0 and labels[y - 1, x] == 0)
        or (y + 1 < height and labels[y + 1, x] == 0)
        or (x > 0 and labels[y, x - 1] == 0)
        or (x + 1 < width and labels[y, x + 1] == 0)
    )


@kernel
def measure_rings(labels: I32, linear: F32, count: int) -> F64:
    """What the surroundings of every clipped region look like.

    Two rings are looked at: the border, within 2 pixels of the region, where its light mixes with
        the background,
    and the background, the third pixel.

    Args:
        labels: (h, w) int32, number of the clipped region, 0 where nothing is clipped.
        linear: (3, h, w) float32.
        count: number of regions, 0 included.

    Returns:
        float64 (count, 8) per region: LENGTH of the border in pixels; COUNT of background pixels;
        BACKGROUND mean and SPREAD standard deviation of their largest channel; EXCESS, sum over the
        border of the largest channel above the background; COLOUR, the same for the three channels.
    """
    height, width = labels.shape
    stamp = np.zeros(
        (height, width), np.int32
    )  # region whose border it is, or minus whose background
    result = np.zeros((count, COLUMNS))
    mean = np.zeros((count, 3))
    pixels = np.zeros(count)
    for stage in range(4):
        reach = (1, 2, 3, 2)[stage]
        for y in range(height):
            for x in range(width):
                region = labels[y, x]
                if region == 0 or not _is_border(labels, y, x):
                    continue
                for j in range(max(0, y - reach), min(height, y + reach + 1)):
                    for i in range(max(0, x - reach), min(width, x + reach + 1)):
                        away = (j - y) ** 2 + (i - x) ** 2
                        if labels[j, i] != 0 or away > reach * reach + 1:
                            continue
                        if stage == 0 and stamp[j, i] != region:
                            stamp[j, i] = region
                            result[region, LENGTH] += 1
                            pixels[region] += 1
                        elif stage == 1 and stamp[j, i] == 0:
                            stamp[j, i] = region
                            pixels[region] += 1
                        elif stage == 2 and stamp[j, i] <= 0 and stamp[j, i] != -region:
                            stamp[j, i] = -region
                            largest = np.float32(0)
                            for c in range(3):
                                mean[region, c] += linear[c, j, i]
                                largest = max(largest, linear[c, j, i])
                            result[region, COUNT] += 1
                            result[region, BACKGROUND] += largest
                            result[region, SPREAD] += largest * largest
                        elif stage == 3 and stamp[j, i] == region:
                            stamp[j, i] = 0
                            largest = np.float32(0)
                            for c in range(3):
                                excess = linear[c, j, i] - mean[region, c]
                                result[region, COLOUR + c] += max(excess, 0.0)
                                largest = max(largest, linear[c, j, i])
                            result[region, EXCESS] += max(largest - result[region, BACKGROUND], 0.0)
        if stage == 2:
            for region in range(1, count):
                n = max(result[region, COUNT], 1.0)
                mean[region] /= n
                result[region, BACKGROUND] /= n
                variance = result[region, SPREAD] / n - result[region, BACKGROUND] ** 2
                result[region, SPREAD] = np.sqrt(max(variance, 0.0))
    for region in range(1, count):
        # The background's own texture would pass for mixed light. Half of what a normal
        # distribution has above its mean (0.4 sigma a pixel) is taken off.
        noise = 0.2 * result[region, SPREAD] * pixels[region]
        result[region, EXCESS] = max(result[region, EXCESS] - noise, 0.0)
    return result


@kernel
def brighten(image: U8, labels: I32, level: F32, linear: F32) -> None:
    """Raise the clipped channels of every region to its level, float32 (regions, 3)."""
    height, width = labels.shape
    for y in range(height):
        for x in range(width):
            region = labels[y, x]
            if region != 0:
                # The border is covered by the light to a share that is uniform in 0..1.
                share = np.float32(0.5) if _is_border(labels, y, x) else np.float32(1)
                for c in range(3):
                    if image[y, x, c] >= CLIPPED:
                        linear[c, y, x] = max(linear[c, y, x], share * level[region, c])
