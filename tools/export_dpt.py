"""Export a DPT of Hugging Face transformers to ONNX, with its model card inside.

    python tools/export_dpt.py depth-anything/Depth-Anything-V2-Small-hf small.onnx
    python tools/export_dpt.py ~/checkpoints/dpt-hybrid hybrid.onnx --size 256x448 --half
    python tools/export_dpt.py dpt-hybrid random.onnx --random

SOURCE is a name on Hugging Face, a folder with config.json and weights, or with --random one of
the architectures of `architectures.py`, or a folder with a config.json. DPTForDepthEstimation
(DPT-Large, DPT-Hybrid, SwinV2 and BEiT backbones) and DepthAnythingForDepthEstimation (V1, V2,
metric) are known.

The file takes pictures of any size in multiples of the card's, unless --fixed is given or the
backbone is a SwinV2, whose graph has one size only (--size). It is compared with torch on
random pictures, at another size too where sizes are free; above a relative error of 1e-3 (--half:
5e-2) it is deleted.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import architectures
import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

_IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
_CENTRED = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
_TOLERANCE = {False: 1e-3, True: 5e-2}  # by --half


def main() -> None:
    """Load, export, compare."""
    options = _parse()
    torch.manual_seed(0)
    model = _load(options.source, random=options.random).eval().float()
    network = Exportable(model).eval()  # the wrapper too: the exporter puts its mode back
    size = options.size or network.default_size()
    multiple = network.multiple()
    if size[0] % multiple or size[1] % multiple:
        sys.exit(f"--size {size[0]}x{size[1]}: sides must be multiples of {multiple}")
    fixed = options.fixed or not network.can_resize()
    write(network, options.out, size, fixed=fixed)
    if options.half:
        _halve(options.out)
    _write_card(options, network, size, multiple)
    sizes = [size] if fixed else [size, (size[0] + multiple, size[1] + 2 * multiple)]
    worst = max(relative_error(network, options.out, each) for each in sizes)
    megabytes = options.out.stat().st_size / 1e6
    print(f"{options.out}: {megabytes:.1f} MB, largest relative error {worst:.2e}")
    if not worst <= _TOLERANCE[options.half]:
        options.out.unlink()
        sys.exit(f"which is above {_TOLERANCE[options.half]:.0e}: nothing was written")


class Exportable(nn.Module):
    """A network whose graph can be traced at one size and run at others.

    Input: (n, 3, h, w) float32, normalised. Output: (n, 1, h, w).
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        config = model.config
        self._is_dpt = config.model_type == "dpt"
        self._size = (0, 0)
        if not self._is_dpt:
            return
        # It takes its patches for a square; give it their rows and columns.
        if self.backbone_type() in ("vit", "hybrid", "beit"):
            model.neck.register_forward_pre_hook(self._count_patches)
        if config.is_hybrid:
            model.dpt.embeddings.register_forward_pre_hook(lambda _, args: (args[0], True))
            for module in model.modules():
                if hasattr(module, "compute_padding"):
                    module.compute_padding = _padding_of_whole_strides

    def forward(self, pixel_values: Tensor) -> Tensor:
        self._size = pixel_values.shape[-2:]
        if self._is_dpt:
            depth: Tensor = self.model(pixel_values).predicted_depth
        else:
            depth = self._depth_anything(pixel_values)
        return depth.unsqueeze(1)

    def _depth_anything(self, pixel_values: Tensor) -> Tensor:
        """The model's own forward, which would fix the size of the last interpolation."""
        patch, (height, width) = self.model.config.patch_size, self._size
        features = self.model.backbone(pixel_values).feature_maps
        head = self.model.head
        x = self.model.neck(features, height // patch, width // patch)[head.head_in_index]
        x = nn.functional.interpolate(
            head.conv1(x), size=self._size, mode="bilinear", align_corners=True
        )
        x = head.conv3(head.activation1(head.conv2(x)))
        return (head.activation2(x) * head.max_depth).squeeze(1)

    def _count_patches(self, _: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        patch = self._patch()
        return args[0], self._size[0] // patch, self._size[1] // patch

    def _patch(self) -> int:
        config = self.model.config
        if self.backbone_type() in ("vit", "hybrid"):
            return int(config.patch_size)
        return int(config.backbone_config.patch_size)

    def backbone_type(self) -> str:
        """vit, hybrid, beit, swinv2 or dinov2."""
        config = self.model.config
        if self._is_dpt and config.is_hybrid:
            return "hybrid"
        if config.backbone_config is None:
            return "vit"
        return str(config.backbone_config.model_type)

    def can_resize(self) -> bool:
        """Whether one graph serves all sizes."""
        return self.backbone_type() != "swinv2"

    def multiple(self) -> int:
        """What both sides must be multiples of."""
        return 14 if self.backbone_type() == "dinov2" else 32

    def default_size(self) -> tuple[int, int]:
        """Height and width: for video as many pixels as are affordable, else what it learned on."""
        if self.can_resize():
            return (252, 448) if self.multiple() == 14 else (256, 448)
        side = int(self.model.config.backbone_config.image_size)
        return side, side


def write(network: Exportable, out: Path, size: tuple[int, int], *, fixed: bool) -> None:
    """Trace the network at one size; unless `fixed`, the graph takes others too."""
    free = {2: "height", 3: "width"}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of the tracer, about what is constant: it is compared
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, *size),),
            out,
            opset_version=17,
            input_names=["pixel_values"],
            output_names=["predicted_depth"],
            dynamic_axes=None if fixed else {"pixel_values": free, "predicted_depth": free},
            dynamo=False,
        )


