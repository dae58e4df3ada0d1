"""Exporting DPTs of Hugging Face transformers, tiny ones with random weights."""

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed (extra: export)")
transformers = pytest.importorskip("transformers", reason="transformers is not installed (export)")

import architectures  # noqa: E402
import export_dpt  # noqa: E402

from rtfocus.depth.network import NetworkDepth  # noqa: E402
from rtfocus.device import resolve  # noqa: E402
from rtfocus.errors import UsageError  # noqa: E402
from rtfocus.frame import Frame  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

NECK = {"neck_hidden_sizes": [8, 16, 32, 32], "fusion_hidden_size": 16}


def vit() -> Any:
    return transformers.DPTConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64,
        image_size=96, backbone_out_indices=[0, 1, 2, 3], **NECK,
    )  # fmt: skip


def beit() -> Any:
    config = architectures._beit(96, 64, 4, 2, [1, 2, 3, 4])
    config.neck_hidden_sizes, config.fusion_hidden_size = [8, 16, 32, 64], 16
    return config


def swinv2() -> Any:
    config = architectures._swinv2(64, 4, 16, [1, 1, 1, 1], [1, 1, 1, 1])
    config.fusion_hidden_size = 16
    return config


def depth_anything(**changes: Any) -> Any:
    config = architectures._depth_anything(64, 4, [8, 16, 32, 64], 16, [1, 2, 3, 4], **changes)
    config.backbone_config.image_size = 56
    config.initializer_range = config.backbone_config.initializer_range = 0.2
    return config


def metric() -> Any:
    return depth_anything(depth_estimation_type="metric", max_depth=20)


def export(monkeypatch: pytest.MonkeyPatch, config: Any, out: Path, *options: str) -> None:
    config.save_pretrained(out.parent / "checkpoint")
    arguments = ["export_dpt.py", str(out.parent / "checkpoint"), str(out), "--random", *options]
    monkeypatch.setattr(sys, "argv", arguments)
    export_dpt.main()


def run(path: Path, size: tuple[int, int] | None = None) -> tuple[NetworkDepth, Any]:
    source = NetworkDepth(path, device=resolve("cpu"), picture=(90, 160), size=size)
    image = np.random.default_rng(0).integers(0, 256, (90, 160, 3), np.uint8)
    return source, source.estimate(Frame(image, 0, 0, Fraction(1, 25)))


@pytest.mark.parametrize(
    ("make", "multiple", "kind"),
    [(vit, 32, "inverse_depth"), (beit, 32, "inverse_depth"), (depth_anything, 14, "inverse_depth"),
     (metric, 14, "metric_depth")],
)  # fmt: skip
def test_sizes_are_free(
    make: Callable[[], Any],
    multiple: int,
    kind: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "n.onnx"
    export(monkeypatch, make(), path, "--size", f"{2 * multiple}x{4 * multiple}")
    for size in ((2 * multiple, 4 * multiple), (5 * multiple, 3 * multiple)):
        source, disparity = run(path, size)
        assert disparity.shape == size
    assert (source.card.kind, source.card.multiple) == (kind, multiple)
    assert source.card.mean == ((0.485, 0.456, 0.406) if multiple == 14 else (0.5, 0.5, 0.5))


def test_a_swinv2_has_one_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export(monkeypatch, swinv2(), tmp_path / "n.onnx")
    assert run(tmp_path / "n.onnx")[1].shape == (64, 64)
    with pytest.raises(UsageError, match="64x64"):
        run(tmp_path / "n.onnx", (96, 96))


def test_fixed_and_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, options in (("full", ()), ("half", ("--half",))):
        export(
            monkeypatch, depth_anything(), tmp_path / f"{name}.onnx",
            "--size", "56x98", "--fixed", "--name", "tiny", "--license", "MIT", *options,
        )  # fmt: skip
    full, half = (run(tmp_path / f"{name}.onnx") for name in ("full", "half"))
    assert (half[0].card.name, half[0].card.license) == ("tiny", "MIT")
    np.testing.assert_allclose(half[1], full[1], atol=0.02 * np.abs(full[1]).max())
    sizes = [(tmp_path / f"{name}.onnx").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]


def test_a_graph_that_answers_something_else_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_dpt, "relative_error", lambda *_: 0.1)
    with pytest.raises(SystemExit, match="nothing was written"):
        export(monkeypatch, vit(), tmp_path / "n.onnx", "--size", "96x96")
    assert not (tmp_path / "n.onnx").exists()


def test_a_size_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match="multiples of 14"):
        export(monkeypatch, depth_anything(), tmp_path / "n.onnx", "--size", "100x100")


def test_preprocessing_of_the_checkpoint_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkpoint").mkdir()
    text = '{"image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}'
    (tmp_path / "checkpoint" / "preprocessor_config.json").write_text(text)
    export(monkeypatch, vit(), tmp_path / "n.onnx", "--size", "96x96")
    assert run(tmp_path / "n.onnx", (96, 96))[0].card.mean == (0.1, 0.2, 0.3)
