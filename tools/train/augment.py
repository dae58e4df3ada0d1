"""Other pictures of the same thing: another camera, another moment."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from samples import Map, Picture, Sample


def another_camera(rng: np.random.Generator, picture: Picture) -> Picture:
    """Change exposure, tone, white balance, sharpness, noise and compression, each or not."""
    x = picture.astype(np.float32) / 255
    x = x ** rng.uniform(0.6, 1.5) * (rng.uniform(0.7, 1.25) * rng.uniform(0.88, 1.12, 3))
    if rng.random() < 0.15:
        grey = x.mean(axis=2, keepdims=True)
        x = grey + (x - grey) * rng.uniform(0, 1.4)
    if rng.random() < 0.2:
        x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 1.2))
    if rng.random() < 0.5:
        sigma = rng.uniform(0, 0.035)
        x += rng.standard_normal(x.shape, np.float32) * sigma
    picture = np.clip(x * 255 + 0.5, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.integers(25, 90))
        _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)  # type: ignore[assignment]
    return picture


def another_frame(rng: np.random.Generator, sample: Sample) -> tuple[Sample, Map]:
    """The same scene a moment later, cropped and scaled a little, or mirrored, or much closer.

    Returns:
        The second frame; what leaves the first is not `static`. And theta, (2, 3) float32, which
        takes its places, in -1..1, to the first's (`torch.nn.functional.affine_grid`).
    """
    height, width = size = sample.picture.shape[:2]
    much = rng.random() < 0.25
    zoom = rng.uniform(0.65, 1.0) if much else rng.normal(1, 0.015)
    shift = rng.normal(0, 0.1 if much else 0.01, 2) * (width, height)
    mirror = -1.0 if rng.random() < 0.25 else 1.0
    matrix = np.array([[mirror * zoom, 0, 0], [0, zoom, 0]], np.float32)
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    matrix[:, 2] = centre + shift - matrix[:, :2] @ centre

    def moved(plane: np.ndarray, border: int = cv2.BORDER_REFLECT) -> np.ndarray:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(plane, matrix, size[::-1], flags=flags, borderMode=border)

    second = replace(
        sample,
        picture=moved(sample.picture),
        inverse_depth=moved(sample.inverse_depth),
        confidence=moved(sample.confidence),
        edges=moved(sample.edges),
        static=np.floor(moved(sample.static, cv2.BORDER_CONSTANT) + 1e-3),
    )
    (a, _, c), (_, d, f) = matrix
    offset = (a * (width - 1) + 2 * c + 1) / width - 1, (d * (height - 1) + 2 * f + 1) / height - 1
    return second, np.array([[a, 0, offset[0]], [0, d, offset[1]]], np.float32)
