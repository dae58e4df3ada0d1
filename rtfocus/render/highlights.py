"""Give clipped highlights an estimate of the light they lost, before it is spread over a disc."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.frame import Image
from rtfocus.kernels.colour import srgb_tables
from rtfocus.kernels.highlights import (
    brighten,
    brighten_reduced,
    find_rings,
    mark_clipped,
    sum_rings,
)

CLIPPED = 252
"""Code value from which a channel counts as clipped; compression moves 255 a little."""

_MARGIN = 1.5
_SLOPE = 2.5
_FLOOR = 0.08
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def restore_highlights(
    image: Image, linear: NDArray[np.float32], gain: float, layer: NDArray[np.uint8], sharp: int
) -> None:
    """Raise the clipped pixels of a linear picture to what they probably were.

    Args:
        image: (h, w, 3) uint8.
        linear: (3, h, w) float32, the same picture in linear light, changed in place.
        gain: share of the estimated excess that is given back; 0 leaves the picture alone.
        layer: (h, w), layer of every pixel.
        sharp: number of the layer in focus, whose pixels stay as they are.
    """
    if gain == 0:
        return
    mask = _find_clipped(image)
    inner = _find_inner(mask)
    labels, count, rings = _find_regions(mask, inner)
    if count > 1:
        colour = linear.reshape(3, -1)[:, rings[:, 0]]
        level, tint = _estimate(rings, colour, count, gain)
        brighten(linear, image, CLIPPED, inner, labels, level, tint, layer, sharp)


def restore_reduced_highlights(
    image: Image, linear: NDArray[np.float32], gain: float, layer: NDArray[np.uint8], sharp: int
) -> None:
    """The same for a linear picture, and its layers, that are a reduced copy of the image.

    Mixed with its surroundings no light looks clipped, and all borders are soft. So lights are
    judged by pixels picked from the image, and every clipped pixel of the image adds what it lost
    to the reduced pixel that it is part of.
    """
    if gain == 0:
        return
    mask = _find_clipped(image)
    clipped = np.flatnonzero(mask.view(np.bool_))
    if not len(clipped):
        return
    (height, width), (full_height, full_width) = layer.shape, mask.shape
    rows = (2 * np.arange(height) + 1) * full_height // (2 * height)
    columns = (2 * np.arange(width) + 1) * full_width // (2 * width)
    picked = mask.take(rows, axis=0).take(columns, axis=1)
    labels, count, rings = _find_regions(picked, _find_inner(picked))
    if count > 1:
        decode, _ = srgb_tables()
        at = rows[rings[:, 0] // width], columns[rings[:, 0] % width]
        level, tint = _estimate(rings, decode.take(image[at].T), count, gain)
        brighten_reduced(
            linear,
            image,
            CLIPPED,
            clipped,
            _find_inner(mask),
            labels,
            level,
            tint,
            layer,
            sharp,
            decode,
        )


def _find_clipped(image: Image) -> NDArray[np.uint8]:
    """1 where a pixel is clipped in some channel, else 0."""
    mask = np.empty(image.shape[:2], np.uint8)
    mark_clipped(image, CLIPPED, mask)
    return mask


def _find_inner(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """1 where a pixel of the mask has four neighbours in it, else 0."""
    return cv2.erode(mask, _CROSS).astype(np.uint8, copy=False)


def _find_regions(
    mask: NDArray[np.uint8], inner: NDArray[np.uint8]
) -> tuple[NDArray[np.int32], int, NDArray[np.int64]]:
    """Number of every clipped pixel's region (h, w), how many there are with 0 for none, and rings.

    There are none where nothing tells how bright it is: no pixel is clipped, or all are.
    """
    edge = np.flatnonzero(mask != inner)
    rings = np.empty((37 * len(edge), 3), np.int64)
    if not len(edge):
        return mask.astype(np.int32), 1, rings
    count, found = cv2.connectedComponents(mask, connectivity=8, ltype=cv2.CV_32S)
    labels = found.astype(np.int32, copy=False)
    return labels, count, rings[: find_rings(labels, edge, rings)]


def _estimate(
    rings: NDArray[np.int64], colour: NDArray[np.float32], count: int, gain: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Linear light (count,) and tint (count, 3) of every clipped region, from the pixels around it.

    The border of a light tells how bright it is. Along a sharp edge a pixel is covered by the light
    to a share that is uniform in 0..1; where the light is L times as bright as white, only pixels
    covered by less than 1 / L stay unclipped. So what light is found in the unclipped pixels along
    the border, over the border's length, is about 1 / (2 L): white paper has a soft border a pixel
    wide, a lamp next to none. Lenses, sharpening and compression soften or harden borders, hence a
    margin below which nothing is restored (paper, sky and shirts stay as they are) and a cap. The
    colour comes from the same border pixels.

    Args:
        rings: from `find_rings`.
        colour: linear colour of those pixels, (3, n).
        count: number of regions, with 0 for none.
        gain: see `restore_highlights`.
    """
    outside, border = np.zeros((count, 6)), np.zeros((count, 6))
    sum_rings(rings, colour, outside, border)
    known, background, variance = outside[:, 0], outside[:, 1], outside[:, 2]
    length, pixels, excess = border[:, 0], border[:, 1], border[:, 2]
    variance = np.maximum(variance, 0)
    # The background's own texture passes for mixed light: half of what a normal distribution has
    # above its mean, 0.4 sigma a pixel, is taken off, but never most of what there is.
    excess -= np.minimum(0.2 * np.sqrt(variance) * pixels, 0.5 * excess)
    dark = np.maximum(1 - background, 1e-3)
    sharpness = length / (2 * excess / dark + _FLOOR * length + 1e-6)
    level = 1 + gain * _SLOPE * dark * np.maximum(sharpness - _MARGIN, 0)
    # Against two backgrounds, one of them light, little can be told: paper is no lamp there.
    level = 1 + (level - 1) / (1 + 4 * variance / dark**2)
    level[(length == 0) | (known == 0)] = 1

    mixed = border[:, 3:]
    # Few pixels say little about colour; so many of white are added.
    mixed += 0.08 * length[:, None] + 1e-6
    tint = mixed / mixed.max(axis=1, keepdims=True)
    return level.astype(np.float32), tint.astype(np.float32)
