"""Focus on a face: the one nearest to the last focus, without hunting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from rtfocus.errors import UnavailableError
from rtfocus.focus.plane import FocusPoint
from rtfocus.frame import Image

_DETECT_EVERY = 0.1
"""Seconds between detections: faces do not move far in them."""

_EVIDENCE = 0.5
"""Seconds for which another face must be seen instead, before the focus changes to it."""

_SAME_FACE, _SAME_SIZE = 0.75, 1.6
"""How far, in its sizes, and by what factor a face may move and grow between two detections."""

_DETECTED_SIDE = 320
"""Longer side of the picture that YuNet looks at, which was trained on faces of 10 to 300 px."""

_SCORE, _OVERLAP, _MOST = 0.7, 0.3, 100
"""YuNet's thresholds: least score, largest overlap of two faces, and most candidates."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face in a picture, in shares of its width and height from the top left corner.

    Attributes:
        x: of the left edge.
        y: of the upper edge.
        width: of the box.
        height: likewise.
        score: how sure the detector is, 0..1.
    """

    x: float
    y: float
    width: float
    height: float
    score: float = 1.0

    @property
    def middle(self) -> FocusPoint:
        """The middle of the box, within the picture."""
        x, y = self.x + self.width / 2, self.y + self.height / 2
        return FocusPoint(min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0))


class FaceDetector(Protocol):
    """Finds faces."""

    def detect(self, image: Image) -> Sequence[Face]:
        """The faces in a picture of (h, w, 3) uint8 RGB, of any size."""


class YuNet:
    """OpenCV's face detector, with the user's model file.

    The network is YuNet (W. Wu, H. Peng and S. Yu, "YuNet: A Tiny Millisecond-level Face Detector",
    2023).
    """

    def __init__(self, model: str | Path) -> None:
        """Args: model: face_detection_yunet_*.onnx, from OpenCV's model zoo.

        Raises:
            UnavailableError: the file is absent or no YuNet, or OpenCV was built without it.
        """
        path = Path(model)
        if not path.is_file():
            raise UnavailableError(
                f"--face-model {str(model)!r}: there is no such file. {_WHERE_FROM}"
            )
        if not hasattr(cv2, "FaceDetectorYN"):
            raise UnavailableError(
                f"--face-model: this OpenCV ({cv2.__version__}) has no FaceDetectorYN; "
                "install opencv-python 4.13 or later"
            )
        log = cv2.utils.logging
        level = log.setLogLevel(log.LOG_LEVEL_ERROR)  # OpenCV 5 warns of what it does itself
        try:
            self._network = cv2.FaceDetectorYN.create(
                str(path), "", (64, 64), _SCORE, _OVERLAP, _MOST
            )
            self.detect(np.zeros((64, 64, 3), np.uint8))  # another network only fails here
        except cv2.error as error:
            raise UnavailableError(
                f"--face-model {str(model)!r} is not a YuNet network that OpenCV "
                f"{cv2.__version__} can run. {_WHERE_FROM}"
            ) from error
        finally:
            log.setLogLevel(level)

    def detect(self, image: Image) -> Sequence[Face]:
        """The faces in a picture of (h, w, 3) uint8 RGB, which is reduced first."""
        scale = min(_DETECTED_SIDE / max(image.shape[:2]), 1.0)
        width, height = (max(1, round(side * scale)) for side in image.shape[1::-1])
        small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        self._network.setInputSize((width, height))
        _, rows = self._network.detect(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        if rows is None:
            return []
        # Each row: left, top, width, height, five landmarks, score.
        size = np.array([width, height, width, height])
        boxes = np.asarray(rows)[:, :4] / size
        scores = np.asarray(rows)[:, 14]
        return [
            Face(float(x), float(y), float(w), float(h), float(score))
            for (x, y, w, h), score in zip(boxes, scores, strict=True)
        ]


_WHERE_FROM = (
    "Get the newest face_detection_yunet_*.onnx from "
    "https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet"
)


@dataclass(frozen=True, slots=True)
class FaceFocus:
    """What is known of the faces at a moment.

    Attributes:
        faces: of the last detection, for drawing.
        chosen: the face in focus, one of them; None while it is not seen.
        point: where the focus belongs. Held while there is no face.
        changed: the focus has gone to another face, or the first one, in this very frame.
    """

    faces: tuple[Face, ...]
    chosen: Face | None
    point: FocusPoint
    changed: bool


class FaceChooser:
    """Keeps to a face, and changes to another only after half a second in which the first is gone.

    A face is the same from one detection to the next if it has moved less than its size. The first
    one ever, the one after a cut and the one after a click are taken at once: that which is nearest
    to the last focus.
    """

    def __init__(self, detector: FaceDetector, near: FocusPoint) -> None:
        """Args: near: the last focus, from which the nearest face is chosen."""
        self._detector = detector
        self._faces: tuple[Face, ...] = ()
        self._detected_at = -math.inf
        self.focus_near(near)

    def focus_near(self, point: FocusPoint) -> None:
        """Choose anew: the face nearest to a point that the user gave."""
        self._near = point
        self._held: Face | None = None  # the face in focus, where it was seen last
        self._seen = False  # whether the last detection saw it
        self._rival: Face | None = None
        self._rival_since = 0.0

    def update(self, image: Image, time: float, *, cut: bool = False) -> FaceFocus:
        """The faces now; looked for anew every tenth of a second, and at a cut.

        Args:
            image: (h, w, 3) uint8 RGB, at any size.
            time: of the frame in seconds.
            cut: this frame begins another scene.
        """
        if cut:
            self.focus_near(self._point())
        # The first frame that is due, not the first that is late: frames come at their own rate.
        elapsed, changed = time - self._detected_at, False
        if cut or not 0 <= elapsed < _DETECT_EVERY - 1e-6:
            self._detected_at = time
            self._faces = tuple(self._detector.detect(image))
            changed = self._choose(image.shape[1] / image.shape[0], time)
        chosen = self._held if self._seen else None
        return FaceFocus(self._faces, chosen, self._point(), changed)

    def _point(self) -> FocusPoint:
        return self._held.middle if self._held else self._near

    def _choose(self, aspect: float, time: float) -> bool:
        """Find the face in focus among those detected, or gather evidence for another.

        Returns:
            Whether it is another than before.
        """
        if self._held is None:
            self._held = _nearest(self._near, self._faces, aspect)
            self._seen = self._held is not None
            return self._seen
        same = _same(self._held, self._faces, aspect)
        self._seen = same is not None
        if same is not None:
            self._held, self._rival = same, None
            return False
        still = _same(self._rival, self._faces, aspect) if self._rival else None
        if still is None:
            still, self._rival_since = _nearest(self._held.middle, self._faces, aspect), time
        self._rival = still
        if still is None or time - self._rival_since < _EVIDENCE - 1e-6:
            return False
        self._held, self._seen, self._rival = still, True, None
        return True


def _nearest(point: FocusPoint, faces: Sequence[Face], aspect: float) -> Face | None:
    return min(faces, key=lambda face: _distance(point, face.middle, aspect), default=None)


def _same(face: Face, faces: Sequence[Face], aspect: float) -> Face | None:
    """The nearest of some faces that may be this one a moment later."""
    reach = _SAME_FACE * max(face.width * aspect, face.height)
    alike = [
        other
        for other in faces
        if _distance(face.middle, other.middle, aspect) <= reach
        and 1 / _SAME_SIZE < other.height / max(face.height, 1e-6) < _SAME_SIZE
    ]
    return _nearest(face.middle, alike, aspect)


def _distance(first: FocusPoint, second: FocusPoint, aspect: float) -> float:
    """In picture heights."""
    return math.hypot((first.x - second.x) * aspect, first.y - second.y)
