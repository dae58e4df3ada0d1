"""Which photographs one learns from, and the form they are kept in."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from samples import Picture

SHORT, LONG, STEP = 256, 512, 32
_SMALLEST, _LONGEST_ASPECT = 200, 2.4

_NEAR = 26
"""Of 256 bits, in which near duplicates may differ."""


def fitted(picture: Picture) -> Picture | None:
    """The picture without uniform borders, its short side 256 and its long one at most 512.

    Both become multiples of 32, by resizing and a crop at the centre. None where it is too small or
    too long.
    """
    height, width, _ = (picture := _trimmed(picture)).shape
    if min(height, width) < _SMALLEST or max(height, width) > _LONGEST_ASPECT * min(height, width):
        return None
    scale = SHORT / min(height, width)
    size = max(SHORT, round(width * scale)), max(SHORT, round(height * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(picture, size, interpolation=way)
    width, height = (min(LONG, side // STEP * STEP) for side in size)
    x, y = (size[0] - width) // 2, (size[1] - height) // 2
    return np.ascontiguousarray(resized[y : y + height, x : x + width])


def flaw(picture: Picture) -> str:
    """Why a fitted picture (RGB) is no natural photograph in colour; empty if it may be one."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    saturation = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)[..., 1]
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    hues = lab[..., 1:].reshape(-1, 2) - 128
    spread = np.sqrt(np.maximum(np.linalg.eigvalsh(hues.T @ hues / len(hues)), 0))
    borders = grey[:8], grey[-8:], grey[:, :8], grey[:, -8:]
    rim = np.concatenate([part.ravel() for part in borders])
    levels = np.sort(np.bincount(grey.ravel() // 4, minlength=64)) / grey.size
    detail = cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), 0.7), cv2.CV_32F).var()
    flaws = {
        "grey or of one hue": spread[1] < 4 or spread[0] < 1.2 or (saturation < 24).mean() > 0.97,
        "on white": (rim > 244).mean() > 0.55 or (grey > 247).mean() > 0.4,
        "on black": (rim < 12).mean() > 0.6 or (grey < 10).mean() > 0.5,
        "flat": levels[-2:].sum() > 0.5,
        "dark": grey.mean() < 40 or np.percentile(grey, 95) < 90,
        "blurred": detail < 45,
    }
    return next((name for name, found in flaws.items() if found), "")


class Seen:
    """Knows a picture again, mirrored and at another size too, by its 256-bit difference hash."""

    def __init__(self) -> None:
        self._bits: list[NDArray[np.bool_]] = []

    def add(self, picture: Picture) -> bool:
        """Remember it; False, and nothing is remembered, where something like it was there."""
        plain, mirrored = _hash(picture), _hash(picture[:, ::-1])
        if self._bits:
            known = np.stack(self._bits)
            if min((known != bits).sum(1).min() for bits in (plain, mirrored)) <= _NEAR:
                return False
        self._bits.append(plain)
        return True


def _hash(picture: Picture) -> NDArray[np.bool_]:
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (17, 16), interpolation=cv2.INTER_AREA).astype(int)
    return np.asarray(small[:, 1:] > small[:, :-1]).ravel()


def _trimmed(picture: Picture) -> Picture:
    """Without letterbox bars and frames."""
    for axis in (0, 1):
        varies = picture.astype(np.float32).std(axis=1 - axis).max(axis=1) >= 3
        inner = np.flatnonzero(varies)
        if not inner.size:
            return picture[:0]
        # The border blends into the picture over some pixels.
        first = inner[0] + 2 if inner[0] else 0
        last = inner[-1] - 2 if inner[-1] + 1 < len(varies) else inner[-1]
        kept = slice(first, last + 1)
        picture = picture[kept] if axis == 0 else picture[:, kept]
    return picture
