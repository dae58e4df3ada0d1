"""The WebSocket of a page: pictures and readouts down, controls and acknowledgements up."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from rtfocus.errors import RtfocusError, UsageError
from rtfocus.server.hub import CREDIT, Client, Hub, Message

MAX_MESSAGE = 64 * 1024
RATE, BURST = 300.0, 600.0
"""Messages a second and at once; a page that is used with both hands sends about 150."""

SEND_TIMEOUT = 10.0
"""Seconds after which a client that takes nothing is let go."""

GOING_AWAY, UNREADABLE, REFUSED, TOO_LONG = 1001, 1003, 1008, 1009

Action = Callable[[Message], Awaitable[None]]

log = logging.getLogger(__name__)


class Goodbye(Exception):  # noqa: N818 - most often it is the page's fault, but not always
    """The page is to be let go, for a reason that it is told."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class PageSocket:
    """The conversation with one page."""

    def __init__(self, socket: WebSocket, hub: Hub, actions: dict[str, Action]) -> None:
        """Args: actions: what else than the control's a page may ask for, by message type."""
        self._socket, self._hub, self._actions = socket, hub, actions
        self._client = Client(CREDIT, messages=True)
        self._tokens, self._filled = BURST, time.monotonic()
        self._peeking = False

    async def run(self) -> None:
        """Talk until one side has enough."""
        if self._hub.full:
            await self._socket.send_denial_response(PlainTextResponse("too many pages", 503))
            return
        # Before anything is awaited, so that many who come at once cannot all find room.
        self._hub.join(self._client)
        sender = receiver = None
        try:
            await self._socket.accept()
            sender = asyncio.create_task(self._send())
            receiver = asyncio.create_task(self._receive())
            await asyncio.wait({sender, receiver}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(self._client)
            if self._peeking:
                self._hub.control.apply({"type": "peek", "on": False})
            await self._end([task for task in (sender, receiver) if task is not None])

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Goodbye):
                log.debug("page let go: %s", result.reason)
                await self._close(result.code, result.reason)
            elif isinstance(result, Exception) and not isinstance(
                result, WebSocketDisconnect | TimeoutError | OSError
            ):
                raise result

    async def _close(self, code: int, reason: str) -> None:
        try:
            async with asyncio.timeout(SEND_TIMEOUT):
                await self._socket.close(code, reason)
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            pass  # it has gone already, which is what was wanted

    async def _send(self) -> None:
        while True:
            item = await self._client.next()
            if item is None:
                raise Goodbye(GOING_AWAY, "the server stops")
            async with asyncio.timeout(SEND_TIMEOUT):
                if isinstance(item, str):
                    await self._socket.send_text(item)
                else:
                    await self._socket.send_bytes(item.message)
            self._hub.serve(self._client)

    async def _receive(self) -> None:
        while True:
            event = await self._socket.receive()
            if event["type"] == "websocket.disconnect":
                return
            self._count()
            message = _parse(event.get("text"))
            try:
                await self._do(message)
            except RtfocusError as error:
                self._client.post({"type": "error", "message": str(error)})

    async def _do(self, message: Message) -> None:
        kind = message.get("type")
        if kind == "ack":
            self._acknowledge()
        elif kind == "visible":
            self._client.visible = message.get("on") is True
            self._hub.serve(self._client)
        elif kind == "ping":
            self._answer_ping(message)
        elif isinstance(kind, str) and kind in self._actions:
            await self._actions[kind](message)
        else:
            # In a thread: saving a preset writes a file.
            await asyncio.to_thread(self._hub.control.apply, message)
            if kind == "peek":
                self._peeking = message.get("on") is True

    def _acknowledge(self) -> None:
        self._client.acknowledge(CREDIT)
        self._hub.serve(self._client)

    def _answer_ping(self, message: Message) -> None:
        """Give the server's time, so that the page can tell the age of a picture."""
        sent = message.get("sent")
        if not isinstance(sent, int | float) or not abs(sent) < 1e15:
            raise UsageError("ping: must have the time it was sent, in milliseconds")
        self._client.post({"type": "pong", "sent": sent, "server": time.time() * 1000})

    def _count(self) -> None:
        now = time.monotonic()
        self._tokens = min(self._tokens + (now - self._filled) * RATE, BURST) - 1
        self._filled = now
        if self._tokens < 0:
            raise Goodbye(REFUSED, "too many messages")


def _parse(text: str | None) -> Message:
    if text is None:
        raise Goodbye(UNREADABLE, "only text is read")
    if len(text) > MAX_MESSAGE:
        raise Goodbye(TOO_LONG, "message too long")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Goodbye(UNREADABLE, "not JSON") from error
    if not isinstance(message, dict):
        raise Goodbye(UNREADABLE, "not a JSON object")
    return message
