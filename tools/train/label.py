"""Label photographs with the inverse depth that a teacher sees, to train on (photographs.py).

    python tools/train/label.py LIST.csv TEACHER.onnx FOLDER [--avoid DIR ...] [--first NUMBER]

LIST.csv has the columns path, source_repo, original_path, license, license_class and group. What is
no natural photograph, or like one that was seen before, is left out (suitable.py). FOLDER may hold
earlier photographs, to which new ones are added.

The teacher, which takes RGB in levels, sees each photograph six times, at three sizes, plain and
mirrored. The label is the pixels' median after fits of scale and shift, its edges moved onto the
photograph's by a guided filter; where the six disagree, confidence is low.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from samples import Map, Picture
from suitable import SHORT, STEP, Seen, fitted, flaw

Teacher = Callable[[Picture], Map]

_KEPT = ("source_repo", "original_path", "license", "license_class", "group")
_COLUMNS = ("name", *_KEPT, "w", "h", "label_min", "label_max", "mean_confidence", "split")

_SIZES = (256, 192, 320)
"""Short sides; the first gives scale and shift."""

_DISAGREEMENT = 0.25
"""Standard deviation of the six over the label's spread at which nothing is believed."""

_LEAST_CONFIDENCE, _LEAST_SPREAD = 0.704, 0.12
_RADIUS, _EPSILON, _STEEP = 4, 1e-3, 0.02


