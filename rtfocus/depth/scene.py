"""Depth that the scene itself knows."""

from __future__ import annotations

from rtfocus.frame import Frame, Map, Scale


class SceneDepth:
    """The true disparity that comes with every frame (where `StreamInfo.has_depth`)."""

    scale: Scale = "metric"
    steady = True

    def __init__(self, source: str) -> None:
        """Use the depth that the frames of `source` bring."""
        self.description = f"true depth of {source}"

    def estimate(self, frame: Frame) -> Map:
        """The frame's own disparity [1/m], at the picture's size."""
        if frame.disparity is None:
            raise ValueError(f"frame {frame.index} brings no disparity")
        return frame.disparity

    def close(self) -> None:
        """Nothing to release."""
