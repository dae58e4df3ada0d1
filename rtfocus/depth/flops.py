"""How much arithmetic a network takes, from the shapes that its operators see in a run."""

from __future__ import annotations

import json
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtfocus.depth.session import open_session
from rtfocus.device import Device

Shape = Sequence[int]

_PRODUCTS: dict[str, Callable[[Shape, Shape, Shape], int]] = {
    "Conv": lambda _, weights, output: math.prod(output) * math.prod(weights[1:]),
    "ConvTranspose": lambda image, weights, _: math.prod(image) * math.prod(weights[1:]),
    "MatMul": lambda left, _, output: math.prod(output) * left[-1],
    "Gemm": lambda left, _, output: math.prod(output) * (math.prod(left) // output[0]),
}
"""Multiplications of an operator, from the shapes of its first two inputs and of its output."""


def network_flops(
    path: Path,
    device: Device,
    name: str,
    tensor: NDArray[np.floating[Any]],
    *,
    options: Mapping[str, Mapping[str, str]] | None = None,
) -> Counter[str]:
    """Multiplications and additions of one run, by the type of the numbers as `device` has them.

    The network is run once, which tells every shape and takes no package that reads ONNX.
    Convolutions, with what they do to their padding, and products of matrices are counted; all else
    is left out. A method that trades multiplications for additions, as Winograd's, takes fewer.

    Args:
        path: the .onnx file.
        device: where it runs.
        name: of its input.
        tensor: what it is given.
        options: see `open_session`.

    Returns:
        By ONNX Runtime's names of types, such as "float" and "float16".

    Raises:
        RtfocusError: see `open_session`.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(path, device, options=options, profile=Path(folder) / "profile")
        session.run(None, {name: tensor})
        events = json.loads(Path(session.end_profiling()).read_text())
    counts: Counter[str] = Counter()
    for event in events:
        seen = event.get("args", {})
        if seen.get("op_name") in _PRODUCTS and "output_type_shape" in seen:
            first, second, *_ = seen["input_type_shape"]
            ((kind, left),) = first.items()
            (right,), (output,) = second.values(), seen["output_type_shape"][0].values()
            counts[kind] += 2 * _PRODUCTS[seen["op_name"]](left, right, output)
    return counts
