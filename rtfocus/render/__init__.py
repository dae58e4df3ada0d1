"""Blur a picture by its depth."""

from __future__ import annotations

from rtfocus.render.aperture import Aperture
from rtfocus.render.base import Renderer
from rtfocus.render.graded import GradedRenderer
from rtfocus.render.layered import LensRenderer
from rtfocus.render.layers import TIERS
from rtfocus.render.reduced import ReducedRenderer, Reduction

__all__ = ["Renderer", "make_renderer"]


def make_renderer(
    method: str,
    quality: str,
    *,
    aperture: Aperture,
    highlights: float = 1.0,
    threads: int = 1,
    reduction: Reduction | None = None,
) -> Renderer:
    """The renderer of a method (lens, or one of `rtfocus.render.graded.METHODS`) and a tier.

    The reduction is that of the tier "live", where others have to agree on it.
    """
    if method != "lens":
        return GradedRenderer(method)
    renderer = LensRenderer(TIERS[quality], aperture, highlights=highlights, threads=threads)
    if quality != "live":
        return renderer
    return ReducedRenderer(renderer, reduction or Reduction(), threads)
