"""Depth maps of several networks side by side, to be looked at.

    python tools/contact_sheet.py sheet.png --pictures A.jpg B.png --networks OURS.onnx THEIRS.onnx
    python tools/contact_sheet.py sheet.png --clip CLIP.mp4 --networks OURS.onnx THEIRS.onnx

A row for each picture, or for each of eight frames of the clip; the picture first, then the map of
every network, near is bright. For a clip the last column of a network shows how one line of its map
goes on over time, from top to bottom: flicker is seen as streaks.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from evaluate_depth import Network, read, resize

from rtfocus.frame import Image
from rtfocus.readers import open_reader

_HEIGHT = 150
_ROWS = 10  # pictures below one another, before the next column
_FRAMES, _SHOWN = 96, 8


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--networks", type=Path, nargs="+", required=True)
    parser.add_argument("--pictures", type=Path, nargs="+")
    parser.add_argument("--clip", type=Path)
    parser.add_argument("--size", default="192x320", help="area that networks run at")
    options = parser.parse_args()
    height, width = map(int, options.size.split("x"))
    networks = [Network(path, (height, width)) for path in options.networks]
    if options.clip:
        sheet = clip_sheet(options.clip, networks)
    else:
        rows = [_row(read(path), networks) for path in options.pictures or []]
        columns = [_stack(rows[i : i + _ROWS]) for i in range(0, len(rows), _ROWS)]
        sheet = np.hstack([_pad(c, max(x.shape[0] for x in columns)) for c in columns])
    cv2.imwrite(str(options.out), sheet[..., ::-1])


def clip_sheet(clip: Path, networks: list[Network]) -> Image:
    """Some frames of a clip, and a line of every map over time."""
    with open_reader(str(clip)) as reader:
        frames = [frame.image for frame in islice(reader, _FRAMES)]
    rows = _stack([_row(frame, networks) for frame in frames[:: max(1, len(frames) // _SHOWN)]])
    lines = []
    for network in networks:
        middle = np.stack([x[x.shape[0] // 2] for x in map(network, frames)])
        lines.append(_paint(cv2.resize(middle, (320, rows.shape[0]))))
    return np.hstack([rows, *lines])


def _row(picture: Image, networks: list[Network]) -> Image:
    shape = (_HEIGHT, round(picture.shape[1] * _HEIGHT / picture.shape[0]))
    maps = [_paint(resize(network(picture), shape)) for network in networks]
    small = cv2.resize(picture, shape[::-1], interpolation=cv2.INTER_AREA)
    return np.hstack([small, *maps])


def _paint(x: np.ndarray) -> Image:
    low, high = np.percentile(x, (1, 99))
    grey = (np.clip((x - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(grey, cv2.COLORMAP_MAGMA)[..., ::-1])


def _stack(rows: list[Image]) -> Image:
    width = max(row.shape[1] for row in rows)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows])


def _pad(column: Image, height: int) -> Image:
    return np.pad(column, ((0, height - column.shape[0]), (0, 8), (0, 0)))


if __name__ == "__main__":
    main()
