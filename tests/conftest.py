"""What several test files share."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from make_onnx import write_card, write_network

from rtfocus.cli import main
from rtfocus.frame import Frame, StreamInfo
from rtfocus.render.aperture import Aperture
from rtfocus.render.layered import LensRenderer
from rtfocus.render.layers import TIERS

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile("rtfocus", deadline=None)
hypothesis.settings.load_profile("rtfocus")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Ground truth and clips that are not part of the project."""
    folder = Path(os.environ.get("RTFOCUS_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "gt").is_dir():
        pytest.skip("the shared ground truth is not on this machine (RTFOCUS_SHARED)")
    return folder


@pytest.fixture(scope="session")
def ffmpeg() -> Callable[..., bytes]:
    """Run the ffmpeg program, an independent codec; returns what it prints."""
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        pytest.skip("the ffmpeg program is not on this machine")

    def run(*arguments: object, program: str = "ffmpeg") -> bytes:
        quiet = ["-v", "error", *(["-y"] if program == "ffmpeg" else [])]
        command = [program, *quiet, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, check=True)
        return done.stdout

    return run


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Run the command line in this process: exit code, standard output, standard error."""
    logger = logging.getLogger("rtfocus")
    before = logger.handlers, logger.propagate, logger.level

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    yield run
    # Else later tests would not see what is logged.
    logger.handlers, logger.propagate = before[:2]
    logger.setLevel(before[2])


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A good network with a good card."""
    path = write_network(tmp_path / "mean.onnx")
    write_card(path)
    return path


@pytest.fixture(
    params=[("high", 1), ("high", 2), ("fast", 1), ("fast", 2)], ids="{0[0]}-{0[1]}".format
)
def renderer(request: pytest.FixtureRequest) -> Iterator[LensRenderer]:
    name, threads = request.param
    made = LensRenderer(TIERS[name], Aperture(), threads=threads)
    yield made
    made.close()


@pytest.fixture(params=["high", "fast"])
def plain(request: pytest.FixtureRequest) -> LensRenderer:
    """Without restored highlights: what the references know."""
    return LensRenderer(TIERS[request.param], Aperture(), highlights=0)


def make_info(
    width: int = 64, height: int = 48, *, kind: str = "video", **changes: object
) -> StreamInfo:
    """An input of 25 frames a second."""
    values: dict[str, object] = {
        "source": "test",
        "kind": kind,
        "width": width,
        "height": height,
        "time_base": Fraction(1, 12800),
        "rate": Fraction(25),
        "frames": 10,
        **changes,
    }
    return StreamInfo(**values)  # type: ignore[arg-type]


def make_frames(info: StreamInfo, count: int, *, step: int = 512, start: int = 0) -> list[Frame]:
    """Frames of smooth colour that drifts, with times `step` apart."""
    y, x = np.mgrid[: info.height, : info.width]
    frames = []
    for i in range(count):
        red = 40 + 160 * x / max(info.width - 1, 1)
        green = 60 + 120 * y / max(info.height - 1, 1)
        blue = np.full_like(red, 60 + 10 * (i % 12))
        image = np.stack([red, green, blue], axis=-1).astype(np.uint8)
        frames.append(Frame(image, i, start + i * step, info.time_base, step))
    return frames
