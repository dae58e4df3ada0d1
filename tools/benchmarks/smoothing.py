"""How steady depth becomes over time, and whether moving edges pay for it.

    python tools/benchmarks/smoothing.py [--frames 120]
    python tools/benchmarks/smoothing.py --clip CLIP --model NETWORK.onnx

Without a clip: the built-in scene's true disparity, disturbed in every frame by a random scale
(+-10 %), shift (+-5 % of its range) and noise (2 % of its range, per pixel), on a grid of 192 x
320. Errors are root mean squares in percent of the range after one fit of scale and shift for the
whole sequence, from the second second on. "moving edges" are pixels within 2 of a change of the
true disparity since the frame before; what they are compared with are maps that only have the
noise, as if every frame had been aligned perfectly.

With a clip: standard deviation over time of the network's normalised disparity where the picture
stands still.
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.depth.network import NetworkDepth
from rtfocus.device import resolve
from rtfocus.frame import Frame, Map
from rtfocus.readers import open_reader
from rtfocus.smooth import Smoother

GRID = (320, 192)
STRENGTH = 0.5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=120)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--clip")
    parser.add_argument("--model", type=Path)
    args = parser.parse_args()
    if args.clip is not None:
        measure_clip(args.clip, args.model)
    else:
        measure_pattern(args.size, args.frames)


def smooth(pairs: list[tuple[Frame, Map]], strength: float, ahead: int) -> list[Map]:
    """The smoothed maps."""
    smoother = Smoother("relative", strength=strength, ahead=ahead)
    return [disparity.values for _, disparity in smoother.stream(pairs)]


def measure_pattern(size: str, count: int) -> None:
    """The disturbed scene."""
    random = np.random.default_rng(0)
    with open_reader(f"pattern:{size}@30,{count / 30:.4f}s") as reader:
        frames = list(reader)
    truth = [
        cv2.resize(f.disparity, GRID, interpolation=cv2.INTER_NEAREST)
        for f in frames
        if f.disparity is not None
    ]
    span = float(np.ptp(truth[0]))
    noisy = [t + random.normal(0, 0.02 * span, t.shape).astype(np.float32) for t in truth]
    disturbed = [
        np.float32(random.uniform(0.9, 1.1)) * n + np.float32(random.uniform(-0.05, 0.05) * span)
        for n in noisy
    ]
    pairs = list(zip(frames, disturbed, strict=True))
    static = np.ptp(truth, axis=0) < 0.002 * span
    moving = [np.zeros_like(static)] + [
        cv2.dilate((np.abs(b - a) > 0.05 * span).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
        for a, b in pairwise(truth)
    ]
    print(f"static {static.mean():.0%} of the picture, moving edges {np.mean(moving):.1%}")
    errors = {}
    start = time.process_time()
    causal = smooth(pairs, STRENGTH, 0)
    cpu = (time.process_time() - start) / count * 1000
    for name, maps in {
        "unsmoothed": disturbed,
        "aligned only": smooth(pairs, 0.0, 0),
        "no look-ahead": causal,
        "10 frames ahead": smooth(pairs, STRENGTH, 10),
        "noise only": noisy,
    }.items():
        fitted = fit(maps, truth)
        late = range(30, count)
        errors[name] = [
            100 / span * rms(np.concatenate([(fitted[i] - truth[i])[m(i)] for i in late]))
            for m in (lambda _: static, lambda i: moving[i])
        ]
    for name, (still, edges) in errors.items():
        print(
            f"{name:15s} static {still:6.3f} % ({errors['unsmoothed'][0] / still:5.1f} x less), "
            f"moving edges {edges:6.3f} % ({edges / errors['noise only'][1]:5.2f} x noise only)"
        )
    print(f"{cpu:.1f} ms of CPU per frame")


def fit(maps: list[Map], truth: list[Map]) -> list[NDArray[np.float64]]:
    """The maps after the one scale and shift that fits the sequence best."""
    x, y = (np.stack(m).astype(np.float64) for m in (maps, truth))
    scale, shift = np.polyfit(x[30::7].ravel(), y[30::7].ravel(), 1)
    return list(scale * x + shift)


def rms(values: NDArray[np.float64]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(values**2)))


def measure_clip(clip: str, model: Path) -> None:
    """A network on a real clip."""
    with open_reader(clip) as reader:
        picture = (reader.info.height, reader.info.width)
        network = NetworkDepth(model, device=resolve("cpu"), picture=picture)
        pairs = [(frame, network.estimate(frame)) for frame in reader]
    height, width = pairs[0][1].shape
    small = np.stack([
        cv2.resize(f.image, (width, height), interpolation=cv2.INTER_AREA).mean(axis=2)
        for f, _ in pairs
    ])  # fmt: skip
    deviation = small.std(axis=0)
    static = deviation < max(1.5 * float(np.median(deviation)), 2.0)
    static = cv2.erode(static.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    low, high = np.percentile(pairs[0][1], (2, 98))
    raw = np.stack([(d - low) / (high - low) for _, d in pairs])
    print(f"static {static.mean():.0%} of the picture, {len(pairs)} frames")
    before = float(np.median(raw.std(axis=0)[static]))
    print(f"unsmoothed      deviation over time {100 * before:.3f} % of the range")
    for ahead in (0, 10):
        after = np.stack(smooth(pairs, STRENGTH, ahead))
        value = float(np.median(after.std(axis=0)[static]))
        late = float(np.median(raw[30:].std(axis=0)[static]))
        late /= float(np.median(after[30:].std(axis=0)[static]))
        print(f"{ahead} frames ahead  deviation over time {100 * value:.3f} % "
              f"({before / value:.1f} x less, {late:.1f} x from the second second on)")  # fmt: skip


if __name__ == "__main__":
    main()
