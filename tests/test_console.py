"""What is said while nothing is to be seen."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from types import SimpleNamespace

import numba
import pytest

from rtfocus import console
from rtfocus.kernels import jit


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_PATIENCE_S", 0.01)


def kernels(**misses: int) -> list[SimpleNamespace]:
    return [SimpleNamespace(stats=SimpleNamespace(cache_misses=misses))]


@pytest.mark.usefixtures("impatient")
def test_kernels_that_are_compiled_are_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jit, "_kernels", kernels(one=1))
    console._explain(threading.Event())
    assert "compiles kernels" in capsys.readouterr().err


@pytest.mark.usefixtures("impatient")
def test_a_slow_network_is_not_taken_for_that(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(jit, "_kernels", kernels())
    begun = threading.Event()
    threading.Timer(0.1, begun.set).start()
    console._explain(begun)
    assert not capsys.readouterr().err


def test_only_what_was_not_on_disk_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    for compiled in (True, False):
        monkeypatch.setattr(jit, "_kernels", [])
        fresh = jit.kernel(_double)
        assert not jit.has_compiled()
        assert fresh(21) == 42
        assert jit.has_compiled() is compiled


def _double(x: int) -> int:
    return 2 * x


def test_a_message_is_told_once_while_it_keeps_coming_and_again_later() -> None:
    once, told = console._Once(), []
    for message, moment in (("lost", 0), ("back", 5), ("lost", 40), ("lost", 90), ("lost", 900)):
        record = logging.makeLogRecord({"msg": message, "created": 1e9 + moment})
        if once.filter(record):
            told.append((message, moment))
    assert told == [("lost", 0), ("back", 5), ("lost", 900)]
