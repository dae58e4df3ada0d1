"""What the driver is asked for before anything is done on a GPU."""

# ruff: noqa: N802 - the driver's own names

from __future__ import annotations

import ctypes
import threading
from typing import Any

import pytest

from rtfocus.cuda.context import ignore_captures, share_context

SLEEPS, SPINS = 4, 1  # CU_CTX_SCHED_BLOCKING_SYNC, CU_CTX_SCHED_SPIN
RELAXED = 2  # CU_STREAM_CAPTURE_MODE_RELAXED
ACTIVE = 708


class Driver:
    """libcuda, as far as primary contexts go."""

    def __init__(self, *, flags: int = 0, active: bool = False, new: bool = True) -> None:
        self.flags, self.active, self.new = flags, active, new
        self.begun = False
        self.modes: list[tuple[threading.Thread, int]] = []

    def cuInit(self, flags: int) -> int:
        assert flags == 0
        self.begun = True
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:
        assert self.begun
        device._obj.value = 7
        return 0 if index == 0 else 101

    def cuDevicePrimaryCtxSetFlags_v2(self, device: Any, flags: int) -> int:
        assert device.value == 7
        if self.active and not self.new:
            return ACTIVE
        self.flags = flags
        return 0

    def cuThreadExchangeStreamCaptureMode(self, mode: Any) -> int:
        self.modes.append((threading.current_thread(), mode._obj.value))
        return 0


@pytest.mark.parametrize(
    ("driver", "flags"),
    [
        (Driver(), SLEEPS),
        (Driver(flags=SPINS), SLEEPS),
        (Driver(flags=SPINS, active=True), SLEEPS),
        (Driver(flags=SPINS, active=True, new=False), SPINS),  # and no error
    ],
)
def test_threads_sleep_while_they_wait(
    monkeypatch: pytest.MonkeyPatch, driver: Driver, flags: int
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    share_context(0)
    assert driver.flags == flags


def test_no_such_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    share_context(3)
    assert driver.flags == 0


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    share_context(0)
    in_threads(1)


def test_every_thread_ignores_captures_once(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    threads = in_threads(2)
    assert sorted(driver.modes, key=str) == sorted([(t, RELAXED) for t in threads], key=str)


def in_threads(count: int) -> list[threading.Thread]:
    """Have new threads ignore captures, twice each."""

    def ignore() -> None:
        ignore_captures()
        ignore_captures()

    threads = [threading.Thread(target=ignore) for _ in range(count)]
    for thread in threads:
        thread.start()
        thread.join()
    return threads
