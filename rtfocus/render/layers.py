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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtfocus.kernels.layers import TILE_HEIGHT
from rtfocus.kernels.membership import LOOKUP_STEP
from rtfocus.render.aperture import Aperture

SHARP = 0.5
"""Radius in pixels below which nothing is blurred; a multiple of `LOOKUP_STEP`."""

SURROUNDINGS = 2.0
"""What lies behind a pixel is looked for in ever coarser surroundings, until a cell of them is
wider than this many radii of its blur."""

MAX_SCALE = TILE_HEIGHT
"""Largest reduction: a tile is not smaller."""

MAX_LAYERS = 63
"""One bit each in a tile's mask."""

NODES = 5
"""Radii of a layer, from one end to the other, whose kernels are known; those of radii between two
of them are interpolated."""


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
        radius: float32, signed radius in the middle of the layer, 0 for the sharp one.
        width: float32, radii of the layer's members differ by this at most.
        scale: int64, 1, 2, 4, ...: the layer is blurred on a grid reduced by this.
        first: int64, (n + 1,), where the layer's columns start in the arrays below.
        across: int64, the column's dx, in pixels.
        top, bottom: float32, (NODES, columns), where the column begins and ends, from the pixel's
            centre, in the kernels of radii from one end of the layer to the other.
    """

    lookup: NDArray[np.uint8]
    limit: float
    edge: NDArray[np.float32]
    radius: NDArray[np.float32]
    width: NDArray[np.float32]
    scale: NDArray[np.int64]
    first: NDArray[np.int64]
    across: NDArray[np.int64]
    top: NDArray[np.float32]
    bottom: NDArray[np.float32]

    @property
    def reach(self) -> NDArray[np.int64]:
        """How far the blur can spread, in pixels of the reduced grid, per layer."""
        farthest = np.abs(self.radius) + self.width / 2
        return self.kernels(np.stack([farthest, np.ones_like(farthest)], axis=1)).reach

    def kernels(self, members: NDArray[np.floating[Any]]) -> Kernels:
        """The kernels of a picture, each of the mean radius of its layer's members.

        A layer's middle would be off by up to its half, and the blur of what passes from one layer
        to the next would jump.

        Args:
            members: (n, 2), sum of the radii in each layer, without their sign, and their number.
        """
        radius, number = np.abs(self.radius), members[:, 1]
        np.divide(members[:, 0], number, out=radius, where=number > 0, casting="same_kind")
        begin = np.abs(self.radius) - self.width / 2
        place = (radius - begin) / np.where(self.width, self.width, 1) * (NODES - 1)
        node = np.clip(place.astype(np.int64), 0, NODES - 2)
        share = np.clip(place - node, 0, 1).astype(np.float32)

        columns = np.diff(self.first)
        layer = np.repeat(np.arange(len(columns)), columns)
        at, (node, share) = np.arange(len(layer)), (node[layer], share[layer])
        top, bottom = (
            ends[node, at] + share * (ends[node + 1, at] - ends[node, at])
            for ends in (self.top, self.bottom)
        )
        wide, reach = np.zeros((2, len(columns)), np.int64)
        np.maximum.at(wide, layer, np.where(bottom > top, np.abs(self.across), 0))
        np.maximum.at(reach, layer, np.ceil(np.maximum(-top, bottom)).astype(np.int64))
        unused = columns // 2 - wide
        area = np.bincount(layer, bottom - top, len(columns))
        top, bottom = top + np.float32(0.5), bottom + np.float32(0.5)
        return Kernels(
            reach=np.maximum(wide, reach),
            start=self.first[:-1] + unused,
            stop=self.first[1:] - unused,
            norm=(1 / np.where(columns, area, 1)).astype(np.float32),
            top=np.floor(top).astype(np.int64),
            top_part=top - np.floor(top),
            bottom=np.floor(bottom).astype(np.int64),
            bottom_part=bottom - np.floor(bottom),
        )


@dataclass(frozen=True, slots=True)
class Kernels:
    """The blur kernels of one picture.

    Attributes:
        reach: int64, per layer, how far the blur spreads, in pixels of the reduced grid.
        start, stop: int64, per layer, where its columns begin and end in `LayerPlan.across` and in
            the arrays below.
        norm: float32, per layer, 1 / area of the kernel.
        top, bottom: int64, whole pixels from a pixel's upper edge to the ends of the column's span.
        top_part, bottom_part: float32, the fractions that remain.
    """

    reach: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    norm: NDArray[np.float32]
    top: NDArray[np.int64]
    top_part: NDArray[np.float32]
    bottom: NDArray[np.int64]
    bottom_part: NDArray[np.float32]


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
    bands = list(pairwise(edges))
    cuts = np.array([-e for e in reversed(edges[:-1])] + [*edges[:-1]])
    # A multiple of the step, so that layers begin at the same radii whatever the limit.
    limit = math.ceil(edges[-1] / LOOKUP_STEP) * LOOKUP_STEP
    entries = round(2 * limit / LOOKUP_STEP)
    centres = (np.arange(entries) + 0.5) * LOOKUP_STEP - limit

    scales = [_scale((a + b) / 2, half_from) for a, b in bands]
    far, near = (
        [_columns(*band, scale, shape) for band, scale in zip(bands, scales, strict=True)]
        for shape in (aperture.inverted(), aperture)
    )
    columns = [*reversed(far), np.zeros((2, NODES, 0), np.float32), *near]
    middles, widths = [(a + b) / 2 for a, b in bands], [b - a for a, b in bands]
    spread = [part.shape[2] for part in columns]
    return LayerPlan(
        lookup=np.searchsorted(cuts, centres).astype(np.uint8),
        limit=limit,
        edge=np.concatenate([[-np.inf], cuts]).astype(np.float32),
        radius=np.array([*(-m for m in reversed(middles)), 0, *middles], np.float32),
        width=np.array([*reversed(widths), 0, *widths], np.float32),
        scale=np.array([*reversed(scales), 1, *scales]),
        first=np.cumsum([0, *spread]),
        across=np.concatenate([np.arange(n) - n // 2 for n in spread]),
        top=np.concatenate(columns, axis=2)[0],
        bottom=np.concatenate(columns, axis=2)[1],
    )


def _scale(radius: float, half_from: float) -> int:
    """By how much the grid is reduced on which a layer of this radius is blurred."""
    scale = 1
    while radius / scale >= half_from and scale < MAX_SCALE:
        scale *= 2
    return scale


@lru_cache(maxsize=256)
def _columns(begin: float, end: float, scale: int, aperture: Aperture) -> NDArray[np.float32]:
    """(2, NODES, columns): where columns begin and end, in kernels of radii from `begin` to `end`.

    With the filters around it, each blurs as an aperture of its radius does. A disc has the
    variance r^2 / 4 along each axis. Reducing by `scale` adds that of a box, interpolating back
    that of a triangle; the kernel gets the rest.
    """
    filters = 0.0 if scale == 1 else (scale**2 - 1) / 12 + scale**2 / 6
    variances = np.linspace(begin, end, NODES) ** 2 / 4
    remain = np.maximum(variances - filters, variances / 4) / scale**2
    kernels = [aperture.spans_of_variance(float(variance)) for variance in remain]
    reach = max(spans.reach for spans in kernels)
    columns = np.zeros((2, NODES, 2 * reach + 1), np.float32)
    for i, spans in enumerate(kernels):
        columns[:, i, reach - spans.reach : reach + spans.reach + 1] = spans.top, spans.bottom
    return columns
