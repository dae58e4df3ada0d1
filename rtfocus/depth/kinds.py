"""What the numbers of a depth map mean, and how each kind becomes disparity."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from rtfocus.frame import Map, Scale

Kind = Literal["inverse_depth", "depth", "metric_depth"]
"""What a network or a file holds.

inverse_depth: larger = nearer, up to scale and shift (MiDaS, Depth Anything V1 and V2).
depth: larger = farther, up to scale (Depth Anything 3 Mono). metric_depth: metres along the optical
axis.
"""

KINDS: tuple[Kind, ...] = get_args(Kind)

NEAREST_METRES = 0.01
"""Nothing is nearer to a lens than this; keeps 1/z finite where a network answers 0."""

NEAREST_SHARE = 0.01
"""The same for relative depth, as a share of the map's median depth."""


def scale_of(kind: Kind) -> Scale:
    """The scale that disparity made from `kind` has."""
    return "metric" if kind == "metric_depth" else "relative"


def to_disparity(values: Map, kind: Kind) -> Map:
    """Turn (h, w) float32 values of a kind into disparity, larger = nearer.

    Inverse depth is disparity already. Depth, metric or not, becomes 1/z: what is linear in the
    circle of confusion is the reciprocal (the thin lens' c = f * focal_px / N * (1/z - 1/z_focus)),
    and for depth that is known up to a scale the reciprocal is disparity up to a scale. Depth that
    has an unknown shift as well cannot be converted exactly by anybody; it is read as if the shift
    were zero.
    """
    if kind == "inverse_depth":
        return values
    if kind == "metric_depth":
        nearest = np.float32(NEAREST_METRES)
    else:
        tiny = float(np.finfo(np.float32).tiny)
        nearest = np.float32(max(NEAREST_SHARE * float(np.median(values)), tiny))
    return np.reciprocal(np.maximum(values, nearest))
