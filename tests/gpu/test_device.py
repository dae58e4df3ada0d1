"""The choice of the device, and what stands in its way."""

from __future__ import annotations

import builtins
import sys
from types import SimpleNamespace
from typing import Any

import onnxruntime
import pytest

from rtfocus import device as device_module
from rtfocus.cuda import doctor
from rtfocus.device import has_driver, resolve
from rtfocus.errors import DeviceError

from . import fake_cupy

BOTH = ["CUDAExecutionProvider", "CPUExecutionProvider"]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> fake_cupy.Machine:
    """A machine where everything is there, to take something away from."""
    monkeypatch.setattr(fake_cupy, "machine", fake_cupy.Machine())
    for name, module in fake_cupy.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(device_module, "has_driver", lambda: True)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: BOTH)
    monkeypatch.setattr(onnxruntime, "cuda_version", "13.0", raising=False)
    return fake_cupy.machine


def take_away(monkeypatch: pytest.MonkeyPatch, module: str, error: ImportError) -> None:
    def refuse(name: str, *args: Any) -> Any:
        if name == module:
            raise error
        return real(name, *args)

    real = builtins.__import__
    monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", refuse)


def reasons(name: str = "cuda") -> tuple[str, str]:
    """Why the GPU is not used: the error of --device cuda, and what --device auto says."""
    with pytest.raises(DeviceError) as caught:
        resolve(name)
    assert caught.value.exit_code == 4
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"device '{name}': ")
    assert message.endswith("Or use --device cpu.")
    auto = resolve("auto")
    assert str(auto) == "cpu"
    assert auto.providers == ("CPUExecutionProvider",)
    return message, auto.reason


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("name", ["auto", "cuda", "cuda:0"])
def test_gpu_where_everything_is_there(name: str) -> None:
    device = resolve(name)
    assert (device.kind, str(device), device.memory) == ("cuda", "cuda:0", "cuda")
    assert list(device.providers) == BOTH
    assert device.reason == ("found Pretended GPU" if name == "auto" else "asked for")


def test_one_of_several(machine: fake_cupy.Machine) -> None:
    machine.devices = 3
    assert str(resolve("cuda:2")) == "cuda:2"
    assert str(resolve("auto")) == "cuda:0"


def test_cpu_looks_at_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "has_driver", lambda: pytest.fail("it looked"))
    assert str(resolve("cpu")) == "cpu"


@pytest.mark.usefixtures("machine")
def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "has_driver", lambda: False)
    take_away(monkeypatch, "cupy", ImportError("CuPy is looked for without need"))
    message, auto = reasons()
    assert "no NVIDIA driver. Install the driver" in message
    assert auto == "no NVIDIA driver"


@pytest.mark.parametrize(
    ("platform", "library"), [("linux", "libcuda.so.1"), ("win32", "nvcuda.dll")]
)
@pytest.mark.parametrize("there", [True, False])
def test_driver_is_found(
    monkeypatch: pytest.MonkeyPatch, platform: str, library: str, there: bool
) -> None:
    asked = []

    def load(name: str) -> None:
        asked.append(name)
        if not there:
            raise OSError("no such library")

    monkeypatch.setattr(device_module, "sys", SimpleNamespace(platform=platform))
    monkeypatch.setattr(device_module, "ctypes", SimpleNamespace(CDLL=load))
    assert has_driver() == there
    assert asked == [library]


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ModuleNotFoundError("No module named 'cupy'", name="cupy"), "CuPy is not installed"),
        (ImportError("libcublas.so.13: cannot\nopen"), "CuPy cannot be imported (libcublas.so.13"),
    ],
)
def test_no_cupy(monkeypatch: pytest.MonkeyPatch, error: ImportError, why: str) -> None:
    take_away(monkeypatch, "cupy", error)
    message, auto = reasons()
    assert why in message
    assert 'pip install "rtfocus[cuda]"' in message
    assert auto.startswith(why)


