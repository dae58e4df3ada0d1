"""What all depth networks have in common, wherever they run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtfocus.depth.card import ModelCard, read_card
from rtfocus.depth.grid import grid_like
from rtfocus.depth.kinds import scale_of
from rtfocus.depth.session import reason
from rtfocus.depth.signature import check_signature
from rtfocus.device import Device
from rtfocus.errors import ModelError, UsageError
from rtfocus.frame import Frame, Scale

TYPES: dict[str, type[np.floating[Any]]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
}
"""NumPy's types by ONNX Runtime's names."""


class OnnxDepth(ABC):
    """Base of the depth sources that run a network on every frame, or on every Nth.

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
        session: Any,
        *,
        device: Device,
        picture: tuple[int, int],
        size: tuple[int, int] | None,
        fine: bool,
        every: int,
    ) -> None:
        """Hold a network against its card.

        Args:
            path: the .onnx file, with its card beside it or inside (`rtfocus.depth.card`).
            session: what `rtfocus.depth.session.open_session` makes of it.
            device: where it runs.
            picture: height and width of the frames to come.
            size: height and width to run at, exactly; None: about as many pixels as the card says,
                in the picture's aspect.
            fine: at the card's `fine_size`, where it has one, rather than at its `size`.
            every: run on every Nth frame; those in between get the very same array again.

        Raises:
            ModelError: the card is absent or unusable, or the network contradicts it.
            UsageError: `size` does not suit the network, or `every` is below 1.
        """
        if every < 1:
            raise UsageError(f"a depth network cannot run every {every} frames; use 1 or more.")
        self._session = session
        self.card = read_card(path, session.get_modelmeta().custom_metadata_map)
        inputs, outputs = session.get_inputs(), session.get_outputs()
        fixed = check_signature(self.card, inputs, outputs, path)
        self.grid = _grid(self.card, picture, size, fine=fine, fixed=fixed)
        self.scale = scale_of(self.card.kind)
        self.description = f"{self.card.name} {self.grid[0]}x{self.grid[1]} on {device}"
        self._type = TYPES[inputs[0].type]
        self._gain, self._bias = _normalisation(self.card)
        self._every = every
        self._last: Any = None
        self._last_index = 0

    def estimate(self, frame: Frame) -> Any:
        """The frame's disparity on the network's grid, float32, larger = nearer.

        Between two runs (`every` > 1) the array is the very same object as last time, so that `is`
        tells a repeat. It must not be written to.

        Raises:
            ModelError: the network fails on this frame, or answers with something that is no depth
                map.
        """
        if self._last is None or not 0 <= frame.index - self._last_index < self._every:
            self._last, self._last_index = self._infer(frame), frame.index
        return self._last

    def close(self) -> None:
        """Forget the last map; the network's memory goes with this object."""
        self._last = None

    @abstractmethod
    def _infer(self, frame: Frame) -> Any:
        """What the network says of a frame, as disparity."""

    def _failure(self, index: int, error: Exception) -> ModelError:
        height, width = self.grid
        return ModelError(
            f"the network {self.card.name!r} failed on frame {index} at {height}x{width}: "
            f"{reason(error)}. Check size and multiple in its card."
        )

    def _map_size(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Height and width of an answer of this shape."""
        if len(shape) < 2 or np.prod(shape) != shape[-2] * shape[-1]:
            raise ModelError(
                f"the network {self.card.name!r} answered with shape {list(shape)}; one "
                "depth map is wanted: [1, 1, height, width]. Name another output in its card."
            )
        return shape[-2], shape[-1]

    def _check_finite(self, bad: int, count: int, index: int) -> None:
        """Refuse an answer of so many values that are no numbers, among so many."""
        if bad:
            raise ModelError(
                f"the network {self.card.name!r} answered NaN or infinity for {bad} of "
                f"{count} values on frame {index}. Check input_range, mean and std in its "
                "card; a network converted to 16 bits may overflow: export it in float32."
            )


def _normalisation(card: ModelCard) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gain and bias per channel that take a pixel value 0..255 to the network's input."""
    low, high = card.input_range
    mean, std = np.array(card.mean), np.array(card.std)
    gain, bias = (high - low) / 255.0 / std, (low - mean) / std
    return gain.astype(np.float32), bias.astype(np.float32)


def _grid(
    card: ModelCard,
    picture: tuple[int, int],
    size: tuple[int, int] | None,
    *,
    fine: bool,
    fixed: bool,
) -> tuple[int, int]:
    if size is None:
        if fixed:
            return card.size
        usual = card.fine_size or card.size if fine else card.size
        return grid_like(picture, usual, card.multiple)
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
