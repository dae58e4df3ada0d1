"""The page in a real browser: every control, with the server's state as the judge."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from rtfocus.focus.plane import FocusPoint
from rtfocus.live.control import Control
from rtfocus.live.readout import Source
from rtfocus.server.server import Server
from rtfocus.state import LiveState

from .film import Film, serving

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if CHROMIUM is None or DRIVER is None:
    pytest.skip("chromium and chromedriver are not on this machine", allow_module_level=True)
pytest.importorskip("selenium", reason="selenium is not installed")

from selenium import webdriver  # noqa: E402
from selenium.common.exceptions import StaleElementReferenceException  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
    driver.set_window_size(1280, 800)
    try:
        yield driver
    finally:
        driver.quit()


@dataclass
class Session:
    """A page, the film it shows, and what both agree on."""

    driver: Any
    server: Server
    film: Film

    @property
    def state(self) -> LiveState:
        return self.film.control.snapshot()

    def find(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def click(self, selector: str) -> None:
        self._do(lambda: self.find(selector).click())

    def keys(self, selector: str, *keys: str) -> None:
        self._do(lambda: self.find(selector).send_keys(*keys))

    def _do(self, act: Callable[[], None]) -> None:
        """Once more if the page has drawn the element anew in between."""
        try:
            act()
        except StaleElementReferenceException:
            act()

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def until(self, condition: Callable[[], Any], seconds: float = 10.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"it did not happen; the state is {self.state}"
            time.sleep(0.05)

    def at(self, x: float, y: float) -> ActionChains:
        """The pointer at a place of the picture, 0..1 of its width and height."""
        box = self.find("#overlay").rect
        picture = self.find("#picture")
        middle = picture.rect
        across = box["x"] + x * box["width"] - middle["x"] - middle["width"] / 2
        down = box["y"] + y * box["height"] - middle["y"] - middle["height"] / 2
        chains = ActionChains(self.driver, duration=20)
        return chains.move_to_element_with_offset(picture, round(across), round(down))

    def slide(self, selector: str, value: float) -> None:
        """Set a slider as a drag does: input events, then a change."""
        self.driver.execute_script(
            "const [e, v] = arguments; e.value = v; e.dispatchEvent(new Event('input'));"
            "e.dispatchEvent(new Event('change'))",
            self.find(selector),
            value,
        )

    def shown(self) -> bool:
        """Whether a picture has been drawn."""
        script = "return (document.querySelector('canvas')?.width ?? 0) > 16"
        return bool(self.driver.execute_script(script))

    def open(self, query: str = "") -> None:
        self.driver.get(f"http://127.0.0.1:{self.server.port}/{query}")
        self.until(self.shown)


@pytest.fixture
def live(driver: Any) -> Iterator[Session]:
    yield from session(driver, Source("camera:0"))


@pytest.fixture
def file(driver: Any) -> Iterator[Session]:
    yield from session(driver, Source("clip.mp4", "file", 10.0), render=lambda _: "clip.out.mp4")


def session(driver: Any, source: Source, **options: Any) -> Iterator[Session]:
    control = Control(modes=("point", "follow", "face", "disparity"))
    with serving(control, source, **options) as (server, film):
        made = Session(driver, server, film)
        driver.get_log("browser")
        made.open()
        yield made
        complaints = [entry["message"] for entry in driver.get_log("browser")]
        driver.get("about:blank")
        made.until(lambda: not film.feed.watching)
        complaints = [text for text in complaints if "WebSocket" not in text]
        assert complaints == []


def test_click_focuses_there_and_says_how_deep(live: Session) -> None:
    live.at(0.25, 0.6).click().perform()
    live.until(lambda: live.state.focus.x == pytest.approx(0.25, abs=0.01))
    assert live.state.focus.y == pytest.approx(0.6, abs=0.01)
    live.until(lambda: live.find("#reticle-label").text == f"{live.state.focus.x:.2f}")
    assert live.find("#focus-text").text == live.find("#reticle-label").text
    live.until(lambda: live.find("#announcer").get_attribute("textContent").startswith("Focus 0.2"))


def test_double_click_follows(live: Session) -> None:
    live.at(0.5, 0.4).double_click().perform()
    live.until(lambda: live.state.focus.mode == "follow")
    assert live.find("[name=mode][value=follow]").is_selected()


def test_wheel_nudges_focus_and_with_shift_the_aperture(live: Session) -> None:
    live.at(0.5, 0.5).click().perform()
    origin = ScrollOrigin.from_element(live.find("#picture"))
    ActionChains(live.driver).scroll_from_origin(origin, 0, -120).perform()
    live.until(lambda: live.state.focus.mode == "disparity")
    assert live.state.focus.value == pytest.approx(0.52, abs=0.015)
    chains = ActionChains(live.driver).key_down(Keys.SHIFT)
    chains.scroll_from_origin(origin, 0, -120).key_up(Keys.SHIFT).perform()
    live.until(lambda: live.state.f_number == 3.2)


def test_sliders(live: Session) -> None:
    live.find("summary").click()
    for selector, value, name, expected in [
        ("#f-number", 0, "f_number", 1.2),
        ("#focus-range", 0.2, "focus_range", 0.2),
        ("#rack-time", 1.5, "rack_time", 1.5),
        ("#highlights", 2, "highlights", 2.0),
        ("#max-radius", 3, "max_radius", 3.0),
        ("#max-radius", 15.5, "max_radius", None),
        ("#smooth", 0.3, "smooth", 0.3),
        ("#smooth", -0.05, "smooth", None),
        ("#depth-every", 4, "depth_every", 4),
    ]:
        live.slide(selector, value)
        live.until(lambda n=name, e=expected: getattr(live.state, n) == e)
    assert live.find("#f-number-text").text == "f/1.2"
    live.keys("#f-number", Keys.ARROW_RIGHT)
    live.until(lambda: live.state.f_number == 1.4)


def test_blades_and_easing(live: Session) -> None:
    assert not live.find("#rotation-row").is_displayed()
    live.find("[name=blades][value='7']").click()
    live.until(lambda: live.state.blades == 7)
    live.until(lambda: live.find("#rotation-row").is_displayed())
    live.slide("#blade-rotation", 30)
    live.until(lambda: live.state.blade_rotation == 30)
    live.find("#easing option[value=linear]").click()
    live.until(lambda: live.state.easing == "linear")


def test_views_by_key_and_by_hand_and_the_original_while_space_is_held(live: Session) -> None:
    for key, view in zip("2345", ("original", "depth", "coc", "split"), strict=True):
        live.press(key)
        live.until(lambda v=view: live.state.view == v)
    live.find("[name=view][value=result]").click()
    live.until(lambda: live.state.view == "result")
    live.find("#picture").click()
    ActionChains(live.driver).key_down(" ").perform()
    live.until(lambda: live.state.peek)
    assert live.state.view == "result"
    ActionChains(live.driver).key_up(" ").perform()
    live.until(lambda: not live.state.peek)


def test_the_plane_is_dragged_on_the_histogram(live: Session) -> None:
    box = live.find("#histogram")
    chains = ActionChains(live.driver, duration=50).move_to_element(box).click_and_hold()
    chains.move_by_offset(70, 0).release().perform()
    share = 0.5 + 70 / box.rect["width"]
    live.until(lambda: live.state.focus.value == pytest.approx(share, abs=0.02))
    before = live.state.focus.value
    box.send_keys(Keys.ARROW_LEFT)
    live.until(lambda: live.state.focus.value < before)


def test_modes(live: Session) -> None:
    live.find("[name=mode][value=face]").click()
    live.until(lambda: live.state.focus.mode == "face")
    live.find("[name=mode][value=disparity]").click()
    live.until(lambda: live.state.focus.mode == "disparity")
    live.find("[name=mode][value=point]").click()
    live.until(lambda: live.state.focus.mode == "point")


def test_the_picture_by_keyboard(live: Session) -> None:
    live.keys("#picture", Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.ENTER)
    live.until(lambda: live.state.focus.x == pytest.approx(0.54))
    assert live.state.focus.y == pytest.approx(0.48)
    live.keys("#picture", "f")
    live.until(lambda: live.state.focus.mode == "follow")
    live.press("]")
    live.until(lambda: live.state.focus.mode == "disparity")
    live.press("-")
    live.until(lambda: live.state.f_number == 2.5)


def test_presets(live: Session) -> None:
    live.slide("#f-number", 1)
    live.until(lambda: live.state.f_number == 1.4)
    live.keys("#preset-name", "Soft 1", Keys.ENTER)
    live.until(lambda: live.state.presets == ("Soft 1",))
    assert live.state.view == "result"  # the 1 was text, no shortcut
    live.slide("#f-number", 22)
    live.until(lambda: live.state.f_number == 16)
    live.until(lambda: not live.driver.find_elements(By.CSS_SELECTOR, "#presets .chosen"))
    live.click("#presets button")
    live.until(lambda: live.state.f_number == 1.4)
    live.until(lambda: live.driver.find_elements(By.CSS_SELECTOR, "#presets .delete"))
    live.click("#presets .delete")
    live.until(lambda: live.state.presets == ())


def test_the_command_is_shown_and_copied(live: Session) -> None:
    live.slide("#f-number", 1)
    live.until(lambda: live.find("#command").text == "rtfocus run INPUT --f-number 1.4")
    live.click("#copy")
    live.until(lambda: live.find("#notice").text == "Command copied")


def test_the_status_line(live: Session) -> None:
    live.until(lambda: "fps" in live.find("#status-line").text)
    live.until(lambda: "ms p95" in live.find("#status-line").text)
    assert "2 dropped" in live.find("#status-line").text
    assert live.find("#device").text == "CPU"
    live.click("#status-line")
    assert "depth 12.5" in live.find("#stages").text
    assert "until made, p50 / p95 20 / 30" in live.find("#stages").text
    live.press(Keys.ESCAPE)
    assert not live.find("#stages").is_displayed()


def test_the_token_is_exchanged_for_a_cookie(driver: Any) -> None:
    with serving(host="0.0.0.0") as (server, film):
        query = server.url.partition("?")[2]
        made = Session(driver, server, film)
        made.open(f"?{query}")
        assert driver.current_url == f"http://127.0.0.1:{server.port}/"
        made.open()
        driver.delete_all_cookies()
        driver.get(f"http://127.0.0.1:{server.port}/")
        assert "needs the whole address" in made.find("body").text
        driver.get_log("browser")


def test_a_resting_finger_shows_the_original(live: Session) -> None:
    finger = "return document.getElementById('picture').dispatchEvent(new PointerEvent("
    live.driver.execute_script(finger + "'pointerdown', {pointerType: 'touch', bubbles: true}))")
    live.until(lambda: live.state.peek)
    live.driver.execute_script(finger + "'pointerup', {pointerType: 'touch', bubbles: true}))")
    live.until(lambda: not live.state.peek)


def test_it_comes_back_with_the_state_after_the_server_was_away(live: Session) -> None:
    port = live.server.port
    live.server.stop()
    live.until(lambda: "Reconnecting" in live.find("#notice").text)
    live.film.control.apply({"type": "set", "f_number": 8.0})
    with Server(live.film.control, live.film.feed, port=port):
        live.until(lambda: live.find("#f-number-text").text == "f/8")
        live.until(lambda: not live.find("#notice").is_displayed())
        live.press("3")
        live.until(lambda: live.state.view == "depth")
        live.driver.get_log("browser")  # that it could not connect meanwhile
        live.driver.get("about:blank")


def test_two_pages_show_the_same(live: Session) -> None:
    first = live.driver.current_window_handle
    live.driver.switch_to.new_window("tab")
    try:
        live.open()
        live.slide("#f-number", 22)
        live.until(lambda: live.state.f_number > 15)  # closed at once, a page may not have sent it
    finally:
        live.driver.close()
        live.driver.switch_to.window(first)
    live.until(lambda: live.find("#f-number-text").text == "f/16")


def test_the_picture_alone(live: Session) -> None:
    live.open("?clean=1")
    for selector in ("#panel", "#foot", "#views", "#reticle"):
        assert not live.find(selector).is_displayed()
    box = live.find("#canvas").rect
    assert (box["x"], box["y"]) == (0, 0)
    live.press("3")
    time.sleep(0.2)
    assert live.state.view == "result"


def test_the_panel_folds_away(live: Session) -> None:
    live.click("#close-panel")
    assert not live.find("#panel").is_displayed()
    live.press("\\")
    assert live.find("#panel").is_displayed()
    live.press("?")
    assert live.find("#keys").is_displayed()
    live.press(Keys.ESCAPE)
    assert not live.find("#keys").is_displayed()


def test_everything_that_is_used_has_a_name(live: Session) -> None:
    nameless = live.driver.execute_script(
        "return [...document.querySelectorAll('button, input, select, [role=slider]')]"
        ".filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length"
        " || e.getAttribute('aria-labelledby'))).map((e) => e.outerHTML)"
    )
    assert nameless == []


def test_on_a_phone(live: Session) -> None:
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    live.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        live.open()
        wide = live.driver.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 390
        for selector in ("#views", "#panel", "#overlay"):
            box = live.find(selector).rect
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
        views, picture = live.find("#views").rect, live.find("#picture").rect
        assert views["y"] + views["height"] <= picture["y"]  # however tall a clip is
        live.at(0.25, 0.5).click().perform()
        live.until(lambda: live.state.focus.x == pytest.approx(0.25, abs=0.02))
        tall = live.find("#picture").rect["height"]
        live.click("#handle")
        live.until(lambda: live.find("#picture").rect["height"] > tall + 100)
    finally:
        live.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_play_pause_and_seek(file: Session) -> None:
    file.click("#play")
    file.until(lambda: not file.state.playing)
    file.press("p")
    file.until(lambda: file.state.playing)
    file.slide("#seek", 7.5)
    file.until(lambda: file.state.seek == 7.5)
    assert "/ 0:10" in file.find("#clock").text


def test_keyframes_are_added_dragged_and_deleted(file: Session) -> None:
    file.at(0.5, 0.4).double_click().perform()
    file.until(lambda: file.state.focus.mode == "follow")
    file.slide("#seek", 2)
    file.click("#add-keyframe")
    file.until(lambda: len(file.state.keyframes) == 1)
    assert file.state.keyframes[0].time == pytest.approx(2, abs=0.6)
    assert isinstance(file.state.keyframes[0].target, FocusPoint)
    file.until(lambda: file.driver.find_elements(By.CSS_SELECTOR, ".keyframe"))
    before = file.state.keyframes[0].time
    wide = file.find("#keyframes").rect["width"]
    chains = ActionChains(file.driver, duration=50)
    chains.drag_and_drop_by_offset(file.find(".keyframe"), round(wide * 0.3), 0).perform()
    file.until(lambda: file.state.keyframes[0].time == pytest.approx(before + 3, abs=0.1))
    moved = file.state.keyframes[0].time
    file.keys(".keyframe", Keys.ARROW_RIGHT)
    file.until(lambda: file.state.keyframes[0].time == pytest.approx(moved + 0.1, abs=0.01))
    file.click(".keyframe")
    file.until(lambda: file.state.seek == file.state.keyframes[0].time)
    file.keys(".keyframe", Keys.DELETE)
    file.until(lambda: file.state.keyframes == ())


def test_render(file: Session) -> None:
    file.click("#render")
    file.until(lambda: file.find("#render-text").text == "Done: clip.out.mp4")


def test_what_is_live_has_no_timeline(live: Session) -> None:
    assert not live.find("#transport").is_displayed()
    assert not live.find("#render").is_displayed()


def test_a_picture_that_is_late_is_not_shown_after_a_newer_one(live: Session) -> None:
    live.driver.execute_script(
        """
        const decode = window.createImageBitmap;
        let count = 0;
        window.createImageBitmap = async (blob) => {
          const order = count++;
          const picture = await decode(blob);
          if (order % 2 === 0) await new Promise((done) => setTimeout(done, 100));
          return Object.assign(picture, { order });
        };
        const renderer = ImageBitmapRenderingContext.prototype;
        const draw = renderer.transferFromImageBitmap;
        window.drawn = [];
        renderer.transferFromImageBitmap = function (picture) {
          if ("order" in picture) window.drawn.push(picture.order);
          return draw.call(this, picture);
        };
        """
    )
    live.until(lambda: len(live.driver.execute_script("return window.drawn")) > 20)
    drawn = live.driver.execute_script("return window.drawn")
    assert drawn == sorted(drawn)
