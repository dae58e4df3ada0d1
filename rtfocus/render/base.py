"""The contract of all renderers."""

from __future__ import annotations

from typing import Protocol

from rtfocus.frame import Disparity, Image
from rtfocus.lens import Lens


class Renderer(Protocol):
    """Makes the refocused picture."""

    def render(self, image: Image, disparity: Disparity, focus: float, lens: Lens) -> Image:
        """The picture with its plane of focus at the normalised disparity `focus`."""

    def close(self) -> None:
        """End the renderer's threads; safe to call twice."""
