"""Outlines with a known edge: blobs, rods, fences, branches, leaves, people."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from samples import Map

_FINE = 3  # shapes are drawn this much larger, then averaged: an anti-aliased edge
_Canvas = np.ndarray
_Draw = Callable[[np.random.Generator, _Canvas], None]


def draw_shape(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    """Coverage 0..1 of a random shape, (h, w)."""
    canvas = np.zeros((size[0] * _FINE, size[1] * _FINE), np.uint8)
    _SHAPES[rng.choice(len(_SHAPES), p=_ODDS)](rng, canvas)
    return _reduce(canvas, size)


def draw_person(rng: np.random.Generator, size: tuple[int, int]) -> dict[str, Map]:
    """Coverage of the parts of a standing or sitting person, each nearer than the one before."""
    height, width = size[0] * _FINE, size[1] * _FINE
    head = height * rng.uniform(0.06, 0.2)
    x, y = width * rng.uniform(0.15, 0.85), height * rng.uniform(0.15, 0.5)
    lean = rng.uniform(-0.3, 0.3)
    shoulder, neck = head * rng.uniform(1.7, 2.4), y + head * 1.5
    parts = {name: np.zeros((height, width), np.uint8) for name in ("body", "skin", "hair")}
    bottom = neck + head * rng.uniform(4, 9)
    waist = shoulder * rng.uniform(0.6, 0.95)
    torso = [
        (x - 0.4 * head, neck - 0.2 * head), (x + 0.4 * head, neck - 0.2 * head),
        (x + 0.8 * shoulder, neck + 0.25 * head), (x + shoulder, neck + 1.1 * head),
        (x + waist + lean * head, bottom), (x - waist + lean * head, bottom),
        (x - shoulder, neck + 1.1 * head), (x - 0.8 * shoulder, neck + 0.25 * head),
    ]  # fmt: skip
    cv2.fillPoly(parts["body"], [_points(np.array(torso))], 255)
    for side in (-1, 1):  # arms, with a hand at their end
        at = np.array([x + side * shoulder * 0.85, neck + 0.7 * head])
        for length in (2.2, 2.0):
            angle = rng.uniform(-0.6, 1.5 if length > 2 else 2.6)
            towards = np.array([side * np.sin(angle), np.cos(angle)])
            end = at + towards * head * length
            _line(parts["body"], at, end, head * rng.uniform(0.5, 0.75))
            at = end
        _ellipse(parts["skin"], at, (head * 0.35, head * 0.45), rng.uniform(0, 180))
    _line(parts["skin"], np.array([x, y]), np.array([x, neck]), head * 0.8)
    _ellipse(parts["skin"], (x, y), (head * 0.78, head), lean * 40)
    hair = head * rng.uniform(0.85, 1.25)
    _ellipse(parts["hair"], (x, y - 0.35 * head), (hair, hair * 0.8), lean * 40)
    face = np.zeros_like(parts["hair"])
    _ellipse(face, (x, y + 0.25 * head), (head * 0.66, head * 0.8), lean * 40)
    parts["hair"][face > 0] = 0
    return {name: _reduce(part, size) for name, part in parts.items()}


def _blob(rng: np.random.Generator, canvas: _Canvas) -> None:
    corners = int(rng.integers(3, 14))
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = min(canvas.shape) * rng.uniform(0.06, 0.4) * rng.uniform(0.5, 1.0, corners)
    points = np.stack((np.cos(angles) * rng.uniform(0.5, 2), np.sin(angles)), axis=1)
    cv2.fillPoly(canvas, [_points(_place(rng, canvas) + points * radius[:, None])], 255)


def _round(rng: np.random.Generator, canvas: _Canvas) -> None:
    axes = min(canvas.shape) * rng.uniform(0.04, 0.35, 2)
    _ellipse(canvas, _place(rng, canvas), axes, rng.uniform(0, 180))


def _box(rng: np.random.Generator, canvas: _Canvas) -> None:
    sides = min(canvas.shape) * rng.uniform(0.08, 0.8, 2)
    angle = rng.uniform(0, 180) if rng.random() < 0.4 else rng.uniform(-3, 3)
    cv2.fillPoly(canvas, [_points(cv2.boxPoints((_place(rng, canvas), sides, angle)))], 255)


def _rods(rng: np.random.Generator, canvas: _Canvas) -> None:
    for _ in range(rng.integers(1, 6)):
        start, angle = _place(rng, canvas), rng.uniform(0, 2 * np.pi)
        reach = max(canvas.shape) * rng.uniform(0.2, 1.5)
        end = start + reach * np.array([np.cos(angle), np.sin(angle)])
        _line(canvas, start, end, _FINE * rng.uniform(1, 9))


def _fence(rng: np.random.Generator, canvas: _Canvas) -> None:
    """Parallel bars, in one direction or two."""
    height, width = canvas.shape
    centre, reach = _place(rng, canvas), max(height, width) * rng.uniform(0.2, 1.2)
    tilt, step = rng.normal(0, 0.1), _FINE * rng.uniform(9, 40)
    thick = _FINE * rng.uniform(1, 5)
    for direction in (tilt, tilt + np.pi / 2)[: rng.integers(1, 3)]:
        along = np.array([np.cos(direction), np.sin(direction)])
        across = np.array([-along[1], along[0]])
        for offset in np.arange(-reach / 2, reach / 2, step):
            middle = centre + across * offset
            _line(canvas, middle - along * reach / 2, middle + along * reach / 2, thick)


def _branches(rng: np.random.Generator, canvas: _Canvas) -> None:
    stems = [(_place(rng, canvas), rng.uniform(0, 2 * np.pi), _FINE * rng.uniform(3, 10))]
    while stems:
        at, angle, thick = stems.pop()
        for _ in range(rng.integers(3, 8)):
            angle += rng.normal(0, 0.35)
            end = at + canvas.shape[0] * 0.07 * np.array([np.cos(angle), np.sin(angle)])
            _line(canvas, at, end, thick)
            at, thick = end, thick * 0.9
            if thick > _FINE * 1.2 and rng.random() < 0.35:
                stems.append((at, angle + rng.choice([-1, 1]) * rng.uniform(0.4, 1), thick * 0.7))


def _leaves(rng: np.random.Generator, canvas: _Canvas) -> None:
    centre, spread = _place(rng, canvas), min(canvas.shape) * rng.uniform(0.08, 0.3)
    length = _FINE * rng.uniform(4, 18)
    for _ in range(rng.integers(10, 60)):
        at = centre + rng.normal(0, spread, 2)
        _ellipse(canvas, at, (length, length * rng.uniform(0.2, 0.5)), rng.uniform(0, 180))


_SHAPES: list[_Draw] = [_blob, _round, _box, _rods, _fence, _branches, _leaves]
_ODDS = [0.22, 0.13, 0.16, 0.16, 0.11, 0.12, 0.10]


def _place(rng: np.random.Generator, canvas: _Canvas) -> np.ndarray:
    return np.array(canvas.shape[::-1]) * rng.uniform(0.05, 0.95, 2)


def _points(at: np.ndarray) -> np.ndarray:
    return np.round(at).astype(np.int32)


def _line(canvas: _Canvas, start: np.ndarray, end: np.ndarray, thick: float) -> None:
    first, last = (tuple(map(int, _points(p))) for p in (start, end))
    cv2.line(canvas, first, last, 255, max(1, round(thick)))


def _ellipse(
    canvas: _Canvas, at: tuple | np.ndarray, axes: tuple | np.ndarray, angle: float
) -> None:
    centre, sides = (tuple(map(int, np.round(p))) for p in (at, axes))
    cv2.ellipse(canvas, centre, sides, angle, 0, 360, 255, -1)


def _reduce(canvas: _Canvas, size: tuple[int, int]) -> Map:
    return cv2.resize(canvas, size[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255
