"""The tools that no other test runs: they must at least find what they use of rtfocus."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"


@pytest.mark.parametrize(
    "tool", sorted(TOOLS.rglob("*.py")), ids=lambda path: str(path.relative_to(TOOLS))
)
def test_its_imports_are_there(tool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tool.parent), str(TOOLS), *sys.path])
    try:
        runpy.run_path(str(tool), run_name="imported")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("rtfocus"):
            raise
        pytest.skip(f"{error.name} is not installed")
