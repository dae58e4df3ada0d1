"""Pictures for formats that halve the chroma in both directions."""

from __future__ import annotations

import numpy as np

from rtfocus.errors import UsageError
from rtfocus.frame import Image


def even_size(width: int, height: int, output: str) -> tuple[int, int]:
    """Width and height less an odd last column and row; `UsageError` where nothing is left."""
    if width < 2 or height < 2:
        raise UsageError(f"{output!r} cannot show a picture of {width}x{height}: too small")
    return width // 2 * 2, height // 2 * 2


def crop_to_even(image: Image) -> Image:
    """The picture without an odd last row and column, C-contiguous."""
    height, width, _ = image.shape
    return np.ascontiguousarray(image[: height // 2 * 2, : width // 2 * 2])
