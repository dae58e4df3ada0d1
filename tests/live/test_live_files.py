"""What a live job keeps beside a clip and in the user's folder, and the other clips it opens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from live.live_run import LiveRun, decode, detail, distance
from live.page import Page
from live.peers import PATIENCE_S, wait_until
from rtfocus.focus.keyframes import Keyframe, Keyframes, beside
from rtfocus.focus.plane import FocusDisparity, FocusPoint
from rtfocus.frame import Frame, Image
from rtfocus.live.page import _free_name
from rtfocus.readers.scene import Scene
from rtfocus.run import refocus
from rtfocus.writers.video import VideoWriter

pytestmark = pytest.mark.usefixtures("compiled", "home")

ROBOT, SKYLINE = np.s_[50:105, 83:109], np.s_[45:62, 130:186]
KEYFRAMES = [
    {"time": 0.0, "focus": {"mode": "point", "x": 0.5, "y": 0.55}, "f_number": 1.2},
    {"time": 0.5, "focus": {"mode": "point", "x": 0.65, "y": 0.45}},
]
"""First the robot is in focus, then the skyline."""


def place_of(image: Image) -> str:
    """What of the scene is in focus, for some time between 0 and 1 s."""
    original, _ = Scene(128, 192).draw(0.5)
    sharp = [detail(image[area]) > 0.5 * detail(original[area]) for area in (ROBOT, SKYLINE)]
    return {(True, False): "robot", (False, True): "skyline"}.get((sharp[0], sharp[1]), "")


def check_obeys(path: Path) -> None:
    images, times = decode(path)
    assert len(images) == 10
    for image, time in zip(images, times, strict=True):
        assert place_of(image) == ("robot" if time < 0.5 else "skyline")


class Clip:
    """A second of the scene, without a focus of its own, and its true depth."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.path, self.depth = folder / "clip.mp4", folder.parent / "depth.mkv"
        refocus(
            "pattern:192x128@10,1s",
            str(self.path),
            view="original",
            crf=10.0,
            save_depth=str(self.depth),
        )

    def run(self, **options: object) -> LiveRun:
        return LiveRun(self.path, serve="0", depth=str(self.depth), rack=0.0, **options)

    def names(self) -> set[str]:
        return {path.name for path in self.path.parent.iterdir()}


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    return Clip(tmp_path / "clip")


class TestKeyframes:
    def test_they_are_kept_beside_the_clip(
        self, clip: Clip, tmp_path: Path, cli: Callable[..., tuple[int, str, str]]
    ) -> None:
        kept, output = clip.path.with_name("clip.focus.toml"), tmp_path / "x.mp4"
        with clip.run() as run, run.page() as page:
            page.ask(type="keyframes", keyframes=KEYFRAMES)
            wait_until(kept.exists, "the file")
        track = Keyframes.load(kept)
        assert [frame.target for frame in track.frames] == [
            FocusPoint(0.5, 0.55),
            FocusPoint(0.65, 0.45),
        ]
        assert [frame.f_number for frame in track.frames] == [1.2, None]
        with clip.run() as run, run.page() as page:
            state = page.until("state", lambda state: len(state["keyframes"]) == 2)
            assert [k["time"] for k in state["keyframes"]] == [0.0, 0.5]
            page.ask(type="set", playing=False)
            for time, place in ((0.2, "robot"), (0.8, "skyline"), (0.1, "robot")):
                page.ask(type="seek", time=time)
                page.see(lambda image, p=place: place_of(image) == p)  # type: ignore[misc]
        code, _, _ = cli(
            *("run", clip.path, "-o", output, "--keyframes", kept, "--depth", clip.depth, "-q")
        )
        assert code == 0
        check_obeys(output)
        assert clip.names() == {"clip.mp4", "clip.focus.toml"}

    def test_what_was_changed_last_is_not_lost(self, clip: Clip) -> None:
        with clip.run() as run, run.page() as page:
            page.watch(1)
            page.ask(type="keyframes", keyframes=KEYFRAMES)
            page.until("state", lambda state: len(state["keyframes"]) == 2)
        assert len(Keyframes.load(beside(clip.path)).frames) == 2

    def test_the_run_may_begin_with_any_rack_and_keyframes_with_any_aperture(
        self, clip: Clip
    ) -> None:
        with LiveRun(clip.path, serve="0", depth=str(clip.depth), rack=60.0) as run:
            run.let_pass(1)
        Keyframes((Keyframe(0.0, FocusPoint(0.5, 0.5), 0.01),), rack=60.0).save(beside(clip.path))
        with clip.run() as run, run.page() as page:
            state = page.until("state", lambda state: state["keyframes"])
            assert (state["rack_time"], state["keyframes"][0]["f_number"]) == (60.0, 0.01)

    def test_no_file_without_any(self, clip: Clip) -> None:
        with clip.run() as run, run.page() as page:
            page.ask(type="set", f_number=4.0, rack_time=2.0)
            page.wait("state", rack_time=2.0)
        assert clip.names() == {"clip.mp4"}


