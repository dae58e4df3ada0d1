"""The thin lens on the GPU: `rtfocus.render.layered.LensRenderer` with the same layers."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from rtfocus.cuda.disparity import DeviceDisparity
from rtfocus.cuda.gpu import Array, Gpu
from rtfocus.cuda.graphs import Graphs
from rtfocus.cuda.highlights import CudaHighlights
from rtfocus.kernels.colour import ENCODE_STEPS, srgb_tables
from rtfocus.kernels.membership import CELL
from rtfocus.lens import Lens
from rtfocus.render.aperture import Aperture
from rtfocus.render.layers import MAX_SCALE, SURROUNDINGS, LayerPlan, Tier, plan_layers

TILE = 32
"""Side of the square of pixels that a block of threads works on; as in render.cu."""

_BLOCK = (TILE, TILE // 4)
_ANY_RADIUS = 3e38

_LAYER = np.dtype(
    [("scale", "i4"), ("reach", "i4"), ("first", "i4"), ("count", "i4"), ("norm", "f4"),
     ("middle", "f4"), ("width", "f4"), ("tiles", "i4"), ("across", "i4"), ("base", "i4")]
)  # fmt: skip
_COLUMN_WORDS = 4
_SUMS = (16, 64, 2)  # copies, layers, and radii and number of each; as in classify.cu


class CudaRenderer:
    """Renders on the GPU, without waiting for it.

    Where the CPU plans its layers for the largest radius of each picture, which only the GPU knows
    here, this takes all that the picture's height allows; those that are empty cost nothing.

    Layers on a reduced grid are blurred first, each tile of each in a block of its own, and kept.
    Then every tile of the picture blurs the other layers that reach it and composites all.
    """

    def __init__(
        self, gpu: Gpu, tier: Tier, aperture: Aperture, *, highlights: float = 1.0
    ) -> None:
        """Args: as of `rtfocus.render.layered.LensRenderer`."""
        self._gpu, self._tier, self._aperture = gpu, tier, aperture
        self._highlights = CudaHighlights(gpu, highlights)
        decode, encode = srgb_tables()
        self._decode, self._encode = gpu.upload(decode), gpu.upload(encode)
        self._weights = gpu.upload(_enlarging_weights())
        self._size: tuple[int, int] | None = None

    def render(self, image: Array, disparity: DeviceDisparity, plane: Array, lens: Lens) -> Array:
        """The picture with its plane of focus at `plane`.

        Args:
            image: (h, w, 3) uint8.
            disparity: of the picture, (h, w).
            plane: (1,) float32, normalised disparity.
            lens: the lens.

        Raises:
            UsageError: a physical lens was asked for, but the depth is not metric.
        """
        height, width, _ = image.shape
        lens.check(metric=disparity.metric is not None)
        if self._size != (height, width):
            self._size = (height, width)
            self._work = _Work(self._gpu, self._plan(height), height, width)
            self._graphs = Graphs(self._gpu)
        out = self._gpu.empty(image.shape, np.uint8)
        arrays = (
            image,
            disparity.values,
            plane,
            plane if disparity.metric is None else disparity.metric,
            disparity.cut,
        )
        key = *(array.data.ptr for array in arrays), out.data.ptr, lens
        self._graphs.run(key, lambda: self._render(*arrays, lens, out))
        return out

    def _render(
        self, image: Array, values: Array, plane: Array, metric: Array, cut: Array, lens: Lens,
        out: Array,
    ) -> None:  # fmt: skip
        work, launch = self._work, self._gpu.launch
        height, width, _ = image.shape
        cap = _ANY_RADIUS if lens.max_radius is None else lens.max_radius / 100 * height
        self._gpu.fill(work.nearest, 0)
        launch(
            "classify", "find_radius", (width, height), image, values, plane, metric, lens.physical,
            lens.gain(width, height), float(lens.focus_range), float(cap), self._decode, height,
            width, work.radius, work.linear,
        )  # fmt: skip
        launch(
            "classify", "classify", (width, height), work.linear, work.radius, work.lookup,
            work.lookup.size, height, width, work.claimed, work.layer, work.nearest, work.members,
        )  # fmt: skip
        launch(
            "classify", "choose_kernels", (32 * work.count,), work.members, work.plan_layers,
            work.nodes, len(work.plan.across), work.layers, work.spans, block=(32,),
        )  # fmt: skip
        self._highlights(image, work.linear, work.layer, work.sharp, cut)
        launch(
            "render", "pack_front", (width, height), work.linear, work.layer, height, width,
            work.front, work.front_cells, block=(CELL, CELL),
        )  # fmt: skip
        self._find_behind()
        if work.tiles:
            launch(
                "render", "blur_reduced", (TILE * work.tiles, _BLOCK[1]), *work.scene, height,
                width, work.layers, work.count, work.spans, work.blurred, work.filled,
                block=_BLOCK, shared=work.shared,
            )  # fmt: skip
        launch(
            "render", "composite", (width, -(-height // TILE) * _BLOCK[1]), image, *work.scene,
            height, width, work.sharp, work.layers, work.count, work.spans, work.within,
            work.within.size - 1, work.blurred, work.filled, self._weights, self._encode,
            ENCODE_STEPS, out, block=_BLOCK, shared=work.shared,
        )  # fmt: skip

    def flops(self) -> int:
        """Multiplications and additions that the last picture took at least; waits for it.

        Every layer has to be blurred at the pixels that are in it. That it is blurred wherever it
        spreads to, and all else that is done, is not counted.
        """
        if self._size is None:
            return 0
        work = self._work
        members = np.bincount(self._gpu.download(work.layer).ravel(), minlength=work.count)
        columns = self._gpu.download(work.layers).view(_LAYER)["count"]
        return int(members @ blur_flops(columns, work.plan.scale))

    def close(self) -> None:
        """Give the working memory back; safe to call twice."""
        self._size = None
        self.__dict__.pop("_work", None)
        self.__dict__.pop("_graphs", None)

    def _find_behind(self) -> None:
        """Fill in what lies behind what is seen."""
        work, launch = self._work, self._gpu.launch
        colour, radius = work.linear, work.claimed
        for level, (rows, columns) in enumerate(work.level_sizes, 1):
            height, width = radius.shape
            start = work.offsets[level - 1]
            part = work.levels[start : start + 4 * rows * columns].reshape(4, rows, columns)
            launch(
                "behind", "reduce_far", (columns, rows), colour, radius, height, width, part[:3],
                part[3], level, work.nearest,
            )  # fmt: skip
            colour, radius = part[:3], part[3]
        height, width = work.layer.shape
        launch(
            "behind", "look_behind", (width, height), work.levels, work.level_offsets,
            len(work.level_sizes), work.linear, work.claimed, work.layer, height, width, work.edge,
            work.lookup, work.lookup.size, work.nearest, work.back, work.back_cells,
            block=(CELL, CELL),
        )  # fmt: skip

    def _plan(self, height: int) -> LayerPlan:
        """Layers whose kernels fit into this GPU's shared memory."""
        tier, room = self._tier, self._gpu.shared_memory
        while shared_bytes(plan := plan_layers(height / 2, tier, self._aperture)) > room:
            tier = replace(tier, half_from=0.9 * tier.half_from)
        return plan


