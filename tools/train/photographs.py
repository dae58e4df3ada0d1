"""Photographs with a teacher's labels, as label.py makes them (../shared/distill is such a set).

A folder with `index.csv` (columns name, label_min, label_max, split), `images/*.jpg`,
`labels/*.jpg` (8 bits, 0..255 for label_min..label_max) and `conf/*.png` (8 bits, smaller).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from crisp import crisp
from samples import Map, Picture, Sample, near_edges

# A teacher knows what is flat, but its edges are soft: at first these do not count at full size.
_FLAT_WEIGHT = 0.5
_CHOICE = 4  # photographs, of which the one that fits a batch best is drawn
_STEEP = 0.04  # of the label's range, within three pixels


@dataclass(frozen=True, slots=True)
class _Photograph:
    picture: Picture
    label: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    low: float
    high: float


class Photographs:
    """All photographs of one split, decoded into memory (about 0.4 MB each)."""

    def __init__(
        self, folders: Sequence[Path], split: str, *, least_crop: float = 1.0, steps: bool = False
    ) -> None:
        """Read them.

        Args:
            folders: see the module.
            split: of `index.csv`.
            least_crop: what is drawn is at least this share of the width that fits.
            steps: make the labels' soft edges steps (`crisp`).

        Raises:
            FileNotFoundError: a folder holds no such set.
        """
        self._all: list[_Photograph] = []
        for folder in folders:
            with (folder / "index.csv").open(newline="") as index:
                rows = [row for row in csv.DictReader(index) if row["split"] == split]
            self._all += [_read(folder, row, steps=steps) for row in rows]
        self._least_crop = least_crop

    def __len__(self) -> int:
        return len(self._all)

    def whole(self, index: int) -> Sample:
        """One photograph as it is."""
        photo = self._all[index]
        height, width = photo.label.shape
        return _sample(photo, np.eye(2, 3, dtype=np.float32), (height, width))

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Sample:
        """A random crop of a random photograph, mirrored or not, at `size` (height, width)."""
        several = [self._all[i] for i in rng.integers(len(self._all), size=_CHOICE)]
        photo = min(several, key=lambda photo: _misfit(photo.label.shape, size))
        height, width = photo.label.shape
        aspect = size[1] / size[0] * rng.uniform(0.9, 1.1)
        crop_width = min(width, height * aspect) * rng.uniform(self._least_crop, 1.0)
        crop_height = min(crop_width / aspect, height)
        # of an upright picture rather the upper half, where the face is: framed like a webcam's
        upwards = 2.0 if height > width and size[1] > size[0] else 1.0
        x = (width - crop_width) * rng.random()
        y = (height - crop_height) * rng.random() ** upwards
        return _sample(photo, _crop_matrix(x, y, crop_width, crop_height, size, rng), size)


def _misfit(shape: tuple[int, ...], size: tuple[int, int]) -> float:
    """How much must be cut off to get from one aspect to the other, as a logarithm."""
    return abs(math.log(shape[1] * size[0] / (shape[0] * size[1])))


def _crop_matrix(
    x: float, y: float, width: float, height: float, size: tuple[int, int],
    rng: np.random.Generator,
) -> Map:  # fmt: skip
    """(2, 3): from a pixel's place in the sample to that in the photograph."""
    sx, sy = width / size[1], height / size[0]
    matrix = np.array([[sx, 0, x + sx / 2 - 0.5], [0, sy, y + sy / 2 - 0.5]], np.float32)
    if rng.random() < 0.5:
        matrix[0] = -sx, 0, x + width - sx / 2 - 0.5
    return matrix


def _sample(photo: _Photograph, matrix: Map, size: tuple[int, int]) -> Sample:
    def crop(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(
            plane, matrix, size[::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE
        )  # type: ignore[return-value]

    depth = photo.low + crop(photo.label) * np.float32((photo.high - photo.low) / 255)
    confidence = 0.2 + crop(photo.confidence) * np.float32(0.8 / 255)
    steep = near_edges(depth, _STEEP * (photo.high - photo.low))
    return Sample(
        picture=crop(photo.picture),
        inverse_depth=depth,
        confidence=confidence,
        edges=np.where(steep, 0, _FLAT_WEIGHT * confidence).astype(np.float32),
        absolute=True,
        static=np.ones(size, np.float32),
    )


def _read(folder: Path, row: dict[str, str], *, steps: bool) -> _Photograph:
    stem = Path(row["name"]).stem
    picture = cv2.imread(str(folder / "images" / f"{stem}.jpg"))
    label = cv2.imread(str(folder / "labels" / f"{stem}.jpg"), cv2.IMREAD_GRAYSCALE)
    confidence = cv2.imread(str(folder / "conf" / f"{stem}.png"), cv2.IMREAD_GRAYSCALE)
    if picture is None or label is None or confidence is None:
        raise FileNotFoundError(f"{stem} lacks its picture, label or confidence in {folder}")
    if steps:
        label = crisp(label)  # type: ignore[arg-type]
    confidence = cv2.resize(confidence, label.shape[::-1], interpolation=cv2.INTER_LINEAR)
    picture = np.ascontiguousarray(picture[..., ::-1])
    return _Photograph(picture, label, confidence, float(row["label_min"]), float(row["label_max"]))  # type: ignore[arg-type]
