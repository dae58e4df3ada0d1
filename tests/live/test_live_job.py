"""A live job as a page steers it: what is played, what is in focus, and when depth is asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from live.live_run import LiveRun, decode, detail, distance, has_ended
from live.page import Page
from live.peers import PATIENCE_S, free_port, wait_until
from rtfocus.depth.scene import SceneDepth
from rtfocus.frame import Frame, Image, Map
from rtfocus.live.job import LiveJob
from rtfocus.pipeline import Job
from rtfocus.readers import player
from rtfocus.readers.scene import BALLOON_M, ROBOT_M, SKYLINE_M, Scene
from rtfocus.run import open_job
from rtfocus.settings import Settings

pytestmark = pytest.mark.usefixtures("compiled", "home")

PATTERN = "pattern:192x128@10,1s"
ROBOT, SKYLINE, BALLOON = (0.5, 0.55), (0.65, 0.45), (0.21, 0.42)
ROBOT_AREA, SKYLINE_AREA = np.s_[50:105, 83:109], np.s_[45:62, 130:186]

SHARP = {ROBOT_M: [True, False], SKYLINE_M: [False, True], BALLOON_M: [False, False]}


@pytest.mark.parametrize(
    ("source", "output", "options"),
    [
        ("pattern", "out.mp4", {"serve": "0"}),
        ("pattern", "out.mp4", {"realtime": True}),
        ("pattern", "out.mp4", {"loop": True}),
        ("pattern", "window", {}),
        ("pattern", "udp://127.0.0.1:5004", {}),
        ("pattern", "rtmp://127.0.0.1/live/a", {}),
        ("camera:0", "out.mp4", {}),
        ("udp://127.0.0.1:5004", "out.mp4", {}),
    ],
)
def test_what_is_live(
    source: str,
    output: str,
    options: dict[str, object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DISPLAY", ":4711")
    job = open_job(source, [output], Settings.create(**options))
    assert isinstance(job, LiveJob)


def test_what_is_not(tmp_path: Path) -> None:
    assert isinstance(open_job("pattern", [str(tmp_path / "a.mp4")], Settings()), Job)


class TestPlaying:
    def test_without_a_page_a_file_ends(self, tmp_path: Path) -> None:
        output = tmp_path / "out.mp4"
        with LiveRun("pattern:96x64@20,0.5s", [output], realtime=True) as run:
            summary = run.finish()
        images, _ = decode(output)
        assert 1 <= len(images) == summary.frames <= 10
        assert (summary.size, summary.outputs) == ((96, 64), (str(output),))

    def test_with_one_the_last_frame_stays(self) -> None:
        with LiveRun("pattern:96x64@10,60s", serve="0") as run, run.page() as page:
            page.ask(type="seek", time=59.5)
            page.wait("state", playing=False)
            page.wait("readout", time=59.9)
            run.let_pass(3)
            assert next_readout(page)["time"] == 59.9
            page.ask(type="set", playing=True)
            # from its start; a page that is slow is not shown every frame of it
            page.until("readout", lambda readout: readout["time"] < 30)

    def test_pause_and_seek(self) -> None:
        with LiveRun("pattern:96x64@10,60s", serve="0") as run, run.page() as page:
            page.ask(type="set", playing=False)
            page.wait("state", playing=False)
            run.let_pass(2)  # one may have been under way
            stays = next_readout(page)["time"]
            run.let_pass(3)
            assert next_readout(page)["time"] == stays
            page.ask(type="seek", time=50.0)
            page.wait("readout", time=50.0)
            run.let_pass(3)
            assert next_readout(page)["time"] == 50.0
            page.ask(type="set", playing=True)
            page.until("readout", lambda readout: readout["time"] >= 50.3)

    def test_a_stop_ends_it_at_once(self, tmp_path: Path) -> None:
        output = tmp_path / "out.mp4"
        with LiveRun("pattern:96x64@10,60s", [output], serve="0") as run:
            run.let_pass(3)
            run.job.stop()
            with pytest.raises(KeyboardInterrupt):
                run.finish()
        assert len(decode(output)[0]) >= 3
        assert has_ended()


def next_readout(page: Page) -> dict[str, object]:
    """One that was made after now, whatever was on its way."""
    page.ask(type="ping", sent=time.monotonic())
    page.wait("pong")
    return page.wait("readout")


@pytest.fixture
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    """A paused player gives its frame again only when it is woken."""
    monkeypatch.setattr(player, "_REPEAT_S", 1000.0)


class TestFocus:
    @pytest.mark.usefixtures("still")
    def test_a_click_brings_what_is_there_into_focus(self) -> None:
        original, _ = Scene(128, 192).draw(0.0)
        run = LiveRun(PATTERN, serve="0", rack=0.0, f_number=1.2)
        planes: dict[float, float] = {}
        with run, run.page() as page:
            page.ask(type="set", playing=False)
            page.ask(type="seek", time=0.0)
            page.ask(type="peek", on=True)
            original = page.see(lambda image: distance(image, original) < 8)  # but for JPEG
            page.ask(type="peek", on=False)
            for place, metres in ((ROBOT, ROBOT_M), (SKYLINE, SKYLINE_M), (BALLOON, BALLOON_M)):
                page.ask(type="focus", mode="point", x=place[0], y=place[1])
                readout = page.until(
                    "readout",
                    lambda r, m=metres: r["metres"] and abs(r["metres"] / m - 1) < 0.02,  # type: ignore[misc]
                )
                planes[1 / metres] = readout["plane"]
                page.see(lambda image, m=metres: in_focus(image, original) == SHARP[m])  # type: ignore[misc]
        line = np.polynomial.Polynomial.fit(list(planes), list(planes.values()), 1)
        np.testing.assert_allclose(line(np.array(list(planes))), list(planes.values()), atol=0.01)
        assert line.deriv()(0) > 0.1

    def test_the_focus_travels_while_paused(self) -> None:
        with LiveRun(PATTERN, serve="0", rack=0.3) as run, run.page() as page:
            page.ask(type="set", playing=False)
            page.until("readout", at(ROBOT_M))
            page.ask(type="focus", mode="point", x=SKYLINE[0], y=SKYLINE[1])
            page.until("readout", at(SKYLINE_M))

    @pytest.mark.usefixtures("still")
    def test_nudges_start_where_the_plane_is(self) -> None:
        with LiveRun(PATTERN, serve="0", rack=0.0) as run, run.page() as page:
            page.ask(type="set", playing=False)
            page.ask(type="seek", time=0.5)
            before = page.until("readout", lambda r: r["time"] == 0.5 and r["plane"])["plane"]
            page.ask(type="nudge", name="focus", steps=5)
            page.until("readout", lambda r: r["plane"] == pytest.approx(before + 0.05, abs=1e-3))

    @pytest.mark.usefixtures("still")
    def test_a_wider_aperture_blurs_more(self) -> None:
        with LiveRun(PATTERN, serve="0", f_number=16.0) as run, run.page() as page:
            page.watch(1)
            page.ask(type="set", playing=False)
            page.wait("state", playing=False)
            before = detail(page.image[SKYLINE_AREA])
            page.ask(type="set", f_number=1.2)
            page.see(lambda image: detail(image[SKYLINE_AREA]) < 0.5 * before)


def in_focus(image: Image, original: Image) -> list[bool | None]:
    """Whether robot and skyline are as sharp as they were; None: neither sharp nor blurred."""
    shares = [detail(image[area]) / detail(original[area]) for area in (ROBOT_AREA, SKYLINE_AREA)]
    return [True if share > 0.95 else False if share < 0.5 else None for share in shares]


def at(metres: float) -> Callable[[dict[str, float]], bool]:
    """Whether the plane of focus is there."""
    return lambda readout: readout["metres"] == pytest.approx(metres, rel=0.02)


class Depth:
    """Watches the scene's depth, and may stand in for a network that takes its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.indices: list[int] = []
        self.drawn = 0
        self.open = threading.Event()
        self.open.set()
        estimate, draw = SceneDepth.estimate, Scene.draw

        def count_estimate(depth: SceneDepth, frame: Frame) -> Map:
            self.indices.append(frame.index)
            self.open.wait(PATIENCE_S)
            return estimate(depth, frame)

        def count_draw(scene: Scene, moment: float) -> object:
            self.drawn += 1
            return draw(scene, moment)

        monkeypatch.setattr(SceneDepth, "estimate", count_estimate)
        monkeypatch.setattr(Scene, "draw", count_draw)

    @property
    def count(self) -> int:
        return len(self.indices)

    def let_pass(self, frames: int) -> None:
        """Wait until the source has given so many more."""
        wanted = self.drawn + frames
        wait_until(lambda: self.drawn >= wanted, f"{frames} more frames")