class TestRendering:
    def test_a_clip_is_rendered_beside_it(self, clip: Clip) -> None:
        with clip.run() as run, run.page() as page:
            page.until("state", lambda state: not state["keyframes"])
            page.ask(type="keyframes", keyframes=KEYFRAMES)
            said = self.render(page)
            assert any(0 < message["share"] < 1 for message in said)
            assert "clip.refocused.mp4" in said[-1]["text"]
            before = clip.names()
            self.render(page)
            (second,) = clip.names() - before - {"clip.focus.toml"}
        for name in ("clip.refocused.mp4", second):
            check_obeys(clip.path.with_name(name))

    def test_a_photo_becomes_a_photo(self, tmp_path: Path) -> None:
        photo = tmp_path / "photo.JPG"
        assert cv2.imwrite(str(photo), np.full((48, 64, 3), 90, np.uint8))
        assert _free_name(str(photo)).name == "photo.refocused.jpg"
        (tmp_path / "photo.refocused.jpg").touch()
        assert _free_name(str(photo)).name == "photo.refocused-2.jpg"
        for name, rendered in (("a.mkv", ".mkv"), ("a.webm", ".webm"), ("a.avi", ".mp4")):
            (tmp_path / name).touch()
            assert _free_name(str(tmp_path / name)).name == f"a.refocused{rendered}"

    def render(self, page: Page) -> list[dict[str, object]]:
        """What is said of one rendering until it is done."""
        page.ask(type="render", action="start")
        said = [page.wait("render", phase="running", share=0.0)]
        while said[-1]["phase"] == "running":
            said.append(page.wait("render"))
        assert said[-1]["phase"] == "done", said[-1]
        return said

    def test_what_else_the_run_keeps_is_its_own(self, clip: Clip, tmp_path: Path) -> None:
        kept = [str(tmp_path / name) for name in ("kept.mkv", "orig.mp4")]
        run = clip.run(save_depth=kept[0], record_original=kept[1])
        with run, run.page() as page:
            page.watch(1)
            self.render(page)
            assert not any(Path(name).exists() for name in kept)  # so they are still being written
        assert clip.names() == {"clip.mp4", "clip.refocused.mp4"}
        assert all(Path(name).exists() for name in kept)

    def test_one_that_is_cancelled_leaves_nothing(
        self, clip: Clip, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write, begun, cancelled = VideoWriter.write, threading.Event(), threading.Event()

        def wait(writer: VideoWriter, frame: Frame) -> None:
            begun.set()
            cancelled.wait(PATIENCE_S)
            write(writer, frame)

        monkeypatch.setattr(VideoWriter, "write", wait)
        with clip.run() as run, run.page() as page:
            page.ask(type="render", action="start")
            assert begun.wait(PATIENCE_S)
            page.ask(type="render", action="cancel")
            page.ask(type="ping", sent=0)
            page.wait("pong")
            cancelled.set()
            page.wait("render", phase="cancelled")
            assert clip.names() == {"clip.mp4"}


RED, GREEN = (200, 30, 30), (30, 160, 30)


class TestMedia:
    @pytest.fixture(autouse=True)
    def clips(self, tmp_path: Path, ffmpeg: Callable[..., bytes]) -> None:
        self.folder = tmp_path / "clips"
        self.folder.mkdir()
        for name, size, colour in (("a", "96x64", RED), ("b", "160x96", GREEN)):
            plain = f"color=c=0x{bytes(colour).hex()}:s={size}:r=10:d=1"
            output = self.folder / f"{name}.mp4"
            ffmpeg("-f", "lavfi", "-i", plain, "-pix_fmt", "yuv420p", "-crf", "10", output)
        (self.folder / "junk.mp4").write_bytes(b"no video at all")

    def run(self, *outputs: Path) -> LiveRun:
        a, size = self.folder / "a.mp4", (64, 96)
        return LiveRun(a, outputs, serve="0", media=str(self.folder), depth_size=size)

    def test_clips_are_opened_by_name(self, tmp_path: Path) -> None:
        output = tmp_path / "rec.mp4"
        with self.run(output) as run, run.page() as page:
            assert page.wait("can")["media"] == ["a.mp4", "b.mp4", "junk.mp4"]
            page.see(lambda image: image.shape == (64, 96, 3) and is_of(image, RED))
            page.ask(type="open", name="b.mp4")
            page.until("source", lambda source: "b.mp4" in source["name"])
            page.see(lambda image: image.shape == (96, 160, 3) and is_of(image, GREEN))
            run.let_pass(3)
        images, times = decode(output)
        assert min(np.diff(times)) > 0
        assert is_of(images[0], RED)
        assert is_of(images[-1][8:-8], GREEN)
        assert is_of(images[-1][[0, -1]], (0, 0, 0))  # it is less tall

    def test_each_has_its_own_keyframes(self) -> None:
        files = {name: self.folder / f"{name}.focus.toml" for name in "ab"}
        with self.run() as run, run.page() as page:
            self.show(page, "a", 0, 0.25)
            for name, there, value in (("b", 0, 0.5), ("a", 1, 0.75), ("b", 1, 0.6)):
                page.ask(type="open", name=f"{name}.mp4")
                self.show(page, name, there, value)
        tracks = {name: Keyframes.load(path).frames for name, path in files.items()}
        wanted = {"a": 0.75, "b": 0.6}
        for name, value in wanted.items():
            assert tracks[name] == (Keyframe(0.0, FocusDisparity(value)),)

    def show(self, page: Page, name: str, there: int, value: float) -> None:
        """Wait until a clip is there with so many keyframes, and set one."""
        page.until("source", lambda source: f"{name}.mp4" in source["name"])
        page.see(lambda image: is_of(image, {"a": RED, "b": GREEN}[name]))
        page.ask(type="ping", sent=0)
        page.wait("pong")
        page.ask(type="set", focus_range=value)  # so that the state is told
        state = page.until("state", lambda state: state["focus_range"] == value)
        assert len(state["keyframes"]) == there
        focus = {"mode": "disparity", "value": value}
        page.ask(type="keyframes", keyframes=[{"time": 0.0, "focus": focus}])
        page.until("state", lambda s: [k["focus"]["value"] for k in s["keyframes"]] == [value])

    def test_depth_from_a_file_is_that_of_the_first(
        self, clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        clip.path.rename(self.folder / "clip.mp4")
        run = LiveRun(
            "clips/clip.mp4",
            serve="0",
            media="clips",
            depth=str(clip.depth),
            depth_size=(64, 96),
        )
        with run, run.page() as page:
            page.until("readout", lambda readout: readout["metres"])
            page.ask(type="open", name="b.mp4")
            page.see(lambda image: is_of(image, GREEN))
            page.until("readout", lambda readout: readout["plane"] and not readout["metres"])
            page.until(
                "state", lambda s: "b.mp4" in s["command"] and "--depth " not in s["command"]
            )
            page.ask(type="open", name="clip.mp4")
            page.until("readout", lambda readout: readout["metres"])

    def test_a_rate_is_that_of_the_first(self) -> None:
        images = self.folder / "images"
        images.mkdir()
        for i in range(3):
            assert cv2.imwrite(str(images / f"{i}.png"), np.full((64, 96, 3), 90, np.uint8))
        media = str(self.folder)
        with LiveRun(images, serve="0", media=media, rate=5.0) as run, run.page() as page:
            page.watch(1)
            page.ask(type="open", name="b.mp4")
            page.see(lambda image: is_of(image, GREEN))

    def test_metres_end_with_the_clip_that_has_them(self, clip: Clip) -> None:
        clip.path.rename(self.folder / "clip.mp4")
        run = LiveRun(
            self.folder / "clip.mp4",
            serve="0",
            media=str(self.folder),
            depth=str(clip.depth),
            depth_size=(64, 96),
            focus_distance=3.0,
            focal_length=50.0,
            sensor_width=36.0,
        )
        with run, run.page() as page:
            page.until("readout", lambda readout: abs((readout["metres"] or 0) - 3) < 0.1)
            page.ask(type="open", name="b.mp4")
            page.see(lambda image: is_of(image, GREEN))
            state = page.until("state", lambda state: state["focus"]["mode"] == "point")
            assert "distance" not in state["modes"]
            page.ask(type="open", name="clip.mp4")
            page.until("readout", lambda readout: readout["metres"])

    @pytest.mark.parametrize("name", ["junk.mp4", "nowhere.mp4", "b.mp4"])
    def test_what_cannot_be_opened_is_said_and_the_clip_stays(self, name: str) -> None:
        (self.folder / "b.focus.toml").write_text("[[keyframe]]\ntime = 'soon'\n")
        with self.run() as run, run.page() as page:
            page.see(lambda image: is_of(image, RED))
            page.ask(type="open", name=name)
            assert name[:-4] in page.wait("error")["message"]
            page.watch(3)
            assert is_of(page.image, RED)


def is_of(image: Image, colour: tuple[int, int, int]) -> bool:
    return distance(image, np.broadcast_to(np.array(colour, np.uint8), image.shape)) < 8


def test_presets_survive(home: Path) -> None:
    with LiveRun("pattern:96x64@10,1s", serve="0") as run, run.page() as page:
        page.ask(type="set", f_number=1.4, blades=6)
        page.ask(type="preset", action="save", name="Soft")
        page.until("state", lambda state: state["presets"] == ["Soft"])
    assert (home / "rtfocus" / "presets.toml").exists()
    with LiveRun("pattern:96x64@10,1s", serve="0") as run, run.page() as page:
        assert page.wait("state")["presets"] == ["Soft"]
        page.ask(type="preset", action="apply", name="Soft")
        page.wait("state", f_number=1.4, blades=6, preset="Soft")


def test_presets_that_are_broken_stop_no_run(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = home / "rtfocus" / "presets.toml"
    path.parent.mkdir(parents=True)
    path.write_text("[preset.Soft]\nf-number = -1\n")
    with LiveRun("pattern:96x64@10,1s", serve="0") as run, run.page() as page:
        page.ask(type="preset", action="save", name="Hard")
        page.until("state", lambda state: state["presets"] == ["Hard"])
    assert "presets.toml" in caplog.text
    assert path.read_text() == "[preset.Soft]\nf-number = -1\n"
