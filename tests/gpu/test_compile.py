"""All kernels compile for every kind of GPU and keep their values in registers; needs no GPU."""

import shutil

import pytest
from kernel_compiler import (
    ARCHITECTURES,
    MAX_SHARED,
    Kernel,
    KernelError,
    compile_file,
    compile_text,
    compiler,
    kernel_files,
)
from kernel_report import table

pytestmark = pytest.mark.skipif(
    compiler() is None, reason="neither nvidia-cuda-nvrtc with cuda-bindings nor nvcc is installed"
)


def compiled(code: str, *options: str) -> Kernel:
    (kernel,) = compile_text(code, 90, options)
    return kernel


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda a: f"sm_{a}")
@pytest.mark.parametrize("file", kernel_files())
def test_every_kernel(file: str, architecture: int, record_property) -> None:  # type: ignore[no-untyped-def]
    kernels = compile_file(file, architecture)
    assert kernels
    for kernel in kernels:
        record_property(f"{kernel.name} registers", kernel.registers)
        assert not kernel.faults(), kernel


def test_spilled_registers_are_seen() -> None:
    """64 values at once where 1024 threads and two blocks leave 32 registers."""
    kernel = compiled(
        """extern "C" __global__ void __launch_bounds__(1024, 2) f(const float* from, float* to) {
            float value[64];
            #pragma unroll
            for (int i = 0; i < 64; ++i) value[i] = from[i * 1024 + threadIdx.x];
            __syncthreads();
            #pragma unroll
            for (int i = 0; i < 64; ++i) to[i * 1024 + threadIdx.x] = value[i] * value[63 - i];
        }"""
    )
    assert kernel.threads == 1024
    assert kernel.registers <= 32
    assert any("spilled" in fault for fault in kernel.faults())
    assert "sm_90: " in table({"f": [kernel]})


def test_local_memory_is_seen() -> None:
    """An array whose index only the running kernel knows cannot be kept in registers."""
    kernel = compiled(
        """extern "C" __global__ void __launch_bounds__(256) f(int* a, int n) {
            int much[300];
            for (int i = 0; i < 300; ++i) much[i] = a[i];
            a[0] = much[n];
        }"""
    )
    assert kernel.stack == 1200
    assert kernel.faults() == ["1200 bytes of local memory"]


def test_shared_memory_is_counted() -> None:
    body = "{ __shared__ int s[SIZE]; s[*a] = 1; *a = s[a[1]]; }"
    code = f'extern "C" __global__ void f(int* a) {body}'
    assert compiled(code, "-DSIZE=100").shared == 400
    assert compiled(code, "-DSIZE=100").threads == 1024
    with pytest.raises(KernelError, match="shared"):
        compiled(code, f"-DSIZE={MAX_SHARED // 4 + 1}")


def test_registers_must_suffice_for_the_block() -> None:
    kernel = Kernel("f", 75, threads=512, registers=128, shared=0, stack=0, spilled=0)
    assert not kernel.faults()
    larger = Kernel("f", 75, threads=512, registers=129, shared=0, stack=0, spilled=0)
    assert larger.faults() == ["129 registers for 512 threads"]


def test_the_compilers_message_is_shown() -> None:
    with pytest.raises(KernelError, match=r'kernels\.cu\S* error: identifier "oops" is undefined'):
        compiled('extern "C" __global__ void f(int* p) { p[0] = oops; }')


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")
def test_nvcc_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is compiled where there is no NVRTC is read alike, errors too."""
    body = "{ __shared__ int s[64]; s[*a] = 1; *a = s[a[1]]; }"
    code = f'extern "C" __global__ void __launch_bounds__(64) f(int* a) {body}'
    kernel = compiled(code)
    monkeypatch.setattr("kernel_compiler.compiler", lambda: "nvcc")
    same = compiled(code)
    for each in (kernel, same):
        assert (each.name, each.threads, each.shared) == ("f", 64, 256)
    with pytest.raises(KernelError, match='"oops" is undefined'):
        compiled('extern "C" __global__ void f(int* p) { p[0] = oops; }')
