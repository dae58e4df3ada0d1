"""Slow float64 references, written from the formulas and not from the renderer."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def to_linear(code: NDArray[np.uint8]) -> Array:
    """IEC 61966-2-1."""
    v = code / 255.0
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def to_code(linear: Array) -> NDArray[np.uint8]:
    """IEC 61966-2-1, clipped and rounded."""
    v = np.clip(linear, 0, 1)
    v = np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055)
    return np.round(255 * v).astype(np.uint8)


def disc(radius: float, samples: int = 16) -> Array:
    """A uniform disc, each pixel weighted by the share of it that the disc covers."""
    reach = int(np.ceil(radius + 0.5))
    side = (2 * reach + 1) * samples
    at = (np.arange(side) + 0.5) / samples - reach - 0.5
    inside = np.hypot(at[:, None], at[None, :]) <= radius
    kernel = inside.reshape(2 * reach + 1, samples, 2 * reach + 1, samples).mean(axis=(1, 3))
    return kernel / kernel.sum()


def convolve(picture: Array, kernel: Array) -> Array:
    """Direct convolution of (h, w) or (h, w, c), the border repeated."""
    reach = kernel.shape[0] // 2
    pad = [(reach, reach), (reach, reach)] + [(0, 0)] * (picture.ndim - 2)
    padded = np.pad(picture, pad, mode="edge")
    height, width = picture.shape[:2]
    out = np.zeros_like(picture)
    for j, i in zip(*np.nonzero(kernel), strict=True):
        out += kernel[j, i] * padded[j : j + height, i : i + width]
    return out


def two_planes(
    front: Array, mask: Array, back: Array, front_radius: float, back_radius: float
) -> Array:
    """The exact thin-lens picture of a plane before another, whose hidden part is known.

    Args:
        front: linear colour (h, w, 3), of which `mask` (h, w) is there.
        mask: coverage.
        back: linear colour (h, w, 3), complete.
        front_radius: of its circle of confusion, in pixels.
        back_radius: likewise.
    """

    def blur(picture: Array, radius: float) -> Array:
        return convolve(picture, disc(radius)) if radius >= 0.5 else picture

    alpha = blur(mask, front_radius)[..., None]
    return blur(front * mask[..., None], front_radius) + (1 - alpha) * blur(back, back_radius)


def psnr(
    a: NDArray[np.uint8], b: NDArray[np.uint8], where: NDArray[np.bool_] | None = None
) -> float:
    """Of 8-bit pictures, in dB, over the pixels of a mask."""
    error = (a.astype(np.float64) - b) ** 2
    mean = error.mean() if where is None else error[where].mean()
    return float(10 * np.log10(255**2 / max(mean, 1e-9)))
