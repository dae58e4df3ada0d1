"""CPU kernels that look at the borders of clipped highlights."""

from __future__ import annotations

import numpy as np

from rtfocus.kernels.jit import F32, F64, I32, I64, U8, kernel

TOLD = 6
"""What the border of a light tells, in pixels: its length in the last picture; then, over all
pictures, its length, twice the light in it over that of white, and its light per channel."""


@kernel
def mark_clipped(image: U8, limit: int, mask: U8) -> None:
    """Set the mask (h, w) to 1 where a channel of the image (h, w, 3) reaches the limit, else 0."""
    height, width = mask.shape
    for y in range(height):
        row, marks = image[y].reshape(3 * width), mask[y]
        for x in range(width):
            marks[x] = max(max(row[3 * x], row[3 * x + 1]), row[3 * x + 2]) >= limit


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
def sum_rings(rings: I64, colour: F32, outside: F64, border: F64) -> None:
    """What the pixels around every clipped region have together.

    Args:
        rings: (n, 3), from `find_rings`.
        colour: linear colour of those pixels, (3, n).
        outside: (regions, 6), zeros. Of ring 3, the background: its pixels; mean and variance of
            their brightest channels; mean of each channel.
        border: (regions, 6), zeros. Of rings 1 and 2: the pixels of ring 1, of both; by how much
            they are brighter than the background, brightest channel and each channel.
    """
    for n in range(len(rings)):
        if rings[n, 2] == 3:
            sums = outside[rings[n, 1]]
            largest = max(max(colour[0, n], colour[1, n]), colour[2, n])
            sums[0] += 1
            sums[1] += largest
            sums[2] += largest**2
            for c in range(3):
                sums[3 + c] += colour[c, n]
    for sums in outside:
        for i in range(1, 6):
            sums[i] /= max(sums[0], 1)
        sums[2] -= sums[1] ** 2
    for n in range(len(rings)):
        if rings[n, 2] < 3:
            sums, background = border[rings[n, 1]], outside[rings[n, 1]]
            largest = max(max(colour[0, n], colour[1, n]), colour[2, n])
            sums[0] += rings[n, 2] == 1
            sums[1] += 1
            sums[2] += max(largest - background[1], 0)
            for c in range(3):
                sums[3 + c] += max(colour[c, n] - background[3 + c], 0)


@kernel
def add_earlier(
    edge: I64, labels: I32, told: F64, before: I32, told_before: F64, share: float
) -> None:
    """Add a share of what lights told before that were as large, in the places of regions.

    Args:
        edge: flat positions of the pixels of regions of which a neighbour is not clipped.
        labels: (h, w), number of the clipped region, 0 where nothing is clipped.
        told: (regions, TOLD), by this picture, changed in place.
        before: (h, w), `labels` of the last picture.
        told_before: `told` of the last picture.
        share: of its mean over a region's edge.
    """
    width = labels.shape[1]
    sums, number = np.zeros(told.shape), np.zeros(len(told))
    for position in edge:
        y, x = position // width, position % width
        region, earlier = labels[y, x], before[y, x]
        length = told_before[earlier, 0]
        if earlier and length < 2 * told[region, 0] and told[region, 0] < 2 * length:
            number[region] += 1
            for i in range(1, TOLD):
                sums[region, i] += told_before[earlier, i]
    for region in range(len(told)):
        for i in range(1, TOLD):
            told[region, i] += share * sums[region, i] / max(number[region], 1)


@kernel
def brighten(
    linear: F32,
    image: U8,
    limit: int,
    inner: U8,
    labels: I32,
    level: F32,
    tint: F32,
    layer: U8,
    sharp: int,
) -> None:
    """Raise the clipped channels of every region to its level.

    A channel that is not clipped tells how bright the pixel really is: its hue must not change.

    Args:
        linear: (3, h, w), changed in place.
        image: (h, w, 3), the same picture.
        limit: code value from which a channel is clipped.
        inner: (h, w), not 0 where all neighbours are clipped too. The others are covered by the
            light to a share that is uniform in 0..1, so they get half.
        labels: (h, w), number of the region, 0 where nothing is clipped.
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
                if image[y, x, c] < limit:
                    light = min(light, linear[c, y, x] / max(tint[region, c], np.float32(1e-3)))
            for c in range(3):
                if image[y, x, c] >= limit:
                    linear[c, y, x] = max(linear[c, y, x], light * tint[region, c])


@kernel
def brighten_reduced(
    linear: F32,
    image: U8,
    limit: int,
    clipped: I64,
    inner: U8,
    labels: I32,
    level: F32,
    tint: F32,
    layer: U8,
    sharp: int,
    decode: F32,
) -> None:
    """`brighten` for a linear picture that is a reduced copy of the image.

    Args:
        linear: (3, h, w), changed in place.
        image: (H, W, 3).
        limit: see `brighten`.
        clipped: flat positions of the clipped pixels of the image.
        inner: (H, W).
        labels: (h, w), number of the region of pixels picked from the image. Clipped pixels
            between those that were picked belong to a region next to them.
        level: see `brighten`.
        tint: see `brighten`.
        layer: (h, w).
        sharp: see `brighten`.
        decode: from code value to linear light.
    """
    height, width = labels.shape
    share = np.float32(height * width / (image.shape[0] * image.shape[1]))
    for position in clipped:
        y, x = position // image.shape[1], position % image.shape[1]
        j, i = y * height // image.shape[0], x * width // image.shape[1]
        if layer[j, i] == sharp:
            continue
        region = labels[j, i]
        for b in range(max(0, j - 1), min(height, j + 2)):
            for a in range(max(0, i - 1), min(width, i + 2)):
                region = labels[b, a] if region == 0 else region
        if region == 0:
            continue
        light = level[region] * (np.float32(1) if inner[y, x] else np.float32(0.5))
        for c in range(3):
            if image[y, x, c] < limit:
                seen = decode[image[y, x, c]]
                light = min(light, seen / max(tint[region, c], np.float32(1e-3)))
        for c in range(3):
            if image[y, x, c] >= limit:
                lost = light * tint[region, c] - decode[image[y, x, c]]
                linear[c, j, i] += share * max(lost, np.float32(0))
