"""Rooms and streets of simple solids, rendered with their true depth."""

from __future__ import annotations

import cv2
import numpy as np

from photographs import Photographs
from raycast import BOX, CYLINDER, ELLIPSOID, HALL, SKY, cast
from samples import Sample, near_edges

_SIZE = (224, 384)
_FINE = 2  # rendered this much larger, then averaged
_TEXELS = 128
_EDGE_WEIGHT = 3.0


class Rooms:
    """A bank of rendered rooms and streets, out of which random crops are drawn."""

    def __init__(self, count: int, photographs: Photographs, seed: int) -> None:
        """Render them, about ten a second."""
        rng = np.random.default_rng(seed)
        self._all = [_render(rng, photographs) for _ in range(count)]

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Sample:
        """A random crop at `size` (height, width)."""
        picture, depth = self._all[rng.integers(len(self._all))]
        aspect = size[1] / size[0]
        width = min(_SIZE[1], _SIZE[0] * aspect) * rng.uniform(0.7, 1)
        height = width / aspect
        x, y = (_SIZE[1] - width) * rng.random(), (_SIZE[0] - height) * rng.random()
        rows, columns = slice(int(y), int(y + height)), slice(int(x), int(x + width))
        picture, depth = picture[rows, columns], depth[rows, columns].astype(np.float32)
        if rng.random() < 0.5:
            picture, depth = picture[:, ::-1], depth[:, ::-1]
        picture = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_LINEAR)
        depth = cv2.resize(depth, size[::-1], interpolation=cv2.INTER_NEAREST)
        edges = np.ones(size, np.float32)
        edges[near_edges(depth, 0.05 * float(np.ptp(depth)))] += _EDGE_WEIGHT
        everywhere = np.ones(size, np.float32)
        return Sample(picture, depth, everywhere, edges, False, everywhere)  # type: ignore[arg-type]


