"""What flows through the pipeline: pictures with their time, and how far everything in them is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(h, w, 3) uint8 RGB, full range, BT.709 primaries, sRGB transfer, C-contiguous."""

Map = NDArray[np.float32]
"""(h, w) float32, one value per pixel."""

Scale = Literal["relative", "normalised", "metric"]
"""What a disparity's numbers mean; larger is nearer in all of them.

relative: up to an unknown scale and shift (MiDaS, Depth Anything). normalised: relative, already
mapped so that the scene spans about 0..1. metric: 1/z in 1/m.
"""


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture and when it is shown.

    Attributes:
        image: (h, w, 3) uint8 RGB, see `Image`.
        index: number of the frame within its stream, from 0.
        pts: presentation time in units of `time_base`.
        time_base: seconds per unit of `pts`.
        duration: in units of `time_base`; 0 where the stream does not say.
        disparity: (h, w) float32 1/m where the source itself knows its true depth, else None.
        captured: when a live source or a player gave it, in seconds of `time.monotonic`; latency
            counts from here. None in a file, and in a picture that is shown again as the source is
            lost.
        lost: the source is lost, and this is its last picture once more, to be marked as such.
    """

    image: Image
    index: int
    pts: int
    time_base: Fraction
    duration: int = 0
    disparity: Map | None = None
    captured: float | None = None
    lost: bool = False

    @property
    def time(self) -> float:
        """Presentation time in seconds."""
        return float(self.pts * self.time_base)

    def with_image(self, image: Image) -> Frame:
        """The same moment with another picture."""
        return replace(self, image=image)


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What is known of an input before its first frame.

    Attributes:
        source: the input as the user named it.
        kind: what it is; an "image" has one frame and no rate.
        width: of the upright picture, in stored pixels.
        height: of the upright picture, in stored pixels.
        time_base: seconds per unit of `Frame.pts`.
        rate: average frames per second; None for a single image.
        frames: number of frames where known or well estimated.
        start: time of the first frame in seconds.
        duration: seconds from there to the end of the last frame, where known.
        sample_aspect_ratio: width of a pixel over its height, of the upright picture.
        media: the file or address that audio and subtitles are copied from, if there is one.
        has_depth: whether every frame brings its true disparity (`Frame.disparity`).
        live: whether frames come at their own pace, so that they are dropped rather than kept
            waiting.
        has_sound: whether there is sound beside the video.
    """

    source: str
    kind: Literal["video", "image", "sequence", "pattern", "camera", "stream"]
    width: int
    height: int
    time_base: Fraction
    rate: Fraction | None
    frames: int | None
    start: float = 0.0
    duration: float | None = None
    sample_aspect_ratio: Fraction = Fraction(1)
    media: str | None = None
    has_depth: bool = False
    live: bool = False
    has_sound: bool = False


@dataclass(frozen=True, slots=True)
class Disparity:
    """How near everything in a picture is, in the units that focus and lens work in.

    Attributes:
        values: (h, w) float32, normalised: the scene's robust running range maps to about 0..1
            (values outside are kept, never clipped), larger is nearer. Any size; the picture's
            after upsampling.
        metric: (scale, offset) with 1/z [1/m] = scale * values + offset for metric depth, else
            None.
        cut: whether another scene begins here, so that nothing from before holds any more.
    """

    values: Map
    metric: tuple[float, float] | None = None
    cut: bool = False
