"""The least time that stages could take: what they must carry and compute, at this GPU's rates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rtfocus.backend.base import Floors
from rtfocus.cuda.gpu import Gpu
from rtfocus.cuda.rates import copy_rate, half_rate, single_rate

PICTURE, VALUE = 3, 4
"""Bytes per pixel of a picture and of a map."""

_AVERAGE, _INTERPOLATE, _SMOOTH = 3, 9, 40
"""Multiplications and additions to average three channels of pixels, to interpolate between four
values, and to bring a value and its brightness in line with those before, compare them over 3 x 3
cells, and take them into the mean."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a stage cannot do without, per frame.

    Attributes:
        size: bytes that it reads and writes.
        single: multiplications and additions of float32.
        half: those that may be done on tensor cores.
    """

    size: int
    single: int = 0
    half: int = 0


def stage_needs(picture: tuple[int, int], grid: tuple[int, int]) -> dict[str, Needs]:
    """What the stages need whatever the picture shows.

    Intermediate results are not counted: a stage that needed none would reach this. Nor is
    arithmetic that only some pixels need, nor comparisons, so that more is done than is said here.

    Args:
        picture: height and width.
        grid: height and width of depth maps.
    """
    pixels, cells = math.prod(picture), math.prod(grid)
    needs = {
        # The picture, and the map and its memory: mean, count and brightness, there and back.
        "smooth": Needs(pixels * PICTURE + cells * VALUE * 8, pixels * _AVERAGE + cells * _SMOOTH),
        "render": Needs(pixels * (PICTURE + VALUE + PICTURE)),
    }
    if cells > pixels:
        needs["upsample"] = Needs((pixels + cells) * VALUE, cells)
    elif grid != picture:
        size = pixels * (PICTURE + VALUE) + cells * VALUE
        needs["upsample"] = Needs(size, pixels * (_AVERAGE + _INTERPOLATE))
    return needs


def measure_floors(gpu: Gpu, needs: Mapping[str, Needs]) -> Floors:
    """The floors of stages, at rates measured now.

    What lies in a cache is read faster than a copy reads: a stage may beat its floor where the one
    before it left it the picture there.
    """
    copied, single = copy_rate(gpu), single_rate(gpu)
    rates = {"copy_gb_s": copied / 1e9, "float32_tflop_s": single / 1e12}
    half = math.inf
    if any(need.half for need in needs.values()):
        half = half_rate(gpu)
        rates["float16_tflop_s"] = half / 1e12
    stages = {}
    for stage, need in needs.items():
        seconds = max(need.size / copied, need.single / single, need.half / half)
        stages[stage] = {
            "megabytes": round(need.size / 1e6, 3),
            "gflop": round((need.single + need.half) / 1e9, 4),
            "floor_ms": float(f"{1000 * seconds:.4g}"),
        }
    return Floors({name: round(rate, 2) for name, rate in rates.items()}, stages)
