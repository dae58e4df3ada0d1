"""Cameras as inputs, through FFmpeg's devices: v4l2, dshow and avfoundation."""

from __future__ import annotations

import errno
import functools
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import av.container

from rtfocus.errors import InputError, UsageError
from rtfocus.readers.base import Reader
from rtfocus.readers.cameras import list_cameras
from rtfocus.readers.capture import Capture
from rtfocus.readers.clock import LiveClock
from rtfocus.readers.decoding import Decoding
from rtfocus.readers.feed import LiveFeed
from rtfocus.readers.reopening import ReopeningReader
from rtfocus.settings import OnLoss

_log = logging.getLogger("rtfocus")

_SYNTAX = re.compile(
    r"(?:camera:(?P<index>\d+)|(?P<path>/dev/.+?))(?::(?P<width>\d+)x(?P<height>\d+))?"
    r"(?:@(?P<rate>\d+(?:\.\d+|/\d+)?))?(?:,(?P<format>[a-z0-9_]+))?"
)

_FORMATS = {"linux": "v4l2", "win32": "dshow", "darwin": "avfoundation"}

_USUAL_SIZE, _USUAL_RATE = (1280, 720), Fraction(30)

_OPEN_S, _READ_S = 10.0, 5.0
_HOLD_S = 1.0

_NEARLY = Fraction(9, 10)
"""Of the rate asked for; 29.97 will do for 30."""


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """What the user wants of a camera.

    Attributes:
        source: as it was named.
        index: number of the camera, or None where `path` names it.
        path: of its device file, or None.
        size: width and height; None: 1280x720 if it has that.
        rate: frames per second; None: 30 if it has that.
        pixel_format: FFmpeg's name, such as mjpeg, yuyv422 or nv12; None: chosen by what delivers
            size and rate.
    """

    source: str
    index: int | None
    path: str | None
    size: tuple[int, int] | None = None
    rate: Fraction | None = None
    pixel_format: str | None = None


def is_camera(source: str) -> bool:
    """Whether an input is named as a camera."""
    return source.startswith(("camera:", "/dev/video", "/dev/v4l/"))


def parse_camera(source: str) -> CameraRequest:
    """Read `camera:N[:WxH][@RATE][,FORMAT]`, or the same with a device file; or `UsageError`."""
    match = _SYNTAX.fullmatch(source)
    if match is None:
        raise UsageError(
            f"{source!r}: a camera is written camera:N:WIDTHxHEIGHT@RATE,FORMAT, such as camera:0 "
            "or camera:0:1920x1080@30,mjpeg; `rtfocus info` lists the cameras"
        )
    size = (int(match["width"]), int(match["height"])) if match["width"] else None
    try:
        rate = Fraction(match["rate"]) if match["rate"] else None
    except ZeroDivisionError:
        rate = Fraction(0)
    if rate == 0 or (size is not None and 0 in size):
        raise UsageError(f"{source!r}: size and rate must be larger than 0")
    index = None if match["index"] is None else int(match["index"])
    return CameraRequest(source, index, match["path"], size, rate, match["format"])


def open_camera(source: str, on_loss: OnLoss = "wait", decoding: Decoding | None = None) -> Reader:
    """Open a camera.

    Args:
        source: as the user gave it, see `parse_camera`.
        on_loss: what to do when it is lost, see `ReopeningReader`.
        decoding: see `LiveFeed`.

    Raises:
        UsageError: not written like a camera.
        InputError: not there, in use, not permitted, or without the size or format asked for.
    """
    request = parse_camera(source)
    clock = LiveClock()
    connect = functools.partial(_connect, request, clock, decoding)
    return Capture(source, lambda: ReopeningReader(source, connect, on_loss), hold=_HOLD_S)


def _connect(request: CameraRequest, clock: LiveClock, decoding: Decoding | None) -> LiveFeed:
    return LiveFeed(request.source, "camera", open_device(request), clock, decoding)


