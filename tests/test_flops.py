"""The arithmetic of networks against counts by hand and by PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from rtfocus.depth.flops import network_flops
from rtfocus.device import resolve
from rtfocus.models.registry import built_in

CPU = resolve("cpu")


def write(path: Path, operator: str, *shapes: tuple[int, ...], **attributes: object) -> Path:
    """A network of one operator between two which are not counted."""
    names = [f"weights{i}" for i in range(len(shapes))]
    nodes = [
        helper.make_node("Relu", ["x"], ["in"]),
        helper.make_node(operator, ["in", *names], ["out"], **attributes),
        helper.make_node("Sigmoid", ["out"], ["y"]),
    ]
    constants = [
        helper.make_tensor(name, TensorProto.FLOAT, shape, np.ones(shape).ravel())
        for name, shape in zip(names, shapes, strict=True)
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "graph", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    ("operator", "given", "weights", "attributes", "products"),
    [
        # 4 x 5 x 5 values of 6 channels x 3 x 3.
        ("Conv", (1, 6, 5, 5), [(4, 6, 3, 3), (4,)], {"pads": [1, 1, 1, 1]}, 4 * 25 * 54),
        # Every second of 6 x 8: 3 x 4; each of 4 channels sees the 3 of its group.
        ("Conv", (1, 6, 6, 8), [(4, 3, 1, 1)], {"strides": [2, 2], "group": 2}, 4 * 12 * 3),
        # Each of 6 x 2 x 3 values spreads over 5 channels x 2 x 2.
        ("ConvTranspose", (1, 6, 2, 3), [(6, 5, 2, 2)], {"strides": [2, 2]}, 36 * 20),
        ("MatMul", (7, 2, 3), [(7, 3, 5)], {}, 7 * 2 * 3 * 5),
        ("MatMul", (2, 3), [(3, 5)], {}, 2 * 3 * 5),
        ("Gemm", (2, 3), [(3, 5), (5,)], {}, 2 * 3 * 5),
        ("Gemm", (3, 2), [(5, 3)], {"transA": 1, "transB": 1}, 2 * 3 * 5),
        ("Add", (2, 3), [(2, 3)], {}, 0),
    ],
)
def test_by_hand(
    tmp_path: Path, operator: str, given: tuple[int, ...], weights: list[tuple[int, ...]],
    attributes: dict[str, object], products: int,
) -> None:  # fmt: skip
    path = write(tmp_path / "n.onnx", operator, *weights, **attributes)
    counts = network_flops(path, CPU, "x", np.zeros(given, np.float32))
    assert counts == ({"float": 2 * products} if products else {})


@pytest.mark.parametrize("size", [(192, 320), (256, 192)])
def test_built_in_network_against_pytorchs_count(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra: train)")
    from torch.utils.flop_counter import FlopCounterMode

    from network import SmallDPT

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        SmallDPT().eval()(torch.zeros(1, 3, *size))
    tensor = np.zeros((1, 3, *size), np.float32)
    counts = network_flops(built_in(), CPU, "image", tensor)
    assert counts == {"float": counter.get_total_flops()}
