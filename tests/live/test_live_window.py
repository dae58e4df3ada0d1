"""The preview window of a live job, under Xvfb with xdotool for hands."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from live.live_run import LiveRun, has_ended
from live.peers import wait_until
from live.screen import Hands, close_politely
from rtfocus.frame import Image
from rtfocus.readers.scene import ROBOT_M, SKYLINE_M
from rtfocus.writers import window
from rtfocus.writers.caption import draw_lines

pytestmark = pytest.mark.usefixtures("compiled", "home")

STILL, MOVING = "pattern:320x240@10,0.1s", "pattern:320x240@10,600s"


class Shown:
    """The window of a job."""

    def __init__(self, hands: Hands) -> None:
        self.hands, self.window = hands, hands.find("rtfocus")

    def click(self, x: float, y: float) -> None:
        at = (round(x * 320), round(y * 240))
        self.hands("mousemove", "--window", self.window, *at, "click", 1)

    def press(self, key: str) -> None:
        self.hands("windowfocus", self.window)
        self.hands("key", key)


def test_clicks_and_keys_steer(hands: Hands) -> None:
    run = LiveRun(STILL, ["window"], serve="0", rack=0.2)
    with run, run.page() as page:
        shown = Shown(hands)
        page.until("readout", lambda r: r["metres"] == pytest.approx(ROBOT_M, rel=0.02))
        shown.click(0.9, 0.5)
        state = page.until("state", lambda s: s["focus"]["x"] > 0.8)
        assert (state["focus"]["x"], state["focus"]["y"]) == pytest.approx((0.9, 0.5), abs=0.02)
        page.until("readout", lambda r: r["metres"] == pytest.approx(SKYLINE_M, rel=0.02))
        for key, f_number in (("minus", 2.5), ("equal", 2.8), ("equal", 3.2)):
            shown.press(key)
            page.wait("state", f_number=f_number)
        for key, view in zip("23451", ("original", "depth", "coc", "split", "result"), strict=True):
            shown.press(key)
            page.wait("state", view=view)


def test_the_overlay(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Sequence[str]] = []

    def draw(image: Image, lines: Sequence[str]) -> Image:
        drawn.append(lines)
        return draw_lines(image, lines)

    monkeypatch.setattr(window, "draw_lines", draw)
    with LiveRun(MOVING, ["window"]) as run:
        shown = Shown(hands)
        run.let_pass(3)
        assert not drawn
        shown.press("o")
        wait_until(lambda: drawn, "the overlay")
        run.let_pass(3)
        assert any("f/2.8, focus: point" in line for line in drawn[-1])
        assert any(" fps, " in line for line in drawn[-1])
        shown.press("o")

        def is_gone() -> bool:
            count = len(drawn)
            run.let_pass(3)
            return len(drawn) == count

        wait_until(is_gone, "the overlay to be gone")


@pytest.mark.parametrize("how", ["q", "Escape", "cross"])
def test_it_can_be_ended(hands: Hands, how: str) -> None:
    with LiveRun(MOVING, ["window"]) as run:
        shown = Shown(hands)
        run.let_pass(1)
        if how == "cross":
            close_politely(os.environ["DISPLAY"], int(shown.window))
        else:
            shown.press(how)
        run.finish()  # the user is done, and nothing was interrupted
    assert has_ended()


def test_a_photo_stays_until_it_is_ended(hands: Hands, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    assert cv2.imwrite(str(photo), np.full((240, 320, 3), 90, np.uint8))
    with LiveRun(str(photo), ["window"]) as run:
        shown = Shown(hands)
        run.let_pass(5)
        shown.press("q")
        run.finish()
