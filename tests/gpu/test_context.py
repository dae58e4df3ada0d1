"""What the driver is asked for before anything is done on a GPU."""

# ruff: noqa: N802 - the driver's own names

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from rtfocus.cuda.context import share_context

SLEEPS, SPINS = 4, 1  # CU_CTX_SCHED_BLOCKING_SYNC, CU_CTX_SCHED_SPIN
ACTIVE = 708


class Driver:
    """libcuda, as far as primary contexts go."""

    def __init__(self, *, flags: int = 0, active: bool = False, new: bool = True) -> None:
        self.flags, self.active, self.new = flags, active, new
        self.begun = False

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

    def cuDevicePrimaryCtxGetState(self, device: Any, flags: Any, active: Any) -> int:
        assert device.value == 7
        flags._obj.value, active._obj.value = self.flags, self.active
        return 0


@pytest.mark.parametrize(
    ("driver", "shared"),
    [
        (Driver(), True),
        (Driver(flags=SPINS), True),
        (Driver(flags=SLEEPS, active=True, new=False), True),
        (Driver(flags=SPINS, active=True), True),
        (Driver(flags=SPINS, active=True, new=False), False),
        (Driver(flags=0, active=True, new=False), False),
    ],
)
def test_threads_sleep_while_they_wait(
    monkeypatch: pytest.MonkeyPatch, driver: Driver, shared: bool
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    assert share_context(0) == shared
    assert (driver.flags == SLEEPS) == shared


def test_no_such_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setattr(ctypes, "CDLL", lambda _: driver)
    assert not share_context(3)
    assert driver.flags == 0


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert not share_context(0)
