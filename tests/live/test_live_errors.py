"""What a live job refuses, and that nothing is left behind then."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from live.live_run import LiveRun, has_ended
from live.peers import free_port
from rtfocus.errors import (
    InputError,
    ModelError,
    OutputError,
    RtfocusError,
    UnavailableError,
    UsageError,
)
from rtfocus.focus.keyframes import Keyframe, Keyframes, beside
from rtfocus.focus.plane import FocusDisparity
from rtfocus.run import open_job, refocus
from rtfocus.settings import Settings

pytestmark = pytest.mark.usefixtures("compiled", "home")


@pytest.mark.parametrize("options", [{}, {"realtime": True}, {"loop": True}])
def test_no_output_and_no_page(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"no output.*-o"):
        open_job("pattern", [], Settings(**options))


@pytest.mark.parametrize("address", ["eighty", "127.0.0.1:99999", "-1", "", "80:"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(UsageError, match=f"--serve '{address}'.*8080"):
        open_job("pattern", [], Settings(serve=address))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"media": "."}, "--media is what a page may open"),
        ({"record_original": "x.mp4"}, "--record-original keeps what is live"),
    ],
)
def test_what_would_be_ignored(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_job("pattern:64x48@10,1s", ["out.mp4"], Settings(**options))


def test_keyframes_beside_a_clip_that_a_page_could_not_edit(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    refocus("pattern:64x48@10,0.3s", str(clip), view="original")
    Keyframes((Keyframe(0.0, FocusDisparity(7.0)),)).save(beside(clip))
    run = LiveRun(str(clip), [], serve="0")
    with run, pytest.raises(UsageError, match=r"clip\.focus\.toml.*-0\.5 to 1\.5"):
        run.finish()
    assert has_ended()


def test_keyframes_that_a_page_could_not_edit(tmp_path: Path) -> None:
    path = tmp_path / "far.toml"
    Keyframes((Keyframe(0.0, FocusDisparity(7.0)),)).save(path)
    with pytest.raises(UsageError, match=r"far\.toml.*-0\.5 to 1\.5"):
        open_job("pattern", [], Settings(serve="0", keyframes=str(path)))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"serve": "0", "keyframes": "nowhere.toml"}, InputError, "nowhere.toml"),
        ({"serve": "0", "face_model": "nowhere.onnx"}, UnavailableError, "nowhere.onnx"),
        ({"serve": "0", "model": "nowhere.onnx"}, ModelError, "nowhere.onnx"),
        ({"serve": "0", "media": "nowhere"}, UsageError, "nowhere"),
        ({"serve": "0", "depth": "nowhere.mkv"}, InputError, "nowhere.mkv"),
        ({"serve": "0", "record_original": "nowhere/a.mp4"}, OutputError, "nowhere"),
        ({"serve": "0", "record_original": "a.xyz"}, UsageError, "a.xyz"),
        ({"realtime": True, "codec": "nonsense"}, UsageError, "nonsense"),
    ],
)
def test_settings(
    options: dict[str, Any],
    error: type[RtfocusError],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message), LiveRun("pattern:96x64", ["a.mp4"], **options) as run:
        run.finish()
    assert left(tmp_path) == []


def left(folder: Path) -> list[Path]:
    """What lies there, once all threads have ended."""
    assert has_ended()
    return list(folder.iterdir())


@pytest.mark.parametrize("source", ["nowhere.mp4", "tcp://127.0.0.1:9"])
def test_sources(source: str, tmp_path: Path) -> None:
    run = LiveRun(source, [tmp_path / "a.mp4"], realtime=True)
    with pytest.raises(InputError), run:
        run.finish()
    assert left(tmp_path) == []


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        silent = f"udp://127.0.0.1:{free_port()}"  # looked at first, this would take ten seconds
        run = LiveRun(silent, [tmp_path / "a.mp4"], serve=str(port))
        with pytest.raises(OutputError, match=f"{port} is in use"), run:
            run.finish()
    assert left(tmp_path) == []


def test_an_output_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"precious")
    with pytest.raises(UsageError, match="is there already"):
        open_job("pattern", [str(tmp_path / "a.mp4")], Settings(serve="0"))
    assert (tmp_path / "a.mp4").read_bytes() == b"precious"
