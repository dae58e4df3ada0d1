"""What is trained, and how hard: shapes, edges, places, and all together."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Stage:
    """The settings of one run.

    Attributes:
        error: weight of the error itself.
        gradient: weight of the multi-scale gradients, before and while the learning rate comes
            down.
        label_edges: weight of full-size gradients where a teacher's label is steep, likewise.
        steps: whether the labels' soft edges are made steps first.
        sizes: heights and widths of the batches, one of them at random per batch.
        shares: of photographs, composites and rooms.
        least_crop: of a photograph's width.
        rate: learning rate.
        backbone: share of it that the backbone learns at, which knows something already.
        coarse: only what sees the whole picture learns, from depth at stride 4.
    """

    error: float
    gradient: tuple[float, float]
    label_edges: tuple[float, float]
    steps: bool
    sizes: tuple[tuple[int, int], ...]
    shares: tuple[float, float, float]
    least_crop: float
    rate: float
    backbone: float
    coarse: bool = False


_LANDSCAPE = (*[(160, 256)] * 3, *[(192, 320)] * 2, (256, 416))
_WHOLE = (
    *[(192, 288)] * 2,
    *[(224, 288)] * 2,
    *((192, 320), (256, 256), (256, 384), (256, 448)),
    *((288, 192), (288, 224), (384, 256)),
)
# From what has learned shapes, at the sizes that are asked for later. A teacher's edges are
# soft, but in the right place.
_EDGES = Stage(
    error=3.0,
    gradient=(2.0, 3.0),
    label_edges=(2.0, 4.0),
    steps=True,
    sizes=(*_LANDSCAPE, (192, 192), (256, 192), (256, 160)),
    shares=(0.74, 0.14, 0.12),
    least_crop=0.7,
    rate=5e-4,
    backbone=0.4,
)
STAGES = {
    # From ImageNet weights. A teacher's edges are soft: they hardly count at full size.
    "shapes": Stage(
        error=1.0,
        gradient=(0.5, 1.5),
        label_edges=(0.0, 0.5),
        steps=False,
        sizes=(*[(128, 224)] * 2, *[(160, 256)] * 2, *[(192, 320)] * 2, (224, 160)),
        shares=(0.7, 0.18, 0.12),
        least_crop=0.6,
        rate=1e-3,
        backbone=0.4,
    ),
    "edges": _EDGES,
    # Whole photographs, as they are asked for later: where things are, not where they end. Twice
    # as many a second; at a higher rate, what was learnt before is lost first.
    "places": Stage(
        error=3.0,
        gradient=(1.0, 1.0),
        label_edges=(0.0, 0.0),
        steps=False,
        sizes=_WHOLE,
        shares=(0.84, 0.05, 0.11),
        least_crop=0.88,
        rate=1.5e-4,
        backbone=1.0,
        coarse=True,
    ),
    # All of it once more, so that edges fit what was learnt about places.
    "finish": replace(
        _EDGES,
        sizes=_WHOLE,
        shares=(0.72, 0.15, 0.13),
        least_crop=0.85,
        rate=1e-4,
        backbone=0.7,
    ),
}
