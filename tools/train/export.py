"""Write a trained network as ONNX, with its card beside it.

    python tools/train/export.py runs/a/checkpoint.pt rtfocus/models/rtfocus-small.onnx

The running average of the weights is exported; with `--other` its mean with that of a run that
started from this one, which is often better than either (Wortsman et al., "Model soups", ICML
2022). With float16 the weights are stored in half the space and widened when the file is loaded:
nothing is computed in float16.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from exported import read_exported
from network import SmallDPT

_CARD = """\
name = "rtfocus-small"
kind = "inverse_depth"
input = "image"
output = "inverse_depth"
input_range = [0.0, 255.0]  # mean and standard deviation are applied inside
size = [192, 320]
fine_size = [256, 448]
multiple = 32
license = "MIT"
source = "rtfocus, tools/train"
"""
_SMALLEST = 64  # weights; smaller tensors stay as they are


def main() -> None:
    """Export."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", choices=("float32", "float16"), default="float16")
    parser.add_argument(
        "--other", type=Path, help="a checkpoint, or exported network, to take the mean with"
    )
    parser.add_argument("--share", type=float, help="of the other one, 0.5 if not given")
    options = parser.parse_args()
    if options.share is not None and options.other is None:
        parser.error("--share says how much of the other network to take, which --other names")
    network = load(options.checkpoint)
    if options.other is not None:
        mix(network, load(options.other), 0.5 if options.share is None else options.share)
    write(network, options.out)
    if options.weights == "float16":
        store_in_half(options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


def load(path: Path) -> SmallDPT:
    """The running average of a checkpoint of `train.py`, or an exported network; ready to run."""
    if path.suffix == ".onnx":
        return read_exported(path)
    state = torch.load(path, map_location="cpu", weights_only=True)["average"]
    network = SmallDPT()
    prefix = "module."
    state = {name.removeprefix(prefix): value for name, value in state.items() if prefix in name}
    if not any(name.endswith("running_mean") for name in state):
        network.eval()
        network.fold()
    network.load_state_dict(state)
    return network.eval()


@torch.no_grad()
def mix(network: SmallDPT, other: SmallDPT, share: float) -> None:
    """Move the weights of a network towards those of another by that share of the way."""
    theirs = other.state_dict()
    for name, own in network.state_dict().items():
        if own.is_floating_point():
            own.lerp_(theirs[name], share)


def write(network: SmallDPT, out: Path) -> None:
    """As float32 ONNX with free height and width, and its card."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # ONNX Runtime folds
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, 192, 320),),
            out,
            opset_version=17,
            input_names=["image"],
            output_names=["inverse_depth"],
            dynamic_axes={
                "image": {2: "height", 3: "width"},
                "inverse_depth": {2: "height", 3: "width"},
            },
            dynamo=False,
        )
    out.with_suffix(".toml").write_text(_CARD, encoding="utf-8")


def store_in_half(path: Path) -> None:
    """Store every large float32 weight as float16 and widen it in the graph.

    ONNX Runtime folds the widening when it loads the file, so that a run costs the same.
    """
    model = onnx.load(path)
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or np.prod(weight.dims) < _SMALLEST:
            continue
        name = weight.name
        half = numpy_helper.to_array(weight).astype(np.float16)
        weight.CopyFrom(numpy_helper.from_array(half, f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    onnx.checker.check_model(model)
    onnx.save(model, path)


if __name__ == "__main__":
    main()