@pytest.fixture
def depth(monkeypatch: pytest.MonkeyPatch) -> Depth:
    return Depth(monkeypatch)


class TestDepth:
    def test_it_is_asked_for_while_someone_looks(self, depth: Depth) -> None:
        with LiveRun("pattern:96x64@30", serve="0", loop=True) as run:
            port = run.port
            depth.let_pass(20)
            assert depth.count == 1  # so that whoever comes finds all compiled
            with Page(port) as page:
                page.watch(5)
                assert depth.count >= 5
                page.ask(type="visible", on=False)  # a tab in the background
                self.wait_for_rest(depth)
                page.ask(type="visible", on=True)
                seen = depth.count
                wait_until(lambda: depth.count > seen, "depth again")
            self.wait_for_rest(depth)

    def wait_for_rest(self, depth: Depth) -> None:
        def rests() -> bool:
            count = depth.count
            depth.let_pass(10)
            return depth.count == count

        wait_until(rests, "depth to rest")

    def test_an_output_looks_always(self, depth: Depth, tmp_path: Path) -> None:
        with LiveRun("pattern:96x64@30", [tmp_path / "a.mp4"], serve="0", loop=True):
            wait_until(lambda: depth.count >= 5, "depth")

    def test_pictures_do_not_wait_for_a_slow_network(
        self, depth: Depth, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(SceneDepth, "steady", False)
        run = LiveRun("pattern:96x64@30", serve="0", loop=True, rack=0.0, smooth=0.0)
        with run, run.page() as page:
            page.until("readout", at(ROBOT_M))
            page.ask(type="set", view="depth")
            page.wait("state", view="depth")
            page.watch(5)
            depth.open.clear()
            try:
                page.watch(4)  # what was under way
                stuck, before = depth.count, page.image
                numbers = page.watch(15)
                assert len(set(numbers)) == 15
                assert depth.count <= stuck + 1
                assert distance(page.image, before) < 4  # the last map is there
                assert page.image.std() > 40
                page.until("readout", at(ROBOT_M))
            finally:
                depth.open.set()
            wait_until(lambda: depth.count > stuck + 3, "depth to go on")

    def test_every_nth_frame(self, depth: Depth, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(SceneDepth, "steady", False)
        run = LiveRun("pattern:96x64@30", serve="0", loop=True, depth_every=5)
        with run, run.page() as page:
            page.watch(5)
            wait_until(lambda: depth.count >= 6, "depth")
            assert min(np.diff(depth.indices)) >= 5
            before = depth.count
            page.ask(type="set", depth_every=1)
            page.wait("state", depth_every=1)
            wait_until(lambda: min(np.diff(depth.indices[before:]), default=5) < 5, "more of it")


def test_the_page_shows_no_secrets() -> None:
    output = f"rtmp://me:secret@127.0.0.1:{free_port()}/live/secret"
    with LiveRun("pattern:96x64@30", [output], serve="0") as run, run.page() as page:
        command = page.wait("state")["command"]
    assert "me:***@127.0.0.1" in command
    assert "secret" not in command
