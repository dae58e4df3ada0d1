"""The thin lens on a CPU."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.frame import Disparity, Image, Map
from rtfocus.kernels.bands import Bands
from rtfocus.kernels.behind import continue_surfaces, look_behind, reduce_far
from rtfocus.kernels.colour import linearise, srgb_tables
from rtfocus.kernels.layers import TILE_HEIGHT, render_tiles
from rtfocus.kernels.membership import CELL, NOTHING, classify, collect
from rtfocus.kernels.mixed import claim_mixed
from rtfocus.lens import Lens
from rtfocus.render.aperture import Aperture
from rtfocus.render.highlights import Highlights
from rtfocus.render.layers import SHARP, SURROUNDINGS, LayerPlan, Tier, plan_layers

_NEIGHBOURS = np.ones((3, 3), np.uint8)


class LensRenderer:
    """A thin lens: layers blurred by the aperture, composited far to near in linear light.

    1. Pixels on an outline that show some of a nearer thing are counted to that.
    2. Every pixel goes to the layer of its circle of confusion (`rtfocus.render.layers`), and every
       layer gets the kernel of its members' mean radius.
    3. Highlights that were clipped get an estimate of their light back.
    4. Behind pixels a second layer number and colour are guessed: their own surface, where it goes
       on in a farther layer, so that nothing shines through between the two; else, behind a
       blurred foreground, its surroundings, so that what shows through its soft edge is background
       and not a sharp copy of the foreground.
    5. Per tile, the layers that reach it are blurred and composited, each filling the holes of what
       lies behind.

    Pixels whose radius is below 0.5 px, and that no blurred nearer layer covers, keep their bytes.

    Pictures that follow each other are taken for a video. Not safe for use from several threads at
    once.
    """

    def __init__(
        self, tier: Tier, aperture: Aperture, *, highlights: float = 1.0, threads: int = 1
    ) -> None:
        """Args: tier: see TIERS. highlights: share of the lost light given back, 0 for none."""
        self._tier = tier
        self._aperture = aperture
        self._highlights = Highlights(highlights)
        self._bands = Bands(threads)
        self._decode, self._encode = srgb_tables()
        self._size: tuple[int, int] | None = None

    def render(self, image: Image, disparity: Disparity, focus: float, lens: Lens) -> Image:
        """See `Renderer.render`."""
        return self.blur(image, lens.radius(disparity, focus), begins=disparity.cut)

    def blur(self, image: Image, radius: Map, *, begins: bool = False) -> Image:
        """Blur every pixel by its signed radius in pixels, > 0 in front of the plane of focus.

        Where a new shot begins, nothing of the pictures before counts.
        """
        return self.blur_reduced(image, radius, image, begins=begins)[0]

    def blur_reduced(
        self, image: Image, radius: Map, original: Image, *, begins: bool = False
    ) -> tuple[Image, NDArray[np.uint8]]:
        """`blur`, and how much of the result is every pixel's own light: (h, w), 255 where all is.

        Args:
            image: (h, w, 3) uint8, of which nothing is blurred yet.
            radius: (h, w), see `blur`.
            original: the picture of which `image` is a reduced copy, which says less of clipped
                highlights; or `image` itself.
            begins: see `blur`.
        """
        height, width = radius.shape
        if image.shape != (height, width, 3):
            raise ValueError(f"a picture of {image.shape} does not go with radii of {radius.shape}")
        self._allocate(height, width)
        reach = float(max(radius.max(), -radius.min()))
        if not np.isfinite(reach):
            raise ValueError("the radius map holds values that are not finite")
        # Beyond twice the diagonal every blur is the picture's mean.
        limit = min(reach, 2.0 * (height**2 + width**2) ** 0.5)
        plan = plan_layers(limit, self._tier, self._aperture)

        self._bands.run(height, linearise, image, self._decode, self._linear)
        near = cv2.dilate(radius, _NEIGHBOURS)
        self._bands.run(height, claim_mixed, self._linear, radius, near, self._radius)
        radius = self._radius
        members = np.empty((height, len(plan.radius), 2))
        self._bands.run(height, classify, radius, plan.lookup, plan.limit, self._layer, members)
        kernels, sharp = plan.kernels(members.sum(axis=0)), len(plan.radius) // 2
        lights = self._highlights
        restore = lights.restore if original is image else lights.restore_reduced
        restore(original, self._linear, self._layer, sharp, begins=begins)
        self._find_behind(radius, plan)
        rows = len(self._cells)
        self._bands.run(rows, collect, self._layer, self._cells)
        self._bands.run(rows, collect, self._behind_layer, self._back_cells)
        out, own = np.empty_like(image), np.empty((height, width), np.uint8)
        self._bands.run(
            -(-height // TILE_HEIGHT),
            render_tiles,
            image,
            (self._linear, self._layer),
            (self._behind, self._behind_layer),
            self._cells,
            self._back_cells,
            sharp,
            (plan.scale, kernels.reach, kernels.start, kernels.stop, kernels.norm),
            (
                plan.across,
                kernels.top,
                kernels.top_part,
                kernels.bottom,
                kernels.bottom_part,
            ),
            self._encode,
            out,
            own,
        )
        return out, own

    def close(self) -> None:
        """See `Renderer.close`."""
        self._bands.close()

    def _find_behind(self, radius: Map, plan: LayerPlan) -> None:
        """Fill in what lies behind what is seen.

        Where it is not its own surface, it is found for a blurred foreground from its finest to
        its coarsest surroundings.
        """
        self._behind_layer.fill(NOTHING)
        self._bands.run(
            radius.shape[0],
            continue_surfaces,
            self._linear,
            radius,
            plan.edge,
            self._layer,
            self._behind,
            self._behind_layer,
        )
        nearest = float(radius.max())
        if nearest < SHARP:
            return
        colour, level, scale = self._linear, radius, 1.0
        while min(level.shape) > 1 and 1 / scale <= SURROUNDINGS * nearest:
            least = int(np.searchsorted(SURROUNDINGS * plan.edge, 1 / scale))
            height, width = (level.shape[0] + 1) // 2, (level.shape[1] + 1) // 2
            small_colour = np.empty((3, height, width), np.float32)
            small_level = np.empty((height, width), np.float32)
            self._bands.run(height, reduce_far, colour, level, small_colour, small_level)
            colour, level, scale = small_colour, small_level, scale / 2
            self._bands.run(
                radius.shape[0],
                look_behind,
                colour,
                level,
                np.float32(scale),
                least,
                plan.edge,
                plan.lookup,
                plan.limit,
                self._layer,
                self._behind,
                self._behind_layer,
            )

    def _allocate(self, height: int, width: int) -> None:
        """Working memory for pictures of this size, kept from one to the next."""
        if self._size == (height, width):
            return
        self._size = (height, width)
        self._linear = np.empty((3, height, width), np.float32)
        self._radius = np.empty((height, width), np.float32)
        self._layer = np.empty((height, width), np.uint8)
        # Zeros, since what is not known is multiplied by 0, which must not be NaN.
        self._behind = np.zeros((3, height, width), np.float32)
        self._behind_layer = np.empty((height, width), np.uint8)
        cells = (-(-height // CELL), -(-width // CELL))
        self._cells = np.empty(cells, np.uint64)
        self._back_cells = np.empty(cells, np.uint64)
