"""Enlarge depth that is as soft as a network's, and compare with the true depth.

    python tools/benchmarks/enlarging.py GROUND_TRUTH [--cells 192x320] [--blur 1]

GROUND_TRUTH as for picture.py. True disparity is reduced to the network's grid, blurred by so many
cells and enlarged again. Within 4 px of its edges: mean error, in percent of the range; share of
the pixels that lie between the two sides, 20 to 80 % of the way. Within 12 px: PSNR of the
rendering with that depth, in focus at three distances, against the rendering with the true one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.frame import Disparity, Image, Map
from rtfocus.render.aperture import Aperture
from rtfocus.render.layered import LensRenderer
from rtfocus.render.layers import TIERS
from rtfocus.upsample import Upsampler

_EDGE = 0.1  # of the range, between neighbours
_FOCUS = (0.15, 0.4, 0.75)
_RADIUS = 40 / 540  # of the height, from one end of the range to the other
_FRAMES = 8  # every so manieth of a clip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ground_truth", type=Path)
    parser.add_argument("--cells", default="192x320")
    parser.add_argument("--blur", type=float, default=1.0, help="standard deviation in cells")
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
    for image, true in _scenes(args.ground_truth):
        grid = cv2.resize(true, (columns, rows), interpolation=cv2.INTER_AREA)
        grid = cv2.GaussianBlur(grid, (0, 0), args.blur)
        for name, enlarge in methods.items():
            figures[name].append(_compare(renderer, image, enlarge(grid, image), true))
    if not any(figures.values()):
        parser.error(f"no scenes in {args.ground_truth}")
    for name, of_scenes in figures.items():
        error, between, picture = np.mean(of_scenes, axis=0)
        print(f"{name:10s} error {error:5.2f} %  between {between:5.1f} %  {picture:5.2f} dB")


def _scenes(folder: Path) -> Iterator[tuple[Image, Map]]:
    """Pictures and their disparity, 0..1 for most of it."""
    for meta in sorted(folder.glob("*/meta.json")):
        if json.loads(meta.read_text())["kind"] == "still":
            pairs = [(meta.parent / "aif.png", meta.parent / "depth.npz")]
        else:
            pictures = sorted((meta.parent / "aif").glob("*.png"))[::_FRAMES]
            pairs = [(p, meta.parent / "depth" / f"{p.stem}.npz") for p in pictures]
        for picture, depth in pairs:
            inverse = 1 / np.load(depth)["z"].astype(np.float64)
            low, high = np.percentile(inverse, (2, 98))
            image = np.ascontiguousarray(cv2.imread(str(picture))[..., ::-1])
            yield image, ((inverse - low) / (high - low)).astype(np.float32)


def _compare(
    renderer: LensRenderer, image: Image, enlarged: Map, true: Map
) -> tuple[float, float, float]:
    low, high = cv2.erode(true, np.ones((9, 9))), cv2.dilate(true, np.ones((9, 9)))
    edges = _near_edges(true, 4)
    part = (enlarged - low) / np.maximum(high - low, _EDGE)
    error = 100 * np.abs(enlarged - true)[edges].mean()
    between = 100 * ((part > 0.2) & (part < 0.8))[edges].mean()
    wide = _near_edges(true, 12)
    gain = np.float32(_RADIUS * len(image))
    results = []
    for focus in map(np.float32, _FOCUS):
        pair = [renderer.blur(image, (x - focus) * gain) for x in (enlarged, true)]
        results.append(_psnr(*pair, wide))
    return float(error), float(between), float(np.mean(results))


def _near_edges(disparity: Map, distance: int) -> NDArray[np.bool_]:
    low, high = cv2.erode(disparity, np.ones((3, 3))), cv2.dilate(disparity, np.ones((3, 3)))
    edges = (high - low > _EDGE).astype(np.uint8)
    return cv2.dilate(edges, np.ones((2 * distance - 1, 2 * distance - 1))) > 0


def _psnr(image: Image, true: Image, where: NDArray[np.bool_]) -> float:
    error = np.mean((image[where].astype(np.float64) - true[where]) ** 2)
    return float(10 * np.log10(255**2 / error))


def _resize(grid: Map, image: Image, how: int) -> Map:
    return cv2.resize(grid, image.shape[1::-1], interpolation=how)  # type: ignore[return-value]


if __name__ == "__main__":
    main()
