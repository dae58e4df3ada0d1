"""The addresses of the server: /, /ws, /stream.mjpg and what the page is made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from rtfocus.live.control import Control
from rtfocus.server.feed import Feed, Packet
from rtfocus.server.hub import Hub, Message
from rtfocus.server.media import Media
from rtfocus.server.mjpeg import stream_pictures
from rtfocus.server.rendering import Render, Rendering
from rtfocus.server.security import Guard, Hosts, Token
from rtfocus.server.socket import Action, PageSocket

STATIC = Path(__file__).parent / "static"


class Site:
    """The application and what it keeps while it runs."""

    def __init__(
        self,
        control: Control,
        feed: Feed,
        hosts: Hosts,
        *,
        token: Token | None = None,
        media: Media | None = None,
        render: Render | None = None,
    ) -> None:
        """Args: media, render: what a page may ask for beside controls; None hides it there.

        Raises:
            InputError: the folder of media cannot be read.
        """
        self.hub = Hub(control, feed)
        self._media = media
        self._rendering = None if render is None else Rendering(render, self._notify)
        self._loop: asyncio.AbstractEventLoop | None = None
        self.hub.notify(self._abilities())
        routes = [
            Route("/", _page),
            Route("/stream.mjpg", self._stream),
            WebSocketRoute("/ws", self._socket),
            Mount("/static", StaticFiles(directory=STATIC)),
        ]
        self.app: ASGIApp = Guard(Starlette(routes=routes, lifespan=self._lifespan), hosts, token)

    def end(self) -> None:
        """Let all clients go, from any thread; safe to call before it has started."""
        self._call(self.hub.end)

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        hub = self.hub
        self._loop = asyncio.get_running_loop()
        forget = hub.control.observe(lambda state: self._call(hub.on_state, state))
        hub.feed.attach(self._deliver)
        ticker = asyncio.create_task(hub.tick())
        try:
            yield
        finally:
            ticker.cancel()
            with suppress(asyncio.CancelledError):
                await ticker
            forget()
            await asyncio.to_thread(hub.feed.detach)
            if self._rendering is not None:
                await asyncio.to_thread(self._rendering.close)

    async def _socket(self, socket: WebSocket) -> None:
        actions: dict[str, Action] = {}
        if self._rendering is not None:
            actions["render"] = self._render
        if self._media is not None:
            actions["open"] = self._open
            actions["media"] = self._list
        await PageSocket(socket, self.hub, actions).run()

    async def _stream(self, _: Request) -> Response:
        return stream_pictures(self.hub)

    async def _render(self, message: Message) -> None:
        assert self._rendering is not None
        self._rendering.apply(message, self.hub.control.snapshot())

    async def _open(self, message: Message) -> None:
        assert self._media is not None
        await asyncio.to_thread(self._media.open, message.get("name"))

    async def _list(self, _: Message) -> None:
        self.hub.notify(await asyncio.to_thread(self._abilities))

    def _abilities(self) -> Message:
        names = [] if self._media is None else self._media.names()
        return {"type": "can", "render": self._rendering is not None, "media": names}

    def _deliver(self, packet: Packet) -> None:
        self._call(self.hub.on_packet, packet)

    def _notify(self, message: Message) -> None:
        self._call(self.hub.notify, message)

    def _call(self, function: Any, *arguments: Any) -> None:
        """Have the event loop call it; a loop that has ended has nobody to tell."""
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(function, *arguments)


async def _page(_: Request) -> Response:
    return FileResponse(STATIC / "index.html")
