"""A live job in a process of its own, and who watches it: a bare client, slow ones, Chromium."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self, cast
from urllib.parse import urlsplit

import cv2
import numpy as np
import psutil
from websockets.sync.client import ClientConnection, connect

from rtfocus.frame import Image

PATIENCE_S = 180.0
"""How long to wait for what must happen; a busy machine that compiles kernels may need it."""

_HEADER = struct.Struct("<dI")
_ACK = '{"type":"ack"}'
_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\S*")
_SETTLE_S = 3.0


class UnmeasuredError(Exception):
    """This machine or the job lacks what was to be measured; it says what."""


class Job:
    """A process that serves a page, started here and ended with the block."""

    def __init__(self, words: Sequence[str], source: str, options: Sequence[str]) -> None:
        """Args: words: of the command, which the input, --serve and the options follow."""
        self.began = time.monotonic()
        self._process = subprocess.Popen(
            [*words, source, "--serve", "0", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.pid = self._process.pid
        self.url = ""
        self._said: deque[str] = deque(maxlen=20)
        self._spoke = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        self._spoke.wait(PATIENCE_S)
        if not self.url:
            self._end()
            raise UnmeasuredError(f"no page was served:\n{''.join(self._said).strip()}")
        return self

    def __exit__(self, *exc: object) -> None:
        if self._process.poll() is not None:
            print(f"the job ended too soon:\n{''.join(self._said).strip()}", file=sys.stderr)
        self._end()

    @property
    def memory_mib(self) -> float:
        """Resident now."""
        return float(psutil.Process(self.pid).memory_info().rss) / 2**20

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said.append(line)
            match = _ADDRESS.search(line)
            if match and not self.url:
                self.url = match[0]
                self._spoke.set()
        self._spoke.set()

    def _end(self) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Meter:
    """CPU use of a process and its children since now, in percent of one core."""

    def __init__(self, pid: int) -> None:
        root = psutil.Process(pid)
        self._root, self._processes = root, [root, *root.children(recursive=True)]
        self._threads, self._total, self._began = self._per_thread(), self._sum(), time.monotonic()

    def percent(self) -> float:
        """All of them together."""
        return 100 * (self._sum() - self._total) / (time.monotonic() - self._began)

    def threads(self, count: int = 5) -> str:
        """The busiest threads of the process itself, by what the system calls them, in words."""
        elapsed = time.monotonic() - self._began
        used = {
            name: 100 * (seconds - self._threads.get(name, 0.0)) / elapsed
            for name, seconds in self._per_thread().items()
        }
        busiest = sorted(used.items(), key=lambda item: -item[1])[:count]
        return ", ".join(f"{name} {percent:.0f}" for name, percent in busiest if percent >= 0.5)

    def _sum(self) -> float:
        total = 0.0
        for process in self._processes:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        return total

    def _per_thread(self) -> dict[str, float]:
        """Seconds by name and number: Python before 3.14 does not tell the system its names."""
        seconds = {}
        for thread in self._root.threads():
            try:
                name = Path(f"/proc/{self._root.pid}/task/{thread.id}/comm").read_text().strip()
            except OSError:
                continue  # it has just ended
            label = "main" if thread.id == self._root.pid else f"{name}/{thread.id}"
            seconds[label] = thread.user_time + thread.system_time
        return seconds


def _connect(url: str, **options: Any) -> AbstractContextManager[ClientConnection]:
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    address = f"ws://{parts.netloc}/ws{query}"
    # A function in old versions of websockets, a class in new ones; both open it on entry.
    opened: AbstractContextManager[ClientConnection] = connect(
        address, compression=None, max_size=None, close_timeout=0.5, **options
    )
    return opened


class Viewer:
    """A client that decodes every picture and then acknowledges it, as the page does."""

    def __init__(self, url: str) -> None:
        """Args: url: of the page."""
        self.picture: Image | None = None
        """The newest, in BGR."""
        self.drops = 0
        """As the job told it last."""
        self._opened = ExitStack()
        self._socket = self._opened.enter_context(_connect(url))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._opened.close()

    def look(self, seconds: float) -> Iterator[float]:
        """The age of every picture that comes, from capture until it is decoded, in ms."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                item = self._socket.recv(timeout=left)
            except TimeoutError:
                return
            if isinstance(item, str):
                message = json.loads(item)
                self.drops = message["drops"] if message["type"] == "status" else self.drops
                continue
            captured, _ = _HEADER.unpack_from(item)
            data = np.frombuffer(item, np.uint8, offset=_HEADER.size)
            self.picture = cast("Image", cv2.imdecode(data, cv2.IMREAD_COLOR))
            age = time.time() * 1000 - captured
            self._socket.send(_ACK)
            yield age

    def wait(self) -> float:
        """The age of the first picture that comes."""
        for age in self.look(PATIENCE_S):
            return age
        raise UnmeasuredError(f"no picture within {PATIENCE_S:g} s")

    def settle(self) -> None:
        """See pictures until everything has warmed up."""
        self.wait()
        deque(self.look(_SETTLE_S), maxlen=0)


