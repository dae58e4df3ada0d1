"""How far everything in a picture is: networks, recordings, and scenes that know it themselves."""

from __future__ import annotations

from pathlib import Path

from rtfocus.depth.base import DepthSource
from rtfocus.depth.kinds import KINDS
from rtfocus.depth.network import NetworkDepth
from rtfocus.depth.recording import open_recording
from rtfocus.depth.scene import SceneDepth
from rtfocus.device import Device
from rtfocus.errors import ModelError, UsageError
from rtfocus.frame import StreamInfo


def open_depth(
    model: str | None,
    depth: str | None,
    depth_kind: str | None,
    info: StreamInfo,
    *,
    device: Device,
    size: tuple[int, int] | None = None,
    threads: int = 0,
    every: int = 1,
) -> DepthSource:
    """Choose where depth comes from: recorded files, a network, or the scene itself.

    Args:
        model: a depth network, FILE.onnx.
        depth: recorded depth instead of a network, a file or a folder.
        depth_kind: what that holds, one of `rtfocus.depth.kinds.KINDS`; None: what the file says.
        info: the input whose frames will be estimated.
        device: where a network runs.
        size: height and width a network runs at; None: from its card.
        threads: that a network may use; 0: as many as ONNX Runtime chooses.
        every: run a network on every Nth frame.

    Raises:
        UsageError: the arguments contradict each other.
        InputError: recorded depth is absent or unusable.
        ModelError: the network is absent or unusable, or there is none.
    """
    if model is not None and depth is not None:
        raise UsageError(
            f"--model {model!r} and --depth {depth!r} both say where depth comes from; give one of "
            "them."
        )
    if depth_kind is not None and depth_kind not in KINDS:
        raise UsageError(f"depth kind {depth_kind!r} is not known; it must be {', '.join(KINDS)}.")
    if depth_kind is not None and depth is None:
        raise UsageError(
            f"--depth-kind {depth_kind} says what the files of --depth hold, but there is no "
            "--depth."
        )
    if depth is not None:
        return open_recording(Path(depth), depth_kind, info)
    if model is not None:
        picture = (info.height, info.width)
        return NetworkDepth(
            Path(model), device=device, picture=picture, size=size, threads=threads, every=every
        )
    if info.has_depth:
        return SceneDepth(info.source)
    raise ModelError(
        f"{info.source!r} does not bring its own depth, and no depth network ships with rtfocus "
        "yet. Give one with --model FILE.onnx (with its card FILE.toml beside it; MiDaS and Depth "
        "Anything export to ONNX), or recorded depth with --depth FILE_OR_DIR."
    )
