"""The pretended GPU sees what would go wrong on a real one."""

import itertools

import numpy as np
import pytest

from rtfocus.cuda import gpu as gpu_module
from rtfocus.cuda.gpu import Gpu
from rtfocus.cuda.transfer import Downloader, Uploader
from rtfocus.errors import DeviceError
from rtfocus.frame import Frame

from . import fake_cupy

pytestmark = pytest.mark.parametrize("cuda", ["late", "at once"], indirect=True)

NEGATE = """
extern "C" __global__ void negate(const unsigned char* from, unsigned char* to, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) to[i] = 255 - from[i];
}
"""


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def use(code: str) -> None:
        common = gpu_module.files("rtfocus.cuda").joinpath("common.cuh").read_text()
        monkeypatch.setattr(gpu_module, "source", lambda _file: common + code)

    return use


def run(gpu: Gpu, load, body: str, *, blocks: int = 1, shared: int = 0) -> np.ndarray:  # type: ignore[no-untyped-def]
    """What a kernel with this body, from[64 * blocks] and to[...] makes of 1, 2, 3 ..."""
    load(f'extern "C" __global__ void f(const float* from, float* to) {{ {body} }}')
    values = np.arange(1, 64 * blocks + 1, dtype=np.float32)
    to = gpu.empty(64 * blocks, np.float32)
    gpu.launch(body, "f", (64 * blocks,), gpu.upload(values), to, block=(64,), shared=shared)
    return gpu.download(to)


@pytest.mark.parametrize("other", ["63 - i", "(i + 1) % 64", "(i + 63) % 64", "0", "63"])
@pytest.mark.parametrize("memory", ["__shared__ float part[64];", "DYNAMIC_SHARED(float, part);"])
def test_missing_barrier_is_seen(gpu: Gpu, load, memory: str, other: str) -> None:  # type: ignore[no-untyped-def]
    """Whichever thread's value is wanted."""
    body = f"const int i = threadIdx.x; {memory} part[i] = from[i]; SYNC; to[i] = part[{other}];"
    index = eval(other, {"i": np.arange(64)})
    wanted = np.arange(1, 65, dtype=np.float32)[index]
    right = run(gpu, load, body.replace("SYNC", "__syncthreads()"), shared=256)
    assert (right == wanted).all()
    wrong = run(gpu, load, body.replace("SYNC", ""), shared=256)
    assert (wrong != wanted).any()


@pytest.mark.parametrize("other", ["i ^ 1", "i ^ 31"])
def test_missing_barrier_of_a_warp_is_seen(gpu: Gpu, load, other: str) -> None:  # type: ignore[no-untyped-def]
    start = "const int i = threadIdx.x; __shared__ float part[64]; part[i] = from[i];"
    right = run(gpu, load, f"{start} __syncwarp(); to[i] = part[{other}];")
    assert (right != run(gpu, load, f"{start} to[i] = part[{other}];")).any()


def test_a_warp_may_be_far_ahead(gpu: Gpu, load) -> None:  # type: ignore[no-untyped-def]
    """So far that it has exchanged values in itself many times before another one reads."""
    body = """const int i = threadIdx.x; __shared__ float part[2];
        float total = 0, value = from[i];
        for (int round = 0; round < 2; ++round) {
            for (int by = 16; by > 0; by /= 2) value += __shfl_xor_sync(~0u, value, by);
            if (i % 32 == 0) part[i / 32] = value;
            __syncthreads();
            total += part[0] + part[1]; SYNC;
        }
        to[64 * blockIdx.x + i] = total;"""
    right = run(gpu, load, body.replace("SYNC", "__syncthreads()"), blocks=8)
    assert len(set(right)) == 1
    assert len(set(run(gpu, load, body.replace("SYNC", ""), blocks=8))) > 1


def test_overwriting_what_others_still_read_is_seen(gpu: Gpu, load) -> None:  # type: ignore[no-untyped-def]
    for by in (1, 63):
        body = f"""const int i = threadIdx.x; __shared__ float part[64];
            part[i] = from[i]; __syncthreads();
            const float read = part[(i + {by}) % 64]; SYNC;
            part[i] = -1; to[i] = read;"""
        right = run(gpu, load, body.replace("SYNC", "__syncthreads()"))
        assert (right > 0).all()
        assert (run(gpu, load, body.replace("SYNC", "")) < 0).any()


