"""Give clipped highlights an estimate of the light they lost, before it is spread over a disc."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.frame import Image
from rtfocus.kernels.colour import srgb_tables
from rtfocus.kernels.highlights import (
    TOLD,
    add_earlier,
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
_KEPT = 0.9
"""Share of what was told before that counts beside one picture."""

_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


class Highlights:
    """Raises the clipped pixels of linear pictures to what they probably were.

    What the border of a light tells is added to what it told in the pictures before, as long as the
    light stays about where and as large as it is: of a small one few pixels tell, others in every
    picture, and its disc would flicker.
    """

    def __init__(self, gain: float) -> None:
        """Args: gain: share of the estimated excess that is given back; 0 leaves pictures alone."""
        self._gain = gain
        self._before = np.empty((0, 0), np.int32)  # labels of the last picture
        self._told_before = np.empty((0, TOLD))  # by the borders of its regions

    def restore(
        self,
        image: Image,
        linear: NDArray[np.float32],
        layer: NDArray[np.uint8],
        sharp: int,
        *,
        begins: bool,
    ) -> None:
        """Change the next linear picture in place.

        Args:
            image: (h, w, 3) uint8.
            linear: (3, h, w) float32, the same picture in linear light.
            layer: (h, w), layer of every pixel.
            sharp: number of the layer in focus, whose pixels stay as they are.
            begins: whether a new shot begins with this picture.
        """
        if self._gain == 0:
            return
        mask = _find_clipped(image)
        inner = _find_inner(mask)
        regions = _find_regions(mask, inner)
        colour = linear.reshape(3, -1)[:, regions.rings[:, 0]]
        level, tint = self._estimate(regions, colour, begins)
        if len(level) > 1:
            brighten(linear, image, CLIPPED, inner, regions.labels, level, tint, layer, sharp)

    def restore_reduced(
        self,
        image: Image,
        linear: NDArray[np.float32],
        layer: NDArray[np.uint8],
        sharp: int,
        *,
        begins: bool,
    ) -> None:
        """The same for a linear picture, and its layers, that are a reduced copy of the image.

        Mixed with its surroundings no light looks clipped, and all borders are soft. So lights are
        judged by pixels picked from the image, and every clipped pixel of the image adds what it
        lost to the reduced pixel that it is part of.
        """
        if self._gain == 0:
            return
        mask = _find_clipped(image)
        (height, width), (full_height, full_width) = layer.shape, mask.shape
        rows = (2 * np.arange(height) + 1) * full_height // (2 * height)
        columns = (2 * np.arange(width) + 1) * full_width // (2 * width)
        picked = mask.take(rows, axis=0).take(columns, axis=1)
        regions = _find_regions(picked, _find_inner(picked))
        decode, _ = srgb_tables()
        at = rows[regions.rings[:, 0] // width], columns[regions.rings[:, 0] % width]
        level, tint = self._estimate(regions, decode.take(image[at].T), begins)
        if len(level) > 1:
            brighten_reduced(
                linear,
                image,
                CLIPPED,
                np.flatnonzero(mask.view(np.bool_)),
                _find_inner(mask),
                regions.labels,
                level,
                tint,
                layer,
                sharp,
                decode,
            )

    def _estimate(
        self, regions: _Regions, colour: NDArray[np.float32], begins: bool
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Linear light (count,) and tint (count, 3) of every region, from the pixels around it.

        The border of a light tells how bright it is. Along a sharp edge a pixel is covered by the
        light to a share that is uniform in 0..1; where the light is L times as bright as white,
        only pixels covered by less than 1 / L stay unclipped. So what light is found in the
        unclipped pixels along the border, over the border's length, is about 1 / (2 L): white paper
        has a soft border a pixel wide, a lamp next to none. Lenses, sharpening and compression
        soften or harden borders, hence a margin below which nothing is restored (paper, sky and
        shirts stay as they are) and a cap. The colour comes from the same border pixels.

        Args:
            regions: of clipped pixels.
            colour: linear colour of the pixels of their rings, (3, n).
            begins: see `restore`.
        """
        outside, border = np.zeros((regions.count, 6)), np.zeros((regions.count, 6))
        sum_rings(regions.rings, colour, outside, border)
        known, background, variance = outside[:, 0], outside[:, 1], outside[:, 2]
        length, pixels, excess = border[:, 0], border[:, 1], border[:, 2]
        variance = np.maximum(variance, 0)
        # The background's own texture passes for mixed light: half of what a normal distribution
        # has above its mean, 0.4 sigma a pixel, is taken off, but never most of what there is.
        excess -= np.minimum(0.2 * np.sqrt(variance) * pixels, 0.5 * excess)
        dark = np.maximum(1 - background, 1e-3)
        told = np.column_stack([length, length, 2 * excess / dark, border[:, 3:]])
        if not begins and self._before.shape == regions.labels.shape:
            add_earlier(regions.edge, regions.labels, told, self._before, self._told_before, _KEPT)
        self._before, self._told_before = regions.labels, told
        length = told[:, 1]
        sharpness = length / (told[:, 2] + _FLOOR * length + 1e-6)
        level = 1 + self._gain * _SLOPE * dark * np.maximum(sharpness - _MARGIN, 0)
        # Against two backgrounds, one of them light, little can be told: paper is no lamp there.
        level = 1 + (level - 1) / (1 + 4 * variance / dark**2)
        level[(length == 0) | (known == 0)] = 1

        # Few pixels say little about colour; so many of white are added.
        mixed = told[:, 3:] + (_FLOOR * length[:, None] + 1e-6)
        tint = mixed / mixed.max(axis=1, keepdims=True)
        return level.astype(np.float32), tint.astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Regions:
    """Regions of clipped pixels that touch each other.

    Attributes:
        labels: (h, w), number of every clipped pixel's region, 0 where nothing is clipped.
        count: number of regions, 0 included.
        edge: flat positions of the pixels of which a neighbour is not clipped.
        rings: from `find_rings`.
    """

    labels: NDArray[np.int32]
    count: int
    edge: NDArray[np.int64]
    rings: NDArray[np.int64]


def _find_clipped(image: Image) -> NDArray[np.uint8]:
    """1 where a pixel is clipped in some channel, else 0."""
    mask = np.empty(image.shape[:2], np.uint8)
    mark_clipped(image, CLIPPED, mask)
    return mask


def _find_inner(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """1 where a pixel of the mask has four neighbours in it, else 0."""
    return cv2.erode(mask, _CROSS).astype(np.uint8, copy=False)


def _find_regions(mask: NDArray[np.uint8], inner: NDArray[np.uint8]) -> _Regions:
    """The regions of a mask; none where nothing tells how bright they are, as all is clipped."""
    edge = np.flatnonzero(mask != inner)
    rings = np.empty((37 * len(edge), 3), np.int64)
    if not len(edge):
        return _Regions(np.zeros(mask.shape, np.int32), 1, edge, rings[:0])
    count, found = cv2.connectedComponents(mask, connectivity=8, ltype=cv2.CV_32S)
    labels = found.astype(np.int32, copy=False)
    return _Regions(labels, count, edge, rings[: find_rings(labels, edge, rings)])
