"""A GPU for every test: CuPy's where `-m cuda` asks for it, else a pretended one."""

from __future__ import annotations

import sys

import pytest

from rtfocus import device as device_module
from rtfocus.cuda import network as cuda_network
from rtfocus.cuda import rates
from rtfocus.device import Device, resolve
from rtfocus.errors import DeviceError

from . import fake_cupy, pretended


@pytest.fixture(params=["late", "at once", pytest.param("cuda", marks=pytest.mark.cuda)])
def cuda(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What stands behind `import cupy`: CuPy itself, or a fake whose streams are late or early."""
    if request.param == "cuda":
        cupy = pytest.importorskip("cupy", reason="CuPy is not installed", exc_type=ImportError)
        try:
            cupy.cuda.runtime.getDeviceCount()
        except cupy.cuda.runtime.CUDARuntimeError as error:
            pytest.skip(f"no GPU: {error}")
    else:
        monkeypatch.setattr(fake_cupy, "machine", fake_cupy.Machine())
        fake_cupy.machine.eager = request.param == "at once"
        for name, module in fake_cupy.modules().items():
            monkeypatch.setitem(sys.modules, name, module)
        for name, few in (("_COPIED", 1000), ("_ROUNDS", 1), ("_SIDE", 10)):
            monkeypatch.setattr(rates, name, few)
    return request.param


@pytest.fixture
def gpu(cuda: str):  # type: ignore[no-untyped-def]  # noqa: ARG001
    from rtfocus.cuda.gpu import Gpu

    return Gpu()


@pytest.fixture
def gpu_device(cuda: str, monkeypatch: pytest.MonkeyPatch) -> Device:
    """What `--device cuda` gives: all of a GPU, or all of it pretended."""
    if cuda == "cuda":
        try:
            return resolve("cuda")
        except DeviceError as error:
            pytest.skip(str(error))
    monkeypatch.setattr(device_module, "find_gpu", lambda _: pretended.DEVICE)
    monkeypatch.setattr(cuda_network, "open_session", pretended.open_pretended)
    return pretended.DEVICE