def test_shared_memory_of_the_block_before_is_gone(gpu: Gpu, load) -> None:  # type: ignore[no-untyped-def]
    body = """const int i = threadIdx.x; __shared__ float total;
        if (blockIdx.x == 0 && i == 0) total = 1;
        __syncthreads(); to[blockIdx.x * 64 + i] = total;"""
    result = run(gpu, load, body, blocks=20)
    assert (result[:64] == 1).all()
    rest = result[64::64]
    assert set(np.nan_to_num(rest, nan=7)) == {0, 7}  # neither is certain to be harmless


@pytest.mark.parametrize("other", ["1", "gridDim.x - 1"])
def test_blocks_do_not_run_in_order(gpu: Gpu, load, other: str) -> None:  # type: ignore[no-untyped-def]
    """One that reads what another of the same launch writes sometimes comes too early."""
    body = f"""const int i = threadIdx.x, b = blockIdx.x; to[b * 64 + i] = 1;
        const float read = to[(b + {other}) % gridDim.x * 64 + i];
        if (read != 1) to[b * 64 + i] = 2;"""
    assert (run(gpu, load, body, blocks=4) == 2).any()


def test_threads_that_wait_for_ever(gpu: Gpu, load) -> None:  # type: ignore[no-untyped-def]
    body = """if (threadIdx.x == 0) __syncwarp(); else if (threadIdx.x < 32) __syncthreads();
        __syncthreads(); to[threadIdx.x] = 7;"""
    with pytest.raises(DeviceError, match="for ever"):
        run(gpu, load, body)
    assert (run(gpu, load, "__syncthreads(); to[threadIdx.x] = 7;") == 7).all()


def test_shuffles_at_the_ends_of_a_warp(gpu: Gpu, load) -> None:  # type: ignore[no-untyped-def]
    """Who asks beyond them gets its own value; who asks a thread that has ended, garbage."""
    i = np.arange(64)
    down = run(gpu, load, "to[threadIdx.x] = __shfl_down_sync(~0u, from[threadIdx.x], 3);")
    np.testing.assert_array_equal(down, 1 + np.where(i % 32 < 29, i + 3, i))
    up = run(gpu, load, "to[threadIdx.x] = __shfl_up_sync(~0u, from[threadIdx.x], 3);")
    np.testing.assert_array_equal(up, 1 + np.where(i % 32 >= 3, i - 3, i))
    body = """to[threadIdx.x] = 0; if (threadIdx.x == 5) return; __syncwarp();
        to[threadIdx.x] = __shfl_sync(~0u, from[threadIdx.x], 5);"""
    ended = run(gpu, load, body)
    assert np.isnan(ended[:5]).all()
    assert (ended[32:] == 38).all()


def test_block_larger_than_the_launch_bounds(gpu: Gpu, load) -> None:  # type: ignore[no-untyped-def]
    bounds = "void __launch_bounds__(HALF * (1 + 1), 2)"
    load("#define HALF 16\n" + NEGATE.replace("void", bounds))
    picture = gpu.zeros(64, np.uint8)
    gpu.launch("file", "negate", (64,), picture, gpu.empty(64, np.uint8), 64, block=(32,))
    gpu.compute.synchronize()
    with pytest.raises(DeviceError, match="launch_bounds"):
        gpu.launch("file", "negate", (64,), picture, gpu.empty(64, np.uint8), 64, block=(64,))
        gpu.download(picture)


@pytest.mark.parametrize("values", [(64.0,), (), (64, 1)])
def test_arguments_that_a_kernel_does_not_take(gpu: Gpu, load, values: tuple[float, ...]) -> None:  # type: ignore[no-untyped-def]
    load(NEGATE)
    picture = gpu.zeros(64, np.uint8)
    with pytest.raises(AssertionError, match="ppi"):
        gpu.launch("file", "negate", (64,), picture, picture, *values)


def test_default_stream_is_refused(gpu: Gpu) -> None:
    array = gpu.zeros(4, np.float32)
    for use in (lambda: array.fill(1), array.get, lambda: gpu.cupy.empty(3, np.float32)):
        with pytest.raises(AssertionError, match="default stream"):
            use()
    with pytest.raises(AssertionError, match="blocking"):
        gpu.cupy.cuda.Stream()


