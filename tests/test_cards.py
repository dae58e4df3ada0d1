"""Which files are depth networks, and what their cards must say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from make_onnx import CARD, write_card, write_network, write_with_external_data
from networks import frame, load, noise
from onnx import TensorProto

from rtfocus.errors import ModelError

# Cards


def test_card_in_the_metadata(tmp_path: Path) -> None:
    metadata = {**CARD, "kind": "metric_depth", "author": "somebody"}
    path = write_network(tmp_path / "n.onnx", metadata=metadata)
    card = load(path).card
    assert card.kind == "metric_depth"
    assert card.size == (32, 48)
    write_card(path, kind='"depth"')  # the file beside it wins
    assert load(path).card.kind == "depth"


def test_no_card_shows_one(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx", metadata={"author": "somebody"})
    with pytest.raises(ModelError, match=r"no model card.*n\.toml(?s:.*)input_range ="):
        load(path)


@pytest.mark.parametrize("key", sorted(CARD))
def test_missing_keys_are_listed(network: Path, key: str) -> None:
    write_card(network, **{key: None})
    with pytest.raises(ModelError, match=f"lacks {key}"):
        load(network)


def test_unknown_key_suggests_the_near_one(network: Path) -> None:
    write_card(network, multiples="32")
    with pytest.raises(ModelError, match="unknown key 'multiples'"):
        load(network)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "3"),
        ("kind", '"disparity"'),
        ("input_range", "[1.0, 1.0]"),
        ("input_range", "[0.0, inf]"),
        ("mean", "[0.5, 0.5]"),
        ("std", "[0.5, 0.0, 0.5]"),
        ("size", "[0, 32]"),
        ("size", "384"),
        ("fine_size", "[64]"),
        ("multiple", "true"),
        ("license", "[]"),
    ],
)
def test_senseless_values_name_the_key(network: Path, key: str, value: str) -> None:
    write_card(network, **{key: value})
    with pytest.raises(ModelError, match=f"{key} = .* makes no sense; it must be"):
        load(network)


@pytest.mark.parametrize("key", ["size", "fine_size"])
def test_card_size_must_be_a_multiple(network: Path, key: str) -> None:
    write_card(network, **{key: "[30, 48]"})
    with pytest.raises(ModelError, match=rf"{key} = \[30, 48\] contradicts multiple = 16"):
        load(network)


@pytest.mark.parametrize("text", [b"name = ", b"\xff\xfe"])
def test_card_that_is_not_toml(network: Path, text: bytes) -> None:
    network.with_suffix(".toml").write_bytes(text)
    with pytest.raises(ModelError, match="is not TOML"):
        load(network)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("input", '"img"', r'input = "img", but the network has no such input.*input = "image"'),
        ("output", '"d"', r'output = "d", but the network has no such output.*output = "depth"'),
        ("size", "[48, 48]", r"size = \[48, 48\], but the network's input has shape"),
    ],
)
def test_card_that_contradicts_the_network(
    tmp_path: Path, key: str, value: str, message: str
) -> None:
    path = write_network(tmp_path / "n.onnx", sides=(32, 48))
    write_card(path, **{key: value})
    with pytest.raises(ModelError, match=message):
        load(path)


@pytest.mark.parametrize("changes", [{"channels": 1}, {"channels": 4}, {"batch": 8}])
def test_network_with_another_input_shape(tmp_path: Path, changes: dict[str, int]) -> None:
    path = write_network(tmp_path / "n.onnx", **changes)  # type: ignore[arg-type]
    write_card(path)
    with pytest.raises(ModelError, match=r"it must be \[1, 3, height, width\]"):
        load(path)


def test_network_with_another_input_type(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx", element=TensorProto.DOUBLE)
    write_card(path)
    with pytest.raises(ModelError, match=r"tensor\(double\); it must be tensor\(float\)"):
        load(path)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 1, 1, 8, 12), r"has shape \[1, 1, 1, 8, 12\]; one depth map is wanted"),
        ((1, 2, 8, 6), r"has shape \[1, 2, 8, 6\]; one depth map is wanted"),
        ((96,), r"has shape \[96\]; one depth map is wanted"),
    ],
)
def test_network_with_another_output_shape(
    tmp_path: Path, shape: tuple[int, ...], message: str
) -> None:
    path = write_network(tmp_path / "n.onnx", reshape=shape)
    write_card(path)
    with pytest.raises(ModelError, match=message):
        load(path)


# Files that are no networks


def test_not_onnx(tmp_path: Path) -> None:
    path = tmp_path / "n.onnx"
    path.write_text("this is a text, not a network")
    write_card(path)
    with pytest.raises(ModelError, match=r"cannot be loaded: Protobuf parsing failed\. Give"):
        load(path)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".safetensors"])
def test_training_formats_are_to_be_exported(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"n{suffix}"
    path.write_bytes(b"weights")
    with pytest.raises(ModelError, match="Export it to ONNX"):
        load(path)


def test_absent_network(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no network file .*nowhere\.onnx"):
        load(tmp_path / "nowhere.onnx")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"opset": 99}, "Opset 99 is under development"),
        ({"operator": "Frobnicate"}, "No Op registered"),
    ],
)
def test_network_that_needs_more_than_there_is(
    tmp_path: Path, changes: dict[str, object], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_network(tmp_path / "n.onnx", **changes)  # type: ignore[arg-type]
    write_card(path)
    with pytest.raises(ModelError, match=message) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert "onnxruntime_src" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("location", ["../weights.bin", "/etc/passwd", "absent.bin"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(np.float32(1).tobytes())
    path = write_with_external_data(folder / "n.onnx", location)
    write_card(path)
    with pytest.raises(ModelError, match="cannot be loaded: External data path"):
        load(path)


def test_weights_inside_the_folder_are_read(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(np.float32(2).tobytes())
    path = write_with_external_data(tmp_path / "n.onnx", "weights.bin")
    write_card(path)
    image = np.full((32, 48, 3), 50, np.uint8)
    np.testing.assert_allclose(load(path).estimate(frame(image)), 100)


def test_nan_names_the_frame(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx", divide_by_zero=True)
    write_card(path)
    source = load(path)
    image = np.full((32, 48, 3), 9, np.uint8)
    source.estimate(frame(image, 0))
    image[:4, :8] = 0
    with pytest.raises(ModelError, match="NaN or infinity for 2 of 96 values on frame 1"):
        source.estimate(frame(image, 1))


def test_a_grid_the_network_cannot_run_at(tmp_path: Path) -> None:
    path = write_network(tmp_path / "n.onnx", reshape=(1, 1, 9, 9))
    write_card(path)
    with pytest.raises(ModelError, match=r"failed on frame 0 at 32x48: .*size and multiple"):
        load(path).estimate(frame(noise(32, 48)))