@contextmanager
def throttled(url: str) -> Iterator[None]:
    """Beside the block, a client that reads everything and acknowledges one picture a second."""
    stop = threading.Event()

    def run(connection: ClientConnection) -> None:
        debt, last = 0, time.monotonic()
        while not stop.is_set():
            with suppress(TimeoutError):
                debt += isinstance(connection.recv(timeout=0.1), bytes)
            if debt and time.monotonic() - last >= 1:
                connection.send(_ACK)
                debt, last = debt - 1, time.monotonic()

    with _connect(url) as connection:
        thread = threading.Thread(target=run, args=[connection])
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@contextmanager
def stalled(url: str) -> Iterator[None]:
    """Beside the block, a client that reads next to nothing from the start."""
    parts = urlsplit(url)
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # which is full at once
        raw.connect((parts.hostname, parts.port))
        with _connect(url, sock=raw, max_queue=1, ping_interval=None):
            yield


_PROBE = """
(() => {
  const seen = (window.seen = []); // [captured, decoded, frame, shown] of every picture drawn, ms
  const [wholes, times] = [new WeakMap(), new WeakMap()];
  const { slice } = Blob.prototype;
  Blob.prototype.slice = function (...range) {
    const part = slice.apply(this, range);
    wholes.set(part, this);
    return part;
  };
  const decode = window.createImageBitmap;
  window.createImageBitmap = async (part, ...options) => {
    const head = wholes.has(part) ? slice.call(wholes.get(part), 0, 8).arrayBuffer() : null;
    const picture = await decode(part, ...options);
    const decoded = Date.now();
    if (head) times.set(picture, [new DataView(await head).getFloat64(0, true), decoded]);
    return picture;
  };
  const { transferFromImageBitmap } = ImageBitmapRenderingContext.prototype;
  ImageBitmapRenderingContext.prototype.transferFromImageBitmap = function (picture) {
    const known = times.get(picture);
    transferFromImageBitmap.call(this, picture);
    if (known) requestAnimationFrame((frame) => seen.push([...known, frame, Date.now()]));
  };
})();
"""
"""Run before the page's own scripts: tells the header's clock by the message a picture is cut from.

A picture counts once an animation frame follows that shows it; of several in one frame, which have
its time in common, only the last was to be seen.
"""


class Browser:
    """Headless Chromium, ended with the block."""

    def __init__(self) -> None:
        """Raises: UnmeasuredError: Chromium, its driver or selenium is not on this machine."""
        program = shutil.which("chromium") or shutil.which("google-chrome")
        driver = shutil.which("chromedriver")
        if program is None or driver is None:
            raise UnmeasuredError("chromium and chromedriver are not on this machine")
        try:
            from selenium import webdriver
        except ImportError as error:
            raise UnmeasuredError("selenium is not installed") from error
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage"):
            options.add_argument(f"--{argument}")
        self._service = webdriver.ChromeService(driver)
        self._driver = webdriver.Chrome(options, self._service)
        self._driver.set_window_size(1280, 800)
        self._driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _PROBE})
        self.pid = self._service.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._driver.quit()

    def settle(self, url: str) -> None:
        """Open a page, and wait until pictures have been drawn for a while."""
        self._driver.get(url)
        end = time.monotonic() + PATIENCE_S
        while not self._driver.execute_script("return seen.length"):
            if time.monotonic() > end:
                raise UnmeasuredError(f"no picture was drawn within {PATIENCE_S:g} s")
            time.sleep(0.1)
        time.sleep(_SETTLE_S)

    def look(self, seconds: float) -> list[list[float]]:
        """Of every picture drawn, in ms: captured, decoded, the frame that showed it, that shown.

        All are since 1970, but the third is by the page's own clock.
        """
        self._driver.execute_script("seen.length = 0")
        time.sleep(seconds)
        return list(self._driver.execute_script("return seen"))
