"""/stream.mjpg: the pictures alone, for OBS, VLC, ffmpeg and image elements."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from rtfocus.server.feed import Packet
from rtfocus.server.hub import Client, Hub

_BOUNDARY = "rtfocus-picture"


def stream_pictures(hub: Hub) -> Response:
    """The newest picture whenever the reader has taken the one before."""
    if hub.full:
        return PlainTextResponse("too many readers", 503)
    client = Client(credit=1, messages=False)
    hub.join(client)
    media_type = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
    return _PictureStream(_parts(hub, client), hub, client, media_type)


class _PictureStream(StreamingResponse):
    """Gives the place back even where the reader left before the first part."""

    def __init__(
        self, parts: AsyncIterator[bytes], hub: Hub, client: Client, media_type: str
    ) -> None:
        super().__init__(parts, media_type=media_type)
        self._hub, self._client = hub, client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._hub.leave(self._client)


async def _parts(hub: Hub, client: Client) -> AsyncIterator[bytes]:
    # A boundary after every picture, not before it: readers show a picture when it has ended.
    yield f"--{_BOUNDARY}\r\n".encode()
    while True:
        item = await client.next()
        if not isinstance(item, Packet):
            return
        head = f"Content-Type: image/jpeg\r\nContent-Length: {len(item.jpeg)}\r\n\r\n"
        yield head.encode() + item.jpeg + f"\r\n--{_BOUNDARY}\r\n".encode()
        # Control comes back when the connection has taken it: that is the acknowledgement.
        client.acknowledge(1)
        hub.serve(client)
