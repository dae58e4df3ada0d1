"""Who has a file open: real processes, a plain file instead of a device."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import make_info

from live.live_run import LiveRun
from live.peers import wait_until
from live.virtual import Backend
from rtfocus.frame import Frame
from rtfocus.writers import openers
from rtfocus.writers.openers import Openers
from rtfocus.writers.virtual_camera import VirtualCameraWriter

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="Linux only")


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "video10"
    path.touch()
    return path


@contextmanager
def reader(device: Path) -> Iterator[None]:
    """Another process that has the file open."""
    code = f"f = open({str(device)!r}); print(flush=True); input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.communicate(b"\n")


def test_another_program_is_seen_coming_and_leaving(
    device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openers, "_SEARCH_S", 0.0)
    watching = Openers.of(str(device))
    assert watching is not None
    with device.open():  # the program itself does not count
        assert not watching.any()
    for _ in range(2):
        with reader(device):
            assert watching.any()
            assert watching.any()
        assert not watching.any()


def test_a_link_is_the_device_it_leads_to(device: Path, tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to(device)
    watching = Openers.of(str(link))
    assert watching is not None
    with reader(device):
        assert watching.any()


def test_not_everything_is_looked_at_in_every_frame(
    device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = []
    listdir = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: searches.append(path) or listdir(path))
    watching = Openers.of(str(device))
    assert watching is not None
    begun = time.monotonic()
    while time.monotonic() - begun < 0.3:
        watching.any()
    assert searches.count("/proc") == 1


def test_what_is_no_file_is_not_known() -> None:
    assert Openers.of("OBS Virtual Camera") is None


class TestCamera:
    @pytest.fixture(autouse=True)
    def always_searched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(openers, "_SEARCH_S", 0.0)

    @pytest.mark.usefixtures("backend")
    def test_it_rests_while_nobody_has_it_open(self, device: Path) -> None:
        info = make_info(64, 48)
        frame = Frame(np.zeros((48, 64, 3), np.uint8), 0, 0, info.time_base)
        with VirtualCameraWriter(info, device=str(device)) as camera:
            assert camera.watched  # a first picture, for whoever comes
            camera.write(frame)
            assert not camera.watched
            with reader(device):
                assert camera.watched
                camera.write(frame)
                assert camera.watched
            assert not camera.watched
            wait_until(lambda: camera.watched, "a picture now and then")

    @pytest.mark.usefixtures("compiled", "home")
    def test_a_run_rests_with_it(self, device: Path, backend: type[Backend]) -> None:
        run = LiveRun("pattern:96x64@20,60s", [f"camera:{device}"])
        with run:
            wait_until(lambda: backend.made and len(backend.made[0].times) >= 3, "three pictures")
            times = backend.made[0].times
            assert min(np.diff(times)) > 0.9
            with reader(device):
                count = len(times)
                wait_until(lambda: len(times) >= count + 12, "pictures")
                assert np.median(np.diff(times[count + 2 :])) < 0.5
