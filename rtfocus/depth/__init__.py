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


def check_depth(settings: Settings) -> None:
    """Refuse what contradicts itself, or would be ignored.

    Raises:
        UsageError: as `open_depth`.
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
    network = {
        "--depth-size": settings.depth_size is not None,
        "--depth-every": settings.depth_every != 1,
        "--flip": settings.flip,
    }
    named = " and ".join(name for name, given in network.items() if given)
    # Other files that a page opens have no depth of their own.
    if named and depth is not None and settings.media is None:
        raise UsageError(
            f"{named}: for a network only, but depth comes from --depth {depth!r}. Leave out one "
            "or the other."
        )


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
    check_depth(settings)
    if settings.depth is not None:
        return open_recording(Path(settings.depth), settings.depth_kind, info)
    if settings.model is None and info.has_depth:
        return SceneDepth(info.source)
    return open_network(
        find_network(settings.model),
        picture=(info.height, info.width),
        size=settings.depth_size,
        fine=settings.tier() == "high",
        every=settings.depth_every,
        flip=settings.flip,
    )
