"""Focus on faces: which one, and when it changes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtfocus.errors import UnavailableError
from rtfocus.focus.faces import Face, FaceChooser, FaceFocus, YuNet
from rtfocus.focus.plane import FocusPoint
from rtfocus.frame import Image
from rtfocus.models.registry import find_network

IMAGE = np.zeros((90, 160, 3), np.uint8)
CENTRE = FocusPoint(0.5, 0.5)


def face(x: float, y: float = 0.5, size: float = 0.2) -> Face:
    """A square face around a point; size in picture heights."""
    width = size * 9 / 16
    return Face(x - width / 2, y - size / 2, width, size)


LEFT, RIGHT = face(0.2), face(0.7)


class Fake:
    """Finds the faces it is told to."""

    def __init__(self, *faces: Face) -> None:
        self.faces: Sequence[Face] = faces
        self.asked = 0

    def detect(self, image: Image) -> Sequence[Face]:
        del image
        self.asked += 1
        return self.faces


def run(
    chooser: FaceChooser, detector: Fake, faces: Sequence[Face], begun: float, end: float
) -> FaceFocus:
    """Show the same faces at 30 frames a second, from one time up to another."""
    detector.faces = faces
    for i in range(round(begun * 30), round(end * 30)):
        state = chooser.update(IMAGE, i / 30)
    return state


@pytest.mark.parametrize(("near", "chosen"), [(0.4, LEFT), (0.5, RIGHT), (0.9, RIGHT)])
def test_the_face_nearest_to_the_last_focus_is_chosen_at_once(near: float, chosen: Face) -> None:
    state = FaceChooser(Fake(LEFT, RIGHT), FocusPoint(near, 0.5)).update(IMAGE, 0.0)
    assert state.faces == (LEFT, RIGHT)
    assert state.chosen is chosen
    assert state.point == chosen.middle


def test_a_nearer_face_does_not_take_the_focus_from_one_that_is_there() -> None:
    detector = Fake(RIGHT)
    chooser = FaceChooser(detector, CENTRE)
    run(chooser, detector, [RIGHT], 0, 1)
    assert run(chooser, detector, [face(0.5), RIGHT], 1, 5).chosen is RIGHT


def test_a_change_needs_half_a_second_of_evidence() -> None:
    detector = Fake()
    chooser = FaceChooser(detector, CENTRE)
    run(chooser, detector, [RIGHT], 0, 1)
    state = run(chooser, detector, [LEFT], 1, 1.45)
    assert state.chosen is None
    assert state.point == RIGHT.middle
    assert state.faces == (LEFT,)
    state = run(chooser, detector, [LEFT], 1.45, 1.7)
    assert state.chosen is LEFT
    assert state.point == LEFT.middle


def test_a_change_is_told_once() -> None:
    detector = Fake()
    chooser = FaceChooser(detector, CENTRE)
    changed = []
    for i in range(120):
        detector.faces = [RIGHT] if i < 30 else [face(0.2 + i / 2000)] if i < 60 else [LEFT, RIGHT]
        if chooser.update(IMAGE, i / 30).changed:
            changed.append(i)
    assert changed == [0, 45]


def test_faces_that_come_and_go_do_not_take_the_focus() -> None:
    """No hunting: each is there for less than half a second."""
    detector = Fake()
    chooser = FaceChooser(detector, CENTRE)
    run(chooser, detector, [RIGHT], 0, 1)
    for n in range(8):
        begun = 1 + 0.4 * n
        state = run(chooser, detector, [[LEFT], []][n % 2], begun, begun + 0.4)
        assert state.point == RIGHT.middle
    for n in range(8):  # nor do two others that take turns
        begun = 5 + 0.3 * n
        state = run(chooser, detector, [[LEFT], [face(0.1, 0.9)]][n % 2], begun, begun + 0.3)
        assert state.point == RIGHT.middle


def test_one_that_comes_back_is_the_same() -> None:
    detector = Fake()
    chooser = FaceChooser(detector, CENTRE)
    run(chooser, detector, [RIGHT], 0, 1)
    run(chooser, detector, [LEFT], 1, 1.4)
    back = face(0.72)
    assert run(chooser, detector, [LEFT, back], 1.4, 2).chosen is back
    # The evidence against it has to begin again.
    assert run(chooser, detector, [LEFT], 2, 2.4).point == back.middle


def test_without_faces_the_focus_is_held() -> None:
    detector = Fake()
    chooser = FaceChooser(detector, CENTRE)
    state = run(chooser, detector, [], 0, 1)
    assert (state.faces, state.chosen, state.point) == ((), None, CENTRE)
    run(chooser, detector, [RIGHT], 1, 2)
    state = run(chooser, detector, [], 2, 30)
    assert (state.faces, state.chosen, state.point) == ((), None, RIGHT.middle)


def test_a_face_that_moves_keeps_the_focus_as_it_passes_another() -> None:
    detector = Fake()
    chooser = FaceChooser(detector, FocusPoint(0.1, 0.4))
    for i in range(120):
        moving = face(0.1 + 0.8 * i / 120, 0.4)
        detector.faces = [face(0.5, 0.75), moving]
        state = chooser.update(IMAGE, i / 30)
        assert abs(state.point.x - moving.middle.x) < 0.03
        assert state.point.y == pytest.approx(0.4)


@given(st.sampled_from([10, 24, 30, 60, 120]))
def test_the_detector_is_asked_every_tenth_of_a_second(rate: int) -> None:
    detector = Fake(LEFT)
    chooser = FaceChooser(detector, CENTRE)
    for i in range(4 * rate):
        chooser.update(IMAGE, i / rate)
    assert 30 <= detector.asked <= 40


def test_a_cut_looks_and_chooses_at_once() -> None:
    detector = Fake(RIGHT)
    chooser = FaceChooser(detector, CENTRE)
    chooser.update(IMAGE, 0.0)
    detector.faces = [LEFT]
    state = chooser.update(IMAGE, 0.03, cut=True)
    assert state.chosen is LEFT
    detector.faces = []
    state = chooser.update(IMAGE, 0.06, cut=True)
    assert (state.chosen, state.point) == (None, LEFT.middle)


def test_a_click_chooses_at_once() -> None:
    detector = Fake(LEFT, RIGHT)
    chooser = FaceChooser(detector, FocusPoint(0.9, 0.5))
    chooser.update(IMAGE, 0.0)
    chooser.focus_near(FocusPoint(0.1, 0.5))
    assert run(chooser, detector, [LEFT, RIGHT], 0.1, 0.3).chosen is LEFT


def test_a_clip_that_starts_again_is_looked_at() -> None:
    detector = Fake(LEFT)
    chooser = FaceChooser(detector, CENTRE)
    chooser.update(IMAGE, 100.0)
    chooser.update(IMAGE, 0.0)
    assert detector.asked == 2


def test_a_face_that_sticks_out_has_its_point_in_the_picture() -> None:
    assert Face(-0.5, 0.9, 0.4, 0.6).middle == FocusPoint(0.0, 1.0)


@pytest.mark.parametrize("content", [None, b"", b"no network"])
def test_a_file_that_is_no_network_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "faces.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnavailableError, match=r"faces\.onnx.*opencv_zoo") as raised:
        YuNet(path)
    assert raised.value.exit_code == 4


def test_another_network_is_refused() -> None:
    with pytest.raises(UnavailableError, match="not a YuNet"):
        YuNet(find_network(None))


def test_an_opencv_without_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(cv2, "FaceDetectorYN")
    (tmp_path / "faces.onnx").touch()
    with pytest.raises(UnavailableError, match="no FaceDetectorYN"):
        YuNet(tmp_path / "faces.onnx")


@pytest.fixture
def blue_finder(tmp_path: Path) -> Path:
    """A network with YuNet's inputs and outputs, for which blue squares of 16 px are faces.

    Of each cell of 8, 16 and 32 px YuNet gives a class and an object score, a box (offset of the
    middle and logarithm of the size, in cells) and five landmarks.
    """
    onnx: ModuleType = pytest.importorskip("onnx", reason="builds the network")
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    nodes, weights, outputs = [], [], []

    def constant(name: str, value: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(value, name))
        return name

    for cell in (8, 16, 32):
        blue = np.zeros((1, 3, cell, cell), np.float32)
        if cell == 16:
            blue[0, 0], blue[0, 2] = 1 / 255 / cell**2, -1 / 255 / cell**2  # channels are B, G, R
        box = np.array([0.5, 0.5, np.log(2), np.log(3)], np.float32)
        for kind, channels in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10)):
            name = f"{kind}_{cell}"
            kernel = blue if channels == 1 else np.zeros((channels, 3, cell, cell), np.float32)
            bias = box if kind == "bbox" else np.zeros(channels, np.float32)
            nodes += [
                helper.make_node(
                    "Conv",
                    ["input", constant(f"{name}_w", kernel), constant(f"{name}_b", bias)],
                    [f"{name}_map"],
                    kernel_shape=[cell, cell],
                    strides=[cell, cell],
                ),
                helper.make_node("Transpose", [f"{name}_map"], [f"{name}_t"], perm=[0, 2, 3, 1]),
                helper.make_node(
                    "Reshape",
                    [f"{name}_t", constant(f"{name}_s", np.array([1, -1, channels], np.int64))],
                    [name],
                ),
            ]
            outputs.append(helper.make_tensor_value_info(name, 1, [1, None, channels]))
    source = helper.make_tensor_value_info("input", 1, [1, 3, None, None])
    graph = helper.make_graph(nodes, "blue", [source], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=8)
    path = tmp_path / "blue.onnx"
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize("times", [1, 4])
def test_opencv_gives_boxes_in_shares_of_the_picture(blue_finder: Path, times: int) -> None:
    image = np.full((180, 320, 3), 90, np.uint8)
    image[64:80, 160:176] = (0, 0, 255)
    image[16:32, 32:48] = (255, 0, 0)  # red: not a face, if the channels are in order
    image = np.repeat(np.repeat(image, times, axis=0), times, axis=1)
    (found,) = YuNet(blue_finder).detect(image)
    # The middle of the square, two cells wide and three high.
    box = [found.x * 320, found.y * 180, found.width * 320, found.height * 180]
    assert box == pytest.approx([152, 48, 32, 48], abs=0.01)
    assert found.score == pytest.approx(1.0, abs=0.01)


def test_opencv_finds_nothing_where_there_is_nothing(blue_finder: Path) -> None:
    detector = YuNet(blue_finder)
    for shape in ((180, 320, 3), (33, 17, 3), (1, 1, 3)):
        assert list(detector.detect(np.zeros(shape, np.uint8))) == []