def open_device(request: CameraRequest, system: str = sys.platform) -> av.container.InputContainer:
    """Open a camera the way that delivers what is asked for.

    Uncompressed comes first. Many USB cameras deliver that at HD with a few pictures a second only;
    then MJPEG is tried, and the better of the two stays.

    Args:
        request: what is wanted.
        system: as `sys.platform` has it.

    Raises:
        InputError: see `open_camera`.
    """
    device, format_ = _device(request, system), _FORMATS.get(system, "v4l2")
    best: tuple[tuple[bool, Fraction], dict[str, str]] | None = None
    failure: av.FFmpegError | None = None
    for wanted in _attempts(request, system):
        options = device_options(wanted, system)
        try:
            container = _open(device, format_, options)
        except av.FFmpegError as error:
            failure = failure or error
            if error.errno in _HOPELESS:
                break
            continue
        score = _score(container, wanted)
        if score >= (True, _NEARLY):
            return container
        container.close()  # a camera can only be open once
        if best is None or score > best[0]:
            best = score, options
        if wanted.pixel_format is not None:
            break
    if best is not None:
        (right_size, share), options = best
        _log.warning(
            "%s does not give %s; it gives %s",
            request.source,
            "the size asked for" if not right_size else "the rate asked for",
            "another" if not right_size else f"{float(100 * share):.0f}% of it",
        )
        try:
            return _open(device, format_, options)
        except av.FFmpegError as error:
            failure = error
    raise _explained(request, device, failure) from failure


def _attempts(request: CameraRequest, system: str) -> Iterator[CameraRequest]:
    """What to ask the camera for, in order."""
    usual = replace(request, size=request.size or _USUAL_SIZE, rate=request.rate or _USUAL_RATE)
    yield usual
    if request.pixel_format is None and system != "darwin":  # which only has uncompressed
        yield replace(usual, pixel_format="mjpeg")
    if usual != request:
        yield request  # whatever the camera likes best


def device_options(request: CameraRequest, system: str = sys.platform) -> dict[str, str]:
    """What FFmpeg's device is told."""
    options = {}
    if request.size is not None:
        options["video_size"] = "{}x{}".format(*request.size)
    if request.rate is not None:
        options["framerate"] = str(request.rate)
    if request.pixel_format is not None:
        compressed = request.pixel_format in ("mjpeg", "h264")
        dshow = "vcodec" if compressed else "pixel_format"
        name = {"win32": dshow, "darwin": "pixel_format"}.get(system, "input_format")
        options[name] = request.pixel_format
    return options


def _device(request: CameraRequest, system: str) -> str:
    """The name under which FFmpeg knows the camera."""
    if request.path is not None:
        return request.path
    if system == "darwin":
        return str(request.index)
    if system != "win32":
        return f"/dev/video{request.index}"
    names = [camera.device for camera in list_cameras(system)]
    if request.index is None or request.index >= len(names):
        raise InputError(f"{request.source!r} is not there. {_present()}")
    return f"video={names[request.index]}"


def _open(device: str, format_: str, options: dict[str, str]) -> av.container.InputContainer:
    return av.open(
        device,
        format=format_,
        options=options,
        metadata_errors="replace",
        timeout=(_OPEN_S, _READ_S),
    )


def _score(container: av.container.InputContainer, wanted: CameraRequest) -> tuple[bool, Fraction]:
    """Whether an open camera has the size, and what share of the rate."""
    stream = container.streams.video[0]
    size = wanted.size is None or (stream.width, stream.height) == wanted.size
    rate = stream.average_rate or stream.guessed_rate
    if wanted.rate is None or rate is None:
        return size, Fraction(1)
    return size, Fraction(rate) / wanted.rate


_HOPELESS = (errno.EACCES, errno.EPERM, errno.EBUSY, errno.ENOENT, errno.ENODEV)
"""Errors that another format or size does not cure."""


def _explained(request: CameraRequest, device: str, error: av.FFmpegError | None) -> InputError:
    number = None if error is None else error.errno
    if number in (errno.EACCES, errno.EPERM):
        remedy = (
            "this user may not use it. On Linux: sudo usermod -aG video $USER, then log in again; "
            "elsewhere allow cameras for this program in the privacy settings."
        )
    elif number == errno.EBUSY:
        remedy = "another program has it. Close that, or give it the virtual camera instead."
    elif number in (errno.ENOENT, errno.ENODEV):
        remedy = f"it is not there. {_present()}"
    else:
        reason = "no reason given" if error is None else error.strerror
        remedy = (
            f"{reason}. Try another size, rate or format, such as camera:0:640x480@30, or leave "
            "them out."
        )
    return InputError(f"camera {request.source!r} ({device}) cannot be opened: {remedy}")


def _present() -> str:
    cameras = list_cameras()
    if not cameras:
        return "No camera was found on this machine."
    return f"There are: {', '.join(map(str, cameras))}."
