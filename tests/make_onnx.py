"""Tiny ONNX networks that are a known function of their input, so that answers can be checked
exactly.

All of them answer the mean of the three channels, averaged over blocks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper

Side = int | str

CARD = {
    "name": '"mean"',
    "kind": '"inverse_depth"',
    "input": '"image"',
    "output": '"depth"',
    "input_range": "[0.0, 255.0]",
    "size": "[32, 48]",
    "multiple": "16",
}


def write_card(network: Path, **changes: str | None) -> Path:
    """Write `CARD` beside a network, with keys changed (TOML values) or, with None, left out."""
    entries = {key: value for key, value in {**CARD, **changes}.items() if value is not None}
    path = network.with_suffix(".toml")
    path.write_text("".join(f"{key} = {value}\n" for key, value in entries.items()))
    return path


def write_network(
    path: Path,
    *,
    sides: tuple[Side, Side] = ("h", "w"),
    channels: int = 3,
    batch: Side = "n",
    block: int = 4,
    element: int = TensorProto.FLOAT,
    answer: int = TensorProto.FLOAT,
    squeeze: Sequence[int] = (),
    reshape: Sequence[int] = (),
    operator: str | None = None,
    divide_by_zero: bool = False,
    opset: int = 17,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a network from `image` (batch, channels, *sides) to `depth`.

    Args:
        block: side of the squares that are averaged.
        element: type of the input.
        answer: type of the output.
        squeeze: axes of length 1 to remove from the answer.
        reshape: shape to give the answer in the end.
        operator: put another operator in, which need not exist.
        divide_by_zero: make values below 1 infinite or NaN.
        metadata: to store in the file.
    """
    nodes = [helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT)]
    nodes.append(helper.make_node("ReduceMean", ["float"], ["mean"], axes=[1], keepdims=1))
    pool = {"kernel_shape": [block, block], "strides": [block, block]}
    nodes.append(helper.make_node("AveragePool", ["mean"], ["pooled"], **pool))
    last = "pooled"
    if divide_by_zero:
        nodes.append(helper.make_node("Floor", [last], ["floor"]))
        nodes.append(helper.make_node("Div", [last, "floor"], ["divided"]))
        last = "divided"
    if operator:
        nodes.append(helper.make_node(operator, [last], ["other"]))
        last = "other"
    nodes.append(helper.make_node("Cast", [last], ["answer"], to=answer))
    last = "answer"
    initial = []
    shape = [side for axis, side in enumerate([batch, 1, "gh", "gw"]) if axis not in squeeze]
    if reshape:
        shape = list(reshape)
        initial.append(helper.make_tensor("shape", TensorProto.INT64, [len(reshape)], reshape))
        nodes.append(helper.make_node("Reshape", [last, "shape"], ["depth"]))
    elif squeeze:
        initial.append(helper.make_tensor("axes", TensorProto.INT64, [len(squeeze)], squeeze))
        nodes.append(helper.make_node("Squeeze", [last, "axes"], ["depth"]))
    else:
        nodes.append(helper.make_node("Identity", [last], ["depth"]))
    graph = helper.make_graph(
        nodes,
        "mean",
        [helper.make_tensor_value_info("image", element, [batch, channels, *sides])],
        [helper.make_tensor_value_info("depth", answer, shape)],
        initializer=initial,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    path.write_bytes(model.SerializeToString())
    return path


def write_with_external_data(path: Path, location: str) -> Path:
    """A network like the others whose weights lie in another file."""
    write_network(path)
    model = onnx.load(str(path))
    weights = helper.make_tensor("weights", TensorProto.FLOAT, [1], [1.0])
    weights.ClearField("float_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("length", "4")):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    model.graph.initializer.append(weights)
    model.graph.node[-1].CopyFrom(helper.make_node("Mul", ["pooled", "weights"], ["depth"]))
    path.write_bytes(model.SerializeToString())
    return path