def test_driver_too_old(machine: fake_cupy.Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise fake_cupy.CUDARuntimeError(35, "cudaErrorInsufficientDriver")

    machine.driver = 12040
    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, "getDeviceCount", refuse)
    message, auto = reasons()
    assert auto == "the NVIDIA driver knows CUDA 12.4 at most, and CuPy is for CUDA 13.0"
    assert "Install a newer driver" in message
    assert '"rtfocus[cuda12]"' in message


def test_no_gpu(machine: fake_cupy.Machine) -> None:
    machine.devices = 0
    assert reasons()[1] == "no NVIDIA GPU"


def test_cuda_fails(machine: fake_cupy.Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise fake_cupy.CUDARuntimeError(999, "cudaErrorUnknown: unknown error")

    del machine
    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, "getDeviceCount", refuse)
    message, auto = reasons()
    assert auto == "CUDA fails: cudaErrorUnknown: unknown error"
    assert "nvidia-smi" in message


def test_no_such_gpu(machine: fake_cupy.Machine) -> None:
    machine.devices = 2
    with pytest.raises(
        DeviceError,
        match=r"no such GPU; there is cuda:0 \(Pretended GPU\), cuda:1 \(Pretended GPU\)",
    ):
        resolve("cuda:2")


@pytest.mark.usefixtures("machine")
def test_no_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")
    take_away(monkeypatch, "onnxruntime", missing)
    assert reasons()[1] == "ONNX Runtime is not installed"


@pytest.mark.usefixtures("machine")
def test_onnx_runtime_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: BOTH[1:])
    message, auto = reasons()
    assert auto.endswith("was built without CUDA (it has CPUExecutionProvider)")
    assert "pip uninstall onnxruntime onnxruntime-gpu" in message


def test_different_versions_of_cuda(
    machine: fake_cupy.Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "cuda_version", "12.8")
    message, auto = reasons()
    assert "CuPy is for CUDA 13, and ONNX Runtime" in auto
    assert auto.endswith("for CUDA 12.8")
    assert "Both must be for the same" in message
    machine.runtime = 12090
    assert str(resolve("cuda")) == "cuda:0"


@pytest.mark.usefixtures("machine")
def test_libraries_of_python_packages_are_loaded_in_silence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = []

    def preload(directory: str) -> None:
        print("Failed to load something")
        loaded.append(directory)

    monkeypatch.setattr(onnxruntime, "preload_dlls", preload, raising=False)
    resolve("cuda")
    assert loaded == [""]
    assert capsys.readouterr() == ("", "")


# The doctor


def checked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(doctor.shutil, "which", lambda _name: None)
    checks = {check.name: check for check in doctor.gpu_checks()}
    assert all(check.detail and (check.ok or check.remedy) for check in checks.values())
    return checks


@pytest.mark.filterwarnings("ignore:Specified provider")
def test_doctor_looks_at_the_gpu(
    machine: fake_cupy.Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = checked(monkeypatch)
    assert checks["CuPy"].ok
    assert "answer" in machine.launches
    assert not checks["Depth network on the GPU"].ok  # its provider is only pretended
    assert checks["Free GPU memory"].detail.endswith("of 8192 MB")
    assert {"NVIDIA GPU", "TensorRT", "NVDEC", "NVENC"} < set(checks)


def test_doctor_says_what_is_missing(
    machine: fake_cupy.Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.devices = 0
    machine.free = 100 << 20
    checks = checked(monkeypatch)
    assert "Is there an NVIDIA GPU" in checks["CuPy"].detail
    assert "no NVIDIA GPU" in checks["Depth network on the GPU"].detail
    assert not checks["Free GPU memory"].ok


@pytest.mark.usefixtures("machine")
def test_doctor_without_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    take_away(monkeypatch, "cupy", ModuleNotFoundError("No module named 'cupy'", name="cupy"))
    checks = checked(monkeypatch)
    assert not checks["CuPy"].ok
    assert "CuPy is not installed" in checks["Depth network on the GPU"].detail
