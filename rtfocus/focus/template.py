"""What a thing looks like and how near it is, and where in a picture that is found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.focus.plane import FocusPoint, disparity_at
from rtfocus.frame import Image, Map

Colours = NDArray[np.float32]
"""(h, w, 3) float32, opponent colours in levels."""

_SIDE = 24
"""Longer side of a template, in its own pixels; a pixel covers more of a larger thing."""

_LARGEST, _SMALLEST = 0.4, 0.06
"""Sides of the box around a thing, as shares of the picture's height."""

_MARGIN = 1.25
"""The box over the thing: what does not belong to it shows where it ends."""

_SAME_DEPTH, _LARGEST_RELIEF = 0.06, 0.12
"""Difference in normalised disparity that always is within a thing, and that can be."""

_DEPTH_NOISE = 0.06
"""Standard deviation of normalised disparity beyond that."""

_COLOUR = np.array([[0.30, 0.59, 0.11], [0.75, -0.75, 0.0], [-0.375, -0.375, 0.75]], np.float32)
"""From RGB to brightness, red - green and blue - yellow: opponent colours, which change less than
brightness with the light, so they weigh as much although they span less."""

_LEVELS = 20.0
"""Difference in levels that costs as much as `_DEPTH_WEIGHT` / 8 of the depth."""

_TOLERANCE = 30.0
"""Levels, as a standard deviation, by which a thing's colours may differ from what they were."""

_DEPTH_WEIGHT = 4.0
_OUTSIDE_WEIGHT = 0.5
"""Of depth like the thing's around it, against the lack of it within."""

_HIDDEN_WEIGHT = 0.7
"""Of what is nearer than the thing and may hide it, against what is at its depth. If it counted for
nothing, whatever passes would push the thing aside."""


_NOWHERE = 1e9
"""Disparity beyond the edge of the picture: like nothing within it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is, in picture heights from the top left corner.

    Attributes:
        x: of the middle of its box.
        y: likewise.
        unit: side of a pixel of the template: its scale.
    """

    x: float
    y: float
    unit: float


@dataclass(frozen=True, slots=True)
class Match:
    """The best place for a template in a picture.

    Attributes:
        place: with a fraction of a pixel.
        score: the more, the better; differences are log-likelihoods.
        alike: how well the colours agree where it is that near, 0..1.
        at_depth: share of the thing that is as near as expected, 0..1.
        disparity: median of that share.
    """

    place: Place
    score: float
    alike: float
    at_depth: float
    disparity: float


@dataclass(frozen=True, slots=True)
class Glance:
    """One frame to look at: a reduced picture, and disparity of any size."""

    image: Image
    disparity: Map

    @property
    def aspect(self) -> float:
        """Width over height."""
        height, width = self.image.shape[:2]
        return float(width / height)

    def sample(self, place: Place, size: tuple[int, int]) -> tuple[Colours, Map]:
        """Opponent colours (h, w, 3) and disparity (h, w) on a grid around a place.

        Beyond the edge the colours are those of the edge, and the disparity is `_NOWHERE`.
        """
        # Averages, where the grid is coarser than interpolation between two pixels allows.
        fine = max(1, math.ceil(place.unit * self.image.shape[0] / 2))
        rgb = _warp(self.image, place, size, fine, self.aspect)
        if fine > 1:
            rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
        colours = np.asarray(cv2.transform(rgb.astype(np.float32), _COLOUR), np.float32)
        return colours, _warp(self.disparity, place, size, 1, self.aspect)


