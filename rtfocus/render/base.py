"""The contract of all renderers."""

from __future__ import annotations

from typing import Protocol

from rtfocus.frame import Disparity, Image
from rtfocus.lens import Lens


class Renderer(Protocol):
    """Makes the refocused pictures of a video, in their order: it may remember what it saw."""

    def render(self, image: Image, disparity: Disparity, focus: float, lens: Lens) -> Image:
        """The picture with its plane of focus at the normalised disparity `focus`.

        Args:
            image: (h, w, 3) uint8 RGB.
            disparity: of the picture, (h, w); after its cut nothing from before counts.
            focus: normalised disparity.
            lens: the lens.

        Returns:
            (h, w, 3) uint8 RGB, in memory of its own.

        Raises:
            UsageError: a physical lens was asked for, but the depth is not metric.
        """

    def close(self) -> None:
        """End the renderer's threads; safe to call twice."""
