"""The live tier: the blur of a reduced picture, with the detail of the full-size one put back."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from rtfocus.frame import Disparity, Image, Map
from rtfocus.kernels.bands import Bands
from rtfocus.kernels.colour import srgb_tables
from rtfocus.kernels.detail import combine, divide
from rtfocus.lens import Lens
from rtfocus.render.layered import LensRenderer
from rtfocus.render.layers import SHARP
from rtfocus.upsample import Upsampler

SIDES = (360, 240, 180)
"""About the shorter side of a reduced picture, in pixels, from the best to the cheapest."""

_SOFT = 0.85
"""Radius in reduced pixels that leaves no detail: from 0.5 px at full size on, the share of it that
comes nearest to a disc's blur falls to there in a line, as measured on photographs."""

_decode, _encode = srgb_tables()
_STEPS = len(_encode) - 1
# From code value to linear light in quarters of a step of the other table, so that the mean of
# 16-bit values finds its code value there; half a step more, since it rounds down.
_TO_LINEAR = (4 * np.round(_STEPS * _decode) + 2).astype(np.uint16)
_TO_CODE = np.repeat(_encode, 4)


class Reduction:
    """How far pictures are reduced, by all that needs to agree on it.

    Attributes:
        side: of `SIDES`; may be changed between two frames.
    """

    def __init__(self) -> None:
        self.side = SIDES[0]

    def factor(self, height: int, width: int) -> int:
        """By how much a picture of this size is reduced, at least 2."""
        return max(2, round(min(height, width) / self.side))

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the reduced picture."""
        factor = self.factor(height, width)
        return max(1, round(height / factor)), max(1, round(width / factor))


def reduce_picture(image: Image, size: tuple[int, int]) -> Image:
    """The picture at a smaller size (height, width) with all its light: a lamp is not dimmed.

    Where that is a quarter or less, four pixels count as one, which dims only what is smaller.
    """
    if image.shape[0] >= 4 * size[0] and image.shape[1] >= 4 * size[1]:
        half = image.shape[1] // 2, image.shape[0] // 2
        image = cv2.resize(image, half, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    linear = cv2.LUT(image, _TO_LINEAR)
    small = cv2.resize(linear, size[::-1], interpolation=cv2.INTER_AREA)
    return _TO_CODE.take(small.astype(np.uint16, copy=False))


def resize_disparity(disparity: Disparity, size: tuple[int, int]) -> Disparity:
    """The disparity at another size (height, width), untouched if it has that.

    A smaller one is picked and not averaged: between a subject and what is behind it is nothing.
    """
    values = disparity.values
    if values.shape == size:
        return disparity
    reduces = values.size > size[0] * size[1]
    how = cv2.INTER_NEAREST_EXACT if reduces else cv2.INTER_LINEAR
    resized = cv2.resize(values, size[::-1], interpolation=how)
    return replace(disparity, values=resized.astype(np.float32, copy=False))


class ReducedUpsampler:
    """Enlarges disparity to the size of the reduced picture only."""

    def __init__(self, reduction: Reduction, threads: int = 1) -> None:
        self._reduction, self._upsampler = reduction, Upsampler(threads)

    def __call__(self, disparity: Disparity, image: Image) -> Disparity:
        """See `Upsampler`.

        Args:
            disparity: (gh, gw).
            image: (h, w, 3) uint8, at full size.
        """
        size = self._reduction.size(*image.shape[:2])
        if disparity.values.size >= size[0] * size[1]:
            return resize_disparity(disparity, size)
        guide = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)
        return self._upsampler(disparity, guide.astype(np.uint8, copy=False))

    def close(self) -> None:
        """End the threads; safe to call twice."""
        self._upsampler.close()


class ReducedRenderer:
    """A thin lens at the cost of a small picture.

    Every pixel of the blurred picture has some of its light from itself: all where it is in focus
    and nothing blurred covers it, none where it is blurred. That share is taken from the picture at
    full size, and only the rest from the reduced one, enlarged. The share is enlarged with it, so
    that no detail of a subject falls on what is behind it, or the reverse.

    Pixels whose radius is below 0.5 px at full size, and that lie a reduced pixel or more away from
    what is blurred, keep their bytes.
    """

    def __init__(self, renderer: LensRenderer, reduction: Reduction, threads: int = 1) -> None:
        """Args: renderer: blurs the reduced picture."""
        self._renderer, self._reduction = renderer, reduction
        self._bands = Bands(threads)

    def render(self, image: Image, disparity: Disparity, focus: float, lens: Lens) -> Image:
        """See `rtfocus.render.Renderer`; disparity of any size, best that of `ReducedUpsampler`."""
        height, width = self._reduction.size(*image.shape[:2])
        small = reduce_picture(image, (height, width))
        factor = image.shape[0] / height
        radius = lens.radius(resize_disparity(disparity, (height, width)), focus)
        # Reducing adds the variance of a box, enlarging that of a triangle: together that of a disc
        # of this radius in reduced pixels.
        spread = (1 - 1 / (3 * factor**2)) ** 0.5
        blurred, own = self._renderer.blur_reduced(
            small, _without(radius, spread), image, begins=disparity.cut
        )
        share, rest = np.empty_like(own), np.empty_like(small)
        self._bands.run(
            height, divide, small, blurred, own, radius, SHARP / factor, _SOFT, share, rest
        )
        size = image.shape[1], image.shape[0]
        out = np.empty_like(image)
        self._bands.run(
            image.shape[0],
            combine,
            image,
            cv2.resize(share, size, interpolation=cv2.INTER_LINEAR),
            cv2.resize(rest, size, interpolation=cv2.INTER_LINEAR),
            out,
        )
        return out

    def close(self) -> None:
        """See `rtfocus.render.Renderer`."""
        self._renderer.close()
        self._bands.close()


def _without(radius: Map, spread: float) -> Map:
    """The radii of what remains to be blurred; variances add, and a disc's is radius^2 / 4."""
    remaining: Map = np.copysign(np.sqrt(np.maximum(radius**2 - np.float32(spread**2), 0)), radius)
    return remaining
