"""Everyone who is connected, and what each is still to be sent.

All of it runs in the server's event loop. Memory is bounded by construction: a client holds one
picture and one message of every kind, and newer ones take the place of older ones.
"""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import asdict
from typing import Any

from rtfocus.live.control import Control
from rtfocus.live.readout import FrameInfo, Source
from rtfocus.server.feed import Feed, Packet
from rtfocus.state import LiveState

MAX_CLIENTS = 50
CREDIT = 2
"""Pictures that may be on their way to a client without its acknowledgement."""

TICK = 0.1
"""Seconds between two readouts."""

STATE_PAUSE = 0.01
"""Seconds that a change of state waits for others: no slider makes more than 100 messages of it."""

STALL = 20.0
"""Seconds after which a client that has not acknowledged a picture is taken for gone."""

_QUICK = ("time", "plane", "metres", "tracking", "place")

Message = dict[str, object]


class Client:
    """One reader: a page's socket, or a stream."""

    def __init__(self, credit: int, *, messages: bool) -> None:
        """Args: credit: pictures it may be sent at once. messages: whether it reads JSON too."""
        self.credit = credit
        self.messages = messages
        self.visible = True
        self.lost = False
        self.seen = 0
        self._ended = False
        self._packet: Packet | None = None
        self._outbox: dict[str, str] = {}
        self._wake = asyncio.Event()
        self._since = 0.0

    @property
    def ready(self) -> bool:
        """Whether it could take a new picture now."""
        return self.watching and self.credit > 0 and self._packet is None

    @property
    def watching(self) -> bool:
        """Whether someone looks, as far as can be told from here."""
        return self.visible and not self.lost

    def check(self, now: float) -> None:
        """Take it for lost if its pictures have been under way for too long."""
        self.lost = self.credit <= 0 and now - self._since > STALL

    def acknowledge(self, credit: int) -> None:
        """A picture has arrived; it may be sent another, but never more than `credit` at once."""
        self.credit, self.lost = min(self.credit + 1, credit), False

    def end(self) -> None:
        """Have `next` return None from now on."""
        self._ended = True
        self._wake.set()

    def offer(self, packet: Packet) -> None:
        """Give it a picture if it is ready and has not had it."""
        if self.ready and packet.number > self.seen:
            self._packet, self.seen = packet, packet.number
            self._wake.set()

    def post(self, message: Message) -> None:
        """Give it a message, in place of one of the same type that it has not been sent yet."""
        self.put(str(message["type"]), json.dumps(message, allow_nan=False))

    def put(self, kind: str, text: str) -> None:
        """The same for a message that is JSON already."""
        if self.messages:
            self._outbox[kind] = text
            self._wake.set()

    async def next(self) -> str | Packet | None:
        """The next thing to send, messages before pictures; None when the server stops."""
        while True:
            if self._ended:
                return None
            if self._outbox:
                return self._outbox.pop(next(iter(self._outbox)))
            if self._packet is not None:
                packet, self._packet = self._packet, None
                self.credit -= 1
                self._since = asyncio.get_running_loop().time()
                return packet
            self._wake.clear()
            await self._wake.wait()


class Hub:
    """Keeps clients and feed together."""

    def __init__(self, control: Control, feed: Feed) -> None:
        self.control, self.feed = control, feed
        self._clients: set[Client] = set()
        self._packet: Packet | None = None
        self._told: tuple[FrameInfo, Source] | None = None
        self._notices: dict[str, Message] = {}
        self._state_is_due = False
        self._ended = False

    @property
    def full(self) -> bool:
        """Whether there is no room for another client."""
        return self._ended or len(self._clients) >= MAX_CLIENTS

    def join(self, client: Client) -> None:
        """Add a client and tell it everything."""
        self._clients.add(client)
        client.post(self._source_message())
        client.post(self._state_message())
        for notice in self._notices.values():
            client.post(notice)
        for message in _readouts(self.feed.latest):
            client.post(message)
        self.serve(client)

    def leave(self, client: Client) -> None:
        """Forget a client; safe to call twice."""
        self._clients.discard(client)
        self._say_who_waits()

    def serve(self, client: Client) -> None:
        """Look after a client that has become ready, or has ceased to be."""
        # An encoded picture is handed on only while it is the newest, never an old one first.
        if self._packet is not None and self._packet.number == self.feed.newest:
            client.offer(self._packet)
        self._say_who_waits()

    def on_packet(self, packet: Packet) -> None:
        """Hand an encoded picture to everyone who is ready."""
        self._packet = packet
        for client in self._clients:
            client.offer(packet)
        self._say_who_waits()

    def on_state(self, _: LiveState) -> None:
        """Tell everyone the state soon, however often it changes until then."""
        if not self._state_is_due:
            self._state_is_due = True
            asyncio.get_running_loop().call_later(STATE_PAUSE, self._tell_state)

    def notify(self, message: Message) -> None:
        """Tell everyone, now and when they join later; the last of every type counts."""
        self._notices[str(message["type"])] = message
        self._tell(message)

    def end(self) -> None:
        """Let everyone go, and nobody in."""
        self._ended = True
        for client in self._clients:
            client.end()

    async def tick(self) -> None:
        """Tell readouts that have changed, for as long as the server runs."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK)
            for client in self._clients:
                client.check(loop.time())
            self._say_who_waits()
            info, source = self.feed.latest, self.feed.source
            if self._told is None or source is not self._told[1]:
                self._tell(self._source_message())
            if self._told is None or info is not self._told[0]:
                before = None if self._told is None else self._told[0]
                for message in _readouts(info, before):
                    self._tell(message)
            self._told = info, source

    def _tell_state(self) -> None:
        self._state_is_due = False
        self._tell(self._state_message())

    def _state_message(self) -> Message:
        """The state with what a page needs beside it."""
        return {
            **self.control.snapshot().as_message(),
            "command": self.control.command(),
            "modes": self.control.modes,
        }

    def _tell(self, message: Message) -> None:
        kind, text = str(message["type"]), json.dumps(message, allow_nan=False)
        for client in self._clients:
            client.put(kind, text)

    def _say_who_waits(self) -> None:
        watchers = sum(client.watching for client in self._clients)
        self.feed.want(watchers, ready=any(client.ready for client in self._clients))

    def _source_message(self) -> Message:
        return {"type": "source", **asdict(self.feed.source)}


def _readouts(info: FrameInfo, before: FrameInfo | None = None) -> list[Message]:
    """What a page shows beside the picture, as far as it is not the same as before."""
    quick = {name: getattr(info, name) for name in _QUICK}
    faces = [asdict(face) for face in info.faces]
    messages: list[Message] = [{"type": "readout", **quick, "faces": faces}]
    if info.status is not None and (before is None or info.status is not before.status):
        messages.append({"type": "status", **asdict(info.status)})
    if info.histogram is not None and (before is None or info.histogram is not before.histogram):
        messages.append({"type": "histogram", "bins": info.histogram})
    return [_finite(message) for message in messages]


def _finite(value: Any) -> Any:
    """The same with null for every number that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
