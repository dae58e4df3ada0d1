"""Who may talk to the server.

A page anywhere on the web can make a browser send requests to 127.0.0.1, and a name that it owns
can be made to point there (DNS rebinding). So the Host must be one of ours, an Origin must be the
Host's own, and other sites may do no more than link to the page. Where the server can be reached
from other machines, a token is needed as well.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from html import escape
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether a server that binds this address is out of reach for other machines."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Hosts:
    """The names that this server answers to."""

    def __init__(self, bound: str) -> None:
        """Args: bound: the address or name that the server binds."""
        self._names = set(LOOPBACK) | {bound.lower()}
        self._any_address = not is_loopback(bound)
        if self._any_address:
            own = socket.gethostname().lower()
            self._names |= {own, f"{own}.local"}

    def allow(self, name: str) -> bool:
        """Whether a Host of this name is ours; rebinding needs a name, never an address."""
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._any_address


class Token:
    """The secret of a server that other machines can reach."""

    def __init__(self, value: str, port: int) -> None:
        """Args: value: the secret. port: cookies do not tell ports apart, so their name does."""
        self._value = value.encode()
        self._session = secrets.token_urlsafe(32)
        self._cookie = f"rtfocus-{port}"

    def in_query(self, connection: HTTPConnection) -> bool:
        """Whether the address carries the token."""
        given = connection.query_params.get("token", "")
        return hmac.compare_digest(given.encode(), self._value)

    def in_cookie(self, connection: HTTPConnection) -> bool:
        """Whether the browser was let in before."""
        given = connection.cookies.get(self._cookie, "")
        return hmac.compare_digest(given.encode(), self._session.encode())

    def let_in(self, connection: HTTPConnection) -> Response:
        """Exchange the token in the address for a cookie, so that it is in no history or log."""
        query = [(k, v) for k, v in parse_qsl(connection.url.query) if k != "token"]
        target = escape(f"/?{urlencode(query)}" if query else "/")
        # Not a redirect: after a link from elsewhere a browser would follow it without the cookie.
        response = HTMLResponse(
            '<!doctype html><html lang="en"><title>rtfocus</title>'
            f'<meta http-equiv="refresh" content="0;url={target}">'
            f'<p><a href="{target}">Continue</a></p></html>'
        )
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict")
        return response


class Guard:
    """Stands before the whole application."""

    def __init__(self, app: ASGIApp, hosts: Hosts, token: Token | None) -> None:
        """Args: token: None where only this machine can reach the server."""
        self._app, self._hosts, self._token = app, hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in the application's place, or let it answer with our headers."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._answer(HTTPConnection(scope))
        if refusal is None:
            await self._app(scope, receive, send_guarded)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})  # before it was accepted: status 403
        else:
            await refusal(scope, receive, send_guarded)

    def _answer(self, connection: HTTPConnection) -> Response | None:
        """What to answer in the application's place; None to let it answer."""
        problem = self._foreign(connection)
        if problem:
            return PlainTextResponse(problem, 403)
        if self._token is None or self._token.in_cookie(connection):
            return None
        if self._token.in_query(connection):
            return self._token.let_in(connection) if connection.url.path == "/" else None
        return PlainTextResponse(
            "This page needs the whole address that rtfocus printed, with its token.", 401
        )

    def _foreign(self, connection: HTTPConnection) -> str:
        """Why the request comes from another site; "" if it does not."""
        headers = connection.headers
        host = _single(headers, "host")
        if host is None or not self._hosts.allow(_name(host)):
            return "This server does not go by that name."
        if "origin" in headers:
            origin = _single(headers, "origin")
            if origin not in (f"http://{host}", f"https://{host}"):
                return "Other sites may not use this server."
        site = headers.get("sec-fetch-site", "none")
        link = connection.url.path == "/" and headers.get("sec-fetch-dest") == "document"
        if connection.scope["type"] == "http" and site not in ("none", "same-origin") and not link:
            return "Other sites may not show what this server sends."
        return ""


def _single(headers: Headers, name: str) -> str | None:
    values = headers.getlist(name)
    return values[0] if len(values) == 1 else None


def _name(host: str) -> str:
    """The name in a Host header, without port and brackets; "" if it makes no sense."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 - raises where it is no port
    except ValueError:
        return ""
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        return ""
    return parts.hostname or ""
