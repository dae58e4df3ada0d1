"""Pictures with transparent parts."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Sample = TypeVar("Sample", np.uint8, np.uint16)


def over_black(pixels: NDArray[Sample]) -> NDArray[Sample]:
    """Lay (h, w, 4) RGB with straight alpha over black: (h, w, 3) of the same type."""
    top = int(np.iinfo(pixels.dtype).max)
    alpha = pixels[..., 3]
    if int(alpha.min()) == top:
        return np.ascontiguousarray(pixels[..., :3])
    product = pixels[..., :3].astype(np.uint32) * alpha[..., None]
    return ((product + top // 2) // top).astype(pixels.dtype)
