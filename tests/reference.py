"""Slow float64 references, written from the formulas and not from the renderer."""

from __future__ import annotations

from collections.abc import Sequence

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
    at = _positions(radius, samples)
    return _pixels(np.hypot(at[:, None], at[None, :]) <= radius, samples)


def polygon(radius: float, blades: int, rotation: float = 0.0, samples: int = 16) -> Array:
    """A regular polygon with the area of a disc of `radius`, as `disc` does.

    At rotation 0 one corner is at the top; degrees turn it clockwise, y pointing down.
    """
    # Area of a regular n-gon with the apothem a: n a^2 tan(pi / n).
    apothem = radius * np.sqrt(np.pi / (blades * np.tan(np.pi / blades)))
    at = _positions(apothem / np.cos(np.pi / blades), samples)
    inside = np.ones((len(at), len(at)), bool)
    for blade in range(blades):
        angle = 2 * np.pi * (blade + 0.5) / blades + np.radians(rotation)
        inside &= at[None, :] * np.sin(angle) - at[:, None] * np.cos(angle) <= apothem
    return _pixels(inside, samples)


def _positions(extent: float, samples: int) -> Array:
    """Centres of the samples along one axis of a kernel that holds `extent`, 0 in the middle."""
    reach = int(np.ceil(extent + 0.5))
    return (np.arange((2 * reach + 1) * samples) + 0.5) / samples - reach - 0.5


def _pixels(inside: NDArray[np.bool_], samples: int) -> Array:
    """The share of every pixel that is inside, as weights of sum 1."""
    side = len(inside) // samples
    kernel = inside.reshape(side, samples, side, samples).mean(axis=(1, 3))
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
    """`compose` of a plane before another, which is complete."""
    return compose([(back, np.ones_like(mask), back_radius), (front, mask, front_radius)])


def compose(planes: Sequence[tuple[Array, Array, float]]) -> Array:
    """The exact thin-lens picture of planes of constant depth whose hidden parts are known.

    Args:
        planes: far to near, each its linear colour (h, w, 3), complete; coverage (h, w); and the
            radius of its circle of confusion in pixels, of either sign.
    """
    out = np.zeros_like(planes[0][0])
    for colour, mask, radius in planes:
        light, alpha = colour * mask[..., None], mask
        if abs(radius) >= 0.5:
            kernel = disc(abs(radius))
            light, alpha = convolve(light, kernel), convolve(alpha, kernel)
        out = light + (1 - alpha[..., None]) * out
    return out


def scatter(picture: Array, radius: Array) -> Array:
    """Every pixel spreads its linear light (h, w, 3) over its disc; the nearer hides the farther.

    For depth without hidden parts, or whose hidden parts look like what is seen beside them. A
    pixel receives from the nearest source on until it is covered; where all sources together cover
    less, what is missing looks like the rest. Discs have an edge one pixel wide.
    """
    reach = int(np.ceil(np.abs(radius).max())) + 1
    height, width = radius.shape
    steps = [(j, i) for j in range(2 * reach + 1) for i in range(2 * reach + 1)]
    distance = np.array([np.hypot(j - reach, i - reach) for j, i in steps])

    def sources(values: Array) -> Array:
        pad = [(reach, reach)] * 2 + [(0, 0)] * (values.ndim - 2)
        padded = np.pad(values, pad, mode="edge")
        return np.stack([padded[j : j + height, i : i + width] for j, i in steps], axis=2)

    signed = sources(radius)
    size = np.where(np.abs(signed) < 0.5, 0.0, np.abs(signed))
    sizes = np.linspace(0, reach, 64 * reach + 1)
    areas = [np.clip(r + 0.5 - distance, 0, 1).sum() for r in sizes]
    cover = np.clip(size + 0.5 - distance, 0, 1) / np.interp(size, sizes, areas)
    near_first = np.argsort(-signed, axis=2, kind="stable")
    covered = np.minimum(np.cumsum(np.take_along_axis(cover, near_first, axis=2), axis=2), 1)
    weight = np.empty_like(cover)
    np.put_along_axis(weight, near_first, np.diff(covered, axis=2, prepend=0), axis=2)
    light = (weight[..., None] * sources(picture)).sum(axis=2)
    return light / weight.sum(axis=2)[..., None]


def psnr(
    a: NDArray[np.uint8], b: NDArray[np.uint8], where: NDArray[np.bool_] | None = None
) -> float:
    """Of 8-bit pictures, in dB, over the pixels of a mask."""
    error = (a.astype(np.float64) - b) ** 2
    mean = error.mean() if where is None else error[where].mean()
    return float(10 * np.log10(255**2 / max(mean, 1e-9)))


def texture(height: int, width: int, seed: int = 0, cell: int = 3) -> np.ndarray:
    random = np.random.default_rng(seed)
    small = random.integers(30, 226, (-(-height // cell), -(-width // cell), 3), dtype=np.uint8)
    return np.ascontiguousarray(small.repeat(cell, 0).repeat(cell, 1)[:height, :width])


def const(height: int, width: int, radius: float) -> np.ndarray:
    return np.full((height, width), radius, np.float32)
