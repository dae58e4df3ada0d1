"""The command line: names, exit codes, messages."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest
from make_onnx import write_card, write_network

from rtfocus.cli import _stoppable
from rtfocus.config import to_toml
from rtfocus.live.job import LiveJob
from rtfocus.settings import Settings

Cli = Callable[..., tuple[int, str, str]]
SMALL = "pattern:64x48@10,0.5s"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    return path


def depth_file(path: Path, values: np.ndarray, key: str = "disparity") -> Path:
    np.savez(path, **{key: values.astype(np.float32)})
    return path


def ramp(height: int = 48, width: int = 64) -> np.ndarray:
    return np.linspace(0.1, 1, width) * np.ones((height, 1))


def test_a_run_prints_nothing_but_what_was_asked(cli: Cli, tmp_path: Path) -> None:
    code, out, _ = cli("run", SMALL, "-o", tmp_path / "o.mp4")
    assert (code, out) == (0, "")
    code, out, err = cli("run", SMALL, "-o", tmp_path / "o.mp4", "-y", "--json", "-q")
    summary = json.loads(out)
    assert (code, err) == (0, "")
    assert summary["frames"] == 5
    assert summary["outputs"] == [str(tmp_path / "o.mp4")]
    assert summary["device"] == "cpu"
    assert summary["stages"]["render"]["wall_ms_p50"] > 0


@pytest.mark.parametrize("view", ["result", "original", "depth", "coc", "split"])
def test_views(view: str, cli: Cli, tmp_path: Path) -> None:
    code, _, err = cli("run", SMALL, "-o", f"{tmp_path}/o/", "--view", view, "--f-number", "1.0")
    assert code == 0, err
    shown = cv2.imread(str(tmp_path / "o" / "000000.png"))
    assert shown.shape == (48, 64, 3)
    if view == "original":
        from rtfocus.readers import open_reader

        with open_reader(SMALL) as reader:
            assert (shown[..., ::-1] == next(iter(reader)).image).all()


def test_a_network_from_end_to_end(cli: Cli, tmp_path: Path) -> None:
    model = tmp_path / "net.onnx"
    write_network(model)
    write_card(model)
    code, _, err = cli("run", SMALL, "-o", tmp_path / "o.mkv", "--model", model, "-q")
    assert code == 0, err
    with av.open(str(tmp_path / "o.mkv")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 5


def test_a_photo_with_its_depth(cli: Cli, photo: Path, tmp_path: Path) -> None:
    depth = depth_file(tmp_path / "d.npz", ramp())
    code, _, err = cli("run", photo, "-o", tmp_path / "o.png", "--depth", depth, "--focus", "1,0.5")
    assert code == 0, err
    original, result = cv2.imread(str(photo)), cv2.imread(str(tmp_path / "o.png"))
    assert (result[:, 60:] == original[:, 60:]).all()
    assert (result[:, :20] != original[:, :20]).any()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["absent.mp4", "-o", "o.mp4"], 3, "does not exist"),
        ([SMALL], 2, "no output"),
        ([SMALL, "-o", "o.xyz"], 2, "no known format"),
        ([SMALL, "-o", "absent/o.mp4"], 1, "no folder"),
        ([SMALL, "-o", "o.mp4", "--f-number", "0"], 2, "f_number"),
        ([SMALL, "-o", "o.mp4", "--f-number", "-2"], 2, "f_number"),
        ([SMALL, "-o", "o.mp4", "--f-number", "nan"], 2, "f_number"),
        ([SMALL, "-o", "o.mp4", "--f-number", "1e-9"], 2, "0.01 to 1000"),
        ([SMALL, "-o", "o.mp4", "--f-number", "two"], 2, "f-number"),
        ([SMALL, "-o", "o.mp4", "--focus", "1.5,0.5"], 2, "0..1"),
        ([SMALL, "-o", "o.mp4", "--focus", "0.5"], 2, "two numbers"),
        ([SMALL, "-o", "o.mp4", "--focus", "0,0", "--focus-disparity", "1"], 2, "contradict"),
        ([SMALL, "-o", "o.mp4", "--codec", "h265x"], 2, "Did you mean"),
        ([SMALL, "-o", "o.mp4", "--encoder-preset", "fastt"], 2, "Did you mean 'fast'"),
        ([SMALL, "-o", "o.mp4", "--qualty", "high"], 2, "Did you mean --quality"),
        ([SMALL, "-o", "o.mp4", "--quality", "hihg"], 2, "quality"),
        ([SMALL, "-o", "o.mp4", "--device", "cuda:99"], 4, "device 'cuda:99': no"),
        ([SMALL, "-o", "o.mp4", "--device", "gpu"], 2, "must be auto"),
        ([SMALL, "-o", "o.mp4", "--model", "absent.onnx"], 4, "absent.onnx"),
        ([SMALL, "-o", "o.mp4", "--preset", "soft"], 2, "--config"),
        ([SMALL, "-o", "o.png"], 2, "directory"),
        (["pattern:64", "-o", "o.mp4"], 2, "WIDTHxHEIGHT"),
        (["/dev/video87", "-o", "o.mp4"], 3, "not there"),
        (["srt://host:1", "-o", "o.mp4"], 2, "not built in"),
        ([SMALL, "-o", "srt://host:1"], 2, "not built in"),
    ],
)
def test_what_goes_wrong_has_its_code_and_says_why(
    arguments: list[str],
    code: int,
    message: str,
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    ended, out, err = cli("run", *arguments)
    assert ended == code, err
    assert message in err
    assert out == ""
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "key", "message"),
    [
        (np.full((48, 64), np.nan), "disparity", "NaN"),
        (np.where(ramp() > 0.9, np.inf, ramp()), "disparity", "infinite"),
        (np.ones((48, 64)), "disparity", "everywhere"),
        (ramp(64, 48), "disparity", "shapes differ"),
        (ramp() - 0.5, "z", "at 0 m or less"),
        (ramp(), "depth", "disparity"),
    ],
)
def test_depth_that_is_no_depth(
    values: np.ndarray, key: str, message: str, cli: Cli, photo: Path, tmp_path: Path
) -> None:
    depth = depth_file(tmp_path / "d.npz", values, key)
    code, _, err = cli("run", photo, "-o", tmp_path / "o.png", "--depth", depth)
    assert code == 3
    assert message in err
    assert not (tmp_path / "o.png").exists()


def test_a_photo_is_refocused_with_nothing_else_given(
    cli: Cli, photo: Path, tmp_path: Path
) -> None:
    code, out, _ = cli("run", photo, "-o", tmp_path / "o.png", "--json")
    assert code == 0
    assert json.loads(out)["depth"].startswith("rtfocus-small ")


def test_the_original_is_never_touched(cli: Cli, photo: Path, tmp_path: Path) -> None:
    before = photo.read_bytes()
    depth = depth_file(tmp_path / "d.npz", ramp())
    code, _, err = cli("run", photo, "-o", photo, "-y", "--depth", depth)
    assert (code, photo.read_bytes()) == (2, before)
    assert "never overwritten" in err


def test_config_and_preset_give_way_to_flags(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text(
        "f-number = 4\nblades = 6\n[preset.soft]\nf-number = 1.2\nfocus = [0.2, 0.3]\n"
    )
    more = ["--config", config, "--preset", "soft", "--print-config"]
    code, out, _ = cli("run", SMALL, *more)
    assert code == 0
    assert "f-number = 1.2\n" in out
    assert "blades = 6\n" in out
    assert "focus = [0.2, 0.3]\n" in out
    _, out, _ = cli("run", SMALL, *more, "--f-number", "8")
    assert "f-number = 8.0\n" in out
    saved = tmp_path / "saved.toml"
    saved.write_text(out)
    assert cli("run", SMALL, "--config", saved, "--print-config")[1] == out


OTHER = {
    "realtime": True,
    "loop": True,
    "on_loss": "stop",
    "rate": 23.976,
    "model": 'a "b"\\c.onnx',
    "depth": "a, b/ü.mkv",
    "depth_kind": "metric_depth",
    "depth_size": (252, 448),
    "depth_every": 3,
    "flip": True,
    "save_depth": "10x20.mkv",
    "smooth": 0.25,
    "look_ahead": 0,
    "focus": (0.25, 1e-5),
    "focus_distance": 2.0,
    "focus_disparity": -0.25,
    "focus_range": 0.1,
    "follow": True,
    "face_model": "7",
    "keyframes": "true",
    "rack": 1.0,
    "easing": "linear",
    "f_number": 1.2,
    "focal_length": 50.0,
    "sensor_width": 36.0,
    "max_radius": 2.5,
    "method": "median",
    "blades": 7,
    "blade_rotation": -12.5,
    "highlights": 0.5,
    "quality": "fast",
    "view": "split",
    "codec": "hevc",
    "crf": 0.0,
    "encoder_preset": "veryfast",
    "record_original": "-.mkv",
    "serve": "127.0.0.1:8080",
    "media": " ",
    "device": "cuda:1",
    "threads": 2,
}
"""For every setting a value that is not its default."""

NEEDED = {
    "focal_length": {"sensor_width": 36.0},
    "sensor_width": {"focal_length": 50.0},
    "media": {"serve": "8080"},
}
"""What some are not allowed without."""


@pytest.mark.parametrize("name", [field.name for field in fields(Settings)])
def test_printed_settings_are_read_again(name: str, cli: Cli, tmp_path: Path) -> None:
    made = Settings(**{name: OTHER[name]}, **NEEDED.get(name, {}))
    assert made != Settings()
    saved = tmp_path / "c.toml"
    saved.write_text(to_toml(made), encoding="utf-8")
    code, out, err = cli("run", SMALL, "--config", saved, "--print-config")
    assert (code, out) == (0, to_toml(made)), err


def test_a_depth_size_is_read_again_from_what_was_printed(cli: Cli, tmp_path: Path) -> None:
    saved = tmp_path / "c.toml"
    _, out, _ = cli("run", SMALL, "--depth-size", "252x448", "--print-config")
    saved.write_text(out)
    assert cli("run", SMALL, "--config", saved, "--print-config")[:2] == (0, out)


@pytest.mark.parametrize("option", ["--blades", "--depth-every", "--threads", "--look-ahead"])
def test_part_of_a_thing_is_none(option: str, cli: Cli, tmp_path: Path) -> None:
    code, _, err = cli("run", SMALL, option, "4.5", "--print-config")
    assert code == 2
    assert "a whole number" in err
    config = tmp_path / "c.toml"
    config.write_text(f"{option.removeprefix('--')} = 4.5\n")
    code, _, err = cli("run", SMALL, "--config", config, "--print-config")
    assert code == 2
    assert "a whole number" in err


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
def test_nohup_holds() -> None:
    stopped = []
    job = SimpleNamespace(stop=lambda: stopped.append("stopped"), is_open=True)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with _stoppable(job):  # type: ignore[arg-type]
            os.kill(os.getpid(), signal.SIGHUP)
            assert stopped == []
            os.kill(os.getpid(), signal.SIGTERM)
            assert stopped == ["stopped"]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_ctrl_c_while_it_is_being_imported() -> None:
    code = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'cyclopts':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from rtfocus.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_help_says_everything(cli: Cli) -> None:
    code, out, _ = cli("run", "--help")
    assert code == 0
    for word in ("--focus", "--f-number", "--save-depth", "[default: 2.8]", "--overwrite", "-y",
                 "Depth", "Focus", "Lens", "Output", "Machine"):  # fmt: skip
        assert word in out
    assert "Examples" in cli("--help")[1]
    assert cli("--version")[1].strip()


def test_info(cli: Cli) -> None:
    code, out, _ = cli("info", SMALL, "--json")
    described = json.loads(out)
    assert code == 0
    assert (described["width"], described["frames"], described["own_depth"]) == (64, 5, True)
    assert "rtfocus" in json.loads(cli("info", "--json")[1])
    assert cli("info", "absent.mp4")[0] == 3


def test_doctor(cli: Cli) -> None:
    code, out, _ = cli("doctor", "--json")
    checks = json.loads(out)
    assert code in (0, 1)
    assert {"name", "ok", "detail", "remedy"} == checks[0].keys()
    assert len(cli("doctor")[1].splitlines()) >= len(checks)


def test_bench(cli: Cli) -> None:
    code, out, _ = cli("bench", "--size", "64x48", "--frames", "2", "--quality", "fast", "--json")
    stages = json.loads(out)["stages"]
    assert code == 0
    for stage in ("read", "depth", "smooth", "upsample", "focus", "render", "write"):
        assert stages[stage].keys() == {
            "wall_ms_p50", "wall_ms_p95", "cpu_ms_p50", "cpu_ms_p95"
        }  # fmt: skip


def test_messages_as_json(cli: Cli, tmp_path: Path) -> None:
    _, _, err = cli("run", SMALL, "-o", tmp_path / "o.mp4", "--log-json")
    lines = [json.loads(line) for line in err.splitlines()]
    assert any("depth" in line["message"] for line in lines)


def test_the_page_is_told_of_where_messages_are_not_wanted(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LiveJob, "run", lambda job, _: job._announce("http://x/?token=1"))
    _, _, err = cli("run", SMALL, "--serve", "0", "-q", "--log-json")
    (line,) = map(json.loads, err.splitlines())
    assert (line["level"], line["message"]) == ("info", "page: http://x/?token=1")
    _, _, err = cli("run", SMALL, "--serve", "0", "-q")
    assert err == "rtfocus: page: http://x/?token=1\n"
