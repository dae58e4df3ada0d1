"""Video in and out of the GPU: what crosses to it and back, and what never does."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from conftest import make_frames, make_info

import rtfocus
from rtfocus.cuda.gpu import Gpu
from rtfocus.cuda.video import GpuDecoding, GpuEncoding, GpuPicture
from rtfocus.cuda.yuv import YuvConverter
from rtfocus.errors import InputError, UsageError
from rtfocus.planes import CodedPicture, Planes
from rtfocus.readers import open_reader, video
from rtfocus.readers.colour import ColourConverter
from rtfocus.readers.orientation import Orientation
from rtfocus.writers.codec import choose_encoder
from rtfocus.writers.video import VideoWriter

LOSSLESS = {"crf": 0.0, "focus_disparity": 0.5, "f_number": 1.0}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("clip") / "clip.mkv")
    rtfocus.refocus("pattern:80x46@10,0.3s", path, device="cpu", view="original")
    return path


@pytest.fixture(scope="module")
def depth(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("depth") / "ramp.npy"
    np.save(path, np.tile(np.linspace(0, 1, 80, dtype=np.float32), (46, 1)))
    return str(path)


def planes(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().astype(int) for frame in container.decode(video=0)]


def assert_alike(results: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    assert len(results) == len(wanted) > 2
    for a, b in zip(results, wanted, strict=True):
        assert (np.abs(a - b) > 1).mean() <= 0.001


@pytest.fixture
def pretended_nvenc(monkeypatch: pytest.MonkeyPatch, cuda: str) -> None:
    if cuda == "cuda":
        pytest.skip("this is pretended")
    monkeypatch.setattr(GpuEncoding, "encoders", {"h264": "libx264"})
    monkeypatch.setattr(GpuEncoding, "pixel_format", "nv12")


@pytest.mark.usefixtures("gpu_device")
@pytest.mark.parametrize("outputs", [["mkv"], ["mkv", "png"]], ids=str)
def test_video_to_video(clip: str, depth: str, tmp_path: Path, outputs: list[str]) -> None:
    """As YUV there and back; beside a writer that does not take it, as RGB."""
    results = []
    for device in ("cpu", "cuda"):
        named = {"mkv": f"{tmp_path}/{device}.mkv", "png": f"{tmp_path}/{device}/"}
        options = LOSSLESS if outputs == ["mkv"] else {"focus_disparity": 0.5, "f_number": 1.0}
        rtfocus.refocus(clip, [named[o] for o in outputs], device=device, depth=depth, **options)
        path = tmp_path / device / "%06d.png" if "png" in outputs else Path(named["mkv"])
        results.append(planes(path))
    assert_alike(*results)


@pytest.mark.usefixtures("gpu_device", "pretended_nvenc")
@pytest.mark.parametrize("view", ["result", "depth"])
def test_pictures_that_are_encoded_on_the_gpu(
    clip: str, depth: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, view: str
) -> None:
    caplog.set_level(logging.INFO, "rtfocus")
    options = {"depth": depth, "view": view, **LOSSLESS}
    for device in ("cpu", "cuda"):
        rtfocus.refocus(clip, f"{tmp_path}/{device}.mkv", device=device, **options)
    assert "encoding on the GPU with libx264" in caplog.text
    on_gpu, on_cpu = (planes(tmp_path / f"{device}.mkv") for device in ("cuda", "cpu"))
    assert_alike(on_gpu, on_cpu)


@pytest.mark.usefixtures("pretended_nvenc")
def test_pictures_for_the_encoder_wait_for_the_work_that_makes_them(
    gpu: Gpu, tmp_path: Path
) -> None:
    """All are handed over before any is looked at, and their memory is not used again meanwhile."""
    info, encoding, converter = make_info(64, 48), GpuEncoding(gpu), YuvConverter(gpu)
    frames = make_frames(info, 5)
    taken = []
    for frame in frames:
        picture = converter.to_nv12(gpu.upload(frame.image))
        taken.append(encoding.frame(GpuPicture(picture, gpu.record())))
        del picture
    gpu.cupy.cuda.Stream.null.synchronize()
    with VideoWriter(tmp_path / "wanted.mkv", info, crf=0) as writer:
        for frame in frames:
            writer.write(frame)
    wanted = planes(tmp_path / "wanted.mkv")
    assert_alike([t.reformat(format="yuv420p").to_ndarray().astype(int) for t in taken], wanted)


def test_odd_pictures_are_encoded_on_the_cpu(gpu: Gpu) -> None:
    encoder = choose_encoder("h264", make_info(63, 48), encoding=GpuEncoding(gpu))
    assert encoder.name == "libx264"


def test_no_nvenc_is_said(gpu: Gpu, cuda: str, caplog: pytest.LogCaptureFixture) -> None:
    if cuda == "cuda":
        pytest.skip("there may be one")
    caplog.set_level(logging.INFO, "rtfocus")
    encoder = choose_encoder("hevc", make_info(), encoding=GpuEncoding(gpu))
    assert encoder.name == "libx265"
    assert "encoding on the CPU: encoder 'hevc_nvenc' does not take 64x48" in caplog.text
    with pytest.raises(UsageError, match="hevc_nvenc"):
        choose_encoder("hevc_nvenc", make_info(), encoding=GpuEncoding(gpu))


@pytest.mark.usefixtures("pretended_nvenc")
def test_an_encoder_that_refuses_the_gpus_memory(
    gpu: Gpu, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As NVENC does where another library has set up the GPU."""
    caplog.set_level(logging.INFO, "rtfocus")

    def refuse(*_: object) -> None:
        raise av.error.OSError(95, "Operation not supported")

    monkeypatch.setattr(GpuEncoding, "frame", refuse)
    encoder = choose_encoder("h264", make_info(), encoding=GpuEncoding(gpu))
    assert encoder.pixel_format == "yuv420p"
    assert "encoding on the CPU: [Errno 95] Operation not supported" in caplog.text


