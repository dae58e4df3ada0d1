"""Compare depth networks: true depth, its edges, a teacher's labels, steadiness, time.

    python tools/evaluate_depth.py ../shared NETWORK.onnx [TEACHER.onnx ...] [--only truth labels]

Every network runs at the area of each of `--sizes`, in the picture's aspect, as in the program.

    truth   inverse depth against measured or rendered depth (rgbd/, gt/): correlation, F1 of the
            edges of depth within two pixels, and the best F1 with edges of any height, which tells
            how well they are placed
    labels  the val split of distill/: mean error after scale and shift, of each label's range, and
            how far a network disagrees with itself on the mirrored picture, in the same unit
    steady  media/: mean change of depth from frame to frame where the picture stands still, of the
            map's 5..95 % range, before any smoothing
    time    median and least ms of a run, all networks by turns
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.depth.grid import grid_like
from rtfocus.depth.network import NetworkDepth
from rtfocus.device import resolve
from rtfocus.frame import Frame, Image
from rtfocus.readers import open_reader

Map = NDArray[np.float64]
Figures = dict[str, float]

_REACH = 2  # pixels that an edge may be off
_EDGE_GRID = (256, 448)
_JUMPS = (0.05, 0.1, 0.15, 0.2)  # what counts as an edge, of the 2..98 % range of the truth
_QUANTILES = 1 - np.geomspace(0.5, 0.0005, 40)  # of a map's own changes: thresholds to try
_CLIP_FRAMES = 60
_SHADOW = 16


class Network:
    """A network at one area, for pictures of any size."""

    def __init__(self, path: Path, size: tuple[int, int]) -> None:
        self.path, self.size = path, size
        self._multiple = NetworkDepth(path, device=resolve("cpu"), picture=size).card.multiple
        self._sources: dict[tuple[int, int], NetworkDepth] = {}
        self._count = 0

    def __call__(self, picture: Image) -> Map:
        """Inverse depth at the picture's own size."""
        return resize(self.raw(picture).astype(np.float64), (picture.shape[0], picture.shape[1]))

    def raw(self, picture: Image) -> NDArray[np.float32]:
        """Inverse depth on the network's grid."""
        shape = picture.shape[0], picture.shape[1]
        if shape not in self._sources:
            grid = grid_like(shape, self.size, self._multiple)
            self._sources[shape] = NetworkDepth(
                self.path, device=resolve("cpu"), picture=shape, size=grid, threads=2
            )
        self._count += 1
        frame = Frame(picture, self._count, self._count, Fraction(1, 25), 1)
        return self._sources[shape].estimate(frame).copy()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("networks", type=Path, nargs="+")
    parser.add_argument("--sizes", nargs="+", default=["192x320", "256x448"])
    parser.add_argument("--only", nargs="+", choices=sorted(_PARTS), default=list(_PARTS))
    parser.add_argument("--json", type=Path, help="write all figures there")
    options = parser.parse_args()
    networks = {
        f"{path.stem} {size}": Network(path, tuple(map(int, size.split("x"))))
        for path in options.networks
        for size in options.sizes
    }
    results: dict[str, dict[str, Figures]] = {}
    for part in options.only:
        results[part] = _PARTS[part](options.data, networks)
        _print(part, results[part])
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def truth(data: Path, networks: dict[str, Network]) -> dict[str, Figures]:
    """Correlation and edge F1, both kinds, of every picture with true depth, and their means."""
    results = {}
    for name, network in networks.items():
        figures: Figures = {}
        for label, picture, inverse in true_scenes(data):
            known = inverse > 0
            prediction = network(picture)
            figures[f"r {label}"] = float(np.corrcoef(prediction[known], inverse[known])[0, 1])
            figures[f"F1 {label}"], figures[f"place {label}"] = edge_f1(prediction, inverse, known)
        means = {
            f"{kind} mean": float(np.mean([v for k, v in figures.items() if k.startswith(kind)]))
            for kind in ("r", "F1", "place")
        }
        results[name] = means | figures
    return results