def main() -> None:
    """Label what is on the list and not in the folder yet."""
    options = _parse()
    cv2.setNumThreads(1)
    teacher, folder = load_teacher(options.teacher), options.folder
    for part in ("images", "labels", "conf"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    index = folder / "index.csv"
    rows = list(csv.DictReader(index.read_text().splitlines())) if index.is_file() else []
    done = {(row["source_repo"], row["original_path"]) for row in rows}
    number = max([options.first - 1, *(int(row["name"][4:-4]) for row in rows)]) + 1
    seen = Seen()
    for known in (*options.avoid, folder / "images"):
        for path in sorted(known.glob("*.*g")):
            seen.add(_read(path))
    tally: Counter[str] = Counter()
    with index.open("a", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        if not rows:
            writer.writeheader()
        for row in csv.DictReader(options.list.read_text().splitlines()):
            if (row["source_repo"], row["original_path"]) in done:
                continue
            picture = fitted(_read(Path(row["path"])))
            problem = "small or long" if picture is None else flaw(picture)
            if picture is None or problem:
                tally[problem] += 1
                continue
            if not seen.add(picture):
                tally["like another"] += 1
                continue
            label, confidence, spread = make_label(picture, teacher)
            if confidence.mean() < _LEAST_CONFIDENCE or spread < _LEAST_SPREAD:
                tally["not clear to the teacher"] += 1
                continue
            name, number = f"src_{number:06d}.jpg", number + 1
            numbers = store(folder, name, picture, label, confidence)
            writer.writerow({"name": name, **{key: row[key] for key in _KEPT}, **numbers})
            file.flush()
            tally["labelled"] += 1
    print(*(f"{count} {what}" for what, count in tally.most_common()), sep=", ")


def load_teacher(path: Path) -> Teacher:
    """A function from a picture, its sides multiples of 32, to inverse depth at its size."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def see(picture: Picture) -> Map:
        tensor = picture.transpose(2, 0, 1)[None].astype(np.float32)
        return np.squeeze(session.run(None, {name: tensor})[0])  # type: ignore[no-any-return]

    return see


def make_label(picture: Picture, teacher: Teacher) -> tuple[Map, Map, float]:
    """What the teacher sees in a fitted picture.

    Returns:
        (h, w) inverse depth; (h, w) how far to believe it, 0..1; and how far the first reaches,
        2.5 % to 97.5 %.
    """
    height, width, _ = picture.shape
    seen: list[Map] = []
    for short in _SIZES:
        size = [round(side * short / SHORT / STEP) * STEP for side in (width, height)]
        way = cv2.INTER_AREA if short < SHORT else cv2.INTER_CUBIC
        scaled = cv2.resize(picture, size, interpolation=way).astype(np.uint8)
        for depth in (teacher(scaled), teacher(scaled[:, ::-1])[:, ::-1]):
            full = cv2.resize(np.ascontiguousarray(depth), (width, height))
            base = seen[0] if seen else full
            apart = full - full.mean()
            slope = (apart * base).mean() / max(float((apart * apart).mean()), 1e-12)
            seen.append(np.asarray(apart * slope + base.mean(), np.float32))
    label = np.median(seen, axis=0).astype(np.float32)
    low, high = np.percentile(label, (2.5, 97.5))
    spread = float(high - low) + 1e-9
    confidence = 1 - np.minimum(np.std(seen, axis=0) / (spread * _DISAGREEMENT), 1)
    return _tightened(label, picture, spread), confidence.astype(np.float32), spread


def store(
    folder: Path, name: str, picture: Picture, label: Map, confidence: Map
) -> dict[str, object]:
    """Write the three files of a photograph; returns what the index says of them."""
    height, width, _ = picture.shape
    low, high = float(label.min()), float(label.max())
    levels = np.round((label - low) / (high - low) * 255).astype(np.uint8)
    coarse = cv2.resize(confidence, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(folder / "images" / name), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 74])
    cv2.imwrite(str(folder / "labels" / name), levels, [cv2.IMWRITE_JPEG_QUALITY, 93])
    cv2.imwrite(
        str((folder / "conf" / name).with_suffix(".png")),
        np.round(np.round(coarse * 63) * (255 / 63)).astype(np.uint8),
    )
    return {
        "w": width, "h": height, "label_min": f"{low:.5g}", "label_max": f"{high:.5g}",
        "mean_confidence": f"{confidence.mean():.4f}", "split": "train",
    }  # fmt: skip


def _tightened(label: Map, picture: Picture, spread: float) -> Map:
    """The label after a guided filter (He, Sun and Tang, PAMI 2013) in a band around its edges."""
    size = (2 * _RADIUS + 1,) * 2

    def mean(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        return cv2.blur(values.astype(np.float32, copy=False), size)  # type: ignore[return-value]

    guide = picture.astype(np.float32) / 255
    colour, value = mean(guide), mean(label)
    squares = (guide[..., :, None] * guide[..., None, :]).reshape(*label.shape, 9)
    covariance = mean(squares).reshape(*label.shape, 3, 3)
    covariance -= colour[..., :, None] * colour[..., None, :]
    with_label = mean(guide * label[..., None]) - colour * value[..., None]
    regular = covariance + _EPSILON * np.eye(3, dtype=np.float32)
    slope = np.linalg.solve(regular, with_label[..., None])[..., 0].astype(np.float32)
    shift = value - (slope * colour).sum(-1)
    filtered = (mean(slope) * guide).sum(-1) + mean(shift)
    steep = np.hypot(cv2.Sobel(label, cv2.CV_32F, 1, 0), cv2.Sobel(label, cv2.CV_32F, 0, 1)) / 8
    edges = cv2.dilate((steep > _STEEP * spread).astype(np.float32), np.ones(size, np.uint8))
    band = cv2.GaussianBlur(edges, (0, 0), 2)
    return np.asarray(label + band * (filtered - label), np.float32)


def _read(path: Path) -> Picture:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"{path} cannot be read")
    return np.ascontiguousarray(picture[..., ::-1], np.uint8)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("list", type=Path, help="CSV of photographs")
    parser.add_argument("teacher", type=Path, help="ONNX file")
    parser.add_argument("folder", type=Path, help="where they are kept")
    parser.add_argument(
        "--avoid", type=Path, nargs="*", default=[], help="what must not come again"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first file's name")
    return parser.parse_args()


if __name__ == "__main__":
    main()