class Template:
    """A thing's colours, on a grid of at most 24 x 24, and which of its pixels are the thing."""

    def __init__(self, glance: Glance, point: FocusPoint) -> None:
        """Learn the thing at a point: what hangs together around it in disparity."""
        self.expected = disparity_at(point, glance.disparity)
        self.place, self.size, self._relief = _outline(glance, point, self.expected)
        self._colours, disparity = glance.sample(self.place, self.size)
        self._mask = self._likely(disparity)

    def search(self, glance: Glance, around: Place, reach: int, spread: float) -> Match:
        """The best place near another.

        Args:
            glance: the frame.
            around: the middle of the search, and the scale.
            reach: half the width of the search, in pixels of the template.
            spread: standard deviation of how far the thing is expected from the middle, in the
                same pixels.
        """
        width, height = self.size
        colours, disparity = glance.sample(around, (width + 2 * reach, height + 2 * reach))
        likely = self._likely(disparity)
        hidden = np.float32(_HIDDEN_WEIGHT) * (disparity > self.expected) * (disparity < _NOWHERE)
        scores = self._scores(colours, likely, np.maximum(likely, hidden), reach, spread)
        _, score, _, (x, y) = cv2.minMaxLoc(scores)
        box = np.s_[y : y + height, x : x + width]
        seen = self._mask * likely[box]
        # Of each pixel for itself: a hand before a face does not make it another face.
        alike = np.exp(_squares(colours[box] - self._colours) / np.float32(-2 * _TOLERANCE**2))
        place = Place(
            around.x + (x - reach + _peak(scores[y], x)) * around.unit,
            around.y + (y - reach + _peak(scores[:, x], y)) * around.unit,
            around.unit,
        )
        return Match(
            place=place,
            score=float(score),
            alike=float((seen * alike).sum() / max(float(seen.sum()), 1e-6)),
            at_depth=float(seen.sum() / self._mask.sum()),
            disparity=self._disparity_of(disparity[box][seen > 0.15]),
        )

    def learn(self, glance: Glance, place: Place, share: float) -> None:
        """Take over a share of how the thing looks now."""
        # Sampled at the very place: a fraction of a pixel beside it, the template would wander.
        colours, disparity = glance.sample(place, self.size)
        likely = self._likely(disparity)
        # What is nearer, or beyond the edge, hides the thing and teaches nothing about it.
        seen = np.float32(share) * np.where(disparity > self.expected, likely, np.float32(1))
        self._colours += seen[..., None] * (colours - self._colours)
        self._mask += seen * (likely - self._mask)

    def _disparity_of(self, seen: Map) -> float:
        """Disparity of the thing from what is seen at its depth.

        That is the median of what is close to the expected one, where it is a good part: what lies
        a little behind the thing may be as much, but does not count.
        """
        close = seen[np.abs(seen - self.expected) <= _SAME_DEPTH]
        if len(close) >= 0.3 * len(seen):
            seen = close
        return float(np.median(seen)) if seen.size else self.expected

    def _likely(self, disparity: Map) -> Map:
        """How well disparity agrees with what is expected, 0..1."""
        away = np.abs(disparity - np.float32(self.expected)) - np.float32(self._relief)
        away = np.maximum(away, 0) / np.float32(_DEPTH_NOISE)
        return np.asarray(np.exp(-0.5 * away * away), np.float32)

    def _scores(
        self, colours: Colours, likely: Map, possible: Map, reach: int, spread: float
    ) -> Map:
        """Log-likelihood of every place, (2 reach + 1, 2 reach + 1).

        The squared difference of colour counts where the picture is at the thing's depth (L), so
        that what covers part of the thing does not pull it along. With the template's mask M,

            sum(M L (T - I)^2) = sum(M T^2 L) - 2 sum(M T L I) + sum(M L I^2)

        is a correlation of five channels. Depth adds to that of L (what surrounds the thing should
        not be at its depth), and a sixth: the share of the thing that is, or may be hidden.
        """
        mask = self._mask
        cost = mask / np.float32(2 * _LEVELS**2 * mask.sum())
        around = (1 - mask) / mask.size
        against = cost * _squares(self._colours) + _DEPTH_WEIGHT * _OUTSIDE_WEIGHT * around
        inside = _DEPTH_WEIGHT * mask / mask.sum()
        kernel = np.dstack([2 * cost[..., None] * self._colours, -cost, -against, inside])
        seen = colours * likely[..., None]
        picture = np.dstack([seen, likely * _squares(colours), likely, possible])
        scores: Map = np.asarray(
            cv2.matchTemplate(picture, kernel.astype(np.float32), cv2.TM_CCORR), np.float32
        )
        steps = np.arange(-reach, reach + 1, dtype=np.float32) / np.float32(spread)
        scores -= np.float32(0.5) * (steps**2 + steps[:, None] ** 2)
        return scores


def _squares(colours: Colours) -> Map:
    return np.asarray(np.einsum("hwc,hwc->hw", colours, colours))


def _outline(
    glance: Glance, point: FocusPoint, expected: float
) -> tuple[Place, tuple[int, int], float]:
    """The box around the thing at a point, its size in pixels of a template, and its relief.

    The relief is how much its disparity differs from that at the point.
    """
    unit = _LARGEST / (2 * _SIDE)
    middle = Place(point.x * glance.aspect, point.y, unit)
    disparity = _warp(glance.disparity, middle, (2 * _SIDE + 1, 2 * _SIDE + 1), 1, glance.aspect)
    away = np.abs(disparity - expected)
    near = (away <= _LARGEST_RELIEF).astype(np.uint8)
    near[_SIDE, _SIDE] = 1
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(near, connectivity=4)
    own = labels[_SIDE, _SIDE]
    left, top, wide, high, _ = (int(v) for v in boxes[own])
    x = middle.x + (left + wide / 2 - _SIDE - 0.5) * unit
    y = middle.y + (top + high / 2 - _SIDE - 0.5) * unit
    width, height = (max(_MARGIN * side * unit, _SMALLEST) for side in (wide, high))
    scale = max(width, height) / _SIDE
    size = max(8, round(width / scale)), max(8, round(height / scale))
    relief = float(np.clip(np.percentile(away[labels == own], 90), _SAME_DEPTH, _LARGEST_RELIEF))
    return Place(x, y, scale), size, relief


def _warp(
    picture: NDArray[Any], place: Place, size: tuple[int, int], fine: int, aspect: float
) -> NDArray[Any]:
    """Sample a picture of any size on a grid around a place, `fine` times as fine."""
    height, width = picture.shape[:2]
    down, across = place.unit / fine * height, place.unit / fine * width / aspect
    columns, rows = size[0] * fine, size[1] * fine
    x = place.x * width / aspect - 0.5 - across * (columns - 1) / 2
    y = place.y * height - 0.5 - down * (rows - 1) / 2
    matrix = np.array([[across, 0, x], [0, down, y]], np.float64)
    if picture.ndim == 2:  # nearness does not mix
        flags, border = cv2.INTER_NEAREST, cv2.BORDER_CONSTANT
    else:
        flags, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    return np.asarray(
        cv2.warpAffine(picture, matrix, (columns, rows), flags=flags | cv2.WARP_INVERSE_MAP,
                       borderMode=border, borderValue=_NOWHERE)
    )  # fmt: skip


def _peak(values: Map, at: int) -> float:
    """Where between its neighbours the maximum of a parabola through three values lies."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, here, after = (float(v) for v in values[at - 1 : at + 2])
    bend = 2 * here - before - after
    return 0.5 * (after - before) / bend if bend > 1e-9 else 0.0