def relative_error(network: Exportable, out: Path, size: tuple[int, int]) -> float:
    """Largest difference between ONNX Runtime and torch, of the largest value."""
    picture = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 3, *size))).float()
    with torch.no_grad():
        wanted = network(picture).numpy()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(out), options, providers=["CPUExecutionProvider"])
    (given,) = session.run(None, {"pixel_values": picture.numpy()})
    error = float(np.abs(given - wanted).max() / np.abs(wanted).max())
    print(f"{size[0]}x{size[1]}: relative error {error:.2e}")
    return error


def _padding_of_whole_strides(_: Any, kernel: int, stride: int, dilation: int) -> int:
    """TensorFlow's "same" padding where the side is a multiple of the stride, as ours are."""
    return max((kernel - 1) * dilation + 1 - stride, 0)


def _halve(path: Path) -> None:
    """Convert to float16 inside; input and output stay float32.

    So do tables of positions and what enlarges them bicubically, for which ONNX Runtime has no
    float16. Constants are folded first, so that such a table is one.
    """
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path.with_suffix(".folded"))
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    model = onnx.load(path.with_suffix(".folded"))
    path.with_suffix(".folded").unlink()
    cubic = [n.name for n in model.graph.node if any(a.s == b"cubic" for a in n.attribute)]
    half = convert_float_to_float16(
        model, keep_io_types=True, op_block_list=DEFAULT_OP_BLOCK_LIST, node_block_list=cubic
    )
    onnx.save(half, path)


def _write_card(
    options: argparse.Namespace, network: Exportable, size: tuple[int, int], multiple: int
) -> None:
    config = network.model.config
    metric = getattr(config, "depth_estimation_type", "relative") == "metric"
    mean, std = _preprocessing(options.source, network)
    card = {
        "name": options.name or options.out.stem,
        "kind": "metric_depth" if metric else "inverse_depth",
        "input": "pixel_values",
        "output": "predicted_depth",
        "input_range": [0.0, 1.0],
        "mean": mean,
        "std": std,
        "size": list(size),
        "multiple": multiple,
        "license": options.license,
        "source": f"random weights of {options.source}" if options.random else options.source,
    }
    model = onnx.load(options.out)
    onnx.helper.set_model_props(model, {key: json.dumps(value) for key, value in card.items()})
    onnx.save(model, options.out)


def _preprocessing(source: str, network: Exportable) -> tuple[list[float], list[float]]:
    """Mean and standard deviation, from the checkpoint where it says, else as published."""
    file = Path(source).expanduser() / "preprocessor_config.json"
    if file.is_file():
        known = json.loads(file.read_text())
        return known["image_mean"], known["image_std"]
    return _IMAGENET if network.backbone_type() == "dinov2" else _CENTRED


def _load(source: str, *, random: bool) -> Any:
    from transformers import AutoConfig, AutoModelForDepthEstimation

    folder = Path(source).expanduser()
    if not random:
        return AutoModelForDepthEstimation.from_pretrained(folder if folder.is_dir() else source)
    if source in architectures.ALL:
        config = architectures.ALL[source]()
    elif folder.is_dir():
        config = AutoConfig.from_pretrained(folder)
    else:
        sys.exit(f"--random: {source!r} is neither a folder nor {', '.join(architectures.ALL)}")
    return AutoModelForDepthEstimation.from_config(config)


def _size(text: str) -> tuple[int, int]:
    height, width = map(int, text.split("x"))
    return height, width


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source")
    parser.add_argument("out", type=Path)
    parser.add_argument("--size", type=_size, help="HxW of the card, and of the graph with --fixed")
    parser.add_argument("--fixed", action="store_true", help="a graph of that size only")
    parser.add_argument("--half", action="store_true", help="float16 inside")
    parser.add_argument("--random", action="store_true", help="random weights, to try it out")
    parser.add_argument("--name", help="for the card; default: the file's name")
    parser.add_argument("--license", default="", help="of the weights, for the card")
    return parser.parse_args()


if __name__ == "__main__":
    main()