def true_scenes(data: Path) -> Iterator[tuple[str, Image, Map]]:
    """Name, picture and inverse depth; 0 where that is unknown."""
    for path in sorted((data / "rgbd" / "tum_slambook2").glob("color*.png")):
        depth = path.with_name(path.name.replace("color", "depth")).with_suffix(".pgm")
        z = cv2.imread(str(depth), cv2.IMREAD_UNCHANGED).astype(np.float64)
        yield path.stem, read(path), np.where(z > 0, 1000 / np.maximum(z, 1), 0)
    folder = data / "rgbd" / "motorcycle"
    with np.load(folder / "motorcycle_disp.npz") as file:
        disparity = file[file.files[0]].astype(np.float64)
    yield (
        "motorcycle",
        read(folder / "motorcycle_left.png"),
        np.where(np.isfinite(disparity), disparity, 0),
    )
    for meta in sorted((data / "gt").glob("*/meta.json")):
        if (meta.parent / "depth.npz").exists():
            z = np.load(meta.parent / "depth.npz")["z"].astype(np.float64)
            yield meta.parent.name, read(meta.parent / "aif.png"), 1 / z


def edge_f1(prediction: Map, inverse: Map, known: NDArray[np.bool_]) -> tuple[float, float]:
    """F1 of the edges of a map, averaged over `_JUMPS`, and the best F1 with edges of any height.

    Both maps are looked at on a grid of 256x448 pixels' area, about what depth networks answer. An
    edge is where inverse depth changes by at least the jump across five pixels, thinned to where
    that change is greatest; it is found where the other map has one within `_REACH` pixels.

    For the first the map is brought to the truth's scale and shift; a map that is wrong in the
    large is flat after that, and has no edges however sharp they were. So the second takes the
    threshold that suits the map best (in the detection of edges: OIS, Arbelaez et al., PAMI 2011).
    """
    slope, shift = np.polyfit(prediction[known], inverse[known], 1)
    low, high = np.percentile(inverse[known], (2, 98))
    grid = grid_like((inverse.shape[0], inverse.shape[1]), _EDGE_GRID, 1)
    changes = [
        _change(cv2.resize(x, grid[::-1], interpolation=cv2.INTER_AREA) / (high - low))
        for x in (slope * prediction + shift, _fill(inverse, known))
    ]
    found, true = changes
    heights = np.quantile(found[found > 0], _QUANTILES)
    trues = [(jump, true > jump) for jump in _JUMPS if (true > jump).any()]
    plain = [_f1(found > jump, edges) for jump, edges in trues]
    best = [max(_f1(found > height, edges) for height in heights) for _, edges in trues]
    return float(np.mean(plain)), float(np.mean(best))


