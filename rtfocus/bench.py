"""Time every stage on the built-in scene."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from rtfocus.backend import open_backend
from rtfocus.device import resolve
from rtfocus.engine import NETWORK_SMOOTHING, Engine
from rtfocus.errors import UsageError
from rtfocus.readers import open_reader
from rtfocus.settings import Settings
from rtfocus.writers import open_writer

_WARM_UP = 3


def measure(size: str, frames: int, settings: Settings) -> dict[str, Any]:
    """Run the stages one after the other, so that each has the machine for itself.

    CPU time is that of the whole process, threads that a stage starts included. Depth is smoothed
    as that of a network is, also where it is the scene's own.

    Returns:
        device, depth, size, frames and per stage p50 and p95 of wall and CPU time in ms. On a GPU
        also `rates` that it was measured to have, and per stage the time that it was busy, what is
        known of the least that it could be (see `Backend.floors`), and that least one's
        `share` of the median. JSON-ready.
    """
    if frames < 1:
        raise UsageError(f"frames {frames!r}: must be 1 or more")
    device = resolve(settings.device)
    if settings.smooth is None:
        settings = replace(settings, smooth=NETWORK_SMOOTHING)
    backend = open_backend(device)
    metrics = backend.make_metrics()
    with (
        tempfile.TemporaryDirectory() as folder,
        open_reader(f"pattern:{size}@30,{(frames + _WARM_UP) / 30:.6f}s") as reader,
    ):
        depth = backend.open_depth(settings, reader.info)
        output = str(Path(folder) / "bench.mp4")
        with open_writer(
            output,
            reader.info,
            codec=settings.codec,
            crf=settings.crf,
            preset=settings.encoder_preset,
            threads=settings.cores(),
            encoding=backend.encoding,
        ) as writer:
            engine = Engine(settings, depth, backend, metrics=metrics, form=writer.takes)
            wanted = islice(metrics.each("read", reader), frames + _WARM_UP)
            for i, frame in enumerate(wanted):
                result = engine.refocus(frame)
                with metrics.time("write"):
                    writer.write(result)
                if i + 1 == _WARM_UP:
                    metrics.reset()
            picture = reader.info.height, reader.info.width
            floors = backend.floors(picture, depth, engine.stages)
            engine.close()
    stages = metrics.report()
    for stage in floors.stages.keys() & stages.keys():
        row = stages[stage]
        row |= floors.stages[stage]
        row["share"] = float(f"{row['floor_ms'] / row['gpu_ms_p50']:.4g}")
    report = {"device": str(device), "depth": depth.description, "size": size, "frames": frames}
    return report | ({"rates": floors.rates} if floors.rates else {}) | {"stages": stages}
