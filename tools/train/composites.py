"""Things laid over a photograph, each in front of what it covers, so that its edge is known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from photographs import Photographs
from samples import Map, Picture, Sample, near_edges
from shapes import draw_person, draw_shape

_EDGE_WEIGHT = 3.0


@dataclass(frozen=True, slots=True)
class _Layer:
    """Something flat and opaque: coverage (h, w) 0..1, its picture, its relief (h, w) about 0."""

    coverage: Map
    picture: Picture
    relief: Map
    gap: float  # how far in front of what it covers, of that picture's depth range


class Composites:
    """Draws photographs with shapes, people and cut-outs in front of them."""

    def __init__(self, photographs: Photographs) -> None:
        self._photographs = photographs

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Sample:
        """One composite at `size` (height, width)."""
        return self.draw_pair(rng, size)[0]

    def draw_pair(self, rng: np.random.Generator, size: tuple[int, int]) -> tuple[Sample, Sample]:
        """Two frames: what is in front moves from one to the next, the photograph does not."""
        behind = self._photographs.draw(rng, size)
        for _ in range(rng.integers(0, 3)):
            _stain(rng, behind)
        layers = []
        for _ in range(rng.integers(1, 6)):
            layers += self._layers(rng, size)
        moved = [_move(layer, rng.normal(0, 4, 2)) for layer in layers]
        first, second = _flatten(behind, layers), _flatten(behind, moved)
        still = first.static * second.static
        return replace(first, static=still), replace(second, static=still)

    def _layers(self, rng: np.random.Generator, size: tuple[int, int]) -> list[_Layer]:
        gap = rng.uniform(0.08, 0.6)
        choice = rng.random()
        if choice < 0.2:
            layer = self._cut_out(rng, size, gap)
            return [layer] if layer else []
        if choice < 0.35:
            return self._person(rng, size, gap)
        coverage = _soften(rng, draw_shape(rng, size))
        relief = _slope(rng, size) + _bulge(coverage) * rng.uniform(0, 0.15)
        return [_Layer(coverage, self._texture(rng, size), relief, gap)]

    def _person(self, rng: np.random.Generator, size: tuple[int, int], gap: float) -> list[_Layer]:
        parts = draw_person(rng, size)
        whole = np.max(list(parts.values()), axis=0)
        picture = self._texture(rng, size).astype(np.float32)
        skin = rng.uniform(0.35, 1) * np.array([235, 190, 160]) * rng.uniform(0.9, 1.1, 3)
        hair = rng.uniform(15, 130) * np.array([1, rng.uniform(0.6, 1), rng.uniform(0.3, 1)])
        for name, colour in (("skin", skin), ("hair", hair)):
            picture += parts[name][..., None] * (colour - picture)
        light = _light(rng, size)[..., None] * (0.7 + 0.3 * _bulge(whole)[..., None])
        picture = np.clip(picture * light, 0, 255).astype(np.uint8)
        relief = _bulge(whole) * np.float32(0.1)
        return [_Layer(_soften(rng, whole), picture, relief, gap)]

    def _cut_out(
        self, rng: np.random.Generator, size: tuple[int, int], gap: float
    ) -> _Layer | None:
        """The near part of another photograph, where it has one that stands out."""
        other = self._photographs.draw(rng, size)
        depth = other.inverse_depth
        low, high = depth.min(), depth.max()
        grey = ((depth - low) / (high - low + 1e-6) * 255).astype(np.uint8)
        _, mask = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
        if not 0.05 < mask.mean() / 255 < 0.6:
            return None
        coverage = cv2.GaussianBlur(mask, (0, 0), 1.5).astype(np.float32) / 255
        coverage = np.clip((coverage - 0.5) * 3 + 0.5, 0, 1)
        inside = depth[mask > 0]
        relief = np.clip(depth - np.median(inside), -0.3, 0.3) * np.float32(0.6)
        return _Layer(coverage, other.picture, relief, gap)

    def _texture(self, rng: np.random.Generator, size: tuple[int, int]) -> Picture:
        kind = rng.random()
        if kind < 0.5:
            return self._photographs.draw(rng, size).picture
        picture = np.full((*size, 3), rng.uniform(10, 245, 3), np.float32)
        if kind < 0.75:  # stripes or a check
            y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
            angle, pitch = rng.uniform(0, np.pi), rng.uniform(4, 40)
            wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / pitch))
            if rng.random() < 0.5:
                wave *= np.sin((y * np.cos(angle) - x * np.sin(angle)) * (2 * np.pi / pitch))
            picture += np.clip(wave * 4, -1, 1)[..., None] * rng.uniform(-60, 60, 3)
        picture *= _light(rng, size)[..., None]
        return np.clip(picture, 0, 255).astype(np.uint8)


def _flatten(behind: Sample, layers: list[_Layer]) -> Sample:
    """Lay everything over the photograph."""
    picture = behind.picture.astype(np.float32)
    depth, confidence = behind.inverse_depth.copy(), behind.confidence.copy()
    span = max(float(np.ptp(depth)), 0.2)
    inside = np.zeros(depth.shape, bool)
    seen = np.zeros(depth.shape, np.float32)
    for layer in layers:
        mask = layer.coverage > 0.5
        if mask.sum() < 20:
            continue
        picture += layer.coverage[..., None] * (layer.picture - picture)
        at = np.percentile(depth[mask], 97) + layer.gap * span - layer.relief[mask].min() * span
        depth[mask] = at + layer.relief[mask] * span
        confidence[mask] = 1
        inside |= mask
        seen = np.maximum(seen, layer.coverage)
    jumps = near_edges(np.where(inside, depth, 0), 0.03 * span) & near_edges(depth, 0.05 * span)
    edges = np.where(inside, 1, behind.edges)
    edges[jumps] = 1 + _EDGE_WEIGHT
    return Sample(
        picture=np.clip(picture + 0.5, 0, 255).astype(np.uint8),
        inverse_depth=depth,
        confidence=confidence,
        edges=edges,
        absolute=True,
        static=(seen == 0).astype(np.float32),
    )


def _stain(rng: np.random.Generator, sample: Sample) -> None:
    """Change the light or the paint somewhere, and not the depth."""
    size = sample.picture.shape[:2]
    shape = draw_shape(rng, size)
    shape = cv2.GaussianBlur(shape, (0, 0), rng.uniform(0.5, 6)) * rng.uniform(0.2, 0.7)
    towards = rng.uniform(0, 255, 3) if rng.random() < 0.4 else sample.picture * 0.3
    picture = sample.picture + shape[..., None] * (towards - sample.picture)
    sample.picture = np.clip(picture, 0, 255).astype(np.uint8)


def _soften(rng: np.random.Generator, coverage: Map) -> Map:
    if rng.random() < 0.6:
        return coverage
    return cv2.GaussianBlur(coverage, (0, 0), rng.uniform(0.4, 1.3))  # type: ignore[return-value]


def _slope(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    y = np.linspace(-1, 1, size[0], dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, size[1], dtype=np.float32)[None]
    a, b = rng.normal(0, 0.08, 2).astype(np.float32)
    return a * x + b * y


def _bulge(coverage: Map) -> Map:
    """0 at the outline to 1 in the middle."""
    inside = cv2.distanceTransform((coverage > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
    return np.sqrt(inside / max(float(inside.max()), 1.0)).astype(np.float32)


def _light(rng: np.random.Generator, size: tuple[int, int]) -> Map:
    coarse = rng.uniform(0.5, 1.3, (2, 3)).astype(np.float32)
    return cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def _move(layer: _Layer, by: np.ndarray) -> _Layer:
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]], np.float32)

    def moved(plane: np.ndarray, border: int) -> np.ndarray:
        return cv2.warpAffine(plane, matrix, plane.shape[1::-1], borderMode=border)

    return _Layer(
        moved(layer.coverage, cv2.BORDER_CONSTANT),
        moved(layer.picture, cv2.BORDER_REPLICATE),
        moved(layer.relief, cv2.BORDER_REPLICATE),
        layer.gap,
    )