def _f1(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Harmonic mean of the shares of edges found that are true, and of true ones found."""
    precision = float(_near(true)[found].mean()) if found.any() else 0.0
    recall = float(_near(found)[true].mean())
    return 2 * precision * recall / max(precision + recall, 1e-9)


def _fill(inverse: Map, known: NDArray[np.bool_]) -> Map:
    """What is unknown is as far as the farthest thing beside it: a sensor's shadow of what is near.

    The far side of a gap wins over `_SHADOW` pixels; wider gaps are closed from all sides.
    """
    filled, rounds = np.where(known, inverse, np.inf), 0
    while rounds < _SHADOW or not np.isfinite(filled).all():
        around = cv2.erode(filled, np.ones((3, 3)), borderType=cv2.BORDER_REPLICATE)
        filled = np.where(known, inverse, around)
        rounds += 1
    return filled


def _change(x: Map) -> Map:
    """Change across five pixels where it is greatest along its direction, else 0."""
    wide = np.pad(x, 2, mode="edge")
    across, down = wide[2:-2, 4:] - wide[2:-2, :-4], wide[4:, 2:-2] - wide[:-4, 2:-2]
    size = np.hypot(across, down)
    around = np.pad(size, 1)
    sideways = np.abs(across) > np.abs(down)
    before = np.where(sideways, around[1:-1, :-2], around[:-2, 1:-1])
    after = np.where(sideways, around[1:-1, 2:], around[2:, 1:-1])
    return np.where((size >= before) & (size >= after), size, 0)


def _near(edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _REACH + 1, 2 * _REACH + 1))
    return cv2.dilate(edges.astype(np.uint8), disc).astype(bool)


def labels(data: Path, networks: dict[str, Network]) -> dict[str, Figures]:
    """Error against a teacher's labels, and against the network's own mirrored answer."""
    folder = data / "distill"
    with (folder / "index.csv").open(newline="") as index:
        rows = [row for row in csv.DictReader(index) if row["split"] == "val"]
    errors: dict[str, list[tuple[float, float]]] = {name: [] for name in networks}
    for row in rows:
        stem = Path(row["name"]).stem
        picture = read(folder / "images" / f"{stem}.jpg")
        label = cv2.imread(str(folder / "labels" / f"{stem}.jpg"), cv2.IMREAD_GRAYSCALE)
        target = label.astype(np.float64)
        for name, network in networks.items():
            plain = network(picture)
            mirrored = network(np.ascontiguousarray(picture[:, ::-1]))[:, ::-1]
            slope, shift = np.polyfit(plain.ravel(), target.ravel(), 1)
            again = np.polyval(np.polyfit(mirrored.ravel(), plain.ravel(), 1), mirrored)
            error = np.abs(slope * plain + shift - target).mean() / np.ptp(target)
            disagreement = abs(slope) * np.abs(again - plain).mean() / np.ptp(target)
            errors[name].append((float(error), float(disagreement)))
    means = {name: np.mean(pairs, axis=0) for name, pairs in errors.items()}
    return {name: {"error": float(m[0]), "flip": float(m[1])} for name, m in means.items()}


def steady(data: Path, networks: dict[str, Network]) -> dict[str, Figures]:
    """Change of depth where the picture stands still, in percent."""
    results: dict[str, Figures] = {name: {} for name in networks}
    for path in sorted((data / "media").iterdir()):
        if path.suffix not in {".mp4", ".mkv"}:
            continue
        with open_reader(str(path)) as reader:
            pictures = [frame.image for frame in islice(reader, _CLIP_FRAMES)]
        for name, network in networks.items():
            results[name][path.stem] = 100 * _unrest(pictures, network)
    for figures in results.values():
        figures["mean"] = float(np.mean(list(figures.values())))
    return results


def _unrest(pictures: list[Image], network: Network) -> float:
    changes, weights = [], []
    maps = [network.raw(picture).astype(np.float64) for picture in pictures]
    grids = [_grey(picture, maps[0].shape) for picture in pictures]
    for k in range(1, len(maps)):
        moving = (cv2.blur(np.abs(grids[k] - grids[k - 1]), (5, 5)) > 2).astype(np.uint8)
        still = cv2.dilate(moving, np.ones((9, 9))) == 0
        low, high = np.percentile(maps[k - 1], (5, 95))
        changes.append((np.abs(maps[k] - maps[k - 1])[still] / (high - low)).sum())
        weights.append(still.sum())
    return float(np.sum(changes) / max(np.sum(weights), 1))


def _grey(picture: Image, shape: tuple[int, ...]) -> Map:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64)
    return cv2.resize(grey, shape[::-1], interpolation=cv2.INTER_AREA)


def timing(_: Path, networks: dict[str, Network]) -> dict[str, Figures]:
    """Time of a run on two threads, networks by turns, so that they share what else goes on."""
    pictures = {n: np.zeros((*network.size, 3), np.uint8) for n, network in networks.items()}
    times: dict[str, list[float]] = {name: [] for name in networks}
    for turn in range(110):
        for name, network in networks.items():
            start = time.perf_counter()
            network.raw(pictures[name])
            if turn >= 10:
                times[name].append(1000 * (time.perf_counter() - start))
    return {n: {"median": float(np.median(t)), "least": min(t)} for n, t in times.items()}


def read(path: Path) -> Image:
    """A picture file, RGB."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"{path} is no picture")
    return np.ascontiguousarray(picture[..., ::-1])  # type: ignore[return-value]


def resize(x: Map, shape: tuple[int, int]) -> Map:
    """Bilinearly."""
    return cv2.resize(x, shape[::-1], interpolation=cv2.INTER_LINEAR)


def _print(part: str, results: dict[str, Figures]) -> None:
    names = list(results)
    print(f"\n{part:22s}" + "".join(f"{name:>32s}" for name in names))
    for figure in results[names[0]]:
        print(f"{figure:22s}" + "".join(f"{results[name][figure]:32.4f}" for name in names))


_PARTS: dict[str, Callable[[Path, dict[str, Network]], dict[str, Figures]]] = {
    "truth": truth,
    "labels": labels,
    "steady": steady,
    "time": timing,
}

if __name__ == "__main__":
    main()
