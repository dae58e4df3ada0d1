"""Depth from an ONNX network under ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtfocus.depth.card import ModelCard, read_card
from rtfocus.depth.flip import blend_mirrored
from rtfocus.depth.grid import grid_like
from rtfocus.depth.kinds import scale_of, to_disparity
from rtfocus.depth.session import open_session, reason, runtime_errors
from rtfocus.depth.signature import check_signature
from rtfocus.device import Device
from rtfocus.errors import ModelError, UsageError
from rtfocus.frame import Frame, Image, Map, Scale


class NetworkDepth:
    """Runs a monocular depth network on every frame, or on every Nth.

    See `rtfocus.depth.base.DepthSource` for the contract.

    Attributes:
        card: what the network's card says.
        grid: height and width that the network runs at.
    """

    scale: Scale
    steady = False
    description: str

    def __init__(
        self,
        path: Path,
        *,
        device: Device,
        picture: tuple[int, int],
        size: tuple[int, int] | None = None,
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
            threads: that one run may use; 0 lets ONNX Runtime choose.
            every: run on every Nth frame; those in between get the very same array again.
            flip: run on the mirrored picture too (`rtfocus.depth.flip`), at twice the cost.

        Raises:
            ModelError: the file or its card is absent or unusable, or they contradict each other.
            DeviceError: the network would not run on `device`.
            UnavailableError: ONNX Runtime is not installed.
            UsageError: `size` does not suit the network, or `every` is below 1.
        """
        if every < 1:
            raise UsageError(f"a depth network cannot run every {every} frames; use 1 or more.")
        self._session = open_session(path, device, threads)
        self.card = read_card(path, self._session.get_modelmeta().custom_metadata_map)
        fixed = check_signature(
            self.card, self._session.get_inputs(), self._session.get_outputs(), path
        )
        self.grid = _grid(self.card, picture, size, fixed)
        self.scale = scale_of(self.card.kind)
        self.description = f"{self.card.name} {self.grid[0]}x{self.grid[1]} on {device}"
        self._gain, self._bias = _normalisation(self.card)
        self._tensor = np.empty((1, 3, *self.grid), np.float32)
        self._every = every
        self._flip = flip
        self._last: Map | None = None
        self._last_index = 0

    def estimate(self, frame: Frame) -> Map:
        """The frame's disparity on the network's grid, float32, larger = nearer.

        Between two runs (`every` > 1) the array is the very same object as last time, so that `is`
        tells a repeat. It must not be written to.

        Raises:
            ModelError: the network fails on this frame, or answers with something that is no depth
                map.
        """
        if self._last is not None and 0 <= frame.index - self._last_index < self._every:
            return self._last
        prepare(frame.image, self._gain, self._bias, self._tensor)
        disparity = to_disparity(self._run(frame.index, self._tensor), self.card.kind)
        if self._flip:
            mirrored = self._run(frame.index, np.ascontiguousarray(self._tensor[..., ::-1]))
            back = to_disparity(mirrored, self.card.kind)[:, ::-1]
            disparity = blend_mirrored(disparity, back)
        self._last = disparity
        self._last_index = frame.index
        return self._last

    def close(self) -> None:
        """Forget the last map; the network's memory goes with this object."""
        self._last = None

    def _run(self, index: int, tensor: NDArray[np.float32]) -> Map:
        try:
            (answer,) = self._session.run([self.card.output], {self.card.input: tensor})
        except runtime_errors() as error:
            height, width = self.grid
            raise ModelError(
                f"the network {self.card.name!r} failed on frame {index} at {height}x{width}: "
                f"{reason(error)}. Check size and multiple in its card."
            ) from error
        values: Map = np.asarray(answer, np.float32)
        if values.ndim < 2 or values.size != values.shape[-2] * values.shape[-1]:
            raise ModelError(
                f"the network {self.card.name!r} answered with shape {list(values.shape)}; one "
                "depth map is wanted: [1, 1, height, width]. Name another output in its card."
            )
        values = values.reshape(values.shape[-2:])
        bad = values.size - int(np.count_nonzero(np.isfinite(values)))
        if bad:
            raise ModelError(
                f"the network {self.card.name!r} answered NaN or infinity for {bad} of "
                f"{values.size} values on frame {index}. Check input_range, mean and std in its "
                "card; a network converted to 16 bits may overflow: export it in float32."
            )
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


def _normalisation(card: ModelCard) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gain and bias per channel that take a pixel value 0..255 to the network's input."""
    low, high = card.input_range
    mean, std = np.array(card.mean), np.array(card.std)
    gain, bias = (high - low) / 255.0 / std, (low - mean) / std
    return gain.astype(np.float32), bias.astype(np.float32)


def _grid(
    card: ModelCard, picture: tuple[int, int], size: tuple[int, int] | None, fixed: bool
) -> tuple[int, int]:
    if size is None:
        return card.size if fixed else grid_like(picture, card.size, card.multiple)
    height, width = size
    if fixed and size != card.size:
        raise UsageError(
            f"depth size {height}x{width}: the network {card.name!r} runs at "
            f"{card.size[0]}x{card.size[1]} (height x width) only. Leave the size out."
        )
    if min(size) < 1 or height % card.multiple or width % card.multiple:
        near = [max(1, round(side / card.multiple)) * card.multiple for side in size]
        raise UsageError(
            f"depth size {height}x{width}: the sides must be multiples of {card.multiple} for the "
            f"network {card.name!r}, such as {near[0]}x{near[1]} (height x width)."
        )
    return size
