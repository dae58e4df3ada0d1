"""Which blur layers a picture is cut into, and the kernel of each.

Layers are bands of signed radius, far to near. Hard membership (a pixel is in one layer) and steps
that grow with the radius keep the number near 16 and the picture equal to a full scatter's;
measured in tools/benchmarks/README.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rtfocus.kernels.layers import TILE_HEIGHT
from rtfocus.kernels.membership import LOOKUP_STEP
from rtfocus.render.aperture import Aperture, Spans

SHARP = 0.5
"""Radius in pixels below which nothing is blurred; a multiple of `LOOKUP_STEP`."""

SURROUNDINGS = 2.0
"""What lies behind a pixel is looked for in ever coarser surroundings, until a cell of them is
wider than this many radii of its blur."""

MAX_SCALE = TILE_HEIGHT
"""Largest reduction: a tile is not smaller."""

MAX_LAYERS = 63
"""One bit each in a tile's mask."""


@dataclass(frozen=True, slots=True)
class Tier:
    """What quality costs.

    Attributes:
        growth: relative step in radius from one layer to the next.
        half_from: radius in pixels from which a layer is blurred at half resolution, at a quarter
            from twice that, and so on.
    """

    growth: float
    half_from: float


_FAST = Tier(growth=0.30, half_from=5.0)
TIERS = {"high": Tier(growth=0.30, half_from=16.0), "fast": _FAST, "live": _FAST}
"""By quality; on a CPU that of "live" is for a reduced picture, see `rtfocus.render.reduced`."""


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """The layers of one rendering, far to near; arrays have one entry per layer.

    Attributes:
        lookup: uint8, layer of the radius (i + 0.5) * LOOKUP_STEP - limit, where i is the index.
        limit: largest radius in the table, in pixels.
        edge: float32, the radius at which the layer begins on its far side.
        radius: float32, signed radius that stands for the layer, 0 for the sharp one.
        scale: int64, 1, 2, 4, ...: the layer is blurred on a grid reduced by this.
        reach: int64, how far the blur spreads, in pixels of the reduced grid.
        first: int64, (n + 1,), where the layer's columns start in the arrays below.
        across: int64, the column's dx, in pixels.
        top, bottom: int64, whole pixels from a pixel's upper edge to the ends of the column's span.
        top_part, bottom_part: float32, the fractions that remain.
        norm: float32, 1 / area of the kernel.
    """

    lookup: NDArray[np.uint8]
    limit: float
    edge: NDArray[np.float32]
    radius: NDArray[np.float32]
    scale: NDArray[np.int64]
    reach: NDArray[np.int64]
    first: NDArray[np.int64]
    across: NDArray[np.int64]
    top: NDArray[np.int64]
    top_part: NDArray[np.float32]
    bottom: NDArray[np.int64]
    bottom_part: NDArray[np.float32]
    norm: NDArray[np.float32]


def boundaries(limit: float, growth: float) -> list[float]:
    """Radii at which one side's layers begin, from SHARP to the first at or beyond `limit`."""
    edges = [SHARP]
    while edges[-1] < limit:
        edges.append(edges[-1] + max(SHARP, growth * edges[-1]))
    return edges


def plan_layers(limit: float, tier: Tier, aperture: Aperture) -> LayerPlan:
    """The layers for radii up to `limit` pixels on either side."""
    growth = tier.growth
    while 2 * len(edges := boundaries(limit, growth)) - 1 > MAX_LAYERS:
        growth *= 1.25
    # Pictures of one clip differ a little in their largest radius, but hardly ever in their layers.
    return _plan(tuple(edges), tier.half_from, aperture)


@lru_cache(maxsize=32)
def _plan(edges: tuple[float, ...], half_from: float, aperture: Aperture) -> LayerPlan:
    middles = [(a + b) / 2 for a, b in pairwise(edges)]
    radius = np.array([-m for m in reversed(middles)] + [0.0] + middles)
    cuts = np.array([-e for e in reversed(edges[:-1])] + [*edges[:-1]])
    # A multiple of the step, so that layers begin at the same radii whatever the limit.
    limit = math.ceil(edges[-1] / LOOKUP_STEP) * LOOKUP_STEP
    entries = round(2 * limit / LOOKUP_STEP)
    centres = (np.arange(entries) + 0.5) * LOOKUP_STEP - limit
    lookup = np.searchsorted(cuts, centres).astype(np.uint8)

    scale, reach, first = [], [], [0]
    across: list[int] = []
    top: list[float] = []
    bottom: list[float] = []
    norm = []
    for signed in radius:
        r = abs(signed)
        s = 1
        while r / s >= half_from and s < MAX_SCALE:
            s *= 2
        if r == 0:
            scale.append(1)
            reach.append(0)
            norm.append(1.0)
        else:
            spans = _kernel(float(r), s, aperture if signed > 0 else aperture.inverted())
            across.extend(range(-spans.reach, spans.reach + 1))
            top.extend(spans.top)
            bottom.extend(spans.bottom)
            scale.append(s)
            reach.append(max(spans.reach, int(np.ceil(np.abs([spans.top, spans.bottom]).max()))))
            norm.append(1 / spans.area)
        first.append(len(top))
    top_edge, bottom_edge = np.array(top) + 0.5, np.array(bottom) + 0.5
    return LayerPlan(
        lookup=lookup,
        limit=limit,
        edge=np.concatenate([[-np.inf], cuts]).astype(np.float32),
        radius=radius.astype(np.float32),
        scale=np.array(scale),
        reach=np.array(reach),
        first=np.array(first),
        across=np.array(across, np.int64),
        top=np.floor(top_edge).astype(np.int64),
        top_part=(top_edge - np.floor(top_edge)).astype(np.float32),
        bottom=np.floor(bottom_edge).astype(np.int64),
        bottom_part=(bottom_edge - np.floor(bottom_edge)).astype(np.float32),
        norm=np.array(norm, np.float32),
    )


def _kernel(radius: float, scale: int, aperture: Aperture) -> Spans:
    """The kernel that, with the filters around it, blurs as an aperture of `radius` does.

    A disc has the variance r^2 / 4 along each axis. Reducing by `scale` adds that of a box,
    interpolating back that of a triangle; the kernel gets the rest.
    """
    variance = radius**2 / 4
    filters = 0.0 if scale == 1 else (scale**2 - 1) / 12 + scale**2 / 6
    return aperture.spans_of_variance(max(variance - filters, 0.25 * variance) / scale**2)
