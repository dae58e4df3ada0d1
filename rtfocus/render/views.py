"""What to show: the result, or how it came about."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from rtfocus.frame import Disparity, Image, Map
from rtfocus.lens import Lens
from rtfocus.render.layers import SHARP

View = Literal["result", "original", "depth", "coc", "split"]

_NEAR = np.array([255, 140, 0], np.float32)
_FAR = np.array([0, 110, 255], np.float32)


def draw_view(
    view: View, image: Image, result: Image, disparity: Disparity, focus: float, lens: Lens
) -> Image:
    """The picture that a view shows, (h, w, 3) uint8.

    Args:
        view: result, original, depth (MAGMA, bright is near), coc (in focus as it is, near orange,
            far blue), or split (original left, result right).
        image: the original.
        result: the refocused picture; only looked at by result and split.
        disparity: at the picture's size.
        focus: normalised disparity of the plane of focus.
        lens: for the circle of confusion.
    """
    if view == "result":
        return result
    if view == "original":
        return image
    if view == "depth":
        return draw_depth(disparity)
    if view == "coc":
        return draw_circle_of_confusion(image, lens.radius(disparity, focus))
    return draw_split(image, result)


def draw_depth(disparity: Disparity) -> Image:
    """Normalised disparity in the MAGMA colours, bright is near."""
    codes = np.clip(disparity.values * 255 + 0.5, 0, 255).astype(np.uint8)
    bgr = cv2.applyColorMap(codes, cv2.COLORMAP_MAGMA)
    return np.ascontiguousarray(bgr[..., ::-1], np.uint8)


def draw_circle_of_confusion(image: Image, radius: Map) -> Image:
    """What is in focus as it is; the rest grey, tinted the more the larger its blur."""
    amount = np.abs(radius)
    blurred = amount >= SHARP
    strength = (0.25 + 0.75 * amount / max(float(amount.max()), SHARP))[..., None]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None] * np.float32(0.6)
    colour = np.where(radius[..., None] > 0, _NEAR, _FAR)
    tinted = grey + (colour - grey) * (0.75 * strength)
    return np.where(blurred[..., None], tinted, image).astype(np.uint8)


def draw_split(image: Image, result: Image) -> Image:
    """The left half of the original and the right half of the result, with a line between."""
    out = result.copy()
    middle = image.shape[1] // 2
    line = max(1, image.shape[1] // 640)
    out[:, :middle] = image[:, :middle]
    out[:, middle : middle + line] = 255
    return out
