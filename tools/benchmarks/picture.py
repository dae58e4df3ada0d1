"""Render a thin-lens ground truth from its true depth, and score the result.

    python tools/benchmarks/picture.py GROUND_TRUTH [--quality high fast live] [--keep FOLDER]

GROUND_TRUTH holds scenes (meta.json, aif.png, depth.npz, dof_*.png; clips have aif/, depth/ and
dof/) and score.py, which prints the table. The depth is metric; the lens of each picture comes from
meta.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rtfocus.frame import Disparity, Image
from rtfocus.lens import Lens
from rtfocus.render import make_renderer
from rtfocus.render.aperture import Aperture
from rtfocus.render.base import Renderer


def main() -> None:
    """Render and score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ground_truth", type=Path)
    parser.add_argument("--quality", nargs="+", default=["high", "fast", "live"])
    parser.add_argument("--method", default="lens")
    parser.add_argument("--keep", type=Path, help="folder for the pictures")
    args = parser.parse_args()
    for quality in args.quality:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (args.keep or Path(temporary)) / quality
            renderer = make_renderer(args.method, quality, aperture=Aperture(), threads=2)
            for meta in sorted(args.ground_truth.glob("*/meta.json")):
                render_scene(meta, renderer, folder / meta.parent.name)
            renderer.close()
            print(f"--quality {quality}", flush=True)
            score = [sys.executable, str(args.ground_truth / "score.py"), str(folder)]
            subprocess.run([*score, "--root", str(args.ground_truth), "--verbose"], check=True)


def render_scene(meta: Path, renderer: Renderer, out: Path) -> None:
    """Write every picture of a scene that has a truth."""
    scene = json.loads(meta.read_text())
    source = meta.parent
    camera = scene["camera"]
    if scene["kind"] == "still":
        for name, lens in scene["lens"].items():
            depth = np.load(source / "depth.npz")["z"]
            result = render(source / "aif.png", depth, camera, lens, renderer, cut=True)
            write(out / f"{name}.png", result)
        return
    for i in range(scene["frames"]):
        depth = np.load(source / "depth" / f"{i:03d}.npz")["z"]
        picture = source / "aif" / f"{i:03d}.png"
        result = render(picture, depth, camera, scene["lens"]["dof"], renderer, cut=i == 0)
        write(out / "dof" / f"{i:03d}.png", result)


def render(
    picture: Path,
    depth: np.ndarray[Any, Any],
    camera: dict[str, float],
    lens: dict[str, float],
    renderer: Renderer,
    *,
    cut: bool,
) -> Image:
    """The picture as that lens takes it."""
    image = cv2.cvtColor(cv2.imread(str(picture)), cv2.COLOR_BGR2RGB)
    disparity = Disparity(
        (1 / depth.astype(np.float64)).astype(np.float32), metric=(1.0, 0.0), cut=cut
    )
    thin_lens = Lens(
        f_number=camera["focal_length_mm"] / 1000 / lens["aperture_diameter_m"],
        focal_length_mm=camera["focal_length_mm"],
        sensor_width_mm=camera["sensor_width_mm"],
    )
    return renderer.render(image, disparity, 1 / lens["focus_distance_m"], thin_lens)


def write(path: Path, image: Image) -> None:
    """Write a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image[..., ::-1])


if __name__ == "__main__":
    main()
