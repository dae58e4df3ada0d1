"""How far everything in a picture is: networks, recordings, and scenes that know it themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rtfocus.depth.base import DepthSource
from rtfocus.depth.recording import open_recording
from rtfocus.depth.scene import SceneDepth
from rtfocus.errors import UsageError
from rtfocus.frame import StreamInfo
from rtfocus.models.registry import find_network
from rtfocus.settings import Settings


def open_depth(
    settings: Settings, info: StreamInfo, open_network: Callable[..., DepthSource]
) -> DepthSource:
    """Choose where depth comes from: recorded files, a network, or the scene itself.

    Args:
        settings: what the user asked for; where that is nothing, the input's own depth is used if
            it brings any, else the built-in network.
        info: the input whose frames will be estimated.
        open_network: `NetworkDepth` for some device; takes path, picture, size, fine, every and
            flip.

    Raises:
        UsageError: the settings contradict each other.
        InputError: recorded depth is absent or unusable.
        ModelError: the network is absent or unusable.
    """
    model, depth, kind = settings.model, settings.depth, settings.depth_kind
    if model is not None and depth is not None:
        raise UsageError(
            f"--model {model!r} and --depth {depth!r} both say where depth comes from; give one of "
            "them."
        )
    if kind is not None and depth is None:
        raise UsageError(
            f"--depth-kind {kind} says what the files of --depth hold, but there is no --depth."
        )
    if depth is not None:
        return open_recording(Path(depth), kind, info)
    if model is None and info.has_depth:
        return SceneDepth(info.source)
    return open_network(
        find_network(model),
        picture=(info.height, info.width),
        size=settings.depth_size,
        fine=settings.tier() == "high",
        every=settings.depth_every,
        flip=settings.flip,
    )
