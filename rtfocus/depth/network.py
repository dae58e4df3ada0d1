"""Depth from an ONNX network under ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.depth.flip import blend_mirrored
from rtfocus.depth.kinds import to_disparity
from rtfocus.depth.onnx_depth import OnnxDepth
from rtfocus.depth.session import open_session, runtime_errors
from rtfocus.device import Device
from rtfocus.frame import Frame, Image, Map
from rtfocus.shots import Shots


class NetworkDepth(OnnxDepth):
    """Runs a monocular depth network on every frame, or on every Nth.

    See `rtfocus.depth.base.DepthSource` for the contract.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: Device,
        picture: tuple[int, int],
        size: tuple[int, int] | None = None,
        fine: bool = False,
        threads: int = 0,
        every: int = 1,
        flip: bool = False,
    ) -> None:
        """Load a network.

        Args:
            path: the .onnx file, with its card beside it or inside (`rtfocus.depth.card`).
            device: where it runs.
            picture: height and width of the frames to come.
            size: height and width to run at, exactly; None: about as many pixels as the card says,
                in the picture's aspect.
            fine: at the card's `fine_size`, where it has one, rather than at its `size`.
            threads: that one run may use; 0 lets ONNX Runtime choose.
            every: run on every Nth frame, and where another shot may begin; those in between get
                the very same array again.
            flip: run on the mirrored picture too (`rtfocus.depth.flip`), at twice the cost.

        Raises:
            ModelError: the file or its card is absent or unusable, or they contradict each other.
            DeviceError: the network would not run on `device`.
            UnavailableError: ONNX Runtime is not installed.
            UsageError: `size` does not suit the network, or `every` is below 1.
        """
        session = open_session(path, device, threads=threads)
        super().__init__(
            path, session, device=device, picture=picture, size=size, fine=fine, every=every
        )
        self._tensor = np.empty((1, 3, *self.grid), np.float32)
        self._flip = flip
        self._shots = Shots()

    def estimate(self, frame: Frame) -> Map:
        """See `OnnxDepth.estimate`; the network runs at what may be a cut, too."""
        if self._every > 1 and self._shots.may_begin(frame.image):
            self._last = None
        disparity: Map = super().estimate(frame)
        return disparity

    def _infer(self, frame: Frame) -> Map:
        prepare(frame.image, self._gain, self._bias, self._tensor)
        tensor = self._tensor.astype(self._type, copy=False)
        disparity = to_disparity(self._run(frame.index, tensor), self.card.kind)
        if self._flip:
            mirrored = self._run(frame.index, np.ascontiguousarray(tensor[..., ::-1]))
            back = to_disparity(mirrored, self.card.kind)[:, ::-1]
            disparity = blend_mirrored(disparity, back)
        return disparity

    def _run(self, index: int, tensor: NDArray[np.floating[Any]]) -> Map:
        try:
            (answer,) = self._session.run([self.card.output], {self.card.input: tensor})
        except runtime_errors() as error:
            raise self._failure(index, error) from error
        values: Map = np.asarray(answer, np.float32)
        values = values.reshape(self._map_size(values.shape))
        bad = values.size - int(np.count_nonzero(np.isfinite(values)))
        self._check_finite(bad, values.size, index)
        return values


def prepare(
    image: Image, gain: NDArray[np.float32], bias: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Resize a picture to a network's grid and write it as its input tensor.

    Args:
        image: (h, w, 3) uint8 RGB.
        gain: (3,), factor per channel.
        bias: (3,), added per channel after that.
        out: (1, 3, gh, gw) float32, written.
    """
    small = _shrink(image, (out.shape[3], out.shape[2]))
    for channel, plane in enumerate(out[0]):
        np.multiply(small[:, :, channel], gain[channel], out=plane)
        plane += bias[channel]


def _shrink(image: Image, size: tuple[int, int]) -> Image:
    """Resize to (width, height), averaging over areas.

    Halving first is exact averaging too, and several times cheaper: OpenCV has a fast path for a
    factor of 2.
    """
    width, height = size
    while (
        image.shape[0] >= 2 * height
        and image.shape[1] >= 2 * width
        and image.shape[0] % 2 == image.shape[1] % 2 == 0
    ):
        half = (image.shape[1] // 2, image.shape[0] // 2)
        image = cv2.resize(image, half, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    shrinks = image.shape[0] * image.shape[1] > height * width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=method)  # type: ignore[return-value]