class _Scene:
    """Solids as they are added: things stand on the floor, y = 0, y pointing down."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.rows: list[tuple] = []

    def add(
        self, kind: int, at: tuple, size: tuple, turn: float = 0.0, lean: float = 0.0,
        tint: np.ndarray | None = None, texture: int | None = None,
    ) -> None:  # fmt: skip
        """One solid: centre and half sides [m], turned about the vertical, leaning sideways."""
        rng = self.rng
        cos, sin = np.cos(turn), np.sin(turn)
        upright = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
        cos, sin = np.cos(lean), np.sin(lean)
        axes = upright @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        colour = rng.uniform(0.15, 1.0) * rng.uniform(0.5, 1.0, 3) if tint is None else tint
        if texture is None:  # 0 is plain
            texture = int(rng.integers(_TEXTURES)) if rng.random() < 0.5 else 0
        self.rows.append((kind, at, axes, size, colour, texture, rng.uniform(40, 300)))

    def columns(self) -> list[np.ndarray]:
        """kinds, at, turn, size, tint, texture, pitch as `raycast.cast` wants them."""
        types = (np.int32, *[np.float32] * 4, np.int32, np.float32)
        return [np.array(c, t) for c, t in zip(zip(*self.rows, strict=True), types, strict=True)]


_TEXTURES = 12


def _render(rng: np.random.Generator, photographs: Photographs) -> tuple[np.ndarray, np.ndarray]:
    """Picture (h, w, 3) uint8 and inverse depth [1/m] (h, w) float16."""
    scene = _Scene(rng)
    outdoors = rng.random() < 0.35
    lamp = _street(scene) if outdoors else _room(scene)
    textures = np.full((_TEXTURES, _TEXELS, _TEXELS, 3), 255, np.uint8)
    for texture in textures[1:]:
        patch = photographs.draw(rng, (_TEXELS, _TEXELS)).picture
        contrast = rng.uniform(0.2, 1.0)
        texture[:] = 255 - (255 - patch) * contrast
    camera = [
        -rng.uniform(0.8, 1.8), rng.normal(0.06, 0.12), rng.normal(0, 0.03),
        rng.uniform(0.6, 1.3), rng.uniform(0.3, 0.85), 30.0 if outdoors else rng.uniform(2, 8),
    ]  # fmt: skip
    sky = np.array([rng.uniform(0.6, 1.0, 3), rng.uniform(0.3, 0.9, 3)])
    shape = (_SIZE[0] * _FINE, _SIZE[1] * _FINE)
    picture, z = cast(
        *scene.columns(), textures, np.array(camera, np.float32), sky.astype(np.float32),
        np.array(lamp, np.float32), shape,
    )  # fmt: skip
    picture = cv2.resize(picture, _SIZE[::-1], interpolation=cv2.INTER_AREA)
    exposure = rng.uniform(0.3, 0.55) / max(float(picture.mean()), 0.05)
    picture = 255 * np.clip(picture * exposure, 0, 1) ** (1 / 1.3)
    z = z[1::_FINE, 1::_FINE]
    return picture.astype(np.uint8), np.where(z < SKY / 2, 1 / z, 0).astype(np.float16)


def _room(scene: _Scene) -> tuple[float, float, float]:
    rng = scene.rng
    width, depth, ceiling = rng.uniform(1.5, 4), rng.uniform(2.5, 8), rng.uniform(2.3, 3.5)
    back, turn = rng.uniform(-1.5, -0.5), rng.normal(0, 0.35)
    middle = (back + depth) / 2
    scene.add(HALL, (0, -ceiling / 2, middle), (width, ceiling / 2, (depth - back) / 2), turn)
    plain = scene.rng.uniform(0.3, 1) * rng.uniform(0.6, 1, 3)  # a floor of its own colour
    scene.add(BOX, (0, 0.02, middle), (9, 0.02, 9), turn, tint=plain)
    for _ in range(rng.integers(0, 4)):  # pictures and doors on the far wall
        x, z = rng.uniform(-width, width), depth - 0.03
        at = (np.cos(turn) * x + np.sin(turn) * z, -rng.uniform(0.8, 2), -np.sin(turn) * x + z)
        scene.add(BOX, at, (rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.8), 0.03), turn, texture=1)
    for _ in range(rng.integers(2, 9)):
        _furnish(scene, (rng.uniform(-width, width) * 0.9, rng.uniform(0.9, depth * 0.95)))
    return rng.uniform(-1, 1) * width, -ceiling * rng.uniform(0.6, 0.95), rng.uniform(0, depth)


def _street(scene: _Scene) -> tuple[float, float, float]:
    rng = scene.rng
    plain = rng.uniform(0.2, 0.8) * rng.uniform(0.7, 1, 3)
    scene.add(BOX, (0, 0.5, 0), (500, 0.5, 500), tint=plain)
    for side in (-1, 1):
        z, wall = rng.uniform(0, 6), side * rng.uniform(3, 12)
        while z < 70 and rng.random() < 0.9:
            half, tall = rng.uniform(2, 8), rng.uniform(2, 9)
            inwards = wall + side * rng.uniform(3, 8)
            scene.add(BOX, (inwards, -tall, z + half), (abs(inwards - wall), tall, half))
            z += 2 * half + rng.uniform(0, 5)
    for _ in range(rng.integers(3, 12)):
        place = (rng.uniform(-4, 4), rng.uniform(2, 5) * rng.uniform(0.5, 6))
        if rng.random() < 0.3:
            _pole(scene, place)
        elif rng.random() < 0.3:
            _tree(scene, place)
        elif rng.random() < 0.35:
            _car(scene, place)
        else:
            _furnish(scene, place)
    return rng.uniform(-60, 60), -rng.uniform(30, 80), rng.uniform(-60, 60)


def _furnish(scene: _Scene, place: tuple[float, float]) -> None:
    odds = [0.2, 0.25, 0.15, 0.12, 0.1, 0.1, 0.08]
    things = (_block, _person, _table, _shelf, _plant, _ball, _lattice)
    things[scene.rng.choice(len(things), p=odds)](scene, place)


def _block(scene: _Scene, place: tuple[float, float]) -> None:
    x, y, z = scene.rng.uniform(0.1, 0.6, 3)
    scene.add(BOX, (place[0], -y, place[1]), (x, y, z), scene.rng.uniform(0, 3))


def _ball(scene: _Scene, place: tuple[float, float]) -> None:
    radius = scene.rng.uniform(0.1, 0.5)
    kind, high = (ELLIPSOID, 1.0) if scene.rng.random() < 0.5 else (CYLINDER, 2.0)
    scene.add(kind, (place[0], -radius * high, place[1]), (radius, radius * high, radius))


def _table(scene: _Scene, place: tuple[float, float]) -> None:
    rng = scene.rng
    x, z, high, thick = *rng.uniform(0.2, 0.8, 2), rng.uniform(0.4, 0.9), rng.uniform(0.015, 0.04)
    turn, tint = rng.uniform(0, 3), rng.uniform(0.1, 0.8) * rng.uniform(0.5, 1, 3)
    scene.add(BOX, (place[0], -high, place[1]), (x, 0.03, z), turn, tint=tint)
    legs = [(i * x * 0.9, k * z * 0.9, high / 2) for i in (-1, 1) for k in (-1, 1)]
    cos, sin = np.cos(turn), np.sin(turn)
    for i, k, half in legs:
        at = (place[0] + cos * i + sin * k, -half, place[1] - sin * i + cos * k)
        scene.add(CYLINDER, at, (thick, half, thick), tint=tint)
    if rng.random() < 0.5:  # a chair's back, or a screen
        at = (place[0] + sin * z, -high - 0.3, place[1] + cos * z)
        scene.add(BOX, at, (x * 0.9, 0.3, 0.03), turn)
    if rng.random() < 0.6:
        radius, tall = rng.uniform(0.03, 0.12), rng.uniform(0.05, 0.2)
        at = (place[0] + rng.uniform(-x, x) / 2, -high - 0.03 - tall, place[1])
        scene.add(CYLINDER, at, (radius, tall, radius))


def _shelf(scene: _Scene, place: tuple[float, float]) -> None:
    rng = scene.rng
    wide, deep, tall, turn = rng.uniform(0.3, 0.8), 0.2, rng.uniform(0.6, 1.1), rng.normal(0, 0.4)
    tint = rng.uniform(0.2, 0.9) * rng.uniform(0.6, 1, 3)
    for y in np.linspace(0.03, 2 * tall, rng.integers(3, 6)):
        scene.add(BOX, (place[0], -y, place[1]), (wide, 0.015, deep), turn, tint=tint)
    for side in (-1, 1):
        at = (place[0] + side * wide * np.cos(turn), -tall, place[1] - side * wide * np.sin(turn))
        scene.add(BOX, at, (0.015, tall, deep), turn, tint=tint)


def _person(scene: _Scene, place: tuple[float, float]) -> None:
    rng = scene.rng
    (x, z), tall = place, rng.uniform(0.85, 1.08)
    sink = rng.uniform(0.3, 0.6) if rng.random() < 0.3 else 0.0  # sitting
    skin = rng.uniform(0.3, 0.95) * np.array([1.0, 0.8, 0.66])
    shirt, trousers = (int(rng.integers(_TEXTURES)) for _ in range(2))
    hair = rng.uniform(0.03, 0.5) * np.array([1.0, 0.8, 0.6])

    def up(y: float) -> float:
        return -(y * tall - sink)

    for side in (-1, 1):
        scene.add(CYLINDER, (x + 0.1 * side, up(0.42), z), (0.075, 0.42, 0.08), texture=trousers)
        swing = rng.normal(0.25, 0.3)
        at = (x + side * (0.24 + 0.2 * np.sin(swing)), up(1.15), z - rng.uniform(0, 0.2))
        scene.add(ELLIPSOID, at, (0.06, 0.32, 0.06), lean=-side * swing, texture=shirt)
    scene.add(ELLIPSOID, (x, up(1.12), z), (0.23, 0.36, 0.14), texture=shirt)
    scene.add(CYLINDER, (x, up(1.48), z), (0.055, 0.1, 0.055), tint=skin, texture=0)
    scene.add(ELLIPSOID, (x, up(1.64), z), (0.085, 0.12, 0.1), tint=skin, texture=0)
    scene.add(ELLIPSOID, (x, up(1.68), z + 0.03), (0.095, 0.11, 0.1), tint=hair, texture=0)


def _plant(scene: _Scene, place: tuple[float, float]) -> None:
    rng = scene.rng
    high, spread, leaf = rng.uniform(0.3, 1.3), rng.uniform(0.1, 0.4), rng.uniform(0.03, 0.12)
    green = rng.uniform(0.2, 0.8) * np.array([rng.uniform(0.3, 1), 1, rng.uniform(0.2, 0.7)])
    scene.add(CYLINDER, (place[0], -high / 2, place[1]), (0.02, high / 2, 0.02))
    for _ in range(rng.integers(8, 25)):
        off = rng.normal(0, spread, 3)
        at = (place[0] + off[0], -high + off[1], place[1] + off[2])
        shade = green * rng.uniform(0.6, 1.2)
        thin = (leaf, leaf * rng.uniform(0.3, 0.7), 0.01)
        scene.add(ELLIPSOID, at, thin, rng.uniform(0, 3), rng.uniform(0, 3), shade, 0)


def _lattice(scene: _Scene, place: tuple[float, float]) -> None:
    rng = scene.rng
    wide, tall, thick = rng.uniform(0.3, 1.2), rng.uniform(0.4, 1.1), rng.uniform(0.006, 0.03)
    tint = rng.uniform(0.1, 0.9) * rng.uniform(0.6, 1, 3)
    for x in np.linspace(-wide, wide, rng.integers(3, 12)):
        scene.add(BOX, (place[0] + x, -tall, place[1]), (thick, tall, thick), tint=tint)
    for y in np.linspace(0.1, 2 * tall, rng.integers(1, 6)):
        scene.add(BOX, (place[0], -y, place[1]), (wide, thick, thick), tint=tint)


def _pole(scene: _Scene, place: tuple[float, float]) -> None:
    tall, thick = scene.rng.uniform(1, 3), scene.rng.uniform(0.02, 0.12)
    scene.add(CYLINDER, (place[0], -tall, place[1]), (thick, tall, thick))
    sign = scene.rng.uniform(0.2, 0.5, 2)
    scene.add(BOX, (place[0], -2 * tall, place[1] - thick), (sign[0], sign[1], 0.02))


def _tree(scene: _Scene, place: tuple[float, float]) -> None:
    rng = scene.rng
    tall, crown = rng.uniform(1, 2), rng.uniform(0.5, 1.6)
    scene.add(CYLINDER, (place[0], -tall, place[1]), (0.12, tall, 0.12))
    green = rng.uniform(0.2, 0.7) * np.array([rng.uniform(0.4, 1), 1, rng.uniform(0.2, 0.6)])
    for _ in range(rng.integers(4, 14)):
        off = rng.normal(0, crown * 0.5, 3)
        at = (place[0] + off[0], -2 * tall - crown * 0.4 + off[1], place[1] + off[2])
        scene.add(ELLIPSOID, at, tuple(crown * rng.uniform(0.2, 0.6, 3)), tint=green)


def _car(scene: _Scene, place: tuple[float, float]) -> None:
    rng = scene.rng
    turn, paint = rng.choice([0.0, 1.57]) + rng.normal(0, 0.1), rng.uniform(0.1, 1, 3)
    x, z = place[0], place[1] + 2
    scene.add(BOX, (x, -0.65, z), (0.85, 0.35, 2.1), turn, tint=paint, texture=0)
    scene.add(BOX, (x, -1.2, z), (0.75, 0.25, 1.1), turn, tint=rng.uniform(0.05, 0.4, 3))
