"""Write smaller variants of a network, for `evaluate_depth.py` to compare.

    python tools/train/quantise.py runs/a/float32.onnx ../shared/distill runs/a

Writes NAME-half.onnx (float16 arithmetic), NAME-dynamic.onnx (8-bit weights, activations measured
as it runs) and NAME-static.onnx (both 8 bits, ranges measured beforehand on photographs).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from photographs import Photographs

_SIZE = (192, 320)
_PICTURES = 64


class _Pictures(CalibrationDataReader):
    """Random crops of photographs."""

    def __init__(self, photographs: Photographs) -> None:
        rng = np.random.default_rng(0)
        pictures = [photographs.draw(rng, _SIZE).picture for _ in range(_PICTURES)]
        self._left = iter([p.transpose(2, 0, 1)[None].astype(np.float32) for p in pictures])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next picture, or None."""
        picture = next(self._left, None)
        return None if picture is None else {"image": picture}


def main() -> None:
    """Write all variants, each with the network's card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path, help="in float32, as export.py --weights float32")
    parser.add_argument("data", type=Path, help="photographs (photographs.py)")
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    stem = options.network.stem
    names = ("half", "dynamic", "static")
    half, dynamic, static = paths = [options.out / f"{stem}-{name}.onnx" for name in names]
    onnx.save(convert_float_to_float16(onnx.load(options.network), keep_io_types=True), half)
    prepared = options.out / f"{stem}-prepared.onnx"
    quant_pre_process(options.network, prepared, skip_symbolic_shape=True)
    quantize_dynamic(prepared, dynamic, weight_type=QuantType.QInt8)
    quantize_static(
        prepared,
        static,
        _Pictures(Photographs([options.data], "val")),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    prepared.unlink()
    for path in paths:
        shutil.copy(options.network.with_suffix(".toml"), path.with_suffix(".toml"))
        print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
