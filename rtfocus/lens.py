"""The thin lens: from the distance to the plane of focus to the circle of confusion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rtfocus.errors import UsageError
from rtfocus.frame import Disparity, Map

BLUR_SCALE = 0.07
"""Radius over picture height at f/1 for a normalised disparity difference of 1."""


@dataclass(frozen=True, slots=True)
class Lens:
    """Aperture and depth of field.

    The circle of confusion is linear in disparity. For a pinhole-equivalent camera without focus
    breathing

        diameter_px = focal_px * (focal_length / N) * (1/z - 1/z_focus),
        focal_px = width * focal_length / sensor_width,

    which follows from similar triangles behind a thin lens (e.g. Potmesil and Chakravarty 1981).
    Without metric depth and a focal length, the disparity is relative: its shift cancels in the
    difference, its scale merges with the aperture, and

        radius_px = BLUR_SCALE * height / N * (d - d_focus).

    Attributes:
        f_number: N, smaller is more blur.
        focus_range: width of the band of normalised disparity around the plane that stays sharp.
        max_radius: cap of the radius in percent of the picture's height; None for no cap.
        focal_length_mm: physical focal length; takes effect with metric depth, together with the
            sensor's width.
        sensor_width_mm: width of the sensor that the focal length refers to.
    """

    f_number: float = 2.8
    focus_range: float = 0.0
    max_radius: float | None = None
    focal_length_mm: float | None = None
    sensor_width_mm: float | None = None

    def __post_init__(self) -> None:
        for name in ("f_number", "max_radius", "focal_length_mm", "sensor_width_mm"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name}={value!r}: must be a number above 0")
        if not (math.isfinite(self.focus_range) and self.focus_range >= 0):
            raise UsageError(f"focus_range={self.focus_range!r}: must be 0 or more")
        if (self.focal_length_mm is None) != (self.sensor_width_mm is None):
            raise UsageError(
                "focal length and sensor width belong together: give both or neither "
                "(a full-frame sensor is 36 mm wide)"
            )

    def radius(self, disparity: Disparity, focus: float) -> Map:
        """Signed radius of the circle of confusion in pixels, (h, w); > 0 nearer than the plane.

        Args:
            disparity: of the picture, at the picture's size.
            focus: normalised disparity of the plane of focus.

        Raises:
            UsageError: a physical lens was asked for, but the depth is not metric.
        """
        height, width = disparity.values.shape
        self.check(metric=disparity.metric is not None)
        gain = self.gain(width, height)
        if self.physical and disparity.metric is not None:
            gain *= disparity.metric[0]
        radius: Map = disparity.values - np.float32(focus)
        if self.focus_range > 0:
            radius -= radius.clip(-self.focus_range / 2, self.focus_range / 2)
        radius *= np.float32(gain)
        if self.max_radius is not None:
            limit = self.max_radius / 100 * height
            radius.clip(-limit, limit, out=radius)
        return radius

    @property
    def physical(self) -> bool:
        """Whether it is given in millimetres, and so needs metric depth."""
        return self.focal_length_mm is not None

    def gain(self, width: int, height: int) -> float:
        """Radius in pixels per unit of normalised disparity, or per 1/m for a physical lens."""
        if self.focal_length_mm is None or self.sensor_width_mm is None:
            return BLUR_SCALE * height / self.f_number
        focal_px = width * self.focal_length_mm / self.sensor_width_mm
        aperture_m = self.focal_length_mm / 1000 / self.f_number
        return focal_px * aperture_m / 2

    def check(self, *, metric: bool) -> None:
        """Raises: UsageError: a physical lens was asked for, but the depth is not metric."""
        if self.physical and not metric:
            raise UsageError(
                "a focal length in mm needs metric depth; this depth is relative. "
                "Leave out the focal length and sensor width, or give metric depth"
            )
