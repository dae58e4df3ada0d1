"""The server with real sockets: pictures down, controls up, starting and stopping."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from urllib.request import urlopen

import cv2
import numpy as np
import pytest

from rtfocus.errors import InputError, OutputError, UnavailableError, UsageError
from rtfocus.live.control import Control
from rtfocus.live.readout import FrameInfo, Source
from rtfocus.server import server as server_module
from rtfocus.server.feed import Feed
from rtfocus.server.media import Media
from rtfocus.server.rendering import RenderTask
from rtfocus.server.server import Server

from .film import BINS, picture, serving
from .page import Page
from .wire import request


def until(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_pictures_come_whole_in_order_and_young() -> None:
    with serving() as (server, _), Page(server.port) as page:
        numbers = page.watch(10)
        assert numbers == sorted(set(numbers))
        captured, _, jpeg = page.pictures[-1]
        assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).shape == (180, 320, 3)
        assert -50 < time.time() * 1000 - captured < 2000


def test_red_stays_red() -> None:
    feed = Feed()
    with Server(Control(), feed, port=0) as server, Page(server.port) as page:
        feed.publish(np.full((16, 16, 3), (200, 30, 10), np.uint8), FrameInfo(0, time.monotonic()))
        page.watch(1)
        bgr = cv2.imdecode(np.frombuffer(page.pictures[0][2], np.uint8), cv2.IMREAD_COLOR)
        assert np.abs(bgr[8, 8].astype(int) - (10, 30, 200)).max() < 6


def test_no_more_than_two_pictures_without_an_acknowledgement() -> None:
    with serving() as (server, film), Page(server.port) as page:
        end = time.monotonic() + 1.0
        while time.monotonic() < end:
            try:
                page.read(0.1, ack=False)
            except TimeoutError:
                continue
        assert len(page.pictures) == 2
        behind = film.feed.newest
        page.ask(type="ack")
        page.watch(1)
        assert page.pictures[-1][1] >= behind  # the newest, not one that was kept waiting


def test_a_picture_that_stands_still_is_shown_to_who_comes_later() -> None:
    feed = Feed()
    with Server(Control(), feed, port=0) as server:
        feed.publish(picture(0), FrameInfo(0, time.monotonic()))
        for _ in range(2):
            with Page(server.port) as page:
                assert page.watch(1) == [1]


def test_every_picture_is_encoded_once_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    imencode = cv2.imencode

    def count(*arguments):
        encoded.append(1)
        return imencode(*arguments)

    monkeypatch.setattr(cv2, "imencode", count)
    feed = Feed()
    with Server(Control(), feed, port=0) as server:
        pages = [Page(server.port) for _ in range(3)]
        for i in range(4):
            feed.publish(picture(i), FrameInfo(0, time.monotonic()))
            for page in pages:
                assert page.watch(1) == [i + 1]
        for page in pages:
            page.close()
        until(lambda: not feed.watching)
        feed.publish(picture(9), FrameInfo(0, time.monotonic()))
        time.sleep(0.1)
    assert len(encoded) == 4


def test_nobody_watching_is_known() -> None:
    with serving() as (server, film):
        assert not film.feed.watching
        with Page(server.port) as page:
            until(lambda: film.feed.watching)
            page.ask(type="visible", on=False)
            until(lambda: not film.feed.watching)
            page.ask(type="visible", on=True)
            until(lambda: film.feed.watching)
        until(lambda: not film.feed.watching)


def test_state_goes_to_everyone_and_is_there_after_a_reconnect() -> None:
    with serving() as (server, film):
        with Page(server.port) as first, Page(server.port) as second:
            first.ask(type="set", f_number=1.4, blades=6)
            for page in (first, second):
                state = page.wait("state", f_number=1.4, blades=6)
                assert state["command"].endswith("--f-number 1.4 --blades 6")
            second.ask(type="focus", mode="point", x=0.25, y=0.5)
            assert first.wait("state", version=3)["focus"]["x"] == 0.25
            film.control.apply({"type": "set", "view": "depth"})  # from elsewhere
            first.wait("state", view="depth")
        with Page(server.port) as again:
            again.wait("state", f_number=1.4, view="depth")


def test_readouts_are_told_when_they_change() -> None:
    with (
        serving(source=Source("clip.mp4", "file", 9.5)) as (server, film),
        Page(server.port) as page,
    ):
        page.wait("source", name="clip.mp4", kind="file", duration=9.5)
        page.ask(type="focus", mode="point", x=0.75, y=0.5)
        page.wait("readout", plane=0.75)
        assert page.wait("status")["stages"] == {"depth": 12.5, "render": 8.0}
        film.feed.source = Source("other.mp4", "file", 3.0)
        page.wait("source", name="other.mp4")
    with serving() as (server, _), Page(server.port) as page:
        assert page.wait("histogram")["bins"] == list(BINS)


def test_numbers_that_json_lacks_do_no_harm() -> None:
    feed = Feed()
    with Server(Control(), feed, port=0) as server, Page(server.port) as page:
        bins = (1.0, float("inf"))
        feed.publish(picture(0), FrameInfo(0, time.monotonic(), float("nan"), histogram=bins))
        assert page.wait("histogram")["bins"] == [1.0, None]


def test_what_makes_no_sense_is_answered_and_the_page_stays() -> None:
    with serving() as (server, _), Page(server.port) as page:
        page.ask(type="set", f_number=-1)
        assert "f_number -1" in page.wait("error")["message"]
        page.ask(type="render", action="start")
        assert "message type 'render'" in page.wait("error")["message"]
        page.ask(type="set", f_number=2)
        page.wait("state", f_number=2)


def test_a_page_that_leaves_lets_go_of_the_original() -> None:
    with serving() as (server, film):
        with Page(server.port) as page:
            page.ask(type="peek", on=True)
            page.wait("state", peek=True)
        until(lambda: not film.control.snapshot().peek)


def test_the_clock_is_told() -> None:
    with serving() as (server, _), Page(server.port) as page:
        page.ask(type="ping", sent=123.5)
        pong = page.wait("pong", sent=123.5)
        assert abs(pong["server"] - time.time() * 1000) < 2000


def test_the_stream_is_one_that_others_read() -> None:
    with serving() as (server, film):
        capture = cv2.VideoCapture(f"{server.url}stream.mjpg", cv2.CAP_FFMPEG)
        for _ in range(5):
            good, image = capture.read()
            assert good
            assert image.shape == (180, 320, 3)
        capture.release()
        until(lambda: not film.feed.watching)


def test_rendering_says_how_far_it_is() -> None:
    gate = threading.Event()

    def render(task: RenderTask) -> str:
        task.report(0.5)
        until(lambda: task.cancelled or gate.is_set())
        if task.state.f_number == 16:
            raise InputError("the input broke off")
        return "clip.out.mp4" if gate.is_set() else ""

    with serving(render=render) as (server, film), Page(server.port) as page:
        assert page.wait("can")["render"] is True
        page.ask(type="render", action="start")
        page.wait("render", phase="running", share=0.5)
        page.ask(type="render", action="start")
        assert "under way" in page.wait("error")["message"]
        page.ask(type="render", action="cancel")
        page.wait("render", phase="cancelled")
        gate.set()
        page.ask(type="render", action="start")
        page.wait("render", phase="done", text="clip.out.mp4")
        film.control.apply({"type": "set", "f_number": 16})
        page.ask(type="render", action="start")
        page.wait("render", phase="failed", text="the input broke off")


def test_a_rendering_that_is_cancelled_too_late_is_done() -> None:
    def render(task: RenderTask) -> str:
        until(lambda: task.cancelled)
        return "clip.out.mp4"  # the file was finished before it heard of that

    with serving(render=render) as (server, _), Page(server.port) as page:
        page.ask(type="render", action="start")
        page.ask(type="render", action="cancel")
        page.wait("render", phase="done", text="clip.out.mp4")


def test_media_are_opened_by_name_and_nothing_else(tmp_path: Path) -> None:
    folder, opened = tmp_path / "media", []
    folder.mkdir()
    (folder / "clip.mp4").touch()
    (folder / ".hidden.mp4").touch()
    (folder / "notes.txt").touch()
    (tmp_path / "secret.mp4").touch()
    (folder / "inner").mkdir()
    (folder / "inner" / "deep.mp4").touch()
    (folder / "out.mp4").symlink_to(tmp_path / "secret.mp4")
    (folder / "near.mp4").symlink_to(folder / "clip.mp4")
    with serving(media=Media(folder, opened.append)) as (server, _), Page(server.port) as page:
        assert page.wait("can")["media"] == ["clip.mp4", "near.mp4"]
        refused = ["../secret.mp4", "out.mp4", "inner/deep.mp4", ".hidden.mp4", "notes.txt", ".."]
        refused += [
            str(tmp_path / "secret.mp4"),
            "",
            ".",
            "clip.mp4\0",
            7,
            None,
            "a" * 5000 + ".mp4",
        ]
        for name in refused:
            page.ask(type="open", name=name)
            assert "no file" in page.wait("error")["message"]
        assert opened == []
        page.ask(type="open", name="clip.mp4")
        until(lambda: opened == [folder.resolve() / "clip.mp4"])
        (folder / "new.mkv").touch()
        page.ask(type="media")
        page.wait("can", media=["clip.mp4", "near.mp4", "new.mkv"])
    with pytest.raises(UsageError, match="no folder"):
        Media(tmp_path / "absent", opened.append)


def test_a_folder_of_media_that_vanishes_is_told_of(tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    media = Media(folder, lambda _: None)
    with serving(media=media) as (server, _), Page(server.port) as page:
        folder.rmdir()
        page.ask(type="media")
        assert "media' cannot be read (No such file" in page.wait("error")["message"]
        page.watch(3)
    with pytest.raises(InputError, match=r"media' cannot be read \(No such file"):
        Server(Control(), Feed(), port=0, media=media).start()


def test_why_it_did_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no loop")

    monkeypatch.setattr("uvicorn.Server.run", fail)
    with pytest.raises(OutputError, match=r"did not start \(RuntimeError: no loop\)"):
        Server(Control(), Feed(), port=0).start()


def test_it_stops_with_pages_and_streams_open_and_starts_again_on_its_port() -> None:
    control, feed = Control(), Feed()
    feed.publish(picture(0), FrameInfo(0, time.monotonic()))
    server = Server(control, feed, port=0)
    server.stop()
    server.start()
    page = Page(server.port)
    page.wait("state")
    with urlopen(f"{server.url}stream.mjpg") as stream:
        stream.read(20)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < 3
    page.close()
    server.stop()
    assert not feed.watching
    assert not [t for t in threading.enumerate() if t.name.startswith("rtfocus")]
    with Server(control, feed, port=server.port) as again:
        assert request(again.port, "/").status == 200


def test_an_address_that_cannot_be_had() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OutputError, match="in use by another program"):
            Server(Control(), Feed(), port=port).start()
    with pytest.raises(OutputError, match="no address of this machine"):
        Server(Control(), Feed(), host="192.0.2.1", port=0).start()
    with pytest.raises(UsageError, match="no address of this machine"):
        Server(Control(), Feed(), host="no such host", port=0).start()
    with pytest.raises(UsageError, match="port 70000"):
        Server(Control(), Feed(), port=70000)


def test_without_the_extra_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "find_spec", lambda _: None)
    with pytest.raises(UnavailableError, match=r"pip install 'rtfocus\[serve\]'"):
        Server(Control(), Feed())
