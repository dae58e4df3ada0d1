"""What the live tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

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
def live(compiled: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What every live job needs: compiled code, and a folder of its own for presets."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
