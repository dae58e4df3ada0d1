"""What image files may hold beside three colours: transparency, planes, and several pictures."""

from __future__ import annotations

import logging
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from rtfocus.readers import open_reader
from rtfocus.readers.images import read_image

PIXEL = (190, 100, 40)
ALPHA = 31
OVER_BLACK = [23, 12, 5]
"""What `PIXEL` is over black where alpha is straight."""


def write_tiff(
    path: Path,
    samples: np.ndarray,
    extra: int | None = None,
    *,
    separate: bool = False,
    order: str = "<",
    orientation: int = 1,
) -> Path:
    """An uncompressed TIFF (TIFF 6.0, section 2) of (h, w, channels) samples."""
    height, width, count = samples.shape
    planes = np.moveaxis(samples, -1, 0) if separate else samples[None]
    strips = [p.astype(samples.dtype.newbyteorder(order)).tobytes() for p in planes]
    fields: dict[int, tuple[str, list[int]]] = {
        256: ("H", [width]),
        257: ("H", [height]),
        258: ("H", [samples.itemsize * 8] * count),
        259: ("H", [1]),
        262: ("H", [2 if count > 2 else 1]),
        273: ("I", [8 + i * len(strips[0]) for i in range(len(strips))]),
        274: ("H", [orientation]),
        277: ("H", [count]),
        278: ("H", [height]),
        279: ("I", [len(strip) for strip in strips]),
        284: ("H", [2 if separate else 1]),
        **({} if extra is None else {338: ("H", [extra])}),
    }
    data = b"".join(strips)
    entries = b""
    for tag, (kind, values) in fields.items():
        value = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(value) > 4:
            data, value = data + value, struct.pack(order + "I", 8 + len(data))
        head = struct.pack(order + "HHI", tag, 3 if kind == "H" else 4, len(values))
        entries += head + value.ljust(4, b"\0")
    start = struct.pack(order + "HI", 42, 8 + len(data))
    directory = struct.pack(order + "H", len(fields)) + entries + bytes(4)
    path.write_bytes((b"II" if order == "<" else b"MM") + start + data + directory)
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("extra", "seen"), [(None, OVER_BLACK), (0, [*PIXEL]), (1, [*PIXEL]), (2, OVER_BLACK)]
)
def test_alpha_in_tiff(
    extra: int | None, seen: list[int], kind: type, separate: bool, order: str, tmp_path: Path
) -> None:
    samples = np.full((3, 4, 4), (*PIXEL, ALPHA), kind) * kind(np.iinfo(kind).max // 255)
    path = write_tiff(tmp_path / "a.tif", samples, extra, separate=separate, order=order)
    assert (read_image(path) == seen).all()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize(("extra", "seen"), [(1, 190), (2, 23)])
def test_alpha_in_grey_tiff(extra: int, seen: int, kind: type, order: str, tmp_path: Path) -> None:
    samples = np.full((3, 4, 2), (190, ALPHA), kind) * kind(np.iinfo(kind).max // 255)
    assert (read_image(write_tiff(tmp_path / "a.tif", samples, extra, order=order)) == seen).all()


def test_alpha_in_a_tiff_of_opencv_is_that_of_a_png(tmp_path: Path) -> None:
    samples = np.full((3, 4, 4), (*PIXEL[::-1], ALPHA), np.uint8)
    for name in ("a.tif", "a.png"):
        cv2.imwrite(str(tmp_path / name), samples)
        assert (read_image(tmp_path / name) == OVER_BLACK).all()


def test_planes_of_sixteen_bits(tmp_path: Path) -> None:
    samples = np.full((3, 4, 3), PIXEL, np.uint16) * np.uint16(257)
    assert (read_image(write_tiff(tmp_path / "a.tif", samples, separate=True)) == PIXEL).all()


@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
def test_tiffs_are_turned_alike(orientation: int, tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4, 1) * 20
    alone = write_tiff(tmp_path / "a.tif", grey, orientation=orientation)
    opaque = np.dstack([grey, np.full_like(grey, 255)])
    with_alpha = write_tiff(tmp_path / "b.tif", opaque, 2, orientation=orientation)
    assert (read_image(with_alpha) == read_image(alone)).all()


def frames(count: int) -> list[np.ndarray]:
    return [np.full((48, 64, 3), 40 * i, np.uint8) for i in range(1, count + 1)]


def write_apng(path: Path, count: int) -> Path:
    with av.open(str(path), "w", format="apng") as container:
        stream = container.add_stream("apng", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        for image in frames(count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["a.apng", "a.png"])
def test_an_animated_png_is_a_video(name: str, tmp_path: Path) -> None:
    with open_reader(str(write_apng(tmp_path / name, 3))) as reader:
        read = list(reader)
        assert (reader.info.kind, reader.info.rate) == ("video", Fraction(10))
    assert [int(frame.image[0, 0, 0]) for frame in read] == [40, 80, 120]
    assert [frame.time for frame in read] == pytest.approx([0, 0.1, 0.2])


def test_an_animation_of_one_picture_is_an_image(tmp_path: Path) -> None:
    with open_reader(str(write_apng(tmp_path / "a.png", 1))) as reader:
        assert (reader.info.kind, len(list(reader))) == ("image", 1)


def test_what_of_an_animation_is_not_read_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    animation = cv2.Animation()
    animation.frames, animation.durations = frames(3), [100] * 3
    cv2.imwriteanimation(str(tmp_path / "a.webp"), animation)
    write_apng(tmp_path / "0.png", 3)
    for path in (tmp_path / "a.webp", tmp_path):
        caplog.clear()
        with open_reader(str(path)) as reader:
            assert int(next(iter(reader)).image[0, 0, 0]) == pytest.approx(40, abs=3)
        assert "only its first picture" in caplog.text
    caplog.clear()
    cv2.imwrite(str(tmp_path / "still.webp"), frames(1)[0])
    read_image(tmp_path / "still.webp")
    assert caplog.text == ""


def test_what_is_lost_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "rtfocus")
    plain = np.full((4, 6, 4), 65535, np.uint16)
    for name in ("a.png", "b.png"):
        assert cv2.imwrite(str(tmp_path / name), plain)
    with open_reader(str(tmp_path)) as reader:
        assert len(list(reader)) == 2
    (told,) = (record.getMessage() for record in caplog.records)
    assert told == f"{tmp_path / 'a.png'}: 16 bits a sample become 8"
    caplog.clear()
    plain[0, 0, 3] = 0
    assert cv2.imwrite(str(tmp_path / "a.png"), (plain >> 8).astype(np.uint8))
    read_image(tmp_path / "a.png")
    assert "transparent parts become black" in caplog.text


@pytest.mark.parametrize(
    ("name", "told"),
    [(b"Display P3", True), (b"sRGB IEC61966-2.1", False), ("sRGB".encode("utf-16-be"), False)],
)
def test_a_profile_that_is_not_srgb_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: bytes, told: bool
) -> None:
    caplog.set_level(logging.WARNING, "rtfocus")
    path = tmp_path / "a.jpg"
    _, jpeg = cv2.imencode(".jpg", np.full((8, 8, 3), 90, np.uint8))
    body = bytes(32) + b"acsp" + bytes(88) + name
    profile = b"ICC_PROFILE\0\1\1" + struct.pack(">I", len(body) + 4) + body
    block = b"\xff\xe2" + struct.pack(">H", len(profile) + 2) + profile
    path.write_bytes(jpeg.tobytes()[:2] + block + jpeg.tobytes()[2:])
    read_image(path)
    assert ("colour profile is ignored" in caplog.text) == told
