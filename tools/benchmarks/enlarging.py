"""Enlarge depth that is like a network's, and compare with the true depth and the true picture.

    python tools/benchmarks/enlarging.py GROUND_TRUTH [--cells 192x320] [--blur 1] [--off 0]

GROUND_TRUTH as for picture.py. True disparity is reduced to the network's grid, blurred by so many
cells, moved by so many here and there, and enlarged again. Within 4 px of its edges: mean error, in
percent of the range; share of the pixels that lie between the two sides, 20 to 80 % of the way.
Within 12 px: PSNR of the rendering with that depth against what the lens of the scene shows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from picture import render

from rtfocus.frame import Disparity, Image, Map
from rtfocus.render.aperture import Aperture
from rtfocus.render.layered import LensRenderer
from rtfocus.render.layers import TIERS
from rtfocus.upsample import Upsampler

_EDGE = 0.1  # of the range, between neighbours
_FRAMES = 8  # every so manieth of a clip
_WAVES = 8  # cells, between places that are moved independently


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ground_truth", type=Path)
    parser.add_argument("--cells", default="192x320")
    parser.add_argument("--blur", type=float, default=1.0, help="standard deviation in cells")
    parser.add_argument("--off", type=float, default=0.0, help="standard deviation in cells")
    args = parser.parse_args()
    rows, columns = map(int, args.cells.split("x"))
    upsampler = Upsampler(threads=2)
    methods: dict[str, Callable[[Map, Image], Map]] = {
        "nearest": lambda grid, image: _resize(grid, image, cv2.INTER_NEAREST_EXACT),
        "bilinear": lambda grid, image: _resize(grid, image, cv2.INTER_LINEAR),
        "rtfocus": lambda grid, image: upsampler(Disparity(grid), image).values,
    }
    renderer = LensRenderer(TIERS["high"], Aperture(), threads=2)
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in methods}
    for scene in _scenes(args.ground_truth):
        image, true = scene.image, scene.disparity
        grid = cv2.resize(true, (columns, rows), interpolation=cv2.INTER_AREA)
        grid = _move(cv2.GaussianBlur(grid, (0, 0), args.blur), args.off)
        for name, enlarge in methods.items():
            enlarged = enlarge(grid, image)
            figures[name].append((*_compare(enlarged, true), scene.psnr(renderer, enlarged)))
        figures.setdefault("true depth", []).append((0, 0, scene.psnr(renderer, true)))
    if not any(figures.values()):
        parser.error(f"no scenes in {args.ground_truth}")
    for name, of_scenes in figures.items():
        error, between, picture = np.mean(of_scenes, axis=0)
        print(f"{name:10s} error {error:5.2f} %  between {between:5.1f} %  {picture:5.2f} dB")


@dataclass(frozen=True)
class _Scene:
    """A picture, its disparity, 0..1 for most of it, and what the scene's lenses show."""

    picture: Path
    disparity: Map
    span: tuple[float, float]  # inverse metres at 0 and 1
    camera: dict[str, float]
    lenses: list[tuple[dict[str, float], Path]]

    @property
    def image(self) -> Image:
        """(h, w, 3)."""
        return _read(self.picture)

    def psnr(self, renderer: LensRenderer, disparity: Map) -> float:
        """Of its renderings with that disparity, near edges, in decibels."""
        low, high = self.span
        depth = 1 / np.maximum(disparity * (high - low) + low, 1e-6)
        where = _near_edges(self.disparity, 12)
        results = []
        for lens, true in self.lenses:
            picture = render(self.picture, depth, self.camera, lens, renderer, cut=True)
            results.append(_psnr(picture, _read(true), where))
        return float(np.mean(results))


def _scenes(folder: Path) -> Iterator[_Scene]:
    for meta in sorted(folder.glob("*/meta.json")):
        about, source = json.loads(meta.read_text()), meta.parent
        if about["kind"] == "still":
            truths = [(lens, source / f"{name}.png") for name, lens in about["lens"].items()]
            pictures = [(source / "aif.png", source / "depth.npz", truths)]
        else:
            pictures = [
                (p, source / "depth" / f"{p.stem}.npz",
                 [(about["lens"]["dof"], source / "dof" / p.name)])
                for p in sorted((source / "aif").glob("*.png"))[::_FRAMES]
            ]  # fmt: skip
        for picture, depth, truths in pictures:
            inverse = 1 / np.load(depth)["z"].astype(np.float64)
            low, high = np.percentile(inverse, (2, 98))
            disparity = ((inverse - low) / (high - low)).astype(np.float32)
            yield _Scene(picture, disparity, (low, high), about["camera"], truths)


def _move(grid: Map, cells: float) -> Map:
    """A map whose edges are so far off, here one way and there another."""
    random = np.random.default_rng(0)
    rows, columns = grid.shape
    size = (2, rows // _WAVES, columns // _WAVES)
    y, x = (
        at + cells * _resize(noise.astype(np.float32), grid, cv2.INTER_CUBIC)
        for at, noise in zip(np.mgrid[:rows, :columns], random.normal(size=size), strict=True)
    )
    return cv2.remap(grid, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)  # type: ignore[return-value]


def _compare(enlarged: Map, true: Map) -> tuple[float, float]:
    low, high = cv2.erode(true, np.ones((9, 9))), cv2.dilate(true, np.ones((9, 9)))
    edges = _near_edges(true, 4)
    part = (enlarged - low) / np.maximum(high - low, _EDGE)
    error = 100 * np.abs(enlarged - true)[edges].mean()
    between = 100 * ((part > 0.2) & (part < 0.8))[edges].mean()
    return float(error), float(between)


def _near_edges(disparity: Map, distance: int) -> NDArray[np.bool_]:
    low, high = cv2.erode(disparity, np.ones((3, 3))), cv2.dilate(disparity, np.ones((3, 3)))
    edges = (high - low > _EDGE).astype(np.uint8)
    return cv2.dilate(edges, np.ones((2 * distance - 1, 2 * distance - 1))) > 0


def _psnr(image: Image, true: Image, where: NDArray[np.bool_]) -> float:
    error = np.mean((image[where].astype(np.float64) - true[where]) ** 2)
    return float(10 * np.log10(255**2 / error))


def _read(path: Path) -> Image:
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def _resize(grid: Map, image: Image, how: int) -> Map:
    return cv2.resize(grid, image.shape[1::-1], interpolation=how)  # type: ignore[return-value]


if __name__ == "__main__":
    main()
