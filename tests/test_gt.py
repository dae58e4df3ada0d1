"""The renderer on a thin-lens ground truth that is not part of the project."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from reference import psnr

from rtfocus.render.aperture import Aperture
from rtfocus.render.layered import LensRenderer
from rtfocus.render.layers import TIERS


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
    for image, radius, truth in still_settings(shared):
        out = renderer.blur(image, radius)
        whole.append(psnr(out, truth))
        sharp.append(psnr(out, truth, np.abs(radius) < 0.5))
    renderer.close()
    assert len(whole) == 9
    assert np.mean(whole) >= all_over
    assert np.mean(sharp) >= in_focus


def reach_of_highlights(image: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Where light of clipped pixels may fall: discs of their radius and 2 px, in steps of 2 px."""
    clipped = image.max(axis=-1) == 255
    reach = np.where(clipped, np.abs(radius) + 2, 0)
    covered = clipped.copy()
    for step in np.arange(1.0, reach.max() + 2, 2.0):
        wide = clipped & (reach > step - 2)
        if wide.any():
            away = cv2.distanceTransform((~wide).astype(np.uint8), cv2.DIST_L2, 5)
            covered |= away <= min(step, reach.max())
    return covered


def still_settings(shared: Path) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Picture, radius and truth of every setting of every still."""
    for meta in sorted((shared / "gt").glob("*/meta.json")):
        scene = json.loads(meta.read_text())
        if scene["kind"] != "still":
            continue
        image, depth = read(meta.parent / "aif.png"), np.load(meta.parent / "depth.npz")["z"]
        for name, lens in scene["lens"].items():
            yield image, radius_of(depth, lens), read(meta.parent / f"{name}.png")


def test_outside_clipped_highlights(shared: Path) -> None:
    renderer = LensRenderer(TIERS["high"], Aperture(), threads=2)
    scores = [
        psnr(renderer.blur(image, radius), truth, ~reach_of_highlights(image, radius))
        for image, radius, truth in still_settings(shared)
    ]
    renderer.close()
    assert len(scores) == 9
    assert np.mean(scores) >= 36.0


@pytest.mark.parametrize(("quality", "limit"), [("high", 0.95), ("fast", 0.94)])
def test_structural_similarity(shared: Path, quality: str, limit: float) -> None:
    metrics = pytest.importorskip("skimage.metrics", reason="needs scikit-image")
    renderer = LensRenderer(TIERS[quality], Aperture(), threads=2)
    scores = [
        metrics.structural_similarity(
            renderer.blur(image, radius),
            truth,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
        )
        for image, radius, truth in still_settings(shared)
    ]
    renderer.close()
    assert np.mean(scores) >= limit


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
