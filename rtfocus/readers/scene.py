"""The built-in scene: a robot on a terrace at dusk, lights far behind it and leaves in front.

Everything is drawn from simple shapes in units of the picture's height, so that it looks the same
at any size. Colour is antialiased; depth is the nearest thing's, without antialiasing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.frame import Image, Map
from rtfocus.kernels.sprites import composite

Colour = tuple[int, int, int]
Point = tuple[float, float]

_OVERSAMPLING = 2
_FRACTION_BITS = 8  # of OpenCV's fixed-point coordinates
_HORIZON = 0.56
_EYE_M = 1.35  # height of the camera above the floor, in metres
_FOCAL = 1.1  # focal length in picture heights

SKY_M, SKYLINE_M, GARLAND_M, RAIL_M, ROBOT_M, BALLOON_M, LEAVES_M = (
    1000.0,
    60.0,
    9.0,
    5.5,
    2.4,
    1.25,
    0.8,
)


@dataclass(frozen=True, slots=True)
class Sprite:
    """A drawn thing.

    Attributes:
        rgba: (h, w, 4) float32, premultiplied RGB 0..255 and coverage 0..1, with an empty margin.
        corner: x and y of its upper left pixel in the picture.
        metres: its distance.
    """

    rgba: NDArray[np.float32]
    corner: tuple[int, int]
    metres: float


class Canvas:
    """A transparent picture to draw on, `_OVERSAMPLING` times as large as what comes of it.

    Coordinates are in picture heights; the origin is the middle of the upper edge.
    """

    def __init__(self, height: int, width: int) -> None:
        self._unit = height * _OVERSAMPLING
        self._middle = width * _OVERSAMPLING / 2
        shape = (height * _OVERSAMPLING, width * _OVERSAMPLING)
        self._colour = np.zeros((*shape, 3), np.uint8)
        self._cover = np.zeros(shape, np.uint8)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a polygon."""
        fixed = np.array([self._fixed(p) for p in points], np.int32)
        for plane, value in self._planes(colour):
            cv2.fillPoly(plane, [fixed], value, cv2.LINE_8, _FRACTION_BITS)

    def ellipse(self, centre: Point, radii: Point, colour: Colour, angle: float = 0.0) -> None:
        """Fill an ellipse."""
        axes = tuple(round(r * self._unit * (1 << _FRACTION_BITS)) for r in radii)
        for plane, value in self._planes(colour):
            cv2.ellipse(
                plane, self._fixed(centre), axes, angle, 0, 360, value, -1, shift=_FRACTION_BITS
            )

    def line(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a line of some width, at least a third of a pixel."""
        fixed = np.array([self._fixed(p) for p in points], np.int32)
        thickness = max(1, round(width * self._unit))
        for plane, value in self._planes(colour):
            cv2.polylines(plane, [fixed], False, value, thickness, cv2.LINE_8, _FRACTION_BITS)

    def rounded(self, centre: Point, size: Point, corner: float, colour: Colour) -> None:
        """Fill a rectangle with round corners."""
        (x, y), (w, h) = centre, (size[0] / 2, size[1] / 2)
        self.polygon([(x - w, y - h + corner), (x + w, y - h + corner), (x + w, y + h - corner),
                      (x - w, y + h - corner)], colour)  # fmt: skip
        self.polygon([(x - w + corner, y - h), (x + w - corner, y - h), (x + w - corner, y + h),
                      (x - w + corner, y + h)], colour)  # fmt: skip
        for sx in (-1, 1):
            for sy in (-1, 1):
                at = (x + sx * (w - corner), y + sy * (h - corner))
                self.ellipse(at, (corner, corner), colour)

    def text(self, words: str, at: Point, size: float, colour: Colour) -> None:
        """Write, `size` high, beginning at the lower left corner `at`."""
        scale = size * self._unit / 22
        if scale < 0.05:
            return
        x, y = (v >> _FRACTION_BITS for v in self._fixed(at))
        for plane, value in self._planes(colour):
            cv2.putText(plane, words, (x, y), cv2.FONT_HERSHEY_DUPLEX, scale, value,
                        max(1, round(scale * 1.2)), cv2.LINE_8)  # fmt: skip

    def sprite(self, metres: float) -> Sprite:
        """What was drawn, antialiased."""
        n = _OVERSAMPLING
        rows, columns = (np.flatnonzero(self._cover.any(axis=axis)) // n for axis in (1, 0))
        if not len(rows):
            return Sprite(np.zeros((0, 0, 4), np.float32), (0, 0), metres)
        y0, y1, x0, x1 = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        box = slice(y0 * n, y1 * n), slice(x0 * n, x1 * n)
        cover = self._cover[box][..., None]
        drawn = np.dstack([self._colour[box] & cover, cover])  # cover is 0 or 255
        small = cv2.resize(
            drawn.astype(np.float32), (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA
        )
        rgba = small.astype(np.float32, copy=False) / np.array([1, 1, 1, 255], np.float32)
        return Sprite(np.pad(rgba, ((1, 1), (1, 1), (0, 0))), (x0 - 1, y0 - 1), metres)

    def _fixed(self, point: Point) -> tuple[int, int]:
        scale = 1 << _FRACTION_BITS
        x, y = point[0] * self._unit + self._middle, point[1] * self._unit
        return round((x - 0.5) * scale), round((y - 0.5) * scale)

    def _planes(self, colour: Colour) -> tuple[tuple[NDArray[np.uint8], Sequence[int]], ...]:
        return (self._colour, colour), (self._cover, (255,))


class Scene:
    """Draws frames and their true depth, at any size.

    What stands still is drawn once; the robot sways and a balloon drifts by in front of it.
    """

    def __init__(self, height: int, width: int) -> None:
        self._size = (height, width)
        background, disparity = _sky_and_floor(height, width)
        for draw, metres in ((_skyline, SKYLINE_M), (_garland, GARLAND_M), (_railing, RAIL_M)):
            _put(background, disparity, _drawn(draw, height, width, metres))
            lights = _LIGHTS.get(draw)
            if lights is not None:
                _put(background, disparity, _shining(_drawn(lights, height, width, metres)))
        self._background = background
        self._disparity = disparity
        self._robot = _drawn(_robot, height, width, ROBOT_M)
        self._balloon = _drawn(_balloon, height, width, BALLOON_M)
        self._twigs = _drawn(_twigs, height, width, LEAVES_M)
        self._grass = _drawn(_grass, height, width, LEAVES_M)

    def draw(self, time: float) -> tuple[Image, Map]:
        """The picture and its disparity, 1/z in 1/m, at a time in seconds."""
        height, width = self._size
        image, disparity = self._background.copy(), self._disparity.copy()
        sway = 0.012 * np.sin(2 * np.pi * time / 4)
        _put(image, disparity, self._robot, (sway * height, 0.006 * height * np.sin(3 * time)))
        # The balloon crosses in eight seconds and starts beside the robot.
        span = width / height + 0.5
        x = ((time / 8 + 0.28) % 1 - 0.5) * span
        y = 0.03 * np.sin(1.3 * time)
        _put(image, disparity, self._balloon, (x * height, y * height))
        breeze = (0.004 * height * np.sin(1.1 * time), 0.0)
        _put(image, disparity, self._twigs, breeze)
        _put(image, disparity, self._grass, breeze)
        return image, disparity


def _drawn(draw: Callable[[Canvas, float], None], height: int, width: int, metres: float) -> Sprite:
    canvas = Canvas(height, width)
    draw(canvas, width / height)
    return canvas.sprite(metres)


def _put(image: Image, disparity: Map, sprite: Sprite, shift: Point = (0.0, 0.0)) -> None:
    """Composite a sprite, moved by a shift in pixels, over what is there."""
    rgba: NDArray[Any] = sprite.rgba
    height, width = rgba.shape[:2]
    whole = (math.floor(shift[0]), math.floor(shift[1]))
    part = (shift[0] - whole[0], shift[1] - whole[1])
    if part != (0.0, 0.0) and height:
        matrix = np.array([[1, 0, part[0]], [0, 1, part[1]]], np.float32)
        rgba = cv2.warpAffine(rgba, matrix, (width, height), flags=cv2.INTER_LINEAR)
    x, y = sprite.corner[0] + whole[0], sprite.corner[1] + whole[1]
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = min(x + width, image.shape[1]), min(y + height, image.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    inside = rgba[y0 - y : y1 - y, x0 - x : x1 - x]
    composite(image[y0:y1, x0:x1], disparity[y0:y1, x0:x1], inside, 1 / sprite.metres)


def _sky_and_floor(height: int, width: int) -> tuple[Image, Map]:
    """A sky at dusk over a paved floor that recedes to the horizon."""
    fine = 2 if height * width <= 1280 * 720 else 1  # antialiasing of the paving
    y = (np.arange(height * fine, dtype=np.float32) + 0.5) / (height * fine)
    x = ((np.arange(width * fine, dtype=np.float32) + 0.5) / fine - width / 2) / height
    top = np.array([22, 30, 66], np.float32)
    glow = np.array([236, 138, 92], np.float32)
    share = np.clip(y / _HORIZON, 0, 1)[:, None] ** 2.2
    picture = np.repeat((top + (glow - top) * share)[:, None], width * fine, axis=1)
    below = y > _HORIZON + 1e-4
    z = _EYE_M * _FOCAL / (y[below] - _HORIZON)
    picture[below] = _paving(z, x[None, :] * z[:, None] / _FOCAL)
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    rows = (np.arange(height, dtype=np.float32) + 0.5) / height
    inverse = np.maximum((rows - _HORIZON) / (_EYE_M * _FOCAL), 1 / SKY_M).astype(np.float32)
    return (small + 0.5).astype(np.uint8), np.repeat(inverse[:, None], width, axis=1)


def _paving(z: NDArray[Any], x: NDArray[Any]) -> NDArray[np.float32]:
    """Colour of the floor at depth z (rows) and position x (rows, columns), in metres."""
    side = 0.45
    i, j = np.floor(x / side), np.broadcast_to(np.floor(z / side)[:, None], x.shape)
    tone = np.modf(np.abs(np.sin(i * 12.9898 + j * 78.233)) * 43758.5453)[0]
    fleck = np.sin(np.floor(x * 70) * 3.7 + np.floor(z * 70)[:, None] * 9.1)
    grain = np.modf(np.abs(fleck) * 917.3)[0]
    joint = np.minimum(np.abs(x / side - np.round(x / side)),
                       np.abs(z / side - np.round(z / side))[:, None]) < 0.035  # fmt: skip
    light = np.where(joint, 0.45, 0.72 + 0.22 * tone + 0.12 * grain)
    haze = np.clip(z / 45, 0, 1)[:, None, None]
    stone = light[..., None] * np.array([118, 96, 104], np.float32)
    return np.asarray(stone * (1 - haze) + np.array([190, 118, 96], np.float32) * haze, np.float32)


def _skyline(canvas: Canvas, aspect: float) -> None:
    """Houses far away, some windows lit, and street lamps."""
    random = np.random.default_rng(7)
    x = -aspect / 2 - 0.05
    while x < aspect / 2:
        wide, tall = random.uniform(0.07, 0.16), random.uniform(0.1, 0.34)
        shade = int(random.integers(26, 44))
        _box(canvas, x, _HORIZON - tall, x + wide, _HORIZON + 0.004, (shade, shade + 4, shade + 22))
        for wy in np.arange(_HORIZON - tall + 0.016, _HORIZON - 0.02, 0.027):
            for wx in np.arange(x + 0.012, x + wide - 0.014, 0.021):
                if random.random() < 0.36:
                    warm = int(random.integers(150, 236))
                    _box(canvas, wx, wy, wx + 0.009, wy + 0.013, (255, warm, warm // 2))
        x += wide + random.uniform(-0.01, 0.02)
    for lamp in np.arange(-aspect / 2 + 0.06, aspect / 2, 0.17):
        canvas.line([(lamp, _HORIZON), (lamp, _HORIZON - 0.075)], 0.003, (30, 28, 40))


def _street_lamps(canvas: Canvas, aspect: float) -> None:
    """The lights of the lamps in `_skyline`."""
    for lamp in np.arange(-aspect / 2 + 0.06, aspect / 2, 0.17).tolist():
        canvas.ellipse((lamp, _HORIZON - 0.08), (0.0075, 0.0075), (255, 214, 150))


def _strings(aspect: float) -> list[list[Point]]:
    """Two strings that hang in arcs across the picture."""
    x = np.linspace(-aspect / 2 - 0.05, aspect / 2 + 0.05, 64)
    arcs = (
        level + drop * (1 - np.abs(((x * 1.3 + 0.4 * k) % 1) * 2 - 1) ** 2)
        for k, (drop, level) in enumerate(((0.1, 0.14), (0.07, 0.24)))
    )
    return [list(zip(x.tolist(), y.tolist(), strict=True)) for y in arcs]


def _garland(canvas: Canvas, aspect: float) -> None:
    """The strings of a garland of lights."""
    for string in _strings(aspect):
        canvas.line(string, 0.0022, (24, 22, 30))


def _garland_lights(canvas: Canvas, aspect: float) -> None:
    """Its lights, in four colours."""
    colours = ((255, 186, 90), (130, 255, 170), (255, 120, 190), (130, 180, 255))
    for string in _strings(aspect):
        for n, (x, y) in enumerate(string[1::2]):
            canvas.ellipse((x, y + 0.008), (0.0055, 0.0075), colours[n % 4])


_LIGHTS = {_skyline: _street_lamps, _garland: _garland_lights}
"""What shines of the things that are drawn."""


def _shining(sprite: Sprite, times: float = 14.0) -> Sprite:
    """The sprite as a light many times brighter than white, as a camera clips it."""
    cover = sprite.rgba[..., 3:]
    tint = (sprite.rgba[..., :3] / np.maximum(255 * cover, 1e-6)) ** 2.2
    seen = np.clip(times * tint * cover, 0, 1) ** (1 / 2.2)
    return Sprite(np.dstack([255 * seen, cover]).astype(np.float32), sprite.corner, sprite.metres)


def _railing(canvas: Canvas, aspect: float) -> None:
    """The terrace's railing, thin bars."""
    iron = (44, 40, 52)
    foot = _HORIZON + _EYE_M * _FOCAL / RAIL_M
    top = foot - 0.21
    for y in (top, top + 0.025, foot - 0.02):
        canvas.line([(-aspect / 2 - 0.1, y), (aspect / 2 + 0.1, y)], 0.007, iron)
    for x in np.arange(-aspect / 2 - 0.02, aspect / 2 + 0.05, 0.034):
        canvas.line([(float(x), top), (float(x), foot - 0.02)], 0.0035, iron)
    for x in np.arange(-aspect / 2 + 0.08, aspect / 2, 0.51):
        canvas.line([(float(x), top - 0.03), (float(x), foot)], 0.014, iron)
        canvas.ellipse((float(x), top - 0.035), (0.012, 0.012), (120, 96, 60))


def _robot(canvas: Canvas, aspect: float) -> None:
    """The subject: a tin robot with dials and a name plate."""
    del aspect
    tin, dark, red, brass = (128, 170, 176), (40, 56, 66), (206, 74, 60), (224, 178, 84)
    foot = _HORIZON + _EYE_M * _FOCAL / ROBOT_M * 0.62
    for side in (-1, 1):
        canvas.line([(side * 0.05, foot - 0.16), (side * 0.06, foot - 0.02)], 0.034, dark)
        canvas.rounded((side * 0.068, foot - 0.01), (0.085, 0.04), 0.015, red)
        hand = (side * 0.2, foot - 0.35 + 0.05 * side)
        elbow = (side * 0.18, foot - 0.26)
        canvas.line([(side * 0.11, foot - 0.33), elbow, hand], 0.024, dark)
        canvas.ellipse(hand, (0.024, 0.024), red)
    canvas.rounded((0.0, foot - 0.26), (0.23, 0.25), 0.028, tin)
    canvas.rounded((0.0, foot - 0.25), (0.17, 0.16), 0.014, dark)
    for n in range(3):
        centre = (-0.052 + 0.052 * n, foot - 0.285)
        canvas.ellipse(centre, (0.02, 0.02), brass)
        canvas.ellipse(centre, (0.015, 0.015), (245, 238, 218))
        turn = 0.9 + 1.3 * n
        tip = (centre[0] + 0.013 * np.cos(turn), centre[1] - 0.013 * np.sin(turn))
        canvas.line([centre, tip], 0.003, red)
    canvas.rounded((0.0, foot - 0.21), (0.145, 0.05), 0.006, (245, 238, 218))
    canvas.text("RT-2.8", (-0.062, foot - 0.199), 0.028, (34, 30, 40))
    for n in range(9):
        canvas.ellipse((-0.1 + 0.025 * n, foot - 0.37), (0.0045, 0.0045), dark)
        canvas.ellipse((-0.1 + 0.025 * n, foot - 0.15), (0.0045, 0.0045), dark)
    canvas.rounded((0.0, foot - 0.395), (0.07, 0.03), 0.008, dark)
    canvas.rounded((0.0, foot - 0.475), (0.2, 0.15), 0.034, tin)
    canvas.rounded((0.0, foot - 0.485), (0.165, 0.07), 0.026, dark)
    for side in (-1, 1):
        canvas.ellipse((side * 0.042, foot - 0.485), (0.024, 0.024), (255, 232, 150))
        canvas.ellipse((side * 0.042, foot - 0.485), (0.011, 0.011), (36, 30, 30))
        canvas.ellipse((side * 0.108, foot - 0.475), (0.014, 0.026), brass)
    for n in range(6):
        _box(canvas, -0.045 + 0.016 * n, foot - 0.434, -0.036 + 0.016 * n, foot - 0.414, dark)
    canvas.line([(0.0, foot - 0.55), (0.012, foot - 0.61)], 0.004, dark)
    canvas.ellipse((0.013, foot - 0.617), (0.011, 0.011), (255, 255, 255))


def _balloon(canvas: Canvas, aspect: float) -> None:
    """A balloon on a string, near."""
    del aspect
    for n in range(12):
        share = n / 11
        colour = (round(176 + 66 * share), round(34 + 66 * share), round(52 + 44 * share))
        centre = (-0.012 * share, 0.42 - 0.018 * share)
        canvas.ellipse(centre, (0.105 * (1 - 0.75 * share), 0.125 * (1 - 0.75 * share)), colour)
    canvas.polygon([(-0.014, 0.562), (0.014, 0.562), (0.0, 0.54)], (160, 30, 46))
    string = [(0.012 * float(np.sin(9 * t)), 0.56 + 0.5 * t) for t in np.linspace(0, 1, 24)]
    canvas.line(string, 0.0035, (230, 222, 214))


def _twigs(canvas: Canvas, aspect: float) -> None:
    """Twigs that hang into the upper left corner, very near."""
    random = np.random.default_rng(3)
    for (x0, y0), (x1, y1) in (((0.0, -0.02), (0.42, 0.17)), ((-0.02, 0.1), (0.22, 0.36))):
        left = -aspect / 2
        canvas.line([(left + x0, y0), (left + x1, y1)], 0.009, (52, 38, 34))
        for t in np.linspace(0.1, 1, 15):
            dx, dy = random.normal(0, 0.016, 2)
            at = (left + x0 + t * (x1 - x0) + dx, y0 + t * (y1 - y0) + dy)
            green = int(random.integers(70, 130))
            tone = (green // 2 + 14, green, 52)
            canvas.ellipse(at, (0.036, 0.013), tone, float(random.uniform(0, 180)))


def _grass(canvas: Canvas, aspect: float) -> None:
    """Blades of grass in the lower right corner, very near."""
    random = np.random.default_rng(5)
    for x in np.arange(aspect / 2 - 0.42, aspect / 2 + 0.02, 0.016).tolist():
        lean, tall = random.uniform(-0.08, 0.08), random.uniform(0.1, 0.24)
        green = int(random.integers(64, 120))
        blade = [(x, 1.02), (x + lean / 3, 1 - tall / 2), (x + lean, 1 - tall)]
        canvas.line(blade, 0.005, (green // 2 + 10, green, 48))


def _box(canvas: Canvas, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
    canvas.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)
