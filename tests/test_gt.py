"""The renderer on a thin-lens ground truth that is not part of the project."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from reference import psnr

from rtfocus.aperture import Aperture
from rtfocus.render import TIERS, LensRenderer


def read(path: Path) -> np.ndarray:
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def radius_of(depth: np.ndarray, lens: dict[str, float]) -> np.ndarray:
    inverse = 1 / depth.astype(np.float64) - 1 / lens["focus_distance_m"]
    return (lens["coc_gain_px_m"] / 2 * inverse).astype(np.float32)


@pytest.mark.parametrize(
    ("quality", "all_over", "in_focus"), [("high", 32.0, 38.8), ("fast", 30.5, 38)]
)
def test_stills(shared: Path, quality: str, all_over: float, in_focus: float) -> None:
    renderer = LensRenderer(TIERS[quality], Aperture(), threads=2)
    whole, sharp = [], []
    for meta in sorted((shared / "gt").glob("*/meta.json")):
        scene = json.loads(meta.read_text())
        if scene["kind"] != "still":
            continue
        image = read(meta.parent / "aif.png")
        depth = np.load(meta.parent / "depth.npz")["z"]
        for name, lens in scene["lens"].items():
            radius = radius_of(depth, lens)
            out, truth = renderer.blur(image, radius), read(meta.parent / f"{name}.png")
            whole.append(psnr(out, truth))
            sharp.append(psnr(out, truth, np.abs(radius) < 0.5))
    renderer.close()
    assert len(whole) == 9
    assert np.mean(whole) >= all_over
    assert np.mean(sharp) >= in_focus


@pytest.mark.parametrize(("quality", "limit"), [("high", 2.8), ("fast", 2.9)])
def test_clip_does_not_flicker(shared: Path, quality: str, limit: float) -> None:
    folder = shared / "gt" / "clip_dolly"
    scene = json.loads((folder / "meta.json").read_text())
    renderer = LensRenderer(TIERS[quality], Aperture(), threads=2)
    errors = []
    for i in range(scene["frames"]):
        depth = np.load(folder / "depth" / f"{i:03d}.npz")["z"]
        radius = radius_of(depth, scene["lens"]["dof"])
        out = renderer.blur(read(folder / "aif" / f"{i:03d}.png"), radius)
        errors.append(out.astype(int) - read(folder / "dof" / f"{i:03d}.png"))
    renderer.close()
    assert np.mean([np.abs(b - a).mean() for a, b in pairwise(errors)]) <= limit
