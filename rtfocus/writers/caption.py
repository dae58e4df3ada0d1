"""Words on a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2

from rtfocus.frame import Image

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_WHITE = (255, 255, 255)
_LOST = "no signal"


def draw_lines(image: Image, lines: Sequence[str]) -> Image:
    """A copy with lines of text at the top left, white on the picture darkened.

    Args:
        image: (h, w, 3) uint8.
        lines: ASCII, which is all that older OpenCV's fonts have.
    """
    out = image.copy()
    if not lines:
        return out
    scale = max(0.5, image.shape[0] / 900)
    step = round(32 * scale)
    width = max(cv2.getTextSize(line, _FONT, scale, 1)[0][0] for line in lines)
    out[: step * len(lines) + step // 3, : width + step] //= 3
    for i, line in enumerate(lines):
        place = (step // 2, step * (i + 1) - step // 6)
        cv2.putText(out, line, place, _FONT, scale, _WHITE, 1, cv2.LINE_AA)
    return out


def mark_lost(image: Image) -> Image:
    """A copy that says that this is the last picture of a source that is lost."""
    return draw_lines(image, [_LOST])
