"""Where a depth network runs, and what is said where it cannot."""

from __future__ import annotations

import builtins
from pathlib import Path

import onnxruntime
import pytest
from networks import load

from rtfocus.depth.network import NetworkDepth
from rtfocus.device import Device, resolve
from rtfocus.doctor import doctor_checks
from rtfocus.errors import DeviceError, UnavailableError, UsageError


def test_missing_runtime_says_what_to_install(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, *args: object) -> object:
        if name == "onnxruntime":
            raise ImportError("No module named 'onnxruntime'")
        return real(name, *args)

    real = builtins.__import__
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UnavailableError, match=r'pip install "rtfocus\[cpu\]"'):
        load(network)


# Devices


CUDA = Device("cuda", ("CUDAExecutionProvider", "CPUExecutionProvider"), "asked for")


def test_a_provider_that_is_absent_is_an_error(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError, match="cannot run on cuda:0"):
        NetworkDepth(network, device=CUDA, picture=(32, 48))


def test_a_silent_fallback_is_an_error(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listed provider need not work: then the session runs on the CPU without a word."""
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(CUDA.providers))
    monkeypatch.setattr(
        onnxruntime,
        "InferenceSession",
        lambda path, options, providers, **_: real(path, options, providers=providers[1:]),
    )
    with pytest.raises(DeviceError, match="cannot run on cuda:0"):
        NetworkDepth(network, device=CUDA, picture=(32, 48))


def test_a_provider_that_cannot_start_is_an_error(
    network: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("CUDA failure 35: driver version is insufficient")

    name = "_create_inference_session"
    monkeypatch.setattr(onnxruntime.InferenceSession, name, refuse)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(CUDA.providers))
    with pytest.raises(DeviceError, match="cannot run on cuda:0: CUDA failure 35"):
        NetworkDepth(network, device=CUDA, picture=(32, 48))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_cpu_is_always_there(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtfocus.device.has_driver", lambda: False)
    device = resolve(name)
    assert device.kind == str(device) == "cpu"
    assert device.reason


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:3"])
def test_cuda_is_refused_not_replaced(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtfocus.device.has_driver", lambda: False)
    with pytest.raises(DeviceError, match=r"no NVIDIA driver.*--device cpu"):
        resolve(name)


@pytest.mark.parametrize("name", ["", "gpu", "cuda:", "cuda:-1", "CPU "])
def test_unknown_device(name: str) -> None:
    with pytest.raises(UsageError, match="must be auto, cpu, cuda or cuda:N"):
        resolve(name)


def test_doctor_has_a_remedy_for_all_that_is_wrong(capfd: pytest.CaptureFixture[str]) -> None:
    checks = doctor_checks()
    assert len({check.name for check in checks}) == len(checks) >= 8
    assert all(check.ok or check.remedy for check in checks)
    assert all(check.detail for check in checks)
    assert capfd.readouterr() == ("", "")
