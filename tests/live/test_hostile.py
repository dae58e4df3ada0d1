"""Clients that mean harm: the video goes on, memory stays, and others notice nothing."""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack, suppress

import numpy as np
import psutil
import pytest
from websockets.exceptions import ConnectionClosed

from rtfocus.server.hub import MAX_CLIENTS
from rtfocus.server.server import MAX_CONNECTIONS
from rtfocus.server.socket import BURST, MAX_MESSAGE

from .film import serving
from .page import Page
from .peers import wait_until
from .wire import request, status_of, upgrade, upgrade_status

GARBAGE = [
    "",
    "not JSON",
    "[]",
    "7",
    "null",
    '"text"',
    "{",
    "[" * 60_000,
    '{"type": ' + "9" * 5000 + "}",
    b"\x00\xff",
    b"",
]


def gone(page: Page) -> int | None:
    """Read until the page is let go; the code it is told."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            page.socket.recv(timeout=1)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None
        except TimeoutError:
            continue
    raise AssertionError("it was not let go")


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda text: repr(text[:12]))
def test_garbage_closes_only_its_own_socket(garbage: str | bytes) -> None:
    with serving() as (server, _), Page(server.port) as good, Page(server.port) as bad:
        bad.socket.send(garbage)
        assert gone(bad) in (1003, 1007)
        good.watch(3)
        good.ask(type="set", f_number=2)
        good.wait("state", f_number=2)


def test_a_message_too_long_closes_only_its_own_socket() -> None:
    with serving() as (server, _), Page(server.port) as good:
        for size in (MAX_MESSAGE + 1, 10_000_000):
            with Page(server.port) as bad:
                with suppress(ConnectionClosed):
                    bad.ask(type="set", x="a" * size)
                assert gone(bad) in (1009, None)
        assert len(good.watch(3)) == 3


def test_a_flood_closes_only_its_own_socket() -> None:
    with serving() as (server, film), Page(server.port) as good, Page(server.port) as bad:
        with suppress(ConnectionClosed):
            for i in range(int(BURST) * 3):
                bad.ask(type="set", f_number=2 if i % 2 else 4)
        assert gone(bad) in (1008, None)
        assert len(good.watch(5)) == 5
        assert film.longest < 0.2


def test_there_is_room_for_so_many_and_no_more() -> None:
    with serving() as (server, film), ExitStack() as stack:
        good = stack.enter_context(Page(server.port))
        for _ in range(MAX_CLIENTS - 1):
            assert status_of(stack.enter_context(upgrade(server.port))) == 101
        for _ in range(200 - MAX_CLIENTS):
            assert upgrade_status(server.port) == 503
        assert request(server.port, "/stream.mjpg").status == 503
        assert len(good.watch(5)) == 5
        assert film.longest < 0.2


def test_connections_that_ask_for_nothing_are_bounded_too() -> None:
    with serving() as (server, film), Page(server.port) as good, ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS + 20):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        half = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        half.sendall(b"GET / HTTP/1.1\r\nHost:")  # a request that never ends
        assert request(server.port, "/").status == 503
        assert len(good.watch(5)) == 5
        assert film.longest < 0.2
        # They still hold their ends, and others are let in again.
        wait_until(lambda: request(server.port, "/").status == 200, "room for a request")
        assert half.recv(1) == b""
        assert len(good.watch(5)) == 5


@pytest.mark.slow
def test_who_acknowledges_and_never_reads_costs_nothing() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (2, 360, 640, 3), np.uint8)  # large JPEGs
    text = b'{"type":"ack"}'
    ack = bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text
    process = psutil.Process(os.getpid())
    with serving(images=list(noise)) as (server, film), Page(server.port) as good:
        good.watch(10)
        before = process.memory_info().rss
        with ExitStack() as stack:
            greedy = [stack.enter_context(upgrade(server.port)) for _ in range(20)]
            began, had = time.monotonic(), len(good.pictures)
            while time.monotonic() < began + 3:
                # States are told to all, and this many would fill any queue that there was.
                film.control.apply({"type": "seek", "time": time.monotonic() - began})
                for raw in greedy:
                    raw.sendall(ack)
                good.read()
                good.pictures[:-1] = [(0.0, 0, b"")] * (len(good.pictures) - 1)
            rate = (len(good.pictures) - had) / 3
            grown = process.memory_info().rss - before
        assert len(good.watch(3)) == 3
    assert rate > 10
    assert grown < 40e6
    assert film.longest < 0.2
    assert not film.feed.watching
