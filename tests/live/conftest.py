"""What the live tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from live.screen import Hands, screen
from live.virtual import Backend
from rtfocus.run import refocus

pytest.importorskip("starlette", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")
pytest.importorskip("websockets", reason="the extra serve is not installed")


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is compiled on a machine's first run takes longer than a live test waits."""
    output = tmp_path_factory.mktemp("compiled") / "out.mp4"
    refocus("pattern:96x64@10,0.3s", str(output), quality="fast", smooth=0.5)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of settings, where presets are kept."""
    path = tmp_path / "home"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(path))
    return path


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> type[Backend]:
    """A virtual camera that only remembers."""
    virtual = pytest.importorskip("pyvirtualcam", reason="the extra virtualcam is not installed")
    monkeypatch.setattr(virtual.camera, "BACKENDS", {})
    virtual.register_backend("fake", Backend)
    monkeypatch.setattr(Backend, "made", [])
    return Backend


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A screen that nobody sees."""
    with screen() as name:
        yield name


@pytest.fixture
def hands(display: str, monkeypatch: pytest.MonkeyPatch) -> Hands:
    monkeypatch.setenv("DISPLAY", display)
    return Hands()