def test_no_nvdec_is_said(gpu: Gpu, cuda: str, clip: str, caplog: pytest.LogCaptureFixture) -> None:
    if cuda == "cuda":
        pytest.skip("there may be one")
    caplog.set_level(logging.INFO, "rtfocus")
    with open_reader(clip, decoding=GpuDecoding(gpu)) as reader:
        frames = list(reader)
    assert caplog.text.count("decoding on the CPU: NVDEC cannot be used") == 1
    assert len(frames) == 3
    assert all(isinstance(frame.image, CodedPicture) for frame in frames)


class PretendedNvdec(GpuDecoding):
    """Pictures that the CPU decoded, as NVDEC hands them over."""

    def __init__(self, gpu: Gpu, does: str) -> None:
        super().__init__(gpu)
        self._does = does

    def open(self, source: str) -> av.container.InputContainer:
        return av.open(source)

    def holds(self, _: av.VideoFrame) -> bool:
        return self._does != "refuse"

    def planes(self, frame: av.VideoFrame):  # type: ignore[no-untyped-def]
        if self._does == "refuse":
            return super().planes(frame)
        self.kept = nv12 = frame.reformat(format="nv12")
        form = frame.format if frame.format.name == "yuv444p" else nv12.format
        return super().planes(SimpleNamespace(sw_format=form, planes=nv12.planes))


@pytest.mark.parametrize("does", ["decode", "refuse"])
def test_pictures_that_the_gpu_decoded(
    gpu: Gpu, cuda: str, clip: str, caplog: pytest.LogCaptureFixture, does: str
) -> None:
    if cuda == "cuda":
        pytest.skip("this is pretended")
    caplog.set_level(logging.INFO, "rtfocus")
    with open_reader(clip) as reader:
        wanted = [frame.image for frame in reader]
    converter = YuvConverter(gpu)
    with open_reader(clip, decoding=PretendedNvdec(gpu, does)) as reader:
        for frame, picture in zip(reader, wanted, strict=True):
            coded = frame.image
            assert isinstance(coded, CodedPicture)
            on_gpu = not isinstance(coded.planes.luma, np.ndarray)
            assert on_gpu == (does == "decode")
            if on_gpu:
                result = gpu.download(converter.to_rgb(coded, coded.planes))
                assert np.abs(result.astype(int) - picture).max() <= 1
    assert ("the GPU does not take h264 (yuv420p)" in caplog.text) == (does == "refuse")


