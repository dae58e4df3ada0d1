"""ONNX Runtime: loading a network on a device, and saying plainly why that failed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from rtfocus.device import Device
from rtfocus.errors import DeviceError, ModelError, UnavailableError

_TRAINING_FORMATS = {".pt", ".pth", ".ckpt", ".safetensors", ".bin", ".h5", ".tflite"}


def open_session(
    path: Path,
    device: Device,
    *,
    threads: int = 0,
    options: Mapping[str, Mapping[str, str]] | None = None,
    profile: Path | None = None,
) -> Any:
    """Load a network, as an `onnxruntime.InferenceSession` that really runs on `device`.

    Args:
        path: the .onnx file.
        device: where it runs.
        threads: that one run may use; 0 lets ONNX Runtime choose.
        options: for ONNX Runtime's execution providers, by their names.
        profile: where what every operator of the file does is written down, see `end_profiling`;
            none is joined with others then.

    Raises:
        ModelError: the file is absent, of another format, or not what ONNX Runtime reads.
        DeviceError: ONNX Runtime would run it elsewhere.
        UnavailableError: ONNX Runtime is not installed.
    """
    _check_file(path)
    ort = import_runtime()
    wanted = device.providers[0]
    if wanted not in ort.get_available_providers():
        raise DeviceError(_elsewhere(device, ort.get_available_providers()))
    providers = [(name, dict((options or {}).get(name, {}))) for name in device.providers]
    session_options = ort.SessionOptions()
    session_options.log_severity_level = 4  # what matters comes back as an exception
    session_options.intra_op_num_threads = threads
    session_options.inter_op_num_threads = 1
    level = ort.GraphOptimizationLevel
    session_options.graph_optimization_level = level.ORT_ENABLE_ALL
    if profile is not None:
        session_options.graph_optimization_level = level.ORT_DISABLE_ALL
        session_options.enable_profiling = True
        session_options.profile_file_prefix = str(profile)
        session_options.add_session_config_entry("session.disable_prepacking", "1")  # hides weights
    # Spinning threads would burn the cores that reading, rendering and writing share with the
    # network.
    session_options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(
            str(path), session_options, providers=providers, enable_fallback=0
        )
    except RuntimeError as error:
        raise DeviceError(
            f"the depth network cannot run on {device}: {reason(error)}. See what `rtfocus doctor` "
            "says, or use --device cpu."
        ) from error
    except runtime_errors() as error:
        raise ModelError(
            f"{str(path)!r} cannot be loaded: {reason(error)}. Give an ONNX network that ONNX "
            f"Runtime {ort.__version__} reads; exporting it again with opset 17 often helps."
        ) from error
    if session.get_providers()[0] != wanted:  # it falls back to the CPU without a word
        raise DeviceError(_elsewhere(device, session.get_providers()))
    return session


def _elsewhere(device: Device, providers: list[str]) -> str:
    return (
        f"the depth network cannot run on {device}: ONNX Runtime offers {', '.join(providers)} "
        f"here, not {device.providers[0]}. See what `rtfocus doctor` says, or use --device cpu."
    )


def _check_file(path: Path) -> None:
    if path.suffix.lower() in _TRAINING_FORMATS:
        raise ModelError(
            f"{str(path)!r} holds weights without a network, and is not loaded: it may hold "
            "programs too. Export it to ONNX with tools/export_dpt.py, and give the .onnx file."
        )
    if not path.is_file():
        raise ModelError(
            f"there is no network file {str(path)!r}. Give an .onnx file with its card beside it."
        )


def import_runtime() -> ModuleType:
    """ONNX Runtime, imported when first wanted: it comes with an extra, and takes its time."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UnavailableError(
            f"ONNX Runtime, which runs depth networks, cannot be imported ({error}). Install it: "
            'pip install "rtfocus[cpu]", or "rtfocus[cuda]" for an NVIDIA GPU.'
        ) from error
    module: ModuleType = onnxruntime
    return module


def runtime_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises; its classes have no common base but Exception."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        state.EPFail,
        state.Fail,
        state.InvalidArgument,
        state.InvalidGraph,
        state.InvalidProtobuf,
        state.NoModel,
        state.NoSuchFile,
        state.NotImplemented,
        state.RuntimeException,
        RuntimeError,  # of runs on bound memory
    )


def reason(error: Exception) -> str:
    """ONNX Runtime's message in one line, without its error code and its C++ source location."""
    text = " ".join(str(error).split())
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"^Load model from .*? failed:", "", text)
    text = re.sub(r"/\S+\.(?:cc|h):\d+ [^()]*\([^()]*\) ", "", text)
    return text.rstrip(". ")