def test_host_cannot_read_device_memory(gpu: Gpu) -> None:
    array = gpu.zeros(4, np.float32)
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(array)
    with pytest.raises(AssertionError, match="device memory is read"):
        array[0]
    with pytest.raises(TypeError):
        float(array)


def test_memory_starts_as_garbage_new_or_used(gpu: Gpu) -> None:
    for _ in range(2):
        array = gpu.empty(4, np.uint8)
        assert (gpu.download(array) == fake_cupy.GARBAGE).all()
        gpu.fill(array, 1)
        del array


def test_memory_is_used_again(gpu: Gpu) -> None:
    first = gpu.zeros(4, np.uint8)
    address, free = first.data.ptr, fake_cupy.machine.free
    del first
    assert fake_cupy.machine.free == free + 4
    assert gpu.empty((2, 2), np.uint8).data.ptr == address


def test_upload_from_pinned_memory_is_late(gpu: Gpu, cuda: str) -> None:
    pinned, plain = gpu.empty_pinned((4,)), np.zeros(4, np.uint8)
    pinned[:] = 0
    arrays = [gpu.empty(4, np.uint8) for _ in range(2)]
    for array, source in zip(arrays, (pinned[:], plain), strict=True):
        array.set(source, stream=gpu.up)
        source[:] = 9  # while the copy may still be under way
    gpu.up.synchronize()
    assert (gpu.download(arrays[0]) == (9 if cuda == "late" else 0)).all()
    assert (gpu.download(arrays[1]) == 0).all()


def test_missing_wait_for_a_copy_is_seen(gpu: Gpu, cuda: str) -> None:
    for waits in (True, False):
        array = gpu.empty(4, np.uint8)
        array.set(np.full(4, 7, np.uint8), stream=gpu.up)
        if waits:
            gpu.compute.wait_event(gpu.up.record())
        seen = (gpu.download(array) == 7).all()
        assert seen == (waits or cuda == "at once")


STREAMS = [set(s) for n in range(4) for s in itertools.combinations(("compute", "up", "down"), n)]


def round_trip(gpu: Gpu, eager: set[str], up: Uploader, down: Downloader) -> bool:
    """Whether ten pictures come back negated when these streams do what they are given at once."""
    for name in ("compute", "up", "down"):
        getattr(gpu, name).eager = name in eager
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (5, 7, 3), np.uint8) for _ in range(10)]
    sent = []
    results = []
    for frame in up.stream(Frame(p, i, i, 1) for i, p in enumerate(pictures)):  # type: ignore[arg-type]
        result = gpu.empty((5, 7, 3), np.uint8)
        gpu.launch("file", "negate", (105,), frame.image, result, 105, block=(32,))
        sent.append(down.start(result))
        del result
        if len(sent) > 2:
            results.append(down.finish(sent.pop(0)))
    results += map(down.finish, sent)
    return all((a == 255 - b).all() for a, b in zip(results, pictures, strict=True))


@pytest.mark.parametrize("eager", STREAMS, ids=lambda s: "+".join(sorted(s)) or "none")
def test_transfers_in_any_order_of_streams(gpu: Gpu, load, eager: set[str]) -> None:  # type: ignore[no-untyped-def]
    load(NEGATE)
    assert round_trip(gpu, eager, Uploader(gpu), Downloader(gpu))


@pytest.mark.parametrize("stream", ["compute", "up", "down"])
def test_any_missing_wait_between_streams_is_seen(
    gpu: Gpu,
    load,
    stream: str,
    monkeypatch: pytest.MonkeyPatch,  # type: ignore[no-untyped-def]
) -> None:
    load(NEGATE)
    monkeypatch.setattr(getattr(gpu, stream), "wait_event", lambda _event: None)
    assert not all(round_trip(gpu, eager, Uploader(gpu), Downloader(gpu)) for eager in STREAMS)


def test_memory_released_while_another_stream_reads_it_is_seen(gpu: Gpu, load, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """As the downloader's would be, did it not keep its pictures."""
    load(NEGATE)
    down = Downloader(gpu)
    start = down.start

    def forgetful(image):  # type: ignore[no-untyped-def]
        picture = start(image)
        object.__setattr__(picture, "source", None)
        return picture

    monkeypatch.setattr(down, "start", forgetful)
    assert not all(round_trip(gpu, eager, Uploader(gpu), down) for eager in STREAMS)
