"""What a network says of its own inputs and outputs, held against its card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rtfocus.depth.card import ModelCard
from rtfocus.errors import ModelError


class Tensor(Protocol):
    """An input or output as ONNX Runtime describes it (`onnxruntime.NodeArg`)."""

    name: str
    type: str
    shape: Sequence[int | str | None]


def check_signature(
    card: ModelCard, inputs: Sequence[Tensor], outputs: Sequence[Tensor], path: Path
) -> bool:
    """Check that a network is what its card says.

    Returns:
        Whether the network has a fixed input size (which is then the card's).

    Raises:
        ModelError: naming the key of the card, both values and the remedy.
    """
    image = _named(inputs, "input", card.input, path)
    depth = _named(outputs, "output", card.output, path)
    if len(inputs) > 1:
        others = ", ".join(repr(each.name) for each in inputs if each is not image)
        raise ModelError(
            f"{str(path)!r} wants more than a picture ({others}). Export it with one image input."
        )
    fixed = _check_image(image, card, path)
    _check_depth(depth, path)
    return fixed


def _named(tensors: Sequence[Tensor], key: str, name: str, path: Path) -> Tensor:
    for tensor in tensors:
        if tensor.name == name:
            return tensor
    names = " or ".join(f'{key} = "{tensor.name}"' for tensor in tensors)
    raise ModelError(
        f'the card of {str(path)!r} says {key} = "{name}", but the network has no such {key}. '
        f"Write {names} in the card."
    )


def _check_image(image: Tensor, card: ModelCard, path: Path) -> bool:
    """Whether the input's sides are fixed."""
    what = f"input {image.name!r} of {str(path)!r}"
    if image.type not in ("tensor(float)", "tensor(float16)"):
        raise ModelError(
            f"{what} is {image.type}; it must be tensor(float) or tensor(float16). "
            "Export the network with float32 input and output."
        )
    shape = list(image.shape)
    if len(shape) != 4 or not _fits(shape[0], 1) or not _fits(shape[1], 3):
        raise ModelError(
            f"{what} has shape {shape}; it must be [1, 3, height, width], RGB. Export it that way."
        )
    if not all(_fits(side, wanted) for side, wanted in zip(shape[2:], card.size, strict=True)):
        raise ModelError(
            f"the card of {str(path)!r} says size = {list(card.size)}, but the network's input has "
            f"shape {shape}. Write its height and width in the card."
        )
    return any(isinstance(side, int) for side in shape[2:])


def _check_depth(depth: Tensor, path: Path) -> None:
    shape = list(depth.shape or ())
    if not shape:  # unknown until it runs
        return
    if not 2 <= len(shape) <= 4 or not all(_fits(side, 1) for side in shape[:-2]):
        raise ModelError(
            f"output {depth.name!r} of {str(path)!r} has shape {shape}; one depth map is wanted: "
            "[1, 1, height, width], [1, height, width] or [height, width]. "
            "Name another output in the card, or export the network that way."
        )


def _fits(side: int | str | None, wanted: int) -> bool:
    """Whether a side is free (a name or unknown) or has the wanted length."""
    return not isinstance(side, int) or side == wanted
