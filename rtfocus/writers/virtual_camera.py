"""A virtual camera for video calls and OBS, with pyvirtualcam."""

from __future__ import annotations

import sys
import time
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtfocus.errors import OutputError, UnavailableError
from rtfocus.frame import Frame, Image, StreamInfo
from rtfocus.kernels.to_yuv import rgb_to_i420
from rtfocus.writers.even import crop_to_even, even_size
from rtfocus.writers.live import LiveWriter
from rtfocus.writers.openers import Openers

_DEFAULT_RATE = Fraction(30)

_REST_S = 1.0
"""Time between two frames while no program has the camera open: one that opens it sees one."""

_REMEDY = {
    "linux": (
        "Load the loopback device with: sudo modprobe v4l2loopback exclusive_caps=1 "
        "card_label=rtfocus (Debian and Ubuntu: sudo apt install v4l2loopback-dkms; "
        "exclusive_caps=1 is what Chrome needs)"
    ),
    "win32": "Install OBS Studio, which brings the virtual camera",
    "darwin": "Install OBS Studio, start its virtual camera once and stop it again",
}


class VirtualCameraWriter(LiveWriter):
    """Makes frames a camera that other programs can use.

    Pictures are cropped to even sides. Frames that come faster than the rate of `info` are held
    back, one of them excepted, so that jitter costs no latency.
    """

    def __init__(self, info: StreamInfo, *, device: str | None = None) -> None:
        """Open the virtual camera.

        Args:
            info: the input that frames come from.
            device: name or device file of the virtual camera; None: the first there is.

        Raises:
            UnavailableError: pyvirtualcam is not installed, or there is no virtual camera.
            UsageError: the picture is too small.
        """
        name = "camera:" + (device or "")
        self._width, self._height = even_size(info.width, info.height, name)
        rate = float(info.rate or _DEFAULT_RATE)
        virtual = load_pyvirtualcam()
        # OBS takes NV12, v4l2loopback I420; the other would be converted once more.
        self._planar = sys.platform not in ("win32", "darwin")
        kinds = virtual.PixelFormat
        try:
            self._camera: Any = virtual.Camera(
                self._width,
                self._height,
                rate,
                fmt=kinds.I420 if self._planar else kinds.NV12,
                device=device,
            )
        except (RuntimeError, KeyError) as error:
            remedy = _REMEDY.get(sys.platform, _REMEDY["linux"])
            raise UnavailableError(
                f"{name!r}: no virtual camera can be opened ({_one_line(error)}). {remedy}."
            ) from error
        self._period = 1 / rate
        self._due = 0.0
        self._openers = Openers.of(self.device)
        self._sent = -_REST_S

    @property
    def device(self) -> str:
        """The device in use, as other programs list it."""
        return str(self._camera.device)

    @property
    def watched(self) -> bool:
        """Whether a program has the camera open, or it is time for a picture all the same."""
        if self._openers is None or time.monotonic() - self._sent >= _REST_S:
            return True
        return self._openers.any()

    def write(self, frame: Frame) -> None:
        """Send one frame, when its turn has come; `OutputError` if that fails."""
        if self._camera is None:
            raise OutputError("the virtual camera is closed; no more frames can be sent")
        data = pack_yuv420(crop_to_even(frame.image), planar=self._planar)
        now = time.monotonic()
        if now < self._due:
            time.sleep(self._due - now)
        # A frame that came early because the one before was late is not held back.
        self._due = max(self._due, now - self._period) + self._period
        self._sent = time.monotonic()
        try:
            self._camera.send(data)
        except (RuntimeError, OSError) as error:
            raise OutputError(
                f"the virtual camera takes no more frames ({_one_line(error)})"
            ) from error

    def close(self) -> None:
        """Let go of the virtual camera; safe to call twice."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()


def load_pyvirtualcam() -> Any:
    """The module; `UnavailableError` where it is not installed or does not load."""
    try:
        import pyvirtualcam
    except ImportError as error:
        raise UnavailableError(
            f"-o camera: needs pyvirtualcam ({error}). Install it with: "
            "pip install 'rtfocus[virtualcam]'"
        ) from error
    return pyvirtualcam


def pack_yuv420(image: Image, *, planar: bool) -> NDArray[np.uint8]:
    """RGB of even sides to BT.709 limited range, (3 h w / 2,): I420 if planar, else NV12."""
    height, width, _ = image.shape
    area = height * width
    out = np.empty(area * 3 // 2, np.uint8)
    luma = out[:area].reshape(height, width)
    if planar:
        cb, cr = out[area:].reshape(2, height // 2, width // 2)
        rgb_to_i420(image, luma, cb, cr, 0, height // 2)
        return out
    cb, cr = np.empty((2, height // 2, width // 2), np.uint8)
    rgb_to_i420(image, luma, cb, cr, 0, height // 2)
    pairs = out[area:].reshape(height // 2, width // 2, 2)
    pairs[..., 0], pairs[..., 1] = cb, cr
    return out


def _one_line(error: Exception) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
