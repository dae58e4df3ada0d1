"""A tiny set of photographs with labels, as `tools/train/photographs.py` reads it."""

from pathlib import Path

import cv2
import numpy as np


def write_photographs(folder: Path) -> Path:
    """Six pictures whose red says how near they are, so that any mix-up shows; one for checks."""
    rng = np.random.default_rng(0)
    rows = ["name,label_min,label_max,split"]
    for name in ("images", "labels", "conf"):
        (folder / name).mkdir()
    best = [cv2.IMWRITE_JPEG_QUALITY, 100]
    for i in range(6):
        shape = (128, 192) if i % 2 else (192, 128)
        label = cv2.resize(rng.integers(0, 256, (4, 4), np.uint8), shape[::-1])
        picture = np.dstack([label // 3, 255 - label, label])  # BGR
        cv2.imwrite(str(folder / "images" / f"{i}.jpg"), picture, best)
        cv2.imwrite(str(folder / "labels" / f"{i}.jpg"), label, best)
        cv2.imwrite(str(folder / "conf" / f"{i}.png"), np.full((32, 32), 255, np.uint8))
        rows.append(f"{i}.jpg,0.5,1.5,{'val' if i == 5 else 'train'}")
    (folder / "index.csv").write_text("\n".join(rows))
    return folder