def test_a_file_is_opened_and_decoded_once(
    gpu: Gpu, cuda: str, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cuda == "cuda":
        pytest.skip("this is pretended")
    monkeypatch.setattr(video, "open_container", lambda _: pytest.fail("it is opened again"))
    with open_reader(clip, decoding=PretendedNvdec(gpu, "decode")) as reader:
        assert [frame.index for frame in reader] == [0, 1, 2]


def test_colours_that_the_gpu_does_not_convert(
    gpu: Gpu, cuda: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Those of HDR video, which the CPU decodes from the first picture on."""
    if cuda == "cuda":
        pytest.skip("this is pretended")
    caplog.set_level(logging.INFO, "rtfocus")
    path = str(tmp_path / "hdr.mkv")
    with av.open(path, "w") as container:
        stream = container.add_stream("libx265", rate=10, options={"x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        stream.codec_context.color_primaries = stream.codec_context.colorspace = 9  # BT.2020
        stream.codec_context.color_trc = 16  # PQ
        for i in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * i, np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert_decoded_on_the_cpu(path, PretendedNvdec(gpu, "decode"))
    assert "decoding on the CPU: the GPU does not convert the colours" in caplog.text


def make_clip(path: Path, size: tuple[int, int], pixel_format: str) -> str:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        for i in range(3):
            frame = av.VideoFrame.from_ndarray(np.full((*size[::-1], 3), 40 * i, np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


def assert_decoded_on_the_cpu(path: str, decoding: GpuDecoding) -> None:
    with open_reader(path) as reader:
        wanted = [frame.image for frame in reader]
    with open_reader(path, decoding=decoding) as reader:
        assert (reader.info.height, reader.info.width) == wanted[0].shape[:2]
        images = [frame.image for frame in reader]
    assert len(images) == len(wanted) == 3
    for image, picture in zip(images, wanted, strict=True):
        np.testing.assert_array_equal(image, picture)


def test_pixels_that_do_not_leave_the_decoder(
    gpu: Gpu, cuda: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Some GPUs decode 4:4:4, but PyAV hands on 4:2:0 only."""
    if cuda == "cuda":
        pytest.skip("this is pretended")
    caplog.set_level(logging.INFO, "rtfocus")
    path = make_clip(tmp_path / "full.mkv", (64, 48), "yuv444p")
    assert_decoded_on_the_cpu(path, PretendedNvdec(gpu, "decode"))
    assert "the GPU does not convert this h264's pixels" in caplog.text


def test_odd_sizes_that_the_gpu_rounds_up(
    gpu: Gpu,
    cuda: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if cuda == "cuda":
        pytest.skip("this is pretended")
    caplog.set_level(logging.INFO, "rtfocus")
    path = make_clip(tmp_path / "odd.mkv", (63, 47), "yuv444p")
    decoding, first = PretendedNvdec(gpu, "decode"), video.VideoReader._first_picture

    def rounded(reader: video.VideoReader) -> av.VideoFrame:
        picture = first(reader)
        return picture if reader._decoding is None else picture.reformat(64, 48, "yuv420p")

    monkeypatch.setattr(video.VideoReader, "_first_picture", rounded)
    assert_decoded_on_the_cpu(path, decoding)
    assert "the GPU does not keep the odd size of this h264" in caplog.text


def test_ten_bits_on_the_gpu_are_announced(caplog: pytest.LogCaptureFixture) -> None:
    converter, frame = ColourConverter("clip", "hevc"), av.VideoFrame(64, 48, "yuv420p")
    planes = Planes(np.zeros((48, 64), np.uint16), (np.zeros((24, 64), np.uint16),))
    assert converter.coded(frame, Orientation(), planes) is not None
    assert "clip: 10-bit video becomes 8-bit" in caplog.text


def test_what_is_no_video_is_not_blamed_on_the_gpu(
    gpu: Gpu, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "rtfocus")
    (tmp_path / "clip.mp4").write_bytes(b"no video at all" * 100)
    with pytest.raises(InputError, match="cannot be read as a video"):
        open_reader(str(tmp_path / "clip.mp4"), decoding=GpuDecoding(gpu))
    assert "NVDEC" not in caplog.text
