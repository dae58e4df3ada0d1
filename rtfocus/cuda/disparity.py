"""What the stages on the GPU hand to each other."""

from __future__ import annotations

from dataclasses import dataclass

from rtfocus.cuda.gpu import Array


@dataclass(frozen=True, slots=True)
class DeviceDisparity:
    """`rtfocus.frame.Disparity` in the GPU's memory, where its range and cuts are known too.

    Attributes:
        values: (h, w) float32, normalised, larger is nearer.
        metric: (2,) float32 (scale, offset) with 1/z [1/m] = scale * values + offset for metric
            depth, else None.
        cut: (1,) int32, 1 where the frame begins a new shot, else 0.
    """

    values: Array
    metric: Array | None
    cut: Array
