"""Stages in threads, and how a job ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from rtfocus import pipeline
from rtfocus.errors import InputCutShort, OutputError, UsageError
from rtfocus.metrics import Metrics
from rtfocus.overlap import Ahead
from rtfocus.pipeline import Job
from rtfocus.run import open_job, refocus
from rtfocus.settings import Settings

SMALL = "pattern:64x48@10,1s"


def stage_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("rtfocus-")]


def test_ahead_keeps_order_and_ends() -> None:
    with Ahead(range(100), depth=3) as ahead:
        assert list(ahead) == list(range(100))
    assert not stage_threads()


def test_ahead_never_runs_further_than_its_depth() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for i in range(50):
            made.append(i)
            yield i

    with Ahead(items(), depth=3) as ahead:
        iterator = iter(ahead)
        for taken in range(10):
            next(iterator)
            time.sleep(0.01)
            # depth in the queue, one taken, one waiting for room
            assert len(made) <= taken + 1 + 3 + 1


def test_an_error_arrives_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OutputError("the reason")

    seen = []
    with Ahead(items()) as ahead, pytest.raises(OutputError, match="the reason"):
        for item in ahead:
            seen.append(item)  # noqa: PERF402
    assert seen == [1]
    assert not stage_threads()


def test_closing_early_ends_the_thread() -> None:
    def endless() -> Iterator[int]:
        while True:
            yield 0

    ahead = Ahead(endless())
    next(iter(ahead))
    ahead.close()
    ahead.close()
    assert not stage_threads()


def test_metrics_count_inner_stages_once() -> None:
    metrics = Metrics()
    with metrics.time("outer"), metrics.time("inner"):
        time.sleep(0.05)
    report = metrics.report()
    assert report["inner"]["wall_ms_p50"] >= 50
    assert report["outer"]["wall_ms_p50"] < 25


def test_metrics_do_not_grow_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtfocus.metrics._KEPT", 4)
    moments = iter(np.cumsum(np.arange(1.0, 101.0) / 2))  # a sample of 1, 2, ... halves of a second
    metrics = Metrics(lambda: next(moments))
    for _ in range(50):
        with metrics.time("stage"):
            pass
    (walls, cpus), latest = metrics._samples["stage"], np.arange(2.0, 101.0, 2) / 2
    assert 4 <= len(walls) <= 8
    assert list(cpus) == list(latest[-len(cpus) :])


def test_a_whole_job(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    summary = refocus(SMALL, str(output), f_number=1.4, quality="fast")
    assert summary.frames == 10
    assert summary.size == (64, 48)
    assert {"read", "depth", "smooth", "focus", "render", "write"} <= summary.stages.keys()
    with av.open(str(output)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 10
    assert not stage_threads()


def test_several_outputs(tmp_path: Path) -> None:
    refocus(SMALL, [str(tmp_path / "a.mp4"), f"{tmp_path}/frames/"])
    assert len(list((tmp_path / "frames").iterdir())) == 10
    assert (tmp_path / "a.mp4").exists()


@pytest.mark.parametrize("where", ["reader", "depth", "render", "write"])
def test_an_error_in_any_stage_ends_the_job_with_its_own_message(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"broken in {where}")

    target = {
        "reader": "rtfocus.readers.scene.Scene.draw",
        "depth": "rtfocus.depth.scene.SceneDepth.estimate",
        "render": "rtfocus.render.layered.LensRenderer.render",
        "write": "rtfocus.writers.video.VideoWriter.write",
    }[where]
    monkeypatch.setattr(target, broken)
    with pytest.raises(RuntimeError, match=f"broken in {where}"):
        refocus(SMALL, str(tmp_path / "out.mp4"))
    assert list(tmp_path.iterdir()) == []
    assert not stage_threads()


def test_input_that_breaks_off_keeps_what_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtfocus.readers.scene import Scene

    draw, drawn = Scene.draw, []

    def breaks(self: Scene, moment: float) -> object:
        drawn.append(moment)
        if len(drawn) > 6:
            raise InputCutShort("6 of 10 frames")
        return draw(self, moment)

    monkeypatch.setattr(Scene, "draw", breaks)
    output = tmp_path / "out.mp4"
    with pytest.raises(InputCutShort, match="6 of 10"):
        refocus(SMALL, str(output))
    with av.open(str(output)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 6


def test_stopping_finishes_the_file(tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    job = Job("pattern:64x48@10,60s", [str(output)], Settings())
    with pytest.raises(KeyboardInterrupt):
        job.run(lambda done, _: job.stop() if done == 5 else None)
    with av.open(str(output)) as container:
        assert 5 <= sum(1 for _ in container.decode(video=0)) < 100
    assert not stage_threads()


@pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX has them")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_ctrl_c_leaves_a_file_that_plays(name: str, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    command = [sys.executable, "-m", "rtfocus", "run", "pattern:320x240@30,600s", "-o", str(output)]
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # even under nohup
    )
    assert process.stderr is not None
    # The first line of progress says that frames are being written; a slow start explains itself.
    assert any(line.startswith("frame") for line in process.stderr)
    process.send_signal(signal.Signals[name])
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    with av.open(str(output)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 0
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]


def test_depth_that_was_kept_gives_the_same_picture_again(tmp_path: Path) -> None:
    kept = tmp_path / "depth.mkv"
    first, again = f"{tmp_path}/first/", f"{tmp_path}/again/"
    refocus(SMALL, first, save_depth=str(kept), focus=(0.5, 0.6))
    refocus(SMALL, again, depth=str(kept), focus=(0.5, 0.6))
    import cv2

    for name in ("000000.png", "000009.png"):
        a, b = (cv2.imread(folder + name).astype(int) for folder in (first, again))
        assert np.abs(a - b).mean() < 0.5


def test_the_heart_is_where_readers_look_for_it() -> None:
    assert pipeline.Engine.refocus.__doc__


@pytest.mark.parametrize("size", ["1x1", "2x2", "3x1", "1x5", "5x7"])
def test_pictures_of_a_few_pixels(size: str, tmp_path: Path) -> None:
    summary = refocus(f"pattern:{size}@5,0.6s", str(tmp_path / "o.mp4"))
    assert summary.frames == 3


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("outputs", "options", "reason"),
    [
        (["out.mkv"], {"save_depth": "in.mkv"}, "never overwritten"),
        (["out.mkv"], {"save_depth": "./in.mkv"}, "never overwritten"),
        (["out.mkv"], {"depth": "depth.mkv", "save_depth": "depth.mkv"}, "never overwritten"),
        (["depth.mkv"], {"depth": "depth.mkv"}, "never overwritten"),
        (["keys.mkv"], {"keyframes": "keys.mkv"}, "never overwritten"),
        (["out.mkv"], {"save_depth": "out.mkv"}, "written twice"),
        (["out.mkv", "./out.mkv"], {}, "written twice"),
        (["new/", "new"], {}, "written twice"),
    ],
)
def test_what_is_read_or_written_is_not_replaced(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    outputs: list[str],
    options: dict[str, str],
    reason: str,
    live: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("in.mkv", "depth.mkv", "keys.mkv"):
        Path(name).write_bytes(b"precious")
    Path("new").mkdir()
    settings = Settings(realtime=live, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=reason):
        open_job("in.mkv", outputs, settings, overwrite=True)
    assert Path("in.mkv").read_bytes() == b"precious"
