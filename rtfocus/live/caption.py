"""Words on a picture."""

from __future__ import annotations

from collections.abc import Sequence

import cv2

from rtfocus.frame import Image

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_LOST = "no signal"


def draw_lines(image: Image, lines: Sequence[str]) -> Image:
    """A copy with lines of text at the top left, white on a dark outline.

    Args:
        image: (h, w, 3) uint8.
        lines: ASCII, which is all that OpenCV's fonts have.
    """
    out = image.copy()
    scale = max(0.4, image.shape[0] / 900)
    step = round(30 * scale)
    for i, line in enumerate(lines):
        place = (step // 2, step * (i + 1))
        for colour, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            thickness = max(1, round(width * scale))
            cv2.putText(out, line, place, _FONT, scale, colour, thickness, cv2.LINE_AA)
    return out


def mark_lost(image: Image) -> Image:
    """A copy that says that this is the last picture of a source that is lost."""
    return draw_lines(image, [_LOST])