def shared_bytes(plan: LayerPlan) -> int:
    """Shared memory that a block needs for the running sums of the farthest reaching layer."""
    reach = 2 * int(plan.reach.max())
    return (TILE + reach + 2) * (TILE + reach) * 16


def blur_flops(columns: NDArray[np.int64], scale: NDArray[np.int64]) -> NDArray[np.float64]:
    """Multiplications and additions per pixel of the picture to blur each layer there.

    Red, green, blue and coverage are each added to a running sum, of which every column of the
    kernel takes the difference of two values, each with a share of the next, and are scaled.
    """
    return 4 * np.where(columns, 6 * columns + 2, 0) / scale**2


class _Work:
    """Tables and working memory for pictures of one size.

    Attributes:
        plan: the layers, as plan_layers and nodes on the GPU.
        radius, claimed: before and after mixed pixels were counted to the nearer thing.
        members: sums over the layers, from which come
        layers, spans: those of one picture, with their kernels.
        count: number of layers.
        sharp: number of the layer in focus.
        tiles: number of tiles of all reduced layers.
        shared: bytes of shared memory that the blur needs.
        level_sizes: rows and columns of the reduced surroundings, from fine to coarse.
        scene: the packed picture, what lies behind it, and the layers in the cells of both.
    """

    def __init__(self, gpu: Gpu, plan: LayerPlan, height: int, width: int) -> None:
        self.plan, self.count, self.sharp = plan, len(plan.scale), len(plan.scale) // 2
        self.shared = shared_bytes(plan)
        layers, self.tiles, pixels = _layer_table(plan, height, width)
        self.plan_layers = gpu.upload(layers.view(np.uint8))
        self.nodes = gpu.upload(np.stack([plan.top, plan.bottom], axis=-1))
        self.members = gpu.zeros(_SUMS, np.uint64)
        self.layers = gpu.empty(layers.nbytes, np.uint8)
        self.spans = gpu.empty((len(plan.across), _COLUMN_WORDS), np.int32)
        self.within = gpu.upload(_reaching(plan))
        self.lookup, self.edge = gpu.upload(plan.lookup), gpu.upload(plan.edge)

        self.radius = gpu.empty((height, width), np.float32)
        self.claimed = gpu.empty((height, width), np.float32)
        self.layer = gpu.empty((height, width), np.uint8)
        self.linear = gpu.empty((3, height, width), np.float32)
        self.nearest = gpu.empty(1, np.int32)
        cells = (-(-height // CELL), -(-width // CELL))
        self.front, self.back = (gpu.empty((height, width, 2), np.uint32) for _ in range(2))
        self.front_cells, self.back_cells = (gpu.empty(cells, np.uint64) for _ in range(2))
        self.scene = (self.front, self.back, self.front_cells, self.back_cells)
        self.blurred = gpu.empty((max(pixels, 1), 2), np.uint32)
        self.filled = gpu.empty(max(self.tiles, 1), np.uint8)

        self.level_sizes = _surroundings(height, width, plan.limit)
        sizes = [4 * rows * columns for rows, columns in self.level_sizes]
        self.offsets = [0, *accumulate(sizes)]
        self.level_offsets = gpu.upload(np.array(self.offsets, np.int32))
        self.levels = gpu.empty(max(self.offsets[-1], 1), np.float32)


def _layer_table(plan: LayerPlan, height: int, width: int) -> tuple[NDArray[np.void], int, int]:
    """The layers as render.cu reads them; how many tiles and pixels the reduced ones have."""
    table = np.zeros(len(plan.scale), _LAYER)
    table["scale"], table["reach"], table["norm"] = plan.scale, plan.reach, 1
    table["first"], table["count"] = plan.first[:-1], np.diff(plan.first)
    table["middle"], table["width"] = np.abs(plan.radius), plan.width
    tiles = pixels = 0
    for layer in table:
        if layer["scale"] == 1:
            continue
        rows, columns = (-(-size // layer["scale"]) + 2 for size in (height, width))
        layer["tiles"], layer["base"], layer["across"] = tiles, pixels, -(-columns // TILE)
        tiles += -(-rows // TILE) * layer["across"]
        pixels += rows * columns
    return table, int(tiles), int(pixels)


def _reaching(plan: LayerPlan) -> NDArray[np.uint64]:
    """Per distance in pixels the set of full-size layers that reach so far, one bit each."""
    full = [(k, int(r)) for k, r in enumerate(plan.reach) if plan.scale[k] == 1]
    farthest = max(reach for _, reach in full)
    sets = [sum(1 << k for k, reach in full if reach >= away) for away in range(farthest + 1)]
    return np.array(sets, np.uint64)


def _surroundings(height: int, width: int, limit: float) -> list[tuple[int, int]]:
    """Sizes of a picture halved until its pixels cover the largest blur."""
    sizes, scale = [(height, width)], 1.0
    while min(sizes[-1]) > 1 and scale <= SURROUNDINGS * limit:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))
        scale *= 2
    return sizes[1:]


def _enlarging_weights() -> NDArray[np.float32]:
    """Weights of the pixel before, its own and the one after, (scales, phases, 3).

    Enlarging by 2 takes 3/4 of the own and 1/4 of the nearer neighbour; larger scales repeat that.
    """
    levels = MAX_SCALE.bit_length()
    weights = np.zeros((levels, MAX_SCALE, 3), np.float32)
    for level in range(levels):
        for i in range(3):
            line = np.eye(3)[i]
            for _ in range(level):
                doubled = np.empty(2 * len(line) - 2)
                doubled[0::2] = 0.75 * line[:-1] + 0.25 * line[1:]
                doubled[1::2] = 0.25 * line[:-1] + 0.75 * line[1:]
                line = doubled
            weights[level, : 2**level, i] = line[1 : 2**level + 1]
    return weights
