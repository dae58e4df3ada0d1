"""Connections that ask for nothing."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE_S = 5.0
"""Seconds for the first whole request; whoever takes longer keeps others out."""


class ImpatientProtocol(H11Protocol):
    """uvicorn's HTTP, which waits for a first request for ever, but with an end to that."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start to wait."""
        super().connection_made(transport)
        self.loop.call_later(PATIENCE_S, self._end_silence)

    def _end_silence(self) -> None:
        # A WebSocket has another protocol by then.
        if self.cycle is None and self.transport.get_protocol() is self:
            self.transport.close()
